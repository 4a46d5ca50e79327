//! What other runtimes test of starting tasks, asked of ours; and what is left of a start or a map that
//! somebody forgets, cuts or forbids.
//!
//! Above each test is where the question comes from. Where the answer differs there, the test says why.

use crate::Drops;
use crate::Log;
use crate::elapsed;
use crate::fail;
use crate::leaks::forget;
use crate::logged;
use crate::named;
use crate::nap;
use crate::panic_of;
use crate::secs;
use giambio::OnFailure;
use giambio::Pool;
use giambio::Started;
use giambio::TaskBuilder;
use giambio::cancellable;
use giambio::clock;
use giambio::join;
use giambio::pool;
use giambio::race;
use giambio::shield;
use giambio::shield_for;
use giambio::skip_after;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::sync::Event;
use giambio::sync::Semaphore;
use giambio::task::no_switch;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::yield_now;
use std::cell::Cell;

// trio: test_nursery_start_keeps_nursery_open.
#[test]
fn a_pool_waits_for_a_task_that_is_still_starting() {
    run_virtual(|| {
        let took = elapsed(|| {
            pool(|pool| {
                let start = || {
                    pool.start(|started| {
                        nap(2);
                        started.report(());
                        nap(3);
                    })
                    .1
                };
                pool.spawn(move || drop(start()));
                nap(1);
                pool.spawn(move || drop(start()));
            });
        });
        assert_eq!(took, secs(6));
    });
}

/// Sleeps for ever, holding `value`.
fn sleep_with<T>(value: T) {
    let _held = value;
    sleep_forever()
}

// trio: test_nursery_start_with_cancelled_nursery.
#[test]
fn a_pool_that_is_cancelled_around_a_report_cuts_the_task_and_its_children_and_not_the_starter() {
    run_virtual(|| {
        for cancelled_by_the_task in [true, false] {
            let drops = Drops::default();
            pool(|pool| {
                let counted = [drops.one(), drops.one()];
                let (value, task) = pool.start(move |started| {
                    giambio::pool(|children| {
                        for counted in counted {
                            children.spawn(move || sleep_with(counted));
                        }
                        shield(settle);
                        if cancelled_by_the_task {
                            pool.cancel();
                        }
                        started.report("ready");
                    });
                });
                assert_eq!(value, "ready");
                pool.cancel();
                assert!(task.join().unwrap_err().is_cancelled());
            });
            assert_eq!(drops.count(), 2);
        }
    });
}

// trio: test_nursery_start, where the error comes out of `start`. Here the pool has the failure, and a
// starter that it does not cut is told of it.
#[test]
fn a_starter_that_a_failure_does_not_cut_hears_that_the_task_has_failed() {
    run_virtual(|| {
        let text = panic_of(|| {
            pool(|pool| {
                let start = || shield(|| pool.start(|_: Started<()>| fail("no port")));
                let text = panic_of(start);
                assert!(text.ends_with(" failed before it had reported"), "{text}");
            });
        });
        assert_eq!(text, "no port");
    });
}

#[test]
fn a_starter_where_others_are_to_finish_hears_that_the_task_has_failed() {
    logged("");
    run_virtual(|| {
        let text = panic_of(|| {
            pool(|pool| {
                pool.on_failure(OnFailure::LetOthersFinish);
                let builder = TaskBuilder::new().name("starts-and-fails".into());
                drop(builder.start(pool, |_: Started<()>| fail("no port")));
            });
        });
        assert_eq!(text, "no port");
    });
    let lines = logged("task 'starts-and-fails' failed before it had reported");
    assert_eq!(lines.len(), 1, "{lines:?}");
}

// Go: TestTimeAfter.
#[test]
fn a_pool_waits_for_delayed_tasks_and_for_what_they_delay_in_turn() {
    run_virtual(|| {
        let log = Log::default();
        let took = elapsed(|| {
            pool(|pool| {
                pool.spawn_after(secs(1), || {
                    log.add("first");
                    pool.spawn_after(secs(1), || log.add("second"));
                });
            });
        });
        assert_eq!(took, secs(2));
        log.assert(&["first", "second"]);
    });
}

