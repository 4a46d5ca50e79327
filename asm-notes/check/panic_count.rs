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

/// What a bystander found.
#[derive(Debug, Default)]
struct Found {
    panicking: Cell<bool>,
    /// Whether the culprit's unwind was over when the bystander's cancellation was raised.
    raised_after_the_unwind: Cell<Option<bool>>,
    panicking_after_it: Cell<bool>,
}

fn main() {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {})); // this panic is the point
    let innocent = Mutex::new(());
    let unwound = Cell::new(false);
    let found = Found::default();
    giambio::run(|| {
        giambio::pool(|pool| {
            pool.spawn(|| {
                let guard = innocent.lock();
                giambio::yield_now();
                drop(guard); // while the next task is parked in mid-unwind
            });
            pool.spawn_isolated(|| {
                let _unwound = OnDrop(|| unwound.set(true));
                let _parks = ParksOnDrop;
                panic!("the culprit");
            });
            pool.spawn(|| bystander(&unwound, &found));
        });
        found.panicking_after_it.set(thread::panicking());
    });
    panic::set_hook(hook);
    println!("{found:?}, an innocent mutex is poisoned: {}", innocent.is_poisoned());
    assert!(found.panicking.get(), "the count is the thread's");
    assert!(innocent.is_poisoned(), "std decides poisoning by that count");
    assert_eq!(found.raised_after_the_unwind.get(), Some(true), "raised while in doubt");
    assert!(!found.panicking_after_it.get());
}

/// Is cancelled while another task is parked in mid-unwind, and blocks at once.
fn bystander(unwound: &Cell<bool>, found: &Found) {
    found.panicking.set(thread::panicking());
    let _raised = OnDrop(|| found.raised_after_the_unwind.set(Some(unwound.get())));
    giambio::task::current().cancel();
    giambio::sleep_forever();
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
