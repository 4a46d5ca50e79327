//! Inherited: descriptors that a service manager has left open for this process, after sd_listen_fds(3).
//!
//! Layer 0. Imports: sys. Never: what they are.
//!
//! Rejected: the crate listenfd. It takes descriptors that are meant for another process when
//! `LISTEN_PID` is missing, knows no names, and removes the variables from the environment, which is
//! not safe beside other threads. To forget them is not needed: a child's number is not `LISTEN_PID`.

use std::env;
use std::io;
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

/// The first of them; those below are standard input, output and error.
const FIRST: RawFd = 3;

/// What an entry of `LISTEN_FDNAMES` that is not there stands for.
const UNNAMED: &str = "unknown";

static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes all descriptors that were left for this process, with their names, once: later calls find none.
/// They are closed when the process executes another program.
///
/// # Errors
///
/// `InvalidData` if one of the variables is no number; the system's, naming the descriptor, if one is not
/// open: all are left alone then.
pub(crate) fn take_inherited() -> io::Result<Vec<(String, OwnedFd)>> {
    if number("LISTEN_PID")? != Some(std::process::id()) {
        return Ok(Vec::new());
    }
    let count = number("LISTEN_FDS")?.unwrap_or(0);
    let Some(end) = RawFd::try_from(count).ok().and_then(|count| FIRST.checked_add(count)) else {
        return Err(invalid("LISTEN_FDS", &count.to_string()));
    };
    // Before anything is done to them: who has taken them may have closed them, and others may have the
    // numbers.
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(Vec::new());
    }
    (FIRST..end).try_for_each(close_on_exec)?;
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let names = names.split(':').map(|name| if name.is_empty() { UNNAMED } else { name });
    let names = names.chain(std::iter::repeat(UNNAMED)).map(str::to_owned);
    Ok(names.zip((FIRST..end).map(own)).collect())
}

/// A variable's number, if it is there.
fn number(name: &str) -> io::Result<Option<u32>> {
    match env::var(name) {
        Ok(text) => text.parse().map(Some).map_err(|_| invalid(name, &text)),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(text)) => Err(invalid(name, &text.to_string_lossy())),
    }
}

fn invalid(name: &str, text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{name} is {text:?}, which makes no sense"))
}

fn close_on_exec(fd: RawFd) -> io::Result<()> {
    // SAFETY: no memory is involved, and the number may be any.
    if unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    Err(io::Error::new(error.kind(), format!("the inherited descriptor {fd}: {error}")))
}

fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: it is open. That it belongs to nobody else in this process says who has set `LISTEN_PID` to
    // this process's number; `TAKEN` keeps us from owning it twice.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
