//! Stream: connections between Unix sockets.
//!
//! Layer 8. Imports: io, sys. Never: sessions, timers, reactors.
//!
//! A read that was given fewer bytes than it had room for has emptied the socket, with two exceptions
//! that do not hold for TCP: it ends behind bytes that came with descriptors, and, if credentials are
//! asked for, where the sender changes. `read(2)` does not tell, `recvmsg(2)` does, so that is called.
//! At an urgent byte it ends too, which the reactor knows as for TCP.

use super::name_limit;
use super::target;
use super::unreported;
use crate::io::Io;
use crate::io::Left;
use crate::io::checkpoint;
use crate::io::convert::conversions;
use crate::io::stream::BUFFERS_PER_CALL;
use crate::io::stream::after_read;
use crate::io::stream::read_by_reference;
use crate::io::stream::write_to_socket;
use crate::sys;
use crate::sys::Ancillary;
use crate::sys::Direction;
use socket2::SockRef;
use socket2::Socket;
use std::io;
use std::io::IoSliceMut;
use std::io::Read;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net;
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// A Unix stream socket, like [`std::os::unix::net::UnixStream`].
///
/// `&UnixStream` reads and writes: one task may read while another writes. Several tasks that wait for
/// the same direction are served in the order in which they came. It may be moved to other threads
/// and dropped on any.
///
/// # Cancellation
///
/// Every read and write is a checkpoint on every call; one that is cancelled has taken or sent nothing.
/// A call that is made of several, such as `read_exact` or `write_all`, does not tell how far it came.
/// While a task unwinds, one that would have to wait fails with [`io::Cancelled`](crate::io::Cancelled)
/// instead. `flush` does nothing and never parks.
///
/// # Examples
///
/// ```
/// use giambio::os::unix::net::UnixStream;
/// use std::io::{Read, Write};
///
/// giambio::run(|| -> std::io::Result<()> {
///     let (mut ours, mut theirs) = UnixStream::pair()?;
///     giambio::pool(|pool| {
///         pool.spawn(move || theirs.write_all(b"hello").unwrap());
///         let mut text = String::new();
///         ours.read_to_string(&mut text)?; // the other task runs meanwhile
///         assert_eq!(text, "hello");
///         Ok(())
///     })
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UnixStream {
    io: Io<net::UnixStream>,
}

impl UnixStream {
    /// For what the kernel has made just now, in non-blocking mode and to be closed on exec.
    pub(super) fn fresh(socket: net::UnixStream) -> Self {
        Self { io: Io::fresh(socket) }
    }

