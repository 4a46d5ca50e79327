//! `thread` where there are no stacks, and where nothing can wake a thread.

use crate::End;
use crate::Scenario;
use crate::deadlock::line_of;
use crate::deadlock::report_of;
use crate::exhaustion::LARGE;
use crate::exhaustion::Quota;
use crate::exhaustion::panic_of;
use crate::exhaustion::room_for;
use crate::well;
use giambio::JoinError;
use giambio::run;
use giambio::shield;
use giambio::task;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::thread;
use giambio::thread::Builder;
use giambio::unblock;
use giambio::yield_now;
use std::io;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

pub(crate) const SCENARIOS: &[Scenario] = &[
    well("without_a_stack_a_spawn_is_an_error_and_the_rest_goes_on", no_stack_here),
    well("without_a_stack_who_was_asked_for_fails_at_its_join", no_stack_for_others),
    well("without_a_stack_who_was_asked_for_and_not_joined_fails_the_scope", not_joined),
    well("a_refused_closure_is_dropped_on_the_openers_stack_and_may_start_threads", refused_starts),
    well("a_deadlock_names_threads_and_ends_them", deadlock),
    well("a_deadlock_at_the_end_of_a_scope_is_one", scope_deadlock),
    Scenario {
        name: "a_thread_that_can_never_end_after_main_aborts_with_a_report",
        run: never_ends,
        end: End::AbortSaying(&[
            "'stubborn'",
            "sleeps for ever",
            "'main'",
            "waits for the threads that are left",
        ]),
    },
];

/// Asks for a thread with a large stack.
fn large() -> Builder {
    Builder::new().stack_size(LARGE)
}

fn half_a_stack() -> Box<dyn FnOnce()> {
    room_for(LARGE / 2, Quota::AddressSpace)
}

fn no_stack_here() {
    run(|| {
        let bystander = thread::spawn(|| giambio::sleep_forever());
        yield_now();
        let lift = half_a_stack();
        let error = large().spawn(|| ()).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfMemory);
        assert!(error.to_string().contains("RLIMIT_AS"), "{error}");
        thread::scope(|scope| {
            let again = large().spawn_scoped(scope, || ()).map(drop).unwrap_err();
            assert_eq!(again.to_string(), error.to_string());
        });
        lift();
        assert!(!bystander.is_finished());
        assert_eq!(large().spawn(|| 7).unwrap().join().unwrap(), 7);
    });
}

/// Notes that it was dropped in a task, which it has tried by switching.
struct Noted(Arc<Mutex<Vec<String>>>);

impl Drop for Noted {
    fn drop(&mut self) {
        yield_now();
        self.0.lock().unwrap().push(task::current().name());
    }
}

fn no_stack_for_others() {
    run(|| {
        unblock(|| ()); // its thread waits for the next call
        let dropped = Arc::default();
        let noted = Noted(Arc::clone(&dropped));
        thread::scope(|scope| {
            let lift = half_a_stack();
            let asked = unblock(|| large().spawn_scoped(scope, move || drop(noted)).unwrap());
            let payload = asked.join().unwrap_err();
            let error = payload.downcast::<io::Error>().unwrap();
            assert_eq!(error.kind(), ErrorKind::OutOfMemory);
            assert!(error.to_string().contains("RLIMIT_AS"), "{error}");
            lift();
            let asked = unblock(|| large().spawn_scoped(scope, || 7).unwrap());
            assert_eq!(asked.join().unwrap(), 7);
            assert!(dropped.lock().unwrap().is_empty());
        });
        assert_eq!(*dropped.lock().unwrap(), ["main"]);
    });
}

fn not_joined() {
    run(|| {
        unblock(|| ());
        let text = panic_of_text(|| {
            thread::scope(|scope| {
                let lift = half_a_stack();
                unblock(|| drop(large().spawn_scoped(scope, || ()).unwrap()));
                settle(); // it was refused by now
                lift();
            });
        });
        assert_eq!(text, "a scoped thread panicked");
    });
}

/// Of a panic with a literal, whose payload is no `String`.
fn panic_of_text(call: impl FnOnce()) -> String {
    panic_of(|| {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call));
        let payload = caught.expect_err("a panic");
        std::panic::panic_any(String::from(*payload.downcast::<&str>().expect("a literal")));
    })
}

fn refused_starts() {
    struct Starter<'scope, 'env>(&'scope thread::Scope<'scope, 'env>, &'env AtomicUsize);
    impl Drop for Starter<'_, '_> {
        fn drop(&mut self) {
            let started = self.1;
            self.0.spawn(move || {
                yield_now();
                started.fetch_add(1, Ordering::Relaxed);
            });
        }
    }
    run(|| {
        unblock(|| ());
        let started = AtomicUsize::new(0);
        thread::scope(|scope| {
            let starter = Starter(scope, &started);
            let lift = half_a_stack();
            let asked = unblock(|| large().spawn_scoped(scope, move || drop(starter)).unwrap());
            assert!(asked.join().is_err());
            lift();
        });
        assert_eq!(started.into_inner(), 1);
    });
}

fn deadlock() {
    let left = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&left);
    let report = report_of(move || {
        let parked = Builder::new().name("parked".into()).spawn(thread::park).unwrap();
        let joiner = Builder::new().name("joiner".into()).spawn(|| parked.join());
        *keep.lock().unwrap() = Some(joiner.unwrap());
        thread::park();
    });
    assert!(report.contains("deadlock"), "{report}");
    for waits in ["main", "parked"] {
        assert!(line_of(&report, waits).contains("waits to be unparked"), "{report}");
    }
    assert!(line_of(&report, "joiner").contains("waits for task #"), "{report}");
    let joiner = left.lock().unwrap().take().unwrap();
    let error = joiner.join().map(drop).unwrap_err().downcast::<JoinError>().unwrap();
    assert_eq!(error.cancel_reason(), Some("every task waited for ever"));
}

fn scope_deadlock() {
    let report = report_of(|| thread::scope(|scope| drop(scope.spawn(thread::park))));
    assert!(line_of(&report, "main").contains("waits for its scope's last thread"), "{report}");
}

fn never_ends() {
    run_virtual(|| {
        let stubborn = Builder::new().name("stubborn".into());
        stubborn.spawn(|| shield(|| giambio::sleep_forever())).unwrap();
        yield_now();
    });
}
