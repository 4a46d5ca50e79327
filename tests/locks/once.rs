//! What is initialised once: by whom, who waits, and what becomes of a run that fails.

use crate::Log;
use crate::blocks_its_thread;
use crate::elapsed;
use crate::fail;
use crate::named;
use crate::panic_of;
use crate::raised;
use crate::secs;
use crate::unwind::beside_an_unwind;
use crate::unwind::both;
use crate::unwind::in_destructor;
use giambio::cancellable;
use giambio::pool;
use giambio::skip_after;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::sync::LazyLock;
use giambio::sync::Once;
use giambio::sync::OnceLock;
use giambio::task::no_switch;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::yield_now;
use std::cell::Cell;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;

#[test]
fn smoke() {
    run_virtual(|| {
        let (once, cell, lazy) = (Once::new(), OnceLock::new(), LazyLock::new(|| 3));
        once.call_once(|| drop(cell.set(2)));
        assert_eq!((once.is_completed(), cell.get(), *lazy), (true, Some(&2), 3));
    });
}

#[test]
fn one_runs_and_the_others_wait_for_it() {
    run_virtual(|| {
        let (once, cell, log) = (Once::new(), OnceLock::new(), Log::default());
        let lazy = LazyLock::new(|| {
            sleep(secs(1));
            log.add("lazy");
            7
        });
        pool(|pool| {
            for _ in 0..5 {
                pool.spawn(|| {
                    once.call_once(|| {
                        sleep(secs(1));
                        log.add("once");
                    });
                    assert!(once.is_completed());
                    let value = cell.get_or_init(|| {
                        sleep(secs(1));
                        log.add("cell");
                        5
                    });
                    assert_eq!((*value, *lazy), (5, 7));
                });
            }
        });
        log.assert(&["once", "cell", "lazy"]);
    });
}

#[test]
fn what_is_done_lets_nobody_else_run() {
    run_virtual(|| {
        let (once, cell, lazy) = (Once::new(), OnceLock::from(5), LazyLock::new(|| 7));
        pool(|pool| {
            let other = pool.spawn(|| ());
            no_switch(|| {
                (0..1000).for_each(|_| once.call_once(|| ()));
                (0..1000).for_each(|_| assert_eq!(*cell.get_or_init(|| 6) + *lazy, 12));
                assert_eq!(cell.set(8), Err(8));
                assert_eq!(*cell.wait(), 5);
                once.wait();
            });
            assert!(!other.is_finished());
        });
    });
}

#[test]
fn a_panic_poisons_and_those_who_wait_panic_as_well() {
    run_virtual(|| {
        let once = Once::new();
        pool(|pool| {
            let failing = pool.spawn_isolated(|| {
                once.call_once(|| {
                    yield_now();
                    fail("on purpose");
                });
            });
            yield_now();
            let text = panic_of(|| once.call_once(|| ()));
            assert_eq!(text, "Once instance has previously been poisoned");
            assert!(failing.join().unwrap_err().is_panic());
        });
        once.call_once_force(|state| assert!(state.is_poisoned()));
        once.call_once(|| unreachable!("it is done"));
    });
}

#[test]
fn who_forces_it_waits_for_a_run_that_fails_and_then_runs() {
    run_virtual(|| {
        let (once, log) = (Once::new(), Log::default());
        pool(|pool| {
            let failing = pool.spawn_isolated(|| {
                once.call_once(|| {
                    yield_now();
                    log.add("fails");
                    fail("on purpose");
                });
            });
            yield_now();
            once.call_once_force(|state| log.add(format!("poisoned: {}", state.is_poisoned())));
            assert!(failing.join().is_err());
        });
        log.assert(&["fails", "poisoned: true"]);
    });
}

