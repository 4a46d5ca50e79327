//! Gate: one task at a time, which may park inside.
//!
//! Layer 8. Imports: park, wait_queue, hooks, task. Never: what lies behind it.
//!
//! Standard input and output belong to the process. A lock of std's would block the worker when a
//! second task comes while the first is parked. Chosen: a place in a line, handed over first in,
//! first out, that tasks of several runtimes and plain threads wait in. Rejected: `sync::Semaphore`,
//! which cannot report where nothing may unwind, and knows nobody who comes again.

use super::Cancelled;
use crate::hooks::WaitReason;
use crate::park;
use crate::park::Attempt;
use crate::task::Abort;
use crate::task::TaskId;
use crate::task::phase::Winner;
use crate::wait_queue::WaitQueue;
use std::io;
use std::marker::PhantomData;
use std::sync::MutexGuard;
use std::thread;
use std::thread::ThreadId;

/// Who passes a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Task(TaskId),
    Thread(ThreadId),
}

/// Whoever runs here.
pub(super) fn me() -> Who {
    match park::running() {
        Some(me) => Who::Task(me.core().id),
        None => Who::Thread(thread::current().id()),
    }
}

pub(super) struct Gate {
    inside: WaitQueue<Inside>,
}

struct Inside {
    /// How often it was passed and not yet left.
    times: usize,
    /// Who may pass it again.
    who: Option<Who>,
}

impl Inside {
    fn enter(&mut self, who: Option<Who>) -> bool {
        let enters = self.times == 0 || (who.is_some() && who == self.who);
        if enters {
            (self.times, self.who) = (self.times + 1, who);
        }
        enters
    }
}

impl Gate {
    pub(super) const fn new() -> Self {
        Self { inside: WaitQueue::new(Inside { times: 0, who: None }) }
    }

    /// Passes, parking the task while another is inside; one who is named may come again. A
    /// checkpoint on every call.
    #[track_caller]
    pub(super) fn pass(&'static self, who: Option<Who>) -> Pass {
        if let Some(me) = park::current() {
            me.checkpoint();
        }
        let enter = |inside: &mut Inside| inside.enter(who);
        self.inside.wait_unless(None, WaitReason::Lock, Abort::Now, enter);
        self.passed(who)
    }

    /// Like [`pass`](Self::pass), for a call that can report a cancellation that cannot be raised.
    #[track_caller]
    pub(super) fn pass_or_report(&'static self, who: Option<Who>) -> io::Result<Pass> {
        let attempt = park::current().map(|me| me.checkpoint_or_report());
        let enter = |inside: &mut Inside| inside.enter(who);
        let passes = match attempt {
            Some(Attempt::Once) => self.inside.with(|inside, _| enter(inside)),
            _ => {
                let reason = WaitReason::Lock;
                self.inside.wait_unless(None, reason, Abort::Report, enter) == Winner::Event
            }
        };
        if passes { Ok(self.passed(who)) } else { Err(io::Error::other(Cancelled)) }
    }

    fn passed(&'static self, who: Option<Who>) -> Pass {
        // Who hands over does not know to whom.
        self.inside.with(|inside, _| inside.who = who);
        Pass { gate: self, stays_here: PhantomData }
    }

    fn leave(&self) {
        self.inside.wake_one(|inside, line| {
            inside.times -= 1;
            if inside.times > 0 {
                return None;
            }
            inside.who = None;
            let next = line.claim_first();
            inside.times = usize::from(next.is_some());
            next
        });
    }
}

/// The right to be inside, given up on drop.
pub(super) struct Pass {
    gate: &'static Gate,
    /// Not `Send`: whoever may come again is known by where it runs.
    stays_here: PhantomData<MutexGuard<'static, ()>>,
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.gate.leave();
    }
}
