//! Pools of tasks that return `Result`: which failure is worth more.

use crate::Drops;
use crate::elapsed;
use crate::fail;
use crate::logged;
use crate::panic_of;
use crate::secs;
use giambio::Pool;
use giambio::TaskBuilder;
use giambio::cancellable;
use giambio::finally;
use giambio::run;
use giambio::shield;
use giambio::skip_after;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::task;
use giambio::testing::run_virtual;
use giambio::try_pool;
use giambio::with_timeout;
use giambio::yield_now;
use std::cell::Cell;
use std::error::Error;
use std::num::ParseIntError;
use std::rc::Rc;

/// Sleeps, and does not fail.
fn nap<E>(seconds: u64) -> Result<(), E> {
    sleep(secs(seconds));
    Ok(())
}

#[test]
fn smoke() {
    let sum = run(|| {
        try_pool(|pool| {
            let tasks = ["1", "2"].map(|text| pool.spawn(|| text.parse::<i32>()));
            let [one, two] = tasks.map(|task| task.join().unwrap());
            Ok::<_, ParseIntError>(one + two)
        })
    });
    assert_eq!(sum, Ok(3));
}

#[test]
fn an_error_of_the_body_cancels_the_children() {
    run_virtual(|| {
        let drops = Drops::default();
        let took = elapsed(|| {
            let result = try_pool(|pool| {
                let one = drops.one();
                pool.spawn(move || {
                    let _one = one;
                    sleep(secs(8));
                    Ok(())
                });
                sleep(secs(2));
                Err::<(), _>("body")
            });
            assert_eq!(result, Err("body"));
        });
        assert_eq!((took, drops.count()), (secs(2), 1));
    });
}

#[test]
fn an_error_of_a_child_cancels_its_siblings_and_cuts_the_body() {
    run_virtual(|| {
        let drops = Drops::default();
        let took = elapsed(|| {
            let result = try_pool(|pool| {
                let one = drops.one();
                pool.spawn(move || {
                    let _one = one;
                    sleep(secs(8));
                    Ok(())
                });
                pool.spawn(|| {
                    sleep(secs(2));
                    Err::<(), _>("child")
                });
                sleep_forever()
            });
            assert_eq!(result, Err::<(), _>("child"));
        });
        assert_eq!((took, drops.count()), (secs(2), 1));
    });
}

#[test]
fn an_error_of_a_child_beats_the_value_of_a_body_that_has_ended() {
    run_virtual(|| {
        let drops = Drops::default();
        let result = try_pool(|pool| {
            pool.spawn(|| {
                sleep(secs(1));
                Err::<(), _>("child")
            });
            Ok(drops.one())
        });
        assert_eq!(result.map(drop), Err("child"));
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn the_first_error_is_returned_and_the_others_are_logged_with_their_tasks_names() {
    logged("");
    let (drops, name) = (Drops::default(), Cell::default());
    run_virtual(|| {
        let result = try_pool(|pool| {
            pool.spawn(|| {
                name.set(task::current().name());
                shield(|| sleep(secs(2)));
                Err::<(), _>(("second", drops.one()))
            });
            sleep(secs(1));
            Err::<(), _>(("first", drops.one()))
        });
        assert_eq!(drops.count(), 1);
        assert_eq!(result.unwrap_err().0, "first");
    });
    let lines = logged(&format!("'{}'", name.take()));
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("returned an error after its pool had failed"), "{lines:?}");
}

#[test]
fn an_error_of_a_body_that_comes_after_a_childs_is_dropped() {
    let drops = Drops::default();
    run(|| {
        let result = try_pool(|pool| {
            pool.spawn(|| Err::<(), _>(("child", drops.one())));
            shield(yield_now);
            Err::<(), _>(("body", drops.one()))
        });
        assert_eq!((result.as_ref().unwrap_err().0, drops.count()), ("child", 1));
    });
}

#[test]
fn a_panic_beats_an_error_that_came_before() {
    run(|| {
        let text = panic_of(|| {
            try_pool(|pool| {
                pool.spawn(|| -> Result<(), _> { finally(sleep_forever, || fail("cleanup")) });
                yield_now();
                Err::<(), _>("body")
            })
        });
        assert_eq!(text, "cleanup");
    });
}

#[test]
fn a_panic_beats_an_error_that_comes_after() {
    run(|| {
        let text = panic_of(|| {
            try_pool(|pool| {
                pool.spawn(|| -> Result<(), _> { fail("child") });
                shield(yield_now);
                Err::<(), _>("body")
            })
        });
        assert_eq!(text, "child");
    });
}

#[test]
fn an_error_that_a_panic_beats_is_logged() {
    logged("");
    let (drops, name) = (Drops::default(), Cell::default());
    run(|| {
        let text = panic_of(|| {
            try_pool(|pool| -> Result<(), _> {
                pool.spawn(|| -> Result<(), _> { finally(sleep_forever, || fail("cleanup")) });
                pool.spawn(|| {
                    name.set(task::current().name());
                    Err::<(), _>(drops.one())
                });
                sleep_forever()
            })
        });
        assert_eq!(text, "cleanup");
    });
    assert_eq!(drops.count(), 1);
    let lines = logged(&format!("'{}'", name.take()));
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("a panic was worth more"), "{lines:?}");
}

#[test]
fn an_error_beats_a_cancellation_from_outside_that_came_before() {
    run(|| {
        let cut = cancellable(|outer| {
            outer.cancel();
            try_pool(|_| Err::<(), _>("body"))
        });
        // The scope cut nothing; its body has ended with an error, which is its value.
        assert_eq!(cut, Some(Err("body")));
        let cut = cancellable(|outer| {
            try_pool::<_, &'static str>(|pool| {
                pool.spawn(|| {
                    outer.cancel();
                    shield(yield_now);
                    Err::<(), _>("child")
                });
                sleep_forever()
            })
        });
        assert_eq!(cut, Some(Err::<(), _>("child")));
    });
}

