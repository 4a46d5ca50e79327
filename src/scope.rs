//! Scope: a stretch of one task's code that is stopped as one.
//!
//! Layer 6. Imports: park, task, clock. Never: what runs inside, locks, files.
//!
//! The tree and the walk are in `task/cancel.rs`; here are deadlines, shields, who catches, and the
//! way in and out.

use crate::clock::Nanos;
use crate::park;
use crate::park::Cancelled;
use crate::park::Running;
use crate::park::Unwinding;
use crate::park::Worker;
use crate::task::TaskRef;
use crate::task::cancel::CancelId;
use crate::task::cancel::CancelNode;
use crate::task::cancel::Cause;
use crate::task::cancel::Shield;
use crate::task::inbox::CancelKey;
use crate::task::inbox::Inbox;
use crate::task::inbox::Message;
use crate::task::local;
use std::any::Any;
use std::cell::Cell;
use std::cell::OnceCell;
use std::fmt;
use std::io;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::ptr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use std::time::Instant;

/// A cancel scope with a deadline, on the stack of the task that entered it.
#[derive(Debug)]
pub(crate) struct Scope {
    node: CancelNode,
    /// Made with the first deadline, when the scope has reached its address.
    timer: OnceCell<park::Timer>,
    /// Other threads hold this key.
    key: Cell<Option<CancelKey>>,
}

impl Scope {
    pub(crate) fn new(worker: &Worker, shield: Shield) -> Self {
        Self {
            node: CancelNode::new(worker.new_cancel_id(), shield),
            timer: OnceCell::new(),
            key: Cell::new(None),
        }
    }

    pub(crate) fn id(&self) -> CancelId {
        self.node.id()
    }

    pub(crate) fn node(&self) -> &CancelNode {
        &self.node
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.node.is_effective()
    }

    /// Becomes the innermost scope of the running task.
    ///
    /// # Safety
    ///
    /// The scope stays alive and in place until `leave`, which the same task calls.
    pub(crate) unsafe fn enter(&self, me: Running) {
        // SAFETY: the parent is a scope that this task leaves later, or its own base; the rest is
        // passed on to the caller.
        unsafe { self.node.attach(Some(me.core().innermost()), me.core()) };
        me.core().set_innermost(&self.node);
        me.refresh_budget();
    }

    /// Ends the scope, the innermost of the running task.
    pub(crate) fn leave(&self, me: Running) {
        if let Some(parent) = self.node.parent() {
            me.core().set_innermost(parent);
            // Behind a shield the task is not free of what is cancelled further out.
            if self.node.is_effective() && !parent.is_in_a_cancelled_one() {
                me.core().raises.set(0);
            }
        }
        self.close();
        me.refresh_budget();
    }

    /// Hangs the scope below another without making it anybody's innermost.
    ///
    /// # Safety
    ///
    /// Both stay alive and in place until `close`.
    pub(crate) unsafe fn hang_below(&self, parent: &CancelNode) {
        // SAFETY: passed on to the caller. It is no task's code, so it has no owner.
        unsafe { self.node.attach(Some(parent), ptr::null()) };
    }

    /// Takes the scope out of everything that could still reach it.
    pub(crate) fn close(&self) {
        self.clear_timer();
        park::worker_here(|worker| {
            if let Some(key) = self.key.take() {
                worker.revoke(key);
            }
            worker.forget_reason(&self.node);
        });
        self.node.detach();
    }

    pub(crate) fn cancel(&self, cause: &'static Cause) {
        park::worker_here(|worker| worker.cancel(&self.node, cause));
    }

    pub(crate) fn cancel_because(&self, reason: String) {
        park::worker_here(|worker| worker.cancel_because(&self.node, reason));
    }

    pub(crate) fn deadline(&self) -> Option<Nanos> {
        self.node.deadline()
    }

