//! Topics: each item for those who want its kind.
//!
//! Layer 7. Imports: channel, pool. Never: how items meet subscribers.

use super::Policy;
use super::hub::Hub;
use super::hub::Subscription;
use crate::channel::Receiver;
use crate::channel::Sender;
use crate::channel::unbounded;
use crate::pool::Pool;
use std::fmt;
use std::hash::Hash;

/// Has the items of `input` received by the subscribers of their topics, which `topic_of` tells.
///
/// An item of a topic without subscribers is dropped. One task serves all topics, one item at a time: while
/// it waits for a subscriber whose policy is [`Policy::Wait`], all others wait as well. It ends when the
/// input has ended, and when neither a [`Topics`] nor a subscriber is left; then it closes the channels of
/// all subscribers.
///
/// # Cancellation
///
/// Never parks. The task ends with its pool.
///
/// # Panics
///
/// If no stack is to be had. A panic of `topic_of` or of `T::clone` fails the pool.
///
/// # Examples
///
/// ```
/// use giambio::csp::{Policy, from_iter, publish};
///
/// giambio::testing::run_virtual(|| {
///     giambio::pool(|pool| {
///         let topics = publish(pool, from_iter(pool, 1..=6, 0), |number| number % 3);
///         let threes = topics.subscribe(0, Policy::Wait(2));
///         assert_eq!(threes.iter().collect::<Vec<_>>(), [3, 6]);
///     });
/// });
/// ```
#[track_caller]
pub fn publish<'scope, K, T>(
    pool: &'scope Pool<'scope, '_>,
    input: Receiver<T>,
    topic_of: impl FnMut(&T) -> K + 'scope,
) -> Topics<K, T>
where
    K: Eq + Hash + 'scope,
    T: Clone + 'scope,
{
    let (sender, subscriptions) = unbounded();
    let hub = Hub::new(input, subscriptions);
    pool.spawn(move || hub.run(topic_of));
    Topics { subscriptions: sender }
}

/// The right to subscribe to topics. Clones are for the same ones.
///
/// Made by [`publish`]. If `K` and `T` may go to other threads, so may this.
pub struct Topics<K, T> {
    subscriptions: Sender<Subscription<K, T>>,
}

impl<K, T> Topics<K, T> {
    /// Makes a channel that receives every item of `topic` from now on.
    ///
    /// That is every item that is taken from the input after this call. Drop the receiver to unsubscribe. It
    /// is closed when the input has ended; if that was before, it is closed from the start.
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
    /// use giambio::csp::{Policy, publish};
    ///
    /// giambio::testing::run_virtual(|| {
    ///     giambio::pool(|pool| {
    ///         let (sender, words) = bounded(0);
    ///         let topics = publish(pool, words, |word: &&str| word.len());
    ///         let short = topics.subscribe(2, Policy::DropOldest(1));
    ///         for word in ["an", "example", "of", "it"] {
    ///             sender.send(word).unwrap();
    ///         }
    ///         drop(sender);
    ///         giambio::testing::settle();
    ///         assert_eq!(short.iter().collect::<Vec<_>>(), ["it"]);
    ///     });
    /// });
    /// ```
    pub fn subscribe(&self, topic: K, policy: Policy) -> Receiver<T> {
        let (sender, receiver) = policy.channel();
        self.attach(topic, sender);
        receiver
    }

    /// Has every item of `topic` sent into `output` from now on, for an output that exists already: one
    /// that gets several topics, for instance.
    ///
    /// As with [`subscribe`](Self::subscribe); what happens when the output is full is up to its kind. It is
    /// closed in the end if nobody else has a sender for it.
    ///
    /// # Cancellation
    ///
    /// Never parks, and is no checkpoint.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::channel::bounded;
    /// use giambio::csp::{from_iter, publish};
    ///
    /// giambio::testing::run_virtual(|| {
    ///     giambio::pool(|pool| {
    ///         let topics = publish(pool, from_iter(pool, 1..=6, 0), |number| number % 3);
    ///         let (sender, receiver) = bounded(4);
    ///         topics.attach(0, sender.clone());
    ///         topics.attach(1, sender);
    ///         assert_eq!(receiver.iter().collect::<Vec<_>>(), [1, 3, 4, 6]);
    ///     });
    /// });
    /// ```
    pub fn attach(&self, topic: K, output: Sender<T>) {
        // If nobody takes it the items have ended: `output` is dropped.
        let _ended = self.subscriptions.try_send((topic, output));
    }
}

impl<K, T> Clone for Topics<K, T> {
    fn clone(&self) -> Self {
        Self { subscriptions: self.subscriptions.clone() }
    }
}

impl<K, T> fmt::Debug for Topics<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topics").finish_non_exhaustive()
    }
}
