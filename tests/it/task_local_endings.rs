//! The end of what a task has inherited: destructors that are a part of the task.

use crate::Drops;
use crate::Log;
use crate::elapsed;
use crate::fail;
use crate::logged;
use crate::panic_of;
use crate::secs;
use crate::task_local::AtTheEnd;
use crate::task_local::at_the_end;
use crate::unwind::both;
use giambio::Pool;
use giambio::Task;
use giambio::TaskBuilder;
use giambio::pool;
use giambio::run;
use giambio::shield;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::task;
use giambio::task_local;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::try_pool;
use giambio::yield_now;
use std::cell::Cell;
use std::rc::Rc;

task_local! {
    #[inherited]
    static USER: u32;
    #[inherited]
    static COUNTED: crate::CountedDrop;
    #[inherited]
    static ENDING: AtTheEnd;
}

fn user() -> Option<u32> {
    USER.try_with(|user| *user).ok()
}

/// Starts a task that inherits a value which does `f` when it is dropped, by that task.
fn spawn_with_ending<'scope, T: 'scope>(
    pool: &'scope Pool<'scope, '_>,
    f: impl FnOnce() + 'static,
    body: impl FnOnce() -> T + 'scope,
) -> Task<'scope, T> {
    ENDING.scope(at_the_end(f), || TaskBuilder::new().name("heir".into()).spawn(pool, body))
}

#[test]
fn a_task_that_never_began_drops_its_inheritance_on_its_own_stack() {
    run(|| {
        let log = Rc::new(Log::default());
        pool(|pool| {
            let note = Rc::clone(&log);
            let task = spawn_with_ending(
                pool,
                move || note.add(format!("dropped by {}", task::current().name())),
                || unreachable!("cancelled before its first step"),
            );
            task.cancel();
            settle();
            log.assert(&["dropped by heir"]);
        });
    });
}

#[test]
fn the_last_destructor_is_part_of_the_task() {
    run_virtual(|| {
        let log = Rc::new(Log::default());
        let took = elapsed(|| {
            pool(|pool| {
                let (note, from_child) = (Rc::clone(&log), Rc::clone(&log));
                let ending = move || {
                    sleep(secs(2));
                    note.add(format!("dropped by {}", task::current().name()));
                };
                let task = spawn_with_ending(pool, ending, move || from_child.add("body"));
                settle();
                assert!(!task.is_finished());
                task.join().unwrap();
                log.add("joined");
            });
        });
        assert_eq!(took, secs(2));
        log.assert(&["body", "dropped by heir", "joined"]);
    });
}

#[test]
fn inherited_values_go_latest_first_and_see_those_before() {
    task_local! {
        #[inherited]
        static INNER: AtTheEnd;
        static OWN: u32;
    }
    fn check() {
        let log = Rc::new(Log::default());
        pool(|pool| {
            let [outer, inner] = [Rc::clone(&log), Rc::clone(&log)];
            let outer = move || outer.add(format!("outer sees {:?} {}", user(), ENDING.is_set()));
            let inner = move || {
                inner.add(format!("inner sees {:?} {}", user(), ENDING.is_set()));
                USER.scope(2, || yield_now()); // a destructor may bind and park
            };
            ENDING.scope(at_the_end(outer), || {
                USER.scope(1, || INNER.scope(at_the_end(inner), || drop(pool.spawn(|| ()))));
            });
        });
        log.assert(&["inner sees Some(1) true", "outer sees None false"]);
    }
    run(|| {
        check();
        OWN.scope(1, check); // the child's bindings are copies
    });
}

#[test]
fn a_destructor_that_spawns_keeps_the_pool_open() {
    run(|| {
        let ran = Rc::new(Cell::new(false));
        let tell = Rc::clone(&ran);
        pool(|pool| {
            let ending = move || {
                let inner = giambio::pool(|pool| pool.spawn(user).join().unwrap());
                tell.set(inner == Some(1));
            };
            USER.scope(1, || drop(spawn_with_ending(pool, ending, || ())));
        });
        assert!(ran.get());
    });
}

