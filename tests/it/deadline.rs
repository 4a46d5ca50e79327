//! Deadlines that move, deadlines that are asked for, and `shield_for`.

use crate::Drops;
use crate::Log;
use crate::elapsed;
use crate::fail;
use crate::panic_of;
use crate::raised;
use crate::secs;
use giambio::cancellable;
use giambio::clock;
use giambio::current_deadline;
use giambio::finally;
use giambio::on_big_stack;
use giambio::pool;
use giambio::run;
use giambio::shield;
use giambio::shield_for;
use giambio::skip_after;
use giambio::sleep;
use giambio::testing::run_virtual;
use giambio::with_timeout;
use giambio::yield_now;
use std::time::Duration;

/// How long until the running task would be cut.
fn left() -> Option<Duration> {
    current_deadline().map(|at| at - clock())
}

#[test]
fn smoke() {
    run_virtual(|| {
        assert_eq!(skip_after(secs(2), |_| left()), Some(Some(secs(2))));
        assert_eq!(shield_for(secs(2), || 1), Some(1));
    });
}

#[test]
fn a_deadline_can_be_moved_while_its_tasks_wait() {
    run_virtual(|| {
        for (to, expected) in [(Some(7), 7), (Some(2), 2), (None, 9)] {
            let took = elapsed(|| {
                pool(|pool| {
                    let start = clock();
                    pool.set_deadline(Some(start + secs(5)));
                    pool.spawn(|| sleep(secs(9)));
                    sleep(secs(1));
                    pool.set_deadline(to.map(|seconds| start + secs(seconds)));
                });
            });
            assert_eq!(took, secs(expected), "moved to {to:?}");
        }
    });
}

#[test]
fn a_body_can_move_its_own_deadline() {
    run_virtual(|| {
        let took = elapsed(|| {
            let cut = skip_after(secs(2), |pool| {
                for _ in 0..3 {
                    sleep(secs(1));
                    pool.set_deadline(Some(clock() + secs(2))); // it makes progress
                }
                sleep_forever::<()>()
            });
            assert_eq!(cut, None::<()>);
        });
        assert_eq!(took, secs(5));
    });
}

#[test]
fn a_child_can_move_the_deadline_that_its_parent_waits_under() {
    run_virtual(|| {
        let took = elapsed(|| {
            skip_after(secs(2), |pool| {
                pool.spawn(|| {
                    sleep(secs(1));
                    pool.set_deadline(Some(clock() + secs(9)));
                });
                sleep(secs(5));
            });
        });
        assert_eq!(took, secs(5));
    });
}

#[test]
fn there_is_no_deadline_outside_of_a_timeout_and_outside_of_run() {
    assert_eq!(current_deadline(), None);
    run(|| {
        assert_eq!(current_deadline(), None);
        pool(|pool| assert_eq!(pool.spawn(current_deadline).join().unwrap(), None));
        cancellable(|_| assert_eq!(current_deadline(), None));
    });
}

#[test]
fn the_earliest_deadline_counts_whoever_set_it() {
    run_virtual(|| {
        skip_after(secs(5), |_| {
            skip_after(secs(9), |_| assert_eq!(left(), Some(secs(5))));
            skip_after(secs(3), |_| assert_eq!(left(), Some(secs(3))));
            assert_eq!(left(), Some(secs(5)));
        });
        assert_eq!(left(), None);
    });
}

#[test]
fn a_childs_deadline_is_its_pools() {
    run_virtual(|| {
        pool(|pool| {
            pool.set_deadline(Some(clock() + secs(4)));
            assert_eq!(pool.spawn(left).join().unwrap(), Some(secs(4)));
            assert_eq!(left(), None); // the body is not cut
        });
    });
}

#[test]
fn a_shield_hides_the_deadlines_outside_of_it_and_not_those_inside() {
    run_virtual(|| {
        skip_after(secs(5), |_| {
            shield(|| {
                assert_eq!(left(), None);
                skip_after(secs(9), |_| assert_eq!(left(), Some(secs(9))));
            });
            shield_for(secs(7), || assert_eq!(left(), Some(secs(7))));
            on_big_stack(1 << 20, || assert_eq!(left(), Some(secs(5))));
        });
    });
}

