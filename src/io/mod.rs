//! Io: a descriptor whose calls park the task instead of the thread.
//!
//! Layer 8. Imports: park, wait_queue, sys. Never: sessions, timers, what the descriptor is.

mod registration;
mod settings;
mod source;

pub(crate) use settings::Mode;
pub(crate) use source::Io;
pub(crate) use source::Left;
pub(crate) use source::checkpoint;
pub(crate) use source::wait_once;
use std::fmt;

/// What an [`std::io::Error`] of kind `Other` carries when a call was given up for a cancellation.
///
/// Seen only where a cancellation cannot be raised: in a destructor that runs while the task unwinds,
/// and under [`task::no_unwind`](crate::task::no_unwind). The kind is none that std's loops repeat.
///
/// # Examples
///
/// ```
/// use giambio::io::Cancelled;
///
/// fn is_cancellation(error: &std::io::Error) -> bool {
///     error.get_ref().is_some_and(|inner| inner.is::<Cancelled>())
/// }
/// assert!(is_cancellation(&std::io::Error::other(Cancelled)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the task is being stopped, and this call would have had to wait")
    }
}

impl std::error::Error for Cancelled {}
