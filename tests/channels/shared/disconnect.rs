//! What becomes of a channel when the last of one side is dropped.

use super::all_kinds;
use super::buffers;
use super::channel::RecvError;
use super::channel::RecvTimeoutError;
use super::channel::SendError;
use super::channel::SendTimeoutError;
use super::channel::TryRecvError;
use super::channel::TrySendError;
use super::channel::bounded;
use super::channel::unbounded;
use super::fill;
use super::limited;
use super::world;
use super::world::scope;
use crate::ms;
use crate::secs;
use giambio::clock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

#[test]
fn smoke() {
    world::run(|| {
        for (s, r) in all_kinds::<i32>() {
            drop(s);
            assert_eq!(r.recv(), Err(RecvError));
        }
        for (s, r) in all_kinds() {
            drop(r);
            assert_eq!(s.send(7), Err(SendError(7)));
        }
    });
}

#[test]
fn without_senders_every_way_to_receive_says_so() {
    world::run(|| {
        for (s, r) in all_kinds::<i32>() {
            drop(s);
            for _ in 0..2 {
                assert_eq!(r.recv(), Err(RecvError));
                assert_eq!(r.try_recv(), Err(TryRecvError::Disconnected));
                assert_eq!(r.recv_timeout(secs(1000)), Err(RecvTimeoutError::Disconnected));
                let deadline = clock() + secs(1000);
                assert_eq!(r.recv_deadline(deadline), Err(RecvTimeoutError::Disconnected));
                assert_eq!((r.iter().next(), r.try_iter().next()), (None, None));
            }
        }
    });
}

#[test]
fn without_receivers_every_way_to_send_gives_the_message_back() {
    world::run(|| {
        for (s, r) in all_kinds() {
            drop(r);
            for _ in 0..2 {
                assert_eq!(s.send(1), Err(SendError(1)));
                assert_eq!(s.try_send(2), Err(TrySendError::Disconnected(2)));
                let disconnected = Err(SendTimeoutError::Disconnected(3));
                assert_eq!(s.send_timeout(3, secs(1000)), disconnected);
                assert_eq!(s.send_deadline(3, clock() + secs(1000)), disconnected);
                assert_eq!(s.send_timeout(3, ms(0)), disconnected);
            }
        }
    });
}

#[test]
fn what_was_sent_before_is_received_first() {
    world::run(|| {
        for (s, r) in buffers() {
            let count = fill(&s);
            drop(s);
            assert_eq!(r.len(), count);
            (0..count).for_each(|number| assert_eq!(r.recv(), Ok(number)));
            assert_eq!(r.recv(), Err(RecvError));
            assert_eq!(r.len(), 0);
        }
    });
}

#[test]
fn a_full_channel_without_receivers_is_disconnected_rather_than_full() {
    world::run(|| {
        for (s, r) in buffers() {
            let count = fill(&s);
            drop(r);
            assert_eq!(s.try_send(count), Err(TrySendError::Disconnected(count)));
            assert_eq!(s.send(count), Err(SendError(count)));
        }
    });
}

#[test]
fn only_the_last_sender_counts() {
    world::run(|| {
        for (s, r) in all_kinds::<i32>() {
            let clones = [s.clone(), s.clone()];
            drop(s);
            assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
            let last = clones[1].clone();
            drop(clones);
            assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
            drop(last);
            assert_eq!(r.try_recv(), Err(TryRecvError::Disconnected));
        }
    });
}

#[test]
fn only_the_last_receiver_counts() {
    world::run(|| {
        for (s, r) in buffers() {
            let clones = [r.clone(), r.clone()];
            drop(r);
            s.send(1).unwrap();
            let last = clones[1].clone();
            drop(clones);
            assert_eq!(last.recv(), Ok(1));
            s.send(2).unwrap();
            drop(last);
            assert_eq!(s.send(3), Err(SendError(3)));
        }
    });
}

#[test]
fn all_receivers_that_wait_are_woken() {
    world::run(|| {
        for (s, r) in all_kinds::<i32>() {
            let dropped = AtomicBool::new(false);
            scope(|scope| {
                for _ in 0..5 {
                    scope.spawn(|| {
                        assert_eq!(r.recv(), Err(RecvError));
                        assert!(dropped.load(Ordering::SeqCst));
                    });
                    scope.spawn(|| {
                        let disconnected = Err(RecvTimeoutError::Disconnected);
                        assert_eq!(r.recv_timeout(secs(1000)), disconnected);
                    });
                }
                world::settle();
                dropped.store(true, Ordering::SeqCst);
                drop(s);
            });
        }
    });
}

