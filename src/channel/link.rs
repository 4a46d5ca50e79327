//! Link: what the two sides of a channel share, and how they wait for each other.
//!
//! Layer 7. Imports: wait_queue, blocked, park, hooks, task. Never: select, timers.

use super::buffer::Block;
use super::buffer::Buffer;
use super::error::RecvTimeoutError;
use super::error::SendTimeoutError;
use super::error::TryRecvError;
use super::error::TrySendError;
use super::state::LINES;
use super::state::OBSERVERS;
use super::state::Offer;
use super::state::RECEIVERS;
use super::state::Received;
use super::state::Room;
use super::state::SENDERS;
use super::state::Sent;
use super::state::State;
use super::state::WhenFull;
use crate::blocked::Blocked;
use crate::hooks::WaitReason;
use crate::park;
use crate::park::Attempt;
use crate::park::Running;
use crate::task::Abort;
use crate::task::phase::Winner;
use crate::task::waiters::Claimed;
use crate::wait_queue::Lines;
use crate::wait_queue::Spot;
use crate::wait_queue::Wait;
use crate::wait_queue::WaitQueue;
use crate::wait_queue::wake;
use std::cell::Cell;
use std::cell::UnsafeCell;
use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// A channel, shared by its handles.
pub(super) struct Link<T> {
    pub(super) state: WaitQueue<State<T>, LINES>,
    /// Handles of each side. The last of a side closes the channel.
    senders: AtomicUsize,
    receivers: AtomicUsize,
}

/// Which handles a count is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Senders,
    Receivers,
}

impl<T> Link<T> {
    pub(super) fn new(capacity: Option<usize>, when_full: WhenFull) -> Self {
        Self {
            state: WaitQueue::with_lines(State::new(capacity, when_full)),
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(1),
        }
    }

    fn count(&self, side: Side) -> &AtomicUsize {
        match side {
            Side::Senders => &self.senders,
            Side::Receivers => &self.receivers,
        }
    }

    pub(super) fn add_handle(&self, side: Side) {
        // Relaxed: whoever adds one has one, so the count cannot reach 0 meanwhile.
        let before = self.count(side).fetch_add(1, Ordering::Relaxed);
        assert!(before < usize::MAX / 2, "a channel has too many handles");
    }

    pub(super) fn drop_handle(&self, side: Side) {
        // AcqRel: what the other handles did with the channel comes before its end.
        if self.count(side).fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        self.close();
        if side == Side::Receivers {
            // Nobody can receive them any more. They are dropped outside of the lock: that is user code.
            let left = self
                .state
                .look(|state, _| std::mem::replace(&mut state.buffer, Buffer::limited(0)));
            drop(left);
        }
    }

    /// Closes the channel: whoever waits learns of it. False if it was closed before.
    pub(super) fn close(&self) -> bool {
        let was_open = self.state.look(|state, _| !std::mem::replace(&mut state.is_closed, true));
        if was_open {
            self.state.wake_line(RECEIVERS, Winner::Closed);
            self.state.wake_line(SENDERS, Winner::Closed);
            self.state.wake_line(OBSERVERS, Winner::Event);
        }
        was_open
    }

    /// Looks at the state; `look` must be short, and call nobody's code.
    pub(super) fn with<R>(&self, look: impl FnOnce(&State<T>) -> R) -> R {
        self.state.look(|state, _| look(state))
    }

    pub(super) fn tell_observers(&self) {
        self.state.wake_line(OBSERVERS, Winner::Event);
    }

