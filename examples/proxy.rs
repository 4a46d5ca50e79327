//! A TCP proxy: what comes in on one connection goes out on another, both ways.
//!
//! What to look for: `copy_bidirectional` joins two connections. When one side stops sending, the proxy
//! stops sending to the other side, and the answer still flows. An error in one direction cancels the
//! other. A connection has 60 s in all; no read or write knows of that.
//!
//! Run it: `cargo run --example proxy LISTEN TARGET`, for instance `127.0.0.1:1501 127.0.0.1:1500`.

mod ctrl_c;

use giambio::io;
use giambio::net::SocketAddr;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::net::ToSocketAddrs;
use log::info;
use log::warn;
use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

/// How long a connection may last.
const LIMIT: Duration = Duration::from_secs(60);

fn main() -> Result<(), Box<dyn Error>> {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [listen, target] = &arguments[..] else { return Err("usage: proxy LISTEN TARGET".into()) };
    let listener = TcpListener::bind(listen).map_err(|error| format!("{listen}: {error}"))?;
    // Once and before `run`: looking up a host's name blocks the thread.
    let found = target.to_socket_addrs().map_err(|error| format!("{target}: {error}"))?;
    let target: Vec<_> = found.collect();
    giambio::run(|| ctrl_c::until_ctrl_c(|| serve(listener, &target, LIMIT)))?;
    info!("Ctrl+C detected, exiting");
    Ok(())
}

/// Passes every connection on to the first of `target`'s addresses that answers.
fn serve(listener: TcpListener, target: &[SocketAddr], limit: Duration) -> Infallible {
    if let Ok(address) = listener.local_addr() {
        info!("Serving at {address}");
    }
    giambio::pool(|pool| {
        loop {
            match listener.accept() {
                Ok((client, address)) => {
                    pool.spawn(move || match forward(client, target, limit) {
                        Ok((up, down)) => info!("{address}: {up} bytes there, {down} bytes back"),
                        Err(error) => warn!("{address}: {error}"),
                    });
                }
                Err(error) => {
                    // Out of descriptors, most likely: there will be some when a client leaves.
                    warn!("A client could not be accepted: {error}");
                    giambio::sleep(Duration::from_millis(100));
                }
            }
        }
    })
}

/// Returns how many bytes went to the target, and how many came back.
fn forward(client: TcpStream, target: &[SocketAddr], limit: Duration) -> io::Result<(u64, u64)> {
    giambio::with_timeout(limit, |_| {
        let server = TcpStream::connect(target)?;
        io::copy_bidirectional(&client, &server)
    })?
}

#[cfg(test)]
mod tests {
    use super::*;
    use giambio::net::Shutdown;
    use std::io::Read;
    use std::io::Write;

    /// Runs a proxy with `limit`, whose target is what `test` gets, with a client's connection.
    fn through_a_proxy(limit: Duration, test: impl FnOnce(TcpListener, TcpStream, &dyn Fn())) {
        giambio::run(|| {
            let target = TcpListener::bind("127.0.0.1:0").unwrap();
            let target_addresses = [target.local_addr().unwrap()];
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            giambio::pool(|pool| {
                let proxy = pool.spawn(|| serve(listener, &target_addresses, limit));
                test(target, TcpStream::connect(address).unwrap(), &|| proxy.cancel());
                proxy.cancel();
                assert!(proxy.join().unwrap_err().is_cancelled());
            });
        });
    }

    #[track_caller]
    fn read_all(mut stream: &TcpStream) -> String {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    /// Reads until the connection is closed or reset.
    #[track_caller]
    fn expect_cut(mut stream: &TcpStream) {
        match io::copy(&mut stream, &mut io::sink()) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
        }
    }

    #[test]
    fn smoke() {
        through_a_proxy(LIMIT, |target, mut client, _| {
            client.write_all(b"ping").unwrap();
            let (mut server, _) = target.accept().unwrap();
            let mut word = [0; 4];
            server.read_exact(&mut word).unwrap();
            assert_eq!(&word, b"ping");
            server.write_all(b"pong").unwrap();
            client.read_exact(&mut word).unwrap();
            assert_eq!(&word, b"pong");
        });
    }

    #[test]
    fn the_clients_end_is_passed_on_while_the_answer_still_flows() {
        through_a_proxy(LIMIT, |target, mut client, _| {
            client.write_all(b"question").unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let (mut server, _) = target.accept().unwrap();
            assert_eq!(read_all(&server), "question");
            server.write_all(b"answer").unwrap();
            drop(server);
            assert_eq!(read_all(&client), "answer");
        });
    }

    #[test]
    fn the_targets_end_is_passed_on_while_the_client_still_sends() {
        through_a_proxy(LIMIT, |target, mut client, _| {
            let (mut server, _) = target.accept().unwrap();
            server.write_all(b"enough").unwrap();
            server.shutdown(Shutdown::Write).unwrap();
            assert_eq!(read_all(&client), "enough");
            client.write_all(b"not at all").unwrap();
            drop(client);
            assert_eq!(read_all(&server), "not at all");
        });
    }

    #[test]
    fn more_than_any_buffer_holds_passes_whole_and_both_ways_at_once() {
        const LENGTH: usize = 16 << 20;
        let sent: Vec<u8> = (0..LENGTH).map(|i| (i % 251) as u8).collect();
        through_a_proxy(LIMIT, |target, client, _| {
            let (server, _) = target.accept().unwrap();
            let ends = [&client, &server];
            giambio::pool(|pool| {
                for mut end in ends {
                    let sent = &sent;
                    pool.spawn(move || {
                        end.write_all(sent).unwrap();
                        end.shutdown(Shutdown::Write).unwrap();
                    });
                    pool.spawn(move || {
                        let mut got = Vec::with_capacity(LENGTH);
                        end.read_to_end(&mut got).unwrap();
                        assert!(got == *sent);
                    });
                }
            });
        });
    }

    #[test]
    fn a_target_that_never_reads_is_cut_by_the_limit() {
        // A virtual clock stands still while anybody waits for a socket, so this limit is real.
        let limit = Duration::from_millis(200);
        let start = giambio::clock(); // the proxy's time begins no earlier than this
        through_a_proxy(limit, |target, mut client, _| {
            let (server, _) = target.accept().unwrap();
            let chunk = vec![0; 1 << 20];
            while client.write_all(&chunk).is_ok() {} // until the proxy has hung up
            assert!(giambio::clock() - start >= limit);
            expect_cut(&server);
        });
    }

    #[test]
    fn a_client_that_never_reads_is_cut_by_a_cancellation() {
        through_a_proxy(LIMIT, |target, client, cancel| {
            giambio::pool(|pool| {
                pool.spawn(move || {
                    let (mut server, _) = target.accept().unwrap();
                    let chunk = vec![0; 1 << 20];
                    while server.write_all(&chunk).is_ok() {} // until the proxy has hung up
                });
                giambio::testing::settle(); // every buffer between them is full
                cancel();
            });
            expect_cut(&client);
        });
    }

    #[test]
    fn a_target_that_refuses_costs_one_client_its_connection() {
        through_a_proxy(LIMIT, |target, client, _| {
            drop(target);
            expect_cut(&client);
        });
    }
}
