//! `readable` and `writable`: waits without a buffer.

use crate::Log;
use crate::ms;
use crate::tcp::is_registered;
use crate::tcp::pair;
use crate::unwind::assert_given_up;
use crate::unwind::both;
use crate::unwind::in_destructor;
use giambio::cancellable;
use giambio::net::Shutdown;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::net::UdpSocket;
use giambio::pool;
use giambio::skip_after;
use giambio::task::no_unwind;
use giambio::testing::assert_checkpoint;
use giambio::testing::assert_no_switch;
use giambio::testing::settle;
use socket2::SockRef;
use std::io;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::thread;
use std::time::Duration;

/// Has `wait` park, lets `end` happen, and returns when the wait has ended.
#[track_caller]
fn parks_until(wait: impl Fn() -> io::Result<()>, end: impl FnOnce()) {
    pool(|pool| {
        let waiter = pool.spawn(&wait);
        settle();
        assert!(!waiter.is_finished(), "it did not wait");
        end();
        waiter.join().unwrap().unwrap();
    });
}

/// It returns at once, without a switch.
#[track_caller]
fn is_ready(wait: impl Fn() -> io::Result<()>) {
    assert_no_switch(wait).unwrap();
}

/// Whether it parks, now.
fn waits(wait: impl Fn() -> io::Result<()>) -> bool {
    cancellable(|pool| {
        pool.spawn(|| {
            settle();
            pool.cancel();
        });
        wait().unwrap();
    })
    .is_none()
}

#[test]
fn smoke() {
    giambio::run(|| {
        let (mut ours, mut theirs) = pair();
        parks_until(|| ours.readable(), || theirs.write_all(b"abc").unwrap());
        assert_eq!(assert_no_switch(|| ours.read(&mut [0; 8])).unwrap(), 3);
    });
}

#[test]
fn it_takes_nothing() {
    giambio::run(|| {
        let (mut ours, mut theirs) = pair();
        theirs.write_all(b"abc").unwrap();
        for _ in 0..3 {
            ours.readable().unwrap();
        }
        assert_eq!(ours.read(&mut [0; 8]).unwrap(), 3);
    });
}

#[test]
fn what_is_ready_is_not_registered() {
    giambio::run(|| {
        let (mut connecting_has_registered_it, ours) = pair();
        connecting_has_registered_it.write_all(b"abc").unwrap();
        while SockRef::from(&ours).peek(&mut [MaybeUninit::uninit()]).is_err() {}
        is_ready(|| ours.readable());
        is_ready(|| ours.writable());
        assert!(!is_registered(ours.as_raw_fd()));
    });
}

#[test]
fn a_checkpoint_on_every_call() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        theirs.write_all(b"abc").unwrap();
        assert_checkpoint(|| ours.readable()).unwrap();
        assert_checkpoint(|| ours.writable()).unwrap();
    });
}

#[test]
fn bytes_an_end_and_a_reset_make_it_readable() {
    giambio::run(|| {
        let (mut ours, mut theirs) = pair();
        parks_until(|| ours.readable(), || theirs.write_all(b"abc").unwrap());
        assert_eq!(ours.read(&mut [0; 8]).unwrap(), 3);
        parks_until(|| ours.readable(), || theirs.shutdown(Shutdown::Write).unwrap());
        for _ in 0..3 {
            assert_eq!(ours.read(&mut [0; 8]).unwrap(), 0);
            is_ready(|| ours.readable()); // for ever
        }
        let (mut ours, theirs) = pair();
        SockRef::from(&theirs).set_linger(Some(Duration::ZERO)).unwrap();
        parks_until(|| ours.readable(), || drop(theirs));
        is_ready(|| ours.writable());
        let error = ours.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        is_ready(|| ours.readable());
    });
}

