//! Receives for a limited time.

use super::all_kinds;
use super::buffers;
use super::mpsc::RecvTimeoutError;
use super::mpsc::TryRecvError;
use super::mpsc::channel;
use super::world;
use super::world::scope;
use crate::elapsed;
use crate::ms;
use crate::secs;
use std::time::Duration;

#[test]
fn a_receive_gives_up_when_its_time_is_up() {
    world::run(|| {
        for (s, r) in all_kinds::<u8>() {
            let took = elapsed(|| {
                assert_eq!(r.recv_timeout(ms(5)), Err(RecvTimeoutError::Timeout));
            });
            world::assert_took(took, ms(5));
            drop(s);
        }
    });
}

#[test]
fn a_message_that_is_there_needs_no_time() {
    world::run(|| {
        for (s, r) in buffers() {
            s.send(1).unwrap();
            assert_eq!(r.recv_timeout(Duration::ZERO), Ok(1));
            assert_eq!(r.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout));
        }
    });
}

#[test]
fn a_message_that_comes_in_time_is_received() {
    world::run(|| {
        for (s, r) in all_kinds() {
            scope(|scope| {
                let receiver = scope.spawn(move || r.recv_timeout(secs(1000)));
                world::settle();
                s.send(1).unwrap();
                assert_eq!(receiver.join().unwrap(), Ok(1));
            });
        }
    });
}

#[test]
fn who_waits_for_a_limited_time_learns_that_the_senders_are_gone() {
    world::run(|| {
        for (s, r) in all_kinds::<u8>() {
            scope(|scope| {
                let receiver = scope.spawn(move || r.recv_timeout(secs(1000)));
                world::settle();
                drop(s);
                assert_eq!(receiver.join().unwrap(), Err(RecvTimeoutError::Disconnected));
            });
        }
    });
}

/// After std's `recv_timeout_upgrade` and `issue_39364`.
#[test]
fn who_has_given_up_receives_from_a_clone_later() {
    world::run(|| {
        for (s, r) in all_kinds::<u8>() {
            assert_eq!(r.recv_timeout(ms(1)), Err(RecvTimeoutError::Timeout));
            let other = s.clone();
            drop(s);
            assert_eq!(r.recv_timeout(ms(1)), Err(RecvTimeoutError::Timeout));
            scope(|scope| {
                scope.spawn(move || other.send(9).unwrap());
                assert_eq!(r.recv(), Ok(9));
            });
            assert_eq!(r.try_recv(), Err(TryRecvError::Disconnected));
        }
    });
}

/// After std's `very_long_recv_timeout_wont_panic`.
#[test]
fn a_time_that_never_ends_is_waited_for() {
    world::run(|| {
        let (s, r) = channel();
        scope(|scope| {
            let receiver = scope.spawn(move || r.recv_timeout(Duration::MAX));
            world::settle();
            s.send(7).unwrap();
            assert_eq!(receiver.join().unwrap(), Ok(7));
        });
    });
}

/// After std's `stress_recv_timeout_shared`.
#[test]
fn who_gives_up_again_and_again_misses_nothing() {
    world::run(|| {
        for (s, r) in all_kinds() {
            scope(|scope| {
                for number in 0..20_u64 {
                    let s = s.clone();
                    scope.spawn(move || {
                        giambio::sleep(Duration::from_micros(number * 150));
                        s.send(Box::new(number)).unwrap();
                    });
                }
                drop(s);
                let mut sum = 0;
                loop {
                    match r.recv_timeout(Duration::from_micros(200)) {
                        Ok(number) => sum += *number,
                        Err(RecvTimeoutError::Timeout) => {}
                        Err(RecvTimeoutError::Disconnected) => break,
                    }
                }
                assert_eq!(sum, 190);
            });
        }
    });
}
