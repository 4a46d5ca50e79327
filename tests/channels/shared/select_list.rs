//! `Select`: a list of operations that is made while the program runs.

use super::all_kinds;
use super::buffers;
use super::channel::Receiver;
use super::channel::RecvError;
use super::channel::Select;
use super::channel::SelectTimeoutError;
use super::channel::SendError;
use super::channel::Sender;
use super::channel::TryRecvError;
use super::channel::TrySelectError;
use super::channel::bounded;
use super::channel::never;
use super::channel::unbounded;
use super::world;
use super::world::assert_took;
use super::world::scope;
use crate::elapsed;
use crate::ms;
use crate::panic_of;
use crate::secs;
use giambio::clock;
use giambio::sleep;
use std::time::Duration;

#[test]
fn smoke() {
    world::run(|| {
        let ((_s, r), (other_s, other_r)) = (unbounded::<i32>(), unbounded());
        other_s.send("hello").unwrap();
        let mut choice = Select::new();
        let (first, second) = (choice.recv(&r), choice.recv(&other_r));
        let chosen = choice.select();
        assert_ne!(chosen.index(), first);
        assert_eq!(chosen.index(), second);
        assert_eq!(chosen.recv(&other_r), Ok("hello"));
        assert!(choice.try_select().is_err());
    });
}

#[test]
fn operations_are_numbered_in_their_order_and_numbers_are_not_used_again() {
    world::run(|| {
        let (s, r) = bounded::<i32>(1);
        let mut choice = Select::new();
        assert_eq!([choice.recv(&r), choice.send(&s), choice.recv(&r)], [0, 1, 2]);
        choice.remove(0);
        choice.remove(2);
        assert_eq!(choice.recv(&r), 3);
        let chosen = choice.select();
        assert_eq!(chosen.index(), 1);
        assert_eq!(chosen.send(&s, 7), Ok(()));
        let chosen = choice.select();
        assert_eq!((chosen.index(), chosen.recv(&r)), (3, Ok(7)));
    });
}

#[test]
fn what_is_not_there_cannot_be_removed() {
    world::run(|| {
        let (_s, r) = bounded::<i32>(1);
        let mut choice = Select::new();
        assert!(panic_of(|| choice.remove(0)).contains("index out of bounds"));
        choice.recv(&r);
        choice.remove(0);
        assert!(panic_of(|| choice.remove(0)).contains("no operation with this index"));
    });
}

#[test]
fn nothing_is_ready_when_all_would_wait() {
    world::run(|| {
        let ((s, _r), (_other_s, other_r)) = (bounded::<i32>(0), bounded::<i32>(1));
        let mut choice = Select::new();
        choice.send(&s);
        choice.recv(&other_r);
        choice.recv(&other_r);
        assert_eq!(choice.try_select().unwrap_err(), TrySelectError);
        let took = elapsed(|| {
            assert_eq!(choice.select_timeout(ms(5)).unwrap_err(), SelectTimeoutError);
        });
        assert_took(took, ms(5));
        let deadline = clock() + ms(5);
        assert_eq!(choice.select_deadline(deadline).unwrap_err(), SelectTimeoutError);
        assert!(clock() >= deadline);
        assert!(choice.select_timeout(Duration::ZERO).is_err());
        assert!(choice.select_deadline(clock()).is_err());
    });
}

#[test]
fn what_is_ready_needs_no_time() {
    world::run(|| {
        for (s, r) in buffers() {
            let past = clock();
            sleep(ms(1));
            let mut choice = Select::new();
            choice.send(&s);
            choice.select_deadline(past).unwrap().send(&s, 7).unwrap();
            let mut choice = Select::new();
            choice.recv(&r);
            assert_eq!(choice.select_timeout(Duration::ZERO).unwrap().recv(&r), Ok(7));
            s.send(8).unwrap();
            assert_eq!(choice.try_select().unwrap().recv(&r), Ok(8));
            s.send(9).unwrap();
            assert_eq!(choice.select_timeout(Duration::MAX).unwrap().recv(&r), Ok(9));
        }
    });
}

#[test]
fn a_list_of_nothing_never_becomes_ready() {
    world::run(|| {
        let mut choice = Select::new();
        assert!(choice.try_select().is_err());
        assert!(choice.try_ready().is_err());
        assert_took(elapsed(|| assert!(choice.select_timeout(ms(3)).is_err())), ms(3));
        assert_took(elapsed(|| assert!(choice.ready_timeout(ms(3)).is_err())), ms(3));
        let text = panic_of(|| choice.select().index());
        assert_eq!(text, "no operations have been added to `Select`");
        assert_eq!(panic_of(|| choice.ready()), text);
    });
}

