//! Pools: who runs when, who waits for whom, and what a failure does.

use crate::Drops;
use crate::Log;
use crate::elapsed;
use crate::fail;
use crate::logged;
use crate::named;
use crate::panic_of;
use crate::raised;
use crate::secs;
use giambio::Pool;
use giambio::cancellable;
use giambio::finally;
use giambio::pool;
use giambio::run;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::task;
use giambio::testing::run_virtual;
use giambio::yield_now;
use std::cell::Cell;
use std::cell::RefCell;

#[test]
fn smoke() {
    assert_eq!(run(|| pool(|pool| pool.spawn(|| 1).join().unwrap() + 1)), 2);
}

#[test]
fn a_pool_waits_for_its_last_child() {
    run_virtual(|| {
        let ended = Cell::new(0);
        let took = elapsed(|| {
            pool(|pool| {
                for seconds in [1, 3, 2] {
                    let ended = &ended;
                    pool.spawn(move || {
                        sleep(secs(seconds));
                        ended.set(ended.get() + 1);
                    });
                }
            });
        });
        assert_eq!((took, ended.get()), (secs(3), 3));
    });
}

#[test]
fn an_empty_pool_ends_at_once() {
    run_virtual(|| assert_eq!(elapsed(|| pool(|_| ())), secs(0)));
}

#[test]
fn spawn_does_not_switch_and_children_run_first_in_first_out() {
    let log = Log::default();
    run(|| {
        pool(|pool| {
            pool.spawn(|| log.add("first"));
            pool.spawn(|| log.add("second"));
            pool.spawn(|| log.add("third"));
            log.add("body");
        });
        log.add("after");
    });
    log.assert(&["body", "first", "second", "third", "after"]);
}

#[test]
fn a_childs_children_run_after_those_that_were_spawned_before() {
    let log = Log::default();
    run(|| {
        pool(|pool| {
            pool.spawn(|| {
                pool.spawn(|| log.add("grandchild"));
                log.add("child");
            });
            pool.spawn(|| log.add("sibling"));
        });
    });
    log.assert(&["child", "sibling", "grandchild"]);
}

#[test]
fn children_borrow_what_lives_outside_of_the_pool() {
    let mut lengths = [0; 3];
    let words = ["write", "blocking", "Rust"];
    run(|| {
        pool(|pool| {
            for (length, word) in lengths.iter_mut().zip(&words) {
                pool.spawn(|| *length = word.len());
            }
        });
    });
    assert_eq!(lengths, [5, 8, 4]);
}

#[test]
fn a_child_spawns_into_its_parents_pool_after_the_body_has_ended() {
    run_virtual(|| {
        let body_ended = Cell::new(false);
        let grandchild_ended = Cell::new(false);
        pool(|pool| {
            pool.spawn(|| {
                sleep(secs(1));
                assert!(body_ended.get());
                pool.spawn(|| {
                    sleep(secs(1));
                    grandchild_ended.set(true);
                });
            });
            body_ended.set(true);
        });
        assert!(grandchild_ended.get());
    });
}

#[test]
fn a_pool_goes_down_through_functions_that_spawn_into_it() {
    fn countdown<'scope>(pool: &'scope Pool<'scope, '_>, log: &'scope Log, count: u32) {
        log.add(count.to_string());
        if count > 0 {
            pool.spawn(move || countdown(pool, log, count - 1));
        }
    }
    let log = Log::default();
    run(|| pool(|pool| countdown(pool, &log, 3)));
    log.assert(&["3", "2", "1", "0"]);
}

#[test]
fn a_pool_inside_of_a_pool_ends_first() {
    let log = Log::default();
    run_virtual(|| {
        pool(|outer| {
            outer.spawn(|| {
                sleep(secs(2));
                log.add("outer child");
            });
            pool(|inner| {
                inner.spawn(|| {
                    sleep(secs(1));
                    log.add("inner child");
                });
            });
            log.add("inner pool");
        });
        log.add("outer pool");
    });
    log.assert(&["inner child", "inner pool", "outer child", "outer pool"]);
}

#[test]
fn ten_thousand_children_all_run() {
    let ran = Cell::new(0);
    run(|| {
        pool(|pool| {
            for _ in 0..10_000 {
                pool.spawn(|| {
                    yield_now();
                    ran.set(ran.get() + 1);
                });
            }
        });
    });
    assert_eq!(ran.get(), 10_000);
}

