//! Receiver: the side of a channel that messages come out of.
//!
//! Layer 7. Imports: time, wait_any, park. Never: how a message gets to its receiver.

use super::arm::RecvArm;
use super::error::RecvError;
use super::error::RecvTimeoutError;
use super::error::TryRecvError;
use super::iter::Iter;
use super::iter::TryIter;
use super::link::Link;
use super::link::Side;
use super::timer::Timer;
use crate::park;
use crate::park::Running;
use crate::time::clock;
use crate::wait_any;
use crate::wait_any::Choice;
use crate::wait_any::Order;
use crate::wait_any::Patience;
use std::fmt;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

/// The receiving side of a channel. Clones receive from the same channel: each message goes to one.
///
/// When the last one is dropped the channel is closed, and the messages that are left are dropped. To
/// receive all messages, iterate over it: see [`iter`](Self::iter).
///
/// # Examples
///
/// ```
/// let (sender, receiver) = giambio::channel::bounded(3);
/// sender.send("some").unwrap();
/// sender.send("words").unwrap();
/// drop(sender);
/// for word in receiver {
///     println!("{word}");
/// }
/// ```
pub struct Receiver<T> {
    source: Source<T>,
}

/// Where messages come from.
pub(super) enum Source<T> {
    Link(Arc<Link<T>>),
    Timer(Arc<dyn Timer<T>>),
    Never,
}

impl<T> Receiver<T> {
    pub(super) fn of_link(link: Arc<Link<T>>) -> Self {
        Self { source: Source::Link(link) }
    }

    pub(super) fn of_timer(timer: Arc<dyn Timer<T>>) -> Self {
        Self { source: Source::Timer(timer) }
    }

    pub(super) const fn of_nothing() -> Self {
        Self { source: Source::Never }
    }

    pub(super) fn source(&self) -> &Source<T> {
        &self.source
    }

