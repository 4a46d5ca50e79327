//! Runtime: the outermost call, and what it may be told before.
//!
//! Layer 6. Imports: pool, park, clock, hooks. Never: what the main closure does.

mod drive;
pub(crate) mod threads;

pub use drive::Driver;
pub use drive::Tick;
pub(crate) use drive::tick_here;

use crate::clock::Clock;
use crate::hooks::Debugger;
use crate::park;
use crate::park::Class;
use crate::park::DEFAULT_HELPER_THREADS;
use crate::park::Schedule;
use crate::park::Worker;
use crate::pool::joined;
use crate::pool::joined::Joined;
use crate::pool::joined::Outcome;
use crate::pool::joined::PanicGoes;
use crate::pool::joined::Plan;
use crate::pool::joined::Role;
use crate::pool::joined::Spawner;
use crate::pool::record;
use crate::sys;
use crate::task::Core;
use crate::task::Identity;
use crate::task::Name;
use std::fmt;
use std::io;
use std::panic::Location;
use std::panic::resume_unwind;
use std::ptr;
use std::ptr::NonNull;
use threads::Threads;

/// Usable bytes of a task's stack unless something else is asked for.
///
/// Measured (asm-notes/stack-layout.md, measurements.md, guard-pages.md): a panic with a backtrace takes
/// 22 KiB, a TLS handshake up to 36. What is not touched costs 554 bytes of page tables.
///
/// Code without optimisation needs a multiple: a closure that owns 24 KiB and is spawned lies in its
/// parent's frames 13 times, which is too much for 256 KiB. So a debug build has four times as much, at
/// 2 KiB of page tables for each task.
const DEFAULT_STACK_BYTES: usize = if cfg!(debug_assertions) { 1 << 20 } else { 256 << 10 };

/// Usable bytes of the main closure's stack: what a program's main thread has by default on Linux.
const MAIN_STACK_BYTES: usize = 8 << 20;

/// Runs `main` as the first task of a new runtime on this thread, and returns its value.
///
/// It returns when `main` has; the tasks that `main` starts live in pools, which have ended by then. A
/// [thread](crate::thread) that is left then is cancelled, and has ended when this returns.
///
/// # Panics
///
/// With `main`'s panic. Inside of another `run`. While the thread unwinds already. If the system has
/// no more descriptors for a runtime, which [`Builder::build`] gives as an error, and if no stack for
/// `main` is to be had; the text names the limit. With a report of who waits for what, if every task
/// waits and nothing can ever wake one.
///
/// # Examples
///
/// ```
/// let answer = giambio::run(|| {
///     giambio::yield_now();
///     42
/// });
/// assert_eq!(answer, 42);
/// ```
///
/// A value may be anything; it does not leave the thread. The closure may borrow.
///
/// ```
/// let mut log = Vec::new();
/// giambio::run(|| log.push("ran"));
/// assert_eq!(log, ["ran"]);
/// ```
#[track_caller]
pub fn run<T>(main: impl FnOnce() -> T) -> T {
    refuse_nesting("giambio::run");
    built().run(main)
}

/// A runtime with the options of [`run`].
#[track_caller]
fn built() -> Runtime {
    match Builder::new().build() {
        Ok(runtime) => runtime,
        Err(error) => cannot_start(&error),
    }
}

/// The options of a [`Runtime`].
///
/// # Examples
///
/// ```
/// let mut runtime = giambio::Builder::new().stack_size(64 * 1024).build()?;
/// assert_eq!(runtime.run(|| 1) + runtime.run(|| 2), 3);
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "a builder does nothing until it builds"]
pub struct Builder {
    stack_size: usize,
    debugger: Option<Box<dyn Debugger>>,
    clock: Clock,
    schedule: Schedule,
    helper_threads: usize,
}

impl Builder {
    /// The options of [`run`].
    pub fn new() -> Self {
        Self {
            stack_size: DEFAULT_STACK_BYTES,
            debugger: None,
            clock: Clock::system(),
            schedule: Schedule::Fifo,
            helper_threads: DEFAULT_HELPER_THREADS,
        }
    }

