//! Datagram: Unix sockets that send each message as a whole.
//!
//! Layer 8. Imports: io, sys. Never: sessions, timers, reactors.
//!
//! Two queues may be full when a datagram is sent: the sender's own, and the receiver's. The kernel
//! reports room in the own one, and room in that of the peer to which a socket is connected. Of a queue
//! that is named in the call it tells nobody.

use super::name_limit;
use super::unnamed;
use super::unreported;
use crate::io::Io;
use crate::io::Left;
use crate::io::convert::conversions;
use crate::sys;
use crate::sys::Direction;
use crate::sys::Mode;
use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net;
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// A Unix datagram socket, like [`std::os::unix::net::UnixDatagram`].
///
/// Datagrams are never lost, reordered or joined: a sender waits while the receiver's queue is full. One
/// that is longer than the receiver's buffer loses its end.
///
/// # Cancellation
///
/// Every send and receive is a checkpoint on every call; one that is cancelled has sent or taken nothing.
/// While a task unwinds, one that would have to wait fails with [`io::Cancelled`](crate::io::Cancelled)
/// instead.
///
/// # Examples
///
/// ```
/// use giambio::os::unix::net::UnixDatagram;
///
/// giambio::run(|| -> std::io::Result<()> {
///     let (ours, theirs) = UnixDatagram::pair()?;
///     giambio::pool(|pool| {
///         pool.spawn(|| [b"one", b"two"].map(|text| theirs.send(text).unwrap()));
///         let mut buf = [0; 16];
///         let count = ours.recv(&mut buf)?; // the other task runs meanwhile
///         assert_eq!(&buf[..count], b"one");
///         Ok(())
///     })
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UnixDatagram {
    io: Io<net::UnixDatagram>,
}

