//! Messages one after the other.

use super::all_kinds;
use super::bounded;
use super::buffers;
use super::endless;
use super::mpsc::TryRecvError;
use super::mpsc::TrySendError;
use super::mpsc::channel;
use super::mpsc::sync_channel;
use super::world;
use super::world::scope;
use crate::until;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

#[test]
fn smoke() {
    world::run(|| {
        for (s, r) in buffers() {
            s.send(1).unwrap();
            assert_eq!(r.recv().unwrap(), 1);
            let other = s.clone();
            other.send(2).unwrap();
            assert_eq!(r.recv().unwrap(), 2);
        }
    });
}

#[test]
fn a_message_goes_from_one_to_the_other() {
    world::run(|| {
        for (s, r) in all_kinds() {
            scope(|scope| {
                scope.spawn(move || s.send("hello").unwrap());
                assert_eq!(r.recv(), Ok("hello"));
            });
        }
        for (s, r) in all_kinds() {
            scope(|scope| {
                let receiver = scope.spawn(move || r.recv());
                world::settle();
                s.send("hello").unwrap();
                assert_eq!(receiver.join().unwrap(), Ok("hello"));
            });
        }
    });
}

#[test]
fn messages_come_out_in_the_order_in_which_they_went_in() {
    world::run(|| {
        for (s, r) in all_kinds() {
            scope(|scope| {
                scope.spawn(move || (0..500).for_each(|number| s.send(number).unwrap()));
                (0..500).for_each(|number| assert_eq!(r.recv(), Ok(number)));
                assert!(r.recv().is_err());
            });
        }
    });
}

#[test]
fn what_one_sender_sends_stays_in_its_order() {
    world::run(|| {
        for (s, r) in all_kinds() {
            scope(|scope| {
                for sender in 0..3 {
                    let s = s.clone();
                    scope.spawn(move || (0..100).for_each(|n| s.send((sender, n)).unwrap()));
                }
                drop(s);
                let mut next = [0; 3];
                for (sender, number) in r {
                    assert_eq!(number, next[sender]);
                    next[sender] += 1;
                }
                assert_eq!(next, [100; 3]);
            });
        }
    });
}

/// After std's `recv_a_lot`.
#[test]
fn a_channel_without_a_bound_holds_as_much_as_it_is_given() {
    world::run(|| {
        let (s, r) = channel();
        (0..10_000).for_each(|number| s.send(number).unwrap());
        (0..10_000).for_each(|number| assert_eq!(r.recv(), Ok(number)));
        assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
    });
}

#[test]
fn a_bounded_channel_takes_exactly_its_bound() {
    world::run(|| {
        for bound in [1, 2, 3, 33] {
            let (s, r) = sync_channel(bound);
            // Round and round, so that the places are used again.
            for round in 0..3 {
                (0..bound).for_each(|number| s.try_send(round + number).unwrap());
                assert_eq!(s.try_send(99), Err(TrySendError::Full(99)));
                (0..bound).for_each(|number| assert_eq!(r.try_recv(), Ok(round + number)));
                assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
            }
        }
    });
}

#[test]
fn a_sender_waits_while_there_is_no_room() {
    world::run(|| {
        let (s, r) = bounded(2);
        let sent = AtomicBool::new(false);
        scope(|scope| {
            let sent = &sent;
            scope.spawn(move || {
                (0..3).for_each(|number| s.send(number).unwrap());
                sent.store(true, Ordering::SeqCst);
            });
            world::settle();
            assert!(!sent.load(Ordering::SeqCst));
            assert_eq!(r.recv(), Ok(0));
            until(|| sent.load(Ordering::SeqCst));
            assert_eq!((r.recv(), r.recv()), (Ok(1), Ok(2)));
        });
    });
}

#[test]
fn a_try_send_takes_the_room_that_a_receive_has_made() {
    world::run(|| {
        let (s, r) = sync_channel(1);
        s.try_send(1).unwrap();
        assert_eq!(s.try_send(2), Err(TrySendError::Full(2)));
        assert_eq!(r.try_recv(), Ok(1));
        s.try_send(2).unwrap();
        assert_eq!(r.recv(), Ok(2));
    });
}

/// After std's `try_recv_states`.
#[test]
fn a_try_recv_tells_what_there_is() {
    world::run(|| {
        let (s, r) = channel();
        let (go, may_go) = endless();
        let (done, is_done) = endless();
        scope(|scope| {
            scope.spawn(move || {
                may_go.recv().unwrap();
                s.send(1).unwrap();
                done.send(()).unwrap();
                may_go.recv().unwrap();
                drop(s);
                done.send(()).unwrap();
            });
            assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
            go.send(()).unwrap();
            is_done.recv().unwrap();
            assert_eq!(r.try_recv(), Ok(1));
            assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
            go.send(()).unwrap();
            is_done.recv().unwrap();
            assert_eq!(r.try_recv(), Err(TryRecvError::Disconnected));
        });
    });
}

#[test]
fn messages_of_no_size_are_counted() {
    world::run(|| {
        for (s, r) in [bounded(300), endless()] {
            (0..300).for_each(|_| s.send(()).unwrap());
            drop(s);
            assert_eq!(r.iter().count(), 300);
        }
    });
}

#[test]
fn large_messages_arrive_whole() {
    world::run(|| {
        for (s, r) in all_kinds() {
            scope(|scope| {
                scope.spawn(move || (0..5).for_each(|byte| s.send([byte; 4096]).unwrap()));
                for byte in 0..5 {
                    assert!(r.recv().unwrap().iter().all(|&found| found == byte));
                }
            });
        }
    });
}
