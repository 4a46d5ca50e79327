//! Overflows: a task that runs into the guard of its stack is named, and then the process aborts.

use crate::End;
use crate::Scenario;
use crate::harness::say;
use crate::well;
use giambio::TaskBuilder;
use giambio::on_big_stack;
use giambio::task::remaining_stack;
use giambio::task::stack_usage;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use std::cell::Cell;
use std::hint::black_box;
use std::ptr;
use std::sync::Barrier;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

/// A report about the task that has announced itself.
const REPORT: End = End::AbortReporting(&[
    "giambio: task '",
    ": raise it with TaskBuilder::stack_size or Builder::stack_size, or make the deep call in \
     giambio::on_big_stack\n",
]);

/// SIGSEGV, and nobody says anything.
const SILENCE: End = End::Fault(&[]);

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "an_overflow_names_the_task_by_the_place_where_it_was_spawned",
        run: by_its_place,
        end: End::AbortReporting(&[
            "giambio: task 'tests/child/overflow.rs:",
            "' (#2) has overflo",
        ]),
    },
    Scenario {
        name: "an_overflow_names_the_task_its_stack_size_and_the_ways_to_raise_it",
        run: with_a_name_and_a_size,
        end: End::AbortReporting(&[
            "\ngiambio: task 'parser' (#2) has overflowed its stack of 128 \
             KiB: raise it with TaskBuilder::stack_size or Builder::stack_size, or make the deep \
             call in giambio::on_big_stack\n",
        ]),
    },
    reported("an_overflow_by_one_huge_frame_is_reported", one_huge_frame),
    Scenario {
        name: "an_overflow_of_the_main_closure_is_reported",
        run: || giambio::run(announce_and_overflow),
        end: End::AbortReporting(&["task 'main' (#1) has overflowed its stack of 8192 KiB: "]),
    },
    Scenario {
        name: "an_overflow_in_a_task_s_big_stack_names_the_task_and_the_big_stack_s_size",
        run: || in_a_task(|| on_big_stack(4 << 20, announce_and_overflow)),
        end: End::AbortReporting(&["task 'deep' (#2) has overflowed its stack of 4096 KiB: "]),
    },
    Scenario {
        name: "an_overflow_in_nested_big_stacks_tells_the_size_of_the_innermost",
        run: || in_a_task(|| on_big_stack(4 << 20, || on_big_stack(1, announce_and_overflow))),
        end: End::AbortReporting(&["task 'deep' (#2) has overflowed its stack of 32 KiB: "]),
    },
    Scenario {
        name: "an_overflow_beside_a_nested_big_stack_tells_the_size_of_the_outer_one",
        run: || in_a_task(|| on_big_stack(4 << 20, after_a_call_on_a_big_stack)),
        end: End::AbortReporting(&["task 'deep' (#2) has overflowed its stack of 4096 KiB: "]),
    },
    reported("an_overflow_after_a_call_on_a_big_stack_is_of_the_task_s_own", || {
        in_a_task(after_a_call_on_a_big_stack);
    }),
    reported("an_overflow_on_a_big_stack_that_has_parked_is_reported", || {
        in_a_task(|| on_big_stack(4 << 20, after_parks));
    }),
    Scenario {
        name: "an_overflow_on_a_big_stack_outside_of_a_task_says_so",
        run: || on_big_stack(1 << 20, || _ = black_box(recurse(0))),
        end: End::AbortReporting(&[
            "\ngiambio: a call of giambio::on_big_stack outside of a task \
             has overflowed its stack of 1024 KiB: ",
        ]),
    },
    reported("an_overflow_after_many_parks_is_reported", || in_a_task(after_parks)),
    reported("an_overflow_on_a_used_stack_names_its_present_task", on_a_used_stack),
    reported("an_overflow_on_a_stack_whose_memory_was_returned_is_reported", on_a_cold_stack),
    reported("an_overflow_of_one_of_two_runtimes_names_its_own_task", one_of_two_runtimes),
    reported("an_overflow_is_reported_while_other_threads_make_and_drop_stacks", beside_churn),
    reported("an_overflow_of_a_destructor_in_a_cancelled_task_is_reported", in_a_destructor),
    Scenario {
        name: "a_name_with_line_breaks_stays_one_line_of_an_overflow_s_report",
        run: || overflow_as("a\nb\r\nc\u{85}d\u{1b}[31me"),
        end: End::AbortReporting(&["task 'a b  c d [31me' (#2) has overflowed"]),
    },
    Scenario {
        name: "a_long_name_leaves_room_for_the_rest_of_an_overflow_s_report",
        run: || overflow_as(&"ä".repeat(1000)),
        end: End::AbortReporting(&["task 'ääää", "ä...' (#2) has overflowed", "on_big_stack\n"]),
    },
    Scenario {
        name: "a_wild_pointer_into_the_guard_above_is_no_overflow",
        run: || write_into_a_guard(0, 1),
        end: SILENCE,
    },
    Scenario {
        name: "a_wild_pointer_into_the_guard_below_is_no_overflow",
        run: || write_into_a_guard(1, 0),
        end: SILENCE,
    },
    Scenario {
        name: "a_wild_pointer_of_a_plain_thread_into_a_guard_is_no_overflow",
        run: write_from_a_plain_thread,
        end: SILENCE,
    },
    Scenario {
        name: "a_wild_pointer_into_an_idle_stack_s_guard_is_no_overflow",
        run: write_into_an_idle_guard,
        end: SILENCE,
    },
    Scenario {
        name: "an_overflow_of_a_plain_thread_beside_a_runtime_is_reported_by_std",
        run: plain_thread,
        end: End::AbortByOthers(&[
            "thread 'plain'",
            "has overflowed its stack\nfatal runtime error",
        ]),
    },
    Scenario {
        name: "an_overflow_of_the_thread_after_run_is_reported_by_std",
        run: || {
            in_a_task(|| ());
            black_box(recurse(0));
        },
        end: End::AbortByOthers(&[
            "thread 'main'",
            "has overflowed its stack\nfatal runtime error",
        ]),
    },
    #[cfg(target_arch = "x86_64")]
    reported("an_overflow_of_code_without_probes_is_reported", without_probes),
    well("a_stack_that_is_nearly_used_up_is_no_overflow", nearly),
];

