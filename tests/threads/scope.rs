//! `thread::scope`: borrowing, nesting, waiting.

use crate::Log;
use crate::OnDrop;
use crate::ms;
use crate::panic_of;
use crate::secs;
use giambio::run;
use giambio::task;
use giambio::testing::run_virtual;
use giambio::thread;
use giambio::thread::Scope;
use giambio::thread::ScopedJoinHandle;
use giambio::yield_now;
use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

/// Runs a test inside of `run` and outside.
fn everywhere(test: fn()) {
    run(test);
    test();
}

#[test]
fn smoke() {
    everywhere(|| {
        let mut numbers = vec![1, 2, 3];
        let mut sum = 0;
        thread::scope(|scope| {
            scope.spawn(|| sum += numbers.iter().sum::<i32>());
        });
        numbers.push(sum);
        assert_eq!(numbers, [1, 2, 3, 6]);
    });
}

#[test]
fn a_scope_waits_for_its_last_thread() {
    run_virtual(|| {
        let start = giambio::clock();
        thread::scope(|scope| {
            scope.spawn(|| thread::sleep(secs(1)));
            scope.spawn(|| thread::sleep(secs(2)));
        });
        assert_eq!(giambio::clock() - start, secs(2));
    });
}

#[test]
fn a_scope_gives_the_value_of_its_body() {
    everywhere(|| {
        let value = thread::scope(|scope| {
            scope.spawn(|| 1);
            scope.spawn(|| 2).join().unwrap() + 40
        });
        assert_eq!(value, 42);
    });
}

#[test]
fn a_scope_without_threads_is_one_call() {
    everywhere(|| assert_eq!(thread::scope(|_| 7), 7));
}

#[test]
fn threads_start_threads_in_their_scope() {
    everywhere(|| {
        let count = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..3 {
                        scope.spawn(|| count.fetch_add(1, Ordering::Relaxed));
                    }
                });
            }
        });
        assert_eq!(count.into_inner(), 9);
    });
}

#[test]
fn scopes_nest() {
    everywhere(|| {
        let log = Log::default();
        thread::scope(|outer| {
            outer.spawn(|| {
                thread::scope(|inner| {
                    inner.spawn(|| log.add("inner"));
                    outer.spawn(|| ());
                });
                log.add("inner has ended");
            });
        });
        log.add("outer has ended");
        log.assert(&["inner", "inner has ended", "outer has ended"]);
    });
}

#[test]
fn a_scope_inside_of_run_lies_in_one_outside() {
    let log = Log::default();
    thread::scope(|outside| {
        run(|| {
            let here = std::thread::current().id();
            let elsewhere = outside.spawn(move || std::thread::current().id() != here);
            let same = thread::scope(|inside| {
                inside.spawn(move || std::thread::current().id() == here).join().unwrap()
            });
            assert!(same && elsewhere.join().unwrap());
            log.add("run ends");
        });
    });
    log.assert(&["run ends"]);
}

#[test]
fn a_task_that_joins_a_system_thread_of_a_scope_does_not_stop_the_others() {
    let log = Log::default();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    thread::scope(|scope| {
        let system = scope.spawn(move || wait.recv().unwrap());
        run(|| {
            let says = log.clone();
            thread::spawn(move || {
                says.add("runs meanwhile");
                go.send(()).unwrap();
            });
            system.join().unwrap();
            log.add("joined");
        });
    });
    log.assert(&["runs meanwhile", "joined"]);
}

#[test]
fn handles_may_be_kept_dropped_and_forgotten() {
    run(|| {
        let log = Log::default();
        thread::scope(|scope| {
            let kept = scope.spawn(|| log.add("kept"));
            drop(scope.spawn(|| log.add("dropped")));
            #[expect(clippy::mem_forget, reason = "that is the test")]
            std::mem::forget(scope.spawn(|| log.add("forgotten")));
            yield_now();
            assert!(kept.is_finished());
            kept.join().unwrap();
        });
        log.assert(&["kept", "dropped", "forgotten"]);
    });
}

#[test]
fn a_thread_may_join_another() {
    everywhere(|| {
        let sum = thread::scope(|scope| {
            let first = scope.spawn(|| 1);
            let second = scope.spawn(move || first.join().unwrap() + 2);
            second.join().unwrap()
        });
        assert_eq!(sum, 3);
    });
}

