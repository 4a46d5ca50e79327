//! Tasks of several runtimes and plain threads, all at once.

use giambio::pool;
use giambio::skip_after;
use giambio::sleep_forever;
use giambio::sync::Barrier;
use giambio::sync::LazyLock;
use giambio::sync::Once;
use giambio::sync::OnceLock;
use giambio::yield_now;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

const TASKS: usize = 200;
const RUNTIMES: usize = 2;
const PLAIN: usize = 2;
const ALL: usize = RUNTIMES * TASKS + PLAIN;

/// Calls `f` in many tasks of several runtimes and on plain threads, at once; it is told whether in a task.
fn everywhere(f: impl Fn(bool) + Sync) {
    let start = std::sync::Barrier::new(RUNTIMES + PLAIN);
    thread::scope(|threads| {
        for _ in 0..PLAIN {
            threads.spawn(|| {
                start.wait();
                f(false);
            });
        }
        for _ in 0..RUNTIMES {
            threads.spawn(|| {
                start.wait();
                giambio::run(|| pool(|pool| (0..TASKS).for_each(|_| drop(pool.spawn(|| f(true))))));
            });
        }
    });
}

#[test]
fn one_closure_runs_and_all_see_what_it_has_done() {
    for _ in 0..20 {
        let (once, runs, came) = (Once::new(), AtomicUsize::new(0), AtomicUsize::new(0));
        everywhere(|_| {
            once.call_once(|| {
                yield_now();
                runs.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(runs.load(Ordering::Relaxed), 1);
            once.wait();
            came.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(came.into_inner(), ALL);
    }
}

#[test]
fn one_value_is_made_and_all_get_it() {
    for _ in 0..20 {
        let (cell, made) = (OnceLock::new(), AtomicUsize::new(0));
        let lazy = LazyLock::new(|| {
            yield_now();
            String::from("made")
        });
        everywhere(|_| {
            let value = cell.get_or_init(|| {
                yield_now();
                made.fetch_add(1, Ordering::Relaxed).to_string()
            });
            assert_eq!(value, "0");
            assert_eq!(*cell.wait(), "0");
            assert_eq!(*lazy, "made");
        });
        assert_eq!(made.into_inner(), 1);
    }
}

#[test]
fn those_who_are_cut_or_panic_leave_it_to_others() {
    for _ in 0..10 {
        let (cell, tries) = (OnceLock::new(), AtomicUsize::new(0));
        everywhere(|is_task| {
            let make = || {
                let number = tries.fetch_add(1, Ordering::Relaxed);
                match number {
                    0..20 if is_task => sleep_forever(),
                    0..40 => crate::fail("on purpose"),
                    _ => number,
                }
            };
            let come = || *cell.get_or_init(make);
            let caught = catch_unwind(AssertUnwindSafe(|| match is_task {
                true => skip_after(Duration::from_micros(100), |_| come()),
                false => Some(come()),
            }));
            if let Ok(Some(value)) = caught {
                assert_eq!(cell.get(), Some(&value));
            }
        });
        assert!(cell.get().is_some_and(|value| *value >= 40));
        assert_eq!(tries.into_inner(), cell.into_inner().unwrap() + 1);
    }
}

#[test]
fn all_meet_at_a_barrier_round_after_round() {
    const ROUNDS: usize = 20;
    let (barrier, arrived, led) = (Barrier::new(ALL), AtomicUsize::new(0), AtomicUsize::new(0));
    everywhere(|_| {
        for round in 0..ROUNDS {
            arrived.fetch_add(1, Ordering::Relaxed);
            led.fetch_add(usize::from(barrier.wait().is_leader()), Ordering::Relaxed);
            let arrived = arrived.load(Ordering::Relaxed);
            assert!(arrived >= (round + 1) * ALL && arrived <= (round + 2) * ALL, "{arrived}");
        }
    });
    assert_eq!((arrived.into_inner(), led.into_inner()), (ROUNDS * ALL, ROUNDS));
}

#[test]
fn a_plain_thread_waits_for_a_task_and_a_task_for_a_plain_thread() {
    let (cell, other) = (OnceLock::new(), OnceLock::new());
    thread::scope(|threads| {
        threads.spawn(|| {
            assert_eq!(*cell.wait(), 1);
            other.set(2).unwrap();
        });
        giambio::run(|| {
            cell.set(1).unwrap();
            assert_eq!(*other.wait(), 2);
        });
    });
}
