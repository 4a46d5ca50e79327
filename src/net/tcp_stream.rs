//! TCP stream: a connection.
//!
//! Layer 8. Imports: io, sys. Never: sessions, timers, reactors.
//!
//! How it reads and writes is in `tcp_bytes.rs`. What asks the kernel alone is one line, std's.

use super::HappyEyeballs;
use super::ToSocketAddrs;
use super::addr::first_that_works;
use crate::io::Io;
use crate::io::Left;
use crate::io::checkpoint;
use crate::io::convert::conversions;
use crate::sys;
use crate::sys::Direction;
use socket2::SockAddr;
use socket2::SockRef;
use socket2::Socket;
use std::io;
use std::net;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::time::Duration;

/// A TCP connection, like [`std::net::TcpStream`].
///
/// `&TcpStream` reads and writes: one task may read while another writes. Several tasks that wait for
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
/// use giambio::net::{TcpListener, TcpStream};
/// use std::io::{Read, Write};
///
/// giambio::run(|| -> std::io::Result<()> {
///     let listener = TcpListener::bind("127.0.0.1:0")?;
///     let address = listener.local_addr()?;
///     giambio::pool(|pool| {
///         pool.spawn(|| listener.accept().unwrap().0.write_all(b"hello").unwrap());
///         let mut text = String::new();
///         TcpStream::connect(address)?.read_to_string(&mut text)?;
///         assert_eq!(text, "hello");
///         Ok(())
///     })
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct TcpStream {
    pub(super) io: Io<net::TcpStream>,
}

impl TcpStream {
    /// Opens a connection, parking the calling task until it stands.
    ///
    /// Addresses are tried in their order until one works. Those of a host name are raced instead, as
    /// [`HappyEyeballs`] tells.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. A cancelled `connect` closes the half-open connection.
    ///
    /// # Errors
    ///
    /// The last address's error; `InvalidInput` if there is no address. For a host name as
    /// [`HappyEyeballs::connect`] tells. Out of descriptors, the text names `RLIMIT_NOFILE`.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::net::{TcpListener, TcpStream};
    ///
    /// giambio::run(|| -> std::io::Result<()> {
    ///     let listener = TcpListener::bind("127.0.0.1:0")?;
    ///     let stream = TcpStream::connect(listener.local_addr()?)?;
    ///     assert_eq!(stream.peer_addr()?, listener.local_addr()?);
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<Self> {
        if let Some((host, port)) = addr.host_and_port() {
            return HappyEyeballs::new().connect(host, port);
        }
        checkpoint();
        first_that_works(addr, Self::connect_to)
    }

