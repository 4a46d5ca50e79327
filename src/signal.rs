//! Signal: a task that waits for Ctrl-C and its like.
//!
//! Layer 8. Imports: channel, io, sys. Never: sessions, timers, reactors.
//!
//! The handler is the signal-hook crate's, which calls every action that is registered for a signal,
//! and whatever handled it before. Ours leaves the signal's number in a pipe, where a task of whatever
//! runtime reads it: no thread is involved. Chosen: a bit for each kind, so that a kind is in the pipe
//! once at most, which therefore never fills up, and kinds come out in the order in which they came
//! in. Rejected: signalfd(2), for which a signal has to be blocked in every thread.

use crate::channel::IoSource;
use crate::channel::Readiness;
use crate::io::PipeReader;
use crate::sys;
pub use signal_hook::consts::SIGALRM;
pub use signal_hook::consts::SIGCHLD;
pub use signal_hook::consts::SIGCONT;
pub use signal_hook::consts::SIGHUP;
pub use signal_hook::consts::SIGINT;
pub use signal_hook::consts::SIGIO;
pub use signal_hook::consts::SIGPIPE;
pub use signal_hook::consts::SIGPROF;
pub use signal_hook::consts::SIGQUIT;
pub use signal_hook::consts::SIGTERM;
pub use signal_hook::consts::SIGTSTP;
pub use signal_hook::consts::SIGTTIN;
pub use signal_hook::consts::SIGTTOU;
pub use signal_hook::consts::SIGURG;
pub use signal_hook::consts::SIGUSR1;
pub use signal_hook::consts::SIGUSR2;
pub use signal_hook::consts::SIGVTALRM;
pub use signal_hook::consts::SIGWINCH;
pub use signal_hook::consts::SIGXCPU;
pub use signal_hook::consts::SIGXFSZ;

use signal_hook::SigId;
use signal_hook::consts::FORBIDDEN;
use signal_hook::low_level;
use std::ffi::c_int;
use std::fmt;
use std::io;
use std::io::PipeWriter;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// Waits for one Ctrl-C (`SIGINT`), parking the calling task until it comes.
///
/// One that came before does not count; [`Signals`] keeps those that come between two waits. From the
/// first call on Ctrl-C no longer ends the process by itself, also when this has returned.
///
/// # Cancellation
///
/// A checkpoint on every call.
///
/// # Errors
///
/// As for [`Signals::new`] and [`Signals::recv`].
///
/// # Examples
///
/// ```no_run
/// giambio::run(|| {
///     let finished = giambio::cancellable(|pool| {
///         pool.spawn_daemon(|| match giambio::signal::ctrl_c() {
///             Ok(()) => pool.cancel(),
///             Err(error) => eprintln!("Ctrl-C will not be noticed: {error}"),
///         });
///         giambio::sleep_forever() // what the program is for
///     });
///     assert!(finished.is_none());
///     println!("Good bye");
/// });
/// ```
pub fn ctrl_c() -> io::Result<()> {
    Signals::new([SIGINT])?.recv().map(drop)
}

/// Signals of some kinds, kept from the moment when this is made until they are received.
///
/// Any number of these may be alive; each one gets every signal of its kinds. Kinds are received in the
/// order in which they came. A signal that comes again before it was received counts once, as the
/// kernel does it.
///
/// The kinds' default actions do not take place any more, and dropping this does not bring them back:
/// a program that has caught `SIGTERM` once ignores it from then on, unless somebody receives it.
/// Handlers that were set before are still called. While a task is interrupted, they run on the
/// thread's alternate signal stack.
///
/// # Examples
///
/// ```
/// use giambio::signal::{SIGTERM, SIGUSR1, Signals};
///
/// giambio::run(|| -> std::io::Result<()> {
///     let signals = Signals::new([SIGUSR1, SIGTERM])?;
///     signal_hook::low_level::raise(SIGUSR1)?;
///     assert_eq!(signals.recv()?, SIGUSR1);
///     signal_hook::low_level::raise(SIGTERM)?;
///     for signal in &signals {
///         match signal? {
///             SIGTERM => break,
///             other => println!("signal {other}"),
///         }
///     }
///     Ok(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Signals {
    mailbox: Arc<Mailbox>,
    reader: PipeReader,
    actions: Vec<SigId>,
}

