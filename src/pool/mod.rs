//! Pool: tasks that end before the call that started them returns.
//!
//! Layer 6. Imports: scope, park, task. Never: locks, channels, files.
//!
//! The lifetimes are those of [`std::thread::scope`]: children may borrow what lives outside of the
//! pool (`'env`) and the pool itself (`'scope`), never one another's locals.

mod builder;
mod combine;
pub(crate) mod crew;
pub(crate) mod group;
mod handle;
pub(crate) mod joined;
mod map;
pub(crate) mod record;
#[cfg(doctest)]
mod refused;
mod scoped;
mod start;
mod try_pool;

pub use builder::TaskBuilder;
pub use combine::join;
pub use combine::join_all;
pub use combine::race;
pub use combine::race_all;
pub use group::OnFailure;
pub use handle::JoinError;
pub use handle::Task;
pub use map::Map;
pub use map::MapUnordered;
pub use scoped::cancellable;
pub use scoped::pool;
pub use scoped::skip_after;
pub use scoped::with_timeout;
pub use start::Started;
pub use try_pool::TryPool;
pub use try_pool::try_pool;

use crate::park;
use crate::park::Class;
use crate::park::Running;
use crate::scope::Canceller;
use crate::task::cancel::Cause;
use crate::time;
use group::Group;
use joined::Joined;
use joined::Plan;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::time::Duration;
use std::time::Instant;

/// Owns child tasks, and is their cancel scope: they end before it does, and can be stopped as one.
///
/// Made by [`pool`], [`try_pool()`], [`cancellable`], [`skip_after`] and [`with_timeout`]. A reference
/// to it is `Copy`; hand it to the children that are to spawn as well. It stays on its thread:
///
/// ```compile_fail,E0277
/// giambio::run(|| {
///     giambio::pool(|pool| {
///         std::thread::scope(|threads| threads.spawn(|| pool.cancel()).join().unwrap());
///     });
/// });
/// ```
///
/// and in its closure:
///
/// ```compile_fail
/// giambio::run(|| {
///     let mut escaped = None;
///     giambio::pool(|pool| escaped = Some(pool));
/// });
/// ```
///
/// A child cannot borrow from another child, nor from the body, which may end first:
///
/// ```compile_fail,E0373
/// giambio::run(|| {
///     giambio::pool(|pool| {
///         let text = String::from("gone");
///         pool.spawn(|| println!("{text}"));
///     });
/// });
/// ```
pub struct Pool<'scope, 'env: 'scope> {
    group: Group,
    /// Invariant, so that neither lifetime can be shrunk; and neither `Send` nor `Sync`, since a
    /// spawn from another thread would hand it a closure that is not `Send`.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
    this_thread: PhantomData<*const ()>,
}

impl<'scope, 'env> Pool<'scope, 'env> {
    fn new(group: Group) -> Self {
        Self { group, scope: PhantomData, env: PhantomData, this_thread: PhantomData }
    }

    /// Starts a task that runs `f`, and returns at once.
    ///
    /// The task runs on this thread, as soon as the calling task parks or yields, in the order of the
    /// spawns. `f` needs to be neither `Send` nor `'static`. In a cancelled pool it never runs. A
    /// panic in `f` fails the pool. Never parks.
    ///
    /// # Panics
    ///
    /// If no stack is to be had: see [`TaskBuilder::try_spawn`] for an error instead.
    ///
    /// # Examples
    ///
    /// ```
    /// let words = ["write", "blocking", "Rust"];
    /// let lengths = giambio::run(|| {
    ///     giambio::pool(|pool| {
    ///         let tasks = words.each_ref().map(|word| pool.spawn(|| word.len())); // borrows `words`
    ///         tasks.map(|task| task.join().unwrap())
    ///     })
    /// });
    /// assert_eq!(lengths, [5, 8, 4]);
    /// ```
    #[track_caller]
    #[inline]
    pub fn spawn<T: 'scope>(&'scope self, f: impl FnOnce() -> T + 'scope) -> Task<'scope, T> {
        TaskBuilder::new().spawn(self, f)
    }