#[test]
fn an_error_beats_a_cancellation_from_outside_that_comes_after() {
    run_virtual(|| {
        let result = with_timeout(secs(1), |_| {
            try_pool(|pool| {
                pool.spawn(|| shield(|| nap(2)));
                yield_now();
                Err::<(), _>("body")
            })
        });
        assert_eq!(result, Ok(Err("body")));
    });
}

#[test]
fn a_panic_beats_a_cancellation_from_outside_whatever_came_first() {
    run_virtual(|| {
        let before = panic_of(|| {
            cancellable(|outer| {
                outer.cancel();
                try_pool(|_| -> Result<(), ()> { fail("cancelled before") })
            })
        });
        assert_eq!(before, "cancelled before");
        let after = panic_of(|| {
            with_timeout(secs(1), |_| {
                try_pool(|pool| -> Result<(), ()> {
                    pool.spawn(|| shield(|| nap(2)));
                    yield_now();
                    fail("cancelled after")
                })
            })
        });
        assert_eq!(after, "cancelled after");
    });
}

#[test]
fn a_cancellation_from_outside_beats_a_value() {
    run_virtual(|| {
        let cut = skip_after(secs(1), |_| {
            try_pool(|pool| {
                pool.spawn(|| nap(2));
                Ok::<_, ()>(1)
            })
        });
        assert_eq!(cut, None);
    });
}

#[test]
fn cancelling_a_try_pool_stops_the_children_and_not_the_body() {
    run(|| {
        let result = try_pool(|pool| {
            let task = pool.spawn(|| -> Result<(), ()> { sleep_forever() });
            pool.cancel();
            yield_now();
            assert!(task.join().unwrap_err().is_cancelled());
            Ok::<_, ()>(1)
        });
        assert_eq!(result, Ok(1));
    });
}

#[test]
fn a_try_pool_spawns_tasks_that_cannot_fail_through_its_pool() {
    run(|| {
        let result = try_pool(|pool| {
            let plain: &Pool<'_, '_> = pool;
            let named = TaskBuilder::new().name("named".into()).spawn(pool, || 1);
            let isolated = pool.spawn_isolated(|| fail("isolated")).join().map(|never: i32| never);
            assert!(isolated.unwrap_err().is_panic());
            Ok::<_, ()>(named.join().unwrap() + plain.spawn(|| 2).join().unwrap())
        });
        assert_eq!(result, Ok(3));
    });
}

#[test]
fn an_error_may_borrow_and_needs_neither_send_nor_debug() {
    struct Silent<'t>(Rc<Cell<&'t str>>);
    let text = String::from("borrowed");
    let result = run(|| {
        try_pool(|pool| {
            pool.spawn(|| Err::<(), _>(Silent(Rc::new(Cell::new(&text)))));
            sleep_forever()
        })
    });
    let Err::<(), _>(Silent(error)) = result else { panic!("no error") };
    assert_eq!(error.get(), "borrowed");
}

#[test]
fn children_borrow_locals_whatever_is_static_in_the_error() {
    fn sum(digits: &[String]) -> Result<i32, Box<dyn Error>> {
        let offset = 1;
        try_pool(|pool| {
            let tasks: Vec<_> = digits
                .iter()
                .map(|digit| pool.spawn(|| Ok(digit.parse::<i32>()? + offset)))
                .collect();
            Ok(tasks.into_iter().map(|task| task.join().unwrap()).sum())
        })
    }
    run(|| {
        assert_eq!(sum(&["1".into(), "2".into()]).unwrap(), 5);
        assert!(sum(&["1".into(), "two".into()]).unwrap_err().is::<ParseIntError>());
    });
}

#[test]
fn an_inner_error_fails_the_outer_pool_by_the_question_mark() {
    run_virtual(|| {
        let took = elapsed(|| {
            let result = try_pool(|outer| -> Result<(), &str> {
                outer.spawn(|| nap(8));
                try_pool::<_, &str>(|inner| {
                    inner.spawn(|| {
                        sleep(secs(2));
                        Err::<(), _>("inner child")
                    });
                    Ok(())
                })?;
                unreachable!("the outer body went on")
            });
            assert_eq!(result, Err("inner child"));
        });
        assert_eq!(took, secs(2));
    });
}
