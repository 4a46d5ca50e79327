//! An HTTP/1.1 server (RFC 9110, RFC 9112) on httparse, a parser that knows of no sockets.
//!
//! What to look for: a connection is plain calls on a stream, and none of them knows of time. A
//! `with_timeout` around all reads of a head ends a client that sends one byte a second. Answers are
//! kept until the server has to wait for its client, so pipelined requests are answered in one write.
//! Ctrl-C closes the listener and every connection that owes no answer; what is owed is still sent,
//! under `shield_for`.
//!
//! Run it: `cargo run --release --example http_server [ADDR]`, then `curl -T FILE http://127.0.0.1:1503/echo`.

mod connection;
#[path = "../ctrl_c/mod.rs"]
mod ctrl_c;
mod request;
#[cfg(test)]
mod tests;

use giambio::net::SocketAddr;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use log::info;
use log::warn;
use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:1503".into());
    let listener = TcpListener::bind(&address).map_err(|error| format!("{address}: {error}"))?;
    giambio::run(|| ctrl_c::until_ctrl_c(|| serve(listener)))?;
    info!("Ctrl+C detected, exiting");
    Ok(())
}

fn serve(listener: TcpListener) -> Infallible {
    if let Ok(address) = listener.local_addr() {
        info!("Serving at {address}");
    }
    // The listener is the body's: when that is cut, nobody new can connect while others are served.
    giambio::pool(move |pool| {
        loop {
            match listener.accept() {
                // Isolated: a handler that panics costs its client the connection, and nobody else.
                Ok((stream, peer)) => drop(pool.spawn_isolated(move || handle(&stream, peer))),
                Err(error) => {
                    // Out of descriptors, most likely: there will be some when a client leaves.
                    warn!("A client could not be accepted: {error}");
                    giambio::sleep(Duration::from_millis(100));
                }
            }
        }
    })
}

/// One client. Losing it is no failure of the server.
fn handle(stream: &TcpStream, peer: SocketAddr) {
    if let Err(error) = connection::converse(stream) {
        warn!("Lost {peer}: {error}");
    }
}
