//! Linux: what std has for this system, as far as tasks need it.
//!
//! Layer 8. Imports: net. Never: code.

/// Options of sockets that only this system has.
pub mod net {
    pub use crate::net::linux::TcpStreamExt;
}
