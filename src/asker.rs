//! Asker: who asks for a lock, and whether a panic is passing through its frames.
//!
//! Layer 5. Imports: park, task. Never: what is asked for.
//!
//! std decides about poisoning by the thread; here it is the task that panics or does not (I5), and a
//! cancellation is no panic.

use crate::park;
use crate::park::Unwinding;
use crate::park::Worker;
use crate::task::local::LOCAL;
use std::ptr;
use std::thread;

/// Who asks for a lock: the running task, or the thread if none runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker {
    /// Not 0, and never that of another task or thread that is alive.
    pub(crate) token: usize,
    /// As of [`is_panicking`].
    pub(crate) is_panicking: bool,
}

/// Who runs here.
///
/// A task's token is made of its number, a thread's is an even address. Rejected: the address of the task's
/// record, which a later task may get while a guard of the earlier one is still about.
#[inline]
pub(crate) fn asker() -> Asker {
    match park::running() {
        Some(me) => {
            let core = me.core();
            Asker {
                token: (core.id.0 as usize) << 1 | 1,
                // What was noted of an unwind that was caught by hand is forgotten here.
                is_panicking: (core.unwinding.get() || thread::panicking()) && is_panicking_slow(),
            }
        }
        None => {
            let token = LOCAL.with(|local| ptr::from_ref(local).addr());
            Asker { token, is_panicking: is_panicking() }
        }
    }
}

/// Whether a panic, and no cancellation, is passing through the frames of who runs here, as far as that
/// can be told: in doubt it is not.
#[inline]
pub(crate) fn is_panicking() -> bool {
    thread::panicking() && is_panicking_slow()
}

#[cold]
fn is_panicking_slow() -> bool {
    match park::running() {
        Some(me) => me.unwinding() == Unwinding::Yes && !me.core().is_cut.get(),
        // In a hook it may be a task that panics, parked in the middle of it.
        None => {
            let is_a_tasks = park::worker_here(Worker::is_unwind_window).unwrap_or_default();
            thread::panicking() && !is_a_tasks
        }
    }
}
