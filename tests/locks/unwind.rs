//! What passes through a task's frames, for the tests of all locks.

use giambio::pool;
use giambio::task;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::yield_now;
use std::cell::Cell;
use std::time::Duration;

/// What passes through a task's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passing {
    Panic,
    Cancellation,
}

/// Runs a test for each of them, on a clock of its own.
pub(crate) fn both(test: impl Fn(Passing)) {
    for passing in [Passing::Panic, Passing::Cancellation] {
        run_virtual(|| test(passing));
    }
}

impl Passing {
    /// Starts the unwind of the calling task.
    pub(crate) fn begin(self) -> ! {
        if self == Self::Panic {
            crate::fail("on purpose");
        }
        task::current().cancel();
        yield_now();
        unreachable!("a cancelled task went past a checkpoint");
    }
}

/// Calls a closure when it is dropped.
pub(crate) struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> OnDrop<F> {
    pub(crate) fn new(f: F) -> Self {
        Self(Some(f))
    }
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(|f| f());
    }
}

/// What `f` returns in a destructor that `passing` runs, in a task of its own.
#[track_caller]
pub(crate) fn in_destructor<T>(passing: Passing, f: impl FnOnce() -> T) -> T {
    let result = Cell::new(None);
    pool(|pool| {
        let task = pool.spawn_isolated(|| -> () {
            let _guard = OnDrop::new(|| result.set(Some(f())));
            passing.begin()
        });
        let error = task.join().unwrap_err();
        assert_eq!(error.is_cancelled(), passing == Passing::Cancellation);
        assert_eq!(error.is_panic(), passing == Passing::Panic);
    });
    result.take().unwrap()
}

/// Runs `others` while a task is parked in a destructor, `duration` from now at the latest.
#[track_caller]
pub(crate) fn beside_an_unwind<T>(
    passing: Passing,
    duration: Duration,
    others: impl FnOnce() -> T,
) -> T {
    pool(|pool| {
        let unwinding = pool.spawn_isolated(|| -> () {
            let _guard = OnDrop::new(|| giambio::sleep(duration));
            passing.begin()
        });
        settle();
        assert!(std::thread::panicking(), "std counts by thread");
        let value = others();
        assert!(unwinding.join().is_err());
        value
    })
}
