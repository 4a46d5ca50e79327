//! Duplicates: a socket leaves its reactor at its drop, whoever holds another descriptor of it.

use crate::Scenario;
use crate::well;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::testing::settle;
use std::any::Any;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;
use std::time::Duration;

pub(crate) const SCENARIOS: &[Scenario] = &[
    well("a_socket_that_was_never_duplicated_leaves_its_reactor_with_its_close", alone),
    well("a_duplicated_socket_leaves_its_reactor_at_its_drop", duplicated),
    well("a_socket_that_a_forked_child_keeps_leaves_its_reactor_at_its_drop", forked),
    well("a_duplicate_that_nobody_knows_of_disturbs_nobody", unknown),
];

/// What the epolls of this process have, one line each.
fn registered() -> BTreeSet<String> {
    let texts = fs::read_dir("/proc/self/fdinfo")
        .unwrap()
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap_or_default());
    let lines = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
    // Whoever has two descriptors of one epoll finds each line twice.
    lines.filter(|line| line.starts_with("tfd:")).collect()
}

/// An accepted stream, which is registered, and its peer, which is not.
fn registered_stream() -> (TcpStream, std::net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (accept_and_register(&listener).0, peer)
}

/// The next stream, and the number of its descriptor.
fn accept_and_register(listener: &TcpListener) -> (TcpStream, RawFd) {
    let (mut stream, _) = listener.accept().unwrap();
    let before = registered();
    let none = giambio::skip_after(Duration::from_micros(100), |_| stream.read(&mut [0]));
    assert!(none.is_none());
    let now = registered();
    let new: Vec<_> = now.difference(&before).collect();
    // To ask the stream for its number would say that somebody may use it.
    let [line] = new[..] else { panic!("it is not registered: {new:?}") };
    let number = line.split_whitespace().nth(1).expect("a number").parse().unwrap();
    (stream, number)
}

fn alone() {
    giambio::run(|| {
        // The alarm for short deadlines is made when it is first needed.
        drop(registered_stream_after_an_alarm());
        let before = registered();
        drop(registered_stream());
        assert_eq!(registered(), before);
        std::thread::scope(|threads| {
            let (stream, peer) = registered_stream();
            threads.spawn(|| drop(stream)).join().unwrap();
            assert_eq!(registered(), before);
            drop(peer);
        });
    });
}

fn registered_stream_after_an_alarm() -> (TcpStream, std::net::TcpStream) {
    giambio::sleep(Duration::from_micros(100));
    registered_stream()
}

/// A way to get another descriptor of a stream.
type Way = fn(&TcpStream) -> Box<dyn Any>;

fn duplicated() {
    let ways: [Way; 4] = [
        |stream| Box::new(stream.try_clone().unwrap()),
        |stream| Box::new(stream.as_fd().try_clone_to_owned().unwrap()),
        |stream| Box::new(socket2::SockRef::from(stream).try_clone().unwrap()),
        |stream| Box::new(duplicate(stream.as_raw_fd())),
    ];
    giambio::run(|| {
        drop(registered_stream_after_an_alarm());
        let before = registered();
        for way in ways {
            let (stream, _peer) = registered_stream();
            let duplicate = way(&stream);
            drop(stream);
            assert_eq!(registered(), before);
            drop(duplicate);
        }
        // It knows as well when it was a duplicate from the start.
        let (stream, _peer) = registered_stream();
        let copy = TcpStream::from(stream.as_fd().try_clone_to_owned().unwrap());
        drop(stream);
        let none = giambio::skip_after(Duration::from_micros(100), |_| copy.readable());
        assert!(none.is_none());
        assert_eq!(registered().len(), before.len() + 1);
        let keeps_it_open = copy.try_clone().unwrap();
        drop(copy);
        assert_eq!(registered(), before);
        drop(keeps_it_open);
    });
}

fn duplicate(fd: RawFd) -> OwnedFd {
    // SAFETY: dup(2) takes no pointer.
    let new = unsafe { libc::dup(fd) };
    assert!(new >= 0, "{}", io::Error::last_os_error());
    // SAFETY: the kernel has just made this descriptor for us.
    unsafe { OwnedFd::from_raw_fd(new) }
}

fn forked() {
    let (mut end, parent_has) = io::pipe().unwrap();
    giambio::run(|| {
        drop(registered_stream_after_an_alarm());
        let before = registered();
        let (stream, _peer) = registered_stream();
        // SAFETY: the child makes system calls only.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: the descriptor is this process's own, and nobody else here uses it.
            unsafe { libc::close(parent_has.as_raw_fd()) };
            let _ended = end.read(&mut [0]);
            // SAFETY: it ends this process.
            unsafe { libc::_exit(0) };
        }
        assert!(child > 0);
        drop(stream);
        assert_eq!(registered(), before);
        drop(parent_has);
        // SAFETY: the status is not asked for.
        assert_eq!(unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) }, child);
    });
}

fn unknown() {
    giambio::run(|| {
        drop(registered_stream_after_an_alarm());
        let before = registered().len();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connect = || std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut old_peer, mut peer) = (connect(), connect());
        let (stream, number) = accept_and_register(&listener);
        let (hidden, mut kept) = (duplicate(number), Vec::new());
        drop(stream);
        assert_eq!(registered().len(), before + 1, "the kernel cannot have forgotten it");
        for _ in 0..100 {
            // The next socket has the number and the place in the reactor; the old one's events come.
            let (fresh, again) = accept_and_register(&listener);
            assert_eq!(again, number);
            let next_peer = connect();
            giambio::pool(|pool| {
                let reader = pool.spawn(|| {
                    let mut buf = [0; 8];
                    let count = (&fresh).read(&mut buf).unwrap();
                    (count, buf[0])
                });
                old_peer.write_all(b"old").unwrap();
                settle();
                assert!(!reader.is_finished());
                peer.write_all(b"new").unwrap();
                assert_eq!(reader.join().unwrap(), (3, b'n'));
            });
            // Kept, or its number would be the lowest that is free.
            kept.push(std::mem::replace(&mut peer, next_peer));
        }
        drop(hidden);
        assert_eq!(registered().len(), before);
    });
}
