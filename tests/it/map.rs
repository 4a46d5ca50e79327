//! `Pool::map` and `map_unordered`: a closure over many items, so many at a time.

use crate::Drops;
use crate::elapsed;
use crate::fail;
use crate::nap;
use crate::panic_of;
use crate::raised;
use crate::secs;
use giambio::Pool;
use giambio::cancellable;
use giambio::pool;
use giambio::shield;
use giambio::skip_after;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::task;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use std::cell::Cell;

fn ordered<'scope>(
    pool: &'scope Pool<'scope, '_>,
    items: impl IntoIterator<Item = u64>,
    limit: usize,
) -> Vec<u64> {
    pool.map(items, limit, nap).map(Result::unwrap).collect()
}

fn unordered<'scope>(
    pool: &'scope Pool<'scope, '_>,
    items: impl IntoIterator<Item = u64>,
    limit: usize,
) -> Vec<u64> {
    pool.map_unordered(items, limit, nap).map(Result::unwrap).collect()
}

#[test]
fn smoke() {
    run_virtual(|| pool(|pool| assert_eq!(ordered(pool, [3, 1, 2], 3), [3, 1, 2])));
    run_virtual(|| pool(|pool| assert_eq!(unordered(pool, [3, 1, 2], 3), [1, 2, 3])));
}

#[test]
fn at_most_the_limit_run_at_a_time() {
    for limit in [1, 2, 5, 100] {
        run_virtual(|| {
            let (running, most) = (Cell::new(0), Cell::new(0));
            let f = |seconds| {
                running.set(running.get() + 1);
                most.set(most.get().max(running.get()));
                sleep(secs(seconds));
                running.set(running.get() - 1);
            };
            pool(|pool| {
                let items = (0..50).map(|n| 1 + n % 7);
                assert_eq!(pool.map(items.clone(), limit, f).count(), 50);
                assert_eq!(most.replace(0), limit.min(50));
                assert_eq!(pool.map_unordered(items, limit, f).count(), 50);
            });
            assert_eq!((running.get(), most.get()), (0, limit.min(50)));
        });
    }
}

#[test]
fn the_items_run_at_the_same_time() {
    run_virtual(|| {
        assert_eq!(elapsed(|| pool(|pool| drop(ordered(pool, [2; 6], 3)))), secs(4));
        assert_eq!(elapsed(|| pool(|pool| drop(unordered(pool, [2; 6], 3)))), secs(4));
        // A slow one does not keep the others from going on, if the order is free.
        assert_eq!(
            elapsed(|| pool(|pool| drop(unordered(pool, [6, 1, 1, 1, 1, 1, 1], 2)))),
            secs(6)
        );
    });
}

#[test]
fn values_come_as_they_are_ready() {
    run_virtual(|| {
        pool(|pool| {
            let mut values = pool.map_unordered([5, 1], 2, nap);
            assert_eq!(elapsed(|| assert_eq!(values.next().unwrap().unwrap(), 1)), secs(1));
            assert_eq!(elapsed(|| assert_eq!(values.next().unwrap().unwrap(), 5)), secs(4));
            assert!(values.next().is_none());
            assert!(values.next().is_none());
        });
    });
}

#[test]
fn an_item_is_taken_only_when_there_is_room_for_its_task() {
    run_virtual(|| {
        let taken = Cell::new(0);
        let endless = || std::iter::repeat_with(|| taken.set(taken.get() + 1));
        pool(|pool| {
            let mut values = pool.map(endless(), 3, |()| ());
            assert_eq!(taken.get(), 0);
            values.next().unwrap().unwrap();
            assert_eq!(taken.replace(0), 3);
            drop(values);
            let mut values = pool.map_unordered(endless(), 3, |()| ());
            values.next().unwrap().unwrap();
            assert_eq!(taken.get(), 3);
        });
    });
}

#[test]
fn nothing_gives_nothing() {
    run_virtual(|| {
        pool(|pool| {
            assert_eq!(ordered(pool, [], 3), []);
            assert_eq!(unordered(pool, [], 3), []);
        });
    });
}

#[test]
fn a_limit_of_zero_is_refused() {
    for said in [
        panic_of(|| run_virtual(|| pool(|pool| drop(pool.map([1], 0, nap))))),
        panic_of(|| run_virtual(|| pool(|pool| drop(pool.map_unordered([1], 0, nap))))),
    ] {
        assert_eq!(said, "a map with a limit of 0 would never start a task");
    }
}

