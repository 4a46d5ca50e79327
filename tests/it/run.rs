//! The outermost call: what goes in, what comes out, and where it is refused.

use crate::dig;
use crate::fail;
use crate::panic_of;
use crate::raised;
use crate::secs;
use giambio::Builder;
use giambio::cancellable;
use giambio::debug::Debugger;
use giambio::finally;
use giambio::pool;
use giambio::run;
use giambio::shield;
use giambio::skip_after;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::task;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::try_pool;
use giambio::with_timeout;
use giambio::yield_now;
use std::cell::Cell;
use std::cell::RefCell;
use std::io;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Barrier;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

#[test]
fn smoke() {
    assert_eq!(run(|| 42), 42);
}

#[test]
fn main_borrows_from_its_caller_and_its_value_needs_no_send() {
    let mut trace = Vec::new();
    let value = run(|| {
        trace.push("in main");
        Rc::new(7)
    });
    trace.push("after run");
    assert_eq!((*value, trace), (7, vec!["in main", "after run"]));
}

#[test]
fn a_panic_of_main_leaves_run_with_its_payload() {
    let payload = catch_unwind(|| run(|| resume_unwind(Box::new(7_u8)))).unwrap_err();
    assert_eq!(payload.downcast_ref::<u8>(), Some(&7));
}

#[test]
fn a_panic_of_a_grandchild_leaves_run_with_its_payload() {
    let outer = AssertUnwindSafe(|| {
        run(|| {
            pool(|pool| {
                pool.spawn(|| {
                    giambio::pool(|pool| drop(pool.spawn(|| resume_unwind(Box::new(7_u8)))))
                });
            });
        });
    });
    assert_eq!(catch_unwind(outer).unwrap_err().downcast_ref::<u8>(), Some(&7));
}

#[test]
fn a_thread_that_a_panic_left_run_on_can_run_again() {
    assert_eq!(panic_of(|| run(|| fail("first"))), "first");
    assert!(!thread::panicking());
    assert_eq!(run(|| 1), 1);
}

#[test]
fn run_inside_of_run_is_refused_and_the_outer_one_goes_on() {
    let refused = "giambio::run inside of giambio::run: start a pool instead";
    let sum = run(|| {
        assert_eq!(panic_of(|| run(|| ())), refused);
        assert_eq!(panic_of(|| run_virtual(|| ())), refused);
        pool(|pool| {
            pool.spawn(|| assert_eq!(panic_of(|| run(|| ())), refused)).join().unwrap();
            pool.spawn(|| 1).join().unwrap() + 1
        })
    });
    assert_eq!(sum, 2);
}

#[test]
fn another_runtime_cannot_run_inside_of_run_either() {
    let mut inner = Builder::new().build().unwrap();
    let text = run(|| panic_of(|| inner.run(|| ())));
    assert_eq!(text, "giambio::run inside of giambio::run: start a pool instead");
    assert_eq!(inner.run(|| 3), 3);
}

/// Tries to run a runtime in a hook, and keeps what came of it.
struct RunsInItsHook(Arc<Mutex<String>>);

impl Debugger for RunsInItsHook {
    fn on_start(&self) {
        *self.0.lock().unwrap() = panic_of(|| run(|| ()));
    }
}

#[test]
fn run_in_a_hook_is_refused_by_the_hooks_name() {
    let text = Arc::default();
    let mut runtime = Builder::new().debugger(RunsInItsHook(Arc::clone(&text))).build().unwrap();
    runtime.run(|| ());
    assert_eq!(*text.lock().unwrap(), "a blocking call in on_start, which must not block");
}

/// Runs a runtime when it is dropped, and keeps what came of it.
struct RunsInItsDrop<'t>(&'t RefCell<String>);

impl Drop for RunsInItsDrop<'_> {
    fn drop(&mut self) {
        let answer = catch_unwind(|| run(|| String::from("ran")));
        *self.0.borrow_mut() = answer.unwrap_or_else(|payload| panic_of(|| resume_unwind(payload)));
    }
}

#[test]
fn run_in_a_destructor_is_refused_only_while_the_thread_unwinds() {
    let text = RefCell::default();
    drop(RunsInItsDrop(&text));
    assert_eq!(*text.borrow(), "ran");
    let unwinding = panic_of(|| {
        let _runs = RunsInItsDrop(&text);
        fail("unwinding")
    });
    assert_eq!(unwinding, "unwinding");
    assert_eq!(*text.borrow(), "giambio::run in a destructor while the thread unwinds");
}

#[test]
fn several_threads_run_at_once_and_know_nothing_of_each_other() {
    let everybody_is_in = Barrier::new(4);
    thread::scope(|threads| {
        for number in 0..4 {
            let everybody_is_in = &everybody_is_in;
            threads.spawn(move || {
                run(|| {
                    everybody_is_in.wait();
                    let steps = Cell::new(0);
                    pool(|pool| {
                        for _ in 0..100 {
                            pool.spawn(|| {
                                yield_now();
                                steps.set(steps.get() + number);
                            });
                        }
                    });
                    assert_eq!(steps.get(), 100 * number);
                });
            });
        }
    });
}

