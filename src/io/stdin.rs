//! Stdin: standard input that does not stop the thread.
//!
//! Layer 8. Imports: sys, its siblings. Never: sessions, timers, reactors.
//!
//! The descriptor's mode belongs to every process that has it, a shell among them: it is left alone.
//! Chosen: to wait until there is something, and then to read once, which does not block. Rejected: a
//! helper thread (a cancelled read would go on, and take what is next), and a description of our
//! own, opened again through /proc (sockets have none, and a regular file's would begin at its start).
//!
//! The read is one of std's, which asks the kernel once if std's buffer is empty; ours takes all of
//! it, so it is empty. A line is taken out of our buffer only when it is whole: that std's
//! `read_line` loses what it has if it is cut is why the buffer is not std's.

use super::checkpoint;
use super::gate::Gate;
use super::gate::Pass;
use super::wait_once;
use crate::sys::Direction;
use std::fmt;
use std::io;
use std::io::BufRead;
use std::io::IsTerminal;
use std::io::Lines;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::os::fd::RawFd;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

/// Bytes asked for at once: at least as many as std's buffer holds, so that std passes them by it.
const CHUNK: usize = 8 << 10;

static GATE: Gate = Gate::new();

/// Only who has passed the gate locks it, so nobody ever waits here.
static BUFFER: Mutex<Buffer> = Mutex::new(Buffer { bytes: Vec::new(), taken: 0 });

/// A handle on the standard input of the process, like [`std::io::stdin`].
///
/// It has a buffer that all handles share, and that is not the one of `std::io::stdin`: what is read
/// through both comes in pieces, some here and some there.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
///
/// giambio::run(|| {
///     let answer = giambio::with_timeout(Duration::from_secs(10), |_| {
///         let mut line = String::new();
///         giambio::io::stdin().read_line(&mut line).map(|_| line)
///     });
///     match answer {
///         Ok(line) => println!("You said {line:?}"),
///         Err(_) => println!("You said nothing"),
///     }
/// });
/// ```
#[must_use]
pub fn stdin() -> Stdin {
    Stdin { std: io::stdin() }
}

/// Standard input, like [`std::io::Stdin`]: see [`stdin`].
///
/// A read waits until there is something and then takes it, so other tasks run meanwhile. A terminal,
/// a pipe and a socket are waited for; a regular file is just read. The descriptor stays in the mode
/// that it is in, since it is shared with other processes. If one of those reads from it too and is
/// faster, the thread blocks until there is more.
///
/// Each call locks the buffer for itself; tasks that want it at once are served in the order in which
/// they came.
///
/// # Cancellation
///
/// Every call is a checkpoint. [`read_line`](Self::read_line) and [`lines`](Self::lines) lose nothing
/// when they are cancelled: the line stays in the buffer until it is whole and taken. Nor does
/// `read`. `read_to_end` leaves in its vector what has come; `read_exact` and `read_to_string` do not
/// tell how far they came, and what they have taken is gone.
///
/// While a task unwinds, a call that would have to wait fails with
/// [`io::Cancelled`](crate::io::Cancelled) instead.
pub struct Stdin {
    /// Has no state: a name for the descriptor.
    std: io::Stdin,
}

impl Stdin {
    /// Locks the buffer for several calls, parking the calling task while another one has it.
    ///
    /// Outside of [`run`](crate::run) it blocks the thread. A task that locks it twice waits for
    /// itself.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call, also when the buffer is free.
    ///
    /// # Panics
    ///
    /// If it would have to wait inside of [`task::no_switch`](crate::task::no_switch).
    #[track_caller]
    pub fn lock(&self) -> StdinLock<'static> {
        StdinLock::new(GATE.pass(None))
    }

    #[track_caller]
    fn lock_or_report(&self) -> io::Result<StdinLock<'static>> {
        GATE.pass_or_report(None).map(StdinLock::new)
    }

    /// Appends the next line to `buf`, with its end, and says how many bytes that were: 0 at the end
    /// of the input.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. A cancelled `read_line` has taken nothing: what has come of the
    /// line is there for the next call.
    ///
    /// # Errors
    ///
    /// `InvalidData` if the line is no UTF-8: then it is taken, and `buf` is as it was. The system's;
    /// then what has come of the line is there for the next call.
    pub fn read_line(&self, buf: &mut String) -> io::Result<usize> {
        self.lock_or_report()?.read_line(buf)
    }

    /// The lines that come, without their ends. The buffer stays locked as long as they live.
    ///
    /// # Cancellation
    ///
    /// A checkpoint, as for [`lock`](Self::lock); each step is one, as for
    /// [`read_line`](Self::read_line).
    #[track_caller]
    pub fn lines(self) -> Lines<StdinLock<'static>> {
        self.lock().lines()
    }

    /// Whether a terminal stands behind it. Never parks.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.std.is_terminal()
    }
}

