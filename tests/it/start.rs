//! `start`: a task that says when it is ready; `spawn_after`: one that begins later.

use crate::Drops;
use crate::Log;
use crate::elapsed;
use crate::fail;
use crate::panic_of;
use crate::secs;
use giambio::OnFailure;
use giambio::TaskBuilder;
use giambio::cancellable;
use giambio::clock;
use giambio::debug::Debugger;
use giambio::debug::TaskRef;
use giambio::pool;
use giambio::shield;
use giambio::skip_after;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::testing::builder;
use giambio::testing::run_virtual;
use giambio::yield_now;
use std::cell::Cell;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

#[test]
fn smoke() {
    run_virtual(|| {
        pool(|pool| {
            let (ready, task) = pool.start(|started| {
                started.report("ready");
                7
            });
            assert_eq!((ready, task.join().unwrap()), ("ready", 7));
        });
    });
}

#[test]
fn start_returns_at_the_report_and_the_task_goes_on() {
    run_virtual(|| {
        let log = Log::default();
        let took = elapsed(|| {
            pool(|pool| {
                let (_, task) = pool.start(|started| {
                    sleep(secs(1));
                    log.add("reports");
                    started.report(());
                    log.add("goes on");
                    sleep(secs(2));
                    log.add("ends");
                });
                log.add("started");
                assert!(!task.is_finished());
            });
        });
        assert_eq!(took, secs(3));
        log.assert(&["reports", "goes on", "started", "ends"]);
    });
}

#[test]
fn a_report_before_the_starter_waits_is_not_lost() {
    run_virtual(|| {
        pool(|pool| {
            let (value, task) = pool.start(|started| started.report(Box::new(3)));
            task.join().unwrap();
            assert_eq!(*value, 3);
        });
    });
}

#[test]
fn a_report_may_come_from_another_task() {
    run_virtual(|| {
        pool(|outer| {
            let (value, _task) = outer.start(|started| {
                pool(|inner| {
                    inner.spawn(|| {
                        sleep(secs(1));
                        started.report(5);
                    });
                });
            });
            assert_eq!(value, 5);
        });
    });
}

#[test]
fn a_task_that_ends_without_a_report_fails_the_pool() {
    let said = panic_of(|| {
        run_virtual(|| {
            pool(|pool| {
                let _ = pool.start(|_started: giambio::Started<i32>| ());
                unreachable!();
            });
        });
    });
    assert_eq!(said, "a task that was started ended without having reported");
}

#[test]
fn a_panic_before_the_report_is_the_pools() {
    let said = panic_of(|| {
        run_virtual(|| {
            pool(|pool| {
                let _ = pool.start(|_started: giambio::Started<i32>| fail("no port"));
                unreachable!();
            });
        });
    });
    assert_eq!(said, "no port");
}

#[test]
fn a_panic_after_the_report_is_the_pools_too() {
    let said = panic_of(|| {
        run_virtual(|| {
            pool(|pool| {
                pool.start(|started| {
                    started.report(());
                    yield_now();
                    fail("later")
                });
                sleep_forever()
            })
        })
    });
    assert_eq!(said, "later");
}

#[test]
fn a_failure_does_not_leave_the_starter_waiting_where_others_go_on() {
    let said = panic_of(|| {
        run_virtual(|| {
            pool(|pool| {
                pool.on_failure(OnFailure::LetOthersFinish);
                let _ = pool.start(|_started: giambio::Started<i32>| fail("no port"));
            });
        });
    });
    assert_eq!(said, "no port"); // and the starter's own panic is logged
}

