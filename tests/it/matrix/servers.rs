//! Rows of the matrix: serving, which waits for connections and then for their handlers.
//!
//! A stop is a cancellation too, of accepting: here only one from outside ends the calls.

use super::Case;
use super::Test;
use crate::unwind::OnDrop;
use giambio::net;
use giambio::net::Server;
use giambio::net::TcpListener;
use giambio::sleep_forever;
use std::cell::Cell;
use std::time::Duration;

matrix!(Real, serve_without_connections never ends);
matrix!(Real, serve_with_a_connection never ends);
matrix!(Real, serve_at_its_limit never ends);
matrix!(Real, serve_in_its_grace never ends);

fn serve_without_connections(test: Test<'_>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let call = || {
        net::serve(&listener, |_, _| unreachable!("nobody connects")).unwrap();
    };
    test(&Case::new(&call).never_ends());
}

fn serve_with_a_connection(test: Test<'_>) {
    with_a_handler(test, &Server::new, &|_| ());
}

fn serve_at_its_limit(test: Test<'_>) {
    with_a_handler(test, &|| Server::new().max_connections(1), &|_| ());
}

fn serve_in_its_grace(test: Test<'_>) {
    with_a_handler(test, &Server::new, &|server| server.stopper().stop());
}

/// A server with one connection, whose handler calls `first` and then waits for ever. It never outlives the
/// call.
fn with_a_handler(test: Test<'_>, options: &dyn Fn() -> Server, first: &dyn Fn(&Server)) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (live, left_behind) = (Cell::new(0), Cell::new(false));
    let call = || {
        let _ended = OnDrop::new(|| left_behind.set(left_behind.get() || live.get() > 0));
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = options().grace(Duration::MAX);
        let served = server.serve(&listener, |_, _| {
            live.set(live.get() + 1);
            let _ending = OnDrop::new(|| live.set(live.get() - 1));
            first(&server);
            sleep_forever()
        });
        served.unwrap();
    };
    test(&Case::new(&call).never_ends());
    assert!(!left_behind.get(), "a handler outlived its server");
}
