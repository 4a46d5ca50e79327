//! Sends and receives that are cut: they have consumed nothing, and are passed over.

use super::tools::all_kinds;
use super::tools::assert_cut;
use super::tools::fill;
use super::tools::limited;
use super::tools::raised;
use crate::counted::Ledger;
use crate::elapsed;
use crate::ms;
use crate::panic_of;
use crate::secs;
use giambio::TooSlow;
use giambio::channel::RecvError;
use giambio::channel::SendError;
use giambio::channel::TryRecvError;
use giambio::channel::TrySendError;
use giambio::channel::bounded;
use giambio::channel::dropping;
use giambio::channel::unbounded;
use giambio::pool;
use giambio::shield;
use giambio::skip_after;
use giambio::sleep;
use giambio::task;
use giambio::task::no_switch;
use giambio::task::no_unwind;
use giambio::testing::assert_checkpoint;
use giambio::testing::cancelled_at_every_checkpoint;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::with_timeout;
use giambio::yield_now;
use std::cell::Cell;
use std::time::Duration;

#[test]
fn smoke() {
    run_virtual(|| {
        for (s, r) in all_kinds() {
            pool(|pool| {
                let cut = pool.spawn(|| r.recv());
                settle();
                cut.cancel();
                assert_cut(cut);
                let next = pool.spawn(|| r.recv());
                s.send(7).unwrap();
                assert_eq!(next.join().unwrap(), Ok(7));
            });
        }
    });
}

#[test]
fn a_receiver_that_was_cancelled_takes_nothing_even_before_it_has_run_again() {
    run_virtual(|| {
        for (s, r) in all_kinds() {
            pool(|pool| {
                let cut = pool.spawn(|| r.recv());
                settle();
                cut.cancel();
                // It still stands in the line, and is no peer any more.
                match s.capacity() {
                    Some(0) => assert_eq!(s.try_send(7), Err(TrySendError::Full(7))),
                    _ => s.try_send(7).unwrap(),
                }
                assert_cut(cut);
                if s.capacity() != Some(0) {
                    assert_eq!(r.try_recv(), Ok(7));
                }
                assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
            });
        }
    });
}

#[test]
fn a_receiver_that_was_cancelled_is_passed_over_and_its_message_goes_to_the_next() {
    run_virtual(|| {
        for (s, r) in all_kinds() {
            pool(|pool| {
                let [before, parked, same_step, patient] =
                    [(); 4].map(|()| pool.spawn(|| r.recv()));
                before.cancel();
                settle();
                parked.cancel();
                settle();
                same_step.cancel();
                s.send(7).unwrap();
                assert!(r.is_empty(), "`patient` has it");
                assert_eq!(patient.join().unwrap(), Ok(7));
                [before, parked, same_step].into_iter().for_each(assert_cut);
            });
        }
    });
}

#[test]
fn a_message_that_was_handed_over_before_the_cancellation_is_received() {
    run_virtual(|| {
        for (s, r) in all_kinds() {
            let got = Cell::new(None);
            pool(|pool| {
                let served = pool.spawn(|| {
                    got.set(r.recv().ok());
                    yield_now();
                    unreachable!("a checkpoint has not raised");
                });
                settle();
                s.send(7).unwrap();
                served.cancel();
                assert_cut(served);
            });
            assert_eq!(got.get(), Some(7));
        }
    });
}

#[test]
fn a_receive_of_what_is_there_is_a_checkpoint_and_takes_nothing_when_it_raises() {
    run_virtual(|| {
        let (s, r) = unbounded();
        s.send(7).unwrap();
        pool(|pool| {
            pool.spawn(|| {
                task::current().cancel();
                assert!(raised(|| r.recv()));
                assert!(raised(|| r.recv_timeout(secs(1))));
                assert!(raised(|| r.recv_timeout(Duration::ZERO)));
                assert!(raised(|| r.recv_deadline(giambio::clock())));
                assert!(raised(|| r.iter().next()));
                assert!(raised(|| r.clone().into_iter().next()));
                assert_eq!(r.len(), 1);
                assert_eq!(r.try_recv(), Ok(7), "this is no checkpoint");
            });
        });
    });
}

#[test]
fn a_send_that_has_room_is_a_checkpoint_and_drops_its_message_when_it_raises() {
    run_virtual(|| {
        let ((s, r), ledger) = (unbounded(), Ledger::default());
        pool(|pool| {
            pool.spawn(|| {
                task::current().cancel();
                assert!(raised(|| s.send(ledger.one())));
                assert!(raised(|| s.send_timeout(ledger.one(), secs(1))));
                assert!(raised(|| s.send_deadline(ledger.one(), giambio::clock())));
                ledger.assert_dropped(&[0, 1, 2]);
                assert!(s.try_send(ledger.one()).is_ok(), "this is no checkpoint");
            });
        });
        assert_eq!(r.recv().unwrap().number, 3);
        assert!(r.is_empty());
        ledger.assert_all_dropped();
    });
}

