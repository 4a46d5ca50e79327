//! Waiters: the queue of tasks under every primitive.
//!
//! Layer 3. Imports: list, sys, task. Never: locks, sockets, what is waited for.
//!
//! First in, first out, nodes on the waiting tasks' own stacks. Who pops a waiter claims its session;
//! a waiter whose wait a timer or a cancellation has ended already is passed over. The reactor, `join`
//! and pools, which only their own worker touches, use it as it is; `wait_queue` puts the small lock
//! around it that other threads need.

use super::Core;
use super::inbox::Inbox;
use super::phase::Phase;
use super::phase::Session;
use super::phase::Winner;
use crate::list::List;
use crate::list::Node;
use crate::sys;
use crossbeam_utils::sync::Unparker;
use std::ptr;
use std::sync::Arc;

/// A plain thread that waits as tasks do.
#[derive(Debug)]
pub(crate) struct Outsider {
    pub(crate) phase: Phase,
    pub(crate) unparker: Unparker,
}

/// Who waits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Who {
    Task(*const Core),
    Thread(*const Outsider),
}

/// A place in the queue of what is waited for.
pub(crate) type Waiter = Node<(Who, Session)>;

/// Those who wait for one thing.
#[derive(Debug)]
pub(crate) struct Waiters(List<(Who, Session)>);

/// A waiter whose session was claimed, to be woken once no lock is held.
#[derive(Debug)]
pub(crate) enum Claimed {
    /// A task of this very worker: to be put into its run queue.
    Here(*const Core),
    /// A task of another worker, whose inbox this keeps alive.
    Elsewhere(*const Core, Arc<Inbox>),
    /// A plain thread.
    Thread(Unparker),
}

impl Waiters {
    pub(crate) const fn new() -> Self {
        Self(List::new())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Queues a waiter behind all others.
    ///
    /// # Safety
    ///
    /// `waiter`, and what it names, stay alive and in place until the waiter was removed or popped,
    /// and all of that happens under one lock, or else on the one worker whose tasks wait here.
    pub(crate) unsafe fn push(&self, waiter: &Waiter) {
        // SAFETY: passed on to the caller.
        unsafe { self.0.push_back(waiter) };
    }

    /// Queues a waiter before all others: it was woken before them, and in vain.
    ///
    /// # Safety
    ///
    /// As for [`push`](Self::push).
    pub(crate) unsafe fn push_first(&self, waiter: &Waiter) {
        // SAFETY: passed on to the caller.
        unsafe { self.0.push_front(waiter) };
    }

    /// Gives up a place in the queue, if the waiter still has it.
    pub(crate) fn remove(&self, waiter: &Waiter) {
        self.0.remove(waiter);
    }

    /// Has the cache fetch the waiter that `claim_first` will look at.
    #[inline]
    pub(crate) fn prefetch_first(&self) {
        if let Some(waiter) = self.0.front() {
            let node = ptr::from_ref(waiter);
            sys::prefetch(node.cast());
            // It lies anywhere on its task's stack, so on two lines as often as not.
            sys::prefetch(node.wrapping_add(1).cast());
        }
    }

    /// Has the cache fetch the task of that waiter.
    #[inline]
    pub(crate) fn prefetch_first_task(&self) {
        if let Some(&(Who::Task(core), _)) = self.0.front().map(Waiter::value) {
            Core::prefetch_record(core);
        }
    }

    /// Ends the longest wait in a queue of one worker's tasks; the caller must queue the task.
    #[inline]
    pub(crate) fn claim_first(&self) -> Option<&Core> {
        while let Some(waiter) = self.0.front() {
            let &(who, session) = waiter.value();
            self.0.remove(waiter);
            let Who::Task(core) = who else {
                unreachable!("a thread waits among one worker's tasks")
            };
            // SAFETY: the waiter was linked, so `push`'s caller kept the record alive.
            let core = unsafe { &*core };
            if core.phase.claim_on_own_worker(session, Winner::Event) {
                return Some(core);
            }
        }
        None
    }

    /// Ends the longest wait in a queue that is guarded by a lock, which the caller holds; `here` is
    /// the inbox of the caller's worker, or null on a plain thread.
    ///
    /// What outlives the claim is cloned before it: afterwards the waiter may be gone at any moment.
    pub(crate) fn claim_first_of_any(&self, here: *const Inbox) -> Option<Claimed> {
        while let Some(waiter) = self.0.front() {
            let &(who, session) = waiter.value();
            self.0.remove(waiter);
            match who {
                Who::Thread(outsider) => {
                    // SAFETY: the waiter was linked, so `push`'s caller kept the thread's entry alive.
                    let outsider = unsafe { &*outsider };
                    let unparker = outsider.unparker.clone();
                    if outsider.phase.claim(session, Winner::Event) {
                        return Some(Claimed::Thread(unparker));
                    }
                }
                Who::Task(task) => {
                    // SAFETY: the waiter was linked, so `push`'s caller kept the record alive.
                    let core = unsafe { &*task };
                    if ptr::eq(core.home.get(), here) {
                        if core.phase.claim_on_own_worker(session, Winner::Event) {
                            return Some(Claimed::Here(task));
                        }
                        continue;
                    }
                    let home = core.home();
                    if core.phase.claim(session, Winner::Event) {
                        return Some(Claimed::Elsewhere(task, home));
                    }
                }
            }
        }
        None
    }
}

impl Claimed {
    /// Wakes the waiter, once the lock is released; `queue` puts a task of this worker into its run
    /// queue.
    pub(crate) fn wake(self, queue: impl FnOnce(*const Core)) {
        match self {
            Self::Here(core) => queue(core),
            Self::Elsewhere(core, home) => {
                // SAFETY: only the winner of the claim touches the task until it is queued.
                let letter = unsafe { (*core).letter.get() };
                // SAFETY: the record lives until its worker has drained this letter and resumed it.
                unsafe { home.push(letter) };
            }
            Self::Thread(unparker) => unparker.unpark(),
        }
    }
}