/// A scenario whose task announces itself and has to be reported.
const fn reported(name: &'static str, run: fn()) -> Scenario {
    Scenario { name, run, end: REPORT }
}

/// Small frames without an end.
#[inline(never)]
pub(crate) fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 32]);
    if depth == u64::MAX { 0 } else { recurse(depth + 1) + frame[(depth % 32) as usize] }
}

/// Says what the report has to say of the running task and the stack that it is on.
fn announce() {
    say(&format!("task {} has overflowed its stack of ", giambio::task::current()));
    say(&format!(" {} KiB: ", stack_usage().unwrap().size / 1024));
}

pub(crate) fn announce_and_overflow() {
    announce();
    black_box(recurse(0));
}

/// Runs `body` as a task called "deep".
pub(crate) fn in_a_task(body: fn()) {
    giambio::run(|| {
        giambio::pool(|pool| drop(TaskBuilder::new().name("deep".into()).spawn(pool, body)));
    });
}

fn by_its_place() {
    giambio::run(|| giambio::pool(|pool| drop(pool.spawn(announce_and_overflow))));
}

fn with_a_name_and_a_size() {
    giambio::run(|| {
        giambio::pool(|pool| {
            let parser = TaskBuilder::new().name("parser".into()).stack_size(100_000);
            parser.spawn(pool, announce_and_overflow);
        });
    });
}

fn overflow_as(name: &str) {
    giambio::run(|| {
        giambio::pool(|pool| {
            TaskBuilder::new().name(name.into()).spawn(pool, || black_box(recurse(0)));
        });
    });
}

/// One frame, much larger than the stack and its guard.
fn one_huge_frame() {
    in_a_task(|| {
        announce();
        let mut frame = [0_u8; 6 << 20];
        black_box(&mut frame);
    });
}

fn after_a_call_on_a_big_stack() {
    assert_eq!(on_big_stack(64 << 10, || black_box(7)), 7);
    announce_and_overflow();
}

fn after_parks() {
    for _ in 0..10 {
        giambio::yield_now();
        giambio::sleep(Duration::from_micros(100));
    }
    announce_and_overflow();
}

/// The page that the caller's frame is in.
fn page_here() -> usize {
    let local = black_box(0_u8);
    (&raw const local).addr() / 4096
}

fn on_a_used_stack() {
    giambio::run(|| {
        giambio::pool(|pool| {
            let first = TaskBuilder::new().name("first".into()).spawn(pool, page_here);
            let page = first.join().unwrap();
            TaskBuilder::new().name("second".into()).spawn(pool, move || {
                assert_eq!(page_here(), page, "it is on another stack");
                announce_and_overflow();
            });
        });
    });
}

fn on_a_cold_stack() {
    run_virtual(|| {
        // Of the stacks that are idle, 4 MiB keep their memory; tasks take those first.
        let burst = |last: fn()| {
            giambio::pool(|pool| {
                for index in 0..100 {
                    let task = TaskBuilder::new().stack_size(256 << 10);
                    task.spawn(
                        pool,
                        move || if index == 99 { last() } else { giambio::yield_now() },
                    );
                }
            });
        };
        burst(|| ());
        (0..5).for_each(|_| giambio::sleep(Duration::from_secs(3)));
        let stacks = giambio::debug::stacks().unwrap();
        assert!(stacks.returned_bytes > 50 * 4096, "{stacks:?}");
        burst(announce_and_overflow);
    });
}