#[test]
fn a_body_that_panics_cancels_the_children() {
    run_virtual(|| {
        let drops = Drops::default();
        let took = elapsed(|| {
            let text = panic_of(|| {
                pool(|pool| {
                    let one = drops.one();
                    pool.spawn(move || {
                        let _one = one;
                        sleep_forever()
                    });
                    yield_now();
                    fail("body");
                });
            });
            assert_eq!(text, "body");
        });
        assert_eq!((took, drops.count()), (secs(0), 1));
    });
}

#[test]
fn a_child_that_panics_cancels_its_siblings_and_cuts_the_body() {
    run_virtual(|| {
        let drops = Drops::default();
        let took = elapsed(|| {
            let text = panic_of(|| {
                pool(|pool| {
                    let (one, other) = (drops.one(), drops.one());
                    pool.spawn(move || {
                        let _one = one;
                        sleep(secs(8));
                    });
                    pool.spawn(|| {
                        sleep(secs(2));
                        fail("child")
                    });
                    let _other = other;
                    sleep(secs(3600));
                    unreachable!("the body was not cut");
                });
            });
            assert_eq!(text, "child");
        });
        assert_eq!((took, drops.count()), (secs(2), 2));
    });
}

#[test]
fn a_child_that_panics_at_once_keeps_the_next_from_starting() {
    run(|| {
        let drops = Drops::default();
        let text = panic_of(|| {
            pool(|pool| {
                let one = drops.one();
                pool.spawn(|| fail("first"));
                pool.spawn(move || {
                    let _one = one;
                    unreachable!("it was started");
                });
            });
        });
        assert_eq!((text.as_str(), drops.count()), ("first", 1));
    });
}

#[test]
fn a_failure_waits_for_the_siblings_cleanup_before_it_goes_on() {
    run_virtual(|| {
        let took = elapsed(|| {
            let text = panic_of(|| {
                pool(|pool| {
                    pool.spawn(|| finally(sleep_forever, || sleep(secs(5))));
                    sleep(secs(1));
                    fail("body");
                });
            });
            assert_eq!(text, "body");
        });
        assert_eq!(took, secs(6));
    });
}

#[test]
fn the_first_panic_goes_on_and_the_others_are_logged_with_their_tasks_names() {
    logged("");
    run_virtual(|| {
        let text = panic_of(|| {
            pool(|pool| {
                named(pool, "logged-second", || finally(sleep_forever, || fail("second")));
                named(pool, "logged-third", || finally(sleep_forever, || panic!("the {}rd", 3)));
                named(pool, "logged-first", || {
                    sleep(secs(1));
                    fail("first")
                });
            });
        });
        assert_eq!(text, "first");
    });
    let second = logged("'logged-second'");
    let third = logged("'logged-third'");
    assert!(second[0].starts_with("ERROR: ") && second[0].ends_with(": second"), "{second:?}");
    assert!(third[0].starts_with("ERROR: ") && third[0].ends_with(": the 3rd"), "{third:?}");
    assert_eq!((second.len(), third.len(), logged("'logged-first'").len()), (1, 1, 0));
}

#[test]
fn a_body_that_panics_after_a_child_is_logged() {
    logged("");
    run_virtual(|| {
        let text = panic_of(|| {
            pool(|pool| {
                pool.spawn(|| fail("child"));
                finally(sleep_forever, || fail("a body as second"))
            });
        });
        assert_eq!(text, "child");
    });
    assert_eq!(logged("a body as second").len(), 1);
}

#[test]
fn spawn_into_a_cancelled_pool_never_runs_and_drops_its_closure() {
    run(|| {
        let drops = Drops::default();
        pool(|pool| {
            pool.cancel();
            let one = drops.one();
            let task = pool.spawn(move || {
                let _one = one;
                unreachable!("it was started");
            });
            assert!(!task.is_finished());
            assert!(task.join().is_err_and(|error| error.is_cancelled()));
            assert_eq!(drops.count(), 1);
        });
    });
}

#[test]
fn spawn_into_a_failed_pool_never_runs() {
    run(|| {
        let text = panic_of(|| {
            pool(|pool| {
                pool.spawn(|| {
                    finally(sleep_forever, || {
                        assert!(pool.is_cancelled());
                        pool.spawn(|| unreachable!("it was started"));
                    })
                });
                yield_now();
                fail("body");
            });
        });
        assert_eq!(text, "body");
    });
}

