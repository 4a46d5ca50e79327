//! A message's destructor runs once, whatever becomes of the message.

use super::all_kinds;
use super::buffers;
use super::channel::Select;
use super::channel::TrySendError;
use super::channel::bounded;
use super::channel::select;
use super::channel::unbounded;
use super::limited;
use super::world;
use super::world::scope;
use crate::counted::Counted;
use crate::counted::Ledger;
use crate::ms;
use crate::panic_of;
use giambio::clock;
use giambio::yield_now;
use std::sync::Arc;
use std::sync::Mutex;

#[test]
fn smoke() {
    world::run(|| {
        for (s, r) in buffers() {
            let ledger = Ledger::default();
            s.send(ledger.one()).unwrap();
            ledger.assert_dropped(&[]);
            let message = r.recv().unwrap();
            ledger.assert_dropped(&[]);
            drop(message);
            drop((s, r));
            ledger.assert_all_dropped();
        }
    });
}

#[test]
fn queued_messages_are_dropped_with_the_last_receiver() {
    world::run(|| {
        let (ledger, (s, r)) = (Ledger::default(), unbounded());
        let other = r.clone();
        ledger.some(100).into_iter().for_each(|message| s.send(message).unwrap());
        drop(r);
        ledger.assert_dropped(&[]);
        drop(other);
        ledger.assert_all_dropped();
        assert!(s.is_empty());
        drop(s);
        ledger.assert_all_dropped();
    });
}

/// If not before: crossbeam's bounded channels keep what is queued as long as there are senders.
#[test]
fn queued_messages_are_dropped_with_both_sides() {
    world::run(|| {
        for (s, r) in buffers() {
            let ledger = Ledger::default();
            (0..s.capacity().unwrap_or(100)).for_each(|_| s.send(ledger.one()).unwrap());
            drop((r, s));
            ledger.assert_all_dropped();
        }
    });
}

#[test]
fn queued_messages_outlive_the_last_sender() {
    world::run(|| {
        for (s, r) in buffers() {
            let ledger = Ledger::default();
            (0..s.capacity().unwrap_or(100)).for_each(|_| s.send(ledger.one()).unwrap());
            drop(s);
            ledger.assert_dropped(&[]);
            drop(r);
            ledger.assert_all_dropped();
        }
    });
}

#[test]
fn some_may_be_taken_and_the_rest_left() {
    world::run(|| {
        for taken in 0..40 {
            let (ledger, (s, r)) = (Ledger::default(), unbounded());
            ledger.some(40).into_iter().for_each(|message| s.send(message).unwrap());
            let messages: Vec<_> = r.iter().take(taken).collect();
            drop(r);
            ledger.assert_dropped(&Vec::from_iter(taken..40));
            drop(messages);
            ledger.assert_all_dropped();
        }
    });
}

#[test]
fn a_message_that_comes_back_is_the_senders() {
    world::run(|| {
        for (s, r) in all_kinds() {
            let ledger = Ledger::default();
            drop(r);
            let back = s.send(ledger.one()).unwrap_err().into_inner();
            assert_eq!(back.number, 0);
            let back = s.try_send(back).unwrap_err().into_inner();
            let back = s.send_timeout(back, ms(1)).unwrap_err().into_inner();
            let back = s.send_deadline(back, clock()).unwrap_err().into_inner();
            ledger.assert_dropped(&[]);
            drop(back);
            ledger.assert_all_dropped();
        }
    });
}

#[test]
fn a_message_that_found_no_room_is_the_senders() {
    world::run(|| {
        for (s, r) in limited() {
            let ledger = Ledger::default();
            let full = s.capacity().unwrap();
            ledger.some(full).into_iter().for_each(|message| s.send(message).unwrap());
            let Err(TrySendError::Full(back)) = s.try_send(ledger.one()) else {
                panic!("the channel was not full")
            };
            let back = s.send_timeout(back, ms(2)).unwrap_err().into_inner();
            assert_eq!(back.number, full);
            drop(s.send_deadline(back, clock()));
            ledger.assert_dropped(&[full]);
            drop((s, r));
            ledger.assert_all_dropped();
        }
    });
}

#[test]
fn senders_that_waited_in_vain_get_theirs_back() {
    world::run(|| {
        for (s, r) in limited() {
            let ledger = Ledger::default();
            let full = s.capacity().unwrap();
            ledger.some(full).into_iter().for_each(|message| s.send(message).unwrap());
            scope(|scope| {
                let senders: Vec<_> = (0..4)
                    .map(|_| {
                        let (s, message) = (s.clone(), ledger.one());
                        scope.spawn(move || {
                            let number = message.number;
                            let back = s.send(message).unwrap_err().into_inner();
                            assert_eq!(back.number, number);
                            back
                        })
                    })
                    .collect();
                world::settle();
                drop(r);
                let back = Vec::from_iter(senders.into_iter().map(|sender| sender.join().unwrap()));
                let dropped = ledger.dropped();
                assert!(back.iter().all(|message| !dropped.contains(&message.number)));
                drop((back, s));
            });
            ledger.assert_all_dropped();
        }
    });
}