/// Two threads with a runtime each and a parked task; then a task of the second one overflows.
fn one_of_two_runtimes() {
    let both_run = Barrier::new(2);
    let runtime = |name: &'static str, body: &(dyn Fn() + Sync)| {
        giambio::run(|| {
            giambio::pool(|pool| {
                TaskBuilder::new().name("parked".into()).spawn(pool, || giambio::sleep_forever());
                settle();
                both_run.wait();
                TaskBuilder::new().name(name.into()).spawn(pool, body);
            });
        });
    };
    thread::scope(|threads| {
        threads.spawn(|| {
            runtime("busy", &|| loop {
                giambio::yield_now()
            })
        });
        threads.spawn(|| runtime("deep", &announce_and_overflow));
    });
}

fn beside_churn() {
    static ROUNDS: AtomicUsize = AtomicUsize::new(0);
    for _ in 0..2 {
        thread::spawn(|| {
            loop {
                giambio::run(|| on_big_stack(1 << 20, || black_box(0)));
                ROUNDS.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    in_a_task(|| {
        while ROUNDS.load(Ordering::Relaxed) < 1000 {
            giambio::yield_now();
        }
        announce_and_overflow();
    });
}

fn in_a_destructor() {
    struct Deep;
    impl Drop for Deep {
        fn drop(&mut self) {
            announce_and_overflow();
        }
    }
    giambio::run(|| {
        giambio::cancellable(|pool| {
            pool.spawn(|| {
                let _deep = Deep;
                giambio::sleep_forever()
            });
            settle();
            pool.cancel();
        })
    });
}

/// An address in the guard below the running task's stack.
fn own_guard() -> usize {
    let local = black_box(0_u8);
    let left = remaining_stack().unwrap();
    // Where it was measured lies some bytes below here; the guard ends at a page's start.
    let end = ((&raw const local).addr() - left + 64) / 4096 * 4096;
    end - 1
}

fn write_to(address: usize) {
    // SAFETY: none: it is the wild pointer that the scenario is about, into a guard.
    unsafe { ptr::without_provenance_mut::<u8>(address).write_volatile(1) };
}

/// Two tasks on neighbouring stacks, number 0 on the lower one; `writer` writes into the guard of
/// `victim`'s.
fn write_into_a_guard(writer: usize, victim: usize) {
    giambio::run(|| {
        let guards = [const { Cell::new(0) }; 2];
        giambio::pool(|pool| {
            for (index, own) in guards.iter().enumerate() {
                let guards = &guards;
                TaskBuilder::new().stack_size(64 << 10).spawn(pool, move || {
                    own.set(own_guard());
                    giambio::yield_now();
                    let distance = guards[1].get() - guards[0].get();
                    assert!(distance < 128 << 10, "no neighbours: {distance}");
                    if index == writer {
                        write_to(guards[victim].get());
                    }
                    giambio::yield_now();
                });
            }
        });
    });
}

fn write_from_a_plain_thread() {
    giambio::run(|| {
        giambio::pool(|pool| {
            let guard = pool.spawn(own_guard).join().unwrap();
            pool.spawn(|| giambio::sleep_forever());
            settle();
            thread::spawn(move || write_to(guard)).join().unwrap();
        });
    });
}

fn write_into_an_idle_guard() {
    giambio::run(|| {
        giambio::pool(|pool| {
            let guard = pool.spawn(own_guard).join().unwrap();
            write_to(guard);
        });
    });
}

#[expect(clippy::disallowed_methods, reason = "the worker stands still while the thread dies")]
fn plain_thread() {
    giambio::run(|| {
        giambio::pool(|pool| {
            pool.spawn(|| giambio::sleep_forever());
            settle();
            let plain = thread::Builder::new().name("plain".into());
            plain.spawn(|| black_box(recurse(0))).unwrap();
            thread::sleep(Duration::from_secs(100));
        });
    });
}

/// A frame of 200 KiB that is not touched page by page: its low end is on a stack below, past the
/// guard.
#[cfg(target_arch = "x86_64")]
fn without_probes() {
    giambio::run(|| {
        giambio::pool(|pool| {
            for _ in 0..4 {
                TaskBuilder::new().stack_size(64 << 10).spawn(pool, || giambio::sleep_forever());
            }
            TaskBuilder::new().name("c".into()).stack_size(64 << 10).spawn(pool, || {
                announce();
                let (guard, pointer) = (own_guard(), own_guard() - (100 << 10));
                // SAFETY: none: it faults. Were it to go on, it would leave all as it was.
                unsafe {
                    std::arch::asm!(
                        "xchg rsp, {pointer}",
                        "mov byte ptr [{guard}], 1",
                        "xchg rsp, {pointer}",
                        guard = in(reg) guard,
                        pointer = inout(reg) pointer => _,
                    );
                }
            });
        });
    });
}

/// Nobody overflows here.
fn nearly() {
    #[inline(never)]
    fn down() {
        let frame = black_box([0_u8; 512]);
        if remaining_stack().unwrap() > 4096 {
            down();
        }
        black_box(&frame);
    }
    in_a_task(|| {
        down();
        on_big_stack(1, down);
        on_big_stack(4 << 20, down);
    });
}
