//! Primitives: atomics of std, or those of loom when its models run.
//!
//! Layer 0. Imports: nothing of this crate. Never: what they synchronise.
//!
//! Only what other threads touch goes through here (phases and inboxes): everything else
//! stays on its own worker's thread.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::AtomicPtr;
#[cfg(loom)]
pub(crate) use loom::sync::atomic::AtomicU64;
#[cfg(loom)]
pub(crate) use loom::sync::atomic::Ordering;
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::AtomicPtr;
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::AtomicU64;
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::Ordering;

/// A word that may lie in a static, as loom's atomics may not.
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::AtomicUsize as StaticUsize;

/// A word that may lie in a static: loom's atomic is made with its first use.
#[cfg(loom)]
#[derive(Debug)]
pub(crate) struct StaticUsize {
    first: usize,
    atomic: std::sync::OnceLock<loom::sync::atomic::AtomicUsize>,
}

#[cfg(loom)]
impl StaticUsize {
    pub(crate) const fn new(first: usize) -> Self {
        Self { first, atomic: std::sync::OnceLock::new() }
    }

    fn atomic(&self) -> &loom::sync::atomic::AtomicUsize {
        self.atomic.get_or_init(|| loom::sync::atomic::AtomicUsize::new(self.first))
    }

    pub(crate) fn load(&self, order: Ordering) -> usize {
        self.atomic().load(order)
    }

    pub(crate) fn store(&self, value: usize, order: Ordering) {
        self.atomic().store(value, order);
    }

    pub(crate) fn compare_exchange(
        &self,
        current: usize,
        new: usize,
        success: Ordering,
        failure: Ordering,
    ) -> Result<usize, usize> {
        self.atomic().compare_exchange(current, new, success, failure)
    }

    pub(crate) fn fetch_add(&self, value: usize, order: Ordering) -> usize {
        self.atomic().fetch_add(value, order)
    }

    pub(crate) fn fetch_sub(&self, value: usize, order: Ordering) -> usize {
        self.atomic().fetch_sub(value, order)
    }

    pub(crate) fn fetch_and(&self, value: usize, order: Ordering) -> usize {
        self.atomic().fetch_and(value, order)
    }
}
