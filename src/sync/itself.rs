//! Itself: who would wait for what only it could end.
//!
//! Layer 7. Imports: park. Never: what is waited for.

use crate::park;
use std::thread;

/// Panics for who is about to wait for itself; `held` says what it has done.
#[cold]
#[track_caller]
pub(super) fn would_wait(held: &str) -> ! {
    let current = thread::current();
    let who = match (park::running(), current.name()) {
        (Some(me), _) => format!("task '{}' ({})", me.core().name, me.core().id),
        (None, Some(name)) => format!("thread '{name}'"),
        (None, None) => "a thread without a name".to_owned(),
    };
    panic!("{who} would wait for itself: it {held} already");
}
