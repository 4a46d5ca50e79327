//! A thread-per-connection program for std, and the same program on green threads: only `use` lines differ.
//!
//! What to look for: the program is written against std's names, in a macro, and is compiled twice. Inside of
//! `giambio::run` each connection is a task with a small stack, and all of them share the calling thread.
//! Run it: `cargo run --example std_port`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

/// The program, to be put below its `use` lines.
macro_rules! program {
    () => {
        const CLIENTS: u64 = 10;

        /// Has clients send numbers to a server, and returns the sum that it has counted.
        pub(crate) fn main() -> std::io::Result<u64> {
            let listener = net::TcpListener::bind("127.0.0.1:0")?;
            let address = listener.local_addr()?;
            let server = thread::spawn(move || serve(&listener));
            let call = |number| thread::spawn(move || client(address, number));
            let clients: Vec<_> = (1..=CLIENTS).map(call).collect();
            for client in clients {
                client.join().expect("no client panics")?;
            }
            server.join().expect("the server does not panic")
        }

        fn serve(listener: &net::TcpListener) -> std::io::Result<u64> {
            let mut connections = Vec::new();
            for stream in listener.incoming().take(CLIENTS as usize) {
                let (stream, thread) = (stream?, thread::Builder::new().name("connection".into()));
                connections.push(thread.spawn(move || answer(stream))?);
            }
            connections.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        }

        fn answer(mut stream: net::TcpStream) -> std::io::Result<u64> {
            let mut line = String::new();
            BufReader::new(&mut stream).read_line(&mut line)?;
            let number = line.trim().parse().expect("a number");
            writeln!(stream, "{}", 2 * number)?;
            Ok(number)
        }

        fn client(address: net::SocketAddr, number: u64) -> std::io::Result<()> {
            let mut stream = net::TcpStream::connect(address)?;
            writeln!(stream, "{number}")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            assert_eq!(answer.trim(), (2 * number).to_string());
            Ok(())
        }
    };
}

mod on_threads {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::{net, thread};
    program!();
}

mod on_green_threads {
    use giambio::{net, thread};
    use std::io::{BufRead, BufReader, Read, Write};
    program!();
}

fn main() -> std::io::Result<()> {
    println!("on threads of the system: {}", on_threads::main()?);
    println!("on green threads: {}", giambio::run(on_green_threads::main)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn runs() {
        super::main().expect("sockets");
        assert_eq!(giambio::run(super::on_green_threads::main).expect("sockets"), 55);
    }
}
