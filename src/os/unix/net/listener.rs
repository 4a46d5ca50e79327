//! Listener: Unix sockets that are connected to.
//!
//! Layer 8. Imports: io, sys. Never: sessions, timers, reactors.

use super::UnixStream;
use super::name_limit;
use super::source;
use crate::io::Io;
use crate::io::Left;
use crate::io::convert::conversions;
use crate::sys::Direction;
use socket2::SockRef;
use std::io;
use std::os::unix::net;
use std::os::unix::net::SocketAddr;
use std::path::Path;

/// A listening Unix socket, like [`std::os::unix::net::UnixListener`].
///
/// As in std, a path that it was bound to stays when the listener is dropped.
///
/// # Examples
///
/// ```
/// use giambio::os::linux::net::SocketAddrExt;
/// use giambio::os::unix::net::{SocketAddr, UnixListener, UnixStream};
/// use std::io::{Read, Write};
///
/// giambio::run(|| -> std::io::Result<()> {
///     let address = SocketAddr::from_abstract_name(format!("hello-{}", std::process::id()))?;
///     let listener = UnixListener::bind_addr(&address)?;
///     giambio::pool(|pool| {
///         pool.spawn(|| {
///             for stream in listener.incoming().take(2) {
///                 stream.unwrap().write_all(b"hello").unwrap();
///             }
///         });
///         for _ in 0..2 {
///             let mut text = String::new();
///             UnixStream::connect_addr(&address)?.read_to_string(&mut text)?;
///             assert_eq!(text, "hello");
///         }
///         Ok(())
///     })
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UnixListener {
    io: Io<net::UnixListener>,
}

impl UnixListener {
    /// Makes a listener bound to a path. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::os::unix::net::UnixListener::bind`]: `AddrInUse` if the path exists, `InvalidInput`
    /// if it is longer than an address. Out of descriptors, the text names `RLIMIT_NOFILE`.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        Ok(Self::from(net::UnixListener::bind(path).map_err(name_limit)?))
    }

    /// Makes a listener bound to an address, which may be an abstract name. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`bind`](Self::bind).
    pub fn bind_addr(socket_addr: &SocketAddr) -> io::Result<Self> {
        Ok(Self::from(net::UnixListener::bind_addr(socket_addr).map_err(name_limit)?))
    }

    /// Takes the next connection, parking the calling task until there is one.
    ///
    /// The address is mostly an unnamed one: who connects has seldom bound its side.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. A cancelled `accept` has taken no connection.
    ///
    /// # Errors
    ///
    /// The system's. Out of descriptors, the text names `RLIMIT_NOFILE`; the connection stays in the
    /// backlog, and `accept` works again when descriptors are free.
    pub fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        self.io
            .call(Direction::Read, |listener| Ok((accept_one(listener)?, Left::Unknown)))
            .map_err(name_limit)
    }

    /// The connections, one after the other; each step is an [`accept`](Self::accept).
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// Parks the calling task until there is a connection to be accepted. Somebody else may take it.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn readable(&self) -> io::Result<()> {
        self.io.wait_ready(Direction::Read)
    }

    /// The address that it listens on. Never parks.
    ///
    /// # Errors
    ///
    /// As for [`std::os::unix::net::UnixListener::local_addr`].
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.source().local_addr()
    }

    /// Another handle on the same listener, with the same mode. Never parks.
    ///
    /// # Errors
    ///
    /// The system's; out of descriptors, the text names `RLIMIT_NOFILE`.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { io: self.io.try_clone(|socket| socket.try_clone())? })
    }

    /// Has an `accept` fail with `WouldBlock` instead of waiting, on all clones. Never parks.
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
    /// As for [`std::os::unix::net::UnixListener::take_error`].
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.io.source().take_error()
    }
}

conversions!(UnixListener, net::UnixListener);

/// `accept4(2)`: the new descriptor is non-blocking from the start, without a call of its own.
fn accept_one(listener: &net::UnixListener) -> io::Result<(UnixStream, SocketAddr)> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let (socket, addr) = SockRef::from(listener).accept4(flags)?;
    Ok((UnixStream::fresh(socket.into()), source(&addr)?))
}

/// The connections of a [`UnixListener`], endlessly.
///
/// Each step is an [`accept`](UnixListener::accept): a checkpoint that parks until there is a connection.
#[derive(Debug)]
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct Incoming<'a> {
    listener: &'a UnixListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<UnixStream>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.listener.accept().map(|(stream, _)| stream))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, None)
    }
}

impl<'a> IntoIterator for &'a UnixListener {
    type Item = io::Result<UnixStream>;
    type IntoIter = Incoming<'a>;

    fn into_iter(self) -> Incoming<'a> {
        self.incoming()
    }
}
