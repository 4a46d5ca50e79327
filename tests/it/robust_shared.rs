//! Sockets that several hold, in one runtime and in many: closed, shut down and replaced under those
//! who wait.

use crate::ms;
use crate::tcp::is_registered;
use crate::tcp::pair;
use crate::tcp::register;
use crate::threads::thread_id;
use crate::threads::until_asleep;
use giambio::net::Shutdown;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::testing::settle;
use socket2::SockRef;
use std::cell::Cell;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

#[test]
fn smoke() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        let clone = ours.try_clone().unwrap();
        drop(ours);
        theirs.write_all(b"abc").unwrap();
        assert_eq!((&clone).read(&mut [0; 8]).unwrap(), 3);
    });
}

#[test]
fn a_reader_of_one_clone_does_not_notice_that_another_is_closed() {
    // Whether the one that is closed was registered, and whether before the other.
    for registered in [None, Some("first"), Some("second")] {
        giambio::run(|| {
            let (closed, mut theirs) = pair();
            let read = closed.try_clone().unwrap();
            if registered == Some("first") {
                register(&closed);
            }
            giambio::pool(|pool| {
                let reader = pool.spawn(|| (&read).read(&mut [0; 8]).unwrap());
                settle();
                if registered == Some("second") {
                    register(&closed);
                }
                drop(closed);
                settle();
                assert!(!reader.is_finished());
                theirs.write_all(b"abc").unwrap();
                assert_eq!(reader.join().unwrap(), 3);
            });
        });
    }
}

/// Writes until that fails.
fn write_for_ever(mut stream: &TcpStream) -> ErrorKind {
    let block = vec![0; 1 << 16];
    loop {
        if let Err(error) = stream.write(&block) {
            return error.kind();
        }
    }
}

#[test]
fn a_writer_goes_on_when_only_the_reading_half_is_shut_down() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        let block = vec![7; 20_000_000];
        giambio::pool(|pool| {
            let writer = pool.spawn(|| {
                (&ours).write_all(&block).unwrap();
                ours.shutdown(Shutdown::Write).unwrap();
            });
            settle();
            ours.shutdown(Shutdown::Read).unwrap();
            settle();
            assert!(!writer.is_finished());
            assert_eq!((&ours).read(&mut [0]).unwrap(), 0);
            let mut read = Vec::new();
            theirs.read_to_end(&mut read).unwrap();
            assert_eq!(read.len(), block.len());
        });
    });
}

#[test]
fn a_reader_goes_on_when_only_the_writing_half_is_shut_down() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        giambio::pool(|pool| {
            let reader = pool.spawn(|| (&ours).read(&mut [0; 8]).unwrap());
            settle();
            ours.shutdown(Shutdown::Write).unwrap();
            settle();
            assert!(!reader.is_finished());
            theirs.write_all(b"abc").unwrap();
            assert_eq!(reader.join().unwrap(), 3);
        });
    });
}

#[test]
fn a_shutdown_of_both_halves_on_another_thread_wakes_a_reader_and_a_writer() {
    giambio::run(|| {
        let (ours, _theirs) = pair();
        let (clone, parked) = (ours.try_clone().unwrap(), thread_id());
        let closer = thread::spawn(move || {
            until_asleep(parked);
            clone.shutdown(Shutdown::Both).unwrap();
        });
        giambio::pool(|pool| {
            let writer = pool.spawn(|| write_for_ever(&ours));
            let reader = pool.spawn(|| (&ours).read(&mut [0]).unwrap());
            assert_eq!(
                (writer.join().unwrap(), reader.join().unwrap()),
                (ErrorKind::BrokenPipe, 0)
            );
        });
        closer.join().unwrap();
    });
}

/// Closes sockets with events pending and has their numbers used again at once, `rounds` times.
fn use_numbers_again(rounds: usize) {
    giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let connected = || {
            let client = TcpStream::connect(addr).unwrap();
            // Ended by a reset: it holds no port for a minute.
            SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
            (listener.accept().unwrap().0, client)
        };
        giambio::pool(|pool| {
            let (mut old, mut old_peer) = connected();
            for _ in 0..rounds {
                let reader = pool.spawn(move || {
                    assert_eq!(old.read(&mut [0; 1]).unwrap(), 1);
                    // Bytes are left, and more are on their way, when it is closed here.
                });
                giambio::yield_now();
                old_peer.write_all(b"xyz").unwrap();
                reader.join().unwrap();
                let _reset = old_peer.write_all(b"late");
                let (fresh, mut peer) = connected();
                let reader = pool.spawn(move || {
                    let mut buf = [0; 8];
                    assert_eq!((&fresh).read(&mut buf).unwrap(), 2);
                    assert_eq!(buf[..2], *b"ok");
                    fresh
                });
                giambio::yield_now();
                peer.write_all(b"ok").unwrap();
                (old, old_peer) = (reader.join().unwrap(), peer);
            }
        });
    });
}

#[test]
fn numbers_that_are_used_again_while_events_are_pending_mix_up_nothing() {
    thread::scope(|threads| {
        // They take the numbers away from one another, too.
        (0..4).for_each(|_| drop(threads.spawn(|| use_numbers_again(2500))));
    });
}

