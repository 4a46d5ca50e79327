//! Numbers: which tasks and scopes are called by.
//!
//! Layer 4. Imports: task. Never: what is numbered.

use super::Worker;
use crate::task::TaskId;
use crate::task::cancel::CancelId;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// Task numbers that a worker takes at once: the counter that all workers share costs a locked
/// addition, 5 ns of the 70 that a spawn takes.
const TASK_IDS_PER_BLOCK: u64 = 256;

/// The first number of a block that nobody has had.
#[inline]
fn new_block() -> u64 {
    static NEXT_BLOCK: AtomicU64 = AtomicU64::new(0);
    NEXT_BLOCK.fetch_add(1, Ordering::Relaxed) * TASK_IDS_PER_BLOCK + 1
}

/// A number for a task that the worker of another thread will make: the only one of its block that is used.
#[cold]
pub(crate) fn new_task_id_elsewhere() -> TaskId {
    TaskId(new_block())
}

impl Worker {
    /// A number that no other task of the process has had.
    #[inline]
    pub(crate) fn new_task_id(&self) -> TaskId {
        let mut id = self.last_task_id.get() + 1;
        if id % TASK_IDS_PER_BLOCK == 1 {
            id = new_block();
        }
        self.last_task_id.set(id);
        TaskId(id)
    }

    #[inline]
    pub(crate) fn new_cancel_id(&self) -> CancelId {
        let id = self.next_scope.get();
        self.next_scope.set(id + 1);
        CancelId(id)
    }
}