#[test]
fn tasks_with_the_same_delay_begin_in_the_order_of_their_spawns() {
    run_virtual(|| {
        let log = Log::default();
        pool(|pool| {
            for number in 0..5 {
                let log = &log;
                pool.spawn_after(secs(1), move || log.add(number.to_string()));
            }
        });
        log.assert(&["0", "1", "2", "3", "4"]);
    });
}

#[test]
fn a_delayed_task_fails_its_pool_and_is_cut_by_its_failure_like_any_other() {
    run_virtual(|| {
        let took = elapsed(|| {
            let text = panic_of(|| {
                pool(|pool| {
                    pool.spawn_after(secs(2), || fail("delayed"));
                    pool.spawn_after(secs(3), || fail("it began"));
                    sleep_forever()
                })
            });
            assert_eq!(text, "delayed");
        });
        assert_eq!(took, secs(2));
        let cut = skip_after(secs(1), |pool| drop(pool.spawn_after(secs(2), || fail("it began"))));
        assert_eq!(cut, None);
    });
}

// trio: test_spawn_name.
#[test]
fn tasks_are_named_after_their_callers_line_however_they_are_spawned() {
    run_virtual(|| {
        pool(|pool| {
            let line = line!() + 1;
            let delayed = pool.spawn_after(secs(0), || ());
            let daemon = pool.spawn_daemon(|| ());
            let (_, started) = pool.start(|started| started.report(()));
            for (name, line) in [delayed.name(), daemon.name(), started.name()].iter().zip(line..) {
                assert_eq!(*name, format!("{}:{line}", file!()));
            }
        });
    });
}

/// Spawns a child for every state that a task can wait in since there are events, semaphores, starts, maps,
/// races and delays, each with a value in its closure; how many they are.
fn spawn_waiters<'scope>(
    pool: &'scope Pool<'scope, '_>,
    event: &'scope Event,
    permits: &'scope Semaphore,
    drops: &Drops,
) -> usize {
    let mut spawned = 0;
    let mut spawn = |wait: Box<dyn FnOnce() + 'scope>| {
        let counted = drops.one();
        pool.spawn(move || {
            let _counted = counted;
            wait();
        });
        spawned += 1;
    };
    spawn(Box::new(|| event.wait()));
    spawn(Box::new(|| drop(permits.acquire())));
    spawn(Box::new(|| drop(pool.start(|_: Started<()>| sleep_forever()))));
    spawn(Box::new(|| drop(pool.start(|_: Started<()>| event.wait()))));
    spawn(Box::new(|| assert!(pool.map([1], 1, |_| event.wait()).next().is_none())));
    spawn(Box::new(|| assert!(pool.map_unordered([1], 1, |_| event.wait()).next().is_none())));
    spawn(Box::new(|| race(|| event.wait(), || sleep_forever())));
    spawn(Box::new(|| _ = join(|| event.wait(), || event.wait())));
    spawn(Box::new(|| _ = join(|| (), || event.wait())));
    spawn(Box::new(|| _ = shield_for(secs(3600), || sleep(secs(1)))));
    let counted = drops.one();
    drop(pool.spawn_after(secs(3600), move || drop(counted)));
    let counted = drops.one();
    drop(pool.spawn_daemon(move || {
        let _counted = counted;
        event.wait();
    }));
    spawned + 2
}

// FEATURES, new tests: a run ends while tasks sit in each wait state.
#[test]
fn a_pool_that_is_cancelled_drops_what_its_children_hold_in_every_new_state() {
    run_virtual(|| {
        let (event, permits) = (Event::new(), Semaphore::new(0));
        let drops = Drops::default();
        let mut held = 0;
        pool(|pool| {
            held = spawn_waiters(pool, &event, &permits, &drops);
            settle();
            held += spawn_waiters(pool, &event, &permits, &drops); // these never begin
            assert_eq!(drops.count(), 0);
            pool.cancel();
        });
        assert_eq!(drops.count(), held);
    });
}