    /// Sets the size of a task's stack: usable bytes, from 1 to 1 GiB, 256 KiB unless set (1 MiB if
    /// giambio is built with `debug_assertions`, as in cargo's dev profile).
    ///
    /// It is rounded up to a power of two and to at least 32 KiB. One spawn can ask for another size
    /// ([`TaskBuilder::stack_size`](crate::TaskBuilder::stack_size)), one deep call for another stack
    /// ([`on_big_stack`](crate::on_big_stack)); the main closure has 8 MiB. The
    /// [guide](crate::guide::stack_sizes) helps to choose.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = bytes;
        self
    }

    /// Has `debugger` told what the scheduler does.
    pub fn debugger(mut self, debugger: impl Debugger + 'static) -> Self {
        self.debugger = Some(Box::new(debugger));
        self
    }

    /// Sets the order in which tasks run that can: first in, first out, unless a test wants another.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::testing::{Schedule, builder};
    ///
    /// let order = |seed| {
    ///     let mut order = Vec::new();
    ///     let mut runtime = builder().schedule(Schedule::Seed(seed)).build().unwrap();
    ///     runtime.run(|| {
    ///         giambio::pool(|pool| {
    ///             let tasks = [1, 2, 3, 4].map(|n| pool.spawn(move || (giambio::clock(), n)));
    ///             order.extend(tasks.map(|task| task.join().unwrap().1));
    ///         });
    ///     });
    ///     order
    /// };
    /// assert_eq!(order(7), order(7)); // a seed replays
    /// ```
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Sets how many calls of [`unblock`](crate::unblock()) and lookups of host names may run at once, each
    /// on a helper thread: 64 unless set. Further ones wait their turn, first in, first out.
    ///
    /// A call that was abandoned, as the lookup of a cancelled `connect` is, counts until it has returned.
    /// The threads themselves are shared by all runtimes of the process.
    ///
    /// # Panics
    ///
    /// If `limit` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    ///
    /// let running = AtomicUsize::new(0);
    /// let call = || {
    ///     assert_eq!(running.fetch_add(1, Ordering::Relaxed), 0);
    ///     running.fetch_sub(1, Ordering::Relaxed);
    /// };
    /// let mut runtime = giambio::Builder::new().helper_threads(1).build()?;
    /// runtime.run(|| giambio::join_all((0..3).map(|_| || giambio::unblock(call))));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn helper_threads(mut self, limit: usize) -> Self {
        assert!(limit > 0, "a limit of 0 helper threads: no call could ever be made");
        self.helper_threads = limit;
        self
    }

    pub(crate) fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Makes the runtime.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the stack size is 0 or more than 1 GiB. The system's error if it has no
    /// descriptors left, naming `RLIMIT_NOFILE`; a runtime needs three, and a fourth for sleeps of less
    /// than 10 ms.
    pub fn build(self) -> io::Result<Runtime> {
        let stack = Class::for_usable(self.stack_size)?;
        let worker =
            Worker::new(self.clock, stack, self.debugger, self.schedule, self.helper_threads)
                .map_err(sys::name_limit)?;
        Ok(Runtime { worker: Box::new(worker) })
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("stack_size", &self.stack_size).finish_non_exhaustive()
    }
}

/// A scheduler with its stacks and its reactor, for one `run` after another on one thread.
///
/// It is not `Send`:
///
/// ```compile_fail,E0277
/// let mut runtime = giambio::Builder::new().build().unwrap();
/// std::thread::spawn(move || runtime.run(|| ()));
/// ```
#[derive(Debug)]
pub struct Runtime {
    worker: Box<Worker>,
}

