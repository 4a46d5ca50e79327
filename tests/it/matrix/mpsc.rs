//! Rows of the matrix: std's channels. A call that gives up says that the other side is gone, which it is not.

use super::Case;
use super::Test;
use crate::secs;
use giambio::io::Cancelled;
use giambio::sync::mpsc::Receiver;
use giambio::sync::mpsc::channel;
use giambio::sync::mpsc::sync_channel;
use std::cell::Cell;
use std::io;

matrix!(Virtual: recv, recv_timeout, next, send);

/// Those that several tasks may make at once.
mod by_two {
    matrix!(Virtual, of several tasks at once: recv, send);
}

fn given_up<E>(_: E) -> io::Error {
    io::Error::other(Cancelled)
}

fn recv(test: Test<'_>) {
    receiving(test, |receiver| receiver.recv().map_err(given_up));
}

fn recv_timeout(test: Test<'_>) {
    receiving(test, |receiver| receiver.recv_timeout(secs(1000)).map_err(given_up));
}

fn next(test: Test<'_>) {
    receiving(test, |receiver| receiver.iter().next().ok_or_else(|| given_up(())));
}

fn receiving(test: Test<'_>, receive: fn(&Receiver<()>) -> io::Result<()>) {
    let (sender, receiver) = channel();
    let sent = Cell::new(0);
    let call = || receive(&receiver);
    let complete = || {
        sender.send(()).unwrap();
        sent.set(sent.get() + 1);
    };
    let effects = || sent.get() - receiver.try_iter().count();
    test(&Case::reporting(&call).ends_when(&complete).has(&effects));
}

fn send(test: Test<'_>) {
    let (sender, receiver) = sync_channel(1);
    // Not by the calls.
    sender.send(0).unwrap();
    let received = Cell::new(0);
    let call = || sender.send(1).map_err(given_up);
    let complete = || received.set(received.get() + receiver.try_recv().unwrap_or(0));
    let effects = || received.get() + receiver.try_iter().sum::<usize>();
    test(&Case::reporting(&call).ends_when(&complete).has(&effects));
}
