//! A world of tasks: in the order and time of a program, on a virtual clock, and there in other orders.

use crate::secs;
pub(crate) use giambio::pool as scope;
use giambio::testing;
pub(crate) use giambio::testing::settle;
use std::cell::Cell;
use std::time::Duration;

/// How many workers make a crowd.
pub(crate) const MANY: usize = 1_000;

/// Orders in which the tasks are run, beside that of a program.
const SEEDS: u64 = 4;

thread_local! {
    /// Whether time passes only when everybody waits.
    static IS_VIRTUAL: Cell<bool> = const { Cell::new(false) };
}

/// Plays a test.
pub(crate) fn run(body: impl Fn()) {
    IS_VIRTUAL.set(false);
    giambio::run(&body);
    IS_VIRTUAL.set(true);
    testing::run_virtual(&body);
    testing::explore(0..SEEDS, body);
}

/// On a virtual clock a wait takes what it should and nothing more.
#[track_caller]
pub(crate) fn assert_took(took: Duration, expected: Duration) {
    if IS_VIRTUAL.get() {
        assert_eq!(took, expected);
    } else {
        assert!(took >= expected, "{took:?} instead of {expected:?}");
        assert!(took < expected + secs(60), "{took:?} instead of {expected:?}");
    }
}
