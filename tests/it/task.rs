//! What a task knows of itself, and what it may demand of its calls.

use crate::Drops;
use crate::Log;
use crate::elapsed;
use crate::fail;
use crate::ms;
use crate::named;
use crate::panic_of;
use crate::raised;
use crate::secs;
use crate::unwind::OnDrop;
use crate::unwind::assert_given_up;
use crate::unwind::connection;
use giambio::lowlevel::Parker;
use giambio::lowlevel::wait_readable;
use giambio::net::TcpListener;
use giambio::pool;
use giambio::run;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::task;
use giambio::task::TaskRef;
use giambio::task::no_switch;
use giambio::task::no_unwind;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::yield_now;
use std::cell::Cell;
use std::cell::RefCell;
use std::io::Read;
use std::io::Write;
use std::net;
use std::time::Duration;

#[test]
fn smoke() {
    run(|| {
        pool(|pool| {
            let task = named(pool, "worker", task::current);
            let (name, id) = (task.name(), task.id());
            let seen = task.join().unwrap();
            assert_eq!((seen.name(), seen.id()), (name, id));
            assert_eq!(seen.name(), "worker");
        });
    });
}

#[test]
fn a_task_is_named_after_the_place_of_its_spawn_and_main_is_main() {
    run(|| {
        assert_eq!(task::current().name(), "main");
        pool(|pool| {
            let task = pool.spawn(|| ());
            let place = format!("{}:{}", file!(), line!() - 1);
            assert_eq!(task.name(), place);
        });
    });
}

#[test]
fn ids_grow_and_are_never_used_again() {
    let mut ids = Vec::new();
    for _ in 0..2 {
        run(|| {
            ids.push(task::current().id());
            pool(|pool| {
                for _ in 0..3 {
                    ids.push(pool.spawn(|| ()).id());
                    yield_now();
                }
            });
        });
    }
    assert_eq!(ids.len(), 8);
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
}

#[test]
fn a_task_ref_shows_name_and_id() {
    run(|| {
        let main = task::current();
        assert_eq!(main.to_string(), format!("'main' ({})", main.id()));
        assert!(format!("{main:?}").contains("\"main\""));
        assert_eq!(main.clone().id(), main.id());
    });
}

#[test]
fn there_is_no_current_task_outside_of_run() {
    assert!(panic_of(task::current).contains("giambio::run"));
}

#[test]
fn a_task_ref_outlives_its_task_and_its_run() {
    let drops = Drops::default();
    let (main, child) = run(|| {
        let main = task::current();
        let child = pool(|pool| {
            let counted = drops.one();
            let task = named(pool, "child", move || {
                let _counted = &counted;
                task::current()
            });
            task.join().unwrap()
        });
        // The closure does not wait for the last reference.
        assert_eq!(drops.count(), 1);
        (main, child)
    });
    main.cancel();
    child.cancel();
    assert_eq!((main.name(), child.name()), ("main".into(), "child".into()));
    drop(main);
    assert_eq!(child.clone().name(), "child");
}

#[test]
fn an_old_task_ref_does_not_reach_new_tasks() {
    run(|| {
        pool(|pool| {
            let old: Vec<TaskRef> =
                (0..10).map(|_| pool.spawn(task::current).join().unwrap()).collect();
            let new: Vec<_> = (0..10).map(|_| pool.spawn(yield_now)).collect();
            yield_now();
            old.iter().for_each(TaskRef::cancel);
            new.into_iter().for_each(|task| task.join().unwrap());
        });
    });
}

#[test]
fn a_task_is_cancelled_by_its_ref() {
    run(|| {
        let parked = RefCell::new(None);
        pool(|pool| {
            pool.spawn(|| {
                *parked.borrow_mut() = Some(task::current());
                sleep_forever()
            });
            yield_now();
            parked.take().unwrap().cancel();
        });
    });
}

#[test]
fn a_task_that_cancels_itself_goes_on_to_its_next_checkpoint() {
    run(|| {
        let log = Log::default();
        pool(|pool| {
            let task = pool.spawn(|| {
                task::current().cancel();
                log.add("still here");
                let _guard = OnDrop::new(|| log.add("unwound"));
                sleep(Duration::ZERO);
                log.add("too far");
            });
            assert!(task.join().unwrap_err().is_cancelled());
        });
        log.assert(&["still here", "unwound"]);
    });
}

#[test]
fn a_cancelled_task_is_raised_in_at_each_checkpoint() {
    run(|| {
        pool(|pool| {
            let (ours, mut theirs) = connection();
            theirs.write_all(b"ready").unwrap();
            let task = pool.spawn(move || {
                task::current().cancel();
                assert!(raised(yield_now));
                assert!(raised(|| (&ours).read(&mut [0; 1])));
                assert!(raised(|| sleep(secs(1))));
                yield_now();
            });
            assert!(task.join().unwrap_err().is_cancelled());
        });
    });
}

