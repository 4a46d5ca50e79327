//! Expansion: what the macros expand to. Not for use by name: it changes without notice.
//!
//! Layer 7. Imports: wait_any, sync, sys, time. Never: how an arm waits.

pub use super::arm::RecvArm;
pub use super::arm::SendArm;
pub use super::occurrence::DeadlineArm;
pub use super::occurrence::End;
use super::occurrence::Ending;
pub use super::occurrence::EventArm;
pub use super::occurrence::OccurrenceArm;
pub use super::readiness::IoSource;
use super::readiness::Readiness;
pub use super::readiness::ReadinessArm;
use crate::sync::Event;
use crate::sys::Direction;
use crate::time::clock;
use crate::wait_any;
use crate::wait_any::Arm;
use crate::wait_any::Choice;
pub use crate::wait_any::Order;
pub use crate::wait_any::Patience;
use std::time::Duration;
use std::time::Instant;

/// An arm of whatever type.
#[expect(missing_debug_implementations, reason = "a loan for the time of one call")]
pub struct AnyArm<'a>(&'a mut dyn Arm);

impl<T> RecvArm<'_, T> {
    /// Without its type.
    pub fn any(&mut self) -> AnyArm<'_> {
        AnyArm(self)
    }
}

impl<T> SendArm<'_, T> {
    /// Without its type.
    pub fn any(&mut self) -> AnyArm<'_> {
        AnyArm(self)
    }
}

impl ReadinessArm<'_> {
    /// Without its type.
    pub fn any(&mut self) -> AnyArm<'_> {
        AnyArm(self)
    }
}

impl OccurrenceArm<'_> {
    /// Without its type.
    pub fn any(&mut self) -> AnyArm<'_> {
        AnyArm(self)
    }
}

impl<T> EventArm<'_, T> {
    /// Without its type.
    pub fn any(&mut self) -> AnyArm<'_> {
        AnyArm(self.arm())
    }
}

impl DeadlineArm {
    /// Without its type.
    pub fn any(&mut self) -> AnyArm<'_> {
        AnyArm(self)
    }
}

/// Waits until a call that takes something need not wait.
pub fn readable<S: Readiness + ?Sized>(source: &S) -> ReadinessArm<'_> {
    ReadinessArm::new(source.io_source(), Direction::Read)
}

/// Waits until a call that gives something need not wait.
pub fn writable<S: Readiness + ?Sized>(source: &S) -> ReadinessArm<'_> {
    ReadinessArm::new(source.io_source(), Direction::Write)
}

/// Waits until a task has ended.
pub fn finished<E: Ending + ?Sized>(task: &E) -> OccurrenceArm<'_> {
    OccurrenceArm::new(task.end().0)
}

/// Waits until an event has happened. Of this very type, so that the value lives as long as the event,
/// whatever refers to it.
#[must_use]
pub fn happened<T>(event: &Event<T>) -> EventArm<'_, T> {
    EventArm::new(event)
}

/// Waits until a point in time.
#[must_use]
pub fn deadline(at: Instant) -> DeadlineArm {
    DeadlineArm::new(at)
}

/// The result of an arm: what is not bound is dropped at once.
pub fn value<T>(done: T) -> T {
    done
}

/// How long a `default(timeout)` waits.
#[must_use]
pub fn within(timeout: Duration) -> Patience {
    clock().checked_add(timeout).map_or(Patience::Endless, Patience::Until)
}

/// Which of the arms was done; `usize::MAX` if none was in time.
#[track_caller]
pub fn first_of<const N: usize>(arms: [AnyArm<'_>; N], order: Order, patience: Patience) -> usize {
    let mut arms = arms.map(|arm| arm.0);
    match wait_any::first_of(&mut arms, order, patience) {
        Choice::Arm(index) => index,
        Choice::Timeout => usize::MAX,
    }
}
