//! The debugger: what it is told, in which order, and what it may do.

use crate::Log;
use crate::elapsed;
use crate::fail;
use crate::logged;
use crate::named;
use crate::panic_of;
use crate::secs;
use crate::unwind::connection;
use giambio::cancellable;
use giambio::clock;
use giambio::debug::Debugger;
use giambio::debug::TaskRef;
use giambio::debug::WaitReason;
use giambio::pool;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::task;
use giambio::testing;
use giambio::testing::settle;
use giambio::yield_now;
use std::any::Any;
use std::cell::Cell;
use std::cell::RefCell;
use std::io::Read;
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;

/// Runs `main` on a virtual clock, with a debugger.
#[track_caller]
fn debug<T>(debugger: impl Debugger + 'static, main: impl FnOnce() -> T) -> T {
    testing::builder().debugger(debugger).build().unwrap().run(main)
}

/// The debugger of the Python tutorial, with its words.
struct Tutorial(Rc<Log>);

impl Debugger for Tutorial {
    fn on_start(&self) {
        self.0.add("## Started running");
    }
    fn on_exit(&self) {
        self.0.add("## Finished running");
    }
    fn on_task_spawn(&self, task: &TaskRef) {
        self.0.add(format!(">> A task named '{}' was spawned", task.name()));
    }
    fn on_task_exit(&self, task: &TaskRef) {
        self.0.add(format!("<< Task '{}' exited", task.name()));
    }
    fn before_task_step(&self, task: &TaskRef) {
        self.0.add(format!("-> About to run a step for '{}'", task.name()));
    }
    fn after_task_step(&self, task: &TaskRef) {
        self.0.add(format!("<- Ran a step for '{}'", task.name()));
    }
    fn before_sleep(&self, task: &TaskRef, duration: Duration) {
        let (name, seconds) = (task.name(), duration.as_secs_f64());
        self.0.add(format!("# About to put '{name}' to sleep for {seconds:.2} seconds"));
    }
    fn after_sleep(&self, task: &TaskRef, duration: Duration) {
        let (name, seconds) = (task.name(), duration.as_secs_f64());
        self.0.add(format!("# Task '{name}' slept for {seconds:.2} seconds"));
    }
    fn before_io(&self, timeout: Option<Duration>) {
        let seconds = timeout.unwrap().as_secs_f64();
        self.0.add(format!("!! About to check for I/O for up to {seconds:.2} seconds"));
    }
    fn after_io(&self, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64();
        self.0.add(format!("!! Done I/O check (timeout {seconds:.2} seconds)"));
    }
    fn before_cancel(&self, task: &TaskRef) {
        self.0.add(format!("// About to cancel '{}'", task.name()));
    }
    fn after_cancel(&self, task: &TaskRef) {
        self.0.add(format!("// Cancelled '{}'", task.name()));
    }
}

/// Differs from the transcript of the Python tutorial in five places: the spawn of main is told too;
/// a task says itself that it goes to sleep and has slept, so both lie within its steps; every step
/// is told to its end, also the last; where there is no I/O none is looked at; and main, which waits
/// for both children at once, goes on in one step.
#[test]
fn the_transcript_of_the_tutorial() {
    let log = Rc::new(Log::default());
    debug(Tutorial(Rc::clone(&log)), || {
        let child = |name: &'static str| {
            let log = &log;
            move || {
                log.add(format!("[{name}] Child spawned!! Sleeping for 2 seconds"));
                sleep(secs(2));
                log.add(format!("[{name}] Had a nice nap!"));
            }
        };
        let took = elapsed(|| {
            pool(|pool| {
                named(pool, "child", child("child"));
                named(pool, "child1", child("child 1"));
                log.add("[main] Children spawned, awaiting completion");
            });
        });
        let seconds = took.as_secs_f64();
        log.add(format!("[main] Children execution complete in {seconds:.2} seconds"));
    });
    log.assert(&[
        "## Started running",
        ">> A task named 'main' was spawned",
        "-> About to run a step for 'main'",
        ">> A task named 'child' was spawned",
        ">> A task named 'child1' was spawned",
        "[main] Children spawned, awaiting completion",
        "<- Ran a step for 'main'",
        "-> About to run a step for 'child'",
        "[child] Child spawned!! Sleeping for 2 seconds",
        "# About to put 'child' to sleep for 2.00 seconds",
        "<- Ran a step for 'child'",
        "-> About to run a step for 'child1'",
        "[child 1] Child spawned!! Sleeping for 2 seconds",
        "# About to put 'child1' to sleep for 2.00 seconds",
        "<- Ran a step for 'child1'",
        "-> About to run a step for 'child'",
        "# Task 'child' slept for 2.00 seconds",
        "[child] Had a nice nap!",
        "<- Ran a step for 'child'",
        "<< Task 'child' exited",
        "-> About to run a step for 'child1'",
        "# Task 'child1' slept for 2.00 seconds",
        "[child 1] Had a nice nap!",
        "<- Ran a step for 'child1'",
        "<< Task 'child1' exited",
        "-> About to run a step for 'main'",
        "[main] Children execution complete in 2.00 seconds",
        "<- Ran a step for 'main'",
        "<< Task 'main' exited",
        "## Finished running",
    ]);
}

