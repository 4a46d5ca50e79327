//! Time: sleeping, yielding, and what time it is.
//!
//! Layer 6. Imports: park, task, clock. Never: scopes (they end a sleep through the door).

use crate::clock::Nanos;
use crate::hooks::WaitReason;
use crate::park;
use crate::park::Running;
use crate::task::Abort;
use crate::task::phase::Winner;
use std::time::Duration;
use std::time::Instant;

/// The runtime's time: the system's monotonic clock, or the virtual one in
/// [`testing::run_virtual`](crate::testing::run_virtual).
///
/// Never parks. Outside of `run` it is the system's clock.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// giambio::testing::run_virtual(|| {
///     let start = giambio::clock();
///     giambio::sleep(Duration::from_secs(3600)); // no real time passes
///     assert_eq!(giambio::clock() - start, Duration::from_secs(3600));
/// });
/// ```
#[must_use]
pub fn clock() -> Instant {
    park::time_here()
}

/// Parks the calling task for at least `duration`.
///
/// Sleeps that end at the same time end in the order in which they began. A zero `duration` still
/// lets every other task that can run go first. A sleep of less than 10 ms is kept to some tens of
/// microseconds, a longer one may end up to a millisecond late. Outside of `run` the thread sleeps.
///
/// # Cancellation
///
/// A checkpoint on every call, before it sleeps and while it does.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// giambio::run(|| giambio::sleep(Duration::from_millis(1)));
/// ```
#[track_caller]
pub fn sleep(duration: Duration) {
    let Some(me) = park::current() else { return sleep_thread(duration) };
    me.checkpoint();
    if duration.is_zero() {
        return me.yield_now();
    }
    park_until(me, me.worker().deadline_after(duration));
}

/// Parks the running task, which comes from a checkpoint, until `at`; `None` is for ever.
pub(crate) fn park_until(me: Running, at: Option<Nanos>) {
    match at {
        Some(at) => sleep_task(me, at),
        None => sleep_task_forever(me),
    }
}

/// Parks the calling task until `deadline`, by the clock of [`clock`]; like [`sleep`] otherwise.
///
/// A deadline that has passed still lets every other task that can run go first.
///
/// # Cancellation
///
/// A checkpoint on every call, before it sleeps and while it does.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// giambio::run(|| {
///     let deadline = giambio::clock() + Duration::from_millis(1);
///     giambio::sleep_until(deadline);
///     assert!(giambio::clock() >= deadline);
/// });
/// ```
#[track_caller]
pub fn sleep_until(deadline: Instant) {
    let Some(me) = park::current() else {
        return sleep_thread(deadline.saturating_duration_since(clock()));
    };
    me.checkpoint();
    match me.worker().clock.nanos_at(deadline) {
        Some(at) if at <= me.worker().read_clock() => me.yield_now(),
        at => park_until(me, at),
    }
}

/// Parks the calling task until it is cancelled; outside of `run`, the thread until the process ends.
///
/// # Cancellation
///
/// A checkpoint on every call, and nothing else ends it.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// giambio::testing::run_virtual(|| {
///     let cut = giambio::skip_after(Duration::from_secs(1), |_| giambio::sleep_forever());
///     assert!(cut.is_none());
/// });
/// ```
#[track_caller]
pub fn sleep_forever() -> ! {
    let Some(me) = park::current() else {
        loop {
            std::thread::park();
        }
    };
    loop {
        me.checkpoint();
        sleep_task_forever(me);
    }
}

/// Lets every other task that can run go first.
///
/// Outside of `run` it is [`std::thread::yield_now`].
///
/// # Cancellation
///
/// A checkpoint on every call, before and after the switch.
///
/// # Panics
///
/// Inside of [`task::no_switch`](crate::task::no_switch).
///
/// # Examples
///
/// ```
/// use std::cell::Cell;
///
/// giambio::run(|| {
///     let ran = Cell::new(false);
///     giambio::pool(|pool| {
///         pool.spawn(|| ran.set(true));
///         assert!(!ran.get()); // `spawn` does not switch
///         giambio::yield_now();
///         assert!(ran.get());
///     });
/// });
/// ```
#[track_caller]
#[inline]
pub fn yield_now() {
    match park::current() {
        Some(me) => me.yield_now(),
        None => std::thread::yield_now(),
    }
}

fn sleep_task(me: Running, at: Nanos) {
    let Some(debugger) = me.worker().debugger() else {
        let session = me.open(WaitReason::Sleep);
        me.park(session, Some(at), Abort::Now);
        return;
    };
    let clock = &me.worker().clock;
    let before = clock.now();
    let asked = Duration::from_nanos(at.saturating_sub(before));
    me.worker().hook_task("before_sleep", me.core(), |_, task| debugger.before_sleep(task, asked));
    // The hook may have cancelled the task.
    me.checkpoint();
    let session = me.open(WaitReason::Sleep);
    if me.park(session, Some(at), Abort::Now) == Winner::Timeout {
        let slept = Duration::from_nanos(clock.now().saturating_sub(before));
        me.worker()
            .hook_task("after_sleep", me.core(), |_, task| debugger.after_sleep(task, slept));
    }
}

/// Only a cancellation ends it, and that is raised; under `no_unwind` nothing ends it.
fn sleep_task_forever(me: Running) {
    let session = me.open(WaitReason::SleepForever);
    me.park(session, None, Abort::Now);
}

#[expect(clippy::disallowed_methods, reason = "there is no worker on this thread to stop")]
fn sleep_thread(duration: Duration) {
    std::thread::sleep(duration);
}
