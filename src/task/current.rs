//! Current: what a task may ask about itself and demand of its calls.
//!
//! Layer 3. Imports: task, stack. Never: how switches and cancellations are made.

use super::Core;
use super::TaskRef;
use super::local::LOCAL;
use super::local::Raised;
use crate::stack::Bounds;

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

/// How much of its stack the running task uses; bytes. See [`stack_usage`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StackUsage {
    /// Between the stack's base and the caller's frame.
    pub used: usize,
    /// Between the stack's base and the lowest page that has memory: the most that was used since the
    /// system last had that memory, be it by this task or by an earlier one on the same stack. In whole
    /// pages. What is swapped out does not count.
    pub high_water: usize,
    /// What a task of this size is promised. Deeper still there are two to four further KiB (where a page
    /// has 4), and then the guard.
    pub size: usize,
}

/// How much of its stack the running task uses, and how much it has used; `None` outside of a task.
///
/// Inside of [`on_big_stack`](crate::on_big_stack) it speaks of that stack. Never parks; asking the
/// system for the touched pages takes a microsecond or so for each MiB of the stack. For finding out
/// which size tasks need: run one on a fresh runtime, and ask at its end. See also the
/// [guide](crate::guide::stack_sizes).
///
/// # Examples
///
/// ```
/// giambio::run(|| {
///     giambio::pool(|pool| {
///         pool.spawn(|| {
///             let shallow = giambio::task::stack_usage().unwrap();
///             println!("a line of text");
///             let after = giambio::task::stack_usage().unwrap();
///             assert_eq!(after.used, shallow.used);
///             assert!(after.high_water >= shallow.high_water);
///             assert!(after.high_water < after.size);
///         });
///     });
/// });
/// assert!(giambio::task::stack_usage().is_none());
/// ```
#[must_use]
#[inline]
pub fn stack_usage() -> Option<StackUsage> {
    with_running(|core| {
        let bounds = core.stack_bounds();
        let size = core.stack.get().usable_len();
        StackUsage { used: bounds.used(), high_water: bounds.touched(), size }
    })
}

/// Bytes that are left on the running task's stack below the caller's frame; `None` outside of a task.
///
/// For recursion that asks before it goes deeper. Inside of [`on_big_stack`](crate::on_big_stack) it
/// speaks of that stack. Never parks, and takes some nanoseconds.
///
/// # Examples
///
/// ```
/// fn depth(tree: &Tree) -> usize {
///     // 64 KiB are enough for one level and what it calls.
///     if giambio::task::remaining_stack().is_some_and(|left| left < 64 << 10) {
///         return giambio::on_big_stack(1 << 20, || depth(tree));
///     }
///     1 + tree.children.iter().map(depth).max().unwrap_or(0)
/// }
///
/// struct Tree {
///     children: Vec<Tree>,
/// }
///
/// giambio::run(|| {
///     let tree = Tree { children: vec![Tree { children: Vec::new() }] };
///     assert_eq!(depth(&tree), 2);
/// });
/// ```
#[must_use]
#[inline]
pub fn remaining_stack() -> Option<usize> {
    with_running(|core| core.stack_bounds().remaining())
}

/// The stack that the running task is on. For a signal handler.
pub(super) fn stack_here() -> Option<Bounds> {
    with_running(Core::stack_bounds)
}

#[inline]
fn with_running<R>(look: impl FnOnce(&Core) -> R) -> Option<R> {
    let core = LOCAL.with(|local| local.core.get());
    // SAFETY: the worker keeps the running task's record alive and unsets the word after the step.
    unsafe { core.as_ref() }.map(look)
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
