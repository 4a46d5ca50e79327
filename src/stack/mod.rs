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
mod overflow;
#[cfg(test)]
mod tests;

use std::array;
use std::io;
use std::ops::ControlFlow;
use std::ptr;
use std::ptr::NonNull;

use corosensei::stack::Stack;
use corosensei::stack::StackPointer;

use self::arena::Guards;
use self::cache::Cache;
pub(crate) use self::overflow::Line;
pub(crate) use self::overflow::Tenants;
pub(crate) use self::overflow::report_overflows;
use crate::sys;

/// Usable bytes of the smallest class. A panic's message and backtrace take 22 KiB, real name
/// resolution 13 KiB: below this size a task dies of its own error report.
const MIN_USABLE_LEN: usize = 32 << 10;

/// Usable bytes of the largest class. A thousand such stacks are a TiB of address space, of the
/// 128 TiB that x86-64 has; nothing that recurses deeper than this ends anyway.
const MAX_USABLE_LEN: usize = 1 << 30;

/// Powers of two from [`MIN_USABLE_LEN`] up to [`MAX_USABLE_LEN`], both included.
const CLASSES: usize = (MAX_USABLE_LEN / MIN_USABLE_LEN).ilog2() as usize + 1;

/// A size of stacks: how many times [`MIN_USABLE_LEN`] is doubled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    pub(crate) fn usable_len(self) -> usize {
        MIN_USABLE_LEN << self.0
    }
}

/// Who runs on a stack, for the overflow report; null for nobody. What it points to is known to the one
/// who lends the stack.
pub(crate) type Tenant = *const ();

/// Where a stack lies, seen by the one who runs on it. Addresses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The lowest usable byte: the guard ends here.
    low: usize,
    /// One past the highest.
    base: usize,
}

impl Bounds {
    /// The bounds of a stack of this class; `first` is an address in its first 128 bytes.
    pub(crate) fn around(first: usize, class: Class) -> Self {
        // The first frames do not leave the page of the base: no colour comes so close to its start.
        let low = arena::limit_around(first, class) + arena::guard_len(class);
        Self { low, base: first }
    }

    /// Bytes between the caller's frame and the guard.
    #[inline]
    pub(crate) fn remaining(self) -> usize {
        here().saturating_sub(self.low)
    }

    /// Bytes between the base and the caller's frame.
    #[inline]
    pub(crate) fn used(self) -> usize {
        self.base.saturating_sub(here())
    }

    /// Bytes between the base and the lowest page that has memory.
    pub(crate) fn touched(self) -> usize {
        let top = self.base.next_multiple_of(sys::page_size());
        let mut lowest = self.base;
        sys::for_each_resident(self.low, top - self.low, |distance| {
            lowest = self.low + distance;
            ControlFlow::Break(())
        });
        self.base.saturating_sub(lowest)
    }
}

/// An address in the current frame.
#[inline]
fn here() -> usize {
    let byte = 0_u8;
    (&raw const byte).addr()
}

/// What the stacks of one runtime have been through. All sizes are bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StackStats {
    /// Stacks that a task runs on, or that a call of `on_big_stack` does.
    pub live: usize,
    /// Stacks that wait for the next task. A task that was spawned and has not run yet has one of them.
    pub idle: usize,
    /// The most of each size that were live at a time, added up.
    pub peak: usize,
    /// Address space of all stacks, guards included; memory stands behind what was touched.
    pub reserved_bytes: usize,
    /// Memory of idle stacks that was given back to the system so far.
    pub returned_bytes: usize,
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
    /// What a coroutine needs of this slot. `tenant` is whom an overflow report names; see
    /// [`report_overflows`].
    ///
    /// # Safety
    ///
    /// The slot is not given back while the coroutine has not ended, and lent to one at a time. The
    /// tenant stays what it is until the slot is given back.
    #[inline]
    pub(crate) unsafe fn lend(&self, tenant: Tenant) -> Lent {
        self.set_tenant(tenant);
        Lent { base: self.base, class: self.class }
    }

    #[inline]
    fn set_tenant(&self, tenant: Tenant) {
        // SAFETY: `arena::base_of` leaves room for this above the base, aligned to 16 bytes; only the
        // slot's one owner and the handler on its thread look at it.
        unsafe { self.base.cast::<Tenant>().write(tenant) };
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
// 16 bytes. The memory is this coroutine's alone (`Slot::lend`), and stays mapped until the slot
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
    returned_bytes: usize,
}

impl Stacks {
    /// Maps nothing yet.
    pub(crate) fn new() -> Self {
        Self::guarded_by(Guards::Install)
    }

    fn guarded_by(guards: Guards) -> Self {
        // `for_usable` and this line are the only makers of classes.
        let caches = array::from_fn(|doublings| Cache::new(Class(doublings as u8)));
        Self { caches, guards, returned_bytes: 0 }
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
        slot.set_tenant(ptr::null());
        self.caches[usize::from(slot.class.0)].give_back(slot);
    }

    /// Whether there is memory of idle stacks that could go back to the system.
    pub(crate) fn has_idle_memory(&self) -> bool {
        self.caches.iter().any(Cache::has_idle_memory)
    }

    /// Ends a period: what has been idle for all of it is now marked to be returned.
    pub(crate) fn end_period(&mut self) {
        self.caches.iter_mut().for_each(Cache::end_period);
    }

    /// Gives some of the marked memory back; whether there was any. It takes about a millisecond.
    pub(crate) fn return_some(&mut self) -> bool {
        match self.caches.iter_mut().find(|cache| cache.has_marked()) {
            Some(cache) => {
                self.returned_bytes += cache.return_some();
                true
            }
            None => false,
        }
    }

    /// Memory that went back so far.
    pub(crate) fn returned_bytes(&self) -> usize {
        self.returned_bytes
    }

    pub(crate) fn stats(&self) -> StackStats {
        let sum = |of: fn(&Cache) -> usize| self.caches.iter().map(of).sum();
        StackStats {
            live: sum(Cache::live),
            idle: sum(Cache::idle),
            peak: sum(Cache::peak),
            reserved_bytes: sum(Cache::reserved_bytes),
            returned_bytes: self.returned_bytes,
        }
    }
}
