//! Selects that are cut: they have consumed nothing on any arm.

use super::tools::assert_cut;
use super::tools::raised;
use crate::counted::Ledger;
use crate::elapsed;
use crate::panic_of;
use crate::secs;
use giambio::TooSlow;
use giambio::channel::Receiver;
use giambio::channel::RecvError;
use giambio::channel::Select;
use giambio::channel::Sender;
use giambio::channel::TryRecvError;
use giambio::channel::TrySendError;
use giambio::channel::after;
use giambio::channel::bounded;
use giambio::channel::select;
use giambio::channel::unbounded;
use giambio::pool;
use giambio::task;
use giambio::task::no_switch;
use giambio::testing::assert_checkpoint;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::with_timeout;
use giambio::yield_now;
use std::cell::Cell;

/// Channels on which neither a send nor a receive can be done.
struct Stuck {
    meeting: (Sender<i32>, Receiver<i32>),
    full: (Sender<i32>, Receiver<i32>),
    empty: (Sender<i32>, Receiver<i32>),
    unlimited: (Sender<i32>, Receiver<i32>),
}

impl Stuck {
    fn new() -> Self {
        let full = bounded(1);
        full.0.send(0).unwrap();
        Self { meeting: bounded(0), full, empty: bounded(1), unlimited: unbounded() }
    }

    /// Waits for all of them.
    fn select(&self) -> i32 {
        select! {
            send(self.meeting.0, 1) -> sent => sent.map(|()| 1).unwrap(),
            recv(self.meeting.1) -> got => got.unwrap(),
            send(self.full.0, 3) -> sent => sent.map(|()| 3).unwrap(),
            recv(self.empty.1) -> got => got.unwrap(),
            recv(self.unlimited.1) -> got => got.unwrap(),
            recv(after(secs(1000))) -> _ => panic!("it has waited too long"),
        }
    }

