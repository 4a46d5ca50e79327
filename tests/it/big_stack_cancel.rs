//! Cancellations that reach a call on a big stack.

use crate::Drops;
use crate::Log;
use crate::big_stack::live;
use crate::big_stack::nested;
use crate::big_stack::small;
use crate::elapsed;
use crate::raised;
use crate::secs;
use giambio::cancellable;
use giambio::on_big_stack;
use giambio::pool;
use giambio::run;
use giambio::shield;
use giambio::skip_after;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::task;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::with_timeout;
use giambio::yield_now;
use std::cell::Cell;
use std::time::Duration;

const MIB: usize = 1 << 20;

#[test]
fn smoke() {
    run_virtual(|| {
        let cut = skip_after(secs(1), |_| on_big_stack(MIB, sleep_forever));
        assert_eq!((cut, live()), (None::<()>, 1));
    });
}

#[test]
fn a_call_is_no_checkpoint() {
    run(|| {
        let reached = Cell::new(false);
        pool(|pool| {
            let task = pool.spawn(|| {
                task::current().cancel();
                assert_eq!(nested(3, || 7), 7);
                reached.set(true);
                on_big_stack(MIB, yield_now)
            });
            assert!(task.join().unwrap_err().is_cancelled());
            assert!(reached.get());
        });
    });
}

#[test]
fn a_cancellation_swallowed_inside_is_raised_again_inside_and_outside() {
    run(|| {
        let cut = cancellable(|pool| {
            pool.cancel();
            on_big_stack(MIB, || {
                assert!(raised(yield_now));
                assert!(raised(|| nested(2, yield_now)));
            });
            assert!(raised(|| on_big_stack(MIB, yield_now)));
            yield_now();
        });
        assert!(cut.is_none());
        assert!(!raised(yield_now));
    });
}

#[test]
fn a_scope_opened_inside_is_cancelled_from_inside() {
    run_virtual(|| {
        let value = on_big_stack(MIB, || {
            let cut = cancellable(|pool| {
                pool.cancel();
                on_big_stack(MIB, sleep_forever)
            });
            assert_eq!((cut, live()), (None::<()>, 2));
            yield_now(); // it was not ours
            7
        });
        assert_eq!(value, 7);
    });
}

#[test]
fn a_scope_opened_inside_is_cancelled_from_outside() {
    run_virtual(|| {
        let scope = Cell::new(None);
        pool(|pool| {
            let task = small(pool, || {
                on_big_stack(MIB, || {
                    let cut = cancellable(|inner| {
                        scope.set(Some(inner.canceller()));
                        inner.spawn(|| on_big_stack(MIB, sleep_forever));
                        on_big_stack(MIB, sleep_forever)
                    });
                    assert_eq!(cut, None::<()>);
                    sleep(secs(1));
                    "went on"
                })
            });
            settle();
            scope.take().unwrap().cancel();
            assert_eq!(task.join().unwrap(), "went on");
        });
        assert_eq!(live(), 1);
    });
}

#[test]
fn of_nested_timeouts_on_both_sides_each_answers_for_itself() {
    run_virtual(|| {
        let nap = |outer, inner| {
            with_timeout(secs(outer), |_| {
                on_big_stack(MIB, || {
                    with_timeout(secs(inner), |_| on_big_stack(MIB, || sleep(secs(9)))).is_err()
                })
            })
        };
        assert_eq!(nap(5, 2), Ok(true));
        assert!(nap(2, 5).is_err());
        assert_eq!(nap(20, 10), Ok(false));
        assert_eq!(live(), 1);
    });
}

#[test]
fn tasks_cancelled_while_parked_at_many_depths_leave_nothing_behind() {
    run_virtual(|| {
        let drops = Drops::default();
        pool(|pool| {
            for depth in 0..20 {
                let one = drops.one();
                let wait = move || -> () {
                    let _one = one;
                    sleep_forever()
                };
                pool.spawn(move || nested(depth, wait));
            }
            settle();
            assert_eq!((live(), drops.count()), (1 + 20 + (0..20).sum::<usize>(), 0));
            pool.cancel();
        });
        assert_eq!((live(), drops.count()), (1, 20));
    });
}

#[test]
fn a_task_cancelled_under_a_shield_on_nested_stacks_goes_on_until_its_end() {
    run_virtual(|| {
        let log = Log::default();
        pool(|pool| {
            let task = small(pool, || {
                on_big_stack(MIB, || {
                    shield(|| {
                        nested(3, || {
                            sleep(secs(5));
                            log.add("slept");
                        });
                        yield_now();
                        log.add("still shielded");
                    });
                    log.add("after the shield");
                    yield_now();
                    unreachable!("the shield is gone");
                })
            });
            sleep(secs(1));
            task.cancel();
            let took = elapsed(|| assert!(task.join().unwrap_err().is_cancelled()));
            assert_eq!((took, live()), (secs(4), 1));
        });
        log.assert(&["slept", "still shielded", "after the shield"]);
    });
}

#[test]
fn a_deadline_that_passes_during_a_deep_computation_cuts_at_its_first_checkpoint() {
    run_virtual(|| {
        let reached = Cell::new(false);
        let cut = skip_after(Duration::ZERO, |_| {
            on_big_stack(MIB, || {
                crate::dig(MIB / 2);
                reached.set(true);
                yield_now();
                unreachable!("the deadline has passed");
            })
        });
        assert_eq!((cut, reached.get()), (None::<()>, true));
    });
}

#[test]
fn another_thread_cancels_what_is_parked_inside() {
    run(|| {
        let cut = cancellable(|pool| {
            let canceller = pool.canceller();
            std::thread::spawn(move || canceller.cancel());
            pool.spawn(|| nested(2, sleep_forever));
            nested(3, sleep_forever)
        });
        assert_eq!((cut, live()), (None::<()>, 1));
    });
}

#[test]
fn a_child_spawned_from_inside_into_a_cancelled_pool_never_runs() {
    run(|| {
        let drops = Drops::default();
        pool(|pool| {
            pool.cancel();
            let one = drops.one();
            let task = on_big_stack(MIB, || {
                pool.spawn(|| {
                    let _one = one;
                    unreachable!("its pool was cancelled before");
                })
            });
            assert!(on_big_stack(MIB, || task.join()).unwrap_err().is_cancelled());
        });
        assert_eq!((drops.count(), live()), (1, 1));
    });
}
