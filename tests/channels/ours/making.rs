//! Between the choice of a `select` and its message: the code that makes the message runs, and may wait,
//! fail, be cut, or use the channel.

use super::tools::Passing;
use super::tools::assert_cut;
use super::tools::both;
use super::tools::fill;
use super::tools::limited;
use super::tools::raised;
use crate::counted::Ledger;
use crate::elapsed;
use crate::panic_of;
use crate::secs;
use giambio::channel::RecvError;
use giambio::channel::RecvTimeoutError;
use giambio::channel::Select;
use giambio::channel::Sender;
use giambio::channel::TryRecvError;
use giambio::channel::bounded;
use giambio::channel::select;
use giambio::channel::unbounded;
use giambio::pool;
use giambio::sleep;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use std::cell::Cell;

#[test]
fn smoke() {
    run_virtual(|| {
        let (s, r) = bounded(0);
        pool(|pool| {
            let receives = pool.spawn(|| r.recv());
            settle();
            select! { send(s, { sleep(secs(1)); 7 }) -> sent => assert_eq!(sent, Ok(())) }
            assert_eq!(receives.join().unwrap(), Ok(7));
        });
    });
}

#[test]
fn it_may_wait_and_both_sides_wait_for_it() {
    run_virtual(|| {
        for (s, r) in limited() {
            for sender_comes_first in [false, true] {
                pool(|pool| {
                    let slow = || select! { send(s, { sleep(secs(1)); 7 }) -> sent => sent };
                    if sender_comes_first {
                        let sends = pool.spawn(slow);
                        settle();
                        assert_eq!(r.recv(), Ok(7));
                        assert_eq!(sends.join().unwrap(), Ok(()));
                    } else {
                        let receives = pool.spawn(|| r.recv());
                        settle();
                        assert_eq!(slow(), Ok(()));
                        assert_eq!(receives.join().unwrap(), Ok(7));
                    }
                });
                assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
            }
        }
    });
}

/// The receiver was promised a message, and waits for another when nothing comes of that.
#[test]
fn if_it_panics_the_receiver_goes_on_waiting() {
    run_virtual(|| {
        for (s, r) in limited() {
            pool(|pool| {
                let receives = pool.spawn(|| r.recv());
                settle();
                let fail = || -> i32 { std::panic::resume_unwind(Box::new("on purpose")) };
                let text = panic_of(|| select! { send(s, fail()) -> _ => panic!("it was sent") });
                assert_eq!(text, "on purpose");
                settle();
                assert!(!receives.is_finished());
                s.send(7).unwrap();
                assert_eq!(receives.join().unwrap(), Ok(7));
            });
            assert!(r.is_empty());
        }
    });
}

#[test]
fn if_it_panics_its_place_is_free_again() {
    run_virtual(|| {
        for (s, r) in limited().into_iter().skip(1) {
            let count = fill(&s);
            r.recv().unwrap();
            let fail = || -> usize { std::panic::resume_unwind(Box::new("on purpose")) };
            for _ in 0..5 {
                panic_of(|| select! { send(s, fail()) -> _ => panic!("it was sent") });
            }
            s.try_send(count).unwrap();
            assert!(r.try_iter().eq(1..=count));
        }
    });
}

#[test]
fn if_it_panics_its_place_goes_to_who_waits_for_one() {
    run_virtual(|| {
        let (s, r) = bounded(1);
        pool(|pool| {
            let fails = pool.spawn(|| {
                panic_of(|| {
                    let slow = || -> i32 {
                        sleep(secs(1));
                        std::panic::resume_unwind(Box::new("on purpose"))
                    };
                    select! { send(s, slow()) -> _ => panic!("it was sent") }
                })
            });
            settle();
            let next = pool.spawn(|| s.send(7));
            settle();
            assert!(!next.is_finished(), "the place is taken");
            assert_eq!(fails.join().unwrap(), "on purpose");
            assert_eq!(next.join().unwrap(), Ok(()));
            assert_eq!(r.recv(), Ok(7));
        });
    });
}

#[test]
fn a_place_that_comes_back_is_seen_by_who_waits_for_one_to_be_ready() {
    run_virtual(|| {
        let (s, _r) = bounded(1);
        pool(|pool| {
            let fails = pool.spawn(|| {
                panic_of(|| {
                    let slow = || -> i32 {
                        sleep(secs(1));
                        std::panic::resume_unwind(Box::new("on purpose"))
                    };
                    select! { send(s, slow()) -> _ => panic!("it was sent") }
                })
            });
            settle();
            let watches = pool.spawn(|| {
                let mut choice = Select::new();
                choice.send(&s);
                elapsed(|| assert!(choice.ready_timeout(secs(100)).is_ok()))
            });
            assert_eq!(fails.join().unwrap(), "on purpose");
            assert_eq!(watches.join().unwrap(), secs(1), "nobody has told it of the place");
        });
    });
}

