//! Channels that time sends to: `after`, `at`, `tick`; and `never`.

use super::channel::Receiver;
use super::channel::RecvTimeoutError;
use super::channel::Select;
use super::channel::TryRecvError;
use super::channel::after;
use super::channel::at;
use super::channel::bounded;
use super::channel::never;
use super::channel::select;
use super::channel::tick;
use super::world;
use super::world::assert_took;
use super::world::scope;
use crate::elapsed;
use crate::ms;
use crate::secs;
use giambio::clock;
use giambio::sleep;
use std::time::Duration;
use std::time::Instant;

/// Ways to make one that sends once, so much later.
const ONCE: [fn(Duration) -> Receiver<Instant>; 2] = [after, |time| at(clock() + time)];

/// Ways to make one that sends first so much later.
const ANY: [fn(Duration) -> Receiver<Instant>; 3] = [after, |time| at(clock() + time), tick];

#[test]
fn smoke() {
    world::run(|| {
        let start = clock();
        let fired = after(ms(5)).recv().unwrap();
        assert!(fired >= start + ms(5));
        assert_took(clock() - start, ms(5));
    });
}

#[test]
fn the_message_is_the_moment_for_which_it_was_asked() {
    world::run(|| {
        let when = clock() + ms(5);
        assert_eq!(at(when).recv(), Ok(when));
        assert!(clock() >= when);
        // Also when it is fetched later, or had passed before.
        let r = at(when + ms(3));
        sleep(ms(10));
        assert_eq!(r.recv(), Ok(when + ms(3)));
        assert_eq!(at(when).try_recv(), Ok(when));
    });
}

#[test]
fn it_comes_once() {
    world::run(|| {
        for make in ONCE {
            let r = make(ms(2));
            sleep(ms(4));
            r.try_recv().unwrap();
            assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
            let took = elapsed(|| {
                assert_eq!(r.recv_timeout(ms(4)), Err(RecvTimeoutError::Timeout));
            });
            assert_took(took, ms(4));
            select! {
                recv(r) -> _ => panic!("it came twice"),
                default(ms(2)) => {}
            }
        }
    });
}

#[test]
fn it_is_seen_when_it_is_due() {
    fn seen(r: &Receiver<Instant>) -> (usize, bool, bool, Option<usize>) {
        (r.len(), r.is_empty(), r.is_full(), r.capacity())
    }
    world::run(|| {
        for make in ANY {
            let r = make(secs(1000));
            assert_eq!(seen(&r), (0, true, false, Some(1)));
            assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
            let r = make(ms(2));
            sleep(ms(4));
            assert_eq!(seen(&r), (1, false, true, Some(1)));
            r.try_recv().unwrap();
        }
        for make in ONCE {
            let r = make(Duration::ZERO);
            r.try_recv().unwrap();
            assert_eq!(seen(&r), (0, true, false, Some(1)));
        }
    });
}

#[test]
fn no_time_is_due_at_once() {
    world::run(|| {
        assert!(after(Duration::ZERO).try_recv().is_ok());
        assert!(at(clock()).try_recv().is_ok());
        let r = tick(Duration::ZERO);
        (0..10).for_each(|_| assert!(r.try_recv().is_ok()));
    });
}

#[test]
fn a_time_beyond_the_clock_never_comes() {
    world::run(|| {
        for r in [after(Duration::MAX), tick(Duration::MAX)] {
            assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
            assert_eq!(r.recv_timeout(ms(2)), Err(RecvTimeoutError::Timeout));
        }
    });
}

#[test]
fn a_timeout_may_end_before_it() {
    world::run(|| {
        for make in ANY {
            let (r, start) = (make(secs(1000)), clock());
            assert_eq!(r.recv_timeout(ms(4)), Err(RecvTimeoutError::Timeout));
            assert_eq!(r.recv_deadline(start + ms(5)), Err(RecvTimeoutError::Timeout));
            assert_took(clock() - start, ms(5));
        }
    });
}

#[test]
fn what_a_timeout_did_not_wait_for_is_still_to_come() {
    world::run(|| {
        for make in ANY {
            let (start, r) = (clock(), make(ms(9)));
            while let Err(error) = r.recv_timeout(ms(2)) {
                assert_eq!(error, RecvTimeoutError::Timeout);
            }
            assert_took(clock() - start, ms(9));
        }
    });
}

#[test]
fn ticks_come_at_their_period() {
    world::run(|| {
        let (start, r) = (clock(), tick(ms(4)));
        let mut before = start;
        for number in 1..=5 {
            let now = r.recv().unwrap();
            assert!(now >= before + ms(4));
            assert_took(clock() - start, ms(4) * number);
            before = now;
        }
        assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
    });
}

#[test]
fn ticks_that_nobody_fetched_are_one() {
    world::run(|| {
        let (start, r, made) = (clock(), tick(ms(30)), clock());
        sleep(ms(100));
        let first = r.try_recv().unwrap();
        assert!(first >= start + ms(30));
        assert!(first <= made + ms(30), "it is the first that was missed");
        let fetched = clock();
        let second = r.recv().unwrap();
        assert!(second >= start + ms(100), "what was missed does not come later");
        assert!(second <= fetched + ms(30));
    });
}

#[test]
fn clones_share_what_comes() {
    world::run(|| {
        for make in ONCE {
            let r = make(ms(2));
            let other = r.clone();
            sleep(ms(4));
            assert_eq!((r.len(), other.len()), (1, 1));
            other.try_recv().unwrap();
            assert_eq!((r.len(), other.len()), (0, 0));
            assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
        }
    });
}

