//! Scope: threads that borrow, and end before the call that they were started in.
//!
//! Layer 8. Imports: thread's own files, pool, park. Never: how threads end.
//!
//! Lifetimes and calls are those of [`std::thread::scope`]. Inside of `run` the threads are a [`Crew`]; outside
//! they are std's, and this wraps std's scope. The wrapper lies in a frame around std's call, since threads
//! refer to it as long as std's scope goes on, and so it knows std's by its address only. Rejected: leaking
//! the wrapper, which needs no address and some bytes for ever.

use super::Builder;
use super::Thread;
use super::handle::Handle;
use super::handle::Signal;
use super::handover::Claim;
use super::handover::Handover;
use crate::channel::End;
use crate::channel::Ending;
use crate::park;
use crate::park::new_task_id_elsewhere;
use crate::pool::crew::Crew;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::panic::RefUnwindSafe;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;

/// Where threads are started that may borrow: see [`scope`].
///
/// It can be shared with other threads, which may then start threads here as well:
///
/// ```
/// fn may_be_shared<T: Sync>() {}
/// may_be_shared::<giambio::thread::Scope<'static, 'static>>();
/// ```
///
/// It does not leave its closure, and what is started borrows nothing that the closure owns:
///
/// ```compile_fail
/// let mut escaped = None;
/// giambio::thread::scope(|scope| escaped = Some(scope));
/// ```
///
/// ```compile_fail,E0373
/// giambio::thread::scope(|scope| {
///     scope.spawn(|| {
///         let text = String::from("gone");
///         scope.spawn(|| println!("{text}"));
///     });
/// });
/// ```
///
/// ```compile_fail,E0373
/// giambio::thread::scope(|scope| {
///     let text = String::from("gone");
///     scope.spawn(|| println!("{text}"));
/// });
/// ```
///
/// What goes into a thread must be `Send`, also if it is a task on the same worker:
///
/// ```compile_fail,E0277
/// let count = std::rc::Rc::new(1);
/// giambio::thread::scope(|scope| {
///     scope.spawn(|| *count);
/// });
/// ```
pub struct Scope<'scope, 'env: 'scope> {
    kind: Kind,
    /// Invariant, so that neither lifetime can be shrunk.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

#[expect(clippy::large_enum_variant, reason = "one lies in the frame of each call of `scope`")]
enum Kind {
    Tasks {
        crew: Crew,
        /// Threads that have panicked and were not joined.
        failures: AtomicUsize,
    },
    /// The `std::thread::Scope<'scope, 'env>` that this is the wrapper of.
    System(AtomicPtr<()>),
}

/// A panic may pass through a scope: it keeps no state of the user's.
impl RefUnwindSafe for Scope<'_, '_> {}

/// Opens a scope for `f`, in which threads may borrow what lives outside of the call, and returns `f`'s
/// value when the last of them has ended.
///
/// Inside of [`run`](crate::run) the threads are tasks on the worker of the calling one, wherever they are
/// started. A panic of one does not stop the others. Outside it is [`std::thread::scope`].
///
/// # Cancellation
///
/// The end is a checkpoint on every call, after the last thread has ended. Unlike those of
/// [`spawn`](super::spawn), the threads are in the caller's cancel scopes: what cuts the caller from outside,
/// a timeout for instance, reaches them as well, and is raised in the caller when all have ended. The value
/// is dropped then.
///
/// # Panics
///
/// With the panic of `f`. If a thread has panicked that nobody has joined. Both when all threads have ended.
///
/// # Examples
///
/// ```
/// use giambio::thread;
///
/// let mut numbers = vec![1, 2, 3];
/// giambio::run(|| {
///     thread::scope(|scope| {
///         for number in &mut numbers {
///             scope.spawn(|| *number += 1);
///         }
///     });
/// });
/// assert_eq!(numbers, [2, 3, 4]);
/// ```
///
/// ```
/// use giambio::thread;
/// use std::time::Duration;
///
/// giambio::testing::run_virtual(|| {
///     let slow = || {
///         thread::scope(|scope| {
///             scope.spawn(|| thread::sleep(Duration::from_secs(3600)));
///         });
///     };
///     assert!(giambio::with_timeout(Duration::from_secs(1), |_| slow()).is_err());
/// });
/// ```
#[track_caller]
pub fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    let Some(me) = park::current() else { return scope_outside(f) };
    let kind = Kind::Tasks { crew: Crew::new(me), failures: AtomicUsize::new(0) };
    let scope = Scope { kind, scope: PhantomData, env: PhantomData };
    let Kind::Tasks { crew, failures } = &scope.kind else { unreachable!("made above") };
    let result = crew.run(me, || f(&scope));
    // Relaxed: whoever has changed it has ended, and this task has seen that.
    if failures.load(Ordering::Relaxed) > 0 {
        panic!("a scoped thread panicked");
    }
    match result {
        Ok(value) => {
            me.checkpoint();
            value
        }
        Err(cut) => cut.resume(me),
    }
}