    /// Opens a connection to one address, parking the calling task until it stands or `timeout` is over.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. A cancelled `connect_timeout` closes the half-open connection.
    ///
    /// # Errors
    ///
    /// `TimedOut` after `timeout`; `InvalidInput` for one of zero; else as for [`connect`](Self::connect).
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::net::{TcpListener, TcpStream};
    /// use std::time::Duration;
    ///
    /// giambio::run(|| -> std::io::Result<()> {
    ///     let addr = TcpListener::bind("127.0.0.1:0")?.local_addr()?; // closed at once
    ///     let error = TcpStream::connect_timeout(&addr, Duration::from_secs(5)).unwrap_err();
    ///     assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn connect_timeout(addr: &SocketAddr, timeout: Duration) -> io::Result<Self> {
        checkpoint();
        if timeout.is_zero() {
            let text = "cannot set a 0 duration timeout";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Self::connect_within(*addr, Some(timeout)).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => {
                io::Error::new(io::ErrorKind::TimedOut, "connection timed out")
            }
            _ => error,
        })
    }

    pub(super) fn connect_to(addr: SocketAddr) -> io::Result<Self> {
        Self::connect_within(addr, None)
    }

    fn connect_within(addr: SocketAddr, timeout: Option<Duration>) -> io::Result<Self> {
        let kind = socket2::Type::STREAM.nonblocking().cloexec();
        let socket =
            Socket::new(socket2::Domain::for_address(addr), kind, None).map_err(sys::name_limit)?;
        let stream = Self { io: Io::fresh(net::TcpStream::from(socket)) };
        let target = SockAddr::from(addr);
        stream.io.call_within(Direction::Write, timeout, |socket| {
            // The kernel goes on by itself, and says so on the writable side. Asked again, it tells what
            // a blocking `connect` would have told.
            match SockRef::from(socket).connect(&target) {
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINPROGRESS | libc::EALREADY) => {
                        Err(io::ErrorKind::WouldBlock.into())
                    }
                    Some(libc::EISCONN) => Ok(((), Left::Unknown)),
                    _ => Err(error),
                },
                Ok(()) => Ok(((), Left::Unknown)),
            }
        })?;
        Ok(stream)
    }

    /// Takes bytes without removing them: otherwise like a read.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. Nothing is lost.
    ///
    /// # Errors
    ///
    /// As for [`std::net::TcpStream::peek`].
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::net::{TcpListener, TcpStream};
    /// use std::io::{Read, Write};
    ///
    /// giambio::run(|| -> std::io::Result<()> {
    ///     let listener = TcpListener::bind("127.0.0.1:0")?;
    ///     let mut client = TcpStream::connect(listener.local_addr()?)?;
    ///     client.write_all(b"x")?;
    ///     let (mut server, _) = listener.accept()?;
    ///     let mut byte = [0];
    ///     assert_eq!(server.peek(&mut byte)?, 1);
    ///     assert_eq!(server.read(&mut byte)?, 1); // it was still there
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.io.call(Direction::Read, |socket| Ok((socket.peek(buf)?, Left::Unknown)))
    }

    /// Shuts down one or both halves; tasks that wait on them are woken. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::TcpStream::shutdown`].
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::net::{Shutdown, TcpListener, TcpStream};
    /// use std::io::Read;
    ///
    /// giambio::run(|| -> std::io::Result<()> {
    ///     let listener = TcpListener::bind("127.0.0.1:0")?;
    ///     let client = TcpStream::connect(listener.local_addr()?)?;
    ///     client.shutdown(Shutdown::Write)?;
    ///     assert_eq!(listener.accept()?.0.read(&mut [0])?, 0); // the end
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.io.source().shutdown(how)
    }

    /// Turns Nagle's algorithm off (`true`) or on. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::TcpStream::set_nodelay`].
    #[expect(clippy::fn_params_excessive_bools, reason = "std's signature")]
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.io.source().set_nodelay(nodelay)
    }

    /// Whether Nagle's algorithm is off. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::TcpStream::nodelay`].
    pub fn nodelay(&self) -> io::Result<bool> {
        self.io.source().nodelay()
    }

    /// The address of the other side. Never parks.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the connection is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.source().peer_addr()
    }

    /// The address of this side. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::TcpStream::local_addr`].
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.source().local_addr()
    }

    /// Another handle on the same connection, with the same options, timeouts and mode. Never parks.
    ///
    /// # Errors
    ///
    /// The system's; out of descriptors, the text names `RLIMIT_NOFILE`.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { io: self.io.try_clone(|socket| socket.try_clone())? })
    }

    /// Sets how long a read or a `peek` parks before it fails with `WouldBlock`; `None` is for ever.
    /// Never parks.
    ///
    /// It holds for later calls, on all clones, and for each call by itself: `read_exact` may take longer.
    /// A [`with_timeout`](crate::with_timeout) around the calls is the limit of them all. The kernel rounds
    /// what [`read_timeout`](Self::read_timeout) tells; calls here take no longer than was asked.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::net::{TcpListener, TcpStream};
    /// use std::io::{ErrorKind, Read};
    /// use std::time::Duration;
    ///
    /// giambio::run(|| -> std::io::Result<()> {
    ///     let listener = TcpListener::bind("127.0.0.1:0")?;
    ///     let mut stream = TcpStream::connect(listener.local_addr()?)?;
    ///     stream.set_read_timeout(Some(Duration::from_millis(1)))?;
    ///     assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    ///     Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_read_timeout(&self, dur: Option<Duration>) -> io::Result<()> {
        // The kernel's own goes with the socket, should it be handed to std; and std checks `dur`.
        self.io.source().set_read_timeout(dur)?;
        self.io.set_timeout(Direction::Read, dur);
        Ok(())
    }

    /// Sets how long a write parks before it fails with `WouldBlock`; `None` is for ever. Otherwise like
    /// [`set_read_timeout`](Self::set_read_timeout).
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero.
    pub fn set_write_timeout(&self, dur: Option<Duration>) -> io::Result<()> {
        self.io.source().set_write_timeout(dur)?;
        self.io.set_timeout(Direction::Write, dur);
        Ok(())
    }

    /// How long a read parks, as the kernel has rounded it. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::TcpStream::read_timeout`].
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        self.io.source().read_timeout()
    }

    /// How long a write parks, as the kernel has rounded it. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::TcpStream::write_timeout`].
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

    /// Sets how many routers a packet may pass: `IP_TTL`. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::TcpStream::set_ttl`].
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.io.source().set_ttl(ttl)
    }

    /// How many routers a packet may pass. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::TcpStream::ttl`].
    pub fn ttl(&self) -> io::Result<u32> {
        self.io.source().ttl()
    }

    /// Takes the error that the next call would have reported: `SO_ERROR`. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::TcpStream::take_error`].
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.io.source().take_error()
    }
}

/// # Beyond std
///
/// Waits without a buffer, so that a connection that idles needs none.
impl TcpStream {
    /// Parks until there is something to be read: bytes, the end, or an error.
    ///
    /// It takes nothing, so several tasks that wait are all woken, and the read that follows may find that
    /// another has been first, or that an urgent byte is all that came: then it parks. Where the last read
    /// has left nothing, the kernel is not asked before the wait. In non-blocking mode it parks too.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. Nothing is lost.
    ///
    /// # Errors
    ///
    /// `WouldBlock` after the [read timeout](Self::set_read_timeout).
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::net::{TcpListener, TcpStream};
    /// use std::io::{Read, Write};
    ///
    /// giambio::run(|| -> std::io::Result<()> {
    ///     let listener = TcpListener::bind("127.0.0.1:0")?;
    ///     let mut client = TcpStream::connect(listener.local_addr()?)?;
    ///     let (mut server, _) = listener.accept()?;
    ///     giambio::pool(|pool| {
    ///         let reader = pool.spawn(|| {
    ///             server.readable()?;
    ///             let mut buf = vec![0; 1 << 16]; // not before there is something for it
    ///             server.read(&mut buf)
    ///         });
    ///         client.write_all(b"hello")?;
    ///         assert_eq!(reader.join().unwrap()?, 5);
    ///         Ok(())
    ///     })
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn readable(&self) -> io::Result<()> {
        self.io.wait_ready(Direction::Read)
    }

    /// Parks until there is room to write, or an error to be told of.
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

conversions!(TcpStream, net::TcpStream);
