//! Stdout: standard output that does not stop the thread.
//!
//! Layer 8. Imports: sys, its siblings. Never: sessions, timers, reactors.
//!
//! The descriptor's mode belongs to every process that has it, a shell among them: it is left alone.
//! Chosen: to wait until there is room, and then to write no more than a pipe takes at once. Rejected:
//! a description of our own, opened again through /proc (sockets have none, and a regular file's would
//! begin at its start).
//!
//! The buffer is std's, which flushes it when the process ends and shares it with `println!`. std's
//! lock is held for one write and never across a park; what keeps a task's lines together is our gate.

use super::gate;
use super::gate::Gate;
use super::gate::Pass;
use super::wait_once;
use crate::sys::Direction;
use std::fmt;
use std::io;
use std::io::IsTerminal;
use std::io::Write;
use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::os::fd::RawFd;
use std::process::Stdio;

/// Bytes that std's buffer for standard output keeps back at most, waiting for the end of a line.
const STD_BUFFER: usize = 1 << 10;

/// Bytes written at once. A pipe that has room takes `PIPE_BUF` bytes without blocking, and std may add
/// what it has kept back. Should std keep back more one day, a write may block; nothing else breaks.
const CHUNK: usize = libc::PIPE_BUF - STD_BUFFER;

static GATE: Gate = Gate::new();

/// A handle on the standard output of the process, like [`std::io::stdout`].
///
/// # Examples
///
/// ```
/// use giambio::io;
/// use giambio::io::prelude::*;
///
/// giambio::run(|| -> io::Result<()> {
///     let mut out = io::stdout().lock();
///     writeln!(out, "Of these two lines")?;
///     writeln!(out, "no other task comes between.")
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn stdout() -> Stdout {
    Stdout { std: io::stdout() }
}

/// Standard output, like [`std::io::Stdout`]: see [`stdout`].
///
/// A write waits until a pipe, a socket or a terminal has room, so other tasks run meanwhile; a
/// regular file is just written. The buffer is std's: a line is written when its end comes, in its
/// place among those of `println!`, and what is left is written when the process ends. The descriptor
/// stays in the mode that it is in, since it is shared with other processes. A terminal says that it
/// has room when it has any: one that was stopped (Ctrl-S) or is full may block the thread within a
/// write, as may another process that fills a pipe first.
///
/// What one `write!`, `writeln!` or `write_all` writes, and what is written under one
/// [`lock`](Self::lock), stays together as far as other users of this module go. `println!` blocks the
/// thread while there is no room, and does not know of the lock.
///
/// # Cancellation
///
/// Every call is a checkpoint. A `write` or a `flush` that is cancelled has written nothing; `write_all`
/// and `write!` do not tell how far they came. While a task unwinds, one that would have to wait fails
/// with [`io::Cancelled`](crate::io::Cancelled) instead.
pub struct Stdout {
    /// Has no state: a name for the descriptor.
    std: io::Stdout,
}

impl Stdout {
    /// Keeps other tasks out for several calls, parking the calling task while another one does.
    ///
    /// Who has it may lock it again. Outside of [`run`](crate::run) it blocks the thread.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call, also when nobody has it.
    ///
    /// # Panics
    ///
    /// If it would have to wait inside of [`task::no_switch`](crate::task::no_switch).
    #[track_caller]
    pub fn lock(&self) -> StdoutLock<'static> {
        StdoutLock::new(GATE.pass(Some(gate::me())))
    }

    fn lock_or_report(&self) -> io::Result<StdoutLock<'static>> {
        GATE.pass_or_report(Some(gate::me())).map(StdoutLock::new)
    }

    /// Whether a terminal stands behind it. Never parks.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.std.is_terminal()
    }
}

impl Write for &Stdout {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.lock_or_report()?.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lock_or_report()?.flush()
    }

    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        self.lock_or_report()?.write_all(buf)
    }

    fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> io::Result<()> {
        self.lock_or_report()?.write_fmt(text)
    }
}

impl Write for Stdout {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self).flush()
    }

    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        (&*self).write_all(buf)
    }

    fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> io::Result<()> {
        (&*self).write_fmt(text)
    }
}

impl AsFd for Stdout {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.std.as_fd()
    }
}

impl AsRawFd for Stdout {
    fn as_raw_fd(&self) -> RawFd {
        self.std.as_raw_fd()
    }
}

impl From<Stdout> for Stdio {
    fn from(_: Stdout) -> Self {
        io::stdout().into()
    }
}

impl fmt::Debug for Stdout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stdout").finish_non_exhaustive()
    }
}

/// The locked [`Stdout`], like [`std::io::StdoutLock`].
pub struct StdoutLock<'a> {
    _pass: Pass,
    std: io::Stdout,
    /// std's has one, which is always `'static`.
    lifetime: PhantomData<&'a ()>,
}

impl StdoutLock<'static> {
    fn new(pass: Pass) -> Self {
        Self { _pass: pass, std: io::stdout(), lifetime: PhantomData }
    }
}

impl StdoutLock<'_> {
    /// Whether a terminal stands behind it. Never parks.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.std.is_terminal()
    }
}

impl Write for StdoutLock<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let fitting = &buf[..buf.len().min(CHUNK)];
        with_room(|| io::stdout().write(fitting))
    }

    fn flush(&mut self) -> io::Result<()> {
        with_room(|| io::stdout().flush())
    }

    /// All at once: each piece would be waited for by itself, and `println!` might come between.
    fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> io::Result<()> {
        if let Some(text) = text.as_str() {
            return self.write_all(text.as_bytes());
        }
        let mut whole = String::new();
        match fmt::write(&mut whole, text) {
            Ok(()) => self.write_all(whole.as_bytes()),
            Err(fmt::Error) => Err(io::Error::other("a value could not be formatted")),
        }
    }
}

impl AsFd for StdoutLock<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.std.as_fd()
    }
}

impl AsRawFd for StdoutLock<'_> {
    fn as_raw_fd(&self) -> RawFd {
        self.std.as_raw_fd()
    }
}

impl fmt::Debug for StdoutLock<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StdoutLock").finish_non_exhaustive()
    }
}

/// Makes a call that writes, parking the task until it finds room.
fn with_room<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match wait_once(io::stdout().as_fd(), Direction::Write) {
            // Closed: std's write has an answer to that.
            Err(error) if error.raw_os_error() == Some(libc::EBADF) => {}
            waited => waited?,
        }
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Somebody has put the description into non-blocking mode, and somebody was faster.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return done,
        }
    }
}
