//! Rows of the matrix: calls that wait until something was done once, or until all have come.

use super::Case;
use super::Test;
use super::sync::trigger;
use giambio::cancellable;
use giambio::sync::Barrier;
use giambio::sync::Event;
use giambio::sync::Once;
use std::cell::Cell;

matrix!(Virtual: barrier_wait, once_call_once, once_wait);

/// Those that several tasks may make at once.
mod by_two {
    matrix!(Virtual, of several tasks at once: once_call_once, once_wait);
}

/// A task that comes meets who makes the call; of each two that meet, one leads.
fn barrier_wait(test: Test<'_>) {
    let (barrier, met) = (Barrier::new(2), Cell::new(0));
    let call = || {
        let leads = barrier.wait().is_leader();
        met.set(met.get() + usize::from(leads));
    };
    cancellable(|others| {
        let complete = || drop(others.spawn(call));
        test(&Case::new(&call).ends_when(&complete).has(&|| met.get()));
        others.cancel();
    });
}

/// Who waits in his closure is cut there, and who waits for another one's takes over.
fn once_call_once(test: Test<'_>) {
    let (once, event) = (Once::new(), Event::new());
    let call = || once.call_once(|| event.wait());
    test(&Case::new(&call).ends_when(&|| trigger(&event)));
}

fn once_wait(test: Test<'_>) {
    let once = Once::new();
    let call = || once.wait();
    test(&Case::new(&call).ends_when(&|| once.call_once(|| ())));
}