#[test]
fn the_transcript_of_a_cancellation() {
    let log = Rc::new(Log::default());
    debug(Tutorial(Rc::clone(&log)), || {
        pool(|pool| {
            let task = named(pool, "child", || sleep(secs(2)));
            yield_now();
            task.cancel();
        });
    });
    log.assert(&[
        "## Started running",
        ">> A task named 'main' was spawned",
        "-> About to run a step for 'main'",
        ">> A task named 'child' was spawned",
        "<- Ran a step for 'main'",
        "-> About to run a step for 'child'",
        "# About to put 'child' to sleep for 2.00 seconds",
        "<- Ran a step for 'child'",
        "-> About to run a step for 'main'",
        "// About to cancel 'child'",
        "<- Ran a step for 'main'",
        "-> About to run a step for 'child'",
        "// Cancelled 'child'",
        "<- Ran a step for 'child'",
        "<< Task 'child' exited",
        "-> About to run a step for 'main'",
        "<- Ran a step for 'main'",
        "<< Task 'main' exited",
        "## Finished running",
    ]);
}

#[test]
fn the_transcript_of_a_look_at_the_io() {
    let log = Rc::new(Log::default());
    debug(Tutorial(Rc::clone(&log)), || {
        let (ours, mut theirs) = connection();
        pool(|pool| {
            named(pool, "reader", || (&ours).read(&mut [0; 8]));
            yield_now();
            theirs.write_all(b"data").unwrap();
        });
    });
    log.assert(&[
        "## Started running",
        ">> A task named 'main' was spawned",
        "-> About to run a step for 'main'",
        ">> A task named 'reader' was spawned",
        "<- Ran a step for 'main'",
        "-> About to run a step for 'reader'",
        "<- Ran a step for 'reader'",
        "-> About to run a step for 'main'",
        "<- Ran a step for 'main'",
        "!! About to check for I/O for up to 0.00 seconds",
        "!! Done I/O check (timeout 0.00 seconds)",
        "-> About to run a step for 'reader'",
        "<- Ran a step for 'reader'",
        "<< Task 'reader' exited",
        "-> About to run a step for 'main'",
        "<- Ran a step for 'main'",
        "<< Task 'main' exited",
        "## Finished running",
    ]);
}

/// The names of all hooks, in the order of the trait.
const HOOKS: [&str; 14] = [
    "on_start",
    "on_exit",
    "on_task_spawn",
    "on_task_exit",
    "before_task_step",
    "after_task_step",
    "before_sleep",
    "after_sleep",
    "before_park",
    "before_io",
    "after_io",
    "before_cancel",
    "after_cancel",
    "on_exception_raised",
];

