//! State: what a channel holds under its lock, and how its two sides meet there.
//!
//! Layer 7. Imports: wait_queue, task. Never: how anybody waits, timeouts.
//!
//! A message goes straight into the room of who has waited longest for one, and only if nobody does into
//! the buffer; who takes from a full buffer moves the message of who has waited longest behind it. So all
//! is first in, first out, and nobody who comes later is faster. One machine serves every capacity: with
//! none, a sender simply never finds room.
//!
//! A `select` that sends makes its message only once it was chosen. It gets the right to send instead: a
//! place in the buffer, or, where there is none, a receiver that waits for that very message.

use super::buffer::Buffer;
use crate::park::Running;
use crate::task::Core;
use crate::task::phase::Winner;
use crate::task::waiters::Claimed;
use crate::task::waiters::Waiters;
use crate::task::waiters::Who;
use crate::wait_queue::Lines;
use std::cell::UnsafeCell;
use std::ptr;

/// The lines of a channel.
pub(super) const RECEIVERS: usize = 0;
pub(super) const SENDERS: usize = 1;
/// Those who want to know when something has changed, and take nothing.
pub(super) const OBSERVERS: usize = 2;
/// Those who only wait for the end.
pub(super) const UNTIL_CLOSED: usize = 3;
pub(super) const LINES: usize = 4;

/// What `send` does when there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WhenFull {
    Wait,
    DropNewest,
    DropOldest,
}

/// Where a receiver waits for its message: in its own frame.
#[derive(Debug)]
pub(super) enum Room<T> {
    Empty,
    /// Somebody makes a message for it, and will wake it whatever comes of that.
    Promised,
    /// Nothing came of it: ask again.
    Void,
    Full(T),
}

/// What a sender waits with: in its own frame.
#[derive(Debug)]
pub(super) enum Offer<T> {
    Message(T),
    /// Only the right to send: a select's.
    Right,
    /// The right is here: a place in the buffer is reserved.
    Place,
    /// The right is here: this receiver waits for the message.
    Receiver(Claimed),
    /// The message was taken.
    Taken,
}

/// What has become of an attempt, in a register: most find their message's place at once, and then each
/// store more is one that the next lock waits for. Values lie in the frame of who attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The message has left its offer, or is in the room.
    Done,
    /// The same, and somebody is to be woken.
    DoneAndWoke,
    /// Instead of the message in the offer this one, or an older one, is to be dropped, outside of the lock.
    Dropped,
    /// There is room, if somebody brings a block.
    NeedsBlock,
    /// There is a message to be made: by a select that waits to send, if it is asked to.
    ToBeMade,
    Closed,
}

/// What a select that sends has got at once.
#[derive(Debug)]
pub(super) enum Right {
    Place,
    Receiver(Claimed),
    Closed,
}

/// Whether observers are to be told, or blocks to be freed, outside of the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aftermath {
    None,
    Some,
}

/// What a channel holds.
#[derive(Debug)]
pub(super) struct State<T> {
    pub(super) buffer: Buffer<T>,
    /// Messages that have room; `usize::MAX` is as many as memory holds.
    pub(super) capacity: usize,
    pub(super) when_full: WhenFull,
    /// Places that belong to selects which make their messages.
    reserved: usize,
    pub(super) is_closed: bool,
}

