//! Fork: how the runtime learns that it lives on in a child process.
//!
//! Layer 0. Imports: nothing of this crate. Never: what the child must not do.

use std::sync::Once;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

static IS_CHILD: AtomicBool = AtomicBool::new(false);

/// Whether this process was forked off one that had a runtime.
pub(crate) fn is_forked_child() -> bool {
    IS_CHILD.load(Ordering::Relaxed)
}

extern "C" fn note_child() {
    IS_CHILD.store(true, Ordering::Relaxed);
}

/// Has `in_child` called in the child of every `fork(3)` from now on, on the thread that forked.
/// `in_child` must be async-signal-safe. Only the first call's argument counts.
pub(crate) fn watch_forks(in_child: extern "C" fn()) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for handler in [note_child, in_child] {
            // SAFETY: the handler is a plain function that lives as long as the program; a failure
            // (no memory) leaves the runtime as it is without the check.
            unsafe { libc::pthread_atfork(None, None, Some(to_c(handler))) };
        }
    });
}

/// libc wants an `unsafe` function pointer.
fn to_c(handler: extern "C" fn()) -> unsafe extern "C" fn() {
    handler
}