#[test]
fn a_moved_deadline_is_seen() {
    run_virtual(|| {
        skip_after(secs(5), |pool| {
            pool.set_deadline(Some(clock() + secs(8)));
            assert_eq!(left(), Some(secs(8)));
            pool.set_deadline(None);
            assert_eq!(left(), None);
        });
    });
}

#[test]
fn shield_for_cuts_its_closure_itself() {
    run_virtual(|| {
        let took = elapsed(|| assert_eq!(shield_for(secs(2), sleep_forever::<()>), None));
        assert_eq!(took, secs(2));
    });
}

/// `sleep_forever` where a type is asked for.
fn sleep_forever<T>() -> T {
    giambio::sleep_forever()
}

#[test]
fn shield_for_keeps_what_is_outside_away_until_it_has_ended() {
    run_virtual(|| {
        let log = Log::default();
        let took = elapsed(|| {
            skip_after(secs(1), |_| {
                let value = shield_for(secs(5), || {
                    sleep(secs(3));
                    7
                });
                log.add(format!("{value:?}"));
                yield_now();
                unreachable!();
            });
        });
        assert_eq!(took, secs(3));
        log.assert(&["Some(7)"]);
    });
}

#[test]
fn a_shield_for_that_is_cut_lets_the_outer_cancellation_through_at_the_next_checkpoint() {
    run_virtual(|| {
        cancellable(|scope| {
            scope.cancel();
            assert_eq!(shield_for(secs(2), sleep_forever::<()>), None);
            assert!(raised(yield_now));
        });
    });
}

#[test]
fn shield_for_no_time_cancels_at_the_first_checkpoint() {
    run_virtual(|| {
        assert_eq!(shield_for(secs(0), || 1), Some(1));
        assert_eq!(shield_for(secs(0), yield_now), None);
    });
}

#[test]
fn shield_for_lets_panics_through() {
    let said = panic_of(|| run_virtual(|| shield_for(secs(1), || fail("inside"))));
    assert_eq!(said, "inside");
}

#[test]
fn shield_for_runs_destructors_and_cleanups() {
    run_virtual(|| {
        let drops = Drops::default();
        let took = elapsed(|| {
            shield_for(secs(1), || {
                let _counted = drops.one();
                finally(sleep_forever::<()>, || sleep(secs(2)))
            });
        });
        assert_eq!((took, drops.count()), (secs(3), 1));
    });
}

#[test]
fn shield_for_outside_of_run_only_calls() {
    assert_eq!(shield_for(secs(0), || 3), Some(3));
}

#[test]
fn a_pool_inside_of_shield_for_is_cut_with_it() {
    run_virtual(|| {
        let took = elapsed(|| {
            let cut = shield_for(secs(2), || {
                pool(|pool| {
                    pool.spawn(sleep_forever::<()>);
                });
            });
            assert_eq!(cut, None);
        });
        assert_eq!(took, secs(2));
    });
}

#[test]
fn a_timeout_inside_of_shield_for_answers_for_itself() {
    run_virtual(|| {
        let value = shield_for(secs(5), || with_timeout(secs(1), |_| sleep_forever::<()>()));
        assert_eq!(value, Some(Err(giambio::TooSlow)));
    });
}

#[test]
fn scopes_nest_to_ten_thousand_levels() {
    fn nested(levels: usize) -> usize {
        if levels == 0 {
            assert_eq!(left(), Some(secs(1)));
            return sleep_forever();
        }
        match levels % 3 {
            0 => cancellable(|_| nested(levels - 1)).unwrap_or(0),
            1 => skip_after(secs(100), |_| nested(levels - 1)).unwrap_or(0),
            _ => pool(|_| nested(levels - 1)),
        }
    }
    run_virtual(|| {
        // Only the outermost catches, through all of them.
        let took = elapsed(|| {
            let cut = skip_after(secs(1), |_| on_big_stack(512 << 20, || nested(10_000)));
            assert_eq!(cut, None);
        });
        assert_eq!(took, secs(1));
    });
}
