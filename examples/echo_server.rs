//! An echo server: one task for each client, all in one pool.
//!
//! What to look for: `converse` is plain blocking code. A client that says `exit` fails its task; the
//! failure cancels the accept loop and every other client, closes their connections, and leaves `run`
//! as an error. Ctrl-C cancels the same tasks from outside.
//!
//! Run it: `cargo run --release --example echo_server [ADDR]`, then `nc 127.0.0.1 1500`.

mod ctrl_c;

use giambio::net::SocketAddr;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use log::error;
use log::info;
use log::warn;
use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::io;
use std::io::Read;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:1500".into());
    match start(&address) {
        Ok(()) => {
            info!("Ctrl+C detected, exiting");
            ExitCode::SUCCESS
        }
        Err(error) => {
            error!("Exiting due to {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until Ctrl-C.
fn start(address: &str) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(address)
        .map_err(|error| format!("a failure to listen at '{address}': {error}"))?;
    giambio::run(|| match ctrl_c::until_ctrl_c(|| serve(listener))? {
        None => Ok(()),
        Some(Err(exit)) => Err(exit.into()),
    })
}

/// Serves every client until one says `exit`.
fn serve(listener: TcpListener) -> Result<Infallible, Exit> {
    if let Ok(address) = listener.local_addr() {
        info!("Serving at {address}");
    }
    giambio::try_pool(|pool| {
        loop {
            match listener.accept() {
                Ok((stream, address)) => {
                    info!("{address} connected");
                    pool.spawn(move || handle(stream, address));
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

/// One client, from its greeting to its end. Losing it is no failure of the server.
fn handle(stream: TcpStream, address: SocketAddr) -> Result<(), Exit> {
    match converse(stream, address) {
        Ok(Some(exit)) => return Err(exit),
        Ok(None) => {}
        Err(error) => warn!("Lost {address}: {error}"),
    }
    info!("Connection from {address} closed");
    Ok(())
}

fn converse(mut stream: TcpStream, address: SocketAddr) -> io::Result<Option<Exit>> {
    stream.write_all(b"Welcome to the server pal, feel free to send me something!\n-> ")?;
    let mut chunk = [0; 1024];
    loop {
        let count = stream.read(&mut chunk)?;
        match &chunk[..count] {
            b"" => return Ok(None),
            b"exit\n" => {
                if let Err(error) = stream.write_all(b"Shutting down the server\n") {
                    warn!("{address} has not waited for the answer: {error}");
                }
                return Ok(Some(Exit(address)));
            }
            bytes => {
                let text = String::from_utf8_lossy(bytes);
                info!("Got: {text:?} from {address}");
                stream.write_all(&[b"Got: ", bytes, b"-> "].concat())?;
                info!("Echoed back {text:?} to {address}");
            }
        }
    }
}

/// The error that ends the server: somebody has said `exit`.
#[derive(Debug, PartialEq, Eq)]
struct Exit(SocketAddr);

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an `exit` from {}", self.0)
    }
}

impl Error for Exit {}

#[cfg(test)]
mod tests {
    use super::*;

    const GREETING: &str = "Welcome to the server pal, feel free to send me something!\n-> ";

    /// Serves while `clients` runs, then cancels the server; gives the error that ended it before.
    fn while_serving(clients: impl FnOnce(SocketAddr)) -> Option<Exit> {
        giambio::run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            giambio::pool(|pool| {
                let server = pool.spawn(|| serve(listener));
                clients(address);
                server.cancel();
                match server.join() {
                    Ok(Err(exit)) => Some(exit),
                    Err(error) => {
                        assert!(error.is_cancelled(), "{error}");
                        None
                    }
                }
            })
        })
    }

    #[track_caller]
    fn connect(address: SocketAddr) -> TcpStream {
        let stream = TcpStream::connect(address).unwrap();
        expect(&stream, GREETING);
        stream
    }

    #[track_caller]
    fn expect(mut stream: &TcpStream, text: &str) {
        let mut got = vec![0; text.len()];
        stream.read_exact(&mut got).unwrap();
        assert_eq!(String::from_utf8_lossy(&got), text);
    }

    #[track_caller]
    fn say(mut stream: &TcpStream, text: &str) {
        stream.write_all(text.as_bytes()).unwrap();
    }

    #[track_caller]
    fn expect_end(mut stream: &TcpStream) {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }

    #[test]
    fn smoke() {
        let exit = while_serving(|address| {
            let client = connect(address);
            say(&client, "yay!\n");
            expect(&client, "Got: yay!\n-> ");
            say(&client, "again\n");
            expect(&client, "Got: again\n-> ");
        });
        assert_eq!(exit, None);
    }

    #[test]
    fn several_clients_are_served_at_once() {
        while_serving(|address| {
            let clients: [_; 5] = std::array::from_fn(|_| connect(address));
            // The last to come is the first to speak: nobody waits for anybody else.
            for (number, client) in clients.iter().enumerate().rev() {
                say(client, &format!("from {number}"));
            }
            for (number, client) in clients.iter().enumerate() {
                expect(client, &format!("Got: from {number}-> "));
            }
        });
    }

    #[test]
    fn a_client_that_hangs_up_is_let_go() {
        while_serving(|address| {
            let client = connect(address);
            client.shutdown(giambio::net::Shutdown::Write).unwrap();
            expect_end(&client);
        });
    }

    #[test]
    fn a_client_that_resets_is_no_failure() {
        giambio::run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            giambio::pool(|pool| {
                let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                let (stream, address) = listener.accept().unwrap();
                let handler = pool.spawn(move || handle(stream, address));
                expect(&client, GREETING);
                socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
                drop(client); // with a reset
                assert_eq!(handler.join().unwrap(), Ok(()));
            });
        });
    }

    #[test]
    fn bytes_that_are_no_text_come_back_as_they_were() {
        while_serving(|address| {
            let mut client = connect(address);
            client.write_all(b"\xff\x00\xfe").unwrap();
            let mut answer = [0; 11];
            client.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"Got: \xff\x00\xfe-> ");
        });
    }

    #[test]
    fn an_exit_ends_the_server_with_an_error_and_everybody_with_it() {
        let mut sender = None;
        let exit = while_serving(|address| {
            let [bystander, client] = [connect(address), connect(address)];
            say(&client, "exit\n");
            expect(&client, "Shutting down the server\n");
            expect_end(&client);
            expect_end(&bystander);
            sender = client.local_addr().ok();
        });
        assert!(sender.is_some());
        assert_eq!(exit, sender.map(Exit));
    }

    #[test]
    fn only_the_whole_message_exit_ends_the_server() {
        let exit = while_serving(|address| {
            let client = connect(address);
            for message in ["exit", " exit\n", "exit\n\n", "Exit\n"] {
                say(&client, message);
                expect(&client, &format!("Got: {message}-> "));
            }
        });
        assert_eq!(exit, None);
    }

    #[test]
    fn a_cancellation_closes_every_connection() {
        giambio::run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            giambio::pool(|pool| {
                let server = pool.spawn(|| serve(listener));
                let clients: [_; 3] = std::array::from_fn(|_| connect(address));
                server.cancel();
                clients.iter().for_each(expect_end);
                assert!(server.join().unwrap_err().is_cancelled());
                assert!(TcpStream::connect(address).is_err()); // nobody listens any more
            });
        });
    }

    #[test]
    fn an_address_that_cannot_be_bound_is_an_error_that_names_it() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = taken.local_addr().map(|address| (taken, address.to_string())).unwrap();
        for address in ["nonsense", &taken.1] {
            let error = start(address).unwrap_err().to_string();
            assert!(error.contains(address), "{error}");
        }
    }
}
