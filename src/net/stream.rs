//! Stream: what the reads and writes of every stream have in common.
//!
//! Layer 8. Imports: io. Never: what kind of stream it is.

use crate::io::Left;

/// The kernel takes no more buffers at once, and std leaves out those behind.
pub(crate) const BUFFERS_PER_CALL: usize = libc::UIO_MAXIOV as usize;

/// What a stream's read of `count` bytes into `room` says about what is left.
pub(crate) fn after_read(count: usize, room: usize) -> (usize, Left) {
    // A read of 0 bytes is the end, or had no room: it says nothing.
    let left = if 0 < count && count < room { Left::Nothing } else { Left::Unknown };
    (count, left)
}
