//! Addr: what can be connected to or bound.
//!
//! Layer 8. Imports: net's own files. Never: how a lookup is done.
//!
//! std's trait cannot be used: its conversions of host names block the worker, and nothing lets us come
//! between. So this one has its shape and its implementations, and the texts of its errors.

use super::resolve::Family;
use super::resolve::look_up;
use std::io;
use std::iter;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::net::SocketAddrV4;
use std::net::SocketAddrV6;
use std::option;
use std::slice;
use std::vec;

/// What stands for one or more socket addresses, like [`std::net::ToSocketAddrs`].
///
/// Implemented for the same types, and open for further ones. It differs from std's in that a host name
/// parks the task instead of the thread, and is looked up by the task's
/// [`Resolver`](crate::net::Resolver). Numeric addresses never leave the thread. A type that implements
/// std's trait does not have this one by that.
///
/// # Examples
///
/// ```
/// use giambio::net::{SocketAddr, ToSocketAddrs};
///
/// let mut addrs = ("127.0.0.1", 80).to_socket_addrs()?;
/// assert_eq!(addrs.next(), Some(SocketAddr::from(([127, 0, 0, 1], 80))));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// One of one's own:
///
/// ```
/// use giambio::net::{SocketAddr, ToSocketAddrs};
/// use std::io;
///
/// struct Replicas(Vec<SocketAddr>);
///
/// impl ToSocketAddrs for Replicas {
///     type Iter = std::vec::IntoIter<SocketAddr>;
///
///     fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
///         Ok(self.0.clone().into_iter())
///     }
/// }
///
/// giambio::run(|| {
///     let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
///     giambio::net::TcpListener::bind(Replicas(vec![any_port]))
/// })?;
/// # Ok::<(), io::Error>(())
/// ```
pub trait ToSocketAddrs {
    /// The addresses, in the order in which they are tried.
    type Iter: Iterator<Item = SocketAddr>;

    /// The addresses; for a host name, parking the calling task while it is looked up.
    ///
    /// # Cancellation
    ///
    /// A checkpoint for host names, and else never.
    ///
    /// # Errors
    ///
    /// As for [`std::net::ToSocketAddrs`]: `InvalidInput` for a text without a port, and the resolver's.
    /// Of kind `Other`, carrying [`io::Cancelled`](crate::io::Cancelled), while the task unwinds, when no
    /// name is looked up, and inside of [`task::no_unwind`](crate::task::no_unwind) if it is cancelled.
    fn to_socket_addrs(&self) -> io::Result<Self::Iter>;

    /// The host and the port, if this is a name that has to be looked up: so that `connect` can begin
    /// before all of its addresses are known.
    #[doc(hidden)]
    fn host_and_port(&self) -> Option<(&str, u16)> {
        None
    }
}

impl ToSocketAddrs for SocketAddr {
    type Iter = option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        Ok(Some(*self).into_iter())
    }
}

impl ToSocketAddrs for SocketAddrV4 {
    type Iter = option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        SocketAddr::V4(*self).to_socket_addrs()
    }
}

impl ToSocketAddrs for SocketAddrV6 {
    type Iter = option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        SocketAddr::V6(*self).to_socket_addrs()
    }
}

impl ToSocketAddrs for (IpAddr, u16) {
    type Iter = option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        SocketAddr::from(*self).to_socket_addrs()
    }
}

impl ToSocketAddrs for (Ipv4Addr, u16) {
    type Iter = option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        SocketAddr::from(*self).to_socket_addrs()
    }
}

impl ToSocketAddrs for (Ipv6Addr, u16) {
    type Iter = option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        SocketAddr::from(*self).to_socket_addrs()
    }
}

impl ToSocketAddrs for (&str, u16) {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        let (host, port) = *self;
        let addrs = match numeric(host, port) {
            Some(addr) => vec![addr],
            None => look_up(host, port, Family::Any)?,
        };
        Ok(addrs.into_iter())
    }

    fn host_and_port(&self) -> Option<(&str, u16)> {
        if numeric(self.0, self.1).is_none() { Some(*self) } else { None }
    }
}

impl ToSocketAddrs for (String, u16) {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        (self.0.as_str(), self.1).to_socket_addrs()
    }

    fn host_and_port(&self) -> Option<(&str, u16)> {
        let (host, port) = (self.0.as_str(), self.1);
        if numeric(host, port).is_none() { Some((host, port)) } else { None }
    }
}

impl ToSocketAddrs for str {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        match self.parse() {
            Ok(addr) => Ok(vec![addr].into_iter()),
            Err(_) => split(self)?.to_socket_addrs(),
        }
    }

    fn host_and_port(&self) -> Option<(&str, u16)> {
        if self.parse::<SocketAddr>().is_ok() {
            return None;
        }
        let (host, port) = split(self).ok()?;
        if numeric(host, port).is_none() { Some((host, port)) } else { None }
    }
}

impl ToSocketAddrs for String {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        self.as_str().to_socket_addrs()
    }

    fn host_and_port(&self) -> Option<(&str, u16)> {
        self.as_str().host_and_port()
    }
}

impl<'a> ToSocketAddrs for &'a [SocketAddr] {
    type Iter = iter::Cloned<slice::Iter<'a, SocketAddr>>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        Ok(self.iter().cloned())
    }
}

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {
    type Iter = T::Iter;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        (**self).to_socket_addrs()
    }

    fn host_and_port(&self) -> Option<(&str, u16)> {
        (**self).host_and_port()
    }
}

/// The address that `host` is, if it is no name.
pub(super) fn numeric(host: &str, port: u16) -> Option<SocketAddr> {
    let ip: IpAddr = host.parse().ok()?;
    Some(SocketAddr::new(ip, port))
}

/// The host and the port of `host:port`.
fn split(text: &str) -> io::Result<(&str, u16)> {
    let invalid = |what| io::Error::new(io::ErrorKind::InvalidInput, what);
    let (host, port) = text.rsplit_once(':').ok_or_else(|| invalid("invalid socket address"))?;
    let port = port.parse().map_err(|_| invalid("invalid port value"))?;
    Ok((host, port))
}

/// Calls `f` with one address after the other, until it works; the last one's error if none does.
pub(super) fn first_that_works<T>(
    addr: impl ToSocketAddrs,
    mut f: impl FnMut(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut last = None;
    for addr in addr.to_socket_addrs()? {
        match f(addr) {
            Ok(value) => return Ok(value),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(no_address))
}

/// What std says where there is nothing to try.
pub(super) fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "could not resolve to any addresses")
}
