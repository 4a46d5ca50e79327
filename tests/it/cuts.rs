//! A scenario that is cut at each of its checkpoints in turn.

use crate::Drops;
use crate::Log;
use crate::checkpoints::checkpoints_of;
use crate::logged;
use crate::ms;
use crate::named;
use crate::panic_of;
use crate::secs;
use crate::tcp::pair;
use giambio::cancellable;
use giambio::finally;
use giambio::pool;
use giambio::shield;
use giambio::sleep;
use giambio::sync::Semaphore;
use giambio::task;
use giambio::testing::Cut;
use giambio::testing::Schedule;
use giambio::testing::cancelled_at_every_checkpoint;
use giambio::testing::explore;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::yield_now;
use std::cell::Cell;
use std::io::Read;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

/// Where a scenario was cut, and how far it came each time.
fn cuts(scenario: impl Fn(&Log)) -> (u64, Vec<String>) {
    let log = Log::default();
    let count = cancelled_at_every_checkpoint(|cut| {
        log.add(cut.at().to_string());
        let came_through = cut.run(|| scenario(&log)).is_some();
        log.add(if came_through { "through" } else { "cut" });
    });
    (count, log.take())
}

#[test]
fn a_scenario_is_cut_at_each_of_its_checkpoints_and_then_at_none() {
    run_virtual(|| {
        let (count, log) = cuts(|log| {
            log.add("a");
            yield_now();
            log.add("b");
            sleep(secs(1));
            log.add("c");
        });
        assert_eq!(count, 2);
        let all = ["1", "a", "cut", "2", "a", "b", "cut", "3", "a", "b", "c", "through"];
        assert_eq!(log, all);
    });
}

#[test]
fn a_scenario_without_checkpoints_runs_once() {
    run_virtual(|| assert_eq!(cuts(|_| ()), (0, vec!["1".into(), "through".into()])));
}

#[test]
fn a_cut_reaches_the_tasks_of_the_scenario_at_their_checkpoints() {
    run_virtual(|| {
        let drops = Drops::default();
        let runs = Cell::new(0);
        let count = cancelled_at_every_checkpoint(|cut| {
            runs.set(runs.get() + 1);
            let before = drops.count();
            cut.run(|| {
                pool(|pool| {
                    for n in 0..3 {
                        let counted = drops.one();
                        pool.spawn(move || {
                            let _counted = counted;
                            for _ in 0..n {
                                sleep(secs(1));
                            }
                        });
                    }
                });
            });
            assert_eq!(drops.count() - before, 3, "a child outlived its pool");
            assert_eq!(giambio::debug::stacks().unwrap().live, 1);
        });
        assert_eq!((count, runs.get()), (4, 5));
    });
}

#[test]
fn a_cut_under_a_shield_is_raised_behind_it() {
    run_virtual(|| {
        let (count, log) = cuts(|log| {
            shield(|| {
                yield_now();
                yield_now();
                log.add("saved");
            });
            log.add("behind");
            yield_now();
        });
        assert_eq!(count, 3);
        let cut = ["saved", "behind", "cut"];
        let all = ["1"].iter().chain(&cut).chain(&["2"]).chain(&cut).chain(&["3"]).chain(&cut);
        let all: Vec<_> = all.chain(&["4", "saved", "behind", "through"]).copied().collect();
        assert_eq!(log, all);
    });
}

#[test]
fn a_cut_in_a_body_is_followed_by_its_cleanup() {
    run_virtual(|| {
        let (count, log) = cuts(|log| {
            finally(
                || sleep(secs(1)),
                || {
                    sleep(secs(1));
                    log.add("cleaned up");
                },
            );
        });
        assert_eq!(count, 2); // one of them in the cleanup, which it does not cut
        let all = ["1", "cleaned up", "cut", "2", "cleaned up", "through", "3", "cleaned up"];
        assert_eq!(log, [&all[..], &["through"]].concat());
    });
}

#[test]
fn a_scenario_that_swallows_its_cut_meets_it_again_and_the_count_is_right() {
    run_virtual(|| {
        let (count, log) = cuts(|log| {
            for _ in 0..3 {
                let swallowed = catch_unwind(AssertUnwindSafe(yield_now)).is_err();
                log.add(if swallowed { "raised" } else { "passed" });
            }
        });
        assert_eq!(count, 3);
        let [raised, passed, through] = ["raised", "passed", "through"];
        let all = [
            &["1", raised, raised, raised, through],
            &["2", passed, raised, raised, through],
            &["3", passed, passed, raised, through],
            &["4", passed, passed, passed, through],
        ];
        assert_eq!(log, all.map(|run| run.to_vec()).concat());
    });
}

#[test]
fn where_nothing_may_unwind_a_cut_waits() {
    run_virtual(|| {
        let (count, log) = cuts(|log| {
            task::no_unwind(|| {
                sleep(secs(1));
                log.add("slept");
            });
            yield_now();
        });
        assert_eq!(count, 2);
        let all = ["1", "slept", "cut", "2", "slept", "cut", "3", "slept", "through"];
        assert_eq!(log, all);
    });
}

