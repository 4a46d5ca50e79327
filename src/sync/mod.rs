//! Sync: how tasks wait for one another.
//!
//! Layer 7. Imports: its own files. Never: sockets, files.
//!
//! Everything here serves the tasks of several runtimes and plain threads at once: whoever waits
//! inside of [`run`](crate::run) parks its task, whoever waits outside blocks its thread. Waiters are
//! served first in, first out.

mod barrier;
mod condvar;
mod event;
mod itself;
#[expect(unsafe_code, reason = "shares a closure that one at a time may take")]
mod lazy_lock;
mod lock;
pub mod mpsc;
#[expect(unsafe_code, reason = "lends what it guards to who has locked it")]
mod mutex;
mod once;
#[expect(unsafe_code, reason = "lends what it has been set to")]
mod once_lock;
mod poison;
mod run_once;
#[expect(unsafe_code, reason = "lends what it guards to who has locked it")]
mod rwlock;
#[expect(unsafe_code, reason = "lend what a lock guards to who has locked it")]
mod rwlock_guards;
mod semaphore;
mod shared_lock;

pub use barrier::Barrier;
pub use barrier::BarrierWaitResult;
pub use condvar::Condvar;
pub use condvar::WaitTimeoutResult;
pub use event::AlreadySet;
pub use event::Event;
pub use lazy_lock::LazyLock;
pub use mutex::Mutex;
pub use mutex::MutexGuard;
#[expect(deprecated, reason = "std's name")]
pub use once::ONCE_INIT;
pub use once::Once;
pub use once::OnceState;
pub use once_lock::OnceLock;
pub use rwlock::RwLock;
pub use rwlock_guards::RwLockReadGuard;
pub use rwlock_guards::RwLockWriteGuard;
pub use semaphore::Permit;
pub use semaphore::Semaphore;
pub use std::sync::Arc;
pub use std::sync::LockResult;
pub use std::sync::PoisonError;
pub use std::sync::TryLockError;
pub use std::sync::TryLockResult;
pub use std::sync::Weak;
pub use std::sync::atomic;