impl Read for &Stdin {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.lock_or_report()?.read(buf)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        self.lock_or_report()?.read_to_end(buf)
    }

    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        self.lock_or_report()?.read_to_string(buf)
    }

    fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        self.lock_or_report()?.read_exact(buf)
    }
}

impl Read for Stdin {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        (&*self).read_to_end(buf)
    }

    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        (&*self).read_to_string(buf)
    }

    fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        (&*self).read_exact(buf)
    }
}

impl AsFd for Stdin {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.std.as_fd()
    }
}

impl AsRawFd for Stdin {
    fn as_raw_fd(&self) -> RawFd {
        self.std.as_raw_fd()
    }
}

impl fmt::Debug for Stdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stdin").finish_non_exhaustive()
    }
}

/// The locked buffer of [`Stdin`], like [`std::io::StdinLock`].
///
/// # Cancellation
///
/// Every call is a checkpoint, also when the buffer has what it wants. `read_line`, `read_until` and
/// [`lines`](BufRead::lines) lose nothing when they are cancelled.
pub struct StdinLock<'a> {
    // Dropped in this order: nobody else passes while the buffer is locked.
    buffer: MutexGuard<'a, Buffer>,
    _pass: Pass,
    std: io::Stdin,
}

impl StdinLock<'static> {
    fn new(pass: Pass) -> Self {
        // A cancellation that passes through poisons it, and changes nothing: the buffer is whole
        // whenever a task parks.
        let buffer = BUFFER.lock().unwrap_or_else(PoisonError::into_inner);
        Self { buffer, _pass: pass, std: io::stdin() }
    }
}

impl StdinLock<'_> {
    /// Whether a terminal stands behind it. Never parks.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.std.is_terminal()
    }
}

impl Read for StdinLock<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buf)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for StdinLock<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        checkpoint();
        if self.buffer.unread().is_empty() {
            self.buffer.read_more()?;
        }
        Ok(self.buffer.unread())
    }

    fn consume(&mut self, amount: usize) {
        self.buffer.take(amount);
    }

    fn read_until(&mut self, byte: u8, buf: &mut Vec<u8>) -> io::Result<usize> {
        checkpoint();
        let count = self.buffer.read_to(byte)?;
        buf.extend_from_slice(&self.buffer.unread()[..count]);
        self.buffer.take(count);
        Ok(count)
    }

    fn read_line(&mut self, buf: &mut String) -> io::Result<usize> {
        checkpoint();
        let count = self.buffer.read_to(b'\n')?;
        let line = str::from_utf8(&self.buffer.unread()[..count]).map(|line| buf.push_str(line));
        self.buffer.take(count);
        line.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(count)
    }
}

impl AsFd for StdinLock<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.std.as_fd()
    }
}

impl AsRawFd for StdinLock<'_> {
    fn as_raw_fd(&self) -> RawFd {
        self.std.as_raw_fd()
    }
}

impl fmt::Debug for StdinLock<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StdinLock").finish_non_exhaustive()
    }
}

/// What has come and was not yet asked for.
struct Buffer {
    bytes: Vec<u8>,
    /// Of `bytes`, from the front.
    taken: usize,
}

impl Buffer {
    fn unread(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    fn take(&mut self, amount: usize) {
        self.taken = self.bytes.len().min(self.taken + amount);
    }

    /// Reads until `byte` has come, or the end: how many bytes of the buffer that are, all told.
    fn read_to(&mut self, byte: u8) -> io::Result<usize> {
        let mut searched = 0;
        loop {
            let unread = self.unread();
            if let Some(place) = unread[searched..].iter().position(|&other| other == byte) {
                return Ok(searched + place + 1);
            }
            searched = unread.len();
            if self.read_more()? == 0 {
                return Ok(searched);
            }
        }
    }

    /// Appends what comes next, parking the task until something does. 0 bytes are the end.
    fn read_more(&mut self) -> io::Result<usize> {
        loop {
            wait_for_input()?; // before anything here is touched: it may unwind
            self.bytes.drain(..self.taken);
            self.taken = 0;
            let unread = self.bytes.len();
            if unread == 0 {
                self.bytes.shrink_to(CHUNK); // a long line was here
            }
            self.bytes.resize(unread + CHUNK, 0);
            let result = io::stdin().lock().read(&mut self.bytes[unread..]);
            self.bytes.truncate(unread + *result.as_ref().unwrap_or(&0));
            match result {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Somebody has put the description into non-blocking mode, and somebody was faster.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
        }
    }
}

fn wait_for_input() -> io::Result<()> {
    match wait_once(io::stdin().as_fd(), Direction::Read) {
        // Closed: std's read calls that the end.
        Err(error) if error.raw_os_error() == Some(libc::EBADF) => Ok(()),
        waited => waited,
    }
}