#[test]
fn a_cancellation_that_cuts_a_run_poisons_nothing_and_the_next_one_tries() {
    run_virtual(|| {
        let (once, cell, log) = (Once::new(), OnceLock::new(), Log::default());
        pool(|pool| {
            let cut = pool.spawn(|| once.call_once(|| sleep_forever()));
            let cut_too = pool.spawn(|| drop(cell.get_or_init(|| sleep_forever())));
            settle();
            for name in ["first", "second"] {
                let (once, cell, log) = (&once, &cell, &log);
                pool.spawn(move || {
                    once.call_once(|| {
                        yield_now();
                        log.add(format!("{name} runs"));
                    });
                    cell.get_or_init(|| log.add(format!("{name} makes")));
                    log.add(format!("{name} goes on"));
                });
            }
            let waiter = pool.spawn(|| once.wait());
            settle();
            log.assert(&[]);
            cut.cancel();
            cut_too.cancel();
            waiter.join().unwrap();
        });
        assert!(once.is_completed());
        log.assert(&["first runs", "first makes", "first goes on", "second goes on"]);
    });
}

#[test]
fn a_cancellation_that_cuts_a_forced_run_leaves_it_poisoned() {
    run_virtual(|| {
        let once = Once::new();
        assert_eq!(panic_of(|| once.call_once(|| fail("on purpose"))), "on purpose");
        let cut = skip_after(secs(1), |_| once.call_once_force(|_| sleep_forever()));
        assert!(cut.is_none());
        assert!(panic_of(|| once.call_once(|| ())).contains("poisoned"));
        once.call_once_force(|state| assert!(state.is_poisoned()));
    });
}

#[test]
fn a_run_that_is_cut_or_fails_beside_an_unwind_counts_as_what_it_is() {
    both(|passing| {
        let (cut, failed) = (Once::new(), Once::new());
        pool(|pool| {
            let sleeper = pool.spawn(|| cut.call_once(|| sleep_forever()));
            settle();
            beside_an_unwind(passing, secs(1), || {
                sleeper.cancel();
                assert!(sleeper.join().unwrap_err().is_cancelled());
                let failing = pool.spawn_isolated(|| failed.call_once(|| fail("on purpose")));
                assert!(failing.join().unwrap_err().is_panic());
            });
        });
        cut.call_once(|| ());
        assert!(panic_of(|| failed.call_once(|| ())).contains("poisoned"));
    });
}

#[test]
fn a_cell_whose_run_has_failed_stays_empty() {
    run_virtual(|| {
        let cell = OnceLock::new();
        assert_eq!(panic_of(|| cell.get_or_init(|| fail("on purpose"))), "on purpose");
        assert_eq!(cell.get(), None);
        assert_eq!(*cell.get_or_init(|| 3), 3);
    });
}

#[test]
fn a_set_waits_for_who_makes_the_value() {
    run_virtual(|| {
        let (cell, failing) = (OnceLock::new(), OnceLock::new());
        pool(|pool| {
            pool.spawn(|| cell.get_or_init(|| giambio::shield(|| crate::nap(3))));
            yield_now();
            let took = elapsed(|| assert_eq!(cell.set(1), Err(1)));
            assert_eq!((took, cell.get()), (secs(3), Some(&3)));
            let task = pool.spawn_isolated(|| {
                failing.get_or_init(|| {
                    yield_now();
                    fail("on purpose")
                });
            });
            yield_now();
            assert_eq!(failing.set(1), Ok(()));
            assert!(task.join().is_err());
            assert_eq!(failing.get(), Some(&1));
        });
    });
}

#[test]
fn the_closure_of_a_lazy_value_is_not_cut() {
    run_virtual(|| {
        let lazy = LazyLock::new(|| {
            sleep(secs(3));
            7
        });
        let start = giambio::clock();
        let cut = skip_after(secs(1), |_| {
            assert_eq!(*lazy, 7);
            assert_eq!(giambio::clock() - start, secs(3));
            yield_now();
        });
        assert!(cut.is_none());
        assert_eq!(*lazy, 7);
    });
}

