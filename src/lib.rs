#![doc = include_str!("../README.md")]
//!
//! # Invariants
//!
//! The `SAFETY` notes of the source cite these by number.
//!
//! * **I1 pinned.** A started task is resumed only by the worker that started it.
//! * **I2 ended.** A started coroutine is always resumed to its end; never dropped, forgotten or freed
//!   while suspended. If the scheduler itself panics, the process aborts.
//! * **I3 joined.** A pool does not return and does not unwind before its last child has ended.
//! * **I4 rooted.** No unwind crosses a stack: each root catches, the payload travels as a value.
//! * **I5 calm.** While a task unwinds, what can fail fails instead of waiting, nothing is raised, and
//!   std's per-thread panic count harms no other task.
//! * **I6 guarded.** Below every stack lies an inaccessible page.
//! * **I7 queued once.** A task is in at most one run queue, at most once.

#![deny(unsafe_code)]

#[cfg(panic = "abort")]
compile_error!("giambio cancels by unwinding: build it with `panic = \"unwind\"`");

// Layer 0: values and the machine.
mod clock;
#[expect(unsafe_code, reason = "intrusive nodes")]
mod list;
mod primitive;
#[expect(
    unsafe_code,
    reason = "mapping and guarding memory, poll(2), timerfd, fork handlers, inherited descriptors"
)]
mod sys;
mod word;

// Layer 1: memory to run on.
#[expect(unsafe_code, reason = "slots of mapped memory, handed to corosensei")]
mod stack;

// Layer 2: one switch in, one switch out.
#[expect(unsafe_code, reason = "lends a slot to corosensei")]
mod coroutine;

// Layer 3: a coroutine with an identity.
mod hooks;
#[expect(unsafe_code, reason = "records that are linked and shared by their own protocol")]
pub mod task;

// Layer 4: one worker, one thread.
#[expect(unsafe_code, reason = "runs tasks and follows their links")]
mod scheduler;

// Layer 5: the one door.
mod asker;
#[expect(unsafe_code, reason = "a coroutine that borrows from its caller's frame")]
mod big_stack;
mod blocked;
#[expect(unsafe_code, reason = "knows that the running task's record is alive")]
mod park;
#[expect(unsafe_code, reason = "links nodes that lie in the frame of a wait")]
mod wait_any;
#[expect(unsafe_code, reason = "links nodes that lie on the waiting task's stack")]
mod wait_queue;

// Layer 6: who waits for whom, and who may be stopped.
#[expect(unsafe_code, reason = "tasks that borrow from their parent's frame")]
mod pool;
#[expect(unsafe_code, reason = "a main task that borrows from its caller's frame")]
mod runtime;
#[expect(unsafe_code, reason = "scopes that lie in the frames of their tasks")]
mod scope;
mod time;
#[expect(unsafe_code, reason = "calls that borrow from their task's frame")]
mod unblock;

// Layer 7: between tasks.
#[expect(unsafe_code, reason = "messages that are handed over from frame to frame")]
pub mod channel;
pub mod csp;
pub mod sync;

// Layer 8: std's names, std's shapes.
#[expect(
    unsafe_code,
    reason = "links nodes that lie on the waiting task's stack; std's unsafe conversions"
)]
pub mod io;
pub mod lowlevel;
#[expect(unsafe_code, reason = "std's `FromRawFd`, passed on")]
pub mod net;
#[expect(unsafe_code, reason = "std's `FromRawFd`, passed on")]
pub mod os;
#[expect(unsafe_code, reason = "hands its action to the crate that has the handler")]
pub mod signal;
pub mod thread;

// Layer 9: a look from outside.
pub mod debug;
pub mod guide;
#[expect(unsafe_code, reason = "a watch that lies in its user's frame")]
pub mod testing;

pub use big_stack::on_big_stack;
pub use pool::JoinError;
pub use pool::Map;
pub use pool::MapUnordered;
pub use pool::OnFailure;
pub use pool::Pool;
pub use pool::Started;
pub use pool::Task;
pub use pool::TaskBuilder;
pub use pool::TryPool;
pub use pool::cancellable;
pub use pool::join;
pub use pool::join_all;
pub use pool::pool;
pub use pool::race;
pub use pool::race_all;
pub use pool::skip_after;
pub use pool::try_pool;
pub use pool::with_timeout;
pub use runtime::Builder;
pub use runtime::Driver;
pub use runtime::Runtime;
pub use runtime::Tick;
pub use runtime::run;
pub use scope::Canceller;
pub use scope::TooSlow;
pub use scope::current_deadline;
pub use scope::finally;
pub use scope::shield;
pub use scope::shield_for;
pub use time::clock;
pub use time::sleep;
pub use time::sleep_forever;
pub use time::sleep_until;
pub use time::yield_now;
pub use unblock::try_unblock;
pub use unblock::unblock;
