//! Task-locals and children: who inherits what, and how long they keep it.

use crate::Drops;
use crate::Log;
use crate::leaks::forget;
use crate::named;
use crate::secs;
use giambio::TaskBuilder;
use giambio::pool;
use giambio::run;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::task;
use giambio::task_local;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::try_pool;
use giambio::yield_now;
use std::rc::Rc;

task_local! {
    #[inherited]
    static USER: u32;
    #[inherited]
    static TRACE: u32;
    static OWN: u32;
    #[inherited]
    static COUNTED: crate::CountedDrop;
    static OWN_COUNTED: crate::CountedDrop;
}

fn user() -> Option<u32> {
    USER.try_with(|user| *user).ok()
}

#[test]
fn smoke() {
    run(|| {
        USER.scope(1, || {
            OWN.scope(2, || {
                let seen = pool(|pool| pool.spawn(|| (USER.get(), OWN.is_set())).join());
                assert_eq!(seen.unwrap(), (1, false));
            });
        });
    });
}

#[test]
fn a_child_begins_with_what_its_spawner_saw_at_the_spawn() {
    run(|| {
        let log = Log::default();
        let note = |name: &str| log.add(format!("{name} {:?}", user()));
        pool(|pool| {
            pool.spawn(|| note("before"));
            USER.scope(1, || {
                pool.spawn(|| note("in"));
                USER.scope(2, || {
                    pool.spawn(|| note("inside"));
                    settle();
                });
                pool.spawn(|| note("again in"));
            });
            pool.spawn(|| note("after"));
        });
        log.assert(&[
            "before None",
            "in Some(1)",
            "inside Some(2)",
            "again in Some(1)",
            "after None",
        ]);
    });
}

#[test]
fn what_either_binds_later_the_other_does_not_see() {
    run(|| {
        USER.scope(1, || {
            pool(|pool| {
                pool.spawn(|| {
                    for _ in 0..3 {
                        assert_eq!(USER.get(), 1);
                        yield_now();
                    }
                    USER.scope(3, || {
                        yield_now();
                        assert_eq!(USER.get(), 3);
                    });
                });
                USER.scope(2, || {
                    for _ in 0..6 {
                        assert_eq!(USER.get(), 2);
                        yield_now();
                    }
                });
            });
        });
    });
}

#[test]
fn grandchildren_inherit_what_their_parent_inherited_and_what_it_bound() {
    run(|| {
        USER.scope(1, || {
            pool(|pool| {
                pool.spawn(|| {
                    TRACE.scope(2, || {
                        OWN.scope(3, || {
                            pool.spawn(|| assert_eq!((USER.get(), TRACE.get()), (1, 2)));
                        });
                    });
                    pool.spawn(|| assert_eq!((USER.get(), TRACE.is_set()), (1, false)));
                });
            });
        });
    });
}

#[test]
fn every_way_to_spawn_inherits() {
    run_virtual(|| {
        USER.scope(1, || {
            pool(|pool| {
                let isolated = pool.spawn_isolated(user);
                let built = TaskBuilder::new().name("built".into()).spawn(pool, user);
                let tried = TaskBuilder::new().stack_size(1 << 20).try_spawn(pool, user).unwrap();
                let later = pool.spawn_after(secs(1), user);
                let daemon = pool.spawn_daemon(user);
                for task in [pool.spawn(user), isolated, built, tried, later, daemon] {
                    assert_eq!(task.join().unwrap(), Some(1));
                }
                let (reported, task) = pool.start(|started| started.report(user()));
                task.join().unwrap();
                assert_eq!(reported, Some(1));
                let mapped = pool.map([(); 2], 1, |()| user()).map(Result::unwrap);
                assert_eq!(mapped.collect::<Vec<_>>(), [Some(1); 2]);
            });
            let in_a_try_pool = try_pool(|pool| {
                let task = pool.spawn(|| Ok::<_, ()>(user()));
                Ok(task.join().unwrap())
            });
            assert_eq!(in_a_try_pool, Ok(Some(1)));
            let in_a_skip = giambio::skip_after(secs(60), |pool| pool.spawn(user).join().unwrap());
            assert_eq!(in_a_skip, Some(Some(1)));
            assert_eq!(giambio::join(user, user), (Some(1), Some(1)));
            assert_eq!(giambio::race(user, || sleep_forever()), Some(1));
        });
    });
}

#[test]
fn the_spawner_is_who_calls_spawn_and_not_who_owns_the_pool() {
    run(|| {
        USER.scope(1, || {
            pool(|pool| {
                pool.spawn(|| {
                    USER.scope(2, || drop(pool.spawn(|| assert_eq!(USER.get(), 2))));
                });
            });
        });
    });
}

