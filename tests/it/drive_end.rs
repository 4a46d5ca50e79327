//! The end of a drive: what becomes of main, of its value, and of panics.

use crate::Drops;
use crate::Log;
use crate::drive::AT_ONCE;
use crate::drive::drive_to_the_end;
use crate::drive::on_a_virtual_clock;
use crate::drive::runtime;
use crate::fail;
use crate::logged;
use crate::panic_of;
use crate::raised;
use crate::secs;
use giambio::Driver;
use giambio::clock;
use giambio::finally;
use giambio::lowlevel::Parker;
use giambio::pool;
use giambio::shield;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::task;
use giambio::yield_now;
use std::cell::Cell;
use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::time::Duration;

#[test]
fn main_borrows_and_its_value_needs_no_send() {
    let mut trace = vec!["before"];
    let main = || {
        trace.push("in main");
        yield_now();
        trace.push("later");
        Rc::new(7)
    };
    let (_, value) = runtime().drive(main, |driver| drive_to_the_end(driver));
    trace.push("after");
    assert_eq!(*value.unwrap(), 7);
    assert_eq!(trace, ["before", "in main", "later", "after"]);
}

#[test]
fn the_value_may_be_taken_while_the_host_is_still_there() {
    let drops = Drops::default();
    let main = || {
        yield_now();
        drops.one()
    };
    let (taken, rest) = runtime().drive(main, |driver| {
        assert!(driver.take_value().is_none());
        drive_to_the_end(driver);
        let taken = driver.take_value();
        assert!(driver.take_value().is_none());
        taken
    });
    assert_eq!((taken.is_some(), rest.is_none(), drops.count()), (true, true, 0));
    drop(taken);
    assert_eq!(drops.count(), 1);
}

#[test]
fn a_host_that_returns_early_cuts_main_and_all_its_tasks() {
    let drops = Drops::default();
    let main = || {
        let _local = drops.one();
        pool(|pool| {
            for _ in 0..3 {
                pool.spawn(|| {
                    let _local = drops.one();
                    sleep_forever();
                });
            }
            pool.spawn(|| Parker::new().park());
        });
    };
    let (ticks, value) = runtime().drive(main, |driver| {
        driver.tick(AT_ONCE);
        assert_eq!(drops.count(), 0);
        1
    });
    assert_eq!((ticks, value, drops.count()), (1, None, 4));
}

#[test]
fn a_main_that_has_not_begun_never_runs() {
    let drops = Drops::default();
    let captured = drops.one();
    let main = move || {
        drop(captured);
        unreachable!()
    };
    let (host, value) = runtime().drive(main, |_| "gone");
    assert_eq!((host, value, drops.count()), ("gone", None::<()>, 1));
}

#[test]
fn when_the_host_has_gone_what_is_shielded_completes() {
    let log = Log::default();
    let main = || {
        finally(sleep_forever, || {
            pool(|pool| drop(pool.spawn(|| sleep(secs(3)))));
            log.add("cleaned up");
        })
    };
    let mut runtime = on_a_virtual_clock();
    let (start, value) = runtime.drive(main, |driver| {
        driver.tick(AT_ONCE);
        clock()
    });
    log.assert(&["cleaned up"]);
    assert!(value.is_none());
    assert_eq!(runtime.run(clock) - start, secs(3));
}

#[test]
fn a_main_that_returns_all_the_same_gives_its_value() {
    let main = || {
        shield(|| sleep(secs(1)));
        "no checkpoint since"
    };
    let (_, value) = on_a_virtual_clock().drive(main, |driver| driver.tick(AT_ONCE));
    assert_eq!(value, Some("no checkpoint since"));
    let (_, value) = runtime().drive(|| raised(sleep_forever), |driver| driver.tick(AT_ONCE));
    assert_eq!(value, Some(true));
}

#[test]
fn a_panic_of_main_goes_on_when_the_host_has_returned() {
    let (log, drops) = (Log::default(), Drops::default());
    let text = panic_of(|| {
        runtime().drive(
            || fail("of main"),
            |driver| {
                drive_to_the_end(driver);
                assert!(driver.take_value().is_none());
                log.add("the host goes on");
                drops.one()
            },
        )
    });
    assert_eq!((text.as_str(), drops.count()), ("of main", 1));
    log.assert(&["the host goes on"]);
}

#[test]
fn a_panic_of_the_host_goes_on_when_every_task_has_ended() {
    let drops = Drops::default();
    let main = || {
        let _local = drops.one();
        sleep_forever();
    };
    let payload = catch_unwind(AssertUnwindSafe(|| {
        runtime().drive(main, |driver| {
            driver.tick(AT_ONCE);
            resume_unwind(Box::new(7_u8));
        })
    }));
    assert_eq!(payload.unwrap_err().downcast_ref::<u8>(), Some(&7));
    assert_eq!(drops.count(), 1);
}

#[test]
fn a_panic_of_the_host_drops_the_value_of_main() {
    let drops = Drops::default();
    let text = panic_of(|| {
        runtime().drive(
            || drops.one(),
            |driver| {
                drive_to_the_end(driver);
                fail("of the host")
            },
        )
    });
    assert_eq!((text.as_str(), drops.count()), ("of the host", 1));
}

