//! Link: what the two sides of a channel share, and how they wait for each other.
//!
//! Layer 7. Imports: wait_queue, blocked, park, hooks, task. Never: select, timers.

use super::buffer::Block;
use super::buffer::Buffer;
use super::error::RecvTimeoutError;
use super::error::SendTimeoutError;
use super::error::TryRecvError;
use super::error::TrySendError;
use super::state::Aftermath;
use super::state::LINES;
use super::state::OBSERVERS;
use super::state::Offer;
use super::state::RECEIVERS;
use super::state::Room;
use super::state::SENDERS;
use super::state::State;
use super::state::Step;
use super::state::UNTIL_CLOSED;
use super::state::WhenFull;
use super::state::replace;
use super::state::take_message;
use crate::blocked::Blocked;
use crate::hooks::WaitReason;
use crate::park;
use crate::park::Attempt;
use crate::park::Running;
use crate::task::Abort;
use crate::task::phase::Winner;
use crate::task::waiters::Claimed;
use crate::wait_queue::Held;
use crate::wait_queue::Spot;
use crate::wait_queue::Wait;
use crate::wait_queue::WaitQueue;
use crate::wait_queue::wake;
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
            self.state.wake_line(UNTIL_CLOSED, Winner::Closed);
        }
        was_open
    }

    /// Looks at the state; `look` must be short, and call nobody's code.
    pub(super) fn with<R>(&self, look: impl FnOnce(&State<T>) -> R) -> R {
        self.state.look(|state, _| look(state))
    }

    /// Does what is not done under the lock ([`State::has_aftermath`]).
    #[cold]
    fn clean_up(&self) {
        drop(self.state.look(|state, _| state.buffer.take_emptied()));
        self.state.wake_line(OBSERVERS, Winner::Event);
    }

    /// Sends a message, waiting for room or for a receiver.
    #[inline(always)]
    #[track_caller]
    pub(super) fn send(
        &self,
        message: T,
        deadline: Option<Instant>,
    ) -> Result<(), SendTimeoutError<T>> {
        let me = park::current();
        if me.is_some_and(|me| me.checkpoint_or_report() == Attempt::Once) {
            return self.send_once(message);
        }
        let mut held = self.state.lock_for(me);
        let (state, lines) = held.parts();
        if !lines.line(RECEIVERS).is_empty() || !state.is_simple(lines.all()) || !state.has_room() {
            return self.send_held(held, me, message, deadline);
        }
        // Nothing else was written since the lock: what is, the next lock would wait for.
        state.buffer.push(message);
        Ok(())
    }

    #[inline(never)]
    #[track_caller]
    fn send_held(
        &self,
        mut held: Held<'_, State<T>, LINES>,
        me: Option<Running>,
        message: T,
        deadline: Option<Instant>,
    ) -> Result<(), SendTimeoutError<T>> {
        let (state, lines) = held.parts();
        if let Some(me) = me
            && state.is_simple(lines.all())
            && let Some((receiver, slot)) = lines.claim_here(RECEIVERS, me, |_| true)
        {
            replace(slot.cast::<Room<T>>().cast_mut(), Room::Full(message));
            drop(held);
            park::queue_here(receiver);
            return Ok(());
        }
        let (offer, mut woken) = (UnsafeCell::new(Offer::Message(message)), None);
        let step = state.send(&offer, &mut woken, &lines);
        let aftermath = state.has_aftermath(lines.all());
        let Some(step) = step else {
            let spot = Spot { line: SENDERS, slot: offer.get().cast_const().cast() };
            let wait = Wait { deadline, reason: WaitReason::Send, abort: Abort::Report };
            let winner = held.wait(me, &wait, spot, || self.clean_up_if(aftermath));
            return came_back(offer, winner);
        };
        drop(held);
        wake(woken);
        self.clean_up_if(aftermath);
        match step {
            Step::Closed => came_back(offer, Winner::Closed),
            // Where there are blocks there is always room: what may come back now is only closed.
            Step::NeedsBlock => self.send_once(message_in(offer)),
            Step::Done | Step::DoneAndWoke | Step::Dropped | Step::ToBeMade => Ok(()),
        }
    }

    #[inline]
    pub(super) fn clean_up_if(&self, aftermath: Aftermath) {
        if aftermath == Aftermath::Some {
            self.clean_up();
        }
    }

    /// Sends a message where this may not wait.
    #[cold]
    fn send_once(&self, message: T) -> Result<(), SendTimeoutError<T>> {
        let disconnected = |error: TrySendError<T>| error.into_inner();
        self.try_send(message).map_err(disconnected).map_err(SendTimeoutError::Disconnected)
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
        let (sender, aftermath) = self.state.change(|state, lines| {
            state.give_back_place();
            (state.refill(lines), state.has_aftermath(lines.all()))
        });
        wake(sender);
        self.clean_up_if(aftermath);
    }

    fn send_now(
        &self,
        message: T,
        mut before: impl FnMut(&mut State<T>),
    ) -> Result<(), TrySendError<T>> {
        let offer = UnsafeCell::new(Offer::Message(message));
        let (mut woken, mut block) = (None, None);
        loop {
            let (step, aftermath) = self.state.change(|state, lines| {
                before(state);
                if let Some(brought) = block.take() {
                    block = state.buffer.bring(brought);
                }
                let step = state.send(&offer, &mut woken, lines);
                (step, state.has_aftermath(lines.all()))
            });
            if step == Some(Step::NeedsBlock) {
                block = Some(Block::new());
                continue;
            }
            wake(woken);
            self.clean_up_if(aftermath);
            return match step {
                None => Err(TrySendError::Full(message_in(offer))),
                Some(Step::Closed) => Err(TrySendError::Disconnected(message_in(offer))),
                Some(_) => Ok(()),
            };
        }
    }

    /// Takes the oldest message, waiting for one.
    #[inline(always)]
    #[track_caller]
    pub(super) fn receive(&self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        let me = park::current();
        if me.is_some_and(|me| me.checkpoint_or_report() == Attempt::Once) {
            return self.receive_once();
        }
        let mut held = self.state.lock_for(me);
        let (state, lines) = held.parts();
        if state.is_simple(lines.all())
            && lines.line(SENDERS).is_empty()
            && let Some(message) = state.buffer.pop()
        {
            return Ok(message);
        }
        self.receive_held(held, me, deadline)
    }

    #[inline(never)]
    #[track_caller]
    fn receive_held<'l>(
        &'l self,
        mut held: Held<'l, State<T>, LINES>,
        me: Option<Running>,
        deadline: Option<Instant>,
    ) -> Result<T, RecvTimeoutError> {
        let (state, lines) = held.parts();
        if let Some(me) = me
            && state.is_simple(lines.all())
            && let Some((sender, slot)) = state.claim_offer_here(&lines, me)
        {
            let message = take_message(slot);
            drop(held);
            park::queue_here(sender);
            return Ok(message);
        }
        let (room, mut woken) = (UnsafeCell::new(Room::Empty), None);
        loop {
            let (state, lines) = held.parts();
            let (mut step, mut aftermath) = (None, Aftermath::None);
            if !state.has_nothing(lines.all()) {
                step = state.receive(&room, &mut woken, &lines);
                aftermath = state.has_aftermath(lines.all());
            }
            let ended = match step {
                Some(step) => {
                    drop(held);
                    wake(woken.take());
                    self.clean_up_if(aftermath);
                    Ok(step)
                }
                None => {
                    let spot = Spot { line: RECEIVERS, slot: room.get().cast_const().cast() };
                    let wait = Wait { deadline, reason: WaitReason::Receive, abort: Abort::Report };
                    Err(held.wait(me, &wait, spot, || self.clean_up_if(aftermath)))
                }
            };
            match ended {
                Ok(Step::ToBeMade) => self.have_one_made(me, &room),
                Err(Winner::Event) if me.is_none() => self.keep_promise(&room),
                Ok(Step::Closed) | Err(Winner::Closed | Winner::Cancellation) => {
                    return Err(RecvTimeoutError::Disconnected);
                }
                Err(Winner::Timeout) => return Err(RecvTimeoutError::Timeout),
                Ok(_) | Err(Winner::Event | Winner::Own) => {}
            }
            if let Room::Full(message) = replace_room(&room) {
                return Ok(message);
            }
            // Woken in vain: nobody would tell of a cancellation that came before the next park.
            if me.is_some_and(|me| me.raise_or_report() == Attempt::Once) {
                return Err(RecvTimeoutError::Disconnected);
            }
            held = self.state.lock_for(me);
        }
    }

    /// Takes the oldest message where this may not wait, if there is one that need not be made.
    #[cold]
    fn receive_once(&self) -> Result<T, RecvTimeoutError> {
        match self.receive_now() {
            Some(Ok(message)) => Ok(message),
            _ => Err(RecvTimeoutError::Disconnected),
        }
    }

    /// `None` if there is one to be made.
    fn receive_now(&self) -> Option<Result<T, TryRecvError>> {
        let (room, mut woken) = (UnsafeCell::new(Room::Empty), None);
        let (step, aftermath) = self.state.change(|state, lines| {
            let step = state.receive(&room, &mut woken, lines);
            (step, state.has_aftermath(lines.all()))
        });
        wake(woken);
        self.clean_up_if(aftermath);
        match (step, room.into_inner()) {
            (_, Room::Full(message)) => Some(Ok(message)),
            (Some(Step::ToBeMade), _) => None,
            (Some(_), _) => Some(Err(TryRecvError::Disconnected)),
            (None, _) => Some(Err(TryRecvError::Empty)),
        }
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
            let room = UnsafeCell::new(Room::Empty);
            self.have_one_made(me, &room);
            if let Room::Full(message) = room.into_inner() {
                return Ok(message);
            }
        }
    }

    /// Has a select that waits to send make its message, and waits for that. It cannot be cut: the message
    /// is meant for it. If nothing came of it the room stays empty.
    #[cold]
    #[track_caller]
    fn have_one_made(&self, me: Option<Running>, room: &UnsafeCell<Room<T>>) {
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
                let is_over = || !self.is_promised(room);
                Blocked::with(|blocked| blocked.sleep_until(slot, give, is_over));
            }
            Some(me) => me.park_promised(WaitReason::Receive, slot, give),
        }
    }

    /// For a thread, which looks by itself, and may find a promise that is not kept yet.
    #[cold]
    pub(super) fn keep_promise(&self, room: &UnsafeCell<Room<T>>) {
        if self.is_promised(room) {
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

#[cfg(all(test, loom))]
#[path = "link_tests.rs"]
mod loom_tests;
