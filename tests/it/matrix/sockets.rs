//! Rows of the matrix: calls that wait for the kernel.

use super::Case;
use super::Test;
use super::Time;
use crate::tcp::Refusing;
use crate::tcp::pair;
use crate::udp;
use giambio::lowlevel;
use giambio::net::Family;
use giambio::net::Resolver;
use giambio::net::Shutdown;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::net::ToSocketAddrs;
use giambio::net::UdpSocket;
use giambio::net::with_resolver;
use giambio::sleep;
use giambio::yield_now;
use socket2::SockRef;
use std::cell::Cell;
use std::cell::RefCell;
use std::io;
use std::io::ErrorKind;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::io::Read;
use std::io::Write;
use std::mem::MaybeUninit;
use std::net;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

matrix!(Real: read, read_with_room_left, read_vectored, peek, write, write_vectored);
matrix!(Real: accept, incoming_next, connect, connect_timeout, connect_by_name, wait_readable, wait_writable);
matrix!(Virtual: look_up);
matrix!(Real: read_with_timeout, readable, writable, recv_from, recv, peek_at_a_datagram);

/// Those that several tasks may make at once.
mod by_two {
    matrix!(Real, of several tasks at once: read, peek, write, write_vectored);
    matrix!(Real, of several tasks at once: accept, incoming_next, wait_readable, wait_writable);
    matrix!(Real, of several tasks at once: readable, writable, recv_from, peek_at_a_datagram);
}

fn read(test: Test<'_>) {
    reading(&|mut stream| stream.read(&mut [0]), |case| test(&case));
}

/// After such a read the next one parks without a look.
fn read_with_room_left(test: Test<'_>) {
    reading(&|mut stream| stream.read(&mut [0; 8]), |case| test(&case));
}

fn read_with_timeout(test: Test<'_>) {
    let read = |mut stream: &TcpStream| {
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        stream.read(&mut [0])
    };
    reading(&read, |case| test(&case));
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
    let complete = || {
        sent.set(sent.get() + (&theirs).write(b"x").unwrap());
        await_kernel(&ours, libc::POLLIN);
    };
    let effects = || {
        theirs.shutdown(Shutdown::Write).unwrap();
        sent.get() - (&ours).read_to_end(&mut Vec::new()).unwrap()
    };
    test(Case::reporting(&call).ends_when(&complete).has(&effects));
}

fn peek(test: Test<'_>) {
    let (ours, theirs) = pair();
    let sent = Cell::new(0);
    let call = || ours.peek(&mut [0]).map(|count| assert_eq!(count, 1));
    let complete = || {
        sent.set(sent.get() + (&theirs).write(b"x").unwrap());
        await_kernel(&ours, libc::POLLIN);
    };
    test(&Case::reporting(&call).ends_when(&complete));
    theirs.shutdown(Shutdown::Write).unwrap();
    assert_eq!((&ours).read_to_end(&mut Vec::new()).unwrap(), sent.get());
}

fn readable(test: Test<'_>) {
    let (ours, mut theirs) = pair();
    let theirs = RefCell::new(&mut theirs);
    let complete = || {
        theirs.borrow_mut().write_all(b"x").unwrap();
        await_kernel(&ours, libc::POLLIN);
    };
    test(&Case::reporting(&|| ours.readable()).ends_when(&complete));
}

fn writable(test: Test<'_>) {
    let (ours, theirs) = pair();
    let left = Cell::new(fill(&ours));
    let complete = || {
        let mut buf = vec![0; 1 << 16];
        while left.get() > 0 {
            left.set(left.get() - (&theirs).read(&mut buf).unwrap());
        }
        await_kernel(&ours, libc::POLLOUT);
    };
    test(&Case::reporting(&|| ours.writable()).ends_when(&complete));
}

fn recv_from(test: Test<'_>) {
    receiving(&|socket| socket.recv_from(&mut [0; 8]).map(|(count, _)| count), test);
}

fn recv(test: Test<'_>) {
    receiving(&|socket| socket.recv(&mut [0; 8]), test);
}

/// A socket to which a datagram is sent for each call.
fn receiving(receive: &dyn Fn(&UdpSocket) -> io::Result<usize>, test: Test<'_>) {
    let (ours, theirs) = udp::pair();
    let sent = Cell::new(0);
    let call = || receive(&ours).map(|count| assert_eq!(count, 3));
    let complete = || {
        theirs.send(b"abc").unwrap();
        sent.set(sent.get() + 1);
        await_kernel(&ours, libc::POLLIN);
    };
    test(&Case::reporting(&call).ends_when(&complete).has(&|| sent.get() - datagrams_in(&ours)));
}

fn peek_at_a_datagram(test: Test<'_>) {
    let (ours, theirs) = udp::pair();
    let sent = Cell::new(0);
    let call = || ours.peek(&mut [0; 8]).map(|count| assert_eq!(count, 3));
    let complete = || {
        theirs.send(b"abc").unwrap();
        sent.set(sent.get() + 1);
        await_kernel(&ours, libc::POLLIN);
    };
    test(&Case::reporting(&call).ends_when(&complete));
    assert_eq!(datagrams_in(&ours), sent.get());
}

