//! Shared lock: who has what many may read or one may write.
//!
//! Layer 7. Imports: wait_queue, park, hooks, task, primitive. Never: what that is.
//!
//! One word counts the readers, and says whether somebody writes and whether somebody may wait. Who finds
//! nobody in his way takes it by one compare-and-swap and leaves it by one addition. The line of those who
//! wait, readers and writers alike, is only touched while the bit for them is set, or about to be.
//!
//! Who leaves last while that bit is set *serves*: under the line's lock it hands over to the writer at the
//! head, or to all readers there up to the first writer. Until it has come to that, nobody has the lock and
//! nobody who comes gets it: he queues up, unless nobody waits any more. Serving twice does no harm, so
//! everybody serves who could have been the last obstacle: also a writer that gives up, behind whom
//! readers may have waited.

use super::itself;
use crate::hooks::WaitReason;
use crate::park;
use crate::primitive::Ordering;
use crate::primitive::StaticUsize;
use crate::task::Abort;
use crate::task::phase::Winner;
use crate::task::waiters::Claimed;
use crate::task::waiters::Waiters;
use crate::wait_queue;
use crate::wait_queue::Lines;
use crate::wait_queue::Spot;
use crate::wait_queue::Wait;
use crate::wait_queue::WaitQueue;
use std::mem;
use std::ptr;
use std::time::Instant;

/// Somebody writes.
const WRITTEN: usize = 1;
/// Somebody may wait.
const WANTED: usize = 2;
/// The readers are counted above these bits.
const ONE_READER: usize = 4;

/// Readers that are served before the line's lock is released for a moment and they are woken.
const SERVED_AT_ONCE: usize = 16;

/// What a waiter wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

impl Access {
    /// What a waiter brings with it: a writer its token.
    fn slot(self, token: usize) -> *const () {
        match self {
            Self::Read => ptr::null(),
            Self::Write => ptr::without_provenance(token),
        }
    }

    fn of(slot: *const ()) -> Self {
        if slot.is_null() { Self::Read } else { Self::Write }
    }
}

/// A lock that guards nothing.
#[derive(Debug)]
pub(super) struct SharedLock {
    state: StaticUsize,
    /// Who writes, or 0. As with [`Lock`](super::lock::Lock): exact for who finds itself here.
    writer: StaticUsize,
    line: WaitQueue<()>,
}

impl SharedLock {
    pub(super) const fn new() -> Self {
        Self { state: StaticUsize::new(0), writer: StaticUsize::new(0), line: WaitQueue::new(()) }
    }

    /// Takes a share if nobody writes and nobody may wait.
    #[inline]
    fn read_fast(&self) -> bool {
        let mut state = self.state.load(Ordering::Relaxed);
        while state & (WRITTEN | WANTED) == 0 {
            let (more, order) = (state + ONE_READER, (Ordering::Acquire, Ordering::Relaxed));
            match self.state.compare_exchange(state, more, order.0, order.1) {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
        false
    }

    /// Takes all of it if nobody has any, and nobody may wait.
    #[inline]
    fn write_fast(&self, token: usize) -> bool {
        let order = (Ordering::Acquire, Ordering::Relaxed);
        let taken = self.state.compare_exchange(0, WRITTEN, order.0, order.1).is_ok();
        if taken {
            self.writer.store(token, Ordering::Relaxed);
        }
        taken
    }

    /// Takes it if nobody is in the way, in use or in line.
    #[inline]
    pub(super) fn try_lock(&self, access: Access, token: usize) -> bool {
        let taken = match access {
            Access::Read => self.read_fast(),
            Access::Write => self.write_fast(token),
        };
        taken || self.try_lock_slow(access, token)
    }

    /// Those whose wait has ended may have left their mark.
    #[cold]
    fn try_lock_slow(&self, access: Access, token: usize) -> bool {
        let is_marked = self.state.load(Ordering::Relaxed) & WANTED != 0;
        is_marked && self.line.with(|(), line| self.take(access, token, line))
    }

    /// Takes it, or waits until it is handed over. No checkpoint, and nothing cuts it.
    #[inline]
    #[track_caller]
    pub(super) fn lock(&self, access: Access, token: usize) {
        let taken = match access {
            Access::Read => self.read_fast(),
            Access::Write => self.write_fast(token),
        };
        if !taken {
            self.lock_slow(access, token, None, Abort::Never);
        }
    }

    /// Takes it, or waits for it until `deadline`; whether it has got it.
    #[track_caller]
    pub(super) fn lock_until(
        &self,
        access: Access,
        token: usize,
        deadline: Option<Instant>,
    ) -> bool {
        self.try_lock(access, token) || self.lock_slow(access, token, deadline, Abort::Now)
    }

    #[cold]
    #[track_caller]
    fn lock_slow(
        &self,
        access: Access,
        token: usize,
        deadline: Option<Instant>,
        abort: Abort,
    ) -> bool {
        let writes = self.writer.load(Ordering::Relaxed) == token;
        if writes && deadline.is_none() {
            itself::would_wait("has locked this `RwLock` for writing");
        }
        let reason = match access {
            Access::Read => WaitReason::ReadLock,
            Access::Write => WaitReason::WriteLock,
        };
        let (wait, spot) =
            (Wait { deadline, reason, abort }, Spot { line: 0, slot: access.slot(token) });
        let attempt = |(): &mut (), lines: &Lines<'_, 1>| {
            self.take_or_mark(access, token, lines.line(0)).then_some(())
        };
        let departure = Departure(self);
        match self.line.attempt_or_wait(park::current(), &wait, spot, attempt) {
            Ok(()) | Err(Winner::Event) => {
                departure.has_arrived();
                true
            }
            Err(_) => false,
        }
    }

    /// Takes it if nobody is in the way; under the line's lock, which is that of `line`.
    fn take(&self, access: Access, token: usize, line: &Waiters) -> bool {
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let in_the_way = match access {
                Access::Read => state & WRITTEN,
                Access::Write => state & !WANTED,
            };
            if in_the_way != 0 || line.first_slot().is_some() {
                return false;
            }
            let taken = match access {
                Access::Read => (state & !WANTED) + ONE_READER,
                Access::Write => WRITTEN,
            };
            let order = (Ordering::Acquire, Ordering::Relaxed);
            match self.state.compare_exchange(state, taken, order.0, order.1) {
                Ok(_) => break,
                Err(now) => state = now,
            }
        }
        if access == Access::Write {
            self.writer.store(token, Ordering::Relaxed);
        }
        true
    }

