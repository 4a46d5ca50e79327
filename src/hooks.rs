//! Hooks: what a debugger is told, and why a task waits.
//!
//! Layer 3. Imports: task. Never: who calls the hooks.
//!
//! The scheduler asks one word whether a debugger is there at all; without one a hook costs a
//! predicted branch. Hooks run caught, in a state that is neither a task nor outside of one: a
//! blocking call in a hook panics naming the hook, and the scheduler survives it.

use crate::task::TaskId;
use crate::task::TaskRef;
use std::any::Any;
use std::fmt;
use std::time::Duration;

/// Why a task is parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitReason {
    /// It is not parked: it runs, or it is in the run queue.
    Runnable,
    /// Until a point in time.
    Sleep,
    /// For ever, until it is cancelled.
    SleepForever,
    /// Until a descriptor can be read.
    Readable,
    /// Until a descriptor can be written.
    Writable,
    /// Until one of a host's addresses has answered.
    Connect,
    /// Until another task has ended.
    Join(TaskId),
    /// Until a thread of the system has ended.
    JoinThread,
    /// Until the last child of its pool has ended.
    PoolEnd,
    /// Until the last thread of its `thread::scope` has ended.
    ScopeEnd,
    /// Until the threads that were left when `main` ended have ended as well.
    ThreadsEnd,
    /// Until a task that was started is ready.
    Start,
    /// Until one of several tasks has a value.
    MapNext,
    /// Until every other task is parked.
    Settle,
    /// Until its `Unparker` is used.
    Unpark,
    /// Until an event is triggered.
    Event,
    /// Until a semaphore has a permit for it.
    Semaphore,
    /// Until a helper thread can make a call for it.
    Helper,
    /// Until a helper thread has made a call for it.
    Call,
    /// Until another has left what one task at a time may use.
    Lock,
    /// Until nobody writes what a lock guards.
    ReadLock,
    /// Until nobody reads or writes what a lock guards.
    WriteLock,
    /// Until a condition variable is notified.
    Condvar,
    /// Until so many tasks have come to a barrier.
    Barrier,
    /// Until another task has initialised what is initialised once.
    Once,
    /// Until a channel has room for a message, or a receiver for it.
    Send,
    /// Until a channel has a message.
    Receive,
    /// Until the first of several things has happened.
    Select,
    /// Until one of a server's connections has ended, or a pause is over.
    ConnectionEnd,
}

impl WaitReason {
    /// The calls that wait for this, for a report to who may not make them.
    pub(crate) fn call(self) -> &'static str {
        match self {
            Self::Runnable => "`yield_now`",
            Self::Sleep => "`sleep`",
            Self::SleepForever => "`sleep_forever`",
            Self::Readable => "a read or an `accept`",
            Self::Writable => "a write or a `connect`",
            Self::Connect => "`connect` to a host name",
            Self::Join(_) | Self::JoinThread => "`join`",
            Self::PoolEnd => "the end of a pool",
            Self::ScopeEnd => "the end of a `thread::scope`",
            Self::ThreadsEnd => "the end of `run`",
            Self::Start => "`start`",
            Self::MapNext => "`next` on `map_unordered`",
            Self::Settle => "`settle`",
            Self::Unpark => "`park`",
            Self::Event => "`Event::wait`",
            Self::Semaphore => "`Semaphore::acquire`",
            Self::Helper | Self::Call => "`unblock` or the lookup of a host's name",
            Self::Lock => "`lock`",
            Self::ReadLock => "`read`",
            Self::WriteLock => "`write`",
            Self::Condvar => "`Condvar::wait`",
            Self::Barrier => "`Barrier::wait`",
            Self::Once => "`call_once` or `get_or_init`",
            Self::Send => "`send`",
            Self::Receive => "`recv`",
            Self::Select => "`select`",
            Self::ConnectionEnd => "`serve`",
        }
    }
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runnable => f.write_str("can run"),
            Self::Sleep => f.write_str("sleeps"),
            Self::SleepForever => f.write_str("sleeps for ever"),
            Self::Readable => f.write_str("waits for a descriptor to become readable"),
            Self::Writable => f.write_str("waits for a descriptor to become writable"),
            Self::Connect => f.write_str("waits for one of a host's addresses to answer"),
            Self::Join(id) => write!(f, "waits for task {id} to end"),
            Self::JoinThread => f.write_str("waits for a thread of the system to end"),
            Self::PoolEnd => f.write_str("waits for its pool's last child"),
            Self::ScopeEnd => f.write_str("waits for its scope's last thread"),
            Self::ThreadsEnd => f.write_str("waits for the threads that are left"),
            Self::Unpark => f.write_str("waits to be unparked"),
            Self::Start => f.write_str("waits for a task that it starts to be ready"),
            Self::MapNext => f.write_str("waits for a value of `map_unordered`"),
            Self::Settle => f.write_str("waits for every other task to park"),
            Self::Event => f.write_str("waits for an event to be triggered"),
            Self::Semaphore => f.write_str("waits for a permit of a semaphore"),
            Self::Helper => f.write_str("waits for a helper thread to be free"),
            Self::Call => f.write_str("waits for a call on a helper thread to return"),
            Self::Lock => f.write_str("waits for a lock"),
            Self::ReadLock => f.write_str("waits to read what a lock guards"),
            Self::WriteLock => f.write_str("waits to write what a lock guards"),
            Self::Condvar => f.write_str("waits for a condition variable to be notified"),
            Self::Barrier => f.write_str("waits for others to come to a barrier"),
            Self::Once => f.write_str("waits for an initialisation that another task makes"),
            Self::Send => f.write_str("waits to send a message"),
            Self::Receive => f.write_str("waits for a message"),
            Self::Select => f.write_str("waits for the first of several"),
            Self::ConnectionEnd => f.write_str("waits for a connection of its server to end"),
        }
    }
}

