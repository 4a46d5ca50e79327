//! Read and write timeouts, and that of `connect_timeout`, in real time. That errors are std's is in
//! `net_surface`.

use crate::elapsed;
use crate::ms;
use crate::tcp::pair;
use crate::tcp_faults::full_listener;
use giambio::TooSlow;
use giambio::clock;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::net::UdpSocket;
use giambio::pool;
use giambio::skip_after;
use giambio::sleep;
use giambio::testing::settle;
use giambio::with_timeout;
use giambio::yield_now;
use socket2::SockRef;
use std::cell::Cell;
use std::io;
use std::io::ErrorKind;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::io::Read;
use std::io::Write;
use std::mem::MaybeUninit;
use std::net;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

/// More than any machine takes for what does not wait.
const LONG: Duration = Duration::from_secs(30);

#[track_caller]
fn assert_too_slow<T: std::fmt::Debug>(result: io::Result<T>) {
    assert_eq!(result.unwrap_err().kind(), ErrorKind::WouldBlock);
}

/// Fails unless `call` is given up for its timeout, and takes as long as that.
#[track_caller]
fn takes<T: std::fmt::Debug>(timeout: Duration, call: impl FnOnce() -> io::Result<T>) {
    let took = elapsed(|| assert_too_slow(call()));
    assert!((timeout..timeout + LONG).contains(&took), "{took:?} instead of {timeout:?}");
}

/// Writes until there is no room, which a timeout tells.
fn fill(mut stream: &TcpStream) {
    stream.set_write_timeout(Some(ms(50))).unwrap();
    let block = vec![0; 1 << 18];
    while stream.write(&block).is_ok() {}
    stream.set_write_timeout(None).unwrap();
}

#[test]
fn smoke() {
    giambio::run(|| {
        let (mut ours, _theirs) = pair();
        ours.set_read_timeout(Some(ms(20))).unwrap();
        takes(ms(20), || ours.read(&mut [0]));
    });
}

#[test]
fn every_call_that_reads_heeds_the_read_timeout() {
    giambio::run(|| {
        let (ours, _theirs) = pair();
        ours.set_read_timeout(Some(ms(20))).unwrap();
        let mut buf = [0];
        takes(ms(20), || (&ours).read(&mut [0]));
        takes(ms(20), || (&ours).read_vectored(&mut [IoSliceMut::new(&mut buf)]));
        takes(ms(20), || ours.peek(&mut [0]));
        takes(ms(20), || ours.readable());
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.set_read_timeout(Some(ms(20))).unwrap();
        takes(ms(20), || udp.recv(&mut [0]));
        takes(ms(20), || udp.recv_from(&mut [0]));
        takes(ms(20), || udp.peek(&mut [0]));
        takes(ms(20), || udp.peek_from(&mut [0]));
        takes(ms(20), || udp.readable());
    });
}

#[test]
fn every_call_that_writes_heeds_the_write_timeout() {
    giambio::run(|| {
        let (ours, _theirs) = pair();
        fill(&ours);
        ours.set_write_timeout(Some(ms(20))).unwrap();
        let block = vec![0; 1 << 18];
        takes(ms(20), || (&ours).write(&block));
        takes(ms(20), || (&ours).write_vectored(&[IoSlice::new(&block)]));
        takes(ms(20), || ours.writable());
    });
}

#[test]
fn one_direction_does_not_heed_the_others_timeout() {
    giambio::run(|| {
        let (mut ours, _theirs) = pair();
        ours.set_write_timeout(Some(ms(1))).unwrap();
        assert!(skip_after(ms(60), |_| ours.read(&mut [0])).is_none());
        fill(&ours);
        ours.set_read_timeout(Some(ms(1))).unwrap();
        assert!(skip_after(ms(60), |_| ours.write(&[0; 1 << 18])).is_none());
    });
}

