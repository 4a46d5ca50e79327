//! asm-notes/unwinding.md: std counts panics by thread, and a task parked in mid-unwind makes that
//! count wrong for all others.

#![expect(clippy::print_stdout, reason = "the report of a check")]

use std::cell::Cell;
use std::panic;
use std::sync::Mutex;
use std::thread;

/// Parks while its task unwinds.
struct ParksOnDrop;

impl Drop for ParksOnDrop {
    fn drop(&mut self) {
        giambio::yield_now();
        giambio::yield_now();
    }
}

/// What a bystander found in each of its steps.
#[derive(Debug, Default)]
struct Found {
    panicking: Cell<bool>,
    raised_in_the_window: Cell<bool>,
    raised_after_it: Cell<bool>,
    panicking_after_it: Cell<bool>,
}

fn main() {
    panic::set_hook(Box::new(|_| {})); // these panics are the point
    let innocent = Mutex::new(());
    let found = Found::default();
    giambio::run(|| {
        giambio::pool(|pool| {
            pool.spawn(|| {
                let guard = innocent.lock();
                giambio::yield_now();
                drop(guard); // while the next task is parked in mid-unwind
            });
            let culprit = pool.spawn_isolated(|| {
                let _parks = ParksOnDrop;
                panic!("the culprit");
            });
            pool.spawn(|| bystander(&found));
            let _ = culprit.join();
            found.panicking_after_it.set(thread::panicking());
        });
    });
    println!("{found:?}, an innocent mutex is poisoned: {}", innocent.is_poisoned());
    assert!(found.panicking.get(), "the count is the thread's");
    assert!(innocent.is_poisoned(), "std decides poisoning by that count");
    assert!(!found.raised_in_the_window.get(), "a cancellation is held back while in doubt");
    assert!(found.raised_after_it.get(), "and raised when the count is right again");
    assert!(!found.panicking_after_it.get());
}

fn bystander(found: &Found) {
    found.panicking.set(thread::panicking());
    let _on_unwind = OnDrop(|| found.raised_after_it.set(!found.raised_in_the_window.get()));
    giambio::task::current().cancel();
    let in_window = OnDrop(|| found.raised_in_the_window.set(true));
    giambio::yield_now(); // a checkpoint; the count is wrong, so it does not raise
    std::mem::forget(in_window);
    while thread::panicking() {
        giambio::yield_now();
    }
    giambio::yield_now();
    found.raised_in_the_window.set(true); // not reached
}

struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn holds() {
    main();
}
