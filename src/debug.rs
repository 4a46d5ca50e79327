//! Debug: what a program may look at.
//!
//! Layer 9. Imports: hooks, task, park. Never: anything that a look could change.

use crate::park;

pub use crate::hooks::Debugger;
pub use crate::hooks::WaitReason;
pub use crate::park::StackStats;
pub use crate::task::TaskRef;

/// The stacks of this thread's runtime; `None` outside of `run`.
///
/// Never parks; a debugger's hooks may call it.
///
/// # Examples
///
/// ```
/// giambio::run(|| {
///     giambio::pool(|pool| {
///         for _ in 0..100 {
///             pool.spawn(giambio::yield_now);
///         }
///     });
///     let stacks = giambio::debug::stacks().unwrap();
///     assert_eq!(stacks.live, 1); // main's
///     assert_eq!(stacks.peak, 101);
///     assert_eq!(stacks.idle, 100);
/// });
/// ```
#[must_use]
pub fn stacks() -> Option<StackStats> {
    park::worker_here(park::Worker::stack_stats)
}
