//! Deep calls in a debugger's hooks, in a log sink, beside a deadlock, and outside of a runtime.

use crate::Log;
use crate::big_stack::live;
use crate::big_stack::nested;
use crate::dig;
use crate::fail;
use crate::log_sink::Sink;
use crate::log_sink::with_sink;
use crate::named;
use crate::panic_of;
use crate::secs;
use crate::tcp::pair;
use crate::unwind::OnDrop;
use giambio::Builder;
use giambio::debug::Debugger;
use giambio::debug::TaskRef;
use giambio::debug::WaitReason;
use giambio::debug::stacks;
use giambio::on_big_stack;
use giambio::pool;
use giambio::run;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::task;
use giambio::testing;
use giambio::testing::run_virtual;
use giambio::yield_now;
use std::cell::Cell;
use std::io::Read;
use std::io::Write;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

const MIB: usize = 1 << 20;

/// Passes on every hook with the name of its task.
struct Each<F: Fn(&str, &str)>(F);

impl<F: Fn(&str, &str)> Debugger for Each<F> {
    fn on_start(&self) {
        (self.0)("on_start", "");
    }
    fn on_task_spawn(&self, task: &TaskRef) {
        (self.0)("on_task_spawn", &task.name());
    }
    fn on_task_exit(&self, task: &TaskRef) {
        (self.0)("on_task_exit", &task.name());
    }
    fn before_task_step(&self, task: &TaskRef) {
        (self.0)("before_task_step", &task.name());
    }
    fn after_task_step(&self, task: &TaskRef) {
        (self.0)("after_task_step", &task.name());
    }
    fn before_sleep(&self, task: &TaskRef, _: Duration) {
        (self.0)("before_sleep", &task.name());
    }
    fn before_park(&self, task: &TaskRef, reason: WaitReason) {
        (self.0)(&format!("before_park, {reason}"), &task.name());
    }
    fn before_cancel(&self, task: &TaskRef) {
        (self.0)("before_cancel", &task.name());
    }
    fn after_cancel(&self, task: &TaskRef) {
        (self.0)("after_cancel", &task.name());
    }
}

/// Runs `main` on a virtual clock, with a debugger.
#[track_caller]
fn debug<T>(hook: impl Fn(&str, &str) + 'static, main: impl FnOnce() -> T) -> T {
    testing::builder().debugger(Each(hook)).build().unwrap().run(main)
}

/// Sleeps, yields, spawns and cancels, with all of it inside of `around`.
fn a_little_of_everything(around: fn(&dyn Fn())) {
    pool(|pool| {
        named(pool, "sleeper", || around(&|| sleep(secs(1))));
        let victim = named(pool, "victim", || around(&|| sleep_forever()));
        named(pool, "parent", move || {
            around(&|| {
                giambio::pool(|inner| drop(named(inner, "child", || around(&yield_now))));
                victim.cancel();
            });
        });
    });
}

#[test]
fn smoke() {
    assert!(on_big_stack(2 * MIB, || dig(MIB)) >= MIB);
}

#[test]
fn a_debugger_is_told_the_same_as_without_the_call() {
    let told = |around: fn(&dyn Fn())| {
        let log = Rc::new(Log::default());
        let all = Rc::clone(&log);
        debug(
            move |hook, task| all.add(format!("{hook} '{task}'")),
            || a_little_of_everything(around),
        );
        log.take()
    };
    let plain = told(|f| f());
    assert!(plain.iter().any(|line| line == "before_park, sleeps for ever 'victim'"), "{plain:?}");
    assert_eq!(told(|f| on_big_stack(MIB, f)), plain);
    assert_eq!(told(|f| nested(3, f)), plain);
}

#[test]
fn a_hook_may_make_a_deep_call_and_its_blocking_calls_still_name_the_hook() {
    // A hook that panics is caught: what it claims counts only if it comes to its end.
    let (begun, ended) = (Rc::new(Log::default()), Rc::new(Log::default()));
    let (begins, ends) = (Rc::clone(&begun), Rc::clone(&ended));
    let hook = move |hook: &str, _: &str| {
        begins.add(hook);
        let before = live();
        on_big_stack(2 * MIB, || {
            assert!(dig(MIB) >= MIB);
            let name = hook.split(',').next().unwrap();
            for text in [panic_of(|| nested(2, || sleep(secs(1)))), panic_of(|| run(|| ()))] {
                assert!(text.contains(&format!("a blocking call in {name}")), "{text}");
            }
            assert!(task::stack_usage().is_none());
            assert!(task::remaining_stack().is_none());
        });
        assert_eq!(panic_of(|| on_big_stack(MIB, || fail("caught"))), "caught");
        assert_eq!(live(), before);
        ends.add(hook);
    };
    debug(hook, || a_little_of_everything(|f| on_big_stack(MIB, f)));
    let told = ended.take();
    assert_eq!(told, begun.take());
    for hook in ["on_start", "on_task_spawn", "before_sleep", "before_park", "before_cancel"] {
        assert!(told.iter().any(|line| line.starts_with(hook)), "{hook}: {told:?}");
    }
}

thread_local! {
    static SAID: Log = Log::default();
}

