//! Checkpoints: where a program can be cancelled, and whether it stands that.
//!
//! Layer 9. Imports: park, pool, task. Never: what is tested.

use crate::park;
use crate::park::Running;
use crate::park::Watch;
use crate::pool::cancellable;
use crate::task;
use crate::task::local;
use std::cell::Cell;
use std::fmt;

/// Runs `f`, and fails if no checkpoint was met in it.
///
/// For libraries that promise that a call of theirs can be cancelled, also when it completes at once. It
/// counts the checkpoints of the calling task in `f` and of the tasks that `f` starts in pools of its own.
///
/// # Cancellation
///
/// The end is a checkpoint.
///
/// # Panics
///
/// If there was no checkpoint in `f`. Outside of `run`.
///
/// # Examples
///
/// ```
/// giambio::run(|| giambio::testing::assert_checkpoint(giambio::yield_now));
/// ```
#[track_caller]
pub fn assert_checkpoint<T>(f: impl FnOnce() -> T) -> T {
    let me = park::current_for("`assert_checkpoint`");
    let met = Cell::new(None);
    let Some(value) = cancellable(|_| watched(me, None, &met, f)) else {
        unreachable!("a scope was cancelled that nobody knows of")
    };
    assert!(met.get() > Some(0), "no checkpoint was met: this cannot be cancelled");
    value
}

/// Runs `f`, and fails if something inside would switch to another task: the same as
/// [`task::no_switch`], by the name that tests look for.
///
/// # Cancellation
///
/// As for [`task::no_switch`].
///
/// # Panics
///
/// As for [`task::no_switch`].
///
/// # Examples
///
/// ```
/// giambio::run(|| giambio::testing::assert_no_switch(|| println!("nobody else runs meanwhile")));
/// ```
pub fn assert_no_switch<T>(f: impl FnOnce() -> T) -> T {
    task::no_switch(f)
}

/// Runs `scenario` again and again, each time cutting it at another checkpoint: at the first, at the
/// second, and so on until it comes through uncut. Returns how many checkpoints there were.
///
/// `scenario` prepares what it needs, calls [`Cut::run`] once with what is to be cut, and then checks what
/// is left: that a message was either received or is still there, that every lock is free, that
/// nothing has leaked. It has to do the same each time.
///
/// # Cancellation
///
/// No checkpoint of its own.
///
/// # Panics
///
/// If `scenario` does; the log says at which checkpoint it was cut. If it does not call [`Cut::run`], or
/// twice.
/// Outside of `run`.
///
/// # Examples
///
/// ```
/// use giambio::testing::{cancelled_at_every_checkpoint, run_virtual};
/// use std::cell::Cell;
/// use std::time::Duration;
///
/// let checkpoints = run_virtual(|| {
///     cancelled_at_every_checkpoint(|cut| {
///         let open = Cell::new(0);
///         cut.run(|| {
///             open.set(open.get() + 1);
///             giambio::finally(
///                 || giambio::sleep(Duration::from_secs(1)),
///                 || open.set(open.get() - 1),
///             );
///             giambio::yield_now();
///         });
///         assert_eq!(open.get(), 0, "it was left open");
///     })
/// });
/// assert_eq!(checkpoints, 2);
/// ```
#[track_caller]
pub fn cancelled_at_every_checkpoint(mut scenario: impl FnMut(&Cut)) -> u64 {
    park::current_for("`cancelled_at_every_checkpoint`");
    let mut at = 1;
    loop {
        let cut = Cut { at, met: Cell::new(None) };
        let mut named = NamedOnPanic(Some(at));
        scenario(&cut);
        named.0 = None;
        match cut.met.get() {
            None => panic!("the scenario did not call `Cut::run`"),
            Some(met) if met < at => return met,
            Some(_) => at += 1,
        }
    }
}

/// Logs on a panic which cut has led to it, unless that was taken away.
struct NamedOnPanic(Option<u64>);

impl Drop for NamedOnPanic {
    fn drop(&mut self) {
        let cancelled = park::running().is_some_and(|me| me.core().cancel_pending());
        if let Some(at) = self.0.filter(|_| !cancelled) {
            local::log(
                log::Level::Error,
                format_args!("the scenario has failed that was cut at checkpoint {at}"),
            );
        }
    }
}

/// Where a scenario is cut this time: see [`cancelled_at_every_checkpoint`].
pub struct Cut {
    at: u64,
    /// Checkpoints of this run, if there was one.
    met: Cell<Option<u64>>,
}

impl Cut {
    /// Runs `f` and cancels it at this run's checkpoint, with the tasks that it starts: `None` if that has
    /// cut anything.
    ///
    /// # Cancellation
    ///
    /// The end is a checkpoint, which does not count.
    ///
    /// # Panics
    ///
    /// If it was called before in the same run of the scenario. Outside of `run`.
    #[track_caller]
    pub fn run<T>(&self, f: impl FnOnce() -> T) -> Option<T> {
        let me = park::current_for("`Cut::run`");
        assert!(self.met.replace(Some(0)).is_none(), "the scenario called `Cut::run` twice");
        cancellable(|_| watched(me, Some(self.at), &self.met, f))
    }

    /// The number of this run's checkpoint; the first is 1.
    #[must_use]
    pub fn at(&self) -> u64 {
        self.at
    }
}

impl fmt::Debug for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cut").field("at", &self.at).finish_non_exhaustive()
    }
}

/// Runs `f` and notes how many checkpoints were met below the calling task's innermost scope, which is
/// cancelled at one of them.
fn watched<T>(
    me: Running,
    cancel_at: Option<u64>,
    met: &Cell<Option<u64>>,
    f: impl FnOnce() -> T,
) -> T {
    let watch = Watch::new(me.core().innermost(), cancel_at);
    // SAFETY: the watch is a local of this frame that is not moved, the scope is left after it, and
    // `Watching` takes the watch away, also when `f` unwinds.
    unsafe { me.worker().watch(&watch) };
    let _watching = Watching { me, watch: &watch, met };
    f()
}

/// A watch that is taken away on drop.
struct Watching<'w> {
    me: Running,
    watch: &'w Watch,
    met: &'w Cell<Option<u64>>,
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.me.worker().unwatch(self.watch);
        self.met.set(Some(self.watch.met()));
    }
}