    /// Opens a connection to a path, parking the calling task while the listener's backlog is full.
    ///
    /// That wait is one by asking again, as the [module](super) tells.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. A cancelled `connect` has connected to nobody.
    ///
    /// # Errors
    ///
    /// `NotFound` if the path does not exist, `ConnectionRefused` if nobody listens on it any more,
    /// `InvalidInput` if it is longer than an address. Out of descriptors, the text names
    /// `RLIMIT_NOFILE`.
    pub fn connect<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        checkpoint();
        Self::connect_to(&SocketAddr::from_pathname(path)?)
    }

    /// Opens a connection to an address, which may be an abstract name; like [`connect`](Self::connect)
    /// otherwise.
    ///
    /// # Cancellation
    ///
    /// As for [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect); an abstract name that nobody has is `ConnectionRefused`.
    pub fn connect_addr(socket_addr: &SocketAddr) -> io::Result<Self> {
        checkpoint();
        Self::connect_to(socket_addr)
    }

    fn connect_to(addr: &SocketAddr) -> io::Result<Self> {
        let kind = socket2::Type::STREAM.nonblocking().cloexec();
        let socket = Socket::new(socket2::Domain::UNIX, kind, None).map_err(name_limit)?;
        let target = target(addr)?;
        let stream = Self::fresh(socket.into());
        unreported::call(&stream.io, |socket| SockRef::from(socket).connect(&target))?;
        Ok(stream)
    }

    /// Makes both ends of a connection. Never parks.
    ///
    /// # Errors
    ///
    /// Out of descriptors, the text names `RLIMIT_NOFILE`.
    pub fn pair() -> io::Result<(Self, Self)> {
        let kind = socket2::Type::STREAM.nonblocking().cloexec();
        let (one, other) = Socket::pair(socket2::Domain::UNIX, kind, None).map_err(name_limit)?;
        Ok((Self::fresh(one.into()), Self::fresh(other.into())))
    }

    /// Parks the calling task until there is something to be read, or the end. Somebody else may be first.
    ///
    /// It needs no buffer while it waits, which suits many idle connections.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. Nothing is taken.
    ///
    /// # Errors
    ///
    /// `WouldBlock` after the read timeout.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::os::unix::net::UnixStream;
    /// use std::io::{Read, Write};
    ///
    /// giambio::run(|| -> std::io::Result<()> {
    ///     let (mut ours, mut theirs) = UnixStream::pair()?;
    ///     theirs.write_all(b"x")?;
    ///     ours.readable()?;
    ///     assert_eq!(ours.read(&mut [0; 8])?, 1);
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn readable(&self) -> io::Result<()> {
        self.io.wait_ready(Direction::Read)
    }

    /// Parks the calling task until there is room for a write, or the other end is closed.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call.
    ///
    /// # Errors
    ///
    /// `WouldBlock` after the write timeout.
    pub fn writable(&self) -> io::Result<()> {
        self.io.wait_ready(Direction::Write)
    }

    /// Shuts down one or both halves; tasks that wait on them are woken. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::os::unix::net::UnixStream::shutdown`].
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::net::Shutdown;
    /// use giambio::os::unix::net::UnixStream;
    /// use std::io::Read;
    ///
    /// giambio::run(|| -> std::io::Result<()> {
    ///     let (ours, mut theirs) = UnixStream::pair()?;
    ///     ours.shutdown(Shutdown::Write)?;
    ///     assert_eq!(theirs.read(&mut [0])?, 0); // the end
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.io.source().shutdown(how)?;
        // To who waits for room the kernel reports only room, while the thread of a blocking write wakes.
        self.io.nudge();
        Ok(())
    }

    /// The address of this side. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::os::unix::net::UnixStream::local_addr`].
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.source().local_addr()
    }

    /// The address of the other side. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::os::unix::net::UnixStream::peer_addr`].
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.source().peer_addr()
    }

    /// Another handle on the same connection, with the same timeouts and mode. Never parks.
    ///
    /// # Errors
    ///
    /// The system's; out of descriptors, the text names `RLIMIT_NOFILE`.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { io: self.io.try_clone(|socket| socket.try_clone())? })
    }

    /// How long a read waits before it fails with `WouldBlock`, on all clones. Never parks.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        // The kernel keeps it too, for who takes the descriptor; and std looks whether it is zero.
        self.io.source().set_read_timeout(timeout)?;
        self.io.set_timeout(Direction::Read, timeout);
        Ok(())
    }

    /// How long a write waits before it fails with `WouldBlock`, on all clones. Never parks.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.io.source().set_write_timeout(timeout)?;
        self.io.set_timeout(Direction::Write, timeout);
        Ok(())
    }

    /// What [`set_read_timeout`](Self::set_read_timeout) has set, rounded up to the kernel's ticks. Never parks.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        self.io.source().read_timeout()
    }

    /// What [`set_write_timeout`](Self::set_write_timeout) has set, rounded up to the kernel's ticks. Never parks.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        self.io.source().write_timeout()
    }

    /// Has a read or write fail with `WouldBlock` instead of waiting, on all clones. Never parks.
    ///
    /// # Errors
    ///
    /// None; std's signature.
    #[expect(clippy::fn_params_excessive_bools, reason = "std's signature")]
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.io.set_mode(nonblocking.into());
        Ok(())
    }

    /// Takes the socket's pending error. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::os::unix::net::UnixStream::take_error`].
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.io.source().take_error()
    }
}

conversions!(UnixStream, net::UnixStream);

/// Reads what is there, and tells whether that was all.
fn receive(socket: &net::UnixStream, bufs: &mut [IoSliceMut<'_>]) -> io::Result<(usize, Left)> {
    let room = bufs.iter().map(|buf| buf.len()).sum();
    Ok(match sys::receive(socket.as_fd(), bufs)? {
        (count, Ancillary::Nothing) => after_read(count, room),
        (count, Ancillary::Dropped) => (count, Left::Unknown),
    })
}

impl Read for &UnixStream {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.io.call(Direction::Read, |socket| receive(socket, &mut [IoSliceMut::new(buf)]))
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let count = bufs.len().min(BUFFERS_PER_CALL);
        let bufs = &mut bufs[..count];
        self.io.call(Direction::Read, |socket| receive(socket, bufs))
    }
}

read_by_reference!(UnixStream);
write_to_socket!(UnixStream);
