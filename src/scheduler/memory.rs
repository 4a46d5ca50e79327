//! Memory: which stacks a worker's tasks run on, and when idle ones give theirs back.
//!
//! Layer 4. Imports: stack, clock, sys. Never: tasks.
//!
//! The rule: what has been idle for a whole period of two seconds goes back, in pieces of a
//! millisecond, save for 4 MiB of each size. That of a burst begins to go two to four seconds after its
//! end; 100,000 stacks take a fifth of a second of CPU time, and other tasks run between the pieces.
//! A worker that sleeps is woken for this as long as there is something to give back, and then no more;
//! one that never sleeps looks each 15,616 steps of its tasks.

use super::Worker;
use crate::clock::Nanos;
use crate::stack::Class;
use crate::stack::Slot;
use crate::stack::StackStats;
use crate::sys;
use std::io;

/// How long a stack must have been idle before its memory goes back. A server whose load comes and goes
/// in seconds keeps its stacks warm; giving back and touching again costs 3 µs for each of them.
const PERIOD: Nanos = 2_000_000_000;

/// When so much of the stacks' memory went back, in bytes, the heap has free memory as well that is worth
/// a look: the records of these tasks, and what they had allocated. That is one piece, of some 10 ms for
/// those of 100,000 tasks.
const WORTH_A_TRIM: usize = 64 << 20;

/// Rounds of the loop, 61 steps of tasks each, after which a worker that never sleeps looks at its idle
/// stacks: a look costs some 20 ns.
pub(super) const ROUNDS_PER_LOOK: u32 = 256;

impl Worker {
    /// Makes sure that a task of this class will find a stack at its first step.
    #[inline]
    pub(crate) fn reserve_stack(&self, class: Class) -> io::Result<()> {
        self.stacks.borrow_mut().reserve(class)
    }

    /// Takes a stack that was reserved.
    #[inline]
    pub(crate) fn take_stack(&self, class: Class) -> Slot {
        self.stacks.borrow_mut().take(class)
    }

    #[inline]
    pub(crate) fn give_back_stack(&self, slot: Slot) {
        self.stacks.borrow_mut().give_back(slot);
    }

    pub(crate) fn stack_stats(&self) -> StackStats {
        self.stacks.borrow().stats()
    }

    /// Called once a round by a worker that has tasks to run.
    #[inline]
    pub(super) fn look_at_idle_stacks_sometimes(&self) {
        let left = self.rounds_left.get();
        self.rounds_left.set(left.checked_sub(1).unwrap_or(ROUNDS_PER_LOOK));
        if left == 0 {
            self.return_idle_memory();
        }
    }

    /// Gives some memory of idle stacks back, if there is any that has been idle for long enough. Whether
    /// there was: then there may be more.
    pub(super) fn return_idle_memory(&self) -> bool {
        let mut stacks = self.stacks.borrow_mut();
        if stacks.return_some() {
            return true;
        }
        let returned = stacks.returned_bytes();
        if returned - self.returned_at_trim.get() >= WORTH_A_TRIM {
            self.returned_at_trim.set(returned);
            // Those that are kept lie on nearly every page between those that are free.
            self.records.clear();
            sys::trim_heap();
        }
        if !stacks.has_idle_memory() {
            self.next_period.set(Nanos::MAX);
            return false;
        }
        let now = self.read_clock();
        if self.next_period.get() == Nanos::MAX {
            self.next_period.set(now.saturating_add(PERIOD));
        } else if now >= self.next_period.get() {
            stacks.end_period();
            self.next_period.set(now.saturating_add(PERIOD));
            return stacks.return_some();
        }
        false
    }
}
