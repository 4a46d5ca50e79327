//! Channel: messages from any number of senders to any number of receivers.
//!
//! Layer 7. Imports: wait_queue, wait_any, park, pool, sync, sys, time, task. Never: sockets, how tasks are
//! scheduled.
//!
//! Names, signatures and error types are crossbeam-channel's, so that its users change a `use` line; the
//! semantics are Go's: messages are received in the order in which they were sent, who has waited longest
//! is served first, and nobody who comes later is faster. Ends may be used by tasks of several runtimes
//! and by plain threads at once; outside of [`run`](crate::run) a wait blocks the thread.
//!
//! | made by | `send` waits | holds |
//! |---|---|---|
//! | [`bounded(n)`](bounded) | while it is full | `n` messages |
//! | [`bounded(0)`](bounded) | until somebody receives | none: both sides meet |
//! | [`unbounded()`](unbounded) | never | as many as memory does |
//! | [`dropping(n)`](dropping) | never: the new message is dropped when it is full | `n` messages |
//! | [`sliding(n)`](sliding) | never: the oldest message is dropped when it is full | `n` messages |
//! | [`after`], [`at`], [`tick`], [`never`](never()) | | times, to be received |
//!
//! A channel is closed when all handles of one side are gone, or by [`Sender::close`] and
//! [`Receiver::close`]. Then sends fail and give their messages back, and receives fail once it is empty.
//!
//! # Cancellation
//!
//! A receive that was cut has taken no message, and the message of a send that was cut was not sent: it is
//! dropped. While a task unwinds, and where nothing may unwind, calls make one attempt instead of waiting
//! and then fail as if the other side were gone; a message is given back.
//!
//! # Examples
//!
//! ```
//! use giambio::channel::bounded;
//!
//! giambio::run(|| {
//!     let (sender, receiver) = bounded(1);
//!     giambio::pool(|pool| {
//!         for worker in 0..3 {
//!             let sender = sender.clone();
//!             pool.spawn(move || sender.send(worker * 10).unwrap());
//!         }
//!         drop(sender);
//!         assert_eq!(receiver.iter().collect::<Vec<_>>(), [0, 10, 20]);
//!     });
//! });
//! ```

#[doc(hidden)]
#[path = "expansion.rs"]
pub mod __private;
mod arm;
mod buffer;
mod closed;
mod error;
mod iter;
mod link;
mod macros;
mod occurrence;
mod readiness;
mod receiver;
mod select;
mod selected;
mod sender;
mod state;
mod timer;

pub use error::ReadyTimeoutError;
pub use error::RecvError;
pub use error::RecvTimeoutError;
pub use error::SelectTimeoutError;
pub use error::SendError;
pub use error::SendTimeoutError;
pub use error::TryReadyError;
pub use error::TryRecvError;
pub use error::TrySelectError;
pub use error::TrySendError;
pub use iter::IntoIter;
pub use iter::Iter;
pub use iter::TryIter;
#[doc(inline)]
pub use macros::select;
#[doc(inline)]
pub use macros::select_biased;
pub(crate) use occurrence::End;
pub use occurrence::Ending;
pub(crate) use readiness::IoSource;
pub use readiness::Readiness;
pub(crate) use readiness::Registered;
pub use receiver::Receiver;
pub use select::Select;
pub use selected::SelectedOperation;
pub use sender::Sender;
pub use timer::after;
pub use timer::at;
pub use timer::never;
pub use timer::tick;

pub(crate) use arm::RecvArm;
pub(crate) use closed::ClosedArm;
use link::Link;
use state::WhenFull;
use std::sync::Arc;

fn channel<T>(capacity: Option<usize>, when_full: WhenFull) -> (Sender<T>, Receiver<T>) {
    let link = Arc::new(Link::new(capacity, when_full));
    (Sender::new(Arc::clone(&link)), Receiver::of_link(link))
}

/// Makes a channel that holds `capacity` messages; with 0 a send waits until its message is received.
///
/// Memory for all of them is taken at once. Never parks.
///
/// # Panics
///
/// If `capacity` messages are more than memory can hold.
///
/// # Examples
///
/// ```
/// use giambio::channel::bounded;
///
/// giambio::run(|| {
///     let (sender, receiver) = bounded(0);
///     giambio::pool(|pool| {
///         pool.spawn(move || sender.send("hello").unwrap());
///         assert_eq!(receiver.recv(), Ok("hello"));
///     });
/// });
/// ```
#[must_use]
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    channel(Some(capacity), WhenFull::Wait)
}

/// Makes a channel whose sends never wait.
///
/// Nothing keeps a sender that is faster than its receivers from filling the memory: prefer
/// [`bounded`] where the two can wait for each other. Never parks.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = giambio::channel::unbounded();
/// (0..1000).for_each(|number| sender.send(number).unwrap());
/// drop(sender);
/// assert_eq!(receiver.iter().sum::<i32>(), 499_500);
/// ```
#[must_use]
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    channel(None, WhenFull::Wait)
}

/// Makes a channel that holds `capacity` messages and drops what is sent while it is full.
///
/// For samples of which the oldest matter, and producers that must not wait: `send` succeeds all the
/// same. With a capacity of 0 only who waits for a message gets one. Never parks.
///
/// # Panics
///
/// If `capacity` messages are more than memory can hold.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = giambio::channel::dropping(2);
/// (1..=5).for_each(|number| sender.send(number).unwrap());
/// assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [1, 2]);
/// ```
#[must_use]
pub fn dropping<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    channel(Some(capacity), WhenFull::DropNewest)
}

/// Makes a channel that holds the last `capacity` messages: a send to a full one drops the oldest.
///
/// For states of which only the latest matter, and producers that must not wait. With a capacity of 0
/// only who waits for a message gets one. Never parks.
///
/// # Panics
///
/// If `capacity` messages are more than memory can hold.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = giambio::channel::sliding(2);
/// (1..=5).for_each(|number| sender.send(number).unwrap());
/// assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [4, 5]);
/// ```
#[must_use]
pub fn sliding<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    channel(Some(capacity), WhenFull::DropOldest)
}
