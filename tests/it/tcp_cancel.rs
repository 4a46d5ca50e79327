//! A TCP call that is cancelled has done nothing: the bytes, the room, the connection are still there.

use crate::ms;
use crate::tcp::pair;
use crate::tcp_faults::full_listener;
use giambio::TooSlow;
use giambio::io::Cancelled;
use giambio::net::SocketAddr;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::task::no_unwind;
use giambio::testing::settle;
use std::cell::Cell;
use std::cell::RefCell;
use std::io;
use std::io::Read;
use std::io::Write;
use std::time::Duration;

/// Cuts `call` in the two ways that keep it from beginning at all.
#[track_caller]
fn cut_before<T>(call: impl Fn() -> T) {
    let cut = giambio::cancellable(|pool| {
        pool.cancel();
        call()
    });
    assert!(cut.is_none(), "a call in a cancelled scope was made");
    let late = giambio::with_timeout(Duration::ZERO, |_| call());
    assert_eq!(late.err(), Some(TooSlow));
}

/// Cuts `call`, which parks, by a cancellation and by a deadline.
#[track_caller]
fn cut_while_parked<T>(call: impl Fn() -> T) {
    let cut = giambio::cancellable(|pool| {
        pool.spawn(|| {
            settle();
            pool.cancel();
        });
        call()
    });
    assert!(cut.is_none(), "a call that was to park did not");
    assert!(giambio::skip_after(ms(1), |_| call()).is_none());
}

/// Cancels `call` while it is parked under a shield, and then `unblock`s it.
#[track_caller]
fn not_cut_under_a_shield<T>(call: impl FnOnce() -> T, unblock: impl FnOnce()) -> T {
    let done = RefCell::new(None);
    giambio::pool(|outside| {
        let cut = giambio::cancellable(|pool| {
            let canceller = pool.canceller();
            outside.spawn(move || {
                settle();
                canceller.cancel();
                settle();
                unblock();
            });
            *done.borrow_mut() = Some(giambio::shield(call));
            giambio::yield_now();
        });
        assert!(cut.is_none(), "what was cancelled under the shield was not raised behind it");
    });
    done.take().expect("the shielded call has ended")
}

/// Writes until that would block; how much that was.
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

/// Connections to `addr` that are begun and not answered, of the whole machine.
fn half_open(addr: SocketAddr) -> usize {
    const SYN_SENT: &str = "02";
    let remote = format!(":{:04X}", addr.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.filter(|entry| entry[2].ends_with(&remote) && entry[3] == SYN_SENT).count()
}

#[test]
fn a_read_that_was_cut_has_taken_nothing() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        let read = || (&ours).read(&mut [0; 8]);
        cut_while_parked(read);
        theirs.write_all(b"abc").unwrap();
        giambio::lowlevel::wait_readable(&ours).unwrap();
        cut_before(read); // although it could have ended at once
        assert_eq!(read().unwrap(), 3);
        cut_while_parked(read); // behind a short read
        assert_eq!(not_cut_under_a_shield(read, || theirs.write_all(b"de").unwrap()).unwrap(), 2);
        drop(theirs);
        assert_eq!(read().unwrap(), 0);
        cut_before(read); // the end too
    });
}

#[test]
fn a_peek_that_was_cut_is_a_call_like_a_read() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        let peek = || ours.peek(&mut [0; 8]);
        cut_while_parked(peek);
        assert_eq!(not_cut_under_a_shield(peek, || theirs.write_all(b"abc").unwrap()).unwrap(), 3);
        cut_before(peek);
        assert_eq!((&ours).read(&mut [0; 8]).unwrap(), 3);
    });
}

#[test]
fn a_write_that_was_cut_has_sent_nothing() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        cut_before(|| (&ours).write(b"no").unwrap());
        let written = fill(&ours); // the last call of these was cut while it was parked
        cut_while_parked(|| (&ours).write(b"no").unwrap());
        cut_before(|| (&ours).write(b"no").unwrap());
        let mut read = 0;
        let more = not_cut_under_a_shield(
            || (&ours).write(b"yes").unwrap(),
            || {
                let mut buf = vec![0; 1 << 16];
                while read < written {
                    read += theirs.read(&mut buf).unwrap();
                    assert!(buf.iter().all(|&byte| byte == 0) || read > written);
                }
            },
        );
        drop(ours);
        read += theirs.read_to_end(&mut Vec::new()).unwrap();
        assert_eq!(read, written + more);
    });
}

