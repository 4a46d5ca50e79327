//! asm-notes/stack-layout.md: a task parked below known frames, for a debugger to look at.
//!
//! Run it under gdb with `layout.py`, which draws the stack.

#![expect(clippy::print_stdout, reason = "the report of a check")]

use std::hint::black_box;

/// The user's outer frame, with 256 bytes of its own.
#[inline(never)]
fn user_outer() -> u8 {
    let bytes = black_box([1u8; 256]);
    user_inner() + bytes[17]
}

/// The user's inner frame, with 64 bytes of its own, which blocks.
#[inline(never)]
fn user_inner() -> u8 {
    let bytes = black_box([2u8; 64]);
    giambio::yield_now();
    after_the_switch();
    giambio::sleep(std::time::Duration::from_millis(1));
    bytes[17]
}

/// A place for a breakpoint: the task was suspended and has come back.
#[inline(never)]
fn after_the_switch() {
    black_box(());
}

fn main() {
    let sum = giambio::run(|| {
        giambio::pool(|pool| {
            let task = pool.spawn(user_outer);
            task.join().expect("it returns")
        })
    });
    println!("{sum}");
    assert_eq!(sum, 3);
}

#[test]
fn holds() {
    main();
}
