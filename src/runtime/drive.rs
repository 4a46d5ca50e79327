//! Drive: a runtime whose loop somebody else turns.
//!
//! Layer 6. Imports: pool, park, scope, task. Never: what the host does between its ticks.
//!
//! Chosen: the driver is lent to a closure. Rejected: a driver that is owned, to be dropped at the end.
//! One that was forgotten would never end its tasks, and `main` borrows from its caller's frames, which
//! would go on without them; only what runs below a frame can keep that frame in place.

use super::Runtime;
use super::refuse_nesting;
use super::threads::Threads;
use crate::park;
pub use crate::park::Tick;
use crate::park::Worker;
use crate::pool::joined;
use crate::pool::joined::Joined;
use crate::pool::joined::Outcome;
use crate::scope;
use crate::sys;
use crate::task::Core;
use crate::task::local;
use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::ptr::NonNull;
use std::thread;
use std::time::Duration;

/// The loop of a runtime, in the hands of [`Runtime::drive`]'s closure.
///
/// Its descriptor ([`AsFd`]) is for programs that wait in a loop of their own, in `poll(2)`, `epoll(7)`
/// or whatever is built on them. From the first [`as_fd`](AsFd::as_fd) on it becomes readable whenever a
/// tick is due: when a socket or another descriptor that a task waits for is ready, when the next
/// deadline has passed, when another thread or the host itself has woken or cancelled a task, and when
/// the last tick [left something to do](Tick::is_ready). So it is all that a host has to wait for. Each of
/// these is also an edge, for loops that are edge-triggered. It may be readable without a reason; a tick
/// makes it unreadable, and reading from it is of no use. It stays the same as long as the runtime lives.
/// Without `as_fd` no system call is spent on all this.
///
/// On the clock of [`testing::builder`](crate::testing::builder) no deadline passes by itself, so none is
/// in the descriptor.
///
/// # Examples
///
/// ```
/// use std::os::fd::{AsFd, AsRawFd};
/// use std::time::Duration;
///
/// let mut runtime = giambio::Builder::new().build()?;
/// let main = || giambio::sleep(Duration::from_millis(5));
/// let ((), slept) = runtime.drive(main, |driver| {
///     let fd = driver.as_fd().as_raw_fd();
///     // What the program waits for itself stands beside this.
///     let mut entries = [libc::pollfd { fd, events: libc::POLLIN, revents: 0 }];
///     loop {
///         // SAFETY: the entries are valid, and borrowed for the call.
///         unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as _, -1) };
///         if entries[0].revents != 0 && driver.tick(Some(Duration::ZERO)).is_done {
///             break;
///         }
///     }
/// });
/// assert!(slept.is_some());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// It does not leave its closure, nor its thread:
///
/// ```compile_fail,E0521
/// let mut runtime = giambio::Builder::new().build().unwrap();
/// let mut escaped = None;
/// runtime.drive(|| (), |driver| escaped = Some(driver));
/// ```
///
/// ```compile_fail,E0277
/// let mut runtime = giambio::Builder::new().build().unwrap();
/// runtime.drive(|| (), |driver| {
///     std::thread::scope(|threads| {
///         threads.spawn(|| driver.tick(None));
///     });
/// });
/// ```
///
/// So it cannot be forgotten, or exchanged for another; `forget` gets a reference, which is nothing:
///
/// ```compile_fail,E0507
/// let mut runtime = giambio::Builder::new().build().unwrap();
/// runtime.drive(|| (), |driver| std::mem::forget(*driver));
/// ```
///
/// ```compile_fail
/// let mut one = giambio::Builder::new().build().unwrap();
/// let mut other = giambio::Builder::new().build().unwrap();
/// one.drive(|| (), |first| {
///     other.drive(|| (), |second| std::mem::swap(first, second));
/// });
/// ```
pub struct Driver<'d, T> {
    worker: &'d Worker,
    main: NonNull<Joined<T>>,
    /// Invariant, so that no two drivers are ever of the same type.
    this_drive: PhantomData<&'d mut &'d ()>,
}