    /// Nobody waits on any of them, and all are as they were.
    #[track_caller]
    fn assert_untouched(&self) {
        assert_eq!(self.meeting.0.try_send(9), Err(TrySendError::Full(9)));
        assert_eq!(self.meeting.1.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(self.full.1.try_iter().collect::<Vec<_>>(), [0]);
        self.full.0.send(0).unwrap();
        for (s, r) in [&self.empty, &self.unlimited] {
            assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
            s.send(5).unwrap();
            assert_eq!(r.len(), 1, "nobody has taken it");
            assert_eq!(r.recv(), Ok(5));
        }
    }
}

#[test]
fn smoke() {
    run_virtual(|| {
        let stuck = Stuck::new();
        pool(|pool| {
            let cut = pool.spawn(|| stuck.select());
            settle();
            cut.cancel();
            assert_cut(cut);
        });
        stuck.assert_untouched();
    });
}

#[test]
fn one_that_was_cancelled_is_no_peer_even_before_it_has_run_again() {
    run_virtual(|| {
        let stuck = Stuck::new();
        pool(|pool| {
            let cut = pool.spawn(|| stuck.select());
            settle();
            cut.cancel();
            stuck.assert_untouched();
            assert_cut(cut);
        });
        stuck.assert_untouched();
    });
}

#[test]
fn one_that_was_chosen_before_the_cancellation_is_done() {
    run_virtual(|| {
        type Completes = fn(&Stuck);
        let by_arms: [(i32, Completes); 4] = [
            (2, |stuck| stuck.meeting.0.send(2).unwrap()),
            (3, |stuck| assert_eq!(stuck.full.1.recv(), Ok(0))),
            (4, |stuck| stuck.empty.0.send(4).unwrap()),
            (5, |stuck| stuck.unlimited.0.send(5).unwrap()),
        ];
        for (expected, complete) in by_arms {
            let (stuck, chosen) = (Stuck::new(), Cell::new(0));
            pool(|pool| {
                let selects = pool.spawn(|| {
                    chosen.set(stuck.select());
                    yield_now();
                    unreachable!("a checkpoint has not raised");
                });
                settle();
                complete(&stuck);
                selects.cancel();
                assert_cut(selects);
            });
            assert_eq!(chosen.get(), expected);
            if expected == 3 {
                assert_eq!(stuck.full.1.recv(), Ok(3));
                stuck.full.0.send(0).unwrap();
            }
            stuck.assert_untouched();
        }
    });
}

/// A receiver waits for the message that only the select can make.
#[test]
fn one_that_was_asked_for_its_message_before_the_cancellation_makes_it() {
    run_virtual(|| {
        let (stuck, chosen) = (Stuck::new(), Cell::new(0));
        pool(|pool| {
            let selects = pool.spawn(|| {
                chosen.set(stuck.select());
                yield_now();
                unreachable!("a checkpoint has not raised");
            });
            settle();
            let receives = pool.spawn(|| stuck.meeting.1.recv());
            yield_now();
            selects.cancel();
            assert_eq!(receives.join().unwrap(), Ok(1));
            assert_cut(selects);
        });
        assert_eq!(chosen.get(), 1);
        stuck.assert_untouched();
    });
}

#[test]
fn one_that_is_ready_is_a_checkpoint_and_takes_nothing_when_it_raises() {
    run_virtual(|| {
        let ((s, r), (other_s, other_r)) = (bounded(1), bounded(1));
        s.send(7).unwrap();
        let made = Cell::new(0);
        pool(|pool| {
            pool.spawn(|| {
                task::current().cancel();
                assert!(raised(|| {
                    select! {
                        recv(r) -> _ => panic!("it has taken something"),
                        send(other_s, made.set(1)) -> _ => panic!("it has sent something"),
                    }
                }));
                assert!(raised(|| {
                    let mut choice = Select::new();
                    choice.recv(&r);
                    choice.select().recv(&r)
                }));
                assert!(raised(|| {
                    let mut choice = Select::new();
                    choice.recv(&r);
                    choice.ready()
                }));
            });
        });
        assert_eq!(
            (r.try_recv(), other_r.try_recv(), made.get()),
            (Ok(7), Err(TryRecvError::Empty), 0)
        );
    });
}

#[test]
fn every_select_that_may_wait_is_a_checkpoint() {
    run_virtual(|| {
        let (s, r) = bounded(1);
        assert_checkpoint(|| select! { send(s, 1) -> sent => sent.unwrap() });
        assert_checkpoint(|| select! { recv(r) -> got => assert_eq!(got, Ok(1)) });
        assert_checkpoint(|| {
            select! { recv(r) -> _ => panic!("it is empty"), default(secs(1)) => {} }
        });
        assert_checkpoint(|| {
            let mut choice = Select::new();
            choice.send(&s);
            choice.select().send(&s, 2).unwrap();
        });
        assert_checkpoint(|| {
            let mut choice = Select::new();
            choice.recv(&r);
            choice.ready()
        });
    });
}

#[test]
fn a_timeout_of_a_scope_cuts_and_leaves_no_trace() {
    run_virtual(|| {
        let stuck = Stuck::new();
        for _ in 0..300 {
            let select = || with_timeout(secs(2), |_| stuck.select());
            assert_eq!(elapsed(|| assert_eq!(select(), Err(TooSlow))), secs(2));
        }
        stuck.assert_untouched();
    });
}

#[test]
fn a_message_goes_to_the_next_if_the_select_before_was_cut() {
    run_virtual(|| {
        let ((s, r), (_other_s, other_r)) = (bounded(0), bounded::<i32>(0));
        pool(|pool| {
            let [cut, next] = [(); 2].map(|()| {
                pool.spawn(|| select! { recv(other_r) -> got => got, recv(r) -> got => got })
            });
            let last = pool.spawn(|| r.recv());
            settle();
            cut.cancel();
            s.send(1).unwrap();
            s.send(2).unwrap();
            assert_eq!((next.join().unwrap(), last.join().unwrap()), (Ok(1), Ok(2)));
            assert_cut(cut);
        });
    });
}

#[test]
fn room_goes_to_the_next_if_the_select_before_was_cut() {
    run_virtual(|| {
        for capacity in 0..2 {
            let ((s, r), ledger) = (bounded(capacity), Ledger::default());
            ledger.some(capacity).into_iter().for_each(|message| s.send(message).unwrap());
            pool(|pool| {
                let cut = pool.spawn(|| select! { send(s, ledger.one()) -> sent => sent.is_ok() });
                settle();
                let next = pool.spawn(|| s.send(ledger.one()));
                settle();
                cut.cancel();
                (0..=capacity).for_each(|number| assert_eq!(r.recv().unwrap().number, number));
                assert!(next.join().unwrap().is_ok());
                assert_cut(cut);
            });
            assert_eq!(ledger.made(), capacity + 1, "who was cut has made no message");
            ledger.assert_all_dropped();
        }
    });
}

#[test]
fn inside_of_no_switch_one_that_would_wait_panics_and_leaves_its_lines() {
    run_virtual(|| {
        let stuck = Stuck::new();
        let text = panic_of(|| no_switch(|| stuck.select()));
        assert!(text.contains("`select` would switch"), "{text}");
        stuck.assert_untouched();
        stuck.unlimited.0.send(5).unwrap();
        assert_eq!(no_switch(|| stuck.select()), 5);
    });
}

#[test]
fn two_selects_of_which_one_is_cut_do_not_meet() {
    run_virtual(|| {
        for first in 0..2 {
            let (s, r) = bounded(0);
            pool(|pool| {
                let sends = || select! { send(s, 7) -> sent => sent.is_ok() };
                let receives = || select! { recv(r) -> got => got == Ok(7) };
                let cut = if first == 0 { pool.spawn(sends) } else { pool.spawn(receives) };
                settle();
                cut.cancel();
                let other = if first == 0 { pool.spawn(receives) } else { pool.spawn(sends) };
                settle();
                assert!(!other.is_finished(), "it has met who was cut");
                let peer = if first == 0 { pool.spawn(sends) } else { pool.spawn(receives) };
                assert!(other.join().unwrap() && peer.join().unwrap());
                assert_cut(cut);
            });
        }
    });
}

#[test]
fn an_end_that_comes_with_the_cancellation_is_there_for_the_next() {
    run_virtual(|| {
        let (s, r) = bounded::<i32>(0);
        pool(|pool| {
            let cut = pool.spawn(|| select! { recv(r) -> got => got });
            settle();
            cut.cancel();
            drop(s);
            assert_cut(cut);
        });
        select! { recv(r) -> got => assert_eq!(got, Err(RecvError)) }
    });
}
