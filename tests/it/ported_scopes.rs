//! What other runtimes test of cancellation, asked of ours: who is cut, when, why, and who says so.
//!
//! Above each test is where the question comes from. Where the answer differs there, the test says why.

use crate::Log;
use crate::elapsed;
use crate::fail;
use crate::panic_of;
use crate::raised;
use crate::secs;
use crate::unwind::OnDrop;
use crate::unwind::both;
use crate::unwind::in_destructor;
use giambio::OnFailure;
use giambio::Pool;
use giambio::Task;
use giambio::cancellable;
use giambio::clock;
use giambio::current_deadline;
use giambio::finally;
use giambio::pool;
use giambio::shield;
use giambio::shield_for;
use giambio::skip_after;
use giambio::sleep;
use giambio::task;
use giambio::task::TaskRef;
use giambio::testing::explore;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::with_timeout;
use giambio::yield_now;
use std::cell::Cell;
use std::cell::RefCell;

/// A task that cleans up for three seconds when it is cancelled.
fn slow_to_end<'scope>(pool: &'scope Pool<'scope, '_>) -> Task<'scope, ()> {
    pool.spawn(|| finally(|| sleep(secs(99)), || sleep(secs(3))))
}

/// Why a task was cancelled.
#[track_caller]
fn reason_of<T>(task: Task<'_, T>) -> Option<String> {
    let Err(error) = shield(|| task.join()) else { panic!("it has a value") };
    assert!(error.is_cancelled(), "{error}");
    error.cancel_reason().map(str::to_owned)
}

// trio: test_cancel_points.
#[test]
fn what_starts_a_task_or_asks_for_something_is_no_checkpoint() {
    run_virtual(|| {
        let value = cancellable(|scope| {
            scope.cancel_because("to see who raises");
            pool(|pool| {
                drop(pool.spawn_after(secs(1), || ()));
                drop(pool.spawn_daemon(|| ()));
                drop(pool.spawn_isolated(|| ()));
                pool.on_failure(OnFailure::CancelOthers);
                pool.set_deadline(Some(clock() + secs(1)));
                pool.cancel_because("not needed");
                drop(pool.map([1], 1, |_| ()));
                drop(pool.map_unordered([1], 1, |_| ()));
                assert_eq!(shield_for(secs(1), || 1), Some(1));
                let _ = (current_deadline(), pool.deadline(), task::current());
            });
            unreachable!("the end of the pool is one");
        });
        assert_eq!(value, None::<()>);
    });
}

// trio: test_unshield_while_cancel_propagating.
#[test]
fn a_shield_that_goes_up_while_a_cancellation_passes_does_not_catch_it() {
    run_virtual(|| {
        let log = Log::default();
        let took = elapsed(|| {
            let outer = cancellable(|outer| {
                let inner = cancellable(|_| {
                    let _guard = OnDrop::new(|| {
                        shield(|| sleep(secs(1)));
                        assert_eq!(shield_for(secs(5), || sleep(secs(1))), Some(()));
                    });
                    outer.cancel();
                    yield_now();
                });
                log.add(format!("inner {inner:?}"));
            });
            log.add(format!("outer {outer:?}"));
        });
        assert_eq!(took, secs(2));
        log.assert(&["outer None"]);
    });
}

// DESIGN: while a task unwinds, nothing is raised in it.
#[test]
fn a_shield_for_in_a_destructor_waits_for_as_long_as_it_takes() {
    both(|passing| {
        let took = elapsed(|| {
            let value = in_destructor(passing, || shield_for(secs(1), || sleep(secs(3))));
            assert_eq!(value, Some(()));
        });
        assert_eq!(took, secs(3));
    });
}

// curio: test_task_ready_cancel.
#[test]
fn a_sleeper_that_was_woken_before_it_was_cancelled_has_slept() {
    run_virtual(|| {
        let log = Log::default();
        let victim = RefCell::new(None);
        pool(|pool| {
            pool.spawn(|| {
                sleep(secs(1));
                victim.take().map(|victim: TaskRef| victim.cancel()).unwrap();
                log.add("cancelled");
            });
            pool.spawn(|| {
                *victim.borrow_mut() = Some(task::current());
                sleep(secs(1)); // wakes together with the other, as the second
                log.add("slept");
                yield_now();
                log.add("not reached");
            });
        });
        log.assert(&["cancelled", "slept"]);
    });
}

// curio: test_task_child_cancel.
#[test]
fn a_cancellation_cleans_up_from_the_leaves_of_the_tree_to_its_root() {
    fn generation<'env>(log: &'env Log, names: &'env [&'env str]) {
        let Some((name, younger)) = names.split_first() else { return sleep(secs(99)) };
        let live = || pool(|pool| drop(pool.spawn(move || generation(log, younger))));
        finally(live, || log.add(format!("{name} cleans up")));
    }
    run_virtual(|| {
        let log = Log::default();
        pool(|pool| {
            let task = pool.spawn(|| generation(&log, &["grandparent", "parent", "child"]));
            sleep(secs(1));
            log.add("cancelling");
            task.cancel();
            assert!(task.join().unwrap_err().is_cancelled());
            log.add("done");
        });
        log.assert(&[
            "cancelling",
            "child cleans up",
            "parent cleans up",
            "grandparent cleans up",
            "done",
        ]);
    });
}

