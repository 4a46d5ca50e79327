//! Testing: tests that own the clock.
//!
//! Layer 9. Imports: runtime, park, clock, sync. Never: what is tested.

mod checkpoints;
mod explore;
mod sequencer;

use crate::clock::Clock;
use crate::hooks::WaitReason;
use crate::park;
pub use crate::park::Schedule;
use crate::runtime::Builder;
use crate::task::Abort;
use crate::wait_queue;
pub use checkpoints::Cut;
pub use checkpoints::assert_checkpoint;
pub use checkpoints::assert_no_switch;
pub use checkpoints::cancelled_at_every_checkpoint;
pub use explore::explore;
pub use sequencer::Sequencer;
pub use sequencer::Step;

/// Runs `main` like [`run`](crate::run), on a clock that stands still while anything can run, and
/// jumps to the next deadline when every task waits.
///
/// Sleeps and timeouts of hours take no real time, and a test of them neither waits nor flickers.
/// Sockets work as long as both ends are in the test and nobody has to wait for the world outside. A call
/// of [`unblock`](crate::unblock()) is waited for in real time, during which this clock stands still.
///
/// # Panics
///
/// As for [`run`](crate::run). With a report of who waits for what, if every task waits and one of
/// them waits for I/O, or no deadline is left to jump to: something outside of the test would have to
/// happen, and the clock cannot know when.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// giambio::testing::run_virtual(|| {
///     let slow = || giambio::sleep(Duration::from_secs(3600));
///     assert!(giambio::with_timeout(Duration::from_secs(60), |_| slow()).is_err());
/// });
/// ```
#[track_caller]
pub fn run_virtual<T>(main: impl FnOnce() -> T) -> T {
    match builder().build() {
        Ok(mut runtime) => runtime.run(main),
        Err(error) => panic!("giambio cannot start: {error}"),
    }
}

/// The options of [`run_virtual`], to which others may be added.
///
/// # Examples
///
/// ```
/// use giambio::debug::{Debugger, TaskRef};
/// use std::time::Duration;
///
/// struct Lengths;
///
/// impl Debugger for Lengths {
///     fn after_sleep(&self, _task: &TaskRef, slept: Duration) {
///         assert_eq!(slept, Duration::from_secs(3600));
///     }
/// }
///
/// let mut runtime = giambio::testing::builder().debugger(Lengths).build()?;
/// runtime.run(|| giambio::sleep(Duration::from_secs(3600)));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn builder() -> Builder {
    Builder::new().clock(Clock::owned_by_the_test())
}

/// Returns when every other task is parked.
///
/// I/O that the kernel has completed already counts as something to do first; time is not moved. If
/// several tasks call this, the first to have called goes on first.
///
/// # Cancellation
///
/// A checkpoint on every call.
///
/// # Panics
///
/// Outside of `run`.
///
/// # Examples
///
/// ```
/// use std::cell::Cell;
///
/// giambio::testing::run_virtual(|| {
///     let steps = Cell::new(0);
///     giambio::cancellable(|pool| {
///         pool.spawn(|| {
///             for _ in 0..3 {
///                 steps.set(steps.get() + 1);
///                 giambio::yield_now();
///             }
///             giambio::sleep_forever()
///         });
///         giambio::testing::settle();
///         assert_eq!(steps.get(), 3);
///         pool.cancel();
///     });
/// });
/// ```
#[track_caller]
pub fn settle() {
    let me = park::current_for("`giambio::testing::settle`");
    me.checkpoint();
    wait_queue::wait(me, &me.worker().settlers, None, WaitReason::Settle, Abort::Now);
}
