//! Handle: how threads are waited for, tasks and threads of the system alike.
//!
//! Layer 8. Imports: thread's own files, channel, wait_queue, park, hooks, task. Never: how threads are started.
//!
//! std's `join` blocks, and on a worker that would stop all tasks. So a thread of the system tells when its
//! closure has ended, and a task waits for that first.

use super::Thread;
use super::handover::Claim;
use crate::channel::End;
use crate::channel::Ending;
use crate::hooks::WaitReason;
use crate::park;
use crate::task::Abort;
use crate::wait_queue::WaitQueue;
use std::fmt;
use std::sync::Arc;
use std::thread;

/// The right to join a thread.
///
/// Dropping it lets the thread go on by itself; inside of [`run`](crate::run) it still ends before `run`
/// does. Compare [`std::thread::JoinHandle`].
///
/// # Examples
///
/// ```
/// use giambio::thread;
///
/// let handle: thread::JoinHandle<i32> = giambio::run(|| thread::spawn(|| 1 + 1));
/// // It has ended, before it could begin.
/// let error = handle.join().unwrap_err().downcast::<giambio::JoinError>().unwrap();
/// assert!(error.is_cancelled());
/// ```
pub struct JoinHandle<T>(pub(super) Handle<'static, T, thread::JoinHandle<T>>);

impl<T> JoinHandle<T> {
    /// The thread that this handle joins.
    ///
    /// # Cancellation
    ///
    /// Never parks.
    #[must_use]
    pub fn thread(&self) -> &Thread {
        &self.0.thread
    }

    /// Takes the thread's value, parking the calling task until there is one.
    ///
    /// Works from anywhere: from other tasks, from those of other runtimes and from plain threads, which it
    /// blocks. What the thread has done has happened before this returns.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call, also when the thread has ended long ago. A cancelled `join` drops the
    /// handle, and with it the value; the thread goes on.
    ///
    /// # Errors
    ///
    /// The payload of the panic in which the thread ended. If it was cancelled, a [`JoinError`], which can
    /// be [downcast](Box::downcast).
    ///
    /// [`JoinError`]: crate::JoinError
    ///
    /// # Panics
    ///
    /// If a thread joins itself. Inside of [`task::no_switch`](crate::task::no_switch), if it would have to
    /// wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::thread;
    ///
    /// giambio::run(|| {
    ///     assert_eq!(thread::spawn(|| 42).join().unwrap(), 42);
    ///     let payload = thread::spawn(|| std::panic::resume_unwind(Box::new(7))).join();
    ///     assert_eq!(payload.unwrap_err().downcast_ref::<i32>(), Some(&7));
    /// });
    /// ```
    #[track_caller]
    pub fn join(self) -> thread::Result<T> {
        self.0.join()
    }

    /// Whether the thread has ended, so that `join` would not wait.
    ///
    /// # Cancellation
    ///
    /// Never parks.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

/// For a select that waits until the thread has ended.
impl<T> Ending for JoinHandle<T> {
    fn end(&self) -> End<'_> {
        self.0.end()
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").finish_non_exhaustive()
    }
}

/// std's two handles.
pub(super) trait OfSystem<T> {
    fn join(self) -> thread::Result<T>;
    fn is_finished(&self) -> bool;
}

impl<T> OfSystem<T> for thread::JoinHandle<T> {
    fn join(self) -> thread::Result<T> {
        self.join()
    }

    fn is_finished(&self) -> bool {
        self.is_finished()
    }
}

impl<T> OfSystem<T> for thread::ScopedJoinHandle<'_, T> {
    fn join(self) -> thread::Result<T> {
        self.join()
    }

    fn is_finished(&self) -> bool {
        self.is_finished()
    }
}

/// What is in a handle, for one of std's.
pub(super) struct Handle<'scope, T, S> {
    pub(super) thread: Thread,
    kind: Kind<'scope, T, S>,
}

enum Kind<'scope, T, S> {
    Task(Claim<'scope, T>),
    System(S, Signal),
}

impl<'scope, T, S: OfSystem<T>> Handle<'scope, T, S> {
    pub(super) fn of_task(thread: Thread, claim: Claim<'scope, T>) -> Self {
        Self { thread, kind: Kind::Task(claim) }
    }

    pub(super) fn of_system(thread: Thread, handle: S, signal: Signal) -> Self {
        Self { thread, kind: Kind::System(handle, signal) }
    }

    #[track_caller]
    pub(super) fn join(self) -> thread::Result<T> {
        match self.kind {
            Kind::Task(claim) => claim.join(),
            Kind::System(handle, signal) => {
                signal.wait();
                handle.join()
            }
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        match &self.kind {
            Kind::Task(claim) => claim.is_over(),
            Kind::System(handle, _) => handle.is_finished(),
        }
    }

    /// The end of what was spawned; a thread of the system goes on for a moment.
    pub(super) fn end(&self) -> End<'_> {
        match &self.kind {
            Kind::Task(claim) => End::new(claim.occurrence()),
            Kind::System(_, signal) => End::new(&*signal.0),
        }
    }
}

/// Tells tasks that the closure of a thread of the system has ended.
pub(super) struct Signal(Arc<WaitQueue<bool>>);

impl Signal {
    pub(super) fn new() -> Self {
        Self(Arc::new(WaitQueue::new(false)))
    }

    pub(super) fn sender(&self) -> Sender {
        Sender(Arc::clone(&self.0))
    }

    /// On a task, parks it until then; on a plain thread std's `join` does that.
    #[track_caller]
    fn wait(&self) {
        if let Some(me) = park::current() {
            me.checkpoint();
            self.0.wait_unless(None, WaitReason::JoinThread, Abort::Now, |is_over| *is_over);
        }
    }
}

/// The thread's side of a [`Signal`], used on drop.
pub(super) struct Sender(Arc<WaitQueue<bool>>);

impl Sender {
    /// Calls `f`, and tells afterwards, whatever becomes of it.
    pub(super) fn around<T>(self, f: impl FnOnce() -> T) -> T {
        // Here and not in the caller's closure, where it could be dropped before `f`.
        let _tells = self;
        f()
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.wake_all(|is_over| *is_over = true);
    }
}
