//! Current: what a task may ask about itself and demand of its calls.
//!
//! Layer 3. Imports: task. Never: how switches and cancellations are made.

use super::TaskRef;
use super::local::LOCAL;
use super::local::Raised;

/// The running task.
///
/// Never parks.
///
/// # Panics
///
/// Outside of a task.
///
/// # Examples
///
/// ```
/// use giambio::TaskBuilder;
///
/// giambio::run(|| {
///     giambio::pool(|pool| {
///         let task = TaskBuilder::new().name("worker".into());
///         task.spawn(pool, || assert_eq!(giambio::task::current().name(), "worker"));
///     });
/// });
/// ```
#[track_caller]
pub fn current() -> TaskRef {
    let core = LOCAL.with(|local| local.core.get());
    // SAFETY: the worker keeps the running task's record alive and unsets the word after the step.
    match unsafe { core.as_ref() } {
        Some(core) => TaskRef::new(core),
        None => panic!("no giambio task runs here: call this below `giambio::run`"),
    }
}

/// Runs `f` and panics, naming the call, if something inside switches to another task.
///
/// For code that relies on nobody else running meanwhile: a `RefCell` borrowed across calls, or a
/// crate like scoped-tls, whose dynamic scopes must nest on one thread. A call that could block but
/// completes at once does not switch, and is not reported. Outside of a task this only calls `f`.
///
/// # Cancellation
///
/// Checkpoints inside raise as ever; they do not yield.
///
/// # Panics
///
/// If something inside would switch. Only the end of a pool does so all the same, since its children
/// must end before it panics.
///
/// # Examples
///
/// ```
/// giambio::run(|| {
///     let sum = giambio::task::no_switch(|| (1..=4).sum::<i32>());
///     assert_eq!(sum, 10);
/// });
/// ```
pub fn no_switch<T>(f: impl FnOnce() -> T) -> T {
    let core = LOCAL.with(|local| local.core.get());
    // SAFETY: the task runs, and its record outlives this frame, which is on its stack.
    let _raised = unsafe { core.as_ref() }.map(|core| Raised::new(&core.no_switch));
    f()
}

/// Runs `f` with cancellations held back from unwinding: for callbacks from C, which nothing may
/// unwind out of.
///
/// Calls that can report failure report a pending cancellation as an [`std::io::Error`] of kind
/// `Other`, after one attempt that does not block; calls that cannot go on waiting. Outside of a task
/// this only calls `f`.
///
/// # Cancellation
///
/// Held back while `f` runs; the next checkpoint after it raises.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// extern "C" fn callback() {
///     giambio::task::no_unwind(|| giambio::sleep(Duration::from_millis(1)));
/// }
///
/// giambio::run(|| callback());
/// ```
pub fn no_unwind<T>(f: impl FnOnce() -> T) -> T {
    let core = LOCAL.with(|local| local.core.get());
    // SAFETY: the task runs, and its record outlives this frame, which is on its stack.
    let _raised = unsafe { core.as_ref() }.map(|core| Raised::new(&core.no_unwind));
    f()
}
