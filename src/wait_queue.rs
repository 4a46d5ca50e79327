//! Wait queue: how a task waits in line.
//!
//! Layer 5. Imports: park, task. Never: what the line is for.
//!
//! The place in the line lies on the waiting task's own stack and is given up by one `Drop`, which
//! covers the wake-up, the timeout, the cancellation and the panic alike. The line itself is
//! [`Waiters`]; [`wait`] is for lines that belong to one worker, [`WaitQueue`] for those that other
//! workers and plain threads use as well. Who waits in several lines at once does so in `wait_any`.

use crate::blocked::Blocked;
use crate::clock::Nanos;
use crate::hooks::WaitReason;
use crate::park;
use crate::park::Running;
use crate::task::Abort;
use crate::task::Core;
use crate::task::phase::Winner;
use crate::task::waiters::Claimed;
use crate::task::waiters::Seat;
use crate::task::waiters::Waiter;
use crate::task::waiters::Waiters;
use crate::task::waiters::Who;
use crate::word;
use crate::word::Word;
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
    let waiter = Waiter::new(Seat::new(Who::Task(me.core()), session));
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

/// What a primitive knows, and the lines of those who wait for it to change, under one small lock.
pub(crate) struct WaitQueue<S, const LINES: usize = 1> {
    word: Word,
    state: UnsafeCell<S>,
    lines: [Waiters; LINES],
}

// SAFETY: state and lines are only touched under the lock, and what waits in line may be woken from any
// thread (`Claimed`).
unsafe impl<S: Send, const LINES: usize> Send for WaitQueue<S, LINES> {}
// SAFETY: as above.
unsafe impl<S: Send, const LINES: usize> Sync for WaitQueue<S, LINES> {}

// Nothing panics under the lock, so nobody ever finds a state that was left half changed.
impl<S, const LINES: usize> UnwindSafe for WaitQueue<S, LINES> {}
impl<S, const LINES: usize> RefUnwindSafe for WaitQueue<S, LINES> {}

/// Those who wait in a [`WaitQueue`], while its lock is held.
pub(crate) struct Lines<'q, const LINES: usize>(&'q [Waiters; LINES]);

impl<const LINES: usize> Lines<'_, LINES> {
    /// Ends the longest wait in a line, if anybody waits there; who is returned must be woken.
    #[inline]
    pub(crate) fn claim(&self, line: usize, winner: Winner) -> Option<Claimed> {
        let waiters = &self.0[line];
        if waiters.is_empty() {
            None
        } else {
            waiters.claim_first_of_any(park::inbox_here(), winner)
        }
    }

    /// Like [`claim_with`](Self::claim_with), if the first is a task of `me`'s worker, which is to be queued.
    /// `None` says nothing about the others.
    #[inline]
    pub(crate) fn claim_here(
        &self,
        line: usize,
        me: Running,
        accepts: impl Fn(*const ()) -> bool,
    ) -> Option<(*const Core, *const ())> {
        self.0[line].claim_first_if_here(Arc::as_ptr(me.worker().inbox()), accepts)
    }

    /// Like [`claim`](Self::claim), of those whose slot `accepts` wants.
    pub(crate) fn claim_with(
        &self,
        line: usize,
        winner: Winner,
        accepts: impl Fn(*const ()) -> bool,
    ) -> Option<Claimed> {
        self.0[line].claim_first_with(park::inbox_here(), winner, accepts)
    }

    /// Like [`claim`](Self::claim), if who has waited longest has brought what is `wanted`.
    #[inline]
    pub(crate) fn claim_if(
        &self,
        line: usize,
        winner: Winner,
        wanted: impl Fn(*const ()) -> bool,
    ) -> Option<Claimed> {
        self.0[line].claim_first_if(park::inbox_here(), winner, wanted)
    }

    /// Has the cache fetch what the next claims in a line lead to.
    pub(crate) fn look_ahead(&self, line: usize) {
        self.0[line].look_ahead(park::inbox_here());
    }

    /// All lines.
    #[inline]
    pub(crate) fn all(&self) -> &[Waiters; LINES] {
        self.0
    }

    /// The line itself.
    #[inline]
    pub(crate) fn line(&self, line: usize) -> &Waiters {
        &self.0[line]
    }
}

impl Lines<'_, 1> {
    /// Ends the longest wait, if anybody waits; who is returned must be woken.
    #[inline]
    pub(crate) fn claim_first(&self) -> Option<Claimed> {
        self.claim(0, Winner::Event)
    }
}

