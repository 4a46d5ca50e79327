//! Deadlines: who is too slow, and who answers for it.

use crate::Drops;
use crate::Log;
use crate::elapsed;
use crate::fail;
use crate::ms;
use crate::panic_of;
use crate::raised;
use crate::secs;
use giambio::TooSlow;
use giambio::cancellable;
use giambio::clock;
use giambio::finally;
use giambio::pool;
use giambio::run;
use giambio::shield;
use giambio::skip_after;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::sleep_until;
use giambio::testing::run_virtual;
use giambio::try_pool;
use giambio::with_timeout;
use giambio::yield_now;
use std::cell::Cell;
use std::time::Duration;

#[test]
fn smoke() {
    run_virtual(|| {
        assert_eq!(with_timeout(secs(2), |_| sleep(secs(1))), Ok(()));
        assert_eq!(with_timeout(secs(2), |_| sleep(secs(3))), Err(TooSlow));
    });
}

#[test]
fn a_timeout_counts_from_its_call_and_is_kept_to_the_nanosecond() {
    run_virtual(|| {
        sleep(secs(10));
        let took = elapsed(|| {
            assert_eq!(
                with_timeout(Duration::from_nanos(7), |_| sleep_forever()),
                Err::<(), _>(TooSlow)
            );
        });
        assert_eq!(took, Duration::from_nanos(7));
    });
}

#[test]
fn a_timeout_stops_the_body_and_every_child() {
    run_virtual(|| {
        let drops = Drops::default();
        let took = elapsed(|| {
            let result = with_timeout(secs(5), |pool| {
                for seconds in [1, 10, 20] {
                    let one = drops.one();
                    pool.spawn(move || {
                        let _one = one;
                        sleep(secs(seconds));
                    });
                }
                sleep(secs(2));
                assert_eq!(drops.count(), 1);
                sleep_forever()
            });
            assert_eq!(result, Err::<(), _>(TooSlow));
        });
        assert_eq!((took, drops.count()), (secs(5), 3));
    });
}

#[test]
fn a_timeout_that_only_a_child_has_missed_gives_no_value() {
    run_virtual(|| {
        let took = elapsed(|| {
            let cut = skip_after(secs(5), |pool| drop(pool.spawn(|| sleep(secs(10)))));
            assert_eq!(cut, None);
        });
        assert_eq!(took, secs(5));
    });
}

#[test]
fn who_ends_at_the_deadline_sharp_is_not_too_slow_if_it_set_its_own_alarm_first() {
    run_virtual(|| {
        // Equal deadlines fire in the order in which they were set.
        assert_eq!(skip_after(secs(1), |_| sleep(secs(1))), None);
        let start = clock();
        let value = cancellable(|pool| {
            let task = pool.spawn(|| sleep_until(start + secs(1)));
            yield_now();
            pool.set_deadline(Some(start + secs(1)));
            shield(|| sleep(secs(1)));
            drop(task);
        });
        assert_eq!(value, Some(()));
    });
}

#[test]
fn a_timeout_of_zero_cancels_at_the_first_checkpoint() {
    run_virtual(|| {
        let log = Log::default();
        let cut = skip_after(secs(0), |_| {
            log.add("before");
            yield_now();
            log.add("after");
        });
        assert_eq!(cut, None);
        log.assert(&["before"]);
        assert_eq!(with_timeout(secs(0), |_| 1), Ok(1));
        assert_eq!(with_timeout(secs(0), |pool| drop(pool.spawn(|| ()))), Err(TooSlow));
        assert!(!raised(yield_now));
    });
}

#[test]
fn a_timeout_beyond_the_clock_never_comes() {
    run_virtual(|| {
        let value = skip_after(Duration::MAX, |pool| {
            assert_eq!(pool.deadline(), None);
            sleep(secs(1 << 30));
            1
        });
        assert_eq!(value, Some(1));
    });
}

