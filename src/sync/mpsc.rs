//! Mpsc: std's channels, for tasks and threads.
//!
//! Layer 7. Imports: channel. Never: how a message gets to its receiver.
//!
//! std's names, signatures and error types over [`giambio::channel`](mod@crate::channel), whose channels can do more:
//! several receivers, closing, [`select!`](crate::channel::select). Code that was written for
//! [`std::sync::mpsc`] changes its `use` line. Ends may be used by tasks of several runtimes and by plain
//! threads at once; outside of [`run`](crate::run) a wait blocks the thread.
//!
//! # Cancellation
//!
//! A receive that was cut has taken no message. The message of a send that was cut was not sent, and is
//! dropped. While a task unwinds, and where nothing may unwind, a call makes one attempt instead of waiting
//! and then fails as if the other side were gone; a message is given back.
//!
//! # Examples
//!
//! ```
//! use giambio::sync::mpsc;
//!
//! giambio::run(|| {
//!     let (sender, receiver) = mpsc::channel();
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

use crate::channel;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
#[doc(no_inline)]
pub use std::sync::mpsc::RecvError;
#[doc(no_inline)]
pub use std::sync::mpsc::RecvTimeoutError;
#[doc(no_inline)]
pub use std::sync::mpsc::SendError;
#[doc(no_inline)]
pub use std::sync::mpsc::TryRecvError;
#[doc(no_inline)]
pub use std::sync::mpsc::TrySendError;
use std::time::Duration;

/// Makes a channel whose sends never wait.
///
/// Like [`std::sync::mpsc::channel`]. Never parks.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = giambio::sync::mpsc::channel();
/// std::thread::spawn(move || sender.send("hello").unwrap());
/// giambio::run(|| assert_eq!(receiver.recv(), Ok("hello")));
/// ```
#[must_use]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = channel::unbounded();
    (Sender { inner: sender }, Receiver::new(receiver))
}

/// Makes a channel that holds `bound` messages; with 0 a send waits until its message is received.
///
/// Like [`std::sync::mpsc::sync_channel`]. Memory for all messages is taken at once. Never parks.
///
/// # Panics
///
/// If `bound` messages are more than memory can hold.
///
/// # Examples
///
/// ```
/// use giambio::sync::mpsc;
///
/// giambio::run(|| {
///     let (sender, receiver) = mpsc::sync_channel(1);
///     giambio::pool(|pool| {
///         pool.spawn(move || (1..=3).for_each(|number| sender.send(number).unwrap()));
///         assert_eq!(receiver.iter().sum::<i32>(), 6);
///     });
/// });
/// ```
#[must_use]
pub fn sync_channel<T>(bound: usize) -> (SyncSender<T>, Receiver<T>) {
    let (sender, receiver) = channel::bounded(bound);
    (SyncSender { inner: sender }, Receiver::new(receiver))
}

/// The sending side of a channel from [`channel()`]. Clones send into the same channel.
///
/// When the last one is dropped, receives fail once the channel is empty.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = giambio::sync::mpsc::channel();
/// let other = sender.clone();
/// std::thread::spawn(move || other.send(1).unwrap());
/// drop(sender);
/// assert_eq!(receiver.recv(), Ok(1));
/// assert!(receiver.recv().is_err());
/// ```
pub struct Sender<T> {
    inner: channel::Sender<T>,
}

