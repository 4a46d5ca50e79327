//! Once: who initialises what is initialised once, and who waits for it.
//!
//! Layer 7. Imports: asker, wait_queue, park, scope, hooks, task, primitive. Never: what is initialised.
//!
//! One word says how far it is, and is all that is read once it is done. It changes under the line's lock:
//!
//! ```text
//! incomplete, poisoned  --run-->    running
//! running               --return--> complete
//! running               --panic-->  poisoned
//! running               --cut-->    what it was before: another one tries
//! ```
//!
//! At the end of each run all who have waited for it are woken, and look again. Each has brought the number
//! of the run, so who looks again and waits for the next run is not woken twice.

use super::itself;
use crate::asker;
use crate::hooks::WaitReason;
use crate::park;
use crate::park::Cancelled;
use crate::primitive::Ordering;
use crate::primitive::StaticUsize;
use crate::scope;
use crate::task::Abort;
use crate::task::phase::Winner;
use crate::wait_queue::Lines;
use crate::wait_queue::Spot;
use crate::wait_queue::Wait;
use crate::wait_queue::WaitQueue;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::ptr;

const INCOMPLETE: usize = 0;
const POISONED: usize = 1;
const RUNNING: usize = 2;
const COMPLETE: usize = 3;

/// Runs an initialisation once, with [`std::sync::Once`]'s names.
///
/// Tasks that come while it runs park, and the others of their worker go on; outside of
/// [`run`](crate::run) the thread waits. One `Once` serves tasks of several runtimes and plain threads at
/// once.
///
/// A panic of the initialisation poisons it, as with std's. A cancellation that cuts it does not: it has not
/// run then, and the next one who comes, or waits, tries.
///
/// # Examples
///
/// ```
/// use giambio::sync::Once;
/// use std::cell::Cell;
///
/// giambio::run(|| {
///     let (once, runs) = (Once::new(), Cell::new(0));
///     giambio::pool(|pool| {
///         for _ in 0..10 {
///             pool.spawn(|| {
///                 once.call_once(|| {
///                     giambio::yield_now(); // the others wait
///                     runs.set(runs.get() + 1);
///                 });
///                 assert_eq!(runs.get(), 1);
///             });
///         }
///     });
/// });
/// ```
pub struct Once {
    state: StaticUsize,
    /// Who runs the initialisation, by its token, or 0. Exact for who finds itself here.
    runner: StaticUsize,
    /// Under the lock: the number of runs that have ended.
    line: WaitQueue<usize>,
}

/// What [`Once::new`] makes.
#[deprecated(note = "replaced by `Once::new`, as with std's")]
#[expect(clippy::declare_interior_mutable_const, reason = "std's name")]
pub const ONCE_INIT: Once = Once::new();

/// What the initialisation of [`Once::call_once_force`] is told.
pub struct OnceState {
    is_poisoned: bool,
}

/// Whose turn it is.
enum Turn {
    /// Of who has asked, and this is what it finds.
    Run { before: usize },
    /// Nobody's any more.
    Over,
    /// Nobody's who does not force it.
    Poisoned,
}

/// Whether a panic of an earlier run is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Force {
    No,
    Yes,
}

impl Once {
    /// One whose initialisation has not run.
    #[must_use]
    #[inline]
    pub const fn new() -> Self {
        Self {
            state: StaticUsize::new(INCOMPLETE),
            runner: StaticUsize::new(0),
            line: WaitQueue::new(0),
        }
    }

    /// Runs `f` if no initialisation has run, or else parks the calling task until that has ended.
    ///
    /// When this returns, some initialisation has run to its end. Outside of [`run`](crate::run) it blocks the
    /// thread.
    ///
    /// # Cancellation
    ///
    /// May park, but is no checkpoint, and a cancellation does not cut the wait. One that cuts `f` leaves things
    /// as if it had not been called; what it has done before that, it has.
    ///
    /// # Panics
    ///
    /// With `f`'s panic, and if an earlier initialisation has panicked. If the calling task or thread is in
    /// the middle of the initialisation: it would wait for itself. If it would have to wait inside of
    /// [`task::no_switch`](crate::task::no_switch).
    #[inline]
    #[track_caller]
    pub fn call_once<F: FnOnce()>(&self, f: F) {
        if !self.is_completed() {
            let mut f = Some(f);
            self.call(Force::No, &mut |_| f.take().into_iter().for_each(|f| f()));
        }
    }

    /// Like [`call_once`](Self::call_once), also if an earlier initialisation has panicked.
    ///
    /// # Cancellation
    ///
    /// As for [`call_once`](Self::call_once).
    ///
    /// # Panics
    ///
    /// As for [`call_once`](Self::call_once), but not because of an earlier panic.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::sync::Once;
    ///
    /// let once = Once::new();
    /// let failing = std::panic::catch_unwind(|| once.call_once(|| panic!("on purpose")));
    /// assert!(failing.is_err() && !once.is_completed());
    /// once.call_once_force(|state| assert!(state.is_poisoned()));
    /// assert!(once.is_completed());
    /// ```
    #[inline]
    #[track_caller]
    pub fn call_once_force<F: FnOnce(&OnceState)>(&self, f: F) {
        if !self.is_completed() {
            let mut f = Some(f);
            self.call(Force::Yes, &mut |state| f.take().into_iter().for_each(|f| f(state)));
        }
    }

    /// Whether an initialisation has run to its end.
    ///
    /// # Cancellation
    ///
    /// Never parks.
    #[inline]
    pub fn is_completed(&self) -> bool {
        self.state.load(Ordering::Acquire) == COMPLETE
    }

