//! Lowlevel: waiting for any descriptor.
//!
//! Layer 8. Imports: park, io, sys. Never: what the descriptor is.
//!
//! For libraries that bring their own descriptors. Each call registers and deregisters, two system
//! calls; the types of [`net`](crate::net) register once.

use crate::io;
use crate::sys::Direction;
use std::os::fd::AsFd;

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
