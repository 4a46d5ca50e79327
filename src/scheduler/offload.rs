//! Offload: helper threads, for calls that have no form that does not block.
//!
//! Layer 4. Imports: task, clock, sys. Never: what is called, how a task waits for it.
//!
//! One cache of threads serves every runtime of the process. A thread is started when a job comes and
//! none is idle, and leaves when it has been idle for ten seconds; of several idle ones the latest is
//! taken, so that under little load the others do leave. How many calls a runtime makes at once is for
//! its [`Share`] to say, and who has to wait for a turn waits there, first in, first out, with its
//! closure in its own frames. Only a job for which no thread could be started waits here.
//!
//! Rejected: one queue that all helpers take from. It serves them in turns, so that a job every second
//! keeps sixty-four of them alive, and a job that was put in it may be started while its task is being
//! cancelled; here a job is started by the task's own worker, between two steps.

use super::Worker;
use crate::clock;
use crate::sys;
use crate::task::Core;
use crate::task::waiters::Waiters;
use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::ptr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::thread::ThreadId;
use std::time::Duration;
use std::time::Instant;

/// How long an idle helper stays.
///
/// To start and end a thread takes 25 µs of CPU more than to use an idle one, so that a program that calls
/// once in ten seconds loses 3 millionths of its time, and one that calls more often nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// Offloaded calls that a runtime makes at once, unless its builder says otherwise.
///
/// They wait for a disk or for a name server rather than for the CPU, so there may be many more than
/// there are cores. A helper that waits has touched 7 KiB, and the kernel's stack takes 16, so sixty-four
/// take a mebibyte and a half; and a process with several runtimes stays below the smallest usual limits on its threads,
/// which are some hundreds in a container.
pub(crate) const DEFAULT_LIMIT: usize = 64;

/// The kernel lists a thread for a while after it has left.
const LISTED_AT_MOST: Duration = Duration::from_secs(1);

const NAME: &str = "giambio-helper";

/// A call on its way to a helper thread.
pub(crate) trait Job: Send + Sync {
    /// Says that a helper has come, if the job had to wait for one: false if it is not to be done any
    /// more. Does not unwind.
    fn start(&self) -> bool;
    /// Does it. Does not unwind.
    fn run(&self);
    /// Tells whoever waits for it. The thread may have its next job already. Does not unwind.
    fn tell(&self);
}

/// Where a job is that was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    /// A helper has it.
    Started,
    /// In a line, for the next helper that has nothing to do.
    Queued,
}

/// Whether threads that are neither the caller nor idle helpers might wake a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Others {
    Exist,
    /// They may be helpers that have just left: look again soon.
    MayBeLeaving,
    DoNotExist,
}

/// The way to a helper.
#[derive(Clone)]
struct Hand {
    thread: ThreadId,
    jobs: SyncSender<Arc<dyn Job>>,
}

/// Helper threads, those that are idle and those that are not.
pub(crate) struct Helpers {
    state: Mutex<State>,
    patience: Duration,
    /// Of which child of how many forks they are: a fork leaves the threads behind.
    forks: u32,
}

#[derive(Default)]
struct State {
    /// How many there are.
    threads: usize,
    /// Whoever has been idle for longest comes first.
    idle: Vec<Hand>,
    /// Jobs for which no thread could be started. While there are any, nobody is idle.
    queue: VecDeque<Arc<dyn Job>>,
    /// When the last one left.
    left_at: Option<Instant>,
}

/// The helpers of this process.
pub(crate) fn helpers() -> &'static Helpers {
    static HELPERS: AtomicPtr<Helpers> = AtomicPtr::new(ptr::null_mut());
    let known = HELPERS.load(Ordering::Acquire);
    // SAFETY: what the pointer was set to was leaked.
    match unsafe { known.as_ref() } {
        Some(helpers) if helpers.forks == sys::forks() => helpers,
        // In the child of a fork the lock may be held by a thread that stayed behind: it is left alone.
        _ => {
            let new = Box::into_raw(Box::new(Helpers::new(PATIENCE)));
            match HELPERS.compare_exchange(known, new, Ordering::AcqRel, Ordering::Acquire) {
                // SAFETY: it was leaked above, for good.
                Ok(_) => unsafe { &*new },
                Err(first) => {
                    // SAFETY: it was leaked above, and nobody has seen it.
                    drop(unsafe { Box::from_raw(new) });
                    // SAFETY: what the pointer was set to was leaked.
                    unsafe { &*first }
                }
            }
        }
    }
}

impl Helpers {
    pub(crate) fn new(patience: Duration) -> Self {
        Self { state: Mutex::default(), patience, forks: sys::forks() }
    }

    /// Nothing panics under the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands `job` to a helper, or queues it if there is none and no further thread is to be had.
    ///
    /// # Errors
    ///
    /// Naming the limit, if no thread is to be had and no helper will ever come for the job. Then it is
    /// the caller's alone again.
    pub(crate) fn place(&'static self, job: Arc<dyn Job>) -> io::Result<Placed> {
        let mut state = self.lock();
        if let Some(hand) = state.idle.pop() {
            drop(state);
            hand.give(job);
            return Ok(Placed::Started);
        }
        // Under the lock, so that who fails knows whether there are others: it is held for 30 µs.
        match self.start(Arc::clone(&job)) {
            Ok(()) => {
                state.threads += 1;
                Ok(Placed::Started)
            }
            // A helper whose call runs a runtime might wait for itself.
            Err(error) if state.threads == 0 || thread::current().name() == Some(NAME) => {
                Err(sys::name_thread_limit(&error))
            }
            Err(_) => {
                state.queue.push_back(job);
                Ok(Placed::Queued)
            }
        }
    }

