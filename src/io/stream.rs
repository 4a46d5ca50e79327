//! Stream: what the reads and writes of every stream have in common.
//!
//! Layer 8. Imports: its siblings. Never: what kind of stream it is.

use super::Left;

/// The kernel takes no more buffers at once, and std leaves out those behind.
pub(crate) const BUFFERS_PER_CALL: usize = libc::UIO_MAXIOV as usize;

/// What a stream's read of `count` bytes into `room` says about what is left.
pub(crate) fn after_read(count: usize, room: usize) -> (usize, Left) {
    // A read of 0 bytes is the end, or had no room: it says nothing.
    let left = if 0 < count && count < room { Left::Nothing } else { Left::Unknown };
    (count, left)
}

/// `Read` of a stream, by that of a reference to it.
macro_rules! read_by_reference {
    ($stream:ty) => {
        impl std::io::Read for $stream {
            #[inline]
            fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
                (&*self).read(buf)
            }

            fn read_vectored(
                &mut self,
                bufs: &mut [std::io::IoSliceMut<'_>],
            ) -> std::io::Result<usize> {
                (&*self).read_vectored(bufs)
            }
        }
    };
}
pub(crate) use read_by_reference;

/// `Write` of a stream, by that of a reference to it.
macro_rules! write_by_reference {
    ($stream:ty) => {
        impl std::io::Write for $stream {
            #[inline]
            fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
                (&*self).write(buf)
            }

            fn write_vectored(&mut self, bufs: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
                (&*self).write_vectored(bufs)
            }

            /// Nothing to do: a stream has no buffer of its own. Never parks.
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
    };
}
pub(crate) use write_by_reference;

/// `Write` of a stream socket, always with `MSG_NOSIGNAL`: a closed peer is an error, never a signal.
macro_rules! write_to_socket {
    ($stream:ty) => {
        impl std::io::Write for &$stream {
            #[inline]
            fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
                self.io.call($crate::sys::Direction::Write, |mut socket| {
                    let count = std::io::Write::write(&mut socket, buf)?;
                    Ok((count, $crate::io::Left::Unknown))
                })
            }

            fn write_vectored(&mut self, bufs: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
                // std's own call has no flags, and would raise `SIGPIPE`.
                let bufs = &bufs[..bufs.len().min($crate::io::stream::BUFFERS_PER_CALL)];
                self.io.call($crate::sys::Direction::Write, |socket| {
                    let socket = socket2::SockRef::from(socket);
                    let count = socket.send_vectored_with_flags(bufs, libc::MSG_NOSIGNAL)?;
                    Ok((count, $crate::io::Left::Unknown))
                })
            }

            /// Nothing to do: a stream has no buffer of its own. Never parks.
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }

        $crate::io::stream::write_by_reference!($stream);
    };
}
pub(crate) use write_to_socket;
