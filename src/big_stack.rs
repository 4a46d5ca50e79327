//! Big stack: a deep call on a stack of its own, without giving every task one.
//!
//! Layer 5. Imports: coroutine, scheduler, stack, task. Never: what the call does.
//!
//! The call is a coroutine inside of the task's: whenever it suspends, the task does. Rejected:
//! corosensei's `on_stack`, which is cheaper at a switch and does not promise that one may suspend in it.

use crate::coroutine::Coroutine;
use crate::coroutine::Step;
use crate::coroutine::Suspender;
use crate::park;
use crate::park::Running;
use crate::stack::Class;
use crate::stack::Stacks;
use crate::stack::report_overflows;
use crate::sys;
use crate::task;
use std::any::Any;
use std::cell::Cell;
use std::io;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::ptr;

/// Runs `f` on a stack of its own with at least `bytes` usable bytes, and returns its value.
///
/// For the one deep call of a task with a small stack: a parser, a regular expression, a recursive
/// descent. `f` belongs to the calling task in every other respect: it may park and be cancelled, and
/// locals and scopes are those of the task. Calls may be nested. The stack comes from where those of
/// tasks of this size come from, is guarded like them, and is reused like them; a call costs 20 ns when
/// one is warm. Outside of a task a new stack is mapped for the call.
///
/// Parks only if `f` does; each call around it then takes one switch more.
///
/// # Cancellation
///
/// No checkpoint of its own.
///
/// # Panics
///
/// With `f`'s panic. If `bytes` is 0 or more than 1 GiB, and if no stack is to be had, naming the limit
/// that was met: `f` has not run then.
///
/// # Examples
///
/// ```
/// fn ackermann(m: u64, n: u64) -> u64 {
///     match (m, n) {
///         (0, n) => n + 1,
///         (m, 0) => ackermann(m - 1, 1),
///         (m, n) => ackermann(m - 1, ackermann(m, n - 1)),
///     }
/// }
///
/// giambio::run(|| {
///     giambio::pool(|pool| {
///         let deep = pool.spawn(|| giambio::on_big_stack(64 << 20, || ackermann(2, 500)));
///         assert_eq!(deep.join().unwrap(), 1003);
///     });
/// });
/// ```
#[track_caller]
pub fn on_big_stack<T>(bytes: usize, f: impl FnOnce() -> T) -> T {
    let call = Call { f: Cell::new(Some(f)), outcome: Cell::new(None) };
    let done = Class::for_usable(bytes).and_then(|class| match park::running() {
        Some(me) => call.in_task(me, class),
        None => call.on_thread(class),
    });
    if let Err(error) = done {
        panic!("on_big_stack: {error}");
    }
    match call.outcome.take() {
        Some(Ok(value)) => value,
        // Nothing is noted down (I5): whether the task unwinds is as well known as if `f` had been called
        // here. A note would outlive a catch by hand while another task is parked in mid-unwind.
        Some(Err(payload)) => resume_unwind(payload),
        None => unreachable!("a call came back without an outcome"),
    }
}

/// A closure on its way to another stack, and its outcome on the way back.
struct Call<F, T> {
    f: Cell<Option<F>>,
    outcome: Cell<Option<Result<T, Box<dyn Any + Send>>>>,
}

impl<F: FnOnce() -> T, T> Call<F, T> {
    /// Runs the closure; never unwinds (I4).
    ///
    /// # Safety
    ///
    /// `call` points to a `Self` that outlives the call.
    unsafe fn make(call: *const ()) {
        // SAFETY: passed on to the caller.
        let call = unsafe { &*call.cast::<Self>() };
        if let Some(f) = call.f.take() {
            call.outcome.set(Some(catch_unwind(AssertUnwindSafe(f))));
        }
    }

    /// What runs this call: a pointer and a function without types, since a coroutine's closure does not
    /// borrow.
    fn erased(&self) -> (unsafe fn(*const ()), *const ()) {
        (Self::make, ptr::from_ref(self).cast())
    }

    /// Runs it as a part of the running task.
    fn in_task(&self, me: Running, class: Class) -> io::Result<()> {
        let (core, worker) = (me.core(), me.worker());
        worker.reserve_stack(class)?;
        let slot = worker.take_stack(class);
        let own = (core.suspender.get(), core.stack.get());
        let ((make, call), task) = (self.erased(), ptr::from_ref(core));
        let root = move |suspender: &Suspender| {
            // SAFETY: the frame below waits for the end of this closure.
            unsafe { &*task }.suspender.set(suspender);
            // SAFETY: as above.
            unsafe { make(call) };
        };
        // SAFETY: the tenant is this task, which cannot end before this frame.
        let mut coroutine = unsafe { Coroutine::new(slot, task.cast(), root) };
        core.stack.set(class);
        // I2: nothing in this loop unwinds, and the task is always resumed.
        while coroutine.resume() == Step::Suspended {
            // SAFETY: it lies at the top of the stack that this frame is on.
            unsafe { &*own.0 }.suspend(());
        }
        core.suspender.set(own.0);
        core.stack.set(own.1);
        coroutine.take_stack().into_iter().for_each(|slot| worker.give_back_stack(slot));
        Ok(())
    }

    /// Runs it on a thread without a task, where its blocking calls really block.
    fn on_thread(&self, class: Class) -> io::Result<()> {
        report_overflows(task::TENANTS);
        let _signal_stack = sys::SignalStack::ensure();
        let mut stacks = Stacks::new();
        stacks.reserve(class)?;
        let slot = stacks.take(class);
        let (make, call) = self.erased();
        let root = move |_: &Suspender| {
            // SAFETY: the frame below waits for the end of this closure.
            unsafe { make(call) };
        };
        // SAFETY: the tenant is the one that stands for no task.
        let mut coroutine =
            unsafe { Coroutine::new(slot, (&raw const task::NO_TASK).cast(), root) };
        let step = coroutine.resume();
        debug_assert_eq!(step, Step::Ended, "a call outside of a task was suspended");
        coroutine.take_stack().into_iter().for_each(|slot| stacks.give_back(slot));
        Ok(())
    }
}
