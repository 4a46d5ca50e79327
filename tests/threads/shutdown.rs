//! The end of `run` and of `drive`: no thread outlives it.

use crate::Drops;
use crate::Log;
use crate::OnDrop;
use crate::fail;
use crate::is_cancelled;
use crate::logged;
use crate::panic_of;
use crate::raised;
use crate::secs;
use giambio::Builder;
use giambio::run;
use giambio::shield;
use giambio::task;
use giambio::testing;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::thread;
use giambio::yield_now;
use std::time::Duration;

#[test]
fn smoke() {
    let log = Log::default();
    let says = log.clone();
    run(|| {
        thread::spawn(move || {
            let _guard = OnDrop::new(|| says.add("thread ended"));
            giambio::sleep_forever()
        });
        yield_now();
        log.add("main returns");
    });
    log.add("run has returned");
    log.assert(&["main returns", "thread ended", "run has returned"]);
}

#[test]
fn a_thread_that_had_not_begun_never_runs_and_its_closure_is_dropped() {
    let (drops, log) = (Drops::default(), Log::default());
    let (counted, says) = (drops.one(), log.clone());
    let thread = run(|| {
        thread::spawn(move || {
            let _counted = counted;
            says.add("ran");
        })
    });
    log.assert(&[]);
    assert_eq!(drops.count(), 1);
    assert!(is_cancelled(thread.join()));
}

#[test]
fn a_thread_that_has_ended_keeps_its_value() {
    let thread = run(|| {
        let thread = thread::spawn(|| String::from("kept"));
        yield_now();
        thread
    });
    assert_eq!(thread.join().unwrap(), "kept");
}

#[test]
fn after_a_panic_of_main_as_well() {
    let log = Log::default();
    let says = log.clone();
    let text = panic_of(|| {
        run(|| {
            thread::spawn(move || {
                let _guard = OnDrop::new(|| says.add("thread ended"));
                giambio::sleep_forever()
            });
            yield_now();
            fail("main")
        })
    });
    assert_eq!(text, "main");
    log.assert(&["thread ended"]);
}

#[test]
fn destructors_may_wait_and_run_waits_for_them() {
    let log = Log::default();
    let says = log.clone();
    let elapsed = run_virtual(|| {
        let start = giambio::clock();
        thread::spawn(move || {
            let _guard = OnDrop::new(|| {
                thread::sleep(secs(3));
                says.add("cleaned up");
            });
            giambio::sleep_forever()
        });
        yield_now();
        start
    });
    let _ = elapsed;
    log.assert(&["cleaned up"]);
}

#[test]
fn what_is_shielded_completes() {
    let log = Log::default();
    let says = log.clone();
    run_virtual(|| {
        thread::spawn(move || {
            shield(|| thread::sleep(secs(2)));
            says.add("saved");
            yield_now();
            says.add("was not cut");
        });
        yield_now();
    });
    log.assert(&["saved"]);
}

#[test]
fn who_swallows_the_cancellation_meets_it_again() {
    let log = Log::default();
    let says = log.clone();
    run(|| {
        thread::spawn(move || {
            assert!(raised(|| giambio::sleep_forever()));
            says.add("swallowed");
            yield_now();
        });
        yield_now();
    });
    log.assert(&["swallowed"]);
}

#[test]
fn a_panic_on_the_way_out_is_logged_and_does_not_reach_run() {
    let _ = logged("");
    let value = run(|| {
        let builder = thread::Builder::new().name("sore loser".into());
        let thread = builder.spawn(|| {
            if raised(|| giambio::sleep_forever()) {
                fail("on the way out");
            }
        });
        drop(thread.unwrap());
        yield_now();
        7
    });
    assert_eq!(value, 7);
    let lines = logged("'sore loser'");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].ends_with("nobody joined it: on the way out"), "{lines:?}");
}

#[test]
fn what_is_started_during_the_end_never_runs() {
    let (drops, log) = (Drops::default(), Log::default());
    let (counted, says) = (drops.one(), log.clone());
    run(|| {
        thread::spawn(move || {
            let _guard = OnDrop::new(|| {
                let late = thread::spawn(move || {
                    let _counted = counted;
                    unreachable!("a thread began after `main` had ended");
                });
                assert!(is_cancelled(late.join()));
                says.add("told so");
            });
            giambio::sleep_forever()
        });
        yield_now();
    });
    log.assert(&["told so"]);
    assert_eq!(drops.count(), 1);
}

#[test]
fn closures_that_start_threads_when_they_are_dropped_come_to_an_end() {
    struct Chain(u32, Drops);
    impl Drop for Chain {
        fn drop(&mut self) {
            self.1.one();
            if self.0 > 0 {
                let next = Chain(self.0 - 1, self.1.clone());
                thread::spawn(move || drop(next));
            }
        }
    }
    let drops = Drops::default();
    let first = Chain(9, drops.clone());
    run(|| thread::spawn(move || drop(first)));
    assert_eq!(drops.count(), 10);
}

