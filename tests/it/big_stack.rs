//! Deep calls on stacks of their own: what goes in, what comes out, and how much room there is.
//!
//! Calls that park have a file of their own (big_stack_waits), and so have panics and cancellations
//! (big_stack_unwind, big_stack_cancel) and calls outside of tasks (big_stack_places).

use crate::Drops;
use crate::Log;
use crate::dig;
use crate::elapsed;
use crate::named;
use crate::panic_of;
use crate::secs;
use crate::tcp::pair;
use giambio::Pool;
use giambio::Task;
use giambio::TaskBuilder;
use giambio::clock;
use giambio::debug::stacks;
use giambio::on_big_stack;
use giambio::pool;
use giambio::run;
use giambio::skip_after;
use giambio::sleep;
use giambio::task;
use giambio::testing::run_virtual;
use giambio::yield_now;
use std::cell::Cell;
use std::cell::RefCell;
use std::hint::black_box;
use std::io::Read;
use std::rc::Rc;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Starts a task that has the smallest stack there is.
pub(crate) fn small<'scope, T: 'scope>(
    pool: &'scope Pool<'scope, '_>,
    f: impl FnOnce() -> T + 'scope,
) -> Task<'scope, T> {
    TaskBuilder::new().stack_size(1).spawn(pool, f)
}

/// Stacks that somebody runs on, of this thread's runtime.
#[track_caller]
pub(crate) fn live() -> usize {
    stacks().expect("a runtime on this thread").live
}

/// Runs `f` on a big stack on a big stack and so on.
pub(crate) fn nested<T>(depth: usize, f: impl FnOnce() -> T) -> T {
    fn deeper(left: usize, f: &mut dyn FnMut()) {
        if left == 0 { f() } else { on_big_stack(64 * KIB, || deeper(left - 1, f)) }
    }
    let (mut f, mut value) = (Some(f), None);
    deeper(depth, &mut || value = f.take().map(|f| f()));
    value.expect("a call that came back has run")
}

#[test]
fn smoke() {
    let value = run(|| pool(|pool| small(pool, || on_big_stack(MIB, || 42)).join().unwrap()));
    assert_eq!(value, 42);
}

#[test]
fn a_value_of_any_kind_comes_back() {
    run(|| {
        assert_eq!(on_big_stack(MIB, || Rc::new(Cell::new(7))).get(), 7);
        on_big_stack(MIB, || ());
        assert!(on_big_stack(MIB, || Box::new([1_u8; 100])).iter().all(|&byte| byte == 1));
        assert!(on_big_stack(MIB, || [7_u8; 20_000]).iter().all(|&byte| byte == 7));
    });
}

#[test]
fn a_small_task_passes_on_some_kibibytes_of_value_and_closure() {
    let sum = run(|| {
        pool(|pool| {
            let task = small(pool, || {
                let captured = [1_u8; 2 * KIB];
                let twice = move || captured.map(|byte| byte * 2);
                on_big_stack(MIB, twice).iter().map(|&byte| usize::from(byte)).sum::<usize>()
            });
            task.join().unwrap()
        })
    });
    assert_eq!(sum, 4 * KIB);
}

#[test]
fn an_over_aligned_value_and_closure_lie_where_they_must() {
    #[derive(Clone, Copy)]
    #[repr(align(512))]
    struct Wide(u8);
    fn is_aligned<T>(value: &T) -> bool {
        black_box(std::ptr::from_ref(value)).is_aligned()
    }
    run(|| {
        let captured = Wide(3);
        let back = on_big_stack(MIB, move || {
            assert!(is_aligned(&captured));
            yield_now();
            captured
        });
        assert!(is_aligned(&back));
        assert_eq!(back.0, 3);
    });
}

#[test]
fn the_closure_borrows_and_owns_like_any_other() {
    run(|| {
        let drops = Drops::default();
        let (mut log, owned) = (Vec::new(), drops.one());
        on_big_stack(MIB, || {
            log.push("inside");
            let _owned = owned;
        });
        assert_eq!(drops.count(), 1);
        log.push("outside");
        assert_eq!(log, ["inside", "outside"]);
    });
}

