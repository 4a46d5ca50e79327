//! What Python aiochan's tests say of channels, as claims about ours; and what its bugs were.

use crate::channels;
use crate::collect;
use crate::elapsed;
use crate::nap;
use crate::secs;
use crate::sorted;
use giambio::channel::Select;
use giambio::channel::SendError;
use giambio::channel::TryRecvError;
use giambio::channel::TrySendError;
use giambio::channel::after;
use giambio::channel::bounded;
use giambio::channel::select;
use giambio::channel::tick;
use giambio::channel::unbounded;
use giambio::csp::Policy;
use giambio::csp::broadcast;
use giambio::csp::combine_latest;
use giambio::csp::distribute;
use giambio::csp::from_iter;
use giambio::csp::map_blocking;
use giambio::csp::map_ordered;
use giambio::csp::map_unordered;
use giambio::csp::merge;
use giambio::csp::pipe;
use giambio::csp::publish;
use giambio::csp::zip;
use giambio::csp::zip_longest;
use giambio::pool;
use giambio::run;
use giambio::sync::AlreadySet;
use giambio::sync::Event;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use std::cell::Cell;
use std::thread;

#[test]
fn a_promise_keeps_its_first_value() {
    run_virtual(|| {
        let promise = Event::new();
        pool(|pool| {
            let waiting = [0, 1].map(|_| pool.spawn(|| promise.wait()));
            settle();
            assert!(waiting.iter().all(|task| !task.is_finished()));
            promise.trigger("value").unwrap();
            assert!(waiting.into_iter().all(|task| task.join().unwrap() == "value"));
        });
        assert_eq!(promise.trigger("lost"), Err(AlreadySet("lost")));
        assert_eq!(promise.wait(), "value");
    });
}

/// aiochan's is replaced if it is 0, empty or false.
#[test]
fn a_promise_keeps_a_first_value_that_is_nothing_much() {
    let promise = Event::new();
    promise.trigger(0).unwrap();
    assert_eq!(promise.trigger(9), Err(AlreadySet(9)));
    assert_eq!(promise.wait(), 0);
}

#[test]
fn any_value_may_be_sent_and_none_is_the_end() {
    let (sender, receiver) = bounded(2);
    sender.send(None).unwrap();
    sender.send(Some(0)).unwrap();
    drop(sender);
    assert_eq!(collect(&receiver), [None, Some(0)]);
}

/// aiochan refuses the 1,025th.
#[test]
fn any_number_of_tasks_may_wait_to_send_and_to_receive() {
    run_virtual(|| {
        pool(|pool| {
            let (sender, receiver) = bounded(0);
            for number in 0..3000 {
                let sender = sender.clone();
                pool.spawn(move || sender.send(number).unwrap());
            }
            settle();
            drop(sender);
            assert!(receiver.iter().eq(0..3000));
        });
        pool(|pool| {
            let (sender, receiver) = bounded(0);
            for number in 0..3000 {
                let receiver = receiver.clone();
                pool.spawn(move || assert_eq!(receiver.recv(), Ok(number)));
            }
            settle();
            (0..3000).for_each(|number| sender.send(number).unwrap());
        });
    });
}

/// aiochan keeps them, up to 256.
#[test]
fn operations_of_a_select_that_is_over_leave_nothing_behind() {
    run_virtual(|| {
        pool(|pool| {
            let ((sender, receiver), (over, is_over)) = (bounded(0), bounded::<()>(0));
            for number in 0..600 {
                let (sender, is_over) = (sender.clone(), is_over.clone());
                pool.spawn(move || {
                    if number % 2 == 0 {
                        sender.send(number).unwrap();
                    } else {
                        select! {
                            send(sender, number) -> _ => panic!("{number} was sent"),
                            recv(is_over) -> _ => {}
                        }
                    }
                });
            }
            settle();
            drop(over);
            settle();
            pool.spawn(move || sender.send(600).unwrap());
            assert!(receiver.iter().eq((0..=600).step_by(2)));
        });
        pool(|pool| {
            let ((sender, receiver), (over, is_over)) = (bounded(0), bounded::<()>(0));
            for number in 0..600 {
                let (receiver, is_over) = (receiver.clone(), is_over.clone());
                pool.spawn(move || {
                    if number % 2 == 0 {
                        assert_eq!(receiver.recv(), Ok(number / 2));
                    } else {
                        select! {
                            recv(receiver) -> _ => panic!("{number} has received"),
                            recv(is_over) -> _ => {}
                        }
                    }
                });
            }
            settle();
            drop(over);
            settle();
            (0..300).for_each(|number| sender.send(number).unwrap());
        });
    });
}

