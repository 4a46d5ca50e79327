//! Addr: what can be connected to or bound.
//!
//! Layer 8. Imports: net's own files. Never: how a lookup is done.

use std::io;
use std::net::SocketAddr;
pub use std::net::ToSocketAddrs;

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
    // What std says where there is nothing to try.
    let none = || io::Error::new(io::ErrorKind::InvalidInput, "could not resolve to any addresses");
    Err(last.unwrap_or_else(none))
}