#[test]
fn threads_of_threads_end_as_well() {
    let drops = Drops::default();
    let counted: Vec<_> = (0..10).map(|_| drops.one()).collect();
    fn nest(mut left: Vec<crate::CountedDrop>) {
        let Some(_mine) = left.pop() else { return };
        thread::spawn(move || nest(left));
        giambio::sleep_forever()
    }
    run(|| {
        thread::spawn(move || nest(counted));
        settle();
    });
    assert_eq!(drops.count(), 10);
}

#[test]
fn a_main_that_uses_no_threads_returns_at_once_in_its_pools() {
    let tick = run_virtual(|| {
        giambio::pool(|pool| pool.spawn(giambio::clock).join().unwrap()) == giambio::clock()
    });
    assert!(tick);
}

#[test]
fn the_reason_is_told() {
    let thread = run(|| {
        let thread = thread::spawn(|| giambio::sleep_forever());
        yield_now();
        thread
    });
    let error = thread.join().map(drop).unwrap_err().downcast::<giambio::JoinError>().unwrap();
    assert_eq!(error.cancel_reason(), Some("`main` has ended"));
}

#[test]
fn drive_ends_after_its_threads() {
    let log = Log::default();
    let says = log.clone();
    let mut runtime = Builder::new().build().unwrap();
    let main = || {
        thread::spawn(move || {
            let _guard = OnDrop::new(|| says.add("thread ended"));
            giambio::sleep_forever()
        });
        yield_now();
        7
    };
    let (ticks, value) = runtime.drive(main, |driver| {
        let mut ticks = 1;
        while !driver.tick(None).is_done {
            ticks += 1;
        }
        log.add("done");
        ticks
    });
    assert!(ticks > 0);
    assert_eq!(value, Some(7));
    log.assert(&["thread ended", "done"]);
}

#[test]
fn a_host_that_leaves_ends_the_threads() {
    let log = Log::default();
    let says = log.clone();
    let mut runtime = Builder::new().build().unwrap();
    let main = || {
        thread::spawn(move || {
            let _guard = OnDrop::new(|| says.add("thread ended"));
            giambio::sleep_forever()
        });
        giambio::sleep_forever()
    };
    let ((), value) = runtime.drive(main, |driver| {
        driver.tick(Some(Duration::ZERO));
        driver.tick(Some(Duration::ZERO));
        log.add("host leaves");
    });
    assert!(value.is_none());
    log.assert(&["host leaves", "thread ended"]);
}

#[test]
fn a_host_that_leaves_before_main_has_begun_meets_threads_of_its_destructors() {
    let drops = Drops::default();
    let counted = drops.one();
    let guard = OnDrop::new(move || drop(thread::spawn(move || drop(counted))));
    let mut runtime = Builder::new().build().unwrap();
    let ((), value) = runtime.drive(move || drop(guard), |_| ());
    assert!(value.is_none());
    assert_eq!(drops.count(), 1);
}

#[test]
fn a_panic_of_main_while_threads_go_on_counts_as_the_first() {
    let _ = logged("");
    let mut runtime = testing::builder().build().unwrap();
    let text = panic_of(|| {
        let main = || {
            thread::spawn(|| shield(|| thread::sleep(secs(2))));
            yield_now();
            fail("main was first")
        };
        runtime.drive(main, |driver| {
            driver.tick(Some(Duration::ZERO));
            assert!(!driver.is_done());
            fail("the host was second")
        })
    });
    assert_eq!(text, "main was first");
    assert_eq!(logged("the host was second").len(), 1);
}

#[test]
fn between_two_ticks_a_spawn_is_stds() {
    let mut runtime = Builder::new().build().unwrap();
    let here = std::thread::current().id();
    runtime.drive(
        || (),
        |driver| {
            let elsewhere = thread::spawn(move || std::thread::current().id() != here);
            assert!(elsewhere.join().unwrap());
            while !driver.tick(None).is_done {}
        },
    );
}

#[test]
fn a_thread_sees_in_its_destructors_that_no_panic_passes() {
    let log = Log::default();
    let says = log.clone();
    run(|| {
        thread::spawn(move || {
            let _guard = OnDrop::new(|| says.add(format!("{}", thread::panicking())));
            giambio::sleep_forever()
        });
        yield_now();
    });
    log.assert(&["false"]);
}

#[test]
fn the_cancelled_thread_is_still_itself() {
    let log = Log::default();
    let says = log.clone();
    let thread = run(|| {
        let builder = thread::Builder::new().name("the same".into());
        let thread = builder.spawn(move || {
            let _guard = OnDrop::new(|| {
                let me = thread::current();
                says.add(format!("{:?} {}", me.name(), task::current().name()));
            });
            giambio::sleep_forever()
        });
        yield_now();
        thread.unwrap()
    });
    log.assert(&["Some(\"the same\") the same"]);
    assert!(is_cancelled(thread.join()));
}