impl<T> State<T> {
    pub(super) fn new(capacity: Option<usize>, when_full: WhenFull) -> Self {
        let buffer = capacity.map_or_else(Buffer::unlimited, Buffer::limited);
        let capacity = capacity.unwrap_or(usize::MAX);
        Self { buffer, capacity, when_full, reserved: 0, is_closed: false }
    }

    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.buffer.len() + self.reserved < self.capacity
    }

    /// Sends the message in `offer`, if that can be done now; `woken` is who must be woken then.
    #[inline]
    pub(super) fn send(
        &mut self,
        offer: &UnsafeCell<Offer<T>>,
        woken: &mut Option<Claimed>,
        lines: &Lines<'_, LINES>,
    ) -> Option<Step> {
        if self.is_closed {
            return Some(Step::Closed);
        }
        if let Some(receiver) = lines.claim(RECEIVERS, Winner::Event) {
            fill(&receiver, Room::Full(take_message(offer.get())));
            *woken = Some(receiver);
            return Some(Step::DoneAndWoke);
        }
        if self.has_room() {
            if self.buffer.needs_block() {
                return Some(Step::NeedsBlock);
            }
            self.buffer.push(take_message(offer.get()));
            return Some(Step::Done);
        }
        match self.when_full {
            WhenFull::Wait => None,
            WhenFull::DropNewest => Some(Step::Dropped),
            WhenFull::DropOldest => {
                if let Some(oldest) = self.buffer.pop() {
                    self.buffer.push(take_message(offer.get()));
                    replace(offer.get(), Offer::Message(oldest));
                }
                Some(Step::Dropped)
            }
        }
    }

    /// Takes the oldest message into `room`, if there is any; `woken` is who must be woken then.
    #[inline]
    pub(super) fn receive(
        &mut self,
        room: &UnsafeCell<Room<T>>,
        woken: &mut Option<Claimed>,
        lines: &Lines<'_, LINES>,
    ) -> Option<Step> {
        if let Some(message) = self.buffer.pop() {
            replace(room.get(), Room::Full(message));
            if lines.line(SENDERS).is_empty() {
                return Some(Step::Done);
            }
            *woken = self.refill(lines);
            return Some(Step::DoneAndWoke);
        }
        if !lines.line(SENDERS).is_empty() {
            return self.receive_from_a_sender(room, woken, lines);
        }
        self.is_closed.then_some(Step::Closed)
    }

    /// Where nothing is buffered: ends the wait of a sender that has a message, if it is the first and a task
    /// of `me`'s worker, which is to be queued.
    #[inline]
    pub(super) fn claim_offer_here(
        &self,
        lines: &Lines<'_, LINES>,
        me: Running,
    ) -> Option<(*const Core, *mut Offer<T>)> {
        if self.buffer.len() > 0 {
            return None;
        }
        let (sender, slot) = lines.claim_here(SENDERS, me, has_message::<T>)?;
        Some((sender, slot.cast::<Offer<T>>().cast_mut()))
    }

    /// Takes the message of a sender that waits although the buffer is empty: it has no places, or all of
    /// them are reserved.
    fn receive_from_a_sender(
        &mut self,
        room: &UnsafeCell<Room<T>>,
        woken: &mut Option<Claimed>,
        lines: &Lines<'_, LINES>,
    ) -> Option<Step> {
        // Who is first is served first, also a select, whose message is still to be made.
        if let Some(sender) = lines.claim_if(SENDERS, Winner::Event, has_message::<T>) {
            replace(room.get(), Room::Full(take_message(offer_of(&sender))));
            *woken = Some(sender);
            return Some(Step::DoneAndWoke);
        }
        if lines.line(SENDERS).first_slot().is_some() {
            return Some(Step::ToBeMade);
        }
        self.is_closed.then_some(Step::Closed)
    }

    /// What is to be done when the lock is released.
    #[inline]
    pub(super) fn has_aftermath(&self, lines: &[Waiters; LINES]) -> Aftermath {
        let is_clean = lines[OBSERVERS].is_empty() && !self.buffer.has_emptied();
        if is_clean { Aftermath::None } else { Aftermath::Some }
    }

    /// Whether the buffer is all there is to a message that finds room, or is there.
    #[inline]
    pub(super) fn is_simple(&self, lines: &[Waiters; LINES]) -> bool {
        !self.is_closed && lines[OBSERVERS].is_empty() && self.buffer.is_ready()
    }

    /// Whether there is nothing to be received, and nothing else to be done.
    #[inline]
    pub(super) fn has_nothing(&self, lines: &[Waiters; LINES]) -> bool {
        self.buffer.len() == 0 && lines[SENDERS].is_empty() && self.is_simple(lines)
    }

    /// There is a place more than before: who has waited longest to send gets it.
    #[inline]
    pub(super) fn refill(&mut self, lines: &Lines<'_, LINES>) -> Option<Claimed> {
        if !self.has_room() {
            return None;
        }
        let sender = lines.claim(SENDERS, Winner::Event)?;
        let offer = offer_of::<T>(&sender);
        match replace(offer, Offer::Taken) {
            Offer::Message(message) => self.buffer.push(message),
            Offer::Right => {
                self.reserved += 1;
                replace(offer, Offer::Place);
            }
            _ => unreachable!("a sender waits that has what it wants"),
        }
        Some(sender)
    }

    /// Has the select that has waited longest to send make a message for `receiver`, who has claimed its
    /// own wait: who makes it must be woken. The receiver comes back if nobody is there any more.
    pub(super) fn promise(
        &mut self,
        receiver: Claimed,
        lines: &Lines<'_, LINES>,
    ) -> Result<Claimed, Claimed> {
        // SAFETY: as in `has_message`.
        let has_none =
            |slot: *const ()| matches!(unsafe { &*slot.cast::<Offer<T>>() }, Offer::Right);
        match lines.claim_with(SENDERS, Winner::Event, has_none) {
            Some(sender) => {
                fill(&receiver, Room::<T>::Promised);
                replace(offer_of::<T>(&sender), Offer::Receiver(receiver));
                Ok(sender)
            }
            None => Err(receiver),
        }
    }

    /// Gives a select the right to send, if it can be had now.
    pub(super) fn give_right(&mut self, lines: &Lines<'_, LINES>) -> Option<Right> {
        if self.is_closed {
            return Some(Right::Closed);
        }
        if self.has_room() || self.when_full != WhenFull::Wait {
            self.reserved += 1;
            return Some(Right::Place);
        }
        let receiver = lines.claim(RECEIVERS, Winner::Event)?;
        fill(&receiver, Room::<T>::Promised);
        Some(Right::Receiver(receiver))
    }

    /// The place of a select comes back: it is about to be used, or will not be.
    pub(super) fn give_back_place(&mut self) {
        self.reserved -= 1;
    }

    /// Whether a receive would not wait, for anybody but `but`.
    pub(super) fn can_receive(&self, lines: &[Waiters; LINES], but: Who) -> bool {
        self.buffer.len() > 0 || self.is_closed || lines[SENDERS].has_other_than(but)
    }

    /// Whether a send would not wait, for anybody but `but`.
    pub(super) fn can_send(&self, lines: &[Waiters; LINES], but: Who) -> bool {
        self.is_closed
            || self.has_room()
            || self.when_full != WhenFull::Wait
            || lines[RECEIVERS].has_other_than(but)
    }
}

