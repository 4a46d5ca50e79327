//! Condvar: how a task gives a mutex away until somebody says that something has changed.
//!
//! Layer 7. Imports: wait_queue, park, hooks, task, time. Never: what has changed.
//!
//! Who waits stands in line before it unlocks the mutex, so no notification falls in between.
//!
//! Each waiter draws a ticket. A `notify_all` wakes those who hold one when it begins: who is woken on
//! another thread and waits again, because it was not its turn, is not woken a second time. Otherwise two
//! busy workers could keep the caller in its loop for ever.

use super::mutex::MutexGuard;
use crate::hooks::WaitReason;
use crate::park;
use crate::task::Abort;
use crate::task::phase::Winner;
use crate::time;
use crate::wait_queue::Lines;
use crate::wait_queue::Spot;
use crate::wait_queue::Wait;
use crate::wait_queue::WaitQueue;
use std::convert::Infallible;
use std::fmt;
use std::ptr;
use std::sync::LockResult;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

/// Whether a wait with a timeout has ended because the time was up.
///
/// # Examples
///
/// ```
/// use giambio::sync::Condvar;
/// use giambio::sync::Mutex;
/// use std::time::Duration;
///
/// giambio::testing::run_virtual(|| {
///     let (mutex, changed) = (Mutex::new(()), Condvar::new());
///     let guard = mutex.lock().unwrap();
///     let (_guard, result) = changed.wait_timeout(guard, Duration::from_secs(5)).unwrap();
///     assert!(result.timed_out());
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether the time was up.
    #[must_use]
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

/// Parks tasks and blocks threads until they are notified that something has changed, with
/// [`std::sync::Condvar`]'s names.
///
/// The notified are woken in the order in which they have come. As with std's, what they wait for has to be
/// looked at again after each wait; [`wait_while`](Self::wait_while) does so. Unlike std's, each wait may be
/// with another mutex. One condition variable serves tasks of several runtimes and plain threads at once.
///
/// # Examples
///
/// ```
/// use giambio::sync::Condvar;
/// use giambio::sync::Mutex;
///
/// giambio::run(|| {
///     let (letters, arrived) = (Mutex::new(Vec::new()), Condvar::new());
///     giambio::pool(|pool| {
///         let reader = pool.spawn(|| {
///             let guard = letters.lock().unwrap();
///             arrived.wait_while(guard, |letters| letters.is_empty()).unwrap().pop()
///         });
///         giambio::yield_now(); // it waits
///         letters.lock().unwrap().push("a letter");
///         arrived.notify_one();
///         assert_eq!(reader.join().unwrap(), Some("a letter"));
///     });
/// });
/// ```
///
/// It may lie in a static, and be shared:
///
/// ```
/// static CHANGED: giambio::sync::Condvar = giambio::sync::Condvar::new();
///
/// CHANGED.notify_all(); // nobody waits
/// ```
pub struct Condvar {
    /// Under the lock: the next ticket.
    line: WaitQueue<usize>,
}

impl Condvar {
    /// One that nobody waits for.
    #[must_use]
    #[inline]
    pub const fn new() -> Self {
        Self { line: WaitQueue::new(0) }
    }

