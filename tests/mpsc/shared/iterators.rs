//! The three iterators.

use super::all_kinds;
use super::buffers;
use super::mpsc::channel;
use super::world;
use super::world::scope;
use crate::until;

/// After std's `test_nested_recv_iter`.
#[test]
fn an_iterator_waits_for_each_message_until_the_senders_are_gone() {
    world::run(|| {
        for (s, r) in all_kinds() {
            scope(|scope| {
                let sum = scope.spawn(move || r.iter().sum::<i32>());
                [3, 1, 2].into_iter().for_each(|number| s.send(number).unwrap());
                drop(s);
                assert_eq!(sum.join().unwrap(), 6);
            });
        }
    });
}

/// After std's `test_recv_iter_break`.
#[test]
fn a_loop_that_is_left_leaves_the_rest() {
    world::run(|| {
        let (s, r) = channel();
        [1, 2, 3, 10, 4].into_iter().for_each(|number| s.send(number).unwrap());
        let mut seen = Vec::new();
        for number in &r {
            if number >= 10 {
                break;
            }
            seen.push(number);
        }
        assert_eq!(seen, [1, 2, 3]);
        assert_eq!(r.try_recv(), Ok(4));
        drop(r);
        assert!(s.send(2).is_err());
    });
}

/// After std's `test_recv_try_iter`.
#[test]
fn a_try_iter_waits_for_nothing() {
    world::run(|| {
        let (ask, asked) = channel();
        let (answer, answers) = channel();
        scope(|scope| {
            scope.spawn(move || {
                while asked.recv().is_ok() {
                    if answer.send(2).is_err() {
                        return;
                    }
                }
            });
            let mut count = 0;
            until(|| {
                count += answers.try_iter().sum::<i32>();
                if count < 6 {
                    ask.send(()).unwrap();
                }
                count >= 6
            });
            drop(ask);
        });
        assert_eq!(answers.try_iter().filter(|&number| number != 2).count(), 0);
        assert!(answers.recv().is_err());
    });
}

#[test]
fn a_try_iter_goes_on_when_there_is_something_again() {
    world::run(|| {
        for (s, r) in buffers() {
            let mut messages = r.try_iter();
            assert_eq!(messages.next(), None);
            s.send(1).unwrap();
            assert_eq!((messages.next(), messages.next()), (Some(1), None));
            s.send(2).unwrap();
            assert_eq!((messages.next(), messages.next()), (Some(2), None));
        }
    });
}

/// After std's `test_recv_into_iter_owned`.
#[test]
fn an_iterator_that_owns_the_receiver_keeps_the_channel_open() {
    world::run(|| {
        let (s, r) = channel();
        let mut messages = r.into_iter();
        s.send(1).unwrap();
        s.send(2).unwrap();
        assert_eq!((messages.next(), messages.next()), (Some(1), Some(2)));
        drop(messages);
        assert!(s.send(3).is_err());
    });
}

/// After std's `test_recv_into_iter_borrowed`.
#[test]
fn an_iterator_that_borrows_the_receiver_ends_with_the_senders() {
    world::run(|| {
        for (s, r) in buffers() {
            let mut messages = IntoIterator::into_iter(&r);
            s.send(1).unwrap();
            assert_eq!(messages.next(), Some(1));
            drop(s);
            assert_eq!((messages.next(), messages.next()), (None, None));
        }
    });
}
