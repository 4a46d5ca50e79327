//! Rows of the matrix: Unix sockets, with queues and backlogs that are full.

use super::Case;
use super::Test;
use crate::unix;
use crate::unix_connect::Full;
use crate::unix_datagram;
use giambio::net::Shutdown;
use giambio::os::unix::net::SocketAddr;
use giambio::os::unix::net::UnixDatagram;
use giambio::os::unix::net::UnixListener;
use giambio::os::unix::net::UnixStream;
use socket2::SockRef;
use std::cell::Cell;
use std::cell::RefCell;
use std::io;
use std::io::Read;
use std::io::Write;
use std::mem::MaybeUninit;

matrix!(Real: stream_read, stream_write, stream_readable, accept, connect_to_a_full_backlog);
matrix!(Real: datagram_recv, datagram_recv_from, send_to_a_full_peer, send_to_a_full_address);

/// Those that several tasks may make at once.
mod by_two {
    matrix!(Real, of several tasks at once: stream_read, stream_write, stream_readable, accept);
    matrix!(Real, of several tasks at once: connect_to_a_full_backlog, datagram_recv);
    matrix!(Real, of several tasks at once: send_to_a_full_peer, send_to_a_full_address);
}

fn stream_read(test: Test<'_>) {
    let (ours, theirs) = unix::pair();
    let sent = Cell::new(0);
    let call = || (&ours).read(&mut [0]).map(|count| assert_eq!(count, 1));
    let complete = || sent.set(sent.get() + (&theirs).write(b"x").unwrap());
    let effects = || {
        theirs.shutdown(Shutdown::Write).unwrap();
        sent.get() - (&ours).read_to_end(&mut Vec::new()).unwrap()
    };
    test(&Case::reporting(&call).ends_when(&complete).has(&effects));
}

fn stream_readable(test: Test<'_>) {
    let (ours, theirs) = unix::pair();
    let call = || ours.readable();
    let complete = || (&theirs).write_all(b"x").unwrap();
    test(&Case::reporting(&call).ends_when(&complete));
}

fn stream_write(test: Test<'_>) {
    let (ours, theirs) = unix::pair();
    let filled = unix::fill(&ours);
    let read = Cell::new(0);
    let call = || (&ours).write(b"x").map(|count| assert_eq!(count, 1));
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
    test(&Case::reporting(&call).ends_when(&complete).has(&effects));
}

fn accept(test: Test<'_>) {
    let address = unix::address();
    let listener = UnixListener::bind_addr(&address).unwrap();
    let clients = RefCell::new(Vec::new());
    let call = || listener.accept().map(drop);
    let complete = || {
        clients.borrow_mut().push(std::os::unix::net::UnixStream::connect_addr(&address).unwrap());
    };
    let effects = || {
        let left = std::iter::from_fn(|| SockRef::from(&listener).accept().ok());
        clients.borrow().len() - left.count()
    };
    test(&Case::reporting(&call).ends_when(&complete).has(&effects));
}

/// Room is made for one connection after the other.
fn connect_to_a_full_backlog(test: Test<'_>) {
    let full = Full::new();
    let room = Cell::new(0);
    let call = || UnixStream::connect_addr(&full.address).map(drop);
    let complete = || {
        room.set(room.get() + 1);
        SockRef::from(&full.listener).listen(room.get()).unwrap();
    };
    let effects = || full.pending();
    test(&Case::reporting(&call).ends_when(&complete).has(&effects));
}

fn datagram_recv(test: Test<'_>) {
    receiving(&|socket| socket.recv(&mut [0; 8]), test);
}

fn datagram_recv_from(test: Test<'_>) {
    receiving(&|socket| socket.recv_from(&mut [0; 8]).map(|(count, _)| count), test);
}

fn receiving(receive: &dyn Fn(&UnixDatagram) -> io::Result<usize>, test: Test<'_>) {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    let sent = Cell::new(0);
    let call = || receive(&ours).map(|count| assert_eq!(count, 1));
    let complete = || sent.set(sent.get() + SockRef::from(&theirs).send(b"x").unwrap());
    let effects = || sent.get() - drain(&ours, |_| true);
    test(&Case::reporting(&call).ends_when(&complete).has(&effects));
}

fn send_to_a_full_peer(test: Test<'_>) {
    sending(&|socket, _| socket.send(b"x"), test);
}

fn send_to_a_full_address(test: Test<'_>) {
    sending(&|socket, address| socket.send_to_addr(b"x", address), test);
}

type Sends<'s> = &'s dyn Fn(&UnixDatagram, &SocketAddr) -> io::Result<usize>;

/// A socket whose queue is full, of which one datagram is taken for each call.
fn sending(send: Sends<'_>, test: Test<'_>) {
    let address = unix::address();
    let receiver = UnixDatagram::bind_addr(&address).unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    sender.connect_addr(&address).unwrap();
    assert!(unix_datagram::fill(&address) > 2);
    let call = || send(&sender, &address).map(|count| assert_eq!(count, 1));
    let complete =
        || assert!(SockRef::from(&receiver).recv(&mut [MaybeUninit::uninit(); 8]).unwrap() > 1);
    let effects = || drain(&receiver, |length| length == 1);
    test(&Case::reporting(&call).ends_when(&complete).has(&effects));
}

/// Takes all datagrams, and counts those of the wanted lengths.
fn drain(socket: &UnixDatagram, is_wanted: impl Fn(usize) -> bool) -> usize {
    let socket = SockRef::from(socket);
    let lengths = std::iter::from_fn(|| socket.recv(&mut [MaybeUninit::uninit(); 8]).ok());
    lengths.filter(|&length| is_wanted(length)).count()
}
