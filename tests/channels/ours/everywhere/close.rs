//! `close`: the end of a channel whose sides are still there.

use super::all_kinds;
use super::bounded;
use super::buffers;
use super::channel::Receiver;
use super::channel::RecvError;
use super::channel::RecvTimeoutError;
use super::channel::Select;
use super::channel::SendError;
use super::channel::SendTimeoutError;
use super::channel::Sender;
use super::channel::TryRecvError;
use super::channel::TrySendError;
use super::channel::select;
use super::unbounded;
use super::world;
use super::world::scope;
use crate::counted::Ledger;
use crate::secs;
use giambio::clock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

/// Closes a channel by one of its sides.
type Closes<T> = fn(&Sender<T>, &Receiver<T>) -> bool;

fn by_either_side<T>() -> [Closes<T>; 2] {
    [|s, _| s.close(), |_, r| r.close()]
}

#[test]
fn smoke() {
    world::run(|| {
        let (s, r) = unbounded();
        s.send(1).unwrap();
        assert!(s.close());
        assert_eq!(s.send(2), Err(SendError(2)));
        assert_eq!(r.recv(), Ok(1));
        assert_eq!(r.recv(), Err(RecvError));
    });
}

#[test]
fn it_closes_once_for_all_of_both_sides() {
    world::run(|| {
        for close in by_either_side::<i32>() {
            for (kind, (s, r)) in all_kinds() {
                let (other_s, other_r) = (s.clone(), r.clone());
                assert!(![s.is_closed(), r.is_closed(), other_s.is_closed()].contains(&true));
                assert!(close(&s, &r), "{kind}: it was open");
                assert!(!s.close() && !r.close() && !other_s.close() && !other_r.close(), "{kind}");
                assert!(s.is_closed() && r.is_closed() && other_s.is_closed(), "{kind}");
                assert!(other_r.is_closed() && s.clone().is_closed() && r.clone().is_closed());
            }
        }
    });
}

#[test]
fn what_was_queued_is_received_before_the_end() {
    world::run(|| {
        for close in by_either_side() {
            for (kind, (s, r)) in buffers() {
                let count = s.capacity().unwrap_or(100);
                (0..count).for_each(|number| s.send(number).unwrap());
                close(&s, &r);
                assert_eq!((r.len(), s.len()), (count, count), "{kind}");
                (0..count).for_each(|number| assert_eq!(r.recv(), Ok(number), "{kind}"));
                assert_eq!(r.recv(), Err(RecvError), "{kind}");
            }
        }
    });
}

#[test]
fn what_is_sent_afterwards_comes_back() {
    world::run(|| {
        for close in by_either_side() {
            for (kind, (s, r)) in all_kinds() {
                close(&s, &r);
                assert_eq!(s.send(1), Err(SendError(1)), "{kind}");
                assert_eq!(s.try_send(2), Err(TrySendError::Disconnected(2)), "{kind}");
                let disconnected = Err(SendTimeoutError::Disconnected(3));
                assert_eq!(s.send_timeout(3, secs(1000)), disconnected, "{kind}");
                assert_eq!(s.send_deadline(3, clock()), disconnected, "{kind}");
                select! { send(s, 4) -> back => assert_eq!(back, Err(SendError(4)), "{kind}") }
                assert_eq!(s.len(), 0, "{kind}");
            }
        }
    });
}

#[test]
fn every_way_to_receive_hears_of_it() {
    world::run(|| {
        for close in by_either_side::<i32>() {
            for (kind, (s, r)) in all_kinds() {
                close(&s, &r);
                assert_eq!(r.recv(), Err(RecvError), "{kind}");
                assert_eq!(r.try_recv(), Err(TryRecvError::Disconnected), "{kind}");
                let disconnected = Err(RecvTimeoutError::Disconnected);
                assert_eq!(r.recv_timeout(secs(1000)), disconnected, "{kind}");
                select! { recv(r) -> got => assert_eq!(got, Err(RecvError), "{kind}") }
                let mut choice = Select::new();
                let index = choice.recv(&r);
                assert_eq!(choice.try_ready(), Ok(index), "{kind}");
                assert_eq!((r.iter().next(), r.try_iter().next()), (None, None), "{kind}");
            }
        }
    });
}

#[test]
fn all_receivers_that_wait_are_woken() {
    world::run(|| {
        for close in by_either_side::<i32>() {
            for (_, (s, r)) in all_kinds() {
                let closed = AtomicBool::new(false);
                scope(|scope| {
                    for _ in 0..4 {
                        scope.spawn(|| {
                            assert_eq!(r.recv(), Err(RecvError));
                            assert!(closed.load(Ordering::SeqCst));
                        });
                        scope.spawn(|| assert_eq!(r.iter().count(), 0));
                        scope.spawn(|| select! { recv(r) -> got => assert!(got.is_err()) });
                        scope.spawn(|| {
                            let mut choice = Select::new();
                            choice.recv(&r);
                            choice.ready();
                            assert!(r.is_closed());
                        });
                    }
                    world::settle();
                    closed.store(true, Ordering::SeqCst);
                    assert!(close(&s, &r));
                });
            }
        }
    });
}

