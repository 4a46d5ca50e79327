//! Io: std's traits and adapters, and what is ours instead of std's.
//!
//! Layer 8. Imports: its own files. Never: sockets.
//!
//! `use giambio::io` stands where `use std::io` stood: every stable name of [`std::io`] is here, as of
//! Rust 1.95. The traits, the adapters, [`copy`](fn@copy) and [`Error`] are std's own, and work with
//! everything that reads and writes. Ours are those that wait for the kernel: [`pipe`](fn@pipe),
//! [`stdin`](fn@stdin) and [`stdout`](fn@stdout), which park the task and not the thread. Added are
//! [`Async`], which makes a task wait for any descriptor, [`copy_bidirectional`], and [`Cancelled`].
//!
//! What differs from std:
//!
//! * [`Stdin`] has a buffer of its own. What a program reads through `std::io::stdin` as well comes in
//!   pieces, some here and some there: use one of the two.
//! * [`Stdout`] shares std's buffer, so its lines and those of `println!` come in their order. The
//!   lock of [`Stdout::lock`] keeps other users of *this* module out; `println!` does not know of it.
//! * [`IsTerminal`] cannot be implemented outside of std. [`Stdin::is_terminal`] and
//!   [`Stdout::is_terminal`] are plain methods, and `as_fd()` gives what a generic function takes.
//! * [`stderr`] is std's: it has no buffer and blocks the thread while a terminal or a pipe is full.
//!   What goes there has to come out at once, also where nothing may wait: while a task unwinds, from
//!   a panic hook or from a log sink.
//! * A pipe's conversions into std's types and into descriptors restore blocking mode.

mod async_fd;
pub(crate) mod convert;
mod copy;
mod gate;
mod pipe;
mod registration;
mod settings;
mod source;
mod stdin;
mod stdout;
pub(crate) mod stream;

pub use async_fd::Async;
pub use copy::HalfClose;
pub use copy::copy_bidirectional;
pub use pipe::PipeReader;
pub use pipe::PipeWriter;
pub use pipe::pipe;
pub(crate) use source::Io;
pub(crate) use source::Left;
pub(crate) use source::checkpoint;
pub(crate) use source::wait_once;
pub use std::io::BufRead;
pub use std::io::BufReader;
pub use std::io::BufWriter;
pub use std::io::Bytes;
pub use std::io::Chain;
pub use std::io::Cursor;
pub use std::io::Empty;
pub use std::io::Error;
pub use std::io::ErrorKind;
pub use std::io::IntoInnerError;
pub use std::io::IoSlice;
pub use std::io::IoSliceMut;
pub use std::io::IsTerminal;
pub use std::io::LineWriter;
pub use std::io::Lines;
pub use std::io::Read;
pub use std::io::Repeat;
pub use std::io::Result;
pub use std::io::Seek;
pub use std::io::SeekFrom;
pub use std::io::Sink;
pub use std::io::Split;
pub use std::io::Stderr;
pub use std::io::StderrLock;
pub use std::io::Take;
pub use std::io::Write;
pub use std::io::WriterPanicked;
pub use std::io::copy;
pub use std::io::empty;
pub use std::io::prelude;
pub use std::io::read_to_string;
pub use std::io::repeat;
pub use std::io::sink;
pub use std::io::stderr;
pub use stdin::Stdin;
pub use stdin::StdinLock;
pub use stdin::stdin;
pub use stdout::Stdout;
pub use stdout::StdoutLock;
pub use stdout::stdout;

use std::fmt;

/// What an [`std::io::Error`] of kind `Other` carries when a call was given up for a cancellation.
///
/// Seen only where a cancellation cannot be raised: in a destructor that runs while the task unwinds,
/// and under [`task::no_unwind`](crate::task::no_unwind). The kind is none that std's loops repeat.
///
/// # Examples
///
/// ```
/// use giambio::io::Cancelled;
///
/// fn is_cancellation(error: &std::io::Error) -> bool {
///     error.get_ref().is_some_and(|inner| inner.is::<Cancelled>())
/// }
/// assert!(is_cancellation(&std::io::Error::other(Cancelled)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the task is being stopped, and this call would have had to wait")
    }
}

impl std::error::Error for Cancelled {}
