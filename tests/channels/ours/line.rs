//! The line before a channel: first come, first served, and nobody takes what was handed over.

use super::tools::all_kinds;
use super::tools::assert_cut;
use super::tools::fill;
use super::tools::limited;
use super::tools::named;
use crate::panic_of;
use crate::secs;
use giambio::channel::Select;
use giambio::channel::TryRecvError;
use giambio::channel::TrySendError;
use giambio::channel::bounded;
use giambio::channel::never;
use giambio::channel::select;
use giambio::channel::unbounded;
use giambio::pool;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::yield_now;
use std::cell::RefCell;

#[test]
fn smoke() {
    run_virtual(|| {
        for (s, r) in all_kinds() {
            pool(|pool| {
                let receivers = [(); 5].map(|()| pool.spawn(|| r.recv().unwrap()));
                settle();
                (0..5).for_each(|number| s.send(number).unwrap());
                assert_eq!(receivers.map(|receiver| receiver.join().unwrap()), [0, 1, 2, 3, 4]);
            });
        }
    });
}

#[test]
fn senders_are_let_in_in_the_order_in_which_they_came() {
    run_virtual(|| {
        for (s, r) in limited() {
            let count = fill(&s);
            pool(|pool| {
                for number in count..count + 10 {
                    let s = &s;
                    pool.spawn(move || s.send(number).unwrap());
                }
                settle();
                assert!(r.iter().take(count + 10).eq(0..count + 10));
            });
        }
    });
}

#[test]
fn a_message_that_was_handed_over_cannot_be_taken_by_who_comes_later() {
    run_virtual(|| {
        for (s, r) in all_kinds() {
            pool(|pool| {
                let first = pool.spawn(|| r.recv());
                settle();
                s.send(7).unwrap();
                assert_eq!((r.len(), r.try_recv()), (0, Err(TryRecvError::Empty)));
                select! { recv(r) -> _ => panic!("it was handed over"), default => {} }
                assert_eq!(first.join().unwrap(), Ok(7));
            });
        }
    });
}

#[test]
fn room_that_was_handed_over_cannot_be_taken_by_who_comes_later() {
    run_virtual(|| {
        for (s, r) in limited() {
            let count = fill(&s);
            pool(|pool| {
                let first = pool.spawn(|| s.send(count));
                settle();
                assert_eq!(r.recv(), Ok(0));
                assert_eq!(s.try_send(99), Err(TrySendError::Full(99)));
                select! { send(s, 99) -> _ => panic!("it was handed over"), default => {} }
                assert_eq!(s.len(), count);
                assert_eq!(first.join().unwrap(), Ok(()));
            });
            assert!(r.try_iter().eq(1..=count));
        }
    });
}

#[test]
fn a_message_in_the_buffer_was_there_before_that_of_who_waits() {
    run_virtual(|| {
        for capacity in 1..4 {
            let (s, r) = bounded(capacity);
            pool(|pool| {
                for number in 0..10 {
                    let s = &s;
                    pool.spawn(move || s.send(number).unwrap());
                }
                settle();
                for number in 0..10 {
                    assert_eq!(s.len(), capacity.min(10 - number));
                    assert_eq!(r.try_recv(), Ok(number));
                }
            });
        }
    });
}

/// After trio's `test_channel_fairness`: neither of two that always come back gets two in a row.
#[test]
fn two_receivers_take_turns() {
    run_virtual(|| {
        let ((s, r), order) = (unbounded(), RefCell::new(Vec::new()));
        pool(|pool| {
            for name in ["a", "b"] {
                let (r, order) = (&r, &order);
                pool.spawn(move || r.iter().for_each(|()| order.borrow_mut().push(name)));
            }
            settle();
            for _ in 0..10 {
                s.send(()).unwrap();
                yield_now();
            }
            drop(s);
        });
        assert_eq!(order.take(), ["a", "b"].repeat(5));
    });
}

/// Who meets a receiver that waits need not wait itself, and may come to the line first once more.
#[test]
fn of_two_senders_none_is_kept_waiting() {
    run_virtual(|| {
        for (s, r) in limited() {
            let capacity = s.capacity().unwrap();
            pool(|pool| {
                for name in ["a", "b"] {
                    let s = s.clone();
                    pool.spawn(move || (0..50).for_each(|_| s.send(name).unwrap()));
                }
                drop(s);
                settle();
                let order: Vec<_> = r.iter().take(60).collect();
                let runs = order.chunk_by(|one, next| one == next).map(<[&str]>::len);
                assert!(runs.max().unwrap() <= capacity + 2, "{order:?}");
                assert_eq!(r.iter().count(), 40);
            });
        }
    });
}

#[test]
fn selects_stand_in_the_same_line_as_others() {
    run_virtual(|| {
        let ((s, r), nothing) = (bounded(0), never::<i32>());
        pool(|pool| {
            let plain = || pool.spawn(|| r.recv());
            let select =
                || pool.spawn(|| select! { recv(r) -> got => got, recv(nothing) -> got => got });
            let list = || {
                pool.spawn(|| {
                    let mut choice = Select::new();
                    choice.recv(&r);
                    choice.recv(&nothing);
                    choice.select().recv(&r)
                })
            };
            let receivers = [plain(), select(), list(), select(), plain(), list()];
            settle();
            (0..6).for_each(|number| s.send(number).unwrap());
            for (number, receiver) in (0..).zip(receivers) {
                assert_eq!(receiver.join().unwrap(), Ok(number));
            }
        });
    });
}

