//! Iterators over what is received.

use super::all_kinds;
use super::buffers;
use super::channel::Receiver;
use super::channel::unbounded;
use super::world;
use super::world::scope;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

#[test]
fn smoke() {
    world::run(|| {
        for (s, r) in all_kinds() {
            scope(|scope| {
                scope.spawn(move || (0..10).for_each(|number| s.send(number).unwrap()));
                assert!(r.iter().eq(0..10));
            });
        }
    });
}

#[test]
fn an_iterator_waits_for_the_next_message_and_ends_with_the_last_sender() {
    world::run(|| {
        for (s, r) in all_kinds() {
            let ended = AtomicBool::new(false);
            scope(|scope| {
                scope.spawn(|| {
                    assert!(r.iter().eq([1, 2]));
                    assert!(ended.load(Ordering::SeqCst));
                });
                s.send(1).unwrap();
                world::settle();
                s.send(2).unwrap();
                world::settle();
                ended.store(true, Ordering::SeqCst);
                drop(s);
            });
        }
    });
}

#[test]
fn try_iter_ends_where_it_would_have_to_wait() {
    world::run(|| {
        for (s, r) in buffers() {
            assert_eq!(r.try_iter().count(), 0);
            s.send(1).unwrap();
            let mut messages = r.try_iter();
            assert_eq!((messages.next(), messages.next()), (Some(1), None));
            s.send(2).unwrap();
            assert_eq!((messages.next(), messages.next()), (Some(2), None));
            drop(s);
            assert_eq!(messages.next(), None);
        }
    });
}

#[test]
fn a_loop_may_own_its_receiver_or_borrow_it() {
    fn sum(messages: impl IntoIterator<Item = i32>) -> i32 {
        messages.into_iter().sum()
    }
    world::run(|| {
        let filled = || {
            let (s, r) = unbounded();
            (1..=4).for_each(|number| s.send(number).unwrap());
            r
        };
        let r: Receiver<i32> = filled();
        assert_eq!(sum(&r), 10);
        assert_eq!(sum(filled()), 10);
        let mut seen = Vec::new();
        for number in &filled() {
            seen.push(number);
        }
        for number in filled() {
            seen.push(number);
        }
        assert_eq!(seen, [1, 2, 3, 4, 1, 2, 3, 4]);
    });
}

#[test]
fn a_loop_that_was_left_has_taken_only_what_it_was_given() {
    world::run(|| {
        let (s, r) = unbounded();
        (0..10).for_each(|number| s.send(number).unwrap());
        for number in &r {
            if number == 4 {
                break;
            }
        }
        assert_eq!(r.len(), 5);
        assert!(r.iter().take(2).eq(5..7));
        assert_eq!(r.recv(), Ok(7));
        drop(s);
        assert!(r.iter().eq(8..10));
    });
}

#[test]
fn iterators_of_one_channel_share_its_messages() {
    world::run(|| {
        let (s, r) = unbounded();
        (0..6).for_each(|number| s.send(number).unwrap());
        drop(s);
        let (mut one, mut other) = (r.iter(), r.clone().into_iter());
        let mut seen = Vec::new();
        while let (Some(a), Some(b)) = (one.next(), other.next()) {
            seen.extend([a, b]);
        }
        assert_eq!(seen, [0, 1, 2, 3, 4, 5]);
        assert_eq!((one.next(), other.next()), (None, None));
    });
}

#[test]
fn an_iterator_that_has_ended_has_ended() {
    world::run(|| {
        for (s, r) in all_kinds::<i32>() {
            drop(s);
            let mut messages = r.iter();
            assert_eq!([messages.next(), messages.next(), messages.next()], [None; 3]);
            let mut messages = r.into_iter();
            assert_eq!([messages.next(), messages.next(), messages.next()], [None; 3]);
        }
    });
}

#[test]
fn iterators_may_lie_in_each_other() {
    world::run(|| {
        let (s, r) = unbounded::<Receiver<i32>>();
        for start in [0, 10, 20] {
            let (inner_s, inner_r) = unbounded();
            (start..start + 3).for_each(|number| inner_s.send(number).unwrap());
            s.send(inner_r).unwrap();
        }
        drop(s);
        let all: Vec<_> = r.iter().flat_map(IntoIterator::into_iter).collect();
        assert_eq!(all, [0, 1, 2, 10, 11, 12, 20, 21, 22]);
    });
}
