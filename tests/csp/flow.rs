//! `from_iter`, `pipe`, `merge` and `distribute`: items go on as they are.

use crate::Source;
use crate::channels;
use crate::collect;
use crate::elapsed;
use crate::nap;
use crate::secs;
use crate::sorted;
use giambio::channel::bounded;
use giambio::channel::sliding;
use giambio::channel::tick;
use giambio::csp::distribute;
use giambio::csp::from_iter;
use giambio::csp::merge;
use giambio::csp::pipe;
use giambio::pool;
use giambio::testing::explore;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use std::cell::RefCell;
use std::rc::Rc;

#[test]
fn smoke() {
    run_virtual(|| {
        pool(|pool| {
            let merged = merge(pool, [from_iter(pool, [1, 2], 0), from_iter(pool, [3], 0)]);
            let (sender, receiver) = bounded(0);
            distribute(pool, merged, [sender]);
            assert_eq!(sorted(&receiver), [1, 2, 3]);
        });
    });
}

#[test]
fn an_iterator_is_capacity_and_one_ahead() {
    for capacity in [0, 1, 5] {
        run_virtual(|| {
            let taken = RefCell::new(0);
            pool(|pool| {
                let items = (0..).inspect(|_| *taken.borrow_mut() += 1);
                let receiver = from_iter(pool, items, capacity);
                for received in 0..10 {
                    settle();
                    assert_eq!(*taken.borrow(), received + capacity + 1);
                    assert_eq!(receiver.recv(), Ok(received));
                }
            });
        });
    }
}

#[test]
fn an_iterator_begins_in_its_own_task_and_is_dropped_there() {
    run_virtual(|| {
        let dropped = Rc::new(());
        pool(|pool| {
            let held = Rc::clone(&dropped);
            let items = std::iter::from_fn(move || (Rc::strong_count(&held) > 0).then_some(1));
            let receiver = from_iter(pool, items, 0);
            assert_eq!(receiver.recv(), Ok(1));
            assert_eq!(Rc::strong_count(&dropped), 2);
            drop(receiver);
            settle();
            assert_eq!(Rc::strong_count(&dropped), 1);
        });
    });
}

#[test]
fn an_iterator_may_borrow_and_wait() {
    let naps = [2, 1];
    run_virtual(|| {
        pool(|pool| {
            let receiver = from_iter(pool, naps.iter().map(|&seconds| nap(seconds)), 0);
            assert_eq!(elapsed(|| assert_eq!(receiver.recv(), Ok(2))), secs(2));
            assert_eq!(elapsed(|| assert_eq!(receiver.recv(), Ok(1))), secs(1));
            assert!(receiver.recv().is_err());
        });
    });
}

#[test]
fn a_pipe_gives_a_channel_the_policy_of_another() {
    run_virtual(|| {
        pool(|pool| {
            let (sender, latest) = sliding(2);
            pipe(pool, from_iter(pool, 0..10, 0), sender);
            settle();
            assert_eq!(collect(&latest), [8, 9]);
        });
    });
}

#[test]
fn a_pipe_leaves_the_output_open_that_others_send_into() {
    run_virtual(|| {
        pool(|pool| {
            let (sender, receiver) = bounded(10);
            pipe(pool, from_iter(pool, [1, 2], 0), sender.clone());
            settle();
            assert!(!receiver.is_closed());
            sender.send(3).unwrap();
            drop(sender);
            assert_eq!(collect(&receiver), [1, 2, 3]);
        });
    });
}

#[test]
fn merged_inputs_keep_their_order_and_take_turns() {
    run_virtual(|| {
        pool(|pool| {
            let inputs = [0, 100, 200].map(|first| from_iter(pool, first.., 0));
            let merged = merge(pool, inputs);
            for turn in 0..10 {
                settle(); // each has one waiting: who has waited longest is next
                let mut items: Vec<_> = merged.iter().take(3).collect();
                items.sort_unstable();
                assert_eq!(items, [turn, 100 + turn, 200 + turn]);
            }
        });
    });
}

#[test]
fn a_merge_ends_with_the_last_of_its_inputs() {
    run_virtual(|| {
        pool(|pool| {
            let (senders, receivers) = channels(3, 1);
            let merged = merge(pool, receivers);
            for (index, sender) in senders.into_iter().enumerate() {
                settle();
                assert!(!merged.is_closed());
                sender.send(index).unwrap();
                assert_eq!(merged.recv(), Ok(index));
            }
            assert!(merged.recv().is_err());
            assert!(merge::<u8>(pool, []).recv().is_err());
        });
    });
}

