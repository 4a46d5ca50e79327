//! `Select::ready`: which operation could be done, without doing it.

use super::all_kinds;
use super::buffers;
use super::channel::ReadyTimeoutError;
use super::channel::Select;
use super::channel::TryReadyError;
use super::channel::bounded;
use super::channel::unbounded;
use super::limited;
use super::world;
use super::world::assert_took;
use super::world::scope;
use crate::elapsed;
use crate::ms;
use crate::secs;
use giambio::clock;
use std::time::Duration;

#[test]
fn smoke() {
    world::run(|| {
        let ((_s, r), (other_s, other_r)) = (unbounded::<i32>(), unbounded());
        other_s.send(7).unwrap();
        let mut choice = Select::new();
        choice.recv(&r);
        let right = choice.recv(&other_r);
        for _ in 0..10 {
            assert_eq!(choice.ready(), right);
        }
        assert_eq!(other_r.try_recv(), Ok(7));
        assert_eq!(choice.try_ready(), Err(TryReadyError));
    });
}

#[test]
fn it_tells_of_room_and_of_messages() {
    world::run(|| {
        for (s, r) in buffers() {
            let mut choice = Select::new();
            let (sends, receives) = (choice.send(&s), choice.recv(&r));
            assert_eq!(choice.try_ready(), Ok(sends));
            assert_eq!(choice.ready_timeout(secs(1000)), Ok(sends));
            s.send(7).unwrap();
            choice.remove(sends);
            assert_eq!(choice.try_ready(), Ok(receives));
            assert_eq!(choice.ready_deadline(clock()), Ok(receives));
            assert_eq!(r.recv(), Ok(7));
        }
    });
}

#[test]
fn it_tells_when_nothing_was_ready_in_time() {
    world::run(|| {
        let (s, r) = bounded::<i32>(0);
        let mut choice = Select::new();
        choice.send(&s);
        choice.recv(&r);
        assert_eq!(choice.try_ready(), Err(TryReadyError));
        assert_eq!(choice.ready_timeout(Duration::ZERO), Err(ReadyTimeoutError));
        let took = elapsed(|| assert_eq!(choice.ready_timeout(ms(5)), Err(ReadyTimeoutError)));
        assert_took(took, ms(5));
        let deadline = clock() + ms(5);
        assert_eq!(choice.ready_deadline(deadline), Err(ReadyTimeoutError));
        assert!(clock() >= deadline);
    });
}

#[test]
fn what_has_ended_is_ready() {
    world::run(|| {
        for (s, r) in all_kinds::<i32>() {
            drop(s);
            let mut choice = Select::new();
            let right = choice.recv(&r);
            assert_eq!([choice.ready(), choice.ready()], [right; 2]);
        }
        for (s, r) in all_kinds::<i32>() {
            drop(r);
            let mut choice = Select::new();
            let right = choice.send(&s);
            assert_eq!(choice.try_ready(), Ok(right));
            assert_eq!(choice.ready_timeout(secs(1000)), Ok(right));
        }
    });
}

#[test]
fn it_waits_until_one_is_ready() {
    world::run(|| {
        for (s, r) in all_kinds() {
            let (_other_s, other_r) = bounded::<i32>(0);
            scope(|scope| {
                scope.spawn(|| {
                    let mut choice = Select::new();
                    choice.recv(&other_r);
                    let right = choice.recv(&r);
                    assert_eq!(choice.ready(), right);
                    assert_eq!(r.try_recv(), Ok(7));
                });
                world::settle();
                s.send(7).unwrap();
            });
        }
    });
}

#[test]
fn it_waits_until_there_is_room() {
    world::run(|| {
        for (s, r) in limited() {
            let count = super::fill(&s);
            scope(|scope| {
                scope.spawn(|| {
                    let mut choice = Select::new();
                    let right = choice.send(&s);
                    assert_eq!(choice.ready_timeout(secs(1000)), Ok(right));
                    s.try_send(count).unwrap();
                });
                world::settle();
                (0..=count).for_each(|number| assert_eq!(r.recv(), Ok(number)));
            });
        }
    });
}

#[test]
fn it_is_woken_by_the_end_of_a_side() {
    world::run(|| {
        for (s, r) in all_kinds::<i32>() {
            scope(|scope| {
                scope.spawn(|| {
                    let mut choice = Select::new();
                    let right = choice.recv(&r);
                    assert_eq!(choice.ready(), right);
                    assert!(r.try_recv().unwrap_err().is_disconnected());
                });
                world::settle();
                drop(s);
            });
        }
        for (s, r) in limited() {
            super::fill(&s);
            scope(|scope| {
                scope.spawn(|| {
                    let mut choice = Select::new();
                    let right = choice.send(&s);
                    assert_eq!(choice.ready(), right);
                    assert!(s.try_send(0).unwrap_err().is_disconnected());
                });
                world::settle();
                drop(r);
            });
        }
    });
}

/// Ready is no promise: somebody else may be faster, and who waits tries again.
#[test]
fn several_may_hear_of_one_message() {
    const COUNT: usize = 300;
    world::run(|| {
        for (s, r) in all_kinds() {
            let got: usize = scope(|scope| {
                scope.spawn(move || (0..COUNT).for_each(|number| s.send(number).unwrap()));
                let receivers = [(); 3].map(|()| {
                    let r = r.clone();
                    scope.spawn(move || {
                        let mut got = 0;
                        loop {
                            let mut choice = Select::new();
                            choice.recv(&r);
                            choice.ready();
                            match r.try_recv() {
                                Ok(_) => got += 1,
                                Err(error) if error.is_disconnected() => return got,
                                Err(_) => {}
                            }
                        }
                    })
                });
                receivers.map(|receiver| receiver.join().unwrap()).iter().sum()
            });
            assert_eq!(got, COUNT);
        }
    });
}

#[test]
fn it_picks_from_all_that_are_ready() {
    world::run(|| {
        let channels: [_; 3] = std::array::from_fn(|_| bounded::<i32>(1));
        let mut choice = Select::new();
        channels.iter().for_each(|(s, _)| assert!(choice.send(s) < 3));
        let mut hits = [0; 3];
        (0..600).for_each(|_| hits[choice.ready()] += 1);
        assert!(hits.iter().all(|&count| count > 100), "{hits:?}");
        let mut choice = Select::new_biased();
        channels.iter().for_each(|(s, _)| assert!(choice.send(s) < 3));
        (0..100).for_each(|_| assert_eq!(choice.ready(), 0));
    });
}

#[test]
fn two_meet_where_one_waits_to_become_ready() {
    const COUNT: usize = 300;
    world::run(|| {
        let (s, r) = bounded(0);
        scope(|scope| {
            scope.spawn(|| {
                let mut choice = Select::new();
                choice.send(&s);
                for number in 0..COUNT {
                    loop {
                        choice.ready();
                        if s.try_send(number).is_ok() {
                            break;
                        }
                    }
                }
            });
            assert!(r.iter().take(COUNT).eq(0..COUNT));
        });
    });
}

#[test]
fn nothing_is_left_of_who_has_waited() {
    world::run(|| {
        for (s, r) in all_kinds() {
            for _ in 0..20 {
                let mut choice = Select::new();
                choice.recv(&r);
                assert!(choice.ready_timeout(Duration::from_micros(50)).is_err());
            }
            scope(|scope| {
                scope.spawn(|| s.send(7).unwrap());
                assert_eq!(r.recv(), Ok(7));
            });
            assert!(r.is_empty());
        }
    });
}
