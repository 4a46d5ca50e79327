//! What other runtimes test of their pools, asked of ours: failures, races, maps, daemons.
//!
//! Above each test is where the question comes from. Where the answer differs there, the test says why.

use crate::Log;
use crate::elapsed;
use crate::fail;
use crate::fail_after;
use crate::logged;
use crate::ms;
use crate::named;
use crate::nap;
use crate::panic_of;
use crate::raised;
use crate::secs;
use giambio::JoinError;
use giambio::Pool;
use giambio::TooSlow;
use giambio::cancellable;
use giambio::current_deadline;
use giambio::finally;
use giambio::join;
use giambio::pool;
use giambio::race;
use giambio::shield;
use giambio::skip_after;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::sync::Event;
use giambio::testing::cancelled_at_every_checkpoint;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::try_pool;
use giambio::with_timeout;
use giambio::yield_now;
use std::cell::Cell;
use std::cell::RefCell;

/// Lets everybody else who can run go first, and fails in spite of a cancellation.
fn fail_shielded(text: &'static str) -> ! {
    shield(yield_now);
    fail(text)
}

/// Which values of a map come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    OfItems,
    AsReady,
}

/// The values of `map` or of `map_unordered`, two at a time.
fn mapped<'scope, I: 'scope, T: 'scope>(
    pool: &'scope Pool<'scope, '_>,
    order: Order,
    items: Vec<I>,
    f: impl Fn(I) -> T + 'scope,
) -> Box<dyn Iterator<Item = Result<T, JoinError>> + 'scope> {
    match order {
        Order::OfItems => Box::new(pool.map(items, 2, f)),
        Order::AsReady => Box::new(pool.map_unordered(items, 2, f)),
    }
}

// trio: test_main_and_task_both_crash; eio, switch.md: error reporting.
#[test]
fn cleanups_that_fail_behind_a_body_that_has_failed_are_logged() {
    logged("");
    run_virtual(|| {
        let text = panic_of(|| {
            pool(|pool| {
                named(pool, "behind-a-body-1", || finally(sleep_forever, || fail("one")));
                named(pool, "behind-a-body-2", || finally(sleep_forever, || fail("two")));
                settle();
                fail("body");
            });
        });
        assert_eq!(text, "body");
    });
    for (name, text) in [("'behind-a-body-1'", ": one"), ("'behind-a-body-2'", ": two")] {
        let lines = logged(name);
        assert!(lines.len() == 1 && lines[0].ends_with(text), "{lines:?}");
    }
}

// eio, switch.md: a release operation itself fails.
#[test]
fn cleanups_around_a_cleanup_that_has_failed_run_all_the_same() {
    logged("");
    let log = Log::default();
    run_virtual(|| {
        let release = |number: u32| {
            yield_now();
            log.add(format!("release {number}"));
        };
        let release_and_fail = |number: u32, text| -> () {
            release(number);
            fail(text)
        };
        let text = panic_of(|| {
            let inner = || finally(|| (), || release_and_fail(3, "the third cleanup"));
            finally(|| finally(inner, || release(2)), || release_and_fail(1, "the first cleanup"));
        });
        assert_eq!(text, "the third cleanup");
    });
    log.assert(&["release 3", "release 2", "release 1"]);
    assert_eq!(logged("the first cleanup").len(), 1);
}

// eio, switch.md: `Fiber.both`, first fails immediately and the other doesn't start.
#[test]
fn a_join_whose_first_half_fails_at_once_never_starts_the_second() {
    run_virtual(|| {
        let text = panic_of(|| join(|| -> () { fail("first") }, || fail("second")));
        assert_eq!(text, "first");
    });
}

// eio, switch.md: `Fiber.both`, both fibers fail.
#[test]
fn of_two_halves_that_fail_the_first_failure_goes_on_and_the_other_is_logged() {
    logged("");
    run_virtual(|| {
        let text = panic_of(|| {
            join(|| -> () { fail_shielded("the first half") }, || fail_shielded("the second half"))
        });
        assert_eq!(text, "the first half");
    });
    assert_eq!(logged("the second half").len(), 1);
}

// eio, switch.md: child switches are cancelled when the parent is, but `on_error` isn't notified.
#[test]
fn what_handles_a_childs_own_errors_does_not_hear_of_its_parents() {
    run_virtual(|| {
        let log = Log::default();
        let failed = try_pool(|outer| {
            for _ in 0..2 {
                outer.spawn(|| {
                    let own = try_pool(|inner| {
                        inner.spawn(|| Ok::<_, &str>(nap(9)));
                        Ok(nap(9))
                    });
                    log.add(format!("handled {own:?}"));
                    Ok(())
                });
            }
            settle();
            Err::<(), _>("parent")
        });
        assert_eq!((failed, log.len()), (Err("parent"), 0));
    });
}

