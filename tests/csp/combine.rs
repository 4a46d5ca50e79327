//! `zip`, `zip_longest` and `combine_latest`: items of several inputs become one.

use crate::Source;
use crate::channels;
use crate::collect;
use crate::secs;
use giambio::channel::bounded;
use giambio::channel::never;
use giambio::csp::combine_latest;
use giambio::csp::from_iter;
use giambio::csp::zip;
use giambio::csp::zip_longest;
use giambio::pool;
use giambio::testing::explore;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use std::rc::Rc;

#[test]
fn smoke() {
    run_virtual(|| {
        pool(|pool| {
            let three = || from_iter(pool, 1..=3, 0);
            assert_eq!(collect(&zip(pool, three(), three())), [(1, 1), (2, 2), (3, 3)]);
            assert_eq!(collect(&zip_longest(pool, three(), three())).len(), 3);
            assert_eq!(collect(&combine_latest(pool, [three()])), [[1], [2], [3]]);
        });
    });
}

#[test]
fn a_zip_ends_with_the_shortest() {
    run_virtual(|| {
        pool(|pool| {
            let numbers = |count| from_iter(pool, 0..count, 0);
            assert_eq!(collect(&zip(pool, numbers(2), numbers(9))).len(), 2);
            assert_eq!(collect(&zip(pool, numbers(9), numbers(2))).len(), 2);
            assert_eq!(collect(&zip(pool, numbers(0), numbers(9))).len(), 0);
        });
    });
}

#[test]
fn a_zip_sees_the_end_of_either_input_while_it_waits_for_the_other() {
    run_virtual(|| {
        for ended in [0, 1] {
            pool(|pool| {
                let (mut senders, mut receivers) = channels::<u8>(2, 0);
                let pairs = zip(pool, receivers.remove(0), receivers.remove(0));
                settle();
                drop(senders.remove(ended));
                assert!(pairs.recv().is_err());
                assert!(senders[0].is_closed());
            });
        }
    });
}

#[test]
fn half_a_pair_is_dropped_when_the_other_half_cannot_come() {
    run_virtual(|| {
        for first in [0, 1] {
            pool(|pool| {
                let (mut senders, mut receivers) = channels(2, 0);
                let pairs = zip(pool, receivers.remove(0), receivers.remove(0));
                let half = Rc::new(());
                senders[first].send(Rc::clone(&half)).unwrap();
                settle();
                assert_eq!(Rc::strong_count(&half), 2);
                drop(senders.remove(1 - first));
                assert!(pairs.recv().is_err());
                assert_eq!(Rc::strong_count(&half), 1);
            });
        }
    });
}

#[test]
fn a_zip_has_one_pair() {
    run_virtual(|| {
        pool(|pool| {
            let (left, right) = (Source::default(), Source::default());
            let pairs = zip(pool, left.receiver(pool), right.receiver(pool));
            for received in 0..5 {
                settle();
                assert_eq!((left.taken(), right.taken()), (received + 2, received + 2));
                assert_eq!(pairs.recv(), Ok((received, received)));
            }
        });
    });
}

#[test]
fn inputs_of_a_zip_need_not_come_in_step() {
    explore(0..100, || {
        pool(|pool| {
            let ((one, ones), (other, others)) = (bounded(0), bounded(3));
            pool.spawn(move || (0..20).for_each(|item| one.send(item).unwrap()));
            pool.spawn(move || (0..20).for_each(|item| other.send(item * 2).unwrap()));
            let pairs = zip(pool, ones, others);
            assert!(collect(&pairs).into_iter().eq((0..20).map(|item| (item, item * 2))));
        });
    });
}

#[test]
fn the_longest_zip_gives_every_item() {
    run_virtual(|| {
        pool(|pool| {
            let numbers = |count| from_iter(pool, 0..count, 0);
            let pairs = collect(&zip_longest(pool, numbers(1), numbers(3)));
            assert_eq!(pairs, [(Some(0), Some(0)), (None, Some(1)), (None, Some(2))]);
            let pairs = collect(&zip_longest(pool, numbers(3), numbers(1)));
            assert_eq!(pairs, [(Some(0), Some(0)), (Some(1), None), (Some(2), None)]);
            assert_eq!(collect(&zip_longest(pool, numbers(0), numbers(0))), []);
        });
    });
}

#[test]
fn the_longest_zip_waits_for_both_and_ends_when_nobody_receives() {
    run_virtual(|| {
        pool(|pool| {
            let ((one, ones), (other, others)) = (bounded::<u8>(0), bounded(1));
            let pairs = zip_longest(pool, ones, others);
            other.send(1).unwrap();
            assert!(pairs.recv_timeout(secs(9)).unwrap_err().is_timeout());
            drop(one);
            assert_eq!(pairs.recv(), Ok((None, Some(1))));
            drop(pairs);
            settle();
            assert!(other.is_closed());
        });
    });
}

#[test]
fn the_latest_of_each_input_come_with_every_change() {
    run_virtual(|| {
        pool(|pool| {
            let (senders, receivers) = channels(3, 1);
            let latest = combine_latest(pool, receivers);
            let changes = [(0, 'a'), (1, 'b'), (0, 'c'), (2, 'd'), (1, 'e'), (1, 'f'), (2, 'g')];
            let task = pool.spawn(move || {
                for (input, item) in changes {
                    giambio::sleep(secs(1));
                    senders[input].send(item).unwrap();
                }
            });
            let lists: Vec<String> = latest.iter().map(|list| list.into_iter().collect()).collect();
            assert_eq!(lists, ["cbd", "ced", "cfd", "cfg"]);
            task.join().unwrap();
        });
    });
}

#[test]
fn an_input_that_has_ended_keeps_its_last_item() {
    run_virtual(|| {
        pool(|pool| {
            let ((one, ones), (other, others)) = (bounded(1), bounded(1));
            let latest = combine_latest(pool, [ones, others]);
            one.send(1).unwrap();
            drop(one);
            settle();
            other.send(10).unwrap();
            assert_eq!(latest.recv(), Ok(vec![1, 10]));
            other.send(20).unwrap();
            assert_eq!(latest.recv(), Ok(vec![1, 20]));
            drop(other);
            assert!(latest.recv().is_err());
        });
    });
}

#[test]
fn an_input_that_ends_without_an_item_ends_the_whole() {
    run_virtual(|| {
        pool(|pool| {
            let ((one, ones), (other, others)) = (bounded::<u8>(1), bounded(1));
            let latest = combine_latest(pool, [ones, others, never()]);
            other.send(10).unwrap();
            settle();
            drop(one);
            assert!(latest.recv().is_err());
            assert!(other.is_closed());
            assert!(combine_latest::<u8>(pool, []).recv().is_err());
        });
    });
}

#[test]
fn changes_wait_while_a_list_does() {
    run_virtual(|| {
        pool(|pool| {
            let (left, right) = (Source::default(), Source::default());
            let inputs = [left.receiver(pool), right.receiver(pool)];
            let lists = combine_latest(pool, inputs);
            let mut last = lists.recv().unwrap();
            for _ in 0..50 {
                settle();
                // Each source has one item in its hand, and the stage the one that has changed.
                let given = left.taken() - 1 + right.taken() - 1;
                let list = lists.recv().unwrap();
                assert_eq!(list.iter().sum::<u64>() + 2, given, "{list:?}");
                assert_eq!(list.iter().sum::<u64>(), last.iter().sum::<u64>() + 1);
                last = list;
            }
            // Neither input is preferred.
            assert!(last.iter().all(|&item| item > 5), "{last:?}");
        });
    });
}