#[test]
fn a_child_that_panics_drops_what_its_siblings_hold_in_every_new_state() {
    run_virtual(|| {
        let (event, permits) = (Event::new(), Semaphore::new(0));
        let drops = Drops::default();
        let mut held = 0;
        let text = panic_of(|| {
            pool(|pool| {
                held = spawn_waiters(pool, &event, &permits, &drops);
                pool.spawn(|| {
                    settle();
                    fail("a child")
                });
                sleep_forever()
            })
        });
        assert_eq!((text.as_str(), drops.count()), ("a child", held));
    });
}

// FEATURES, new tests: forget every public handle in the middle of its work.
#[test]
fn a_forgotten_map_leaves_its_tasks_to_their_pool() {
    run_virtual(|| {
        let drops = Drops::default();
        let f = |seconds| {
            let _counted = drops.one();
            nap(seconds)
        };
        let took = elapsed(|| {
            pool(|pool| {
                let mut values = pool.map([1, 3], 2, f);
                assert_eq!(values.next().unwrap().unwrap(), 1);
                forget(values);
                let mut values = pool.map_unordered([5, 1], 2, f);
                assert_eq!(values.next().unwrap().unwrap(), 1);
                forget(values);
            });
        });
        assert_eq!((took, drops.count()), (secs(6), 4));
    });
}

#[test]
fn a_report_that_was_forgotten_does_not_come() {
    let text = panic_of(|| {
        run_virtual(|| {
            pool(|pool| {
                pool.start(|started: Started<()>| {
                    forget(started);
                    sleep(secs(1));
                });
            });
        });
    });
    assert_eq!(text, "a task that was started ended without having reported");
}

// Go: TestDeadlockChild.
#[test]
fn a_deadlock_says_who_waits_for_a_start_a_map_an_event_or_a_race() {
    let report = panic_of(|| {
        run_virtual(|| {
            let event = Event::<()>::new();
            pool(|pool| {
                named(pool, "starter", || drop(pool.start(|_: Started<()>| sleep_forever())));
                named(pool, "reader", || drop(pool.map([1], 1, |_| sleep_forever()).next()));
                named(pool, "taker", || {
                    drop(pool.map_unordered([1], 1, |_| sleep_forever()).next());
                });
                named(pool, "waiter", || event.wait());
                named(pool, "racer", || race(|| sleep_forever(), || sleep_forever()));
            });
        });
    });
    for (name, reason) in [
        ("'main'", "waits for its pool"),
        ("'starter'", "waits for a task that it starts"),
        ("'reader'", "waits for task #"),
        ("'taker'", "waits for a value of `map_unordered`"),
        ("'waiter'", "waits for an event"),
        ("'racer'", "waits for its pool"),
    ] {
        let line = report.lines().find(|line| line.contains(name));
        assert!(line.is_some_and(|line| line.contains(reason)), "{name}: {report}");
    }
}

#[test]
fn no_switch_names_the_start_and_the_next_that_would_switch() {
    run_virtual(|| {
        let names = |name: &str, text: String| assert!(text.contains(name), "{text}");
        pool(|pool| {
            let start = || drop(pool.start(|_: Started<()>| unreachable!("it was started")));
            names("start", panic_of(|| no_switch(start)));
            names("join", panic_of(|| no_switch(|| pool.map([1], 1, |_| ()).next())));
            let mut values = pool.map_unordered([1], 1, |_| ());
            names("map_unordered", panic_of(|| no_switch(|| values.next())));
            assert!(values.next().unwrap().is_ok(), "its place is kept");
        });
        names("pool", panic_of(|| no_switch(|| race(|| (), || ()))));
    });
}

// trio: a task that is started into a cancelled scope runs to its first checkpoint; eio does not start it.
#[test]
fn a_start_or_a_delay_in_a_cancelled_pool_runs_nothing() {
    run_virtual(|| {
        let ran = Cell::new(false);
        let start = clock();
        let cut = cancellable(|scope| {
            scope.cancel();
            scope.spawn_after(secs(5), || ran.set(true));
            scope.spawn_daemon(|| ran.set(true));
            yield_now();
        });
        assert_eq!((cut, ran.get(), clock() - start), (None, false, secs(0)));
    });
}
