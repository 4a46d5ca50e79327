//! Channels: one text, played with crossbeam's channels on plain threads, with ours there, and with ours
//! in tasks; and what ours alone promise.
//!
//! What crossbeam's own tests and those of Go, libdill, trio and may check is in `shared`. That it holds
//! for crossbeam's channels proves the text; a program that changes a `use` line relies on all of it.

// For a `select!` of 32 arms.
#![recursion_limit = "256"]

mod counted;
// The proof of the text, which takes a minute to build: once is enough.
#[cfg(debug_assertions)]
mod crossbeam_on_threads;
mod ours;
mod threads;

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::time::Duration;

/// Milliseconds.
pub(crate) fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Seconds.
pub(crate) fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// How long `f` takes by the runtime's clock.
pub(crate) fn elapsed(f: impl FnOnce()) -> Duration {
    let start = giambio::clock();
    f();
    giambio::clock() - start
}

/// Lets the others run until something has come about.
#[track_caller]
pub(crate) fn until(mut is_there: impl FnMut() -> bool) {
    // Each turn takes a good part of a microsecond, and more when others run.
    for _ in 0..20_000_000 {
        if is_there() {
            return;
        }
        giambio::yield_now();
    }
    panic!("it has not come about");
}

/// The text of the panic in which `f` ends.
#[track_caller]
pub(crate) fn panic_of<T>(f: impl FnOnce() -> T) -> String {
    let Err(payload) = catch_unwind(AssertUnwindSafe(f)) else { panic!("nothing panicked") };
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => match payload.downcast::<&str>() {
            Ok(text) => (*text).into(),
            Err(_) => panic!("a payload that is no text"),
        },
    }
}
