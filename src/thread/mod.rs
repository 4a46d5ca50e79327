//! Threads: std's `thread` module, on green threads.
//!
//! Layer 8. Imports: its own files, time. Never: channels, locks.
//!
//! Names, signatures and semantics are those of [`std::thread`], so that changing `use std::thread` to
//! `use giambio::thread` is all that a program needs. Outside of [`run`](crate::run) everything here is std's:
//! threads of the system. Inside, a thread is a task: it uses only what memory it touches, and a switch to it takes
//! nanoseconds.
//!
//! # What differs from std inside of `run`
//!
//! * **The end waits.** With std, the process ends with its main thread and cuts the others off. Here no thread
//!   outlives the [`run`](crate::run) or [`drive`](crate::Runtime::drive) that it was started in: when `main`
//!   has returned or panicked, every thread that is left is cancelled, its destructors run, and `run` returns
//!   when the last has ended. What has not ended five seconds later is named in the log, with what it waits
//!   for, and `run` goes on waiting. A thread that had not begun by then never runs.
//! * **Cancellation.** Otherwise a thread of [`spawn`] is cancelled only by name
//!   ([`TaskRef::cancel`](crate::debug::TaskRef::cancel)): the cancel scopes and timeouts of whoever has started
//!   it do not reach it. Threads of a [`scope()`] are in the cancel scopes of its caller, which waits for them. Of a
//!   thread that was cancelled `join` gives a [`JoinError`](crate::JoinError) as the payload. It unwinds, like
//!   one that panics; [`panicking`] tells the two apart.
//! * **One worker.** Threads run on the worker that has started them, one at a time, each until it waits, yields
//!   or ends. A loop that computes for long keeps the others waiting: call [`yield_now`] in it, or put it
//!   into [`unblock`](crate::unblock()). What blocks the system's thread, as std's own `sleep` and locks do,
//!   blocks them all.
//! * **Panics.** They are `join`'s error, as with std. One that nobody asks for is in the log.
//! * **Stacks** are smaller: see [`Builder::stack_size`].
//! * **Thread-locals** of `thread_local!` belong to the worker, and all its tasks share them: see
//!   [`task_local!`](crate::task::task_local). A thread begins with the inheritable task-locals of who has
//!   started it on the same worker.
//!
//! # Examples
//!
//! ```
//! use giambio::thread; // or: use std::thread;
//!
//! fn parallel_sum(numbers: Vec<u64>) -> u64 {
//!     let halves: Vec<Vec<u64>> = numbers.chunks(2).map(<[_]>::to_vec).collect();
//!     let threads = halves.into_iter().map(|half| thread::spawn(move || half.iter().sum::<u64>()));
//!     let threads: Vec<_> = threads.collect();
//!     threads.into_iter().map(|thread| thread.join().unwrap()).sum()
//! }
//!
//! assert_eq!(giambio::run(|| parallel_sum(vec![1, 2, 3, 4])), 10);
//! assert_eq!(parallel_sum(vec![1, 2, 3, 4]), 10); // on threads of the system
//! ```

mod builder;
mod current;
mod handle;
mod handover;
#[expect(unsafe_code, reason = "threads that borrow from the frames around their scope")]
mod scope;

pub use crate::time::sleep;
pub use crate::time::sleep_until;
pub use crate::time::yield_now;
pub use builder::Builder;
pub use current::Thread;
pub use current::ThreadId;
pub use current::current;
pub use current::panicking;
pub use current::park;
pub use current::park_timeout;
#[expect(deprecated, reason = "std's are as well")]
pub use current::park_timeout_ms;
#[expect(deprecated, reason = "std's are as well")]
pub use current::sleep_ms;
pub use handle::JoinHandle;
pub use scope::Scope;
pub use scope::ScopedJoinHandle;
pub use scope::scope;
pub use std::thread::AccessError;
pub use std::thread::LocalKey;
pub use std::thread::Result;
pub use std::thread::available_parallelism;

/// Starts a thread that runs `f`, and returns at once.
///
/// Inside of [`run`](crate::run) it is a task of the same worker, which runs as soon as the calling one parks or
/// yields, in the order of the spawns. It belongs to no pool but to the run, and ends before that does: see
/// the [module](self). Outside it is [`std::thread::spawn`].
///
/// # Cancellation
///
/// Never parks. The thread is in none of the caller's cancel scopes.
///
/// # Panics
///
/// If no stack is to be had, or outside no thread: see [`Builder::spawn`] for an error instead.
///
/// # Examples
///
/// ```
/// use giambio::thread;
///
/// giambio::run(|| {
///     let thread = thread::spawn(|| "done");
///     assert_eq!(thread.join().unwrap(), "done");
/// });
/// ```
///
/// What goes into a thread, and what comes out, must be `Send`:
///
/// ```compile_fail,E0277
/// let count = std::rc::Rc::new(1);
/// giambio::run(move || giambio::thread::spawn(move || *count).join().unwrap());
/// ```
#[track_caller]
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match Builder::new().spawn(f) {
        Ok(handle) => handle,
        Err(error) => panic!("failed to spawn thread: {error}"),
    }
}
