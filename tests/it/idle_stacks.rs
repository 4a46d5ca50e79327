//! What becomes of stacks that nobody runs on, and what a program is told of them.
//!
//! Memory goes back when it has been idle for a whole period of two seconds, save for 4 MiB of each size.
//! The clock of these tests moves only when every task sleeps.

use crate::big_stack::nested;
use crate::dig;
use crate::secs;
use giambio::Builder;
use giambio::TaskBuilder;
use giambio::debug::Debugger;
use giambio::debug::StackStats;
use giambio::debug::TaskRef;
use giambio::lowlevel::Parker;
use giambio::lowlevel::Unparker;
use giambio::on_big_stack;
use giambio::pool;
use giambio::run;
use giambio::sleep;
use giambio::task::stack_usage;
use giambio::testing;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::yield_now;
use std::cell::Cell;
use std::cell::RefCell;
use std::hint::black_box;
use std::rc::Rc;
use std::time::Duration;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// The size of most stacks here, and how many of them keep their memory.
const SIZE: usize = 256 * KIB;
const KEPT: usize = 16;

#[track_caller]
fn stacks() -> StackStats {
    giambio::debug::stacks().expect("a runtime on this thread")
}

/// Runs `count` tasks at once on stacks of `size`, each of which uses `bytes` of its own.
fn burst_of(size: usize, count: usize, bytes: usize) {
    pool(|pool| {
        for _ in 0..count {
            TaskBuilder::new().stack_size(size).spawn(pool, move || {
                assert!(dig(bytes) >= bytes);
                yield_now();
            });
        }
    });
}

fn burst(count: usize, bytes: usize) {
    burst_of(SIZE, count, bytes);
}

/// Lets time pass in which nothing happens.
fn quiet() {
    (0..4).for_each(|_| sleep(secs(3)));
}

#[test]
fn smoke() {
    run_virtual(|| {
        burst(2_000, 16 * KIB);
        assert_eq!((stacks().live, stacks().idle, stacks().returned_bytes), (1, 2_000, 0));
        quiet();
        let after = stacks();
        assert_eq!((after.live, after.idle), (1, 2_000));
        let dirtied = (2_000 - KEPT) * 16 * KIB;
        assert!((dirtied..3 * dirtied).contains(&after.returned_bytes), "{after:?}");
    });
}

#[test]
fn outside_of_run_there_is_nothing_to_tell() {
    assert_eq!(giambio::debug::stacks(), None);
    run(|| stacks());
    assert_eq!(giambio::debug::stacks(), None);
}

#[test]
fn the_figures_of_a_simple_program_are_exact() {
    run_virtual(|| {
        let figures = || (stacks().live, stacks().idle, stacks().peak);
        assert_eq!(figures(), (1, 0, 1));
        pool(|pool| {
            for count in 1..=5 {
                TaskBuilder::new().stack_size(SIZE).spawn(pool, || sleep(secs(1)));
                assert_eq!(figures(), (1, count, 1)); // none has begun
            }
            settle();
            assert_eq!(figures(), (6, 0, 6));
        });
        assert_eq!(figures(), (1, 5, 6));
        burst(3, KIB);
        assert_eq!(figures(), (1, 5, 6));
        on_big_stack(SIZE, || assert_eq!(figures(), (2, 4, 6)));
        burst(7, KIB);
        assert_eq!(figures(), (1, 7, 8));
        quiet();
        assert_eq!(figures(), (1, 7, 8));
        assert_eq!(stacks().returned_bytes, 0);
    });
}

#[test]
fn a_runtime_that_runs_again_has_its_stacks_and_its_figures_still() {
    let mut runtime = testing::builder().build().unwrap();
    runtime.run(|| burst(100, 32 * KIB));
    runtime.run(|| {
        let before = stacks();
        assert_eq!((before.live, before.idle, before.peak), (1, 100, 101));
        quiet();
        let returned = stacks().returned_bytes;
        assert!(returned >= (100 - KEPT) * 32 * KIB, "{returned}");
        burst(100, 32 * KIB);
        assert_eq!(stacks().reserved_bytes, before.reserved_bytes);
    });
}

