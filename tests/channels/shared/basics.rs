//! What a channel does while both of its sides are there.

use super::Channel;
use super::all_kinds;
use super::buffers;
use super::channel::Receiver;
use super::channel::TryRecvError;
use super::channel::TrySendError;
use super::channel::bounded;
use super::channel::unbounded;
use super::fill;
use super::limited;
use super::world;
use super::world::scope;
use crate::until;
use giambio::yield_now;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

#[test]
fn smoke() {
    world::run(|| {
        for (s, r) in buffers() {
            s.send(7).unwrap();
            assert_eq!(r.recv(), Ok(7));
            s.try_send(8).unwrap();
            assert_eq!(r.try_recv(), Ok(8));
            assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
        }
    });
}

#[test]
fn the_capacity_is_what_was_asked_for() {
    world::run(|| {
        for capacity in [0, 1, 2, 3, 7, 100, 1 << 12] {
            let (s, r) = bounded::<u8>(capacity);
            assert_eq!((s.capacity(), r.capacity()), (Some(capacity), Some(capacity)));
        }
        let (s, r) = unbounded::<u8>();
        assert_eq!((s.capacity(), r.capacity()), (None, None));
    });
}

#[test]
fn a_bounded_channel_takes_exactly_its_capacity() {
    world::run(|| {
        for capacity in [1, 2, 3, 5, 8, 33] {
            let (s, r) = bounded(capacity);
            // Round and round, so that the places are used again.
            for round in 0..3 {
                (0..capacity).for_each(|number| s.try_send(round + number).unwrap());
                assert_eq!(s.try_send(99), Err(TrySendError::Full(99)));
                (0..capacity).for_each(|number| assert_eq!(r.try_recv(), Ok(round + number)));
                assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
            }
        }
    });
}

/// `(len, is_empty, is_full)`, on which both sides agree.
#[track_caller]
fn seen<T>((s, r): &Channel<T>) -> (usize, bool, bool) {
    let by_sender = (s.len(), s.is_empty(), s.is_full());
    assert_eq!(by_sender, (r.len(), r.is_empty(), r.is_full()));
    by_sender
}

#[test]
fn both_sides_see_how_many_messages_there_are() {
    world::run(|| {
        let channel = bounded(2);
        assert_eq!(seen(&channel), (0, true, false));
        channel.0.send(()).unwrap();
        assert_eq!(seen(&channel), (1, false, false));
        channel.0.send(()).unwrap();
        assert_eq!(seen(&channel), (2, false, true));
        assert!(channel.0.try_send(()).is_err());
        assert_eq!(seen(&channel), (2, false, true));
        channel.1.recv().unwrap();
        assert_eq!(seen(&channel), (1, false, false));
        let channel = unbounded();
        for count in 0..200 {
            assert_eq!(seen(&channel), (count, count == 0, false));
            channel.0.send(()).unwrap();
        }
        channel.1.recv().unwrap();
        assert_eq!(seen(&channel), (199, false, false));
    });
}

#[test]
fn a_rendezvous_is_always_empty_and_full() {
    world::run(|| {
        let channel = bounded(0);
        assert_eq!(seen(&channel), (0, true, true));
        scope(|scope| {
            scope.spawn(|| channel.0.send(0).unwrap());
            world::settle();
            assert_eq!(seen(&channel), (0, true, true), "a sender that waits is no message");
            assert_eq!(channel.1.recv(), Ok(0));
            assert_eq!(seen(&channel), (0, true, true));
        });
    });
}

#[test]
fn what_cannot_be_sent_at_once_comes_back() {
    world::run(|| {
        for (s, r) in limited() {
            let count = fill(&s);
            assert_eq!(s.try_send(77), Err(TrySendError::Full(77)));
            assert_eq!(s.len(), count);
            (0..count).for_each(|number| assert_eq!(r.recv(), Ok(number)));
            assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
        }
    });
}

#[test]
fn a_receiver_waits_for_a_message() {
    world::run(|| {
        for (s, r) in all_kinds() {
            let sent = AtomicBool::new(false);
            scope(|scope| {
                scope.spawn(|| {
                    assert_eq!(r.recv(), Ok(7));
                    assert!(sent.load(Ordering::SeqCst));
                });
                world::settle();
                sent.store(true, Ordering::SeqCst);
                s.send(7).unwrap();
            });
            assert!(r.is_empty());
        }
    });
}

