//! Abort: the end of the process where going on would be unsound.
//!
//! Layer 0. Imports: nothing of this crate. Never: what went wrong.

use std::mem::ManuallyDrop;

/// Ends the process with a last word on standard error, without allocating or unwinding.
pub(crate) fn abort_with(parts: &[&str]) -> ! {
    for part in parts {
        // SAFETY: the pointer and the length are those of a live string.
        unsafe { libc::write(2, part.as_ptr().cast(), part.len()) };
    }
    std::process::abort()
}

/// Aborts with its text if an unwind passes it.
#[derive(Debug)]
pub(crate) struct AbortOnUnwind(pub(crate) &'static str);

impl AbortOnUnwind {
    /// The danger is over.
    pub(crate) fn disarm(self) {
        let _ = ManuallyDrop::new(self);
    }
}

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        abort_with(&[self.0]);
    }
}