#[test]
fn a_send_goes_on_when_there_is_room() {
    run_virtual(|| {
        pool(|pool| {
            let (sender, receiver) = bounded(1);
            sender.send("full").unwrap();
            let waiting = pool.spawn(move || sender.send("queued").is_ok());
            settle();
            assert!(!waiting.is_finished());
            assert_eq!(receiver.recv(), Ok("full"));
            assert!(waiting.join().unwrap());
            assert_eq!(receiver.recv(), Ok("queued"));
        });
    });
}

#[test]
fn offers_and_polls_never_wait() {
    let (sender, receiver) = bounded(2);
    assert_eq!((sender.try_send(1), sender.try_send(2)), (Ok(()), Ok(())));
    assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
    assert_eq!((receiver.try_recv(), receiver.try_recv()), (Ok(1), Ok(2)));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    let (sender, receiver) = bounded(0);
    assert_eq!(sender.try_send(1), Err(TrySendError::Full(1)));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
}

/// aiochan's `stats` tells how many operations were done which way; ours says what is there.
#[test]
fn a_channel_tells_how_full_it_is() {
    let (sender, receiver) = bounded(2);
    assert!(sender.is_empty() && !sender.is_full());
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    assert_eq!((sender.len(), receiver.len(), receiver.capacity()), (2, 2, Some(2)));
    assert!(sender.is_full());
}

/// What was sent and what waits to be sent can still be received.
#[test]
fn a_closed_channel_gives_what_it_has() {
    run_virtual(|| {
        let (sender, receiver) = bounded(2);
        sender.send(1).unwrap();
        sender.send(2).unwrap();
        assert_eq!(receiver.recv(), Ok(1));
        assert!(sender.close());
        assert!(!sender.close());
        assert_eq!(sender.send(3), Err(SendError(3)));
        assert_eq!(receiver.recv(), Ok(2));
        assert!(receiver.recv().is_err());
    });
}

#[test]
fn iterators_become_channels() {
    run_virtual(|| {
        pool(|pool| {
            assert_eq!(collect(&from_iter(pool, [1, 2, 3], 0)), [1, 2, 3]);
            assert_eq!(collect(&from_iter(pool, (10..20).step_by(2), 0)), [10, 12, 14, 16, 18]);
            assert!(from_iter(pool, 0.., 0).iter().take(10).eq(0..10));
            assert_eq!(collect(&from_iter(pool, (0..5).rev(), 0)), [4, 3, 2, 1, 0]);
        });
    });
}

#[test]
fn a_worker_between_two_channels_is_a_task() {
    run_virtual(|| {
        pool(|pool| {
            let (sender, doubled) = bounded(0);
            let input = from_iter(pool, 0..5, 0);
            pool.spawn(move || {
                for item in input {
                    sender.send(item * 2).unwrap();
                    sender.send(item * 2 + 1).unwrap();
                }
            });
            let (sender, piped) = bounded(0);
            pipe(pool, doubled, sender);
            assert!(piped.iter().eq(0..10));
        });
    });
}

#[test]
fn a_merge_gives_all_and_ends_when_it_is_closed() {
    run_virtual(|| {
        pool(|pool| {
            let (senders, receivers) = channels(2, 10);
            for (first, sender) in [(0, &senders[0]), (10, &senders[1])] {
                (first..first + 10).for_each(|item| sender.send(item).unwrap());
            }
            let merged = merge(pool, receivers);
            let mut items: Vec<_> = merged.iter().take(20).collect();
            items.sort_unstable();
            assert!(items.into_iter().eq(0..20));
            merged.close();
            settle();
            assert_eq!(senders[0].send(20), Err(SendError(20)));
        });
    });
}

