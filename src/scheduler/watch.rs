//! Watch: who counts checkpoints, and cancels at one of them.
//!
//! Layer 4. Imports: task. Never: what is tested.
//!
//! For tests only. While somebody watches no task has a budget, so that every checkpoint takes the slow
//! path and comes by here, where the budget is counted then; without watchers that path costs nothing
//! more.

use super::Worker;
use crate::task::Core;
use crate::task::cancel::CancelNode;
use crate::task::cancel::Cause;
use crate::task::local::BUDGET;
use crate::task::local::LOCAL;
use std::cell::Cell;
use std::fmt;
use std::ptr;

/// Counts the checkpoints of what runs below a scope.
pub(crate) struct Watch {
    node: *const CancelNode,
    /// The checkpoint at which the scope is cancelled; the first is 1.
    cancel_at: Option<u64>,
    met: Cell<u64>,
    /// The watch that was set before this one.
    outer: Cell<*const Watch>,
}

impl Watch {
    pub(crate) fn new(node: *const CancelNode, cancel_at: Option<u64>) -> Self {
        Self { node, cancel_at, met: Cell::new(0), outer: Cell::new(ptr::null()) }
    }

    /// Checkpoints met so far.
    pub(crate) fn met(&self) -> u64 {
        self.met.get()
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("met", &self.met).finish_non_exhaustive()
    }
}

impl Worker {
    /// Has `watch` told of checkpoints from now on.
    ///
    /// # Safety
    ///
    /// The watch and its node stay alive and in place until `unwatch`.
    pub(crate) unsafe fn watch(&self, watch: &Watch) {
        watch.outer.set(self.watch.replace(watch));
        self.budget.set(0);
        LOCAL.with(|local| local.budget.set(0));
    }

    pub(crate) fn unwatch(&self, watch: &Watch) {
        let mut link = &self.watch;
        // SAFETY: what is linked is alive (`watch`).
        while let Some(at) = unsafe { link.get().as_ref() } {
            if ptr::eq(at, watch) {
                link.set(watch.outer.get());
                break;
            }
            link = &at.outer;
        }
        if self.watch.get().is_null() {
            self.budget.set(BUDGET);
            LOCAL.with(|local| {
                // SAFETY: the word names the running task, whose record is alive, or nobody.
                let core = unsafe { local.core.get().as_ref() };
                if !core.is_some_and(Core::cancel_pending) {
                    local.budget.set(BUDGET);
                }
            });
        }
    }

    pub(crate) fn is_watched(&self) -> bool {
        !self.watch.get().is_null()
    }

    /// Checkpoints that a task may pass before the next that takes the slow path.
    pub(crate) fn budget(&self) -> u32 {
        self.budget.get()
    }

    /// The running task has met a checkpoint at which nothing was pending yet. False if it has met so
    /// many in a row that it has to yield, as it would have without anybody watching.
    #[cold]
    pub(crate) fn note_checkpoint(&self, core: &Core) -> bool {
        let mut next = self.watch.get();
        // SAFETY: what is linked is alive (`watch`).
        while let Some(watch) = unsafe { next.as_ref() } {
            // SAFETY: the node is alive as long as its watch is linked.
            let node = unsafe { &*watch.node };
            if core.innermost().is_within(node) {
                watch.met.set(watch.met.get() + 1);
                if watch.cancel_at == Some(watch.met.get()) {
                    self.cancel(node, &Cause::Asked);
                }
            }
            next = watch.outer.get();
        }
        let (last, met) = self.streak.get();
        let met = if ptr::eq(last, core) { met + 1 } else { 1 };
        let may_go_on = met <= BUDGET;
        self.streak.set((core, if may_go_on { met } else { 0 }));
        may_go_on
    }
}