    /// Parks the calling task until an initialisation has run to its end, which it does not run itself.
    ///
    /// Outside of [`run`](crate::run) it blocks the thread.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call, unlike [`call_once`](Self::call_once): nobody may be about to run the
    /// initialisation at all.
    ///
    /// # Panics
    ///
    /// As for [`call_once`](Self::call_once), apart from `f`.
    ///
    /// # Examples
    ///
    /// ```
    /// static READY: giambio::sync::Once = giambio::sync::Once::new();
    ///
    /// std::thread::spawn(|| READY.call_once(|| ()));
    /// giambio::run(|| READY.wait());
    /// ```
    #[track_caller]
    pub fn wait(&self) {
        self.wait_for_others(Force::No);
    }

    /// Like [`wait`](Self::wait), also if an initialisation has panicked or panics: another one may follow.
    ///
    /// # Cancellation
    ///
    /// As for [`wait`](Self::wait).
    ///
    /// # Panics
    ///
    /// As for [`wait`](Self::wait), but not because of a panic.
    #[track_caller]
    pub fn wait_force(&self) {
        self.wait_for_others(Force::Yes);
    }

    /// Runs `f` or waits for who does, in the end; `f` is called once at most.
    #[cold]
    #[track_caller]
    pub(super) fn call(&self, force: Force, f: &mut dyn FnMut(&OnceState)) {
        let token = asker::asker().token;
        let look = |runs: &mut usize| self.turn(token, force, *runs);
        let wait = Wait { deadline: None, reason: WaitReason::Once, abort: Abort::Never };
        loop {
            self.assert_another_runs(token);
            // Who does not have to wait may be in a place where nobody may.
            let turn = self.line.with(|runs, _| look(runs)).or_else(|_| {
                let attempt = |runs: &mut usize, _: &Lines<'_, 1>| look(runs);
                self.line.attempt_or_stand(park::current(), &wait, attempt, || ())
            });
            match turn {
                Ok(Turn::Run { before }) => return self.run(before, f),
                Ok(Turn::Over) => return,
                Ok(Turn::Poisoned) => was_poisoned(),
                Err(_) => {}
            }
        }
    }

    #[track_caller]
    fn wait_for_others(&self, force: Force) {
        let wait = Wait { deadline: None, reason: WaitReason::Once, abort: Abort::Now };
        loop {
            let me = park::current();
            if let Some(me) = me {
                me.checkpoint();
            }
            self.assert_another_runs(asker::asker().token);
            let attempt =
                |runs: &mut usize, _: &Lines<'_, 1>| match self.state.load(Ordering::Relaxed) {
                    COMPLETE => Ok(Turn::Over),
                    POISONED if force == Force::No => Ok(Turn::Poisoned),
                    _ => Err(Spot { line: 0, slot: ptr::without_provenance(*runs) }),
                };
            match self.line.attempt_or_stand(me, &wait, attempt, || ()) {
                Ok(Turn::Poisoned) => was_poisoned(),
                Ok(_) => return,
                Err(_) => {}
            }
        }
    }

    #[track_caller]
    fn assert_another_runs(&self, token: usize) {
        if self.runner.load(Ordering::Relaxed) == token {
            itself::would_wait("is in the middle of this initialisation");
        }
    }

    /// Whose turn it is, or where to wait for the end of the run that is on; under the line's lock.
    fn turn(&self, token: usize, force: Force, runs: usize) -> Result<Turn, Spot> {
        match self.state.load(Ordering::Relaxed) {
            COMPLETE => Ok(Turn::Over),
            RUNNING => Err(Spot { line: 0, slot: ptr::without_provenance(runs) }),
            POISONED if force == Force::No => Ok(Turn::Poisoned),
            before => {
                self.state.store(RUNNING, Ordering::Relaxed);
                self.runner.store(token, Ordering::Relaxed);
                Ok(Turn::Run { before })
            }
        }
    }

    /// Runs `f`, for who has just got the turn.
    fn run(&self, before: usize, f: &mut dyn FnMut(&OnceState)) {
        let state = OnceState { is_poisoned: before == POISONED };
        let me = park::running();
        let outcome = match me {
            Some(me) => scope::caught(me, || f(&state)),
            None => catch_unwind(AssertUnwindSafe(|| f(&state))),
        };
        self.end(match &outcome {
            Ok(()) => COMPLETE,
            Err(payload) if payload.is::<Cancelled>() => before,
            Err(_) => POISONED,
        });
        match (outcome, me) {
            (Ok(()), _) => {}
            (Err(payload), Some(me)) => me.unwind_with(payload),
            (Err(payload), None) => resume_unwind(payload),
        }
    }

    /// Ends the run that is on, and has those look again who have waited for that.
    fn end(&self, state: usize) {
        let run = self.line.with(|runs, _| {
            self.runner.store(0, Ordering::Relaxed);
            // Release: who reads this without the lock finds what was initialised.
            self.state.store(state, Ordering::Release);
            let run = *runs;
            *runs = run.wrapping_add(1);
            run
        });
        // Those of an earlier run may still stand in front, if that one is not done with waking them.
        let has_waited = |slot: *const ()| slot.addr().wrapping_sub(run).cast_signed() <= 0;
        self.line.wake_line_while(0, Winner::Event, has_waited);
    }
}

#[cold]
#[track_caller]
fn was_poisoned() -> ! {
    panic!("Once instance has previously been poisoned");
}

impl OnceState {
    /// Whether an earlier initialisation has panicked.
    #[inline]
    pub fn is_poisoned(&self) -> bool {
        self.is_poisoned
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").finish_non_exhaustive()
    }
}

impl fmt::Debug for OnceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceState").field("poisoned", &self.is_poisoned()).finish()
    }
}

#[cfg(all(test, loom))]
#[path = "once_tests.rs"]
#[expect(unsafe_code, reason = "loom's cells, which see who uses them when")]
mod loom_tests;
