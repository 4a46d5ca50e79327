//! Convert: sockets and pipes from and to std's and plain descriptors.
//!
//! Layer 8. Imports: sys, its siblings. Never: sessions, timers, reactors.
//!
//! What comes in is put into non-blocking mode; what goes out is taken out of the reactors and put
//! back into blocking mode, which its clones share: none of them may still be in use here. std's
//! conversions have no way to fail, and on an open descriptor neither has this; should the kernel refuse it
//! all the same, the conversion panics.

use super::Io;
use crate::sys;
use crate::sys::Direction;
use crate::sys::Mode;
use socket2::SockRef;
use std::os::fd::AsFd;

/// Takes a descriptor in, with the timeouts that std has set on it if it is a socket's. It blocks, whatever
/// its mode was.
pub(crate) fn adopt<S: AsFd>(source: S) -> Io<S> {
    if let Err(error) = sys::set_mode(&source, Mode::NonBlocking) {
        panic!("a descriptor that cannot be made non-blocking: {error}");
    }
    let socket = SockRef::from(&source);
    let timeouts = [
        (Direction::Read, socket.read_timeout().unwrap_or(None)),
        (Direction::Write, socket.write_timeout().unwrap_or(None)),
    ];
    let io = Io::new(source);
    for (direction, timeout) in timeouts {
        if timeout.is_some() {
            io.set_timeout(direction, timeout);
        }
    }
    io
}

/// Hands a descriptor out, in the mode that its user has set.
pub(crate) fn give_up<S: AsFd>(io: Io<S>) -> S {
    let mode = io.mode();
    let source = io.into_source();
    match sys::set_mode(&source, mode) {
        Ok(_) => source,
        Err(error) => panic!("a descriptor that cannot be made blocking: {error}"),
    }
}

/// The conversions that std gives each of its sockets and pipes, and those between one of them and std's.
macro_rules! conversions {
    ($ours:ident, $std:ty) => {
        /// It is put into non-blocking mode, which it shares with its clones.
        impl From<$std> for $ours {
            fn from(source: $std) -> Self {
                Self { io: $crate::io::convert::adopt(source) }
            }
        }

        /// It is put back into blocking mode, which it shares with its clones: another clone
        /// that a task still uses would block the worker.
        impl From<$ours> for $std {
            fn from(ours: $ours) -> Self {
                $crate::io::convert::give_up(ours.io)
            }
        }

        impl From<std::os::fd::OwnedFd> for $ours {
            fn from(fd: std::os::fd::OwnedFd) -> Self {
                <$std>::from(fd).into()
            }
        }

        impl From<$ours> for std::os::fd::OwnedFd {
            fn from(ours: $ours) -> Self {
                $crate::io::convert::give_up(ours.io).into()
            }
        }

        impl std::os::fd::AsFd for $ours {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.io.lent().as_fd()
            }
        }

        impl std::os::fd::AsRawFd for $ours {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                self.io.lent().as_raw_fd()
            }
        }

        impl std::os::fd::IntoRawFd for $ours {
            fn into_raw_fd(self) -> std::os::fd::RawFd {
                std::os::fd::OwnedFd::from(self).into_raw_fd()
            }
        }

        impl std::os::fd::FromRawFd for $ours {
            unsafe fn from_raw_fd(fd: std::os::fd::RawFd) -> Self {
                // SAFETY: passed on to the caller.
                unsafe { std::os::fd::OwnedFd::from_raw_fd(fd) }.into()
            }
        }

        impl $crate::channel::Readiness for $ours {
            fn io_source(&self) -> $crate::channel::IoSource<'_> {
                self.io.io_source()
            }
        }

        impl std::fmt::Debug for $ours {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.io.fmt(f)
            }
        }
    };
}
pub(crate) use conversions;
