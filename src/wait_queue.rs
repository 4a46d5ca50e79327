//! Wait queue: how a task waits in line.
//!
//! Layer 5. Imports: park, task. Never: what the line is for.
//!
//! The place in the line lies on the waiting task's own stack and is given up by one `Drop`, which
//! covers the wake-up, the timeout, the cancellation and the panic alike. The line itself is
//! [`Waiters`]; [`wait`] is for lines that belong to one worker, [`WaitQueue`] for those that other
//! workers and plain threads use as well.

use crate::clock::Nanos;
use crate::clock::now;
use crate::hooks::WaitReason;
use crate::park;
use crate::park::Running;
use crate::task::Abort;
use crate::task::inbox::Inbox;
use crate::task::phase::Phase;
use crate::task::phase::Winner;
use crate::task::waiters::Claimed;
use crate::task::waiters::Outsider;
use crate::task::waiters::Waiter;
use crate::task::waiters::Waiters;
use crate::task::waiters::Who;
use crate::word::Word;
use crossbeam_utils::sync::Parker;
use std::cell::OnceCell;
use std::cell::UnsafeCell;
use std::fmt;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::ptr;
use std::sync::Arc;
use std::time::Instant;

/// Parks `me` in `line` until it is claimed there, or `deadline`, or a cancellation that `abort`
/// allows.
#[inline]
pub(crate) fn wait(
    me: Running,
    line: &Waiters,
    deadline: Option<Nanos>,
    reason: WaitReason,
    abort: Abort,
) -> Winner {
    // SAFETY: `wait_linked` removes the waiter before its frame ends, on the task's own worker.
    let enter = |waiter: &Waiter| unsafe { line.push(waiter) };
    wait_linked(me, deadline, reason, abort, enter, |waiter| line.remove(waiter))
}

/// Like `wait`, for a line that is reached through `enter` and `leave`.
#[inline]
pub(crate) fn wait_linked(
    me: Running,
    deadline: Option<Nanos>,
    reason: WaitReason,
    abort: Abort,
    enter: impl FnOnce(&Waiter),
    leave: impl Fn(&Waiter),
) -> Winner {
    let session = me.open(reason);
    let waiter = Waiter::new((Who::Task(me.core()), session));
    enter(&waiter);
    // The line belongs to this worker: the node can be looked at without a lock.
    let leave = |waiter: &Waiter| {
        if waiter.is_linked() {
            leave(waiter);
        }
    };
    let _place = Place { waiter: &waiter, leave };
    me.park(session, deadline, abort)
}

/// A task's place in a line, given up on drop.
struct Place<'w, L: Fn(&Waiter)> {
    waiter: &'w Waiter,
    leave: L,
}

impl<L: Fn(&Waiter)> Drop for Place<'_, L> {
    fn drop(&mut self) {
        (self.leave)(self.waiter);
    }
}

/// What a primitive knows, and the line of those who wait for it to change, under one small lock.
pub(crate) struct WaitQueue<S> {
    word: Word,
    state: UnsafeCell<S>,
    line: Waiters,
}

// SAFETY: state and line are only touched under the lock, and what waits in line may be woken from any
// thread (`Claimed`).
unsafe impl<S: Send> Send for WaitQueue<S> {}
// SAFETY: as above.
unsafe impl<S: Send> Sync for WaitQueue<S> {}

// Nothing panics under the lock, so nobody ever finds a state that was left half changed.
impl<S> UnwindSafe for WaitQueue<S> {}
impl<S> RefUnwindSafe for WaitQueue<S> {}

/// Those who wait in a [`WaitQueue`], while its lock is held.
pub(crate) struct Line<'q> {
    waiters: &'q Waiters,
    /// Of the worker on this thread, or null.
    here: *const Inbox,
}

impl Line<'_> {
    /// Ends the longest wait, if anybody waits; who is returned must be woken.
    pub(crate) fn claim_first(&self) -> Option<Claimed> {
        self.waiters.claim_first_of_any(self.here)
    }
}

impl<S> WaitQueue<S> {
    pub(crate) const fn new(state: S) -> Self {
        Self { word: Word::new(), state: UnsafeCell::new(state), line: Waiters::new() }
    }

    /// Looks at the state and the line under the lock: `look` must be as short as [`Word`] asks.
    #[inline]
    pub(crate) fn with<R>(&self, look: impl FnOnce(&mut S, &Waiters) -> R) -> R {
        self.word.with(|| {
            // SAFETY: the lock is held, and `look` cannot reach this again.
            let state = unsafe { &mut *self.state.get() };
            look(state, &self.line)
        })
    }