#[test]
fn a_sender_waits_for_room() {
    world::run(|| {
        for (s, r) in limited() {
            let (count, taken) = (fill(&s), AtomicBool::new(false));
            scope(|scope| {
                scope.spawn(|| {
                    s.send(count).unwrap();
                    assert!(taken.load(Ordering::SeqCst));
                });
                world::settle();
                taken.store(true, Ordering::SeqCst);
                (0..=count).for_each(|number| assert_eq!(r.recv(), Ok(number)));
            });
        }
    });
}

#[test]
fn a_rendezvous_ends_for_the_sender_when_the_receiver_has_come() {
    world::run(|| {
        let ((s, r), came) = (bounded(0), AtomicUsize::new(0));
        scope(|scope| {
            scope.spawn(|| {
                for number in 1..=100 {
                    s.send(number).unwrap();
                    assert!(came.load(Ordering::SeqCst) >= number);
                }
            });
            for number in 1..=100 {
                came.store(number, Ordering::SeqCst);
                assert_eq!(r.recv(), Ok(number));
            }
        });
    });
}

#[test]
fn a_try_send_meets_a_receiver_that_waits() {
    world::run(|| {
        let (s, r) = bounded(0);
        assert_eq!(s.try_send(1), Err(TrySendError::Full(1)));
        scope(|scope| {
            let receiver = scope.spawn(|| r.recv());
            until(|| s.try_send(2).is_ok());
            assert_eq!(receiver.join().unwrap(), Ok(2));
        });
        assert_eq!(s.try_send(3), Err(TrySendError::Full(3)));
    });
}

#[test]
fn a_try_recv_meets_a_sender_that_waits() {
    world::run(|| {
        for (s, r) in limited() {
            let count = fill(&s);
            scope(|scope| {
                let sender = scope.spawn(|| s.send(count));
                for number in 0..=count {
                    until(|| match r.try_recv() {
                        Ok(got) => {
                            assert_eq!(got, number);
                            true
                        }
                        Err(error) => {
                            assert_eq!(error, TryRecvError::Empty);
                            false
                        }
                    });
                }
                assert_eq!(sender.join().unwrap(), Ok(()));
            });
            assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
        }
    });
}

#[test]
fn messages_arrive_in_the_order_in_which_they_were_sent() {
    world::run(|| {
        for (s, r) in all_kinds() {
            scope(|scope| {
                scope.spawn(|| (0..3000).for_each(|number| s.send(number).unwrap()));
                (0..3000).for_each(|number| assert_eq!(r.recv(), Ok(number)));
            });
        }
    });
}

#[test]
fn each_senders_messages_keep_their_order_for_each_receiver() {
    const EACH: usize = 400;
    world::run(|| {
        for (s, r) in all_kinds() {
            let received = AtomicUsize::new(0);
            scope(|scope| {
                for sender in 0..3 {
                    let s = s.clone();
                    scope.spawn(move || (0..EACH).for_each(|n| s.send((sender, n)).unwrap()));
                }
                drop(s);
                for _ in 0..3 {
                    let (r, received) = (r.clone(), &received);
                    scope.spawn(move || {
                        let mut next = [0; 3];
                        for (sender, number) in r {
                            assert!(number >= next[sender], "{number} after {}", next[sender]);
                            next[sender] = number + 1;
                            received.fetch_add(1, Ordering::SeqCst);
                        }
                    });
                }
            });
            assert_eq!(received.into_inner(), 3 * EACH);
        }
    });
}

#[test]
fn messages_may_be_of_no_size() {
    world::run(|| {
        for (s, r) in buffers() {
            s.send(()).unwrap();
            assert_eq!((r.len(), r.recv()), (1, Ok(())));
        }
        for (s, r) in all_kinds::<[(); 17]>() {
            scope(|scope| {
                scope.spawn(|| (0..100).for_each(|_| s.send([(); 17]).unwrap()));
                (0..100).for_each(|_| assert_eq!(r.recv(), Ok([(); 17])));
            });
            assert!(r.is_empty());
        }
    });
}

/// One that fills pages, each byte of which must arrive.
fn large(seed: u8) -> [u8; 5_000] {
    std::array::from_fn(|index| u8::try_from(index % 251).unwrap() ^ seed)
}

#[test]
fn messages_may_be_large() {
    world::run(|| {
        for (s, r) in all_kinds() {
            scope(|scope| {
                scope.spawn(|| (0..10).for_each(|seed| s.send(large(seed)).unwrap()));
                (0..10).for_each(|seed| assert!(r.recv().unwrap() == large(seed)));
            });
        }
    });
}