/// What the handler sees.
struct Mailbox {
    /// The kinds that are in the pipe, or about to be: bit `n - 1` is signal `n`.
    pending: AtomicU64,
    writer: PipeWriter,
}

impl Mailbox {
    /// Async-signal-safe: an atomic, and a write(2) that has room, since each kind is written once.
    fn put(&self, signal: u8) {
        let bit = bit_of(signal);
        if self.pending.fetch_or(bit, Ordering::SeqCst) & bit == 0 {
            // The reader lives as long as the action.
            let _ = (&self.writer).write(&[signal]);
        }
    }
}

fn bit_of(signal: u8) -> u64 {
    1 << (signal - 1)
}

/// Linux has signals from 1 to 64.
fn checked(signal: c_int) -> io::Result<u8> {
    let number = u8::try_from(signal).ok().filter(|number| (1..=64).contains(number));
    match number {
        Some(number) if !FORBIDDEN.contains(&signal) => Ok(number),
        Some(_) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("signal {signal} cannot be received: nothing goes on behind it"),
        )),
        None => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, format!("there is no signal {signal}")))
        }
    }
}

impl Signals {
    /// Begins to keep signals of these kinds. Never parks.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for numbers that are no signals, for `SIGKILL` and `SIGSTOP`, which the kernel
    /// lets nobody have, for `SIGSEGV`, `SIGILL` and `SIGFPE`, which the code at fault cannot go on
    /// from, and for those that libc keeps to itself: then nothing has changed. The system's; out of
    /// descriptors, the text names `RLIMIT_NOFILE`.
    pub fn new(kinds: impl IntoIterator<Item = c_int>) -> io::Result<Self> {
        let kinds: Vec<u8> = kinds.into_iter().map(checked).collect::<io::Result<_>>()?;
        let (reader, writer) = io::pipe().map_err(sys::name_limit)?;
        let mailbox = Arc::new(Mailbox { pending: AtomicU64::new(0), writer });
        // Whole before the first action is registered: it takes them back if a later one fails.
        let mut signals = Self { mailbox, reader: reader.into(), actions: Vec::new() };
        for kind in kinds {
            let mailbox = Arc::clone(&signals.mailbox);
            // SAFETY: `put` is async-signal-safe and does not panic.
            let action = unsafe { low_level::register(kind.into(), move || mailbox.put(kind)) };
            signals.actions.push(action?);
            sys::handle_on_signal_stack(kind.into())?;
        }
        Ok(signals)
    }

    /// Takes the signal that came first, parking the calling task until there is one.
    ///
    /// Tasks that wait at once get a signal each, in the order in which they came. Outside of
    /// [`run`](crate::run) it blocks the thread.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. A cancelled `recv` has taken nothing.
    ///
    /// # Errors
    ///
    /// [`io::Cancelled`](crate::io::Cancelled), if it would have to wait while the task unwinds; the
    /// system's, if the descriptor cannot be waited for.
    pub fn recv(&self) -> io::Result<c_int> {
        let mut signal = [0];
        let count = (&self.reader).read(&mut signal)?;
        debug_assert_eq!(count, 1, "the mailbox keeps the pipe open");
        let [signal] = signal;
        // Only now: one that comes in between is the one that is being received.
        self.mailbox.pending.fetch_and(!bit_of(signal), Ordering::SeqCst);
        Ok(signal.into())
    }
}

/// Every step is a [`recv`](Signals::recv), and never `None`.
impl Iterator for &Signals {
    type Item = io::Result<c_int>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.recv())
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for action in self.actions.drain(..) {
            low_level::unregister(action); // waits for a handler that runs on another thread
        }
    }
}

/// Readable while a signal has not been received. Who reads from it takes the signal's place.
impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

/// As for [`AsFd`].
impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.reader.as_raw_fd()
    }
}

/// Readable while a signal has not been received.
impl Readiness for Signals {
    fn io_source(&self) -> IoSource<'_> {
        self.reader.io_source()
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signals").finish_non_exhaustive()
    }
}