#[test]
fn a_write_to_a_peer_that_never_reads_waits_until_it_is_cut() {
    giambio::run(|| {
        let (mut ours, _theirs) = pair();
        let block = vec![0; 1 << 16];
        let cut = giambio::skip_after(ms(20), |_| -> () {
            loop {
                ours.write_all(&block).unwrap();
            }
        });
        assert!(cut.is_none());
    });
}

#[test]
fn an_accept_that_was_cut_has_taken_no_connection() {
    giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let accept = || listener.accept().unwrap().1;
        cut_while_parked(accept);
        let first = TcpStream::connect(addr).unwrap();
        cut_before(accept);
        assert_eq!(accept(), first.local_addr().unwrap());
        cut_while_parked(accept);
        let second = RefCell::new(None);
        let from = not_cut_under_a_shield(accept, || {
            *second.borrow_mut() = Some(TcpStream::connect(addr).unwrap());
        });
        assert_eq!(from, second.take().unwrap().local_addr().unwrap());
    });
}

#[test]
fn a_connect_that_was_cut_before_it_began_has_reached_nobody() {
    giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        cut_before(|| TcpStream::connect(addr));
        let client = TcpStream::connect(addr).unwrap();
        assert_eq!(listener.accept().unwrap().1, client.local_addr().unwrap());
    });
}

#[test]
fn a_connect_that_was_cut_half_way_closes_its_connection() {
    giambio::run(|| {
        let (listener, _backlog) = full_listener();
        let addr = listener.local_addr().unwrap();
        let seen = Cell::new(0);
        let cut = giambio::cancellable(|pool| {
            pool.spawn(|| {
                settle();
                seen.set(half_open(addr));
                pool.cancel();
            });
            TcpStream::connect(addr)
        });
        assert!(cut.is_none());
        assert_eq!((seen.get(), half_open(addr)), (1, 0));
        cut_while_parked(|| TcpStream::connect(addr));
        assert_eq!(half_open(addr), 0);
    });
}

#[test]
fn a_shielded_connect_ends_in_its_own_time() {
    giambio::run(|| {
        let (listener, backlog) = full_listener();
        let addr = listener.local_addr().unwrap();
        let make_room = || {
            let listener = TcpListener::from(listener);
            listener.accept().unwrap();
            listener.accept().unwrap();
            drop(backlog);
        };
        let stream = not_cut_under_a_shield(|| TcpStream::connect(addr), make_room).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), addr);
    });
}

#[test]
fn a_reader_that_is_cut_in_the_middle_of_the_queue_leaves_the_others_their_places() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        giambio::pool(|pool| {
            let read = || {
                let mut byte = [0];
                (&ours).read(&mut byte).map(|_| byte[0])
            };
            let [first, second, third] = [(); 3].map(|()| pool.spawn(read));
            settle();
            second.cancel();
            assert!(second.join().unwrap_err().is_cancelled());
            theirs.write_all(b"ab").unwrap();
            assert_eq!(first.join().unwrap().unwrap(), b'a');
            assert_eq!(third.join().unwrap().unwrap(), b'b');
        });
    });
}

#[test]
fn a_reader_that_is_cut_after_it_was_woken_ends_its_call_first() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        for _ in 0..100 {
            theirs.write_all(b"x").unwrap();
            let got = giambio::pool(|pool| {
                let reader = pool.spawn(|| (&ours).read(&mut [0; 1]).unwrap());
                giambio::yield_now(); // it reads, or it parks
                reader.cancel();
                reader.join().map_or(0, |count| count)
            });
            if got == 0 {
                // It was cut: then the byte is still there.
                assert_eq!((&ours).read(&mut [0; 8]).unwrap(), 1);
            }
        }
    });
}

