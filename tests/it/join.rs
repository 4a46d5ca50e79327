//! Handles: waiting for a task, taking its value, stopping it.

use crate::Drops;
use crate::Log;
use crate::elapsed;
use crate::fail;
use crate::logged;
use crate::named;
use crate::panic_of;
use crate::raised;
use crate::secs;
use giambio::cancellable;
use giambio::finally;
use giambio::pool;
use giambio::run;
use giambio::shield;
use giambio::skip_after;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::task;
use giambio::testing::run_virtual;
use giambio::try_pool;
use giambio::yield_now;
use std::cell::Cell;
use std::cell::RefCell;

#[test]
fn smoke() {
    let text = run(|| pool(|pool| pool.spawn(|| String::from("value")).join().unwrap()));
    assert_eq!(text, "value");
}

#[test]
fn join_waits_for_the_end_of_the_task() {
    run_virtual(|| {
        pool(|pool| {
            let task = pool.spawn(|| {
                sleep(secs(3));
                "value"
            });
            assert!(!task.is_finished());
            assert_eq!(elapsed(|| assert_eq!(task.join().unwrap(), "value")), secs(3));
        });
    });
}

#[test]
fn join_gives_the_value_of_a_task_that_ended_long_ago() {
    run_virtual(|| {
        pool(|pool| {
            let task = pool.spawn(|| 5);
            sleep(secs(60));
            assert!(task.is_finished());
            assert_eq!(elapsed(|| assert_eq!(task.join().unwrap(), 5)), secs(0));
        });
    });
}

#[test]
fn a_sibling_may_join() {
    run_virtual(|| {
        pool(|pool| {
            let first = pool.spawn(|| {
                sleep(secs(1));
                1
            });
            let second = pool.spawn(move || first.join().unwrap() + 1);
            assert_eq!(second.join().unwrap(), 2);
        });
    });
}

#[test]
fn a_child_may_join_a_task_of_an_outer_pool() {
    run_virtual(|| {
        pool(|outer| {
            let task = outer.spawn(|| {
                sleep(secs(1));
                1
            });
            pool(|inner| {
                assert_eq!(inner.spawn(|| task.join().unwrap()).join().unwrap(), 1);
            });
        });
    });
}

#[test]
fn several_joiners_are_woken_in_the_order_in_which_their_tasks_end() {
    let log = Log::default();
    run_virtual(|| {
        pool(|pool| {
            for seconds in [3, 1, 2] {
                let log = &log;
                let task = pool.spawn(move || sleep(secs(seconds)));
                pool.spawn(move || {
                    task.join().unwrap();
                    log.add(seconds.to_string());
                });
            }
        });
    });
    log.assert(&["1", "2", "3"]);
}

#[test]
fn a_cancelled_task_is_an_error_that_says_so() {
    run(|| {
        pool(|pool| {
            let task = named(pool, "stopped", || sleep_forever());
            let id = task.id();
            yield_now();
            task.cancel();
            let error = task.join().map(|never: ()| never).unwrap_err();
            assert!(error.is_cancelled() && !error.is_panic());
            assert_eq!(error.to_string(), format!("task 'stopped' ({id}) was cancelled"));
            assert!(error.into_panic().is_none());
            assert!(!raised(yield_now));
        });
    });
}

#[test]
fn a_panic_that_went_to_the_pool_is_not_handed_out_again() {
    run(|| {
        let text = panic_of(|| {
            pool(|pool| {
                let task = pool.spawn(|| fail("to the pool"));
                let error = shield(|| task.join()).map(|never: ()| never).unwrap_err();
                assert!(error.is_panic() && !error.is_cancelled());
                assert!(error.to_string().contains("its pool has the payload"), "{error}");
                assert!(error.into_panic().is_none());
            });
        });
        assert_eq!(text, "to the pool");
    });
}

#[test]
fn an_error_that_went_to_the_pool_is_neither_a_cancellation_nor_a_panic() {
    let result = run(|| {
        try_pool(|pool| {
            let task = pool.spawn(|| Err::<(), _>("to the pool"));
            let error = shield(|| task.join()).unwrap_err();
            assert!(!error.is_panic() && !error.is_cancelled());
            assert!(error.to_string().contains("returned an error"), "{error}");
            assert!(error.into_panic().is_none());
            Ok(())
        })
    });
    assert_eq!(result, Err("to the pool"));
}