    fn start(&'static self, first: Arc<dyn Job>) -> io::Result<()> {
        #[cfg(test)]
        sys::seam::answer(sys::seam::Call::StartThread)?;
        let thread = thread::Builder::new().name(NAME.into());
        thread.spawn(move || self.serve(first)).map(drop)
    }

    /// Takes a job out of the queue, if it is still there.
    pub(crate) fn withdraw(&self, job: &Arc<dyn Job>) {
        let place = Arc::as_ptr(job);
        self.lock().queue.retain(|queued| !ptr::addr_eq(Arc::as_ptr(queued), place));
    }

    /// What a helper does all its life.
    fn serve(&'static self, first: Arc<dyn Job>) {
        // A task would wait for ever, and what its job borrows could not be given up.
        let alarm = sys::AbortOnUnwind("giambio: a helper thread panicked\n");
        let (sender, jobs) = sync_channel(1);
        let hand = Hand { thread: thread::current().id(), jobs: sender };
        let mut next = Some(first);
        while let Some(job) = next {
            job.run();
            // Idle before anybody hears of the end: who then finds nothing to do looks for other threads.
            let queued = self.next_in_line(&hand);
            job.tell();
            drop(job);
            next = queued.or_else(|| self.wait(&hand, &jobs));
        }
        alarm.disarm();
    }

    /// The next job of the queue; without one the helper is idle from here on.
    fn next_in_line(&self, hand: &Hand) -> Option<Arc<dyn Job>> {
        loop {
            let job = {
                let mut state = self.lock();
                let job = state.queue.pop_front();
                if job.is_none() {
                    state.idle.push(hand.clone());
                }
                job?
            };
            if job.start() {
                return Some(job);
            }
        }
    }

    /// Waits for a job as long as an idle helper may; `None`: it has left.
    fn wait(&self, hand: &Hand, jobs: &Receiver<Arc<dyn Job>>) -> Option<Arc<dyn Job>> {
        match jobs.recv_timeout(self.patience) {
            Ok(job) => Some(job),
            Err(RecvTimeoutError::Disconnected) => unreachable!("`hand` has a sender"),
            Err(RecvTimeoutError::Timeout) => {
                let mut state = self.lock();
                match state.idle.iter().position(|idle| idle.thread == hand.thread) {
                    Some(place) => {
                        state.idle.remove(place);
                        state.threads -= 1;
                        state.left_at = Some(clock::now());
                        None
                    }
                    None => {
                        drop(state);
                        // Somebody was faster and has taken the hand: a job is on its way.
                        jobs.recv().ok()
                    }
                }
            }
        }
    }

    /// Whether the process has threads besides the calling one and idle helpers.
    pub(super) fn others(&self) -> Others {
        // The lock keeps idle helpers from leaving between the two counts.
        let state = self.lock();
        match sys::thread_count() {
            Some(threads) if threads <= 1 + state.idle.len() => Others::DoNotExist,
            _ => match state.left_at {
                Some(at) if clock::now() - at < LISTED_AT_MOST => Others::MayBeLeaving,
                _ => Others::Exist,
            },
        }
    }
}

impl fmt::Debug for Helpers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Helpers").finish_non_exhaustive()
    }
}

impl Hand {
    /// Gives a job to a helper, which was taken out of the idle ones for this.
    fn give(self, job: Arc<dyn Job>) {
        // The helper has its own sender and receives once for each time that it was idle.
        let given = self.jobs.try_send(job);
        debug_assert!(given.is_ok(), "a helper was given two jobs at once");
    }
}

/// How many offloaded calls a runtime may make, and who waits for them.
#[derive(Debug)]
pub(crate) struct Share {
    limit: usize,
    /// Calls that may begin now; the others run, those that were abandoned among them.
    free: Cell<usize>,
    /// Tasks that wait for a turn.
    pub(crate) line: Waiters,
    /// Tasks that wait for a turn, for a helper or for the end of a call.
    pub(crate) waiting: Cell<usize>,
}

impl Share {
    pub(super) fn new(limit: usize) -> Self {
        let free = Cell::new(limit);
        Self { limit, free, line: Waiters::new(), waiting: Cell::new(0) }
    }

    /// Takes a turn, if there is one; `end_call` gives it back.
    pub(crate) fn begin_call(&self) -> bool {
        let Some(free) = self.free.get().checked_sub(1) else { return false };
        self.free.set(free);
        true
    }

    /// Gives a turn back, or hands it to the task that has waited longest, which must be queued.
    fn end_call(&self) -> Option<&Core> {
        let next = self.line.claim_first();
        if next.is_none() {
            self.free.set(self.free.get() + 1);
        }
        next
    }

    pub(super) fn is_any_running(&self) -> bool {
        self.free.get() < self.limit
    }
}

impl Worker {
    /// One of this runtime's calls has ended, or was not made after all.
    pub(crate) fn end_call(&self) {
        if let Some(next) = self.offload.end_call() {
            self.queue.push(next);
        }
    }
}

#[cfg(test)]
#[path = "offload_tests.rs"]
mod tests;
