//! Closed: how a sender learns at once that nobody receives any more.
//!
//! Layer 7. Imports: wait_any, task. Never: messages.
//!
//! A line of its own. Rejected: that of the observers, who are woken by everybody who sends or receives:
//! a stage that waits for its next item would be woken whenever its output is asked for one.

use super::Sender;
use super::state::UNTIL_CLOSED;
use crate::park::Running;
use crate::task::phase::Winner;
use crate::task::waiters::Who;
use crate::wait_any::Arm;
use crate::wait_any::Place;
use std::fmt;

/// Waits until a channel is closed, or all its receivers are gone.
pub(crate) struct ClosedArm<'a, T> {
    sender: &'a Sender<T>,
    place: Place,
}

impl<'a, T> ClosedArm<'a, T> {
    /// The channel that this sender sends into.
    pub(crate) fn new(sender: &'a Sender<T>) -> Self {
        Self { sender, place: Place::default() }
    }
}

impl<T> Arm for ClosedArm<'_, T> {
    fn attempt(&mut self, _: Option<Running>) -> bool {
        self.sender.is_closed()
    }

    fn place(&mut self) -> &mut Place {
        &mut self.place
    }

    unsafe fn enter(&self, _: Who) -> bool {
        self.sender.link().state.look(|state, lines| {
            if !state.is_closed {
                // SAFETY: the caller keeps the arm in place until `leave`, under the same lock.
                unsafe { lines[UNTIL_CLOSED].push(self.place.waiter()) };
            }
            !state.is_closed
        })
    }

    fn leave(&self) {
        self.sender.link().state.look(|_, lines| lines[UNTIL_CLOSED].remove(self.place.waiter()));
    }

    fn settle(&mut self, _: Winner) -> bool {
        // What is closed stays closed.
        true
    }
}

impl<T> fmt::Debug for ClosedArm<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClosedArm").finish_non_exhaustive()
    }
}

#[cfg(all(test, loom))]
#[path = "closed_tests.rs"]
mod loom_tests;
