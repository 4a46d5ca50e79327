//! How those who initialise and those who wait race, in every order that loom can think of.
//!
//! The real words and the real line; a task that has to wait does so as in the models of the wait queue.

use super::COMPLETE;
use super::Force;
use super::INCOMPLETE;
use super::Once;
use super::Turn;
use crate::task::phase::Winner;
use crate::wait_queue::loom_tests::Worker;
use loom::cell::UnsafeCell;
use loom::thread;
use std::sync::Arc;

struct Cell {
    once: Once,
    value: UnsafeCell<usize>,
}

// SAFETY: loom checks who touches the value.
unsafe impl Sync for Cell {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl Send for Cell {}

impl Cell {
    fn new() -> Arc<Self> {
        let cell = Self { once: Once::new(), value: UnsafeCell::new(0) };
        // Before it is shared: loom's atomics are made with their first use.
        cell.once.end(INCOMPLETE);
        Arc::new(cell)
    }

    /// Asks for the value as a task of a worker of its own, and initialises it if that is its turn; its first
    /// run may be cut.
    fn get(&self, token: usize, mut is_cut: bool) -> usize {
        let worker = Worker::new();
        while !self.once.is_completed() {
            let mut runs_it = false;
            let attempt = |runs: &mut usize, _: &_| {
                let turn = self.once.turn(token, Force::No, *runs).map_err(|spot| spot.slot)?;
                assert!(!matches!(turn, Turn::Poisoned), "nobody panics");
                runs_it = matches!(turn, Turn::Run { .. });
                Ok(())
            };
            let ended = worker.wait_with(&self.once.line, attempt, || (), None, 0);
            assert!(matches!(ended, None | Some(Winner::Event)));
            if runs_it {
                self.run(is_cut);
                is_cut = false;
            }
        }
        // SAFETY: it is complete, so nobody writes any more, which is what loom checks.
        self.value.with(|value| unsafe { *value })
    }

    fn run(&self, is_cut: bool) {
        // SAFETY: one at a time runs, which is what loom checks.
        self.value.with_mut(|value| unsafe { *value += 1 });
        self.once.end(if is_cut { INCOMPLETE } else { COMPLETE });
    }
}

/// Switches between threads that a model tries beyond those that it has to, at most. With 3 a model of
/// three takes minutes.
const PREEMPTIONS_OF_THREE: usize = 2;

/// Tasks of as many workers as `cut` has entries ask for a value; the first run of some is cut.
fn model(cut: &'static [bool]) {
    let mut builder = loom::model::Builder::new();
    if cut.len() > 2 {
        builder.preemption_bound = Some(PREEMPTIONS_OF_THREE);
    }
    builder.check(move || {
        let cell = Cell::new();
        let token = |index: usize| (index + 1) * 8;
        let others: Vec<_> = (1..cut.len())
            .map(|index| {
                let cell = Arc::clone(&cell);
                thread::spawn(move || cell.get(token(index), cut[index]))
            })
            .collect();
        let value = cell.get(token(0), cut[0]);
        let values = others.into_iter().map(|other| other.join().unwrap());
        assert!(values.chain([value]).all(|seen| seen == value));
        let cuts = cut.iter().filter(|is_cut| **is_cut).count();
        assert!((1..=1 + cuts).contains(&value));
    });
}

#[test]
fn of_two_one_initialises_and_both_see_it() {
    model(&[false, false]);
}

#[test]
fn when_a_run_is_cut_another_one_tries() {
    model(&[true, false]);
}

#[test]
fn of_three_all_see_what_came_of_it() {
    model(&[true, false, false]);
}