#[test]
fn of_several_that_wait_for_it_one_gets_it() {
    world::run(|| {
        for make in ONCE {
            let r = make(ms(5));
            let got: usize = scope(|scope| {
                let receivers = [(); 4].map(|()| {
                    let r = r.clone();
                    scope.spawn(move || r.recv_timeout(ms(20)).is_ok())
                });
                receivers.map(|receiver| usize::from(receiver.join().unwrap())).iter().sum()
            });
            assert_eq!(got, 1);
        }
    });
}

#[test]
fn several_may_wait_for_ticks() {
    world::run(|| {
        let (start, r) = (clock(), tick(ms(2)));
        scope(|scope| {
            for _ in 0..3 {
                let r = r.clone();
                scope.spawn(move || (0..4).for_each(|_| assert!(r.recv().is_ok())));
            }
        });
        assert_took(clock() - start, ms(24));
    });
}

#[test]
fn same_channel_tells_them_apart() {
    world::run(|| {
        let channels =
            [after(ms(1)), after(ms(1)), at(clock()), tick(ms(1)), tick(ms(1)), bounded(1).1];
        for (index, r) in channels.iter().enumerate() {
            for (other, other_r) in channels.iter().enumerate() {
                assert_eq!(r.same_channel(&other_r.clone()), index == other);
            }
            assert!(!r.same_channel(&never()));
        }
        assert!(never::<i32>().same_channel(&never()), "one nothing is like the other");
    });
}

#[test]
fn in_a_select_they_are_the_timeout() {
    world::run(|| {
        let (s, r) = bounded::<i32>(0);
        for make in ANY {
            let (start, timeout) = (clock(), make(ms(5)));
            select! {
                recv(r) -> _ => panic!("nobody has sent"),
                recv(timeout) -> when => assert!(when.unwrap() <= clock()),
            }
            assert_took(clock() - start, ms(5));
            let (start, timeout) = (clock(), make(ms(5)));
            let mut choice = Select::new();
            choice.recv(&r);
            let ends = choice.recv(&timeout);
            let chosen = choice.select();
            assert_eq!(chosen.index(), ends);
            assert!(chosen.recv(&timeout).unwrap() <= clock());
            assert_took(clock() - start, ms(5));
        }
        select! {
            recv(after(ms(5))) -> when => assert!(when.is_ok()),
            recv(r) -> _ => panic!("nobody has sent"),
            send(s, 1) -> _ => panic!("nobody receives"),
        }
        select! {
            recv(after(ms(5))) -> _ => {}
            recv(after(secs(1000))) -> _ => panic!("that was short"),
        }
    });
}

#[test]
fn a_select_may_become_ready_by_time() {
    world::run(|| {
        let (_s, r) = bounded::<i32>(0);
        for make in ANY {
            let timeout = make(secs(1000));
            let mut choice = Select::new();
            choice.recv(&timeout);
            assert!(choice.try_ready().is_err());
            let (start, timeout) = (clock(), make(ms(5)));
            let mut choice = Select::new();
            choice.recv(&r);
            let ends = choice.recv(&timeout);
            assert_eq!(choice.ready(), ends);
            assert_took(clock() - start, ms(5));
            assert_eq!(choice.ready(), ends, "it has taken nothing");
            assert!(timeout.try_recv().is_ok());
        }
    });
}

/// The one before has only its own deadline to go by, and hears nothing of who took it.
#[test]
fn a_select_whose_moment_another_has_fetched_waits_on() {
    world::run(|| {
        let (s, r) = bounded(1);
        let moment = after(ms(4));
        scope(|scope| {
            for _ in 0..2 {
                let (moment, r) = (&moment, &r);
                scope.spawn(move || {
                    select! {
                        recv(moment) -> when => assert!(when.is_ok()),
                        recv(r) -> got => assert_eq!(got, Ok(7)),
                    }
                });
            }
            sleep(ms(12));
            s.send(7).unwrap();
        });
        assert!(r.is_empty());
    });
}

#[test]
fn never_is_empty_and_full_and_stays_so() {
    world::run(|| {
        let r = never::<i32>();
        assert_eq!((r.len(), r.is_empty(), r.is_full(), r.capacity()), (0, true, true, Some(0)));
        assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
        let timeout = Err(RecvTimeoutError::Timeout);
        assert_took(elapsed(|| assert_eq!(r.recv_timeout(ms(3)), timeout)), ms(3));
        assert_took(elapsed(|| assert_eq!(r.recv_deadline(clock() + ms(3)), timeout)), ms(3));
        assert_eq!(r.try_iter().next(), None);
    });
}

#[test]
fn never_makes_an_arm_of_a_select_optional() {
    world::run(|| {
        let (s, r) = bounded(1);
        for (wanted, expected) in [(Some(&r), 1), (None, 2)] {
            s.send(1).unwrap();
            let got = select! {
                recv(wanted.unwrap_or(&never())) -> got => got.unwrap(),
                default(ms(3)) => 2,
            };
            assert_eq!(got, expected);
            let _ = r.try_recv();
        }
    });
}

/// Ticks, of which a program wants only so many.
#[test]
fn a_loop_may_stop_wanting_ticks() {
    world::run(|| {
        let (mut ticks, mut end, mut count) = (tick(ms(2)), never(), 0);
        loop {
            select! {
                recv(ticks) -> _ => {
                    count += 1;
                    if count == 5 {
                        (ticks, end) = (never(), after(ms(10)));
                    }
                }
                recv(end) -> _ => break,
            }
        }
        assert_eq!(count, 5);
    });
}