#[test]
fn selects_that_send_stand_in_the_same_line_as_others() {
    run_virtual(|| {
        for (s, r) in limited() {
            let count = fill(&s);
            pool(|pool| {
                for number in count..count + 6 {
                    let s = &s;
                    pool.spawn(move || match number % 2 {
                        0 => s.send(number).unwrap(),
                        _ => select! { send(s, number) -> sent => sent.unwrap() },
                    });
                }
                settle();
                let mut got: Vec<_> = r.iter().take(count + 6).collect();
                if r.capacity() != Some(0) {
                    // A select that has got its place makes its message only then, and nobody waits for that:
                    // others may be faster meanwhile, but not one plain send than another.
                    let plain = got.iter().filter(|&&number| number < count || number % 2 == 0);
                    assert!(plain.is_sorted(), "{got:?}");
                    got.sort_unstable();
                }
                assert_eq!(got, Vec::from_iter(0..count + 6));
            });
        }
    });
}

#[test]
fn a_select_that_has_left_a_line_does_not_hold_it_up() {
    run_virtual(|| {
        let ((s, r), (other_s, other_r)) = (bounded(0), bounded(0));
        pool(|pool| {
            let select =
                pool.spawn(|| select! { recv(r) -> got => got, recv(other_r) -> got => got });
            let next = pool.spawn(|| r.recv());
            settle();
            other_s.send(1).unwrap();
            // It has been chosen, and stands in the first line still.
            s.send(2).unwrap();
            assert_eq!((select.join().unwrap(), next.join().unwrap()), (Ok(1), Ok(2)));
        });
    });
}

#[test]
fn a_channel_in_two_arms_is_stood_for_twice_and_served_once() {
    run_virtual(|| {
        let (s, r) = bounded(0);
        pool(|pool| {
            let twice = pool.spawn(|| select! { recv(r) -> got => got, recv(r) -> got => got });
            let next = pool.spawn(|| r.recv());
            settle();
            s.send(1).unwrap();
            s.send(2).unwrap();
            assert_eq!((twice.join().unwrap(), next.join().unwrap()), (Ok(1), Ok(2)));
            assert_eq!(s.try_send(3), Err(TrySendError::Full(3)));
        });
    });
}

#[test]
fn who_only_watches_takes_nobodys_turn() {
    run_virtual(|| {
        for (s, r) in all_kinds() {
            pool(|pool| {
                let watches = pool.spawn(|| {
                    let mut choice = Select::new();
                    choice.recv(&r);
                    choice.ready_timeout(secs(5)).is_ok()
                });
                settle();
                let receives = pool.spawn(|| r.recv());
                settle();
                s.send(7).unwrap();
                assert_eq!(receives.join().unwrap(), Ok(7));
                watches.join().unwrap();
            });
        }
    });
}

#[test]
fn ten_thousand_receivers_are_served_in_their_order() {
    run_virtual(|| {
        let ((s, r), order) = (unbounded(), RefCell::new(Vec::new()));
        pool(|pool| {
            let receivers: Vec<_> = (0..10_000)
                .map(|number| {
                    let (r, order) = (&r, &order);
                    pool.spawn(move || {
                        let got = r.recv().unwrap();
                        order.borrow_mut().push((number, got));
                    })
                })
                .collect();
            settle();
            receivers.iter().step_by(10).for_each(|receiver| receiver.cancel());
            (0..9_000).for_each(|number| s.send(number).unwrap());
            for (number, receiver) in receivers.into_iter().enumerate() {
                if number % 10 == 0 { assert_cut(receiver) } else { receiver.join().unwrap() }
            }
        });
        let expected = (0..10_000).filter(|number| number % 10 > 0).zip(0..9_000);
        assert!(order.take().into_iter().eq(expected));
    });
}

#[test]
fn a_report_says_who_waits_for_what() {
    let report = panic_of(|| {
        run_virtual(|| {
            let ((s, _r), (_s, r)) = (bounded::<i32>(0), bounded::<i32>(0));
            pool(|pool| {
                named(pool, "sends", || s.send(1).unwrap());
                named(pool, "receives", || r.recv().unwrap());
                named(pool, "selects", || {
                    select! { recv(r) -> got => got.unwrap(), recv(never()) -> got => got.unwrap() }
                });
            });
        });
    });
    let line = |name| report.lines().find(|line| line.contains(name)).unwrap();
    assert!(line("'sends'").contains("waits to send a message, for "), "{report}");
    assert!(line("'receives'").contains("waits for a message, for "), "{report}");
    assert!(line("'selects'").contains("waits for the first of several, for "), "{report}");
}

#[test]
fn waits_with_a_timeout_are_no_deadlock() {
    run_virtual(|| {
        let ((_s, r), (other_s, other_r)) = (bounded::<i32>(0), bounded(0));
        pool(|pool| {
            pool.spawn(|| assert!(r.recv_timeout(secs(1)).is_err()));
            pool.spawn(|| assert!(other_s.send_timeout(1, secs(3)).is_ok()));
            giambio::sleep(secs(2));
            assert_eq!(other_r.recv_timeout(secs(3)), Ok(1));
        });
    });
}
