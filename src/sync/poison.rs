//! Poison: whether a panic has left in the middle what a lock guards.
//!
//! Layer 7. Imports: asker. Never: locks.
//!
//! As with std, and with std's error types. Relaxed everywhere: who takes the lock comes after who has
//! left it, and outside of the lock the flag is a hint.

use crate::asker;
use std::sync::LockResult;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

/// Set once somebody has panicked with the lock in his hands.
#[derive(Debug)]
pub(super) struct Poison(AtomicBool);

impl Poison {
    pub(super) const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    #[inline]
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn clear(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Called by who leaves the lock, unless a panic was passing already when he took it: then he has broken
    /// nothing.
    #[inline]
    pub(super) fn leave(&self) {
        if asker::is_panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// `access` to what the lock guards, as std hands it out.
    #[inline]
    pub(super) fn result<G>(&self, access: G) -> LockResult<G> {
        if self.is_set() { Err(PoisonError::new(access)) } else { Ok(access) }
    }
}