#[test]
fn the_peaks_of_the_sizes_are_added_up() {
    run(|| {
        burst_of(32 * KIB, 10, KIB);
        burst_of(64 * KIB, 20, KIB);
        burst_of(32 * KIB, 5, KIB);
        assert_eq!(stacks().peak, 1 + 10 + 20);
    });
}

#[test]
fn each_size_has_stacks_of_its_own() {
    run(|| {
        let sizes = [32 * KIB, 64 * KIB, MIB];
        for (index, size) in sizes.into_iter().enumerate() {
            burst_of(size, 10, KIB);
            assert_eq!(stacks().idle, 10 * (index + 1));
        }
        for size in sizes {
            burst_of(size, 10, KIB);
        }
        assert_eq!((stacks().live, stacks().idle), (1, 30));
    });
}

#[test]
fn the_reserved_address_space_covers_every_stack_and_grows_with_the_need_only() {
    run(|| {
        assert!(stacks().reserved_bytes >= 8 * MIB); // main's
        burst(100, KIB);
        let before = stacks().reserved_bytes;
        assert!(before >= 8 * MIB + 100 * SIZE);
        burst(100, KIB);
        assert_eq!(stacks().reserved_bytes, before);
        on_big_stack(64 * MIB, || ());
        assert!(stacks().reserved_bytes >= before + 64 * MIB);
    });
}

#[test]
fn a_second_burst_runs_on_the_stacks_of_the_first_whose_memory_is_gone() {
    run_virtual(|| {
        burst(200, 128 * KIB);
        quiet();
        let before = stacks();
        let (cold, warm) = (Cell::new(0), Cell::new(0));
        pool(|pool| {
            for _ in 0..200 {
                TaskBuilder::new().stack_size(SIZE).spawn(pool, || {
                    let high_water = stack_usage().unwrap().high_water;
                    let count = if high_water < 64 * KIB { &cold } else { &warm };
                    count.set(count.get() + 1);
                    assert!(dig(SIZE - 16 * KIB) >= SIZE - 16 * KIB);
                    yield_now();
                });
            }
        });
        assert_eq!((cold.get(), warm.get()), (200 - KEPT, KEPT));
        let after = stacks();
        assert_eq!((after.idle, after.peak), (before.idle, before.peak));
        assert_eq!(after.reserved_bytes, before.reserved_bytes);
        quiet();
        let returned = stacks().returned_bytes - before.returned_bytes;
        assert!(returned >= (200 - KEPT) * (SIZE - 16 * KIB), "{returned}");
    });
}

#[test]
fn the_memory_of_a_few_idle_stacks_stays() {
    run_virtual(|| {
        burst(KEPT, 128 * KIB);
        quiet();
        assert_eq!(stacks().returned_bytes, 0);
        burst(KEPT + 1, 128 * KIB);
        quiet();
        let returned = stacks().returned_bytes;
        assert!((128 * KIB..SIZE + 8 * KIB).contains(&returned), "of one stack: {returned}");
    });
}

#[test]
fn each_size_keeps_four_mebibytes_and_larger_ones_keep_nothing() {
    for (size, kept) in [(32 * KIB, 128), (64 * KIB, 64), (MIB, 4), (4 * MIB, 1), (8 * MIB, 0)] {
        run_virtual(|| {
            burst_of(size, kept, 4 * KIB);
            quiet();
            assert_eq!(stacks().returned_bytes, 0, "{size}");
            burst_of(size, kept + 3, 4 * KIB);
            quiet();
            let returned = stacks().returned_bytes;
            assert!((12 * KIB..3 * 32 * KIB).contains(&returned), "{size}: {returned}");
        });
    }
}