#[test]
fn if_it_is_cut_the_receiver_goes_on_waiting() {
    run_virtual(|| {
        for (s, r) in limited() {
            let ledger = Ledger::default();
            let slow = || {
                let message = ledger.one();
                sleep(secs(1));
                message
            };
            pool(|pool| {
                let receives = pool.spawn(|| r.recv());
                settle();
                let cut = pool.spawn(|| select! { send(s, slow()) -> sent => sent.is_ok() });
                settle();
                cut.cancel();
                assert_cut(cut);
                settle();
                assert!(!receives.is_finished());
                ledger.assert_dropped(&[0]);
                s.send(ledger.one()).unwrap();
                assert_eq!(receives.join().unwrap().unwrap().number, 1);
            });
            ledger.assert_all_dropped();
        }
    });
}

/// It has asked for the message, which is made for it alone.
#[test]
fn a_receiver_that_has_asked_for_a_message_gets_it_even_if_it_is_cancelled_or_out_of_time() {
    run_virtual(|| {
        let ((s, r), ledger, got) = (bounded(0), Ledger::default(), Cell::new(false));
        let slow = || {
            sleep(secs(2));
            ledger.one()
        };
        pool(|pool| {
            let sends = pool.spawn(|| select! { send(s, slow()) -> sent => sent.is_ok() });
            settle();
            let cut = pool.spawn(|| {
                got.set(r.recv().is_ok());
                giambio::yield_now();
                unreachable!("a checkpoint has not raised");
            });
            settle();
            cut.cancel();
            assert!(sends.join().unwrap());
            assert_cut(cut);
            assert!(got.get());
            let sends = pool.spawn(|| select! { send(s, slow()) -> sent => sent.is_ok() });
            settle();
            let received = r.recv_timeout(secs(1)).is_ok();
            assert_eq!(sends.join().unwrap(), received);
        });
        ledger.assert_all_dropped();
    });
}

/// What was promised comes; a receiver that is cut or out of time meanwhile says so only if it does not.
#[test]
fn a_receiver_that_was_promised_a_message_gets_it_or_leaves_it() {
    run_virtual(|| {
        for (s, r) in limited() {
            let (ledger, got) = (Ledger::default(), Cell::new(false));
            let slow = || {
                sleep(secs(1));
                ledger.one()
            };
            pool(|pool| {
                let cut = pool.spawn(|| {
                    drop(r.recv().unwrap());
                    got.set(true);
                    giambio::yield_now();
                });
                settle();
                let sends = pool.spawn(|| select! { send(s, slow()) -> sent => sent.is_ok() });
                settle();
                cut.cancel();
                // If it does not wait any more, another may come for the message.
                let next = pool.spawn(|| r.recv_timeout(secs(10)).is_ok());
                assert!(sends.join().unwrap());
                assert_cut(cut);
                assert_ne!(got.get(), next.join().unwrap(), "one of them has it");
            });
            assert_eq!(ledger.made(), 1);
            ledger.assert_all_dropped();
        }
    });
}

#[test]
fn a_receivers_timeout_during_it_loses_no_message() {
    run_virtual(|| {
        for (s, r) in limited() {
            pool(|pool| {
                let receives = pool.spawn(|| r.recv_timeout(secs(1)));
                settle();
                select! { send(s, { sleep(secs(5)); 7 }) -> sent => sent.unwrap(), default(secs(9)) => {} }
                match receives.join().unwrap() {
                    Ok(got) => assert_eq!(got, 7),
                    Err(error) => {
                        assert_eq!(error, RecvTimeoutError::Timeout);
                        assert_eq!(r.try_recv(), Ok(7));
                    }
                }
                assert!(r.is_empty());
            });
        }
    });
}

#[test]
fn the_channel_may_be_closed_during_it() {
    run_virtual(|| {
        for (s, r) in limited() {
            let ledger = Ledger::default();
            let slow = || {
                sleep(secs(1));
                ledger.one()
            };
            pool(|pool| {
                let receives = pool.spawn(|| r.recv());
                settle();
                let sends = pool.spawn(|| select! { send(s, slow()) -> sent => sent });
                settle();
                s.close();
                let (sent, got) = (sends.join().unwrap(), receives.join().unwrap());
                assert_eq!(sent.is_ok(), got.is_ok(), "it has arrived or come back");
                assert_eq!(r.try_recv().map(drop), Err(TryRecvError::Disconnected));
            });
            ledger.assert_all_dropped();
        }
    });
}

#[test]
fn the_last_receiver_may_go_during_it() {
    run_virtual(|| {
        for (s, r) in limited().into_iter().skip(1) {
            let ledger = Ledger::default();
            let slow = || {
                sleep(secs(1));
                ledger.one()
            };
            pool(|pool| {
                let sends = pool.spawn(|| select! { send(s, slow()) -> sent => sent.is_err() });
                settle();
                drop(r);
                assert!(sends.join().unwrap(), "nobody can receive it");
            });
            ledger.assert_all_dropped();
        }
    });
}

