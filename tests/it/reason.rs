//! Why a task was cancelled, and who is told.

use crate::logged;
use crate::named;
use crate::raised;
use crate::secs;
use giambio::OnFailure;
use giambio::Pool;
use giambio::Task;
use giambio::cancellable;
use giambio::pool;
use giambio::race;
use giambio::shield;
use giambio::skip_after;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::testing::run_virtual;
use giambio::try_pool;
use giambio::yield_now;
use std::cell::RefCell;

/// What a task's `join` says of its end, once it has been cancelled.
fn reason_of<T>(task: Task<'_, T>) -> Option<String> {
    let error = shield(|| task.join()).map(drop).unwrap_err();
    assert!(error.is_cancelled());
    let reason = error.cancel_reason().map(str::to_owned);
    let said = error.to_string();
    match &reason {
        Some(reason) => assert!(said.ends_with(&format!(" was cancelled: {reason}")), "{said}"),
        None => assert!(said.ends_with(" was cancelled"), "{said}"),
    }
    reason
}

fn sleeper<'scope>(pool: &'scope Pool<'scope, '_>) -> Task<'scope, ()> {
    pool.spawn(|| sleep_forever())
}

#[test]
fn smoke() {
    run_virtual(|| {
        pool(|pool| {
            let task = sleeper(pool);
            task.cancel_because("smoke");
            assert_eq!(reason_of(task).as_deref(), Some("smoke"));
        });
    });
}

#[test]
fn a_plain_cancel_has_no_reason() {
    run_virtual(|| {
        pool(|pool| {
            let task = sleeper(pool);
            task.cancel();
            assert_eq!(reason_of(task), None);
            let task = sleeper(pool);
            pool.cancel();
            assert_eq!(reason_of(task), None);
        });
    });
}

#[test]
fn the_words_of_a_pools_cancellation_are_every_childs() {
    run_virtual(|| {
        pool(|pool| {
            let tasks = [sleeper(pool), sleeper(pool)];
            pool.cancel_because(String::from("closing"));
            let late = sleeper(pool);
            for task in tasks.into_iter().chain([late]) {
                assert_eq!(reason_of(task).as_deref(), Some("closing"));
            }
        });
    });
}

#[test]
fn the_words_of_a_canceller_arrive_from_here_and_from_another_thread() {
    giambio::run(|| {
        pool(|pool| {
            let task = sleeper(pool);
            pool.canceller().cancel_because("from here");
            assert_eq!(reason_of(task).as_deref(), Some("from here"));
        });
        pool(|pool| {
            let (task, canceller) = (sleeper(pool), pool.canceller());
            let thread = std::thread::spawn(move || canceller.cancel_because("from elsewhere"));
            assert_eq!(reason_of(task).as_deref(), Some("from elsewhere"));
            thread.join().unwrap();
        });
    });
}

#[test]
fn the_words_of_a_canceller_whose_scope_has_ended_reach_nobody() {
    giambio::run(|| {
        let stale = pool(|pool| pool.canceller());
        std::thread::scope(|threads| {
            threads.spawn(|| stale.cancel_because("too late")).join().unwrap();
        });
        stale.cancel_because("too late");
        pool(|pool| {
            let task = sleeper(pool);
            yield_now();
            pool.cancel();
            assert_eq!(reason_of(task), None);
        });
    });
}

#[test]
fn the_first_reason_stays() {
    run_virtual(|| {
        pool(|pool| {
            let task = sleeper(pool);
            pool.cancel_because("first");
            pool.cancel_because("second");
            assert_eq!(reason_of(task).as_deref(), Some("first"));
        });
    });
}

#[test]
fn the_outermost_scope_tells_the_reason() {
    run_virtual(|| {
        let told = RefCell::new(None);
        cancellable(|outer| {
            pool(|inner| {
                let task = sleeper(inner);
                inner.cancel_because("inner");
                outer.cancel_because("outer");
                *told.borrow_mut() = reason_of(task);
            });
        });
        assert_eq!(told.take().as_deref(), Some("outer"));
    });
}

