//! Descriptors: the calls that neither std, mio nor socket2 has.
//!
//! Layer 0. Imports: clock. Never: tasks, reactors.

use crate::clock::now;
use std::error::Error;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;
use std::time::Duration;
use std::time::Instant;

/// Which way bytes flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

/// A descriptor and a direction, to be looked at.
#[repr(transparent)]
pub(crate) struct Interest<'f> {
    entry: libc::pollfd,
    fd: PhantomData<BorrowedFd<'f>>,
}

impl<'f> Interest<'f> {
    pub(crate) fn new(fd: BorrowedFd<'f>, direction: Direction) -> Self {
        let events = match direction {
            Direction::Read => libc::POLLIN,
            Direction::Write => libc::POLLOUT,
        };
        let entry = libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
        Self { entry, fd: PhantomData }
    }
}

/// Blocks this thread until `fd` may be ready, for an OS thread that runs no tasks; false if the deadline
/// was first.
pub(crate) fn wait_for_fd(
    fd: BorrowedFd<'_>,
    direction: Direction,
    deadline: Option<Instant>,
) -> io::Result<bool> {
    wait_for_any(&mut [Interest::new(fd, direction)], deadline)
}

/// Like [`wait_for_fd`], for the first of several.
pub(crate) fn wait_for_any(
    interests: &mut [Interest<'_>],
    deadline: Option<Instant>,
) -> io::Result<bool> {
    loop {
        let left = deadline.map(|at| at.saturating_duration_since(now()));
        // Rounded up: what is awaited is never given up early.
        let timeout_ms = left.map_or(-1, |left| {
            libc::c_int::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(libc::c_int::MAX)
        });
        match poll(interests, timeout_ms) {
            Ok(true) => return Ok(true),
            Ok(false) if left.is_some_and(|left| left.is_zero()) => return Ok(false),
            Ok(false) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether a call on `fd` would not block now.
pub(crate) fn is_ready(fd: BorrowedFd<'_>, direction: Direction) -> io::Result<bool> {
    loop {
        match poll(&mut [Interest::new(fd, direction)], 0) {
            // Without an answer: a signal was pending, and who took that for a no would miss an edge.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            known => return known,
        }
    }
}

/// `poll(2)`, once; a timeout of -1 is none.
fn poll(interests: &mut [Interest<'_>], timeout_ms: libc::c_int) -> io::Result<bool> {
    let count = interests.len() as libc::nfds_t;
    // SAFETY: an `Interest` is one valid `pollfd`, and all of them are borrowed for the call.
    let ready = unsafe { libc::poll(interests.as_mut_ptr().cast(), count, timeout_ms) };
    if interests.iter().any(|interest| interest.entry.revents & libc::POLLNVAL != 0) {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    match ready {
        0.. => Ok(ready > 0),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Says which limit was met when the system has no descriptor left, or does not watch another one; the
/// kind stays, and the system's own error is the source.
pub(crate) fn name_limit(error: io::Error) -> io::Error {
    let text = match error.raw_os_error() {
        Some(libc::EMFILE) => "this process has no descriptor left (RLIMIT_NOFILE, `ulimit -n`)",
        Some(libc::ENFILE) => "the system has no descriptor left (fs.file-max)",
        Some(libc::ENOSPC) => "no more descriptors can be waited for (fs.epoll.max_user_watches)",
        _ => return error,
    };
    io::Error::new(error.kind(), Exhausted { text, source: error })
}

/// The system's number for an error, also for one that [`name_limit`] has put into words.
pub(crate) fn os_code(error: &io::Error) -> Option<i32> {
    let named = || error.get_ref()?.downcast_ref::<Exhausted>()?.source.raw_os_error();
    error.raw_os_error().or_else(named)
}

#[derive(Debug)]
struct Exhausted {
    text: &'static str,
    source: io::Error,
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.text, self.source)
    }
}

impl Error for Exhausted {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// A timer that becomes readable when it fires: `timerfd_create(2)`.
#[derive(Debug)]
pub(crate) struct TimerFd(OwnedFd);

impl TimerFd {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
        // SAFETY: no pointers are passed.
        let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just made this descriptor for us.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.0
    }

    /// Fires once, `delay` from now, and forgets what was set before.
    pub(crate) fn set(&self, delay: Duration) -> io::Result<()> {
        // A zero would disarm it.
        let delay = delay.max(Duration::from_nanos(1));
        let seconds = libc::time_t::try_from(delay.as_secs()).unwrap_or(libc::time_t::MAX);
        let spec = libc::itimerspec {
            it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: libc::timespec { tv_sec: seconds, tv_nsec: delay.subsec_nanos().into() },
        };
        // SAFETY: `spec` is valid for the call and the old value is not asked for.
        let result = unsafe {
            libc::timerfd_settime(self.0.as_raw_fd(), 0, &raw const spec, std::ptr::null_mut())
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

/// A descriptor that is readable from the moment on when somebody rings: `eventfd(2)`.
#[derive(Debug)]
pub(crate) struct BellFd(OwnedFd);

impl BellFd {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no pointers are passed.
        let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(name_limit(io::Error::last_os_error()));
        }
        // SAFETY: the kernel has just made this descriptor for us.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    pub(crate) fn ring(&self) {
        // It fails only for a full counter, which is readable all the same.
        let _ = super::descriptor::write(self.fd(), &1_u64.to_ne_bytes());
    }
}
