//! Linux: what std has for this system, as far as tasks need it.
//!
//! Layer 8. Imports: nothing of this crate. Never: code.

/// Names for sockets that lie in no file system.
pub mod net {
    pub use std::os::linux::net::SocketAddrExt;
}
