//! The slots of one size class that nobody runs on: which of them is the next one?
//!
//! Layer 1. Imports: its own folder. Never: who runs on a slot that is out; what time it is.
//!
//! Chosen: one deque, warm slots at the back, those without memory at the front. Rejected: a stack of
//! both (a burst of reservations would bury the warm slot under cold ones), a free list threaded
//! through the slots themselves (it touches memory that an idle slot should not have).
//!
//! Memory goes back by periods, whose length the owner chooses: a slot that nobody took for a whole
//! period is given back, save for the few warmest. A front part that was not taken is all that has
//! to be known of a period, so that the end of a task costs nothing and its start one comparison.
//! Rejected: advice at each end (1.5 µs, and as much again for the next task's page fault).
//!
//! ```text
//! free:  | cold: no memory | marked: to be returned | idle for this period so far | taken in it  |
//!        0                 cold                     marked                        untouched      len
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::ptr::NonNull;
use std::thread;

use super::Class;
use super::Slot;
use super::arena;
use super::arena::Arena;
use super::arena::Guards;

/// Usable bytes of the warmest idle slots of a class, whose memory stays: 16 stacks of 256 KiB, and none
/// of those that are larger than this. A program with a few short tasks now and then keeps running
/// them on warm stacks, and is not woken in order to give their memory back.
const KEPT_LEN: usize = 4 << 20;

/// Slots given back at a time, so that the worker's tasks do not wait for more than about a
/// millisecond.
const RETURNED_AT_ONCE: usize = 512;

/// And usable bytes, of which there is one slot's at least: it takes 1.2 µs to find out what memory a
/// MiB of address space has, be it none.
const RETURNED_LEN: usize = 512 << 20;

/// And pages with memory: 0.3 µs each.
const RETURNED_PAGES: usize = 2048;

/// Slots sorted at a time.
const SORTED_AT_ONCE: usize = 4096;

/// The free slots of one class, and the promises made on them.
///
/// `free` always holds every slot that is promised to a task which has not started, so that it can be
/// taken without a chance of failure; and it has room for every slot of `arena`, so that one can be
/// given back without allocating.
pub(super) struct Cache {
    arena: Arena,
    /// Taken and given back at the back; fresh ones come in at the front.
    free: VecDeque<Slot>,
    /// How many slots of `free` are promised to nobody.
    spare: usize,
    /// Slots at the front that were in `free` for all of this period.
    untouched: usize,
    /// Slots at the front that had no memory at the period's start; those that `untouched` does not
    /// reach have some by now.
    cold: usize,
    /// Slots at the front that were untouched for all of the last period, and are not to be kept.
    marked: usize,
    /// Positions among the marked slots: what precedes one of them has lower addresses than what follows.
    /// The first of them is the last here.
    halves: Vec<usize>,
    /// The most that were live at a time before this period.
    peak: usize,
}

impl Cache {
    pub(super) fn new(class: Class) -> Self {
        let (spare, untouched, cold, marked, peak) = (0, 0, 0, 0, 0);
        Self {
            arena: Arena::new(class),
            free: VecDeque::new(),
            spare,
            untouched,
            cold,
            marked,
            halves: Vec::new(),
            peak,
        }
    }

    /// Promises one slot.
    #[inline]
    pub(super) fn reserve(&mut self, guards: &mut Guards) -> io::Result<()> {
        if self.spare == 0 {
            return self.add_promised(guards);
        }
        self.spare -= 1;
        Ok(())
    }

    #[cold]
    fn add_promised(&mut self, guards: &mut Guards) -> io::Result<()> {
        // First the room, for then nothing has to be undone when the second step fails.
        let room = self.free.try_reserve(self.live() + 1);
        room.map_err(|refusal| arena::no_room::<Slot>(self.arena.carved(), refusal))?;
        let slot = self.arena.carve(guards)?;
        self.free.push_front(slot);
        // It has no memory, and what was counted from the front has moved.
        self.cold += 1;
        self.marked += 1;
        self.untouched += 1;
        self.halves.iter_mut().for_each(|end| *end += 1);
        Ok(())
    }

