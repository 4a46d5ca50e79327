//! Waits with an end: timeouts and deadlines of sends and receives.

use super::all_kinds;
use super::buffers;
use super::channel::RecvTimeoutError;
use super::channel::SendTimeoutError;
use super::channel::bounded;
use super::channel::unbounded;
use super::fill;
use super::limited;
use super::world;
use super::world::assert_took;
use super::world::scope;
use crate::elapsed;
use crate::ms;
use crate::secs;
use giambio::clock;
use giambio::sleep;
use std::time::Duration;

#[test]
fn smoke() {
    world::run(|| {
        for (s, r) in all_kinds() {
            let took =
                elapsed(|| assert_eq!(r.recv_timeout(ms(5)), Err(RecvTimeoutError::Timeout)));
            assert_took(took, ms(5));
            drop(s);
            assert_eq!(r.recv_timeout(ms(5)), Err::<i32, _>(RecvTimeoutError::Disconnected));
        }
    });
}

#[test]
fn a_send_that_finds_no_room_in_time_gives_its_message_back() {
    world::run(|| {
        for (s, r) in limited() {
            let count = fill(&s);
            let timeout = Err(SendTimeoutError::Timeout(77));
            assert_took(elapsed(|| assert_eq!(s.send_timeout(77, ms(5)), timeout)), ms(5));
            let took = elapsed(|| {
                let deadline = clock() + ms(5);
                assert_eq!(s.send_deadline(77, deadline), timeout);
                assert!(clock() >= deadline);
            });
            assert_took(took, ms(5));
            // Nothing of them is left.
            assert!(r.try_iter().eq(0..count));
        }
    });
}

#[test]
fn a_deadline_is_a_moment_of_the_clock() {
    world::run(|| {
        for (_s, r) in all_kinds::<i32>() {
            let took = elapsed(|| {
                let deadline = clock() + ms(5);
                assert_eq!(r.recv_deadline(deadline), Err(RecvTimeoutError::Timeout));
                assert!(clock() >= deadline);
            });
            assert_took(took, ms(5));
        }
    });
}

#[test]
fn no_time_is_enough_for_what_can_be_done_at_once() {
    world::run(|| {
        for (s, r) in buffers() {
            let past = clock();
            sleep(ms(1));
            s.send_timeout(1, Duration::ZERO).unwrap();
            assert_eq!(r.recv_timeout(Duration::ZERO), Ok(1));
            s.send_deadline(2, past).unwrap();
            assert_eq!(r.recv_deadline(past), Ok(2));
        }
    });
}

#[test]
fn no_time_is_over_at_once_for_what_would_have_to_wait() {
    world::run(|| {
        for (s, r) in all_kinds() {
            let past = clock();
            sleep(ms(1));
            assert_eq!(r.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout));
            assert_eq!(r.recv_deadline(past), Err(RecvTimeoutError::Timeout));
            if s.capacity().is_some() {
                fill(&s);
                let timeout = Err(SendTimeoutError::Timeout(9));
                assert_eq!(s.send_timeout(9, Duration::ZERO), timeout);
                assert_eq!(s.send_deadline(9, past), timeout);
            }
        }
    });
}

#[test]
fn a_timeout_may_be_longer_than_the_clock_goes() {
    world::run(|| {
        for (s, r) in all_kinds() {
            scope(|scope| {
                let receiver = scope.spawn(|| r.recv_timeout(Duration::MAX));
                world::settle();
                s.send_timeout(7, Duration::MAX).unwrap();
                assert_eq!(receiver.join().unwrap(), Ok(7));
            });
        }
    });
}

#[test]
fn an_unbounded_channel_has_room_at_once() {
    world::run(|| {
        let (s, r) = unbounded();
        let past = clock();
        (0..1000).for_each(|number| s.send_deadline(number, past).unwrap());
        assert_eq!(r.len(), 1000);
    });
}

#[test]
fn what_comes_in_time_is_received() {
    world::run(|| {
        for (s, r) in all_kinds() {
            let took = elapsed(|| {
                scope(|scope| {
                    scope.spawn(|| {
                        sleep(ms(2));
                        s.send(7).unwrap();
                    });
                    assert_eq!(r.recv_timeout(secs(1000)), Ok(7));
                });
            });
            assert_took(took, ms(2));
        }
    });
}

#[test]
fn room_that_comes_in_time_is_used() {
    world::run(|| {
        for (s, r) in limited() {
            let count = fill(&s);
            scope(|scope| {
                scope.spawn(|| {
                    sleep(ms(2));
                    assert!(r.iter().take(count + 1).eq(0..=count));
                });
                s.send_timeout(count, secs(1000)).unwrap();
            });
        }
    });
}

#[test]
fn what_comes_too_late_is_for_the_next() {
    world::run(|| {
        for (s, r) in all_kinds() {
            scope(|scope| {
                let receiver = scope.spawn(|| {
                    assert_eq!(r.recv_timeout(ms(2)), Err(RecvTimeoutError::Timeout));
                    r.recv()
                });
                sleep(ms(40));
                s.send(7).unwrap();
                assert!(matches!(receiver.join(), Ok(Ok(7))));
            });
        }
    });
}

/// Both are in time or too late; no message is lost by half.
#[test]
fn two_that_give_up_soon_lose_no_message() {
    const COUNT: usize = 30;
    world::run(|| {
        for (s, r) in all_kinds() {
            scope(|scope| {
                scope.spawn(move || {
                    for number in 0..COUNT {
                        let mut message = number;
                        while let Err(error) = s.send_timeout(message, Duration::from_micros(50)) {
                            assert!(error.is_timeout());
                            message = error.into_inner();
                        }
                        if number % 5 == 0 {
                            sleep(Duration::from_micros(300));
                        }
                    }
                });
                for number in 0..COUNT {
                    let got = loop {
                        match r.recv_timeout(Duration::from_micros(60)) {
                            Ok(got) => break got,
                            Err(error) => assert_eq!(error, RecvTimeoutError::Timeout),
                        }
                    };
                    assert_eq!(got, number);
                    if number % 3 == 0 {
                        sleep(Duration::from_micros(200));
                    }
                }
                let end = r.recv_timeout(secs(1000));
                assert_eq!(end, Err(RecvTimeoutError::Disconnected));
            });
        }
    });
}

#[test]
fn who_gave_up_is_not_served_any_more() {
    world::run(|| {
        for (s, r) in limited() {
            let count = fill(&s);
            for number in 0..50 {
                assert!(s.send_timeout(1000 + number, Duration::from_micros(20)).is_err());
            }
            assert!(r.try_iter().eq(0..count));
            for _ in 0..50 {
                assert!(r.recv_timeout(Duration::from_micros(20)).is_err());
            }
            scope(|scope| {
                scope.spawn(|| s.send(7).unwrap());
                assert_eq!(r.recv(), Ok(7));
            });
        }
    });
}

#[test]
fn many_may_wait_each_with_a_time_of_its_own() {
    world::run(|| {
        let (_s, r) = bounded::<()>(0);
        scope(|scope| {
            for number in 0..10 {
                let r = &r;
                scope.spawn(move || {
                    let timeout = ms(1 + number * 7 % 10);
                    assert_took(elapsed(|| assert!(r.recv_timeout(timeout).is_err())), timeout);
                });
            }
        });
    });
}