#[test]
fn main_cannot_be_cancelled() {
    let value = run(|| {
        let main = task::current();
        main.cancel();
        pool(|pool| drop(pool.spawn(|| main.cancel())));
        yield_now();
        sleep(Duration::ZERO);
        7
    });
    assert_eq!(value, 7);
}

#[test]
fn cancelling_a_task_that_has_ended_changes_nothing() {
    run(|| {
        pool(|pool| {
            let task = pool.spawn(|| (task::current(), 7));
            yield_now();
            assert!(task.is_finished());
            task.cancel();
            let (itself, value) = task.join().unwrap();
            itself.cancel();
            assert_eq!(value, 7);
        });
    });
}

/// The panic of `call` under `no_switch` says that `name` would switch.
#[track_caller]
fn assert_would_switch<T>(name: &str, call: impl FnOnce() -> T) {
    let text = panic_of(|| no_switch(call));
    assert!(text.contains("no_switch") && text.contains(name), "{text}");
    // What was forbidden inside is allowed again.
    yield_now();
}

#[test]
fn no_switch_names_the_sleep_that_would_switch() {
    run(|| {
        assert_would_switch("sleep", || sleep(ms(1)));
        assert_would_switch("sleep", || giambio::sleep_until(giambio::clock() + ms(1)));
        assert_would_switch("sleep_forever", || sleep_forever());
        assert_would_switch("yield_now", yield_now);
        assert_would_switch("yield_now", || sleep(Duration::ZERO));
        assert_would_switch("settle", settle);
        assert_would_switch("park", || Parker::new().park());
    });
}

#[test]
fn no_switch_names_the_io_that_would_switch() {
    run(|| {
        let (ours, _theirs) = connection();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_would_switch("read", || (&ours).read(&mut [0; 8]));
        assert_would_switch("accept", || listener.accept());
        assert_would_switch("read", || wait_readable(&ours));
        assert_would_switch("write", || (&ours).write_all(&vec![0; 32 << 20]));
        let address = listener.local_addr().unwrap();
        assert_would_switch("connect", || giambio::net::TcpStream::connect(address));
    });
}

#[test]
fn no_switch_names_the_join_and_the_pool_that_would_switch() {
    run(|| {
        pool(|pool| {
            let task = pool.spawn(|| 7);
            assert_would_switch("join", || task.join());
        });
        let ran = Cell::new(false);
        assert_would_switch("pool", || pool(|pool| drop(pool.spawn(|| ran.set(true)))));
        assert!(!ran.get(), "the panic has cancelled the child");
    });
}

#[test]
fn the_end_of_a_pool_under_no_switch_still_waits_for_its_children() {
    run(|| {
        let drops = Drops::default();
        let (inside, value) = (drops.one(), drops.one());
        assert_would_switch("pool", || {
            pool(|pool| {
                pool.spawn(move || drop(inside));
                value
            })
        });
        assert_eq!(drops.count(), 2);
    });
}

#[test]
fn no_switch_lets_calls_through_that_complete_at_once() {
    run(|| {
        let (ours, mut theirs) = connection();
        theirs.write_all(b"ready").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _client = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let parker = Parker::new();
        parker.unparker().unpark();
        pool(|outer| {
            let ended = outer.spawn(|| 7);
            yield_now();
            no_switch(|| {
                assert_eq!((&ours).read(&mut [0; 8]).unwrap(), 5);
                (&ours).write_all(b"ready").unwrap();
                wait_readable(&listener).unwrap();
                listener.accept().unwrap();
                parker.park();
                assert_eq!(ended.join().unwrap(), 7);
                assert_eq!(pool(|_| 7), 7);
                assert_eq!(giambio::skip_after(secs(1), |_| 7), Some(7));
                drop(outer.spawn(|| ()));
            });
        });
    });
}

#[test]
fn no_switch_leaves_out_the_yields_of_a_long_run() {
    run(|| {
        let ran = Cell::new(false);
        pool(|pool| {
            pool.spawn(|| ran.set(true));
            let (ours, theirs) = connection();
            let check = || wait_readable(&ours).unwrap();
            (&theirs).write_all(b"ready").unwrap();
            no_switch(|| (0..1000).for_each(|_| check()));
            assert!(!ran.get());
            (0..1000).for_each(|_| check());
            assert!(ran.get());
        });
    });
}

#[test]
fn no_switch_nests_and_ends_with_a_panic() {
    run(|| {
        no_switch(|| {
            no_switch(|| ());
            assert_would_switch_inside();
        });
        assert_eq!(panic_of(|| no_switch(|| no_switch(|| fail("out of it")))), "out of it");
        yield_now();
    });
}

