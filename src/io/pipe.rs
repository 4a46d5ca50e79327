//! Pipe: bytes from one end to the other, between tasks, threads and processes.
//!
//! Layer 8. Imports: sys, its siblings. Never: sessions, timers, reactors.
//!
//! Every method is one line over `Io::call`; the system calls are std's own, on a descriptor in
//! non-blocking mode.

use super::Io;
use super::Left;
use super::convert::conversions;
use super::stream::read_by_reference;
use super::stream::write_by_reference;
use crate::sys;
use crate::sys::Direction;
use crate::sys::Mode;
use std::io;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::io::Read;
use std::io::Write;
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
        Ok(Self { io: self.io.try_clone(|pipe| pipe.try_clone())? })
    }
}

impl PipeWriter {
    /// Another handle on the same end: readers see the end when all of them are gone. Never parks.
    ///
    /// # Errors
    ///
    /// The system's; out of descriptors, the text names `RLIMIT_NOFILE`.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { io: self.io.try_clone(|pipe| pipe.try_clone())? })
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

read_by_reference!(PipeReader);

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

write_by_reference!(PipeWriter);

conversions!(PipeReader, io::PipeReader);
conversions!(PipeWriter, io::PipeWriter);

/// In blocking mode from here on.
impl From<PipeReader> for Stdio {
    fn from(reader: PipeReader) -> Self {
        io::PipeReader::from(reader).into()
    }
}

/// In blocking mode from here on.
impl From<PipeWriter> for Stdio {
    fn from(writer: PipeWriter) -> Self {
        io::PipeWriter::from(writer).into()
    }
}
