//! Net: std's sockets, for tasks.
//!
//! Layer 8. Imports: io. Never: sessions, timers, reactors.
//!
//! Names, signatures and semantics are those of [`std::net`]; a call that blocks there parks the task
//! here. On a thread without a runtime it blocks the thread.
//!
//! # Host names
//!
//! A name is looked up by the task's [`Resolver`], unless [`with_resolver`] says otherwise the system's on a
//! helper thread; numeric addresses never leave the thread. [`TcpStream::connect`] to a name races its
//! addresses ([`HappyEyeballs`]). [`ToSocketAddrs`] is a trait of this crate's: std's would stop the worker.

mod addr;
mod candidates;
mod convert;
mod happy_eyeballs;
mod resolve;
mod tcp;

pub use addr::ToSocketAddrs;
pub use happy_eyeballs::HappyEyeballs;
pub use resolve::Family;
pub use resolve::Resolver;
pub use resolve::SystemResolver;
pub use resolve::with_resolver;
pub use std::net::AddrParseError;
pub use std::net::IpAddr;
pub use std::net::Ipv4Addr;
pub use std::net::Ipv6Addr;
pub use std::net::Shutdown;
pub use std::net::SocketAddr;
pub use std::net::SocketAddrV4;
pub use std::net::SocketAddrV6;
pub use tcp::Incoming;
pub use tcp::TcpListener;
pub use tcp::TcpStream;