#[test]
fn joining_a_failed_task_raises_the_pools_cancellation() {
    run(|| {
        let text = panic_of(|| {
            pool(|pool| {
                let _ = pool.spawn(|| fail("child")).join().map(|never: ()| never);
                unreachable!("the body was not cut");
            });
        });
        assert_eq!(text, "child");
        let result = try_pool(|pool| {
            let _ = pool.spawn(|| Err::<(), _>("child")).join();
            unreachable!("the body was not cut")
        });
        assert_eq!(result, Err::<(), _>("child"));
    });
}

#[test]
fn a_task_that_joins_itself_panics() {
    run(|| {
        let text = panic_of(|| {
            pool(|pool| {
                let own = std::rc::Rc::new(RefCell::new(None));
                let handle = std::rc::Rc::clone(&own);
                let task = named(pool, "ouroboros", move || {
                    let task: Option<giambio::Task<'_, ()>> = handle.borrow_mut().take();
                    task.unwrap().join().unwrap();
                });
                *own.borrow_mut() = Some(task);
            });
        });
        assert!(text.contains("task 'ouroboros' joins itself"), "{text}");
    });
}

#[test]
fn join_raises_a_pending_cancellation_although_the_value_is_there() {
    run(|| {
        let drops = Drops::default();
        let cut = cancellable(|pool| {
            let task = pool.spawn(|| drops.one());
            yield_now();
            assert!(task.is_finished());
            pool.cancel();
            drop(task.join());
            unreachable!("join did not raise");
        });
        assert_eq!((cut, drops.count()), (None::<()>, 1));
    });
}

#[test]
fn a_cancelled_join_leaves_the_task_running() {
    run_virtual(|| {
        let drops = Drops::default();
        let took = elapsed(|| {
            pool(|pool| {
                let task = pool.spawn(|| {
                    sleep(secs(3));
                    drops.one()
                });
                assert!(skip_after(secs(1), |_| task.join()).is_none());
                assert_eq!(drops.count(), 0);
            });
        });
        assert_eq!((took, drops.count()), (secs(3), 1));
    });
}

#[test]
fn an_isolated_panic_goes_to_join_and_fails_nothing_else() {
    run(|| {
        let sibling_ended = Cell::new(false);
        pool(|pool| {
            let task = pool.spawn_isolated(|| fail("isolated"));
            pool.spawn(|| {
                yield_now();
                sibling_ended.set(true);
            });
            let error = task.join().unwrap_err();
            assert!(error.is_panic() && !error.is_cancelled());
            assert!(error.to_string().ends_with("panicked: isolated"), "{error}");
            assert_eq!(error.into_panic().unwrap().downcast_ref::<&str>(), Some(&"isolated"));
            assert!(!pool.is_cancelled());
        });
        assert!(sibling_ended.get());
    });
}

#[test]
fn an_isolated_panic_that_nobody_joins_is_logged() {
    logged("");
    run(|| {
        pool(|pool| {
            drop(pool.spawn_isolated(|| fail("dropped before the end")));
            let task = pool.spawn_isolated(|| fail("dropped after the end"));
            yield_now();
            assert!(task.is_finished());
        });
    });
    for text in ["dropped before the end", "dropped after the end"] {
        let lines = logged(text);
        assert_eq!(lines.len(), 1);
        assert!(lines[0].contains(file!()) && lines[0].contains("nobody joined it"), "{lines:?}");
    }
}

#[test]
fn an_isolated_task_gives_its_value_and_is_cancelled_with_its_pool() {
    run(|| {
        pool(|pool| {
            assert_eq!(pool.spawn_isolated(|| 5).join().unwrap(), 5);
            let task = pool.spawn_isolated(|| sleep_forever());
            yield_now();
            pool.cancel();
            assert!(task.join().unwrap_err().is_cancelled());
        });
    });
}

#[test]
fn an_isolated_panic_that_a_cancelled_join_gives_up_is_logged() {
    logged("");
    run(|| {
        let cut = cancellable(|pool| {
            let join = pool.spawn(|| pool.spawn_isolated(|| fail("given up by its joiner")).join());
            yield_now();
            // Now the joiner waits; it is woken, and cancelled before it goes on.
            pool.spawn(|| pool.cancel());
            join.join()
        });
        assert!(cut.is_none());
    });
    assert_eq!(logged("given up by its joiner").len(), 1);
}

