//! Coroutine: one switch in, one switch out.
//!
//! Layer 2. Imports: stack. Never: queues, time, cancellation, who is current.
//!
//! corosensei is built without its `unwind` feature. An unwind that reached a coroutine's root would
//! therefore abort the process, which is I4, and so would dropping a suspended coroutine, which is I2
//! (asm-notes/unwinding.md shows both). Rejected: a coroutine that runs one closure after another
//! (19 ns against 6 ns for a new coroutine on a warm stack, and one more state to be wrong about).

use crate::stack::Lent;
use crate::stack::Slot;
use crate::stack::Tenant;
use corosensei::CoroutineResult;
use std::fmt;

/// The right to leave a coroutine's stack; lies at the top of that stack.
pub(crate) type Suspender = corosensei::Yielder<(), ()>;

/// What a resumed coroutine did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It gave up the CPU and wants to be resumed.
    Suspended,
    /// Its closure has returned; the stack is free.
    Ended,
}

/// A closure on a stack of its own.
pub(crate) struct Coroutine {
    inner: corosensei::Coroutine<(), (), (), Lent>,
    /// Beside `inner` and not inside, so that it can be taken out without moving the rest: loads of
    /// 16 bytes over words that the switch has just stored stall, 8 ns of a spawn's 70.
    slot: Option<Slot>,
}

impl Coroutine {
    /// Prepares `root` to run on `slot` at the first resume. `root` must not unwind (I4).
    ///
    /// # Safety
    ///
    /// `tenant` is what overflow reports take it for, until the coroutine has ended.
    #[inline]
    pub(crate) unsafe fn new(
        slot: Slot,
        tenant: Tenant,
        root: impl FnOnce(&Suspender) + 'static,
    ) -> Self {
        // SAFETY: the slot stays beside what it is lent to, until that has ended; the rest is passed on
        // to the caller.
        let lent = unsafe { slot.lend(tenant) };
        let run = move |suspender: &Suspender, ()| root(suspender);
        Self { inner: corosensei::Coroutine::with_stack(lent, run), slot: Some(slot) }
    }

    /// Runs the coroutine until it suspends or ends.
    #[inline]
    pub(crate) fn resume(&mut self) -> Step {
        match self.inner.resume(()) {
            CoroutineResult::Yield(()) => Step::Suspended,
            CoroutineResult::Return(()) => Step::Ended,
        }
    }

    /// The stack of a coroutine that has ended; once.
    #[inline]
    pub(crate) fn take_stack(&mut self) -> Option<Slot> {
        debug_assert!(self.inner.done(), "a stack was taken from under its coroutine");
        self.slot.take()
    }
}

impl fmt::Debug for Coroutine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coroutine").field("ended", &self.inner.done()).finish_non_exhaustive()
    }
}
