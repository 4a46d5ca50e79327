//! Async fd: any descriptor, with calls that park the task.
//!
//! Layer 8. Imports: channel, sys, its siblings. Never: what the descriptor is.
//!
//! Chosen: `Read` and `Write` are `read(2)` and `write(2)`, for every `T`. Rejected: to ask for
//! `for<'a> &'a T: Read` and call that. It leaves out `OwnedFd` and `ChildStdout`, and as an `impl` that
//! leads back to itself (`&Async<Async<…>>`) it makes rustc 1.95 overflow (E0275) wherever a program has
//! such a bound and leaves the type to be inferred.

use super::Io;
use super::Left;
use crate::channel::IoSource;
use crate::channel::Readiness;
use crate::sys;
use crate::sys::Direction;
use crate::sys::Mode;
use std::fmt;
use std::io;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::os::fd::RawFd;

/// Any descriptor in non-blocking mode, whose calls park the task instead of the thread: a tun
/// device, a serial line, inotify, a timerfd, a pidfd, another crate's socket.
///
/// [`read_with`](Self::read_with) and [`write_with`](Self::write_with) make a call on the inner value
/// again and again until it does not fail with `WouldBlock`. `Read` and `Write` are `read(2)` and
/// `write(2)`. The descriptor is registered with the reactor at the first call that would have blocked,
/// once for its whole life. Outside of [`run`](crate::run) the calls block the thread.
///
/// What is never said to block works too: a call on a regular file, which the kernel does not
/// watch, simply takes the time that the disk takes, and so does the thread.
///
/// # Examples
///
/// ```
/// use giambio::io::Async;
/// use giambio::io::prelude::*;
/// use std::os::unix::net::UnixDatagram;
///
/// giambio::run(|| -> std::io::Result<()> {
///     let (ours, theirs) = UnixDatagram::pair()?;
///     let ours = Async::new(ours)?;
///     giambio::pool(|pool| {
///         let received = pool.spawn(|| ours.read_with(|socket| socket.recv(&mut [0; 16])));
///         theirs.send(b"hello")?;
///         assert_eq!(received.join().unwrap()?, 5);
///         Ok(())
///     })
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Async<T: AsFd> {
    io: Io<T>,
    /// What the descriptor was in before.
    mode: Mode,
}

impl<T: AsFd> Async<T> {
    /// Puts a descriptor into non-blocking mode. Never parks.
    ///
    /// All who share the open file description share the mode: clones of the descriptor and processes
    /// that have inherited it. It stays when this is dropped; only [`into_inner`](Self::into_inner)
    /// restores it.
    ///
    /// # Errors
    ///
    /// The system's, from `fcntl(2)`.
    pub fn new(inner: T) -> io::Result<Self> {
        let mode = sys::set_mode(&inner, Mode::NonBlocking)?;
        Ok(Self { io: Io::new(inner), mode })
    }

    /// Makes a call that takes something from the descriptor, parking the task while it would block.
    ///
    /// `call` is made until it does not fail with `WouldBlock` or `Interrupted`; it must not block.
    /// Several tasks that wait are served in the order in which they came.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call, before `call` is made. While the task waits, `call` has failed:
    /// so nothing is lost.
    ///
    /// # Errors
    ///
    /// Those of `call`; the system's, if it would block and the descriptor cannot be waited for.
    pub fn read_with<R>(&self, mut call: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.io.call(Direction::Read, |inner| Ok((call(inner)?, Left::Unknown)))
    }

    /// Makes a call that gives something to the descriptor, parking the task while it would block.
    ///
    /// Otherwise like [`read_with`](Self::read_with).
    ///
    /// # Cancellation
    ///
    /// As for [`read_with`](Self::read_with).
    ///
    /// # Errors
    ///
    /// As for [`read_with`](Self::read_with).
    pub fn write_with<R>(&self, mut call: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.io.call(Direction::Write, |inner| Ok((call(inner)?, Left::Unknown)))
    }

    /// Parks until there is something to read, or an end or an error to be told of, without a buffer.
    /// Somebody else's read may be first.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. Nothing is lost.
    ///
    /// # Errors
    ///
    /// The system's, if it does not watch the descriptor.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::io::Async;
    /// use std::io::Write;
    ///
    /// let (reader, mut writer) = std::io::pipe()?;
    /// giambio::run(|| -> std::io::Result<()> {
    ///     let reader = Async::new(reader)?;
    ///     writer.write_all(b"x")?;
    ///     reader.readable()
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn readable(&self) -> io::Result<()> {
        self.io.wait_ready(Direction::Read)
    }

    /// Parks until there is room to write, or an error to be told of. Otherwise like
    /// [`readable`](Self::readable).
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. Nothing is lost.
    ///
    /// # Errors
    ///
    /// As for [`readable`](Self::readable).
    pub fn writable(&self) -> io::Result<()> {
        self.io.wait_ready(Direction::Write)
    }

    /// The inner value, for calls that do not block.
    pub fn get_ref(&self) -> &T {
        self.io.source()
    }

    /// The inner value, in the mode that it was in before. Never parks.
    ///
    /// # Errors
    ///
    /// The system's, from `fcntl(2)`; then the inner value is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// let (reader, writer) = std::io::pipe()?;
    /// let reader = giambio::io::Async::new(reader)?;
    /// drop(writer);
    /// assert_eq!(std::io::read_to_string(reader.into_inner()?)?, "");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_inner(self) -> io::Result<T> {
        let inner = self.io.into_source();
        sys::set_mode(&inner, self.mode)?;
        Ok(inner)
    }
}

/// Reads from the descriptor itself, whatever `T` is.
impl<T: AsFd> Read for &Async<T> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.read_with(|inner| sys::read(inner.as_fd(), buf))
    }
}

/// Reads from the descriptor itself, whatever `T` is.
impl<T: AsFd> Read for Async<T> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }
}

/// Writes to the descriptor itself, whatever `T` is.
impl<T: AsFd> Write for &Async<T> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_with(|inner| sys::write(inner.as_fd(), buf))
    }

    /// Nothing to do: a descriptor has no buffer here. Never parks.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes to the descriptor itself, whatever `T` is.
impl<T: AsFd> Write for Async<T> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<T: AsFd> AsFd for Async<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}

impl<T: AsFd> AsRawFd for Async<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<T: AsFd> Readiness for Async<T> {
    fn io_source(&self) -> IoSource<'_> {
        self.io.io_source()
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for Async<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Async").field(self.get_ref()).finish()
    }
}
