//! Handover: where the outcome of a thread lies until somebody asks for it.
//!
//! Layer 8. Imports: wait_queue, wait_any, pool, park, scope, hooks, task. Never: which call has started the thread.
//!
//! A task's record stays on its worker; its outcome goes here, into an `Arc` that its handle has as well, so
//! that it can be asked for from anywhere. The task puts it here as the last of what it does, and the one
//! lock decides what becomes of it: a handle that was dropped before has left it to the task, which drops
//! it on its own stack, and one that is dropped later drops it itself.

use crate::hooks::WaitReason;
use crate::park;
use crate::park::Running;
use crate::pool::JoinError;
use crate::pool::crew::Distant;
use crate::pool::joined;
use crate::pool::joined::Joined;
use crate::pool::joined::Outcome;
use crate::pool::joined::Receiver;
use crate::scope;
use crate::task::Abort;
use crate::task::Identity;
use crate::task::local;
use crate::wait_any::Occurrence;
use crate::wait_any::Over;
use crate::wait_queue::WaitQueue;
use std::any::Any;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The thread goes on, and the handle is there.
    Awaited,
    /// The handle is gone: nobody will ask.
    Abandoned,
    /// The thread has ended, and its end is here, or was taken.
    Over,
}

impl Over for Stage {
    fn is_over(&self) -> bool {
        *self == Self::Over
    }
}

/// How a thread has ended.
enum End<T> {
    Returned(T),
    Panicked(Box<dyn Any + Send>),
    Cancelled(JoinError),
    /// There was no stack for it.
    NotStarted(io::Error),
}

/// What a thread and its handle share.
pub(super) struct Handover<'scope, T> {
    who: Arc<Identity>,
    stage: WaitQueue<Stage>,
    /// User code does not run under the lock.
    end: Mutex<Option<End<T>>>,
    /// Of the scope that the thread is in: how many of its threads have failed, and were not joined.
    failures: Option<&'scope AtomicUsize>,
}

impl<'scope, T> Handover<'scope, T> {
    pub(super) fn new(who: Arc<Identity>, failures: Option<&'scope AtomicUsize>) -> Arc<Self> {
        let stage = WaitQueue::new(Stage::Awaited);
        Arc::new(Self { who, stage, end: Mutex::new(None), failures })
    }

    fn end(&self) -> MutexGuard<'_, Option<End<T>>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts the end here. Whether the handle was there then: if not, the end is nobody's.
    fn put(&self, end: End<T>) -> bool {
        let failed = matches!(end, End::Panicked(_) | End::NotStarted(_));
        // Before anybody can join, which subtracts.
        if let (true, Some(failures)) = (failed, self.failures) {
            failures.fetch_add(1, Ordering::Relaxed);
        }
        *self.end() = Some(end);
        let mut is_awaited = false;
        self.stage.wake_all(|stage| {
            is_awaited = *stage == Stage::Awaited;
            *stage = Stage::Over;
        });
        is_awaited
    }

    /// A failure is never lost: logs an end that nobody has asked for. A value is left to the caller.
    fn lose(&self, end: End<T>) -> Option<T> {
        let who = &self.who;
        match end {
            End::Returned(value) => return Some(value),
            End::Panicked(payload) => joined::log_lost(who, who.id(), payload),
            End::NotStarted(error) => local::log(
                log::Level::Error,
                format_args!("thread '{who}' ({}) could not be started: {error}", who.id()),
            ),
            End::Cancelled(_) => {}
        }
        None
    }
}

