//! Waiters: the queue of tasks under every primitive.
//!
//! Layer 3. Imports: list, task. Never: locks, sockets, what is waited for.
//!
//! First in, first out, nodes on the waiting tasks' own stacks. Who pops a waiter claims its session;
//! a waiter whose wait a timer or a cancellation has ended already is passed over. `wait_queue` puts
//! the small lock around it that other threads need; the reactor, `join` and pools do without, since
//! only their own worker touches them.

use super::Core;
use super::phase::Session;
use super::phase::Winner;
use crate::list::List;
use crate::list::Node;

/// A task's place in the queue of what it waits for.
pub(crate) type Waiter = Node<(*const Core, Session)>;

/// The tasks that wait for one thing.
#[derive(Debug)]
pub(crate) struct Waiters(List<(*const Core, Session)>);

impl Waiters {
    pub(crate) const fn new() -> Self {
        Self(List::new())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Queues a task behind all others.
    ///
    /// # Safety
    ///
    /// `waiter`, and the record of the task that it names, stay alive and in place until the waiter
    /// was removed or popped, and all of that happens on the task's own worker.
    pub(crate) unsafe fn push(&self, waiter: &Waiter) {
        // SAFETY: passed on to the caller.
        unsafe { self.0.push_back(waiter) };
    }

    /// Gives up a place in the queue, if the waiter still has it.
    pub(crate) fn remove(&self, waiter: &Waiter) {
        self.0.remove(waiter);
    }

    /// Ends the longest wait for the event it waits for; the caller must queue the task.
    pub(crate) fn claim_first(&self) -> Option<&Core> {
        while let Some(waiter) = self.0.front() {
            let &(core, session) = waiter.value();
            self.0.remove(waiter);
            // SAFETY: the waiter was linked, so `push`'s caller kept the record alive.
            let core = unsafe { &*core };
            if core.phase.claim_on_own_worker(session, Winner::Event) {
                return Some(core);
            }
        }
        None
    }
}