    /// Keeps one promise.
    #[inline]
    pub(super) fn take(&mut self) -> Slot {
        debug_assert!(self.spare < self.free.len(), "a slot is taken that was not reserved");
        let slot = self.free.pop_back().expect("every slot that is taken was reserved before");
        if self.free.len() < self.untouched {
            self.untouched = self.free.len();
        }
        slot
    }

    #[inline]
    pub(super) fn give_back(&mut self, slot: Slot) {
        debug_assert!(self.arena.owns(&slot), "a slot came back to the wrong runtime");
        self.free.push_back(slot);
        self.spare += 1;
    }

    /// Idle slots whose memory stays.
    fn kept(&self) -> usize {
        KEPT_LEN / self.arena.class().usable_len()
    }

    /// Slots at the front without memory.
    fn without_memory(&self) -> usize {
        self.cold.min(self.untouched)
    }

    /// Whether more slots are idle and have memory than are to keep theirs.
    pub(super) fn has_idle_memory(&self) -> bool {
        self.free.len() > self.without_memory() + self.kept()
    }

    /// Ends a period: see the head of this file.
    pub(super) fn end_period(&mut self) {
        self.cold = self.without_memory();
        self.peak = self.peak();
        self.marked = self.untouched.min(self.free.len().saturating_sub(self.kept()));
        self.untouched = self.free.len();
        self.halves.clear();
    }

    /// Whether some memory is to go back.
    pub(super) fn has_marked(&self) -> bool {
        self.without_memory() < self.marked.min(self.untouched)
    }

    /// Gives some marked memory back to the system; returns how many bytes that was.
    pub(super) fn return_some(&mut self) -> usize {
        let from = self.without_memory();
        let most = (RETURNED_LEN / self.arena.class().usable_len()).clamp(1, RETURNED_AT_ONCE);
        let to = self.sort_some(from, self.marked.min(self.untouched)).min(from + most);
        let bases: Vec<NonNull<u8>> = self.free.range(from..to).map(|slot| slot.base).collect();
        // SAFETY: nobody runs on a slot that is free, and one that starts to expects no contents.
        let (slots, bytes) = unsafe { self.arena.discard(&bases, RETURNED_PAGES) };
        self.cold = from + slots;
        bytes
    }

    /// Sorts marked slots by address from `from` on, up to the position that it returns; all others up to
    /// `to` lie above them.
    ///
    /// Tasks end in any order, and neighbours that go back together take a third of the time. Sorting a
    /// million at once would take 10 ms: this halves them until there are few, and goes on from there
    /// when these have been returned.
    fn sort_some(&mut self, from: usize, to: usize) -> usize {
        while self.halves.pop_if(|end| *end <= from).is_some() {}
        let to = self.halves.last().map_or(to, |&end| end.min(to));
        let mut part = &mut self.free.make_contiguous()[from..to];
        while part.len() > SORTED_AT_ONCE {
            let half = part.len() / 2;
            part.select_nth_unstable_by_key(half, |slot| slot.base);
            part = &mut part[..half];
            self.halves.push(from + half);
        }
        part.sort_unstable_by_key(|slot| slot.base);
        from + part.len()
    }

    /// Slots somebody may be running on.
    pub(super) fn live(&self) -> usize {
        self.arena.carved() - self.free.len()
    }

    /// Slots nobody runs on.
    pub(super) fn idle(&self) -> usize {
        self.free.len()
    }

    /// The most slots that were live at a time.
    pub(super) fn peak(&self) -> usize {
        // Every slot that was out of `free` at some time of this period lies behind the untouched.
        self.peak.max(self.arena.carved() - self.untouched)
    }

    pub(super) fn reserved_bytes(&self) -> usize {
        self.arena.reserved_len()
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        if self.live() == 0 {
            self.free.clear();
            // SAFETY: I2: the last task has ended: every slot ever carved was in `free`, a slot
            // cannot be copied, and those in `free` are gone with the line above.
            unsafe { self.arena.release() };
        } else if !thread::panicking() {
            // In a release build the memory stays: better lost than unmapped under a task.
            debug_assert!(false, "stacks died while {} of them were in use", self.live());
        }
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the slots: there may be a million.
        f.debug_struct("Cache")
            .field("carved", &self.arena.carved())
            .field("free", &self.free.len())
            .field("spare", &self.spare)
            .finish()
    }
}

#[cfg(test)]
#[path = "return_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "model_tests.rs"]
mod model_tests;