#[test]
fn every_call_that_may_wait_is_a_checkpoint_and_no_other() {
    run_virtual(|| {
        let (s, r) = unbounded();
        assert_checkpoint(|| s.send(1).unwrap());
        assert_checkpoint(|| s.send_timeout(2, secs(1)).unwrap());
        assert_checkpoint(|| r.recv().unwrap());
        assert_checkpoint(|| r.recv_timeout(secs(1)).unwrap());
        assert_checkpoint(|| r.recv_timeout(Duration::ZERO).unwrap_err());
        let none = |f: &dyn Fn()| panic_of(|| assert_checkpoint(f));
        let calls: [&dyn Fn(); 7] = [
            &|| s.try_send(1).unwrap(),
            &|| assert!(r.try_recv().is_ok()),
            &|| assert_eq!(r.try_iter().count(), 0),
            &|| assert_eq!((r.len(), s.len(), r.is_empty(), s.is_full()), (0, 0, true, false)),
            &|| drop((s.clone(), r.clone())),
            &|| drop((bounded::<i32>(1), unbounded::<i32>(), dropping::<i32>(1))),
            &|| assert!(s.close() && !r.close() && s.is_closed()),
        ];
        for call in calls {
            assert!(none(call).contains("no checkpoint was met"));
        }
        assert_checkpoint(|| r.recv().unwrap_err());
        assert_checkpoint(|| s.send(1).unwrap_err());
    });
}

#[test]
fn a_cancelled_send_drops_its_message_and_nobody_sees_it() {
    run_virtual(|| {
        for (s, r) in limited() {
            let (ledger, full) = (Ledger::default(), s.capacity().unwrap());
            ledger.some(full).into_iter().for_each(|message| s.send(message).unwrap());
            pool(|pool| {
                let cut = pool.spawn(|| s.send(ledger.one()));
                settle();
                cut.cancel();
                settle();
                ledger.assert_dropped(&[full]);
                assert_cut(cut);
            });
            assert!(r.try_iter().map(|message| message.number).eq(0..full));
            ledger.assert_all_dropped();
        }
    });
}

#[test]
fn a_sender_that_was_cancelled_sends_nothing_even_before_it_has_run_again() {
    run_virtual(|| {
        for (s, r) in limited() {
            let count = fill(&s);
            pool(|pool| {
                let cut = pool.spawn(|| s.send(99));
                settle();
                cut.cancel();
                assert!(r.try_iter().eq(0..count));
                assert_cut(cut);
            });
            assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
        }
    });
}

#[test]
fn a_sender_that_was_cancelled_is_passed_over() {
    run_virtual(|| {
        for (s, r) in limited() {
            let count = fill(&s);
            pool(|pool| {
                let send = |number| {
                    let s = &s;
                    pool.spawn(move || s.send(number).unwrap())
                };
                let [before, parked, same_step, patient] = [100, 101, 102, 103].map(send);
                before.cancel();
                settle();
                parked.cancel();
                settle();
                same_step.cancel();
                assert!(r.iter().take(count + 1).eq((0..count).chain([103])));
                patient.join().unwrap();
                [before, parked, same_step].into_iter().for_each(assert_cut);
            });
            assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
        }
    });
}

#[test]
fn a_message_that_was_taken_before_the_cancellation_is_sent() {
    run_virtual(|| {
        for (s, r) in limited() {
            let (count, sent) = (fill(&s), Cell::new(false));
            pool(|pool| {
                let sender = pool.spawn(|| {
                    s.send(count).unwrap();
                    sent.set(true);
                    yield_now();
                    unreachable!("a checkpoint has not raised");
                });
                settle();
                assert_eq!(r.try_recv(), Ok(0));
                sender.cancel();
                assert_cut(sender);
            });
            assert!(sent.get());
            assert!(r.try_iter().eq(1..=count));
        }
    });
}

#[test]
fn a_timeout_of_a_scope_cuts_and_leaves_no_trace() {
    run_virtual(|| {
        for (s, r) in all_kinds() {
            let receive = |limit| with_timeout(limit, |_| r.recv());
            for _ in 0..500 {
                assert_eq!(elapsed(|| assert_eq!(receive(secs(2)), Err(TooSlow))), secs(2));
            }
            if s.capacity().is_some() {
                fill(&s);
                let send = |limit| with_timeout(limit, |_| s.send(99));
                for _ in 0..500 {
                    assert_eq!(elapsed(|| assert_eq!(send(secs(2)), Err(TooSlow))), secs(2));
                }
                assert!(r.try_iter().eq(0..s.capacity().unwrap()));
            }
            pool(|pool| {
                pool.spawn(|| s.send(7).unwrap());
                assert_eq!(receive(secs(2)), Ok(Ok(7)));
            });
        }
    });
}

#[test]
fn of_two_deadlines_the_scopes_cuts_and_the_calls_is_an_error() {
    run_virtual(|| {
        let (_s, r) = bounded::<i32>(0);
        let receive = |scope, call| with_timeout(scope, |_| r.recv_timeout(call).is_err());
        let took = elapsed(|| assert_eq!(receive(secs(1), secs(2)), Err(TooSlow)));
        assert_eq!(took, secs(1));
        let took = elapsed(|| assert_eq!(receive(secs(2), secs(1)), Ok(true)));
        assert_eq!(took, secs(1));
    });
}