#[test]
fn a_value_is_not_dropped_on_its_way() {
    run(|| {
        let drops = Drops::default();
        let value = nested(3, || drops.one());
        assert_eq!(drops.count(), 0);
        drop(value);
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_call_from_the_smallest_stack_has_the_bytes_that_it_asked_for() {
    run(|| {
        pool(|pool| {
            for bytes in [100 * KIB, MIB, 3 * MIB, 10 * MIB, 64 * MIB] {
                let deep = move || on_big_stack(bytes, || dig(bytes - 16 * KIB));
                assert!(small(pool, deep).join().unwrap() >= bytes - 16 * KIB);
            }
        });
    });
}

#[test]
fn a_single_frame_may_take_most_of_the_bytes() {
    let sum = run(|| {
        pool(|pool| {
            let task = small(pool, || {
                on_big_stack(10 * MIB, || {
                    let mut room = [1_u8; 9 * MIB];
                    black_box(&mut room);
                    room.iter().map(|&byte| usize::from(byte)).sum::<usize>()
                })
            });
            task.join().unwrap()
        })
    });
    assert_eq!(sum, 9 * MIB);
}

#[test]
fn the_smallest_and_the_largest_call_work() {
    run(|| {
        pool(|pool| {
            for bytes in [1, 1 << 30] {
                assert_eq!(
                    small(pool, move || on_big_stack(bytes, || bytes)).join().unwrap(),
                    bytes
                );
            }
        });
    });
}

#[test]
fn a_size_out_of_bounds_panics_and_the_closure_is_dropped_unused() {
    let refused = |bytes: usize| {
        let (drops, ran) = (Drops::default(), Cell::new(false));
        let owned = drops.one();
        let text = panic_of(|| {
            on_big_stack(bytes, || {
                let _owned = owned;
                ran.set(true);
            });
        });
        assert!(text.starts_with(&format!("on_big_stack: a stack of {bytes} bytes")), "{text}");
        assert!(text.contains("1 GiB"), "{text}");
        assert_eq!((ran.get(), drops.count()), (false, 1));
    };
    for bytes in [0, (1 << 30) + 1, usize::MAX] {
        refused(bytes);
        run(|| {
            refused(bytes);
            on_big_stack(MIB, || refused(bytes));
            assert_eq!((on_big_stack(MIB, || 1), live()), (1, 1));
        });
    }
}

#[test]
fn the_call_belongs_to_its_task() {
    run(|| {
        pool(|pool| {
            let task = named(pool, "caller", || {
                let outside = task::current();
                nested(2, || {
                    yield_now();
                    assert_eq!(task::current().id(), outside.id());
                    assert_eq!(task::current().name(), "caller");
                });
            });
            task.join().unwrap();
        });
    });
}

#[test]
fn a_hundred_thousand_calls_run_on_one_stack() {
    run(|| {
        let before = stacks().unwrap();
        let sum = (0..100_000_u64).map(|number| on_big_stack(MIB, || number)).sum::<u64>();
        assert_eq!(sum, 4_999_950_000);
        let after = stacks().unwrap();
        assert_eq!((after.live, after.idle, after.peak), (1, before.idle + after.idle, 2));
    });
}

#[test]
fn calls_may_be_nested_deeply_and_each_level_may_park() {
    fn deeper(level: u32, log: &Log) -> u32 {
        yield_now();
        log.add(format!("{level} {}", live()));
        let value = if level == 5 { 1 } else { on_big_stack(64 * KIB, || deeper(level + 1, log)) };
        yield_now();
        assert_eq!(live() as u32, level + 1);
        value * 2
    }
    run(|| {
        let log = Log::default();
        assert_eq!(deeper(0, &log), 64);
        log.assert(&["0 1", "1 2", "2 3", "3 4", "4 5", "5 6"]);
    });
}

#[test]
fn a_call_is_no_switch() {
    run(|| {
        let ran = Cell::new(false);
        pool(|pool| {
            pool.spawn(|| ran.set(true));
            assert_eq!(task::no_switch(|| nested(3, || 7)), 7);
            assert!(!ran.get());
        });
    });
}

#[test]
fn no_switch_holds_inside_and_ends_there() {
    run(|| {
        let ran = Cell::new(false);
        pool(|pool| {
            pool.spawn(|| ran.set(true));
            let around = panic_of(|| task::no_switch(|| on_big_stack(MIB, yield_now)));
            let inside = panic_of(|| on_big_stack(MIB, || task::no_switch(yield_now)));
            for text in [around, inside] {
                assert!(text.contains("inside of `task::no_switch`"), "{text}");
            }
            assert!(!ran.get());
            on_big_stack(MIB, || {
                task::no_switch(|| ());
                yield_now();
            });
            assert!(ran.get());
        });
    });
}

#[test]
fn no_unwind_holds_inside() {
    run_virtual(|| {
        let (ours, _theirs) = pair();
        let took = Cell::new(None);
        let cut = skip_after(secs(1), |_| {
            task::no_unwind(|| {
                nested(2, || {
                    took.set(Some(elapsed(|| sleep(secs(3)))));
                    let error = (&ours).read(&mut [0]).unwrap_err();
                    assert!(error.get_ref().unwrap().is::<giambio::io::Cancelled>(), "{error:?}");
                });
            });
            yield_now();
            unreachable!("it was held back, and not lost");
        });
        assert_eq!((cut, took.get()), (None::<()>, Some(secs(3))));
    });
}

#[test]
fn a_cell_borrowed_across_the_call_is_seen_inside() {
    run(|| {
        let shared = RefCell::new(Vec::new());
        let mut guard = shared.borrow_mut();
        on_big_stack(MIB, || {
            assert!(shared.try_borrow().is_err());
            guard.push(clock());
        });
        drop(guard);
        assert_eq!(shared.borrow().len(), 1);
    });
}
