//! A `thread::scope` to which other threads add.

use crate::Drops;
use crate::Log;
use crate::fail;
use crate::is_cancelled;
use crate::panic_of;
use crate::secs;
use giambio::cancellable;
use giambio::run;
use giambio::skip_after;
use giambio::sync::Event;
use giambio::task;
use giambio::testing::run_virtual;
use giambio::thread;
use giambio::unblock;
use giambio::yield_now;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

#[test]
fn smoke() {
    run(|| {
        let here = std::thread::current().id();
        thread::scope(|scope| {
            let there = unblock(|| {
                assert_ne!(std::thread::current().id(), here);
                scope.spawn(|| std::thread::current().id())
            });
            assert_eq!(there.join().unwrap(), here);
        });
    });
}

#[test]
fn who_has_asked_may_join() {
    run(|| {
        let text = String::from("borrowed");
        thread::scope(|scope| {
            let length = unblock(|| scope.spawn(|| text.len()).join().unwrap());
            assert_eq!(length, 8);
        });
    });
}

#[test]
fn the_worker_may_be_blocked_meanwhile() {
    run(|| {
        let count = AtomicUsize::new(0);
        thread::scope(|scope| {
            // std's scope stops this worker until its threads have ended.
            std::thread::scope(|threads| {
                for _ in 0..4 {
                    threads.spawn(|| scope.spawn(|| count.fetch_add(1, Ordering::Relaxed)));
                }
            });
            assert_eq!(count.load(Ordering::Relaxed), 0);
        });
        assert_eq!(count.into_inner(), 4);
    });
}

#[test]
fn a_scope_waits_for_whom_it_was_asked_for_although_its_body_has_ended() {
    run(|| {
        let log = Log::default();
        thread::scope(|scope| {
            let log = &log;
            scope.spawn(move || {
                std::thread::scope(|threads| {
                    threads.spawn(|| {
                        scope.spawn(|| {
                            yield_now();
                            log.add("asked for from elsewhere");
                        });
                    });
                });
                log.add("asker's thread");
            });
        });
        log.add("scope ended");
        log.assert(&["asker's thread", "asked for from elsewhere", "scope ended"]);
    });
}

#[test]
fn a_task_of_another_runtime_asks_and_joins() {
    run(|| {
        let here = std::thread::current().id();
        thread::scope(|scope| {
            let there = unblock(|| {
                run(|| {
                    let beside = thread::spawn(|| 1);
                    let asked = scope.spawn(|| std::thread::current().id());
                    assert_eq!(beside.join().unwrap(), 1);
                    asked.join().unwrap()
                })
            });
            assert_eq!(there, here);
        });
    });
}

#[test]
fn what_was_asked_for_starts_threads_itself() {
    run(|| {
        let count = AtomicUsize::new(0);
        thread::scope(|scope| {
            let count = &count;
            unblock(|| {
                scope.spawn(move || {
                    for _ in 0..10 {
                        scope.spawn(|| count.fetch_add(1, Ordering::Relaxed));
                    }
                });
            });
        });
        assert_eq!(count.into_inner(), 10);
    });
}

#[test]
fn names_numbers_and_stack_sizes_come_along() {
    run(|| {
        thread::scope(|scope| {
            let asked = unblock(|| {
                let builder = thread::Builder::new().name("from afar".into()).stack_size(1 << 20);
                let asked = builder.spawn_scoped(scope, || {
                    let me = thread::current();
                    (me.id(), me.name() == Some("from afar"), task::stack_usage().unwrap().size)
                });
                asked.unwrap()
            });
            let id = asked.thread().id();
            assert_eq!(asked.thread().name(), Some("from afar"));
            assert_eq!(asked.join().unwrap(), (id, true, 1 << 20));
        });
    });
}

#[test]
fn a_stack_that_is_too_large_is_an_error_at_once() {
    run(|| {
        thread::scope(|scope| {
            let huge = || thread::Builder::new().stack_size((1 << 30) + 1);
            let error = unblock(|| huge().spawn_scoped(scope, || ()).map(drop).unwrap_err());
            assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        });
    });
}

#[test]
fn a_panic_is_joins_from_anywhere_or_else_the_scopes() {
    run(|| {
        thread::scope(|scope| {
            let joined = unblock(|| scope.spawn(|| fail("joined elsewhere")).join().map(drop));
            assert_eq!(*joined.unwrap_err().downcast::<&str>().unwrap(), "joined elsewhere");
        });
        let text = panic_of(|| {
            thread::scope(|scope| unblock(|| drop(scope.spawn(|| fail("not joined")))));
        });
        assert_eq!(text, "a scoped thread panicked");
    });
}