/// How long a wait may take, what it is called, and who may end it early.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    /// By the clock of `clock`.
    pub(crate) deadline: Option<Instant>,
    pub(crate) reason: WaitReason,
    pub(crate) abort: Abort,
}

/// Where a waiter stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot {
    pub(crate) line: usize,
    /// What it has brought with it ([`Claimed::slot`]), to be used by who ends its wait, and under the
    /// lock: in the waiter's frame.
    pub(crate) slot: *const (),
}

/// In the only line, without anything.
const ONLY: Spot = Spot { line: 0, slot: ptr::null() };

/// Wakes whom a queue has claimed, once its lock is released.
#[inline]
pub(crate) fn wake(claimed: Option<Claimed>) {
    if let Some(claimed) = claimed {
        claimed.wake(park::queue_here);
    }
}

impl<S> WaitQueue<S> {
    pub(crate) const fn new(state: S) -> Self {
        Self::with_lines(state)
    }

    /// Looks at the state and the line under the lock: `look` must be as short as [`Word`] asks.
    #[inline]
    pub(crate) fn with<R>(&self, look: impl FnOnce(&mut S, &Waiters) -> R) -> R {
        self.look(|state, lines| look(state, &lines[0]))
    }

    /// Wakes whom `choose` has claimed, once the lock is released; false if that was nobody.
    ///
    /// `choose` must be as short as [`Word`] asks.
    #[inline]
    pub(crate) fn wake_one(
        &self,
        choose: impl FnOnce(&mut S, &Lines<'_, 1>) -> Option<Claimed>,
    ) -> bool {
        let claimed = self.change(choose);
        let woke = claimed.is_some();
        wake(claimed);
        woke
    }

    /// Wakes who has waited longest; if nobody waits, changes the state instead.
    #[inline]
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
    pub(crate) fn wake_all(&self, change: impl FnOnce(&mut S)) {
        self.with(|state, _| change(state));
        self.wake_line(0, Winner::Event);
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
        let wait = Wait { deadline, reason, abort };
        let attempt = |state: &mut S, _: &Lines<'_, 1>| ready(state).then_some(());
        match self.attempt_or_wait(park::current(), &wait, ONLY, attempt) {
            Ok(()) => Winner::Event,
            Err(winner) => winner,
        }
    }
}

impl<S, const LINES: usize> WaitQueue<S, LINES> {
    pub(crate) const fn with_lines(state: S) -> Self {
        let lines = [const { Waiters::new() }; LINES];
        Self { word: Word::new(), state: UnsafeCell::new(state), lines }
    }

    /// Takes the lock: it must be held for as short as [`Word`] asks, and nothing may panic meanwhile.
    #[inline]
    pub(crate) fn lock(&self) -> Held<'_, S, LINES> {
        Held { queue: self, word: self.word.lock() }
    }

    /// Takes the lock for `me`, who may have to wait then; `None` is a thread without a runtime.
    #[inline]
    pub(crate) fn lock_for(&self, me: Option<Running>) -> Held<'_, S, LINES> {
        if me.is_none() {
            Blocked::prepare();
        }
        self.lock()
    }

    /// Runs `look` under the lock: it must be as short as [`Word`] asks.
    #[inline]
    pub(crate) fn look<R>(&self, look: impl FnOnce(&mut S, &[Waiters; LINES]) -> R) -> R {
        let mut held = self.lock();
        let (state, lines) = held.parts();
        look(state, lines.0)
    }

    /// Like [`look`](Self::look), for who ends the waits of others; whom it claims it must [`wake`].
    #[inline]
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut S, &Lines<'_, LINES>) -> R) -> R {
        let mut held = self.lock();
        let (state, lines) = held.parts();
        change(state, &lines)
    }

    /// Ends the waits of all who stand in a line now or come while this goes on, in their order.
    ///
    /// The lock is taken for each of them, so that nobody spins for as long as a long line takes.
    pub(crate) fn wake_line(&self, line: usize, winner: Winner) {
        self.wake_line_while(line, winner, |_| true);
    }

    /// Like [`wake_line`](Self::wake_line), up to the first who has not brought what is `wanted`.
    pub(crate) fn wake_line_while(
        &self,
        line: usize,
        winner: Winner,
        wanted: impl Fn(*const ()) -> bool,
    ) {
        loop {
            let claimed = self.change(|_, lines| lines.claim_if(line, winner, &wanted));
            if claimed.is_none() {
                return;
            }
            wake(claimed);
        }
    }

    /// Returns at once what `attempt` gives, or else waits in a line, and says who has ended that: as for
    /// [`Held::wait`].
    #[inline]
    #[track_caller]
    pub(crate) fn attempt_or_wait<R>(
        &self,
        me: Option<Running>,
        wait: &Wait,
        spot: Spot,
        attempt: impl FnOnce(&mut S, &Lines<'_, LINES>) -> Option<R>,
    ) -> Result<R, Winner> {
        self.attempt_or_stand(me, wait, |state, lines| attempt(state, lines).ok_or(spot), || ())
    }

    /// Like [`attempt_or_wait`](Self::attempt_or_wait); `attempt` says where to stand, and `standing` is
    /// called once the waiter can be woken there.
    ///
    /// Not under the lock, so `standing` may wake others. It must not panic or wait.
    #[inline]
    #[track_caller]
    pub(crate) fn attempt_or_stand<R>(
        &self,
        me: Option<Running>,
        wait: &Wait,
        attempt: impl FnOnce(&mut S, &Lines<'_, LINES>) -> Result<R, Spot>,
        standing: impl FnOnce(),
    ) -> Result<R, Winner> {
        let mut held = self.lock_for(me);
        let (state, lines) = held.parts();
        match attempt(state, &lines) {
            Ok(done) => Ok(done),
            Err(spot) => Err(held.wait(me, wait, spot, standing)),
        }
    }
}

/// The lock of a [`WaitQueue`], released on drop.
pub(crate) struct Held<'q, S, const LINES: usize> {
    queue: &'q WaitQueue<S, LINES>,
    word: word::Held<'q>,
}

