//! Fork: how the runtime learns that it lives on in a child process.
//!
//! Layer 0. Imports: nothing of this crate. Never: what the child must not do.

use std::sync::Once;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

static FORKS: AtomicU32 = AtomicU32::new(0);

/// How many forks lie between this process and the one that first had a runtime: what was made at
/// another count is shared with an ancestor.
pub(crate) fn forks() -> u32 {
    FORKS.load(Ordering::Relaxed)
}

static HAS_FORKED: AtomicBool = AtomicBool::new(false);

/// Whether this process has had a child by `fork(3)` since [`watch_forks`], which may have kept its
/// descriptors. What `posix_spawn` begins, as [`std::process::Command`] mostly does, keeps none that
/// is closed on exec.
pub(crate) fn has_forked() -> bool {
    HAS_FORKED.load(Ordering::Relaxed)
}

extern "C" fn note_fork() {
    HAS_FORKED.store(true, Ordering::Relaxed);
}

extern "C" fn note_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// Has `in_child` called in the child of every `fork(3)` from now on, on the thread that forked.
/// `in_child` must be async-signal-safe. Only the first call's argument counts.
pub(crate) fn watch_forks(in_child: extern "C" fn()) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handlers are plain functions that live as long as the program; a failure (no
        // memory) leaves the runtime as it is without the check.
        unsafe { libc::pthread_atfork(Some(to_c(note_fork)), None, Some(to_c(note_child))) };
        // SAFETY: as above.
        unsafe { libc::pthread_atfork(None, None, Some(to_c(in_child))) };
    });
}

/// libc wants an `unsafe` function pointer.
fn to_c(handler: extern "C" fn()) -> unsafe extern "C" fn() {
    handler
}