#[test]
fn of_bytes_and_a_cancellation_that_meet_neither_is_lost() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        let (mut sent, received) = (0, Cell::new(0));
        let mut cuts = 0;
        for round in 0..300 {
            let cut = giambio::cancellable(|pool| -> () {
                pool.spawn(|| {
                    loop {
                        received.set(received.get() + (&ours).read(&mut [0; 4]).unwrap());
                    }
                });
                giambio::yield_now();
                theirs.write_all(b"abc").unwrap();
                sent += 3;
                // The cancellation comes before the event is fetched, after that, or after the read.
                (0..round).for_each(|_| giambio::yield_now());
                pool.cancel();
                giambio::yield_now();
            });
            cuts += usize::from(cut.is_none());
        }
        assert_eq!(cuts, 300);
        drop(theirs);
        let left = (&ours).read_to_end(&mut Vec::new()).unwrap();
        assert_eq!(received.get() + left, sent);
    });
}

/// Whether a call was given up for a cancellation that could not be raised.
fn was_given_up<T>(result: io::Result<T>) -> bool {
    result.is_err_and(|error| {
        assert_eq!(error.kind(), io::ErrorKind::Other);
        error.get_ref().is_some_and(|inner| inner.is::<Cancelled>())
    })
}

#[test]
fn where_nothing_may_unwind_a_call_makes_one_attempt_and_reports() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let cut = giambio::cancellable(|pool| {
            pool.cancel();
            no_unwind(|| {
                assert!(was_given_up((&ours).read(&mut [0; 8])));
                assert!(was_given_up(listener.accept()));
                assert_eq!((&ours).write(b"ping").unwrap(), 4);
                // A connection over the loopback interface is never there at once.
                assert!(was_given_up(TcpStream::connect(addr)));
            });
            giambio::yield_now();
        });
        assert!(cut.is_none());
        let mut buf = [0; 8];
        assert_eq!(theirs.read(&mut buf).unwrap(), 4);
    });
}

#[test]
fn a_parked_call_reports_a_cancellation_where_nothing_may_unwind() {
    giambio::run(|| {
        let (ours, _theirs) = pair();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (full, _backlog) = full_listener();
        let addr = full.local_addr().unwrap();
        fill(&ours);
        giambio::pool(|pool| {
            let tasks = [
                pool.spawn(|| no_unwind(|| was_given_up((&ours).read(&mut [0; 8])))),
                pool.spawn(|| no_unwind(|| was_given_up((&ours).write(b"x")))),
                pool.spawn(|| no_unwind(|| was_given_up(listener.accept()))),
                pool.spawn(|| no_unwind(|| was_given_up(TcpStream::connect(addr)))),
            ];
            settle();
            pool.cancel();
            for task in tasks {
                assert!(task.join().unwrap());
            }
        });
    });
}

/// Reads and writes once in its destructor, and keeps what came of it.
struct LastWords<'a> {
    stream: &'a TcpStream,
    read: &'a RefCell<Vec<u8>>,
}

impl Drop for LastWords<'_> {
    fn drop(&mut self) {
        let mut buf = [0; 16];
        if let Ok(count) = self.stream.read(&mut buf) {
            self.read.borrow_mut().extend_from_slice(&buf[..count]);
        }
        assert!(was_given_up(self.stream.read(&mut buf)));
        self.stream.write_all(b"bye").unwrap();
    }
}

#[test]
fn a_destructor_that_runs_for_a_cancellation_reads_what_is_there_and_never_waits() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        let read = RefCell::new(Vec::new());
        let cut = giambio::cancellable(|pool| {
            // A short read, after which the next one would park without asking the kernel.
            theirs.write_all(b"12345").unwrap();
            assert_eq!((&ours).read(&mut [0; 16]).unwrap(), 5);
            cut_while_parked(|| (&ours).read(&mut [0; 16]));
            theirs.write_all(b"67890").unwrap();
            assert_eq!((&ours).read(&mut [0; 16]).unwrap(), 5);
            theirs.write_all(b"last").unwrap();
            let probe = ours.try_clone().unwrap();
            giambio::lowlevel::wait_readable(&probe).unwrap();
            pool.cancel();
            let _words = LastWords { stream: &ours, read: &read };
            giambio::yield_now();
        });
        assert!(cut.is_none());
        assert_eq!(*read.borrow(), b"last");
        let mut bye = [0; 3];
        theirs.read_exact(&mut bye).unwrap();
        assert_eq!(&bye, b"bye");
    });
}