    /// Like [`spawn`](Self::spawn), for a task whose panic does not fail the pool.
    ///
    /// The panic is [`Task::join`]'s error; if nobody joins, it goes to the log. Never parks.
    ///
    /// # Panics
    ///
    /// If no stack is to be had.
    ///
    /// # Examples
    ///
    /// ```
    /// giambio::run(|| {
    ///     giambio::pool(|pool| {
    ///         let task = pool.spawn_isolated(|| std::panic::resume_unwind(Box::new(7)));
    ///         let payload = task.join().unwrap_err().into_panic().unwrap();
    ///         assert_eq!(payload.downcast_ref::<i32>(), Some(&7));
    ///     });
    /// });
    /// ```
    #[track_caller]
    pub fn spawn_isolated<T: 'scope>(
        &'scope self,
        f: impl FnOnce() -> T + 'scope,
    ) -> Task<'scope, T> {
        TaskBuilder::new().isolated().spawn(self, f)
    }

    /// Like [`spawn`](Self::spawn), for a task that begins `delay` from now, by
    /// [`clock`](crate::clock()).
    ///
    /// It has a stack and counts as the pool's child meanwhile. Cancelled before its time, it never runs.
    ///
    /// # Panics
    ///
    /// If no stack is to be had.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// giambio::testing::run_virtual(|| {
    ///     let start = giambio::clock();
    ///     giambio::pool(|pool| {
    ///         let task = pool.spawn_after(Duration::from_secs(3), giambio::clock);
    ///         assert_eq!(task.join().unwrap() - start, Duration::from_secs(3));
    ///     });
    /// });
    /// ```
    #[track_caller]
    pub fn spawn_after<T: 'scope>(
        &'scope self,
        delay: Duration,
        f: impl FnOnce() -> T + 'scope,
    ) -> Task<'scope, T> {
        let me = park::current_for("`spawn_after`");
        let at = me.worker().deadline_after(delay);
        TaskBuilder::new().spawn(self, move || {
            let me = park::current_for("`spawn_after`");
            me.checkpoint();
            time::park_until(me, at);
            f()
        })
    }

    /// Like [`spawn`](Self::spawn), for a task that the pool does not wait for: when all the others have
    /// ended, and the body has, the daemons are cancelled.
    ///
    /// For heartbeats, flushers and the like. The pool still ends after they have: their destructors
    /// run, and a panic of theirs fails the pool. One that had no chance to begin by then never runs.
    ///
    /// # Panics
    ///
    /// If no stack is to be had.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::cell::Cell;
    /// use std::time::Duration;
    ///
    /// giambio::testing::run_virtual(|| {
    ///     let beats = Cell::new(0);
    ///     giambio::pool(|pool| {
    ///         pool.spawn_daemon(|| loop {
    ///             giambio::sleep(Duration::from_secs(1));
    ///             beats.set(beats.get() + 1);
    ///         });
    ///         pool.spawn(|| giambio::sleep(Duration::from_millis(3500)));
    ///     });
    ///     assert_eq!(beats.get(), 3);
    /// });
    /// ```
    #[track_caller]
    pub fn spawn_daemon<T: 'scope>(
        &'scope self,
        f: impl FnOnce() -> T + 'scope,
    ) -> Task<'scope, T> {
        TaskBuilder::new().daemon().spawn(self, f)
    }

    /// Cancels every child, present and future: their next checkpoints raise.
    ///
    /// In a [`cancellable`], [`skip_after`] or [`with_timeout`] it cancels the body too; a plain
    /// pool's body goes on, since there would be nothing to return in its place. Never parks, and
    /// runs none of the children's code.
    ///
    /// # Examples
    ///
    /// ```
    /// giambio::run(|| {
    ///     giambio::pool(|pool| {
    ///         pool.spawn(|| giambio::sleep_forever());
    ///         pool.cancel(); // or this would never end
    ///         assert!(pool.is_cancelled());
    ///     });
    /// });
    /// ```
    pub fn cancel(&self) {
        self.group.scope().cancel(&Cause::Asked);
    }

    /// Like [`cancel`](Self::cancel), with words for whoever asks why: they stand in the children's
    /// [`JoinError`]s, and in the log's line about a task that swallows its cancellation.
    ///
    /// # Examples
    ///
    /// ```
    /// giambio::run(|| {
    ///     giambio::pool(|pool| {
    ///         let task = pool.spawn(|| giambio::sleep_forever());
    ///         pool.cancel_because("the configuration has changed");
    ///         let error = task.join().map(drop).unwrap_err().to_string();
    ///         assert!(error.ends_with("was cancelled: the configuration has changed"));
    ///     });
    /// });
    /// ```
    pub fn cancel_because(&self, reason: impl Into<String>) {
        self.group.scope().cancel_because(reason.into());
    }

    /// Says what becomes of the other tasks, and of the body, when a task or the body fails; they are
    /// cancelled unless this says otherwise.
    ///
    /// However many fail, none is lost: the first failure is the pool's, the others are logged with
    /// their tasks' names. The policy counts from now on, for failures to come.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::OnFailure;
    ///
    /// let mut saved = 0;
    /// let result = giambio::run(|| {
    ///     giambio::try_pool(|pool| {
    ///         pool.on_failure(OnFailure::LetOthersFinish);
    ///         pool.spawn(|| Err::<(), _>("disk full"));
    ///         giambio::yield_now(); // not cut
    ///         saved += 1;
    ///         Ok(())
    ///     })
    /// });
    /// assert_eq!((result, saved), (Err("disk full"), 1));
    /// ```
    pub fn on_failure(&self, policy: OnFailure) {
        self.group.set_on_failure(policy);
    }

    /// The right to call [`cancel`](Self::cancel) from anywhere, also from other threads.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        match self.group.scope().canceller() {
            Some(canceller) => canceller,
            None => unreachable!("a pool exists without its worker"),
        }
    }

    /// Whether the children are being cancelled: by `cancel`, the deadline, a failure, or from
    /// further out.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.group.scope().is_cancelled()
    }

    /// When the pool's own deadline cancels it, by the clock of [`clock`](crate::clock()).
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let at = self.group.scope().deadline()?;
        park::worker_here(|worker| worker.clock.instant(at))
    }

    /// Sets, moves or takes away the deadline, which does what [`cancel`](Self::cancel) does.
    ///
    /// A deadline that has passed already cancels when the worker next looks at its clock: after some tens
    /// of steps of its tasks, or as soon as none of them can run.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// giambio::testing::run_virtual(|| {
    ///     let start = giambio::clock();
    ///     giambio::pool(|pool| {
    ///         pool.set_deadline(Some(start + Duration::from_secs(2)));
    ///         pool.spawn(|| giambio::sleep_forever());
    ///     });
    ///     assert_eq!(giambio::clock() - start, Duration::from_secs(2));
    /// });
    /// ```
    pub fn set_deadline(&self, at: Option<Instant>) {
        let at = at.and_then(|at| park::worker_here(|worker| worker.deadline_at(at))?);
        self.group.scope().set_deadline(at);
    }

    /// Makes a task whose closure says `None` when it has failed the pool itself.
    ///
    /// # Errors
    ///
    /// If no stack is to be had.
    #[inline]
    fn admit<T: 'scope>(
        &'scope self,
        me: Running,
        plan: Plan,
        f: impl FnOnce() -> Option<T> + 'scope,
    ) -> io::Result<Task<'scope, T>> {
        let joined: NonNull<Joined<T>> =
            // SAFETY: the group lies in this pool's frame, which outlives its children (I3) and all
            // that `'scope` may name; `Task<'scope, T>` takes the outcome or forgets it.
            unsafe { record::admit(me.worker(), &raw const self.group, plan, (), f)? };
        // SAFETY: the handle's share was made for this handle, and `'scope` is this pool's.
        Ok(unsafe { Task::new(joined) })
    }
}

/// The class of the stacks of tasks that ask for none in particular.
fn default_stack(me: Running) -> Class {
    me.worker().default_stack()
}

impl fmt::Debug for Pool<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("cancelled", &self.is_cancelled()).finish_non_exhaustive()
    }
}
