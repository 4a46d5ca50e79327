//! Current: who the caller is, and its park token.
//!
//! Layer 8. Imports: asker, park, wait_queue, time, hooks, task. Never: how threads are started.

use crate::asker;
use crate::hooks::WaitReason;
use crate::park;
use crate::park::Running;
use crate::task::Abort;
use crate::task::Identity;
use crate::task::TaskId;
use crate::time;
use crate::wait_queue::WaitQueue;
use std::fmt;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use std::time::Instant;

/// A thread: a task inside of [`run`](crate::run), a thread of the system outside.
///
/// It may go anywhere, and may outlive the thread. Compare [`std::thread::Thread`].
///
/// # Examples
///
/// ```
/// use giambio::thread;
///
/// giambio::run(|| {
///     let worker = thread::Builder::new().name("worker".into());
///     let worker = worker.spawn(|| thread::current()).unwrap();
///     let id = worker.thread().id();
///     assert_eq!(worker.thread().name(), Some("worker"));
///     assert_eq!(worker.join().unwrap().id(), id);
/// });
/// ```
#[derive(Clone)]
pub struct Thread(Who);

#[derive(Clone)]
enum Who {
    Task(Arc<Identity>),
    System(thread::Thread),
}

// A token is there or not: nothing of it is ever left half changed.
impl UnwindSafe for Thread {}
impl RefUnwindSafe for Thread {}

/// A thread's number, which no other thread of the process ever has.
///
/// That of a task is the number that reports and logs show behind its name. Compare
/// [`std::thread::ThreadId`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ThreadId(Number);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Number {
    Task(TaskId),
    System(thread::ThreadId),
}

/// Whether there is a token for a task's next `park`.
type Token = WaitQueue<bool>;

/// A task's token, which is made when it is first used.
fn token(who: &Identity) -> &Token {
    let kept = who.attachment(|| Box::new(Token::new(false)));
    match kept.downcast_ref() {
        Some(token) => token,
        None => unreachable!("a task's token is something else"),
    }
}

impl Thread {
    pub(super) fn of_task(who: Arc<Identity>) -> Self {
        Self(Who::Task(who))
    }

    pub(super) fn of_system(thread: thread::Thread) -> Self {
        Self(Who::System(thread))
    }

    /// Leaves the thread's token, and ends its [`park()`] if it is in one.
    ///
    /// A thread has one token at most, so two calls before a `park` count as one. What happens before this
    /// call has happened before the `park` that takes the token returns. Also for a thread that has ended.
    ///
    /// # Cancellation
    ///
    /// Never parks.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::thread;
    ///
    /// giambio::run(|| {
    ///     let parked = thread::spawn(thread::park);
    ///     let other = parked.thread().clone();
    ///     std::thread::spawn(move || other.unpark()); // from anywhere
    ///     parked.join().unwrap();
    /// });
    /// ```
    pub fn unpark(&self) {
        match &self.0 {
            Who::Task(who) => token(who).wake_first_or(|token| *token = true),
            Who::System(thread) => thread.unpark(),
        }
    }

    /// The thread's number.
    ///
    /// # Cancellation
    ///
    /// Never parks.
    #[must_use]
    pub fn id(&self) -> ThreadId {
        ThreadId(match &self.0 {
            Who::Task(who) => Number::Task(who.id()),
            Who::System(thread) => Number::System(thread.id()),
        })
    }

    /// The name that the thread's spawner chose: `main` for [`run`](crate::run)'s closure, `None` if none
    /// was chosen.
    ///
    /// # Cancellation
    ///
    /// Never parks.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.0 {
            Who::Task(who) => who.chosen(),
            Who::System(thread) => thread.name(),
        }
    }
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thread")
            .field("id", &self.id())
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ThreadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Number::Task(id) => write!(f, "ThreadId({id})"),
            Number::System(id) => id.fmt(f),
        }
    }
}