impl<S, const LINES: usize> Held<'_, S, LINES> {
    /// What the lock guards.
    #[inline]
    pub(crate) fn parts(&mut self) -> (&mut S, Lines<'_, LINES>) {
        // SAFETY: the lock is held by this value, which is borrowed for as long as the reference lives.
        let state = unsafe { &mut *self.queue.state.get() };
        (state, Lines(&self.queue.lines))
    }

    /// Queues up in a line, releases the lock, and waits: says who has ended that.
    ///
    /// As for [`Running::park`]; `None` for `me` is a thread without a runtime, which really waits.
    /// `standing` is called when the lock is released: it must neither panic nor wait.
    #[inline]
    #[track_caller]
    pub(crate) fn wait(
        self,
        me: Option<Running>,
        wait: &Wait,
        spot: Spot,
        standing: impl FnOnce(),
    ) -> Winner {
        let Some(me) = me else { return self.block(wait, spot, standing) };
        if !me.may_switch() {
            // Not under the lock, and before anything was linked.
            drop(self);
            me.assert_may_switch(wait.reason);
            unreachable!("a task that may not switch would have to");
        }
        let Held { queue, word } = self;
        let session = me.open(wait.reason);
        let waiter = Waiter::new(Seat::with_slot(Who::Task(me.core()), session, spot.slot));
        // SAFETY: `place` below removes the waiter under the lock before this frame ends.
        unsafe { queue.lines[spot.line].push(&waiter) };
        drop(word);
        // Only a waker that has won is done with the node: one that has lost to a timeout or to a
        // cancellation may still be at it, under the lock.
        let leave = |waiter: &Waiter| {
            if !matches!(me.core().phase.winner(), Winner::Event | Winner::Closed) {
                queue.look(|_, waiters| waiters[spot.line].remove(waiter));
            }
        };
        let _place = Place { waiter: &waiter, leave };
        standing();
        let deadline = wait.deadline.and_then(|at| me.worker().deadline_at(at));
        me.park(session, deadline, wait.abort)
    }

    #[cold]
    fn block(self, wait: &Wait, spot: Spot, standing: impl FnOnce()) -> Winner {
        let Held { queue, word } = self;
        Blocked::with(|blocked| {
            let session = blocked.open();
            let waiter = Waiter::new(Seat::with_slot(blocked.who(), session, spot.slot));
            // SAFETY: popped by its waker, or removed under the lock below.
            unsafe { queue.lines[spot.line].push(&waiter) };
            drop(word);
            standing();
            let winner = blocked.block(session, wait.deadline);
            // Whoever has won may still be at the node and the slot, under the lock.
            queue.look(|_, waiters| waiters[spot.line].remove(&waiter));
            winner
        })
    }
}

impl<S, const LINES: usize> fmt::Debug for WaitQueue<S, LINES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitQueue").finish_non_exhaustive()
    }
}

#[cfg(all(test, loom))]
#[path = "wait_queue_tests.rs"]
pub(crate) mod loom_tests;
