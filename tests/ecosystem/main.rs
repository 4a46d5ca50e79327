//! Crates that know nothing of green threads, each for real over loopback sockets: in tasks of one
//! worker, against one another and against the programs `openssl` and `curl`.

// The server of the example, to have something that speaks HTTP.
#[path = "../../examples/http_server/connection.rs"]
mod connection;
mod http_client;
mod https;
mod openssl;
mod programs;
#[path = "../../examples/http_server/request.rs"]
mod request;
mod streams;
mod tls;
mod tls_ends;
mod websocket;

use giambio::Pool;
use giambio::net::SocketAddr;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use std::cell::Cell;
use std::time::Duration;

/// Real time: far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `f` as `giambio::run` does; it fails if that takes too long.
fn run<T>(f: impl FnOnce() -> T) -> T {
    giambio::run(|| giambio::with_timeout(PATIENCE, |_| f()).expect("a test does not hang"))
}

/// Both ends of a connection, on which nothing waits for more of it.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let theirs = listener.accept().unwrap().0;
    [&ours, &theirs].iter().for_each(|stream| stream.set_nodelay(true).unwrap());
    (ours, theirs)
}

/// Serves each connection in a task of its own while `clients` runs; how many there were.
fn while_serving(handle: impl Fn(TcpStream), clients: impl FnOnce(SocketAddr)) -> usize {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // std's backlog of 128 makes the kernel drop the connections of a large crowd for a second.
    socket2::SockRef::from(&listener).listen(4096).unwrap();
    let address = listener.local_addr().unwrap();
    let count = Cell::new(0);
    giambio::pool(|pool| {
        let (handle, count) = (&handle, &count);
        let server = pool.spawn(move || {
            giambio::pool(|pool| {
                for stream in listener.incoming() {
                    count.set(count.get() + 1);
                    let stream = stream.unwrap();
                    pool.spawn(move || handle(stream));
                }
            });
        });
        clients(address);
        server.cancel();
    });
    count.get()
}

/// Counts how often it gets its turn, which it gives up each time.
fn count_turns<'scope>(pool: &'scope Pool<'scope, '_>, turns: &'scope Cell<usize>) {
    pool.spawn_daemon(|| {
        loop {
            turns.set(turns.get() + 1);
            giambio::yield_now();
        }
    });
}
