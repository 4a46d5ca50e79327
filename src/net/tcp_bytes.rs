//! TCP bytes: how a stream reads and writes.
//!
//! Layer 8. Imports: io, sys. Never: sessions, timers, reactors.
//!
//! Every method is one line over `Io::call`; the system calls are std's own, on a descriptor in
//! non-blocking mode, always with `MSG_NOSIGNAL`: a closed peer is an error, never a signal.

use super::TcpStream;
use super::stream::BUFFERS_PER_CALL;
use super::stream::after_read;
use crate::io::Left;
use crate::sys::Direction;
use socket2::SockRef;
use std::io;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::io::Read;
use std::io::Write;

impl Read for &TcpStream {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.io.call(Direction::Read, |mut socket| Ok(after_read(socket.read(buf)?, buf.len())))
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let room = bufs.iter().take(BUFFERS_PER_CALL).map(|buf| buf.len()).sum();
        self.io
            .call(Direction::Read, |mut socket| Ok(after_read(socket.read_vectored(bufs)?, room)))
    }
}

impl Write for &TcpStream {
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.io.call(Direction::Write, |mut socket| Ok((socket.write(buf)?, Left::Unknown)))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        // std's own call has no flags, and would raise `SIGPIPE`.
        let bufs = &bufs[..bufs.len().min(BUFFERS_PER_CALL)];
        self.io.call(Direction::Write, |socket| {
            let socket = SockRef::from(socket);
            Ok((socket.send_vectored_with_flags(bufs, libc::MSG_NOSIGNAL)?, Left::Unknown))
        })
    }

    /// Nothing to do: a stream has no buffer of its own. Never parks.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for TcpStream {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(bufs)
    }
}

impl Write for TcpStream {
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
