//! Unix streams and listeners.

use crate::ms;
use crate::secs;
use crate::tcp::is_blocking;
use crate::tcp::is_registered;
use crate::unix_surface::Directory;
use giambio::net::Shutdown;
use giambio::os::linux::net::SocketAddrExt;
use giambio::os::unix::net::SocketAddr;
use giambio::os::unix::net::UnixListener;
use giambio::os::unix::net::UnixStream;
use giambio::testing::settle;
use socket2::Domain;
use socket2::MsgHdr;
use socket2::SockRef;
use socket2::Socket;
use std::cell::Cell;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::ErrorKind;
use std::io::IoSlice;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::os::unix::net;
use std::process::Command;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;

/// A Unix socket that nobody has bound or connected.
pub(crate) fn socket(kind: socket2::Type) -> Socket {
    Socket::new(Domain::UNIX, kind, None).unwrap()
}

/// An abstract name that nobody else has.
pub(crate) fn address() -> SocketAddr {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    SocketAddr::from_abstract_name(format!("giambio-{}-{count}", std::process::id())).unwrap()
}

pub(crate) fn pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().unwrap()
}

/// Writes until there is no room any more; how much that was.
pub(crate) fn fill(stream: &UnixStream) -> usize {
    let mut written = 0;
    while let Ok(count) = SockRef::from(stream).send(&[0; 1 << 12]) {
        written += count;
    }
    written
}

/// Has `stream`, which has nothing to be read, registered with the running task's worker.
fn register(mut stream: &UnixStream) {
    assert!(giambio::skip_after(ms(1), |_| stream.read(&mut [0])).is_none());
    assert!(is_registered(stream.as_raw_fd()));
}

/// Fails if `f` is not done soon: a lost wake-up must not hang the tests.
#[track_caller]
pub(crate) fn soon<T>(f: impl FnOnce() -> T) -> T {
    giambio::with_timeout(secs(60), |_| f()).expect("nobody has woken it")
}

#[test]
fn smoke() {
    let echoed = giambio::run(|| {
        let address = address();
        let listener = UnixListener::bind_addr(&address).unwrap();
        giambio::pool(|pool| {
            pool.spawn(|| {
                let (mut stream, from) = listener.accept().unwrap();
                assert!(from.is_unnamed());
                let mut request = String::new();
                stream.read_to_string(&mut request).unwrap();
                stream.write_all(request.to_uppercase().as_bytes()).unwrap();
            });
            let mut stream = UnixStream::connect_addr(&address).unwrap();
            stream.write_all(b"hello").unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut reply = String::new();
            stream.read_to_string(&mut reply).unwrap();
            reply
        })
    });
    assert_eq!(echoed, "HELLO");
}

#[test]
fn a_stream_is_a_source_for_std_s_readers() {
    giambio::run(|| {
        let (ours, theirs) = pair();
        giambio::pool(|pool| {
            pool.spawn(move || {
                for line in ["one", "two", ""] {
                    writeln!(&theirs, "{line}").unwrap();
                    settle();
                }
            });
            let lines: Vec<_> = BufReader::new(&ours).lines().map(Result::unwrap).collect();
            assert_eq!(lines, ["one", "two", ""]);
        });
    });
}

#[test]
fn a_read_parks_until_there_is_something_to_be_read() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        giambio::pool(|pool| {
            let reader = pool.spawn(|| (&ours).read(&mut [0; 8]).unwrap());
            settle();
            assert!(!reader.is_finished());
            theirs.write_all(b"abc").unwrap();
            assert_eq!(reader.join().unwrap(), 3);
        });
    });
}

#[test]
fn sockets_are_in_non_blocking_mode_and_close_on_exec_wherever_they_come_from() {
    giambio::run(|| {
        let address = address();
        let listener = UnixListener::bind_addr(&address).unwrap();
        let connected = UnixStream::connect_addr(&address).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let (one, other) = pair();
        let clone = one.try_clone().unwrap();
        let streams = [&connected, &accepted, &one, &other, &clone].map(AsFd::as_fd);
        for fd in streams.into_iter().chain([listener.as_fd()]) {
            assert!(!is_blocking(fd));
            // SAFETY: F_GETFD takes no pointer, and the descriptor is borrowed.
            let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) };
            assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
        }
    });
}

