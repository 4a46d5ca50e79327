//! Ends: they go through every stage, forwards and backwards, and nobody is left waiting.

use crate::Item;
use crate::STAGES;
use crate::collect;
use giambio::Pool;
use giambio::cancellable;
use giambio::channel::Receiver;
use giambio::channel::bounded;
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
use giambio::csp::zip;
use giambio::csp::zip_longest;
use giambio::pool;
use giambio::testing::cancelled_at_every_checkpoint;
use giambio::testing::explore;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Weak;

/// Items from 0 on, endlessly, and which of them were taken and are still there.
#[derive(Clone, Default)]
struct Items(Rc<RefCell<Vec<Weak<u64>>>>);

impl Items {
    fn receiver<'scope>(&self, pool: &'scope Pool<'scope, '_>) -> Receiver<Item> {
        let all = Rc::clone(&self.0);
        let items = (0..).map(Arc::new).inspect(move |item| {
            all.borrow_mut().push(Arc::downgrade(item));
        });
        from_iter(pool, items, 0)
    }

    fn taken(&self) -> u64 {
        self.0.borrow().len() as u64
    }

    fn left(&self) -> usize {
        self.0.borrow().iter().filter(|item| item.strong_count() > 0).count()
    }
}

/// One stage behind the other.
fn chain<'scope>(pool: &'scope Pool<'scope, '_>, input: Receiver<Item>) -> Receiver<Item> {
    STAGES.iter().fold(input, |input, (_, _, stage)| stage(pool, input))
}

#[test]
fn smoke() {
    run_virtual(|| {
        pool(|pool| {
            for (name, _, stage) in STAGES {
                let items = from_iter(pool, (0..20).map(Arc::new), 0);
                let mut got: Vec<_> = stage(pool, items).iter().map(|item| *item).collect();
                got.sort_unstable();
                assert!(got.into_iter().eq(0..20), "{name}");
            }
        });
    });
}

#[test]
fn the_end_of_the_input_ends_the_output() {
    run_virtual(|| {
        pool(|pool| {
            for (name, _, stage) in STAGES {
                let (sender, input) = bounded(0);
                let output = stage(pool, input);
                settle();
                assert!(!output.is_closed(), "{name}");
                drop(sender);
                settle();
                assert!(output.is_closed(), "{name}");
                assert!(output.recv().is_err(), "{name}");
            }
        });
    });
}

#[test]
fn a_stage_that_waits_for_an_item_ends_when_nobody_receives_any_more() {
    run_virtual(|| {
        pool(|pool| {
            for (name, _, stage) in STAGES {
                let (sender, input) = bounded(0);
                let output = stage(pool, input);
                settle();
                assert!(!sender.is_closed(), "{name}");
                drop(output);
                settle();
                assert!(sender.is_closed(), "{name}");
            }
        });
    });
}

#[test]
fn a_stage_that_has_items_ends_when_nobody_receives_any_more_and_takes_no_further_one() {
    for (name, in_hand, stage) in STAGES {
        run_virtual(|| {
            let items = Items::default();
            pool(|pool| {
                let output = stage(pool, items.receiver(pool));
                settle();
                drop(output);
            });
            assert_eq!((items.taken(), items.left()), (in_hand + 1, 0), "{name}");
        });
    }
}

