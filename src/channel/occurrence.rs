//! Occurrence: how a select waits for what happens once: a task's end, an event, a point in time.
//!
//! Layer 7. Imports: wait_any, sync, pool, park, task. Never: what comes of it.
//!
//! Such an arm takes nothing and has no error to report, so where a call is not to wait it waits all the
//! same, unless there is another arm that has.

use crate::park;
use crate::park::Running;
use crate::pool::Task;
use crate::sync::Event;
use crate::task::phase::Winner;
use crate::task::waiters::Who;
use crate::wait_any::Arm;
use crate::wait_any::Occurrence;
use crate::wait_any::Place;
use std::fmt;
use std::ops::Deref;
use std::time::Instant;

/// What `finished` of a [`select!`](super::select!) waits for: a [`Task`], a thread's handle
/// ([`JoinHandle`](crate::thread::JoinHandle), [`ScopedJoinHandle`](crate::thread::ScopedJoinHandle)); and
/// whatever refers to one.
///
/// It is implemented for the types of this crate, and nobody else can: what its method returns is made
/// here.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is nothing whose end a select can wait for",
    label = "not the handle of a task or a thread"
)]
pub trait Ending {
    #[doc(hidden)]
    fn end(&self) -> End<'_>;
}

impl<P> Ending for P
where
    P: Deref + ?Sized,
    P::Target: Ending,
{
    fn end(&self) -> End<'_> {
        (**self).end()
    }
}

impl<T> Ending for Task<'_, T> {
    fn end(&self) -> End<'_> {
        End(self.core())
    }
}

/// An end of whatever it is the end of.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct End<'a>(pub(super) &'a dyn Occurrence);

impl<'a> End<'a> {
    pub(crate) fn new(occurrence: &'a dyn Occurrence) -> Self {
        Self(occurrence)
    }
}

/// Waits until something has happened.
pub struct OccurrenceArm<'a> {
    on: &'a dyn Occurrence,
    place: Place,
}

impl<'a> OccurrenceArm<'a> {
    pub(super) fn new(on: &'a dyn Occurrence) -> Self {
        Self { on, place: Place::default() }
    }

    /// Says that it has happened, after this arm was chosen.
    pub fn finish(&mut self) {}
}

impl Arm for OccurrenceArm<'_> {
    fn attempt(&mut self, _: Option<Running>) -> bool {
        self.on.is_over()
    }

    fn place(&mut self) -> &mut Place {
        &mut self.place
    }

    unsafe fn enter(&self, who: Who) -> bool {
        // SAFETY: the caller keeps the arm in place until `leave`.
        unsafe { self.on.enter(who, self.place.waiter()) }
    }

    fn leave(&self) {
        self.on.leave(self.place.waiter());
    }

    fn settle(&mut self, _: Winner) -> bool {
        true
    }
}

/// Waits until an event has happened.
pub struct EventArm<'a, T> {
    event: &'a Event<T>,
    arm: OccurrenceArm<'a>,
}

impl<'a, T> EventArm<'a, T> {
    pub(super) fn new(event: &'a Event<T>) -> Self {
        Self { event, arm: OccurrenceArm::new(event.occurrence()) }
    }

    pub(super) fn arm(&mut self) -> &mut OccurrenceArm<'a> {
        &mut self.arm
    }

    /// The event's value, after this arm was chosen.
    pub fn finish(&mut self) -> &'a T {
        match self.event.get() {
            Some(value) => value,
            None => unreachable!("an event was over before it had its value"),
        }
    }
}

/// Waits until a point in time, by the clock where it waits.
pub struct DeadlineArm {
    at: Instant,
    place: Place,
}

impl DeadlineArm {
    pub(super) fn new(at: Instant) -> Self {
        Self { at, place: Place::default() }
    }

    /// Says that it has passed, after this arm was chosen.
    pub fn finish(&mut self) {}
}

/// It has a place like any other, and stands in no line: a wait knows its deadline.
impl Arm for DeadlineArm {
    fn attempt(&mut self, _: Option<Running>) -> bool {
        park::time_here() >= self.at
    }

    fn place(&mut self) -> &mut Place {
        &mut self.place
    }

    unsafe fn enter(&self, _: Who) -> bool {
        true
    }

    fn leave(&self) {}

    fn settle(&mut self, _: Winner) -> bool {
        unreachable!("nobody claims a waiter that is not linked")
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.at)
    }
}

impl fmt::Debug for End<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("End").finish_non_exhaustive()
    }
}

impl fmt::Debug for OccurrenceArm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OccurrenceArm").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for EventArm<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventArm").finish_non_exhaustive()
    }
}

impl fmt::Debug for DeadlineArm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadlineArm").finish_non_exhaustive()
    }
}