/// Whether a sender that waits has brought its message.
#[inline]
fn has_message<T>(slot: *const ()) -> bool {
    // SAFETY: what waits among the senders has brought an offer (`Link`, `SendArm`), and it is in place as
    // long as its waiter is linked, under the lock that the caller holds.
    matches!(unsafe { &*slot.cast::<Offer<T>>() }, Offer::Message(_))
}

/// The offer of a sender who was claimed.
#[inline]
fn offer_of<T>(sender: &Claimed) -> *mut Offer<T> {
    sender.slot().cast::<Offer<T>>().cast_mut()
}

/// Puts something into the room of a receiver who was claimed. Under the lock.
#[inline]
pub(super) fn fill<T>(receiver: &Claimed, content: Room<T>) {
    replace(receiver.slot().cast::<Room<T>>().cast_mut(), content);
}

/// Takes the message that is in `offer`. Under the lock.
#[inline]
pub(super) fn take_message<T>(offer: *mut Offer<T>) -> T {
    match replace(offer, Offer::Taken) {
        Offer::Message(message) => message,
        _ => unreachable!("a message was offered that is not there"),
    }
}

/// Replaces what lies in the frame of somebody who was claimed, or in the caller's own.
#[inline]
pub(super) fn replace<V>(place: *mut V, value: V) -> V {
    // SAFETY: who was claimed stays in its frame until it is woken, a thread until the lock is released,
    // and both come after this; nobody but the winner of the claim touches the place meanwhile.
    unsafe { ptr::replace(place, value) }
}