#[test]
fn all_senders_that_wait_get_their_messages_back() {
    world::run(|| {
        for close in by_either_side() {
            for capacity in [0, 1, 3] {
                let ((s, r), ledger) = (bounded(capacity), Ledger::default());
                ledger.some(capacity).into_iter().for_each(|message| s.send(message).unwrap());
                scope(|scope| {
                    for _ in 0..4 {
                        let (s, message) = (&s, ledger.one());
                        scope.spawn(move || {
                            let number = message.number;
                            assert_eq!(s.send(message).unwrap_err().0.number, number);
                        });
                        let message = ledger.one();
                        scope.spawn(move || {
                            let number = message.number;
                            let error = s.send_timeout(message, secs(1000)).unwrap_err();
                            assert!(error.is_disconnected());
                            assert_eq!(error.into_inner().number, number);
                        });
                        let ledger = &ledger;
                        scope.spawn(move || {
                            select! { send(s, ledger.one()) -> back => assert!(back.is_err()) }
                        });
                    }
                    world::settle();
                    assert!(close(&s, &r));
                });
                assert_eq!(r.len(), capacity);
                assert!(r.iter().map(|message| message.number).eq(0..capacity));
                ledger.assert_all_dropped();
            }
        }
    });
}

#[test]
fn it_drops_no_message() {
    world::run(|| {
        for close in by_either_side() {
            for (_, (s, r)) in buffers() {
                let ledger = Ledger::default();
                ledger
                    .some(s.capacity().unwrap_or(50))
                    .into_iter()
                    .for_each(|message| s.send(message).unwrap());
                close(&s, &r);
                ledger.assert_dropped(&[]);
                drop(r.recv().unwrap());
                ledger.assert_dropped(&[0]);
                drop((s, r));
                ledger.assert_all_dropped();
            }
        }
    });
}

#[test]
fn a_loop_over_messages_ends_with_it() {
    world::run(|| {
        for (_, (s, r)) in all_kinds() {
            scope(|scope| {
                let sums = scope.spawn(|| r.iter().sum::<i32>());
                world::settle();
                (1..=3).for_each(|number| s.send(number).unwrap());
                until_empty(&r);
                s.close();
                assert_eq!(sums.join().unwrap(), 6);
            });
        }
    });
}

/// Returns when a channel's messages have been taken.
fn until_empty<T>(r: &Receiver<T>) {
    crate::until(|| r.is_empty());
}

#[test]
fn a_channel_without_its_other_side_is_closed() {
    world::run(|| {
        for (kind, (s, r)) in all_kinds::<i32>() {
            let other = r.clone();
            drop(r);
            assert!(!s.is_closed(), "{kind}");
            drop(other);
            assert!(s.is_closed(), "{kind}");
        }
        for (kind, (s, r)) in all_kinds::<i32>() {
            drop(s);
            assert!(r.is_closed(), "{kind}");
        }
    });
}

/// What is queued has nobody left to want it, and goes with the last who could have.
#[test]
fn queued_messages_go_with_the_last_receiver() {
    world::run(|| {
        for (kind, (s, r)) in buffers() {
            let ledger = Ledger::default();
            let count = s.capacity().unwrap_or(50);
            ledger.some(count).into_iter().for_each(|message| s.send(message).unwrap());
            drop(r.clone());
            ledger.assert_dropped(&[]);
            drop(r);
            ledger.assert_all_dropped();
            assert_eq!(s.len(), 0, "{kind}");
        }
    });
}

/// Many close at once, while others send and receive: nothing is lost or there twice.
#[test]
fn of_several_that_close_one_has_done_it() {
    world::run(|| {
        for round in 0..20 {
            for (kind, (s, r)) in all_kinds().into_iter().take(4) {
                let (closers, sent, received) =
                    (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
                scope(|scope| {
                    for _ in 0..2 {
                        scope.spawn(|| {
                            let count = (0..200).take_while(|&n| s.send(n).is_ok()).count();
                            sent.fetch_add(count, Ordering::SeqCst);
                        });
                        scope.spawn(|| {
                            received.fetch_add(r.iter().count(), Ordering::SeqCst);
                        });
                        scope.spawn(|| {
                            (0..round).for_each(|_| giambio::yield_now());
                            closers.fetch_add(usize::from(s.close()), Ordering::SeqCst);
                        });
                    }
                });
                assert_eq!(closers.into_inner(), 1, "{kind}");
                assert_eq!(sent.into_inner(), received.into_inner(), "{kind}");
            }
        }
    });
}
