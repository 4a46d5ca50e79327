//! Lock: who has what one at a time may have.
//!
//! Layer 7. Imports: wait_queue, park, hooks, task, primitive. Never: what that is.
//!
//! One word says whether somebody has it, and whether somebody may wait. The line of those who wait is only
//! touched while that bit is set, or about to be:
//!
//! ```text
//! free             --lock-->    locked            by one compare-and-swap, also under the line's lock
//! locked           --wait-->    locked, wanted    under the line's lock, by who then queues up
//! locked           --unlock-->  free              by one compare-and-swap
//! locked, wanted   --unlock-->  locked, wanted?   under the line's lock: handed to who has waited longest
//! locked, wanted   --unlock-->  free              under the line's lock, if nobody waits any more
//! ```
//!
//! While the bit is set the word changes under the line's lock only. It may be set in vain, when all who
//! have waited have given up: that costs one unlock its fast path.
//!
//! Chosen: the lock is handed over, so nobody who comes later is faster. Rejected: to let who comes take a
//! lock that is on its way to a parked task. It keeps a busy core busy, which one worker is in any case,
//! and starves who waits.
//!
//! Chosen: the owner stands in a word of its own. Rejected: the owner's token as the word itself. The
//! compare-and-swap then waits for the token, which has to be loaded: 1.2 of 12 ns for lock and unlock.

use super::itself;
use crate::hooks::WaitReason;
use crate::park;
use crate::primitive::Ordering;
use crate::primitive::StaticUsize;
use crate::task::Abort;
use crate::task::phase::Winner;
use crate::wait_queue::Lines;
use crate::wait_queue::Spot;
use crate::wait_queue::Wait;
use crate::wait_queue::WaitQueue;
use crate::wait_queue::wake;
use std::ptr;
use std::time::Instant;

const FREE: usize = 0;
const LOCKED: usize = 1;
/// Somebody may wait; only beside `LOCKED`.
const WANTED: usize = 2;

/// A lock that guards nothing.
#[derive(Debug)]
pub(super) struct Lock {
    state: StaticUsize,
    /// Who has it, by the token that it was asked for with, or 0. Written by who has it, so who finds
    /// itself here really has it; of others this tells nothing.
    owner: StaticUsize,
    line: WaitQueue<()>,
}

impl Lock {
    pub(super) const fn new() -> Self {
        Self { state: StaticUsize::new(FREE), owner: StaticUsize::new(0), line: WaitQueue::new(()) }
    }

    /// Takes the lock if nobody has it.
    #[inline]
    pub(super) fn try_lock(&self, token: usize) -> bool {
        let order = (Ordering::Acquire, Ordering::Relaxed);
        let taken = self.state.compare_exchange(FREE, LOCKED, order.0, order.1).is_ok();
        if taken {
            self.owner.store(token, Ordering::Relaxed);
        }
        taken
    }

    /// Takes the lock, or waits until it is handed over. No checkpoint, and nothing cuts it.
    #[inline]
    #[track_caller]
    pub(super) fn lock(&self, token: usize) {
        if !self.try_lock(token) {
            self.lock_slow(token, None, Abort::Never);
        }
    }

    /// Takes the lock, or waits for it until `deadline`; whether it has got it.
    #[inline]
    #[track_caller]
    pub(super) fn lock_until(&self, token: usize, deadline: Option<Instant>) -> bool {
        self.try_lock(token) || self.lock_slow(token, deadline, Abort::Now)
    }

    #[cold]
    #[track_caller]
    fn lock_slow(&self, token: usize, deadline: Option<Instant>, abort: Abort) -> bool {
        let owns = self.owner.load(Ordering::Relaxed) == token;
        if owns && deadline.is_none() {
            itself::would_wait("has locked this `Mutex`");
        }
        let wait = Wait { deadline, reason: WaitReason::Lock, abort };
        let spot = Spot { line: 0, slot: ptr::without_provenance(token) };
        let attempt = |(): &mut (), lines: &Lines<'_, 1>| {
            let taken = self.take_or_mark(token);
            if !taken {
                // Here and not where the lock is handed over: after this comes a switch, and there a
                // compare-and-swap, which waits for what is on its way.
                lines.look_ahead(0);
            }
            taken.then_some(())
        };
        match self.line.attempt_or_wait(park::current(), &wait, spot, attempt) {
            Ok(()) => true,
            Err(winner) => winner == Winner::Event,
        }
    }

    /// Takes the lock, or says that somebody waits for it; under the line's lock.
    fn take_or_mark(&self, token: usize) -> bool {
        loop {
            // If it is marked, only who has the line's lock could change that: then two compare-and-swaps are
            // spared, 9 of 113 ns of a turn when a thousand tasks wait.
            if self.state.load(Ordering::Relaxed) == LOCKED | WANTED {
                return false;
            }
            if self.try_lock(token) {
                return true;
            }
            let order = Ordering::Relaxed;
            if self.state.compare_exchange(LOCKED, LOCKED | WANTED, order, order).is_ok() {
                return false;
            }
        }
    }

    /// Leaves the lock to who has waited longest. Never waits. Only for who has it.
    #[inline]
    pub(super) fn unlock(&self) {
        self.owner.store(0, Ordering::Relaxed);
        let order = (Ordering::Release, Ordering::Relaxed);
        if self.state.compare_exchange(LOCKED, FREE, order.0, order.1).is_err() {
            self.hand_over();
        }
    }

    #[cold]
    fn hand_over(&self) {
        let mut held = self.line.lock();
        let ((), lines) = held.parts();
        // The shortest way, for what happens most often.
        if let Some(me) = park::current()
            && let Some((next, token)) = lines.claim_here(0, me, |_| true)
        {
            self.give_to(token.addr(), &lines);
            drop(held);
            return park::queue_here(next);
        }
        let claimed = lines.claim_first();
        match &claimed {
            Some(next) => self.give_to(next.slot().addr(), &lines),
            None => self.state.store(FREE, Ordering::Release),
        }
        drop(held);
        wake(claimed);
    }

    /// Makes who has brought `token` the owner; under the line's lock.
    #[inline]
    fn give_to(&self, token: usize, lines: &Lines<'_, 1>) {
        self.owner.store(token, Ordering::Relaxed);
        if lines.line(0).is_empty() {
            // Relaxed: the wake-up tells the next owner, and what lies before it.
            self.state.store(LOCKED, Ordering::Relaxed);
        }
    }
}

#[cfg(all(test, loom))]
#[path = "lock_tests.rs"]
#[expect(unsafe_code, reason = "loom's cells, which see who uses them when")]
pub(super) mod loom_tests;