#[test]
fn a_value_that_starts_a_thread_when_it_is_dropped_is_waited_for() {
    struct Starter<'scope, 'env>(&'scope Scope<'scope, 'env>, &'env AtomicBool);
    impl Drop for Starter<'_, '_> {
        fn drop(&mut self) {
            let done = self.1;
            self.0.spawn(move || {
                thread::sleep(ms(1));
                done.store(true, Ordering::Relaxed);
            });
        }
    }
    everywhere(|| {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| Starter(scope, &done));
        });
        assert!(done.into_inner());
    });
}

#[test]
fn values_may_borrow() {
    everywhere(|| {
        let words = [String::from("a"), String::from("bcd")];
        let longest = thread::scope(|scope| {
            let thread = scope.spawn(|| words.iter().max_by_key(|word| word.len()).unwrap());
            thread.join().unwrap()
        });
        assert_eq!(longest, "bcd");
    });
}

#[test]
fn a_borrow_ends_with_the_scope_also_where_nothing_is_used() {
    // Compiles as with std: the closure captures a reference to a reference.
    fn matches_nothing(of: &u8) {
        thread::scope(|scope| {
            scope.spawn(|| {
                let _ = of;
            });
        });
    }
    everywhere(|| matches_nothing(&42));
}

#[test]
fn a_function_may_take_the_scope() {
    fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        count: &'scope AtomicUsize,
    ) -> ScopedJoinHandle<'scope, usize> {
        scope.spawn(|| count.fetch_add(1, Ordering::Relaxed))
    }
    everywhere(|| {
        let count = AtomicUsize::new(0);
        thread::scope(|scope| assert_eq!(start(scope, &count).join().unwrap(), 0));
        assert_eq!(count.into_inner(), 1);
    });
}

#[test]
fn handles_lie_in_a_vector_across_an_unwind() {
    run(|| {
        let caught = std::panic::catch_unwind(|| {
            thread::scope(|scope| {
                let _threads: Vec<_> = (0..3).map(|n| scope.spawn(move || n)).collect();
                crate::fail("body");
            });
        });
        assert!(caught.is_err());
    });
}

#[test]
fn threads_run_on_the_worker_where_the_scope_was_opened() {
    run(|| {
        let here = std::thread::current().id();
        thread::scope(|scope| {
            scope.spawn(move || assert_eq!(std::thread::current().id(), here)).join().unwrap();
        });
    });
}

#[test]
fn the_end_is_a_checkpoint_without_threads_as_well() {
    run(|| {
        let cut = giambio::cancellable(|outside| {
            thread::scope(|_| outside.cancel());
            unreachable!();
        });
        assert_eq!(cut, None::<()>);
    });
}

#[test]
fn under_no_switch_a_scope_waits_and_then_says_so() {
    run(|| {
        let log = Log::default();
        let text = panic_of(|| {
            task::no_switch(|| thread::scope(|scope| drop(scope.spawn(|| log.add("ran")))));
        });
        log.assert(&["ran"]);
        let expected = "the end of a `thread::scope` would switch to another task";
        assert!(text.starts_with(expected), "{text}");
    });
}

#[test]
fn a_scope_in_a_destructor_that_a_panic_runs_really_waits() {
    run(|| {
        let log = Log::default();
        let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _guard = OnDrop::new(|| {
                thread::scope(|scope| {
                    let value = scope.spawn(|| {
                        yield_now();
                        7
                    });
                    log.add(format!("joined {}", value.join().unwrap()));
                });
                log.add("scope ended");
            });
            crate::fail("on purpose");
        }));
        assert!(failed.is_err());
        log.assert(&["joined 7", "scope ended"]);
    });
}

#[test]
fn a_scope_in_a_thread_of_a_scope_has_its_own_failures() {
    run(|| {
        let seen = Mutex::new(String::new());
        thread::scope(|outer| {
            outer.spawn(|| {
                let text = panic_of(|| {
                    thread::scope(|inner| drop(inner.spawn(|| crate::fail("inner"))));
                });
                *seen.lock().unwrap() = text;
            });
        });
        assert_eq!(seen.into_inner().unwrap(), "a scoped thread panicked");
    });
}

#[test]
fn a_cell_may_stay_in_the_body() {
    run(|| {
        let count = Cell::new(0);
        thread::scope(|scope| {
            let thread = scope.spawn(|| 7);
            count.set(thread.join().unwrap());
        });
        assert_eq!(count.get(), 7);
    });
}