#[test]
fn a_cancelled_start_cancels_the_task() {
    run_virtual(|| {
        let drops = Drops::default();
        pool(|pool| {
            let (counted, took) = (drops.one(), clock());
            let cut = skip_after(secs(2), |_| {
                pool.start(move |_started: giambio::Started<()>| {
                    let _counted = counted;
                    sleep_forever()
                });
            });
            assert_eq!((cut, clock() - took), (None, secs(2)));
        });
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn start_in_a_cancelled_scope_starts_nothing() {
    run_virtual(|| {
        pool(|pool| {
            cancellable(|scope| {
                scope.cancel();
                pool.start(|started| {
                    started.report(());
                    fail("it ran")
                });
            });
        });
    });
}

#[test]
fn a_report_that_comes_too_late_is_dropped() {
    run_virtual(|| {
        let drops = Drops::default();
        pool(|pool| {
            let value = drops.one();
            skip_after(secs(1), |_| {
                pool.start(move |started| {
                    shield(|| sleep(secs(2)));
                    started.report(value);
                });
            });
        });
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_task_that_is_cancelled_before_its_report_makes_start_panic() {
    let said = panic_of(|| {
        run_virtual(|| {
            pool(|pool| {
                let _ = pool.start(|_started: giambio::Started<()>| {
                    giambio::task::current().cancel();
                    sleep_forever()
                });
            });
        });
    });
    assert!(said.ends_with("was cancelled before it had reported"), "{said}");
}

#[test]
fn a_start_that_the_debugger_cancels_when_it_hears_of_the_spawn_is_cut() {
    thread_local! {
        static STARTER: RefCell<Option<TaskRef>> = const { RefCell::new(None) };
    }
    struct Cancels;
    impl Debugger for Cancels {
        fn on_task_spawn(&self, task: &TaskRef) {
            if task.name() == "started" {
                STARTER.take().unwrap().cancel();
            }
        }
    }
    let mut runtime = builder().debugger(Cancels).build().unwrap();
    runtime.run(|| {
        pool(|outer| {
            let starter = outer.spawn(|| {
                STARTER.set(Some(giambio::task::current()));
                let named = TaskBuilder::new().name("started".into());
                let _ = named.start(outer, |_started: giambio::Started<()>| sleep_forever());
            });
            assert!(starter.join().unwrap_err().is_cancelled());
        });
    });
}

#[test]
fn the_debugger_hears_of_a_delay_as_of_a_sleep() {
    #[derive(Clone, Default)]
    struct Sleeps(Rc<RefCell<Vec<Duration>>>);
    impl Debugger for Sleeps {
        fn before_sleep(&self, _: &TaskRef, duration: Duration) {
            self.0.borrow_mut().push(duration);
        }
        fn after_sleep(&self, _: &TaskRef, duration: Duration) {
            self.0.borrow_mut().push(duration);
        }
    }
    let sleeps = Sleeps::default();
    let mut runtime = builder().debugger(sleeps.clone()).build().unwrap();
    runtime.run(|| pool(|pool| drop(pool.spawn_after(secs(3), || ()))));
    assert_eq!(sleeps.0.take(), [secs(3), secs(3)]);
}

#[test]
fn start_into_a_cancelled_pool_panics_and_runs_nothing() {
    let said = panic_of(|| {
        run_virtual(|| {
            pool(|pool| {
                pool.cancel();
                let _ = pool.start(|_started: giambio::Started<()>| fail("it ran"));
            });
        });
    });
    assert!(said.ends_with("was cancelled before it had reported"), "{said}");
}

#[test]
fn a_started_task_has_the_options_of_its_builder() {
    run_virtual(|| {
        pool(|pool| {
            let builder = TaskBuilder::new().name("server".into()).stack_size(1 << 20);
            let (size, task) = builder.start(pool, |started| {
                started.report(giambio::task::stack_usage().unwrap().size);
            });
            assert_eq!((size, task.name()), (1 << 20, "server".to_owned()));
        });
    });
}

#[test]
fn a_delayed_task_begins_after_its_delay() {
    run_virtual(|| {
        let start = clock();
        let began = pool(|pool| {
            let delays = [3, 1, 2].map(|n| pool.spawn_after(secs(n), || clock() - start));
            delays.map(|task| task.join().unwrap())
        });
        assert_eq!(began, [secs(3), secs(1), secs(2)]);
    });
}

#[test]
fn a_delay_counts_from_the_call() {
    run_virtual(|| {
        let start = clock();
        pool(|pool| {
            let task = pool.spawn_after(secs(2), || clock() - start);
            pool.spawn(|| ());
            assert_eq!(task.join().unwrap(), secs(2));
        });
    });
}

#[test]
fn a_delayed_task_that_is_cancelled_never_runs_and_drops_its_closure() {
    run_virtual(|| {
        let drops = Drops::default();
        let took = elapsed(|| {
            pool(|pool| {
                let counted = drops.one();
                let task = pool.spawn_after(secs(9), move || {
                    let _counted = counted;
                    fail("it ran")
                });
                sleep(secs(1));
                task.cancel();
            });
        });
        assert_eq!((took, drops.count()), (secs(1), 1));
    });
}

#[test]
fn a_delay_of_zero_still_lets_the_parent_go_on_first() {
    run_virtual(|| {
        let ran = Cell::new(false);
        pool(|pool| {
            pool.spawn_after(secs(0), || ran.set(true));
            assert!(!ran.get());
        });
        assert!(ran.get());
    });
}

#[test]
fn a_delay_beyond_the_clock_is_for_ever() {
    run_virtual(|| {
        pool(|pool| {
            pool.spawn_after(Duration::MAX, || fail("it ran"));
            sleep(secs(1_000_000));
            pool.cancel();
        });
    });
}
