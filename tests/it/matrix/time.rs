//! Rows of the matrix: calls that wait for time, or for a turn.

use super::Case;
use super::Test;
use crate::secs;
use giambio::clock;

matrix!(Virtual: sleep, sleep_until, yield_now, settle);
matrix!(Virtual, sleep_forever never ends);

fn sleep(test: Test<'_>) {
    let call = || {
        let start = clock();
        giambio::sleep(secs(1));
        assert!(clock() - start >= secs(1), "it was woken too early");
    };
    test(&Case::new(&call).ends_when(&|| giambio::sleep(secs(1))));
}

fn sleep_until(test: Test<'_>) {
    let at = clock() + secs(1);
    let call = || {
        giambio::sleep_until(at);
        assert!(clock() >= at, "it was woken too early");
    };
    test(&Case::new(&call).ends_when(&|| giambio::sleep_until(at)));
}

fn sleep_forever(test: Test<'_>) {
    test(&Case::new(&|| giambio::sleep_forever()).never_ends());
}

fn yield_now(test: Test<'_>) {
    test(&Case::new(&giambio::yield_now));
}

fn settle(test: Test<'_>) {
    test(&Case::new(&giambio::testing::settle));
}