#[test]
fn one_half_may_be_shut_while_the_other_goes_on() {
    giambio::run(|| {
        let (mut ours, mut theirs) = pair();
        ours.shutdown(Shutdown::Write).unwrap();
        assert_eq!(theirs.read(&mut [0]).unwrap(), 0);
        giambio::pool(|pool| {
            pool.spawn(|| theirs.write_all(b"goes on").unwrap());
            let mut buf = [0; 7];
            ours.read_exact(&mut buf).unwrap();
            assert_eq!(&buf, b"goes on");
        });
    });
}

/// What the byte at `at` of the stream from `side` is.
fn byte_at(side: u8, at: usize) -> u8 {
    (at.wrapping_mul(31) >> 3) as u8 ^ side
}

/// Sends and receives that much at once, and looks at every byte.
fn send_both_ways(stream: &UnixStream, side: u8, total: usize) {
    giambio::pool(|pool| {
        pool.spawn(move || {
            let bytes: Vec<_> = (0..total).map(|at| byte_at(side, at)).collect();
            let mut stream = stream;
            stream.write_all(&bytes).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
        });
        let (mut read, mut buf, mut stream) = (0, vec![0; 100_003], stream);
        loop {
            let count = stream.read(&mut buf).unwrap();
            if count == 0 {
                break;
            }
            let expected = (read..).map(|at| byte_at(side ^ 1, at));
            assert!(buf[..count].iter().copied().eq(expected.take(count)), "behind {read}");
            read += count;
        }
        assert_eq!(read, total);
    });
}

#[test]
fn ten_mebibytes_go_both_ways_at_once() {
    giambio::run(|| {
        let (ours, theirs) = pair();
        giambio::pool(|pool| {
            pool.spawn(|| send_both_ways(&theirs, 1, 10 << 20));
            send_both_ways(&ours, 0, 10 << 20);
        });
    });
}