    /// Takes it, or says that somebody waits for it; under the line's lock, which is that of `line`.
    fn take_or_mark(&self, access: Access, token: usize, line: &Waiters) -> bool {
        loop {
            if self.take(access, token, line) {
                return true;
            }
            let state = self.state.load(Ordering::Relaxed);
            // Whoever leaves last while it is marked has to come here to serve.
            if state & WANTED != 0 {
                return false;
            }
            let in_the_way = match access {
                Access::Read => state & WRITTEN,
                Access::Write => state,
            };
            let (marked, order) = (state | WANTED, Ordering::Relaxed);
            if in_the_way != 0 && self.state.compare_exchange(state, marked, order, order).is_ok() {
                return false;
            }
        }
    }

    /// Gives a share back. Never waits. Only for who has one.
    #[inline]
    pub(super) fn unlock_read(&self) {
        let before = self.state.fetch_sub(ONE_READER, Ordering::Release);
        if before == ONE_READER | WANTED {
            self.serve();
        }
    }

    /// Gives all of it back. Never waits. Only for who writes.
    #[inline]
    pub(super) fn unlock_write(&self) {
        self.writer.store(0, Ordering::Relaxed);
        if self.state.fetch_sub(WRITTEN, Ordering::Release) & WANTED != 0 {
            self.serve();
        }
    }

    /// Gives all of it back but one share. Never waits. Only for who writes.
    pub(super) fn downgrade(&self) {
        self.writer.store(0, Ordering::Relaxed);
        if self.state.fetch_add(ONE_READER - WRITTEN, Ordering::Release) & WANTED != 0 {
            self.serve();
        }
    }

    /// Hands over to those at the head of the line for whom there is nobody in the way.
    #[cold]
    fn serve(&self) {
        let mut has_more = true;
        while has_more {
            let mut served = [const { None }; SERVED_AT_ONCE];
            has_more = self.line.change(|(), lines| {
                for place in &mut served {
                    *place = self.serve_first(lines);
                    if place.is_none() {
                        return false;
                    }
                }
                true
            });
            served.into_iter().for_each(wait_queue::wake);
        }
    }

    /// Hands over to the one who has waited longest, if nobody is in his way; under the line's lock.
    fn serve_first(&self, lines: &Lines<'_, 1>) -> Option<Claimed> {
        // Acquire: who is served comes after all who have left.
        let state = self.state.load(Ordering::Acquire);
        if state & WRITTEN != 0 {
            return None;
        }
        // It may become free right after this: then who has left it serves.
        let is_free = state & !WANTED == 0;
        let may = |slot| is_free || Access::of(slot) == Access::Read;
        let claimed = lines.claim_if(0, Winner::Event, may);
        match &claimed {
            Some(next) if Access::of(next.slot()) == Access::Write => {
                self.writer.store(next.slot().addr(), Ordering::Relaxed);
                // Nobody had it, and only under this lock anybody could take it.
                self.state.store(WRITTEN | WANTED, Ordering::Relaxed);
            }
            Some(_) => drop(self.state.fetch_add(ONE_READER, Ordering::Relaxed)),
            None if lines.line(0).is_empty() => {
                self.state.fetch_and(!WANTED, Ordering::Relaxed);
            }
            None => {}
        }
        claimed
    }
}

/// Serves for who gives up its place in the line, also by an unwind: it may have been the last obstacle.
struct Departure<'l>(&'l SharedLock);

impl Departure<'_> {
    /// Nothing is given up.
    #[expect(clippy::mem_forget, reason = "there is nothing to serve for")]
    fn has_arrived(self) {
        mem::forget(self);
    }
}

impl Drop for Departure<'_> {
    fn drop(&mut self) {
        self.0.serve();
    }
}

#[cfg(all(test, loom))]
#[path = "shared_lock_tests.rs"]
#[expect(unsafe_code, reason = "loom's cells, which see who uses them when")]
mod loom_tests;
