//! UDP: datagrams.
//!
//! Layer 8. Imports: io, sys. Never: sessions, timers, reactors.
//!
//! Every call is one line over `Io::call`, and the system calls are std's own. What is read says nothing of
//! what is left: a short datagram is not the last one.

use super::ToSocketAddrs;
use super::addr::first_that_works;
use crate::io::Io;
use crate::io::Left;
use crate::io::checkpoint;
use crate::io::convert::conversions;
use crate::sys;
use crate::sys::Direction;
use std::io;
use std::net;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::time::Duration;

/// A UDP socket, like [`std::net::UdpSocket`].
///
/// Several tasks may send and receive at once; those that wait for the same direction are served in the
/// order in which they came. It may be moved to other threads and dropped on any.
///
/// A datagram that is longer than the buffer is cut off, one of no bytes is received as such. What a host
/// answers to a datagram ("nobody listens here") is the error of a later call, if the socket is connected.
///
/// # Cancellation
///
/// Every call that sends, receives or peeks is a checkpoint on every call; one that is cancelled has
/// neither sent nor taken a datagram. While a task unwinds, one that would have to wait fails with
/// [`io::Cancelled`](crate::io::Cancelled) instead.
///
/// # Examples
///
/// ```
/// use giambio::net::UdpSocket;
///
/// giambio::run(|| -> std::io::Result<()> {
///     let server = UdpSocket::bind("127.0.0.1:0")?;
///     let address = server.local_addr()?;
///     giambio::pool(|pool| {
///         pool.spawn(|| {
///             let mut buf = [0; 1500];
///             let (count, peer) = server.recv_from(&mut buf).unwrap();
///             server.send_to(&buf[..count], peer).unwrap();
///         });
///         let client = UdpSocket::bind("127.0.0.1:0")?;
///         client.send_to(b"hello", address)?;
///         let mut buf = [0; 1500];
///         assert_eq!(client.recv_from(&mut buf)?, (5, address));
///         Ok(())
///     })
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UdpSocket {
    io: Io<net::UdpSocket>,
}

impl UdpSocket {
    /// Makes a socket bound to the first of the addresses that works. Never parks, except to look up a
    /// host name.
    ///
    /// # Errors
    ///
    /// As for [`std::net::UdpSocket::bind`]; out of descriptors, the text names `RLIMIT_NOFILE`.
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<Self> {
        let socket = first_that_works(addr, net::UdpSocket::bind).map_err(sys::name_limit)?;
        Ok(Self::from(socket))
    }