#[test]
fn a_body_that_met_no_checkpoint_gives_its_value_however_late() {
    run_virtual(|| {
        let value = with_timeout(secs(1), |pool| {
            shield(|| sleep(secs(60)));
            assert!(pool.is_cancelled());
            1
        });
        assert_eq!(value, Ok(1));
    });
}

#[test]
fn an_inner_timeout_that_passes_first_is_answered_inside() {
    run_virtual(|| {
        let took = elapsed(|| {
            let outer = with_timeout(secs(5), |_| {
                assert_eq!(with_timeout(secs(2), |_| sleep_forever()), Err::<(), _>(TooSlow));
                sleep(secs(2));
                1
            });
            assert_eq!(outer, Ok(1));
        });
        assert_eq!(took, secs(4));
    });
}

#[test]
fn an_outer_timeout_that_passes_first_is_answered_outside() {
    run_virtual(|| {
        let took = elapsed(|| {
            let outer = with_timeout(secs(2), |_| {
                let inner = with_timeout(secs(5), |_| sleep_forever());
                unreachable!("the inner timeout has answered: {inner:?}");
            });
            assert_eq!(outer, Err::<(), _>(TooSlow));
        });
        assert_eq!(took, secs(2));
    });
}

#[test]
fn of_two_timeouts_that_have_passed_each_answers_for_itself() {
    run_virtual(|| {
        for (outer_secs, inner_secs) in [(1, 2), (2, 1), (1, 1)] {
            let outer = with_timeout(secs(outer_secs), |outer| {
                let inner = with_timeout(secs(inner_secs), |inner| {
                    shield(|| sleep(secs(3)));
                    assert!(outer.is_cancelled() && inner.is_cancelled());
                    yield_now();
                });
                unreachable!("the inner timeout has answered: {inner:?}");
            });
            assert_eq!(outer, Err::<(), _>(TooSlow));
        }
    });
}

#[test]
fn an_inner_timeout_inside_of_a_shield_still_counts() {
    run_virtual(|| {
        let log = Log::default();
        let outer = with_timeout(secs(1), |_| {
            shield(|| {
                let inner = with_timeout(secs(2), |_| sleep_forever());
                log.add(format!("{:?}", inner.map(|never: ()| never)));
                sleep(secs(1));
                log.add("shielded");
            });
            yield_now();
            log.add("not reached");
        });
        assert_eq!(outer, Err(TooSlow));
        log.assert(&["Err(TooSlow)", "shielded"]);
    });
}

#[test]
fn a_timeout_in_a_child_is_answered_in_the_child() {
    run_virtual(|| {
        let outer = with_timeout(secs(5), |pool| {
            let task = pool.spawn(|| with_timeout(secs(2), |_| sleep(secs(60))));
            assert_eq!(task.join().unwrap(), Err(TooSlow));
            sleep_forever()
        });
        assert_eq!(outer, Err::<(), _>(TooSlow));
    });
}

#[test]
fn a_deadline_moves_while_the_body_is_blocked() {
    run_virtual(|| {
        for (set, moved, expected) in [(2, 5, 5), (5, 2, 2)] {
            let took = elapsed(|| {
                let start = clock();
                let cut = skip_after(secs(set), |pool| {
                    assert_eq!(pool.deadline(), Some(start + secs(set)));
                    pool.spawn(move || {
                        sleep(secs(1));
                        pool.set_deadline(Some(start + secs(moved)));
                        assert_eq!(pool.deadline(), Some(start + secs(moved)));
                    });
                    sleep_forever()
                });
                assert_eq!(cut, None::<()>);
            });
            assert_eq!(took, secs(expected));
        }
    });
}

#[test]
fn a_deadline_that_is_taken_away_does_not_come() {
    run_virtual(|| {
        let value = skip_after(secs(2), |pool| {
            pool.spawn(|| {
                sleep(secs(1));
                pool.set_deadline(None);
                assert_eq!(pool.deadline(), None);
            });
            sleep(secs(60));
            1
        });
        assert_eq!(value, Some(1));
    });
}

