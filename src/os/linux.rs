//! Linux: what std has for this system, as far as tasks need it.
//!
//! Layer 8. Imports: net. Never: code.

/// What sockets have only on this system.
pub mod net {
    pub use crate::net::linux::TcpStreamExt;
    pub use std::os::linux::net::SocketAddrExt;
}
