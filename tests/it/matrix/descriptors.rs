//! Rows of the matrix: pipes, any other descriptor, signals.

use super::Case;
use super::Test;
use super::sockets::is_ready;
use crate::copy::duplex;
use crate::pipe::fill;
use giambio::io::Async;
use giambio::io::copy_bidirectional;
use giambio::io::pipe;
use giambio::signal::SIGUSR1;
use giambio::signal::SIGUSR2;
use giambio::signal::SIGWINCH;
use giambio::signal::Signals;
use std::cell::Cell;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::sync::Mutex;
use std::sync::PoisonError;

matrix!(Real: pipe_read, pipe_write, read_with, write_with, signals_recv);
matrix!(Real, copy_both_ways never ends);

/// Those that several tasks may make at once.
mod by_two {
    matrix!(Real, of several tasks at once: pipe_read, pipe_write, read_with, signals_recv);
}

fn pipe_read(test: Test<'_>) {
    let (reader, writer) = pipe().unwrap();
    let sent = Cell::new(0);
    let call = || (&reader).read(&mut [0]).map(|count| assert_eq!(count, 1));
    let complete = || sent.set(sent.get() + (&writer).write(b"x").unwrap());
    let effects = || {
        let (mut rest, marked) = (Vec::new(), b"end");
        (&writer).write_all(marked).unwrap();
        while !rest.ends_with(marked) {
            let mut byte = [0];
            (&reader).read_exact(&mut byte).unwrap();
            rest.extend(byte);
        }
        sent.get() + marked.len() - rest.len()
    };
    test(&Case::reporting(&call).ends_when(&complete).has(&effects));
}

fn pipe_write(test: Test<'_>) {
    let (reader, writer) = pipe().unwrap();
    let filled = fill(&writer);
    let read = Cell::new(0);
    // What fills a page by itself, so that reading a page makes room for one.
    let call = || (&writer).write(&[0; 4096]).map(|count| assert_eq!(count, 4096));
    let complete = || {
        (&reader).read_exact(&mut [0; 4096]).unwrap();
        read.set(read.get() + 4096);
    };
    let effects = || {
        let mut left: libc::c_int = 0;
        // SAFETY: the place of a number, borrowed for the call.
        let result = unsafe { libc::ioctl(reader.as_raw_fd(), libc::FIONREAD, &raw mut left) };
        assert_eq!(result, 0);
        (read.get() + left as usize - filled) / 4096
    };
    test(&Case::reporting(&call).ends_when(&complete).has(&effects));
}

fn read_with(test: Test<'_>) {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    let ours = Async::new(ours).unwrap();
    let sent = Cell::new(0);
    let call = || ours.read_with(|socket| socket.recv(&mut [0; 8])).map(drop);
    let complete = || {
        theirs.send(b"x").unwrap();
        sent.set(sent.get() + 1);
    };
    let effects = || {
        let left = std::iter::from_fn(|| ours.get_ref().recv(&mut [0; 8]).ok());
        sent.get() - left.count()
    };
    test(&Case::reporting(&call).ends_when(&complete).has(&effects));
}

fn write_with(test: Test<'_>) {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    let ours = Async::new(ours).unwrap();
    theirs.set_nonblocking(true).unwrap();
    while ours.get_ref().send(b"").is_ok() {}
    let taken = Cell::new(0);
    // Every datagram that was there before is empty.
    let take_all = || {
        let mut buf = [0; 8];
        while let Ok(count) = theirs.recv(&mut buf) {
            taken.set(taken.get() + count);
        }
    };
    let call = || ours.write_with(|socket| socket.send(b"x")).map(drop);
    let effects = || {
        take_all();
        taken.get()
    };
    test(&Case::reporting(&call).ends_when(&take_all).has(&effects));
}

/// A signal reaches everybody in the process who waits for it.
static SIGNALS: Mutex<()> = Mutex::new(());

fn signals_recv(test: Test<'_>) {
    let _alone = SIGNALS.lock().unwrap_or_else(PoisonError::into_inner);
    // A kind counts once until it is received.
    let kinds = [SIGUSR1, SIGUSR2, SIGWINCH];
    let signals = Signals::new(kinds).unwrap();
    let sent = Cell::new(0);
    let call = || signals.recv().map(|kind| assert!(kinds.contains(&kind)));
    let complete = || {
        signal_hook::low_level::raise(kinds[sent.get()]).unwrap();
        sent.set(sent.get() + 1);
    };
    let effects = || {
        let mut left = 0;
        while is_ready(&signals, libc::POLLIN, 0) {
            signals.recv().unwrap();
            left += 1;
        }
        sent.get() - left
    };
    test(&Case::reporting(&call).ends_when(&complete).has(&effects));
}

/// Made of many calls, which can report where one alone would be done; so only how it is cut is tried.
fn copy_both_ways(test: Test<'_>) {
    let ((client, a), (b, server)) = (duplex(), duplex());
    let call = || copy_bidirectional(&a, &b).map(drop);
    let effects = || {
        (&client).write_all(b"x").unwrap();
        (&server).write_all(b"y").unwrap();
        let mut both = [0; 2];
        (&a).read_exact(&mut both[..1]).unwrap();
        (&b).read_exact(&mut both[1..]).unwrap();
        assert_eq!(&both, b"xy", "who was cut takes nothing any more");
        0
    };
    test(&Case::reporting(&call).never_ends().has(&effects));
}