#[test]
fn readers_and_writers_that_wait_learn_that_the_other_end_is_closed() {
    giambio::run(|| {
        let (ours, theirs) = pair();
        fill(&ours);
        giambio::pool(|pool| {
            let reader = pool.spawn(|| (&ours).read(&mut [0; 8]));
            let writer = pool.spawn(|| (&ours).write(b"x"));
            settle();
            drop(theirs); // with unread bytes: a reset
            let read = reader.join().unwrap();
            assert!(
                matches!(&read, Err(error) if error.kind() == ErrorKind::ConnectionReset),
                "{read:?}"
            );
            let written = writer.join().unwrap().unwrap_err().kind();
            assert!([ErrorKind::BrokenPipe, ErrorKind::ConnectionReset].contains(&written));
        });
        assert_eq!((&ours).read(&mut [0; 8]).unwrap(), 0);
        assert_eq!((&ours).write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        let slices = [IoSlice::new(b"x")];
        assert_eq!((&ours).write_vectored(&slices).unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_shutdown_wakes_the_readers_and_writers_of_its_own_side() {
    giambio::run(|| {
        for (how, ends) in [(Shutdown::Read, 0), (Shutdown::Write, 1), (Shutdown::Both, 2)] {
            let (ours, _theirs) = pair();
            fill(&ours);
            giambio::pool(|pool| {
                let readers = [(); 2].map(|()| pool.spawn(|| (&ours).read(&mut [0; 8])));
                let writers = [(); 2].map(|()| pool.spawn(|| (&ours).write(b"x")));
                settle();
                ours.shutdown(how).unwrap();
                if ends != 1 {
                    for reader in readers {
                        assert_eq!(soon(|| reader.join()).unwrap().unwrap(), 0);
                    }
                }
                if ends != 0 {
                    for writer in writers {
                        let error = soon(|| writer.join()).unwrap().unwrap_err();
                        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
                    }
                }
                pool.cancel();
            });
        }
    });
}

#[test]
fn a_shutdown_wakes_the_writers_on_other_workers() {
    let (ours, _theirs) = pair();
    fill(&ours);
    let parked = AtomicUsize::new(0);
    thread::scope(|threads| {
        // Two, of which one is the first to register.
        let writers = [(); 2].map(|()| {
            threads.spawn(|| {
                giambio::run(|| {
                    giambio::pool(|pool| {
                        let writer = pool.spawn(|| (&ours).write(b"x").unwrap_err().kind());
                        settle();
                        parked.fetch_add(1, Ordering::SeqCst);
                        soon(|| writer.join()).unwrap()
                    })
                })
            })
        });
        while parked.load(Ordering::SeqCst) < 2 {
            thread::yield_now();
        }
        ours.shutdown(Shutdown::Write).unwrap();
        for writer in writers {
            assert_eq!(writer.join().unwrap(), ErrorKind::BrokenPipe);
        }
    });
}

#[test]
fn a_shutdown_reaches_those_who_are_about_to_wait() {
    for _ in 0..300 {
        let (ours, _theirs) = pair();
        fill(&ours);
        thread::scope(|threads| {
            let writers = [(); 2].map(|()| {
                threads.spawn(|| giambio::run(|| soon(|| (&ours).write(b"x").unwrap_err().kind())))
            });
            thread::yield_now();
            ours.shutdown(Shutdown::Write).unwrap();
            for writer in writers {
                assert_eq!(writer.join().unwrap(), ErrorKind::BrokenPipe);
            }
        });
    }
}

/// Sends a byte, and a descriptor with it.
fn send_with_descriptor(stream: &UnixStream, byte: u8, fd: impl AsFd) {
    #[repr(C, align(8))]
    struct Control([u8; 64]);
    let mut control = Control([0; 64]);
    let header = libc::cmsghdr {
        // SAFETY: it only computes.
        cmsg_len: unsafe { libc::CMSG_LEN(4) } as _,
        cmsg_level: libc::SOL_SOCKET,
        cmsg_type: libc::SCM_RIGHTS,
    };
    // SAFETY: as above.
    let begin = unsafe { libc::CMSG_LEN(0) } as usize;
    // SAFETY: as above.
    let space = unsafe { libc::CMSG_SPACE(4) } as usize;
    // SAFETY: the array is aligned for a header and long enough for one.
    unsafe { control.0.as_mut_ptr().cast::<libc::cmsghdr>().write(header) };
    let number = fd.as_fd().as_raw_fd().to_ne_bytes();
    control.0[begin..][..4].copy_from_slice(&number);
    let bytes = [byte];
    let slices = [IoSlice::new(&bytes)];
    let message = MsgHdr::new().with_buffers(&slices).with_control(&control.0[..space]);
    assert_eq!(SockRef::from(stream).sendmsg(&message, 0).unwrap(), 1);
}

#[test]
fn a_read_that_ends_behind_a_descriptor_has_not_emptied_the_stream() {
    giambio::run(|| {
        let (mut ours, mut theirs) = pair();
        register(&ours);
        let mut buf = [0; 8];
        theirs.write_all(b"a").unwrap();
        send_with_descriptor(&theirs, b'b', &theirs);
        theirs.write_all(b"cd").unwrap();
        assert_eq!(ours.read(&mut buf).unwrap(), 2); // shorter than its room
        assert_eq!(soon(|| ours.read(&mut buf)).unwrap(), 2);
        send_with_descriptor(&theirs, b'e', &theirs);
        send_with_descriptor(&theirs, b'f', &theirs);
        for _ in 0..2 {
            let mut slices = [io::IoSliceMut::new(&mut buf)];
            assert_eq!(soon(|| ours.read_vectored(&mut slices)).unwrap(), 1);
        }
        // The descriptors were dropped on the way: this was the last one of theirs.
        drop(theirs);
        assert_eq!(soon(|| ours.read(&mut buf)).unwrap(), 0);
    });
}

#[test]
fn a_read_that_ends_where_the_sender_changes_has_not_emptied_the_stream() {
    giambio::run(|| {
        let (mut ours, mut theirs) = pair();
        SockRef::from(&ours).set_passcred(true).unwrap();
        register(&ours);
        let output = theirs.as_fd().try_clone_to_owned().unwrap();
        let status = Command::new("printf").arg("child").stdout(output).status().unwrap();
        assert!(status.success());
        theirs.write_all(b"parent").unwrap();
        let mut buf = [0; 16];
        assert_eq!(ours.read(&mut buf).unwrap(), 5);
        assert_eq!(soon(|| ours.read(&mut buf)).unwrap(), 6);
    });
}

#[test]
fn a_read_that_ends_at_an_urgent_byte_has_not_emptied_the_stream() {
    giambio::run(|| {
        let (mut ours, mut theirs) = pair();
        register(&ours);
        let mut buf = [0; 8];
        for _ in 0..3 {
            theirs.write_all(b"ab").unwrap();
            match SockRef::from(&theirs).send_out_of_band(b"!") {
                // A kernel without them.
                Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => return,
                sent => assert_eq!(sent.unwrap(), 1),
            }
            theirs.write_all(b"cde").unwrap();
            assert_eq!(soon(|| ours.read(&mut buf)).unwrap(), 2);
            assert_eq!(soon(|| ours.read(&mut buf)).unwrap(), 3);
        }
    });
}

#[test]
fn a_read_with_a_timeout_gives_up_and_takes_nothing() {
    giambio::run(|| {
        let (mut ours, mut theirs) = pair();
        ours.set_read_timeout(Some(ms(20))).unwrap();
        let start = giambio::clock();
        assert_eq!(ours.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(giambio::clock() - start >= ms(20));
        theirs.write_all(b"abc").unwrap();
        assert_eq!(ours.read(&mut [0; 8]).unwrap(), 3);
        ours.set_write_timeout(Some(ms(20))).unwrap();
        fill(&ours);
        let start = giambio::clock();
        assert_eq!(ours.write(b"x").unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(giambio::clock() - start >= ms(20));
    });
}

#[test]
fn a_clone_reads_the_same_stream_and_keeps_it_open() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        let mut clone = ours.try_clone().unwrap();
        giambio::pool(|pool| {
            let readers =
                [&ours, &clone].map(|mut stream| pool.spawn(move || stream.read(&mut [0])));
            settle();
            theirs.write_all(b"ab").unwrap();
            for reader in readers {
                assert_eq!(soon(|| reader.join()).unwrap().unwrap(), 1);
            }
        });
        drop(ours);
        theirs.write_all(b"c").unwrap();
        assert_eq!(clone.read(&mut [0; 8]).unwrap(), 1);
        drop(clone);
        assert_eq!(theirs.write(b"d").unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_stream_serves_the_tasks_of_two_workers() {
    let (ours, mut theirs) = pair();
    thread::scope(|threads| {
        let readers = [(); 2].map(|()| {
            threads.spawn(|| giambio::run(|| soon(|| (&ours).read_exact(&mut [0; 1000]))))
        });
        giambio::run(|| {
            for _ in 0..2000 {
                theirs.write_all(b"x").unwrap();
                giambio::yield_now();
            }
        });
        for reader in readers {
            reader.join().unwrap().unwrap();
        }
    });
}

#[test]
fn readable_and_writable_wait_and_take_nothing() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        giambio::pool(|pool| {
            let waiter = pool.spawn(|| ours.readable());
            settle();
            assert!(!waiter.is_finished());
            theirs.write_all(b"abc").unwrap();
            soon(|| waiter.join()).unwrap().unwrap();
            assert_eq!((&ours).read(&mut [0; 8]).unwrap(), 3);
            ours.writable().unwrap();
            let filled = fill(&ours);
            let waiter = pool.spawn(|| ours.writable());
            settle();
            assert!(!waiter.is_finished());
            theirs.read_exact(&mut vec![0; filled]).unwrap();
            soon(|| waiter.join()).unwrap().unwrap();
        });
        let address = address();
        let listener = UnixListener::bind_addr(&address).unwrap();
        giambio::pool(|pool| {
            let waiter = pool.spawn(|| listener.readable());
            settle();
            assert!(!waiter.is_finished());
            let _client = UnixStream::connect_addr(&address).unwrap();
            soon(|| waiter.join()).unwrap().unwrap();
            listener.accept().unwrap();
        });
    });
}

#[test]
fn a_listener_that_is_dropped_leaves_its_path() {
    giambio::run(|| {
        let directory = Directory::new();
        let path = directory.join("socket");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let refused = UnixStream::connect(&path).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        std::fs::remove_file(&path).unwrap();
        UnixListener::bind(&path).unwrap();
    });
}

#[test]
fn acceptors_are_served_in_the_order_in_which_they_came() {
    giambio::run(|| {
        let address = address();
        let listener = UnixListener::bind_addr(&address).unwrap();
        let turn = Cell::new(0);
        giambio::pool(|pool| {
            let acceptors = [(); 3].map(|()| {
                pool.spawn(|| {
                    listener.accept().unwrap();
                    turn.replace(turn.get() + 1)
                })
            });
            settle();
            let _clients = [(); 3].map(|()| UnixStream::connect_addr(&address).unwrap());
            let turns = acceptors.map(|acceptor| soon(|| acceptor.join()).unwrap());
            assert_eq!(turns, [0, 1, 2]);
        });
    });
}

#[test]
fn what_goes_back_to_std_blocks_and_is_registered_nowhere() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        register(&ours);
        let fd = ours.as_raw_fd();
        let mut ours = net::UnixStream::from(ours);
        assert!(ours.as_raw_fd() == fd && is_blocking(&ours) && !is_registered(fd));
        theirs.write_all(b"std").unwrap();
        ours.read_exact(&mut [0; 3]).unwrap();
        let ours = UnixStream::from(ours);
        assert!(!is_blocking(&ours));
        register(&ours);
        assert!(is_blocking(OwnedFd::from(ours)) && !is_registered(fd));
    });
}
