//! Unix sockets.

use socket2::Domain;
use socket2::Socket;

/// A Unix socket that nobody has bound or connected.
pub(crate) fn socket(kind: socket2::Type) -> Socket {
    Socket::new(Domain::UNIX, kind, None).unwrap()
}