#[test]
fn all_senders_that_wait_are_woken_and_get_their_messages_back() {
    world::run(|| {
        for (s, r) in limited() {
            fill(&s);
            let dropped = AtomicBool::new(false);
            scope(|scope| {
                for number in 100..105 {
                    let (s, dropped) = (&s, &dropped);
                    scope.spawn(move || {
                        assert_eq!(s.send(number), Err(SendError(number)));
                        assert!(dropped.load(Ordering::SeqCst));
                    });
                    scope.spawn(move || {
                        let disconnected = Err(SendTimeoutError::Disconnected(number));
                        assert_eq!(s.send_timeout(number, secs(1000)), disconnected);
                    });
                }
                world::settle();
                dropped.store(true, Ordering::SeqCst);
                drop(r);
            });
        }
    });
}

#[test]
fn who_came_before_the_end_is_served_as_far_as_it_goes() {
    world::run(|| {
        for (s, r) in buffers() {
            let r = &r;
            let served: usize = scope(|scope| {
                let receivers = [(); 5].map(|()| scope.spawn(move || r.recv()));
                world::settle();
                s.send(()).unwrap();
                drop(s);
                receivers.map(|receiver| usize::from(receiver.join().unwrap().is_ok())).iter().sum()
            });
            assert_eq!(served, 1);
        }
    });
}

#[test]
fn messages_of_senders_that_waited_are_received_before_the_end() {
    world::run(|| {
        for (s, r) in limited() {
            let count = fill(&s);
            scope(|scope| {
                for number in count..count + 5 {
                    let s = s.clone();
                    scope.spawn(move || s.send(number).unwrap());
                }
                drop(s);
                let mut all: Vec<_> = r.iter().collect();
                all.sort_unstable();
                assert!(all.into_iter().eq(0..count + 5));
            });
        }
    });
}

#[test]
fn both_sides_may_end_at_once() {
    world::run(|| {
        for _ in 0..100 {
            for (s, r) in all_kinds::<Box<i32>>() {
                scope(|scope| {
                    scope.spawn(move || drop(s));
                    scope.spawn(move || drop(r));
                });
            }
        }
    });
}

/// A sender and a receiver, one of which leaves while the other is on its way.
#[test]
fn a_message_is_received_or_comes_back() {
    world::run(|| {
        for _ in 0..100 {
            for (s, r) in all_kinds() {
                let (sent, received) = scope(|scope| {
                    let sender = scope.spawn(move || s.send(Box::new(7)));
                    let receiver = scope.spawn(move || r.try_recv());
                    (sender.join().unwrap(), receiver.join().unwrap())
                });
                match (sent, received) {
                    (Ok(()), Ok(message)) => assert_eq!(*message, 7),
                    (Err(SendError(message)), Err(_)) => assert_eq!(*message, 7),
                    // It was in the buffer when the receiver left.
                    (Ok(()), Err(TryRecvError::Empty)) => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    });
}

#[test]
fn a_send_ends_when_its_only_receiver_has_left() {
    world::run(|| {
        let (s, r) = bounded(0);
        scope(|scope| {
            let sender = scope.spawn(move || {
                s.send(1).unwrap();
                s.send(2)
            });
            assert_eq!(r.recv(), Ok(1));
            world::settle();
            drop(r);
            assert_eq!(sender.join().unwrap(), Err(SendError(2)));
        });
    });
}

#[test]
fn a_queue_of_many_blocks_ends_in_its_order() {
    world::run(|| {
        let (s, r) = unbounded();
        (0..1000).for_each(|number| s.send(number).unwrap());
        drop(s);
        assert!(r.iter().eq(0..1000));
        assert_eq!(r.recv(), Err(RecvError));
    });
}

/// After libdill: the value that says that a channel is done can be read any number of times.
#[test]
fn the_end_is_there_for_everybody_and_for_ever() {
    world::run(|| {
        for (s, r) in all_kinds::<i32>() {
            drop(s);
            scope(|scope| {
                for _ in 0..5 {
                    scope.spawn(|| (0..50).for_each(|_| assert_eq!(r.recv(), Err(RecvError))));
                }
            });
        }
    });
}
