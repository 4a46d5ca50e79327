//! `LazyLock`: its closure runs once, and nothing cuts it.

use crate::fail;
use crate::panic_of;
use crate::secs;
use crate::unwind::both;
use crate::unwind::in_destructor;
use giambio::Builder;
use giambio::TaskBuilder;
use giambio::debug::Debugger;
use giambio::debug::TaskRef;
use giambio::pool;
use giambio::sleep;
use giambio::sync::LazyLock;
use giambio::sync::Once;
use giambio::task;
use giambio::task::no_switch;
use giambio::testing::assert_no_switch;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::yield_now;
use std::cell::Cell;
use std::rc::Rc;

const LAZY_POISONED: &str = "LazyLock instance has previously been poisoned";

#[test]
fn it_is_made_once_however_many_use_it_and_not_before() {
    run_virtual(|| {
        let made = Cell::new(0);
        let lazy = LazyLock::new(|| {
            sleep(secs(1));
            made.replace(made.get() + 1)
        });
        settle();
        assert_eq!(made.get(), 0);
        pool(|pool| {
            for _ in 0..200 {
                pool.spawn(|| assert_eq!(*lazy, 0));
            }
            yield_now();
            assert_eq!(LazyLock::get(&lazy), None);
            assert_eq!(format!("{lazy:?}"), "LazyLock(<uninit>)");
        });
        assert_eq!(made.get(), 1);
    });
}

#[test]
fn a_static_one_is_made_in_a_task() {
    static PLACE: LazyLock<String> = LazyLock::new(|| {
        yield_now();
        task::current().name()
    });
    fn of_a_function() -> &'static str {
        static TEXT: LazyLock<String> = LazyLock::new(|| "text".into());
        &TEXT
    }
    run_virtual(|| {
        let named = TaskBuilder::new().name("maker".into());
        pool(|pool| named.spawn(pool, || PLACE.len()).join().unwrap());
        assert_eq!(*PLACE, "maker");
        assert_eq!(of_a_function(), "text");
    });
}

#[test]
fn no_cancellation_cuts_its_closure_or_the_wait_for_it() {
    run_virtual(|| {
        let lazy = LazyLock::new(|| {
            sleep(secs(1));
            yield_now();
            7
        });
        let (made, waited) = (Cell::new(0), Cell::new(0));
        pool(|pool| {
            let makes = pool.spawn(|| {
                made.set(*lazy);
                yield_now();
                unreachable!();
            });
            let waits = pool.spawn(|| {
                waited.set(*lazy);
                yield_now();
                unreachable!();
            });
            settle();
            makes.cancel();
            waits.cancel();
            assert!(makes.join().unwrap_err().is_cancelled());
            assert!(waits.join().unwrap_err().is_cancelled());
        });
        assert_eq!((made.get(), waited.get()), (7, 7));
    });
}

#[test]
fn a_use_is_no_checkpoint() {
    run_virtual(|| {
        let lazy = LazyLock::new(|| 1);
        pool(|pool| {
            let task = pool.spawn(|| {
                task::current().cancel();
                assert_no_switch(|| *lazy) + assert_no_switch(|| *lazy)
            });
            assert_eq!(task.join().unwrap(), 2);
        });
    });
}

#[test]
fn a_panic_poisons_it_for_ever_and_is_told_to_those_who_wait() {
    run_virtual(|| {
        let lazy = LazyLock::<i32, _>::new(|| {
            sleep(secs(1));
            fail("on purpose")
        });
        pool(|pool| {
            let makes = pool.spawn(|| panic_of(|| *lazy));
            yield_now();
            let waits = [(); 3].map(|()| pool.spawn(|| panic_of(|| *lazy)));
            assert_eq!(makes.join().unwrap(), "on purpose");
            for waits in waits {
                assert_eq!(waits.join().unwrap(), LAZY_POISONED);
            }
        });
        assert_eq!(panic_of(|| *lazy), LAZY_POISONED);
        assert_eq!(LazyLock::get(&lazy), None);
    });
}

#[test]
fn a_closure_that_uses_its_own_value_names_its_task() {
    run_virtual(|| {
        thread_local! {
            static LAZY: LazyLock<i32> = LazyLock::new(|| LAZY.with(|lazy| **lazy));
        }
        pool(|pool| {
            let named = TaskBuilder::new().name("circle".into());
            let task = named.spawn(pool, || panic_of(|| LAZY.with(|lazy| **lazy)));
            let expected = format!(
                "task 'circle' ({}) would wait for itself: it is initialising this `LazyLock` already",
                task.id()
            );
            assert_eq!(task.join().unwrap(), expected);
        });
        assert_eq!(panic_of(|| LAZY.with(|lazy| **lazy)), LAZY_POISONED);
    });
}

#[test]
fn where_no_switch_is_allowed_it_is_made_and_not_waited_for() {
    run_virtual(|| {
        assert_eq!(no_switch(|| *LazyLock::new(|| 3)), 3);
        let lazy = LazyLock::new(|| {
            settle();
            1
        });
        pool(|pool| {
            let makes = pool.spawn(|| *lazy);
            yield_now();
            assert!(panic_of(|| no_switch(|| *lazy)).contains("would switch"));
            assert_eq!(makes.join().unwrap(), 1);
            assert_eq!(no_switch(|| *lazy), 1);
        });
    });
}

#[test]
fn in_a_destructor_it_is_made() {
    both(|passing| {
        let lazy = LazyLock::new(|| {
            sleep(secs(1));
            5
        });
        assert_eq!(in_destructor(passing, || *lazy), 5);
        assert_eq!(*lazy, 5);
    });
}

#[test]
fn what_its_closure_owns_is_dropped_once() {
    let owned = Rc::new(());
    let lazy = LazyLock::new({
        let owned = Rc::clone(&owned);
        move || drop(owned)
    });
    assert_eq!(Rc::strong_count(&owned), 2);
    let () = *lazy;
    assert_eq!(Rc::strong_count(&owned), 1);
    drop(lazy);
    let never = Rc::clone(&owned);
    drop(LazyLock::new(move || drop(never)));
    assert_eq!(Rc::strong_count(&owned), 1);
}

#[test]
fn a_debuggers_hook_may_use_it() {
    static HOOKED: LazyLock<i32> = LazyLock::new(|| 4);
    static ONCE: Once = Once::new();

    struct Hook;

    impl Debugger for Hook {
        fn before_task_step(&self, _: &TaskRef) {
            assert_eq!(*HOOKED, 4);
            ONCE.call_once(|| ());
        }
    }

    let mut runtime = Builder::new().debugger(Hook).build().unwrap();
    runtime.run(|| ());
    assert_eq!(LazyLock::get(&HOOKED), Some(&4));
    assert!(ONCE.is_completed());
}