#[test]
fn a_deadline_is_a_reason() {
    run_virtual(|| {
        pool(|pool| {
            let task = sleeper(pool);
            pool.set_deadline(Some(giambio::clock() + secs(1)));
            assert_eq!(reason_of(task).as_deref(), Some("a deadline has passed"));
        });
        let told = RefCell::new(None);
        skip_after(secs(0), |pool| *told.borrow_mut() = reason_of(sleeper(pool)));
        assert_eq!(told.take().as_deref(), Some("a deadline has passed"));
    });
}

#[test]
fn a_siblings_failure_is_a_reason() {
    run_virtual(|| {
        let told = RefCell::new(None);
        let failed = try_pool(|pool| {
            let task = pool.spawn(sleep_forever::<Result<(), _>>);
            pool.spawn(|| Err::<(), _>("failed"));
            *told.borrow_mut() = reason_of(task);
            Ok(())
        });
        assert_eq!((failed, told.take().as_deref()), (Err("failed"), Some("its pool has failed")));
    });

    /// `sleep_forever` where a type is asked for.
    fn sleep_forever<T>() -> T {
        giambio::sleep_forever()
    }
}

#[test]
fn a_failure_from_which_others_are_spared_is_nobodys_reason() {
    run_virtual(|| {
        let failed = try_pool(|pool| {
            pool.on_failure(OnFailure::LetOthersFinish);
            let task = pool.spawn(|| {
                sleep(secs(2));
                Ok(7)
            });
            pool.spawn(|| Err::<(), _>("failed"));
            assert_eq!(task.join().unwrap(), 7);
            Ok(())
        });
        assert_eq!(failed, Err("failed"));
    });
}

#[test]
fn a_lost_race_is_a_reason() {
    let said = RefCell::new(String::new());
    run_virtual(|| {
        pool(|outer| {
            let watched = outer.spawn(|| {
                race(
                    || sleep(secs(1)),
                    || {
                        pool(|inner| *said.borrow_mut() = reason_of(sleeper(inner)).unwrap());
                    },
                );
            });
            watched.join().unwrap();
        });
    });
    assert_eq!(*said.borrow(), "another task has won the race");
}

#[test]
fn a_task_that_was_cancelled_before_it_began_tells_why() {
    run_virtual(|| {
        pool(|pool| {
            let task = pool.spawn(|| unreachable!("it ran"));
            task.cancel_because("not needed");
            assert_eq!(reason_of::<()>(task).as_deref(), Some("not needed"));
        });
    });
}

#[test]
fn a_reason_outlives_its_scope_in_the_error() {
    run_virtual(|| {
        let error = RefCell::new(None);
        pool(|pool| {
            let task = sleeper(pool);
            task.cancel_because("kept");
            *error.borrow_mut() = task.join().err();
        });
        let error = error.take().unwrap();
        assert_eq!(error.cancel_reason(), Some("kept"));
    });
}

#[test]
fn a_panic_and_a_value_have_no_reason() {
    run_virtual(|| {
        pool(|pool| {
            let task = pool.spawn_isolated(|| crate::fail("a panic"));
            let error = task.join().map(|(): ()| ()).unwrap_err();
            assert_eq!(error.cancel_reason(), None);
        });
    });
}

#[test]
fn the_log_tells_why_a_task_that_swallows_its_cancellation_was_cancelled() {
    logged(""); // switches the log on
    run_virtual(|| {
        pool(|pool| {
            let task = named(pool, "reason_swallower", || {
                for _ in 0..100 {
                    assert!(raised(yield_now));
                }
            });
            yield_now();
            task.cancel_because("it should stop");
            task.join().unwrap();
        });
    });
    let lines = logged("reason_swallower");
    assert!(lines.iter().any(|line| line.contains("it should stop")), "{lines:?}");
}

#[test]
fn ten_thousand_reasons_leave_nothing_behind() {
    // Each is forgotten with its scope; a leak would show in the address sanitizer's run.
    run_virtual(|| {
        for n in 0..10_000 {
            cancellable(|scope| scope.cancel_because(n.to_string()));
        }
    });
}
