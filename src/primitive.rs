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