impl<T> Driver<'_, T> {
    /// Turns the loop once: looks at everything that could make a task ready, and runs some tens of steps.
    ///
    /// If nothing can run it waits until something can, the thread being asleep in the kernel: for at
    /// most `max_wait`, that is not at all for a zero, and for as long as it takes for `None`. It may come
    /// back earlier without having run anything, for instance after a signal. The limit is kept like the
    /// time of a [`sleep`](crate::sleep()). A tick comes back although tasks never wait; those that could
    /// not run any more are first in the next one.
    ///
    /// That every task waits is no deadlock here, since the host may still change it; if it gives the
    /// thread away for ever nevertheless, the log says once who waits for what.
    ///
    /// On the clock of [`testing::builder`](crate::testing::builder) a tick never really waits. What can
    /// run runs first, and only a tick that begins with nothing to run moves the clock: to the next
    /// deadline, but by at most `max_wait`; without a deadline by `max_wait`, and for `None` not at all.
    ///
    /// # Panics
    ///
    /// While the thread unwinds. In the child of a fork it aborts.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let mut runtime = giambio::Builder::new().build()?;
    /// let main = || {
    ///     giambio::yield_now();
    ///     giambio::sleep(Duration::from_millis(1));
    /// };
    /// runtime.drive(main, |driver| {
    ///     let first = driver.tick(None);
    ///     assert_eq!((first.steps, first.is_ready, first.is_done), (2, false, false));
    ///     assert!(first.next_deadline.is_some());
    ///     while !driver.tick(Some(Duration::from_millis(16))).is_done {
    ///         // draws a frame
    ///     }
    /// });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn tick(&self, max_wait: Option<Duration>) -> Tick {
        refuse_tick("`Driver::tick`");
        self.worker.tick(max_wait)
    }

    /// Whether every task has ended, the main one too: then there is nothing more to tick for.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.worker.is_done()
    }

    /// Takes the value of the main closure, if that has returned and no [thread](crate::thread) is left. [`drive`](Runtime::drive) then returns
    /// `None` in its place.
    pub fn take_value(&mut self) -> Option<T> {
        // SAFETY: `drive` releases the record after its closure, and this value lives in that closure.
        let main = unsafe { self.main.as_ref() };
        if !main.core.finished.get() || !main.has_returned() {
            return None;
        }
        match main.take_outcome() {
            Outcome::Returned(value) => Some(value),
            _ => unreachable!("a value was there, and is not"),
        }
    }
}

impl<T> AsFd for Driver<'_, T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.worker.descriptor()
    }
}

impl<T> fmt::Debug for Driver<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("done", &self.is_done()).finish_non_exhaustive()
    }
}

/// Turns the loop of the drive that this thread is in.
#[track_caller]
pub(crate) fn tick_here(call: &str, max_wait: Option<Duration>) -> Option<Tick> {
    refuse_tick(call);
    park::worker_here(|worker| worker.tick(max_wait))
}

/// A tick belongs to the host, between two others.
#[track_caller]
fn refuse_tick(call: &str) {
    // In a hook, or in the child of a fork, this says so by itself.
    assert!(park::current().is_none(), "{call} inside of a task: the loop runs already");
    // I5 could not tell the tasks' unwinds from the thread's.
    let unwinds = park::worker_here(Worker::host_unwinds);
    assert!(unwinds != Some(true), "{call} in a destructor while the thread unwinds");
}

