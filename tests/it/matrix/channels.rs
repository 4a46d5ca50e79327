//! Rows of the matrix: channels.
//!
//! A channel has one error for what it cannot do any more, which also says that a cancellation cannot be
//! raised. Where both sides meet, the other one is a task that is started when the call is to end.

use super::Case;
use super::Test;
use crate::secs;
use giambio::channel::Receiver;
use giambio::channel::RecvError;
use giambio::channel::RecvTimeoutError;
use giambio::channel::Select;
use giambio::channel::SendError;
use giambio::channel::SendTimeoutError;
use giambio::channel::Sender;
use giambio::channel::bounded;
use giambio::channel::select;
use giambio::channel::unbounded;
use giambio::io::Cancelled;
use giambio::pool;
use giambio::testing::settle;
use std::cell::Cell;
use std::io;

matrix!(Virtual: recv, recv_timeout, iter_next, select_recv, select_list_recv, recv_at_a_meeting);
matrix!(Virtual: send, send_timeout, select_send, select_list_send, send_at_a_meeting);

/// Those that several tasks may make at once.
mod by_two {
    matrix!(Virtual, of several tasks at once: recv, recv_timeout, iter_next, select_recv);
    matrix!(Virtual, of several tasks at once: select_list_recv);
    matrix!(Virtual, of several tasks at once: send, send_timeout, select_send, select_list_send);
}

/// How a call says that it was cancelled.
fn given_up() -> io::Error {
    io::Error::other(Cancelled)
}

fn recv(test: Test<'_>) {
    receiving(test, |r| r.recv().map_err(|RecvError| given_up()));
}

fn recv_timeout(test: Test<'_>) {
    receiving(test, |r| match r.recv_timeout(secs(1000)) {
        Err(RecvTimeoutError::Timeout) => panic!("there was no message"),
        result => result.map_err(|_| given_up()),
    });
}

fn iter_next(test: Test<'_>) {
    receiving(test, |r| r.iter().next().ok_or_else(given_up));
}

fn select_recv(test: Test<'_>) {
    let (nothing, full) = (bounded::<()>(0), bounded::<()>(0));
    receiving(test, |r| {
        select! {
            recv(nothing.1) -> none => none.map_err(|RecvError| given_up()),
            recv(r) -> got => got.map_err(|RecvError| given_up()),
            send(full.0, ()) -> none => none.map_err(|SendError(())| given_up()),
        }
    });
}

fn select_list_recv(test: Test<'_>) {
    let (_nobody, nothing) = bounded(0);
    receiving(test, |r| {
        let mut choice = Select::new();
        let (first, _) = (choice.recv(&nothing), choice.recv(r));
        let chosen = choice.select();
        let from = if chosen.index() == first { &nothing } else { r };
        chosen.recv(from).map_err(|RecvError| given_up())
    });
}

fn receiving(test: Test<'_>, receive: impl Fn(&Receiver<()>) -> io::Result<()>) {
    let ((s, r), sent) = (unbounded(), Cell::new(0));
    let call = || receive(&r);
    let complete = || {
        s.try_send(()).unwrap();
        sent.set(sent.get() + 1);
    };
    let effects = || sent.get() - r.try_iter().count();
    test(&Case::reporting(&call).ends_when(&complete).has(&effects));
}

/// What a channel is filled with.
const FILLER: bool = false;
/// What the calls send.
const MESSAGE: bool = true;

fn send(test: Test<'_>) {
    sending(test, |s| s.send(MESSAGE).map_err(|SendError(MESSAGE | FILLER)| given_up()));
}

fn send_timeout(test: Test<'_>) {
    sending(test, |s| match s.send_timeout(MESSAGE, secs(1000)) {
        Err(SendTimeoutError::Timeout(_)) => panic!("there was no room"),
        result => result.map_err(|_| given_up()),
    });
}

fn select_send(test: Test<'_>) {
    let nothing = bounded::<()>(0);
    sending(test, |s| {
        select! {
            send(s, MESSAGE) -> sent => sent.map_err(|SendError(_)| given_up()),
            recv(nothing.1) -> none => none.map_err(|RecvError| given_up()),
        }
    });
}

fn select_list_send(test: Test<'_>) {
    let (full, _nobody) = bounded(0);
    sending(test, |s| {
        let mut choice = Select::new();
        let (first, _) = (choice.send(&full), choice.send(s));
        let chosen = choice.select();
        let to = if chosen.index() == first { &full } else { s };
        chosen.send(to, MESSAGE).map_err(|SendError(_)| given_up())
    });
}

/// A channel that is full, of which one message is taken for each call.
fn sending(test: Test<'_>, send: impl Fn(&Sender<bool>) -> io::Result<()>) {
    let ((s, r), received) = (bounded(2), Cell::new(0));
    (0..2).for_each(|_| s.try_send(FILLER).unwrap());
    let take = |message: bool| received.set(received.get() + usize::from(message));
    let call = || send(&s);
    let complete = || take(r.try_recv().unwrap());
    let effects = || {
        r.try_iter().for_each(take);
        received.get()
    };
    test(&Case::reporting(&call).ends_when(&complete).has(&effects));
}

fn recv_at_a_meeting(test: Test<'_>) {
    let ((s, r), sent) = (bounded(0), Cell::new(0));
    pool(|pool| {
        let call = || r.recv().map_err(|RecvError| given_up());
        let complete = || {
            sent.set(sent.get() + 1);
            if s.try_send(()).is_err() {
                pool.spawn(|| s.send(()).unwrap());
                settle();
            }
        };
        let effects = || sent.get() - r.try_iter().count();
        test(&Case::reporting(&call).ends_when(&complete).has(&effects));
    });
}

fn send_at_a_meeting(test: Test<'_>) {
    let ((s, r), received) = (bounded(0), Cell::new(0));
    pool(|pool| {
        let call = || s.send(()).map_err(|SendError(())| given_up());
        let take = || received.set(received.get() + 1);
        let complete = || match r.try_recv() {
            Ok(()) => take(),
            Err(_) => {
                pool.spawn(|| r.iter().take(1).for_each(|()| received.set(received.get() + 1)));
                settle();
            }
        };
        let effects = || {
            s.close();
            settle();
            received.get()
        };
        test(&Case::reporting(&call).ends_when(&complete).has(&effects));
    });
}