#[test]
fn a_log_sink_may_make_a_deep_call() {
    static SINK: Sink = Sink(|line| {
        let text = on_big_stack(2 * MIB, || {
            assert!(dig(MIB) >= MIB);
            panic_of(|| sleep(secs(1)))
        });
        SAID.with(|said| said.add(format!("{}: {text}", line.rsplit(' ').next().unwrap())));
    });
    with_sink("big_stack_places::a_log_sink_may_make_a_deep_call", &SINK, || {
        run(|| {
            pool(|pool| drop(pool.spawn_isolated(|| on_big_stack(MIB, || fail("lost")))));
            assert_eq!(live(), 1);
        });
        SAID.with(|said| {
            said.assert(&["lost: a blocking call in a log sink, which must not block"]);
        });
    });
}

#[test]
fn a_deadlock_inside_is_reported_with_its_task_and_its_reason() {
    let cleaned_up = Cell::new(0);
    let report = panic_of(|| {
        run_virtual(|| {
            pool(|pool| {
                named(pool, "deep", || {
                    nested(3, || {
                        let _guard = OnDrop::new(|| cleaned_up.set(cleaned_up.get() + live()));
                        sleep_forever()
                    })
                });
                on_big_stack(MIB, sleep_forever)
            })
        })
    });
    let line_of = |task: &str| report.lines().find(|line| line.contains(task)).unwrap_or_default();
    assert!(line_of("'deep'").contains("sleeps for ever"), "{report}");
    assert!(line_of("'main'").contains("sleeps for ever"), "{report}");
    assert_eq!(cleaned_up.get(), 5, "main, whose call was cut before, the task and its three");
}

#[test]
fn outside_of_run_it_gives_the_value_and_the_panic() {
    let mut borrowed = vec![1];
    let value = on_big_stack(MIB, || {
        borrowed.push(2);
        Rc::new(7)
    });
    assert_eq!((*value, borrowed.len()), (7, 2));
    assert!(nested(3, || dig(32 << 10)) >= 32 << 10);
    let payload = catch_unwind(|| nested(3, || resume_unwind(Box::new(7_u8)))).unwrap_err();
    assert_eq!(payload.downcast_ref::<u8>(), Some(&7));
    assert!(!thread::panicking());
    assert!(stacks().is_none());
}

#[test]
fn outside_of_run_a_small_thread_makes_a_deep_call() {
    let small = thread::Builder::new().stack_size(64 << 10);
    let deep = small.spawn(|| on_big_stack(10 * MIB, || dig(9 * MIB))).unwrap();
    assert!(deep.join().unwrap() >= 9 * MIB);
}

#[test]
fn outside_of_run_blocking_calls_inside_block_the_thread() {
    let (mut ours, mut theirs) = run(pair);
    let before = giambio::clock();
    on_big_stack(MIB, || {
        sleep(Duration::from_millis(2));
        yield_now();
        ours.write_all(b"data").unwrap();
    });
    assert!(giambio::clock() - before >= Duration::from_millis(2));
    let mut text = [0; 4];
    on_big_stack(MIB, || theirs.read_exact(&mut text).unwrap());
    assert_eq!(&text, b"data");
}

#[test]
fn outside_of_run_nobody_is_a_task_inside() {
    on_big_stack(MIB, || {
        assert!(task::stack_usage().is_none() && task::remaining_stack().is_none());
        for text in [panic_of(task::current), panic_of(|| pool(|_| ()))] {
            assert!(text.contains("giambio::run"), "{text}");
        }
    });
}

#[test]
fn outside_of_run_a_destructor_may_call_it_while_the_thread_unwinds() {
    let dug = Cell::new(0);
    let text = panic_of(|| {
        let _guard = OnDrop::new(|| {
            dug.set(on_big_stack(2 * MIB, || dig(MIB)));
            assert_eq!(panic_of(|| on_big_stack(MIB, || fail("second"))), "second");
        });
        fail("first")
    });
    assert_eq!(text, "first");
    assert!(dug.get() >= MIB);
}

#[test]
fn a_whole_run_fits_into_a_call() {
    let sum = on_big_stack(MIB, || {
        run_virtual(|| {
            assert_eq!(live(), 1); // the thread's call is not the runtime's
            let tasks = |depth| {
                pool(|pool| {
                    let tasks = [1, 2, 3].map(|second| {
                        pool.spawn(move || {
                            nested(depth, || sleep(secs(second)));
                            second
                        })
                    });
                    tasks.map(|task| task.join().unwrap()).iter().sum::<u64>()
                })
            };
            tasks(0) + on_big_stack(MIB, || tasks(2))
        })
    });
    assert_eq!(sum, 12);
    assert_eq!(panic_of(|| on_big_stack(MIB, || run(|| fail("main's")))), "main's");
}

#[test]
fn a_runtime_may_run_in_one_call_and_again_in_another() {
    let mut runtime = Builder::new().build().unwrap();
    for round in 0..3 {
        assert_eq!(on_big_stack(MIB, || runtime.run(|| on_big_stack(MIB, || round))), round);
    }
}

#[test]
fn threads_make_deep_calls_at_the_same_time() {
    thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                for _ in 0..50 {
                    assert!(nested(2, || on_big_stack(2 * MIB, || dig(MIB))) >= MIB);
                }
            });
        }
    });
}
