//! rustls in tasks against OpenSSL in a process of its own.

use crate::programs::Pem;
use crate::programs::Program;
use crate::run;
use crate::tls::accept;
use crate::tls::connect;
use crate::tls::finish_client;
use crate::tls::finish_server;
use crate::while_serving;
use giambio::net::SocketAddr;
use giambio::net::TcpStream;
use std::cell::Cell;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;

const VERSIONS: [&str; 2] = ["-tls1_2", "-tls1_3"];

fn s_client(address: SocketAddr, version: &str, further: &[&str]) -> Program {
    let address = address.to_string();
    let arguments =
        ["s_client", "-quiet", "-connect", &address, "-servername", "localhost", version];
    Program::start("openssl", &[&arguments, further].concat())
}

/// Answers one line, louder, and finishes.
fn shout_once(stream: TcpStream) {
    let mut tls = BufReader::new(accept(stream));
    let mut line = String::new();
    tls.read_line(&mut line).unwrap();
    let mut tls = tls.into_inner();
    tls.write_all(line.to_uppercase().as_bytes()).unwrap();
    finish_server(&mut tls).unwrap();
}

#[test]
fn s_client_talks_with_a_rustls_server_in_both_versions() {
    let pem = Pem::new("s_client");
    let checked = ["-CAfile", pem.path(), "-verify_return_error", "-verify_hostname", "localhost"];
    run(|| {
        while_serving(shout_once, |address| {
            // Both at once: nobody who waits for a program keeps the others from running.
            let mut clients = VERSIONS.map(|version| s_client(address, version, &checked));
            clients.iter_mut().for_each(|client| client.say("hello, rustls\n"));
            for client in clients {
                let (printed, status) = client.end();
                assert!(printed.ends_with("HELLO, RUSTLS\n"), "{printed}");
                assert!(status.success(), "{status}: {printed}");
            }
        });
    });
}

#[test]
fn s_client_that_trusts_nobody_is_an_error_and_the_server_goes_on() {
    let pem = Pem::new("distrust");
    let failures = Cell::new(0);
    let patient = |stream: TcpStream| {
        let mut tls = accept(stream);
        match tls.read(&mut [0]) {
            Ok(count) => {
                assert_eq!(count, 1);
                finish_server(&mut tls).unwrap();
            }
            Err(error) => {
                assert!(error.to_string().contains("UnknownCA"), "{error}");
                failures.set(failures.get() + 1);
            }
        }
    };
    run(|| {
        while_serving(patient, |address| {
            for version in VERSIONS {
                let (printed, status) = s_client(address, version, &["-verify_return_error"]).end();
                assert!(!status.success(), "{printed}");
            }
            let mut client = s_client(address, "-tls1_3", &["-CAfile", pem.path()]);
            client.say("x");
            let (printed, status) = client.end();
            assert!(status.success(), "{printed}");
        });
    });
    assert_eq!(failures.get(), VERSIONS.len());
}

#[test]
fn a_rustls_client_talks_with_s_server_in_both_versions() {
    let pem = Pem::new("s_server");
    run(|| {
        giambio::pool(|pool| {
            for version in VERSIONS {
                let pem = &pem;
                pool.spawn(move || {
                    let server = ["s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-rev"];
                    let certificate = ["-cert", pem.path(), "-key", pem.path(), version];
                    let mut server =
                        Program::start("openssl", &[&server[..], &certificate].concat());
                    server.read_until("ACCEPT ");
                    let address: SocketAddr = server.read_until("\n").trim().parse().unwrap();
                    let mut tls = BufReader::new(connect(TcpStream::connect(address).unwrap()));
                    for (line, expected) in [("hello\n", "olleh\n"), ("openssl\n", "lssnepo\n")] {
                        tls.get_mut().write_all(line.as_bytes()).unwrap();
                        let mut answer = String::new();
                        tls.read_line(&mut answer).unwrap();
                        assert_eq!(answer, expected);
                    }
                    finish_client(tls.get_mut()).unwrap();
                    assert_eq!(tls.read(&mut [0]).unwrap(), 0);
                    let (printed, status) = server.end();
                    assert!(status.success(), "{status}: {printed}");
                });
            }
        });
    });
}