#[test]
fn who_asks_for_what_it_is_making_is_named_at_once() {
    run_virtual(|| {
        let (once, cell) = (Once::new(), OnceLock::new());
        let calls: [&dyn Fn(); 5] = [
            &|| once.call_once(|| once.call_once(|| ())),
            &|| once.call_once_force(|_| once.wait()),
            &|| drop(cell.get_or_init(|| *cell.get_or_init(|| 1))),
            &|| drop(cell.get_or_init(|| *cell.wait())),
            &|| drop(cell.get_or_init(|| cell.set(1).map_or(1, |()| 2))),
        ];
        pool(|pool| {
            for call in calls {
                let greedy = named(pool, "greedy", move || panic_of(call));
                let who = format!("task 'greedy' ({})", greedy.id());
                let does = "it is in the middle of this initialisation already";
                assert_eq!(greedy.join().unwrap(), format!("{who} would wait for itself: {does}"));
            }
        });
        assert_eq!(cell.get(), None);
    });
    static LAZY: LazyLock<i32> = LazyLock::new(|| *LAZY + 1);
    assert!(panic_of(|| *LAZY).contains("would wait for itself"));
    assert_eq!(panic_of(|| *LAZY), "LazyLock instance has previously been poisoned");
}

#[test]
fn a_wait_of_who_does_not_run_it_is_a_checkpoint() {
    run_virtual(|| {
        let (once, cell) = (Once::new(), OnceLock::new());
        let waits: [&dyn Fn(); 3] =
            [&|| once.wait(), &|| once.wait_force(), &|| drop::<&i32>(cell.wait())];
        for is_done in [false, true] {
            for wait in waits {
                let cut = cancellable(|pool| {
                    pool.cancel();
                    assert!(raised(wait));
                    wait();
                });
                assert!(cut.is_none());
                if !is_done {
                    assert!(skip_after(secs(1), |_| wait()).is_none());
                }
            }
            once.call_once(|| ());
            assert_eq!(*cell.get_or_init(|| 1), 1);
        }
    });
}

#[test]
fn other_calls_are_no_checkpoints_and_nothing_cuts_their_wait() {
    run_virtual(|| {
        let (once, cell, log) = (Once::new(), OnceLock::new(), Log::default());
        let lazy = LazyLock::new(|| crate::nap(2));
        let calls: [&dyn Fn(); 4] = [
            &|| once.call_once(|| unreachable!()),
            &|| drop(cell.get_or_init(|| unreachable!())),
            &|| assert_eq!(cell.set(1), Err(1)),
            &|| assert_eq!(*lazy, 2),
        ];
        pool(|pool| {
            pool.spawn(|| once.call_once(|| sleep(secs(2))));
            pool.spawn(|| cell.get_or_init(|| crate::nap(2)));
            pool.spawn(|| LazyLock::force(&lazy));
            yield_now();
            for call in calls {
                let log = &log;
                let waiter = pool.spawn(move || {
                    call();
                    log.add("done");
                    call();
                    yield_now();
                    log.add("not cut");
                });
                settle();
                waiter.cancel();
                settle();
                drop(waiter);
            }
            log.assert(&[]);
            sleep(secs(3));
        });
        log.assert(&["done"; 4]);
    });
}

#[test]
fn those_who_wait_without_running_it_are_woken_and_told() {
    run_virtual(|| {
        let (once, log) = (Once::new(), Log::default());
        pool(|pool| {
            let waiter = |is_forced: bool, name: &'static str| {
                let (once, log) = (&once, &log);
                pool.spawn(move || {
                    let wait = || if is_forced { once.wait_force() } else { once.wait() };
                    let is_poisoned = std::panic::catch_unwind(wait).is_err();
                    log.add(format!("{name}, poisoned: {is_poisoned}"));
                })
            };
            waiter(false, "plain");
            waiter(true, "forced");
            settle();
            assert_eq!(panic_of(|| once.call_once(|| fail("on purpose"))), "on purpose");
            settle();
            log.assert(&["plain, poisoned: true"]);
            once.call_once_force(|_| ());
        });
        log.assert(&["plain, poisoned: true", "forced, poisoned: false"]);
    });
}

