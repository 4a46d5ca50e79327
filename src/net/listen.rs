//! Listen: listeners with options that std has not, and those that the process has inherited.
//!
//! Layer 8. Imports: sys, net's own files. Never: sessions, timers, reactors.

use super::SocketAddr;
use super::TcpListener;
use super::ToSocketAddrs;
use super::addr::first_that_works;
use crate::os::unix::net::UnixListener;
use crate::sys;
use socket2::Domain;
use socket2::SockAddr;
use socket2::SockRef;
use socket2::Socket;
use socket2::Type;
use std::io;
use std::net;
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;

/// The options of a [`TcpListener`] that std has no way to set.
///
/// Unless set otherwise it is bound as by [`TcpListener::bind`], with `SO_REUSEADDR`, so that a server which
/// was restarted gets its port back at once; except for a longer backlog.
///
/// # Examples
///
/// Two listeners on one port, as on two threads:
///
/// ```
/// use giambio::net::ListenOptions;
///
/// let options = ListenOptions::new().reuse_port().backlog(1024);
/// let first = options.bind("127.0.0.1:0")?;
/// let second = options.bind(first.local_addr()?)?;
/// assert_eq!(first.local_addr()?, second.local_addr()?);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until a listener is bound"]
pub struct ListenOptions {
    backlog: u32,
    reuse_port: bool,
    only_v6: bool,
}

impl ListenOptions {
    /// The options of [`TcpListener::bind`], with the longest backlog.
    pub fn new() -> Self {
        Self { backlog: u32::MAX, reuse_port: false, only_v6: false }
    }

    /// Sets how many connections may wait to be accepted; further ones are not answered, and their clients try
    /// again a second later.
    ///
    /// The system takes no more than `net.core.somaxconn`, 4096 since Linux 5.4, and that many unless this
    /// is called. std's listeners have 128, which a burst of clients fills while the server does
    /// something else.
    pub fn backlog(mut self, connections: u32) -> Self {
        self.backlog = connections;
        self
    }

    /// Lets several listeners have the same address, to which the system spreads the connections
    /// (`SO_REUSEPORT`): one for each thread with a runtime, or for each process.
    ///
    /// All of them must ask for it, and belong to one user. What waits in the backlog of a listener that is
    /// closed is lost.
    pub fn reuse_port(mut self) -> Self {
        self.reuse_port = true;
        self
    }

    /// Keeps IPv4 away from an IPv6 listener (`IPV6_V6ONLY`), so that `0.0.0.0` may have the same port.
    /// Otherwise it is as the system has it (`net.ipv6.bindv6only`): `[::]` usually gets IPv4 as well.
    pub fn only_v6(mut self) -> Self {
        self.only_v6 = true;
        self
    }

    /// Makes a listener bound to the first of the addresses that works. Never parks, except that the name
    /// of a host is looked up.
    ///
    /// # Errors
    ///
    /// The last address's error; `InvalidInput` if there is no address. Out of descriptors, the text names
    /// `RLIMIT_NOFILE`.
    pub fn bind(&self, addr: impl ToSocketAddrs) -> io::Result<TcpListener> {
        first_that_works(addr, |addr| self.bind_to(addr))
    }

    fn bind_to(&self, addr: SocketAddr) -> io::Result<TcpListener> {
        let kind = Type::STREAM.cloexec();
        let socket = Socket::new(Domain::for_address(addr), kind, None).map_err(sys::name_limit)?;
        socket.set_reuse_address(true)?;
        if self.reuse_port {
            socket.set_reuse_port(true)?;
        }
        if self.only_v6 && addr.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&SockAddr::from(addr))?;
        socket.listen(i32::try_from(self.backlog).unwrap_or(i32::MAX))?;
        Ok(net::TcpListener::from(socket).into())
    }
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// A listener that was there when the process began: see [`inherited_listeners`].
#[derive(Debug)]
#[non_exhaustive]
pub enum InheritedListener {
    /// Of TCP.
    Tcp(TcpListener),
    /// In the file system, or with an abstract name.
    Unix(UnixListener),
}

/// Takes the listeners that a service manager has opened for this process, each with its name.
///
/// This is the protocol of sd_listen_fds(3), which systemd's socket units and some other tools speak: if
/// `LISTEN_PID` is this process's number, `LISTEN_FDS` says how many descriptors there are from 3 on, and
/// `LISTEN_FDNAMES` how they are called (`unknown` where it does not). The order is that of the units'
/// files. They are not passed on to programs that this process starts.
///
/// Each is taken once in a process: a second call gives none. Never parks.
///
/// # Errors
///
/// If one of them is no listening socket of TCP or a Unix socket, the text says which; all are closed then.
/// `InvalidData` if a variable makes no sense; the system's if a descriptor is not open.
///
/// # Examples
///
/// ```
/// use giambio::net::{InheritedListener, TcpListener, inherited_listeners};
///
/// let mut inherited = inherited_listeners()?;
/// let listener = match inherited.pop() {
///     Some((_, InheritedListener::Tcp(listener))) => listener,
///     Some((name, _)) => panic!("{name} is no TCP socket"),
///     None => TcpListener::bind("127.0.0.1:0")?, // started by hand
/// };
/// # drop(listener);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn inherited_listeners() -> io::Result<Vec<(String, InheritedListener)>> {
    let inherited = sys::take_inherited()?;
    inherited.into_iter().map(|(name, fd)| Ok((name, listener(fd)?))).collect()
}

/// What listens on `fd`.
fn listener(fd: OwnedFd) -> io::Result<InheritedListener> {
    let socket = SockRef::from(&fd);
    let domain = match socket.is_listener().and_then(|listens| Ok((listens, socket.domain()?))) {
        Ok((true, domain)) => Some(domain),
        // It is another kind of socket, or none.
        _ => None,
    };
    match (domain, socket.r#type().ok()) {
        (Some(Domain::IPV4 | Domain::IPV6), Some(Type::STREAM)) => {
            Ok(InheritedListener::Tcp(fd.into()))
        }
        (Some(Domain::UNIX), Some(Type::STREAM)) => Ok(InheritedListener::Unix(fd.into())),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "the inherited descriptor {} is no listening socket of TCP or a Unix socket",
                fd.as_raw_fd()
            ),
        )),
    }
}