#[test]
fn a_runtime_runs_again_after_a_value_and_after_a_panic() {
    let mut runtime = Builder::new().build().unwrap();
    assert_eq!(runtime.run(|| pool(|pool| pool.spawn(|| 1).join().unwrap())), 1);
    assert_eq!(
        panic_of(|| runtime.run(|| pool(|pool| drop(pool.spawn(|| fail("second")))))),
        "second"
    );
    let mut moved = Box::new(runtime);
    assert_eq!(moved.run(|| pool(|pool| pool.spawn(|| 3).join().unwrap())), 3);
}

#[test]
fn two_runtimes_of_one_thread_run_in_turn() {
    let mut one = Builder::new().build().unwrap();
    let mut other = Builder::default().build().unwrap();
    for round in 0..3 {
        assert_eq!(one.run(|| round), round);
        assert_eq!(other.run(|| round), round);
    }
}

#[test]
fn a_runtime_may_be_dropped_without_a_run() {
    drop(Builder::new().build().unwrap());
    assert_eq!(run(|| 1), 1);
}

#[test]
fn the_main_task_cannot_be_cancelled() {
    run(|| {
        task::current().cancel();
        assert!(!raised(yield_now));
        let main = task::current();
        pool(|pool| drop(pool.spawn(move || main.cancel())));
        assert!(!raised(yield_now));
    });
}

#[test]
fn main_has_a_stack_of_eight_mebibytes() {
    assert!(run(|| dig(7 << 20)) >= 7 << 20);
}

#[test]
fn tasks_have_the_stack_that_the_builder_was_told() {
    let mut runtime = Builder::new().stack_size(4 << 20).build().unwrap();
    let dug = runtime.run(|| pool(|pool| pool.spawn(|| dig(3 << 20)).join().unwrap()));
    assert!(dug >= 3 << 20);
}

#[test]
fn a_task_has_a_mebibyte_of_stack_in_a_debug_build_and_a_quarter_of_it_in_a_release() {
    let default = if cfg!(debug_assertions) { 1 << 20 } else { 256 << 10 };
    let size = || task::stack_usage().unwrap().size;
    let sizes = || {
        pool(|pool| {
            let isolated = pool.spawn_isolated(size).join().unwrap();
            [pool.spawn(size).join().unwrap(), isolated]
        })
    };
    assert_eq!(run(sizes), [default; 2]);
    assert_eq!(run_virtual(sizes), [default; 2]);
    assert_eq!(Builder::new().build().unwrap().run(sizes), [default; 2]);
    assert_eq!(Builder::new().stack_size(1).build().unwrap().run(sizes), [32 << 10; 2]);
}

#[test]
fn a_builder_refuses_absurd_stack_sizes() {
    for bytes in [0, (1 << 30) + 1, usize::MAX] {
        let error = Builder::new().stack_size(bytes).build().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains(&format!("a stack of {bytes} bytes")), "{error}");
    }
}

#[test]
fn run_panics_with_the_report_of_a_deadlock_when_every_task_has_ended() {
    let cleaned_up = Cell::new(false);
    let report = panic_of(|| run_virtual(|| finally(sleep_forever, || cleaned_up.set(true))));
    assert!(report.contains("task 'main'") && report.contains("sleeps for ever"), "{report}");
    assert!(cleaned_up.get());
}

#[test]
fn outside_of_run_what_needs_a_task_panics_naming_run() {
    let texts = [
        panic_of(|| pool(|_| ())),
        panic_of(|| try_pool(|_| Ok::<(), ()>(()))),
        panic_of(|| cancellable(|_| ())),
        panic_of(|| skip_after(secs(1), |_| ())),
        panic_of(|| with_timeout(secs(1), |_| ())),
        panic_of(settle),
        panic_of(task::current),
    ];
    for text in texts {
        assert!(text.contains("giambio::run"), "{text}");
    }
}

#[test]
fn outside_of_run_what_can_do_without_a_task_works() {
    let cleaned_up = Cell::new(false);
    assert_eq!(shield(|| 1), 1);
    assert_eq!(finally(|| 2, || cleaned_up.set(true)), 2);
    assert_eq!(panic_of(|| finally(|| fail("body"), || fail("cleanup"))), "body");
    assert_eq!(task::no_switch(|| 3) + task::no_unwind(|| 4), 7);
    assert!(cleaned_up.get());
    let before = giambio::clock();
    sleep(Duration::from_millis(2));
    yield_now();
    assert!(giambio::clock() - before >= Duration::from_millis(2));
}
