//! Socket: the calls on Unix sockets that neither std nor socket2 has.
//!
//! Layer 0. Imports: libc. Never: tasks, reactors.

use std::io;
use std::io::IoSliceMut;
use std::mem;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;

/// What came with a read's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ancillary {
    Nothing,
    /// Descriptors or credentials, which were dropped, since there was no room for them.
    Dropped,
}

/// Reads from a stream and drops what else was sent with the bytes, like `read`; but says so.
pub(crate) fn receive(
    fd: BorrowedFd<'_>,
    bufs: &mut [IoSliceMut<'_>],
) -> io::Result<(usize, Ancillary)> {
    // SAFETY: zeroes are a valid `msghdr`: one without an address and without room for ancillary data.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = bufs.as_mut_ptr().cast();
    message.msg_iovlen = bufs.len();
    // SAFETY: std guarantees that an `IoSliceMut` is an `iovec`; all are borrowed for the call.
    let count = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, 0) };
    let Ok(count) = usize::try_from(count) else { return Err(io::Error::last_os_error()) };
    match message.msg_flags & libc::MSG_CTRUNC {
        0 => Ok((count, Ancillary::Nothing)),
        _ => Ok((count, Ancillary::Dropped)),
    }
}

/// Whether nothing more will come, because this side was shut down or the other has ended.
pub(crate) fn is_read_shut(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLRDHUP, revents: 0 };
    // SAFETY: `entry` is one valid `pollfd`, borrowed for the call, which does not wait.
    match unsafe { libc::poll(&raw mut entry, 1, 0) } {
        0.. => Ok(entry.revents & libc::POLLRDHUP != 0),
        _ => Err(io::Error::last_os_error()),
    }
}