    /// Unlocks the mutex of `guard`, parks the calling task until it is notified, and locks the mutex again.
    ///
    /// A notification that comes after the mutex was unlocked is not missed. Outside of
    /// [`run`](crate::run) it blocks the thread. This one never wakes without a notification, but somebody
    /// else may have been faster at what it was about.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call, before it unlocks the mutex and while it waits. A wait that was cut has not
    /// locked the mutex again, and has taken no notification: that goes to the next who waits. If it was
    /// notified before the cancellation, the call completes, with the mutex locked, and the next
    /// checkpoint raises. Locking the mutex again is not cut.
    ///
    /// # Errors
    ///
    /// The guard all the same, if the mutex is poisoned when it is locked again.
    ///
    /// # Panics
    ///
    /// Inside of [`task::no_switch`](crate::task::no_switch), which unlocks the mutex and poisons it.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::sync::Condvar;
    /// use giambio::sync::Mutex;
    ///
    /// giambio::run(|| {
    ///     let (is_ready, changed) = (Mutex::new(false), Condvar::new());
    ///     giambio::pool(|pool| {
    ///         pool.spawn(|| {
    ///             *is_ready.lock().unwrap() = true;
    ///             changed.notify_one();
    ///         });
    ///         let mut guard = is_ready.lock().unwrap();
    ///         while !*guard {
    ///             guard = changed.wait(guard).unwrap();
    ///         }
    ///     });
    /// });
    /// ```
    #[track_caller]
    pub fn wait<'a, T: ?Sized>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.wait_until(guard, None).0
    }

    /// Waits as [`wait`](Self::wait) does, and again, while `condition` says so about what the mutex
    /// guards.
    ///
    /// # Cancellation
    ///
    /// As for [`wait`](Self::wait); a checkpoint also if there is nothing to wait for.
    ///
    /// # Errors
    ///
    /// As for [`wait`](Self::wait).
    ///
    /// # Panics
    ///
    /// As for [`wait`](Self::wait), if it has to wait; and if `condition` does.
    #[track_caller]
    pub fn wait_while<'a, T: ?Sized, F>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: F,
    ) -> LockResult<MutexGuard<'a, T>>
    where
        F: FnMut(&mut T) -> bool,
    {
        pass_checkpoint();
        while condition(&mut guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// Waits as [`wait_timeout`](Self::wait_timeout) does, for so many milliseconds.
    ///
    /// The boolean is false if the time was up.
    ///
    /// # Cancellation
    ///
    /// As for [`wait`](Self::wait).
    ///
    /// # Errors
    ///
    /// As for [`wait`](Self::wait).
    ///
    /// # Panics
    ///
    /// As for [`wait`](Self::wait).
    #[deprecated(note = "replaced by `wait_timeout`, as with std's")]
    #[track_caller]
    pub fn wait_timeout_ms<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        ms: u32,
    ) -> LockResult<(MutexGuard<'a, T>, bool)> {
        let deadline = time::clock().checked_add(Duration::from_millis(u64::from(ms)));
        let (guard, result) = self.wait_until(guard, deadline);
        with_result(guard, !result.timed_out())
    }

    /// Waits as [`wait`](Self::wait) does, for `timeout` at most.
    ///
    /// By the clock of [`clock`](crate::clock). Locking the mutex again may take longer.
    ///
    /// # Cancellation
    ///
    /// As for [`wait`](Self::wait). A wait whose time was up has taken no notification.
    ///
    /// # Errors
    ///
    /// As for [`wait`](Self::wait).
    ///
    /// # Panics
    ///
    /// As for [`wait`](Self::wait).
    #[track_caller]
    pub fn wait_timeout<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let (guard, result) = self.wait_until(guard, time::clock().checked_add(timeout));
        with_result(guard, result)
    }

    /// Waits as [`wait_while`](Self::wait_while) does, for `timeout` at most.
    ///
    /// The result says that the time was up only if `condition` still held then.
    ///
    /// # Cancellation
    ///
    /// As for [`wait_while`](Self::wait_while).
    ///
    /// # Errors
    ///
    /// As for [`wait`](Self::wait).
    ///
    /// # Panics
    ///
    /// As for [`wait_while`](Self::wait_while).
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::sync::Condvar;
    /// use giambio::sync::Mutex;
    /// use std::time::Duration;
    ///
    /// giambio::testing::run_virtual(|| {
    ///     let (count, changed) = (Mutex::new(0), Condvar::new());
    ///     giambio::pool(|pool| {
    ///         pool.spawn(|| {
    ///             for _ in 0..5 {
    ///                 giambio::sleep(Duration::from_secs(1));
    ///                 *count.lock().unwrap() += 1;
    ///                 changed.notify_all();
    ///             }
    ///         });
    ///         let wait_for = |wanted| {
    ///             let (guard, timeout) = (count.lock().unwrap(), Duration::from_secs(2));
    ///             changed.wait_timeout_while(guard, timeout, |count| *count < wanted).unwrap().1
    ///         };
    ///         assert!(!wait_for(1).timed_out());
    ///         assert!(wait_for(5).timed_out());
    ///     });
    /// });
    /// ```
    #[track_caller]
    pub fn wait_timeout_while<'a, T: ?Sized, F>(
        &self,
        mut guard: MutexGuard<'a, T>,
        timeout: Duration,
        mut condition: F,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)>
    where
        F: FnMut(&mut T) -> bool,
    {
        let deadline = time::clock().checked_add(timeout);
        pass_checkpoint();
        let mut result = WaitTimeoutResult(false);
        loop {
            if !condition(&mut guard) {
                return Ok((guard, WaitTimeoutResult(false)));
            }
            if result.timed_out() {
                return Ok((guard, result));
            }
            let (locked, again) = self.wait_until(guard, deadline);
            result = again;
            guard = with_result(locked, again)?.0;
        }
    }

    #[track_caller]
    fn wait_until<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Option<Instant>,
    ) -> (LockResult<MutexGuard<'a, T>>, WaitTimeoutResult) {
        let me = park::current();
        if let Some(me) = me {
            me.checkpoint();
        }
        let (mutex, was_panicking) = MutexGuard::origin(&guard);
        let wait = Wait { deadline, reason: WaitReason::Condvar, abort: Abort::Now };
        let draw = |next: &mut usize, _: &Lines<'_, 1>| {
            let ticket = *next;
            *next = ticket.wrapping_add(1);
            Err::<Infallible, _>(Spot { line: 0, slot: ptr::without_provenance(ticket) })
        };
        let Err(winner) = self.line.attempt_or_stand(me, &wait, draw, || MutexGuard::unlock(guard));
        (mutex.lock_again(was_panicking), WaitTimeoutResult(winner == Winner::Timeout))
    }

    /// Wakes who has waited longest, if anybody waits.
    ///
    /// # Cancellation
    ///
    /// Never parks, and is no checkpoint: destructors and plain threads may call it.
    pub fn notify_one(&self) {
        self.line.wake_one(|_, lines| lines.claim_first());
    }

    /// Wakes all who wait now, in the order in which they have come.
    ///
    /// # Cancellation
    ///
    /// Never parks, and is no checkpoint: destructors and plain threads may call it.
    pub fn notify_all(&self) {
        let end = self.line.with(|next, _| *next);
        let has_come_before = |ticket: *const ()| is_before(ticket.addr(), end);
        self.line.wake_line_while(0, Winner::Event, has_come_before);
    }
}

/// Whether a ticket was drawn before another one; they may have gone round.
fn is_before(ticket: usize, other: usize) -> bool {
    other.wrapping_sub(ticket).cast_signed() > 0
}

/// The guard with a result beside it, poisoned or not.
fn with_result<G, R>(guard: LockResult<G>, result: R) -> LockResult<(G, R)> {
    match guard {
        Ok(guard) => Ok((guard, result)),
        Err(poisoned) => Err(PoisonError::new((poisoned.into_inner(), result))),
    }
}

fn pass_checkpoint() {
    if let Some(me) = park::current() {
        me.checkpoint();
    }
}

impl Default for Condvar {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}

#[cfg(all(test, loom))]
#[path = "condvar_tests.rs"]
#[expect(unsafe_code, reason = "loom's cells, which see who uses them when")]
mod loom_tests;