impl<T> Sender<T> {
    /// Sends a message. Never parks.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. A message whose send was cut was not sent, and is dropped.
    ///
    /// # Errors
    ///
    /// [`SendError`] with the message, if the receiver is gone.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::sync::mpsc::{SendError, channel};
    ///
    /// let (sender, receiver) = channel();
    /// assert_eq!(sender.send("first"), Ok(()));
    /// drop(receiver);
    /// assert_eq!(sender.send("second"), Err(SendError("second")));
    /// ```
    #[track_caller]
    #[inline]
    pub fn send(&self, t: T) -> Result<(), SendError<T>> {
        self.inner.send(t).map_err(|error| SendError(error.0))
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// The sending side of a channel from [`sync_channel`]. Clones send into the same channel.
///
/// When the last one is dropped, receives fail once the channel is empty.
///
/// # Examples
///
/// ```
/// use giambio::sync::mpsc::sync_channel;
///
/// giambio::run(|| {
///     let (sender, receiver) = sync_channel(0);
///     giambio::pool(|pool| {
///         let other = sender.clone();
///         pool.spawn(move || sender.send(1).unwrap());
///         pool.spawn(move || other.send(2).unwrap());
///         assert_eq!(receiver.iter().collect::<Vec<_>>(), [1, 2]);
///     });
/// });
/// ```
pub struct SyncSender<T> {
    inner: channel::Sender<T>,
}

impl<T> SyncSender<T> {
    /// Sends a message, parking the calling task while there is no room for it.
    ///
    /// Those who wait are served in the order in which they came. If the bound is 0 it waits until the
    /// message was received. Outside of [`run`](crate::run) it blocks the thread.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call, also when there is room. A message whose send was cut was not sent, and
    /// is dropped. If it was taken before the cancellation, the call completes and the next checkpoint
    /// raises.
    ///
    /// # Errors
    ///
    /// [`SendError`] with the message, if the receiver is gone; and where this may not wait, since the task
    /// unwinds or nothing may, if there is no room.
    ///
    /// # Panics
    ///
    /// If it would have to wait inside of [`task::no_switch`](crate::task::no_switch).
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::sync::mpsc::{SendError, sync_channel};
    ///
    /// let (sender, receiver) = sync_channel(1);
    /// assert_eq!(sender.send("first"), Ok(()));
    /// drop(receiver);
    /// assert_eq!(sender.send("second"), Err(SendError("second")));
    /// ```
    #[track_caller]
    #[inline]
    pub fn send(&self, t: T) -> Result<(), SendError<T>> {
        self.inner.send(t).map_err(|error| SendError(error.0))
    }

    /// Sends a message, if that can be done at once.
    ///
    /// # Cancellation
    ///
    /// Never parks, and is no checkpoint.
    ///
    /// # Errors
    ///
    /// [`TrySendError`] with the message: `Full` if there is no room, or if the bound is 0 nobody who waits
    /// for a message; `Disconnected` if the receiver is gone.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::sync::mpsc::{TrySendError, sync_channel};
    ///
    /// let (sender, _receiver) = sync_channel(1);
    /// assert_eq!(sender.try_send(1), Ok(()));
    /// assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
    /// ```
    pub fn try_send(&self, t: T) -> Result<(), TrySendError<T>> {
        self.inner.try_send(t).map_err(|error| match error {
            channel::TrySendError::Full(t) => TrySendError::Full(t),
            channel::TrySendError::Disconnected(t) => TrySendError::Disconnected(t),
        })
    }
}

impl<T> Clone for SyncSender<T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<T> fmt::Debug for SyncSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncSender").finish_non_exhaustive()
    }
}

/// The receiving side of a channel from [`channel()`] or [`sync_channel`]. There is one.
///
/// When it is dropped, sends fail, and the messages that are left are dropped.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = giambio::sync::mpsc::channel();
/// sender.send("some").unwrap();
/// sender.send("words").unwrap();
/// drop(sender);
/// assert_eq!(receiver.iter().collect::<Vec<_>>(), ["some", "words"]);
/// ```
///
/// It goes to other threads, but is used by one at a time:
///
/// ```
/// fn may_go<T: Send>() {}
/// may_go::<giambio::sync::mpsc::Receiver<u8>>();
/// ```
///
/// ```compile_fail,E0277
/// fn may_be_shared<T: Sync>() {}
/// may_be_shared::<giambio::sync::mpsc::Receiver<u8>>();
/// ```
pub struct Receiver<T> {
    inner: channel::Receiver<T>,
    /// Not `Sync`, as std's: it is the only consumer.
    one_at_a_time: PhantomData<Cell<()>>,
}

// What keeps it from being `Sync` is nothing that a panic could leave half changed.
impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}

impl<T> Receiver<T> {
    fn new(inner: channel::Receiver<T>) -> Self {
        Self { inner, one_at_a_time: PhantomData }
    }

