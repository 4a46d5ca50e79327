//! `join`, `join_all`, `race`, `race_all`: several closures at once.

use crate::Drops;
use crate::Log;
use crate::elapsed;
use crate::fail;
use crate::logged;
use crate::panic_of;
use crate::raised;
use crate::secs;
use giambio::cancellable;
use giambio::finally;
use giambio::join;
use giambio::join_all;
use giambio::pool;
use giambio::race;
use giambio::race_all;
use giambio::shield;
use giambio::skip_after;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::task;
use giambio::testing::run_virtual;
use std::cell::Cell;

fn nap<T>(seconds: u64, value: T) -> T {
    sleep(secs(seconds));
    value
}

#[test]
fn smoke() {
    run_virtual(|| {
        assert_eq!(join(|| 1, || "two"), (1, "two"));
        assert_eq!(join_all([1, 2].map(|n| move || n)), [1, 2]);
        assert_eq!(race(|| nap(1, 1), || nap(2, 2)), 1);
        assert_eq!(race_all([2, 1].map(|n| move || nap(n, n))), Some(1));
    });
}

#[test]
fn both_closures_of_join_run_at_the_same_time() {
    run_virtual(|| {
        let took = elapsed(|| assert_eq!(join(|| nap(3, 'a'), || nap(2, 'b')), ('a', 'b')));
        assert_eq!(took, secs(3));
    });
}

#[test]
fn join_all_keeps_the_order_of_the_closures() {
    run_virtual(|| {
        let took = elapsed(|| {
            assert_eq!(join_all([3, 1, 2].map(|n| move || nap(n, n))), [3, 1, 2]);
        });
        assert_eq!(took, secs(3));
    });
}

#[test]
fn join_all_of_nothing_is_nothing() {
    run_virtual(|| assert!(join_all(Vec::<fn() -> i32>::new()).is_empty()));
}

#[test]
fn joined_closures_borrow_from_their_caller() {
    run_virtual(|| {
        let text = String::from("borrowed");
        let (mut left, mut right) = (0, 0);
        join(|| left = text.len(), || right = text.len() + 1);
        assert_eq!((left, right), (8, 9));
    });
}

#[test]
fn outside_of_run_joined_closures_run_one_after_the_other() {
    let log = Log::default();
    join(|| log.add("a"), || log.add("b"));
    join_all(["c", "d"].map(|name| {
        let log = &log;
        move || log.add(name)
    }));
    log.assert(&["a", "b", "c", "d"]);
}

#[test]
fn a_panic_in_either_cuts_the_other_and_goes_on() {
    for first in [true, false] {
        let drops = Drops::default();
        let said = panic_of(|| {
            run_virtual(|| {
                let counted = drops.one();
                let fails = || {
                    sleep(secs(1));
                    fail("failed")
                };
                let waits = move || {
                    let _counted = counted;
                    sleep_forever()
                };
                if first {
                    let _ = join(fails, waits);
                } else {
                    let _ = join(waits, fails);
                }
            });
        });
        assert_eq!((said.as_str(), drops.count()), ("failed", 1));
    }
}

#[test]
fn a_cancellation_from_outside_reaches_all_of_them() {
    run_virtual(|| {
        let drops = Drops::default();
        let counted = || {
            let counted = drops.one();
            move || {
                let _counted = counted;
                sleep_forever()
            }
        };
        let took = elapsed(|| {
            skip_after(secs(1), |_| join(counted(), counted()));
            skip_after(secs(1), |_| join_all([counted(), counted()]));
            skip_after(secs(1), |_| race::<()>(counted(), counted()));
            skip_after(secs(1), |_| race_all::<()>([counted(), counted()]));
        });
        assert_eq!((took, drops.count()), (secs(4), 8));
    });
}

#[test]
fn the_end_of_each_is_a_checkpoint() {
    run_virtual(|| {
        cancellable(|scope| {
            scope.cancel();
            assert!(raised(|| join(|| 1, || 2)));
            assert!(raised(|| join_all([|| 1])));
            assert!(raised(|| race(|| 1, || 2)));
            assert!(raised(|| race_all([|| 1])));
        });
    });
}

