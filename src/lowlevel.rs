//! Lowlevel: waiting for any descriptor, and for any other thread; a tick for callbacks.
//!
//! Layer 8. Imports: park, wait_queue, runtime, io, sys. Never: what is waited for.
//!
//! For libraries that bring their own descriptors, callbacks and threads. Each wait for a descriptor
//! registers and deregisters, two system calls; the types of [`net`](crate::net) register once.

use crate::hooks::WaitReason;
use crate::io;
use crate::park;
use crate::runtime;
use crate::runtime::Tick;
use crate::sys::Direction;
use crate::task::Abort;
use crate::task::phase::Winner;
use crate::wait_queue::WaitQueue;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

/// Parks the calling task until `fd` can be read, or has an error or an end to report.
///
/// The descriptor may be in blocking mode, may be registered elsewhere, and other tasks may wait for
/// it as well. What is always ready (a regular file) returns at once. Outside of `run` it blocks the
/// thread.
///
/// # Cancellation
///
/// A checkpoint on every call. A cancelled wait has changed nothing.
///
/// # Errors
///
/// The system's, if the descriptor cannot be waited for.
///
/// # Examples
///
/// ```
/// use std::io::Write;
/// use std::os::unix::net::UnixStream;
///
/// giambio::run(|| -> std::io::Result<()> {
///     let (mut ours, theirs) = UnixStream::pair()?;
///     giambio::pool(|pool| {
///         let waiter = pool.spawn(|| giambio::lowlevel::wait_readable(&theirs));
///         ours.write_all(b"x")?;
///         waiter.join().unwrap()
///     })
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn wait_readable(fd: impl AsFd) -> std::io::Result<()> {
    io::wait_once(fd.as_fd(), Direction::Read)
}

/// Parks the calling task until `fd` can be written, or has an error to report.
///
/// Otherwise like [`wait_readable`].
///
/// # Cancellation
///
/// A checkpoint on every call. A cancelled wait has changed nothing.
///
/// # Errors
///
/// The system's, if the descriptor cannot be waited for.
///
/// # Examples
///
/// ```
/// use std::os::unix::net::UnixStream;
///
/// let (ours, _theirs) = UnixStream::pair()?;
/// giambio::run(|| giambio::lowlevel::wait_writable(&ours))?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn wait_writable(fd: impl AsFd) -> std::io::Result<()> {
    io::wait_once(fd.as_fd(), Direction::Write)
}

/// Turns the loop that this thread's [`drive`](crate::Runtime::drive) is in; `None` if it is in none.
///
/// [`Driver::tick`](crate::Driver::tick), for those callbacks of a foreign loop that cannot borrow the
/// driver. Once the drive has ended they get `None`.
///
/// # Panics
///
/// Inside of a task: only the host of a drive ticks. Otherwise like `Driver::tick`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// // A foreign loop, which keeps its callbacks for ever.
/// type Callbacks = Vec<Box<dyn FnMut()>>;
/// let mut callbacks: Callbacks = Vec::new();
///
/// let mut runtime = giambio::Builder::new().build()?;
/// let main = || giambio::sleep(Duration::from_millis(1));
/// runtime.drive(main, |driver| {
///     callbacks.push(Box::new(|| {
///         giambio::lowlevel::tick(Some(Duration::from_millis(16)));
///     }));
///     while !driver.is_done() {
///         callbacks.iter_mut().for_each(|callback| callback());
///     }
/// });
/// assert!(giambio::lowlevel::tick(None).is_none());
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn tick(max_wait: Option<Duration>) -> Option<Tick> {
    runtime::tick_here("`giambio::lowlevel::tick`", max_wait)
}

/// Parks a task until somebody, on whatever thread, uses its [`Unparker`].
///
/// Works like crossbeam-utils' `Parker`: it holds at most one token, `unpark` leaves it and `park`
/// takes it, in either order. Outside of `run` it parks the thread.
///
/// # Examples
///
/// ```
/// use giambio::lowlevel::Parker;
///
/// giambio::run(|| {
///     let parker = Parker::new();
///     let unparker = parker.unparker();
///     std::thread::spawn(move || unparker.unpark());
///     parker.park(); // other tasks run meanwhile
/// });
/// ```
///
/// It may go to another thread, but is used by one at a time:
///
/// ```
/// fn may_go<T: Send>() {}
/// may_go::<giambio::lowlevel::Parker>();
/// ```
///
/// ```compile_fail,E0277
/// let parker = giambio::lowlevel::Parker::new();
/// std::thread::scope(|threads| {
///     threads.spawn(|| parker.park());
/// });
/// ```
pub struct Parker {
    token: Arc<WaitQueue<bool>>,
    /// Not `Sync`: whose token would it be?
    one_at_a_time: PhantomData<std::cell::Cell<()>>,
}

impl Parker {
    /// A parker without a token.
    #[must_use]
    pub fn new() -> Self {
        Self { token: Arc::new(WaitQueue::new(false)), one_at_a_time: PhantomData }
    }

    /// A handle that leaves the token; it may go anywhere.
    #[must_use]
    pub fn unparker(&self) -> Unparker {
        Unparker { token: Arc::clone(&self.token) }
    }

    /// Takes the token, parking the calling task until there is one.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call, also when the token is there. A cancelled `park` has not taken it.
    pub fn park(&self) {
        self.park_until(None);
    }

    /// Like [`park`](Self::park), for at most `timeout`: false if that passed first.
    ///
    /// # Cancellation
    ///
    /// As for [`park`](Self::park).
    pub fn park_timeout(&self, timeout: Duration) -> bool {
        self.park_until(crate::time::clock().checked_add(timeout))
    }

    fn park_until(&self, deadline: Option<Instant>) -> bool {
        if let Some(me) = park::current() {
            me.checkpoint();
        }
        let reason = WaitReason::Unpark;
        let take = |token: &mut bool| std::mem::take(token);
        self.token.wait_unless(deadline, reason, Abort::Now, take) == Winner::Event
    }
}

impl Default for Parker {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Parker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parker").finish_non_exhaustive()
    }
}

/// Wakes the task of a [`Parker`], from any thread.
#[derive(Clone)]
pub struct Unparker {
    token: Arc<WaitQueue<bool>>,
}

impl Unparker {
    /// Leaves the token, and wakes who waits for it. Never parks.
    pub fn unpark(&self) {
        self.token.wake_first_or(|token| *token = true);
    }
}

impl fmt::Debug for Unparker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unparker").finish_non_exhaustive()
    }
}