#[test]
fn a_panic_fails_the_pool() {
    let f = |n: u64| {
        sleep(secs(n));
        if n == 2 {
            fail("two")
        }
    };
    let said = panic_of(|| {
        run_virtual(|| pool(|pool| pool.map([1, 2, 9], 3, f).for_each(|value| value.unwrap())));
    });
    assert_eq!(said, "two");
    let said = panic_of(|| {
        run_virtual(|| {
            pool(|pool| pool.map_unordered([1, 2, 9], 3, f).for_each(|value| value.unwrap()));
        });
    });
    assert_eq!(said, "two");
}

#[test]
fn an_item_whose_task_was_cancelled_is_an_error() {
    let f = |n: u64| {
        if n == 1 {
            task::current().cancel();
        }
        nap(n)
    };
    run_virtual(|| {
        pool(|pool| {
            let values: Vec<_> = pool.map([2, 1, 3], 3, f).map(Result::ok).collect();
            assert_eq!(values, [Some(2), None, Some(3)]);
            let values: Vec<_> = pool.map_unordered([2, 1, 3], 3, f).map(Result::ok).collect();
            assert_eq!(values, [None, Some(2), Some(3)]);
        });
    });
}

#[test]
fn in_a_cancelled_pool_every_item_is_an_error() {
    run_virtual(|| {
        pool(|pool| {
            pool.cancel();
            assert!(pool.map([1, 2], 1, nap).all(|value| value.unwrap_err().is_cancelled()));
            let mut values = pool.map_unordered([1, 2], 1, nap);
            assert!(values.all(|value| value.unwrap_err().is_cancelled()));
        });
    });
}

#[test]
fn dropping_the_iterator_cancels_what_it_owes() {
    run_virtual(|| {
        let drops = Drops::default();
        let f = |n| {
            let _counted = drops.one();
            nap(n)
        };
        let took = elapsed(|| {
            pool(|pool| assert_eq!(pool.map([1, 9, 9], 3, f).next().unwrap().unwrap(), 1));
            pool(|pool| {
                assert_eq!(pool.map_unordered([1, 9, 9], 3, f).next().unwrap().unwrap(), 1);
            });
        });
        assert_eq!((took, drops.count()), (secs(2), 6));
    });
}

#[test]
fn a_cancelled_next_keeps_its_place() {
    run_virtual(|| {
        pool(|pool| {
            let mut values = pool.map_unordered([5, 7], 2, nap);
            assert!(skip_after(secs(1), |_| values.next().unwrap().unwrap()).is_none());
            assert_eq!(values.next().unwrap().unwrap(), 5);
            assert_eq!(values.next().unwrap().unwrap(), 7);
        });
    });
}

#[test]
fn each_next_is_a_checkpoint() {
    run_virtual(|| {
        pool(|pool| {
            let mut values = pool.map([1, 2, 3], 3, |n| n);
            let mut others = pool.map_unordered([1, 2, 3], 3, |n| n);
            shield(|| (values.next(), others.next()));
            settle();
            cancellable(|scope| {
                scope.cancel();
                assert!(raised(|| values.next()));
                assert!(raised(|| others.next()));
            });
        });
    });
}

#[test]
fn the_closure_may_spawn_and_map_itself() {
    run_virtual(|| {
        pool(|outer| {
            let sums: Vec<u64> = outer
                .map([1, 2, 3], 2, |n| {
                    pool(|inner| inner.map(0..n, 2, nap).map(Result::unwrap).sum::<u64>())
                })
                .map(Result::unwrap)
                .collect();
            assert_eq!(sums, [0, 1, 3]);
        });
    });
}

#[test]
fn a_failure_inside_is_raised_in_next_and_not_only_at_the_end() {
    let said = panic_of(|| {
        run_virtual(|| {
            pool(|pool| {
                let mut values = pool.map([1], 1, |_| fail("inside"));
                let _: Option<Result<(), _>> = values.next();
                sleep_forever()
            })
        })
    });
    assert_eq!(said, "inside");
}

#[test]
fn ten_thousand_items_pass_through_a_narrow_map() {
    run_virtual(|| {
        let sum: u64 = pool(|pool| {
            pool.map_unordered(0..10_000, 8, |n| nap(n % 3) - n % 3 + n).map(Result::unwrap).sum()
        });
        assert_eq!(sum, 10_000 * 9_999 / 2);
    });
}