/// Looks over the scheduler's shoulder.
///
/// Every method does nothing unless it is implemented. The names are those of Python giambio's
/// `BaseDebugger`. Hooks run between tasks' steps or on a task's own stack and must not block:
/// a blocking call panics and names the hook. A hook that panics is reported to the log once for
/// each panic, and the program goes on.
///
/// # Examples
///
/// ```
/// use giambio::debug::{Debugger, TaskRef};
///
/// struct Count(std::sync::Arc<std::sync::atomic::AtomicUsize>);
///
/// impl Debugger for Count {
///     fn on_task_spawn(&self, _task: &TaskRef) {
///         self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
///     }
/// }
///
/// let spawned = std::sync::Arc::default();
/// let mut runtime = giambio::Builder::new().debugger(Count(std::sync::Arc::clone(&spawned))).build()?;
/// runtime.run(|| giambio::pool(|pool| drop(pool.spawn(|| ()))));
/// assert_eq!(spawned.load(std::sync::atomic::Ordering::Relaxed), 2); // main and its child
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait Debugger {
    /// `run` or `drive` has begun.
    fn on_start(&self) {}
    /// `run` or `drive` is about to return: every task has ended.
    fn on_exit(&self) {}
    /// A task was spawned and will run later.
    fn on_task_spawn(&self, _task: &TaskRef) {}
    /// A task has ended, whatever its outcome.
    fn on_task_exit(&self, _task: &TaskRef) {}
    /// A task is about to be resumed.
    fn before_task_step(&self, _task: &TaskRef) {}
    /// A task has given up the CPU or ended; always paired with `before_task_step`.
    fn after_task_step(&self, _task: &TaskRef) {}
    /// A task is about to sleep for `_duration`.
    fn before_sleep(&self, _task: &TaskRef, _duration: Duration) {}
    /// A task has slept for `_duration` and was not cancelled.
    fn after_sleep(&self, _task: &TaskRef, _duration: Duration) {}
    /// A task is about to park.
    fn before_park(&self, _task: &TaskRef, _reason: WaitReason) {}
    /// The reactor is about to be asked, for at most `_timeout` (`None`: until something happens).
    fn before_io(&self, _timeout: Option<Duration>) {}
    /// The reactor has answered after `_elapsed`.
    fn after_io(&self, _elapsed: Duration) {}
    /// A task's wait is about to be ended by a cancellation.
    fn before_cancel(&self, _task: &TaskRef) {}
    /// A task has ended because it was cancelled.
    fn after_cancel(&self, _task: &TaskRef) {}
    /// A task's closure has panicked; its pool hears of it next.
    fn on_exception_raised(&self, _task: &TaskRef, _payload: &(dyn Any + Send)) {}
}
