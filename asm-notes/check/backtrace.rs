//! asm-notes/unwinding.md: a backtrace goes through a coroutine's root into the worker's frames, and
//! std's short form leaves them out.
//!
//! `backtrace panic` panics itself; say `RUST_BACKTRACE=1` or `full` before it.

#![expect(clippy::print_stdout, reason = "the report of a check")]

mod rerun;

use std::hint::black_box;

#[inline(never)]
fn the_users_function() {
    if black_box(true) {
        panic!("on purpose");
    }
}

fn panic_in_a_task() {
    giambio::run(|| giambio::pool(|pool| drop(pool.spawn(the_users_function))));
}

fn trace(style: &str) -> String {
    let output = rerun::child("panic", style);
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn main() {
    if rerun::mode().is_some() || std::env::args().nth(1).is_some_and(|arg| arg == "panic") {
        return panic_in_a_task();
    }
    let (short, full) = (trace("1"), trace("full"));
    let frames = |text: &str| text.lines().filter(|line| line.contains(": ")).count();
    println!("short, {} frames:\n{short}", frames(&short));
    println!("full: {} frames", frames(&full));
    for text in [&short, &full] {
        assert!(text.contains("the_users_function"), "the panic's own frames are missing");
    }
    assert!(full.contains("stack_init_trampoline"), "the root is missing");
    let (_, below) = full.split_once("stack_init_trampoline").expect("just asserted");
    assert!(below.contains("backtrace::"), "the trace does not go on below the root");
    assert!(!short.contains("stack_init_trampoline"), "the short form does not end at the body");
}

#[test]
fn holds() {
    main();
}
