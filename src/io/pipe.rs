//! Pipe: bytes from one end to the other, between tasks, threads and processes.
//!
//! Layer 8. Imports: sys, its siblings. Never: sessions, timers, reactors.
//!
//! Every method is one line over `Io::call`; the system calls are std's own, on a descriptor in
//! non-blocking mode.

use super::Io;
use super::Left;
use crate::sys;
use crate::sys::Direction;
use crate::sys::Mode;
use std::fmt;
use std::io;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::os::fd::FromRawFd;
use std::os::fd::IntoRawFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;
use std::process::Stdio;

/// Makes a pipe, like [`std::io::pipe`]: what is written into the one end is read from the other.
/// Never parks.
///
/// # Errors
///
/// The system's; out of descriptors, the text names `RLIMIT_NOFILE`.
///
/// # Examples
///
/// ```
/// use giambio::io;
/// use giambio::io::prelude::*;
///
/// giambio::run(|| -> io::Result<()> {
///     let (mut reader, mut writer) = io::pipe()?;
///     giambio::pool(|pool| {
///         pool.spawn(move || writer.write_all(b"hello").unwrap());
///         let mut text = String::new();
///         reader.read_to_string(&mut text)?; // until the writer is dropped
///         assert_eq!(text, "hello");
///         Ok(())
///     })
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// A child process gets an end that blocks, as programs expect, and ours still parks the task:
///
/// ```
/// use giambio::io;
/// use std::process::Command;
///
/// giambio::run(|| -> io::Result<()> {
///     let (reader, writer) = io::pipe()?;
///     let mut child = Command::new("echo").arg("hello").stdout(writer).spawn()?;
///     assert_eq!(io::read_to_string(reader)?, "hello\n");
///     child.wait()?;
///     Ok(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = io::pipe().map_err(sys::name_limit)?;
    sys::set_mode(&reader, Mode::NonBlocking)?;
    sys::set_mode(&writer, Mode::NonBlocking)?;
    Ok((PipeReader { io: Io::new(reader) }, PipeWriter { io: Io::new(writer) }))
}

/// The end of a [`pipe`] that is read from, like [`std::io::PipeReader`].
///
/// A read returns what is there, and 0 bytes when every writer is gone. `&PipeReader` reads as well;
/// tasks that wait are served in the order in which they came.
///
/// # Cancellation
///
/// A read is a checkpoint on every call; one that is cancelled has taken nothing.
pub struct PipeReader {
    io: Io<io::PipeReader>,
}

/// The end of a [`pipe`] that is written to, like [`std::io::PipeWriter`].
///
/// Up to 4096 bytes (`PIPE_BUF`) go in one piece. `&PipeWriter` writes as well. When every reader is
/// gone a write fails with [`BrokenPipe`](io::ErrorKind::BrokenPipe): Rust programs ignore `SIGPIPE`
/// from their start. One that has restored its default action dies of it, as with std: pipes have no
/// `MSG_NOSIGNAL`.
///
/// # Cancellation
///
/// A write is a checkpoint on every call; one that is cancelled has written nothing. `flush` does
/// nothing and never parks.
pub struct PipeWriter {
    io: Io<io::PipeWriter>,
}

impl PipeReader {
    /// Another handle on the same end. Never parks.
    ///
    /// # Errors
    ///
    /// The system's; out of descriptors, the text names `RLIMIT_NOFILE`.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { io: Io::new(self.io.source().try_clone().map_err(sys::name_limit)?) })
    }
}

impl PipeWriter {
    /// Another handle on the same end: readers see the end when all of them are gone. Never parks.
    ///
    /// # Errors
    ///
    /// The system's; out of descriptors, the text names `RLIMIT_NOFILE`.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { io: Io::new(self.io.source().try_clone().map_err(sys::name_limit)?) })
    }
}

impl Read for &PipeReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.io.call(Direction::Read, |mut pipe| Ok((pipe.read(buf)?, Left::Unknown)))
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.io.call(Direction::Read, |mut pipe| Ok((pipe.read_vectored(bufs)?, Left::Unknown)))
    }
}

impl Read for PipeReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(bufs)
    }
}

