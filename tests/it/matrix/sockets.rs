//! Rows of the matrix: calls that wait for the kernel.

use super::Case;
use super::Test;
use crate::tcp::pair;
use giambio::lowlevel;
use giambio::net::Shutdown;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::testing::settle;
use socket2::SockRef;
use std::cell::Cell;
use std::cell::RefCell;
use std::io;
use std::io::ErrorKind;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::io::Read;
use std::io::Write;
use std::net;
use std::os::unix::net::UnixStream;
use std::time::Duration;

matrix!(Real: read, read_with_room_left, read_vectored, peek, write, write_vectored);
matrix!(Real: accept, incoming_next, connect, wait_readable, wait_writable);

/// Those that several tasks may make at once.
mod by_two {
    matrix!(Real, of several tasks at once: read, peek, write, write_vectored, accept, incoming_next, wait_readable, wait_writable);
}

fn read(test: Test<'_>) {
    reading(&|mut stream| stream.read(&mut [0]), |case| test(&case));
}

/// After such a read the next one parks without a look.
fn read_with_room_left(test: Test<'_>) {
    reading(&|mut stream| stream.read(&mut [0; 8]), |case| test(&case));
}

fn read_vectored(test: Test<'_>) {
    let read = |mut stream: &TcpStream| {
        let (mut one, mut other) = ([0; 1], [0; 8]);
        stream.read_vectored(&mut [IoSliceMut::new(&mut one), IoSliceMut::new(&mut other)])
    };
    reading(&read, |case| test(&case));
}

type Reads<'r> = &'r dyn Fn(&TcpStream) -> io::Result<usize>;

/// A connection whose other end sends a byte for each call.
fn reading(read: Reads<'_>, test: impl FnOnce(Case<'_>)) {
    let (ours, theirs) = pair();
    let sent = Cell::new(0);
    let call = || read(&ours).map(|count| assert_eq!(count, 1));
    let complete = || sent.set(sent.get() + (&theirs).write(b"x").unwrap());
    let effects = || {
        theirs.shutdown(Shutdown::Write).unwrap();
        sent.get() - (&ours).read_to_end(&mut Vec::new()).unwrap()
    };
    test(Case::new(&call).ends_when(&complete).reports().has(&effects));
}

fn peek(test: Test<'_>) {
    let (ours, theirs) = pair();
    let sent = Cell::new(0);
    let call = || ours.peek(&mut [0]).map(|count| assert_eq!(count, 1));
    let complete = || sent.set(sent.get() + (&theirs).write(b"x").unwrap());
    test(&Case::new(&call).ends_when(&complete).reports());
    theirs.shutdown(Shutdown::Write).unwrap();
    assert_eq!((&ours).read_to_end(&mut Vec::new()).unwrap(), sent.get());
}

fn write(test: Test<'_>) {
    writing(&|mut stream| stream.write(b"x"), test);
}

fn write_vectored(test: Test<'_>) {
    writing(&|mut stream| stream.write_vectored(&[IoSlice::new(b""), IoSlice::new(b"x")]), test);
}

/// A connection without room, whose other end makes some for each call.
fn writing(write: Reads<'_>, test: Test<'_>) {
    let (ours, theirs) = pair();
    let filled = fill(&ours);
    let read = Cell::new(0);
    let call = || write(&ours).map(|count| assert_eq!(count, 1));
    let complete = || {
        // All that was there before the call, so that the kernel says that there is room.
        let mut buf = vec![0; 1 << 16];
        while read.get() < filled {
            read.set(read.get() + (&theirs).read(&mut buf).unwrap());
        }
    };
    let effects = || {
        ours.shutdown(Shutdown::Write).unwrap();
        read.get() + (&theirs).read_to_end(&mut Vec::new()).unwrap() - filled
    };
    test(&Case::new(&call).ends_when(&complete).reports().has(&effects));
}

/// Writes until there is no room any more, not even when the kernel has passed on what it can.
fn fill(mut stream: &TcpStream) -> usize {
    let written = Cell::new(0);
    let block = vec![0; 1 << 16];
    let cut = giambio::cancellable(|pool| -> () {
        pool.spawn(|| {
            settle();
            pool.cancel();
        });
        loop {
            written.set(written.get() + stream.write(&block).unwrap());
        }
    });
    assert!(cut.is_none());
    written.get()
}

fn accept(test: Test<'_>) {
    accepting(&|listener| listener.accept().map(|(stream, _)| stream), test);
}

fn incoming_next(test: Test<'_>) {
    let next = |listener: &TcpListener| listener.incoming().next().unwrap();
    accepting(&next, test);
}

fn accepting(accept: &dyn Fn(&TcpListener) -> io::Result<TcpStream>, test: Test<'_>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let clients = RefCell::new(Vec::new());
    let call = || accept(&listener).map(drop);
    let complete = || clients.borrow_mut().push(net::TcpStream::connect(addr).unwrap());
    let effects = || {
        let left = std::iter::from_fn(|| SockRef::from(&listener).accept().ok());
        clients.borrow().len() - left.count()
    };
    test(&Case::new(&call).ends_when(&complete).reports().has(&effects));
}

/// A connection over the loopback interface stands when the kernel is asked next, and not at once.
fn connect(test: Test<'_>) {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let connected = RefCell::new(Vec::new());
    let call = || TcpStream::connect(addr).map(|stream| connected.borrow_mut().push(stream));
    let effects = || {
        let mut missing: Vec<_> =
            connected.borrow().iter().map(|stream| stream.local_addr().unwrap()).collect();
        let standing = missing.len();
        while let Some((stream, from)) = accept_if_any(&listener, !missing.is_empty()) {
            match missing.iter().position(|&expected| expected == from) {
                Some(place) => drop(missing.swap_remove(place)),
                None => assert_closed(stream),
            }
        }
        standing
    };
    test(&Case::new(&call).reports().has(&effects));
}

/// The next connection; if `one_is_due` it is waited for.
#[expect(clippy::fn_params_excessive_bools, reason = "it is what a comparison has given")]
fn accept_if_any(
    listener: &net::TcpListener,
    one_is_due: bool,
) -> Option<(net::TcpStream, net::SocketAddr)> {
    listener.set_nonblocking(!one_is_due).unwrap();
    match listener.accept() {
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        accepted => Some(accepted.unwrap()),
    }
}

/// The other end of a connection is closed, or will be by the kernel.
fn assert_closed(mut stream: net::TcpStream) {
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let end = stream.read(&mut [0]);
    let closed = matches!(end, Ok(0)) || end.is_err_and(|e| e.kind() == ErrorKind::ConnectionReset);
    assert!(closed, "the connection of a call that was cut stands");
}

fn wait_readable(test: Test<'_>) {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let theirs = RefCell::new(&mut theirs);
    let call = || lowlevel::wait_readable(&ours);
    let complete = || theirs.borrow_mut().write_all(b"x").unwrap();
    test(&Case::new(&call).ends_when(&complete).reports());
}

fn wait_writable(test: Test<'_>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    theirs.set_nonblocking(true).unwrap();
    while (&ours).write(&[0; 1 << 12]).is_ok() {}
    let call = || lowlevel::wait_writable(&ours);
    let complete = || while (&theirs).read(&mut [0; 1 << 16]).is_ok() {};
    test(&Case::new(&call).ends_when(&complete).reports());
}
