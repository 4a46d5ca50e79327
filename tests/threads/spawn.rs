//! `thread::spawn`: when a thread runs, what it may keep, and who hears of its panic.

use crate::Drops;
use crate::Log;
use crate::OnDrop;
use crate::fail;
use crate::logged;
use crate::ms;
use crate::secs;
use giambio::TooSlow;
use giambio::pool;
use giambio::run;
use giambio::sync::Event;
use giambio::task;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::thread;
use giambio::with_timeout;
use giambio::yield_now;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

#[test]
fn smoke() {
    let value = run(|| thread::spawn(|| 42).join().unwrap());
    assert_eq!(value, 42);
}

#[test]
fn a_spawn_does_not_switch_and_threads_begin_in_their_order() {
    run(|| {
        let log = Log::default();
        let threads = ["first", "second", "third"].map(|name| {
            let log = log.clone();
            thread::spawn(move || log.add(name))
        });
        log.add("main");
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        log.assert(&["main", "first", "second", "third"]);
    });
}

#[test]
fn a_thread_runs_on_the_worker_of_its_spawner() {
    run(|| {
        let here = std::thread::current().id();
        thread::spawn(move || assert_eq!(std::thread::current().id(), here)).join().unwrap();
    });
}

#[test]
fn outside_of_run_it_is_a_thread_of_the_system() {
    let here = std::thread::current().id();
    let handle = thread::spawn(move || assert_ne!(std::thread::current().id(), here));
    handle.join().unwrap();
}

#[test]
fn a_thread_goes_on_when_its_handle_is_gone() {
    run(|| {
        let done = Arc::new(Event::new());
        let tells = Arc::clone(&done);
        drop(thread::spawn(move || {
            yield_now();
            tells.trigger(7).unwrap();
        }));
        assert_eq!(done.wait(), 7);
    });
}

#[test]
fn a_thread_goes_on_when_its_spawner_has_ended() {
    run_virtual(|| {
        let log = Log::default();
        let outer = log.clone();
        thread::spawn(move || {
            let inner = outer.clone();
            thread::spawn(move || {
                thread::sleep(secs(1));
                inner.add("grandchild");
            });
            outer.add("child");
        })
        .join()
        .unwrap();
        log.add("joined");
        thread::sleep(secs(2));
        log.assert(&["child", "joined", "grandchild"]);
    });
}

#[test]
fn a_panic_is_the_error_of_join_and_stops_nobody() {
    run_virtual(|| {
        pool(|pool| {
            let bystander = pool.spawn(|| thread::sleep(secs(1)));
            let failed = pool.spawn(|| {
                let payload = thread::spawn(|| fail("on purpose")).join().map(drop).unwrap_err();
                assert_eq!(*payload.downcast::<&str>().unwrap(), "on purpose");
            });
            failed.join().unwrap();
            bystander.join().unwrap();
        });
    });
}

#[test]
fn a_panic_that_nobody_asks_for_is_logged_with_the_threads_name() {
    let _ = logged("");
    run(|| {
        let builder = thread::Builder::new().name("unheard of".into());
        drop(builder.spawn(|| fail("nobody listens")).unwrap());
        yield_now();
    });
    let lines = logged("'unheard of'");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("ERROR: task 'unheard of' (#"), "{lines:?}");
    assert!(lines[0].ends_with("panicked, and nobody joined it: nobody listens"), "{lines:?}");
}

#[test]
fn so_is_one_whose_handle_is_dropped_after_it() {
    let _ = logged("");
    let late = run(|| {
        let builder = thread::Builder::new().name("late dropped".into());
        let thread = builder.spawn(|| fail("nobody cared")).unwrap();
        yield_now();
        assert!(thread.is_finished());
        assert!(logged("'late dropped'").is_empty());
        thread
    });
    drop(late);
    let lines = logged("'late dropped'");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].ends_with("nobody joined it: nobody cared"), "{lines:?}");
}

#[test]
fn a_panic_that_was_joined_is_not_logged() {
    let _ = logged("");
    run(|| {
        let builder = thread::Builder::new().name("heard of".into());
        assert!(builder.spawn(|| fail("heard")).unwrap().join().is_err());
    });
    assert!(logged("'heard of'").is_empty());
}

