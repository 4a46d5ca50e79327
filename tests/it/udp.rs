//! UDP, for tasks. That results are std's is in `net_surface`.

use crate::Log;
use crate::ms;
use crate::tcp::is_blocking;
use crate::tcp::is_registered;
use crate::unwind::assert_given_up;
use crate::unwind::both;
use crate::unwind::in_destructor;
use giambio::cancellable;
use giambio::net::SocketAddr;
use giambio::net::UdpSocket;
use giambio::pool;
use giambio::skip_after;
use giambio::testing::assert_checkpoint;
use giambio::testing::assert_no_switch;
use giambio::testing::settle;
use std::io;
use std::io::ErrorKind;
use std::net;
use std::os::fd::AsRawFd;
use std::thread;

fn socket() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

/// Two that are connected to each other.
pub(crate) fn pair() -> (UdpSocket, UdpSocket) {
    let ((a, to_a), (b, to_b)) = (socket(), socket());
    a.connect(to_b).unwrap();
    b.connect(to_a).unwrap();
    (a, b)
}

/// Has `receive` park until a datagram of three bytes is sent.
#[track_caller]
fn parks_for_a_datagram(receive: impl Fn(&UdpSocket) -> io::Result<usize>) {
    giambio::run(|| {
        let (ours, theirs) = pair();
        pool(|pool| {
            let receiver = pool.spawn(|| receive(&ours));
            settle();
            assert!(!receiver.is_finished());
            theirs.send(b"abc").unwrap();
            assert_eq!(receiver.join().unwrap().unwrap(), 3);
        });
    });
}

#[test]
fn smoke() {
    giambio::run(|| {
        let ((server, to_server), (client, to_client)) = (socket(), socket());
        pool(|pool| {
            pool.spawn(|| {
                let mut buf = [0; 8];
                let (count, from) = server.recv_from(&mut buf).unwrap();
                server.send_to(&buf[..count], from).unwrap();
            });
            client.send_to(b"hello", to_server).unwrap();
            let mut buf = [0; 8];
            assert_eq!(client.recv_from(&mut buf).unwrap(), (5, to_server));
            assert_eq!(&buf[..5], b"hello");
            assert_ne!(to_client, to_server);
        });
    });
}

#[test]
fn every_call_that_receives_parks() {
    parks_for_a_datagram(|socket| socket.recv(&mut [0; 8]));
    parks_for_a_datagram(|socket| socket.recv_from(&mut [0; 8]).map(|(count, _)| count));
    parks_for_a_datagram(|socket| socket.peek(&mut [0; 8]));
    parks_for_a_datagram(|socket| socket.peek_from(&mut [0; 8]).map(|(count, _)| count));
}

#[test]
fn every_call_is_a_checkpoint_also_if_it_fails_early() {
    giambio::run(|| {
        let (a, b) = pair();
        let to_b = b.local_addr().unwrap();
        assert_eq!(assert_checkpoint(|| a.send(b"x")).unwrap(), 1);
        assert_eq!(assert_checkpoint(|| a.send_to(b"x", to_b)).unwrap(), 1);
        assert_checkpoint(|| a.send_to(b"x", &[][..])).unwrap_err();
        assert_checkpoint(|| a.send_to(b"x", "no port")).unwrap_err();
        assert_checkpoint(|| b.peek(&mut [0])).unwrap();
        assert_checkpoint(|| b.peek_from(&mut [0])).unwrap();
        assert_checkpoint(|| b.recv(&mut [0])).unwrap();
        assert_checkpoint(|| b.recv_from(&mut [0])).unwrap();
    });
}

#[test]
fn nothing_else_switches() {
    giambio::run(|| {
        assert_no_switch(|| {
            let ((a, _), (b, to_b)) = (socket(), socket());
            a.connect(to_b).unwrap();
            let clone = a.try_clone().unwrap();
            clone.send(b"x").unwrap();
            b.set_nonblocking(true).unwrap();
            while b.recv(&mut [0]).is_err() {}
        });
    });
}

#[test]
fn a_sender_that_is_cancelled_has_sent_nothing() {
    giambio::run(|| {
        let (a, b) = pair();
        let cut = cancellable(|pool| {
            pool.cancel();
            a.send(b"no")
        });
        assert!(cut.is_none());
        a.send(b"yes").unwrap();
        assert_eq!(b.recv(&mut [0; 8]).unwrap(), 3);
        assert!(skip_after(ms(20), |_| b.recv(&mut [0; 8])).is_none());
    });
}

#[test]
fn a_receiver_that_is_cancelled_has_taken_nothing() {
    giambio::run(|| {
        let (a, b) = pair();
        assert!(skip_after(ms(5), |_| b.recv(&mut [0; 8])).is_none());
        a.send(b"abc").unwrap();
        let cut = cancellable(|pool| {
            pool.cancel();
            b.recv(&mut [0; 8])
        });
        assert!(cut.is_none());
        assert_eq!(b.recv(&mut [0; 8]).unwrap(), 3);
    });
}