#[test]
fn an_operation_that_can_only_fail_is_ready() {
    world::run(|| {
        for (s, r) in all_kinds() {
            drop(r);
            let mut choice = Select::new();
            choice.send(&s);
            assert_eq!(choice.select().send(&s, 7), Err(SendError(7)));
            assert_eq!(choice.try_select().unwrap().send(&s, 8), Err(SendError(8)));
            assert_eq!(choice.select_timeout(secs(1000)).unwrap().send(&s, 9), Err(SendError(9)));
        }
        for (s, r) in all_kinds::<i32>() {
            drop(s);
            let mut choice = Select::new();
            choice.recv(&r);
            assert_eq!(choice.select().recv(&r), Err(RecvError));
            assert_eq!(choice.try_select().unwrap().recv(&r), Err(RecvError));
            assert_eq!(choice.select_timeout(secs(1000)).unwrap().recv(&r), Err(RecvError));
        }
    });
}

#[test]
fn it_waits_until_one_is_ready() {
    world::run(|| {
        for (s, r) in all_kinds() {
            let (_other_s, other_r) = bounded::<i32>(0);
            scope(|scope| {
                let selects = scope.spawn(|| {
                    let mut choice = Select::new();
                    let wrong = choice.recv(&other_r);
                    let right = choice.recv(&r);
                    let chosen = choice.select();
                    assert_ne!(chosen.index(), wrong);
                    assert_eq!(chosen.index(), right);
                    chosen.recv(&r)
                });
                world::settle();
                s.send(7).unwrap();
                assert_eq!(selects.join().unwrap(), Ok(7));
            });
        }
    });
}

#[test]
fn it_waits_until_there_is_room() {
    world::run(|| {
        for capacity in 0..3 {
            let ((s, r), (other_s, _other_r)) = (bounded(capacity), bounded::<i32>(0));
            (0..capacity).for_each(|number| s.send(number).unwrap());
            scope(|scope| {
                let selects = scope.spawn(|| {
                    let mut choice = Select::new();
                    choice.send(&other_s);
                    let right = choice.send(&s);
                    let chosen = choice.select_timeout(secs(1000)).unwrap();
                    assert_eq!(chosen.index(), right);
                    chosen.send(&s, capacity)
                });
                world::settle();
                (0..=capacity).for_each(|number| assert_eq!(r.recv(), Ok(number)));
                assert_eq!(selects.join().unwrap(), Ok(()));
            });
            assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
        }
    });
}

#[test]
fn it_is_woken_by_the_end_of_a_side() {
    world::run(|| {
        for (s, r) in all_kinds::<i32>() {
            let (_other_s, other_r) = bounded::<i32>(0);
            scope(|scope| {
                let selects = scope.spawn(|| {
                    let mut choice = Select::new();
                    choice.recv(&other_r);
                    let right = choice.recv(&r);
                    let chosen = choice.select();
                    assert_eq!(chosen.index(), right);
                    chosen.recv(&r)
                });
                world::settle();
                drop(s);
                assert_eq!(selects.join().unwrap(), Err(RecvError));
            });
        }
        let (s, r) = bounded(0);
        scope(|scope| {
            let selects = scope.spawn(|| {
                let mut choice = Select::new();
                choice.send(&s);
                choice.select().send(&s, 7)
            });
            world::settle();
            drop(r);
            assert_eq!(selects.join().unwrap(), Err(SendError(7)));
        });
    });
}

#[test]
fn a_selected_operation_must_be_completed() {
    world::run(|| {
        for (s, r) in buffers() {
            s.send(7).unwrap();
            let mut choice = Select::new();
            choice.recv(&r);
            let text = panic_of(|| drop(choice.select()));
            assert_eq!(text, "dropped `SelectedOperation` without completing the operation");
        }
    });
}

