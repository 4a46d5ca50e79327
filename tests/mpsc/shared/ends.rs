//! What becomes of a side, and of the messages, when the other side is gone.

use super::all_kinds;
use super::bounded;
use super::buffers;
use super::endless;
use super::mpsc::RecvError;
use super::mpsc::RecvTimeoutError;
use super::mpsc::SendError;
use super::mpsc::TryRecvError;
use super::mpsc::TrySendError;
use super::mpsc::sync_channel;
use super::world;
use super::world::scope;
use crate::until;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn a_side_may_leave_before_anything_was_sent() {
    world::run(|| {
        for (s, r) in all_kinds::<Box<i32>>() {
            drop(r);
            drop(s);
        }
        for (s, r) in all_kinds::<Box<i32>>() {
            drop(s);
            drop(r);
        }
    });
}

#[test]
fn a_send_to_nobody_gives_its_message_back() {
    world::run(|| {
        for (s, r) in all_kinds() {
            drop(r);
            assert_eq!(s.send(Box::new(7)), Err(SendError(Box::new(7))));
        }
        let (s, r) = sync_channel(1);
        drop(r);
        assert_eq!(s.try_send(Box::new(7)), Err(TrySendError::Disconnected(Box::new(7))));
    });
}

#[test]
fn a_receive_from_nobody_fails() {
    world::run(|| {
        for (s, r) in all_kinds::<u8>() {
            drop(s);
            assert_eq!(r.recv(), Err(RecvError));
            assert_eq!(r.try_recv(), Err(TryRecvError::Disconnected));
            let timed = r.recv_timeout(Duration::from_secs(1000));
            assert_eq!(timed, Err(RecvTimeoutError::Disconnected));
        }
    });
}

#[test]
fn what_was_sent_before_the_last_sender_left_is_received() {
    world::run(|| {
        for (s, r) in buffers() {
            let other = s.clone();
            s.send(1).unwrap();
            drop(s);
            assert_eq!(r.recv(), Ok(1));
            assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
            other.send(2).unwrap();
            drop(other);
            assert_eq!(r.recv(), Ok(2));
            assert_eq!(r.recv(), Err(RecvError));
            assert_eq!(r.recv(), Err(RecvError));
        }
    });
}

#[test]
fn a_message_that_nobody_receives_is_dropped_with_the_receiver() {
    world::run(|| {
        for (s, r) in buffers() {
            let message = Arc::new(());
            s.send(Arc::clone(&message)).unwrap();
            assert_eq!(Arc::strong_count(&message), 2);
            drop(r);
            assert_eq!(Arc::strong_count(&message), 1);
            s.send(Arc::clone(&message)).unwrap_err();
            assert_eq!(Arc::strong_count(&message), 1);
        }
    });
}

#[test]
fn a_message_that_nobody_receives_is_dropped_with_the_channel() {
    world::run(|| {
        for (s, r) in buffers() {
            let (message, other) = (Arc::new(()), s.clone());
            other.send(Arc::clone(&message)).unwrap();
            drop((s, other));
            drop(r);
            assert_eq!(Arc::strong_count(&message), 1);
        }
    });
}

#[test]
fn a_receiver_that_waits_learns_that_the_senders_are_gone() {
    world::run(|| {
        for (s, r) in all_kinds::<u8>() {
            scope(|scope| {
                let other = s.clone();
                let waiter = scope.spawn(move || r.recv());
                world::settle();
                drop(s);
                world::settle();
                drop(other);
                assert_eq!(waiter.join().unwrap(), Err(RecvError));
            });
        }
    });
}

#[test]
fn a_sender_that_waits_learns_that_the_receiver_is_gone() {
    world::run(|| {
        for bound in [0, 1] {
            let (s, r) = bounded(bound);
            (0..bound).for_each(|_| s.send(Box::new(1)).unwrap());
            scope(|scope| {
                let senders = [2, 3].map(|number| {
                    let s = s.clone();
                    scope.spawn(move || s.send(Box::new(number)))
                });
                world::settle();
                drop(r);
                for (sender, number) in senders.into_iter().zip([2, 3]) {
                    assert_eq!(sender.join().unwrap(), Err(SendError(Box::new(number))));
                }
            });
        }
    });
}

/// After std's `port_gone_concurrent`.
#[test]
fn a_sender_goes_on_until_the_receiver_has_left() {
    world::run(|| {
        for (s, r) in all_kinds() {
            let other = s.clone();
            scope(|scope| {
                let receiver = scope.spawn(move || r.recv());
                let sender = scope.spawn(move || until(|| other.send(1).is_err()));
                until(|| s.send(2).is_err());
                assert!([Ok(1), Ok(2)].contains(&receiver.join().unwrap()));
                sender.join().unwrap();
            });
        }
    });
}

/// After std's `chan_gone_concurrent`.
#[test]
fn a_receiver_goes_on_until_the_senders_have_left() {
    world::run(|| {
        for (s, r) in all_kinds() {
            scope(|scope| {
                let other = s.clone();
                for s in [s, other] {
                    scope.spawn(move || (0..2).for_each(|number| s.send(number).unwrap()));
                }
                let mut sum = 0;
                while let Ok(number) = r.recv() {
                    sum += number;
                }
                assert_eq!(sum, 2);
            });
        }
    });
}

/// After std's `destroy_upgraded_shared_port_when_sender_still_active`.
#[test]
fn the_receiver_leaves_while_a_clone_of_its_sender_was_just_used() {
    world::run(|| {
        let (s, r) = endless();
        let (tell, told) = endless();
        scope(|scope| {
            scope.spawn(move || {
                r.recv().unwrap(); // waits until the clone has sent
                drop(r); // while the sender is still there
                tell.send(()).unwrap();
            });
            world::settle();
            let other = s.clone();
            other.send(()).unwrap();
            told.recv().unwrap();
            assert!(s.send(()).is_err());
            assert!(other.send(()).is_err());
        });
    });
}

/// After std's `issue_32114`.
#[test]
fn every_send_to_nobody_fails() {
    world::run(|| {
        let (s, r) = endless();
        s.send(123).unwrap();
        drop(r);
        for number in 0..3 {
            assert_eq!(s.clone().send(number), Err(SendError(number)));
        }
    });
}

/// A message is an end of its own channel.
#[test]
fn ends_go_through_channels() {
    world::run(|| {
        for (s, r) in buffers() {
            let (inner, received) = endless();
            s.send(received).unwrap();
            drop(s);
            inner.send(7).unwrap();
            let received = r.recv().unwrap();
            assert_eq!(received.recv(), Ok(7));
            drop((received, r));
            assert!(inner.send(8).is_err());
        }
        // One that was sent is dropped with the channel, and its own other side learns of it.
        let (s, r) = endless();
        let (inner, received) = endless::<u8>();
        s.send(received).unwrap();
        drop(r);
        assert!(inner.send(1).is_err());
    });
}