#[test]
fn messages_may_be_aligned() {
    #[repr(align(128))]
    struct Aligned(u8);
    world::run(|| {
        for (s, r) in all_kinds() {
            scope(|scope| {
                scope.spawn(|| (0..10).for_each(|number| s.send(Aligned(number)).unwrap()));
                for number in 0..10 {
                    let message = Box::new(r.recv().unwrap());
                    assert_eq!((&raw const *message).addr() % 128, 0);
                    assert_eq!(message.0, number);
                }
            });
        }
    });
}

#[test]
fn messages_may_borrow() {
    world::run(|| {
        let text = String::from("some words that live longer");
        let (s, r) = unbounded();
        text.split(' ').for_each(|word| s.send(word).unwrap());
        drop(s);
        assert_eq!(r.iter().collect::<Vec<_>>().join(" "), text);
    });
}

#[test]
fn messages_of_one_worker_need_not_be_sendable() {
    world::run(|| {
        for (s, r) in buffers() {
            let message = Rc::new(7);
            s.send(Rc::clone(&message)).unwrap();
            assert!(Rc::ptr_eq(&r.recv().unwrap(), &message));
            assert_eq!(Rc::strong_count(&message), 1);
        }
    });
}

#[test]
fn messages_may_be_of_no_static_type() {
    world::run(|| {
        let (s, r) = unbounded::<Box<dyn FnOnce() -> i32 + Send>>();
        scope(|scope| {
            scope.spawn(|| assert_eq!((r.recv().unwrap())() + (r.recv().unwrap())(), 42));
            s.send(Box::new(|| 40)).unwrap();
            s.send(Box::new(|| 2)).unwrap();
        });
    });
}

#[test]
fn channels_go_through_channels() {
    struct Link(Receiver<Link>);
    world::run(|| {
        for capacity in [Some(0), Some(1), Some(2), None] {
            let make = || capacity.map_or_else(unbounded, bounded::<Link>);
            let (mut s, mut r) = make();
            scope(|scope| {
                scope.spawn(move || {
                    for _ in 0..300 {
                        let (next_s, next_r) = make();
                        s.send(Link(next_r)).unwrap();
                        s = next_s;
                    }
                });
                for _ in 0..300 {
                    r = r.recv().unwrap().0;
                }
                assert!(r.recv().is_err());
            });
        }
    });
}

#[test]
fn all_clones_are_of_one_channel() {
    world::run(|| {
        for (s, r) in buffers() {
            let (other_s, other_r) = (s.clone(), r.clone());
            s.send(1).unwrap();
            assert_eq!(other_r.recv(), Ok(1));
            other_s.send(2).unwrap();
            assert_eq!(other_r.len(), 1);
            assert_eq!(r.recv(), Ok(2));
            assert!(other_r.is_empty());
        }
    });
}

#[test]
fn same_channel_tells_channels_apart() {
    world::run(|| {
        let (channels, others) = (all_kinds::<usize>(), all_kinds::<usize>());
        for (index, (s, r)) in channels.iter().enumerate() {
            for (other, (other_s, other_r)) in channels.iter().enumerate() {
                assert_eq!(s.same_channel(&other_s.clone()), index == other);
                assert_eq!(r.same_channel(&other_r.clone()), index == other);
            }
            assert!(others.iter().all(|(other, _)| !s.same_channel(other)));
            assert!(others.iter().all(|(_, other)| !r.same_channel(other)));
        }
    });
}

/// Somebody else's message is not mine: each is received once.
#[test]
fn receivers_share_the_messages() {
    const COUNT: usize = 3000;
    world::run(|| {
        for (s, r) in all_kinds() {
            let counts = [(); COUNT].map(|()| AtomicUsize::new(0));
            scope(|scope| {
                for first in 0..3 {
                    let s = s.clone();
                    scope.spawn(move || (first..COUNT).step_by(3).for_each(|n| s.send(n).unwrap()));
                }
                drop(s);
                for _ in 0..4 {
                    let (r, counts): (Receiver<usize>, _) = (r.clone(), &counts);
                    scope.spawn(move || {
                        while let Ok(number) = r.recv() {
                            counts[number].fetch_add(1, Ordering::SeqCst);
                            if number % 16 == 0 {
                                yield_now();
                            }
                        }
                    });
                }
            });
            assert!(counts.iter().all(|count| count.load(Ordering::SeqCst) == 1));
        }
    });
}
