//! Many at once.

use super::all_kinds;
use super::buffers;
use super::channel::select;
use super::channel::unbounded;
use super::world;
use super::world::scope;
use giambio::yield_now;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

/// After may's `stream_send_recv_stress` and crossbeam's `stress_oneshot`.
#[test]
fn channels_of_one_message() {
    world::run(|| {
        for _ in 0..200 {
            for (s, r) in all_kinds() {
                scope(|scope| {
                    scope.spawn(move || s.send(Box::new(7)).unwrap());
                    assert_eq!(r.recv(), Ok(Box::new(7)));
                });
            }
        }
    });
}

/// After may's `oneshot_multi_thread_*_stress`: each side leaves before, while or after the other acts.
#[test]
fn channels_whose_sides_leave_in_any_order() {
    world::run(|| {
        for round in 0..200 {
            for (s, r) in all_kinds() {
                scope(|scope| {
                    scope.spawn(move || {
                        (0..round % 3).for_each(|_| yield_now());
                        if round % 5 > 0 {
                            drop(s.send(Box::new(round)));
                        }
                    });
                    scope.spawn(move || {
                        (0..round % 4).for_each(|_| yield_now());
                        if round % 7 > 0 {
                            assert!(r.recv().is_ok_and(|got| *got == round) || round % 5 == 0);
                        }
                    });
                });
            }
        }
    });
}

/// After crossbeam's `linearizable`: who has sent finds one, since nobody takes two.
#[test]
fn what_was_sent_can_be_taken() {
    world::run(|| {
        for (s, r) in buffers() {
            let workers = s.capacity().map_or(4, |capacity| capacity.min(4));
            scope(|scope| {
                for _ in 0..workers {
                    scope.spawn(|| {
                        for _ in 0..1000 {
                            s.send(0).unwrap();
                            r.try_recv().unwrap();
                        }
                    });
                }
            });
            assert!(r.is_empty());
        }
    });
}

/// With a bound below, at and above the number of those who fill it.
#[test]
fn many_send_and_many_receive() {
    const EACH: usize = 250;
    world::run(|| {
        for (s, r) in all_kinds() {
            let (sum, count) = (AtomicUsize::new(0), AtomicUsize::new(0));
            scope(|scope| {
                for sender in 0..8 {
                    let s = s.clone();
                    scope.spawn(move || (0..EACH).for_each(|n| s.send(sender * EACH + n).unwrap()));
                    let (r, sum, count) = (r.clone(), &sum, &count);
                    scope.spawn(move || {
                        for number in r {
                            sum.fetch_add(number, Ordering::Relaxed);
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                    });
                }
                drop((s, r));
            });
            let all = 8 * EACH;
            assert_eq!((count.into_inner(), sum.into_inner()), (all, all * (all - 1) / 2));
        }
    });
}

#[test]
fn a_crowd_answers_a_crowd() {
    world::run(|| {
        for (s, r) in all_kinds::<(usize, super::Sender<usize>)>() {
            scope(|scope| {
                for _ in 0..3 {
                    let r = r.clone();
                    scope.spawn(move || r.iter().for_each(|(n, to)| to.send(n * n).unwrap()));
                }
                drop(r);
                for asker in 0..10 {
                    let s = s.clone();
                    scope.spawn(move || {
                        for number in asker * 20..(asker + 1) * 20 {
                            let (answer_s, answer_r) = super::bounded(number % 2);
                            s.send((number, answer_s)).unwrap();
                            assert_eq!(answer_r.recv(), Ok(number * number));
                        }
                    });
                }
                drop(s);
            });
        }
    });
}

/// The end of a channel, while ten stand in its line and in another's.
#[test]
fn the_end_comes_to_everybody_in_a_crowd_of_selects() {
    world::run(|| {
        for (s, r) in all_kinds::<usize>() {
            let ((_other_s, other_r), got) = (unbounded::<()>(), AtomicUsize::new(0));
            scope(|scope| {
                for _ in 0..10 {
                    let (r, other_r, got) = (&r, &other_r, &got);
                    scope.spawn(move || {
                        loop {
                            select! {
                                recv(r) -> message => match message {
                                    Ok(_) => { got.fetch_add(1, Ordering::SeqCst); }
                                    Err(_) => break,
                                },
                                recv(other_r) -> _ => panic!("nobody sends"),
                            }
                        }
                    });
                }
                (0..300).for_each(|number| s.send(number).unwrap());
                world::settle();
                drop(s);
            });
            assert_eq!(got.into_inner(), 300);
            assert!(other_r.is_empty());
        }
    });
}