    /// Sends a message, waiting for room or for a receiver.
    #[inline]
    #[track_caller]
    pub(super) fn send(
        &self,
        message: T,
        deadline: Option<Instant>,
    ) -> Result<(), SendTimeoutError<T>> {
        let me = park::current();
        let attempt = me.map_or(Attempt::Patient, Running::checkpoint_or_report);
        if attempt == Attempt::Once {
            return self
                .try_send(message)
                .map_err(|error| SendTimeoutError::Disconnected(error.into_inner()));
        }
        let offer = UnsafeCell::new(Offer::Message(message));
        let spot = Spot { line: SENDERS, slot: offer.get().cast_const().cast() };
        let wait = Wait { deadline, reason: WaitReason::Send, abort: Abort::Report };
        let mut block = None;
        loop {
            let observed = Cell::new(false);
            let tell = || {
                if observed.get() {
                    self.tell_observers();
                }
            };
            let attempt = |state: &mut State<T>, lines: &Lines<'_, LINES>| {
                observed.set(!lines.line(OBSERVERS).is_empty());
                state.send(&offer, &mut block, lines)
            };
            match self.state.attempt_or_wait(me, &wait, spot, attempt, tell) {
                Ok(Sent::Taken(receiver)) => {
                    wake(receiver);
                    tell();
                    return Ok(());
                }
                Ok(Sent::NeedsBlock) => block = Some(Block::new()),
                Ok(Sent::Dropped(message)) => {
                    tell();
                    drop(message);
                    return Ok(());
                }
                Ok(Sent::Closed) => return came_back(offer, Winner::Closed),
                Err(winner) => return came_back(offer, winner),
            }
        }
    }

    /// Sends a message, if that can be done at once.
    pub(super) fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        self.send_now(message, |_| ())
    }

    /// Sends a message into the place that was reserved for it. It comes back if the channel was closed.
    pub(super) fn send_into_place(&self, message: T) -> Result<(), T> {
        let mut is_reserved = true;
        let before = |state: &mut State<T>| {
            if std::mem::take(&mut is_reserved) {
                state.give_back_place();
            }
        };
        self.send_now(message, before).map_err(TrySendError::into_inner)
    }

    /// A place that was reserved is not used: it goes to the next who wants one.
    pub(super) fn give_back_place(&self) {
        wake(self.state.change(|state, lines| {
            state.give_back_place();
            state.refill(lines)
        }));
    }

    fn send_now(
        &self,
        message: T,
        mut before: impl FnMut(&mut State<T>),
    ) -> Result<(), TrySendError<T>> {
        let offer = UnsafeCell::new(Offer::Message(message));
        let mut block = None;
        loop {
            let (sent, observed) = self.state.change(|state, lines| {
                before(state);
                (state.send(&offer, &mut block, lines), !lines.line(OBSERVERS).is_empty())
            });
            if matches!(sent, Some(Sent::NeedsBlock)) {
                block = Some(Block::new());
                continue;
            }
            if observed {
                self.tell_observers();
            }
            return match sent {
                Some(Sent::Taken(receiver)) => {
                    wake(receiver);
                    Ok(())
                }
                Some(Sent::Closed) => Err(TrySendError::Disconnected(message_in(offer))),
                Some(Sent::Dropped(_) | Sent::NeedsBlock) => Ok(()),
                None => Err(TrySendError::Full(message_in(offer))),
            };
        }
    }

    /// Takes the oldest message, waiting for one.
    #[inline]
    #[track_caller]
    pub(super) fn receive(&self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        let me = park::current();
        let attempt = me.map_or(Attempt::Patient, Running::checkpoint_or_report);
        if attempt == Attempt::Once {
            return self.receive_once().map_err(|_| RecvTimeoutError::Disconnected);
        }
        let room = UnsafeCell::new(Room::Empty);
        let spot = Spot { line: RECEIVERS, slot: room.get().cast_const().cast() };
        let wait = Wait { deadline, reason: WaitReason::Receive, abort: Abort::Report };
        loop {
            let observed = Cell::new(false);
            let tell = || {
                if observed.get() {
                    self.tell_observers();
                }
            };
            let attempt = |state: &mut State<T>, lines: &Lines<'_, LINES>| {
                observed.set(!lines.line(OBSERVERS).is_empty());
                state.receive(lines)
            };
            match self.state.attempt_or_wait(me, &wait, spot, attempt, tell) {
                Ok(Received::Message(message, sender, block)) => {
                    wake(sender);
                    tell();
                    drop(block);
                    return Ok(message);
                }
                Ok(Received::Closed) | Err(Winner::Closed | Winner::Cancellation) => {
                    return Err(RecvTimeoutError::Disconnected);
                }
                Ok(Received::ToBeMade) => {
                    if let Some(message) = self.have_one_made(me) {
                        return Ok(message);
                    }
                }
                Err(Winner::Timeout) => return Err(RecvTimeoutError::Timeout),
                Err(Winner::Event | Winner::Own) => {
                    self.keep_promise(&room);
                    if let Room::Full(message) = replace_room(&room) {
                        return Ok(message);
                    }
                }
            }
            // Woken in vain: nobody would tell of a cancellation that came before the next park.
            if me.is_some_and(|me| me.raise_or_report() == Attempt::Once) {
                return Err(RecvTimeoutError::Disconnected);
            }
        }
    }

    /// Takes the oldest message, if there is one that need not be made.
    fn receive_once(&self) -> Result<T, TryRecvError> {
        self.receive_now().unwrap_or(Err(TryRecvError::Empty))
    }

    /// `None` if there is one to be made.
    fn receive_now(&self) -> Option<Result<T, TryRecvError>> {
        let (received, observed) = self
            .state
            .change(|state, lines| (state.receive(lines), !lines.line(OBSERVERS).is_empty()));
        if observed {
            self.tell_observers();
        }
        Some(match received {
            Some(Received::Message(message, sender, _)) => {
                wake(sender);
                Ok(message)
            }
            Some(Received::ToBeMade) => return None,
            Some(Received::Closed) => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        })
    }

    /// Takes the oldest message, if there is one, or one that a select makes at once.
    pub(super) fn attempt_to_receive(&self, me: Option<Running>) -> Result<T, TryRecvError> {
        loop {
            if let Some(received) = self.receive_now() {
                return received;
            }
            if me.is_some_and(|me| !me.may_switch()) {
                return Err(TryRecvError::Empty);
            }
            if let Some(message) = self.have_one_made(me) {
                return Ok(message);
            }
        }
    }

    /// Has a select that waits to send make its message, and waits for that. It cannot be cut: the message
    /// is meant for it. `None` if nothing came of it.
    #[cold]
    #[track_caller]
    fn have_one_made(&self, me: Option<Running>) -> Option<T> {
        let room = UnsafeCell::new(Room::Empty);
        let slot = room.get().cast_const().cast();
        let give = |receiver: Claimed| {
            let given = self.state.change(|state, lines| state.promise(receiver, lines));
            let maker = given.ok();
            let is_given = maker.is_some();
            wake(maker);
            is_given
        };
        match me {
            None => {
                let is_over = || !self.is_promised(&room);
                Blocked::with(|blocked| blocked.sleep_until(slot, give, is_over));
            }
            Some(me) => me.park_promised(WaitReason::Receive, slot, give),
        }
        match replace_room(&room) {
            Room::Full(message) => Some(message),
            _ => None,
        }
    }

    /// A thread looks by itself, and may find a promise that is not kept yet.
    #[inline]
    pub(super) fn keep_promise(&self, room: &UnsafeCell<Room<T>>) {
        if park::running().is_none() && self.is_promised(room) {
            Blocked::with(|blocked| {
                blocked.sleep_until(std::ptr::null(), |_| true, || !self.is_promised(room));
            });
        }
    }

    fn is_promised(&self, room: &UnsafeCell<Room<T>>) -> bool {
        self.state.look(|_, _| {
            // SAFETY: under the lock, nobody else uses the room.
            matches!(unsafe { &*room.get() }, Room::Promised)
        })
    }
}

/// What lies in a room of one's own, after the wait.
#[inline]
pub(super) fn replace_room<T>(room: &UnsafeCell<Room<T>>) -> Room<T> {
    // SAFETY: the wait is over, and no waiter names the room any more.
    unsafe { room.get().replace(Room::Empty) }
}

/// What a send that had to wait, or found the channel closed, amounts to.
#[inline]
fn came_back<T>(offer: UnsafeCell<Offer<T>>, winner: Winner) -> Result<(), SendTimeoutError<T>> {
    match (offer.into_inner(), winner) {
        (Offer::Taken, _) => Ok(()),
        (Offer::Message(message), Winner::Timeout) => Err(SendTimeoutError::Timeout(message)),
        (Offer::Message(message), _) => Err(SendTimeoutError::Disconnected(message)),
        _ => unreachable!("a message was exchanged for a right"),
    }
}

fn message_in<T>(offer: UnsafeCell<Offer<T>>) -> T {
    match offer.into_inner() {
        Offer::Message(message) => message,
        _ => unreachable!("a message is gone that was not sent"),
    }
}

impl<T> fmt::Debug for Link<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}
