//! What well-known crates need of a task's stack.
//!
//! Each row has a thread and a runtime of its own, so that nothing was done there before; a task asks
//! at its end how much of its stack was touched, in whole pages.

use std::io::Read;
use std::io::Write;
use std::panic;
use std::sync::Arc;
use std::thread;

use giambio::Pool;
use giambio::Task;
use giambio::TaskBuilder;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use rcgen::CertifiedKey;
use rcgen::KeyPair;
use rcgen::SignatureAlgorithm;
use rustls::ClientConfig;
use rustls::ClientConnection;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::ServerConnection;
use rustls::StreamOwned;
use rustls::SupportedProtocolVersion;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::version::TLS12;
use rustls::version::TLS13;

/// More than anything here takes.
const STACK: usize = 8 << 20;

const BODY_LEN: usize = 64 << 10;

/// Starts a task that does `f` and returns the high-water mark of its stack.
fn spawn<'scope>(pool: &'scope Pool<'scope, '_>, f: impl FnOnce() + 'scope) -> Task<'scope, usize> {
    TaskBuilder::new().stack_size(STACK).spawn(pool, || {
        f();
        giambio::task::stack_usage().expect("in a task").high_water
    })
}

fn print(name: &str, needed: usize) {
    println!("{name:48} {:4} KiB", needed.div_ceil(1024));
}

/// What one task needs for `f`.
fn one(name: &str, f: impl FnOnce() + Send) {
    let needed = thread::scope(|scope| {
        let thread = scope.spawn(|| {
            giambio::run(|| giambio::pool(|pool| spawn(pool, f).join().expect("it returns")))
        });
        thread.join().expect("it returns")
    });
    print(name, needed);
}

/// What two tasks need that talk to each other over a socket.
fn two(name: &str, serve: impl FnOnce(TcpStream) + Send, call: impl FnOnce(TcpStream) + Send) {
    let (server, client) = thread::scope(|scope| {
        let thread = scope.spawn(|| {
            giambio::run(|| {
                giambio::pool(|pool| {
                    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
                    let address = listener.local_addr().expect("it has one");
                    let server = spawn(pool, move || serve(listener.accept().expect("a client").0));
                    let client =
                        spawn(pool, move || call(TcpStream::connect(address).expect("a server")));
                    (server.join().expect("it returns"), client.join().expect("it returns"))
                })
            })
        });
        thread.join().expect("it returns")
    });
    print(&format!("{name}, server"), server);
    print(&format!("{name}, client"), client);
}

/// A certificate that signs itself, and its key, in DER.
struct Identity {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Identity {
    fn new(algorithm: &'static SignatureAlgorithm) -> Self {
        let signing_key = KeyPair::generate_for(algorithm).expect("a key");
        let parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]);
        let cert = parameters.expect("a name").self_signed(&signing_key).expect("a certificate");
        let identity = CertifiedKey { cert, signing_key };
        Self { certificate: identity.cert.into(), key: identity.signing_key.serialize_der() }
    }
}

fn serve_tls(
    stream: TcpStream,
    identity: &Identity,
    provider: CryptoProvider,
    version: &'static SupportedProtocolVersion,
) {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.key.clone()));
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[version])
        .expect("the provider has this version")
        .with_no_client_auth()
        .with_single_cert(vec![identity.certificate.clone()], key)
        .expect("the key is the certificate's");
    let session = ServerConnection::new(Arc::new(config)).expect("a session");
    let mut tls = StreamOwned::new(session, stream);
    tls.read_exact(&mut [0; 5]).expect("a request");
    tls.write_all(&vec![b'x'; BODY_LEN]).expect("it is open");
    tls.conn.send_close_notify();
    tls.flush().expect("it is open");
}

fn call_tls(
    stream: TcpStream,
    identity: &Identity,
    provider: CryptoProvider,
    version: &'static SupportedProtocolVersion,
) {
    let mut roots = RootCertStore::empty();
    roots.add(identity.certificate.clone()).expect("a certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[version])
        .expect("the provider has this version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().expect("a name");
    let session = ClientConnection::new(Arc::new(config), name).expect("a session");
    let mut tls = StreamOwned::new(session, stream);
    tls.write_all(b"hello").expect("it is open");
    let mut body = Vec::new();
    tls.read_to_end(&mut body).expect("it ends");
    assert_eq!(body.len(), BODY_LEN);
}

fn handshake(
    name: &str,
    provider: fn() -> CryptoProvider,
    version: &'static SupportedProtocolVersion,
    identity: &Identity,
) {
    two(
        &format!("rustls, {name}"),
        |stream| serve_tls(stream, identity, provider(), version),
        |stream| call_tls(stream, identity, provider(), version),
    );
}

fn tls() {
    let p256 = Identity::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    let rsa = Identity::new(&rcgen::PKCS_RSA_SHA256);
    handshake("ring, TLS 1.3, P-256", ring::default_provider, &TLS13, &p256);
    handshake("ring, TLS 1.2, P-256", ring::default_provider, &TLS12, &p256);
    handshake("ring, TLS 1.3, RSA 2048", ring::default_provider, &TLS13, &rsa);
    handshake("aws-lc-rs, TLS 1.3, P-256", aws_lc_rs::default_provider, &TLS13, &p256);
    handshake("aws-lc-rs, TLS 1.2, P-256", aws_lc_rs::default_provider, &TLS12, &p256);
    handshake("aws-lc-rs, TLS 1.3, RSA 2048", aws_lc_rs::default_provider, &TLS13, &rsa);
}

fn web_socket() {
    let serve = |stream| {
        let mut socket = tungstenite::accept(stream).expect("a client");
        let message = socket.read().expect("a message");
        socket.send(message).expect("it is open");
        while socket.read().is_ok() {}
    };
    let call = |stream| {
        let (mut socket, _) = tungstenite::client("ws://localhost/", stream).expect("a server");
        socket.send("x".repeat(BODY_LEN).into()).expect("it is open");
        assert_eq!(socket.read().expect("the echo").len(), BODY_LEN);
        socket.close(None).expect("it is open");
        while socket.read().is_ok() {}
    };
    two("tungstenite", serve, call);
}

fn main() {
    one("nothing", || ());
    one("rcgen, a P-256 certificate (aws-lc-rs)", || {
        Identity::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    });
    one("rcgen, an RSA certificate (aws-lc-rs)", || {
        Identity::new(&rcgen::PKCS_RSA_SHA256);
    });
    tls();
    web_socket();
    // It refuses the 128th level.
    let nested = format!("{}{}", "[".repeat(127), "]".repeat(127));
    one("serde_json, 127 levels to a Value", || {
        serde_json::from_str::<serde_json::Value>(&nested).expect("it is not too deep");
    });
    one("regex, compiled and matched", || {
        let regex = regex::Regex::new(r"(?i)^(\w+\.)*\w+@(\p{Greek}|[a-z0-9-])+(\.[a-z]{2,})+$");
        assert!(regex.expect("it is one").is_match("write.blocking@rust.example"));
    });
    one("panic!, caught, RUST_BACKTRACE as it is", || {
        let _ = panic::catch_unwind(|| panic!("measured"));
    });
}
