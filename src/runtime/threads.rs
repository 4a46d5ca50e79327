//! Threads: tasks that belong to a whole run, and end with it.
//!
//! Layer 6. Imports: pool, park, scope, task. Never: who is told of their ends.
//!
//! They hang below the main task's own scope, so that a deadlock's cancellation reaches them and none of
//! whoever has started them does. The main task's last act is to cancel what is left of them and to wait
//! for it. Nothing is made for them before the first is started: a run without them pays for one look.

use crate::hooks::WaitReason;
use crate::park::Running;
use crate::park::Worker;
use crate::pool::group::Group;
use crate::pool::group::Reach;
use crate::pool::joined::Joined;
use crate::pool::joined::Plan;
use crate::pool::joined::Receiver;
use crate::pool::record;
use crate::sys;
use crate::task::Core;
use crate::task::cancel::Cause;
use crate::task::local;
use crate::task::phase::Winner;
use std::cell::OnceCell;
use std::fmt;
use std::io;
use std::ptr;
use std::time::Duration;

/// How long threads may go on, by the runtime's clock, after `main` has ended, before the log names them.
const PATIENCE: Duration = Duration::from_secs(5);

static MAIN_ENDED: Cause = Cause::Known("`main` has ended");

/// The threads of one run.
pub(crate) struct Threads {
    /// Below the main task's scope. In a box, so that it stays in place.
    group: OnceCell<Box<Group>>,
}

impl Threads {
    pub(crate) const fn new() -> Self {
        Self { group: OnceCell::new() }
    }

    /// Makes these the threads of a worker whose main task is being admitted, until that has ended.
    ///
    /// # Safety
    ///
    /// `self` stays alive and in place until the worker's last task has ended, and the main task's
    /// receiver is `self`.
    pub(super) unsafe fn serve(&self, worker: &Worker) {
        worker.threads.set(ptr::from_ref(self).cast());
    }

    fn group(&self, worker: &Worker) -> &Group {
        self.group.get_or_init(|| {
            let group = Box::new(Group::new(worker, Reach::Body));
            let Some(root) = worker.root() else { unreachable!("a task runs below no main task") };
            // SAFETY: the main task closes the group before it ends itself, and the box is not opened.
            unsafe { group.hang_below(root) };
            group
        })
    }

    /// Cancels what is left, and waits for it on the main task.
    #[cold]
    fn end(me: Running, group: &Group) {
        group.scope().cancel(&MAIN_ENDED);
        // I3: what is left may still spawn, into this very group.
        let alarm = sys::AbortOnUnwind("giambio: `run` unwound before its last thread had ended\n");
        let mut patience = me.worker().deadline_after(PATIENCE);
        while group.live() > 0 {
            if group.wait(me, patience, WaitReason::ThreadsEnd) == Winner::Timeout {
                patience = None;
                let node = Some(group.scope().node());
                let report = me.worker().describe("`main` has ended, and waits for threads", node);
                local::log(log::Level::Warn, format_args!("{report}"));
            }
        }
        group.close();
        alarm.disarm();
    }
}

/// Of the main task.
impl<T> Receiver<T> for &Threads {
    fn is_gone(&self) -> bool {
        false
    }

    fn receive(self, me: Running, _: &Joined<T>) {
        if let Some(group) = self.group.get() {
            Threads::end(me, group);
        }
        me.worker().threads.set(ptr::null());
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads").finish_non_exhaustive()
    }
}

/// Starts a task that belongs to the run of the calling one.
///
/// # Errors
///
/// If no stack is to be had; `body` was dropped then.
pub(crate) fn spawn<F, T, R>(me: Running, plan: Plan, receiver: R, body: F) -> io::Result<()>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
    R: Receiver<T> + 'static,
{
    let threads = me.worker().threads.get().cast::<Threads>();
    // SAFETY: set by `serve` to what outlives every task; unset by the last act of the main task, after
    // which no code of a task runs.
    let Some(threads) = (unsafe { threads.as_ref() }) else {
        unreachable!("a task runs after the main task's end")
    };
    let group = threads.group(me.worker());
    // SAFETY: the main task waits for the group's last child before it closes the group; nothing is
    // borrowed; the receiver takes the outcome.
    let joined = unsafe { record::admit(me.worker(), group, plan, receiver, || Some(body())) }?;
    // SAFETY: the handle's share, which nobody else has; the core is the record's first field.
    unsafe { Core::release(joined.as_ptr().cast()) };
    Ok(())
}
