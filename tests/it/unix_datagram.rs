//! Unix datagrams.

use crate::ms;
use crate::unix::address;
use crate::unix::soon;
use crate::unix_surface::Directory;
use giambio::net::Shutdown;
use giambio::os::unix::net::SocketAddr;
use giambio::os::unix::net::UnixDatagram;
use giambio::testing::settle;
use socket2::SockRef;
use std::io;
use std::io::ErrorKind;
use std::thread;

/// A bound socket, and its address.
fn receiver() -> (UnixDatagram, SocketAddr) {
    let address = address();
    (UnixDatagram::bind_addr(&address).unwrap(), address)
}

/// A socket that sends to `address`.
fn connected(address: &SocketAddr) -> UnixDatagram {
    let sender = UnixDatagram::unbound().unwrap();
    sender.connect_addr(address).unwrap();
    sender
}

/// Sends until the queue at `address` is full; how many datagrams that were.
pub(crate) fn fill(address: &SocketAddr) -> usize {
    let sender = connected(address);
    std::iter::from_fn(|| SockRef::from(&sender).send(b"filler").ok()).count()
}

/// The next datagram.
fn next(receiver: &UnixDatagram) -> Vec<u8> {
    let mut buf = [0; 64];
    let count = soon(|| receiver.recv(&mut buf)).unwrap();
    buf[..count].to_vec()
}

#[test]
fn smoke() {
    giambio::run(|| {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        giambio::pool(|pool| {
            pool.spawn(|| {
                let mut buf = [0; 16];
                let count = theirs.recv(&mut buf).unwrap();
                theirs.send(&buf[..count].to_ascii_uppercase()).unwrap();
            });
            ours.send(b"hello").unwrap();
            assert_eq!(next(&ours), b"HELLO");
        });
    });
}

#[test]
fn a_receiver_parks_until_there_is_a_datagram() {
    giambio::run(|| {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        giambio::pool(|pool| {
            let receiver = pool.spawn(|| ours.recv_from(&mut [0; 8]).unwrap());
            settle();
            assert!(!receiver.is_finished());
            theirs.send(b"abc").unwrap();
            let (count, from) = soon(|| receiver.join()).unwrap();
            assert!(count == 3 && from.is_unnamed());
        });
    });
}

#[test]
fn datagrams_keep_their_bounds_and_their_order() {
    giambio::run(|| {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        giambio::pool(|pool| {
            pool.spawn(|| {
                for text in [&b"one"[..], b"", b"three", b"", b""] {
                    assert_eq!(theirs.send(text).unwrap(), text.len());
                    giambio::yield_now();
                }
            });
            for expected in [&b"one"[..], b"", b"three", b"", b""] {
                assert_eq!(next(&ours), expected);
            }
        });
    });
}

#[test]
fn what_the_buffer_has_no_room_for_is_gone() {
    giambio::run(|| {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        theirs.send(b"longer").unwrap();
        theirs.send(b"next").unwrap();
        let mut buf = [0; 4];
        assert_eq!(ours.recv(&mut buf).unwrap(), 4);
        assert_eq!(&buf, b"long");
        assert_eq!(ours.recv(&mut buf).unwrap(), 4);
        assert_eq!(&buf, b"next");
        theirs.send(b"unread").unwrap();
        assert_eq!(ours.recv(&mut []).unwrap(), 0);
        assert!(giambio::skip_after(ms(1), |_| ours.recv(&mut buf)).is_none());
    });
}

#[test]
fn who_has_sent_is_told_by_path_too() {
    giambio::run(|| {
        let directory = Directory::new();
        let (here, there) = (directory.join("here"), directory.join("there"));
        let ours = UnixDatagram::bind(&here).unwrap();
        let theirs = UnixDatagram::bind(&there).unwrap();
        giambio::pool(|pool| {
            pool.spawn(|| theirs.send_to(b"ping", &here).unwrap());
            let (count, from) = ours.recv_from(&mut [0; 8]).unwrap();
            assert_eq!((count, from.as_pathname()), (4, Some(&*there)));
            ours.send_to_addr(b"pong", &from).unwrap();
            assert_eq!(next(&theirs), b"pong");
        });
    });
}

#[test]
fn a_full_queue_parks_the_sender_until_there_is_room() {
    giambio::run(|| {
        let (receiver, address) = receiver();
        let filled = fill(&address);
        let (direct, named) = (connected(&address), UnixDatagram::unbound().unwrap());
        giambio::pool(|pool| {
            let senders = [
                pool.spawn(|| direct.send(b"direct").unwrap()),
                pool.spawn(|| named.send_to_addr(b"named", &address).unwrap()),
            ];
            settle();
            assert!(senders.iter().all(|sender| !sender.is_finished()));
            let mut got: Vec<_> = (0..filled + 2).map(|_| next(&receiver)).collect();
            got.sort();
            assert_eq!(got[0], b"direct");
            assert!(got[1..=filled].iter().all(|text| text == b"filler"));
            assert_eq!(got[filled + 1], b"named");
            for sender in senders {
                soon(|| sender.join()).unwrap();
            }
        });
    });
}

