//! A client for the chat: what is typed goes to the others, and what they say is printed.
//!
//! What to look for: it reads standard input and the connection at the same time, each in a task of its
//! own, with `lines()` and `copy`. It ends when either side does. When the server leaves, the task that
//! waits for the keyboard is cancelled; when the input ends, the server is told so, and what it still
//! has to say is printed.
//!
//! Run it: `cargo run --example chat_client [ADDR]`, with `chat_server` in another terminal.

use giambio::io;
use giambio::io::Write;
use giambio::net::Shutdown;
use giambio::net::TcpStream;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:1502".into());
    giambio::run(|| {
        let server = TcpStream::connect(&address).map_err(|error| format!("{address}: {error}"))?;
        chat(&server).map_err(|error| format!("{address}: {error}").into())
    })
}

/// Talks until the server has ended.
fn chat(mut server: &TcpStream) -> io::Result<()> {
    giambio::try_pool(|pool| {
        pool.spawn(move || send_lines(server));
        io::copy(&mut server, &mut io::stdout())?;
        pool.cancel(); // nobody is left to hear what is typed now
        Ok(())
    })
}

/// Sends what is typed, line by line, and then the end.
fn send_lines(mut server: &TcpStream) -> io::Result<()> {
    for line in io::stdin().lines() {
        server.write_all((line? + "\n").as_bytes())?;
    }
    server.shutdown(Shutdown::Write)
}
