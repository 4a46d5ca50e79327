//! Whole programs of stages, in many orders of their tasks: nothing is lost, nothing is there twice.

use crate::channels;
use crate::collect;
use crate::secs;
use crate::sorted;
use giambio::Pool;
use giambio::channel::Receiver;
use giambio::channel::bounded;
use giambio::csp::Policy;
use giambio::csp::broadcast;
use giambio::csp::combine_latest;
use giambio::csp::distribute;
use giambio::csp::from_iter;
use giambio::csp::map_ordered;
use giambio::csp::map_unordered;
use giambio::csp::merge;
use giambio::csp::publish;
use giambio::csp::zip;
use giambio::pool;
use giambio::skip_after;
use giambio::sleep;
use giambio::testing::explore;
use giambio::testing::run_virtual;

const PRODUCERS: u64 = 4;
const EACH: u64 = 50;

/// Numbers of four producers, each of which sends its own in order.
fn produced<'scope>(pool: &'scope Pool<'scope, '_>) -> Vec<Receiver<u64>> {
    let (senders, receivers) = channels(PRODUCERS as usize, 0);
    for (first, sender) in (0..).step_by(EACH as usize).zip(senders) {
        pool.spawn(move || (first..first + EACH).for_each(|item| sender.send(item).unwrap()));
    }
    receivers
}

#[test]
fn items_of_four_producers_come_out_once_each() {
    explore(0..100, || {
        pool(|pool| {
            let (senders, receivers) = channels(3, 0);
            distribute(pool, merge(pool, produced(pool)), senders);
            let mapped = receivers.into_iter().map(|receiver| {
                map_unordered(pool, map_ordered(pool, receiver, 2, |item| item), 2, |item| item)
            });
            let all = broadcast(pool, merge(pool, mapped.collect::<Vec<_>>()));
            let tasks = [0, 1, 7].map(|capacity| {
                let receiver = all.subscribe(Policy::Wait(capacity));
                pool.spawn(move || sorted(&receiver))
            });
            for task in tasks {
                assert!(task.join().unwrap().into_iter().eq(0..PRODUCERS * EACH));
            }
        });
    });
}

#[test]
fn every_producer_keeps_its_order_through_merge_and_map_and_publish() {
    explore(0..100, || {
        pool(|pool| {
            let mapped = map_ordered(pool, merge(pool, produced(pool)), 3, |item| item);
            let topics = publish(pool, mapped, |item| item / EACH);
            for producer in 0..PRODUCERS {
                let receiver = topics.subscribe(producer, Policy::Wait(producer as usize));
                let first = producer * EACH;
                pool.spawn(move || assert!(receiver.iter().eq(first..first + EACH)));
            }
        });
    });
}

#[test]
fn a_zip_of_a_broadcast_with_itself_stays_in_step() {
    explore(0..100, || {
        pool(|pool| {
            let numbers = broadcast(pool, from_iter(pool, 0..60, 0));
            let squares =
                map_ordered(pool, numbers.subscribe(Policy::Wait(0)), 3, |item| item * item);
            let pairs = zip(pool, numbers.subscribe(Policy::Wait(4)), squares);
            assert!(pairs.iter().eq((0..60).map(|item| (item, item * item))));
        });
    });
}

#[test]
fn the_latest_never_go_back() {
    explore(0..100, || {
        pool(|pool| {
            let lists = collect(&combine_latest(pool, produced(pool)));
            // One list for each change, from the one on that makes the first complete.
            for two in lists.windows(2) {
                let changes = two[0].iter().zip(&two[1]).map(|(before, after)| after - before);
                assert_eq!(changes.sum::<u64>(), 1);
            }
            let last = (0..PRODUCERS).map(|producer| producer * EACH + EACH - 1);
            assert!(lists.last().unwrap().iter().copied().eq(last));
        });
    });
}

#[test]
fn a_program_may_be_cut_at_any_time() {
    for limit in 0..40 {
        run_virtual(|| {
            let slow = |item: u64| {
                sleep(secs(item % 3));
                item
            };
            let finished = skip_after(secs(limit), |pool| {
                let (senders, receivers) = channels(2, 1);
                distribute(pool, from_iter(pool, 0.., 2), senders);
                let inputs = receivers.into_iter().map(|input| map_ordered(pool, input, 2, slow));
                let topics =
                    publish(pool, merge(pool, inputs.collect::<Vec<_>>()), |item| item % 2);
                let even = topics.subscribe(0, Policy::Wait(0));
                let odd = topics.subscribe(1, Policy::DropOldest(1));
                zip(pool, even, odd).iter().take(20).count()
            });
            assert!(finished.is_none_or(|count| count == 20));
        });
    }
}

#[test]
fn stages_of_a_pool_serve_one_another_across_pools() {
    run_virtual(|| {
        pool(|outer| {
            let (sender, receiver) = bounded(0);
            let doubled = map_ordered(outer, receiver, 2, |item: u64| item * 2);
            pool(|inner| {
                let again = map_ordered(inner, doubled, 2, |item| item * 2);
                inner.spawn(move || (0..10).for_each(|item| sender.send(item).unwrap()));
                assert!(again.iter().eq((0..10).map(|item| item * 4)));
            });
        });
    });
}
