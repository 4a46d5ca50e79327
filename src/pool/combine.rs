//! Combine: several closures at once, and what becomes of the rest when one has ended.
//!
//! Layer 6. Imports: pool's own files, scope, park, task. Never: how tasks end.
//!
//! These calls promise a value. Where a cancellation cannot be raised in its place, because the task
//! unwinds or must not, they are shielded, so that there will be one. In doubt it is raised all the same:
//! a panic would unwind as well, and who waits for the end of the doubt may be waited for by its cause.

use super::JoinError;
use super::Pool;
use super::Task;
use super::TaskBuilder;
use super::scoped::pool;
use crate::park;
use crate::park::Running;
use crate::park::Unwinding;
use crate::scope;
use crate::task;
use crate::task::local;
use std::cell::Cell;
use std::panic::Location;

/// Runs `a` and `b` at the same time, and returns both values when both have ended.
///
/// `a` runs in the calling task, `b` in a task of its own. If one panics the other is cancelled. Outside
/// of `run`, one runs after the other.
///
/// # Cancellation
///
/// The end is a checkpoint on every call; a cancellation from outside reaches both, except while the
/// calling task unwinds and inside of [`task::no_unwind`]: there the value is waited for.
///
/// # Panics
///
/// With the first panic of the two.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// giambio::testing::run_virtual(|| {
///     let start = giambio::clock();
///     let nap = |seconds| giambio::sleep(Duration::from_secs(seconds));
///     let (a, b) = giambio::join(|| { nap(1); "a" }, || { nap(2); "b" });
///     assert_eq!((a, b), ("a", "b"));
///     assert_eq!(giambio::clock() - start, Duration::from_secs(2));
/// });
/// ```
#[track_caller]
pub fn join<A, B>(a: impl FnOnce() -> A, b: impl FnOnce() -> B) -> (A, B) {
    let Some(me) = park::current() else { return (a(), b()) };
    let place = Location::caller();
    let (first, second) = to_its_end(me, || {
        pool(|pool| {
            let second = TaskBuilder::at(place).spawn(pool, b);
            let first = a();
            (first, second.join())
        })
    });
    (first, value_of(me, second))
}

/// Runs all closures at the same time, and returns their values in the order of the closures.
///
/// Each runs in a task of its own. If one panics the others are cancelled. Outside of `run`, one runs
/// after the other.
///
/// # Cancellation
///
/// As for [`join`].
///
/// # Panics
///
/// With the first panic of them.
///
/// # Examples
///
/// ```
/// let squares = giambio::run(|| giambio::join_all((1..=3).map(|n| move || n * n)));
/// assert_eq!(squares, [1, 4, 9]);
/// ```
#[track_caller]
pub fn join_all<T>(closures: impl IntoIterator<Item = impl FnOnce() -> T>) -> Vec<T> {
    let Some(me) = park::current() else {
        return closures.into_iter().map(|closure| closure()).collect();
    };
    let place = Location::caller();
    let joined: Vec<_> = to_its_end(me, || {
        pool(|pool| {
            let spawn = |closure| TaskBuilder::at(place).spawn(pool, closure);
            let tasks: Vec<_> = closures.into_iter().map(spawn).collect();
            tasks.into_iter().map(Task::join).collect()
        })
    });
    joined.into_iter().map(|joined| value_of(me, joined)).collect()
}

/// Runs `f`, out of the reach of cancellations if none could be raised here.
fn to_its_end<T>(me: Running, f: impl FnOnce() -> T) -> T {
    if may_be_cut(me) { f() } else { scope::shield(f) }
}

/// Whether nothing forbids to cut the running task, as far as that can be told.
fn may_be_cut(me: Running) -> bool {
    me.core().no_unwind.get() == 0 && me.unwinding() != Unwinding::Yes
}

/// Raises what is pending, if anything is, where there is no value.
pub(super) fn raise_for_want_of_a_value(me: Running) {
    if me.core().cancel_pending() && may_be_cut(me) {
        me.raise();
    }
}

/// The value of a task that only its own hand could have stopped.
#[track_caller]
fn value_of<T>(me: Running, joined: Result<T, JoinError>) -> T {
    match joined {
        Ok(value) => value,
        Err(error) => {
            raise_for_want_of_a_value(me);
            panic!("there is no value to return: {error}")
        }
    }
}

/// Runs `a` and `b` at the same time and returns the value of the one that ends first; the other is
/// cancelled, and has ended when this returns.
///
/// Each runs in a task of its own. If the other ends with a value all the same, because it met no
/// checkpoint any more, that value is dropped, as `TcpStream`s that lose a race to connect are closed,
/// and the log says so at the level `debug`.
///
/// # Cancellation
///
/// As for [`join`].
///
/// # Panics
///
/// With the first panic of the two, be it after the other has ended. If both cancel themselves. Outside
/// of `run`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// giambio::testing::run_virtual(|| {
///     let nap = |seconds, value| { giambio::sleep(Duration::from_secs(seconds)); value };
///     let start = giambio::clock();
///     assert_eq!(giambio::race(|| nap(3, "slow"), || nap(1, "fast")), "fast");
///     assert_eq!(giambio::clock() - start, Duration::from_secs(1));
/// });
/// ```
#[track_caller]
pub fn race<T>(a: impl FnOnce() -> T, b: impl FnOnce() -> T) -> T {
    let me = park::current_for("`giambio::race`");
    let (place, first) = (Location::caller(), Cell::new(None));
    to_its_end(me, || {
        pool(|pool| {
            enter(pool, place, a, &first);
            enter(pool, place, b, &first);
        });
    });
    winner(me, first)
}

/// Runs all closures at the same time and returns the value of the one that ends first, like [`race`];
/// `None` if there are none.
///
/// # Cancellation
///
/// As for [`race`].
///
/// # Panics
///
/// As for [`race`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// giambio::testing::run_virtual(|| {
///     let naps = [3, 1, 2].map(|seconds| move || {
///         giambio::sleep(Duration::from_secs(seconds));
///         seconds
///     });
///     assert_eq!(giambio::race_all(naps), Some(1));
/// });
/// ```
#[track_caller]
pub fn race_all<T>(closures: impl IntoIterator<Item = impl FnOnce() -> T>) -> Option<T> {
    let me = park::current_for("`giambio::race_all`");
    let (place, first) = (Location::caller(), Cell::new(None));
    let entered = to_its_end(me, || {
        pool(|pool| closures.into_iter().map(|closure| enter(pool, place, closure, &first)).count())
    });
    if entered == 0 { None } else { Some(winner(me, first)) }
}

/// Starts a task that takes part in a race.
fn enter<'scope, 'env, T>(
    pool: &'scope Pool<'scope, 'env>,
    place: &'static Location<'static>,
    closure: impl FnOnce() -> T + 'scope,
    first: &'scope Cell<Option<T>>,
) {
    drop(TaskBuilder::at(place).spawn(pool, move || {
        let value = closure();
        match first.take() {
            None => {
                first.set(Some(value));
                pool.cancel_because("another task has won the race");
            }
            Some(winner) => {
                first.set(Some(winner));
                let task = task::current();
                local::log(
                    log::Level::Debug,
                    format_args!("task {task} ended after the race was won; its value is dropped"),
                );
                scope::drop_value(value);
            }
        }
    }));
}

#[track_caller]
fn winner<T>(me: Running, first: Cell<Option<T>>) -> T {
    match first.into_inner() {
        Some(value) => value,
        None => {
            raise_for_want_of_a_value(me);
            panic!("a race without a winner: every task has cancelled itself")
        }
    }
}
