//! The slots of one size class that nobody runs on: which of them is the next one?
//!
//! Layer 1. Imports: its own folder. Never: who runs on a slot that is out.
//!
//! Chosen: one deque, warm slots at the back, those never touched at the front. Rejected: a stack of
//! both (a burst of reservations would bury the warm slot under cold ones), a free list threaded
//! through the slots themselves (it touches memory that an idle slot should not have).

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::thread;

use super::Class;
use super::Slot;
use super::arena::Arena;
use super::arena::Guards;

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
}

impl Cache {
    pub(super) fn new(class: Class) -> Self {
        Self { arena: Arena::new(class), free: VecDeque::new(), spare: 0 }
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
        self.free.try_reserve(self.out() + 1)?;
        let slot = self.arena.carve(guards)?;
        self.free.push_front(slot);
        Ok(())
    }

    /// Keeps one promise.
    #[inline]
    pub(super) fn take(&mut self) -> Slot {
        debug_assert!(self.spare < self.free.len(), "a slot is taken that was not reserved");
        self.free.pop_back().expect("every slot that is taken was reserved before")
    }

    #[inline]
    pub(super) fn give_back(&mut self, slot: Slot) {
        debug_assert!(self.arena.owns(&slot), "a slot came back to the wrong runtime");
        self.free.push_back(slot);
        self.spare += 1;
    }

    /// Slots somebody may be running on.
    fn out(&self) -> usize {
        self.arena.carved() - self.free.len()
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        if self.out() == 0 {
            self.free.clear();
            // SAFETY: I2: the last task has ended: every slot ever carved was in `free`, a slot
            // cannot be copied, and those in `free` are gone with the line above.
            unsafe { self.arena.release() };
        } else if !thread::panicking() {
            // In a release build the memory stays: better lost than unmapped under a task.
            debug_assert!(false, "stacks died while {} of them were in use", self.out());
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