#[test]
fn the_loser_of_a_race_has_ended_when_it_returns() {
    run_virtual(|| {
        let log = Log::default();
        let took = elapsed(|| {
            let loser = || {
                finally(sleep_forever, || {
                    sleep(secs(2));
                    log.add("cleaned up");
                })
            };
            assert_eq!(race(|| nap(1, 7), loser), 7);
            log.add("returned");
        });
        assert_eq!(took, secs(3));
        log.assert(&["cleaned up", "returned"]);
    });
}

#[test]
fn the_value_of_a_loser_that_ends_all_the_same_is_dropped_and_logged() {
    logged(""); // switches the log on
    run_virtual(|| {
        let drops = Drops::default();
        let late = || {
            shield(|| sleep(secs(2)));
            Some(drops.one())
        };
        assert!(race(|| nap(1, None), late).is_none());
        assert_eq!(drops.count(), 1);
    });
    let lines = logged("ended after the race was won");
    assert!(lines.iter().any(|line| line.starts_with("DEBUG") && line.contains("combine.rs")));
}

#[test]
fn of_two_that_end_in_the_same_step_the_first_wins() {
    run_virtual(|| {
        assert_eq!(race(|| 1, || 2), 1);
        assert_eq!(race(|| nap(1, 1), || nap(1, 2)), 1);
    });
}

#[test]
fn a_task_that_never_began_because_the_race_was_won_never_runs() {
    run_virtual(|| assert_eq!(race(|| 1, || fail("it ran")), 1));
}

#[test]
fn a_panic_beats_a_value_that_came_before_it() {
    let said = panic_of(|| {
        run_virtual(|| race(|| nap(1, ()), || finally(sleep_forever, || fail("in cleanup"))));
    });
    assert_eq!(said, "in cleanup");
}

#[test]
fn a_race_whose_racers_cancel_themselves_has_no_winner() {
    let quit = || {
        task::current().cancel();
        sleep_forever()
    };
    let said = panic_of(|| run_virtual(|| race::<()>(quit, quit)));
    assert_eq!(said, "a race without a winner: every task has cancelled itself");
    let one_is_left = run_virtual(|| race(quit_as::<i32>, || nap(1, 5)));
    assert_eq!(one_is_left, 5);
}

fn quit_as<T>() -> T {
    task::current().cancel();
    sleep_forever()
}

#[test]
fn a_joined_task_that_cancels_itself_leaves_no_value_to_return() {
    let said = panic_of(|| run_virtual(|| join(|| nap(1, ()), quit_as::<()>)));
    assert!(said.starts_with("there is no value to return: task"), "{said}");
}

#[test]
fn a_race_of_nobody_has_no_value() {
    run_virtual(|| assert_eq!(race_all(Vec::<fn() -> i32>::new()), None));
}

#[test]
fn races_nest() {
    run_virtual(|| {
        let inner = |slow, fast| race(move || nap(slow, slow), move || nap(fast, fast));
        assert_eq!(race(|| inner(9, 4), || inner(8, 3)), 3);
    });
}

#[test]
fn a_race_outside_of_run_panics_and_says_where_it_works() {
    for said in [panic_of(|| race(|| 1, || 2)), panic_of(|| race_all([|| 1]))] {
        assert!(said.contains("giambio::run"), "{said}");
    }
}

#[test]
fn a_thousand_racers_end_with_one_winner() {
    run_virtual(|| {
        let ended = Cell::new(0);
        let drops = Drops::default();
        let racers = (0..1_000).map(|n| {
            let (counted, ended) = (drops.one(), &ended);
            move || {
                let _counted = counted;
                sleep(secs(1 + (n + 500) % 1_000));
                ended.set(ended.get() + 1);
                n
            }
        });
        assert_eq!(race_all(racers), Some(500));
        assert_eq!((ended.get(), drops.count()), (1, 1_000));
    });
}

#[test]
fn tasks_are_named_after_the_place_of_the_call() {
    run_virtual(|| {
        let (_, name) = join(|| (), || task::current().name());
        assert!(name.contains("combine.rs"), "{name}");
        for name in join_all([|| task::current().name()]) {
            assert!(name.contains("combine.rs"), "{name}");
        }
        let name = race(|| task::current().name(), String::new);
        assert!(name.contains("combine.rs"), "{name}");
        pool(|pool| {
            let names = pool.map([()], 1, |()| task::current().name());
            assert!(names.into_iter().all(|name| name.unwrap().contains("combine.rs")));
        });
    });
}