// eio, switch.md: a child can fail, and be cancelled, independently of the parent.
#[test]
fn a_child_that_handles_its_failure_or_cancellation_disturbs_nobody() {
    run_virtual(|| {
        let log = Log::default();
        let took = elapsed(|| {
            pool(|outer| {
                outer.spawn(|| {
                    let failed = try_pool(|inner| {
                        inner.spawn(|| Err::<(), _>("a child's own"));
                        Ok(nap(9))
                    });
                    log.add(format!("{failed:?}"));
                });
                outer.spawn(|| {
                    let cut = cancellable(|inner| {
                        inner.spawn(|| inner.cancel());
                        nap(9)
                    });
                    log.add(format!("{cut:?}"));
                });
                nap(1);
                log.add("the parent is still running");
            });
        });
        assert_eq!(took, secs(1));
        log.assert(&["Err(\"a child's own\")", "None", "the parent is still running"]);
    });
}

// eio, fiber.md: `first`, cancelled before it can crash; one crashes; both crash.
#[test]
fn a_race_ends_with_whatever_comes_first() {
    logged("");
    run_virtual(|| {
        let a = || {
            yield_now();
            "a"
        };
        assert_eq!(race(a, || fail_after(0, "b crashed")), "a");
        let text = panic_of(|| race(|| fail("a crashed"), || "b"));
        assert_eq!(text, "a crashed");
        let text = panic_of(|| race(a, || fail("b crashed")));
        assert_eq!(text, "b crashed");
        let both = || {
            let first = || fail_shielded("the first racer");
            race::<()>(first, || fail_shielded("the second racer"))
        };
        assert_eq!(panic_of(both), "the first racer");
    });
    assert_eq!(logged("the second racer").len(), 1);
}

// eio, fiber.md: `first`, cancelled from parent, and while already cancelling.
#[test]
fn a_failure_beside_a_race_cuts_it_even_when_it_is_won() {
    run_virtual(|| {
        let log = Log::default();
        let text =
            panic_of(|| join(|| race(|| nap(8), || nap(9)), || fail_after(1, "beside a race")));
        assert_eq!(text, "beside a race");
        let took = elapsed(|| {
            let text = panic_of(|| {
                let won = || {
                    race(|| nap(1), || finally(|| nap(9), || sleep(secs(2))));
                    log.add("the race has given its value");
                };
                join(won, || fail_after(2, "beside a race that is won"))
            });
            assert_eq!(text, "beside a race that is won");
        });
        assert_eq!((took, log.len()), (secs(3), 0));
    });
}

// eio, fiber.md: forking while cancelled.
#[test]
fn in_a_cancelled_scope_nothing_is_started() {
    run_virtual(|| {
        let log = Log::default();
        let cut = cancellable(|scope| {
            scope.cancel();
            let tasks = [|| log.add("started"); 2];
            assert!(raised(|| race(tasks[0], tasks[1])));
            assert!(raised(|| giambio::race_all(tasks)));
            assert!(raised(|| giambio::join_all(tasks)));
            assert!(raised(|| pool(|pool| drop(pool.spawn_after(secs(1), tasks[0])))));
            assert!(raised(|| pool(|pool| drop(pool.spawn_daemon(tasks[0])))));
            assert!(raised(|| pool(|pool| pool.map([1], 1, |_| tasks[0]()).count())));
            // The first half of a join is the calling task itself, which goes on to a checkpoint.
            assert!(raised(|| join(|| log.add("in the caller"), tasks[0])));
        });
        assert_eq!(cut, Some(()));
        log.assert(&["in the caller"]);
    });
}

// eio, fiber.md: `fork_promise` inherits the cancellation context from its switch.
#[test]
fn a_task_belongs_to_the_pool_that_it_was_spawned_into_whoever_spawns_it() {
    run_virtual(|| {
        let log = Log::default();
        let took = elapsed(|| {
            pool(|outer| {
                let left = || current_deadline().map(|at| at - giambio::clock());
                let spawn = |name| {
                    let log = &log;
                    outer.spawn_after(secs(3), move || log.add(format!("{name} {:?}", left())));
                };
                let cut = skip_after(secs(1), |inner| {
                    spawn("before");
                    inner.spawn(|| finally(sleep_forever, || spawn("in the cleanup of a child")));
                    shield(|| nap(2));
                    spawn("after");
                    yield_now();
                });
                assert_eq!(cut, None);
            });
        });
        assert_eq!(took, secs(5));
        log.assert(&["before None", "in the cleanup of a child None", "after None"]);
    });
}

