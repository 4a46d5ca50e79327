//! Task-locals: what a task has bound, it sees, and nobody else does. What children inherit is in
//! task_local_inheritance.rs, how that ends in task_local_endings.rs.

use crate::Drops;
use crate::Log;
use crate::panic_of;
use crate::secs;
use crate::unwind::OnDrop;
use crate::unwind::Passing;
use crate::unwind::both;
use giambio::debug::Debugger;
use giambio::debug::TaskRef;
use giambio::on_big_stack;
use giambio::pool;
use giambio::run;
use giambio::sleep;
use giambio::task::AccessError;
use giambio::task::TaskLocal;
use giambio::task_local;
use giambio::testing;
use giambio::testing::run_virtual;
use giambio::yield_now;
use std::cell::Cell;
use std::cell::RefCell;
use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread;

/// Does what it was told when it is dropped.
pub(crate) type AtTheEnd = OnDrop<Box<dyn FnOnce()>>;

pub(crate) fn at_the_end(f: impl FnOnce() + 'static) -> AtTheEnd {
    OnDrop::new(Box::new(f))
}

task_local! {
    static NUMBER: u32;
    #[inherited]
    static HEIRLOOM: u32;
    static COUNTED: crate::CountedDrop;
    static ENDING: AtTheEnd;
}

#[test]
fn smoke() {
    run(|| {
        let seen = NUMBER.scope(7, || NUMBER.with(|number| *number));
        assert_eq!(seen, 7);
    });
}

#[test]
fn an_inner_scope_shadows_the_outer_one_and_only_that_of_its_key() {
    run(|| {
        NUMBER.scope(1, || {
            HEIRLOOM.scope(10, || {
                NUMBER.scope(2, || assert_eq!((NUMBER.get(), HEIRLOOM.get()), (2, 10)));
                assert_eq!((NUMBER.get(), HEIRLOOM.get()), (1, 10));
            });
            assert_eq!((NUMBER.get(), HEIRLOOM.is_set()), (1, false));
        });
        assert!(!NUMBER.is_set());
    });
}