#[test]
fn a_pair_s_own_queue_parks_the_sender_until_there_is_room() {
    giambio::run(|| {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let filled = std::iter::from_fn(|| SockRef::from(&ours).send(&[0; 1 << 10]).ok()).count();
        giambio::pool(|pool| {
            let sender = pool.spawn(|| ours.send(b"last").unwrap());
            settle();
            assert!(!sender.is_finished());
            for _ in 0..filled {
                assert_eq!(next(&theirs).len(), 64);
            }
            assert_eq!(next(&theirs), b"last");
            sender.join().unwrap();
        });
    });
}

/// Has eight tasks send as many datagrams each, by `send`, to one receiver that is slow at times.
fn send_much(send: impl Fn(&UnixDatagram, &SocketAddr, &[u8]) -> io::Result<usize> + Copy) {
    const SENDERS: u8 = 8;
    const EACH: u8 = 250;
    giambio::run(|| {
        let (receiver, address) = receiver();
        giambio::pool(|pool| {
            for sender in 0..SENDERS {
                let address = &address;
                pool.spawn(move || {
                    let socket = connected(address);
                    for number in 0..EACH {
                        assert_eq!(send(&socket, address, &[sender, number]).unwrap(), 2);
                    }
                });
            }
            let mut expected = [0; SENDERS as usize];
            for count in 0..usize::from(SENDERS) * usize::from(EACH) {
                let text = next(&receiver);
                let sender = usize::from(text[0]);
                assert_eq!(text[1], expected[sender], "of sender {sender}");
                expected[sender] += 1;
                match count % 100 {
                    0 => giambio::sleep(ms(1)),
                    count if count % 7 == 0 => giambio::yield_now(),
                    _ => {}
                }
            }
        });
        assert!(giambio::skip_after(ms(1), |_| receiver.recv(&mut [0; 8])).is_none());
    });
}

#[test]
fn of_many_senders_to_a_slow_receiver_none_is_forgotten() {
    send_much(|socket, _, text| socket.send(text));
}

#[test]
fn of_many_senders_that_name_their_receiver_none_is_forgotten() {
    send_much(|_, address, text| UnixDatagram::unbound()?.send_to_addr(text, address));
}

#[test]
fn of_many_senders_of_both_kinds_none_is_forgotten() {
    send_much(|socket, address, text| match text[0] % 2 {
        0 => socket.send(text),
        _ => socket.send_to_addr(text, address),
    });
}

#[test]
fn a_sender_to_a_full_queue_does_not_hold_up_those_who_use_the_same_socket() {
    giambio::run(|| {
        let (full, full_address) = receiver();
        let (free, free_address) = receiver();
        let filled = fill(&full_address);
        let socket = UnixDatagram::unbound().unwrap();
        giambio::pool(|pool| {
            let stuck = pool.spawn(|| socket.send_to_addr(b"stuck", &full_address).unwrap());
            settle();
            socket.send_to_addr(b"free", &free_address).unwrap();
            assert_eq!(next(&free), b"free");
            assert!(!stuck.is_finished());
            (0..filled).for_each(|_| assert_eq!(next(&full), b"filler"));
            assert_eq!(next(&full), b"stuck");
        });
    });
}

#[test]
fn a_sender_that_is_cut_has_sent_nothing() {
    giambio::run(|| {
        let (receiver, address) = receiver();
        let filled = fill(&address);
        let (direct, named) = (connected(&address), UnixDatagram::unbound().unwrap());
        giambio::pool(|pool| {
            let senders = [
                pool.spawn(|| direct.send(b"no").unwrap()),
                pool.spawn(|| named.send_to_addr(b"no", &address).unwrap()),
            ];
            settle();
            for sender in senders {
                sender.cancel();
                assert!(sender.join().unwrap_err().is_cancelled());
            }
        });
        (0..filled).for_each(|_| assert_eq!(next(&receiver), b"filler"));
        assert!(giambio::skip_after(ms(5), |_| receiver.recv(&mut [0; 8])).is_none());
    });
}

#[test]
fn senders_that_wait_learn_that_the_receiver_is_closed() {
    giambio::run(|| {
        let (receiver, address) = receiver();
        fill(&address);
        let (direct, named) = (connected(&address), UnixDatagram::unbound().unwrap());
        giambio::pool(|pool| {
            let senders = [
                pool.spawn(|| direct.send(b"x").unwrap_err().kind()),
                pool.spawn(|| named.send_to_addr(b"x", &address).unwrap_err().kind()),
            ];
            settle();
            drop(receiver);
            for sender in senders {
                let kind = soon(|| sender.join()).unwrap();
                assert_eq!(kind, ErrorKind::ConnectionRefused);
            }
        });
    });
}

