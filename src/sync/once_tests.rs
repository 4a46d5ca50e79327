//! How tasks of several workers race to run what runs once, in every order that loom can think of.
//!
//! The real word and the real line; a task that has to wait does so as in the models of the wait queue.

use super::Entry;
use super::IDLE;
use super::POISONED;
use super::RunOnce;
use super::Wants;
use crate::task::phase::Winner;
use crate::wait_queue::loom_tests::Worker;
use loom::cell::UnsafeCell;
use loom::thread;
use std::sync::Arc;

/// How a run ends, if it comes to that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    WithAValue,
    Panicking,
    Cut,
}

/// How it went for who has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Went {
    /// He has seen the value.
    Done,
    /// He was told of a panic.
    Poisoned,
    /// His own run was cut, or has panicked.
    Failed,
    GaveUp,
}

/// What runs once makes a value: loom sees who uses it when.
struct Made {
    once: RunOnce,
    value: UnsafeCell<usize>,
}

// SAFETY: loom checks who touches the value.
unsafe impl Sync for Made {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl Send for Made {}

impl Made {
    /// Comes as a task of a worker of its own.
    fn come(&self, token: usize, wants: Wants, ends: Ends, early: Option<Winner>) -> Went {
        let worker = Worker::new();
        let mut entry = None;
        let attempt = |poisonings: &mut usize, _: &_| {
            let came = self.once.attempt(wants, token).map_err(|()| wants.slot(*poisonings))?;
            entry = Some(came);
            Ok(())
        };
        let winner = worker.wait_with(&self.once.line, attempt, || (), early, 0);
        let entry = match winner {
            None => entry.unwrap(),
            Some(winner @ (Winner::Event | Winner::Closed)) => self.once.woken(winner, token),
            Some(_) => return Went::GaveUp,
        };
        match entry {
            Entry::Done => self.seen(),
            Entry::Poisoned => Went::Poisoned,
            Entry::Runs { poisoned } if poisoned || ends == Ends::Panicking => {
                self.run(ends, POISONED)
            }
            Entry::Runs { .. } => self.run(ends, IDLE),
        }
    }

    /// Runs, and leaves it so if that is not its end.
    fn run(&self, ends: Ends, left: usize) -> Went {
        // SAFETY: nobody else runs, and nobody reads, which is what loom checks.
        self.value.with_mut(|value| unsafe { *value += 1 });
        if ends == Ends::WithAValue {
            self.once.complete();
            return self.seen();
        }
        self.once.leave(left);
        Went::Failed
    }

    /// Reads the value: whoever has made it is done with it.
    fn seen(&self) -> Went {
        assert!(self.once.is_complete());
        // SAFETY: it is complete, so nobody writes, which is what loom checks.
        assert!(self.value.with(|value| unsafe { *value }) > 0);
        Went::Done
    }
}

/// Tasks of as many workers come at once, and `check` looks at how it went for them.
fn model(come: &'static [(Wants, Ends)], check: fn(&[Went])) {
    loom::model(move || {
        let made = Arc::new(Made { once: RunOnce::new(), value: UnsafeCell::new(0) });
        // Before it is shared: loom's atomics are made with their first use.
        assert!(!made.once.is_complete());
        made.once.owner.store(0, super::Ordering::Relaxed);
        let others: Vec<_> = (1..come.len())
            .map(|index| {
                let made = Arc::clone(&made);
                thread::spawn(move || made.come(index + 1, come[index].0, come[index].1, None))
            })
            .collect();
        let mut went = vec![made.come(1, come[0].0, come[0].1, None)];
        went.extend(others.into_iter().map(|other| other.join().unwrap()));
        check(&went);
    });
}

fn all_done(went: &[Went]) {
    assert!(went.iter().all(|went| *went == Went::Done), "{went:?}");
}

#[test]
fn of_two_one_runs_and_both_see_what_it_has_made() {
    model(&[(Wants::Run, Ends::WithAValue), (Wants::Run, Ends::WithAValue)], all_done);
}

#[test]
fn one_that_waits_only_is_woken_when_it_is_complete() {
    model(&[(Wants::Wait, Ends::WithAValue), (Wants::Run, Ends::WithAValue)], all_done);
}

#[test]
fn a_run_that_is_cut_is_taken_over() {
    model(&[(Wants::Run, Ends::Cut), (Wants::Run, Ends::WithAValue)], |went| {
        assert_eq!(went[1], Went::Done);
        assert!(matches!(went[0], Went::Failed | Went::Done), "{went:?}");
    });
}

#[test]
fn who_refuses_a_panic_is_told_of_it() {
    model(&[(Wants::Run, Ends::Panicking), (Wants::Run, Ends::WithAValue)], |went| {
        let orders = [[Went::Failed, Went::Poisoned], [Went::Done, Went::Done]];
        assert!(orders.iter().any(|order| order == went), "{went:?}");
    });
}

#[test]
fn who_does_not_refuse_a_panic_takes_over() {
    model(&[(Wants::Run, Ends::Panicking), (Wants::RunAnyway, Ends::WithAValue)], |went| {
        assert_eq!(went[1], Went::Done);
        assert!(matches!(went[0], Went::Failed | Went::Done), "{went:?}");
    });
}

#[test]
fn one_takes_over_from_who_was_cut_while_another_one_waits() {
    let come =
        &[(Wants::Run, Ends::Cut), (Wants::Run, Ends::WithAValue), (Wants::Wait, Ends::WithAValue)];
    model(come, |went| assert_eq!(went[1..], [Went::Done, Went::Done]));
}

#[test]
fn one_takes_over_from_who_has_panicked_while_another_one_is_told() {
    let come = &[
        (Wants::Run, Ends::Panicking),
        (Wants::RunAnyway, Ends::WithAValue),
        (Wants::Run, Ends::WithAValue),
    ];
    model(come, |went| {
        assert_eq!(went[1], Went::Done);
        assert!(matches!(went[2], Went::Done | Went::Poisoned), "{went:?}");
    });
}

#[test]
fn who_gives_up_waiting_leaves_the_run_to_its_end() {
    loom::model(|| {
        let made = Arc::new(Made { once: RunOnce::new(), value: UnsafeCell::new(0) });
        assert!(!made.once.is_complete());
        let other = Arc::clone(&made);
        let runs = thread::spawn(move || other.come(2, Wants::Run, Ends::WithAValue, None));
        let early = Some(Winner::Cancellation);
        let went = made.come(1, Wants::Wait, Ends::WithAValue, early);
        assert!(matches!(went, Went::Done | Went::GaveUp), "{went:?}");
        assert_eq!(runs.join().unwrap(), Went::Done);
    });
}