#[test]
fn the_big_stacks_of_deep_calls_are_returned_too() {
    run_virtual(|| {
        pool(|pool| {
            pool.spawn(|| {
                on_big_stack(16 * MIB, || {
                    dig(10 * MIB);
                    quiet();
                    assert_eq!(stacks().returned_bytes, 0, "somebody runs on it");
                });
            });
        });
        quiet();
        let returned = stacks().returned_bytes;
        assert!(returned >= 10 * MIB, "{returned}");
        on_big_stack(16 * MIB, || {
            assert!(stack_usage().unwrap().high_water < 64 * KIB);
            dig(15 * MIB);
        });
    });
}

#[test]
fn nothing_is_returned_while_all_stacks_are_used_in_every_period() {
    run_virtual(|| {
        for _ in 0..60 {
            burst(100, 32 * KIB);
            sleep(secs(1));
        }
        assert_eq!(stacks().returned_bytes, 0);
    });
}

#[test]
fn those_that_are_used_no_more_are_returned_and_the_others_stay_warm() {
    run_virtual(|| {
        burst(100, 32 * KIB);
        let fifty_for_a_minute = || {
            for _ in 0..60 {
                burst(50, 32 * KIB);
                sleep(secs(1));
            }
            stacks().returned_bytes
        };
        let returned = fifty_for_a_minute();
        assert!((50 * 32 * KIB..50 * 64 * KIB).contains(&returned), "{returned}");
        assert_eq!(fifty_for_a_minute(), returned);
    });
}

#[test]
fn a_burst_is_gone_four_seconds_after_its_end_and_not_before_two() {
    run_virtual(|| {
        for _ in 0..3 {
            let before = stacks().returned_bytes;
            burst(100, 32 * KIB);
            let returned_after = |millis: u64| {
                for _ in 0..millis / 100 {
                    sleep(Duration::from_millis(100));
                }
                stacks().returned_bytes - before
            };
            assert_eq!(returned_after(1_900), 0);
            assert!(returned_after(2_300) >= (100 - KEPT) * 32 * KIB);
        }
    });
}

#[test]
fn a_task_that_is_parked_for_hours_keeps_its_stack_as_it_is() {
    #[inline(never)]
    fn deep_in(mark: u8, bytes: usize) {
        let mut room = [mark; 4 * KIB];
        black_box(&mut room);
        if bytes > room.len() {
            deep_in(mark, bytes - room.len())
        } else {
            sleep(secs(3600))
        }
        assert!(room.iter().all(|&byte| byte == mark));
    }
    run_virtual(|| {
        pool(|pool| {
            for number in 0..300_u32 {
                let mark = number as u8;
                TaskBuilder::new().stack_size(SIZE).spawn(pool, move || match number % 3 {
                    0 => deep_in(mark, 64 * KIB),
                    1 => nested(2, || deep_in(mark, 32 * KIB)),
                    _ => {
                        dig(64 * KIB);
                        yield_now();
                    }
                });
            }
            quiet(); // every third stack is idle, between two that are not
            let returned = stacks().returned_bytes;
            assert!(returned >= (100 - KEPT) * 64 * KIB, "{returned}");
            burst(100, 64 * KIB);
        });
        assert_eq!(stacks().live, 1);
    });
}

/// Switches so often that a worker without a pause has looked at its idle stacks `looks` times.
fn stay_busy(looks: usize) {
    (0..looks * 61 * 257).for_each(|_| yield_now());
}

#[test]
fn a_worker_that_never_sleeps_returns_memory_too() {
    run_virtual(|| {
        burst(1_500, 16 * KIB);
        sleep(Duration::from_millis(1)); // the first period begins
        sleep(secs(3));
        stay_busy(2); // and ends, with a burst in it
        sleep(secs(3));
        assert_eq!(stacks().returned_bytes, 0);
        stay_busy(2);
        let some = stacks().returned_bytes;
        assert!(some > 0);
        stay_busy(4);
        let all = stacks().returned_bytes;
        assert!(all > some, "it is done in pieces");
        assert!(all >= (1_500 - KEPT) * 16 * KIB, "{all}");
        stay_busy(4);
        assert_eq!(stacks().returned_bytes, all);
    });
}

