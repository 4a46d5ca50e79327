//! `thread::Builder`: names, stack sizes, errors.

use crate::Drops;
use crate::panic_of;
use giambio::run;
use giambio::task;
use giambio::thread;
use giambio::thread::Builder;
use std::io::ErrorKind;

#[test]
fn smoke() {
    run(|| {
        let thread = Builder::new().name("ada lovelace".into()).spawn(|| {
            assert_eq!(thread::current().name(), Some("ada lovelace"));
            assert_eq!(task::current().name(), "ada lovelace");
        });
        let thread = thread.unwrap();
        assert_eq!(thread.thread().name(), Some("ada lovelace"));
        thread.join().unwrap();
    });
}

#[test]
fn a_thread_without_a_name_has_none_and_reports_say_where_it_was_spawned() {
    run(|| {
        let (thread, line) = (thread::spawn(|| task::current().name()), line!());
        assert_eq!(thread.thread().name(), None);
        assert_eq!(thread.join().unwrap(), format!("tests/threads/builder.rs:{line}"));
        let (thread, line) = (Builder::new().spawn(|| task::current().name()), line!());
        assert_eq!(thread.unwrap().join().unwrap(), format!("tests/threads/builder.rs:{line}"));
        thread::scope(|scope| {
            let (thread, line) = (scope.spawn(|| task::current().name()), line!());
            assert_eq!(thread.join().unwrap(), format!("tests/threads/builder.rs:{line}"));
        });
    });
}

#[test]
fn a_stack_is_as_large_as_was_asked_for() {
    run(|| {
        for (asked, given) in
            [(0, 32 << 10), (1, 32 << 10), (100_000, 128 << 10), (1 << 20, 1 << 20)]
        {
            let thread =
                Builder::new().stack_size(asked).spawn(|| task::stack_usage().unwrap().size);
            assert_eq!(thread.unwrap().join().unwrap(), given);
        }
    });
}

#[test]
fn a_stack_is_as_large_as_those_of_the_runtimes_tasks() {
    let mut runtime = giambio::Builder::new().stack_size(64 << 10).build().unwrap();
    let size = runtime.run(|| thread::spawn(|| task::stack_usage().unwrap().size).join().unwrap());
    assert_eq!(size, 64 << 10);
}

#[test]
fn a_deep_thread_can_be_deep() {
    fn depth(left: usize) -> usize {
        let room = std::hint::black_box([0_u8; 1024]);
        if left == 0 { 0 } else { 1 + depth(left - 1) + usize::from(room[1]) }
    }
    run(|| {
        let thread = Builder::new().stack_size(64 << 20).spawn(|| depth(10_000)).unwrap();
        assert_eq!(thread.join().unwrap(), 10_000);
    });
}

#[test]
fn a_stack_that_is_too_large_is_an_error_and_the_closure_is_dropped() {
    run(|| {
        let drops = Drops::default();
        let counted = drops.one();
        let huge = || Builder::new().stack_size((1 << 30) + 1);
        let error = huge().spawn(move || drop(counted)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(drops.count(), 1);
        thread::scope(|scope| {
            let counted = drops.one();
            let error = huge().spawn_scoped(scope, move || drop(counted)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        });
        assert_eq!(drops.count(), 2);
    });
}

#[test]
fn a_name_with_a_null_byte_is_refused() {
    let spawn = || panic_of(|| Builder::new().name("nu\0ll".into()).spawn(|| ()));
    assert!(run(spawn).starts_with("thread name may not contain interior null bytes"));
    assert_eq!(run(spawn), spawn());
}

#[test]
fn a_long_name_is_kept_whole() {
    let name = "long ".repeat(100);
    let spawn = || {
        let thread = Builder::new().name(name.clone()).spawn(thread::current).unwrap();
        thread.join().unwrap().name().map(String::from)
    };
    assert_eq!(run(spawn), Some(name.clone()));
    assert_eq!(spawn(), Some(name.clone()));
}

#[test]
fn a_thread_of_a_scope_has_its_options() {
    run(|| {
        thread::scope(|scope| {
            let builder = Builder::new().name("scoped".into()).stack_size(1 << 20);
            let thread = builder.spawn_scoped(scope, || {
                let name = thread::current().name().map(String::from);
                (name, task::stack_usage().unwrap().size)
            });
            let thread = thread.unwrap();
            assert_eq!(thread.thread().name(), Some("scoped"));
            assert_eq!(thread.join().unwrap(), (Some("scoped".into()), 1 << 20));
        });
    });
}

#[test]
fn outside_of_run_options_are_stds() {
    let thread = Builder::new().name("outside".into()).stack_size(1 << 20).spawn(|| {
        assert_eq!(thread::current().name(), Some("outside"));
        assert_eq!(std::thread::current().name(), Some("outside"));
    });
    thread.unwrap().join().unwrap();
    assert!(Builder::new().stack_size(usize::MAX / 2).spawn(|| ()).is_err());
}