/// Logs which task drops it.
struct SaysWhoDropsIt<'l>(&'l Log);

impl Drop for SaysWhoDropsIt<'_> {
    fn drop(&mut self) {
        self.0.add(format!("dropped by {}", task::current().name()));
    }
}

#[test]
fn a_closure_that_never_runs_is_dropped_by_its_own_task() {
    let log = Log::default();
    run(|| {
        pool(|pool| {
            let guard = SaysWhoDropsIt(&log);
            let task = named(pool, "unborn", move || drop(guard));
            task.cancel();
            log.add("cancelled");
        });
    });
    log.assert(&["cancelled", "dropped by unborn"]);
}

#[test]
fn a_value_that_nobody_asks_for_is_dropped_by_its_own_task_before_the_pool_ends() {
    let log = Log::default();
    run(|| {
        pool(|pool| drop(named(pool, "generous", || SaysWhoDropsIt(&log))));
        log.add("the pool has ended");
    });
    log.assert(&["dropped by generous", "the pool has ended"]);
}

#[test]
fn a_handle_that_is_dropped_does_not_stop_its_task() {
    run_virtual(|| {
        let ended = Cell::new(false);
        pool(|pool| {
            let task = pool.spawn(|| {
                sleep(secs(1));
                ended.set(true);
            });
            yield_now();
            drop(task);
        });
        assert!(ended.get());
    });
}

/// Spawns into a pool when it is dropped.
struct SpawnsInItsDrop<'scope, 'env> {
    pool: &'scope Pool<'scope, 'env>,
    ran: &'scope Cell<u32>,
    left: u32,
}

impl Drop for SpawnsInItsDrop<'_, '_> {
    fn drop(&mut self) {
        let (pool, ran, left) = (self.pool, self.ran, self.left);
        pool.spawn(move || {
            ran.set(ran.get() + 1);
            (left > 0).then(|| SpawnsInItsDrop { pool, ran, left: left - 1 })
        });
    }
}

#[test]
fn a_pool_waits_for_what_the_last_childs_value_spawns_in_its_destructor() {
    let ran = Cell::new(0);
    run(|| pool(|pool| drop(pool.spawn(|| SpawnsInItsDrop { pool, ran: &ran, left: 3 }))));
    assert_eq!(ran.get(), 4);
}

#[test]
fn a_failure_in_an_inner_pool_cancels_the_outer_pools_children() {
    run_virtual(|| {
        let took = elapsed(|| {
            let text = panic_of(|| {
                pool(|outer| {
                    outer.spawn(|| sleep(secs(8)));
                    pool(|inner| {
                        inner.spawn(|| {
                            sleep(secs(2));
                            fail("inner child")
                        });
                    });
                    unreachable!("the outer body went on");
                });
            });
            assert_eq!(text, "inner child");
        });
        assert_eq!(took, secs(2));
    });
}

#[test]
fn a_failure_in_an_outer_pool_cancels_the_inner_pools_children() {
    run_virtual(|| {
        let drops = Drops::default();
        let took = elapsed(|| {
            let text = panic_of(|| {
                pool(|outer| {
                    outer.spawn(|| {
                        sleep(secs(2));
                        fail("outer child")
                    });
                    pool(|inner| {
                        let one = drops.one();
                        inner.spawn(move || {
                            let _one = one;
                            sleep_forever()
                        });
                    });
                });
            });
            assert_eq!(text, "outer child");
        });
        assert_eq!((took, drops.count()), (secs(2), 1));
    });
}

#[test]
fn the_end_of_a_pool_is_a_checkpoint_after_the_last_child_and_drops_the_value() {
    run_virtual(|| {
        let drops = Drops::default();
        let cut = cancellable(|outer| {
            let raised = raised(|| {
                pool(|inner| {
                    inner.spawn(|| sleep(secs(1)));
                    outer.cancel();
                    drops.one()
                })
            });
            assert!(raised);
        });
        assert_eq!((cut, drops.count()), (Some(()), 1));
    });
}

#[test]
fn closures_and_values_need_no_send() {
    let shared = RefCell::new(Vec::new());
    run(|| {
        pool(|pool| {
            let task = pool.spawn(|| shared.borrow_mut().push(1));
            task.join().unwrap();
            shared.borrow_mut().push(2);
        });
    });
    assert_eq!(shared.into_inner(), [1, 2]);
}