#[test]
fn ones_own_shutdown_makes_it_readable() {
    giambio::run(|| {
        let (ours, _theirs) = pair();
        parks_until(|| ours.readable(), || ours.shutdown(Shutdown::Read).unwrap());
        assert_eq!((&ours).read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn behind_a_full_read_it_is_not_taken_for_ready() {
    giambio::run(|| {
        let (mut ours, mut theirs) = pair();
        // The first wait registers; after it a read that fills its buffer says nothing of what is left.
        parks_until(|| ours.readable(), || theirs.write_all(b"abc").unwrap());
        assert_eq!(ours.read(&mut [0; 3]).unwrap(), 3);
        parks_until(|| ours.readable(), || theirs.write_all(b"de").unwrap());
        assert_eq!(ours.read(&mut [0; 1]).unwrap(), 1);
        is_ready(|| ours.readable());
        assert_eq!(ours.read(&mut [0; 8]).unwrap(), 1);
        parks_until(|| ours.readable(), || theirs.write_all(b"f").unwrap());
    });
}

#[test]
fn a_request_after_the_other_is_awaited_and_read() {
    giambio::run(|| {
        let (mut ours, mut theirs) = pair();
        pool(|pool| {
            pool.spawn(|| {
                for round in 0..200 {
                    theirs.write_all(&vec![b'x'; 1 + round % 20]).unwrap();
                    theirs.read_exact(&mut [0]).unwrap();
                }
            });
            for round in 0..200 {
                let mut left = 1 + round % 20;
                while left > 0 {
                    ours.readable().unwrap();
                    left -= ours.read(&mut [0; 10]).unwrap();
                }
                ours.write_all(b"y").unwrap();
            }
        });
    });
}

fn send_urgent(stream: &TcpStream) {
    SockRef::from(stream).send_out_of_band(b"!").unwrap();
}

#[test]
fn urgent_data_wakes_and_what_follows_it_is_not_lost() {
    giambio::run(|| {
        let (mut ours, mut theirs) = pair();
        parks_until(|| ours.readable(), || send_urgent(&theirs));
        // The byte itself lies beside the stream.
        ours.set_nonblocking(true).unwrap();
        assert_eq!(ours.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
        ours.set_nonblocking(false).unwrap();
        parks_until(|| ours.readable(), || theirs.write_all(b"abc").unwrap());
        assert_eq!(ours.read(&mut [0; 8]).unwrap(), 3);
        theirs.write_all(b"de").unwrap();
        send_urgent(&theirs);
        theirs.write_all(b"fg").unwrap();
        let mut read = 0;
        while read < 4 {
            ours.readable().unwrap();
            read += ours.read(&mut [0; 8]).unwrap();
        }
    });
}

#[test]
fn all_that_wait_are_woken() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        pool(|pool| {
            let waiters = [(); 5].map(|()| pool.spawn(|| ours.readable()));
            settle();
            theirs.write_all(b"x").unwrap();
            waiters.into_iter().for_each(|waiter| waiter.join().unwrap().unwrap());
        });
        assert_eq!((&ours).read(&mut [0; 8]).unwrap(), 1);
    });
}

#[test]
fn those_who_wait_before_a_reader_let_it_pass() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        pool(|pool| {
            let first = pool.spawn(|| ours.readable());
            settle();
            let reader = pool.spawn(|| (&ours).read(&mut [0; 8]));
            settle();
            theirs.write_all(b"abc").unwrap();
            assert_eq!(reader.join().unwrap().unwrap(), 3);
            first.join().unwrap().unwrap();
        });
    });
}

#[test]
fn those_who_wait_behind_a_reader_that_takes_all_go_on_waiting() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        pool(|pool| {
            let reader = pool.spawn(|| (&ours).read(&mut [0; 8]));
            settle();
            let behind = pool.spawn(|| ours.readable());
            settle();
            theirs.write_all(b"abc").unwrap();
            assert_eq!(reader.join().unwrap().unwrap(), 3);
            settle();
            assert!(!behind.is_finished());
            theirs.write_all(b"d").unwrap();
            behind.join().unwrap().unwrap();
        });
    });
}

#[test]
fn tasks_that_wait_and_read_share_what_comes() {
    giambio::run(|| {
        let (ours, theirs) = pair();
        let log = Log::default();
        pool(|pool| {
            for name in ["a", "b", "c"] {
                let (ours, log) = (&ours, &log);
                pool.spawn(move || {
                    let mut ours = ours;
                    loop {
                        ours.readable().unwrap();
                        let count = ours.read(&mut [0; 2]).unwrap();
                        if count == 0 {
                            return;
                        }
                        log.add(name.repeat(count));
                    }
                });
            }
            for count in 1..20 {
                settle();
                (&theirs).write_all(&vec![0; count % 7]).unwrap();
            }
            theirs.shutdown(Shutdown::Write).unwrap();
        });
        let sent: usize = (1..20).map(|count| count % 7).sum();
        assert_eq!(log.take().concat().len(), sent);
    });
}

#[test]
fn one_that_is_cancelled_leaves_the_others_waiting_and_nothing_is_lost() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        pool(|pool| {
            let behind = pool.spawn(|| {
                settle();
                ours.readable()
            });
            assert!(waits(|| ours.readable()));
            theirs.write_all(b"x").unwrap();
            behind.join().unwrap().unwrap();
        });
        assert_eq!((&ours).read(&mut [0; 8]).unwrap(), 1);
        assert!(waits(|| ours.readable()));
        assert!(skip_after(ms(1), |_| ours.readable()).is_none());
    });
}