#[test]
fn what_is_there_needs_no_time() {
    giambio::run(|| {
        let (mut ours, mut theirs) = pair();
        theirs.write_all(b"ab").unwrap();
        ours.readable().unwrap();
        ours.set_read_timeout(Some(Duration::from_nanos(1))).unwrap();
        assert_eq!(ours.read(&mut [0]).unwrap(), 1);
        assert_eq!(ours.read(&mut [0]).unwrap(), 1);
        assert_too_slow(ours.read(&mut [0]));
    });
}

#[test]
fn what_comes_in_time_is_read() {
    giambio::run(|| {
        let (mut ours, mut theirs) = pair();
        ours.set_read_timeout(Some(LONG)).unwrap();
        pool(|pool| {
            pool.spawn(|| {
                sleep(ms(20));
                theirs.write_all(b"x").unwrap();
            });
            assert_eq!(ours.read(&mut [0; 8]).unwrap(), 1);
        });
    });
}

#[test]
fn what_comes_after_a_timeout_is_there_for_the_next_read() {
    giambio::run(|| {
        let (mut ours, mut theirs) = pair();
        ours.set_read_timeout(Some(ms(10))).unwrap();
        for _ in 0..3 {
            assert_too_slow(ours.read(&mut [0; 8]));
            theirs.write_all(b"abc").unwrap();
            ours.set_read_timeout(Some(LONG)).unwrap();
            assert_eq!(ours.read(&mut [0; 8]).unwrap(), 3);
            ours.set_read_timeout(Some(ms(10))).unwrap();
        }
    });
}

#[test]
fn each_call_has_the_whole_timeout() {
    giambio::run(|| {
        let (mut ours, mut theirs) = pair();
        ours.set_read_timeout(Some(ms(1500))).unwrap();
        pool(|pool| {
            pool.spawn(|| {
                for _ in 0..4 {
                    sleep(ms(500));
                    theirs.write_all(b"x").unwrap();
                }
            });
            let took = elapsed(|| ours.read_exact(&mut [0; 4]).unwrap());
            assert!(took >= ms(2000), "{took:?}");
        });
    });
}

#[test]
fn who_is_woken_in_vain_does_not_start_anew() {
    giambio::run(|| {
        let (ours, theirs) = pair();
        ours.set_read_timeout(Some(ms(300))).unwrap();
        pool(|pool| {
            let reader = pool.spawn(|| takes(ms(300), || (&ours).read(&mut [0])));
            let start = clock();
            while !reader.is_finished() && clock() - start < LONG {
                // An urgent byte wakes the reader, and lies beside the stream.
                SockRef::from(&theirs).send_out_of_band(b"!").unwrap();
                sleep(ms(20));
                let _ = SockRef::from(&ours).recv_out_of_band(&mut [MaybeUninit::uninit()]);
            }
            assert!(clock() - start < LONG);
        });
    });
}

#[test]
fn who_was_waiting_before_goes_on_and_who_comes_later_does_not() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        pool(|pool| {
            let before = pool.spawn(|| (&ours).read(&mut [0]));
            settle();
            ours.set_read_timeout(Some(ms(20))).unwrap();
            let later = pool.spawn(|| takes(ms(20), || (&ours).read(&mut [0])));
            later.join().unwrap();
            assert!(!before.is_finished());
            theirs.write_all(b"x").unwrap();
            assert_eq!(before.join().unwrap().unwrap(), 1);
        });
    });
}

#[test]
fn who_waits_with_a_timeout_keeps_it_when_it_is_lifted() {
    giambio::run(|| {
        let (ours, _theirs) = pair();
        ours.set_read_timeout(Some(ms(50))).unwrap();
        pool(|pool| {
            let waiting = pool.spawn(|| takes(ms(50), || (&ours).read(&mut [0])));
            settle();
            ours.set_read_timeout(None).unwrap();
            waiting.join().unwrap();
            assert!(skip_after(ms(100), |_| (&ours).read(&mut [0])).is_none());
        });
    });
}

