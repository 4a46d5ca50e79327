//! TCP: listeners and streams.
//!
//! Layer 8. Imports: io, sys. Never: sessions, timers, reactors.
//!
//! Every method is one line over `Io::call`; the system calls are std's own, on a descriptor in
//! non-blocking mode, always with `MSG_NOSIGNAL`: a closed peer is an error, never a signal.

use crate::io::Io;
use crate::io::Left;
use crate::io::checkpoint;
use crate::net::convert::conversions;
use crate::net::stream::BUFFERS_PER_CALL;
use crate::net::stream::after_read;
use crate::sys;
use crate::sys::Direction;
use socket2::SockAddr;
use socket2::SockRef;
use socket2::Socket;
use std::io;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::io::Read;
use std::io::Write;
use std::net;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::net::ToSocketAddrs;

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
    io: Io<net::TcpStream>,
}

impl TcpStream {
    /// Opens a connection, parking the calling task until it stands.
    ///
    /// Addresses are tried in their order until one works.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. A cancelled `connect` closes the half-open connection.
    ///
    /// # Errors
    ///
    /// The last address's error; `InvalidInput` if there is no address. Out of descriptors, the text
    /// names `RLIMIT_NOFILE`.
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
    pub fn connect(addr: impl ToSocketAddrs) -> io::Result<Self> {
        checkpoint();
        let mut last = None;
        for addr in addr.to_socket_addrs()? {
            match Self::connect_to(addr) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        let none = || io::Error::new(io::ErrorKind::InvalidInput, "no address to connect to");
        Err(last.unwrap_or_else(none))
    }

    fn connect_to(addr: SocketAddr) -> io::Result<Self> {
        let kind = socket2::Type::STREAM.nonblocking().cloexec();
        let socket =
            Socket::new(socket2::Domain::for_address(addr), kind, None).map_err(sys::name_limit)?;
        let stream = Self { io: Io::new(net::TcpStream::from(socket)) };
        let mut begun = false;
        stream.io.call(Direction::Write, |socket| {
            if begun {
                return Ok((has_connected(socket)?, Left::Unknown));
            }
            begun = true;
            let target = SockAddr::from(addr);
            match SockRef::from(socket).connect(&target) {
                // The kernel goes on by itself, and says so on the writable side.
                Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {
                    Err(io::ErrorKind::WouldBlock.into())
                }
                done => Ok((done?, Left::Unknown)),
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

    /// Another handle on the same connection. Never parks.
    ///
    /// # Errors
    ///
    /// The system's; out of descriptors, the text names `RLIMIT_NOFILE`.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { io: self.io.try_clone(|socket| socket.try_clone())? })
    }
}

conversions!(TcpStream, net::TcpStream);

/// Whether a connection that was begun stands, has failed, or is still on its way.
fn has_connected(socket: &net::TcpStream) -> io::Result<()> {
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match socket.peer_addr() {
        Err(error) if error.kind() == io::ErrorKind::NotConnected => {
            Err(io::ErrorKind::WouldBlock.into())
        }
        other => other.map(drop),
    }
}

impl Read for &TcpStream {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.io.call(Direction::Read, |mut socket| Ok(after_read(socket.read(buf)?, buf.len())))
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let room = bufs.iter().take(BUFFERS_PER_CALL).map(|buf| buf.len()).sum();
        self.io
            .call(Direction::Read, |mut socket| Ok(after_read(socket.read_vectored(bufs)?, room)))
    }
}

impl Write for &TcpStream {
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.io.call(Direction::Write, |mut socket| Ok((socket.write(buf)?, Left::Unknown)))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        // std's own call has no flags, and would raise `SIGPIPE`.
        let bufs = &bufs[..bufs.len().min(BUFFERS_PER_CALL)];
        self.io.call(Direction::Write, |socket| {
            let socket = SockRef::from(socket);
            Ok((socket.send_vectored_with_flags(bufs, libc::MSG_NOSIGNAL)?, Left::Unknown))
        })
    }

    /// Nothing to do: a stream has no buffer of its own. Never parks.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for TcpStream {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(bufs)
    }
}

impl Write for TcpStream {
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

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
    /// Makes a listener bound to the first of the addresses that works. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::net::TcpListener::bind`]; out of descriptors, the text names `RLIMIT_NOFILE`.
    pub fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        Ok(Self::from(net::TcpListener::bind(addr).map_err(sys::name_limit)?))
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
        self.io
            .call(Direction::Read, |listener| Ok((accept_one(listener)?, Left::Unknown)))
            .map_err(sys::name_limit)
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

    /// Another handle on the same listener. Never parks.
    ///
    /// # Errors
    ///
    /// The system's; out of descriptors, the text names `RLIMIT_NOFILE`.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { io: self.io.try_clone(|socket| socket.try_clone())? })
    }
}

conversions!(TcpListener, net::TcpListener);

/// `accept4(2)`: the new descriptor is non-blocking from the start, without a call of its own.
fn accept_one(listener: &net::TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let (socket, addr) = SockRef::from(listener).accept4(flags)?;
    let Some(addr) = addr.as_socket() else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a peer without an IP address"));
    };
    Ok((TcpStream { io: Io::new(net::TcpStream::from(socket)) }, addr))
}

/// The connections of a [`TcpListener`], endlessly.
///
/// Each step is an [`accept`](TcpListener::accept): a checkpoint that parks until there is a connection.
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.listener.accept().map(|(stream, _)| stream))
    }
}
