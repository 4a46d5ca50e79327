//! Sync: how tasks wait for one another.
//!
//! Layer 7. Imports: its own files. Never: sockets, files.
//!
//! Everything here serves the tasks of several runtimes and plain threads at once: whoever waits
//! inside of [`run`](crate::run) parks its task, whoever waits outside blocks its thread. Waiters are
//! served first in, first out.

mod event;
pub mod mpsc;
mod semaphore;

pub use event::AlreadySet;
pub use event::Event;
pub use semaphore::Permit;
pub use semaphore::Semaphore;