#[test]
fn what_is_distributed_can_be_merged_again() {
    run_virtual(|| {
        pool(|pool| {
            let (senders, receivers) = channels(3, 0);
            distribute(pool, from_iter(pool, 0..20, 0), senders);
            assert!(sorted(&merge(pool, receivers)).into_iter().eq(0..20));
        });
    });
}

#[test]
fn a_duplicate_has_every_item() {
    run_virtual(|| {
        pool(|pool| {
            let (sender, input) = unbounded();
            let items = broadcast(pool, input);
            let [a, b] = [0, 1].map(|_| items.subscribe(Policy::Wait(4)));
            (0..4).for_each(|item| sender.send(item).unwrap());
            assert!(a.iter().take(4).eq(0..4));
            assert!(b.iter().take(4).eq(0..4));
            drop(sender);
        });
        pool(|pool| {
            let items = broadcast(pool, from_iter(pool, 0..5, 0));
            for receiver in [0, 1, 2].map(|_| items.subscribe(Policy::Wait(5))) {
                assert!(receiver.iter().eq(0..5));
            }
        });
    });
}

#[test]
fn subscribers_get_their_topics_until_they_leave() {
    run_virtual(|| {
        pool(|pool| {
            let (sender, input) = unbounded();
            let topics = publish(pool, input, |item: &&str| item.parse::<u32>().is_ok());
            let numbers = [0, 1].map(|_| topics.subscribe(true, Policy::Wait(6)));
            let words = [0, 1].map(|_| topics.subscribe(false, Policy::Wait(6)));
            ["1", "a", "2", "b", "3", "c"].into_iter().for_each(|item| sender.send(item).unwrap());
            for receiver in &numbers {
                assert_eq!(receiver.iter().take(3).collect::<Vec<_>>(), ["1", "2", "3"]);
            }
            for receiver in &words {
                assert_eq!(receiver.iter().take(3).collect::<Vec<_>>(), ["a", "b", "c"]);
            }
            drop(numbers);
            ["4", "d", "5", "e", "6", "f"].into_iter().for_each(|item| sender.send(item).unwrap());
            assert_eq!(words[0].iter().take(3).collect::<Vec<_>>(), ["d", "e", "f"]);
            drop(sender);
            // aiochan's subscribers wait for ever.
            assert!(words[0].recv().is_err());
        });
    });
}

/// aiochan's `join`.
#[test]
fn a_channel_is_over_when_it_is_closed_and_empty() {
    let (sender, receiver) = bounded(1);
    sender.send("a").unwrap();
    drop(sender);
    assert!(receiver.is_closed() && !receiver.is_empty());
    assert_eq!(receiver.recv(), Ok("a"));
    assert!(receiver.is_closed() && receiver.is_empty());
}

/// Takes its time.
fn doubled(item: u64) -> u64 {
    nap(item * 7 % 5);
    item * 2
}

#[test]
fn an_ordered_pipeline_keeps_the_order() {
    run_virtual(|| {
        pool(|pool| {
            for (count, workers) in [(10, 10), (100, 2)] {
                let values = map_ordered(pool, from_iter(pool, 0..count, 0), workers, doubled);
                assert!(values.iter().eq((0..count).map(|item| item * 2)));
            }
        });
    });
}

#[test]
fn an_unordered_pipeline_gives_all_in_another_order() {
    run_virtual(|| {
        pool(|pool| {
            let values = collect(&map_unordered(pool, from_iter(pool, 0..100, 0), 10, doubled));
            let expected: Vec<_> = (0..100).map(|item| item * 2).collect();
            assert_ne!(values, expected);
            let mut values = values;
            values.sort_unstable();
            assert_eq!(values, expected);
        });
    });
}

#[test]
fn a_pipeline_through_threads_keeps_the_order() {
    for (count, workers) in [(10, 10), (100, 2)] {
        let (here, other_threads) = (thread::current().id(), Cell::new(0));
        run(|| {
            pool(|pool| {
                let f = |item| (item * 2, thread::current().id());
                let values = map_blocking(pool, from_iter(pool, 0..count, 0), workers, f);
                for (index, (value, id)) in values.iter().enumerate() {
                    assert_eq!(value, index * 2);
                    other_threads.set(other_threads.get() + usize::from(id != here));
                }
            });
        });
        assert_eq!(other_threads.get(), count);
    }
}

