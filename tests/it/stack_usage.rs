//! What a task is told of its own stack.

use crate::big_stack::nested;
use crate::big_stack::small;
use crate::dig;
use crate::fail;
use crate::panic_of;
use crate::secs;
use crate::unwind::Passing;
use crate::unwind::both;
use giambio::Builder;
use giambio::TaskBuilder;
use giambio::debug::stacks;
use giambio::on_big_stack;
use giambio::pool;
use giambio::run;
use giambio::skip_after;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::task::StackUsage;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::yield_now;
use std::cell::Cell;
use std::hint::black_box;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Measured from a frame of its own, so that two measurements can be compared to the byte.
#[inline(never)]
#[track_caller]
fn usage() -> StackUsage {
    giambio::task::stack_usage().expect("inside of a task")
}

/// As [`usage`].
#[inline(never)]
#[track_caller]
fn remaining() -> usize {
    giambio::task::remaining_stack().expect("inside of a task")
}

/// Calls `f` from a frame that takes `BYTES`, and a little more.
#[inline(never)]
fn below<const BYTES: usize, T>(f: impl FnOnce() -> T) -> T {
    let mut room = [0_u8; BYTES];
    black_box(&mut room);
    let value = f();
    black_box(&mut room);
    value
}

/// Runs `f` in a task with a stack of `bytes`.
fn on<T>(bytes: usize, f: impl FnOnce() -> T) -> T {
    pool(|pool| TaskBuilder::new().stack_size(bytes).spawn(pool, f).join().unwrap())
}

#[test]
fn smoke() {
    run(|| {
        let usage = on(256 * KIB, usage);
        assert_eq!(usage.size, 256 * KIB);
        assert!(usage.used < 16 * KIB, "{usage:?}");
        assert!(usage.high_water >= usage.used && usage.high_water < usage.size, "{usage:?}");
    });
}

#[test]
fn outside_of_a_task_there_is_nothing_to_tell() {
    assert_eq!(giambio::task::stack_usage(), None);
    assert_eq!(giambio::task::remaining_stack(), None);
    run(|| usage());
    assert_eq!(giambio::task::stack_usage(), None);
    assert_eq!(giambio::task::remaining_stack(), None);
}

#[test]
fn what_a_frame_takes_is_missing_from_what_remains_and_added_to_what_is_used() {
    run(|| {
        on(MIB, || {
            let look = || (usage().used, remaining());
            let (used, left) = look();
            for (taken, (used_below, left_below)) in [
                (KIB, below::<KIB, _>(look)),
                (64 * KIB, below::<{ 64 * KIB }, _>(look)),
                (400 * KIB, below::<{ 400 * KIB }, _>(look)),
            ] {
                assert_eq!(used_below - used, left - left_below);
                let fallen = left - left_below;
                assert!((taken..taken + 2 * KIB).contains(&fallen), "{taken} bytes: {fallen}");
            }
            assert_eq!(look(), (used, left));
        });
    });
}

#[test]
fn used_and_remaining_are_the_promised_size_and_some_kibibytes_at_any_depth() {
    fn at_every_depth() {
        let (usage, left) = (usage(), remaining());
        let sum = usage.used + left;
        assert!((usage.size..=usage.size + 8 * KIB).contains(&sum), "{usage:?}, {left} remain");
        if left > 24 * KIB {
            below::<3000, _>(at_every_depth);
            black_box(()); // not a loop
        }
    }
    run(|| {
        // Neighbouring stacks are shifted by colours, of which there are sixteen.
        pool(|pool| {
            for _ in 0..20 {
                small(pool, || {
                    yield_now();
                    at_every_depth();
                });
            }
        });
        for bytes in [64 * KIB, 256 * KIB, MIB, 8 * MIB] {
            on(bytes, at_every_depth);
            on_big_stack(bytes, at_every_depth);
        }
        at_every_depth();
    });
}

#[test]
fn the_size_is_what_was_asked_for_rounded_up() {
    run(|| {
        for (asked, size) in [
            (1, 32 * KIB),
            (32 * KIB, 32 * KIB),
            (32 * KIB + 1, 64 * KIB),
            (100_000, 128 * KIB),
            (256 * KIB, 256 * KIB),
            (300 * KIB, 512 * KIB),
            (MIB, MIB),
            (3 * MIB, 4 * MIB),
            (64 * MIB, 64 * MIB),
            (1 << 30, 1 << 30),
        ] {
            assert_eq!(on(asked, || usage().size), size);
            assert_eq!(on_big_stack(asked, || usage().size), size);
            assert!(on(asked, remaining) < size + 8 * KIB);
        }
    });
}

#[test]
fn main_has_eight_mebibytes() {
    let mut runtime = Builder::new().stack_size(1).build().unwrap();
    let usage = runtime.run(usage);
    assert_eq!(usage.size, 8 * MIB);
    assert!(usage.used < 16 * KIB, "{usage:?}");
}

#[test]
fn what_remains_can_be_used() {
    run(|| {
        for bytes in [64 * KIB, 256 * KIB, 4 * MIB] {
            let dug = on(bytes, || {
                let left = remaining();
                (dig(left - 12 * KIB), left)
            });
            assert!(dug.0 >= dug.1 - 12 * KIB && dug.0 < bytes + 8 * KIB, "{dug:?}");
        }
    });
}

