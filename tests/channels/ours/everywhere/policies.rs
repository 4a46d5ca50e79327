//! `dropping` and `sliding`: channels on which nobody waits to send.

use super::channel::RecvError;
use super::channel::Select;
use super::channel::SendError;
use super::channel::TrySendError;
use super::channel::dropping;
use super::channel::select;
use super::channel::sliding;
use super::world;
use super::world::scope;
use crate::counted::Ledger;
use crate::ms;
use giambio::clock;
use giambio::yield_now;
use std::time::Duration;

#[test]
fn smoke() {
    world::run(|| {
        let ((s, r), (other_s, other_r)) = (dropping(2), sliding(2));
        for number in 1..=5 {
            s.send(number).unwrap();
            other_s.send(number).unwrap();
        }
        assert!(r.try_iter().eq([1, 2]), "the newest are dropped");
        assert!(other_r.try_iter().eq([4, 5]), "the oldest are dropped");
    });
}

#[test]
fn every_way_to_send_succeeds_when_it_is_full() {
    world::run(|| {
        for (s, r) in [dropping(1), sliding(1)] {
            s.send(0).unwrap();
            s.send(1).unwrap();
            s.try_send(2).unwrap();
            s.send_timeout(3, Duration::ZERO).unwrap();
            s.send_deadline(4, clock()).unwrap();
            select! { send(s, 5) -> sent => sent.unwrap(), default => panic!("it would wait") }
            let mut choice = Select::new();
            let index = choice.send(&s);
            assert_eq!(choice.try_ready(), Ok(index));
            choice.try_select().unwrap().send(&s, 6).unwrap();
            assert_eq!(r.len(), 1);
            let got = r.recv().unwrap();
            assert!(got == 0 || got == 6);
        }
    });
}

#[test]
fn it_never_holds_more_than_was_asked_for() {
    world::run(|| {
        for capacity in [1, 2, 5, 40] {
            for (s, r) in [dropping(capacity), sliding(capacity)] {
                assert_eq!((s.capacity(), r.capacity()), (Some(capacity), Some(capacity)));
                for number in 0..100 {
                    s.send(number).unwrap();
                    assert_eq!(s.len(), capacity.min(number + 1));
                    assert_eq!(r.is_full(), number + 1 >= capacity);
                }
                assert_eq!(r.try_iter().count(), capacity);
                assert!(s.is_empty());
            }
        }
    });
}

#[test]
fn what_is_dropped_is_dropped_at_once_and_once() {
    world::run(|| {
        let (ledger, (s, r)) = (Ledger::default(), dropping(2));
        ledger.some(4).into_iter().for_each(|message| s.send(message).unwrap());
        ledger.assert_dropped(&[2, 3]);
        drop((s, r));
        ledger.assert_all_dropped();
        let (ledger, (s, r)) = (Ledger::default(), sliding(2));
        ledger.some(4).into_iter().for_each(|message| s.send(message).unwrap());
        ledger.assert_dropped(&[0, 1]);
        drop((s, r));
        ledger.assert_all_dropped();
    });
}

#[test]
fn who_waits_for_a_message_gets_the_first() {
    world::run(|| {
        for (s, r) in [dropping(1), sliding(1)] {
            scope(|scope| {
                let receives = scope.spawn(|| r.recv());
                world::settle();
                s.send(7).unwrap();
                assert_eq!(receives.join().unwrap(), Ok(7));
            });
            assert!(r.is_empty());
        }
    });
}

#[test]
fn without_any_room_only_who_waits_gets_a_message() {
    world::run(|| {
        for (s, r) in [dropping(0), sliding(0)] {
            let ledger = Ledger::default();
            s.send(ledger.one()).unwrap();
            s.try_send(ledger.one()).unwrap();
            select! { send(s, ledger.one()) -> sent => assert!(sent.is_ok()) }
            ledger.assert_dropped(&[0, 1, 2]);
            assert_eq!((s.len(), s.capacity()), (0, Some(0)));
            scope(|scope| {
                let receives = scope.spawn(|| r.recv().unwrap().number);
                crate::until(|| {
                    s.send(ledger.one()).unwrap();
                    giambio::yield_now();
                    receives.is_finished()
                });
                assert!(receives.join().unwrap() > 2);
            });
            ledger.assert_all_dropped();
        }
    });
}

