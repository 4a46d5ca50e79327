//! Net: std's sockets, for tasks.
//!
//! Layer 8. Imports: io. Never: sessions, timers, reactors.
//!
//! Names, signatures and semantics are those of [`std::net`] in Rust 1.95, and all that is stable there is
//! here; a call that blocks there parks the task here. On a thread without a runtime it blocks the thread.
//!
//! # What differs from std
//!
//! * Calls that may park are checkpoints: a cancellation is raised in them, and one that cannot be raised
//!   is an error that carries [`io::Cancelled`](crate::io::Cancelled).
//! * A descriptor is in non-blocking mode for as long as it is here, for nothing may stop the worker.
//!   `set_nonblocking` and the timeouts are kept beside it, for it and its clones by `try_clone`. What other
//!   crates set on the bare descriptor (`AsFd`) is not seen here; timeouts set there count from the
//!   conversion on.
//! * What comes in by a conversion blocks, whatever its mode was; what goes out to std blocks unless
//!   `set_nonblocking(true)` was called.
//! * Timeouts are kept to the time asked for; std's kernel ones may be some milliseconds longer.
//! * Several tasks that wait on one socket for the same direction are served in their order.
//! * No call fails with `Interrupted`: what a signal has interrupted goes on.
//! * `write_vectored` raises no `SIGPIPE` either.
//! * Out of descriptors, the error's text names the limit, and the system's own error, with its number, is
//!   its [source](std::error::Error::source).
//! * `readable` and `writable` are added: they wait without a buffer; and [`raise_descriptor_limit`].
//! * [`ToSocketAddrs`] is a trait of this crate's, with std's shape and implementations: std's own would
//!   stop the worker for a host name. A type that implements only std's does not have this one.
//!
//! # Host names
//!
//! A name is looked up by the task's [`Resolver`], unless [`with_resolver`] says otherwise the system's on a
//! helper thread; numeric addresses never leave the thread. [`TcpStream::connect`] to a name races its
//! addresses ([`HappyEyeballs`]).

mod addr;
mod candidates;

mod happy_eyeballs;
mod limit;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) mod linux;
mod listen;
mod refusal;
mod resolve;
mod serve;
mod serving;
mod tcp_bytes;
mod tcp_listener;
mod tcp_stream;
mod udp;

pub use addr::ToSocketAddrs;
pub use happy_eyeballs::HappyEyeballs;
pub use limit::raise_descriptor_limit;
pub use listen::InheritedListener;
pub use listen::ListenOptions;
pub use listen::inherited_listeners;
pub use resolve::Family;
pub use resolve::Resolver;
pub use resolve::SystemResolver;
pub use resolve::with_resolver;
pub use serve::Listener;
pub use serve::Served;
pub use serve::Server;
pub use serve::Stopper;
pub use serve::serve;
pub use std::net::AddrParseError;
pub use std::net::IpAddr;
pub use std::net::Ipv4Addr;
pub use std::net::Ipv6Addr;
pub use std::net::Shutdown;
pub use std::net::SocketAddr;
pub use std::net::SocketAddrV4;
pub use std::net::SocketAddrV6;
pub use tcp_listener::Incoming;
pub use tcp_listener::TcpListener;
pub use tcp_stream::TcpStream;
pub use udp::UdpSocket;
