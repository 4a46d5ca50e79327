//! Convert: sockets from and to std's and plain descriptors.
//!
//! Layer 8. Imports: io. Never: sessions, timers, reactors.
//!
//! What comes in is put into non-blocking mode; what goes out is taken out of the reactors and put
//! back into blocking mode, which its clones share: none of them may still be in use here. std's
//! conversions have no way to fail, and on a live socket neither has this; should the kernel refuse it
//! all the same, the conversion panics.

use crate::io::Io;
use crate::io::Mode;
use crate::sys::Direction;
use socket2::SockRef;
use std::os::fd::AsFd;
use std::time::Duration;

/// Takes a socket in, with the timeouts that std has set on it. It blocks, whatever its mode was.
pub(crate) fn adopt<S: AsFd>(source: S) -> Io<S> {
    let socket = SockRef::from(&source);
    if let Err(error) = socket.set_nonblocking(true) {
        panic!("a socket that cannot be made non-blocking: {error}");
    }
    let timeouts = kernel_timeouts(&socket);
    let io = Io::new(source);
    for (direction, timeout) in timeouts {
        if timeout.is_some() {
            io.set_timeout(direction, timeout);
        }
    }
    io
}

/// Hands a socket out, in the mode and with the timeouts that its user has set.
pub(crate) fn give_up<S: AsFd>(io: Io<S>) -> S {
    let mode = io.mode();
    let timeouts = Direction::BOTH.map(|direction| (direction, io.timeout(direction)));
    let source = io.into_source();
    let socket = SockRef::from(&source);
    if let Err(error) = socket.set_nonblocking(mode == Mode::NonBlocking) {
        panic!("a socket that cannot be made blocking: {error}");
    }
    for (known, (direction, timeout)) in kernel_timeouts(&socket).into_iter().zip(timeouts) {
        if known != (direction, timeout) {
            // It fails only for what is no socket, and has no timeouts.
            let _ = match direction {
                Direction::Read => socket.set_read_timeout(timeout),
                Direction::Write => socket.set_write_timeout(timeout),
            };
        }
    }
    source
}

/// The timeouts of calls that block, rounded up to the kernel's ticks.
fn kernel_timeouts(socket: &SockRef<'_>) -> [(Direction, Option<Duration>); 2] {
    Direction::BOTH.map(|direction| {
        let timeout = match direction {
            Direction::Read => socket.read_timeout(),
            Direction::Write => socket.write_timeout(),
        };
        (direction, timeout.unwrap_or(None))
    })
}

/// The conversions that std gives each of its sockets, and those between a socket and std's.
macro_rules! conversions {
    ($ours:ident, $std:ty) => {
        /// The socket is put into non-blocking mode, which it shares with its clones.
        impl From<$std> for $ours {
            fn from(socket: $std) -> Self {
                Self { io: $crate::net::convert::adopt(socket) }
            }
        }

        /// The socket is put back into blocking mode, which it shares with its clones: another clone
        /// that a task still uses would block the worker.
        impl From<$ours> for $std {
            fn from(socket: $ours) -> Self {
                $crate::net::convert::give_up(socket.io)
            }
        }

        impl From<std::os::fd::OwnedFd> for $ours {
            fn from(fd: std::os::fd::OwnedFd) -> Self {
                <$std>::from(fd).into()
            }
        }

        impl From<$ours> for std::os::fd::OwnedFd {
            fn from(socket: $ours) -> Self {
                $crate::net::convert::give_up(socket.io).into()
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

        /// As std's: what a call that panics leaves in a socket, the next one can go on with.
        impl std::panic::UnwindSafe for $ours {}

        /// As std's.
        impl std::panic::RefUnwindSafe for $ours {}

        impl std::fmt::Debug for $ours {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.io.fmt(f)
            }
        }
    };
}
pub(crate) use conversions;
