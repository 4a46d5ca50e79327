//! Sequencer: which task comes next.
//!
//! Layer 9. Imports: sync. Never: what a step does.

use crate::sync::Event;
use std::collections::HashMap;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

/// Makes several tasks take turns, in the order that a test wants.
///
/// The steps of a sequence are numbered from 0 on. Each is done by one task, whichever asks for it,
/// when all those below have ended. It works across runtimes and threads; outside of
/// [`run`](crate::run) a step that has to wait blocks the thread. A step below that nobody asks for
/// makes the others wait for ever.
///
/// # Examples
///
/// ```
/// use giambio::testing::Sequencer;
/// use std::cell::RefCell;
///
/// giambio::testing::run_virtual(|| {
///     let (sequence, said) = (Sequencer::new(), RefCell::new(String::new()));
///     giambio::pool(|pool| {
///         pool.spawn(|| {
///             for (number, word) in [(1, "does "), (3, "order")] {
///                 let _step = sequence.step(number);
///                 said.borrow_mut().push_str(word);
///             }
///         });
///         for (number, word) in [(0, "who "), (2, "the ")] {
///             let _step = sequence.step(number);
///             said.borrow_mut().push_str(word);
///         }
///     });
///     assert_eq!(said.take(), "who does the order");
/// });
/// ```
#[derive(Default)]
pub struct Sequencer {
    /// Held for a few instructions, never across a wait.
    state: Mutex<State>,
}

/// Whether a step may begin, or which step below will never end.
type Verdict = Result<(), usize>;

#[derive(Default)]
struct State {
    /// Those that somebody has asked for.
    taken: HashSet<usize>,
    /// By the number of the step that waits at each.
    gates: HashMap<usize, Arc<Event<Verdict>>>,
    /// The lowest step that will never end.
    broken_at: Option<usize>,
}

impl State {
    fn gate(&mut self, number: usize) -> Arc<Event<Verdict>> {
        Arc::clone(self.gates.entry(number).or_default())
    }
}

impl Sequencer {
    /// A sequence of which no step was taken.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a step, parking the calling task until all steps below have ended.
    ///
    /// The step ends when the guard is dropped, be it by a panic.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. If it is cut, its step will never end: those above panic instead of
    /// waiting for ever, whether they wait already or come later. Those below are not affected.
    ///
    /// # Panics
    ///
    /// If the step was taken before, be it in vain. If a step below was cut before it began, now or while this waits.
    /// If it would have to wait inside of [`task::no_switch`](crate::task::no_switch); then the step
    /// counts as cut.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::testing::Sequencer;
    ///
    /// giambio::run(|| {
    ///     let sequence = Sequencer::new();
    ///     giambio::pool(|pool| {
    ///         let second = pool.spawn(|| drop(sequence.step(1)));
    ///         let first = sequence.step(0);
    ///         giambio::testing::settle();
    ///         assert!(!second.is_finished());
    ///         drop(first);
    ///         second.join().unwrap();
    ///     });
    /// });
    /// ```
    #[track_caller]
    pub fn step(&self, number: usize) -> Step<'_> {
        let mut state = self.lock();
        let is_new = state.taken.insert(number);
        let broken_at = state.broken_at.filter(|&broken_at| broken_at < number);
        let gate = state.gate(number);
        drop(state);
        assert!(is_new, "step {number} of a sequence was taken twice");
        if number == 0 {
            open(&gate, Ok(()));
        }
        if let Some(broken_at) = broken_at {
            open(&gate, Err(broken_at));
        }
        let mut step = Step { sequence: self, number, has_begun: false };
        match gate.wait() {
            Ok(()) => step.has_begun = true,
            Err(broken_at) => {
                panic!("step {number} waits for step {broken_at}, which was cut before it began")
            }
        }
        step
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets nobody wait for a step that will never end.
    fn break_at(&self, number: usize) {
        let mut state = self.lock();
        state.broken_at = Some(state.broken_at.map_or(number, |lowest| lowest.min(number)));
        let above = state.gates.iter().filter(|&(&waiting, _)| waiting > number);
        let above: Vec<_> = above.map(|(_, gate)| Arc::clone(gate)).collect();
        drop(state);
        above.iter().for_each(|gate| open(gate, Err(number)));
    }
}

/// Only the first verdict on a step counts.
fn open(gate: &Event<Verdict>, verdict: Verdict) {
    let _ = gate.trigger(verdict);
}

impl fmt::Debug for Sequencer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sequencer").finish_non_exhaustive()
    }
}

/// A step of a [`Sequencer`] that has begun; it ends when this is dropped, which never parks.
#[must_use = "a step ends when this is dropped"]
pub struct Step<'s> {
    sequence: &'s Sequencer,
    number: usize,
    has_begun: bool,
}

impl Drop for Step<'_> {
    fn drop(&mut self) {
        if !self.has_begun {
            self.sequence.break_at(self.number);
        } else if let Some(next) = self.number.checked_add(1) {
            let gate = self.sequence.lock().gate(next);
            open(&gate, Ok(()));
        }
    }
}

impl fmt::Debug for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step").field("number", &self.number).finish_non_exhaustive()
    }
}