#[test]
fn a_scope_ends_with_a_panic_and_with_a_cancellation() {
    both(|passing| {
        let drops = Drops::default();
        NUMBER.scope(1, || {
            pool(|pool| {
                let task = pool.spawn_isolated(|| {
                    NUMBER.scope(2, || {
                        let cut = catch_unwind(AssertUnwindSafe(|| {
                            let drop_here = || passing.begin();
                            NUMBER.scope(3, || COUNTED.scope(drops.one(), drop_here))
                        }));
                        assert_eq!((NUMBER.get(), COUNTED.is_set()), (2, false));
                        assert_eq!(drops.count(), 1);
                        std::panic::resume_unwind(cut.unwrap_err());
                    })
                });
                let error = task.join().unwrap_err();
                assert_eq!(error.is_panic(), passing == Passing::Panic);
            });
            assert_eq!(NUMBER.get(), 1);
        });
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn tasks_that_take_turns_on_one_thread_each_see_their_own_value() {
    run(|| {
        let log = Log::default();
        pool(|pool| {
            for number in [1, 2, 3] {
                let log = &log;
                pool.spawn(move || {
                    NUMBER.scope(number, || {
                        log.add(format!("{} at first", NUMBER.get()));
                        yield_now();
                        NUMBER.scope(number * 10, || {
                            log.add(format!("{} inside", NUMBER.get()));
                            yield_now();
                        });
                        log.add(format!("{} at last", NUMBER.get()));
                    });
                });
            }
            yield_now();
            assert!(!NUMBER.is_set());
        });
        log.assert(&[
            "1 at first",
            "2 at first",
            "3 at first",
            "10 inside",
            "20 inside",
            "30 inside",
            "1 at last",
            "2 at last",
            "3 at last",
        ]);
    });
}

#[test]
fn a_value_stays_while_a_look_at_it_lets_others_run() {
    run(|| {
        pool(|pool| {
            for number in [1, 2] {
                pool.spawn(move || {
                    NUMBER.scope(number, || {
                        NUMBER.with(|seen| {
                            yield_now();
                            NUMBER.scope(9, yield_now);
                            assert_eq!(*seen, number);
                        });
                    });
                });
            }
        });
    });
}

#[test]
fn a_value_is_dropped_at_the_end_of_its_scope_when_the_one_before_is_back() {
    run(|| {
        let seen = Rc::new(Cell::new(None));
        let tell = Rc::clone(&seen);
        let look = move || tell.set(Some((NUMBER.get(), ENDING.is_set())));
        NUMBER.scope(1, || {
            ENDING.scope(at_the_end(|| ()), || {
                let inner = || NUMBER.scope(2, || assert_eq!(seen.get(), None));
                ENDING.scope(at_the_end(look), inner);
                assert_eq!(seen.get(), Some((1, true)));
            });
        });
    });
}

#[test]
fn a_destructor_at_the_end_of_a_scope_may_park() {
    run_virtual(|| {
        let start = giambio::clock();
        let value = ENDING.scope(at_the_end(|| sleep(secs(2))), || 7);
        assert_eq!((value, giambio::clock() - start), (7, secs(2)));
    });
}

#[test]
fn a_destructor_that_panics_at_the_end_of_a_scope_leaves_the_outer_binding() {
    run(|| {
        NUMBER.scope(1, || {
            let text = panic_of(|| {
                NUMBER.scope(2, || ENDING.scope(at_the_end(|| panic!("ended badly")), || ()));
            });
            assert_eq!(text, "ended badly");
            assert_eq!((NUMBER.get(), ENDING.is_set()), (1, false));
        });
    });
}

#[test]
fn a_key_that_is_not_set_is_named() {
    run(|| {
        let error = NUMBER.try_with(|_| ()).unwrap_err();
        let text = "the task-local `it::task_local::NUMBER` is not set here";
        assert_eq!(error.to_string(), text);
        assert_eq!(format!("{error:?}"), "AccessError { key: \"it::task_local::NUMBER\" }");
        let advice = format!("{text}: call this inside of its `scope`, in the same task");
        assert_eq!(panic_of(|| NUMBER.with(|_| ())), advice);
        assert_eq!(panic_of(|| NUMBER.get()), advice);
        let advice = "the task-local `it::task_local::HEIRLOOM` is not set here: \
                      call this inside of its `scope`, or in a task that was spawned there";
        assert_eq!(panic_of(|| HEIRLOOM.get()), advice);
        assert_ne!(error, HEIRLOOM.try_with(|_| ()).unwrap_err());
    });
}

#[test]
fn a_look_at_a_key_that_is_set_does_not_fail() {
    NUMBER.scope(3, || {
        assert!(NUMBER.is_set());
        assert_eq!(NUMBER.try_with(|number| number + 1), Ok(4));
    });
    assert_eq!(NUMBER.try_with(|_| unreachable!()), Err::<(), _>(missing()));
}

fn missing() -> AccessError {
    let boxed: Box<dyn Error + Send + Sync> = NUMBER.try_with(|_| ()).unwrap_err().into();
    *boxed.downcast().unwrap()
}

#[test]
fn outside_of_run_every_thread_has_its_own_values() {
    NUMBER.scope(1, || {
        HEIRLOOM.scope(2, || {
            let seen = thread::spawn(|| {
                let before = (NUMBER.is_set(), HEIRLOOM.is_set());
                (before, NUMBER.scope(3, || NUMBER.get()))
            });
            assert_eq!(seen.join().unwrap(), ((false, false), 3));
            assert_eq!((NUMBER.get(), HEIRLOOM.get()), (1, 2));
        });
    });
}

#[test]
fn a_thread_that_ends_by_a_panic_in_a_scope_drops_the_value() {
    let dropped = Arc::new(Mutex::new(false));
    let tell = Arc::clone(&dropped);
    let thread = thread::spawn(move || {
        let value = at_the_end(move || *tell.lock().unwrap() = true);
        ENDING.scope(value, || crate::fail("on purpose"))
    });
    assert!(thread.join().is_err());
    assert!(*dropped.lock().unwrap());
}

#[test]
fn a_thread_local_destructor_can_use_task_locals() {
    struct Last(Arc<Mutex<Vec<bool>>>);
    impl Drop for Last {
        fn drop(&mut self) {
            let seen = [NUMBER.is_set(), NUMBER.scope(1, || NUMBER.is_set())];
            self.0.lock().unwrap().extend(seen);
        }
    }
    thread_local! {
        static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
    }
    let seen = Arc::new(Mutex::new(Vec::new()));
    let last = Last(Arc::clone(&seen));
    thread::spawn(|| LAST.set(Some(last))).join().unwrap();
    assert_eq!(*seen.lock().unwrap(), [false, true]);
}

/// Notes what a hook sees.
struct Hooks(Arc<Mutex<Vec<Option<u32>>>>);

impl Debugger for Hooks {
    fn before_sleep(&self, _: &TaskRef, _: std::time::Duration) {
        let bound = NUMBER.scope(9, || NUMBER.get());
        let mut seen = self.0.lock().unwrap();
        seen.extend([NUMBER.try_with(|number| *number).ok(), Some(bound)]);
    }
}

#[test]
fn a_hook_sees_the_values_of_its_thread_and_not_those_of_the_task() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let hooks = Hooks(Arc::clone(&seen));
    let mut runtime = testing::builder().debugger(hooks).build().unwrap();
    let mut slept_in_a_scope = || {
        runtime.run(|| {
            NUMBER.scope(2, || {
                sleep(secs(1));
                assert_eq!(NUMBER.get(), 2);
            });
        });
    };
    slept_in_a_scope();
    NUMBER.scope(1, slept_in_a_scope);
    assert_eq!(*seen.lock().unwrap(), [None, Some(9), Some(1), Some(9)]);
}

#[test]
fn a_deep_call_on_another_stack_is_still_the_task() {
    run(|| {
        NUMBER.scope(1, || {
            let inside = on_big_stack(1 << 20, || {
                NUMBER.scope(2, yield_now);
                NUMBER.get()
            });
            assert_eq!(inside, 1);
        });
    });
}

#[test]
fn a_value_may_be_changed_in_place_and_need_not_be_send() {
    task_local! {
        static STEPS: RefCell<Vec<&'static str>>;
        static SHARED: Rc<Cell<u32>>;
    }
    run(|| {
        let shared = Rc::new(Cell::new(0));
        STEPS.scope(RefCell::default(), || {
            SHARED.scope(Rc::clone(&shared), || {
                STEPS.with(|steps| steps.borrow_mut().push("first"));
                SHARED.with(|count| count.set(count.get() + 1));
                STEPS.with(|steps| steps.borrow_mut().push("second"));
                SHARED.get().set(SHARED.get().get() + 1);
                STEPS.with(|steps| assert_eq!(*steps.borrow(), ["first", "second"]));
            });
        });
        assert_eq!((shared.get(), Rc::strong_count(&shared)), (2, 1));
    });
}

#[test]
fn ten_thousand_scopes_nest() {
    fn nest(level: u32, bottom: &dyn Fn()) {
        if level > 10_000 {
            return bottom();
        }
        let seen = NUMBER.scope(level, || {
            HEIRLOOM.scope(level, || nest(level + 1, bottom));
            NUMBER.get()
        });
        assert_eq!(seen, level);
    }
    let drops = Drops::default();
    run(|| {
        on_big_stack(64 << 20, || {
            COUNTED.scope(drops.one(), || {
                nest(1, &|| {
                    assert_eq!((NUMBER.get(), HEIRLOOM.get()), (10_000, 10_000));
                    let inherited = pool(|pool| pool.spawn(|| HEIRLOOM.get()).join());
                    assert_eq!(inherited.unwrap(), 10_000);
                    assert!(COUNTED.is_set());
                });
            });
        });
    });
    assert_eq!(drops.count(), 1);
}

mod other {
    giambio::task_local! {
        pub(super) static NUMBER: u32;
    }
}

#[test]
fn keys_of_one_name_and_type_are_apart() {
    fn first() -> &'static TaskLocal<u32> {
        giambio::task_local!(
            static NUMBER: u32;
        );
        &NUMBER
    }
    fn second<T: Default>() -> (T, &'static TaskLocal<u32>) {
        giambio::task_local!(
            static NUMBER: u32;
        );
        (T::default(), &NUMBER)
    }
    let keys = [&NUMBER, &other::NUMBER, first(), second::<u8>().1];
    run(|| {
        for bound in keys {
            bound.scope(1, || {
                for key in keys {
                    assert_eq!(key.is_set(), std::ptr::eq(key, bound));
                }
            });
        }
        // As of any static in a generic function there is one.
        second::<u8>().1.scope(1, || assert!(second::<u16>().1.is_set()));
    });
}

#[test]
fn a_key_has_attributes_a_visibility_and_any_type() {
    giambio::task::task_local! {}
    giambio::task::task_local! {
        /// Documented.
        #[cfg(any())]
        pub static LEFT_OUT: Nowhere;
        #[cfg(all())]
        #[inherited]
        /// And one after it.
        pub(crate) static BEFORE: std::collections::HashMap<String, Vec<(u8, &'static str)>>;
        #[inherited]
        #[cfg(all())]
        static BEHIND: Option<fn(&str) -> u32>;
        static BOXED: Box<dyn Fn(u32) -> u32>
    }
    assert_eq!(BOXED.scope(Box::new(|n| n + 1), || BOXED.with(|add| add(1))), 2);
    run(|| {
        BEFORE.scope([("ada".into(), vec![(1, "x")])].into(), || {
            BEHIND.scope(Some(|text| text.len() as u32), || {
                let inherited = pool(|pool| {
                    let task = pool.spawn(|| (BEFORE.with(|map| map["ada"][0].1), BEHIND.get()));
                    task.join().unwrap()
                });
                assert_eq!((inherited.0, inherited.1.unwrap()("four")), ("x", 4));
            });
        });
    });
}

#[test]
fn a_key_is_send_and_sync_whatever_its_values_are() {
    fn is_send_and_sync<T: Send + Sync>(_: &T) {}
    task_local! {
        static LOCAL: Rc<Cell<u32>>;
    }
    is_send_and_sync(&LOCAL);
    is_send_and_sync(&missing());
    LOCAL.scope(Rc::default(), || {
        thread::scope(|threads| threads.spawn(|| assert!(!LOCAL.is_set())).join().unwrap());
    });
}

#[test]
fn a_key_shows_its_name_and_whether_it_is_inherited() {
    let own = "TaskLocal { name: \"it::task_local::NUMBER\", inherited: false, .. }";
    assert_eq!(format!("{NUMBER:?}"), own);
    assert!(format!("{HEIRLOOM:?}").ends_with("HEIRLOOM\", inherited: true, .. }"));
}

#[test]
fn a_scope_that_is_cut_while_it_waits_leaves_no_binding() {
    run_virtual(|| {
        let drops = Drops::default();
        let cut = giambio::skip_after(secs(1), |_| {
            COUNTED.scope(drops.one(), || NUMBER.scope(1, || sleep(secs(2))))
        });
        assert_eq!((cut, drops.count()), (None, 1));
        assert!(!NUMBER.is_set() && !COUNTED.is_set());
    });
}
