//! A world of plain threads.

use crate::ms;
use crate::secs;
use std::time::Duration;

/// How many workers make a crowd.
pub(crate) fn many() -> usize {
    100
}

/// Plays a test.
pub(crate) fn run(body: impl Fn()) {
    body();
}

/// Gives the others the time to come to where they wait. They may be late: what a test asserts must hold
/// nevertheless.
pub(crate) fn settle() {
    giambio::sleep(ms(3));
}

/// What waited for so long has not waited for less.
#[track_caller]
pub(crate) fn assert_took(took: Duration, expected: Duration) {
    assert!(took >= expected, "{took:?} instead of {expected:?}");
    assert!(took < expected + secs(60), "{took:?} instead of {expected:?}");
}