/// Calls one closure for every hook: with its name, and with the task if it is about one.
struct Each<F: Fn(&'static str, Option<&TaskRef>)>(F);

impl<F: Fn(&'static str, Option<&TaskRef>)> Debugger for Each<F> {
    fn on_start(&self) {
        (self.0)("on_start", None);
    }
    fn on_exit(&self) {
        (self.0)("on_exit", None);
    }
    fn on_task_spawn(&self, task: &TaskRef) {
        (self.0)("on_task_spawn", Some(task));
    }
    fn on_task_exit(&self, task: &TaskRef) {
        (self.0)("on_task_exit", Some(task));
    }
    fn before_task_step(&self, task: &TaskRef) {
        (self.0)("before_task_step", Some(task));
    }
    fn after_task_step(&self, task: &TaskRef) {
        (self.0)("after_task_step", Some(task));
    }
    fn before_sleep(&self, task: &TaskRef, _: Duration) {
        (self.0)("before_sleep", Some(task));
    }
    fn after_sleep(&self, task: &TaskRef, _: Duration) {
        (self.0)("after_sleep", Some(task));
    }
    fn before_park(&self, task: &TaskRef, _: WaitReason) {
        (self.0)("before_park", Some(task));
    }
    fn before_io(&self, _: Option<Duration>) {
        (self.0)("before_io", None);
    }
    fn after_io(&self, _: Duration) {
        (self.0)("after_io", None);
    }
    fn before_cancel(&self, task: &TaskRef) {
        (self.0)("before_cancel", Some(task));
    }
    fn after_cancel(&self, task: &TaskRef) {
        (self.0)("after_cancel", Some(task));
    }
    fn on_exception_raised(&self, task: &TaskRef, _: &(dyn Any + Send)) {
        (self.0)("on_exception_raised", Some(task));
    }
}

/// A program that comes by every hook, with tasks that return, panic, are cut and never begin.
fn comes_by_every_hook() -> i32 {
    let (ours, _theirs) = connection();
    let failing = || {
        pool(|pool| {
            pool.spawn(|| sleep(secs(2)));
            pool.spawn(|| sleep_forever());
            pool.spawn(|| (&ours).read(&mut [0; 8]));
            pool.spawn(|| giambio::finally(|| fail("twice"), || yield_now()));
            settle();
            pool.spawn(|| unreachable!("the pool has failed"));
        });
    };
    assert_eq!(panic_of(failing), "twice");
    pool(|pool| {
        let never = pool.spawn(|| unreachable!("it was cancelled before"));
        never.cancel();
        let isolated = pool.spawn_isolated(|| fail("isolated"));
        assert!(isolated.join().is_err_and(|error| error.is_panic()));
    });
    assert_eq!(giambio::skip_after(secs(1), |_| sleep(secs(3))), None);
    sleep(secs(1));
    7
}

#[test]
fn every_hook_is_called_and_the_pairs_always_match() {
    let calls = Rc::new(RefCell::new(Vec::new()));
    let told = Rc::clone(&calls);
    let tell = move |hook, task: Option<&TaskRef>| {
        told.borrow_mut().push((hook, task.map(TaskRef::id)));
    };
    assert_eq!(debug(Each(tell), comes_by_every_hook), 7);
    let calls = calls.take();
    for hook in HOOKS {
        assert!(calls.iter().any(|call| call.0 == hook), "{hook}");
    }
    let of = |hook: &'static str| calls.iter().filter(move |call| call.0 == hook);
    assert_eq!((calls[0].0, calls[calls.len() - 1].0), ("on_start", "on_exit"));
    assert_eq!((of("on_start").count(), of("on_exit").count()), (1, 1));
    // A step is not interrupted by another, and neither is a look at the I/O by a step.
    let mut brackets = calls.iter().filter_map(|&(hook, task)| match hook.split_once('_')? {
        (edge, what @ ("task_step" | "io")) => Some((edge, what, task)),
        _ => None,
    });
    while let Some((edge, what, task)) = brackets.next() {
        assert_eq!(edge, "before");
        assert_eq!(brackets.next(), Some(("after", what, task)));
    }
    let mut spawned: Vec<_> = of("on_task_spawn").map(|call| call.1).collect();
    let mut exited: Vec<_> = of("on_task_exit").map(|call| call.1).collect();
    spawned.sort();
    exited.sort();
    assert_eq!(spawned, exited);
}

#[test]
fn a_park_is_told_with_its_reason() {
    struct Reasons(Rc<Log>);
    impl Debugger for Reasons {
        fn before_park(&self, task: &TaskRef, reason: WaitReason) {
            self.0.add(format!("{} {reason}", task.name()));
        }
    }
    let log = Rc::new(Log::default());
    debug(Reasons(Rc::clone(&log)), || {
        let (ours, _theirs) = connection();
        cancellable(|pool| {
            named(pool, "a", || sleep(secs(1)));
            named(pool, "b", || sleep_forever());
            named(pool, "c", || (&ours).read(&mut [0; 8]));
            settle();
            pool.cancel();
            giambio::pool(|inner| drop(named(inner, "d", || ())));
        });
    });
    log.assert(&[
        "main waits for every other task to park",
        "a sleeps",
        "b sleeps for ever",
        "c waits for a descriptor to become readable",
        "main waits for its pool's last child",
    ]);
}

#[test]
fn a_panic_is_told_with_its_payload_before_its_pool_hears_of_it() {
    struct Payloads(Rc<Log>);
    impl Debugger for Payloads {
        fn on_exception_raised(&self, task: &TaskRef, payload: &(dyn Any + Send)) {
            let text = payload.downcast_ref::<&str>();
            self.0.add(format!("{} {text:?}", task.name()));
        }
        fn before_cancel(&self, task: &TaskRef) {
            self.0.add(format!("{} is cut", task.name()));
        }
    }
    let log = Rc::new(Log::default());
    let failing = || {
        debug(Payloads(Rc::clone(&log)), || {
            pool(|pool| {
                named(pool, "sleeper", || sleep_forever());
                named(pool, "failing", || fail("the text"));
            });
        });
    };
    assert_eq!(panic_of(failing), "the text");
    log.assert(&["failing Some(\"the text\")", "sleeper is cut", "main Some(\"the text\")"]);
}

#[test]
fn hooks_that_panic_are_logged_and_the_program_goes_on() {
    logged(""); // switches the log on
    let value = debug(Each(|hook, _| fail(hook)), comes_by_every_hook);
    assert_eq!(value, 7);
    for hook in HOOKS {
        assert!(!logged(&format!("hook {hook} panicked")).is_empty(), "{hook}");
    }
}

#[test]
fn a_blocking_call_in_a_hook_panics_and_names_the_hook() {
    let texts = Rc::new(RefCell::new(Vec::new()));
    let told = Rc::clone(&texts);
    let blocks = move |hook, _: Option<&TaskRef>| {
        let calls: [fn(); 6] = [
            || sleep(secs(1)),
            yield_now,
            settle,
            || pool(|_| ()),
            || giambio::run(|| ()),
            || drop(connection().0.read(&mut [0; 8])),
        ];
        told.borrow_mut().extend(calls.map(|call| (hook, panic_of(call))));
    };
    assert_eq!(debug(Each(blocks), comes_by_every_hook), 7);
    let texts = texts.take();
    for hook in HOOKS {
        assert!(texts.iter().any(|text| text.0 == hook), "{hook}");
    }
    for (hook, text) in texts {
        assert!(text.contains(&format!("a blocking call in {hook}")), "{hook}: {text}");
    }
}

#[test]
fn a_hook_is_no_task_and_may_look_at_the_clock() {
    let seen = Rc::new(Cell::new(Duration::ZERO));
    let told = Rc::clone(&seen);
    let start = Cell::new(None);
    let look = move |_, _: Option<&TaskRef>| {
        let now = clock();
        let since = now - start.get().unwrap_or(now);
        start.set(start.get().or(Some(now)));
        told.set(since);
        assert!(panic_of(task::current).contains("giambio::run"));
        // What demands something of a task demands nothing here.
        task::no_switch(|| task::no_unwind(|| ()));
    };
    debug(Each(look), || sleep(secs(3)));
    assert_eq!(seen.get(), secs(3));
}

#[test]
fn a_hook_may_cancel_the_task_that_it_is_told_of() {
    for hook in
        ["on_task_spawn", "before_task_step", "after_task_step", "before_sleep", "before_park"]
    {
        let cancel = move |called, task: Option<&TaskRef>| {
            if let Some(victim) = task.filter(|task| called == hook && task.name() == "victim") {
                victim.cancel();
            }
        };
        debug(Each(cancel), || {
            pool(|pool| {
                let victim = named(pool, "victim", || {
                    sleep(secs(1));
                    unreachable!("{hook}");
                });
                let took = elapsed(|| assert!(victim.join().unwrap_err().is_cancelled()));
                assert_eq!(took, Duration::ZERO, "{hook}");
            });
        });
    }
}

#[test]
fn a_hook_of_a_spawn_may_cancel_the_spawner() {
    let parent = Rc::new(RefCell::new(None::<TaskRef>));
    let told = Rc::clone(&parent);
    let cancel = move |hook, task: Option<&TaskRef>| {
        if hook == "on_task_spawn" && task.is_some_and(|task| task.name() == "child") {
            told.take().unwrap().cancel();
        }
    };
    debug(Each(cancel), || {
        pool(|outer| {
            let spawner = outer.spawn(|| {
                *parent.borrow_mut() = Some(task::current());
                pool(|inner| {
                    named(inner, "child", || ());
                    let (ours, _theirs) = connection();
                    let _ = giambio::lowlevel::wait_writable(&ours);
                    unreachable!("the first checkpoint after the spawn");
                });
            });
            assert!(spawner.join().unwrap_err().is_cancelled());
        });
    });
}
