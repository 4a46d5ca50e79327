//! Rows of the matrix: calls that wait for another task's or thread's word.

use super::Case;
use super::Test;
use crate::secs;
use giambio::lowlevel::Parker;
use giambio::sync::Event;
use giambio::sync::Semaphore;
use giambio::testing::Sequencer;
use std::cell::Cell;
use std::cell::RefCell;
use std::time::Duration;

matrix!(Virtual: event_wait, semaphore_acquire, parker_park, parker_park_timeout, sequencer_step);

/// Those that several tasks may make at once.
mod by_two {
    matrix!(Virtual, of several tasks at once: event_wait, semaphore_acquire);
}

/// Makes an event happen, if it has not.
pub(super) fn trigger(event: &Event) {
    let _ = event.trigger(());
}

fn event_wait(test: Test<'_>) {
    let event = Event::new();
    let call = || event.wait();
    test(&Case::new(&call).ends_when(&|| trigger(&event)));
}

fn semaphore_acquire(test: Test<'_>) {
    let (semaphore, added) = (Semaphore::new(0), Cell::new(0));
    let call = || semaphore.acquire().forget();
    let complete = || {
        semaphore.add_permits(1);
        added.set(added.get() + 1);
    };
    let effects = || added.get() - semaphore.available();
    test(&Case::new(&call).ends_when(&complete).has(&effects));
}

fn parker_park(test: Test<'_>) {
    parking(test, Parker::park);
}

fn parker_park_timeout(test: Test<'_>) {
    parking(test, |parker| assert!(parker.park_timeout(secs(1000)), "there was no token"));
}

fn parking(test: Test<'_>, park: fn(&Parker)) {
    let (parker, tokens) = (Parker::new(), Cell::new(0));
    let unparker = parker.unparker();
    let call = || park(&parker);
    let complete = || {
        unparker.unpark();
        tokens.set(tokens.get() + 1);
    };
    let effects = || tokens.get() - usize::from(parker.park_timeout(Duration::ZERO));
    test(&Case::new(&call).ends_when(&complete).has(&effects));
}

/// A step that was cut is used up: each call takes the next sequence.
fn sequencer_step(test: Test<'_>) {
    let sequences = [(); 4].map(|()| Sequencer::new());
    let first_steps = RefCell::new(Vec::from_iter(sequences.iter().map(|s| s.step(0))));
    let calls = Cell::new(0);
    let call = || {
        let number = calls.replace(calls.get() + 1);
        drop(sequences[number].step(1));
    };
    test(&Case::new(&call).ends_when(&|| drop(first_steps.take())));
}