/// Takes what lies in a socket, and counts it.
fn datagrams_in(socket: &UdpSocket) -> usize {
    let receive = || SockRef::from(socket).recv(&mut [MaybeUninit::uninit(); 8]).ok();
    std::iter::from_fn(receive).count()
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
        await_kernel(&ours, libc::POLLOUT);
    };
    let effects = || {
        ours.shutdown(Shutdown::Write).unwrap();
        read.get() + (&theirs).read_to_end(&mut Vec::new()).unwrap() - filled
    };
    test(&Case::reporting(&call).ends_when(&complete).has(&effects));
}

/// Writes until there is no room any more, not even when the kernel has passed on what it can.
fn fill(stream: &TcpStream) -> usize {
    let block = vec![0; 1 << 16];
    let mut written = 0;
    while is_ready(stream, libc::POLLOUT, 1) {
        while let Ok(count) = SockRef::from(stream).send(&block) {
            written += count;
        }
    }
    written
}

/// Blocks the thread until a descriptor is ready: what the kernel has been given may be on its way.
fn await_kernel(fd: impl AsFd, events: libc::c_short) {
    assert!(is_ready(fd, events, 60_000), "the kernel keeps it to itself");
}

/// Whether a descriptor is ready, or becomes so in time.
pub(super) fn is_ready(fd: impl AsFd, events: libc::c_short, millis: libc::c_int) -> bool {
    let mut entry = libc::pollfd { fd: fd.as_fd().as_raw_fd(), events, revents: 0 };
    // SAFETY: the entry is valid, and borrowed for the call.
    let ready = unsafe { libc::poll(&raw mut entry, 1, millis) };
    assert!(ready >= 0, "{}", io::Error::last_os_error());
    ready > 0
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
    let complete = || {
        clients.borrow_mut().push(net::TcpStream::connect(addr).unwrap());
        await_kernel(&listener, libc::POLLIN);
    };
    let effects = || {
        let left = std::iter::from_fn(|| SockRef::from(&listener).accept().ok());
        clients.borrow().len() - left.count()
    };
    test(&Case::reporting(&call).ends_when(&complete).has(&effects));
}

/// A connection over the loopback interface stands when the kernel is asked next, and not at once.
fn connect(test: Test<'_>) {
    connecting(&|addr| TcpStream::connect(addr), test);
}

/// Two addresses of a name are tried at once, of which one refuses.
fn connect_by_name(test: Test<'_>) {
    let refusing = Refusing::new();
    let connect = |addr: net::SocketAddr| {
        let host = Host { addrs: [refusing.addr(), addr] };
        with_resolver(host, || TcpStream::connect("a.test:80"))
    };
    connecting(&connect, test);
}

/// A host with these addresses.
struct Host {
    addrs: [net::SocketAddr; 2],
}

impl Resolver for Host {
    fn resolve(&self, _: &str, _: u16, family: Family) -> io::Result<Vec<net::SocketAddr>> {
        yield_now();
        Ok(if family == Family::V6 { Vec::new() } else { self.addrs.into() })
    }
}

fn look_up(test: Test<'_>) {
    let look_up = || "a.test:80".to_socket_addrs().map(drop);
    test(&Case::reporting(&|| with_resolver(Slow, look_up)));
}

/// Takes a while.
struct Slow;

impl Resolver for Slow {
    fn resolve(&self, _: &str, _: u16, _: Family) -> io::Result<Vec<net::SocketAddr>> {
        sleep(Time::Virtual.a_while());
        Ok(Vec::new())
    }
}

fn connect_timeout(test: Test<'_>) {
    connecting(&|addr| TcpStream::connect_timeout(&addr, Duration::from_secs(60)), test);
}

fn connecting(connect: &dyn Fn(net::SocketAddr) -> io::Result<TcpStream>, test: Test<'_>) {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let connected = RefCell::new(Vec::new());
    let call = || connect(addr).map(|stream| connected.borrow_mut().push(stream));
    let effects = || {
        let mut missing: Vec<_> =
            connected.borrow().iter().map(|stream| stream.local_addr().unwrap()).collect();
        let standing = missing.len();
        while let Some((stream, from)) = accept_next(&listener, &missing) {
            match missing.iter().position(|&expected| expected == from) {
                Some(place) => drop(missing.swap_remove(place)),
                None => assert_closed(stream),
            }
        }
        standing
    };
    test(&Case::reporting(&call).has(&effects));
}

/// The next connection: waited for if any is missing that stands.
fn accept_next(
    listener: &net::TcpListener,
    missing: &[net::SocketAddr],
) -> Option<(net::TcpStream, net::SocketAddr)> {
    listener.set_nonblocking(missing.is_empty()).unwrap();
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
    test(&Case::reporting(&call).ends_when(&complete));
}

fn wait_writable(test: Test<'_>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    theirs.set_nonblocking(true).unwrap();
    while (&ours).write(&[0; 1 << 12]).is_ok() {}
    let call = || lowlevel::wait_writable(&ours);
    let complete = || while (&theirs).read(&mut [0; 1 << 16]).is_ok() {};
    test(&Case::reporting(&call).ends_when(&complete));
}
