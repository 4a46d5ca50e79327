//! Failure: a stage that panics fails its pool, and leaves no neighbour waiting.

use crate::collect;
use crate::fail;
use crate::panic_of;
use giambio::OnFailure;
use giambio::Pool;
use giambio::channel::Receiver;
use giambio::channel::bounded;
use giambio::csp::Policy;
use giambio::csp::broadcast;
use giambio::csp::combine_latest;
use giambio::csp::from_iter;
use giambio::csp::map_blocking;
use giambio::csp::map_ordered;
use giambio::csp::map_unordered;
use giambio::csp::publish;
use giambio::csp::zip;
use giambio::pool;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::try_pool;
use std::cell::RefCell;

/// Fails when it is cloned for the fourth time.
#[derive(Debug)]
struct Fragile(u64);

impl Clone for Fragile {
    fn clone(&self) -> Self {
        Self(fragile(self.0))
    }
}

fn fragile(item: u64) -> u64 {
    if item == 3 { fail("three") } else { item }
}

type Failing = for<'scope, 'env> fn(&'scope Pool<'scope, 'env>, Receiver<u64>) -> Receiver<u64>;

/// Every stage that runs code of the user's, which fails at item 3.
const FAILING: &[(&str, Failing)] = &[
    ("from_iter", |pool, input| from_iter(pool, input.into_iter().map(fragile), 0)),
    ("map_ordered by one", |pool, input| map_ordered(pool, input, 1, fragile)),
    ("map_ordered", |pool, input| map_ordered(pool, input, 3, fragile)),
    ("map_unordered", |pool, input| map_unordered(pool, input, 1, fragile)),
    ("map_blocking", |pool, input| map_blocking(pool, input, 2, fragile)),
    ("publish", |pool, input| {
        publish(pool, input, |item| fragile(*item) > 3).subscribe(false, Policy::Wait(0))
    }),
    ("broadcast", |pool, input| {
        let items = map_ordered(pool, input, 1, Fragile);
        let copies = broadcast(pool, items).subscribe(Policy::Wait(0));
        map_ordered(pool, copies, 1, |item| item.0)
    }),
    ("combine_latest", |pool, input| {
        let items = map_ordered(pool, input, 1, Fragile);
        map_ordered(pool, combine_latest(pool, [items]), 1, |latest| latest[0].0)
    }),
];

#[test]
fn a_stage_that_panics_fails_its_pool() {
    for (name, failing) in FAILING {
        // The neighbours behind it wait for an item, or that one is received.
        for patience in [usize::MAX, 3] {
            let said = panic_of(|| {
                run_virtual(|| {
                    pool(|pool| {
                        let before = map_ordered(pool, from_iter(pool, 0.., 0), 2, |item| item);
                        let after = map_ordered(pool, failing(pool, before), 2, |item| item);
                        let got: Vec<_> = after.iter().take(patience).collect();
                        assert!(got.len() <= 3, "{name} has let {got:?} through");
                        giambio::sleep_forever()
                    });
                });
            });
            assert_eq!(said, "three", "{name}");
        }
    }
}

#[test]
fn the_neighbours_of_a_stage_that_panics_end_by_themselves() {
    for (name, failing) in FAILING {
        let got = RefCell::new(Vec::new());
        let said = panic_of(|| {
            run_virtual(|| {
                pool(|pool| {
                    pool.on_failure(OnFailure::LetOthersFinish);
                    let (sender, input) = bounded(0);
                    let before = map_ordered(pool, input, 2, |item| item);
                    let after = map_ordered(pool, failing(pool, before), 2, |item| item);
                    let got = &got;
                    let consumer = pool
                        .spawn(move || after.iter().for_each(|item| got.borrow_mut().push(item)));
                    for item in 0.. {
                        if sender.send(item).is_err() {
                            break;
                        }
                    }
                    // What had passed before still arrives.
                    assert!(consumer.join().is_ok(), "{name}");
                });
            });
        });
        assert_eq!(said, "three", "{name}");
        assert_eq!(*got.borrow(), [0, 1, 2], "{name}");
    }
}

#[test]
fn one_of_several_workers_that_panics_leaves_the_others_their_items() {
    let said = panic_of(|| {
        run_virtual(|| {
            pool(|pool| {
                pool.on_failure(OnFailure::LetOthersFinish);
                let values = map_unordered(pool, from_iter(pool, 0..10, 0), 3, fragile);
                assert_eq!(crate::sorted(&values), [0, 1, 2, 4, 5, 6, 7, 8, 9]);
            });
        });
    });
    assert_eq!(said, "three");
}

#[test]
fn a_consumer_that_panics_cancels_the_stages_before_it() {
    let said = panic_of(|| {
        run_virtual(|| {
            pool(|pool| {
                let pairs = zip(pool, from_iter(pool, 0.., 0), from_iter(pool, 0.., 0));
                let values = map_ordered(pool, pairs, 4, |(a, b)| a + b);
                pool.spawn(move || values.iter().any(|value| fragile(value / 2) > 3));
                giambio::sleep_forever()
            });
        });
    });
    assert_eq!(said, "three");
}

#[test]
fn an_error_is_an_item_and_fails_the_pool_where_its_question_mark_is() {
    let seen = RefCell::new(Vec::new());
    let result = run_virtual(|| {
        try_pool(|pool| {
            let words = from_iter(pool, ["1", "2", "three", "4"], 0);
            let numbers = map_ordered(pool, words, 2, str::parse::<u32>);
            pool.spawn(|| {
                for number in numbers {
                    seen.borrow_mut().push(number?);
                }
                Ok(())
            });
            settle();
            Ok(())
        })
    });
    assert_eq!(result, "three".parse::<u32>().map(drop));
    assert_eq!(*seen.borrow(), [1, 2]);
}

#[test]
fn a_failure_elsewhere_in_the_pool_ends_the_stages() {
    let said = panic_of(|| {
        run_virtual(|| {
            pool(|pool| {
                let values = map_ordered(pool, from_iter(pool, 0.., 0), 3, |item: u64| item);
                pool.spawn(move || collect(&values));
                giambio::yield_now();
                pool.spawn(|| fail("elsewhere"));
                giambio::sleep_forever()
            });
        });
    });
    assert_eq!(said, "elsewhere");
}
