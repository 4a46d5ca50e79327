//! Arm: how a select receives, sends, and only looks.
//!
//! Layer 7. Imports: wait_any, park, task. Never: which of the arms is chosen, and why.
//!
//! An arm that receives has its message handed over like any other receiver. One that sends makes its
//! message only after it was chosen, as crossbeam-channel's users expect, so it gets the right to send
//! (`state`); a right that is not used goes to the next.

use super::Receiver;
use super::Sender;
use super::error::RecvError;
use super::error::SendError;
use super::link::Link;
use super::link::replace_room;
use super::receiver::Source;
use super::state::LINES;
use super::state::OBSERVERS;
use super::state::Offer;
use super::state::RECEIVERS;
use super::state::Right;
use super::state::Room;
use super::state::SENDERS;
use super::state::fill;
use crate::park;
use crate::park::Running;
use crate::task::phase::Winner;
use crate::task::waiters::Waiters;
use crate::task::waiters::Who;
use crate::wait_any::Arm;
use crate::wait_any::Place;
use crate::wait_queue::wake;
use std::cell::UnsafeCell;
use std::fmt;
use std::time::Instant;

/// Receives a message.
pub struct RecvArm<'a, T> {
    receiver: &'a Receiver<T>,
    place: Place,
    room: UnsafeCell<Room<T>>,
    got: Option<Result<T, RecvError>>,
}

impl<'a, T> RecvArm<'a, T> {
    /// On this receiver.
    #[must_use]
    pub fn new(receiver: &'a Receiver<T>) -> Self {
        let room = UnsafeCell::new(Room::Empty);
        Self { receiver, place: Place::default(), room, got: None }
    }

    fn link(&self) -> Option<&'a Link<T>> {
        match self.receiver.source() {
            Source::Link(link) => Some(link),
            Source::Timer(_) | Source::Never => None,
        }
    }

    /// The message, after this arm was chosen.
    ///
    /// # Errors
    ///
    /// As for `recv`.
    pub fn finish(&mut self) -> Result<T, RecvError> {
        match self.got.take() {
            Some(got) => got,
            None => unreachable!("an arm is finished that was not chosen"),
        }
    }
}

impl<T> Arm for RecvArm<'_, T> {
    fn attempt(&mut self, me: Option<Running>) -> bool {
        match self.receiver.attempt(me) {
            Ok(message) => self.got = Some(Ok(message)),
            Err(error) if error.is_empty() => return false,
            Err(_) => self.got = Some(Err(RecvError)),
        }
        true
    }

    fn place(&mut self) -> &mut Place {
        self.place.bring(self.room.get().cast_const().cast());
        &mut self.place
    }

    unsafe fn enter(&self, who: Who) -> bool {
        let Some(link) = self.link() else { return true };
        let (entered, aftermath) = link.state.look(|state, lines| {
            let waits = !state.can_receive(lines, who);
            if waits {
                // SAFETY: the caller keeps the arm in place until `leave`, under the same lock.
                unsafe { lines[RECEIVERS].push(self.place.waiter()) };
            }
            (waits, state.has_aftermath(lines))
        });
        link.clean_up_if(aftermath);
        entered
    }

    fn leave(&self) {
        if let Some(link) = self.link() {
            link.state.look(|_, lines| lines[RECEIVERS].remove(self.place.waiter()));
        }
    }

    fn settle(&mut self, winner: Winner) -> bool {
        if winner == Winner::Closed {
            self.got = Some(Err(RecvError));
            return true;
        }
        if park::running().is_none() {
            self.link().into_iter().for_each(|link| link.keep_promise(&self.room));
        }
        match replace_room(&self.room) {
            Room::Full(message) => self.got = Some(Ok(message)),
            _ => return false,
        }
        true
    }

    fn deadline(&self) -> Option<Instant> {
        match self.receiver.source() {
            Source::Timer(timer) => timer.due(),
            Source::Link(_) | Source::Never => None,
        }
    }

    fn give_up(&mut self) -> bool {
        self.got = Some(Err(RecvError));
        true
    }
}

/// Sends a message that is made when this arm was chosen.
pub struct SendArm<'a, T> {
    sender: &'a Sender<T>,
    place: Place,
    offer: UnsafeCell<Offer<T>>,
    right: Option<Right>,
}

impl<'a, T> SendArm<'a, T> {
    /// On this sender.
    #[must_use]
    pub fn new(sender: &'a Sender<T>) -> Self {
        let offer = UnsafeCell::new(Offer::Right);
        Self { sender, place: Place::default(), offer, right: None }
    }

    /// Sends the message, after this arm was chosen.
    ///
    /// # Errors
    ///
    /// As for `send`.
    pub fn finish(&mut self, message: T) -> Result<(), SendError<T>> {
        let link = self.sender.link();
        match self.right.take() {
            Some(Right::Closed) => Err(SendError(message)),
            Some(Right::Place) => link.send_into_place(message).map_err(SendError),
            Some(Right::Receiver(receiver)) => {
                link.state.look(|_, _| fill(&receiver, Room::Full(message)));
                wake(Some(receiver));
                Ok(())
            }
            None => unreachable!("an arm is finished that was not chosen"),
        }
    }
}

