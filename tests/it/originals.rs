//! The scripts that Python giambio came with, on a clock that costs no time.
//!
//! Each test expects what its script's comments promise; where giambio for Rust has decided
//! otherwise, the test says so. A line of the log is the second and what the script prints.
//!
//! `originals_net` has the scripts with sockets, `originals_channels` those with channels. Left out:
//! `task_ipc2`, which is `task_ipc` over a pipe, and `socket_ssl`, which needs TLS.

use crate::Log;
use crate::fail;
use crate::panic_of;
use crate::secs;
use giambio::OnFailure;
use giambio::TooSlow;
use giambio::finally;
use giambio::pool;
use giambio::skip_after;
use giambio::sleep;
use giambio::sync::Event;
use giambio::sync::Semaphore;
use giambio::testing::run_virtual;
use giambio::with_timeout;
use std::cell::RefCell;
use std::time::Instant;

/// A script's output, with the second of each line.
pub(crate) struct Output {
    start: Instant,
    log: Log,
}

impl Output {
    /// Runs `script` and expects `lines` from it.
    #[track_caller]
    pub(crate) fn of(script: impl FnOnce(&Output), lines: &[&str]) {
        run_virtual(|| {
            let output = Output { start: giambio::clock(), log: Log::default() };
            script(&output);
            output.print("main: complete");
            output.log.assert(lines);
        });
    }

    pub(crate) fn print(&self, line: &str) {
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

/// The child of the scripts about events: it naps once it was notified.
fn nap_after(output: &Output, event: &Event<bool>, seconds: u64) {
    output.print("child: waits until it is notified");
    let value = event.wait();
    output.print(&format!("child: got {value}, ends in {seconds} seconds"));
    sleep(secs(seconds));
    output.print("child: done");
}

#[test]
fn events_hand_their_value_to_the_child_that_waits() {
    let script = |output: &Output| {
        let event = Event::new();
        pool(|pool| {
            pool.spawn(|| nap_after(output, &event, 5));
            output.print("parent: sleeps before it sets the event");
            sleep(secs(3));
            event.trigger(true).unwrap();
            output.print("parent: the event is set");
        });
        output.print("parent: the child has ended");
    };
    Output::of(
        script,
        &[
            "0 parent: sleeps before it sets the event",
            "0 child: waits until it is notified",
            "3 parent: the event is set",
            "3 child: got true, ends in 5 seconds",
            "8 child: done",
            "8 parent: the child has ended",
            "8 main: complete",
        ],
    );
}

#[test]
fn event_timeout_skips_the_child_that_was_notified_too_late() {
    let script = |output: &Output| {
        let event = Event::new();
        let skipped = skip_after(secs(5), |pool| {
            pool.spawn(|| nap_after(output, &event, 4));
            sleep(secs(2));
            event.trigger(true).unwrap();
            output.print("parent: the event is set");
        });
        if skipped.is_none() {
            output.print("parent: timeout has expired!");
        }
    };
    Output::of(
        script,
        &[
            "0 child: waits until it is notified",
            "2 parent: the event is set",
            "2 child: got true, ends in 4 seconds",
            "5 parent: timeout has expired!",
            "5 main: complete",
        ],
    );
}

#[test]
fn lock_orders_two_children_and_leaves_the_others_alone() {
    // A semaphore with one permit is the lock. The queue is never full, so that it may be a `Vec`.
    let script = |output: &Output| {
        let (lock, queue) = (Semaphore::new(1), RefCell::new(Vec::new()));
        let locked = |start: u64, limit| {
            let _permit = lock.acquire();
            for number in start..=limit {
                queue.borrow_mut().push(number);
                sleep(secs(1));
            }
            output.print(&format!("child {limit}: done"));
        };
        let other = |stop| {
            (0..stop).for_each(|_| sleep(secs(1)));
            output.print(&format!("other {stop}: done"));
        };
        pool(|pool| {
            pool.spawn(|| locked(1, 5));
            pool.spawn(|| locked(6, 10));
            pool.spawn(|| other(10));
            pool.spawn(|| other(4));
        });
        output.print(&format!("main: the queue is {:?}", queue.take()));
    };
    Output::of(
        script,
        &[
            "4 other 4: done",
            "5 child 5: done",
            "10 other 10: done",
            "10 child 10: done",
            "10 main: the queue is [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]",
            "10 main: complete",
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

/// Three pools in one another, of which the middle one fails; the outermost has a policy of its own.
fn triple_nested_exception(output: &Output, outermost_policy: OnFailure) {
    let error = panic_of(|| {
        pool(|outermost| {
            outermost.on_failure(outermost_policy);
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
}

#[test]
fn triple_nested_exception_of_the_middle_pool_cancels_all_three() {
    // The script lets the outermost pool's children finish (5 s) before the error goes on. Here an
    // error that leaves an inner pool is a failure of the outer pool's body, which cancels the rest:
    // nothing is gained by waiting for results that nobody will get.
    Output::of(
        |output| triple_nested_exception(output, OnFailure::CancelOthers),
        &["2 child 2: had a nice nap", "2 main: caught rip", "2 main: complete"],
    );
}

#[test]
fn triple_nested_exception_waits_for_the_outermost_children_where_its_pool_says_so() {
    Output::of(
        |output| triple_nested_exception(output, OnFailure::LetOthersFinish),
        &[
            "2 child 2: had a nice nap",
            "5 child 5: had a nice nap",
            "5 child 5: had a nice nap",
            "5 main: caught rip",
            "5 main: complete",
        ],
    );
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