#[test]
fn a_scope_that_was_cancelled_drops_the_closures_that_come() {
    run(|| {
        let drops = Drops::default();
        let cut = cancellable(|outside| {
            thread::scope(|scope| {
                outside.cancel();
                giambio::shield(|| {
                    let counted = drops.one();
                    let asked = unblock(|| {
                        scope.spawn(move || {
                            let _counted = counted;
                            unreachable!("a thread began in a cancelled scope");
                        })
                    });
                    assert!(is_cancelled(asked.join()));
                });
            });
        });
        assert_eq!(cut, None);
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_timeout_around_the_scope_reaches_whom_others_have_asked_for() {
    run_virtual(|| {
        let cut = skip_after(secs(1), |_| {
            thread::scope(|scope| {
                let asked = unblock(|| scope.spawn(|| giambio::sleep_forever()));
                drop(asked);
            });
        });
        assert!(cut.is_none());
    });
}

#[test]
fn it_begins_without_task_locals() {
    giambio::task_local! {
        #[inherited]
        static USER: u32;
    }
    USER.scope(1, || {
        run(|| {
            USER.scope(2, || {
                thread::scope(|scope| {
                    let here = scope.spawn(|| USER.get());
                    let there = unblock(|| scope.spawn(|| USER.is_set()));
                    assert_eq!(here.join().unwrap(), 2);
                    assert!(!there.join().unwrap());
                });
            });
        });
    });
}

#[test]
fn values_that_nobody_asks_for_are_dropped_on_the_worker() {
    struct Place<'l>(&'l Log, std::thread::ThreadId);
    impl Drop for Place<'_> {
        fn drop(&mut self) {
            assert_eq!(std::thread::current().id(), self.1);
            yield_now();
            self.0.add("dropped");
        }
    }
    run(|| {
        let (log, here) = (Log::default(), std::thread::current().id());
        let (log, handle_is_gone) = (&log, &Event::new());
        thread::scope(|scope| {
            unblock(|| {
                drop(scope.spawn(move || {
                    handle_is_gone.wait();
                    Place(log, here)
                }));
                handle_is_gone.trigger(()).unwrap();
            });
            while log.0.lock().unwrap().is_empty() {
                yield_now();
            }
        });
        log.assert(&["dropped"]);
    });
}

#[test]
fn a_drive_asleep_in_its_host_is_woken() {
    let mut runtime = giambio::Builder::new().build().unwrap();
    let main = || {
        thread::scope(|scope| {
            std::thread::scope(|threads| {
                threads.spawn(|| drop(scope.spawn(|| ())));
            });
            unblock(|| scope.spawn(|| 7).join().unwrap())
        })
    };
    let ((), value) = runtime.drive(main, |driver| while !driver.tick(None).is_done {});
    assert_eq!(value, Some(7));
}

#[test]
fn four_threads_add_a_thousand_threads_each() {
    const EACH: usize = 1000;
    run(|| {
        let (count, drops) = (AtomicUsize::new(0), Drops::default());
        thread::scope(|scope| {
            let (count, drops) = (&count, &drops);
            unblock(|| {
                std::thread::scope(|threads| {
                    for asker in 0..4 {
                        threads.spawn(move || {
                            for number in 0..EACH {
                                let counted = drops.one();
                                let asked = scope.spawn(move || {
                                    let _counted = counted;
                                    if number % 3 == 0 {
                                        yield_now();
                                    }
                                    count.fetch_add(1, Ordering::Relaxed);
                                    number
                                });
                                if number % 100 == asker {
                                    assert_eq!(asked.join().unwrap(), number);
                                }
                            }
                        });
                    }
                });
            });
        });
        assert_eq!(count.into_inner(), 4 * EACH);
        assert_eq!(drops.count(), 4 * EACH);
    });
}

#[test]
fn scopes_that_others_add_to_end_again_and_again() {
    run(|| {
        for round in 0..300 {
            let seen = Mutex::new(Vec::new());
            thread::scope(|scope| {
                let seen = &seen;
                scope.spawn(move || {
                    unblock(|| {
                        scope.spawn(move || seen.lock().unwrap().push(round));
                        scope.spawn(move || seen.lock().unwrap().push(round));
                    });
                });
            });
            assert_eq!(seen.into_inner().unwrap(), [round; 2]);
        }
    });
}

#[test]
fn a_scope_outside_of_run_is_added_to_from_inside_of_several() {
    let count = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                run(|| {
                    let added = scope.spawn(|| count.fetch_add(1, Ordering::Relaxed));
                    added.join().unwrap();
                    count.fetch_add(1, Ordering::Relaxed);
                });
            });
        }
    });
    assert_eq!(count.into_inner(), 4);
}
