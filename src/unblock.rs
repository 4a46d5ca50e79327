//! Unblock: calls that must block, made on helper threads while their tasks park.
//!
//! Layer 6. Imports: park, wait_queue, scope. Never: what is called.
//!
//! A task takes one of its runtime's turns, hands its call to a helper, and parks. Up to there a
//! cancellation ends it, and the closure has not run; from there on a call that may borrow is waited
//! for, and one that owns its data may be left to itself. The two sides meet in an `Arc`, so that the
//! helper touches nothing of the task's frames once it has said that the call is done.

use crate::hooks::WaitReason;
use crate::park;
use crate::park::Job;
use crate::park::Placed;
use crate::park::Running;
use crate::scope;
use crate::scope::said;
use crate::sys;
use crate::task::Abort;
use crate::task::inbox::Inbox;
use crate::task::inbox::Message;
use crate::task::local;
use crate::wait_queue;
use crate::wait_queue::WaitQueue;
use std::cell::Cell;
use std::io;
use std::mem;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::thread;

/// Runs `f` on a helper thread, parking the calling task until it has returned.
///
/// For what has no form that parks: files, processes, C libraries, long computations. Other tasks run
/// meanwhile. `f` may borrow from the calling task. It is no task itself: inside, giambio's own blocking
/// calls really block, and [`run`](crate::run) works; [`task::current`](crate::task::current) and task-locals
/// are not there.
///
/// The threads are started when needed, are shared by all runtimes of the process, and leave after ten
/// idle seconds. A runtime has at most 64 such calls running at once
/// ([`Builder::helper_threads`](crate::Builder::helper_threads)); further ones wait their turn, first in,
/// first out. A round trip takes 6 µs of CPU time. Outside of `run` this only calls `f`.
///
/// # Cancellation
///
/// A checkpoint on every call. A task that is cancelled while it waits for its turn has not run `f`; once
/// `f` has begun it is waited for, and its value is returned, whatever happens: the next checkpoint
/// raises. While the task unwinds it really waits.
///
/// # Panics
///
/// With `f`'s panic. If no thread can be started and there is none whose end could be waited for, naming
/// the limit that was met; [`try_unblock`] gives that as an error.
///
/// # Examples
///
/// ```
/// let name = String::from("Cargo.toml");
/// let text = giambio::run(|| giambio::unblock(|| std::fs::read_to_string(&name)))?;
/// assert!(text.contains("giambio"));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// What goes to another thread must be `Send`, and so must what comes back:
///
/// ```compile_fail,E0277
/// let count = std::rc::Rc::new(1);
/// giambio::run(|| giambio::unblock(|| *count));
/// ```
///
/// ```compile_fail,E0277
/// giambio::run(|| giambio::unblock(|| std::rc::Rc::new(1)));
/// ```
#[track_caller]
pub fn unblock<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    match try_unblock(f) {
        Ok(value) => value,
        Err(error) => panic!("unblock: {error}"),
    }
}

/// Like [`unblock`], with an error instead of a panic if no thread is to be had.
///
/// # Cancellation
///
/// As for [`unblock`]: it is never reported as an error.
///
/// # Errors
///
/// Of kind `QuotaExceeded`, naming the limit, if no thread can be started and there is none whose end
/// could be waited for. `f` has not run, and was dropped.
///
/// # Panics
///
/// With `f`'s panic.
///
/// # Examples
///
/// ```
/// let sum = giambio::run(|| giambio::try_unblock(|| (1..=4).sum::<i32>()))?;
/// assert_eq!(sum, 10);
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn try_unblock<T: Send>(f: impl FnOnce() -> T + Send) -> io::Result<T> {
    let Some(me) = park::current() else { return Ok(f()) };
    let _turn = Turn::take(me);
    let call = Arc::new(Call::new(f, None));
    let job: Arc<dyn Job + '_> = Arc::clone(&call) as _;
    // SAFETY: only the lifetime of what the closure and its value borrow is changed. A helper touches the
    // two between the start of the job and the `Done` that it says with its last look at them. From the
    // start on this frame waits for that: `Abort::Never` lets nobody else end the wait, a started task is
    // resumed (I2), and `alarm` stands for the rest. If the job is not started, nothing but this frame
    // ever touches the two. Whoever is last to drop the `Arc` finds both of them taken.
    let job = unsafe { mem::transmute::<Arc<dyn Job + '_>, Arc<dyn Job + 'static>>(job) };
    call.begin(job)?;
    let alarm = sys::AbortOnUnwind("giambio: a task left a call on a helper thread behind\n");
    call.wait(Stage::Done, WaitReason::Call, Abort::Never);
    alarm.disarm();
    Ok(call.value())
}

/// Like [`try_unblock`], for a call that owns its data: a cancelled task leaves it to itself.
///
/// Its value is then dropped on the helper thread, and until it returns it counts as one of its runtime's
/// calls.
///
/// # Cancellation
///
/// A checkpoint on every call. Before the call has begun, it is dropped on the calling task.
///
/// # Errors
///
/// As for [`try_unblock`].
pub(crate) fn abandonable<T: Send + 'static>(
    f: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let Some(me) = park::current() else { return Ok(f()) };
    let turn = Turn::take(me);
    let call = Arc::new(Call::new(f, Some(Arc::clone(me.worker().inbox()))));
    call.begin(Arc::clone(&call) as _)?;
    // If this is the last that the task hears of the call, the helper gives the turn back.
    turn.is_taken.set(false);
    call.wait(Stage::Done, WaitReason::Call, Abort::Now);
    turn.is_taken.set(true);
    Ok(call.value())
}