    /// Sets, moves or takes away the deadline of a scope that was entered or hung up.
    pub(crate) fn set_deadline(&self, at: Option<Nanos>) {
        self.clear_timer();
        self.node.set_deadline(at);
        let Some(at) = at else { return };
        let timer = self.timer.get_or_init(|| park::cancel_timer(&self.node));
        // SAFETY: the scope is in place until `close`, which takes the timer away first.
        park::worker_here(|worker| unsafe { worker.set_timer(timer, at) });
    }

    fn clear_timer(&self) {
        if let Some(timer) = self.timer.get() {
            park::worker_here(|worker| worker.timers.borrow_mut().remove(timer));
        }
    }

    pub(crate) fn canceller(&self) -> Option<Canceller> {
        park::worker_here(|worker| {
            let key = self.key.get().unwrap_or_else(|| worker.publish(&self.node));
            self.key.set(Some(key));
            Canceller { worker: worker.id(), inbox: Arc::clone(worker.inbox()), key }
        })
    }
}

/// Runs `body` and hands back its unwind as a value, whoever else is unwinding.
pub(crate) fn caught<T>(me: Running, body: impl FnOnce() -> T) -> thread::Result<T> {
    // A scope inside of a destructor is left as unwinding as it was entered.
    let before = me.unwinding() == Unwinding::Yes;
    let result = catch_unwind(AssertUnwindSafe(body));
    me.core().unwinding.set(before);
    result
}

/// Drops what nobody asked for, whatever its destructor does.
pub(crate) fn drop_value<T>(value: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        local::drop_caught(payload);
    }
}

/// The scope that a caught payload is on its way to, if it is a cancellation.
pub(crate) fn cancelled_scope(payload: &(dyn Any + Send)) -> Option<CancelId> {
    let cancelled = payload.downcast_ref::<Cancelled>()?;
    let here = park::worker_here(|worker| worker.id());
    (here == Some(cancelled.worker)).then_some(cancelled.scope)
}

/// Cancels one scope from anywhere: another task, a plain thread, a signal's thread.
///
/// Made by [`Pool::canceller`](crate::Pool::canceller). It may outlive its scope, and then does nothing.
///
/// # Examples
///
/// ```
/// let stopped = giambio::run(|| {
///     giambio::cancellable(|pool| {
///         let canceller = pool.canceller();
///         std::thread::spawn(move || canceller.cancel());
///         giambio::sleep_forever()
///     })
/// });
/// assert!(stopped.is_none());
/// ```
#[derive(Clone)]
pub struct Canceller {
    worker: u64,
    inbox: Arc<Inbox>,
    key: CancelKey,
}

impl Canceller {
    /// Cancels the scope: what [`Pool::cancel`](crate::Pool::cancel) does, at once on the scope's own
    /// thread, soon from any other.
    ///
    /// Never parks.
    pub fn cancel(&self) {
        self.send(None);
    }

    /// Like [`cancel`](Self::cancel), with words for whoever asks why: see
    /// [`Pool::cancel_because`](crate::Pool::cancel_because).
    ///
    /// # Examples
    ///
    /// ```
    /// let said = giambio::run(|| {
    ///     giambio::pool(|pool| {
    ///         let task = pool.spawn(|| giambio::sleep_forever());
    ///         let canceller = pool.canceller();
    ///         std::thread::spawn(move || canceller.cancel_because("SIGINT"));
    ///         task.join().map(drop).unwrap_err().to_string()
    ///     })
    /// });
    /// assert!(said.ends_with("was cancelled: SIGINT"));
    /// ```
    pub fn cancel_because(&self, reason: impl Into<String>) {
        self.send(Some(reason.into()));
    }

    fn send(&self, reason: Option<String>) {
        if park::worker_here(Worker::id) == Some(self.worker) {
            park::worker_here(|worker| worker.cancel_published(self.key, reason));
        } else {
            self.inbox.post(Message::Cancel(Box::new((self.key, reason))));
        }
    }
}

impl fmt::Debug for Canceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canceller").finish_non_exhaustive()
    }
}

