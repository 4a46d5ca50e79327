//! What happens when every task waits and nothing can wake one. Each process here has one thread.

use crate::End;
use crate::Scenario;
use crate::well;
use giambio::TaskBuilder;
use giambio::lowlevel::Parker;
use giambio::lowlevel::wait_readable;
use giambio::sync::Event;
use giambio::sync::Semaphore;
use giambio::testing::settle;
use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::process::Command;
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;

pub(crate) const SCENARIOS: &[Scenario] = &[
    well("a_deadlock_panics_with_a_report_of_who_waits_for_what", report_names_everybody),
    well("sleeping_for_ever_alone_is_a_deadlock", sleeping_for_ever_alone),
    well("a_deadlock_cancels_every_task_before_run_panics", everything_is_cancelled_first),
    well("a_thread_can_run_again_after_a_deadlock", run_again),
    well("the_report_says_where_a_named_task_was_spawned", report_names_the_place),
    well("a_wait_for_an_event_or_a_permit_is_a_deadlock_that_is_named", event_and_permit),
    well("locks_that_may_be_interrupted_end_a_deadlock_that_is_named", interruptible_locks),
    Scenario {
        name: "a_deadlock_of_two_that_wait_for_each_others_locks_aborts_with_the_report",
        run: each_others_locks,
        end: End::AbortSaying(&[
            "deadlock",
            "'first'",
            "waits to write what a lock guards",
            "'second'",
            "waits for a lock",
        ]),
    },
    Scenario {
        name: "a_deadlock_of_a_shielded_task_aborts_with_the_report",
        run: shielded,
        end: End::AbortSaying(&["deadlock", "'stubborn'", "sleeps for ever", "'main'"]),
    },
    Scenario {
        name: "a_deadlock_of_a_shielded_main_aborts_with_the_report",
        run: shielded_main,
        end: End::AbortSaying(&["deadlock", "'main'", "sleeps for ever"]),
    },
    Scenario {
        name: "a_deadlock_where_nothing_may_unwind_aborts_with_the_report",
        run: not_to_be_unwound,
        end: End::AbortSaying(&["deadlock", "'main'", "sleeps for ever"]),
    },
    well("with_another_thread_alive_a_deadlock_is_only_logged_and_once", logged_only),
    well("a_wait_for_a_descriptor_is_no_deadlock", descriptor_is_no_deadlock),
    well("a_wait_for_a_deadline_is_no_deadlock", deadline_is_no_deadlock),
    well("a_thread_that_unparks_and_ends_leaves_no_deadlock", unparked_by_the_last_thread),
];

/// The report with which `run` panics.
#[track_caller]
pub(crate) fn report_of(main: impl FnOnce()) -> String {
    let panicked = catch_unwind(AssertUnwindSafe(|| giambio::run(main)));
    *panicked.expect_err("a deadlock was not found").downcast().expect("a report is a text")
}

/// The line of a report that names a task.
#[track_caller]
pub(crate) fn line_of<'r>(report: &'r str, task: &str) -> &'r str {
    let found = report.lines().find(|line| line.contains(&format!("'{task}'")));
    found.unwrap_or_else(|| panic!("no task {task} in this report:\n{report}"))
}

fn report_names_everybody() {
    let report = report_of(|| {
        giambio::pool(|pool| {
            let sleeper = TaskBuilder::new().name("sleeper".into());
            let sleeper = sleeper.spawn(pool, || giambio::sleep_forever());
            let joiner = TaskBuilder::new().name("joiner".into());
            joiner.spawn(pool, || sleeper.join().is_ok());
            let parent = TaskBuilder::new().name("parent".into());
            parent.spawn(pool, || {
                giambio::pool(|inner| {
                    inner.spawn(|| giambio::sleep_forever());
                });
            });
        });
    });
    assert!(report.contains("deadlock"), "{report}");
    assert!(line_of(&report, "main").contains("waits for its pool's last child"), "{report}");
    assert!(line_of(&report, "sleeper").contains("sleeps for ever"), "{report}");
    assert!(line_of(&report, "joiner").contains("waits for task #"), "{report}");
    assert!(line_of(&report, "parent").contains("waits for its pool's last child"), "{report}");
    assert!(report.contains("tests/child/deadlock.rs:"), "{report}");
    let tasks = report.lines().filter(|line| line.contains("task '"));
    assert!(tasks.clone().all(|line| line.contains(", for ")), "since when? {report}");
    assert_eq!(tasks.count(), 5, "{report}");
}

fn sleeping_for_ever_alone() {
    let report = report_of(|| giambio::sleep_forever());
    assert!(line_of(&report, "main").contains("sleeps for ever"), "{report}");
}

fn everything_is_cancelled_first() {
    struct Note<'c>(&'c Cell<usize>);
    impl Drop for Note<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let dropped = Cell::new(0);
    let count = &dropped;
    report_of(|| {
        let _main = Note(count);
        giambio::pool(|pool| {
            for _ in 0..10 {
                let note = Note(count);
                pool.spawn(move || {
                    let _note = note;
                    let clean_up = || {
                        giambio::sleep(Duration::from_millis(1)); // it may take its time
                        count.set(count.get() + 1);
                    };
                    giambio::finally(|| giambio::sleep_forever(), clean_up)
                });
            }
        });
    });
    assert_eq!(dropped.get(), 21);
}

fn run_again() {
    for _ in 0..3 {
        report_of(|| giambio::sleep_forever());
        assert_eq!(giambio::run(|| 7), 7);
    }
}

