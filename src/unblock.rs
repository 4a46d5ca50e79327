//! Unblock: calls that must block, on a thread of their own.
//!
//! Layer 7. Imports: park, sync. Never: what is called.

use crate::park;
use crate::sync::Event;
use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;

/// Runs `f` on another thread, parking the calling task until it has returned. A cancelled task does not
/// wait for it.
pub(crate) fn abandonable<T: Send + 'static>(
    f: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    if park::current().is_none() {
        return Ok(f());
    }
    let done = Arc::new(Event::<Mutex<Option<T>>>::new());
    let result = Arc::clone(&done);
    thread::Builder::new().spawn(move || drop(result.trigger(Mutex::new(Some(f())))))?;
    let mut value = done.wait_ref().lock().unwrap_or_else(PoisonError::into_inner);
    value.take().ok_or_else(|| io::Error::other("the value was taken before"))
}
