//! Hub: every item, for everybody who has asked for its kind.
//!
//! Layer 7. Imports: channel. Never: what makes the kinds.
//!
//! One task has the list of subscribers, and is told of new ones by a channel, which is closed when no handle
//! is left. So a subscription has its place among the items, handles may be anywhere, and no list is
//! borrowed while the user's `clone` runs, which may wait.

use super::stage::Next;
use super::stage::next;
use crate::channel::Receiver;
use crate::channel::Select;
use crate::channel::Sender;
use crate::channel::TrySendError;
use crate::channel::select_biased;
use std::collections::HashMap;
use std::hash::Hash;

/// Subscriptions that are added at least before those are looked for that have ended. What a look costs is
/// spread over as many subscriptions as it has found.
const ADDED_PER_LOOK_MIN: usize = 16;

/// A subscription: what for, and where the items go.
pub(super) type Subscription<K, T> = (K, Sender<T>);

/// Where items meet subscribers.
pub(super) struct Hub<K, T> {
    input: Receiver<T>,
    /// `None` when no handle is left: nobody subscribes any more.
    subscriptions: Option<Receiver<Subscription<K, T>>>,
    topics: HashMap<K, Vec<Sender<T>>>,
    /// Subscriptions to come before the next look.
    until_look: usize,
}

impl<K: Eq + Hash, T: Clone> Hub<K, T> {
    pub(super) fn new(input: Receiver<T>, subscriptions: Receiver<Subscription<K, T>>) -> Self {
        let subscriptions = Some(subscriptions);
        Self { input, subscriptions, topics: HashMap::new(), until_look: ADDED_PER_LOOK_MIN }
    }

    /// Passes items on until the input has ended, or nobody is left to receive any.
    pub(super) fn run(mut self, mut topic_of: impl FnMut(&T) -> K) {
        while let Some(item) = self.next() {
            let topic = topic_of(&item);
            let Some(subscribers) = self.topics.get_mut(&topic) else { continue };
            give_to_all(subscribers, &item);
            if subscribers.is_empty() {
                self.topics.remove(&topic);
            }
        }
    }

    fn next(&mut self) -> Option<T> {
        // First those who have subscribed before the item was sent.
        while let Some(subscriptions) = &self.subscriptions {
            select_biased! {
                recv(subscriptions) -> subscription => match subscription {
                    Ok((topic, subscriber)) => self.add(topic, subscriber),
                    Err(_) => self.subscriptions = None,
                },
                recv(self.input) -> item => return item.ok(),
            }
        }
        while let Some(subscriber) = self.find_open() {
            match next(&self.input, &subscriber) {
                Next::Item(item) => return Some(item),
                Next::End => return None,
                Next::Unwanted => {}
            }
        }
        None
    }

    fn add(&mut self, topic: K, subscriber: Sender<T>) {
        if self.until_look == 0 {
            // Where nothing is published nobody else notices who has left.
            self.remove_closed();
            let subscribers = self.topics.values().map(Vec::len).sum::<usize>();
            self.until_look = subscribers.max(ADDED_PER_LOOK_MIN);
        }
        self.until_look -= 1;
        self.topics.entry(topic).or_default().push(subscriber);
    }

    fn remove_closed(&mut self) {
        self.topics.retain(|_, subscribers| {
            subscribers.retain(|subscriber| !subscriber.is_closed());
            !subscribers.is_empty()
        });
    }

    /// Somebody who still receives: as long as he does, the items are wanted.
    fn find_open(&mut self) -> Option<Sender<T>> {
        if self.first().is_some_and(Sender::is_closed) {
            self.remove_closed();
        }
        self.first().cloned()
    }

    fn first(&self) -> Option<&Sender<T>> {
        self.topics.values().flatten().next()
    }
}

/// Gives each subscriber a copy, and takes out those who have left. Who has room gets it at once, whoever else
/// is waited for.
fn give_to_all<T: Clone>(subscribers: &mut Vec<Sender<T>>, item: &T) {
    let (mut slow, mut copies) = (Vec::new(), Vec::new());
    subscribers.retain(|subscriber| match subscriber.try_send(item.clone()) {
        Ok(()) => true,
        Err(TrySendError::Full(copy)) => {
            slow.push(subscriber.clone());
            copies.push(Some(copy));
            true
        }
        Err(TrySendError::Disconnected(_)) => false,
    });
    let mut ready = Select::new();
    for subscriber in &slow {
        ready.send(subscriber);
    }
    for _ in 0..slow.len() {
        let chosen = ready.select();
        let index = chosen.index();
        if let Some(copy) = copies[index].take() {
            let _left = chosen.send(&slow[index], copy);
        }
        ready.remove(index);
    }
}