#[test]
fn a_select_that_chose_another_arm_has_made_no_message() {
    world::run(|| {
        let ledger = Ledger::default();
        let ((s, _r), (other_s, other_r)) = (bounded(0), bounded(1));
        other_s.send(7).unwrap();
        select! {
            send(s, ledger.one()) -> _ => panic!("nobody receives"),
            recv(other_r) -> got => assert_eq!(got, Ok(7)),
        }
        select! {
            send(s, ledger.one()) -> _ => panic!("nobody receives"),
            default(ms(2)) => {}
        }
        assert_eq!(ledger.made(), 0);
    });
}

#[test]
fn a_select_that_sends_to_nobody_gives_the_message_back() {
    world::run(|| {
        for (s, r) in all_kinds() {
            let ledger = Ledger::default();
            drop(r);
            select! {
                send(s, ledger.one()) -> back => assert_eq!(back.unwrap_err().0.number, 0),
            }
            let mut choice = Select::new();
            choice.send(&s);
            drop(choice.select().send(&s, ledger.one()));
            assert_eq!(ledger.made(), 2);
            ledger.assert_all_dropped();
        }
    });
}

#[test]
fn an_iterator_leaves_what_it_has_not_given() {
    world::run(|| {
        for by_value in [false, true] {
            let (ledger, (s, r)) = (Ledger::default(), unbounded());
            ledger.some(5).into_iter().for_each(|message| s.send(message).unwrap());
            if by_value {
                let mut messages = r.clone().into_iter();
                messages.by_ref().take(2).for_each(drop);
                drop(messages);
            } else {
                r.iter().take(1).for_each(drop);
                r.try_iter().take(1).for_each(drop);
            }
            assert_eq!(r.len(), 3);
            ledger.assert_dropped(&[0, 1]);
            drop((s, r));
            ledger.assert_all_dropped();
        }
    });
}

#[test]
fn a_panic_with_messages_queued_loses_none() {
    world::run(|| {
        let ledger = Ledger::default();
        let text = panic_of(|| {
            let (s, _r) = unbounded();
            ledger.some(10).into_iter().for_each(|message| s.send(message).unwrap());
            std::panic::resume_unwind(Box::new("on purpose"));
        });
        assert_eq!(text, "on purpose");
        ledger.assert_all_dropped();
    });
}

#[test]
fn a_destructor_may_use_the_channel_that_carries_it() {
    struct Last(super::channel::Sender<Last>, Arc<Mutex<Vec<&'static str>>>);
    impl Drop for Last {
        fn drop(&mut self) {
            let seen = if self.0.is_empty() { "empty" } else { "not empty" };
            self.1.lock().unwrap().push(seen);
        }
    }
    world::run(|| {
        for (s, r) in buffers() {
            let seen = Arc::new(Mutex::new(Vec::new()));
            s.send(Last(s.clone(), Arc::clone(&seen))).unwrap();
            drop(r.recv().unwrap());
            assert_eq!(*seen.lock().unwrap(), ["empty"]);
        }
    });
}

/// A destructor that panics while the queue is emptied is no excuse to drop its message twice.
#[test]
fn a_destructor_that_panics_runs_once() {
    struct Panics(Counted);
    impl Drop for Panics {
        fn drop(&mut self) {
            if self.0.number == 0 {
                std::panic::resume_unwind(Box::new("on purpose"));
            }
        }
    }
    world::run(|| {
        for (s, r) in [bounded(2), unbounded()] {
            let ledger = Ledger::default();
            s.send(Panics(ledger.one())).unwrap();
            s.send(Panics(ledger.one())).unwrap();
            let text = panic_of(|| drop((s, r)));
            assert_eq!(text, "on purpose");
            // The second may be lost, as with crossbeam's; neither is dropped twice.
            assert!(ledger.dropped().contains(&0));
            ledger.assert_dropped(&ledger.dropped());
        }
    });
}

/// Three send and three receive, and leave at some time.
#[test]
fn in_a_crowd_that_leaves_each_is_dropped_once() {
    world::run(|| {
        for round in 1..20 {
            for (s, r) in all_kinds() {
                let ledger = Ledger::default();
                scope(|scope| {
                    for sender in 1..4 {
                        let (s, ledger) = (s.clone(), &ledger);
                        scope.spawn(move || {
                            for turn in 0..60 {
                                if s.send(ledger.one()).is_err() {
                                    return;
                                }
                                if turn % sender == 0 {
                                    drop(s.try_send(ledger.one()));
                                    yield_now();
                                }
                            }
                        });
                        let r = r.clone();
                        scope.spawn(move || r.iter().take(round * sender).for_each(drop));
                    }
                    drop((s, r));
                });
                ledger.assert_all_dropped();
            }
        }
    });
}
