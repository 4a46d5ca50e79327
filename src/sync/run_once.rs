//! Run once: who runs what has to have run before anybody goes on.
//!
//! Layer 7. Imports: wait_queue, park, asker, hooks, scope, task, primitive. Never: what is run.
//!
//! One word tells how far it is. It leaves `RUNNING` and enters it under the line's lock, so whoever queues
//! up is seen by who ends the run:
//!
//! ```text
//! idle, poisoned    --enter-->      running           by who runs it
//! running           --complete-->   complete          all who wait go on
//! running           --cut-->        running or idle   handed over to who has waited longest to run his own
//! running           --panicked-->   poisoned          who refuses that is told so
//!                                   or running        handed over to who does not
//! ```
//!
//! Chosen: a run that was not completed is handed over. Rejected: to wake all and let them race for it. Who
//! loses that race queues up again, in the line that is being emptied, and may be woken there for ever.

use super::itself;
use crate::asker;
use crate::hooks::WaitReason;
use crate::park;
use crate::primitive::Ordering;
use crate::primitive::StaticUsize;
use crate::scope;
use crate::task::Abort;
use crate::task::phase::Winner;
use crate::wait_queue;
use crate::wait_queue::Spot;
use crate::wait_queue::Wait;
use crate::wait_queue::WaitQueue;
use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::ptr;

const IDLE: usize = 0;
/// The last run to end has panicked. Stays beside `RUNNING`, for a run in spite of that.
const POISONED: usize = 1;
const RUNNING: usize = 2;
const COMPLETE: usize = 4;

/// What somebody wants. In the line it stands in the lowest bits of his slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    /// To run his own, unless an earlier one has panicked.
    Run = 0,
    /// To run his own.
    RunAnyway = 1,
    /// That somebody else's has run, unless one panics.
    Wait = 2,
    /// That somebody else's has run.
    WaitAnyway = 3,
}

/// Bits of a slot for what its waiter wants; above them is how many poisonings he has seen.
const WANTS_BITS: u32 = 2;

impl Wants {
    fn slot(self, poisonings: usize) -> *const () {
        ptr::without_provenance(poisonings << WANTS_BITS | self as usize)
    }

    fn of(slot: *const ()) -> Self {
        match slot.addr() & ((1 << WANTS_BITS) - 1) {
            0 => Self::Run,
            1 => Self::RunAnyway,
            2 => Self::Wait,
            _ => Self::WaitAnyway,
        }
    }

    fn runs(self) -> bool {
        matches!(self, Self::Run | Self::RunAnyway)
    }

    fn refuses_poison(self) -> bool {
        matches!(self, Self::Run | Self::Wait)
    }
}

/// What becomes of who has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    /// It has run.
    Done,
    /// An earlier run has panicked, which he refuses.
    Poisoned,
    /// He runs his own, and nobody else does until he has ended it.
    Runs {
        /// Whether an earlier run has panicked.
        poisoned: bool,
    },
}

/// Whether it has run, and who waits for that.
#[derive(Debug)]
pub(super) struct RunOnce {
    state: StaticUsize,
    /// Who runs it, by his token, or 0. Written by himself, so who finds himself here really runs it; of
    /// others this tells nothing.
    owner: StaticUsize,
    /// How often it was poisoned.
    line: WaitQueue<usize>,
}

impl RunOnce {
    pub(super) const fn new() -> Self {
        Self::with(IDLE)
    }

    /// What need not run any more.
    pub(super) const fn completed() -> Self {
        Self::with(COMPLETE)
    }

    const fn with(state: usize) -> Self {
        Self { state: StaticUsize::new(state), owner: StaticUsize::new(0), line: WaitQueue::new(0) }
    }

    /// Whether it has run: then everything that it has done is seen.
    #[inline]
    pub(super) fn is_complete(&self) -> bool {
        self.state.load(Ordering::Acquire) == COMPLETE
    }

    /// Returns once this or another `f` has run; whether that is so, or an earlier one has panicked.
    ///
    /// While `f` runs nobody else's does. It is told whether an earlier one has panicked. `doing` says in a
    /// report what it does. No cancellation cuts the wait for another's; if it cuts `f`, that is as if it had not
    /// begun.
    #[cold]
    #[track_caller]
    pub(super) fn run(&self, wants: Wants, doing: &str, f: impl FnOnce(bool)) -> bool {
        let poisoned = match self.enter(wants, doing) {
            Entry::Done => return true,
            Entry::Poisoned => return false,
            Entry::Runs { poisoned } => poisoned,
        };
        // Rejected: a guard that looks in its destructor for what passes through. While another task is
        // parked in mid-unwind it cannot tell, and a panic would be taken for a cancellation.
        let Err(payload) = caught(|| f(poisoned)) else {
            self.complete();
            return true;
        };
        let is_cut = scope::cancelled_scope(&*payload).is_some();
        self.leave(if poisoned || !is_cut { POISONED } else { IDLE });
        go_on(payload)
    }

