//! Sender: the side of a channel that messages go into.
//!
//! Layer 7. Imports: time. Never: how a message gets to its receiver.

use super::error::SendError;
use super::error::SendTimeoutError;
use super::error::TrySendError;
use super::link::Link;
use super::link::Side;
use super::state::WhenFull;
use crate::time::clock;
use std::fmt;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

/// The sending side of a channel. Clones send into the same channel.
///
/// When the last one is dropped the channel is closed: see the [module](super).
///
/// # Examples
///
/// ```
/// let (sender, receiver) = giambio::channel::unbounded();
/// let other = sender.clone();
/// std::thread::spawn(move || other.send(1).unwrap());
/// drop(sender);
/// assert_eq!(receiver.recv(), Ok(1));
/// assert!(receiver.recv().is_err());
/// ```
pub struct Sender<T> {
    link: Arc<Link<T>>,
}

impl<T> Sender<T> {
    pub(super) fn new(link: Arc<Link<T>>) -> Self {
        Self { link }
    }

    pub(super) fn link(&self) -> &Link<T> {
        &self.link
    }

    /// Sends a message, parking the calling task while there is no room for it.
    ///
    /// Those who wait are served in the order in which they came. In a channel of capacity 0 it waits until
    /// the message was received. Outside of [`run`](crate::run) it blocks the thread.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call, also when there is room. A message whose send was cut was not sent, and
    /// is dropped. If it was taken before the cancellation, the call completes and the next checkpoint
    /// raises.
    ///
    /// # Errors
    ///
    /// [`SendError`] with the message, if the channel is closed or all its receivers are gone; and where
    /// this may not wait, since the task unwinds or nothing may, if there is no room.
    ///
    /// # Panics
    ///
    /// If it would have to wait inside of [`task::no_switch`](crate::task::no_switch).
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::channel::{SendError, bounded};
    ///
    /// let (sender, receiver) = bounded(1);
    /// assert_eq!(sender.send("first"), Ok(()));
    /// drop(receiver);
    /// assert_eq!(sender.send("second"), Err(SendError("second")));
    /// ```
    #[track_caller]
    #[inline]
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        self.link.send(message, None).map_err(|error| SendError(error.into_inner()))
    }

    /// Sends a message, if that can be done at once.
    ///
    /// # Cancellation
    ///
    /// Never parks, and is no checkpoint.
    ///
    /// # Errors
    ///
    /// [`TrySendError`] with the message: `Full` if there is no room, or in a channel of capacity 0 nobody
    /// who waits for a message; `Disconnected` if the channel is closed or all its receivers are gone.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::channel::{TrySendError, bounded};
    ///
    /// let (sender, _receiver) = bounded(1);
    /// assert_eq!(sender.try_send(1), Ok(()));
    /// assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
    /// ```
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        self.link.try_send(message)
    }

    /// Like [`send`](Self::send), for at most `timeout`.
    ///
    /// # Cancellation
    ///
    /// As for [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError`] with the message: `Timeout` if the time is up, `Disconnected` as for
    /// [`send`](Self::send).
    ///
    /// # Panics
    ///
    /// As for [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::channel::{SendTimeoutError, bounded};
    /// use std::time::Duration;
    ///
    /// giambio::testing::run_virtual(|| {
    ///     let (sender, _receiver) = bounded(0);
    ///     let error = sender.send_timeout("hello", Duration::from_secs(9)).unwrap_err();
    ///     assert_eq!(error, SendTimeoutError::Timeout("hello"));
    /// });
    /// ```
    #[track_caller]
    pub fn send_timeout(&self, message: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        self.link.send(message, clock().checked_add(timeout))
    }

    /// Like [`send`](Self::send), until `deadline` at the latest, by [`clock`](crate::clock()).
    ///
    /// # Cancellation
    ///
    /// As for [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// As for [`send_timeout`](Self::send_timeout).
    ///
    /// # Panics
    ///
    /// As for [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, _receiver) = giambio::channel::bounded(1);
    /// assert!(sender.send_deadline(1, giambio::clock()).is_ok()); // there was room
    /// assert!(sender.send_deadline(2, giambio::clock()).unwrap_err().is_timeout());
    /// ```
    #[track_caller]
    pub fn send_deadline(&self, message: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        self.link.send(message, Some(deadline))
    }

    /// Closes the channel for everybody: true if it was open.
    ///
    /// From now on sends fail, and so do those that wait, which get their messages back. What was sent
    /// before can still be received; then receives fail too.
    ///
    /// # Cancellation
    ///
    /// Never parks, and is no checkpoint.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = giambio::channel::bounded(1);
    /// sender.send(1).unwrap();
    /// assert!(sender.close());
    /// assert!(!sender.close());
    /// assert!(sender.send(2).is_err());
    /// assert_eq!(receiver.iter().collect::<Vec<_>>(), [1]);
    /// ```
    pub fn close(&self) -> bool {
        self.link.close()
    }

    /// Whether the channel was closed, or all its receivers are gone.
    ///
    /// # Cancellation
    ///
    /// Never parks.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.link.with(|state| state.is_closed)
    }

    /// Whether there is no message to be received. Always true of a channel of capacity 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room. Always true of a channel of capacity 0.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.link.with(|state| state.buffer.len() >= state.capacity)
    }

    /// How many messages wait to be received.
    #[must_use]
    pub fn len(&self) -> usize {
        self.link.with(|state| state.buffer.len())
    }

    /// How many messages there is room for; `None` if it is not limited.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::channel::{bounded, unbounded};
    ///
    /// assert_eq!(bounded::<u8>(7).0.capacity(), Some(7));
    /// assert_eq!(unbounded::<u8>().0.capacity(), None);
    /// ```
    #[must_use]
    pub fn capacity(&self) -> Option<usize> {
        self.link.with(|state| (state.capacity != usize::MAX).then_some(state.capacity))
    }

    /// Whether a full channel drops messages instead of making senders wait.
    #[must_use]
    pub fn is_lossy(&self) -> bool {
        self.link.with(|state| state.when_full != WhenFull::Wait)
    }

    /// Whether both send into the same channel.
    ///
    /// # Examples
    ///
    /// ```
    /// let (one, _receiver) = giambio::channel::bounded::<u8>(1);
    /// let (other, _receiver) = giambio::channel::bounded::<u8>(1);
    /// assert!(one.same_channel(&one.clone()));
    /// assert!(!one.same_channel(&other));
    /// ```
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.link, &other.link)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.link.add_handle(Side::Senders);
        Self { link: Arc::clone(&self.link) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.link.drop_handle(Side::Senders);
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Sender { .. }")
    }
}

impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}
