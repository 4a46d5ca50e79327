//! Descriptor: whether calls on one block, and the plainest of them.
//!
//! Layer 0. Imports: std, libc. Never: who calls.

use std::io;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;

/// What a call does that cannot be done at once. The kernel's belongs to the open file description,
/// which duplicates of a descriptor share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Blocking,
    NonBlocking,
}

/// Sets the mode of `fd`, and returns the one that it was in.
pub(crate) fn set_mode(fd: impl AsFd, mode: Mode) -> io::Result<Mode> {
    let raw = fd.as_fd().as_raw_fd();
    // SAFETY: `fd` is open, and no pointers are passed.
    let flags = unsafe { libc::fcntl(raw, libc::F_GETFL) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    let before = match flags & libc::O_NONBLOCK {
        0 => Mode::Blocking,
        _ => Mode::NonBlocking,
    };
    if before == mode {
        return Ok(before);
    }
    // SAFETY: as above. `mode` is not what the flag says, so it changes.
    let result = unsafe { libc::fcntl(raw, libc::F_SETFL, flags ^ libc::O_NONBLOCK) };
    if result == 0 { Ok(before) } else { Err(io::Error::last_os_error()) }
}

/// `read(2)`.
pub(crate) fn read(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    // SAFETY: `buf` is writable for its length, and borrowed for the call.
    let count = unsafe { libc::read(fd.as_raw_fd(), buf.as_mut_ptr().cast(), buf.len()) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// `write(2)`.
pub(crate) fn write(fd: BorrowedFd<'_>, buf: &[u8]) -> io::Result<usize> {
    // SAFETY: `buf` is readable for its length, and borrowed for the call.
    let count = unsafe { libc::write(fd.as_raw_fd(), buf.as_ptr().cast(), buf.len()) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}
