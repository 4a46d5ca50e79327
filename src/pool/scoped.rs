//! Scoped: the calls that open a pool and wait for it.
//!
//! Layer 6. Imports: pool's own files, scope, park. Never: how tasks end.

use super::Pool;
use super::group;
use super::group::Reach;
use crate::park;
use crate::scope::TooSlow;
use std::time::Duration;

/// Opens a pool for `f`, and returns `f`'s value when the last child has ended.
///
/// If `f` or a child panics, the other children are cancelled, `f` is cut at its next checkpoint, and
/// when all have ended the first panic goes on in the caller; further ones are logged with their
/// tasks' names. [`Pool::cancel`] and [`Pool::set_deadline`] stop the children, not `f`.
///
/// # Cancellation
///
/// The end is a checkpoint on every call, after the last child has ended. A cancellation from outside
/// reaches `f` and every child; the value is dropped.
///
/// # Panics
///
/// With the first panic of `f` or of a child. Outside of `run`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// giambio::testing::run_virtual(|| {
///     let start = giambio::clock();
///     giambio::pool(|pool| {
///         pool.spawn(|| giambio::sleep(Duration::from_secs(2)));
///         pool.spawn(|| giambio::sleep(Duration::from_secs(2)));
///     });
///     assert_eq!(giambio::clock() - start, Duration::from_secs(2)); // they slept together
/// });
/// ```
#[track_caller]
pub fn pool<'env, T>(f: impl for<'scope> FnOnce(&'scope Pool<'scope, 'env>) -> T) -> T {
    let (me, group) = group::here("`giambio::pool`", Reach::Children);
    let pool = Pool::new(group);
    match pool.group.run(me, || f(&pool)) {
        Ok(value) => {
            me.checkpoint();
            value
        }
        Err(cut) => cut.resume(me),
    }
}

/// Opens a pool whose body may be cut too: `None` if its cancellation has cut `f` or a child.
///
/// # Cancellation
///
/// As for [`pool`]. A body that ended without meeting a checkpoint gives its value, however late.
///
/// # Panics
///
/// As for [`pool`].
///
/// # Examples
///
/// ```
/// giambio::run(|| {
///     let cut = giambio::cancellable(|pool| {
///         pool.cancel();
///         giambio::yield_now();
///         unreachable!();
///     });
///     assert_eq!(cut, None::<()>);
/// });
/// ```
#[track_caller]
pub fn cancellable<'env, T>(
    f: impl for<'scope> FnOnce(&'scope Pool<'scope, 'env>) -> T,
) -> Option<T> {
    cut_after("`giambio::cancellable`", None, f)
}

/// Opens a pool that is cancelled, body and children, after `timeout`: `None` if that cut anything.
///
/// The time is measured by [`clock`](crate::clock()) from this call on. A `timeout` of zero cancels at the
/// first checkpoint.
///
/// # Cancellation
///
/// As for [`cancellable`]. Of nested timeouts each answers for itself.
///
/// # Panics
///
/// As for [`pool`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// giambio::testing::run_virtual(|| {
///     let nap = |seconds| giambio::sleep(Duration::from_secs(seconds));
///     assert_eq!(giambio::skip_after(Duration::from_secs(2), |_| nap(1)), Some(()));
///     assert_eq!(giambio::skip_after(Duration::from_secs(2), |_| nap(3)), None);
/// });
/// ```
#[track_caller]
pub fn skip_after<'env, T>(
    timeout: Duration,
    f: impl for<'scope> FnOnce(&'scope Pool<'scope, 'env>) -> T,
) -> Option<T> {
    cut_after("`giambio::skip_after`", Some(timeout), f)
}

/// Like [`skip_after`], with an error in place of `None`.
///
/// # Cancellation
///
/// As for [`skip_after`].
///
/// # Errors
///
/// [`TooSlow`] if the deadline has cut `f` or a child.
///
/// # Panics
///
/// As for [`pool`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// # fn main() -> std::io::Result<()> {
/// giambio::testing::run_virtual(|| {
///     giambio::with_timeout(Duration::from_secs(1), |_| giambio::sleep(Duration::ZERO))?;
///     Ok(())
/// })
/// # }
/// ```
#[track_caller]
pub fn with_timeout<'env, T>(
    timeout: Duration,
    f: impl for<'scope> FnOnce(&'scope Pool<'scope, 'env>) -> T,
) -> Result<T, TooSlow> {
    cut_after("`giambio::with_timeout`", Some(timeout), f).ok_or(TooSlow)
}

#[track_caller]
fn cut_after<'env, T>(
    call: &str,
    timeout: Option<Duration>,
    f: impl for<'scope> FnOnce(&'scope Pool<'scope, 'env>) -> T,
) -> Option<T> {
    let (me, group) = group::here(call, Reach::Body);
    let pool = Pool::new(group);
    let deadline = timeout.and_then(|timeout| me.worker().deadline_after(timeout));
    let result = pool.group.run(me, || {
        pool.group.scope().set_deadline(deadline);
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            // The timer fires only when the worker looks; a zero cancels at the first checkpoint.
            pool.group.scope().cancel(&park::DEADLINE_PASSED);
        }
        f(&pool)
    });
    let value = match result {
        Ok(value) if !pool.group.has_cut_a_child() => Some(value),
        Ok(_) => None,
        Err(cut) if pool.group.is_own(&cut) => None,
        Err(cut) => cut.resume(me),
    };
    me.checkpoint();
    value
}