#[track_caller]
fn assert_would_switch_inside() {
    assert!(panic_of(yield_now).contains("no_switch"));
}

#[test]
fn no_switch_counts_for_its_own_task_only() {
    run(|| {
        pool(|pool| {
            let task = pool.spawn(|| {
                no_switch(|| drop(pool.spawn(yield_now)));
                yield_now();
                panic_of(|| no_switch(yield_now))
            });
            pool.spawn(yield_now);
            assert!(task.join().unwrap().contains("yield_now"));
        });
    });
}

#[test]
fn a_checkpoint_under_no_switch_raises_each_time() {
    run(|| {
        pool(|pool| {
            let task = pool.spawn(|| {
                task::current().cancel();
                no_switch(|| {
                    for _ in 0..3 {
                        assert!(raised(|| sleep(secs(1))));
                    }
                });
                assert!(raised(|| sleep(secs(1))));
            });
            task.join().unwrap();
        });
    });
}

#[test]
fn no_unwind_holds_a_cancellation_back_until_the_next_checkpoint() {
    run(|| {
        let log = Log::default();
        pool(|pool| {
            pool.spawn(|| {
                no_unwind(|| {
                    task::current().cancel();
                    yield_now();
                    no_unwind(|| sleep(Duration::ZERO));
                    sleep(ms(1));
                    log.add("end of no_unwind");
                });
                log.add("after it");
                yield_now();
                log.add("too far");
            });
        });
        log.assert(&["end of no_unwind", "after it"]);
    });
}

#[test]
fn a_sleep_under_no_unwind_goes_on() {
    run_virtual(|| {
        let took = Cell::new(Duration::ZERO);
        pool(|pool| {
            let task = pool.spawn(|| {
                let nap = || no_unwind(|| sleep(secs(3)));
                took.set(elapsed(nap));
                yield_now();
            });
            sleep(secs(1));
            task.cancel();
            assert!(task.join().unwrap_err().is_cancelled());
        });
        assert_eq!(took.get(), secs(3));
    });
}

#[test]
fn a_read_under_no_unwind_reports_a_cancellation_that_was_pending() {
    run_virtual(|| {
        let (ours, mut theirs) = connection();
        theirs.write_all(b"ready").unwrap();
        let (first, second) = (Cell::new(None), Cell::new(None));
        pool(|pool| {
            pool.spawn(|| {
                task::current().cancel();
                no_unwind(|| {
                    first.set(Some((&ours).read(&mut [0; 8])));
                    second.set(Some((&ours).read(&mut [0; 8])));
                });
            });
        });
        assert_eq!(first.take().unwrap().unwrap(), 5);
        assert_given_up(second.take().unwrap());
    });
}

#[test]
fn a_read_under_no_unwind_waits_and_then_reports_a_cancellation() {
    run_virtual(|| {
        let (ours, _theirs) = connection();
        let result = Cell::new(None);
        pool(|pool| {
            let task = pool.spawn(|| {
                no_unwind(|| result.set(Some((&ours).read(&mut [0; 8]))));
                yield_now();
            });
            settle();
            assert!(!task.is_finished());
            task.cancel();
            assert!(task.join().unwrap_err().is_cancelled());
        });
        assert_given_up(result.take().unwrap());
    });
}

#[test]
fn no_unwind_without_a_cancellation_changes_nothing() {
    run_virtual(|| {
        let (ours, mut theirs) = connection();
        pool(|pool| {
            let read = || no_unwind(|| (&ours).read(&mut [0; 8]));
            let task = pool.spawn(read);
            settle();
            theirs.write_all(b"data").unwrap();
            assert_eq!(task.join().unwrap().unwrap(), 4);
        });
    });
}

#[test]
fn no_unwind_and_no_switch_together_do_not_lose_a_cancellation() {
    run(|| {
        let (ours, _theirs) = connection();
        pool(|pool| {
            let task = pool.spawn(|| {
                task::current().cancel();
                no_unwind(|| no_switch(|| assert_given_up((&ours).read(&mut [0; 8]))));
                assert!(raised(yield_now), "the first checkpoint after it");
            });
            task.join().unwrap();
        });
    });
}

#[test]
fn no_unwind_ends_with_a_panic() {
    run(|| {
        pool(|pool| {
            let task = pool.spawn(|| {
                assert_eq!(panic_of(|| no_unwind(|| fail("out of it"))), "out of it");
                task::current().cancel();
                yield_now();
            });
            assert!(task.join().unwrap_err().is_cancelled());
        });
    });
}

#[test]
fn outside_of_run_both_only_call() {
    let nap = || sleep(Duration::ZERO);
    no_switch(nap);
    no_unwind(nap);
    assert_eq!(no_switch(|| no_unwind(|| 7)), 7);
}
