//! Convert: sockets from and to std's and plain descriptors.
//!
//! Layer 8. Imports: io. Never: sessions, timers, reactors.
//!
//! What comes in is put into non-blocking mode; what goes out is taken out of the reactors and put
//! back into blocking mode, which its clones share: none of them may still be in use here. std's conversions have no way to fail, and on a live socket neither has
//! this; should the kernel refuse it all the same, the conversion panics.

use super::TcpListener;
use super::TcpStream;
use crate::io::Io;
use socket2::SockRef;
use std::net;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;

fn adopt<S: AsFd>(source: S) -> Io<S> {
    match SockRef::from(&source).set_nonblocking(true) {
        Ok(()) => Io::new(source),
        Err(error) => panic!("a socket that cannot be made non-blocking: {error}"),
    }
}

fn give_up<S: AsFd>(io: Io<S>) -> S {
    let source = io.into_source();
    match SockRef::from(&source).set_nonblocking(false) {
        Ok(()) => source,
        Err(error) => panic!("a socket that cannot be made blocking: {error}"),
    }
}

impl From<net::TcpStream> for TcpStream {
    fn from(stream: net::TcpStream) -> Self {
        Self { io: adopt(stream) }
    }
}

/// The socket is put back into blocking mode, which it shares with its clones: another clone that a
/// task still uses would block the worker.
impl From<TcpStream> for net::TcpStream {
    fn from(stream: TcpStream) -> Self {
        give_up(stream.io)
    }
}

impl From<OwnedFd> for TcpStream {
    fn from(fd: OwnedFd) -> Self {
        net::TcpStream::from(fd).into()
    }
}

impl From<TcpStream> for OwnedFd {
    fn from(stream: TcpStream) -> Self {
        give_up(stream.io).into()
    }
}

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.source().as_fd()
    }
}

impl AsRawFd for TcpStream {
    fn as_raw_fd(&self) -> RawFd {
        self.io.source().as_raw_fd()
    }
}

impl From<net::TcpListener> for TcpListener {
    fn from(listener: net::TcpListener) -> Self {
        Self { io: adopt(listener) }
    }
}

impl From<TcpListener> for net::TcpListener {
    fn from(listener: TcpListener) -> Self {
        give_up(listener.io)
    }
}

impl From<OwnedFd> for TcpListener {
    fn from(fd: OwnedFd) -> Self {
        net::TcpListener::from(fd).into()
    }
}

impl From<TcpListener> for OwnedFd {
    fn from(listener: TcpListener) -> Self {
        give_up(listener.io).into()
    }
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.source().as_fd()
    }
}

impl AsRawFd for TcpListener {
    fn as_raw_fd(&self) -> RawFd {
        self.io.source().as_raw_fd()
    }
}