impl Runtime {
    /// Runs `main` and everything that it starts, like [`run`](Self::run), but leaves the loop to `host`:
    /// the tasks run while `host` calls [`Driver::tick`], and only then.
    ///
    /// For programs that have a loop already: that of a window system, of a game, of another runtime.
    /// `host` runs on this thread and is no task. Between two ticks its blocking calls, also those of this
    /// crate, block the thread and all tasks with it; what needs a task panics, as outside of `run`, and so
    /// does another `run`. [`Canceller`](crate::Canceller), [`Unparker`](crate::lowlevel::Unparker),
    /// [`clock`](crate::clock()) and [`debug::stacks`](crate::debug::stacks) work. Callbacks that cannot
    /// borrow the driver use [`lowlevel::tick`](crate::lowlevel::tick).
    ///
    /// When `host` has returned or panicked, what is unfinished is cancelled from `main` on and run to its
    /// end, and so are the [threads](crate::thread) that are left when `main` ends earlier: destructors run, what is shielded completes, and really waits. Then this returns what `host` has
    /// returned, and the value of `main`: `None` if that was cut, or if its value was
    /// [taken](Driver::take_value).
    ///
    /// # Panics
    ///
    /// With the panic of `host` or of `main`, at the end of both; if both panic, with the one that came
    /// first, and the other is logged. Inside of another `run` or `drive`. While the thread unwinds
    /// already. In the child of a fork, if the runtime was built before it; the child of a fork in `host`
    /// must not leave it, and aborts if it does.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut runtime = giambio::Builder::new().build()?;
    /// let mut log = Vec::new();
    /// let main = || {
    ///     giambio::yield_now();
    ///     log.push("borrowed");
    ///     42
    /// };
    /// let (ticks, value) = runtime.drive(main, |driver| {
    ///     let mut ticks = 1;
    ///     while !driver.tick(None).is_done {
    ///         ticks += 1;
    ///     }
    ///     ticks
    /// });
    /// assert_eq!((ticks, value), (1, Some(42)));
    /// assert_eq!(log, ["borrowed"]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// A host that returns early:
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let mut runtime = giambio::Builder::new().build()?;
    /// let mut saved = false;
    /// let main = || giambio::finally(giambio::sleep_forever, || saved = true);
    /// let (_, value) = runtime.drive(main, |driver| driver.tick(Some(Duration::ZERO)));
    /// assert!(value.is_none());
    /// assert!(saved);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn drive<T, R>(
        &mut self,
        main: impl FnOnce() -> T,
        host: impl FnOnce(&mut Driver<'_, T>) -> R,
    ) -> (R, Option<T>) {
        refuse_nesting("giambio::Runtime::drive");
        let threads = Threads::new();
        // SAFETY: `main`, its value and the threads live in this frame, and what they borrow outlives it.
        // It ends after the last task, whatever `host` does: a return and a panic of `host` both lead to
        // `finish_alone`, which returns when every task has ended, and until `end` an unwind aborts
        // (I2). `host` is lent a reference to the driver for less than this call, so neither of them
        // can be kept, and forgetting the reference ends nothing.
        let joined = unsafe { self.admit(&threads, || Some(main())) };
        // SAFETY: the handle's share of the record is ours until the release below.
        let record = unsafe { joined.as_ref() };
        let begun = self.worker.begin(&record.core);
        let mut driver = Driver { worker: &self.worker, main: joined, this_drive: PhantomData };
        let hosted = catch_unwind(AssertUnwindSafe(|| host(&mut driver)));
        if self.worker.reactor.remote().is_inherited() {
            sys::abort_with(&[
                "giambio: the child of a fork has left `drive`; it may only exec or _exit\n",
            ]);
        }
        let first = if record.has_ended() { First::Main } else { First::Host };
        self.worker.finish_alone();
        self.worker.end(begun);
        let outcome = record.take_outcome();
        let result = judge(&record.core, hosted, outcome, first);
        // SAFETY: our share, given up once; the core is the record's first field.
        unsafe { Core::release(joined.as_ptr().cast()) };
        result.unwrap_or_else(|payload| resume_unwind(payload))
    }
}

/// Who has ended first: its panic goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Main,
    Host,
}

/// What `drive` ends with. Every task has ended.
fn judge<R, T>(
    main: &Core,
    hosted: thread::Result<R>,
    outcome: Outcome<T>,
    first: First,
) -> thread::Result<(R, Option<T>)> {
    match (hosted, outcome) {
        (Ok(value), Outcome::Returned(of_main)) => Ok((value, Some(of_main))),
        (Ok(value), Outcome::Panicked(Some(payload))) => {
            scope::drop_value(value);
            Err(payload)
        }
        (Ok(value), _) => Ok((value, None)),
        (Err(second), Outcome::Panicked(Some(payload))) if first == First::Main => {
            log_hosts_panic(second);
            Err(payload)
        }
        (Err(payload), Outcome::Panicked(Some(second))) => {
            joined::log_lost(&main.name, main.id, second);
            Err(payload)
        }
        (Err(payload), outcome) => {
            scope::drop_value(outcome);
            Err(payload)
        }
    }
}

#[cold]
fn log_hosts_panic(payload: Box<dyn Any + Send>) {
    let text = scope::said(&*payload);
    local::log(
        log::Level::Error,
        format_args!("the closure of `drive` panicked after its main task had: {text}"),
    );
    local::drop_caught(payload);
}