#[test]
fn where_it_may_not_wait_it_panics_and_waits_for_nothing() {
    run_virtual(|| {
        let once = Once::new();
        pool(|pool| {
            pool.spawn(|| once.call_once(|| sleep(secs(1))));
            yield_now();
            let text = panic_of(|| no_switch(|| once.call_once(|| ())));
            assert!(text.starts_with("`call_once` or `get_or_init` would switch"), "{text}");
            let text = panic_of(|| no_switch(|| once.wait()));
            assert!(text.starts_with("`call_once` or `get_or_init` would switch"), "{text}");
        });
        no_switch(|| once.call_once(|| ()));
    });
}

#[test]
fn in_a_destructor_they_run_and_really_wait() {
    both(|passing| {
        let (once, cell) = (Once::new(), OnceLock::new());
        pool(|pool| {
            pool.spawn(|| once.call_once(|| sleep(secs(2))));
            yield_now();
            assert_eq!(in_destructor(passing, || elapsed(|| once.call_once(|| ()))), secs(2));
            let value = in_destructor(passing, || *cell.get_or_init(|| crate::nap(2)));
            assert_eq!(value, 2);
        });
        assert_eq!((once.is_completed(), cell.get()), (true, Some(&2)));
    });
}

#[test]
fn values_are_dropped_once() {
    struct Counted<'c>(&'c Cell<i32>);
    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let drops = Cell::new(0);
    let cell = OnceLock::new();
    assert!(cell.set(Counted(&drops)).is_ok());
    drop(cell.set(Counted(&drops)).unwrap_err());
    assert_eq!(drops.get(), 1);
    drop(cell);
    assert_eq!(drops.get(), 2);
    let mut cell = OnceLock::from(Counted(&drops));
    drop(cell.take());
    drop(cell);
    assert_eq!(drops.get(), 3);
    // A lazy value that was never asked for drops its closure.
    let counted = Counted(&drops);
    drop(LazyLock::new(move || counted));
    assert_eq!(drops.get(), 4);
    let counted = Counted(&drops);
    let lazy = LazyLock::new(move || counted);
    LazyLock::force(&lazy);
    drop(lazy);
    assert_eq!(drops.get(), 5);
}

#[test]
fn outside_of_run_the_second_caller_blocks_its_thread() {
    let (once, cell) = (Once::new(), OnceLock::new());
    blocks_its_thread(|| once.wait(), || once.call_once(|| ()));
    blocks_its_thread(|| *cell.wait(), || giambio::run(|| cell.set(5).unwrap()));
    let run = |once: &Once, runs: &AtomicUsize| {
        once.call_once(|| {
            runs.fetch_add(1, Ordering::Relaxed);
            thread::yield_now();
        });
        assert_eq!(runs.load(Ordering::Relaxed), 1);
    };
    for _ in 0..100 {
        let (once, runs) = (Once::new(), AtomicUsize::new(0));
        thread::scope(|threads| {
            threads.spawn(|| run(&once, &runs));
            threads.spawn(|| giambio::run(|| run(&once, &runs)));
            run(&once, &runs);
        });
    }
}

#[test]
fn a_task_and_its_pool_share_what_a_thread_makes() {
    static LAZY: LazyLock<Vec<u8>> = LazyLock::new(|| vec![1, 2, 3]);
    let maker = thread::spawn(|| LAZY.len());
    giambio::run(|| {
        pool(|pool| {
            let tasks = [(); 4].map(|()| pool.spawn(|| LAZY.iter().sum::<u8>()));
            assert!(tasks.into_iter().all(|task| task.join().unwrap() == 6));
        });
    });
    assert_eq!(maker.join().unwrap(), 3);
}