impl TaskRef {
    /// Cancels the task: its next checkpoint raises, and so does every one after that.
    ///
    /// Never parks. A task that has ended is not changed; `run`'s main task cannot be cancelled.
    ///
    /// # Examples
    ///
    /// ```
    /// giambio::run(|| {
    ///     giambio::pool(|pool| {
    ///         let task = pool.spawn(|| {
    ///             giambio::task::current().cancel();
    ///             giambio::yield_now();
    ///             unreachable!();
    ///         });
    ///         assert!(task.join().is_err_and(|error| error.is_cancelled()));
    ///     });
    /// });
    /// ```
    pub fn cancel(&self) {
        if !self.core().finished.get() && self.core().base.parent().is_some() {
            park::worker_here(|worker| worker.cancel(&self.core().base, &Cause::Asked));
        }
    }
}

/// What a `with_timeout` gives whose body was cut.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let result = giambio::testing::run_virtual(|| {
///     giambio::with_timeout(Duration::from_secs(1), |_| giambio::sleep(Duration::from_secs(2)))
/// });
/// assert_eq!(result, Err(giambio::TooSlow));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TooSlow;

impl fmt::Display for TooSlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the deadline has passed")
    }
}

impl std::error::Error for TooSlow {}

impl From<TooSlow> for io::Error {
    fn from(slow: TooSlow) -> Self {
        Self::new(io::ErrorKind::TimedOut, slow)
    }
}

/// Runs `f` out of the reach of every cancellation from outside of it.
///
/// A scope inside of `f` can still be cancelled, and its deadline still counts. Outside of `run` this
/// only calls `f`.
///
/// # Cancellation
///
/// Not a checkpoint. What was cancelled meanwhile is raised at the first checkpoint after `f`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// giambio::testing::run_virtual(|| {
///     let mut saved = false;
///     giambio::skip_after(Duration::from_secs(1), |_| {
///         giambio::shield(|| giambio::sleep(Duration::from_secs(2))); // not cut
///         saved = true;
///         giambio::yield_now(); // this is
///         unreachable!();
///     });
///     assert!(saved);
/// });
/// ```
pub fn shield<T>(f: impl FnOnce() -> T) -> T {
    let Some(me) = park::current() else { return f() };
    let scope = Scope::new(me.worker(), Shield::Up);
    // SAFETY: `scope` is a local of this frame that is not moved, and `Entered` leaves it, also when
    // `f` unwinds.
    unsafe { scope.enter(me) };
    let _entered = Entered { scope: &scope, me };
    f()
}

/// Like [`shield`], for at most `timeout`: then it cancels `f` itself, and `None` says that this has cut
/// it.
///
/// For cleanup that may take a while but not for ever. The time is measured by
/// [`clock`](crate::clock()) from this call on; a `timeout` of zero cancels at the first checkpoint.
/// Outside of `run` this only calls `f`.
///
/// # Cancellation
///
/// Not a checkpoint. What was cancelled outside meanwhile is raised at the first checkpoint after it.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// giambio::testing::run_virtual(|| {
///     let nap = |seconds| giambio::sleep(Duration::from_secs(seconds));
///     giambio::cancellable(|pool| {
///         pool.cancel();
///         assert_eq!(giambio::shield_for(Duration::from_secs(2), || nap(1)), Some(()));
///         assert_eq!(giambio::shield_for(Duration::from_secs(2), || nap(3)), None);
///     });
/// });
/// ```
pub fn shield_for<T>(timeout: Duration, f: impl FnOnce() -> T) -> Option<T> {
    let Some(me) = park::current() else { return Some(f()) };
    let scope = Scope::new(me.worker(), Shield::Up);
    let result = {
        // SAFETY: `scope` is a local of this frame that is not moved, and `Entered` leaves it, also
        // when `f` unwinds.
        unsafe { scope.enter(me) };
        let _entered = Entered { scope: &scope, me };
        scope.set_deadline(me.worker().deadline_after(timeout));
        if timeout.is_zero() {
            // The timer fires only when the worker looks; a zero cancels at the first checkpoint.
            scope.cancel(&park::DEADLINE_PASSED);
        }
        caught(me, f)
    };
    match result {
        Ok(value) => Some(value),
        Err(payload) if cancelled_scope(&*payload) == Some(scope.id()) => None,
        Err(payload) => me.unwind_with(payload),
    }
}

