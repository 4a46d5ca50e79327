//! What is done once and who meets at a barrier, with std's names: one claim a test.

mod barrier;
mod lazy_lock;
mod once;
mod once_lock;
mod once_waits;
mod surface;
mod threads;
#[path = "../locks/unwind.rs"]
mod unwind;

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::time::Duration;

/// Seconds.
pub(crate) fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// What happened, in order.
#[derive(Default)]
pub(crate) struct Log(RefCell<Vec<String>>);

impl Log {
    pub(crate) fn add(&self, entry: impl Into<String>) {
        self.0.borrow_mut().push(entry.into());
    }

    #[track_caller]
    pub(crate) fn assert(&self, expected: &[&str]) {
        assert_eq!(*self.0.borrow(), expected);
    }
}

/// Panics without the message that the panic hook would print.
pub(crate) fn fail(text: &'static str) -> ! {
    resume_unwind(Box::new(text))
}

/// Waits for a cancellation, as what returns nothing.
pub(crate) fn forever() {
    giambio::sleep_forever()
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

/// What a poisoned `Once` says, as std's does.
pub(crate) const POISONED: &str = "Once instance has previously been poisoned";
