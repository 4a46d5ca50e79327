//! Limit: how many sockets a process may have open.
//!
//! Layer 8. Imports: sys. Never: what a socket is.

use crate::sys;
use std::io;

/// Lets this process have as many descriptors as it may, and returns how many that are.
///
/// Every connection is a descriptor. A process has two limits on them: the *soft* one holds, often 1,024,
/// and the process itself may raise it up to the *hard* one (`ulimit -Hn`), which only a privileged
/// process may raise. This sets the soft limit (`RLIMIT_NOFILE`) to the hard one. At the limit,
/// calls that need a descriptor fail with an error that names `RLIMIT_NOFILE`, and work again when
/// others have been closed.
///
/// No runtime does this by itself: programs that are started from now on inherit the new limit, and code
/// that still uses `select(2)`, here or there, goes wrong with descriptors above 1,023.
///
/// Never parks, and works on every thread.
///
/// # Errors
///
/// The system's, which has no reason to refuse.
///
/// # Examples
///
/// ```
/// let limit = giambio::net::raise_descriptor_limit()?;
/// // Some are in use: standard streams, the listener, what the runtime has.
/// let connections_max = limit.saturating_sub(100);
/// # assert_eq!(giambio::net::raise_descriptor_limit()?, limit);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn raise_descriptor_limit() -> io::Result<u64> {
    sys::raise_descriptor_limit()
}