#[test]
fn it_may_send_and_receive_on_the_same_channel() {
    run_virtual(|| {
        let (s, r) = bounded(3);
        select! {
            send(s, { s.send(1).unwrap(); s.send(2).unwrap(); r.recv().unwrap() + 10 }) -> sent => {
                sent.unwrap();
            }
        }
        let mut rest: Vec<_> = r.try_iter().collect();
        rest.sort_unstable();
        assert_eq!(rest, [2, 11]);
        // A meeting within a meeting, with another pair.
        let (s, r) = bounded(0);
        pool(|pool| {
            let receivers = [(); 2].map(|()| pool.spawn(|| r.recv().unwrap()));
            settle();
            select! { send(s, { s.send(1).unwrap(); 2 }) -> sent => sent.unwrap() }
            let mut got = receivers.map(|receiver| receiver.join().unwrap());
            got.sort_unstable();
            assert_eq!(got, [1, 2]);
        });
    });
}

#[test]
fn a_selected_operation_that_is_dropped_leaves_the_channel_whole() {
    run_virtual(|| {
        for (s, r) in limited() {
            pool(|pool| {
                let receives = pool.spawn(|| r.recv());
                settle();
                let mut choice = Select::new();
                choice.send(&s);
                let text = panic_of(|| drop(choice.select()));
                assert_eq!(text, "dropped `SelectedOperation` without completing the operation");
                s.send(7).unwrap();
                assert_eq!(receives.join().unwrap(), Ok(7));
            });
        }
        let (s, r) = unbounded();
        (0..3).for_each(|number| s.send(number).unwrap());
        let mut choice = Select::new();
        choice.recv(&r);
        panic_of(|| drop(choice.select()));
        let left = r.try_iter().collect::<Vec<i32>>();
        assert!(left.ends_with(&[1, 2]), "{left:?}");
    });
}

#[test]
fn an_operation_is_completed_with_the_handle_that_was_selected() {
    run_virtual(|| {
        let ((s, r), (other_s, other_r)) = (bounded(1), bounded(1));
        let mut choice = Select::new();
        choice.send(&s);
        let chosen = choice.select();
        let text = panic_of(|| chosen.send(&other_s, 7));
        assert_eq!(text, "passed a sender that wasn't selected");
        s.send(1).unwrap();
        let mut choice = Select::new();
        choice.recv(&r);
        let chosen = choice.select();
        let text = panic_of(|| chosen.recv(&other_r));
        assert_eq!(text, "passed a receiver that wasn't selected");
        assert!(other_r.is_empty());
        r.try_iter().for_each(drop);
        s.try_send(2).unwrap();
        assert_eq!(r.try_recv(), Ok(2));
    });
}

#[test]
fn both_sides_may_be_selects() {
    run_virtual(|| {
        let ((s, r), (_other_s, other_r)) = (bounded(0), bounded::<i32>(0));
        for sender_comes_first in [false, true] {
            pool(|pool| {
                let sends = || {
                    select! {
                        send(s, { sleep(secs(1)); 7 }) -> sent => sent.unwrap(),
                        recv(other_r) -> _ => panic!("nobody sends"),
                    }
                };
                let receives = || {
                    select! {
                        recv(other_r) -> _ => panic!("nobody sends"),
                        recv(r) -> got => assert_eq!(got, Ok(7)),
                    }
                };
                if sender_comes_first {
                    pool.spawn(sends);
                    settle();
                    pool.spawn(receives);
                } else {
                    pool.spawn(receives);
                    settle();
                    pool.spawn(sends);
                }
            });
        }
    });
}

/// A select that waits to send is asked for its message by who does not wait.
#[test]
fn a_try_recv_meets_a_select_that_waits_to_send() {
    run_virtual(|| {
        let (s, r) = bounded(0);
        pool(|pool| {
            let sends = pool.spawn(|| select! { send(s, 7) -> sent => sent });
            settle();
            assert_eq!(r.try_recv(), Ok(7));
            assert_eq!(sends.join().unwrap(), Ok(()));
            let sends = pool.spawn(|| select! { send(s, 8) -> sent => sent });
            settle();
            assert_eq!(r.recv_timeout(std::time::Duration::ZERO), Ok(8));
            assert_eq!(sends.join().unwrap(), Ok(()));
        });
    });
}

#[test]
fn it_is_made_while_the_task_unwinds() {
    both(|passing: Passing| {
        let (s, r) = bounded(1);
        let sent = super::tools::in_destructor(passing, || {
            select! { send(s, 7) -> sent => sent, default => panic!("there is room") }
        });
        assert_eq!((sent, r.try_recv()), (Ok(()), Ok(7)));
    });
}

#[test]
fn a_cancellation_that_waits_is_raised_where_it_is_made() {
    run_virtual(|| {
        let (s, r) = bounded(1);
        pool(|pool| {
            pool.spawn(|| {
                let made = |s: &Sender<i32>| {
                    giambio::task::current().cancel();
                    assert_eq!(s.len(), 0);
                    giambio::yield_now();
                    7
                };
                assert!(raised(|| select! { send(s, made(&s)) -> _ => panic!("it was sent") }));
                s.try_send(1).unwrap();
            });
        });
        drop(s);
        assert_eq!((r.recv(), r.recv()), (Ok(1), Err(RecvError)));
    });
}
