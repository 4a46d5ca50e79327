//! The behaviour of the runtime, seen from outside: one claim a test.

mod clock;
mod debugger;
mod leaks;
mod lowlevel;
mod panic;
mod pool;
mod process;
mod run;
mod scope;
mod stress;
mod task;
mod tcp;
mod threads;
mod unwind;

use std::cell::RefCell;
use std::time::Duration;

/// Milliseconds.
pub(crate) fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

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

/// Counts the drops of what carries it.
#[derive(Clone, Default)]
pub(crate) struct Drops(std::rc::Rc<std::cell::Cell<usize>>);

impl Drops {
    pub(crate) fn count(&self) -> usize {
        self.0.get()
    }

    /// A value whose drop is counted.
    pub(crate) fn one(&self) -> CountedDrop {
        CountedDrop(self.clone())
    }
}

/// See [`Drops::one`].
pub(crate) struct CountedDrop(Drops);

impl Drop for CountedDrop {
    fn drop(&mut self) {
        self.0.0.set(self.0.count() + 1);
    }
}