impl Runtime {
    /// Runs `main` and everything that it starts: see [`run`].
    ///
    /// # Panics
    ///
    /// As for [`run`]. In the child of a fork, if the runtime was built before it.
    #[track_caller]
    pub fn run<T>(&mut self, main: impl FnOnce() -> T) -> T {
        refuse_nesting("giambio::run");
        let threads = Threads::new();
        // SAFETY: `main`, its value and the threads live in this frame, which does not end before the
        // task has, and all others (I2: the worker aborts rather than unwind).
        let joined = unsafe { self.admit(&threads, || Some(main())) };
        // SAFETY: made in the line before, and `T` is what this call returns.
        unsafe { self.conclude(joined) }
    }

    /// Makes the main task.
    ///
    /// # Safety
    ///
    /// What `F` and `T` borrow outlives the task; its outcome is taken or forgotten while `T` is alive.
    /// `threads` stay in place until the worker's last task has ended.
    #[track_caller]
    unsafe fn admit<F, T>(&self, threads: &Threads, body: F) -> NonNull<Joined<T>>
    where
        F: FnOnce() -> Option<T>,
    {
        let plan = self.plan_of_main();
        // SAFETY: there is no group; the rest is passed on to the caller.
        match unsafe { record::admit(&self.worker, ptr::null(), plan, threads, body) } {
            Ok(joined) => {
                // SAFETY: passed on to the caller; they were made the receiver just now.
                unsafe { threads.serve(&self.worker) };
                joined
            }
            Err(error) => cannot_start(&error),
        }
    }

    #[track_caller]
    fn plan_of_main(&self) -> Plan {
        let inherited = self.worker.reactor.remote().is_inherited();
        assert!(!inherited, "a Runtime in the child of a fork: it is the parent's, build another");
        let stack = match Class::for_usable(MAIN_STACK_BYTES) {
            Ok(class) => class,
            Err(error) => unreachable!("the main stack's size: {error}"),
        };
        let id = self.worker.new_task_id();
        Plan {
            id,
            name: Name::of(Identity::new(id, Location::caller(), Some("main".into()))),
            stack,
            panic_goes: PanicGoes::ToTheHandle,
            role: Role::Ordinary,
            spawner: Spawner::Here,
        }
    }

    /// Runs the main task and all others to their ends, and hands out what has become of it.
    ///
    /// # Safety
    ///
    /// `main` was made by this runtime's [`admit`](Self::admit), as the last thing before this call; the handle's
    /// share is given up here, while `T` is alive.
    #[track_caller]
    unsafe fn conclude<T>(&self, main: NonNull<Joined<T>>) -> T {
        // SAFETY: the handle's share of the record is ours until the release below (the caller's promise).
        let record = unsafe { main.as_ref() };
        self.worker.run(&record.core);
        let mut outcome = record.take_outcome();
        let report = self.worker.take_report();
        if let (Some(_), Outcome::Panicked(payload)) = (&report, &mut outcome) {
            let (name, id) = (&record.core.name, record.core.id);
            payload.take().into_iter().for_each(|payload| joined::log_lost(name, id, payload));
        }
        // SAFETY: our share, given up once; the core is the record's first field.
        unsafe { Core::release(main.as_ptr().cast()) };
        if let Some(report) = report {
            panic!("{report}");
        }
        match outcome {
            Outcome::Returned(value) => value,
            Outcome::Panicked(Some(payload)) => resume_unwind(payload),
            _ => unreachable!("nobody but a report cancels the main task"),
        }
    }
}

#[cold]
#[track_caller]
fn cannot_start(error: &io::Error) -> ! {
    panic!("giambio cannot start: {error}")
}

#[track_caller]
fn refuse_nesting(call: &str) {
    // In a hook, or in the child of a fork, this says so by itself.
    let in_a_task = park::current().is_some();
    assert!(!in_a_task, "{call} inside of giambio::run: start a pool instead");
    let driven = park::worker_here(|_| ()).is_some();
    assert!(!driven, "{call} in the closure of `drive`, whose runtime has this thread");
    // I5 could not tell the tasks' unwinds from the thread's.
    assert!(!std::thread::panicking(), "{call} in a destructor while the thread unwinds");
}