    /// Returns once somebody's has run; whether that is so, or an earlier one has panicked.
    ///
    /// A cancellation cuts this wait.
    #[cold]
    #[track_caller]
    pub(super) fn wait(&self, wants: Wants, doing: &str) -> bool {
        self.enter(wants, doing) == Entry::Done
    }

    #[track_caller]
    fn enter(&self, wants: Wants, doing: &str) -> Entry {
        let token = asker::asker().token;
        // Where nothing may wait, such as in a hook, who has not to may still run it.
        if let Ok(entry) = self.line.with(|_, _| self.attempt(wants, token)) {
            return entry;
        }
        if self.owner.load(Ordering::Relaxed) == token {
            itself::would_wait(doing);
        }
        let abort = if wants.runs() { Abort::Never } else { Abort::Now };
        let wait = Wait { deadline: None, reason: WaitReason::Once, abort };
        let entered = self.line.attempt_or_stand(
            park::current(),
            &wait,
            |poisonings, _| {
                let slot = |()| Spot { line: 0, slot: wants.slot(*poisonings) };
                self.attempt(wants, token).map_err(slot)
            },
            || (),
        );
        entered.unwrap_or_else(|winner| self.woken(winner, token))
    }

    /// What becomes of who comes now, unless he has to wait; under the line's lock.
    fn attempt(&self, wants: Wants, token: usize) -> Result<Entry, ()> {
        match self.state.load(Ordering::Acquire) {
            COMPLETE => Ok(Entry::Done),
            POISONED if wants.refuses_poison() => Ok(Entry::Poisoned),
            state @ (IDLE | POISONED) if wants.runs() => {
                self.state.store(state | RUNNING, Ordering::Relaxed);
                self.owner.store(token, Ordering::Relaxed);
                Ok(Entry::Runs { poisoned: state == POISONED })
            }
            _ => Err(()),
        }
    }

    /// What becomes of who has waited.
    fn woken(&self, winner: Winner, token: usize) -> Entry {
        if winner == Winner::Closed {
            return Entry::Poisoned;
        }
        match self.state.load(Ordering::Acquire) {
            COMPLETE => Entry::Done,
            // Handed over, so nobody else changes the state meanwhile.
            state => {
                self.owner.store(token, Ordering::Relaxed);
                Entry::Runs { poisoned: state & POISONED != 0 }
            }
        }
    }

    /// Ends a run for good.
    fn complete(&self) {
        self.owner.store(0, Ordering::Relaxed);
        self.line.wake_all(|_| self.state.store(COMPLETE, Ordering::Release));
    }

    /// Ends a run that was not completed, and leaves it `IDLE` or `POISONED`: the next who wants to goes on.
    fn leave(&self, state: usize) {
        let poisoned = state == POISONED;
        self.owner.store(0, Ordering::Relaxed);
        let runs = |slot| {
            let wants = Wants::of(slot);
            wants.runs() && !(poisoned && wants.refuses_poison())
        };
        let mut seen = 0;
        let next = self.line.change(|poisonings, lines| {
            seen = *poisonings;
            *poisonings += usize::from(poisoned);
            let next = lines.claim_with(0, Winner::Event, runs);
            let running = if next.is_some() { RUNNING } else { IDLE };
            // Release: what the run has done before it was cut may be seen by the next.
            self.state.store(state | running, Ordering::Release);
            next
        });
        wait_queue::wake(next);
        if poisoned {
            self.refuse(seen);
        }
    }

    /// Tells all who refuse it that it is poisoned, if they have `seen` so many poisonings at most: who has
    /// come later waits for a later run.
    fn refuse(&self, seen: usize) {
        let accepts =
            |slot: *const ()| Wants::of(slot).refuses_poison() && slot.addr() >> WANTS_BITS <= seen;
        loop {
            let claimed = self.line.change(|_, lines| lines.claim_with(0, Winner::Closed, accepts));
            if claimed.is_none() {
                return;
            }
            wait_queue::wake(claimed);
        }
    }
}

/// `f`, and its unwind as a value. In a debugger's hook too, which is no task.
fn caught(f: impl FnOnce()) -> std::thread::Result<()> {
    match park::running() {
        Some(me) => scope::caught(me, f),
        None => catch_unwind(AssertUnwindSafe(f)),
    }
}

/// Lets a caught unwind go on.
fn go_on(payload: Box<dyn Any + Send>) -> ! {
    match park::running() {
        Some(me) => me.unwind_with(payload),
        None => resume_unwind(payload),
    }
}

#[cfg(all(test, loom))]
#[path = "once_tests.rs"]
#[expect(unsafe_code, reason = "loom's cells, which see who uses them when")]
mod loom_tests;