/// The earliest deadline that could cut the calling task here: of all scopes around this call, up to
/// the innermost [`shield`]; `None` if there is none, and outside of `run`.
///
/// By the clock of [`clock`](crate::clock()). For protocols that tell the other side how long they will
/// wait. Never parks.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// giambio::testing::run_virtual(|| {
///     let left = || giambio::current_deadline().map(|at| at - giambio::clock());
///     assert_eq!(left(), None);
///     giambio::skip_after(Duration::from_secs(5), |_| {
///         giambio::skip_after(Duration::from_secs(9), |_| {
///             assert_eq!(left(), Some(Duration::from_secs(5)));
///             giambio::shield(|| assert_eq!(left(), None));
///         });
///     });
/// });
/// ```
#[must_use]
pub fn current_deadline() -> Option<Instant> {
    let me = park::running()?;
    let at = me.core().innermost().earliest_deadline()?;
    Some(me.worker().clock.instant(at))
}

/// A scope that is left on drop.
struct Entered<'s> {
    scope: &'s Scope,
    me: Running,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.scope.leave(self.me);
    }
}

/// Runs `body` and then, whatever became of it, `cleanup`, which may block.
///
/// `cleanup` also runs after a panic and after a cancellation, which go on once it has ended; it is
/// shielded, so its own calls work as ever. That is what a destructor cannot do: while a task unwinds
/// its I/O fails.
///
/// # Cancellation
///
/// Not a checkpoint of its own. A cancellation that cut `body` goes on after `cleanup`.
///
/// # Panics
///
/// Only if `body` or `cleanup` does. If both do, `body`'s panic goes on and `cleanup`'s is logged.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// giambio::testing::run_virtual(|| {
///     let mut said_goodbye = false;
///     giambio::skip_after(Duration::from_secs(1), |_| {
///         giambio::finally(giambio::sleep_forever, || {
///             giambio::sleep(Duration::from_secs(1)); // blocking calls work here
///             said_goodbye = true;
///         })
///     });
///     assert!(said_goodbye);
/// });
/// ```
pub fn finally<T>(body: impl FnOnce() -> T, cleanup: impl FnOnce()) -> T {
    let ended = caught_anywhere(body);
    let cleaned = caught_anywhere(|| shield(cleanup));
    match (ended, cleaned) {
        // A panic is worth more than a cancellation, whatever came first.
        (Err(cut), Err(payload)) if cancelled_scope(&*cut).is_some() => go_on(payload),
        (Err(payload), Err(second)) => {
            local::log(
                log::Level::Error,
                format_args!("a cleanup panicked after its body had: {}", said(&*second)),
            );
            local::drop_caught(second);
            go_on(payload)
        }
        (Err(payload), Ok(())) => go_on(payload),
        (Ok(value), Err(payload)) => {
            drop_value(value);
            go_on(payload)
        }
        (Ok(value), Ok(())) => value,
    }
}

/// [`caught`], inside of a task or outside.
fn caught_anywhere<T>(body: impl FnOnce() -> T) -> thread::Result<T> {
    match park::current() {
        Some(me) => caught(me, body),
        None => catch_unwind(AssertUnwindSafe(body)),
    }
}

/// Lets a caught unwind go on, inside of a task or outside.
fn go_on(payload: Box<dyn Any + Send>) -> ! {
    match park::current() {
        Some(me) => me.unwind_with(payload),
        None => resume_unwind(payload),
    }
}

/// A panic's message, if it has one.
pub(crate) fn said(payload: &(dyn Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&str>() {
        return text;
    }
    payload.downcast_ref::<String>().map_or("(no message)", String::as_str)
}