#[test]
fn one_that_is_too_slow_leaves_its_place_to_the_next() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        pool(|pool| {
            ours.set_read_timeout(Some(ms(20))).unwrap();
            let first = pool.spawn(|| (&ours).read(&mut [0]));
            settle();
            ours.set_read_timeout(None).unwrap();
            let second = pool.spawn(|| (&ours).read(&mut [0]));
            assert_too_slow(first.join().unwrap());
            theirs.write_all(b"x").unwrap();
            assert_eq!(second.join().unwrap().unwrap(), 1);
        });
    });
}

#[test]
fn a_shorter_scope_cuts_and_a_longer_one_does_not() {
    giambio::run(|| {
        let (mut ours, _theirs) = pair();
        ours.set_read_timeout(Some(LONG)).unwrap();
        let cut = with_timeout(ms(20), |_| ours.read(&mut [0]).map_err(|error| error.kind()));
        assert_eq!(cut, Err(TooSlow));
        ours.set_read_timeout(Some(ms(20))).unwrap();
        let failed = with_timeout(LONG, |_| ours.read(&mut [0]).map_err(|error| error.kind()));
        assert_eq!(failed, Ok(Err(ErrorKind::WouldBlock)));
    });
}

#[test]
fn clones_share_their_timeouts_whichever_they_are_set_on() {
    giambio::run(|| {
        let (ours, _theirs) = pair();
        ours.set_read_timeout(Some(ms(10))).unwrap();
        let clone = ours.try_clone().unwrap();
        takes(ms(10), || (&clone).read(&mut [0]));
        let third = clone.try_clone().unwrap();
        drop(clone);
        third.set_read_timeout(Some(ms(30))).unwrap();
        takes(ms(30), || (&ours).read(&mut [0]));
        ours.set_read_timeout(None).unwrap();
        assert!(skip_after(ms(60), |_| (&third).read(&mut [0])).is_none());
    });
}

#[test]
fn clones_of_several_workers_share_their_timeouts() {
    let (ours, theirs) = giambio::run(pair);
    let clone = ours.try_clone().unwrap();
    ours.set_read_timeout(Some(ms(20))).unwrap();
    thread::scope(|threads| {
        threads.spawn(|| giambio::run(|| takes(ms(20), || (&clone).read(&mut [0]))));
        threads.spawn(|| giambio::run(|| takes(ms(20), || (&ours).read(&mut [0]))));
        threads.spawn(|| takes(ms(20), || (&ours).read(&mut [0])));
    });
    drop(theirs);
}

