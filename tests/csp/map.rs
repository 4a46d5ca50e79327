//! `map_ordered` and `map_unordered`: a closure over the items of a channel, so many at a time.

use crate::Source;
use crate::collect;
use crate::elapsed;
use crate::nap;
use crate::panic_of;
use crate::secs;
use crate::sorted;
use giambio::Pool;
use giambio::channel::Receiver;
use giambio::channel::bounded;
use giambio::csp::from_iter;
use giambio::csp::map_ordered;
use giambio::csp::map_unordered;
use giambio::pool;
use giambio::sleep;
use giambio::testing::explore;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::yield_now;
use std::cell::Cell;
use std::cell::RefCell;

/// Both maps, for what is true of either.
#[derive(Clone, Copy)]
enum Map {
    Ordered,
    Unordered,
}

impl Map {
    const BOTH: [Self; 2] = [Self::Ordered, Self::Unordered];

    fn of<'scope, T: 'scope, U: 'scope>(
        self,
        pool: &'scope Pool<'scope, '_>,
        input: Receiver<T>,
        workers: usize,
        f: impl Fn(T) -> U + 'scope,
    ) -> Receiver<U> {
        match self {
            Self::Ordered => map_ordered(pool, input, workers, f),
            Self::Unordered => map_unordered(pool, input, workers, f),
        }
    }
}

fn naps<'scope>(pool: &'scope Pool<'scope, '_>, seconds: &'scope [u64]) -> Receiver<u64> {
    from_iter(pool, seconds.iter().copied(), 0)
}

#[test]
fn smoke() {
    run_virtual(|| {
        pool(|pool| {
            let lengths = map_ordered(pool, from_iter(pool, ["a", "bb", "ccc"], 0), 2, str::len);
            assert_eq!(collect(&lengths), [1, 2, 3]);
            let lengths = map_unordered(pool, from_iter(pool, ["a", "bb", "ccc"], 0), 2, str::len);
            assert_eq!(sorted(&lengths), [1, 2, 3]);
        });
    });
}

#[test]
fn values_come_in_the_order_of_their_items_or_as_they_are_ready() {
    run_virtual(|| {
        pool(|pool| {
            let ordered = map_ordered(pool, naps(pool, &[3, 1, 2, 0]), 4, nap);
            assert_eq!(collect(&ordered), [3, 1, 2, 0]);
            let unordered = map_unordered(pool, naps(pool, &[3, 1, 2, 0]), 4, nap);
            assert_eq!(collect(&unordered), [0, 1, 2, 3]);
        });
    });
}

#[test]
fn a_value_does_not_wait_for_a_further_item() {
    run_virtual(|| {
        pool(|pool| {
            for map in Map::BOTH {
                let (sender, input) = bounded(0);
                let values = map.of(pool, input, 3, nap);
                for seconds in [2, 1] {
                    sender.send(seconds).unwrap();
                    assert_eq!(elapsed(|| assert_eq!(values.recv(), Ok(seconds))), secs(seconds));
                }
            }
        });
    });
}

#[test]
fn so_many_items_are_mapped_at_the_same_time() {
    for workers in [1, 2, 5, 100] {
        run_virtual(|| {
            let (running, most) = (&Cell::new(0), &Cell::new(0));
            let f = move |number| {
                running.set(running.get() + 1);
                most.set(most.get().max(running.get()));
                sleep(secs(1));
                running.set(running.get() - 1);
                number
            };
            pool(|pool| {
                let turns = secs(50_u64.div_ceil(workers as u64));
                let values = map_ordered(pool, from_iter(pool, 0..50, 0), workers, f);
                assert_eq!(elapsed(|| assert!(values.iter().eq(0..50))), turns);
                assert_eq!(most.replace(0), workers.min(50));
                let values = map_unordered(pool, from_iter(pool, 0..50, 0), workers, f);
                assert_eq!(elapsed(|| assert!(sorted(&values).into_iter().eq(0..50))), turns);
                assert_eq!(most.get(), workers.min(50));
            });
        });
    }
}

#[test]
fn at_most_as_many_items_are_on_their_way_as_there_are_workers() {
    for workers in [1, 2, 7] {
        run_virtual(|| {
            pool(|pool| {
                for map in Map::BOTH {
                    let source = Source::default();
                    let values = map.of(pool, source.receiver(pool), workers, |number| number);
                    for received in 0..20 {
                        settle();
                        assert_eq!(source.taken(), received + workers as u64 + 1);
                        values.recv().unwrap();
                    }
                }
            });
        });
    }
}

#[test]
fn a_slow_item_holds_back_the_window_behind_it() {
    run_virtual(|| {
        let begun = RefCell::new(Vec::new());
        pool(|pool| {
            let f = |number: u64| {
                begun.borrow_mut().push(number);
                sleep(secs(if number == 0 { 60 } else { 1 }));
                number
            };
            let values = map_ordered(pool, from_iter(pool, 0.., 0), 4, f);
            sleep(secs(59));
            assert_eq!(*begun.borrow(), [0, 1, 2, 3]);
            assert_eq!(values.recv(), Ok(0));
            settle();
            assert_eq!(*begun.borrow(), [0, 1, 2, 3, 4]);
        });
    });
}

#[test]
fn a_slow_item_holds_back_nobody_if_the_order_is_free() {
    run_virtual(|| {
        pool(|pool| {
            let values = map_unordered(pool, naps(pool, &[7, 1, 1, 1, 1, 1, 1]), 2, nap);
            assert_eq!(elapsed(|| assert_eq!(collect(&values), [1, 1, 1, 1, 1, 1, 7])), secs(7));
        });
    });
}

#[test]
fn the_order_holds_in_any_order_of_the_tasks() {
    explore(0..300, || {
        pool(|pool| {
            let f = |number: u64| {
                (0..number * 7 % 4).for_each(|_| yield_now());
                if number.is_multiple_of(5) {
                    sleep(secs(number % 3));
                }
                number
            };
            let values = map_ordered(pool, from_iter(pool, 0..40, 0), 3, f);
            let values = map_ordered(pool, values, 5, f);
            assert!(values.iter().eq(0..40));
        });
    });
}

#[test]
fn the_closure_may_borrow() {
    run_virtual(|| {
        let (names, seen) = (["zero", "one", "two"], Cell::new(0));
        pool(|pool| {
            let f = |index: usize| {
                seen.set(seen.get() + 1);
                names[index]
            };
            let values = map_ordered(pool, from_iter(pool, [2, 0, 1], 0), 2, f);
            assert_eq!(collect(&values), ["two", "zero", "one"]);
        });
        assert_eq!(seen.get(), 3);
    });
}

#[test]
fn what_has_begun_is_finished_when_nobody_receives_any_more() {
    run_virtual(|| {
        for map in Map::BOTH {
            let finished = Cell::new(0);
            pool(|pool| {
                let (sender, input) = bounded(0);
                let finished = &finished;
                let f = move |seconds| {
                    nap(seconds);
                    finished.set(finished.get() + 1);
                };
                let values = map.of(pool, input, 3, f);
                sender.send(5).unwrap();
                sender.send(6).unwrap();
                drop(values);
                settle();
                assert!(sender.is_closed(), "the third worker waits for an item nobody wants");
            });
            assert_eq!(finished.get(), 2);
        }
    });
}

#[test]
fn no_workers_are_refused() {
    for map in Map::BOTH {
        let said = panic_of(|| {
            run_virtual(|| pool(|pool| drop(map.of(pool, bounded(0).1, 0, nap))));
        });
        assert_eq!(said, "a map by 0 workers would never take an item");
    }
}