#[test]
fn an_item_that_nobody_could_receive_is_not_taken() {
    type Unwanted = for<'scope, 'env> fn(&'scope Pool<'scope, 'env>, Receiver<Item>);
    let stages: [(&str, Unwanted); 10] = [
        ("pipe", |pool, input| pipe(pool, input, bounded(0).0)),
        ("merge", |pool, input| drop(merge(pool, [input]))),
        ("distribute", |pool, input| distribute(pool, input, [bounded(0).0, bounded(0).0])),
        ("zip", |pool, input| drop(zip(pool, input.clone(), input))),
        ("zip_longest", |pool, input| drop(zip_longest(pool, input.clone(), input))),
        ("combine_latest", |pool, input| drop(combine_latest(pool, [input.clone(), input]))),
        ("broadcast", |pool, input| drop(broadcast(pool, input).subscribe(Policy::Wait(0)))),
        ("map_ordered", |pool, input| drop(map_ordered(pool, input, 2, |item| item))),
        ("map_unordered", |pool, input| drop(map_unordered(pool, input, 2, |item| item))),
        ("map_blocking", |pool, input| drop(map_blocking(pool, input, 2, |item| item))),
    ];
    for (name, stage) in stages {
        run_virtual(|| {
            pool(|pool| {
                let (sender, input) = bounded(5);
                (0..5).for_each(|item| sender.send(Arc::new(item)).unwrap());
                stage(pool, input.clone());
                settle();
                assert_eq!(input.len(), 5, "{name}");
            });
        });
    }
}

#[test]
fn a_consumer_that_is_cancelled_ends_the_stages_before_it() {
    for (name, _, stage) in STAGES {
        run_virtual(|| {
            pool(|pool| {
                let (sender, input) = bounded::<Item>(0);
                let output = stage(pool, input);
                let consumer = pool.spawn(move || collect(&output));
                settle();
                consumer.cancel();
                settle();
                assert!(sender.is_closed(), "{name}");
            });
        });
    }
}

#[test]
fn a_stage_has_as_many_items_as_it_says() {
    for (name, in_hand, stage) in STAGES {
        run_virtual(|| {
            let items = Items::default();
            pool(|pool| {
                let output = stage(pool, items.receiver(pool));
                for received in 0..10 {
                    settle();
                    // And the source has one.
                    assert_eq!(items.taken(), received + in_hand + 1, "{name}");
                    assert_eq!(items.left() as u64, in_hand + 1, "{name}");
                    output.recv().unwrap();
                }
            });
        });
    }
}

#[test]
fn a_cancelled_pool_ends_every_stage() {
    for (name, _, stage) in STAGES {
        run_virtual(|| {
            let items = Items::default();
            cancellable(|pool| {
                let busy = stage(pool, items.receiver(pool));
                let (sender, input) = bounded(0);
                let idle = stage(pool, input);
                busy.recv().unwrap();
                settle();
                pool.cancel();
                drop((sender, idle));
            });
            assert_eq!(items.left(), 0, "{name}");
            // A plain pool's body goes on, and sees the ends.
            pool(|pool| {
                let output = stage(pool, items.receiver(pool));
                output.recv().unwrap();
                settle();
                pool.cancel();
                assert!(collect(&output).len() <= 4, "{name}");
            });
            assert_eq!(items.left(), 0, "{name}");
        });
    }
}

#[test]
fn a_stage_in_a_cancelled_pool_ends_at_once() {
    for (name, _, stage) in STAGES {
        run_virtual(|| {
            pool(|pool| {
                pool.cancel();
                let (sender, input) = bounded(0);
                let output = stage(pool, input);
                assert!(output.recv().is_err(), "{name}");
                assert!(sender.send(Arc::new(1)).is_err(), "{name}");
            });
        });
    }
}

#[test]
fn ends_go_through_a_chain_of_all_stages() {
    run_virtual(|| {
        pool(|pool| {
            let (sender, input) = bounded(0);
            let output = chain(pool, input);
            sender.send(Arc::new(7)).unwrap();
            assert_eq!(*output.recv().unwrap(), 7);
            drop(sender);
            assert!(output.recv().is_err());
        });
        pool(|pool| {
            let (sender, input) = bounded(0);
            let output = chain(pool, input);
            sender.send(Arc::new(7)).unwrap();
            settle();
            drop(output);
            settle();
            assert!(sender.is_closed());
        });
    });
}

#[test]
fn a_chain_of_all_stages_may_be_cut_anywhere() {
    run_virtual(|| {
        let items = Items::default();
        let cuts = cancelled_at_every_checkpoint(|cut| {
            cut.run(|| {
                pool(|pool| {
                    let output = chain(pool, items.receiver(pool));
                    output.iter().take(3).for_each(drop);
                });
            });
            assert_eq!(items.left(), 0);
        });
        assert!(cuts > 100, "{cuts}");
    });
}

#[test]
fn consumers_leave_at_any_time_in_any_order_of_the_tasks() {
    for (_, _, stage) in STAGES {
        explore(0..30, || {
            let items = Items::default();
            pool(|pool| {
                let output = stage(pool, items.receiver(pool));
                for patience in [1, 3, 5] {
                    let output = output.clone();
                    pool.spawn(move || {
                        for _ in output.iter().take(patience) {
                            giambio::yield_now();
                        }
                    });
                }
            });
            assert_eq!(items.left(), 0);
        });
    }
}
