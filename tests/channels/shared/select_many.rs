//! Selects against each other and against plain calls.

use super::Channel;
use super::all_kinds;
use super::channel::Receiver;
use super::channel::Select;
use super::channel::Sender;
use super::channel::TryRecvError;
use super::channel::bounded;
use super::channel::select;
use super::channel::unbounded;
use super::world;
use super::world::scope;
use crate::ms;
use crate::secs;
use crate::until;
use giambio::sleep;
use giambio::yield_now;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[test]
fn smoke() {
    world::run(|| {
        let (s, r) = bounded(0);
        let sent = scope(|scope| {
            let one = scope.spawn(|| select! { send(s, 7) -> sent => sent });
            select! { recv(r) -> got => assert_eq!(got, Ok(7)) }
            one.join().unwrap()
        });
        assert_eq!(sent, Ok(()));
    });
}

/// After crossbeam's `matching`: each has one peer, which is not itself.
#[test]
fn an_even_crowd_that_sends_or_receives_pairs_up() {
    world::run(|| {
        let (s, r) = bounded::<usize>(0);
        let sent = AtomicUsize::new(0);
        scope(|scope| {
            for me in 0..44 {
                let (s, r, sent) = (&s, &r, &sent);
                scope.spawn(move || {
                    select! {
                        recv(r) -> got => assert_ne!(got.unwrap(), me),
                        send(s, me) -> done => {
                            done.unwrap();
                            sent.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert_eq!(sent.into_inner(), 22);
        assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
    });
}

/// After crossbeam's `matching_with_leftover`.
#[test]
fn the_one_that_is_left_over_waits_for_another() {
    world::run(|| {
        let (s, r) = bounded::<usize>(0);
        scope(|scope| {
            for me in 0..25 {
                let (s, r) = (&s, &r);
                scope.spawn(move || {
                    select! {
                        recv(r) -> got => assert_ne!(got.unwrap(), me),
                        send(s, me) -> sent => sent.unwrap(),
                    }
                });
            }
            s.send(usize::MAX).unwrap();
        });
        assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
    });
}

#[test]
fn lists_pair_up_with_lists() {
    world::run(|| {
        let channels: [Channel<usize>; 3] = std::array::from_fn(|_| bounded(0));
        let received = scope(|scope| {
            for me in 0..12 {
                let channels = &channels;
                scope.spawn(move || {
                    let mut choice = Select::new();
                    channels.iter().for_each(|(s, _)| assert!(choice.send(s) < 3));
                    let chosen = choice.select();
                    let index = chosen.index();
                    chosen.send(&channels[index].0, me).unwrap();
                });
            }
            let receivers = [(); 3].map(|()| {
                let channels = &channels;
                scope.spawn(move || {
                    let mut choice = Select::new();
                    channels.iter().for_each(|(_, r)| assert!(choice.recv(r) < 3));
                    let take = |_| {
                        let chosen = choice.select();
                        let index = chosen.index();
                        chosen.recv(&channels[index].1).unwrap()
                    };
                    (0..4).map(take).collect::<Vec<_>>()
                })
            });
            let mut all: Vec<_> =
                receivers.into_iter().flat_map(|receiver| receiver.join().unwrap()).collect();
            all.sort_unstable();
            all
        });
        assert!(received.into_iter().eq(0..12));
    });
}

#[test]
fn what_was_not_chosen_is_as_it_was() {
    const COUNT: usize = 500;
    world::run(|| {
        for ((s, r), (other_s, other_r)) in all_kinds().into_iter().zip(all_kinds()) {
            scope(|scope| {
                scope.spawn(move || (0..COUNT).for_each(|number| s.send(number).unwrap()));
                scope.spawn(move || (0..COUNT).for_each(|number| other_s.send(number).unwrap()));
                let mut next = [0; 2];
                for _ in 0..2 * COUNT {
                    let (arm, got) = select! {
                        recv(r) -> got => (0, got),
                        recv(other_r) -> got => (1, got),
                    };
                    // A loser that had taken one would leave a gap.
                    match got {
                        Ok(number) => assert_eq!(number, next[arm]),
                        Err(_) => break,
                    }
                    next[arm] += 1;
                }
                assert!(next.contains(&COUNT), "one has ended, so it was taken whole");
                assert!(r.iter().chain(other_r).count() + next[0] + next[1] == 2 * COUNT);
            });
        }
    });
}

#[test]
fn messages_that_were_not_chosen_are_not_sent() {
    const COUNT: usize = 500;
    world::run(|| {
        for ((s, r), (other_s, other_r)) in all_kinds().into_iter().zip(all_kinds()) {
            let mine = scope(|scope| {
                let receivers =
                    [r, other_r].map(|r| scope.spawn(move || r.iter().collect::<Vec<_>>()));
                let mut mine = [Vec::new(), Vec::new()];
                for number in 0..COUNT {
                    let arm = select! {
                        send(s, number) -> sent => { sent.unwrap(); 0 }
                        send(other_s, number) -> sent => { sent.unwrap(); 1 }
                    };
                    mine[arm].push(number);
                }
                drop((s, other_s));
                assert_eq!(receivers.map(|receiver| receiver.join().unwrap()), mine);
                mine
            });
            assert_eq!(mine[0].len() + mine[1].len(), COUNT);
        }
    });
}

#[test]
fn sends_and_receives_mix() {
    const COUNT: usize = 500;
    world::run(|| {
        for ((s, r), (other_s, other_r)) in all_kinds().into_iter().zip(all_kinds()) {
            scope(|scope| {
                scope.spawn(|| {
                    for number in 0..COUNT {
                        s.send(number).unwrap();
                        assert_eq!(other_r.recv(), Ok(number));
                    }
                });
                let (mut sent, mut received) = (0, 0);
                while received < COUNT || sent < COUNT {
                    // Only so many ahead that the other has room for its own.
                    if sent <= received && sent < COUNT {
                        select! {
                            recv(r) -> got => { assert_eq!(got, Ok(received)); received += 1 }
                            send(other_s, sent) -> done => { done.unwrap(); sent += 1 }
                        }
                    } else {
                        assert_eq!(r.recv(), Ok(received));
                        received += 1;
                    }
                }
            });
        }
    });
}

/// After crossbeam's `linearizable_default`: one of the two is never empty for who looks at both.
#[test]
fn a_default_is_taken_only_if_nothing_was_ready() {
    fn play(make: fn() -> Channel<i32>, wait: fn(&Receiver<i32>, &Receiver<i32>)) {
        let ((start_s, start_r), (end_s, end_r)) = (bounded::<()>(0), bounded::<()>(0));
        let ((s, r), (other_s, other_r)) = (make(), make());
        scope(|scope| {
            scope.spawn(|| {
                for _ in 0..1000 {
                    start_s.send(()).unwrap();
                    s.send(1).unwrap();
                    wait(&r, &other_r);
                    end_s.send(()).unwrap();
                    let _ = other_r.try_recv();
                }
            });
            for _ in 0..1000 {
                start_r.recv().unwrap();
                other_s.send(1).unwrap();
                let _ = r.try_recv();
                end_r.recv().unwrap();
            }
        });
    }
    let at_once: fn(&Receiver<i32>, &Receiver<i32>) = |r, other| {
        select! {
            recv(r) -> got => assert_eq!(got, Ok(1)),
            recv(other) -> got => assert_eq!(got, Ok(1)),
            default => panic!("one was ready all the time"),
        }
    };
    let with_no_time: fn(&Receiver<i32>, &Receiver<i32>) = |r, other| {
        select! {
            recv(r) -> got => assert_eq!(got, Ok(1)),
            recv(other) -> got => assert_eq!(got, Ok(1)),
            default(ms(0)) => panic!("one was ready all the time"),
        }
    };
    let list: fn(&Receiver<i32>, &Receiver<i32>) = |r, other| {
        let mut choice = Select::new();
        choice.recv(r);
        choice.recv(other);
        let chosen = choice.try_select().expect("one was ready all the time");
        let chosen_from = if chosen.index() == 0 { r } else { other };
        assert_eq!(chosen.recv(chosen_from), Ok(1));
    };
    world::run(|| {
        for wait in [at_once, with_no_time, list] {
            play(|| bounded(1), wait);
            play(unbounded, wait);
        }
    });
}

#[test]
fn several_that_give_up_soon_lose_no_message() {
    const COUNT: usize = 40;
    world::run(|| {
        for capacity in 0..3 {
            let (s, r) = bounded(capacity);
            scope(|scope| {
                scope.spawn(move || {
                    for number in 0..COUNT {
                        if number % 4 == 0 {
                            sleep(Duration::from_micros(300));
                        }
                        loop {
                            select! {
                                send(s, number) -> sent => { sent.unwrap(); break }
                                default(Duration::from_micros(50)) => {}
                            }
                        }
                    }
                });
                for number in 0..COUNT {
                    if number % 3 == 0 {
                        sleep(Duration::from_micros(200));
                    }
                    loop {
                        select! {
                            recv(r) -> got => { assert_eq!(got, Ok(number)); break }
                            default(Duration::from_micros(60)) => {}
                        }
                    }
                }
            });
        }
    });
}

/// After crossbeam's `loop_try`: neither waits, and they meet nevertheless, or are told to stop.
#[test]
fn tries_meet_who_waits() {
    world::run(|| {
        for _ in 0..5 {
            let ((s, r), (other_s, other_r)) = (bounded(0), bounded(0));
            let (end_s, end_r) = bounded::<()>(0);
            scope(|scope| {
                scope.spawn(|| {
                    until(|| {
                        select! {
                            send(s, 1) -> sent => sent.is_ok(),
                            default => select! { recv(end_r) -> _ => true, default => false },
                        }
                    });
                });
                scope.spawn(|| {
                    until(|| {
                        other_r.try_recv().is_ok_and(|got| got == 2)
                            || select! { recv(end_r) -> _ => true, default => false }
                    });
                });
                (0..20).for_each(|_| yield_now());
                select! {
                    recv(r) -> got => assert_eq!(got, Ok(1)),
                    send(other_s, 2) -> sent => sent.unwrap(),
                    default(secs(1000)) => panic!("both try all the time"),
                }
                drop(end_s);
            });
        }
    });
}

#[test]
fn handles_may_be_cloned_and_dropped_while_others_select() {
    world::run(|| {
        let ((s, r), (other_s, other_r)) = (unbounded::<()>(), unbounded::<()>());
        scope(|scope| {
            scope.spawn(|| {
                select! {
                    recv(r) -> _ => panic!("nothing is sent here"),
                    recv(other_r) -> got => got.unwrap(),
                }
            });
            world::settle();
            drop((s.clone(), r.clone()));
            other_s.send(()).unwrap();
        });
        drop(s);
    });
}

/// Which arm of several that are ready all the time is taken how often.
fn hits<const N: usize>(rounds: usize, mut choose: impl FnMut() -> usize) -> [usize; N] {
    let mut hits = [0; N];
    (0..rounds).for_each(|_| hits[choose()] += 1);
    hits
}

#[test]
fn every_arm_that_is_ready_gets_its_share() {
    world::run(|| {
        let ((s, r), (other_s, other_r)) = (bounded(2000), unbounded());
        for _ in 0..2000 {
            s.send(()).unwrap();
            other_s.send(()).unwrap();
        }
        let receives: [usize; 2] = hits(2000, || {
            select! { recv(r) -> _ => 0, recv(other_r) -> _ => 1 }
        });
        assert!(receives.iter().all(|&count| count > 500), "{receives:?}");
        let (other_s, _other_r) = unbounded();
        let (s, _r) = bounded(2000);
        let sends: [usize; 2] = hits(2000, || {
            select! { send(s, ()) -> _ => 0, send(other_s, ()) -> _ => 1 }
        });
        assert!(sends.iter().all(|&count| count > 500), "{sends:?}");
        let same: [usize; 4] = hits(2000, || {
            select! {
                send(other_s, ()) -> _ => 0,
                send(other_s, ()) -> _ => 1,
                send(other_s, ()) -> _ => 2,
                send(other_s, ()) -> _ => 3,
            }
        });
        assert!(same.iter().all(|&count| count > 200), "{same:?}");
    });
}

#[test]
fn a_crowd_of_selects_moves_every_message_once() {
    const EACH: usize = 150;
    world::run(|| {
        let channels: Vec<Channel<usize>> = all_kinds().into_iter().collect();
        let counts: Vec<_> = (0..4 * EACH).map(|_| AtomicUsize::new(0)).collect();
        let left = AtomicUsize::new(4 * EACH);
        scope(|scope| {
            for me in 0..4 {
                let senders: Vec<Sender<_>> = channels.iter().map(|(s, _)| s.clone()).collect();
                scope.spawn(move || {
                    for number in me * EACH..(me + 1) * EACH {
                        select! {
                            send(senders[0], number) -> sent => sent.unwrap(),
                            send(senders[1], number) -> sent => sent.unwrap(),
                            send(senders[2], number) -> sent => sent.unwrap(),
                            send(senders[3], number) -> sent => sent.unwrap(),
                        }
                    }
                });
                let r: Vec<Receiver<_>> = channels.iter().map(|(_, r)| r.clone()).collect();
                let (counts, left) = (&counts, &left);
                scope.spawn(move || {
                    while left.load(Ordering::SeqCst) > 0 {
                        let got = select! {
                            recv(r[0]) -> got => got,
                            recv(r[1]) -> got => got,
                            recv(r[2]) -> got => got,
                            recv(r[3]) -> got => got,
                            default(ms(1)) => continue,
                        };
                        counts[got.unwrap()].fetch_add(1, Ordering::SeqCst);
                        left.fetch_sub(1, Ordering::SeqCst);
                        yield_now();
                    }
                });
            }
        });
        assert!(counts.iter().all(|count| count.load(Ordering::SeqCst) == 1));
        assert!(channels.iter().all(|(_, r)| r.is_empty()));
    });
}
