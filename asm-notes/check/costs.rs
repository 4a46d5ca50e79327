//! asm-notes/measurements.md: what a switch, a task and a cancellation cost. `one_yield` is also what
//! context-switch.md disassembles.
//!
//! Counts are small unless it is called as `costs measure`.

#![expect(clippy::print_stdout, reason = "the report of a check")]

use std::hint::black_box;

/// Rounds of each measurement; the smallest is printed first, then the median.
const ROUNDS: usize = 11;

#[inline(never)]
pub(crate) fn one_yield() {
    giambio::yield_now();
}

/// Prints the time of one of `count` operations, in nanoseconds.
fn measure(name: &str, count: usize, mut round: impl FnMut(usize)) {
    let mut nanos: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = giambio::clock();
            round(count);
            (giambio::clock() - start).as_nanos() as f64 / count as f64
        })
        .collect();
    nanos.sort_by(f64::total_cmp);
    println!("{name:44} {:9.1} / {:9.1} ns", nanos[0], nanos[ROUNDS / 2]);
}

fn yields(tasks: usize, count: usize) {
    giambio::pool(|pool| {
        for _ in 0..tasks {
            pool.spawn(move || (0..count / tasks).for_each(|_| one_yield()));
        }
    });
}

fn spawns(count: usize) {
    giambio::pool(|pool| {
        for n in 0..count {
            black_box(pool.spawn(move || n).join().expect("it returns"));
        }
    });
}

fn daemons(count: usize) {
    giambio::pool(|pool| (0..count).for_each(|_| drop(pool.spawn(|| ()))));
}

/// A frame with something to drop.
struct Frame(u64);

impl Drop for Frame {
    fn drop(&mut self) {
        black_box(self.0);
    }
}

#[inline(never)]
fn sleep_below(frames: u64) {
    let _frame = Frame(frames);
    match frames {
        0 => giambio::sleep_forever(),
        _ => sleep_below(frames - 1),
    }
    black_box(());
}

/// Parks `count` tasks below so many frames, and times cancelling and ending them all.
fn cancels(name: &str, frames: Option<u64>, count: usize) {
    let mut nanos: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let mut took = 0.0;
            giambio::cancellable(|pool| {
                for _ in 0..count {
                    pool.spawn(move || match frames {
                        Some(frames) => sleep_below(frames),
                        None => giambio::sleep_forever(),
                    });
                }
                giambio::testing::settle();
                let start = giambio::clock();
                pool.cancel();
                giambio::shield(giambio::testing::settle);
                took = (giambio::clock() - start).as_nanos() as f64 / count as f64;
            });
            took
        })
        .collect();
    nanos.sort_by(f64::total_cmp);
    println!("{name:44} {:9.1} / {:9.1} ns", nanos[0], nanos[ROUNDS / 2]);
}

fn main() {
    let full = std::env::args().nth(1).is_some_and(|arg| arg == "measure");
    let times = |count: usize| if full { count } else { count / 100 };
    giambio::run(|| {
        measure("yield, 1 task", times(1_000_000), |count| yields(1, count));
        measure("yield, 2 tasks", times(1_000_000), |count| yields(2, count));
        measure("yield, 1,000 tasks", times(1_000_000), |count| yields(1_000, count));
        measure("spawn + join, no switch in the task", times(200_000), spawns);
        measure("spawn, joined by the pool's end", times(10_000), daemons);
        cancels("cancel, parked in the task's body", None, times(1_000));
        cancels("cancel, 1 frame with a destructor", Some(0), times(1_000));
        cancels("cancel, 6 frames with destructors", Some(5), times(1_000));
        cancels("cancel, 21 frames with destructors", Some(20), times(1_000));
        measure("resume_unwind, caught in the same frame", times(100_000), |count| {
            for _ in 0..count {
                let _ = std::panic::catch_unwind(|| std::panic::resume_unwind(Box::new(())));
            }
        });
    });
}

#[test]
fn holds() {
    main();
}
