//! Try-pool: a pool whose children fail with an error.
//!
//! Layer 6. Imports: pool's own files, park. Never: how tasks end.

use super::Pool;
use super::Task;
use super::TaskBuilder;
use super::group;
use super::group::Reach;
use crate::park;
use crate::scope;
use crate::task;
use crate::task::TaskRef;
use crate::task::local;
use std::cell::Cell;
use std::fmt;
use std::io;
use std::ops::Deref;

/// A pool whose first error cancels the rest and is returned: see [`try_pool`].
// `E: 'env` costs a caller nothing, and tells the compiler that `'env` alone limits what children may
// borrow: without it, children of a pool with `Box<dyn Error>` could borrow only what is `'static`.
pub struct TryPool<'scope, 'env: 'scope, E: 'env> {
    pool: Pool<'scope, 'env>,
    error: FirstError<E>,
}

impl<'scope, 'env, E: 'env> TryPool<'scope, 'env, E> {
    /// Starts a task whose error fails the pool: otherwise like [`Pool::spawn`].
    ///
    /// # Panics
    ///
    /// If no stack is to be had.
    #[track_caller]
    pub fn spawn<T: 'scope>(
        &'scope self,
        f: impl FnOnce() -> Result<T, E> + 'scope,
    ) -> Task<'scope, T> {
        match self.try_spawn(TaskBuilder::new(), f) {
            Ok(task) => task,
            Err(error) => panic!("a task could not be spawned: {error}"),
        }
    }

    /// Like [`spawn`](Self::spawn), with options, and an error where that panics.
    #[inline]
    pub(crate) fn try_spawn<T: 'scope>(
        &'scope self,
        options: TaskBuilder,
        f: impl FnOnce() -> Result<T, E> + 'scope,
    ) -> io::Result<Task<'scope, T>> {
        let me = park::current_for("`spawn`");
        self.pool.admit(me, options.plan(me)?, || {
            f().map_err(|error| self.fail(error, Culprit(Some(task::current())))).ok()
        })
    }

    /// The first error is kept; of the others only the log hears.
    fn fail(&self, error: E, culprit: Culprit) {
        match self.error.0.take() {
            None => self.error.0.set(Some((error, culprit))),
            Some(first) => {
                self.error.0.set(Some(first));
                local::log(
                    log::Level::Error,
                    format_args!("{culprit} returned an error after its pool had failed"),
                );
                scope::drop_value(error);
            }
        }
        self.pool.group.fail();
    }
}

/// The error that a pool returns, unless a panic is worth more: then the log hears of it.
struct FirstError<E>(Cell<Option<(E, Culprit)>>);

impl<E> Drop for FirstError<E> {
    fn drop(&mut self) {
        let Some((error, culprit)) = self.0.take() else { return };
        local::log(
            log::Level::Error,
            format_args!("{culprit} returned an error, but a panic was worth more"),
        );
        scope::drop_value(error);
    }
}

/// Who has returned an error: a child, or else the body.
struct Culprit(Option<TaskRef>);

impl fmt::Display for Culprit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(task) => write!(f, "task {task}"),
            None => f.write_str("a pool's body"),
        }
    }
}

impl<'scope, 'env, E: 'env> Deref for TryPool<'scope, 'env, E> {
    type Target = Pool<'scope, 'env>;

    fn deref(&self) -> &Pool<'scope, 'env> {
        &self.pool
    }
}

impl<E> fmt::Debug for TryPool<'_, '_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryPool").field("pool", &self.pool).finish_non_exhaustive()
    }
}

/// Opens a pool whose body and children return `Result`: the first error cancels the rest.
///
/// The error is returned when the last child has ended; further ones are logged. A panic is worth more
/// than an error, whatever came first. Where `?` alone leaves the type of the error open, write
/// `try_pool::<_, std::io::Error>(..)`.
///
/// # Cancellation
///
/// As for [`pool`](super::pool).
///
/// # Errors
///
/// The first that the body or a child has returned.
///
/// # Panics
///
/// As for [`pool`](super::pool).
///
/// # Examples
///
/// ```
/// let result = giambio::run(|| {
///     giambio::try_pool(|pool| {
///         pool.spawn(|| "7".parse::<i32>());
///         pool.spawn(|| "seven".parse::<i32>());
///         giambio::sleep_forever() // cut when the second task fails
///     })
/// });
/// assert!(result.is_err());
/// # let _: Result<(), _> = result;
/// ```
#[track_caller]
pub fn try_pool<'env, T, E: 'env>(
    f: impl for<'scope> FnOnce(&'scope TryPool<'scope, 'env, E>) -> Result<T, E>,
) -> Result<T, E> {
    let (me, group) = group::here("`giambio::try_pool`", Reach::Children);
    let pool = TryPool { pool: Pool::new(group), error: FirstError(Cell::new(None)) };
    let result = pool.pool.group.run(me, || match f(&pool) {
        Ok(value) => Some(value),
        Err(error) => {
            pool.fail(error, Culprit(None));
            None
        }
    });
    if let Some((error, _)) = pool.error.0.take() {
        scope::drop_value(result.ok());
        return Err(error);
    }
    match result {
        Ok(Some(value)) => {
            me.checkpoint();
            Ok(value)
        }
        Ok(None) => unreachable!("a body failed without an error"),
        Err(cut) => cut.resume(me),
    }
}
