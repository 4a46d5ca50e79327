//! rustls, client and server: `StreamOwned` over a `TcpStream`.

use crate::pair;
use crate::run;
use crate::while_serving;
use giambio::net::SocketAddr;
use giambio::net::TcpStream;
use giambio::task::stack_usage;
use rcgen::CertifiedKey;
use rustls::ClientConfig;
use rustls::ClientConnection;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::ServerConnection;
use rustls::StreamOwned;
use std::cell::Cell;
use std::io;
use std::io::Read;
use std::io::Write;
use std::sync::Arc;
use std::sync::OnceLock;

pub(crate) type Server = StreamOwned<ServerConnection, TcpStream>;
pub(crate) type Client = StreamOwned<ClientConnection, TcpStream>;

/// A certificate that signs itself for `localhost`, and its key.
pub(crate) fn identity() -> &'static CertifiedKey<rcgen::KeyPair> {
    static IDENTITY: OnceLock<CertifiedKey<rcgen::KeyPair>> = OnceLock::new();
    IDENTITY.get_or_init(|| rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap())
}

fn server_config() -> Arc<ServerConfig> {
    static CONFIG: OnceLock<Arc<ServerConfig>> = OnceLock::new();
    let config = CONFIG.get_or_init(|| {
        let CertifiedKey { cert, signing_key } = identity();
        let key = signing_key.serialize_der().try_into().unwrap();
        let builder = ServerConfig::builder().with_no_client_auth();
        Arc::new(builder.with_single_cert(vec![cert.der().clone()], key).unwrap())
    });
    Arc::clone(config)
}

fn roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(identity().cert.der().clone()).unwrap();
    roots
}

fn client_config(roots: RootCertStore) -> Arc<ClientConfig> {
    Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

/// The server's side of a connection; the handshake is made by the first read or write.
pub(crate) fn accept(stream: TcpStream) -> Server {
    StreamOwned::new(ServerConnection::new(server_config()).unwrap(), stream)
}

fn client_that_trusts(roots: RootCertStore, stream: TcpStream) -> Client {
    let name = "localhost".try_into().unwrap();
    StreamOwned::new(ClientConnection::new(client_config(roots), name).unwrap(), stream)
}

/// The client's side of a connection, likewise.
pub(crate) fn connect(stream: TcpStream) -> Client {
    client_that_trusts(roots(), stream)
}

/// Tells the other side that nothing more will come.
pub(crate) fn finish_server(tls: &mut Server) -> io::Result<()> {
    tls.conn.send_close_notify();
    tls.flush()
}

/// As [`finish_server`].
pub(crate) fn finish_client(tls: &mut Client) -> io::Result<()> {
    tls.conn.send_close_notify();
    tls.flush()
}

/// Sends back what comes in, until the client has finished.
fn echo(stream: TcpStream) {
    let mut tls = accept(stream);
    let mut chunk = [0; 4096];
    loop {
        match tls.read(&mut chunk).unwrap() {
            0 => return finish_server(&mut tls).unwrap(),
            count => tls.write_all(&chunk[..count]).unwrap(),
        }
    }
}

/// Says `text` to a server that echoes, in a connection of its own.
#[track_caller]
fn say(address: SocketAddr, text: &str) {
    let mut tls = connect(TcpStream::connect(address).unwrap());
    tls.write_all(text.as_bytes()).unwrap();
    finish_client(&mut tls).unwrap();
    let mut answer = String::new();
    tls.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, text);
}

#[test]
fn smoke() {
    run(|| while_serving(echo, |address| say(address, "hello")));
}