#[test]
fn a_timeout_that_is_refused_leaves_the_one_before() {
    giambio::run(|| {
        let (mut ours, _theirs) = pair();
        ours.set_read_timeout(Some(ms(20))).unwrap();
        let error = ours.set_read_timeout(Some(Duration::ZERO)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        takes(ms(20), || ours.read(&mut [0]));
    });
}

#[test]
fn timeouts_go_with_the_socket_to_std_and_back() {
    giambio::run(|| {
        let (ours, _theirs) = pair();
        ours.set_read_timeout(Some(ms(40))).unwrap();
        let mut stds = net::TcpStream::from(ours);
        takes(ms(40), || stds.read(&mut [0]));
        let ours = TcpStream::from(stds);
        takes(ms(40), || (&ours).read(&mut [0]));
        let ours = TcpStream::from(OwnedFd::from(ours));
        takes(ms(40), || (&ours).read(&mut [0]));
        assert_eq!(ours.write_timeout().unwrap(), None);
    });
}

#[test]
fn a_timeout_past_the_clocks_range_is_none() {
    giambio::run(|| {
        let (mut ours, mut theirs) = pair();
        ours.set_read_timeout(Some(Duration::MAX)).unwrap();
        pool(|pool| {
            pool.spawn(|| {
                sleep(ms(10));
                theirs.write_all(b"x").unwrap();
            });
            assert_eq!(ours.read(&mut [0]).unwrap(), 1);
        });
    });
}

/// After Go's `TestAcceptTimeoutMustNotReturn`: one that was lifted ends nothing.
#[test]
fn a_timeout_that_was_lifted_ends_no_later_call() {
    giambio::run(|| {
        let (ours, _theirs) = pair();
        ours.set_read_timeout(Some(ms(1))).unwrap();
        takes(ms(1), || (&ours).read(&mut [0]));
        ours.set_read_timeout(None).unwrap();
        assert!(skip_after(ms(100), |_| (&ours).read(&mut [0])).is_none());
    });
}

/// After Go's `TestReadWriteDeadlineRace` and `TestConcurrentSetDeadline`.
#[test]
fn timeouts_may_change_all_the_time() {
    giambio::run(|| {
        let (ours, theirs) = pair();
        let clone = ours.try_clone().unwrap();
        let (done, too_slow) = (Cell::new(false), Cell::new(0));
        pool(|pool| {
            for stream in [&ours, &clone] {
                let done = &done;
                pool.spawn(move || {
                    for round in 1.. {
                        let timeout = Duration::from_micros(round % 7 * 50);
                        let timeout = Some(timeout).filter(|timeout| !timeout.is_zero());
                        stream.set_read_timeout(timeout).unwrap();
                        stream.set_write_timeout(timeout).unwrap();
                        yield_now();
                        if done.get() {
                            return;
                        }
                    }
                });
            }
            let reader = pool.spawn(|| {
                let mut read = 0;
                while read < 20_000 {
                    match (&ours).read(&mut [0; 100]) {
                        Ok(count) => read += count,
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::WouldBlock);
                            too_slow.set(too_slow.get() + 1);
                        }
                    }
                }
                read
            });
            for _ in 0..2000 {
                (&theirs).write_all(&[0; 10]).unwrap();
                yield_now();
            }
            assert_eq!(reader.join().unwrap(), 20_000);
            done.set(true);
        });
    });
}

#[test]
fn timeouts_hold_on_a_thread_that_runs_no_tasks() {
    let (ours, mut theirs) = pair();
    ours.set_read_timeout(Some(ms(20))).unwrap();
    takes(ms(20), || (&ours).read(&mut [0]));
    takes(ms(20), || ours.readable());
    theirs.write_all(b"x").unwrap();
    ours.set_read_timeout(Some(LONG)).unwrap();
    assert_eq!((&ours).read(&mut [0; 8]).unwrap(), 1);
}

#[test]
fn a_connection_that_nobody_answers_is_too_slow() {
    giambio::run(|| {
        let (full, _fill) = full_listener();
        let addr = full.local_addr().unwrap();
        let start = clock();
        let error = TcpStream::connect_timeout(&addr, ms(50)).unwrap_err();
        let took = clock() - start;
        assert_eq!(
            (error.kind(), &*error.to_string()),
            (ErrorKind::TimedOut, "connection timed out")
        );
        assert!((ms(50)..LONG).contains(&took), "{took:?}");
        let cut = with_timeout(ms(20), |_| TcpStream::connect_timeout(&addr, LONG).map(drop));
        assert!(matches!(cut, Err(TooSlow)));
    });
}

#[test]
fn a_connection_that_is_answered_in_time_stands() {
    giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let mut stream = TcpStream::connect_timeout(&addr, LONG).unwrap();
        listener.accept().unwrap().0.write_all(b"x").unwrap();
        assert_eq!(stream.read_to_end(&mut Vec::new()).unwrap(), 1);
        // It was the connecting that had a timeout.
        assert_eq!(stream.read_timeout().unwrap(), None);
    });
}

#[test]
fn connecting_has_the_time_that_it_was_given_outside_of_run_too() {
    let (full, _fill) = full_listener();
    let addr = full.local_addr().unwrap();
    let error = TcpStream::connect_timeout(&addr, ms(20)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let error = TcpStream::connect_timeout(&addr, Duration::ZERO).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