#[test]
fn one_that_is_cut_while_it_is_woken_does_not_keep_the_next_waiting() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        pool(|pool| {
            let cut = pool.spawn(|| {
                cancellable(|scope| {
                    let canceller = scope.canceller();
                    pool.spawn(move || {
                        settle();
                        theirs.write_all(b"x").unwrap();
                        canceller.cancel();
                    });
                    ours.readable().unwrap();
                    giambio::yield_now();
                })
            });
            let next = pool.spawn(|| (&ours).read(&mut [0; 8]));
            assert_eq!(next.join().unwrap().unwrap(), 1);
            assert!(cut.join().unwrap().is_none());
        });
    });
}

#[test]
fn where_it_cannot_park_it_looks_once() {
    both(|passing| {
        let (ours, mut theirs) = pair();
        assert_given_up(in_destructor(passing, || ours.readable()));
        theirs.write_all(b"x").unwrap();
        let looked = in_destructor(passing, || {
            while let Err(error) = ours.readable() {
                assert_given_up::<()>(Err(error));
            }
            ours.writable()
        });
        looked.unwrap();
    });
}

#[test]
fn where_nothing_may_unwind_a_cancellation_is_reported() {
    giambio::run(|| {
        let (ours, _theirs) = pair();
        let cut = cancellable(|pool| {
            pool.cancel();
            no_unwind(|| assert_given_up(ours.readable()));
            giambio::yield_now();
        });
        assert!(cut.is_none());
    });
}

#[test]
fn a_full_connection_is_writable_when_there_is_room() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        is_ready(|| ours.writable());
        ours.set_nonblocking(true).unwrap();
        let block = vec![0; 1 << 20];
        let mut written = 0;
        while let Ok(count) = (&ours).write(&block) {
            written += count;
        }
        ours.set_nonblocking(false).unwrap();
        pool(|pool| {
            let waiter = pool.spawn(|| ours.writable());
            pool.spawn(|| {
                settle();
                let mut sink = vec![0; 1 << 16];
                while written > 0 {
                    written -= theirs.read(&mut sink).unwrap();
                }
            });
            waiter.join().unwrap().unwrap();
        });
        assert!(assert_no_switch(|| (&ours).write(b"x")).is_ok());
    });
}

#[test]
fn a_full_connection_whose_peer_is_gone_is_writable() {
    giambio::run(|| {
        let (ours, theirs) = pair();
        ours.set_nonblocking(true).unwrap();
        let block = vec![0; 1 << 20];
        while (&ours).write(&block).is_ok() {}
        pool(|pool| {
            let waiter = pool.spawn(|| ours.writable());
            drop(theirs); // with bytes that it has not read: a reset
            waiter.join().unwrap().unwrap();
        });
        let kind = (&ours).write(b"x").unwrap_err().kind();
        assert!([ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&kind));
    });
}

#[test]
fn a_listener_is_readable_while_somebody_has_connected() {
    giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let mut clients = Vec::new();
        parks_until(|| listener.readable(), || clients.push(TcpStream::connect(addr).unwrap()));
        is_ready(|| listener.readable());
        listener.accept().unwrap();
        assert!(waits(|| listener.readable()));
        pool(|pool| {
            let waiters = [(); 3].map(|()| pool.spawn(|| listener.readable()));
            settle();
            clients.push(TcpStream::connect(addr).unwrap());
            waiters.into_iter().for_each(|waiter| waiter.join().unwrap().unwrap());
        });
        listener.accept().unwrap();
    });
}

#[test]
fn a_udp_socket_is_readable_with_a_datagram_or_a_refusal() {
    giambio::run(|| {
        let (ours, theirs) =
            (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let to_us = ours.local_addr().unwrap();
        parks_until(|| ours.readable(), || assert_eq!(theirs.send_to(b"", to_us).unwrap(), 0));
        assert_eq!(ours.recv(&mut [0; 8]).unwrap(), 0);
        is_ready(|| ours.writable());
        assert!(waits(|| ours.readable()));
        ours.connect(theirs.local_addr().unwrap()).unwrap();
        drop(theirs);
        parks_until(|| ours.readable(), || assert_eq!(ours.send(b"x").unwrap(), 1));
        assert_eq!(ours.recv(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn two_workers_wait_for_one_socket() {
    let (ours, mut theirs) = giambio::run(pair);
    thread::scope(|threads| {
        let waiters = [(); 2].map(|()| threads.spawn(|| giambio::run(|| ours.readable())));
        let outside = threads.spawn(|| ours.readable());
        theirs.write_all(b"x").unwrap();
        for waiter in waiters {
            waiter.join().unwrap().unwrap();
        }
        outside.join().unwrap().unwrap();
    });
    assert_eq!((&ours).read(&mut [0; 8]).unwrap(), 1);
}