#[test]
fn hundreds_of_sessions_are_open_at_once_on_one_worker() {
    // Without optimisation a handshake takes milliseconds.
    const SESSIONS: usize = if cfg!(debug_assertions) { 250 } else { 1000 };
    run(|| {
        let open = Cell::new(0);
        let all_open = giambio::sync::Event::new();
        let served = while_serving(echo, |address| {
            giambio::pool(|pool| {
                for number in 0..SESSIONS {
                    let (open, all_open) = (&open, &all_open);
                    pool.spawn(move || {
                        let mut tls = connect(TcpStream::connect(address).unwrap());
                        let number = (number as u64).to_le_bytes();
                        tls.write_all(&number).unwrap();
                        let mut answer = [0; 8];
                        tls.read_exact(&mut answer).unwrap();
                        assert_eq!(answer, number);
                        open.set(open.get() + 1);
                        if open.get() == SESSIONS {
                            all_open.trigger(()).unwrap();
                        }
                        all_open.wait();
                        finish_client(&mut tls).unwrap();
                        assert_eq!(tls.read(&mut answer).unwrap(), 0);
                    });
                }
            });
        });
        assert_eq!((open.get(), served), (SESSIONS, SESSIONS));
    });
}

#[test]
fn what_the_server_says_still_comes_after_the_client_has_finished() {
    const LENGTH: usize = 4 << 20;
    run(|| {
        let sent: Vec<u8> = (0..LENGTH).map(|i| (i % 251) as u8).collect();
        let reversed = |stream| {
            let mut tls = accept(stream);
            let mut all = Vec::new();
            tls.read_to_end(&mut all).unwrap(); // until close_notify
            all.reverse();
            tls.write_all(&all).unwrap();
            finish_server(&mut tls).unwrap();
        };
        while_serving(reversed, |address| {
            let mut tls = connect(TcpStream::connect(address).unwrap());
            tls.write_all(&sent).unwrap();
            finish_client(&mut tls).unwrap();
            let mut got = Vec::new();
            tls.read_to_end(&mut got).unwrap();
            got.reverse();
            assert!(got == sent);
        });
    });
}

#[test]
fn one_side_may_read_before_it_has_written_and_io_copy_drives_both() {
    run(|| {
        let (ours, theirs) = pair();
        giambio::pool(|pool| {
            pool.spawn(|| {
                let mut tls = accept(theirs);
                io::copy(&mut io::repeat(b'x').take(100_000), &mut tls).unwrap();
                finish_server(&mut tls).unwrap();
            });
            let mut tls = connect(ours);
            assert_eq!(io::copy(&mut tls, &mut io::sink()).unwrap(), 100_000);
        });
    });
}

#[test]
fn a_certificate_that_nobody_trusts_fails_both_sides_and_the_server_goes_on() {
    run(|| {
        let failures = Cell::new(0);
        let counted = |stream: TcpStream| {
            let mut tls = accept(stream);
            match tls.read(&mut [0; 8]) {
                Ok(count) => assert_eq!(count, 2),
                Err(error) => {
                    assert!(error.to_string().contains("UnknownCA"), "{error}"); // the client's alert
                    failures.set(failures.get() + 1);
                }
            }
        };
        while_serving(counted, |address| {
            let stream = TcpStream::connect(address).unwrap();
            let mut tls = client_that_trusts(RootCertStore::empty(), stream);
            let error = tls.write_all(b"hi").unwrap_err();
            assert!(error.to_string().contains("invalid peer certificate"), "{error}");
            assert_eq!(tls.sock.read(&mut [0]).unwrap(), 0);
            assert_eq!(failures.get(), 1);
            let mut tls = connect(TcpStream::connect(address).unwrap());
            tls.write_all(b"hi").unwrap();
            assert!(tls.read(&mut [0]).is_err()); // closed without a word, which is told apart
        });
        assert_eq!(failures.get(), 1);
    });
}

#[test]
fn a_session_needs_a_fraction_of_the_default_stack() {
    run(|| {
        let (ours, theirs) = pair();
        giambio::pool(|pool| {
            // Two stacks that nobody had before: what they have touched was touched for this.
            let server = pool.spawn(|| {
                echo(theirs);
                stack_usage().unwrap()
            });
            let client = pool.spawn(|| {
                let mut tls = connect(ours);
                tls.write_all(&[b'x'; 1000]).unwrap();
                finish_client(&mut tls).unwrap();
                assert_eq!(tls.read_to_end(&mut Vec::new()).unwrap(), 1000);
                stack_usage().unwrap()
            });
            for usage in [server.join().unwrap(), client.join().unwrap()] {
                assert!(usage.high_water < usage.size / 4, "{usage:?}");
            }
        });
    });
}
