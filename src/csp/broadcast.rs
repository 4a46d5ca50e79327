//! Broadcast: each item for everybody.
//!
//! Layer 7. Imports: channel, pool. Never: how items meet subscribers.

use super::Topics;
use super::publish;
use crate::channel::Receiver;
use crate::channel::Sender;
use crate::channel::bounded;
use crate::channel::dropping;
use crate::channel::sliding;
use crate::pool::Pool;
use std::fmt;

/// What becomes of an item when a subscriber has no room for it, and how many items he has room for.
///
/// With a capacity of 0 there is room while he waits for an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// It waits, and with it everything behind it, for all subscribers.
    Wait(usize),
    /// He misses it.
    DropNewest(usize),
    /// He misses the oldest of those that he has.
    DropOldest(usize),
}

impl Policy {
    pub(super) fn channel<T>(self) -> (Sender<T>, Receiver<T>) {
        match self {
            Self::Wait(capacity) => bounded(capacity),
            Self::DropNewest(capacity) => dropping(capacity),
            Self::DropOldest(capacity) => sliding(capacity),
        }
    }
}

/// Has each item of `input` received by all subscribers.
///
/// Without any, items are dropped. One item at a time: while it waits for a subscriber whose policy is
/// [`Policy::Wait`], the others have that item, and wait for the next one. It ends when the input has ended,
/// and when neither a [`Broadcast`] nor a subscriber is left; then it closes the channels of all
/// subscribers.
///
/// # Cancellation
///
/// Never parks. The task ends with its pool.
///
/// # Panics
///
/// If no stack is to be had. A panic of `T::clone` fails the pool.
///
/// # Examples
///
/// ```
/// use giambio::csp::{Policy, broadcast, from_iter};
///
/// giambio::testing::run_virtual(|| {
///     giambio::pool(|pool| {
///         let numbers = broadcast(pool, from_iter(pool, 1..=4, 0));
///         let every = numbers.subscribe(Policy::Wait(4));
///         let latest = numbers.subscribe(Policy::DropOldest(1));
///         assert_eq!(every.iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
///         assert_eq!(latest.iter().collect::<Vec<_>>(), [4]);
///     });
/// });
/// ```
#[track_caller]
pub fn broadcast<'scope, T: Clone + 'scope>(
    pool: &'scope Pool<'scope, '_>,
    input: Receiver<T>,
) -> Broadcast<T> {
    Broadcast { topic: publish(pool, input, |_| ()) }
}

/// The right to subscribe to the items of a channel. Clones are for the same ones.
///
/// Made by [`broadcast()`]. If `T` may go to other threads, so may this.
pub struct Broadcast<T> {
    topic: Topics<(), T>,
}

impl<T> Broadcast<T> {
    /// Makes a channel that receives every item from now on.
    ///
    /// As with [`Topics::subscribe`].
    ///
    /// # Cancellation
    ///
    /// Never parks, and is no checkpoint.
    ///
    /// # Panics
    ///
    /// If the policy's capacity is more than memory can hold.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::channel::bounded;
    /// use giambio::csp::{Policy, broadcast};
    ///
    /// giambio::testing::run_virtual(|| {
    ///     giambio::pool(|pool| {
    ///         let (sender, numbers) = bounded(0);
    ///         let numbers = broadcast(pool, numbers);
    ///         sender.send(1).unwrap(); // nobody listens
    ///         let receiver = numbers.subscribe(Policy::Wait(1));
    ///         sender.send(2).unwrap();
    ///         assert_eq!(receiver.recv(), Ok(2));
    ///     });
    /// });
    /// ```
    pub fn subscribe(&self, policy: Policy) -> Receiver<T> {
        self.topic.subscribe((), policy)
    }

    /// Has every item sent into `output` from now on, for an output that exists already.
    ///
    /// As with [`Topics::attach`].
    ///
    /// # Cancellation
    ///
    /// Never parks, and is no checkpoint.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::channel::unbounded;
    /// use giambio::csp::{broadcast, from_iter};
    ///
    /// giambio::testing::run_virtual(|| {
    ///     giambio::pool(|pool| {
    ///         let (sender, receiver) = unbounded();
    ///         broadcast(pool, from_iter(pool, 1..=3, 0)).attach(sender);
    ///         assert_eq!(receiver.iter().collect::<Vec<_>>(), [1, 2, 3]);
    ///     });
    /// });
    /// ```
    pub fn attach(&self, output: Sender<T>) {
        self.topic.attach((), output);
    }
}

impl<T> Clone for Broadcast<T> {
    fn clone(&self) -> Self {
        Self { topic: self.topic.clone() }
    }
}

impl<T> fmt::Debug for Broadcast<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broadcast").finish_non_exhaustive()
    }
}
