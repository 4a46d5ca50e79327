//! TCP listener: where connections come in.
//!
//! Layer 8. Imports: io, sys. Never: sessions, timers, reactors.
//!
//! `accept` is one system call for each connection, and one more for each time that it parks.

use super::TcpStream;
use super::ToSocketAddrs;
use super::addr::first_that_works;
use crate::io::Io;
use crate::io::Left;
use crate::io::convert::conversions;
use crate::sys;
use crate::sys::Direction;
use socket2::SockRef;
use std::io;
use std::iter::FusedIterator;
use std::net;
use std::net::SocketAddr;

/// A listening TCP socket, like [`std::net::TcpListener`].
///
/// # Examples
///
/// ```no_run
/// use giambio::net::TcpListener;
/// use std::io::{Read, Write};
///
/// giambio::run(|| -> std::io::Result<()> {
///     let listener = TcpListener::bind("127.0.0.1:1500")?;
///     giambio::try_pool(|pool| {
///         for stream in listener.incoming() {
///             let mut stream = stream?;
///             pool.spawn(move || stream.write_all(b"hello\n"));
///         }
///         Ok(())
///     })
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct TcpListener {
    io: Io<net::TcpListener>,
}

impl TcpListener {
    /// Makes a listener bound to the first of the addresses that works. Never parks, except to look up a
    /// host name.
    ///
    /// # Cancellation
    ///
    /// A checkpoint for a host name, and else never.
    ///
    /// # Errors
    ///
    /// As for [`std::net::TcpListener::bind`]; out of descriptors, the text names `RLIMIT_NOFILE`.
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<Self> {
        let listener = first_that_works(addr, net::TcpListener::bind).map_err(sys::name_limit)?;
        Ok(Self::from(listener))
    }

    /// Takes the next connection, parking the calling task until there is one.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. A cancelled `accept` has taken no connection.
    ///
    /// # Errors
    ///
    /// The system's. Out of descriptors, the text names `RLIMIT_NOFILE`; the connection stays in the
    /// backlog, and `accept` works again when descriptors are free.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::net::{TcpListener, TcpStream};
    ///
    /// giambio::run(|| -> std::io::Result<()> {
    ///     let listener = TcpListener::bind("127.0.0.1:0")?;
    ///     let client = TcpStream::connect(listener.local_addr()?)?;
    ///     let (_stream, peer) = listener.accept()?;
    ///     assert_eq!(peer, client.local_addr()?);
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let accepted =
            self.io.call(Direction::Read, |listener| Ok((accept_one(listener)?, Left::Unknown)));
        let (stream, peer) = accepted.map_err(sys::name_limit)?;
        Ok((TcpStream { io: self.io.accepted(stream) }, peer))
    }

    /// An iterator over the connections: `accept` again and again, and never `None`.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// The address that it listens on. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::TcpListener::local_addr`].
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.source().local_addr()
    }

    /// Another handle on the same listener, with the same options and mode. Never parks.
    ///
    /// # Errors
    ///
    /// The system's; out of descriptors, the text names `RLIMIT_NOFILE`.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { io: self.io.try_clone(|socket| socket.try_clone())? })
    }

    /// Has `accept` fail with `WouldBlock` instead of parking (`true`), on all clones. Never parks.
    ///
    /// Only this crate's calls heed it: the descriptor itself is always in non-blocking mode.
    /// [`readable`](Self::readable) parks all the same.
    ///
    /// # Errors
    ///
    /// None; the signature is std's.
    #[expect(clippy::fn_params_excessive_bools, reason = "std's signature")]
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.io.set_mode(nonblocking.into());
        Ok(())
    }

    /// Sets how many routers a packet may pass: `IP_TTL`. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::TcpListener::set_ttl`].
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.io.source().set_ttl(ttl)
    }

    /// How many routers a packet may pass. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::TcpListener::ttl`].
    pub fn ttl(&self) -> io::Result<u32> {
        self.io.source().ttl()
    }

    /// Has a listener for IPv6 take no connections over IPv4 (`true`). Never parks.
    ///
    /// # Errors
    ///
    /// Always: it is too late once a listener is bound.
    #[deprecated = "this option can only be set before the socket is bound"]
    #[expect(clippy::fn_params_excessive_bools, reason = "std's signature")]
    #[expect(deprecated, reason = "std's is deprecated as well")]
    pub fn set_only_v6(&self, only_v6: bool) -> io::Result<()> {
        self.io.source().set_only_v6(only_v6)
    }

    /// Whether a listener for IPv6 takes no connections over IPv4. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::TcpListener::only_v6`].
    #[deprecated = "this option can only be set before the socket is bound"]
    #[expect(deprecated, reason = "std's is deprecated as well")]
    pub fn only_v6(&self) -> io::Result<bool> {
        self.io.source().only_v6()
    }

    /// Takes the error that the next call would have reported: `SO_ERROR`. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::TcpListener::take_error`].
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.io.source().take_error()
    }
}

/// # Beyond std
impl TcpListener {
    /// Parks until a connection waits to be accepted.
    ///
    /// It takes none, so several tasks that wait are all woken, and the `accept` that follows may find
    /// that another has been first: then it parks. In non-blocking mode this parks too.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. Nothing is lost.
    ///
    /// # Errors
    ///
    /// The system's, if the listener cannot be waited for.
    pub fn readable(&self) -> io::Result<()> {
        self.io.wait_ready(Direction::Read)
    }
}

conversions!(TcpListener, net::TcpListener);

/// `accept4(2)`: the new descriptor is non-blocking from the start, without a call of its own.
fn accept_one(listener: &net::TcpListener) -> io::Result<(net::TcpStream, SocketAddr)> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let (socket, addr) = SockRef::from(listener).accept4(flags)?;
    let Some(addr) = addr.as_socket() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a peer without an IP address"));
    };
    Ok((net::TcpStream::from(socket), addr))
}

/// The connections of a [`TcpListener`], endlessly.
///
/// Each step is an [`accept`](TcpListener::accept): a checkpoint that parks until there is a connection.
#[derive(Debug)]
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.listener.accept().map(|(stream, _)| stream))
    }
}

impl FusedIterator for Incoming<'_> {}
