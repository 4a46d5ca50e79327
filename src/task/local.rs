//! Local: who runs on this thread.
//!
//! Layer 3. Imports: task. Never: workers (it keeps one word for them), how the next task is chosen.
//!
//! One thread-local, without a destructor and initialised by a constant, so that reading it is one
//! instruction. A compiler may keep its address across a switch; tasks are pinned (I1), so the
//! address stays right. See asm-notes/thread-locals.md.

use super::Core;
use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::ptr;

/// Checkpoints that a task may pass before it yields although nothing stops it.
///
/// A task whose socket is always ready then holds the worker for 64 system calls, some 100 µs, and a
/// yield (below 50 ns) for each 64 of them cannot be measured. Measure again with
/// `benches/peers`, `echo64x1`.
pub(crate) const BUDGET: u32 = 64;

/// What this thread is doing when no task runs on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is an ordinary thread.
    Outside,
    /// It runs a hook or a log sink for the scheduler, which must not block.
    Hook(&'static str),
    /// It is the child of a `fork`; the scheduler stayed behind in the parent.
    Forked,
}

pub(crate) struct Local {
    pub(crate) core: Cell<*const Core>,
    /// The scheduler's word: its `Worker`.
    pub(crate) worker: Cell<*const ()>,
    /// Checkpoints left; 0 also while a cancellation is pending, so that one load tells both.
    pub(crate) budget: Cell<u32>,
    pub(crate) place: Cell<Place>,
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("place", &self.place).finish_non_exhaustive()
    }
}

thread_local! {
    pub(crate) static LOCAL: Local = const {
        Local {
            core: Cell::new(ptr::null()),
            worker: Cell::new(ptr::null()),
            budget: Cell::new(0),
            place: Cell::new(Place::Outside),
        }
    };
}

/// A counter that is one higher while this lives.
pub(crate) struct Raised<'c>(&'c Cell<u32>);

impl<'c> Raised<'c> {
    pub(crate) fn new(counter: &'c Cell<u32>) -> Self {
        counter.set(counter.get() + 1);
        Self(counter)
    }
}

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Runs in the child of a `fork`, on the thread that forked: from here on this thread has no task.
pub(crate) extern "C" fn forget_after_fork() {
    LOCAL.with(|local| {
        if !local.worker.get().is_null() {
            local.core.set(ptr::null());
            local.worker.set(ptr::null());
            local.place.set(Place::Forked);
        }
    });
}

/// Runs foreign code for the scheduler: caught, and in a state in which blocking calls panic.
pub(crate) fn in_hook(name: &'static str, hook: impl FnOnce()) {
    LOCAL.with(|local| {
        let core = local.core.replace(ptr::null());
        let place = local.place.replace(Place::Hook(name));
        // A payload's destructor is foreign code as well: in the caller's place it could switch.
        let panicked = catch_unwind(AssertUnwindSafe(hook)).map_err(drop_caught).is_err();
        local.place.set(place);
        local.core.set(core);
        // SAFETY: the word names the running task, whose record is alive, or nobody.
        if unsafe { core.as_ref() }.is_some_and(Core::cancel_pending) {
            // The hook may have cancelled the task, which it could not see running.
            local.budget.set(0);
        }
        if panicked && name != LOG_SINK {
            log(log::Level::Error, format_args!("the debugger's hook {name} panicked"));
        }
    });
}

pub(crate) const LOG_SINK: &str = "a log sink";

/// Logs through [`in_hook`]: a sink is foreign code.
pub(crate) fn log(level: log::Level, message: fmt::Arguments<'_>) {
    in_hook(LOG_SINK, || log::log!(target: "giambio", level, "{message}"));
}

/// Drops a panic's payload, whatever its destructor does.
#[expect(clippy::mem_forget, reason = "a payload whose destructor panics may do so again")]
pub(crate) fn drop_caught(payload: Box<dyn Any + Send>) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(another);
    }
}