#[test]
fn the_main_task_inherits_from_the_thread_that_calls_run() {
    USER.scope(1, || {
        OWN.scope(2, || {
            run(|| {
                assert_eq!((USER.get(), OWN.is_set()), (1, false));
                USER.scope(3, || {
                    let inherited = pool(|pool| pool.spawn(|| USER.get()).join());
                    assert_eq!(inherited.unwrap(), 3);
                });
            });
            assert_eq!((USER.get(), OWN.get()), (1, 2));
        });
    });
    run(|| assert_eq!(user(), None));
}

#[test]
fn of_nested_bindings_the_latest_of_each_key_is_inherited() {
    run(|| {
        let check = |expected: (Option<u32>, Option<u32>)| {
            let seen = || {
                let trace = TRACE.try_with(|trace| *trace).ok();
                assert!(!OWN.is_set());
                (user(), trace)
            };
            pool(|pool| {
                pool.spawn(move || {
                    assert_eq!(seen(), expected);
                    // What was copied is handed on as it is.
                    pool.spawn(move || assert_eq!(seen(), expected));
                });
            });
        };
        check((None, None));
        OWN.scope(0, || {
            check((None, None));
            USER.scope(1, || {
                check((Some(1), None));
                TRACE.scope(2, || {
                    check((Some(1), Some(2)));
                    OWN.scope(0, || check((Some(1), Some(2))));
                    USER.scope(3, || {
                        check((Some(3), Some(2)));
                        TRACE.scope(4, || OWN.scope(0, || check((Some(3), Some(4)))));
                    });
                });
            });
        });
        TRACE.scope(1, || USER.scope(2, || TRACE.scope(3, || check((Some(2), Some(3))))));
    });
}

#[test]
fn a_child_keeps_what_it_inherited_when_the_scope_has_ended() {
    run(|| {
        let drops = Drops::default();
        pool(|pool| {
            COUNTED.scope(drops.one(), || {
                USER.scope(1, || {
                    pool.spawn(|| {
                        settle();
                        assert_eq!((USER.get(), COUNTED.is_set()), (1, true));
                    });
                });
            });
            assert!(user().is_none() && !COUNTED.is_set());
            yield_now();
            assert_eq!(drops.count(), 0);
        });
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_value_goes_once_with_the_last_that_has_inherited_it() {
    run_virtual(|| {
        let drops = Drops::default();
        pool(|pool| {
            COUNTED.scope(drops.one(), || {
                for seconds in [3, 1, 2] {
                    pool.spawn(move || {
                        pool.spawn(move || sleep(secs(seconds)));
                    });
                }
            });
            for expected in [0, 0, 0, 1] {
                settle();
                assert_eq!(drops.count(), expected);
                sleep(secs(1));
            }
        });
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_child_keeps_nothing_that_it_cannot_see() {
    run(|| {
        let drops = Drops::default();
        pool(|pool| {
            let spawn = || drop(pool.spawn(|| (0..2).for_each(|_| settle())));
            // What is not inherited, below and above of what is.
            OWN_COUNTED.scope(drops.one(), || {
                USER.scope(1, || OWN_COUNTED.scope(drops.one(), spawn));
            });
            assert_eq!(drops.count(), 2);
            // What is shadowed, alone and above of what is not inherited.
            let shadowed = || COUNTED.scope(drops.one(), || COUNTED.scope(drops.one(), spawn));
            shadowed();
            assert_eq!(drops.count(), 3);
            OWN.scope(1, shadowed);
            assert_eq!(drops.count(), 4);
            settle();
            assert_eq!(drops.count(), 4);
        });
        assert_eq!(drops.count(), 6);
    });
}

#[test]
fn a_forgotten_handle_keeps_no_inheritance() {
    run(|| {
        let drops = Drops::default();
        pool(|pool| {
            let handle = COUNTED.scope(drops.one(), || pool.spawn(|| ()));
            forget(handle);
            settle();
            assert_eq!(drops.count(), 1);
        });
    });
}

#[test]
fn a_task_reference_that_outlives_its_task_keeps_no_inheritance() {
    run(|| {
        let drops = Drops::default();
        let reference = pool(|pool| {
            let task = COUNTED.scope(drops.one(), || named(pool, "gone", task::current));
            task.join().unwrap()
        });
        assert_eq!((drops.count(), reference.name().as_str()), (1, "gone"));
    });
}

#[test]
fn a_thousand_children_share_one_value() {
    run(|| {
        let drops = Drops::default();
        let value = Rc::new(drops.one());
        task_local! {
            #[inherited]
            static SHARED: Rc<crate::CountedDrop>;
        }
        pool(|pool| {
            SHARED.scope(Rc::clone(&value), || {
                for _ in 0..1000 {
                    pool.spawn(|| SHARED.with(|_| yield_now()));
                }
            });
            yield_now();
            assert_eq!(Rc::strong_count(&value), 2);
        });
        assert_eq!((Rc::strong_count(&value), drops.count()), (1, 0));
    });
}