#[test]
fn cancel_stops_a_task_that_has_not_begun() {
    run(|| {
        let drops = Drops::default();
        pool(|pool| {
            let one = drops.one();
            let task = pool.spawn(move || {
                let _one = one;
                unreachable!("it was started");
            });
            task.cancel();
            assert_eq!(drops.count(), 0);
            assert!(task.join().unwrap_err().is_cancelled());
            assert_eq!(drops.count(), 1);
        });
    });
}

#[test]
fn a_task_that_is_cancelled_before_it_could_panic_does_not_panic() {
    run(|| {
        pool(|pool| {
            pool.spawn(|| fail("it was started")).cancel();
        });
    });
}

#[test]
fn cancel_stops_a_task_that_could_run() {
    let steps = Cell::new(0);
    run(|| {
        pool(|pool| {
            let task = pool.spawn(|| {
                loop {
                    steps.set(steps.get() + 1);
                    yield_now();
                }
            });
            yield_now();
            yield_now();
            assert_eq!(steps.get(), 2);
            task.cancel();
            assert!(task.join().map(|never: ()| never).unwrap_err().is_cancelled());
            assert_eq!(steps.get(), 2);
        });
    });
}

#[test]
fn cancel_stops_one_task_and_not_its_siblings() {
    run_virtual(|| {
        let took = elapsed(|| {
            pool(|pool| {
                pool.spawn(|| sleep(secs(1)));
                let task = pool.spawn(|| sleep(secs(2)));
                yield_now();
                task.cancel();
                assert!(!pool.is_cancelled());
            });
        });
        assert_eq!(took, secs(1));
    });
}

#[test]
fn cancelling_a_task_reaches_the_pools_inside_of_it() {
    run_virtual(|| {
        let drops = Drops::default();
        pool(|outer| {
            let task = outer.spawn(|| {
                pool(|inner| {
                    for _ in 0..3 {
                        let one = drops.one();
                        inner.spawn(move || {
                            let _one = one;
                            sleep_forever()
                        });
                    }
                });
            });
            yield_now();
            yield_now();
            task.cancel();
            assert!(task.join().unwrap_err().is_cancelled());
            assert_eq!(drops.count(), 3);
        });
    });
}

#[test]
fn cancelling_twice_or_after_the_end_changes_nothing() {
    let cleaned_up = Cell::new(0);
    run_virtual(|| {
        pool(|pool| {
            let task = pool.spawn(|| 1);
            yield_now();
            task.cancel();
            task.cancel();
            assert_eq!(task.join().unwrap(), 1);

            let task = pool.spawn(|| {
                finally(sleep_forever, || {
                    sleep(secs(1));
                    cleaned_up.set(cleaned_up.get() + 1);
                })
            });
            yield_now();
            task.cancel();
            yield_now();
            task.cancel();
            assert!(task.join().map(|never: ()| never).unwrap_err().is_cancelled());
            assert_eq!(cleaned_up.get(), 1);
        });
    });
}

#[test]
fn a_task_that_cancels_itself_stops_at_its_next_checkpoint() {
    let log = Log::default();
    run(|| {
        pool(|pool| {
            let task = pool.spawn(|| {
                task::current().cancel();
                log.add("goes on");
                yield_now();
                log.add("not reached");
            });
            assert!(task.join().unwrap_err().is_cancelled());
        });
    });
    log.assert(&["goes on"]);
}

#[test]
fn a_tasks_locals_are_gone_when_join_returns() {
    run(|| {
        let drops = Drops::default();
        pool(|pool| {
            let one = drops.one();
            let task = pool.spawn(move || {
                let _one = one;
                sleep_forever()
            });
            yield_now();
            task.cancel();
            assert_eq!(drops.count(), 0);
            assert!(task.join().map(|never: ()| never).is_err());
            assert_eq!(drops.count(), 1);
        });
    });
}

#[test]
fn a_handle_tells_its_tasks_name_and_number() {
    run(|| {
        pool(|pool| {
            let task = named(pool, "worker", || (task::current().id(), task::current().name()));
            assert_eq!(task.name(), "worker");
            assert_eq!(
                format!("{task:?}"),
                format!("Task {{ id: {:?}, name: \"worker\", finished: false }}", task.id())
            );
            let id = task.id();
            assert_ne!(id, task::current().id());
            assert_eq!(task.join().unwrap(), (id, "worker".into()));
        });
    });
}
