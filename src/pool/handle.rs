//! Handle: how a task's outcome is waited for and taken.
//!
//! Layer 6. Imports: park, wait_queue, wait_any, task. Never: how the task came to its outcome.

use super::joined;
use super::joined::Joined;
use super::joined::Outcome;
use crate::hooks::WaitReason;
use crate::park;
use crate::park::Running;
use crate::park::Why;
use crate::scope;
use crate::task;
use crate::task::Abort;
use crate::task::Core;
use crate::task::TaskId;
use crate::task::waiters::Waiter;
use crate::task::waiters::Who;
use crate::wait_any::Occurrence;
use crate::wait_queue;
use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::ptr;
use std::ptr::NonNull;

/// A spawned task, and the right to its value.
///
/// Dropping the handle does not stop the task: its pool waits for it all the same.
///
/// It cannot leave its thread:
///
/// ```compile_fail,E0277
/// giambio::run(|| {
///     giambio::pool(|pool| {
///         let task = pool.spawn(|| 1);
///         std::thread::spawn(move || drop(task));
///     });
/// });
/// ```
///
/// nor its pool:
///
/// ```compile_fail
/// giambio::run(|| {
///     let escaped = giambio::pool(|pool| pool.spawn(|| 1));
/// });
/// ```
pub struct Task<'scope, T> {
    joined: NonNull<Joined<T>>,
    scope: PhantomData<&'scope ()>,
}

impl<'scope, T> Task<'scope, T> {
    /// # Safety
    ///
    /// `joined` is the handle's share that `record::admit` returned, and `'scope` is not longer than
    /// what was promised to it.
    pub(super) unsafe fn new(joined: NonNull<Joined<T>>) -> Self {
        Self { joined, scope: PhantomData }
    }

    pub(crate) fn core(&self) -> &Core {
        &self.joined().core
    }

    fn joined(&self) -> &Joined<T> {
        // SAFETY: the handle is one of the record's owners.
        unsafe { self.joined.as_ref() }
    }

    /// Takes the task's value, parking the calling task until there is one.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call, also when the task has ended long ago. A cancelled `join` drops
    /// the handle, and with it the value; the task goes on.
    ///
    /// # Errors
    ///
    /// [`JoinError`] if the task was cancelled or has panicked. If its panic went to the pool, that
    /// failure has cancelled the pool, and this call raises that instead wherever it can.
    ///
    /// # Panics
    ///
    /// If a task joins itself. Inside of [`task::no_switch`], if it would have to
    /// wait. Outside of `run`.
    ///
    /// # Examples
    ///
    /// ```
    /// let sum = giambio::run(|| {
    ///     giambio::pool(|pool| {
    ///         let task = pool.spawn(|| (1..=10).sum::<i32>());
    ///         task.join().unwrap()
    ///     })
    /// });
    /// assert_eq!(sum, 55);
    /// ```
    #[track_caller]
    pub fn join(self) -> Result<T, JoinError> {
        let me = park::current_for("`Task::join`");
        let core = self.core();
        assert!(!ptr::eq(me.core(), core), "task '{}' joins itself and would never end", core.name);
        me.checkpoint();
        self.wait(me);
        self.take()
    }

    /// Parks the running task until this one has ended. It comes from a checkpoint, behind which it has run
    /// nobody else's code: a park is not told of a cancellation that came before it.
    #[track_caller]
    #[inline]
    pub(super) fn wait(&self, me: Running) {
        let core = self.core();
        if !core.finished.get() {
            wait_queue::wait(me, &core.joiners, None, WaitReason::Join(core.id), Abort::Now);
        }
        if !self.joined().has_returned() {
            // The failure that ended the task may have cancelled us as well. It is still the handle's:
            // what this raises drops the handle, and that logs a payload.
            me.checkpoint();
        }
    }

    /// The outcome of a task that has ended.
    #[inline]
    pub(super) fn take(self) -> Result<T, JoinError> {
        let core = self.core();
        let cause = match self.joined().take_outcome() {
            Outcome::Returned(value) => return Ok(value),
            Outcome::Panicked(payload) => Cause::Panicked(payload.map(Payload)),
            Outcome::Failed => Cause::Failed,
            Outcome::Cancelled(why) => return Err(JoinError::cancelled(core, &why)),
            Outcome::Pending => unreachable!("an outcome was taken twice"),
        };
        Err(JoinError { task: core.name.to_string(), id: core.id, cause })
    }

    /// Cancels the task: its next checkpoint raises, and so does every one after that.
    ///
    /// Never parks, and runs none of the task's code. A task that has not begun never will.
    pub fn cancel(&self) {
        if !self.is_finished() {
            let cause = &task::cancel::Cause::Asked;
            park::worker_here(|worker| worker.cancel(&self.core().base, cause));
        }
    }