fn scope_outside<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    let kind = Kind::System(AtomicPtr::new(ptr::null_mut()));
    let scope = Scope { kind, scope: PhantomData, env: PhantomData };
    let Kind::System(of_std) = &scope.kind else { unreachable!("made above") };
    thread::scope(|within| {
        // Relaxed: other threads get the scope from `f`.
        of_std.store(ptr::from_ref(within).cast_mut().cast(), Ordering::Relaxed);
        f(&scope)
    })
}

impl<'scope, 'env> Scope<'scope, 'env> {
    /// Starts a thread that runs `f`, which may borrow what lives outside of the scope, and returns at once.
    ///
    /// The scope waits for it, joined or not. From a thread that is not on the worker of this scope, a plain
    /// one or a task of another runtime, the task is asked for, and that worker starts it.
    ///
    /// # Cancellation
    ///
    /// Never parks. In a cancelled scope `f` never runs.
    ///
    /// # Panics
    ///
    /// If no stack is to be had, or outside no thread: see [`Builder::spawn_scoped`].
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::thread;
    ///
    /// let words = ["write", "blocking", "Rust"];
    /// let lengths = giambio::run(|| {
    ///     thread::scope(|scope| {
    ///         let threads = words.each_ref().map(|word| scope.spawn(|| word.len()));
    ///         threads.map(|thread| thread.join().unwrap())
    ///     })
    /// });
    /// assert_eq!(lengths, [5, 8, 4]);
    /// ```
    #[track_caller]
    pub fn spawn<F, T>(&'scope self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        match self.start(Builder::new(), f) {
            Ok(handle) => handle,
            Err(error) => panic!("failed to spawn thread: {error}"),
        }
    }

    #[track_caller]
    pub(super) fn start<F, T>(
        &'scope self,
        builder: Builder,
        f: F,
    ) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let (crew, failures) = match &self.kind {
            Kind::Tasks { crew, failures } => (crew, failures),
            Kind::System(of_std) => return self.start_outside(of_std, builder, f),
        };
        let here = crew.at_home();
        let id = here.map_or_else(new_task_id_elsewhere, |me| me.worker().new_task_id());
        let stack = builder.class()?;
        let who = builder.identity(id);
        let handover = Handover::new(Arc::clone(&who), Some(failures));
        let thread = Thread::of_task(Arc::clone(&who));
        let receiver = Arc::clone(&handover);
        match here {
            // SAFETY: `at_home` has said so, and a task has this reference only below `run`. `'scope` outlives
            // `run`: it is invariant, and `scope` has chosen it for a value around that call.
            Some(me) => unsafe { crew.spawn(me, who, stack, receiver, f) }?,
            // SAFETY: who has this reference, on whatever thread, is waited for before `'scope` ends, that is
            // by the body or by a child; the rest as above.
            None => unsafe { crew.ask_for(who, stack, receiver, f) },
        }
        Ok(ScopedJoinHandle(Handle::of_task(thread, Claim::new(handover))))
    }

    fn start_outside<F, T>(
        &'scope self,
        of_std: &AtomicPtr<()>,
        builder: Builder,
        f: F,
    ) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let of_std = of_std.load(Ordering::Relaxed).cast::<thread::Scope<'scope, 'env>>();
        // SAFETY: set by `scope_outside` to std's scope before anybody had this one, and who has it is waited
        // for before std's ends. That `'scope` is a little longer here, up to the end of the call around
        // std's, asks more of what is borrowed, not less.
        let of_std = unsafe { &*of_std };
        let signal = Signal::new();
        let sender = signal.sender();
        let handle = builder.of_std().spawn_scoped(of_std, move || sender.around(f))?;
        let thread = Thread::of_system(handle.thread().clone());
        Ok(ScopedJoinHandle(Handle::of_system(thread, handle, signal)))
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}

/// For a select that waits until the thread has ended.
impl<T> Ending for ScopedJoinHandle<'_, T> {
    fn end(&self) -> End<'_> {
        self.0.end()
    }
}

/// The right to join a thread of a [`scope`].
///
/// Dropping it lets the thread go on; the scope waits for it. Compare [`std::thread::ScopedJoinHandle`].
pub struct ScopedJoinHandle<'scope, T>(Handle<'scope, T, thread::ScopedJoinHandle<'scope, T>>);

impl<T> ScopedJoinHandle<'_, T> {
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
    /// Otherwise like [`JoinHandle::join`](super::JoinHandle::join).
    ///
    /// # Cancellation
    ///
    /// As for [`JoinHandle::join`](super::JoinHandle::join).
    ///
    /// # Errors
    ///
    /// As for [`JoinHandle::join`](super::JoinHandle::join). An [`io::Error`] as the payload if the thread
    /// was asked for from elsewhere, and there was no stack for it.
    ///
    /// # Panics
    ///
    /// As for [`JoinHandle::join`](super::JoinHandle::join).
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::thread;
    ///
    /// giambio::run(|| {
    ///     thread::scope(|scope| {
    ///         let failed = scope.spawn(|| std::panic::resume_unwind(Box::new(7)));
    ///         assert!(failed.join().is_err()); // so the scope does not panic
    ///     });
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

impl<T> fmt::Debug for ScopedJoinHandle<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedJoinHandle").finish_non_exhaustive()
    }
}