#[test]
fn a_deadline_in_the_past_cancels_as_soon_as_the_task_parks() {
    run_virtual(|| {
        sleep(secs(10));
        let took = elapsed(|| {
            let cut = cancellable(|pool| {
                pool.set_deadline(Some(clock() - secs(5)));
                assert!(!pool.is_cancelled());
                sleep(secs(1));
            });
            assert_eq!(cut, None);
        });
        assert_eq!(took, secs(0));
    });
}

#[test]
fn a_deadline_that_has_passed_cannot_be_taken_back() {
    run_virtual(|| {
        let cut = skip_after(secs(1), |pool| {
            shield(|| sleep(secs(2)));
            pool.set_deadline(None);
            yield_now();
        });
        assert_eq!(cut, None);
    });
}

#[test]
fn a_deadline_of_a_plain_pool_stops_the_children_and_not_the_body() {
    run_virtual(|| {
        let took = elapsed(|| {
            let value = pool(|pool| {
                pool.set_deadline(Some(clock() + secs(2)));
                let task = pool.spawn(|| sleep(secs(60)));
                assert!(task.join().unwrap_err().is_cancelled());
                sleep(secs(1));
                1
            });
            assert_eq!(value, 1);
            let result = try_pool(|pool| {
                pool.set_deadline(Some(clock() + secs(2)));
                pool.spawn(|| -> Result<(), ()> { sleep_forever() });
                Ok::<_, ()>(2)
            });
            assert_eq!(result, Ok(2));
        });
        assert_eq!(took, secs(5));
    });
}

#[test]
fn many_equal_deadlines_fire_in_the_order_in_which_they_were_set() {
    let log = Log::default();
    run_virtual(|| {
        pool(|pool| {
            for number in 0..10 {
                let log = &log;
                pool.spawn(move || {
                    skip_after(secs(1), |_| finally(sleep_forever, || log.add(number.to_string())))
                        .unwrap_or(())
                });
            }
        });
    });
    log.assert(&["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
}

#[test]
fn a_panic_beats_a_deadline_that_has_passed() {
    run_virtual(|| {
        let body = panic_of(|| {
            with_timeout(secs(1), |_| {
                shield(|| sleep(secs(2)));
                fail("body");
            })
        });
        assert_eq!(body, "body");
        let child = panic_of(|| {
            with_timeout(secs(1), |pool| {
                pool.spawn(|| finally(sleep_forever, || fail("cleanup of a child")));
                sleep_forever()
            })
            .map(|never: ()| never)
        });
        assert_eq!(child, "cleanup of a child");
    });
}

#[test]
fn an_outer_cancellation_beats_a_timeout_that_has_answered() {
    run_virtual(|| {
        let cut = cancellable(|outer| {
            let inner = raised(|| {
                with_timeout(secs(1), |_| {
                    finally(sleep_forever, || outer.cancel());
                })
            });
            assert!(inner);
            yield_now();
        });
        assert_eq!(cut, None);
    });
}

#[test]
fn a_deadline_is_seen_by_who_only_yields() {
    // In real time: a virtual clock stands still while anything can run.
    run(|| {
        let cut = skip_after(ms(5), |_| {
            loop {
                yield_now();
            }
        });
        assert_eq!(cut, None::<()>);
    });
}

#[test]
fn tasks_that_wake_each_other_do_not_starve_a_deadline() {
    run(|| {
        let turns = Cell::new(0_u64);
        let cut = skip_after(ms(5), |pool| {
            for _ in 0..2 {
                pool.spawn(|| {
                    loop {
                        turns.set(turns.get() + 1);
                        yield_now();
                    }
                });
            }
            sleep_forever()
        });
        assert_eq!(cut, None::<()>);
        assert!(turns.get() > 2);
    });
}
