//! The scripts that Python giambio came with, on a clock that costs no time.
//!
//! Each test expects what its script's comments promise; where giambio for Rust has decided
//! otherwise, the test says so. A line of the log is the second and what the script prints.

use crate::Log;
use crate::fail;
use crate::panic_of;
use crate::secs;
use giambio::TooSlow;
use giambio::finally;
use giambio::pool;
use giambio::skip_after;
use giambio::sleep;
use giambio::testing::run_virtual;
use giambio::with_timeout;
use std::time::Instant;

/// A script's output, with the second of each line.
struct Output {
    start: Instant,
    log: Log,
}

impl Output {
    /// Runs `script` and expects `lines` from it.
    #[track_caller]
    fn of(script: impl FnOnce(&Output), lines: &[&str]) {
        run_virtual(|| {
            let output = Output { start: giambio::clock(), log: Log::default() };
            script(&output);
            output.print("main: complete");
            output.log.assert(lines);
        });
    }

    fn print(&self, line: &str) {
        self.log.add(format!("{} {line}", (giambio::clock() - self.start).as_secs()));
    }

    /// The child of all the scripts: it says when it has slept.
    fn nap(&self, seconds: u64) -> u64 {
        sleep(secs(seconds));
        self.print(&format!("child {seconds}: had a nice nap"));
        seconds
    }
}

#[test]
fn sleep_overlaps_two_naps() {
    let script = |output: &Output| {
        pool(|pool| {
            pool.spawn(|| output.nap(2));
            pool.spawn(|| output.nap(4));
            output.print("main: children spawned");
        });
    };
    Output::of(
        script,
        &[
            "0 main: children spawned",
            "2 child 2: had a nice nap",
            "4 child 4: had a nice nap",
            "4 main: complete",
        ],
    );
}

#[test]
fn cancel_stops_the_second_child_at_once() {
    let script = |output: &Output| {
        pool(|pool| {
            pool.spawn(|| output.nap(1));
            let second = pool.spawn(|| {
                // The cleanup runs when the task next has the CPU: `cancel` itself runs nothing.
                finally(|| output.nap(2), || output.print("child 2: cleans up"))
            });
            giambio::yield_now();
            second.cancel();
            output.print("main: cancelled");
        });
    };
    Output::of(
        script,
        &[
            "0 main: cancelled",
            "0 child 2: cleans up",
            "1 child 1: had a nice nap",
            "1 main: complete",
        ],
    );
}

#[test]
fn exceptions_of_a_child_cancel_its_sibling_and_are_caught_in_main() {
    let script = |output: &Output| {
        let error = panic_of(|| {
            pool(|pool| {
                pool.spawn(|| {
                    output.nap(2);
                    fail("rip")
                });
                pool.spawn(|| output.nap(8));
            });
        });
        output.print(&format!("main: caught {error}"));
    };
    Output::of(script, &["2 child 2: had a nice nap", "2 main: caught rip", "2 main: complete"]);
}

#[test]
fn nested_exception_of_an_outer_child_cancels_the_inner_pool() {
    let script = |output: &Output| {
        let error = panic_of(|| {
            pool(|outer| {
                outer.spawn(|| {
                    output.nap(2);
                    fail("rip")
                });
                outer.spawn(|| output.nap(3));
                pool(|inner| {
                    inner.spawn(|| output.nap(4));
                    inner.spawn(|| output.nap(6));
                });
                output.print("main: unreachable");
            });
        });
        output.print(&format!("main: caught {error}"));
    };
    Output::of(script, &["2 child 2: had a nice nap", "2 main: caught rip", "2 main: complete"]);
}

#[test]
fn triple_nested_exception_of_the_middle_pool_cancels_all_three() {
    // The script lets the outermost pool's children finish (5 s) before the error goes on. Here an
    // error that leaves an inner pool is a failure of the outer pool's body, which cancels the rest:
    // nothing is gained by waiting for results that nobody will get.
    let script = |output: &Output| {
        let error = panic_of(|| {
            pool(|outermost| {
                outermost.spawn(|| output.nap(5));
                outermost.spawn(|| output.nap(5));
                pool(|middle| {
                    middle.spawn(|| {
                        output.nap(2);
                        fail("rip")
                    });
                    pool(|innermost| {
                        innermost.spawn(|| output.nap(4));
                        innermost.spawn(|| output.nap(6));
                    });
                });
            });
        });
        output.print(&format!("main: caught {error}"));
    };
    Output::of(script, &["2 child 2: had a nice nap", "2 main: caught rip", "2 main: complete"]);
}

#[test]
fn nested_pool_ends_from_the_inside_out() {
    let script = |output: &Output| {
        pool(|outer| {
            outer.spawn(|| output.nap(1));
            outer.spawn(|| output.nap(2));
            pool(|inner| {
                inner.spawn(|| output.nap(3));
                inner.spawn(|| output.nap(4));
            });
            output.print("main: the inner pool has ended");
        });
    };
    Output::of(
        script,
        &[
            "1 child 1: had a nice nap",
            "2 child 2: had a nice nap",
            "3 child 3: had a nice nap",
            "4 child 4: had a nice nap",
            "4 main: the inner pool has ended",
            "4 main: complete",
        ],
    );
}

#[test]
fn timeout_cuts_a_child_that_was_only_called() {
    let script = |output: &Output| {
        let result = with_timeout(secs(12), |pool| {
            pool.spawn(|| output.nap(7)); // this will complete
            pool.spawn(|| output.nap(15)); // this will not
            output.nap(20) // nor this, which is no task of its own
        });
        assert_eq!(result, Err(TooSlow));
        output.print("main: one or more children have timed out");
    };
    Output::of(
        script,
        &[
            "7 child 7: had a nice nap",
            "12 main: one or more children have timed out",
            "12 main: complete",
        ],
    );
}

#[test]
fn timeout2_skips_what_takes_more_than_ten_seconds() {
    let script = |output: &Output| {
        let skipped = skip_after(secs(10), |pool| {
            pool.spawn(|| output.nap(7)); // this will complete
            sleep(secs(2));
            pool.spawn(|| output.nap(15)); // this will not
            sleep(secs(50)); // neither will this
            output.nap(20) // nor this
        });
        // The script asks `pool.timed_out` behind the pool; here the type makes one ask.
        if skipped.is_none() {
            output.print("main: one or more children have timed out");
        }
    };
    Output::of(
        script,
        &[
            "7 child 7: had a nice nap",
            "10 main: one or more children have timed out",
            "10 main: complete",
        ],
    );
}

#[test]
fn timeout3_answers_the_inner_timeout_inside_and_the_outer_one_outside() {
    let script = |output: &Output| {
        let result = with_timeout(secs(5), |pool| {
            let worker = pool.spawn(|| with_timeout(secs(2), |_| output.nap(3)).is_err());
            output.print(&format!("main: the worker was too slow: {}", worker.join().unwrap()));
            sleep(secs(5));
        });
        assert_eq!(result, Err(TooSlow));
        output.print("main: one or more children have timed out");
    };
    Output::of(
        script,
        &[
            "2 main: the worker was too slow: true",
            "5 main: one or more children have timed out",
            "5 main: complete",
        ],
    );
}
