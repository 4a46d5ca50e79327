//! The five seconds after which `run` names the threads that it waits for.

use crate::logged;
use crate::ms;
use crate::secs;
use giambio::pool;
use giambio::shield;
use giambio::testing;
use giambio::testing::run_virtual;
use giambio::thread;
use giambio::yield_now;
use std::time::Duration;

/// Runs a thread of that name which cleans up for so long, and returns the lines that name it.
fn named_after(name: &str, cleanup: Duration) -> Vec<String> {
    let _ = logged("");
    run_virtual(|| {
        let builder = thread::Builder::new().name(name.into());
        builder.spawn(move || shield(|| thread::sleep(cleanup))).unwrap();
        yield_now();
    });
    logged(&format!("'{name}'"))
}

#[test]
fn smoke() {
    let lines = named_after("slow to end", secs(7));
    assert_eq!(lines.len(), 1, "{lines:?}");
    let (first, rest) = lines[0].split_once('\n').unwrap();
    assert_eq!(first, "WARN: `main` has ended, and waits for threads");
    assert!(rest.starts_with("  task 'slow to end' (#"), "{rest}");
    assert!(rest.contains(") sleeps, for 5s; it was spawned at "), "{rest}");
    assert!(rest.contains("patience.rs:"), "{rest}");
}

#[test]
fn who_ends_in_time_is_not_named() {
    assert_eq!(named_after("quick to end", ms(4999)), [""; 0]);
}

#[test]
fn whoever_is_left_is_named_once_and_nobody_else() {
    let _ = logged("");
    run_virtual(|| {
        let start = |name: &str, seconds| {
            let builder = thread::Builder::new().name(name.into());
            builder.spawn(move || shield(|| thread::sleep(secs(seconds)))).unwrap();
        };
        start("of three, in time", 3);
        start("of three, late", 8);
        start("of three, very late", 60);
        yield_now();
    });
    assert!(logged("'of three, in time'").is_empty());
    let lines = logged("'of three, late'");
    assert_eq!(lines, logged("'of three, very late'"));
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0].lines().count(), 3, "{lines:?}");
}

#[test]
fn tasks_of_a_thread_are_named_with_what_each_waits_for() {
    let _ = logged("");
    run_virtual(|| {
        let builder = thread::Builder::new().name("with a pool".into());
        let thread = builder.spawn(|| {
            shield(|| {
                pool(|pool| {
                    let builder = giambio::TaskBuilder::new().name("in its pool".into());
                    builder.spawn(pool, || thread::sleep(secs(9)));
                });
            });
        });
        drop(thread.unwrap());
        yield_now();
    });
    let lines = logged("'with a pool'");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("waits for its pool's last child, for 5s"), "{lines:?}");
    assert!(lines[0].contains("'in its pool' (#"), "{lines:?}");
}

#[test]
fn a_drive_names_them_too() {
    let _ = logged("");
    let mut runtime = testing::builder().build().unwrap();
    let main = || {
        let builder = thread::Builder::new().name("driven".into());
        builder.spawn(|| shield(|| thread::sleep(secs(6)))).unwrap();
        yield_now();
    };
    runtime.drive(main, |driver| while !driver.tick(Some(secs(1))).is_done {});
    assert_eq!(logged("'driven'").len(), 1);
}

#[test]
fn main_is_not_held_up_by_the_warning_itself() {
    let _ = logged("");
    let mut runtime = testing::builder().build().unwrap();
    let ended = runtime.run(|| {
        let builder = thread::Builder::new().name("ends at six".into());
        let thread = builder.spawn(|| {
            shield(|| thread::sleep(secs(6)));
            giambio::clock()
        });
        yield_now();
        (giambio::clock(), thread.unwrap())
    });
    let (start, thread) = ended;
    assert_eq!(thread.join().unwrap() - start, secs(6));
    assert_eq!(logged("'ends at six'").len(), 1);
}