#[test]
fn a_timeout_around_the_spawner_does_not_reach_the_thread() {
    run_virtual(|| {
        let (done, log) = (Arc::new(Event::new()), Log::default());
        let (tells, says) = (Arc::clone(&done), log.clone());
        let slow = with_timeout(secs(1), |_| {
            thread::spawn(move || {
                thread::sleep(secs(5));
                says.add("not cut");
                tells.trigger(()).unwrap();
            });
            thread::sleep(secs(3));
        });
        assert_eq!(slow, Err(TooSlow));
        done.wait();
        log.assert(&["not cut"]);
    });
}

#[test]
fn neither_does_the_failure_of_the_spawners_pool() {
    run_virtual(|| {
        let done = Arc::new(Event::new());
        let tells = Arc::clone(&done);
        let failed = std::panic::catch_unwind(|| {
            pool(|pool| {
                pool.spawn(move || {
                    thread::spawn(move || {
                        thread::sleep(secs(1));
                        tells.trigger(()).unwrap();
                    });
                    fail("the pool's task");
                });
            });
        });
        assert!(failed.is_err());
        done.wait();
    });
}

#[test]
fn a_value_that_nobody_asks_for_is_dropped_on_the_threads_own_stack() {
    run_virtual(|| {
        let log = Log::default();
        let says = log.clone();
        let handle = thread::spawn(move || {
            let me = task::current().id();
            OnDrop::new(move || {
                thread::sleep(secs(1)); // so it may wait
                assert_eq!(task::current().id(), me);
                says.add("dropped");
            })
        });
        drop(handle);
        thread::sleep(secs(2));
        log.assert(&["dropped"]);
    });
}

#[test]
fn what_a_closure_owns_is_dropped_once_in_every_path() {
    let drops = Drops::default();
    run(|| {
        let [a, b, c, d] = [(); 4].map(|()| drops.one());
        thread::spawn(move || drop(a)).join().unwrap();
        assert_eq!(drops.count(), 1);
        let value = thread::spawn(move || b).join().unwrap();
        assert_eq!(drops.count(), 1);
        drop(value);
        assert!(
            thread::spawn(move || {
                let _c = c;
                fail("with c")
            })
            .join()
            .is_err()
        );
        assert_eq!(drops.count(), 3);
        drop(thread::spawn(move || d)); // never begins
    });
    assert_eq!(drops.count(), 4);
}

#[test]
fn a_forgotten_handle_keeps_nobody() {
    let drops = Drops::default();
    run(|| {
        let counted = drops.one();
        let ended = Arc::new(AtomicBool::new(false));
        let tells = Arc::clone(&ended);
        #[expect(clippy::mem_forget, reason = "that is the test")]
        std::mem::forget(thread::spawn(move || {
            drop(counted);
            tells.store(true, Ordering::Relaxed);
        }));
        settle();
        assert!(ended.load(Ordering::Relaxed));
    });
    assert_eq!(drops.count(), 1);
}

#[test]
fn the_handle_goes_to_other_threads_and_is_shared_whatever_the_value_is() {
    fn everywhere<T: Send + Sync>() {}
    everywhere::<thread::JoinHandle<Cell<i32>>>();
    everywhere::<thread::JoinHandle<std::rc::Rc<i32>>>();
    run(|| {
        let handle = thread::spawn(|| Cell::new(7));
        let value = std::thread::spawn(move || handle.join().unwrap().get());
        while !value.is_finished() {
            thread::sleep(ms(1));
        }
        assert_eq!(value.join().unwrap(), 7);
    });
}

#[test]
fn a_thread_begins_with_the_task_locals_of_its_spawner() {
    giambio::task_local! {
        #[inherited]
        static REQUEST: u32;
        static OWN: u32;
    }
    run(|| {
        let seen = OWN.scope(1, || {
            REQUEST.scope(7, || thread::spawn(|| (REQUEST.get(), OWN.is_set())).join().unwrap())
        });
        assert_eq!(seen, (7, false));
    });
}

#[test]
fn ten_thousand_threads() {
    run(|| {
        let sum = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..10_000)
            .map(|number| {
                let sum = Arc::clone(&sum);
                thread::spawn(move || {
                    yield_now();
                    sum.fetch_add(number, Ordering::Relaxed);
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(sum.load(Ordering::Relaxed), 9_999 * 10_000 / 2);
    });
}

#[test]
fn a_run_can_follow_another_with_threads_of_its_own() {
    let mut runtime = giambio::Builder::new().build().unwrap();
    for round in 0..3 {
        let value = runtime.run(|| {
            drop(thread::spawn(giambio::sleep_forever));
            thread::spawn(move || round).join().unwrap()
        });
        assert_eq!(value, round);
    }
}