#[test]
fn two_runtimes_in_turns_and_a_drop_on_a_third_thread() {
    let (ours, mut theirs) = pair();
    let (fd, ours) = (ours.as_raw_fd(), Arc::new(ours));
    let (answer, answers) = mpsc::channel();
    let readers = [(); 2].map(|()| {
        let (ours, answer) = (Arc::clone(&ours), answer.clone());
        let (tell, told) = mpsc::channel::<()>();
        let reader = thread::spawn(move || {
            giambio::run(|| {
                answer.send((0, thread_id())).unwrap();
                // The only task of this worker may stop it.
                for () in &told {
                    let mut byte = [0];
                    (&*ours).read_exact(&mut byte).unwrap();
                    answer.send((byte[0], thread_id())).unwrap();
                }
                drop(ours);
                // The runtime lives until the socket has gone.
                answer.send((0, 0)).unwrap();
                let _ended = told.recv();
            });
        });
        let (_, id) = answers.recv().unwrap();
        (tell, id, reader)
    });
    for turn in 0..200 {
        let (tell, id, _) = &readers[turn % 2];
        tell.send(()).unwrap();
        until_asleep(*id);
        theirs.write_all(&[turn as u8]).unwrap();
        assert_eq!(answers.recv().unwrap(), (turn as u8, *id));
    }
    assert!(is_registered(fd));
    let threads = readers.map(|(tell, _, reader)| {
        drop(tell);
        reader
    });
    threads.iter().for_each(|_| assert_eq!(answers.recv().unwrap(), (0, 0)));
    thread::spawn(move || drop(ours)).join().unwrap();
    assert_eq!(theirs.read(&mut [0]).unwrap(), 0);
    threads.into_iter().for_each(|reader| reader.join().unwrap());
}

#[test]
fn what_a_runtime_leaves_unread_the_next_one_reads() {
    let (ours, mut theirs) = pair();
    giambio::run(|| {
        register(&ours);
        theirs.write_all(b"abcdef").unwrap();
        assert_eq!((&ours).read(&mut [0; 2]).unwrap(), 2);
        // The rest is there, and its event may be.
    });
    giambio::run(|| {
        let mut rest = [0; 8];
        assert_eq!((&ours).read(&mut rest).unwrap(), 4);
        assert_eq!(&rest[..4], b"cdef");
        register(&ours);
    });
}

#[test]
fn timeouts_that_are_changed_under_a_reader_and_a_writer_lose_nothing() {
    const BYTES: usize = 300_000;
    let (ours, theirs) = pair();
    let (done, ended) = mpsc::channel::<()>();
    thread::scope(|threads| {
        let (a, b) = (&ours, &theirs);
        threads.spawn(move || {
            // From another thread, while tasks wait with the last ones.
            for micros in (1..).step_by(37) {
                let timeout = (micros % 3 != 0).then(|| Duration::from_micros(micros % 700 + 1));
                a.set_write_timeout(timeout).unwrap();
                b.set_read_timeout(timeout).unwrap();
                if let Err(mpsc::TryRecvError::Disconnected) = ended.try_recv() {
                    return;
                }
            }
        });
        giambio::run(|| {
            let was_late = |error: &std::io::Error| error.kind() == ErrorKind::WouldBlock;
            giambio::pool(|pool| {
                pool.spawn(|| {
                    let (mut writer, mut sent) = (a, 0);
                    while sent < BYTES {
                        let block: Vec<_> =
                            (sent..BYTES.min(sent + 999)).map(|n| n as u8).collect();
                        match writer.write(&block) {
                            Ok(count) => sent += count,
                            Err(error) => assert!(was_late(&error), "{error}"),
                        }
                        giambio::sleep(Duration::from_micros(sent as u64 % 300));
                    }
                });
                let (mut reader, mut read, mut buf) = (b, 0, [0; 777]);
                while read < BYTES {
                    match reader.read(&mut buf) {
                        Ok(count) => {
                            assert!(buf[..count].iter().zip(read..).all(|(&b, n)| b == n as u8));
                            read += count;
                        }
                        Err(error) => assert!(was_late(&error), "{error}"),
                    }
                }
            });
        });
        drop(done);
    });
}

#[test]
fn deadlines_that_move_while_a_read_waits_lose_nothing() {
    const BYTES: usize = 300;
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        giambio::pool(|pool| {
            pool.spawn(move || {
                for byte in 0..BYTES {
                    giambio::sleep(Duration::from_micros(byte as u64 * 7 % 200));
                    theirs.write_all(&[byte as u8]).unwrap();
                }
            });
            let (read, mut cuts) = (Cell::new(0), 0);
            while read.get() < BYTES {
                let uncut = giambio::cancellable(|scope| {
                    scope.set_deadline(Some(giambio::clock() + ms(50)));
                    scope.spawn_daemon(|| {
                        for micros in [400, 20, 90] {
                            let at = giambio::clock() + Duration::from_micros(micros);
                            scope.set_deadline(Some(at));
                            giambio::sleep(Duration::from_micros(30));
                        }
                    });
                    let mut byte = [0];
                    assert_eq!((&ours).read(&mut byte).unwrap(), 1);
                    assert_eq!(byte[0], read.get() as u8);
                    read.set(read.get() + 1);
                });
                cuts += usize::from(uncut.is_none());
            }
            assert!(cuts > 0, "every byte came in time");
        });
    });
}