// curio: test_task_cancel_timeout, "cancellation also cancels timeouts".
#[test]
fn a_timeout_that_passes_during_the_cleanup_of_a_cancellation_answers_nothing() {
    run_virtual(|| {
        let log = Log::default();
        pool(|pool| {
            let task = pool.spawn(|| {
                let late = with_timeout(secs(2), |_| {
                    finally(
                        || sleep(secs(5)),
                        || {
                            sleep(secs(3));
                            log.add("cleaned up");
                        },
                    );
                });
                log.add(format!("answered {late:?}"));
            });
            sleep(secs(1));
            task.cancel();
            assert!(task.join().unwrap_err().is_cancelled());
        });
        log.assert(&["cleaned up"]);
    });
}

// trio: test_cancel_reason_not_overwritten.
#[test]
fn a_reason_is_not_overwritten_by_a_deadline_nor_a_deadline_by_a_reason() {
    run_virtual(|| {
        pool(|pool| {
            let task = slow_to_end(pool);
            settle();
            pool.set_deadline(Some(clock() + secs(1)));
            pool.cancel_because("asked first");
            assert_eq!(reason_of(task).as_deref(), Some("asked first"));
        });
        pool(|pool| {
            let task = slow_to_end(pool);
            pool.set_deadline(Some(clock() + secs(1)));
            sleep(secs(2));
            pool.cancel_because("asked second");
            assert_eq!(reason_of(task).as_deref(), Some("a deadline has passed"));
        });
    });
}

// trio: test_cancel_reason, whose reason is that of the cancellation that was raised.
#[test]
fn what_is_cancelled_further_out_during_a_cleanup_is_not_the_reason() {
    run_virtual(|| {
        pool(|pool| {
            let by_handle = slow_to_end(pool);
            let by_pool = slow_to_end(pool);
            sleep(secs(1));
            by_handle.cancel_because("by its handle");
            sleep(secs(1));
            pool.cancel_because("by its pool");
            assert_eq!(reason_of(by_handle).as_deref(), Some("by its handle"));
            assert_eq!(reason_of(by_pool).as_deref(), Some("by its pool"));
        });
    });
}

// trio: test_cancel_reason_nursery, test_nested_child_source.
#[test]
fn the_failure_of_a_body_or_of_a_sibling_is_a_reason_for_early_and_late_children() {
    run_virtual(|| {
        let reasons = RefCell::new(Vec::new());
        let text = panic_of(|| {
            pool(|pool| {
                let early = slow_to_end(pool);
                let ask = || {
                    let late: Task<'_, ()> = pool.spawn(|| unreachable!("it was started"));
                    let both = [reason_of(early), reason_of(late)];
                    reasons.borrow_mut().extend(both);
                };
                pool.spawn(|| finally(|| sleep(secs(99)), ask));
                settle();
                fail("body");
            });
        });
        assert_eq!(text, "body");
        let reasons = reasons.take();
        assert_eq!(reasons, [(); 2].map(|()| Some("its pool has failed".into())));
    });
}

// DESIGN: `None` only if this scope's cancellation actually cut the body or a child.
#[test]
fn a_deadline_that_passes_while_others_clean_up_costs_no_value() {
    run_virtual(|| {
        let value = skip_after(secs(2), |pool| {
            let task = slow_to_end(pool);
            sleep(secs(1));
            task.cancel();
            "stopped by its handle"
        });
        assert_eq!(value, Some("stopped by its handle"));
        let value = with_timeout(secs(2), |pool| {
            pool.spawn_daemon(|| finally(|| sleep(secs(99)), || sleep(secs(3))));
            sleep(secs(1));
            "stopped as a daemon"
        });
        assert_eq!(value, Ok("stopped as a daemon"));
        let value = skip_after(secs(2), |pool| {
            slow_to_end(pool);
            sleep(secs(1));
        });
        assert_eq!(value, None, "cut by the deadline itself");
    });
}

// trio: test_cancel_inheritance; eio, fiber.md: a race of cancellation and result.
#[test]
fn a_task_that_is_cancelled_when_it_ends_is_one_or_the_other_in_every_order() {
    let (values, errors) = (Cell::new(0), Cell::new(0));
    explore(0..100, || {
        let ended = Cell::new(false);
        pool(|pool| {
            let task = pool.spawn(|| {
                yield_now();
                ended.set(true);
                7
            });
            let canceller = pool.spawn(|| {
                yield_now();
                task.cancel();
                task
            });
            match canceller.join().unwrap().join() {
                Ok(value) => {
                    assert_eq!((value, ended.get()), (7, true));
                    values.set(values.get() + 1);
                }
                Err(error) => {
                    assert!(error.is_cancelled() && !ended.get());
                    errors.set(errors.get() + 1);
                }
            }
        });
    });
    assert!(values.get() > 0 && errors.get() > 0, "{values:?} {errors:?}");
}

// libdill: go3.c.
#[test]
fn every_call_of_a_cancelled_task_fails_and_not_only_the_first() {
    run_virtual(|| {
        let failed = Cell::new(0);
        let took = elapsed(|| {
            pool(|pool| {
                let tasks = [(); 3].map(|()| {
                    pool.spawn(|| {
                        for _ in 0..2 {
                            assert!(raised(|| sleep(secs(1000))));
                            failed.set(failed.get() + 1);
                        }
                    })
                });
                settle();
                tasks.iter().for_each(Task::cancel);
                tasks.into_iter().for_each(|task| task.join().unwrap());
            });
        });
        assert_eq!((took, failed.get()), (secs(0), 6));
    });
}
