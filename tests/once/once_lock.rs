//! `OnceLock`: who makes the value, and who waits for it.

use crate::Log;
use crate::fail;
use crate::panic_of;
use crate::secs;
use crate::unwind::both;
use crate::unwind::in_destructor;
use giambio::TaskBuilder;
use giambio::pool;
use giambio::skip_after;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::sync::Event;
use giambio::sync::OnceLock;
use giambio::task;
use giambio::task::no_switch;
use giambio::testing::assert_checkpoint;
use giambio::testing::assert_no_switch;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::yield_now;
use std::cell::Cell;
use std::rc::Rc;

#[test]
fn one_makes_the_value_however_many_ask_for_it() {
    run_virtual(|| {
        let (cell, made) = (OnceLock::new(), Cell::new(0));
        pool(|pool| {
            for number in 0..200 {
                let (cell, made) = (&cell, &made);
                pool.spawn(move || {
                    let value = cell.get_or_init(|| {
                        yield_now();
                        made.set(made.get() + 1);
                        number
                    });
                    assert_eq!(*value, 0);
                });
            }
        });
        assert_eq!((made.get(), cell.into_inner()), (1, Some(0)));
    });
}

#[test]
fn there_is_no_value_while_it_is_made() {
    run_virtual(|| {
        let cell = OnceLock::new();
        pool(|pool| {
            let makes = pool.spawn(|| {
                *cell.get_or_init(|| {
                    settle();
                    1
                })
            });
            yield_now();
            assert_eq!(cell.get(), None);
            assert_eq!(format!("{cell:?}"), "OnceLock(<uninit>)");
            assert_eq!(cell.clone(), OnceLock::new());
            assert_eq!(makes.join().unwrap(), 1);
            assert_eq!(cell.get(), Some(&1));
        });
    });
}

#[test]
fn who_sets_it_while_it_is_made_waits_and_gets_his_own_back() {
    run_virtual(|| {
        let cell = OnceLock::new();
        pool(|pool| {
            pool.spawn(|| {
                cell.get_or_init(|| {
                    sleep(secs(1));
                    1
                });
            });
            yield_now();
            let sets = pool.spawn(|| cell.set(2));
            settle();
            assert!(!sets.is_finished());
            assert_eq!(sets.join().unwrap(), Err(2));
            assert_eq!(cell.get(), Some(&1));
        });
    });
}

#[test]
fn who_has_waited_longest_makes_his_own_if_a_panic_or_a_cancellation_leaves_none() {
    both(|passing| {
        let (cell, log) = (OnceLock::new(), Log::default());
        pool(|pool| {
            let fails = pool.spawn_isolated(|| {
                cell.get_or_init(|| {
                    settle();
                    passing.begin()
                });
            });
            yield_now();
            for name in ["second", "third"] {
                let (cell, log) = (&cell, &log);
                pool.spawn(move || {
                    let value = cell.get_or_init(|| {
                        sleep(secs(1));
                        log.add(name);
                        name
                    });
                    assert_eq!(*value, "second");
                });
            }
            let waits = pool.spawn(|| *cell.wait());
            assert!(fails.join().is_err());
            assert_eq!(waits.join().unwrap(), "second");
        });
        log.assert(&["second"]);
    });
}

#[test]
fn who_sets_it_may_take_over_too() {
    run_virtual(|| {
        let cell = OnceLock::new();
        pool(|pool| {
            let cut = pool.spawn(|| {
                cell.get_or_init(|| sleep_forever());
            });
            yield_now();
            let sets = pool.spawn(|| cell.set(2));
            settle();
            cut.cancel();
            assert_eq!(sets.join().unwrap(), Ok(()));
            assert_eq!(cell.get(), Some(&2));
        });
    });
}

#[test]
fn a_value_that_was_never_made_is_made_by_the_next() {
    both(|passing| {
        let cell = OnceLock::new();
        pool(|pool| {
            let fails = pool.spawn_isolated(|| _ = cell.get_or_init(|| passing.begin()));
            assert!(fails.join().is_err());
        });
        assert_eq!(cell.get(), None);
        assert_eq!(cell.get_or_init(|| 3), &3);
    });
}