#[test]
fn a_sender_tells_whether_its_messages_may_be_dropped() {
    world::run(|| {
        assert!(dropping::<i32>(1).0.is_lossy() && sliding::<i32>(1).0.is_lossy());
        assert!(!super::bounded::<i32>(1).0.is_lossy() && !super::unbounded::<i32>().0.is_lossy());
    });
}

#[test]
fn room_is_used_again() {
    world::run(|| {
        let (s, r) = dropping(2);
        (0..3).for_each(|number| s.send(number).unwrap());
        assert_eq!(r.recv(), Ok(0));
        s.send(3).unwrap();
        assert!(r.try_iter().eq([1, 3]));
        let (s, r) = sliding(2);
        (0..3).for_each(|number| s.send(number).unwrap());
        assert_eq!(r.recv(), Ok(1));
        s.send(3).unwrap();
        assert!(r.try_iter().eq([2, 3]));
    });
}

#[test]
fn they_end_as_others_do() {
    world::run(|| {
        for (s, r) in [dropping(2), sliding(2)] {
            s.send(1).unwrap();
            drop(s);
            assert_eq!([r.recv(), r.recv()], [Ok(1), Err(RecvError)]);
        }
        for (s, r) in [dropping(1), sliding(1)] {
            s.send(1).unwrap();
            drop(r);
            assert_eq!(s.send(2), Err(SendError(2)));
            assert_eq!(s.try_send(3), Err(TrySendError::Disconnected(3)));
        }
        for (s, r) in [dropping(1), sliding(1)] {
            s.send(1).unwrap();
            s.close();
            assert_eq!(s.send(2), Err(SendError(2)), "closed is stronger than full");
            assert_eq!([r.recv(), r.recv()], [Ok(1), Err(RecvError)]);
        }
    });
}

#[test]
fn what_is_left_is_in_its_order() {
    const COUNT: i32 = 2000;
    world::run(|| {
        for is_sliding in [false, true] {
            for capacity in [1, 3, 50] {
                let (s, r) = if is_sliding { sliding(capacity) } else { dropping(capacity) };
                let seen: Vec<i32> = scope(|scope| {
                    scope.spawn(move || {
                        for number in 0..COUNT {
                            s.send(number).unwrap();
                            if number % 7 == 0 {
                                yield_now();
                            }
                        }
                    });
                    scope.spawn(move || r.iter().collect()).join().unwrap()
                });
                assert!(seen.is_sorted_by(|a, b| a < b));
                let (first, last) = (seen[0], seen[seen.len() - 1]);
                if is_sliding {
                    assert_eq!(last, COUNT - 1, "the newest is there");
                } else {
                    assert_eq!(first, 0, "the oldest is there");
                }
            }
        }
    });
}

#[test]
fn in_a_crowd_each_message_is_dropped_once() {
    world::run(|| {
        for (s, r) in [dropping(3), sliding(3)] {
            let ledger = Ledger::default();
            scope(|scope| {
                for _ in 0..4 {
                    let (s, ledger) = (s.clone(), &ledger);
                    scope.spawn(move || {
                        for number in 0..200 {
                            s.send(ledger.one()).unwrap();
                            if number % 5 == 0 {
                                yield_now();
                            }
                        }
                    });
                    let r = r.clone();
                    scope.spawn(move || while r.recv_timeout(ms(2)).is_ok() {});
                }
            });
            drop((s, r));
            assert_eq!(ledger.made(), 800);
            ledger.assert_all_dropped();
        }
    });
}

/// A destructor of the user's that looks at the channel which drops its message.
#[test]
fn a_destructor_may_use_the_channel_that_drops_its_message() {
    struct Looks(super::Sender<Looks>, std::sync::mpsc::Sender<usize>);
    impl Drop for Looks {
        fn drop(&mut self) {
            self.1.send(self.0.len()).unwrap();
        }
    }
    world::run(|| {
        for (s, r) in [dropping(2), sliding(2)] {
            let (tell, told) = std::sync::mpsc::channel();
            (0..5).for_each(|_| s.send(Looks(s.clone(), tell.clone())).unwrap());
            assert!(told.try_iter().eq([2; 3]));
            drop(r);
            drop(s);
        }
    });
}