    /// Takes the oldest message, parking the calling task while there is none.
    ///
    /// Those who wait are served in the order in which they came. Outside of [`run`](crate::run) it blocks
    /// the thread.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call, also when there is a message. One that was cut has taken none. If a
    /// message was handed over before the cancellation, the call completes and the next checkpoint raises.
    ///
    /// # Errors
    ///
    /// [`RecvError`] once the channel is empty, and it is closed or all its senders are gone; and where
    /// this may not wait, since the task unwinds or nothing may, if there is no message.
    ///
    /// # Panics
    ///
    /// If it would have to wait inside of [`task::no_switch`](crate::task::no_switch).
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::channel::{RecvError, bounded};
    ///
    /// let (sender, receiver) = bounded(1);
    /// sender.send(1).unwrap();
    /// drop(sender);
    /// assert_eq!(receiver.recv(), Ok(1));
    /// assert_eq!(receiver.recv(), Err(RecvError));
    /// ```
    #[track_caller]
    #[inline]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.receive(None).map_err(|_| RecvError)
    }

    /// Takes the oldest message, if there is one.
    ///
    /// In a channel of capacity 0 there is one if somebody waits to send it. Only if that is a
    /// [`select!`](super::select!), which makes its message once it was chosen, this waits until it is made.
    ///
    /// # Cancellation
    ///
    /// No checkpoint, and never parks, with that exception.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`]: `Empty` if there is none, `Disconnected` if there will be none.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::channel::{TryRecvError, bounded};
    ///
    /// let (sender, receiver) = bounded::<u8>(1);
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// drop(sender);
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    /// ```
    #[track_caller]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.attempt(park::running())
    }

    #[track_caller]
    pub(super) fn attempt(&self, me: Option<Running>) -> Result<T, TryRecvError> {
        match &self.source {
            Source::Link(link) => link.attempt_to_receive(me),
            Source::Timer(timer) => timer.take(clock()).ok_or(TryRecvError::Empty),
            Source::Never => Err(TryRecvError::Empty),
        }
    }

    /// Like [`recv`](Self::recv), for at most `timeout`.
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
    /// use giambio::channel::{RecvTimeoutError, bounded};
    /// use std::time::Duration;
    ///
    /// giambio::testing::run_virtual(|| {
    ///     let (_sender, receiver) = bounded::<u8>(1);
    ///     let result = receiver.recv_timeout(Duration::from_secs(3600)); // takes no time at all
    ///     assert_eq!(result, Err(RecvTimeoutError::Timeout));
    /// });
    /// ```
    #[track_caller]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.receive(clock().checked_add(timeout))
    }

    /// Like [`recv`](Self::recv), until `deadline` at the latest, by [`clock`](crate::clock()).
    ///
    /// # Cancellation
    ///
    /// As for [`recv`](Self::recv).
    ///
    /// # Errors
    ///
    /// As for [`recv_timeout`](Self::recv_timeout).
    ///
    /// # Panics
    ///
    /// As for [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = giambio::channel::bounded(1);
    /// sender.send(1).unwrap();
    /// assert_eq!(receiver.recv_deadline(giambio::clock()), Ok(1)); // it was there
    /// assert!(receiver.recv_deadline(giambio::clock()).unwrap_err().is_timeout());
    /// ```
    #[track_caller]
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.receive(Some(deadline))
    }

    #[track_caller]
    #[inline(always)]
    fn receive(&self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        match &self.source {
            Source::Link(link) => link.receive(deadline),
            Source::Timer(_) | Source::Never => self.receive_from_time(deadline),
        }
    }

    #[cold]
    #[track_caller]
    fn receive_from_time(&self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        let mut arm = RecvArm::new(self);
        let patience = deadline.map_or(Patience::Endless, Patience::Until);
        match wait_any::first_of(&mut [&mut arm], Order::Biased, patience) {
            Choice::Arm(_) => arm.finish().map_err(RecvTimeoutError::from),
            Choice::Timeout => Err(RecvTimeoutError::Timeout),
        }
    }

    /// Closes the channel for everybody: true if it was open. See [`Sender::close`](super::Sender::close).
    ///
    /// The channels of [`after`](super::after), [`tick`](super::tick) and the like cannot be closed.
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
    /// assert!(receiver.close());
    /// assert!(sender.send(2).is_err());
    /// assert_eq!(receiver.recv(), Ok(1));
    /// ```
    pub fn close(&self) -> bool {
        match &self.source {
            Source::Link(link) => link.close(),
            Source::Timer(_) | Source::Never => false,
        }
    }

    /// Whether the channel was closed, or all its senders are gone; there may be messages left.
    ///
    /// # Cancellation
    ///
    /// Never parks.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match &self.source {
            Source::Link(link) => link.with(|state| state.is_closed),
            Source::Timer(_) | Source::Never => false,
        }
    }

    /// Whether there is no message. Always true of a channel of capacity 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room. Always true of a channel of capacity 0.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match &self.source {
            Source::Link(link) => link.with(|state| state.buffer.len() >= state.capacity),
            Source::Timer(_) => !self.is_empty(),
            Source::Never => true,
        }
    }

    /// How many messages wait to be received.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.source {
            Source::Link(link) => link.with(|state| state.buffer.len()),
            Source::Timer(timer) => usize::from(timer.due().is_some_and(|due| due <= clock())),
            Source::Never => 0,
        }
    }

    /// How many messages there is room for; `None` if it is not limited.
    #[must_use]
    pub fn capacity(&self) -> Option<usize> {
        match &self.source {
            Source::Link(link) => {
                link.with(|state| (state.capacity != usize::MAX).then_some(state.capacity))
            }
            Source::Timer(_) => Some(1),
            Source::Never => Some(0),
        }
    }

    /// The messages, waiting for each until the channel is empty and closed.
    ///
    /// Each `next` is a [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// giambio::run(|| {
    ///     let (sender, receiver) = giambio::channel::bounded(1);
    ///     giambio::pool(|pool| {
    ///         pool.spawn(move || (1..=3).for_each(|number| sender.send(number).unwrap()));
    ///         assert_eq!(receiver.iter().sum::<i32>(), 6);
    ///     });
    /// });
    /// ```
    #[must_use]
    pub fn iter(&self) -> Iter<'_, T> {
        Iter::new(self)
    }

    /// The messages that are there, waiting for none.
    ///
    /// Each `next` is a [`try_recv`](Self::try_recv).
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = giambio::channel::unbounded();
    /// (1..=3).for_each(|number| sender.send(number).unwrap());
    /// assert_eq!(receiver.try_iter().sum::<i32>(), 6);
    /// ```
    #[must_use]
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter::new(self)
    }

    /// Whether both receive from the same channel.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        match (&self.source, &other.source) {
            (Source::Link(one), Source::Link(other)) => Arc::ptr_eq(one, other),
            (Source::Timer(one), Source::Timer(other)) => Arc::ptr_eq(one, other),
            (Source::Never, Source::Never) => true,
            _ => false,
        }
    }
}

impl<T> Clone for Receiver<T> {
    /// Another receiver of the same channel. A clone of [`after`](super::after)'s or [`tick`](super::tick)'s
    /// shares its times: each is received once.
    fn clone(&self) -> Self {
        let source = match &self.source {
            Source::Link(link) => {
                link.add_handle(Side::Receivers);
                Source::Link(Arc::clone(link))
            }
            Source::Timer(timer) => Source::Timer(Arc::clone(timer)),
            Source::Never => Source::Never,
        };
        Self { source }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if let Source::Link(link) = &self.source {
            link.drop_handle(Side::Receivers);
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Receiver { .. }")
    }
}

impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}
