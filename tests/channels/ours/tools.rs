//! What the tests of tasks have in common.

use giambio::Pool;
use giambio::Task;
use giambio::TaskBuilder;
use giambio::channel::Receiver;
use giambio::channel::Sender;
use giambio::channel::bounded;
use giambio::channel::unbounded;
use giambio::pool;
use giambio::task;
use giambio::testing::run_virtual;
use giambio::yield_now;
use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;

type Channel<T> = (Sender<T>, Receiver<T>);

/// A channel of each kind that a sender may find full.
pub(super) fn limited<T>() -> [Channel<T>; 3] {
    [bounded(0), bounded(1), bounded(3)]
}

/// A channel of each kind.
pub(super) fn all_kinds<T>() -> [Channel<T>; 4] {
    [bounded(0), bounded(1), bounded(3), unbounded()]
}

/// Sends numbers from 0 on, until the channel is full; returns how many.
pub(super) fn fill(s: &Sender<usize>) -> usize {
    let count = s.capacity().expect("a channel that can be full");
    (0..count).for_each(|number| s.send(number).unwrap());
    count
}

/// Starts a task with a name of its own.
pub(super) fn named<'scope, T: 'scope>(
    pool: &'scope Pool<'scope, '_>,
    name: &str,
    f: impl FnOnce() -> T + 'scope,
) -> Task<'scope, T> {
    TaskBuilder::new().name(name.into()).spawn(pool, f)
}

/// Whether a cancellation is raised in `f`; it is swallowed.
pub(super) fn raised<T>(f: impl FnOnce() -> T) -> bool {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(_) => false,
        Err(payload) if payload.is::<&str>() || payload.is::<String>() => resume_unwind(payload),
        Err(_) => true,
    }
}

/// A task was cut.
#[track_caller]
pub(super) fn assert_cut<T>(task: Task<'_, T>) {
    match task.join() {
        Ok(_) => panic!("a cancelled task came to its end"),
        Err(error) => assert!(error.is_cancelled(), "{error:?}"),
    }
}

/// What passes through a task's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passing {
    Panic,
    Cancellation,
}

/// Runs a test for each of them, on a clock of its own.
pub(super) fn both(test: impl Fn(Passing)) {
    for passing in [Passing::Panic, Passing::Cancellation] {
        run_virtual(|| test(passing));
    }
}

impl Passing {
    /// Starts the unwind of the calling task.
    pub(super) fn begin(self) -> ! {
        if self == Self::Panic {
            resume_unwind(Box::new("on purpose"));
        }
        task::current().cancel();
        yield_now();
        unreachable!("a cancelled task went past a checkpoint");
    }
}

/// Calls a closure when it is dropped.
pub(super) struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> OnDrop<F> {
    pub(super) fn new(f: F) -> Self {
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
pub(super) fn in_destructor<T>(passing: Passing, f: impl FnOnce() -> T) -> T {
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