/// The calling thread: in a task of whatever kind the task, elsewhere that of the system.
///
/// # Cancellation
///
/// Never parks.
///
/// # Examples
///
/// ```
/// use giambio::thread;
///
/// giambio::run(|| {
///     assert_eq!(thread::current().name(), Some("main"));
///     giambio::pool(|pool| {
///         let id = pool.spawn(|| thread::current().id()).join().unwrap();
///         assert_ne!(id, thread::current().id());
///     });
/// });
/// ```
#[must_use]
pub fn current() -> Thread {
    match park::running() {
        Some(me) => Thread::of_task(identity(me)),
        None => Thread::of_system(thread::current()),
    }
}

fn identity(me: Running) -> Arc<Identity> {
    let core = me.core();
    Arc::clone(core.name.identity(core.id))
}

/// Takes the calling thread's token, parking it until there is one.
///
/// Nothing but [`Thread::unpark`] leaves a token, and this does not return without one. Outside of
/// [`run`](crate::run) it is [`std::thread::park`], which may.
///
/// # Cancellation
///
/// A checkpoint on every call, also when there is a token. A cancelled `park` has not taken it.
///
/// # Panics
///
/// Inside of [`task::no_switch`](crate::task::no_switch), if it would have to wait.
///
/// # Examples
///
/// ```
/// use giambio::thread;
///
/// giambio::run(|| {
///     thread::current().unpark();
///     thread::park(); // the token is there already
/// });
/// ```
#[track_caller]
pub fn park() {
    match park::current() {
        Some(me) => park_until(me, None),
        None => thread::park(),
    }
}

/// Like [`park()`], for at most `timeout`, by [`clock`](crate::clock()).
///
/// Outside of [`run`](crate::run) it is [`std::thread::park_timeout`].
///
/// # Cancellation
///
/// As for [`park()`].
///
/// # Panics
///
/// As for [`park()`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// giambio::testing::run_virtual(|| {
///     let start = giambio::clock();
///     giambio::thread::park_timeout(Duration::from_secs(2));
///     assert_eq!(giambio::clock() - start, Duration::from_secs(2));
/// });
/// ```
#[track_caller]
pub fn park_timeout(timeout: Duration) {
    match park::current() {
        Some(me) => park_until(me, time::clock().checked_add(timeout)),
        None => thread::park_timeout(timeout),
    }
}

/// [`park_timeout`] with milliseconds.
///
/// # Cancellation
///
/// As for [`park()`].
///
/// # Panics
///
/// As for [`park()`].
#[deprecated = "replaced by `giambio::thread::park_timeout`"]
#[track_caller]
pub fn park_timeout_ms(milliseconds: u32) {
    park_timeout(Duration::from_millis(milliseconds.into()));
}

/// [`sleep`](crate::sleep()) with milliseconds.
///
/// # Cancellation
///
/// As for [`sleep`](crate::sleep()).
#[deprecated = "replaced by `giambio::thread::sleep`"]
#[track_caller]
pub fn sleep_ms(milliseconds: u32) {
    time::sleep(Duration::from_millis(milliseconds.into()));
}

#[track_caller]
fn park_until(me: Running, deadline: Option<Instant>) {
    me.checkpoint();
    let take = |token: &mut bool| std::mem::take(token);
    let who = identity(me);
    token(&who).wait_unless(deadline, WaitReason::Unpark, Abort::Now, take);
}

/// Whether the calling thread unwinds because of a panic.
///
/// It speaks of the calling task alone, whatever passes through others of the same worker, and a
/// cancellation is no panic. [`std::thread::panicking`] speaks of the whole worker, and cannot tell the two.
///
/// # Cancellation
///
/// Never parks.
///
/// # Examples
///
/// ```
/// use giambio::thread;
///
/// struct Account(&'static str);
///
/// impl Drop for Account {
///     fn drop(&mut self) {
///         assert_eq!(thread::panicking(), self.0 == "left in a panic");
///     }
/// }
///
/// giambio::run(|| {
///     let account = Account("left in a panic");
///     let failed = thread::spawn(move || {
///         let _account = account;
///         panic!("for this example");
///     });
///     assert!(failed.join().is_err());
///     drop(Account("left in peace"));
/// });
/// ```
#[must_use]
pub fn panicking() -> bool {
    asker::is_panicking()
}
