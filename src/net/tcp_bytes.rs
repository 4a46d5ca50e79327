//! TCP bytes: how a stream reads and writes.
//!
//! Layer 8. Imports: io, sys. Never: sessions, timers, reactors.
//!
//! Every method is one line over `Io::call`; the system calls are std's own, on a descriptor in
//! non-blocking mode, always with `MSG_NOSIGNAL`: a closed peer is an error, never a signal.

use super::TcpStream;
use crate::io::stream::BUFFERS_PER_CALL;
use crate::io::stream::after_read;
use crate::io::stream::read_by_reference;
use crate::io::stream::write_to_socket;
use crate::sys::Direction;
use std::io;
use std::io::IoSliceMut;
use std::io::Read;

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

read_by_reference!(TcpStream);
write_to_socket!(TcpStream);