#[test]
fn of_two_panics_the_first_goes_on_and_the_other_is_logged() {
    logged("");
    let main_first = panic_of(|| {
        runtime().drive(
            || fail("main was first"),
            |driver| {
                drive_to_the_end(driver);
                fail("host was second")
            },
        )
    });
    assert_eq!(main_first, "main was first");
    assert_eq!(
        logged("host was second"),
        ["ERROR: the closure of `drive` panicked after its main task had: host was second"]
    );
    let host_first = panic_of(|| {
        let main = || finally(sleep_forever, || fail("main was second"));
        runtime().drive(main, |driver| {
            driver.tick(AT_ONCE);
            fail("host was first")
        })
    });
    assert_eq!(host_first, "host was first");
    let [line] = &logged("main was second")[..] else { panic!("not one line") };
    assert!(line.starts_with("ERROR: task 'main' ("), "{line}");
}

#[test]
fn a_runtime_runs_and_drives_in_turn() {
    let mut runtime = runtime();
    for round in 0..3 {
        assert_eq!(runtime.run(|| pool(|pool| pool.spawn(|| round).join().unwrap())), round);
        assert_eq!(runtime.drive(|| round, |driver| drive_to_the_end(driver)), (1, Some(round)));
        assert_eq!(runtime.drive(sleep_forever, |driver| driver.tick(AT_ONCE).steps).0, 1);
        assert_eq!(panic_of(|| runtime.drive(|| (), |_| fail("host"))), "host");
        assert_eq!(panic_of(|| runtime.drive(|| fail("main"), |driver| driver.tick(None))), "main");
    }
}

/// Sleeps when it is dropped.
struct SleepsInItsDrop(Duration);

impl Drop for SleepsInItsDrop {
    fn drop(&mut self) {
        sleep(self.0);
    }
}

#[test]
fn the_host_ticks_while_a_task_is_parked_in_mid_unwind() {
    let main = || {
        pool(|pool| {
            let unwinds = pool.spawn_isolated(|| {
                let _slow = SleepsInItsDrop(secs(5));
                fail("slowly")
            });
            pool.spawn(|| sleep(secs(1)));
            assert!(unwinds.join().unwrap_err().is_panic());
        });
    };
    let (_, value) = on_a_virtual_clock().drive(main, |driver| {
        driver.tick(AT_ONCE);
        assert!(std::thread::panicking()); // std counts by the thread
        drive_to_the_end(driver);
        assert!(!std::thread::panicking());
    });
    assert_eq!(value, Some(()));
}

#[test]
fn a_host_may_panic_while_a_task_is_parked_in_mid_unwind() {
    let ended = Cell::new(0);
    let main = || {
        pool(|pool| {
            let ended = &ended;
            pool.spawn_isolated(move || {
                let _slow = SleepsInItsDrop(secs(5));
                fail("slowly")
            });
            for _ in 0..3 {
                // Parked while it cannot be told whether they unwind: cancelled when it can.
                pool.spawn(move || {
                    yield_now();
                    finally(sleep_forever, || ended.set(ended.get() + 1))
                });
            }
        });
    };
    let text = panic_of(|| {
        on_a_virtual_clock().drive(main, |driver| {
            driver.tick(AT_ONCE);
            assert!(std::thread::panicking());
            fail("of the host")
        })
    });
    assert_eq!((text.as_str(), ended.get()), ("of the host", 3));
    assert!(!std::thread::panicking());
}

/// Ticks when it is dropped, until the clock is nine seconds later.
struct TicksInItsDrop<'r, 'd>(&'r Driver<'d, ()>);

impl Drop for TicksInItsDrop<'_, '_> {
    fn drop(&mut self) {
        let end = clock() + secs(9);
        while clock() < end {
            self.0.tick(Some(end - clock()));
        }
    }
}

#[test]
fn a_task_that_parked_in_doubt_is_cut_although_the_host_unwound_until_then() {
    let cut = Cell::new(false);
    let main = || {
        pool(|pool| {
            pool.spawn_isolated(|| {
                let _slow = SleepsInItsDrop(secs(5));
                fail("slowly")
            });
            pool.spawn(|| {
                yield_now();
                finally(sleep_forever, || cut.set(true))
            });
        });
    };
    let text = panic_of(|| {
        on_a_virtual_clock().drive(main, |driver| {
            driver.tick(AT_ONCE);
            // While the first task is in mid-unwind, nobody can tell that the host is as well.
            let _ticks = TicksInItsDrop(driver);
            fail("of the host")
        })
    });
    assert_eq!((text.as_str(), cut.get()), ("of the host", true));
}

#[test]
fn what_the_host_keeps_of_a_task_does_no_harm_after_the_drive() {
    let kept = RefCell::new(None);
    let mut runtime = runtime();
    let main = || {
        *kept.borrow_mut() = Some(task::current());
        sleep_forever()
    };
    runtime.drive(main, |driver| driver.tick(AT_ONCE));
    let main = kept.take().unwrap();
    assert_eq!(main.name(), "main");
    main.cancel();
    drop(main);
    runtime.run(|| ());
}

#[test]
fn tasks_that_are_cut_because_the_host_has_gone_say_so() {
    let mut why = String::new();
    let main = || {
        pool(|pool| {
            let child = pool.spawn(|| sleep_forever());
            why = shield(|| child.join().unwrap_err().to_string());
        });
    };
    runtime().drive(main, |driver| driver.tick(AT_ONCE));
    assert!(why.contains("the closure of `drive` has ended"), "{why}");
}