#[test]
fn the_same_list_may_be_used_again() {
    world::run(|| {
        let ((s, r), (other_s, other_r)) = (unbounded(), unbounded());
        let mut choice = Select::new();
        let (first, second) = (choice.recv(&r), choice.recv(&other_r));
        for round in 0..100 {
            let (sends, expected) = if round % 3 == 0 { (&s, first) } else { (&other_s, second) };
            sends.send(round).unwrap();
            let chosen = choice.select();
            assert_eq!(chosen.index(), expected);
            let receives = if expected == first { &r } else { &other_r };
            assert_eq!(chosen.recv(receives), Ok(round));
        }
        drop(s);
        let chosen = choice.select();
        assert_eq!((chosen.index(), chosen.recv(&r)), (first, Err(RecvError)));
        choice.remove(first);
        other_s.send(7).unwrap();
        let chosen = choice.select();
        assert_eq!((chosen.index(), chosen.recv(&other_r)), (second, Ok(7)));
    });
}

#[test]
fn a_list_may_be_cloned() {
    world::run(|| {
        let ((s, r), (other_s, other_r)) = (unbounded(), unbounded());
        let mut choice = Select::new();
        choice.recv(&r);
        let mut clone = choice.clone();
        let added = clone.recv(&other_r);
        other_s.send(1).unwrap();
        assert!(choice.try_select().is_err());
        let chosen = clone.select();
        assert_eq!((chosen.index(), chosen.recv(&other_r)), (added, Ok(1)));
        s.send(2).unwrap();
        assert_eq!(choice.select().recv(&r), Ok(2));
    });
}

#[test]
fn as_many_operations_as_are_wanted() {
    world::run(|| {
        let channels: Vec<_> = (0..200).map(|_| bounded(1)).collect();
        let (senders, receivers): (Vec<Sender<usize>>, Vec<Receiver<_>>) =
            channels.into_iter().unzip();
        scope(|scope| {
            scope.spawn(|| {
                for (number, s) in senders.iter().enumerate().rev() {
                    s.send(number).unwrap();
                }
            });
            let mut choice = Select::new();
            receivers.iter().for_each(|r| assert!(choice.recv(r) < 200));
            let mut seen = [false; 200];
            for _ in 0..200 {
                let chosen = choice.select();
                let index = chosen.index();
                assert_eq!(chosen.recv(&receivers[index]), Ok(index));
                assert!(!std::mem::replace(&mut seen[index], true));
            }
            assert!(choice.try_select().is_err());
        });
    });
}

#[test]
fn an_operation_on_never_is_never_chosen() {
    world::run(|| {
        let (nothing, (s, r)) = (never::<i32>(), bounded(1));
        let mut choice = Select::new();
        choice.recv(&nothing);
        assert!(choice.try_select().is_err());
        assert!(choice.select_timeout(ms(3)).is_err());
        let right = choice.recv(&r);
        s.send(7).unwrap();
        for _ in 0..20 {
            assert_eq!(choice.ready(), right);
        }
        assert_eq!(choice.select().recv(&r), Ok(7));
    });
}

#[test]
fn the_lists_order_counts_only_if_it_is_biased() {
    world::run(|| {
        let channels: [_; 4] = std::array::from_fn(|_| unbounded());
        let mut choices = [Select::new_biased(), Select::new()];
        for choice in &mut choices {
            channels.iter().for_each(|(_, r)| assert!(choice.recv(r) < 4));
        }
        let mut hits = [[0; 4]; 2];
        for (choice, hits) in choices.iter_mut().zip(&mut hits) {
            for _ in 0..400 {
                channels.iter().for_each(|(s, _)| s.send(()).unwrap());
                let chosen = choice.select();
                let index = chosen.index();
                chosen.recv(&channels[index].1).unwrap();
                hits[index] += 1;
                for (_, r) in &channels {
                    r.try_iter().for_each(drop);
                }
            }
        }
        assert_eq!(hits[0], [400, 0, 0, 0]);
        assert!(hits[1].iter().all(|&count| count > 40), "{:?}", hits[1]);
    });
}

#[test]
fn a_biased_list_serves_who_is_ready_first() {
    world::run(|| {
        let (first, second) = (unbounded(), unbounded());
        let mut choice = Select::new_biased();
        choice.recv(&first.1);
        choice.recv(&second.1);
        second.0.send(2).unwrap();
        assert_eq!(choice.select().recv(&second.1), Ok(2));
        second.0.send(4).unwrap();
        first.0.send(3).unwrap();
        assert_eq!(choice.select().recv(&first.1), Ok(3));
        assert_eq!(choice.select_timeout(ms(3)).unwrap().recv(&second.1), Ok(4));
        assert!(choice.select_timeout(ms(3)).is_err());
    });
}
