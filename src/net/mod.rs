//! Net: std's sockets, for tasks.
//!
//! Layer 8. Imports: io. Never: sessions, timers, reactors.
//!
//! Names, signatures and semantics are those of [`std::net`]; a call that blocks there parks the task
//! here. On a thread without a runtime it blocks the thread. Host names are resolved by std, which
//! blocks the worker while the system looks them up; numeric addresses never do.

mod convert;
mod listen;
mod refusal;
mod serve;
mod serving;
mod tcp;

pub use listen::InheritedListener;
pub use listen::ListenOptions;
pub use listen::inherited_listeners;
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
pub use std::net::ToSocketAddrs;
pub use tcp::Incoming;
pub use tcp::TcpListener;
pub use tcp::TcpStream;
