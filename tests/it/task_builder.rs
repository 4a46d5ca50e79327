//! The options of one spawn, and closures and values of every shape.

use crate::Drops;
use crate::dig;
use crate::panic_of;
use giambio::Builder;
use giambio::TaskBuilder;
use giambio::pool;
use giambio::run;
use giambio::task;
use giambio::try_pool;
use giambio::yield_now;
use std::io;
use std::num::NonZeroU8;

/// Asks for room: without optimisation every call that hands a closure or a value on copies it.
fn roomy() -> TaskBuilder {
    TaskBuilder::new().stack_size(1 << 20)
}

/// A place of this file as a task is named after it.
fn place(line: u32) -> String {
    format!("{}:{line}", file!())
}

#[test]
fn smoke() {
    let name = run(|| {
        pool(|pool| {
            let task = TaskBuilder::new().name("chosen".into()).spawn(pool, task::current);
            task.join().unwrap().name()
        })
    });
    assert_eq!(name, "chosen");
}

#[test]
fn a_task_is_named_after_its_callers_line() {
    run(|| {
        pool(|pool| {
            let spawned = pool.spawn(|| ());
            assert_eq!(spawned.name(), place(line!() - 1));
            let isolated = pool.spawn_isolated(|| ());
            assert_eq!(isolated.name(), place(line!() - 1));
            let built = TaskBuilder::new().spawn(pool, || ());
            assert_eq!(built.name(), place(line!() - 1));
            let tried = TaskBuilder::new().try_spawn(pool, || ()).unwrap();
            assert_eq!(tried.name(), place(line!() - 1));
        });
        let done = try_pool(|pool| {
            let task = pool.spawn(|| Ok::<(), ()>(()));
            assert_eq!(task.name(), place(line!() - 1));
            Ok(())
        });
        assert_eq!(done, Ok(()));
    });
}

#[test]
fn a_task_has_the_stack_that_it_was_promised() {
    run(|| {
        pool(|pool| {
            for bytes in [100 << 10, 1 << 20, 64 << 20] {
                let task = TaskBuilder::new().stack_size(bytes);
                // What is left serves the frames above the closure.
                let dug = task.spawn(pool, move || dig(bytes - (16 << 10))).join().unwrap();
                assert!(dug >= bytes - (16 << 10));
            }
        });
    });
}

#[test]
fn a_tasks_own_size_counts_for_more_than_the_runtimes_and_only_for_itself() {
    let size = || task::stack_usage().unwrap().size;
    let mut runtime = Builder::new().stack_size(200_000).build().unwrap();
    runtime.run(|| {
        pool(|pool| {
            let own = TaskBuilder::new().stack_size(1_000_000).spawn(pool, || {
                let child = pool.spawn(size);
                (size(), child.join().unwrap())
            });
            assert_eq!(own.join().unwrap(), (1 << 20, 256 << 10));
            assert_eq!(pool.spawn(size).join().unwrap(), 256 << 10);
        });
        let sum = try_pool(|pool| {
            let task = pool.spawn(|| Ok::<_, ()>(size()));
            Ok(task.join().unwrap())
        });
        assert_eq!(sum, Ok(256 << 10));
    });
}

#[test]
fn the_smallest_and_the_largest_stack_work() {
    run(|| {
        pool(|pool| {
            for bytes in [1, 1 << 30] {
                let task = TaskBuilder::new().stack_size(bytes);
                let name = task.spawn(pool, || task::current().name()).join().unwrap();
                assert!(name.starts_with(file!()));
            }
        });
    });
}

#[test]
fn absurd_stack_sizes_are_an_error_that_drops_the_closure_and_harms_nothing() {
    run(|| {
        let drops = Drops::default();
        pool(|pool| {
            let sibling = pool.spawn(|| {
                yield_now();
                1
            });
            for bytes in [0, (1 << 30) + 1, usize::MAX] {
                let one = drops.one();
                let task = TaskBuilder::new().stack_size(bytes);
                let error = task.try_spawn(pool, move || drop(one)).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
                assert!(error.to_string().contains(&format!("{bytes} bytes")), "{error}");
            }
            assert_eq!(drops.count(), 3);
            assert_eq!(sibling.join().unwrap() + pool.spawn(|| 2).join().unwrap(), 3);
        });
    });
}

#[test]
fn spawn_with_an_absurd_stack_size_panics() {
    run(|| {
        pool(|pool| {
            let text = panic_of(|| TaskBuilder::new().stack_size(0).spawn(pool, || ()));
            assert!(text.starts_with("a task could not be spawned: "), "{text}");
            assert!(!pool.is_cancelled());
        });
    });
}

#[test]
fn a_closure_may_be_larger_than_a_kibibyte() {
    run(|| {
        pool(|pool| {
            let (small, large) = ([1_u8; 2000], [1_u8; 40_000]);
            let sum = |bytes: &[u8]| bytes.iter().map(|&byte| u32::from(byte)).sum::<u32>();
            assert_eq!(pool.spawn(move || sum(&small)).join().unwrap(), 2000);
            assert_eq!(roomy().spawn(pool, move || sum(&large)).join().unwrap(), 40_000);
        });
    });
}

/// More than a stack's own alignment, and as much as a page.
#[derive(Clone, Copy)]
#[repr(align(512))]
struct Wide(u8);

#[derive(Clone, Copy)]
#[repr(align(4096))]
struct Page(u8);

fn is_aligned<T>(value: &T) -> bool {
    std::hint::black_box(std::ptr::from_ref(value)).is_aligned()
}

#[test]
fn closures_and_values_may_be_over_aligned() {
    run(|| {
        pool(|pool| {
            let (wide, page) = (Wide(1), Page(2));
            let task = roomy().spawn(pool, move || {
                assert!(is_aligned(&wide) && is_aligned(&page));
                yield_now();
                assert!(is_aligned(&wide) && is_aligned(&page));
                (wide, page)
            });
            let (wide, page) = task.join().unwrap();
            assert!(is_aligned(&wide) && is_aligned(&page));
            assert_eq!((wide.0, page.0), (1, 2));
        });
    });
}

#[test]
fn values_may_have_any_size() {
    run(|| {
        pool(|pool| {
            pool.spawn(|| ()).join().unwrap();
            assert_eq!(pool.spawn(|| [0_u64; 0]).join().unwrap(), [0; 0]);
            assert_eq!(pool.spawn(|| NonZeroU8::new(3)).join().unwrap(), NonZeroU8::new(3));
            assert_eq!(pool.spawn(|| None::<Box<u8>>).join().unwrap(), None);
            let large = roomy().spawn(pool, || [7_u8; 20_000]).join().unwrap();
            assert!(large.iter().all(|&byte| byte == 7));
        });
    });
}