#[test]
fn a_destructor_that_panics_fails_the_task_and_its_value_is_dropped() {
    run(|| {
        let drops = Drops::default();
        let text = panic_of(|| {
            pool(|pool| {
                spawn_with_ending(pool, || fail("ended badly"), || drops.one());
                sleep_forever();
            });
        });
        assert_eq!((text.as_str(), drops.count()), ("ended badly", 1));
        let left = drops.one();
        pool(|pool| {
            let spawn = || pool.spawn_isolated(|| drops.one());
            // The second value is dropped all the same.
            let bound = || ENDING.scope(at_the_end(|| fail("ended badly")), spawn);
            let task = COUNTED.scope(left, bound);
            let error = task.join().err().unwrap();
            assert!(error.is_panic(), "{error}");
        });
        assert_eq!(drops.count(), 3);
    });
}

#[test]
fn of_two_panics_the_first_is_the_outcome_and_the_second_is_logged() {
    assert!(logged("the second of two").is_empty());
    run(|| {
        let text = panic_of(|| {
            pool(|pool| {
                spawn_with_ending(pool, || fail("the second of two"), || fail("the first of two"));
            });
        });
        assert_eq!(text, "the first of two");
    });
    let lines = logged("the second of two");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("ERROR: task 'heir' (#"), "{lines:?}");
    assert!(lines[0].ends_with("panicked once more: the second of two"), "{lines:?}");
    assert!(logged("the first of two").is_empty());
}

#[test]
fn a_cancelled_task_drops_its_inheritance_and_a_destructor_that_waits_is_cut() {
    run_virtual(|| {
        let log = Rc::new(Log::default());
        let drops = Drops::default();
        pool(|pool| {
            let note = Rc::clone(&log);
            let ending = move || {
                note.add("begun");
                sleep(secs(1));
                note.add("not cut");
            };
            let spawn = || spawn_with_ending(pool, ending, || sleep_forever());
            let task = COUNTED.scope(drops.one(), spawn);
            settle();
            task.cancel();
            assert!(task.join().unwrap_err().is_cancelled());
        });
        log.assert(&["begun"]);
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_task_that_is_cut_in_its_last_destructor_was_cancelled() {
    run_virtual(|| {
        let drops = Drops::default();
        pool(|pool| {
            let task = spawn_with_ending(pool, || sleep(secs(1)), || drops.one());
            settle();
            task.cancel_because("too late");
            let error = task.join().err().unwrap();
            assert_eq!(error.cancel_reason(), Some("too late"));
        });
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_task_that_was_cut_before_was_cut_by_that() {
    run_virtual(|| {
        pool(|pool| {
            let ending = || {
                shield(|| sleep(secs(1)));
                yield_now(); // cut again, from further out
            };
            let task = spawn_with_ending(pool, ending, || sleep_forever());
            settle();
            task.cancel_because("first");
            settle();
            pool.cancel_because("second");
            let error = task.join().unwrap_err();
            assert_eq!(error.cancel_reason(), Some("first"));
        });
    });
}

#[test]
fn a_shield_in_the_last_destructor_holds() {
    run_virtual(|| {
        pool(|pool| {
            let task = spawn_with_ending(pool, || shield(|| sleep(secs(1))), || 7);
            settle();
            task.cancel();
            assert_eq!(task.join().unwrap(), 7);
        });
    });
}

#[test]
fn a_task_that_failed_its_pool_has_failed_although_its_last_destructor_is_cut() {
    run_virtual(|| {
        let result: Result<(), &str> = try_pool(|pool| {
            let spawn = || pool.spawn(|| Err::<(), _>("wrong"));
            let task = ENDING.scope(at_the_end(|| sleep(secs(1))), spawn);
            let error = shield(|| task.join().unwrap_err());
            assert!(
                error.to_string().ends_with("returned an error, which its pool has"),
                "{error}"
            );
            Ok(())
        });
        assert_eq!(result, Err("wrong"));
    });
}

#[test]
fn a_body_that_unwinds_still_drops_its_inheritance_in_calm() {
    both(|passing| {
        let slept = Rc::new(Cell::new(false));
        let tell = Rc::clone(&slept);
        pool(|pool| {
            let ending = move || tell.set(elapsed(|| shield(|| sleep(secs(1)))) == secs(1));
            let spawn = || pool.spawn_isolated(|| passing.begin());
            assert!(ENDING.scope(at_the_end(ending), spawn).join().is_err());
        });
        assert!(slept.get());
    });
}
