//! Sync: how tasks wait for one another.
//!
//! Layer 7. Imports: its own files. Never: sockets, files.
//!
//! Everything here serves the tasks of several runtimes and plain threads at once: whoever waits
//! inside of [`run`](crate::run) parks its task, whoever waits outside blocks its thread. Waiters are
//! served first in, first out.

mod event;
mod itself;
mod lock;
#[expect(unsafe_code, reason = "lends what it guards to who has locked it")]
mod mutex;
mod poison;
#[expect(unsafe_code, reason = "lends what it guards to who has locked it")]
mod rwlock;
#[expect(unsafe_code, reason = "lend what a lock guards to who has locked it")]
mod rwlock_guards;
mod semaphore;
mod shared_lock;

pub use event::AlreadySet;
pub use event::Event;
pub use mutex::Mutex;
pub use mutex::MutexGuard;
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