#[test]
fn a_shutdown_wakes_the_receivers_and_senders_of_its_own_side() {
    giambio::run(|| {
        let (receiver, address) = receiver();
        fill(&address);
        let (direct, named) = (connected(&address), UnixDatagram::unbound().unwrap());
        giambio::pool(|pool| {
            let receivers = [(); 2].map(|()| pool.spawn(|| direct.recv(&mut [0; 8]).unwrap()));
            let senders = [
                pool.spawn(|| direct.send(b"x").unwrap_err().kind()),
                pool.spawn(|| named.send_to_addr(b"x", &address).unwrap_err().kind()),
            ];
            settle();
            direct.shutdown(Shutdown::Read).unwrap();
            for receiver in receivers {
                assert_eq!(soon(|| receiver.join()).unwrap(), 0);
            }
            assert!(senders.iter().all(|sender| !sender.is_finished()));
            direct.shutdown(Shutdown::Write).unwrap();
            named.shutdown(Shutdown::Write).unwrap();
            for sender in senders {
                assert_eq!(soon(|| sender.join()).unwrap(), ErrorKind::BrokenPipe);
            }
        });
        // Who comes later finds the same.
        assert_eq!(direct.recv_from(&mut [0; 8]).unwrap().0, 0);
        assert_eq!(direct.recv(&mut [0; 8]).unwrap(), 0);
        direct.readable().unwrap();
        assert_eq!(
            SockRef::from(&receiver).recv(&mut [std::mem::MaybeUninit::uninit(); 8]).unwrap(),
            6
        );
    });
}

#[test]
fn timeouts_end_sends_and_receives() {
    giambio::run(|| {
        let (receiver, address) = receiver();
        receiver.set_read_timeout(Some(ms(20))).unwrap();
        let start = giambio::clock();
        assert_eq!(receiver.recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(giambio::clock() - start >= ms(20));
        fill(&address);
        let (direct, named) = (connected(&address), UnixDatagram::unbound().unwrap());
        let sends: [&dyn Fn() -> io::Result<usize>; 2] =
            [&|| direct.send(b"x"), &|| named.send_to_addr(b"x", &address)];
        for socket in [&direct, &named] {
            socket.set_write_timeout(Some(ms(20))).unwrap();
        }
        for send in sends {
            let start = giambio::clock();
            assert_eq!(send().unwrap_err().kind(), ErrorKind::WouldBlock);
            let took = giambio::clock() - start;
            assert!(took >= ms(20), "{took:?}");
        }
        for socket in [&direct, &named] {
            socket.set_nonblocking(true).unwrap();
        }
        for send in sends {
            let start = giambio::clock();
            assert_eq!(send().unwrap_err().kind(), ErrorKind::WouldBlock);
            assert!(giambio::clock() - start < ms(20));
        }
    });
}

#[test]
fn readable_and_writable_wait_and_take_nothing() {
    giambio::run(|| {
        let (receiver, address) = receiver();
        let sender = connected(&address);
        giambio::pool(|pool| {
            let waiter = pool.spawn(|| receiver.readable());
            settle();
            assert!(!waiter.is_finished());
            sender.writable().unwrap();
            let filled = fill(&address);
            soon(|| waiter.join()).unwrap().unwrap();
            let waiter = pool.spawn(|| sender.writable());
            settle();
            assert!(!waiter.is_finished());
            (0..filled).for_each(|_| assert_eq!(next(&receiver), b"filler"));
            soon(|| waiter.join()).unwrap().unwrap();
        });
    });
}

#[test]
fn threads_without_a_runtime_send_and_receive_too() {
    let (receiver, address) = receiver();
    let filled = fill(&address);
    thread::scope(|threads| {
        let senders = [
            threads.spawn(|| connected(&address).send(b"direct")),
            threads.spawn(|| UnixDatagram::unbound()?.send_to_addr(b"named", &address)),
        ];
        let mut buf = [0; 8];
        for _ in 0..filled + 2 {
            receiver.recv(&mut buf).unwrap();
        }
        for sender in senders {
            sender.join().unwrap().unwrap();
        }
    });
}

#[test]
fn two_receivers_share_what_comes() {
    giambio::run(|| {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let clone = ours.try_clone().unwrap();
        giambio::pool(|pool| {
            let receivers = [&ours, &ours, &clone].map(|socket| pool.spawn(|| next(socket)));
            settle();
            for text in [b"a", b"b", b"c"] {
                theirs.send(text).unwrap();
            }
            let mut got = receivers.map(|receiver| receiver.join().unwrap());
            got.sort();
            assert_eq!(got, [b"a", b"b", b"c"]);
        });
    });
}