    /// Takes the oldest message, if there is one. If the bound is 0 that is one that somebody waits to send.
    ///
    /// # Cancellation
    ///
    /// Never parks, and is no checkpoint.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`]: `Empty` if there is none, `Disconnected` if there will be none.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::sync::mpsc::{TryRecvError, channel};
    ///
    /// let (sender, receiver) = channel::<u8>();
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// drop(sender);
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    /// ```
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.inner.try_recv().map_err(|error| match error {
            channel::TryRecvError::Empty => TryRecvError::Empty,
            channel::TryRecvError::Disconnected => TryRecvError::Disconnected,
        })
    }

    /// Takes the oldest message, parking the calling task while there is none.
    ///
    /// Outside of [`run`](crate::run) it blocks the thread.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call, also when there is a message. One that was cut has taken none. If a
    /// message was handed over before the cancellation, the call completes and the next checkpoint raises.
    ///
    /// # Errors
    ///
    /// [`RecvError`] once the channel is empty and all its senders are gone; and where this may not wait,
    /// since the task unwinds or nothing may, if there is no message.
    ///
    /// # Panics
    ///
    /// If it would have to wait inside of [`task::no_switch`](crate::task::no_switch).
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::sync::mpsc::{RecvError, channel};
    ///
    /// let (sender, receiver) = channel();
    /// sender.send(1).unwrap();
    /// drop(sender);
    /// assert_eq!(receiver.recv(), Ok(1));
    /// assert_eq!(receiver.recv(), Err(RecvError));
    /// ```
    #[track_caller]
    #[inline]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.inner.recv().map_err(|_| RecvError)
    }

    /// Like [`recv`](Self::recv), for at most `timeout`, by [`clock`](crate::clock()).
    ///
    /// # Cancellation
    ///
    /// As for [`recv`](Self::recv).
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError`]: `Timeout` if the time is up, `Disconnected` as for [`recv`](Self::recv).
    ///
    /// # Panics
    ///
    /// As for [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::sync::mpsc::{RecvTimeoutError, channel};
    /// use std::time::Duration;
    ///
    /// giambio::testing::run_virtual(|| {
    ///     let (_sender, receiver) = channel::<u8>();
    ///     let result = receiver.recv_timeout(Duration::from_secs(3600)); // takes no time at all
    ///     assert_eq!(result, Err(RecvTimeoutError::Timeout));
    /// });
    /// ```
    #[track_caller]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.inner.recv_timeout(timeout).map_err(|error| match error {
            channel::RecvTimeoutError::Timeout => RecvTimeoutError::Timeout,
            channel::RecvTimeoutError::Disconnected => RecvTimeoutError::Disconnected,
        })
    }

    /// The messages, waiting for each until the channel is empty and its senders are gone.
    ///
    /// Each `next` is a [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = giambio::sync::mpsc::channel();
    /// std::thread::spawn(move || (1..=3).for_each(|number| sender.send(number).unwrap()));
    /// giambio::run(|| assert_eq!(receiver.iter().sum::<i32>(), 6));
    /// ```
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { rx: self }
    }

    /// The messages that are there, waiting for none.
    ///
    /// Each `next` is a [`try_recv`](Self::try_recv).
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = giambio::sync::mpsc::channel();
    /// (1..=3).for_each(|number| sender.send(number).unwrap());
    /// assert_eq!(receiver.try_iter().sum::<i32>(), 6);
    /// ```
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { rx: self }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

/// The messages of a channel, waiting for each: see [`Receiver::iter`].
#[derive(Debug)]
pub struct Iter<'a, T> {
    rx: &'a Receiver<T>,
}

/// The messages that are there: see [`Receiver::try_iter`].
#[derive(Debug)]
pub struct TryIter<'a, T> {
    rx: &'a Receiver<T>,
}

/// The messages of a channel, waiting for each; it owns the receiver.
///
/// # Examples
///
/// ```
/// let (sender, receiver) = giambio::sync::mpsc::channel();
/// sender.send(1).unwrap();
/// drop(sender);
/// for number in receiver {
///     assert_eq!(number, 1);
/// }
/// ```
#[derive(Debug)]
pub struct IntoIter<T> {
    rx: Receiver<T>,
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<T> {
        self.rx.recv().ok()
    }
}

impl<T> Iterator for TryIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.rx.try_recv().ok()
    }
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<T> {
        self.rx.recv().ok()
    }
}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { rx: self }
    }
}
