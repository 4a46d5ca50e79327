//! Connecting to a Unix listener whose backlog is full: the kernel tells nobody when there is room.

use crate::ms;
use crate::unix::address;
use crate::unix::soon;
use crate::unix_surface::Directory;
use giambio::Builder;
use giambio::debug::Debugger;
use giambio::debug::TaskRef;
use giambio::debug::WaitReason;
use giambio::os::unix::net::SocketAddr;
use giambio::os::unix::net::UnixListener;
use giambio::os::unix::net::UnixStream;
use giambio::testing::settle;
use socket2::SockRef;
use std::io;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::os::unix::net;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;

/// A listener that has as many connections as it will take, and the one that fills it up.
pub(crate) struct Full {
    pub(crate) listener: UnixListener,
    pub(crate) address: SocketAddr,
    _filler: net::UnixStream,
}

impl Full {
    pub(crate) fn new() -> Self {
        let address = address();
        let listener = UnixListener::bind_addr(&address).unwrap();
        SockRef::from(&listener).listen(0).unwrap();
        let filler = net::UnixStream::connect_addr(&address).unwrap();
        Self { listener, address, _filler: filler }
    }

    /// The connections that have not been accepted, without the one of `new`.
    pub(crate) fn pending(&self) -> usize {
        let listener = SockRef::from(&self.listener);
        std::iter::from_fn(|| listener.accept().ok()).count() - 1
    }
}

#[test]
fn it_waits_until_there_is_room() {
    giambio::run(|| {
        let full = Full::new();
        giambio::pool(|pool| {
            let client = pool.spawn(|| {
                let mut stream = UnixStream::connect_addr(&full.address).unwrap();
                stream.write_all(b"made it").unwrap();
            });
            giambio::sleep(ms(5));
            settle();
            assert!(!client.is_finished());
            full.listener.accept().unwrap(); // the filler
            let (mut stream, _) = soon(|| full.listener.accept()).unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            assert_eq!(text, "made it");
        });
    });
}

#[test]
fn a_path_is_no_different() {
    giambio::run(|| {
        let directory = Directory::new();
        let path = directory.join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        SockRef::from(&listener).listen(0).unwrap();
        giambio::pool(|pool| {
            let clients = [(); 5].map(|()| pool.spawn(|| UnixStream::connect(&path).map(drop)));
            settle();
            assert_eq!(clients.iter().filter(|client| client.is_finished()).count(), 1);
            for _ in 0..5 {
                soon(|| listener.accept()).unwrap();
            }
            for client in clients {
                client.join().unwrap().unwrap();
            }
        });
    });
}

#[test]
fn of_many_to_a_slow_listener_each_gets_through() {
    giambio::run(|| {
        let full = Full::new();
        giambio::pool(|pool| {
            let clients = [(); 50].map(|()| pool.spawn(|| UnixStream::connect_addr(&full.address)));
            let mut accepted = Vec::new();
            for _ in 0..51 {
                accepted.push(soon(|| full.listener.accept()).unwrap());
                giambio::sleep(ms(1));
            }
            for client in clients {
                client.join().unwrap().unwrap();
            }
        });
        assert_eq!(
            SockRef::from(&full.listener).accept().unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
    });
}

#[test]
fn cut_while_it_waits_it_has_connected_to_nobody() {
    giambio::run(|| {
        let full = Full::new();
        for wait in [0, 1, 5, 20] {
            let cut = giambio::skip_after(ms(wait), |_| UnixStream::connect_addr(&full.address));
            assert!(cut.is_none());
        }
        giambio::pool(|pool| {
            let client = pool.spawn(|| UnixStream::connect_addr(&full.address));
            settle();
            client.cancel();
            assert!(client.join().unwrap_err().is_cancelled());
        });
        assert_eq!(full.pending(), 0);
    });
}

#[test]
fn it_is_refused_when_the_listener_closes() {
    giambio::run(|| {
        let Full { listener, address, _filler } = Full::new();
        giambio::pool(|pool| {
            let client = pool.spawn(|| UnixStream::connect_addr(&address));
            settle();
            drop(listener);
            let error = soon(|| client.join()).unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        });
    });
}

#[test]
fn a_thread_without_a_runtime_waits_too() {
    let full = Full::new();
    thread::scope(|threads| {
        let client = threads.spawn(|| UnixStream::connect_addr(&full.address));
        assert!(full.listener.accept().is_ok());
        assert!(full.listener.accept().is_ok()); // blocks this thread until the other one is through
        client.join().unwrap().unwrap();
    });
}

/// Counts the parks of tasks that wait for room.
struct Parks(Arc<AtomicUsize>);

impl Debugger for Parks {
    fn before_park(&self, _: &TaskRef, reason: WaitReason) {
        if reason == WaitReason::Writable {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn it_asks_less_and_less_often() {
    let parks = Arc::new(AtomicUsize::new(0));
    let mut runtime = Builder::new().debugger(Parks(Arc::clone(&parks))).build().unwrap();
    runtime.run(|| {
        let full = Full::new();
        let cut = giambio::skip_after(ms(400), |_| UnixStream::connect_addr(&full.address));
        assert!(cut.is_none());
    });
    // Ten that double from 50 µs, half of the time, and then one each 50 ms.
    assert!((5..=17).contains(&parks.load(Ordering::Relaxed)), "{parks:?}");
}

#[test]
fn other_connects_are_not_held_up() -> io::Result<()> {
    giambio::run(|| {
        let full = Full::new();
        let other = address();
        let listener = UnixListener::bind_addr(&other)?;
        giambio::cancellable(|pool| {
            pool.spawn(|| UnixStream::connect_addr(&full.address));
            settle();
            UnixStream::connect_addr(&other).unwrap();
            listener.accept().unwrap();
            pool.cancel();
        });
        Ok(())
    })
}