    /// Like [`cancel`](Self::cancel), with words for whoever asks why: they stand in [`JoinError`].
    ///
    /// # Examples
    ///
    /// ```
    /// giambio::run(|| {
    ///     giambio::pool(|pool| {
    ///         let task = pool.spawn(|| giambio::sleep_forever());
    ///         task.cancel_because("nobody listens");
    ///         let error = task.join().map(drop).unwrap_err();
    ///         assert_eq!(error.cancel_reason(), Some("nobody listens"));
    ///     });
    /// });
    /// ```
    pub fn cancel_because(&self, reason: impl Into<String>) {
        if !self.is_finished() {
            let node = &self.core().base;
            park::worker_here(|worker| worker.cancel_because(node, reason.into()));
        }
    }

    /// Whether the task has ended, so that `join` would not park.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.core().finished.get()
    }

    /// The name that its spawner chose, or else where it was spawned.
    #[must_use]
    pub fn name(&self) -> String {
        self.core().name.to_string()
    }

    /// The task's number, unique in this process.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.core().id
    }
}

impl<T> Drop for Task<'_, T> {
    fn drop(&mut self) {
        let core = self.core();
        core.detached.set(true);
        if core.finished.get() {
            // Not before the share is given up: a value's destructor may unwind.
            let outcome = self.joined().take_outcome();
            let _share = Share(self.joined);
            match outcome {
                Outcome::Panicked(Some(payload)) => {
                    joined::log_lost(&self.core().name, self.id(), payload);
                }
                outcome => drop(outcome),
            }
            return;
        }
        drop(Share(self.joined));
    }
}

/// A task's end. Who waits for it stands among its joiners, in a line of its worker's.
impl Occurrence for Core {
    fn is_over(&self) -> bool {
        self.finished.get()
    }

    unsafe fn enter(&self, who: Who, waiter: &Waiter) -> bool {
        let is_over = self.finished.get();
        if !is_over {
            assert!(
                matches!(who, Who::Task(_)),
                "a task's end is waited for inside of a task: call this below `giambio::run`"
            );
            // SAFETY: passed on to the caller; who has the handle is on the task's own worker.
            unsafe { self.joiners.push(waiter) };
        }
        !is_over
    }

    fn leave(&self, waiter: &Waiter) {
        if waiter.is_linked() {
            self.joiners.remove(waiter);
        }
    }
}

/// A handle's ownership of the record, given up on drop.
struct Share<T>(NonNull<Joined<T>>);

impl<T> Drop for Share<T> {
    fn drop(&mut self) {
        // SAFETY: made once, by the handle's own `drop`; the core is the record's first field.
        unsafe { Core::release(self.0.as_ptr().cast()) };
    }
}

impl<T> fmt::Debug for Task<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("finished", &self.is_finished())
            .finish()
    }
}

/// Why a task has no value.
///
/// It may go into other errors, whatever they ask for:
///
/// ```
/// fn is_error<E: std::error::Error + Send + Sync + 'static>() {}
/// is_error::<giambio::JoinError>();
/// ```
pub struct JoinError {
    task: String,
    id: TaskId,
    cause: Cause,
}

enum Cause {
    /// And why, where there is more to say.
    Cancelled(Option<Box<str>>),
    Failed,
    Panicked(Option<Payload>),
}

/// A panic's payload, of which a reference gives only the message.
struct Payload(Box<dyn Any + Send>);

// SAFETY: a shared reference is only used to look for a `&str` or a `String` (`scope::said`), which are
// `Sync`; everything else needs the payload by value.
unsafe impl Sync for Payload {}

impl JoinError {
    /// Of a task that was cancelled.
    pub(crate) fn cancelled(core: &Core, why: &Why) -> Self {
        let cause = Cause::Cancelled(why.words().map(Box::from));
        Self { task: core.name.to_string(), id: core.id, cause }
    }

    /// Whether the task was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self.cause, Cause::Cancelled(_))
    }

    /// Why the task was cancelled: the words of `cancel_because`, or that a deadline has passed, that its
    /// pool has failed and the like. `None` if it was simply told to stop, or not cancelled.
    #[must_use]
    pub fn cancel_reason(&self) -> Option<&str> {
        match &self.cause {
            Cause::Cancelled(reason) => reason.as_deref(),
            Cause::Failed | Cause::Panicked(_) => None,
        }
    }

    /// Whether the task has panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self.cause, Cause::Panicked(_))
    }

    /// The panic's payload; `None` if there was no panic, or if its payload went to the pool.
    #[must_use]
    pub fn into_panic(self) -> Option<Box<dyn Any + Send>> {
        match self.cause {
            Cause::Panicked(payload) => payload.map(|payload| payload.0),
            Cause::Cancelled(_) | Cause::Failed => None,
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task '{}' ({}) ", self.task, self.id)?;
        match &self.cause {
            Cause::Cancelled(None) => f.write_str("was cancelled"),
            Cause::Cancelled(Some(reason)) => write!(f, "was cancelled: {reason}"),
            Cause::Failed => f.write_str("returned an error, which its pool has"),
            Cause::Panicked(None) => f.write_str("panicked, and its pool has the payload"),
            Cause::Panicked(Some(payload)) => write!(f, "panicked: {}", scope::said(&*payload.0)),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl std::error::Error for JoinError {}