impl<T> Drop for SendArm<'_, T> {
    fn drop(&mut self) {
        let link = self.sender.link();
        match self.right.take() {
            None | Some(Right::Closed) => {}
            Some(Right::Place) => link.give_back_place(),
            Some(Right::Receiver(receiver)) => {
                link.state.look(|_, _| fill(&receiver, Room::<T>::Void));
                wake(Some(receiver));
            }
        }
    }
}

impl<T> Arm for SendArm<'_, T> {
    fn attempt(&mut self, _: Option<Running>) -> bool {
        self.right = self.sender.link().state.change(|state, lines| state.give_right(lines));
        self.right.is_some()
    }

    fn place(&mut self) -> &mut Place {
        self.place.bring(self.offer.get().cast_const().cast());
        &mut self.place
    }

    unsafe fn enter(&self, who: Who) -> bool {
        let link = self.sender.link();
        let (entered, aftermath) = link.state.look(|state, lines| {
            let waits = !state.can_send(lines, who);
            if waits {
                // SAFETY: the caller keeps the arm in place until `leave`, under the same lock.
                unsafe { lines[SENDERS].push(self.place.waiter()) };
            }
            (waits, state.has_aftermath(lines))
        });
        link.clean_up_if(aftermath);
        entered
    }

    fn leave(&self) {
        self.sender.link().state.look(|_, lines| lines[SENDERS].remove(self.place.waiter()));
    }

    fn settle(&mut self, winner: Winner) -> bool {
        if winner == Winner::Closed {
            self.right = Some(Right::Closed);
            return true;
        }
        match std::mem::replace(self.offer.get_mut(), Offer::Right) {
            Offer::Place => self.right = Some(Right::Place),
            Offer::Receiver(receiver) => self.right = Some(Right::Receiver(receiver)),
            _ => return false,
        }
        true
    }

    fn give_up(&mut self) -> bool {
        self.right = Some(Right::Closed);
        true
    }
}

/// Looks whether an operation would wait.
pub(super) struct ReadyArm<'a> {
    on: &'a dyn Operand,
    place: Place,
}

impl<'a> ReadyArm<'a> {
    pub(super) fn new(on: &'a dyn Operand) -> Self {
        Self { on, place: Place::default() }
    }
}

/// One end of a channel, of whatever type.
pub(super) trait Operand {
    fn is_ready(&self) -> bool;

    /// Looks at the lines of the channel under its lock, and at whether the operation would wait for anybody
    /// but `who`; `None` if there is no channel behind this.
    fn look(&self, who: Option<Who>, look: &mut dyn FnMut(bool, &[Waiters; LINES]));

    fn due(&self) -> Option<Instant> {
        None
    }
}

impl<T> Operand for Receiver<T> {
    fn is_ready(&self) -> bool {
        match self.source() {
            Source::Link(link) => {
                link.state.look(|state, lines| state.can_receive(lines, Who::NOBODY))
            }
            Source::Timer(_) | Source::Never => !self.is_empty(),
        }
    }

    fn look(&self, who: Option<Who>, look: &mut dyn FnMut(bool, &[Waiters; LINES])) {
        if let Source::Link(link) = self.source() {
            let who = who.unwrap_or(Who::NOBODY);
            link.state.look(|state, lines| look(state.can_receive(lines, who), lines));
        }
    }

    fn due(&self) -> Option<Instant> {
        match self.source() {
            Source::Timer(timer) => timer.due(),
            Source::Link(_) | Source::Never => None,
        }
    }
}

impl<T> Operand for Sender<T> {
    fn is_ready(&self) -> bool {
        self.link().state.look(|state, lines| state.can_send(lines, Who::NOBODY))
    }

    fn look(&self, who: Option<Who>, look: &mut dyn FnMut(bool, &[Waiters; LINES])) {
        let who = who.unwrap_or(Who::NOBODY);
        self.link().state.look(|state, lines| look(state.can_send(lines, who), lines));
    }
}

impl Arm for ReadyArm<'_> {
    fn attempt(&mut self, _: Option<Running>) -> bool {
        self.on.is_ready()
    }

    fn place(&mut self) -> &mut Place {
        &mut self.place
    }

    unsafe fn enter(&self, who: Who) -> bool {
        let mut entered = true;
        self.on.look(Some(who), &mut |is_ready, lines| {
            entered = !is_ready;
            if entered {
                // SAFETY: the caller keeps the arm in place until `leave`, under the same lock.
                unsafe { lines[OBSERVERS].push(self.place.waiter()) };
            }
        });
        entered
    }

    fn leave(&self) {
        self.on.look(None, &mut |_, lines| lines[OBSERVERS].remove(self.place.waiter()));
    }

    fn settle(&mut self, _: Winner) -> bool {
        // Somebody else may have been faster since.
        self.on.is_ready()
    }

    fn deadline(&self) -> Option<Instant> {
        self.on.due()
    }
}

impl<T> fmt::Debug for RecvArm<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvArm").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for SendArm<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendArm").finish_non_exhaustive()
    }
}