#[test]
fn neither_get_or_init_nor_set_is_a_checkpoint_and_wait_is() {
    run_virtual(|| {
        let cell = OnceLock::new();
        pool(|pool| {
            let task = pool.spawn(|| {
                task::current().cancel();
                assert_no_switch(|| *cell.get_or_init(|| 1));
                assert_no_switch(|| *cell.get_or_init(|| 2));
                assert_no_switch(|| cell.set(3)).unwrap_err();
                assert_no_switch(|| OnceLock::new().set(3)).unwrap();
            });
            task.join().unwrap();
        });
        assert_checkpoint(|| *cell.wait());
        assert!(skip_after(secs(1), |_| *OnceLock::<i32>::new().wait()).is_none());
    });
}

#[test]
fn a_cancellation_does_not_cut_the_wait_for_another_closure() {
    run_virtual(|| {
        let (cell, got) = (OnceLock::new(), Cell::new(0));
        pool(|pool| {
            pool.spawn(|| {
                cell.get_or_init(|| {
                    sleep(secs(5));
                    1
                });
            });
            yield_now();
            let waits = pool.spawn(|| got.set(*cell.get_or_init(|| unreachable!())));
            settle();
            waits.cancel();
            waits.join().unwrap();
        });
        assert_eq!(got.get(), 1);
    });
}

#[test]
fn a_closure_that_asks_for_its_own_value_names_its_task() {
    let calls: [fn(&OnceLock<i32>) -> i32; 3] =
        [|cell| *cell.get_or_init(|| 2), |cell| cell.set(2).unwrap_err(), |cell| *cell.wait()];
    for call in calls {
        run_virtual(|| {
            let cell = OnceLock::new();
            pool(|pool| {
                let named = TaskBuilder::new().name("circle".into());
                let task = named.spawn(pool, || panic_of(|| *cell.get_or_init(|| call(&cell))));
                let expected = format!(
                    "task 'circle' ({}) would wait for itself: it is initialising this `OnceLock` \
                     already",
                    task.id()
                );
                assert_eq!(task.join().unwrap(), expected);
            });
            assert_eq!(cell.get_or_init(|| 1), &1);
        });
    }
}

#[test]
fn where_no_switch_is_allowed_it_is_made_and_not_waited_for() {
    run_virtual(|| {
        let cell = OnceLock::new();
        pool(|pool| {
            let makes = pool.spawn(|| {
                cell.get_or_init(|| {
                    settle();
                    1
                });
            });
            yield_now();
            let text = panic_of(|| no_switch(|| *cell.get_or_init(|| 2)));
            assert!(text.starts_with("`call_once` or `get_or_init` would switch"), "{text}");
            assert!(panic_of(|| no_switch(|| cell.set(2))).contains("would switch"));
            assert!(panic_of(|| no_switch(|| *cell.wait())).contains("would switch"));
            makes.join().unwrap();
            assert_eq!(no_switch(|| *cell.wait()), 1);
        });
    });
}

#[test]
fn in_a_destructor_it_is_made_and_really_waited_for() {
    both(|passing| {
        let (cell, begun) = (OnceLock::new(), Event::new());
        pool(|pool| {
            pool.spawn(|| {
                cell.get_or_init(|| {
                    begun.trigger(()).unwrap();
                    sleep(secs(1));
                    1
                });
            });
            begun.wait();
            assert_eq!(in_destructor(passing, || *cell.get_or_init(|| 2)), 1);
        });
        assert_eq!(in_destructor(passing, || *OnceLock::new().get_or_init(|| 2)), 2);
    });
}

#[test]
fn the_value_is_dropped_once_and_an_empty_cell_drops_nothing() {
    let count = |cell: &OnceLock<Rc<()>>| cell.get().map_or(0, Rc::strong_count);
    let value = Rc::new(());
    let mut cell = OnceLock::new();
    drop(OnceLock::<Rc<()>>::new());
    assert!(cell.set(Rc::clone(&value)).is_ok());
    assert!(cell.set(Rc::clone(&value)).is_err());
    assert_eq!(count(&cell), 2);
    let clone = cell.clone();
    assert_eq!(count(&cell), 3);
    drop(clone);
    drop(cell.take());
    assert_eq!(Rc::strong_count(&value), 1);
    cell = Rc::clone(&value).into();
    assert_eq!(count(&cell), 2);
    drop(cell);
    assert_eq!(Rc::strong_count(&value), 1);
}

#[test]
fn a_payload_of_a_closure_that_fails_goes_on_unchanged() {
    run_virtual(|| {
        let cell = OnceLock::<i32>::new();
        assert_eq!(panic_of(|| *cell.get_or_init(|| fail("as it was"))), "as it was");
    });
}