fn report_names_the_place() {
    let report = report_of(|| {
        giambio::pool(|pool| {
            TaskBuilder::new().name("named".into()).spawn(pool, || giambio::sleep_forever());
        });
    });
    assert!(line_of(&report, "named").contains("tests/child/deadlock.rs"), "{report}");
}

fn event_and_permit() {
    let (event, semaphore) = (Event::new(), Semaphore::new(1));
    let report = report_of(|| {
        giambio::pool(|pool| {
            let _held = semaphore.acquire();
            let waiter = TaskBuilder::new().name("waiter".into());
            waiter.spawn(pool, || event.wait());
            let asker = TaskBuilder::new().name("asker".into());
            asker.spawn(pool, || drop(semaphore.acquire()));
            giambio::sleep_forever()
        })
    });
    assert!(line_of(&report, "waiter").contains("waits for an event to be triggered"), "{report}");
    assert!(line_of(&report, "asker").contains("waits for a permit of a semaphore"), "{report}");
    // All were cut, and have given back what they held.
    assert_eq!(semaphore.available(), 1);
    event.trigger(()).unwrap();
}

fn shielded() {
    giambio::run(|| {
        giambio::pool(|pool| {
            pool.spawn(|| giambio::sleep_forever());
            let stubborn = TaskBuilder::new().name("stubborn".into());
            stubborn.spawn(pool, || giambio::shield(|| giambio::sleep_forever()));
        });
    });
}

fn shielded_main() {
    giambio::run(|| giambio::shield(|| giambio::sleep_forever()));
}

fn not_to_be_unwound() {
    giambio::run(|| giambio::task::no_unwind(|| giambio::sleep_forever()));
}

/// Counts the lines that say why a worker waits.
struct CountingLog(Mutex<Vec<String>>);

static LOG: CountingLog = CountingLog(Mutex::new(Vec::new()));

impl log::Log for CountingLog {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        self.0.lock().unwrap().push(record.args().to_string());
    }

    fn flush(&self) {}
}

#[expect(clippy::disallowed_methods, reason = "a plain thread that is slower than the worker")]
fn logged_only() {
    log::set_logger(&LOG).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    giambio::run(|| {
        for _ in 0..3 {
            let cut = giambio::cancellable(|pool| {
                let canceller = pool.canceller();
                std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(50));
                    canceller.cancel();
                });
                TaskBuilder::new().name("patient".into()).spawn(pool, || giambio::sleep_forever());
                giambio::sleep_forever()
            });
            assert_eq!(cut, None::<()>);
        }
    });
    let lines = LOG.0.lock().unwrap();
    let reports: Vec<_> = lines.iter().filter(|line| line.contains("'patient'")).collect();
    assert_eq!(reports.len(), 1, "{lines:?}");
    assert!(reports[0].contains("thread") && reports[0].contains("sleeps for ever"), "{lines:?}");
}

fn descriptor_is_no_deadlock() {
    giambio::run(|| {
        let mut slow = Command::new("sh")
            .args(["-c", "sleep 0.2; echo done"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        giambio::pool(|pool| {
            let waiter = pool.spawn(|| wait_readable(slow.stdout.as_ref().unwrap()));
            settle();
            waiter.join().unwrap().unwrap();
        });
        assert!(slow.wait().unwrap().success());
    });
}

fn deadline_is_no_deadlock() {
    giambio::run(|| {
        let limit = Duration::from_millis(20);
        assert!(giambio::skip_after(limit, |_| giambio::sleep_forever()).is_none());
        giambio::pool(|pool| {
            pool.set_deadline(Some(giambio::clock() + limit));
            pool.spawn(|| giambio::shield(|| giambio::sleep(limit)));
            pool.spawn(|| giambio::sleep_forever());
        });
    });
}

/// The thread may end between the worker's look at its letters and its count of the threads.
fn unparked_by_the_last_thread() {
    for round in 0..5_000 {
        giambio::run(|| {
            let parker = Parker::new();
            let unparker = parker.unparker();
            std::thread::spawn(move || {
                (0..round % 600).for_each(|_| std::hint::spin_loop());
                unparker.unpark();
            });
            parker.park();
        });
    }
}

fn interruptible_locks() {
    let (one, other) = (giambio::sync::Mutex::new(()), giambio::sync::Mutex::new(()));
    let report = report_of(|| {
        giambio::pool(|pool| {
            let first = TaskBuilder::new().name("first".into());
            first.spawn(pool, || {
                let _one = one.lock_interruptibly();
                giambio::yield_now();
                drop(other.lock_interruptibly());
            });
            let second = TaskBuilder::new().name("second".into());
            second.spawn(pool, || {
                let _other = other.lock_interruptibly();
                giambio::yield_now();
                drop(one.lock_interruptibly());
            });
        });
    });
    assert!(line_of(&report, "first").contains("waits for a lock"), "{report}");
    assert!(line_of(&report, "second").contains("waits for a lock"), "{report}");
    assert!(one.lock().is_ok() && other.lock().is_ok());
}

fn each_others_locks() {
    let (mutex, lock) = (giambio::sync::Mutex::new(()), giambio::sync::RwLock::new(()));
    giambio::run(|| {
        giambio::pool(|pool| {
            let first = TaskBuilder::new().name("first".into());
            first.spawn(pool, || {
                let _guard = mutex.lock();
                giambio::yield_now();
                drop(lock.write());
            });
            let second = TaskBuilder::new().name("second".into());
            second.spawn(pool, || {
                let _guard = lock.write();
                giambio::yield_now();
                drop(mutex.lock());
            });
        });
    });
}
