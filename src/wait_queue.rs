//! Wait queue: how a task waits in line.
//!
//! Layer 5. Imports: park, task. Never: what the line is for.
//!
//! The place in the line lies on the waiting task's own stack and is given up by one `Drop`, which
//! covers the wake-up, the timeout, the cancellation and the panic alike. The line itself is
//! [`Waiters`].

use crate::clock::Nanos;
use crate::hooks::WaitReason;
use crate::park::Running;
use crate::task::Abort;
use crate::task::phase::Winner;
use crate::task::waiters::Waiter;
use crate::task::waiters::Waiters;
use std::ptr;

/// Parks `me` in `line` until it is claimed there, or `deadline`, or a cancellation that `abort`
/// allows.
#[inline]
pub(crate) fn wait(
    me: Running,
    line: &Waiters,
    deadline: Option<Nanos>,
    reason: WaitReason,
    abort: Abort,
) -> Winner {
    // SAFETY: `wait_linked` removes the waiter before its frame ends, on the task's own worker.
    let enter = |waiter: &Waiter| unsafe { line.push(waiter) };
    wait_linked(me, deadline, reason, abort, enter, |waiter| line.remove(waiter))
}

/// Like `wait`, for a line that is reached through `enter` and `leave`.
#[inline]
pub(crate) fn wait_linked(
    me: Running,
    deadline: Option<Nanos>,
    reason: WaitReason,
    abort: Abort,
    enter: impl FnOnce(&Waiter),
    leave: impl Fn(&Waiter),
) -> Winner {
    let session = me.open(reason);
    let waiter = Waiter::new((ptr::from_ref(me.core()), session));
    enter(&waiter);
    let _place = Place { waiter: &waiter, leave };
    me.park(session, deadline, abort)
}

/// A task's place in a line, given up on drop.
struct Place<'w, L: Fn(&Waiter)> {
    waiter: &'w Waiter,
    leave: L,
}

impl<L: Fn(&Waiter)> Drop for Place<'_, L> {
    fn drop(&mut self) {
        if self.waiter.is_linked() {
            (self.leave)(self.waiter);
        }
    }
}