impl UnixDatagram {
    /// Makes a socket bound to a path. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::os::unix::net::UnixDatagram::bind`]: `AddrInUse` if the path exists, `InvalidInput`
    /// if it is longer than an address. Out of descriptors, the text names `RLIMIT_NOFILE`.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        Ok(Self::from(net::UnixDatagram::bind(path).map_err(name_limit)?))
    }

    /// Makes a socket bound to an address, which may be an abstract name. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`bind`](Self::bind).
    pub fn bind_addr(socket_addr: &SocketAddr) -> io::Result<Self> {
        Ok(Self::from(net::UnixDatagram::bind_addr(socket_addr).map_err(name_limit)?))
    }

    /// Makes a socket without an address: it can send, and nobody can answer. Never parks.
    ///
    /// # Errors
    ///
    /// Out of descriptors, the text names `RLIMIT_NOFILE`.
    pub fn unbound() -> io::Result<Self> {
        Ok(Self::from(net::UnixDatagram::unbound().map_err(name_limit)?))
    }

    /// Makes two sockets that are connected to each other. Never parks.
    ///
    /// # Errors
    ///
    /// Out of descriptors, the text names `RLIMIT_NOFILE`.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = net::UnixDatagram::pair().map_err(name_limit)?;
        Ok((Self::from(one), Self::from(other)))
    }

    /// Has `send` send to a path, and receives take only what comes from there. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::os::unix::net::UnixDatagram::connect`].
    pub fn connect<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        self.io.source().connect(path)
    }

    /// Like [`connect`](Self::connect), to an address, which may be an abstract name. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::os::unix::net::UnixDatagram::connect_addr`].
    pub fn connect_addr(&self, socket_addr: &SocketAddr) -> io::Result<()> {
        self.io.source().connect_addr(socket_addr)
    }

    /// Takes the next datagram, parking the calling task until there is one; its length, and who sent it.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. A cancelled call has taken nothing.
    ///
    /// # Errors
    ///
    /// `WouldBlock` after the read timeout; the system's.
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive(|socket| socket.recv_from(buf), || Ok((0, unnamed()?)))
    }

    /// Takes the next datagram, parking the calling task until there is one; its length.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. A cancelled call has taken nothing.
    ///
    /// # Errors
    ///
    /// `WouldBlock` after the read timeout; the system's.
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.receive(|socket| socket.recv(buf), || Ok(0))
    }

    /// Runs a call that takes a datagram. After a shutdown the kernel ends a call that blocks, with
    /// nothing, and tells one that does not to come back later.
    fn receive<T>(
        &self,
        mut call: impl FnMut(&net::UnixDatagram) -> io::Result<T>,
        end: impl Fn() -> io::Result<T>,
    ) -> io::Result<T> {
        self.io.call(Direction::Read, |socket| match call(socket) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let has_ended =
                    self.io.mode() == Mode::Blocking && sys::is_read_shut(socket.as_fd())?;
                if has_ended { Ok((end()?, Left::Unknown)) } else { Err(error) }
            }
            done => Ok((done?, Left::Unknown)),
        })
    }

    /// Sends a datagram to a path, parking the calling task while that socket's queue is full.
    ///
    /// That wait is one by asking again, as the [module](super) tells. Who sends much to the same place
    /// connects the socket, and uses [`send`](Self::send).
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. A cancelled call has sent nothing.
    ///
    /// # Errors
    ///
    /// `NotFound` if the path does not exist, `ConnectionRefused` if the socket behind it is closed,
    /// `WouldBlock` after the write timeout; the system's.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::os::linux::net::SocketAddrExt;
    /// use giambio::os::unix::net::{SocketAddr, UnixDatagram};
    ///
    /// giambio::run(|| -> std::io::Result<()> {
    ///     let address = SocketAddr::from_abstract_name(format!("log-{}", std::process::id()))?;
    ///     let receiver = UnixDatagram::bind_addr(&address)?;
    ///     UnixDatagram::unbound()?.send_to_addr(b"hello", &address)?;
    ///     let mut buf = [0; 16];
    ///     let (count, from) = receiver.recv_from(&mut buf)?;
    ///     assert!(&buf[..count] == b"hello" && from.is_unnamed());
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn send_to<P: AsRef<Path>>(&self, buf: &[u8], path: P) -> io::Result<usize> {
        unreported::call(&self.io, |socket| socket.send_to(buf, path.as_ref()))
    }

    /// Sends a datagram to an address, which may be an abstract name; like [`send_to`](Self::send_to)
    /// otherwise.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. A cancelled call has sent nothing.
    ///
    /// # Errors
    ///
    /// As for [`send_to`](Self::send_to); an abstract name that nobody has is `ConnectionRefused`.
    pub fn send_to_addr(&self, buf: &[u8], socket_addr: &SocketAddr) -> io::Result<usize> {
        unreported::call(&self.io, |socket| socket.send_to_addr(buf, socket_addr))
    }

    /// Sends a datagram to the connected peer, parking the calling task while its queue is full.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. A cancelled call has sent nothing.
    ///
    /// # Errors
    ///
    /// `NotConnected` without a peer, `ConnectionRefused` if it is closed, `WouldBlock` after the write
    /// timeout; the system's.
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.io.call(Direction::Write, |socket| Ok((socket.send(buf)?, Left::Unknown)))
    }

    /// Parks the calling task until there is a datagram. Somebody else may take it.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. Nothing is taken.
    ///
    /// # Errors
    ///
    /// `WouldBlock` after the read timeout.
    pub fn readable(&self) -> io::Result<()> {
        self.io.wait_ready(Direction::Read)
    }

    /// Parks the calling task until there is room in its own queue, and in that of a connected peer.
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
    /// As for [`std::os::unix::net::UnixDatagram::shutdown`].
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.io.source().shutdown(how)?;
        // To who waits for room the kernel reports only room, while the thread of a blocking send wakes.
        self.io.nudge();
        Ok(())
    }

    /// The address of this socket. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::os::unix::net::UnixDatagram::local_addr`].
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.source().local_addr()
    }

    /// The address of the connected peer. Never parks.
    ///
    /// # Errors
    ///
    /// `NotConnected` without one.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.source().peer_addr()
    }

    /// Another handle on the same socket, with the same timeouts and mode. Never parks.
    ///
    /// # Errors
    ///
    /// The system's; out of descriptors, the text names `RLIMIT_NOFILE`.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { io: self.io.try_clone(|socket| socket.try_clone())? })
    }

    /// How long a receive waits before it fails with `WouldBlock`, on all clones. Never parks.
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

    /// How long a send waits before it fails with `WouldBlock`, on all clones. Never parks.
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

    /// Has a send or receive fail with `WouldBlock` instead of waiting, on all clones. Never parks.
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
    /// As for [`std::os::unix::net::UnixDatagram::take_error`].
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.io.source().take_error()
    }
}

conversions!(UnixDatagram, net::UnixDatagram);