#[test]
fn a_merge_has_one_item_of_each_input() {
    run_virtual(|| {
        pool(|pool| {
            let sources: [Source; 3] = Default::default();
            let merged = merge(pool, sources.each_ref().map(|source| source.receiver(pool)));
            settle();
            assert_eq!(sources.each_ref().map(Source::taken), [2; 3]);
            for turn in 1..10 {
                assert_eq!(merged.iter().take(3).count(), 3);
                settle();
                assert_eq!(sources.each_ref().map(Source::taken), [2 + turn; 3]);
            }
        });
    });
}

#[test]
fn a_merge_of_times_gives_them_as_they_come() {
    run_virtual(|| {
        pool(|pool| {
            let start = giambio::clock();
            let times = merge(pool, [tick(secs(2)), tick(secs(5))]);
            let seconds = times.iter().map(|at| (at - start).as_secs());
            assert_eq!(seconds.take(7).collect::<Vec<_>>()[..6], [2, 4, 5, 6, 8, 10]);
            drop(times); // or the ticks would go on for ever
        });
    });
}

#[test]
fn a_distributed_item_goes_to_whoever_waits() {
    run_virtual(|| {
        pool(|pool| {
            let (senders, receivers) = channels(3, 0);
            distribute(pool, from_iter(pool, 0..6, 0), senders);
            for turn in [2, 0, 1, 1, 0, 2].into_iter().enumerate() {
                assert_eq!(receivers[turn.1].recv(), Ok(turn.0));
            }
            assert!(receivers.iter().all(|receiver| receiver.recv().is_err()));
        });
    });
}

#[test]
fn a_distribution_has_one_item() {
    run_virtual(|| {
        pool(|pool| {
            let (source, (senders, receivers)) = (Source::default(), channels(3, 2));
            distribute(pool, source.receiver(pool), senders);
            settle();
            assert_eq!(source.taken(), 1 + 1 + 3 * 2);
            assert!(receivers.iter().all(|receiver| receiver.len() == 2));
        });
    });
}

#[test]
fn a_distribution_is_fair_to_outputs_that_are_always_ready() {
    run_virtual(|| {
        pool(|pool| {
            let (senders, receivers) = channels(4, 1000);
            distribute(pool, from_iter(pool, 0..1000, 0), senders);
            settle();
            // Each gets 250; six standard deviations.
            assert!(receivers.iter().all(|receiver| receiver.len().abs_diff(250) < 83));
        });
    });
}

#[test]
fn an_item_for_an_output_that_is_closed_goes_to_another() {
    run_virtual(|| {
        pool(|pool| {
            let (senders, mut receivers) = channels(3, 0);
            distribute(pool, from_iter(pool, 0..4, 0), senders);
            settle(); // it has an item, and waits for whoever wants it
            assert_eq!(receivers[0].recv(), Ok(0));
            drop(receivers.remove(0));
            assert_eq!(receivers[0].recv(), Ok(1));
            drop(receivers.remove(0));
            assert_eq!(collect(&receivers[0]), [2, 3]);
        });
    });
}

#[test]
fn an_item_is_not_lost_while_an_output_is_open() {
    // All consumers but one leave after some items each, at any time.
    explore(0..200, || {
        let got = RefCell::new(Vec::new());
        pool(|pool| {
            let (senders, receivers) = channels(4, 0);
            distribute(pool, from_iter(pool, 0..50, 0), senders);
            for (index, receiver) in receivers.into_iter().enumerate() {
                let got = &got;
                let patience = if index == 0 { usize::MAX } else { index * 3 };
                pool.spawn(move || {
                    for item in receiver.iter().take(patience) {
                        got.borrow_mut().push(item);
                    }
                });
            }
        });
        let mut got = got.take();
        got.sort_unstable();
        assert!(got.into_iter().eq(0..50));
    });
}

#[test]
fn a_distribution_ends_with_the_last_of_its_outputs() {
    run_virtual(|| {
        pool(|pool| {
            let ((sender, input), (senders, mut receivers)) = (bounded::<u8>(0), channels(3, 0));
            distribute(pool, input, senders);
            // While it waits for an item: in another order than theirs.
            for index in [1, 0, 0] {
                settle();
                assert!(!sender.is_closed());
                drop(receivers.remove(index));
            }
            settle();
            assert!(sender.is_closed());
        });
        pool(|pool| {
            let (sender, input) = bounded::<u8>(0);
            distribute(pool, input, []);
            assert!(sender.send(1).is_err());
        });
    });
}

#[test]
fn a_distribution_with_an_item_ends_with_the_last_of_its_outputs() {
    run_virtual(|| {
        pool(|pool| {
            let ((sender, input), (senders, mut receivers)) = (bounded(0), channels(3, 0));
            distribute(pool, input, senders);
            sender.send(1).unwrap();
            for index in [1, 0, 0] {
                settle();
                assert!(!sender.is_closed());
                drop(receivers.remove(index));
            }
            settle();
            assert!(sender.is_closed());
        });
    });
}