/// One of the calls that a runtime may have running at once; given back on drop.
struct Turn {
    me: Running,
    is_taken: Cell<bool>,
}

impl Turn {
    /// A checkpoint, and the wait for a turn.
    #[track_caller]
    fn take(me: Running) -> Self {
        me.checkpoint();
        // Not as late as with the first park: then the call may have begun.
        me.assert_may_switch(WaitReason::Call);
        let offload = &me.worker().offload;
        offload.waiting.set(offload.waiting.get() + 1);
        let turn = Self { me, is_taken: Cell::new(offload.begin_call()) };
        if !turn.is_taken.get() {
            wait_queue::wait(me, &offload.line, None, WaitReason::Helper, Abort::Now);
            turn.is_taken.set(true);
            // It may have been cancelled between the end of its wait and this step.
            me.raise_if_pending();
        }
        turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let worker = self.me.worker();
        worker.offload.waiting.set(worker.offload.waiting.get() - 1);
        if self.is_taken.get() {
            worker.end_call();
        }
    }
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// No helper has taken it.
    New,
    Started,
    Done,
}

/// Where a task and its helper meet.
#[derive(Debug)]
struct Gate {
    stage: Stage,
    /// The task has lined up. If it is in the line no more, it was cancelled.
    waits: bool,
}

/// A closure on its way to a helper, and its outcome on the way back.
struct Call<F, T> {
    gate: WaitQueue<Gate>,
    f: Mutex<Option<F>>,
    outcome: Mutex<Option<thread::Result<T>>>,
    /// Where to tell that it has ended if nobody waits for it any more.
    home: Option<Arc<Inbox>>,
}

/// User code runs under none of these locks.
fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<F: FnOnce() -> T + Send, T: Send> Call<F, T> {
    fn new(f: F, home: Option<Arc<Inbox>>) -> Self {
        let gate = WaitQueue::new(Gate { stage: Stage::New, waits: false });
        Self { gate, f: Mutex::new(Some(f)), outcome: Mutex::new(None), home }
    }

    /// Has a helper start `job`, which is this call, or waits for one that can. A task that is cancelled
    /// meanwhile takes the call back.
    fn begin(&self, job: Arc<dyn Job>) -> io::Result<()> {
        match park::helpers().place(Arc::clone(&job))? {
            Placed::Started => {}
            Placed::Queued => {
                let _place = Queued { call: self, job };
                self.wait(Stage::Started, WaitReason::Helper, Abort::Now);
            }
        }
        Ok(())
    }

    /// Parks the task until a helper has come so far. Raises a cancellation that `abort` lets through.
    fn wait(&self, stage: Stage, reason: WaitReason, abort: Abort) {
        self.gate.wait_unless(None, reason, abort, |gate| {
            gate.waits = gate.stage < stage;
            !gate.waits
        });
    }

    /// Notes that a helper has come so far, and wakes the task if it waits. False if it was cancelled:
    /// which of the two came first, the claim of its wait decides.
    fn advance(&self, stage: Stage) -> bool {
        let mut is_heard = false;
        self.gate.wake_one(|gate, line| {
            let claimed = line.claim_first();
            is_heard = claimed.is_some() || !gate.waits;
            if is_heard {
                *gate = Gate { stage, waits: false };
            }
            claimed
        });
        is_heard
    }

    /// What the call has come to, for the task that waited for it.
    fn value(&self) -> T {
        match lock(&self.outcome).take() {
            Some(Ok(value)) => value,
            // As if `f` had been called here: see `on_big_stack`.
            Some(Err(payload)) => resume_unwind(payload),
            None => unreachable!("a call is done and has no outcome"),
        }
    }

    /// Drops what the call has come to, if that was not done yet.
    fn discard(&self) {
        let outcome = lock(&self.outcome).take();
        match outcome {
            Some(Ok(value)) => scope::drop_value(value),
            Some(Err(payload)) => {
                let text = said(&*payload);
                local::log(
                    log::Level::Error,
                    format_args!("a call panicked whose task had left it alone: {text}"),
                );
                local::drop_caught(payload);
            }
            None => {}
        }
    }
}

impl<F: FnOnce() -> T + Send, T: Send> Job for Call<F, T> {
    fn start(&self) -> bool {
        self.advance(Stage::Started)
    }

    fn run(&self) {
        let f = lock(&self.f).take();
        let outcome = f.map(|f| catch_unwind(AssertUnwindSafe(f)));
        *lock(&self.outcome) = outcome;
        // Now, since a destructor may take its time, and soon the helper can be given another job.
        if self.gate.with(|gate, line| gate.waits && line.is_empty()) {
            self.discard();
        }
    }

    fn tell(&self) {
        if self.advance(Stage::Done) {
            return;
        }
        self.discard();
        if let Some(home) = &self.home {
            home.post(Message::CallEnded);
        }
    }
}

/// A call's place in the queue of those that wait for a helper; given up on drop.
struct Queued<'c, F, T> {
    call: &'c Call<F, T>,
    job: Arc<dyn Job>,
}

impl<F, T> Drop for Queued<'_, F, T> {
    fn drop(&mut self) {
        if self.call.gate.with(|gate, _| gate.stage == Stage::New) {
            // A helper that has taken it out already is told by `start` that it came too late.
            park::helpers().withdraw(&self.job);
            let f = lock(&self.call.f).take();
            drop(f);
        }
    }
}

#[cfg(test)]
#[path = "unblock_tests.rs"]
mod tests;
