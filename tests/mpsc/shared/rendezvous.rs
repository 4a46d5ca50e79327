//! Channels of bound 0: both sides meet.

use super::bounded;
use super::mpsc::TryRecvError;
use super::mpsc::TrySendError;
use super::mpsc::sync_channel;
use super::world;
use super::world::scope;
use crate::until;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

#[test]
fn smoke() {
    world::run(|| {
        let (s, r) = bounded(0);
        scope(|scope| {
            scope.spawn(move || s.send(1).unwrap());
            assert_eq!(r.recv(), Ok(1));
        });
    });
}

/// After std's `issue_15761`.
#[test]
fn a_send_returns_when_its_message_was_received() {
    world::run(|| {
        let (s, r) = bounded(0);
        let sent = AtomicUsize::new(0);
        scope(|scope| {
            let sent = &sent;
            scope.spawn(move || {
                for number in 0..3 {
                    s.send(number).unwrap();
                    sent.fetch_add(1, Ordering::SeqCst);
                }
            });
            for number in 0..3 {
                world::settle();
                assert_eq!(sent.load(Ordering::SeqCst), number);
                assert_eq!(r.recv(), Ok(number));
                until(|| sent.load(Ordering::SeqCst) == number + 1);
            }
        });
    });
}

#[test]
fn a_try_send_finds_only_who_waits() {
    world::run(|| {
        let (s, r) = sync_channel(0);
        assert_eq!(s.try_send(1), Err(TrySendError::Full(1)));
        scope(|scope| {
            let receiver = scope.spawn(move || r.recv());
            until(|| s.try_send(2).is_ok());
            assert_eq!(receiver.join().unwrap(), Ok(2));
        });
        assert_eq!(s.try_send(3), Err(TrySendError::Disconnected(3)));
    });
}

#[test]
fn a_try_recv_finds_who_waits() {
    world::run(|| {
        let (s, r) = bounded(0);
        assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
        scope(|scope| {
            let sender = scope.spawn(move || s.send(1));
            until(|| r.try_recv() == Ok(1));
            assert_eq!(sender.join().unwrap(), Ok(()));
        });
        assert_eq!(r.try_recv(), Err(TryRecvError::Disconnected));
    });
}

#[test]
fn two_who_only_try_never_meet() {
    world::run(|| {
        let (s, r) = sync_channel(0);
        for number in 0..10 {
            assert_eq!(s.try_send(number), Err(TrySendError::Full(number)));
            assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
        }
    });
}

#[test]
fn ping_and_pong() {
    world::run(|| {
        let ((ping, pinged), (pong, ponged)) = (bounded(0), bounded(0));
        scope(|scope| {
            scope.spawn(move || {
                while let Ok(number) = pinged.recv() {
                    pong.send(number + 1).unwrap();
                }
            });
            for number in 0..300 {
                ping.send(number).unwrap();
                assert_eq!(ponged.recv(), Ok(number + 1));
            }
            drop(ping);
        });
    });
}