// eio, fiber.md: the number of concurrent fibers can be limited.
#[test]
fn a_map_starts_the_next_item_when_there_is_room() {
    let trace = |order| {
        let log = Log::default();
        run_virtual(|| {
            let events = [(); 4].map(|()| Event::new());
            let process = |number: usize| {
                log.add(format!("start {number}"));
                let word = events[number].wait();
                log.add(format!("finished {number}"));
                word
            };
            pool(|pool| {
                pool.spawn(|| {
                    for (number, word) in [(1, "one"), (2, "two"), (0, "zero"), (3, "three")] {
                        settle();
                        events[number].trigger(word).unwrap();
                    }
                });
                let words = mapped(pool, order, vec![0, 1, 2, 3], process);
                let words: Vec<_> = words.map(Result::unwrap).collect();
                log.add(words.join(" "));
            });
        });
        log.take().join(", ")
    };
    // As there.
    assert_eq!(
        trace(Order::AsReady),
        "start 0, start 1, finished 1, start 2, finished 2, start 3, finished 0, finished 3, \
         one two zero three"
    );
    // Here a value takes up room until it was asked for: an endless map does not run away.
    assert_eq!(
        trace(Order::OfItems),
        "start 0, start 1, finished 1, finished 0, start 2, finished 2, start 3, finished 3, \
         zero one two three"
    );
}

// eio, fiber.md: handling exceptions while waiting for a free fiber.
#[test]
fn items_behind_one_that_has_failed_never_start() {
    run_virtual(|| {
        let started = Cell::new(0);
        let process = |number| {
            started.set(started.get() + 1);
            nap(1);
            if number == 0 { fail("item 0") } else { number }
        };
        let text = panic_of(|| pool(|pool| pool.map(0..9, 1, process).count()));
        assert_eq!((text.as_str(), started.replace(0)), ("item 0", 1));
        let text = panic_of(|| pool(|pool| pool.map_unordered(0..9, 1, process).count()));
        assert_eq!((text.as_str(), started.get()), ("item 0", 1));
    });
}

// curio: test_task_gather_timeout, where the results so far are kept.
#[test]
fn a_timeout_leaves_the_values_of_a_map_that_came_before_it() {
    run_virtual(|| {
        pool(|pool| {
            let mut values = pool.map_unordered([3, 1, 2], 3, nap).map(Result::unwrap);
            let kept = RefCell::new(Vec::new());
            let all = with_timeout(ms(2500), |_| {
                values.by_ref().for_each(|value| kept.borrow_mut().push(value));
            });
            assert_eq!((all, kept.take()), (Err(TooSlow), vec![1, 2]));
            assert_eq!(values.collect::<Vec<_>>(), [3]);
        });
    });
}

// DESIGN: a primitive call either completes or has consumed nothing.
#[test]
fn a_map_loses_no_value_wherever_its_reader_is_cut() {
    let whole_in = |order| {
        let checkpoints = cancelled_at_every_checkpoint(|cut| {
            pool(|pool| {
                let mut values = mapped(pool, order, vec![3, 1, 2, 0], nap);
                let got = RefCell::new(Vec::new());
                let mut read = || {
                    values.by_ref().for_each(|value| got.borrow_mut().push(value.unwrap()));
                };
                cut.run(&mut read);
                read();
                let mut got = got.take();
                if order == Order::OfItems {
                    assert_eq!(got, [3, 1, 2, 0]);
                }
                got.sort_unstable();
                assert_eq!(got, [0, 1, 2, 3]);
            });
        });
        assert!(checkpoints >= 4, "{checkpoints}");
    };
    run_virtual(|| {
        whole_in(Order::OfItems);
        whole_in(Order::AsReady);
    });
}

// eio, fiber.md: a more complex example with multiple daemon and non-daemon fibers.
#[test]
fn daemons_and_others_take_turns_until_the_others_have_ended() {
    let log = Log::default();
    run_virtual(|| {
        let worker = |number: u32, turns: u32| {
            for turn in 0..turns {
                log.add(format!("worker {number}.{turn}"));
                yield_now();
            }
        };
        pool(|pool| {
            pool.spawn(|| worker(1, 2));
            pool.spawn(|| worker(2, 1));
            pool.spawn_daemon(|| {
                let work = || {
                    for turn in 0..10 {
                        log.add(format!("daemon 1.{turn}"));
                        yield_now();
                    }
                    fail("it was not stopped")
                };
                finally(work, || {
                    pool.spawn_daemon(|| fail("a daemon of a stopped one was started"));
                    // There it is not started either. Here the pool is not cancelled, only its
                    // daemons are: a cleanup may spawn, and the pool waits for that.
                    pool.spawn(|| log.add("a task of the cleanup"));
                })
            });
            pool.spawn_daemon(|| {
                log.add("daemon 2");
                yield_now();
                log.add("daemon 2 ends");
            });
            log.add("main");
        });
    });
    log.assert(&[
        "main",
        "worker 1.0",
        "worker 2.0",
        "daemon 1.0",
        "daemon 2",
        "worker 1.1",
        "daemon 1.1",
        "daemon 2 ends",
        "daemon 1.2",
        "a task of the cleanup",
    ]);
}