    /// Wakes whom `choose` has claimed, once the lock is released; false if that was nobody.
    ///
    /// `choose` must be as short as [`Word`] asks.
    pub(crate) fn wake_one(
        &self,
        choose: impl FnOnce(&mut S, &Line<'_>) -> Option<Claimed>,
    ) -> bool {
        let here = park::worker_here(|worker| Arc::as_ptr(worker.inbox())).unwrap_or(ptr::null());
        let claimed = self.with(|state, waiters| choose(state, &Line { waiters, here }));
        let woke = claimed.is_some();
        if let Some(claimed) = claimed {
            claimed.wake(park::queue_here);
        }
        woke
    }

    /// Wakes who has waited longest; if nobody waits, changes the state instead.
    pub(crate) fn wake_first_or(&self, change: impl FnOnce(&mut S)) {
        self.wake_one(|state, line| {
            let claimed = line.claim_first();
            if claimed.is_none() {
                change(state);
            }
            claimed
        });
    }

    /// Changes the state, so that nobody has to wait any more, and wakes all who do, in their order.
    ///
    /// The lock is taken for each of them, so that nobody spins for as long as a long line takes.
    pub(crate) fn wake_all(&self, change: impl FnOnce(&mut S)) {
        let mut woke = self.wake_one(|state, line| {
            change(state);
            line.claim_first()
        });
        while woke {
            woke = self.wake_one(|_, line| line.claim_first());
        }
    }

    /// Returns at once if `ready` says so, or else waits in line to be woken.
    ///
    /// As for [`Running::park`]; on a thread without a runtime the thread waits.
    #[track_caller]
    pub(crate) fn wait_unless(
        &self,
        deadline: Option<Instant>,
        reason: WaitReason,
        abort: Abort,
        ready: impl FnOnce(&mut S) -> bool,
    ) -> Winner {
        let Some(me) = park::current() else { return self.wait_outside(deadline, ready) };
        let mut session = None;
        let waiter = OnceCell::new();
        let waits = self.with(|state, line| {
            let waits = !ready(state);
            if waits && me.may_switch() {
                let opened = *session.insert(me.open(reason));
                let waiter = waiter.get_or_init(|| Waiter::new((Who::Task(me.core()), opened)));
                // SAFETY: `place` below removes the waiter under the lock before this frame ends.
                unsafe { line.push(waiter) };
            }
            waits
        });
        if waits {
            // Not under the lock, and before anything else is done: nothing was linked.
            me.assert_may_switch(reason);
        }
        let (Some(session), Some(waiter)) = (session, waiter.get()) else { return Winner::Event };
        // Only a waker that has won is done with the node: one that has lost to a timeout or to a
        // cancellation may still be at it, under the lock.
        let leave = |waiter: &Waiter| {
            if me.core().phase.winner() != Winner::Event {
                self.with(|_, line| line.remove(waiter));
            }
        };
        let _place = Place { waiter, leave };
        let deadline = deadline.and_then(|at| {
            me.worker().read_clock();
            me.worker().clock.nanos_at(at)
        });
        me.park(session, deadline, abort)
    }

    #[cold]
    fn wait_outside(
        &self,
        deadline: Option<Instant>,
        ready: impl FnOnce(&mut S) -> bool,
    ) -> Winner {
        let deadline = deadline.and_then(real);
        let parker = Parker::new();
        let outsider = Outsider { phase: Phase::new(), unparker: parker.unparker().clone() };
        let session = outsider.phase.open();
        let waiter = Waiter::new((Who::Thread(&outsider), session));
        let waits = self.with(|state, line| {
            let waits = !ready(state);
            if waits {
                // SAFETY: popped by its waker, or removed under the lock below; the entry lies in
                // this frame, and a waker does not touch it after its claim.
                unsafe { line.push(&waiter) };
            }
            waits
        });
        while waits && outsider.phase.open_session().is_some() {
            match deadline {
                None => parker.park(),
                Some(at) => parker.park_deadline(at),
            }
            let late = deadline.is_some_and(|at| now() >= at);
            // A waker may be first: then its token is on its way, and this looks again.
            if late && outsider.phase.claim(session, Winner::Timeout) {
                self.with(|_, line| line.remove(&waiter));
                return Winner::Timeout;
            }
        }
        Winner::Event
    }
}

/// When a thread is to end a real wait until `at`, which is by the clock of a runtime that it drives, if any:
/// that may be a test's. `None` is never.
fn real(at: Instant) -> Option<Instant> {
    let left = park::worker_here(|worker| {
        at.saturating_duration_since(worker.clock.instant(worker.clock.now()))
    });
    left.map_or(Some(at), |left| now().checked_add(left))
}

impl<S> fmt::Debug for WaitQueue<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitQueue").finish_non_exhaustive()
    }
}

#[cfg(all(test, loom))]
#[path = "wait_queue_tests.rs"]
pub(crate) mod loom_tests;
