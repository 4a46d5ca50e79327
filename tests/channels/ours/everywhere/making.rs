//! Between the choice of a `select` and its message, in any world: the code that makes the message takes
//! its time, or fails.

use super::bounded;
use super::channel::Receiver;
use super::channel::RecvTimeoutError;
use super::channel::Select;
use super::channel::Sender;
use super::channel::select;
use super::world;
use super::world::scope;
use crate::counted::Ledger;
use crate::ms;
use crate::panic_of;
use giambio::sleep;
use std::panic::resume_unwind;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

/// Ways to receive one message, waiting for it.
const WAYS: [fn(&Receiver<i32>) -> i32; 3] = [
    |r| r.recv().unwrap(),
    |r| select! { recv(r) -> got => got.unwrap() },
    |r| {
        let mut choice = Select::new();
        choice.recv(r);
        choice.select().recv(r).unwrap()
    },
];

fn slow_send(s: &Sender<i32>) {
    select! { send(s, { sleep(ms(4)); 7 }) -> sent => sent.unwrap() }
}

fn failing_send(s: &Sender<i32>) {
    let fail = || -> i32 {
        sleep(ms(2));
        resume_unwind(Box::new("on purpose"))
    };
    let text = panic_of(|| select! { send(s, fail()) -> _ => panic!("it was sent") });
    assert_eq!(text, "on purpose");
}

#[test]
fn smoke() {
    world::run(|| {
        for capacity in 0..3 {
            for receive in WAYS {
                let (s, r) = bounded(capacity);
                scope(|scope| {
                    scope.spawn(|| assert_eq!(receive(&r), 7));
                    world::settle();
                    slow_send(&s);
                });
                scope(|scope| {
                    scope.spawn(|| slow_send(&s));
                    world::settle();
                    assert_eq!(receive(&r), 7);
                });
            }
        }
    });
}

#[test]
fn if_it_fails_who_was_promised_the_message_waits_for_another() {
    world::run(|| {
        for capacity in 0..3 {
            for receive in WAYS {
                let (s, r) = bounded(capacity);
                scope(|scope| {
                    scope.spawn(|| assert_eq!(receive(&r), 7));
                    world::settle();
                    failing_send(&s);
                    failing_send(&s);
                    slow_send(&s);
                });
                // Here the select waits first, and is asked for its message.
                scope(|scope| {
                    scope.spawn(|| {
                        failing_send(&s);
                        s.send(7).unwrap();
                    });
                    world::settle();
                    assert_eq!(receive(&r), 7);
                });
                assert!(r.is_empty());
            }
        }
    });
}

#[test]
fn a_timeout_during_it_loses_no_message() {
    world::run(|| {
        for capacity in 0..3 {
            for sender_comes_first in [false, true] {
                let ((s, r), received) = (bounded(capacity), AtomicUsize::new(0));
                scope(|scope| {
                    let receive = || match r.recv_timeout(ms(2)) {
                        Ok(got) => {
                            assert_eq!(got, 7);
                            received.fetch_add(1, Ordering::SeqCst);
                        }
                        Err(error) => assert_eq!(error, RecvTimeoutError::Timeout),
                    };
                    if sender_comes_first {
                        scope.spawn(|| slow_send(&s));
                        world::settle();
                        receive();
                    } else {
                        scope.spawn(receive);
                        world::settle();
                        // Where both must meet, and the other has gone, there is somebody else.
                        if capacity == 0 {
                            scope.spawn(|| received.fetch_add(r.iter().count(), Ordering::SeqCst));
                        }
                        slow_send(&s);
                        s.close();
                    }
                    if sender_comes_first && received.load(Ordering::SeqCst) == 0 {
                        assert_eq!(r.recv(), Ok(7));
                        received.fetch_add(1, Ordering::SeqCst);
                    }
                });
                assert_eq!(received.into_inner() + r.try_iter().count(), 1);
            }
        }
    });
}

#[test]
fn the_end_during_it_is_for_both_or_for_none() {
    world::run(|| {
        for capacity in 0..3 {
            for receiver_comes_first in [false, true] {
                let ((s, r), ledger) = (bounded(capacity), Ledger::default());
                scope(|scope| {
                    let (s, r, ledger) = (&s, &r, &ledger);
                    let send = move || {
                        let make = || {
                            sleep(ms(4));
                            ledger.one()
                        };
                        select! { send(s, make()) -> sent => sent.is_ok() }
                    };
                    let (receives, sends);
                    if receiver_comes_first {
                        receives = scope.spawn(move || r.recv().is_ok());
                        world::settle();
                        sends = scope.spawn(send);
                    } else {
                        sends = scope.spawn(send);
                        world::settle();
                        receives = scope.spawn(move || r.recv().is_ok());
                    }
                    world::settle();
                    s.close();
                    assert_eq!(sends.join().unwrap(), receives.join().unwrap());
                });
                assert!(r.try_recv().is_err());
                ledger.assert_all_dropped();
            }
        }
    });
}