impl Write for &PipeWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.io.call(Direction::Write, |mut pipe| Ok((pipe.write(buf)?, Left::Unknown)))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.io.call(Direction::Write, |mut pipe| Ok((pipe.write_vectored(bufs)?, Left::Unknown)))
    }

    /// Nothing to do: a pipe's bytes are in the kernel. Never parks.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for PipeWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for PipeReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.io.fmt(f)
    }
}

impl fmt::Debug for PipeWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.io.fmt(f)
    }
}

/// Conversions have no way to fail, and on an open descriptor this does not.
#[track_caller]
fn adopt<S: AsFd>(source: S) -> Io<S> {
    match sys::set_mode(&source, Mode::NonBlocking) {
        Ok(_) => Io::new(source),
        Err(error) => panic!("a pipe that cannot be made non-blocking: {error}"),
    }
}

/// The mode is shared with clones: another one that a task still uses would block its worker.
#[track_caller]
fn give_up<S: AsFd>(io: Io<S>) -> S {
    let source = io.into_source();
    match sys::set_mode(&source, Mode::Blocking) {
        Ok(_) => source,
        Err(error) => panic!("a pipe that cannot be made blocking: {error}"),
    }
}

/// The pipe is put into non-blocking mode, which this end's clones share.
impl From<io::PipeReader> for PipeReader {
    fn from(reader: io::PipeReader) -> Self {
        Self { io: adopt(reader) }
    }
}

/// The pipe is put back into blocking mode, which this end's clones share: one that a task still uses
/// would block the worker.
impl From<PipeReader> for io::PipeReader {
    fn from(reader: PipeReader) -> Self {
        give_up(reader.io)
    }
}

/// In non-blocking mode from here on.
impl From<OwnedFd> for PipeReader {
    fn from(fd: OwnedFd) -> Self {
        io::PipeReader::from(fd).into()
    }
}

/// In blocking mode from here on.
impl From<PipeReader> for OwnedFd {
    fn from(reader: PipeReader) -> Self {
        give_up(reader.io).into()
    }
}

/// In blocking mode from here on.
impl From<PipeReader> for Stdio {
    fn from(reader: PipeReader) -> Self {
        give_up(reader.io).into()
    }
}

impl FromRawFd for PipeReader {
    unsafe fn from_raw_fd(fd: RawFd) -> Self {
        // SAFETY: passed on to the caller.
        unsafe { OwnedFd::from_raw_fd(fd) }.into()
    }
}

impl IntoRawFd for PipeReader {
    fn into_raw_fd(self) -> RawFd {
        give_up(self.io).into_raw_fd()
    }
}

impl AsFd for PipeReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.source().as_fd()
    }
}

impl AsRawFd for PipeReader {
    fn as_raw_fd(&self) -> RawFd {
        self.io.source().as_raw_fd()
    }
}

/// The pipe is put into non-blocking mode, which this end's clones share.
impl From<io::PipeWriter> for PipeWriter {
    fn from(writer: io::PipeWriter) -> Self {
        Self { io: adopt(writer) }
    }
}

/// The pipe is put back into blocking mode, which this end's clones share: one that a task still uses
/// would block the worker.
impl From<PipeWriter> for io::PipeWriter {
    fn from(writer: PipeWriter) -> Self {
        give_up(writer.io)
    }
}

/// In non-blocking mode from here on.
impl From<OwnedFd> for PipeWriter {
    fn from(fd: OwnedFd) -> Self {
        io::PipeWriter::from(fd).into()
    }
}

/// In blocking mode from here on.
impl From<PipeWriter> for OwnedFd {
    fn from(writer: PipeWriter) -> Self {
        give_up(writer.io).into()
    }
}

/// In blocking mode from here on.
impl From<PipeWriter> for Stdio {
    fn from(writer: PipeWriter) -> Self {
        give_up(writer.io).into()
    }
}

impl FromRawFd for PipeWriter {
    unsafe fn from_raw_fd(fd: RawFd) -> Self {
        // SAFETY: passed on to the caller.
        unsafe { OwnedFd::from_raw_fd(fd) }.into()
    }
}

impl IntoRawFd for PipeWriter {
    fn into_raw_fd(self) -> RawFd {
        give_up(self.io).into_raw_fd()
    }
}

impl AsFd for PipeWriter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.source().as_fd()
    }
}

impl AsRawFd for PipeWriter {
    fn as_raw_fd(&self) -> RawFd {
        self.io.source().as_raw_fd()
    }
}
