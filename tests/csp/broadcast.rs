//! `broadcast`: each item for everybody, with a policy for each.

use crate::Source;
use crate::collect;
use crate::elapsed;
use crate::secs;
use giambio::channel::Receiver;
use giambio::channel::bounded;
use giambio::channel::unbounded;
use giambio::csp::Broadcast;
use giambio::csp::Policy;
use giambio::csp::Topics;
use giambio::csp::broadcast;
use giambio::csp::from_iter;
use giambio::pool;
use giambio::run;
use giambio::testing::explore;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::yield_now;
use std::cell::Cell;
use std::rc::Rc;
use std::thread;

#[test]
fn smoke() {
    run_virtual(|| {
        pool(|pool| {
            let numbers = broadcast(pool, from_iter(pool, 0..3, 0));
            let receivers = [0, 1, 2].map(|capacity| numbers.subscribe(Policy::Wait(capacity)));
            let tasks = receivers.map(|receiver| pool.spawn(move || collect(&receiver)));
            assert!(tasks.into_iter().all(|task| task.join().unwrap() == [0, 1, 2]));
        });
    });
}

#[test]
fn handles_go_where_their_items_go() {
    fn goes_anywhere<T: Send + Sync + Clone + 'static>() {}
    goes_anywhere::<Broadcast<String>>();
    goes_anywhere::<Topics<&'static str, u8>>();
    goes_anywhere::<Policy>();
}

#[test]
fn a_slow_subscriber_that_is_waited_for_holds_all() {
    run_virtual(|| {
        let (source, seen) = (Source::default(), Cell::new(0));
        pool(|pool| {
            let numbers = broadcast(pool, source.receiver(pool));
            let slow = numbers.subscribe(Policy::Wait(2));
            let fast = numbers.subscribe(Policy::Wait(0));
            let seen = &seen;
            let task = pool.spawn(move || fast.iter().for_each(|_| seen.set(seen.get() + 1)));
            for received in 0..10 {
                settle();
                // The slow one has two in its channel, the third waits for him, the source has the next.
                assert_eq!(source.taken(), received + 2 + 1 + 1);
                assert_eq!(seen.get(), received + 2 + 1);
                assert_eq!(slow.recv(), Ok(received));
            }
            task.cancel();
        });
    });
}

#[test]
fn who_is_ready_has_the_item_before_the_slow_ones() {
    run_virtual(|| {
        pool(|pool| {
            let numbers = broadcast(pool, from_iter(pool, 0..2, 0));
            let slow: [Receiver<_>; 2] = [0, 1].map(|_| numbers.subscribe(Policy::Wait(0)));
            let ready = numbers.subscribe(Policy::Wait(0));
            drop(numbers);
            assert_eq!(ready.recv(), Ok(0));
            // In whatever order the slow ones come.
            assert_eq!(slow[1].recv(), Ok(0));
            assert_eq!(slow[0].recv(), Ok(0));
            assert_eq!(slow[0].recv(), Ok(1));
            assert_eq!(ready.recv(), Ok(1));
            assert_eq!(slow[1].recv(), Ok(1));
            assert!(ready.recv().is_err());
        });
    });
}

#[test]
fn who_drops_holds_nobody() {
    run_virtual(|| {
        pool(|pool| {
            let numbers = broadcast(pool, from_iter(pool, 0..100, 0));
            let oldest = numbers.subscribe(Policy::DropNewest(3));
            let newest = numbers.subscribe(Policy::DropOldest(3));
            let none = numbers.subscribe(Policy::DropNewest(0));
            let every = numbers.subscribe(Policy::Wait(0));
            assert_eq!(collect(&every).len(), 100);
            assert_eq!(collect(&oldest), [0, 1, 2]);
            assert_eq!(collect(&newest), [97, 98, 99]);
            assert_eq!(collect(&none), []);
        });
    });
}

#[test]
fn without_subscribers_items_are_dropped() {
    run_virtual(|| {
        pool(|pool| {
            let (sender, input) = bounded(0);
            let numbers = broadcast(pool, input);
            for number in 0..10 {
                sender.send(number).unwrap();
            }
            let receiver = numbers.subscribe(Policy::Wait(1));
            sender.send(10).unwrap();
            drop(receiver);
            sender.send(11).unwrap();
            let receiver = numbers.subscribe(Policy::Wait(1));
            sender.send(12).unwrap();
            drop(sender);
            assert_eq!(collect(&receiver), [12]);
        });
    });
}

#[test]
fn a_subscription_counts_from_the_next_item_on() {
    explore(0..200, || {
        pool(|pool| {
            let (sender, input) = bounded(0);
            let numbers = broadcast(pool, input);
            pool.spawn(move || {
                for number in 0..20_u32 {
                    sender.send(number).unwrap();
                }
            });
            for _ in 0..5 {
                let numbers = numbers.clone();
                pool.spawn(move || {
                    yield_now();
                    let got = collect(&numbers.subscribe(Policy::Wait(0)));
                    // None is missing in the middle or at the end.
                    assert!(got.iter().rev().copied().eq((20 - got.len() as u32..20).rev()));
                });
            }
        });
    });
}

#[test]
fn who_drops_his_receiver_is_waited_for_no_longer() {
    run_virtual(|| {
        pool(|pool| {
            let numbers = broadcast(pool, from_iter(pool, 0..4, 0));
            let leaving = numbers.subscribe(Policy::Wait(0));
            let staying = numbers.subscribe(Policy::Wait(1));
            settle(); // it waits for the one that leaves
            drop(leaving);
            assert_eq!(collect(&staying), [0, 1, 2, 3]);
        });
    });
}