#[test]
fn a_scenario_has_to_call_run_once() {
    run_virtual(|| {
        let text = panic_of(|| cancelled_at_every_checkpoint(|_| ()));
        assert_eq!(text, "the scenario did not call `Cut::run`");
        let twice = |cut: &Cut| {
            cut.run(|| ());
            cut.run(|| ());
        };
        let text = panic_of(|| cancelled_at_every_checkpoint(twice));
        assert_eq!(text, "the scenario called `Cut::run` twice");
        let nested = |cut: &Cut| _ = cut.run(|| cut.run(|| ()));
        let text = panic_of(|| cancelled_at_every_checkpoint(nested));
        assert_eq!(text, "the scenario called `Cut::run` twice");
    });
}

#[test]
fn cuts_nest() {
    run_virtual(|| {
        let inner_runs = Cell::new(0);
        let count = cancelled_at_every_checkpoint(|outer| {
            outer.run(|| {
                cancelled_at_every_checkpoint(|inner| {
                    inner_runs.set(inner_runs.get() + 1);
                    inner.run(|| sleep(secs(1)));
                });
            });
        });
        // The nap and the end of its scope, in the inner run that is cut and in the one that is not.
        assert_eq!(count, 4);
        // Cut at each of these four, and then at none.
        assert_eq!(inner_runs.get(), 1 + 1 + 2 + 2 + 2);
    });
}

#[test]
fn a_failed_scenario_is_logged_with_the_checkpoint_that_it_was_cut_at() {
    let lines = || logged("the scenario has failed that was cut at checkpoint 1234").len();
    let before = lines();
    run_virtual(|| {
        let text = panic_of(|| {
            cancelled_at_every_checkpoint(|cut| {
                let through = cut.run(|| (0..1234).for_each(|_| yield_now())).is_some();
                assert!(cut.at() < 1234 || through, "it does not stand this");
            });
        });
        assert_eq!(text, "it does not stand this");
        assert_eq!(lines(), before + 1);
        // That of a scenario that was only cancelled itself is no failure.
        let cut = cancellable(|pool| {
            cancelled_at_every_checkpoint(|cut| {
                if cut.at() == 1235 {
                    pool.cancel();
                }
                cut.run(|| (0..2000).for_each(|_| yield_now()));
            })
        });
        assert!(cut.is_none());
    });
    assert_eq!(logged("the scenario has failed that was cut at checkpoint 1235").len(), 0);
}

#[test]
fn a_scenario_that_comes_through_is_not_logged_while_another_task_unwinds() {
    struct Sleeps;
    impl Drop for Sleeps {
        fn drop(&mut self) {
            sleep(secs(1));
        }
    }
    logged(""); // switches the log on
    run_virtual(|| {
        pool(|pool| {
            let unwinds = named(pool, "unwinds", || {
                let _sleeps = Sleeps;
                task::current().cancel();
                yield_now();
            });
            settle();
            let count = checkpoints_of(|| (0..77).for_each(|_| sleep(ms(1))));
            assert_eq!(count, 77);
            assert!(unwinds.join().unwrap_err().is_cancelled());
        });
    });
    assert_eq!(logged("the scenario has failed that was cut at checkpoint 77").len(), 0);
}

#[test]
fn a_scenario_is_cut_in_every_order_of_its_tasks() {
    explore(0..100, || {
        let count = cancelled_at_every_checkpoint(|cut| {
            let (semaphore, inside) = (Semaphore::new(1), Cell::new(0));
            cut.run(|| {
                pool(|pool| {
                    for _ in 0..3 {
                        pool.spawn(|| {
                            let _permit = semaphore.acquire();
                            assert_eq!(inside.replace(1), 0, "two at once");
                            finally(yield_now, || inside.set(0));
                        });
                    }
                });
            });
            assert_eq!((semaphore.available(), inside.get()), (1, 0));
        });
        assert_eq!(count, 7);
    });
}

#[test]
fn sockets_lose_nothing_when_they_are_cut_at_every_checkpoint() {
    for seed in 0..5 {
        let mut runtime = giambio::Builder::new().schedule(Schedule::Seed(seed)).build().unwrap();
        let count = runtime.run(|| {
            cancelled_at_every_checkpoint(|cut| {
                let (ours, theirs) = pair();
                let (read, written) = (Cell::new(0), Cell::new(0));
                cut.run(|| {
                    pool(|pool| {
                        pool.spawn(|| {
                            while read.get() < 3 {
                                read.set(read.get() + (&ours).read(&mut [0]).unwrap());
                            }
                        });
                        for byte in b"abc" {
                            written.set(written.get() + (&theirs).write(&[*byte]).unwrap());
                            yield_now();
                        }
                    });
                });
                drop(theirs);
                let left = (&ours).read_to_end(&mut Vec::new()).unwrap();
                assert_eq!(read.get() + left, written.get());
            })
        });
        assert_eq!(count, 10); // three each of reads, writes and yields, and the end
    }
}