#[test]
fn a_shielded_receive_is_not_cut() {
    run_virtual(|| {
        let (s, r) = bounded(0);
        pool(|pool| {
            pool.spawn(|| {
                sleep(secs(5));
                s.send(7).unwrap();
            });
            let took = elapsed(|| {
                let cut = skip_after(secs(1), |_| {
                    assert_eq!(shield(|| r.recv()), Ok(7));
                    yield_now();
                });
                assert!(cut.is_none());
            });
            assert_eq!(took, secs(5));
        });
    });
}

#[test]
fn a_loop_of_sends_and_receives_does_not_starve_the_others() {
    giambio::run(|| {
        let (s, r) = unbounded();
        pool(|pool| {
            let other = pool.spawn(|| ());
            while !other.is_finished() {
                s.send(()).unwrap();
                r.recv().unwrap();
            }
            let other = pool.spawn(|| ());
            while !other.is_finished() {
                s.send(()).unwrap();
            }
        });
    });
}

#[test]
fn inside_of_no_switch_what_can_be_done_at_once_is_done() {
    run_virtual(|| {
        let (s, r) = bounded(1);
        no_switch(|| {
            s.send(1).unwrap();
            assert_eq!(r.recv(), Ok(1));
        });
        let text = panic_of(|| no_switch(|| r.recv()));
        assert!(text.contains("`recv` would switch"), "{text}");
        s.send(2).unwrap();
        let text = panic_of(|| no_switch(|| s.send(3)));
        assert!(text.contains("`send` would switch"), "{text}");
        assert!(r.try_iter().eq([2]));
        // Nothing of them is left in a line.
        s.send(4).unwrap();
        assert_eq!(r.recv(), Ok(4));
        let (s, _r) = bounded(0);
        assert_eq!(s.try_send(5), Err(TrySendError::Full(5)));
    });
}

#[test]
fn where_nothing_may_unwind_a_cancelled_call_makes_one_attempt() {
    run_virtual(|| {
        pool(|pool| {
            pool.spawn(|| {
                task::current().cancel();
                no_unwind(|| {
                    let (s, r) = bounded(1);
                    s.send(1).unwrap();
                    assert_eq!(s.send(2), Err(SendError(2)));
                    assert_eq!(r.recv(), Ok(1));
                    assert_eq!(r.recv(), Err(RecvError));
                    assert!(r.recv_timeout(secs(1)).unwrap_err().is_disconnected());
                    assert_eq!(r.iter().next(), None);
                    assert!(!s.is_closed());
                });
                assert!(raised(yield_now));
            });
        });
    });
}

#[test]
fn where_nothing_may_unwind_a_wait_that_is_cancelled_says_so() {
    run_virtual(|| {
        for (s, r) in limited() {
            let count = fill(&s);
            pool(|pool| {
                let sends = pool.spawn(|| {
                    assert_eq!(no_unwind(|| s.send(99)), Err(SendError(99)));
                    assert!(raised(yield_now));
                });
                settle();
                sends.cancel();
                sends.join().unwrap();
                assert!(r.try_iter().eq(0..count));
                let receives = pool.spawn(|| {
                    assert_eq!(no_unwind(|| r.recv()), Err(RecvError));
                    assert!(raised(yield_now));
                });
                settle();
                receives.cancel();
                receives.join().unwrap();
            });
            assert!(!s.is_closed() && !r.is_closed());
        }
    });
}

#[test]
fn a_conversation_that_is_cut_anywhere_loses_no_message() {
    run_virtual(|| {
        for (s, r) in all_kinds() {
            let ledger = Ledger::default();
            let checkpoints = cancelled_at_every_checkpoint(|cut| {
                let received = Cell::new(0);
                let done = cut.run(|| {
                    pool(|pool| {
                        pool.spawn(|| (0..4).for_each(|_| drop(s.send(ledger.one()))));
                        (0..4).for_each(|_| {
                            drop(r.recv().unwrap());
                            received.set(received.get() + 1);
                        });
                    });
                });
                assert!(done.is_none() || received.get() == 4);
                r.try_iter().for_each(drop);
                ledger.assert_all_dropped();
            });
            assert!(checkpoints >= 8, "{checkpoints}");
        }
    });
}

#[test]
fn a_pool_that_is_cancelled_cuts_all_who_wait() {
    run_virtual(|| {
        for (s, r) in limited() {
            let ledger = Ledger::default();
            giambio::cancellable(|pool| {
                for _ in 0..20 {
                    pool.spawn(|| while s.send(ledger.one()).is_ok() {});
                }
                settle();
                pool.cancel();
            });
            giambio::cancellable(|pool| {
                for _ in 0..20 {
                    pool.spawn(|| while r.recv().is_ok() {});
                }
                settle();
                pool.cancel();
            });
            assert!(r.is_empty());
            ledger.assert_all_dropped();
            assert!(s.try_send(ledger.one()).is_err() || !r.is_empty());
            sleep(ms(1));
        }
    });
}
