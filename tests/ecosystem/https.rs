//! HTTPS: the example's connections over rustls instead of a socket, and curl as the client.

use crate::connection::Connection;
use crate::connection::PAGE;
use crate::connection::converse;
use crate::programs::Pem;
use crate::programs::Program;
use crate::programs::localhost;
use crate::run;
use crate::tls::accept;
use crate::tls::finish_server;
use crate::while_serving;
use giambio::net::SocketAddr;
use giambio::net::TcpStream;

fn converse_in_secret(stream: TcpStream) {
    let mut tls = accept(stream);
    Connection::new(&mut tls).serve().unwrap();
    finish_server(&mut tls).unwrap();
}

/// What curl prints for `paths` below `scheme`, which it asks for on one connection.
#[track_caller]
fn curl(scheme: &str, address: SocketAddr, pem: &Pem, paths: &[&str]) -> String {
    let localhost = localhost(address);
    let resolve = format!("{localhost}:127.0.0.1");
    let urls: Vec<_> = paths.iter().map(|path| format!("{scheme}://{localhost}{path}")).collect();
    let urls: Vec<_> = urls.iter().map(String::as_str).collect();
    let quiet = ["--silent", "--show-error", "--noproxy", "*", "--max-time", "30"];
    let trust = ["--cacert", pem.path(), "--resolve", &resolve];
    let (printed, status) = Program::start("curl", &[&quiet[..], &trust, &urls].concat()).end();
    assert!(status.success(), "{status}: {printed}");
    printed
}

#[test]
fn curl_speaks_https_with_the_example_over_rustls() {
    let pem = Pem::new("curl");
    run(|| {
        let served = while_serving(converse_in_secret, |address| {
            let printed = curl("https", address, &pem, &["/", "/nothing"]);
            assert_eq!(printed, format!("{PAGE}/nothing is not here\n"));
        });
        assert_eq!(served, 1); // both on one connection
    });
}

#[test]
fn curls_are_served_at_once_by_one_worker() {
    let pem = Pem::new("curls");
    run(|| {
        let served = while_serving(
            |stream| converse(&stream).unwrap(),
            |address| {
                giambio::pool(|pool| {
                    for _ in 0..8 {
                        let pem = &pem;
                        pool.spawn(move || assert_eq!(curl("http", address, pem, &["/"]), PAGE));
                    }
                });
            },
        );
        assert_eq!(served, 8);
    });
}