/// aiochan fills up with `None`, which nobody can tell from an item.
#[test]
fn a_zip_of_three_ends_with_the_shortest_unless_the_longest_is_asked_for() {
    run_virtual(|| {
        pool(|pool| {
            let numbers = || from_iter(pool, 1..=4, 0);
            let letters = || from_iter(pool, ['a', 'b', 'c'], 0);
            let others = || from_iter(pool, ['x', 'y', 'z', 'w'], 0);
            let triples = collect(&zip(pool, zip(pool, numbers(), letters()), others()));
            assert_eq!(triples, [((1, 'a'), 'x'), ((2, 'b'), 'y'), ((3, 'c'), 'z')]);
            let pairs = zip_longest(pool, numbers(), letters());
            let triples = collect(&zip_longest(pool, pairs, others()));
            assert_eq!(triples.len(), 4);
            assert_eq!(triples[3], (Some((Some(4), None)), Some('w')));
        });
    });
}

/// aiochan's lists have `None` for who has none yet; ours wait until everybody has one.
#[test]
fn the_latest_of_three_come_when_all_have_given() {
    run_virtual(|| {
        pool(|pool| {
            let (mut senders, receivers) = channels(3, 1);
            let latest = combine_latest(pool, receivers);
            senders[0].send(1).unwrap();
            settle();
            drop(senders.remove(0));
            senders[0].send(2).unwrap();
            assert_eq!(latest.try_recv(), Err(TryRecvError::Empty));
            senders[1].send(3).unwrap();
            assert_eq!(latest.recv(), Ok(vec![1, 2, 3]));
            drop(senders);
            assert!(latest.recv().is_err());
        });
    });
}

#[test]
fn ticks_come_at_their_times() {
    run_virtual(|| {
        let (start, ticks) = (giambio::clock(), tick(secs(2)));
        let times = ticks.iter().take(10).map(|at| (at - start).as_secs());
        assert!(times.eq((2..=20).step_by(2)));
        assert_eq!(elapsed(|| after(secs(3)).recv().map(drop).unwrap()), secs(3));
    });
}

#[test]
fn a_select_takes_what_is_there_or_its_default() {
    let (sender, receiver) = bounded(1);
    let select = || select! { recv(receiver) -> item => item.unwrap(), default => 42 };
    assert_eq!(select(), 42);
    sender.send(7).unwrap();
    assert_eq!(select(), 7);
}

#[test]
fn a_select_sends_or_receives_and_does_one_of_them() {
    let (mut received, mut sent) = (0, 0);
    run_virtual(|| {
        for _ in 0..100 {
            let ((full, receiver), (sender, empty)) = (bounded(1), bounded(1));
            full.send(1).unwrap();
            select! {
                recv(receiver) -> item => { assert_eq!(item, Ok(1)); received += 1; }
                send(sender, 2) -> result => { result.unwrap(); sent += 1; }
                send(sender, 3) -> result => { result.unwrap(); sent += 1; }
                send(sender, 4) -> result => { result.unwrap(); sent += 1; }
            }
            assert_eq!(usize::from(receiver.is_empty()) + empty.len(), 1);
        }
    });
    // The seed is the same in each run.
    assert!(received > 5 && sent > 40, "{received} {sent}");
}

#[test]
fn a_select_of_a_list_takes_one() {
    run_virtual(|| {
        pool(|pool| {
            let (senders, receivers) = channels(10, 0);
            let mut list = Select::new();
            for receiver in &receivers {
                list.recv(receiver);
            }
            assert!(list.select_timeout(secs(1)).is_err());
            let one = senders[7].clone();
            pool.spawn(move || one.send(42).unwrap());
            let chosen = list.select();
            assert_eq!(chosen.index(), 7);
            assert_eq!(chosen.recv(&receivers[7]), Ok(42));
            drop(senders);
        });
    });
}