/// Looks at the stacks in every hook.
struct Looks(Rc<RefCell<Vec<(&'static str, StackStats)>>>);

impl Looks {
    fn look(&self, hook: &'static str) {
        self.0.borrow_mut().push((hook, stacks()));
    }
}

impl Debugger for Looks {
    fn on_start(&self) {
        self.look("on_start");
    }
    fn on_exit(&self) {
        self.look("on_exit");
    }
    fn on_task_spawn(&self, _: &TaskRef) {
        self.look("on_task_spawn");
    }
    fn on_task_exit(&self, _: &TaskRef) {
        self.look("on_task_exit");
    }
    fn before_sleep(&self, _: &TaskRef, _: Duration) {
        self.look("before_sleep");
    }
}

#[test]
fn hooks_may_look_at_the_stacks() {
    let seen = Rc::default();
    let looks = Looks(Rc::clone(&seen));
    testing::builder().debugger(looks).build().unwrap().run(|| {
        pool(|pool| {
            pool.spawn(|| on_big_stack(MIB, || sleep(secs(1))));
        });
    });
    let seen: Vec<_> = seen.take().into_iter().map(|(hook, all)| (hook, all.live)).collect();
    assert_eq!(
        seen,
        [
            ("on_start", 0),
            ("on_task_spawn", 0),
            ("on_task_spawn", 1),
            ("before_sleep", 3),
            ("on_task_exit", 1),
            ("on_task_exit", 0),
            ("on_exit", 0),
        ]
    );
}

/// Notes how long the worker means to sleep, and wakes a task when it means to sleep for ever, or after
/// so many sleeps.
struct Sleeps {
    planned: Rc<RefCell<Vec<Option<Duration>>>>,
    at_most: usize,
    wakes: Rc<RefCell<Option<Unparker>>>,
}

impl Debugger for Sleeps {
    fn before_io(&self, timeout: Option<Duration>) {
        let mut planned = self.planned.borrow_mut();
        planned.push(timeout);
        if timeout.is_none() || planned.len() == self.at_most {
            self.wakes.take().into_iter().for_each(|unparker| unparker.unpark());
        }
    }
}

/// For how long the worker means to sleep, by the real clock, after a burst of `count` tasks; at most
/// that many sleeps.
fn sleeps_after(count: usize, at_most: usize) -> Vec<Option<Duration>> {
    let (planned, wakes) = (Rc::default(), Rc::default());
    let sleeps = Sleeps { planned: Rc::clone(&planned), at_most, wakes: Rc::clone(&wakes) };
    Builder::new().debugger(sleeps).build().unwrap().run(|| {
        burst(count, 16 * KIB);
        let parker = Parker::new();
        *wakes.borrow_mut() = Some(parker.unparker());
        parker.park();
        let returned = stacks().returned_bytes;
        assert_eq!(returned > 0, at_most > 1, "{returned}");
    });
    planned.take()
}

#[test]
fn a_program_with_few_idle_stacks_is_not_woken_for_them() {
    assert_eq!(sleeps_after(KEPT, 1), [None]);
    let planned = sleeps_after(KEPT + 1, 1);
    assert!(planned[0].is_some_and(|timeout| timeout <= secs(2)), "{planned:?}");
}

/// The one test here that waits for the real clock: two periods.
#[test]
fn an_idle_program_is_woken_until_everything_is_returned_and_then_no_more() {
    let planned = sleeps_after(2_000, 20);
    let (last, before) = planned.split_last().unwrap();
    assert_eq!(*last, None);
    assert!((2..=4).contains(&before.len()), "{planned:?}");
    assert!(before.iter().all(|timeout| timeout.is_some_and(|timeout| timeout <= secs(2))));
}
