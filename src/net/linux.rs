//! Linux: options of sockets that only Linux has.
//!
//! Layer 8. Imports: net's own files. Never: sessions, timers, reactors.

use super::TcpStream;
use socket2::SockRef;
use std::io;

mod sealed {
    pub trait Sealed {}
    impl Sealed for crate::net::TcpStream {}
}

/// Options of a [`TcpStream`], like [`std::os::linux::net::TcpStreamExt`].
///
/// # Examples
///
/// ```
/// use giambio::net::{TcpListener, TcpStream};
/// use giambio::os::linux::net::TcpStreamExt;
///
/// giambio::run(|| -> std::io::Result<()> {
///     let listener = TcpListener::bind("127.0.0.1:0")?;
///     let stream = TcpStream::connect(listener.local_addr()?)?;
///     stream.set_quickack(true)?;
///     assert!(stream.quickack()?);
///     Ok(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait TcpStreamExt: sealed::Sealed {
    /// Has the kernel acknowledge at once instead of with the next bytes (`true`): `TCP_QUICKACK`. It may
    /// go back to its own ways later. Never parks.
    ///
    /// # Errors
    ///
    /// The system's.
    #[expect(clippy::fn_params_excessive_bools, reason = "std's signature")]
    fn set_quickack(&self, quickack: bool) -> io::Result<()>;

    /// Whether the kernel acknowledges at once. Never parks.
    ///
    /// # Errors
    ///
    /// The system's.
    fn quickack(&self) -> io::Result<bool>;
}

impl TcpStreamExt for TcpStream {
    fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        SockRef::from(self).set_tcp_quickack(quickack)
    }

    fn quickack(&self) -> io::Result<bool> {
        SockRef::from(self).tcp_quickack()
    }
}
