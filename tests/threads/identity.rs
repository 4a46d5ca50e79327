//! Who a thread is: `current`, `Thread`, `ThreadId`, `panicking`.

use crate::Log;
use crate::OnDrop;
use crate::fail;
use giambio::TaskBuilder;
use giambio::pool;
use giambio::run;
use giambio::task;
use giambio::testing::settle;
use giambio::thread;
use giambio::thread::Thread;
use giambio::thread::ThreadId;
use giambio::yield_now;
use std::collections::HashSet;
use std::sync::Arc;

#[test]
fn smoke() {
    run(|| {
        let thread = thread::spawn(thread::current);
        let id = thread.thread().id();
        assert_eq!(thread.join().unwrap().id(), id);
    });
}

#[test]
fn a_thread_is_the_same_however_often_it_is_asked() {
    run(|| {
        assert_eq!(thread::current().id(), thread::current().id());
        yield_now();
        let before = thread::current().id();
        thread::spawn(move || assert_ne!(thread::current().id(), before)).join().unwrap();
        assert_eq!(thread::current().id(), before);
    });
}

#[test]
fn tasks_of_pools_are_threads_too() {
    run(|| {
        pool(|pool| {
            let named = TaskBuilder::new().name("of a pool".into());
            let named = named.spawn(pool, thread::current).join().unwrap();
            assert_eq!(named.name(), Some("of a pool"));
            let task = pool.spawn(|| (thread::current(), task::current().name()));
            let (unnamed, place) = task.join().unwrap();
            assert_eq!(unnamed.name(), None);
            assert!(place.starts_with("tests/threads/identity.rs:"), "{place}");
            assert_ne!(named.id(), unnamed.id());
        });
    });
}

#[test]
fn main_is_called_main_and_outside_it_is_the_systems_thread() {
    run(|| assert_eq!(thread::current().name(), Some("main")));
    let inside = run(|| thread::current().id());
    assert_ne!(inside, thread::current().id());
    let same = std::thread::Builder::new().name("ours".into()).spawn(|| {
        assert_eq!(thread::current().name(), Some("ours"));
        assert_eq!(thread::current().id(), thread::current().id());
    });
    same.unwrap().join().unwrap();
}

#[test]
fn a_number_is_had_once_in_the_process_across_runtimes() {
    let ids = || {
        let mut ids = vec![thread::current().id()];
        ids.extend((0..300).map(|_| thread::spawn(|| thread::current().id()).join().unwrap()));
        ids
    };
    let others = std::thread::spawn(move || run(ids));
    let mut all = run(ids);
    all.extend(others.join().unwrap());
    all.push(thread::current().id());
    all.push(thread::spawn(|| thread::current().id()).join().unwrap());
    let count = all.len();
    assert_eq!(all.into_iter().collect::<HashSet<ThreadId>>().len(), count);
}

#[test]
fn an_option_of_a_number_takes_no_more_room() {
    assert_eq!(size_of::<Option<ThreadId>>(), size_of::<ThreadId>());
}

#[test]
fn a_threads_number_is_the_one_in_reports() {
    run(|| {
        let thread = thread::spawn(|| task::current().id().to_string());
        let number = format!("ThreadId({})", {
            let id = format!("{:?}", thread.thread().id());
            id.trim_start_matches("ThreadId(").trim_end_matches(')').to_owned()
        });
        assert_eq!(number, format!("ThreadId({})", thread.join().unwrap()));
    });
}

#[test]
fn debug_is_like_stds() {
    run(|| {
        let builder = thread::Builder::new().name("shown".into());
        let handle = builder.spawn(|| ()).unwrap();
        let text = format!("{:?}", handle.thread());
        assert!(text.starts_with("Thread { id: ThreadId(#"), "{text}");
        assert!(text.ends_with("), name: Some(\"shown\"), .. }"), "{text}");
        assert_eq!(format!("{handle:?}"), "JoinHandle { .. }");
        thread::scope(|scope| {
            assert_eq!(format!("{scope:?}"), "Scope { .. }");
            assert_eq!(format!("{:?}", scope.spawn(|| ())), "ScopedJoinHandle { .. }");
        });
    });
    let outside = format!("{:?}", thread::current());
    assert!(outside.starts_with("Thread { id: ThreadId("), "{outside}");
}

#[test]
fn types_go_everywhere() {
    fn everywhere<T: Send + Sync + 'static>() {}
    everywhere::<Thread>();
    everywhere::<ThreadId>();
    everywhere::<thread::Builder>();
    everywhere::<thread::JoinHandle<i32>>();
    everywhere::<thread::ScopedJoinHandle<'static, i32>>();
}

#[test]
fn a_thread_is_known_after_its_end_and_its_runtimes() {
    let thread = run(|| {
        let builder = thread::Builder::new().name("gone".into());
        let handle = builder.spawn(|| ()).unwrap();
        let thread = handle.thread().clone();
        handle.join().unwrap();
        thread
    });
    assert_eq!(thread.name(), Some("gone"));
    assert!(std::thread::spawn(move || thread.id()).join().is_ok());
}

#[test]
fn a_panic_of_one_task_is_not_seen_by_another() {
    run(|| {
        let log = Log::default();
        let (says, goes) = (log.clone(), Arc::new(giambio::sync::Event::new()));
        let waits = Arc::clone(&goes);
        let unwinds = thread::spawn(move || -> () {
            let _guard = OnDrop::new(|| {
                waits.wait(); // the panic count of the worker is 1 meanwhile
                says.add(format!("itself: {}", thread::panicking()));
            });
            fail("on purpose");
        });
        settle();
        assert!(std::thread::panicking());
        log.add(format!("main: {}", thread::panicking()));
        goes.trigger(()).unwrap();
        assert!(unwinds.join().is_err());
        log.assert(&["main: false", "itself: true"]);
    });
}

#[test]
fn a_cancellation_is_no_panic_and_a_panic_after_one_is() {
    run(|| {
        let log = Log::default();
        let says = log.clone();
        let thread = thread::spawn(move || -> () {
            let cut = giambio::cancellable(|scope| {
                let _guard = OnDrop::new(|| says.add(format!("cut: {}", thread::panicking())));
                scope.cancel();
                yield_now();
            });
            assert!(cut.is_none());
            let _guard = OnDrop::new(|| says.add(format!("failed: {}", thread::panicking())));
            panic!("on purpose");
        });
        assert!(thread.join().is_err());
        log.assert(&["cut: false", "failed: true"]);
    });
}

#[test]
fn outside_of_run_panicking_is_stds() {
    assert!(!thread::panicking());
    let seen = std::panic::catch_unwind(|| {
        let _guard = OnDrop::new(|| assert!(thread::panicking()));
        fail("on purpose");
    });
    assert!(seen.is_err());
}