#[test]
fn the_end_of_the_source_closes_every_subscriber() {
    run_virtual(|| {
        pool(|pool| {
            let (sender, input) = bounded::<u8>(0);
            let numbers = broadcast(pool, input);
            let receivers = [Policy::Wait(0), Policy::DropNewest(0), Policy::DropOldest(1)]
                .map(|policy| numbers.subscribe(policy));
            settle();
            let late = numbers.subscribe(Policy::Wait(0));
            drop(sender);
            assert!(receivers.iter().all(|receiver| receiver.recv().is_err()));
            assert!(late.recv().is_err());
            assert!(numbers.subscribe(Policy::Wait(9)).recv().is_err());
        });
    });
}

#[test]
fn a_subscription_after_the_end_is_closed_from_the_start() {
    run_virtual(|| {
        pool(|pool| {
            let numbers = broadcast(pool, from_iter(pool, [1], 0));
            settle();
            assert!(numbers.subscribe(Policy::Wait(0)).is_closed());
        });
    });
}

#[test]
fn what_lies_in_a_subscribers_buffer_outlives_the_end() {
    run_virtual(|| {
        let receiver = pool(|pool| {
            let numbers = broadcast(pool, from_iter(pool, 0..3, 0));
            numbers.subscribe(Policy::Wait(3))
        });
        assert_eq!(collect(&receiver), [0, 1, 2]);
    });
}

#[test]
fn it_ends_when_neither_a_handle_nor_a_subscriber_is_left() {
    run_virtual(|| {
        pool(|pool| {
            let (sender, input) = bounded::<u8>(0);
            let numbers = broadcast(pool, input);
            let receivers = [0, 1, 2].map(|capacity| numbers.subscribe(Policy::Wait(capacity)));
            let other = numbers.clone();
            drop(numbers);
            settle();
            drop(other);
            for receiver in receivers {
                settle();
                assert!(!sender.is_closed());
                drop(receiver);
            }
            settle();
            assert!(sender.is_closed());
        });
    });
}

#[test]
fn a_handle_alone_keeps_it_going() {
    run_virtual(|| {
        pool(|pool| {
            let (sender, input) = bounded(0);
            let numbers = broadcast(pool, input);
            drop(numbers.subscribe(Policy::Wait(0)));
            settle();
            sender.send(1).unwrap();
            drop(numbers);
            settle();
            assert!(sender.send(2).is_err());
        });
    });
}

#[test]
fn subscribers_who_have_left_are_forgotten_without_any_item() {
    /// Counts how often it was cloned.
    struct Copied(Rc<Cell<usize>>);

    impl Clone for Copied {
        fn clone(&self) -> Self {
            self.0.set(self.0.get() + 1);
            Self(Rc::clone(&self.0))
        }
    }

    run_virtual(|| {
        pool(|pool| {
            let (sender, input) = bounded(0);
            let items = broadcast(pool, input);
            let staying = items.subscribe(Policy::Wait(1));
            for _ in 0..1000 {
                drop(items.subscribe(Policy::Wait(1)));
                settle();
            }
            let copies = Rc::default();
            sender.send(Copied(Rc::clone(&copies))).unwrap();
            settle();
            assert_eq!(staying.len(), 1);
            // One for each that is in the list.
            assert!(copies.get() < 40, "{copies:?}");
        });
    });
}

#[test]
fn one_output_may_be_shared_with_others() {
    run_virtual(|| {
        pool(|pool| {
            let (sender, receiver) = unbounded();
            for first in [0, 10] {
                broadcast(pool, from_iter(pool, first..first + 3, 0)).attach(sender.clone());
            }
            drop(sender);
            let mut got = collect(&receiver);
            got.sort_unstable();
            assert_eq!(got, [0, 1, 2, 10, 11, 12]);
        });
    });
}

#[test]
fn a_clone_of_an_item_may_wait() {
    #[derive(Debug)]
    struct Slow(u64);

    impl Clone for Slow {
        fn clone(&self) -> Self {
            giambio::sleep(secs(1));
            Self(self.0)
        }
    }

    run_virtual(|| {
        pool(|pool| {
            let items = broadcast(pool, from_iter(pool, (0..3).map(Slow), 0));
            let receivers = [0, 1].map(|_| items.subscribe(Policy::Wait(3)));
            pool.spawn(move || drop(items.subscribe(Policy::Wait(0)))); // while it clones
            let took = elapsed(|| {
                for receiver in receivers {
                    assert!(receiver.iter().map(|item| item.0).eq(0..3));
                }
            });
            assert!(took >= secs(6));
        });
    });
}

#[test]
fn plain_threads_subscribe_and_receive() {
    let (sender, input) = bounded(0);
    let totals: u64 = thread::scope(|threads| {
        let (handles, handle) = bounded(1);
        threads.spawn(|| {
            run(|| {
                pool(|pool| {
                    handles.send(broadcast(pool, input)).unwrap();
                    drop(handles);
                });
            });
        });
        let handle: Broadcast<u64> = handle.recv().unwrap();
        let tasks = [0, 1, 2].map(|capacity| {
            let receiver = handle.subscribe(Policy::Wait(capacity));
            threads.spawn(move || receiver.iter().sum::<u64>())
        });
        (0..100).for_each(|number| sender.send(number).unwrap());
        drop((sender, handle));
        tasks.map(|task| task.join().unwrap()).iter().sum()
    });
    assert_eq!(totals, 3 * 4950);
}