impl<T> Receiver<T> for Arc<Handover<'_, T>> {
    fn is_gone(&self) -> bool {
        self.stage.with(|stage, _| *stage == Stage::Abandoned)
    }

    fn receive(self, _: Running, joined: &Joined<T>) {
        let end = match joined.hand_over() {
            Outcome::Returned(value) => End::Returned(value),
            Outcome::Panicked(Some(payload)) => End::Panicked(payload),
            Outcome::Cancelled(why) => End::Cancelled(JoinError::cancelled(&joined.core, &why)),
            // Its value was dropped with the task, since the handle is gone.
            Outcome::Pending => return,
            Outcome::Panicked(None) | Outcome::Failed => {
                unreachable!("a thread's failure went to a pool")
            }
        };
        if !self.put(end) {
            let left = self.end().take();
            // A value only if the handle was dropped just now, on another thread.
            left.and_then(|end| self.lose(end)).into_iter().for_each(scope::drop_value);
        }
    }
}

impl<T> Distant<T> for Arc<Handover<'_, T>> {
    fn refuse(self, error: io::Error) {
        if !self.put(End::NotStarted(error)) {
            let left = self.end().take();
            let nothing = left.and_then(|end| self.lose(end)).is_none();
            debug_assert!(nothing, "a thread that was not started has a value");
        }
    }
}

/// The handle's side of a [`Handover`], whatever the thread's scope.
trait Ends<T> {
    fn join(&self) -> thread::Result<T>;
    fn occurrence(&self) -> &dyn Occurrence;
    fn leave(&self);
}

impl<T> Ends<T> for Handover<'_, T> {
    #[track_caller]
    fn join(&self) -> thread::Result<T> {
        let me = park::current();
        if let Some(me) = me {
            let is_itself = me.core().id == self.who.id();
            assert!(!is_itself, "thread '{}' joins itself and would never end", self.who);
            me.checkpoint();
        }
        let is_over = |stage: &mut Stage| *stage == Stage::Over;
        self.stage.wait_unless(None, WaitReason::Join(self.who.id()), Abort::Now, is_over);
        if let Some(me) = me
            && !matches!(*self.end(), Some(End::Returned(_)))
        {
            // What has ended the thread may have cancelled this task as well, and that comes first.
            me.checkpoint();
        }
        let end = self.end().take();
        if let (Some(End::Panicked(_) | End::NotStarted(_)), Some(failures)) = (&end, self.failures)
        {
            failures.fetch_sub(1, Ordering::Relaxed);
        }
        match end {
            Some(End::Returned(value)) => Ok(value),
            Some(End::Panicked(payload)) => Err(payload),
            Some(End::Cancelled(error)) => Err(Box::new(error)),
            Some(End::NotStarted(error)) => Err(Box::new(error)),
            None => unreachable!("a thread was joined twice"),
        }
    }

    fn occurrence(&self) -> &dyn Occurrence {
        &self.stage
    }

    /// The handle is gone: nobody will ask any more.
    fn leave(&self) {
        let is_over = self.stage.with(|stage, _| {
            let is_over = *stage == Stage::Over;
            if !is_over {
                *stage = Stage::Abandoned;
            }
            is_over
        });
        if is_over {
            let left = self.end().take();
            // A destructor that panics here does so in the caller.
            drop(left.and_then(|end| self.lose(end)));
        }
    }
}

/// The right to a thread's outcome. It may go anywhere and be shared, whatever `T` is: what was spawned
/// could be sent, and nobody gets at it but by `join`.
pub(super) struct Claim<'scope, T>(Arc<dyn Ends<T> + Send + Sync + 'scope>);

impl<'scope, T> Claim<'scope, T> {
    pub(super) fn new(handover: Arc<Handover<'scope, T>>) -> Self
    where
        T: Send + 'scope,
    {
        Self(handover)
    }

    #[track_caller]
    pub(super) fn join(self) -> thread::Result<T> {
        self.0.join()
    }

    pub(super) fn is_over(&self) -> bool {
        self.occurrence().is_over()
    }

    pub(super) fn occurrence(&self) -> &dyn Occurrence {
        self.0.occurrence()
    }
}

impl<T> Drop for Claim<'_, T> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl<T> fmt::Debug for Claim<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim").finish_non_exhaustive()
    }
}
