//! `sync::mpsc`: one text, played with std's channels on plain threads, and with ours there, in tasks, and
//! between both; and what ours alone promise.
//!
//! The text follows std's own tests and its documentation. That it holds for std's channels proves it; a
//! program that changes a `use` line relies on all of it.

mod mixed;
mod ours;
mod std_on_threads;
mod tasks;
mod threads;

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