#[test]
fn the_high_water_mark_rises_with_a_deep_call_and_stays() {
    run_virtual(|| {
        on(MIB, || {
            let before = usage();
            assert!(before.high_water < 64 * KIB, "{before:?}");
            dig(512 * KIB);
            let after = usage();
            assert_eq!(after.used, before.used);
            assert_eq!((after.high_water - before.high_water) % (4 * KIB), 0); // pages
            assert!((512 * KIB..600 * KIB).contains(&after.high_water), "{after:?}");
            sleep(secs(3600)); // long after idle stacks have lost their memory
            assert_eq!(usage(), after);
            dig(256 * KIB);
            assert_eq!(usage(), after);
        });
    });
}

#[test]
fn the_high_water_mark_includes_the_frames_that_are_in_use() {
    run(|| {
        on(MIB, || {
            below::<{ 300 * KIB }, _>(|| {
                let now = usage();
                assert!(now.used >= 300 * KIB && now.high_water >= now.used, "{now:?}");
                assert!(now.high_water < now.used + 64 * KIB, "{now:?}");
            });
        });
    });
}

#[test]
fn a_reused_stack_remembers_its_earlier_task_until_its_memory_was_returned() {
    run_virtual(|| {
        // Of stacks of this size none keeps its memory.
        on(8 * MIB, || dig(6 * MIB));
        let warm = on(8 * MIB, usage);
        assert!(warm.high_water >= 6 * MIB, "{warm:?}");
        (0..4).for_each(|_| sleep(secs(3)));
        let cold = on(8 * MIB, usage);
        assert!(cold.high_water < 64 * KIB, "{cold:?}");
        assert_eq!(cold.used, warm.used);
    });
}

#[test]
fn a_task_is_told_the_same_after_it_was_parked() {
    run_virtual(|| {
        pool(|pool| {
            for bytes in [32 * KIB, 256 * KIB] {
                let task = TaskBuilder::new().stack_size(bytes);
                task.spawn(pool, || {
                    let look = || (usage().used, usage().size, remaining());
                    let before = look();
                    yield_now();
                    assert_eq!(look(), before);
                    sleep(secs(1));
                    assert_eq!(look(), before);
                });
            }
        });
    });
}

#[test]
fn on_a_big_stack_it_is_that_one_and_afterwards_the_own_again() {
    run_virtual(|| {
        pool(|pool| {
            let task = small(pool, || {
                let look = || (usage().used, usage().size, remaining());
                let own = look();
                on_big_stack(MIB, || {
                    let big = look();
                    assert!(big.0 < 8 * KIB && big.1 == MIB && big.2 > MIB - 8 * KIB, "{big:?}");
                    on_big_stack(4 * MIB, || {
                        sleep(secs(1));
                        assert!(usage().size == 4 * MIB && remaining() > 3 * MIB);
                    });
                    assert_eq!(look(), big);
                    sleep(secs(1));
                    assert_eq!(look(), big);
                });
                assert_eq!(look(), own);
                yield_now();
                assert_eq!(look(), own);
            });
            settle(); // another task looks at itself while that one is on its big stack
            assert_eq!(usage().size, 8 * MIB);
            task.join().unwrap();
        });
    });
}

#[test]
fn it_is_the_own_stack_again_after_an_unwind_out_of_big_ones() {
    both(|passing| {
        let own = (usage().used, usage().size, remaining());
        match passing {
            Passing::Panic => assert_eq!(panic_of(|| nested(3, || fail("deep"))), "deep"),
            Passing::Cancellation => {
                assert_eq!(skip_after(secs(1), |_| nested(3, sleep_forever)), None::<()>);
            }
        }
        assert_eq!((usage().used, usage().size, remaining()), own);
    });
}

/// Recurses to `depth`, on as many stacks as it takes.
fn sum_up_to(depth: u64) -> u64 {
    if remaining() < 16 * KIB {
        return on_big_stack(256 * KIB, || sum_up_to(depth));
    }
    below::<512, _>(|| if depth == 0 { 0 } else { depth + sum_up_to(depth - 1) })
}

#[test]
fn recursion_that_asks_what_remains_goes_deeper_than_any_one_stack() {
    run(|| {
        let sum = pool(|pool| small(pool, || sum_up_to(20_000)).join().unwrap());
        assert_eq!(sum, 20_000 * 20_001 / 2);
        let stacks = stacks().unwrap();
        assert!(stacks.peak > 40, "{stacks:?}"); // 20,000 frames of half a KiB at least
        assert_eq!(stacks.live, 1);
    });
}

#[test]
fn recursion_that_asks_what_remains_may_park_at_its_end() {
    fn deeper(depth: u32, bottom: &dyn Fn()) {
        if remaining() < 16 * KIB {
            return on_big_stack(64 * KIB, || deeper(depth, bottom));
        }
        below::<1024, _>(|| if depth == 0 { bottom() } else { deeper(depth - 1, bottom) });
    }
    run_virtual(|| {
        let reached = Cell::new(0);
        pool(|pool| {
            for _ in 0..3 {
                small(pool, || {
                    deeper(500, &|| {
                        sleep(secs(1));
                        reached.set(reached.get() + 1);
                    });
                });
            }
            let cut = pool.spawn(|| deeper(500, &|| sleep_forever()));
            settle();
            cut.cancel();
        });
        assert_eq!((reached.get(), stacks().unwrap().live), (3, 1));
    });
}