#[test]
fn receivers_are_served_in_the_order_in_which_they_came() {
    giambio::run(|| {
        let (a, b) = pair();
        let log = Log::default();
        pool(|pool| {
            for name in ["first", "second", "third"] {
                let (b, log) = (&b, &log);
                pool.spawn(move || {
                    let mut buf = [0; 8];
                    assert_eq!(b.recv(&mut buf).unwrap(), 1);
                    log.add(format!("{name} {}", char::from(buf[0])));
                });
            }
            settle();
            // All at once: one event, and whoever has received passes it on.
            for datagram in ["a", "b", "c"] {
                a.send(datagram.as_bytes()).unwrap();
            }
        });
        log.assert(&["first a", "second b", "third c"]);
    });
}

#[test]
fn a_datagram_that_is_shorter_than_the_buffer_is_not_the_last() {
    giambio::run(|| {
        let (a, b) = pair();
        pool(|pool| {
            // A wait first, so that what is known of the socket counts.
            let receiver =
                pool.spawn(|| (0..100).map(|_| b.recv(&mut [0; 64]).unwrap()).sum::<usize>());
            settle();
            for length in 0..100 {
                a.send(&[0; 50][..length % 50]).unwrap();
            }
            assert_eq!(receiver.join().unwrap(), (0..100).map(|length| length % 50).sum());
        });
    });
}

#[test]
fn one_task_sends_while_another_receives() {
    giambio::run(|| {
        let (a, b) = pair();
        pool(|pool| {
            let echo = pool.spawn(|| {
                for _ in 0..1000 {
                    let mut buf = [0; 8];
                    let count = b.recv(&mut buf).unwrap();
                    b.send(&buf[..count]).unwrap();
                }
            });
            pool.spawn(|| {
                for round in 0..1000_u32 {
                    a.send(&round.to_be_bytes()).unwrap();
                    // The receive buffer of a loopback socket holds a few hundred small datagrams.
                    if round % 100 == 99 {
                        settle();
                    }
                }
            });
            for round in 0..1000_u32 {
                let mut buf = [0; 8];
                assert_eq!(a.recv(&mut buf).unwrap(), 4);
                assert_eq!(buf[..4], round.to_be_bytes());
            }
            echo.join().unwrap();
        });
    });
}

#[test]
fn a_refusal_wakes_a_receiver() {
    giambio::run(|| {
        let (ours, theirs) = pair();
        pool(|pool| {
            let receiver = pool.spawn(|| ours.recv(&mut [0; 8]));
            settle();
            drop(theirs);
            ours.send(b"x").unwrap();
            let error = receiver.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            assert!(skip_after(ms(20), |_| ours.recv(&mut [0; 8])).is_none());
        });
    });
}

#[test]
fn while_a_task_unwinds_a_receiver_tries_once() {
    both(|passing| {
        let (a, b) = pair();
        assert_given_up(in_destructor(passing, || b.recv(&mut [0; 8])));
        assert_eq!(in_destructor(passing, || a.send(b"abc")).unwrap(), 3);
        assert_eq!(in_destructor(passing, || b.recv(&mut [0; 8])).unwrap(), 3);
    });
}

#[test]
fn a_clone_hears_the_same_datagrams() {
    giambio::run(|| {
        let (a, b) = pair();
        let clone = b.try_clone().unwrap();
        pool(|pool| {
            let receivers = [&b, &clone].map(|socket| pool.spawn(move || socket.recv(&mut [0; 8])));
            settle();
            a.send(b"one").unwrap();
            a.send(b"two").unwrap();
            receivers.into_iter().for_each(|task| assert_eq!(task.join().unwrap().unwrap(), 3));
        });
    });
}

#[test]
fn a_socket_goes_to_std_and_back() {
    giambio::run(|| {
        let (a, b) = pair();
        assert!(skip_after(ms(5), |_| b.recv(&mut [0; 8])).is_none());
        let fd = b.as_raw_fd();
        assert!(is_registered(fd) && !is_blocking(&b));
        let b = net::UdpSocket::from(b);
        assert!(!is_registered(fd) && is_blocking(&b));
        a.send(b"abc").unwrap();
        assert_eq!(b.recv(&mut [0; 8]).unwrap(), 3);
        let b = UdpSocket::from(b);
        assert!(!is_blocking(&b));
        a.send(b"d").unwrap();
        assert_eq!(b.recv(&mut [0; 8]).unwrap(), 1);
    });
}

#[test]
fn a_thread_that_runs_no_tasks_is_blocked() {
    let (a, b) = pair();
    thread::scope(|threads| {
        let receiver = threads.spawn(|| b.recv(&mut [0; 8]));
        a.send(b"abc").unwrap();
        assert_eq!(receiver.join().unwrap().unwrap(), 3);
    });
}

#[test]
fn is_send_and_sync() {
    fn check<T: Send + Sync + Unpin + 'static>() {}
    check::<UdpSocket>();
}
