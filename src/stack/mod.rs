//! Stacks: where does a task run, and where does its memory go when it ends?
//!
//! Layer 1. Imports: sys, corosensei. Never: what a coroutine is, who borrows a stack, or when.
//!
//! Chosen: guarded slots of sixteen size classes, cut out of large reservations and reused last in,
//! first out, so that ten thousand short tasks in a row run on one warm stack. Rejected: a mapping
//! per stack (2 µs to make, 1.6 µs to drop, two kernel mappings each), stacks that grow by copying
//! (Rust code holds addresses into its own stack).

mod arena;
mod cache;
#[cfg(test)]
mod tests;

use std::array;
use std::io;
use std::ptr::NonNull;

use corosensei::stack::Stack;
use corosensei::stack::StackPointer;

use self::arena::Guards;
use self::cache::Cache;

/// Usable bytes of the smallest class. A panic's message and backtrace take 22 KiB, real name
/// resolution 13 KiB: below this size a task dies of its own error report.
const MIN_USABLE_LEN: usize = 32 << 10;

/// Usable bytes of the largest class. A thousand such stacks are a TiB of address space, of the
/// 128 TiB that x86-64 has; nothing that recurses deeper than this ends anyway.
const MAX_USABLE_LEN: usize = 1 << 30;

/// Powers of two from [`MIN_USABLE_LEN`] up to [`MAX_USABLE_LEN`], both included.
const CLASSES: usize = (MAX_USABLE_LEN / MIN_USABLE_LEN).ilog2() as usize + 1;

/// A size of stacks: how many times [`MIN_USABLE_LEN`] is doubled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Class(u8);

impl Class {
    /// The smallest class whose stacks have at least `bytes` usable bytes.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for 0 and for more than 1 GiB.
    pub(crate) fn for_usable(bytes: usize) -> io::Result<Self> {
        if bytes == 0 || bytes > MAX_USABLE_LEN {
            let text = format!(
                "a stack of {bytes} bytes: the size must lie between 1 byte (rounded up to \
                 {MIN_USABLE_LEN}) and 1 GiB ({MAX_USABLE_LEN} bytes)"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let doublings = bytes.div_ceil(MIN_USABLE_LEN).next_power_of_two().ilog2();
        Ok(Self(doublings as u8)) // below CLASSES
    }

    /// What a stack of this class promises to a task, in bytes.
    fn usable_len(self) -> usize {
        MIN_USABLE_LEN << self.0
    }
}

/// One guarded stack: the right to run on it.
///
/// It goes back by [`Stacks::give_back`]. Dropped instead, it is never used again, and its memory
/// stays mapped even after its `Stacks`.
#[derive(Debug)]
pub(crate) struct Slot {
    /// High end, where the first frame goes; shifted from slot to slot by a colour.
    base: NonNull<u8>,
    /// It and the base tell the low end. A third word, holding that end, would make a slot too large
    /// for two registers: reserving, taking and giving back together cost 18 ns with it, 12 without.
    class: Class,
}

impl Slot {
    /// What a coroutine needs of this slot.
    ///
    /// # Safety
    ///
    /// The slot is not given back while the coroutine has not ended, and lent to one at a time.
    #[inline]
    pub(crate) unsafe fn lend(&self) -> Lent {
        Lent { base: self.base, class: self.class }
    }
}

/// A slot's bounds, for the coroutine that runs on it.
#[derive(Debug)]
pub(crate) struct Lent {
    base: NonNull<u8>,
    class: Class,
}

// SAFETY: I6: `Arena::carve` makes the only slots there are. It has made at least a page from `limit`
// upwards inaccessible, and leaves at least 32 KiB between that guard and `base`, which it aligns to
// 128 bytes. The memory is this coroutine's alone (`Slot::lend`), and stays mapped until the slot
// lies in its cache again: `Cache::drop` counts.
unsafe impl Stack for Lent {
    #[inline]
    fn base(&self) -> StackPointer {
        // Exposed, since corosensei makes its pointers from bare addresses.
        self.base.expose_provenance()
    }

    #[inline]
    fn limit(&self) -> StackPointer {
        arena::limit_of(self.base, self.class)
    }
}

/// The stacks of one runtime, free ones and those that are out.
///
/// Of one thread (I1: a task ends where it started), so nothing here is locked.
#[derive(Debug)]
pub(crate) struct Stacks {
    caches: [Cache; CLASSES],
    guards: Guards,
}

impl Stacks {
    /// Maps nothing yet.
    pub(crate) fn new() -> Self {
        Self::guarded_by(Guards::Install)
    }

    fn guarded_by(guards: Guards) -> Self {
        // `for_usable` and this line are the only makers of classes.
        let caches = array::from_fn(|doublings| Cache::new(Class(doublings as u8)));
        Self { caches, guards }
    }

    /// Makes sure that a guarded slot will be there for a task that has not started yet.
    ///
    /// Until it starts, the task costs the guard but no memory to run on.
    ///
    /// # Errors
    ///
    /// `OutOfMemory`, naming the limit that was met. What was reserved or taken before stays good, and
    /// slots that are given back can be reserved again.
    #[inline]
    pub(crate) fn reserve(&mut self, class: Class) -> io::Result<()> {
        self.caches[usize::from(class.0)].reserve(&mut self.guards)
    }

    /// Takes the slot that was given back last, using up one reservation.
    ///
    /// # Panics
    ///
    /// If there are more calls than reservations (always in debug builds).
    #[inline]
    pub(crate) fn take(&mut self, class: Class) -> Slot {
        self.caches[usize::from(class.0)].take()
    }

    /// Puts a slot back, warm, to be taken next.
    #[inline]
    pub(crate) fn give_back(&mut self, slot: Slot) {
        self.caches[usize::from(slot.class.0)].give_back(slot);
    }
}
