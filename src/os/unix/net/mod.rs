//! Unix sockets: std's, for tasks.
//!
//! Layer 8. Imports: io, sys. Never: sessions, timers, reactors.
//!
//! Names, signatures and semantics are those of [`std::os::unix::net`]; a call that blocks there parks
//! the task here. On a thread without a runtime it blocks the thread. What is not stable in std (`peek`,
//! `peer_cred`, ancillary data) is not here. Beyond std, streams and datagrams have `readable` and
//! `writable`, which wait without a buffer, and listeners `readable`. What differs:
//!
//! * A `connect` to a listener whose backlog is full, and a `send_to` to a socket whose queue is full,
//!   wait by asking again, after pauses that grow from 50 µs to 50 ms: the kernel reports such room to
//!   nobody. The wait is at most twice as long as it had to be, and never more than 50 ms longer; who
//!   came first is not served first, and where std wakes a thread in the kernel's own queue, that thread
//!   is first. Everything else is woken by the kernel.
//! * Timeouts are kept to the time asked for, which the kernel would round up to its ticks.
//! * When a side is shut down for writing only, tasks that wait for room through the same handle are woken.
//!   To those that wait through a clone, and to threads without a runtime, the kernel reports it when the
//!   other side reads or closes.
//! * A write of many buffers raises no `SIGPIPE`, where std's does if a program has switched it on.

mod datagram;
mod listener;
mod stream;
mod unreported;

use crate::sys;
pub use datagram::UnixDatagram;
pub use listener::Incoming;
pub use listener::UnixListener;
use socket2::SockAddr;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
pub use std::os::unix::net::SocketAddr;
use std::path::Path;
pub use stream::UnixStream;

/// An address as `connect(2)` takes it.
fn target(addr: &SocketAddr) -> io::Result<SockAddr> {
    match (addr.as_pathname(), addr.as_abstract_name()) {
        (Some(path), _) => SockAddr::unix(path),
        (None, Some(name)) => {
            let marked = [b"\0", name].concat();
            SockAddr::unix(Path::new(OsStr::from_bytes(&marked)))
        }
        (None, None) => SockAddr::unix(""),
    }
}

/// An address that `accept4(2)` has told.
fn source(addr: &SockAddr) -> io::Result<SocketAddr> {
    match (addr.as_pathname(), addr.as_abstract_namespace()) {
        (Some(path), _) => SocketAddr::from_pathname(path),
        (None, Some(name)) => SocketAddr::from_abstract_name(name),
        (None, None) => unnamed(),
    }
}

/// The address of a socket that was never bound.
fn unnamed() -> io::Result<SocketAddr> {
    SocketAddr::from_pathname("")
}

/// Names the limit that a call has met which makes a descriptor; a full disk is none.
fn name_limit(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(libc::ENOSPC) => error,
        _ => sys::name_limit(error),
    }
}