    /// Takes the next datagram and tells who sent it, parking the calling task until there is one.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. A cancelled `recv_from` has taken no datagram.
    ///
    /// # Errors
    ///
    /// `WouldBlock` after the [read timeout](Self::set_read_timeout); `ConnectionRefused` if the host that
    /// the socket is connected to has said so; else the system's.
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io.call(Direction::Read, |socket| Ok((socket.recv_from(buf)?, Left::Unknown)))
    }

    /// Like [`recv_from`](Self::recv_from), and leaves the datagram where it is.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. Nothing is lost.
    ///
    /// # Errors
    ///
    /// As for [`recv_from`](Self::recv_from).
    pub fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io.call(Direction::Read, |socket| Ok((socket.peek_from(buf)?, Left::Unknown)))
    }

    /// Sends a datagram to the first of the addresses, parking the calling task while there is no room
    /// for it.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. A cancelled `send_to` has sent nothing.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if there is no address; `WouldBlock` after the
    /// [write timeout](Self::set_write_timeout); else the system's.
    pub fn send_to<A: ToSocketAddrs>(&self, buf: &[u8], addr: A) -> io::Result<usize> {
        // What fails before `call` is a checkpoint all the same.
        let Some(addr) = addr.to_socket_addrs().inspect_err(|_| checkpoint())?.next() else {
            checkpoint();
            let text = "no addresses to send data to";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        };
        self.io.call(Direction::Write, |socket| Ok((socket.send_to(buf, addr)?, Left::Unknown)))
    }

    /// Sets the address that [`send`](Self::send) sends to and [`recv`](Self::recv) hears of: the first
    /// that works. Never parks, except to look up a host name.
    ///
    /// # Errors
    ///
    /// As for [`std::net::UdpSocket::connect`].
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::net::UdpSocket;
    ///
    /// giambio::run(|| -> std::io::Result<()> {
    ///     let (a, b) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    ///     a.connect(b.local_addr()?)?;
    ///     b.connect(a.local_addr()?)?;
    ///     a.send(b"hello")?;
    ///     assert_eq!(b.recv(&mut [0; 1500])?, 5);
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn connect<A: ToSocketAddrs>(&self, addr: A) -> io::Result<()> {
        first_that_works(addr, |addr| self.io.source().connect(addr))
    }

    /// Sends a datagram to the address that the socket is connected to, parking the calling task while
    /// there is no room for it.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. A cancelled `send` has sent nothing.
    ///
    /// # Errors
    ///
    /// `WouldBlock` after the [write timeout](Self::set_write_timeout); `ConnectionRefused` if the host has
    /// said so to an earlier datagram; else the system's.
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.io.call(Direction::Write, |socket| Ok((socket.send(buf)?, Left::Unknown)))
    }

    /// Takes the next datagram, parking the calling task until there is one.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. A cancelled `recv` has taken no datagram.
    ///
    /// # Errors
    ///
    /// As for [`recv_from`](Self::recv_from).
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.io.call(Direction::Read, |socket| Ok((socket.recv(buf)?, Left::Unknown)))
    }

    /// Like [`recv`](Self::recv), and leaves the datagram where it is.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. Nothing is lost.
    ///
    /// # Errors
    ///
    /// As for [`recv_from`](Self::recv_from).
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.io.call(Direction::Read, |socket| Ok((socket.peek(buf)?, Left::Unknown)))
    }

    /// The address that the socket is connected to. Never parks.
    ///
    /// # Errors
    ///
    /// `NotConnected` if there is none.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.source().peer_addr()
    }

    /// The address that the socket is bound to. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::UdpSocket::local_addr`].
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.source().local_addr()
    }

    /// Another handle on the same socket, with the same options, timeouts and mode. Never parks.
    ///
    /// # Errors
    ///
    /// The system's; out of descriptors, the text names `RLIMIT_NOFILE`.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { io: self.io.try_clone(|socket| socket.try_clone())? })
    }

    /// Sets how long a call that receives or peeks parks before it fails with `WouldBlock`; `None` is for
    /// ever. It holds for later calls, on all clones. Never parks.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero.
    pub fn set_read_timeout(&self, dur: Option<Duration>) -> io::Result<()> {
        // The kernel's own goes with the socket, should it be handed to std; and std checks `dur`.
        self.io.source().set_read_timeout(dur)?;
        self.io.set_timeout(Direction::Read, dur);
        Ok(())
    }

    /// Sets how long a call that sends parks before it fails with `WouldBlock`; `None` is for ever. It
    /// holds for later calls, on all clones. Never parks.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero.
    pub fn set_write_timeout(&self, dur: Option<Duration>) -> io::Result<()> {
        self.io.source().set_write_timeout(dur)?;
        self.io.set_timeout(Direction::Write, dur);
        Ok(())
    }

    /// How long a call that receives parks, as the kernel has rounded it. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::UdpSocket::read_timeout`].
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        self.io.source().read_timeout()
    }

    /// How long a call that sends parks, as the kernel has rounded it. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::UdpSocket::write_timeout`].
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        self.io.source().write_timeout()
    }

    /// Has calls fail with `WouldBlock` instead of parking (`true`), on all clones. Never parks.
    ///
    /// Only this crate's calls heed it: the descriptor itself is always in non-blocking mode.
    /// [`readable`](Self::readable) and [`writable`](Self::writable) park all the same.
    ///
    /// # Errors
    ///
    /// None; the signature is std's.
    #[expect(clippy::fn_params_excessive_bools, reason = "std's signature")]
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.io.set_mode(nonblocking.into());
        Ok(())
    }

    /// Takes the error that the next call would have reported: `SO_ERROR`. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::UdpSocket::take_error`].
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.io.source().take_error()
    }

    /// Allows sending to a broadcast address (`true`): `SO_BROADCAST`. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::UdpSocket::set_broadcast`].
    #[expect(clippy::fn_params_excessive_bools, reason = "std's signature")]
    pub fn set_broadcast(&self, broadcast: bool) -> io::Result<()> {
        self.io.source().set_broadcast(broadcast)
    }

    /// Whether sending to a broadcast address is allowed. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::UdpSocket::broadcast`].
    pub fn broadcast(&self) -> io::Result<bool> {
        self.io.source().broadcast()
    }

    /// Has this host's own members of a group hear what is sent to it (`true`): `IP_MULTICAST_LOOP`. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::UdpSocket::set_multicast_loop_v4`].
    #[expect(clippy::fn_params_excessive_bools, reason = "std's signature")]
    pub fn set_multicast_loop_v4(&self, multicast_loop_v4: bool) -> io::Result<()> {
        self.io.source().set_multicast_loop_v4(multicast_loop_v4)
    }

    /// Whether this host's own members of a group hear what is sent to it over IPv4. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::UdpSocket::multicast_loop_v4`].
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.io.source().multicast_loop_v4()
    }

    /// Sets how many routers a datagram to a group may pass: `IP_MULTICAST_TTL`. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::UdpSocket::set_multicast_ttl_v4`].
    pub fn set_multicast_ttl_v4(&self, multicast_ttl_v4: u32) -> io::Result<()> {
        self.io.source().set_multicast_ttl_v4(multicast_ttl_v4)
    }

    /// How many routers a datagram to a group may pass. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::UdpSocket::multicast_ttl_v4`].
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.io.source().multicast_ttl_v4()
    }

    /// Has this host's own members of a group hear what is sent to it (`true`): `IPV6_MULTICAST_LOOP`. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::UdpSocket::set_multicast_loop_v6`].
    #[expect(clippy::fn_params_excessive_bools, reason = "std's signature")]
    pub fn set_multicast_loop_v6(&self, multicast_loop_v6: bool) -> io::Result<()> {
        self.io.source().set_multicast_loop_v6(multicast_loop_v6)
    }

    /// Whether this host's own members of a group hear what is sent to it over IPv6. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::UdpSocket::multicast_loop_v6`].
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.io.source().multicast_loop_v6()
    }

    /// Sets how many routers a datagram may pass: `IP_TTL`. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::UdpSocket::set_ttl`].
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.io.source().set_ttl(ttl)
    }

    /// How many routers a datagram may pass. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::UdpSocket::ttl`].
    pub fn ttl(&self) -> io::Result<u32> {
        self.io.source().ttl()
    }

    /// Joins the group `multiaddr` on the interface with the address `interface`; an unspecified one leaves the choice to the system. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::UdpSocket::join_multicast_v4`].
    pub fn join_multicast_v4(&self, multiaddr: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.io.source().join_multicast_v4(multiaddr, interface)
    }

    /// Joins the group `multiaddr` on the interface with the index `interface`; 0 leaves the choice to the system. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::UdpSocket::join_multicast_v6`].
    pub fn join_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.io.source().join_multicast_v6(multiaddr, interface)
    }

    /// Leaves a group that [`join_multicast_v4`](Self::join_multicast_v4) joined. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::UdpSocket::leave_multicast_v4`].
    pub fn leave_multicast_v4(&self, multiaddr: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.io.source().leave_multicast_v4(multiaddr, interface)
    }

    /// Leaves a group that [`join_multicast_v6`](Self::join_multicast_v6) joined. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::UdpSocket::leave_multicast_v6`].
    pub fn leave_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.io.source().leave_multicast_v6(multiaddr, interface)
    }
}

/// # Beyond std
impl UdpSocket {
    /// Parks until there is a datagram to be received, or an error to be told of.
    ///
    /// It takes nothing, so several tasks that wait are all woken, and the call that follows may find that
    /// another has been first: then it parks. In non-blocking mode this parks too.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. Nothing is lost.
    ///
    /// # Errors
    ///
    /// `WouldBlock` after the [read timeout](Self::set_read_timeout).
    pub fn readable(&self) -> io::Result<()> {
        self.io.wait_ready(Direction::Read)
    }

    /// Parks until there is room to send, or an error to be told of.
    ///
    /// Otherwise like [`readable`](Self::readable).
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. Nothing is lost.
    ///
    /// # Errors
    ///
    /// `WouldBlock` after the [write timeout](Self::set_write_timeout).
    pub fn writable(&self) -> io::Result<()> {
        self.io.wait_ready(Direction::Write)
    }
}

conversions!(UdpSocket, net::UdpSocket);
