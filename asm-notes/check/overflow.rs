//! asm-notes/guard-pages.md: how a process dies whose task has used up its stack.
//!
//! `overflow deep`, `overflow frame`, `overflow thread` and `overflow null` die that way themselves.

#![expect(clippy::print_stdout, reason = "the report of a check")]

mod rerun;

use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::ptr;

/// A small frame, very often.
#[inline(never)]
fn deep(n: u64) -> u64 {
    let frame = black_box([n; 32]);
    if n == 0 { 0 } else { deep(n - 1) + frame[(n % 32) as usize] }
}

/// One frame of 4 MiB, far more than the stack and its guard. Only the far end is used.
#[inline(never)]
fn one_large_frame() -> u8 {
    let mut frame = [0u8; 4 << 20];
    black_box(&mut frame);
    frame[0]
}

fn overflow(how: &str) {
    match how {
        "thread" => drop(black_box(deep(black_box(10_000_000)))),
        "deep" => in_a_task(|| deep(black_box(10_000_000))),
        // SAFETY: none: this is the fault.
        "null" => in_a_task(|| unsafe { ptr::without_provenance::<u64>(8).read_volatile() }),
        _ => in_a_task(|| u64::from(one_large_frame())),
    }
    println!("survived");
}

fn in_a_task(body: fn() -> u64) {
    giambio::run(|| giambio::pool(|pool| drop(pool.spawn(move || black_box(body())))));
}

/// Runs this program in the mode `how`, and gives the signal that ended it and its last words.
fn death(how: &str) -> (Option<i32>, String) {
    let output = rerun::child(how, "0");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    println!("{how}: signal {:?}, stderr {text:?}", output.status.signal());
    assert!(!String::from_utf8_lossy(&output.stdout).contains("survived"));
    (output.status.signal(), text)
}

fn main() {
    let modes = ["deep", "frame", "thread", "null"];
    let asked = std::env::args().nth(1).filter(|word| modes.contains(&word.as_str()));
    if let Some(how) = rerun::mode().or(asked) {
        return overflow(&how);
    }
    for how in ["deep", "frame"] {
        let (signal, text) = death(how);
        assert_eq!(signal, Some(libc::SIGABRT), "it dies by another signal: rewrite the note");
        assert!(text.starts_with("\ngiambio: task 'asm-notes/check/overflow.rs:"), "{text:?}");
        assert!(text.contains("' (#2) has overflowed its stack of "), "{text:?}");
        assert_eq!(text.lines().count(), 2, "one line after an empty one: {text:?}");
    }
    let (signal, text) = death("thread");
    assert_eq!(signal, Some(libc::SIGABRT));
    assert!(text.contains("has overflowed its stack\n"));
    assert!(!text.contains("giambio:"), "we report an overflow of std's: {text:?}");
    let (signal, text) = death("null");
    assert_eq!((signal, text.as_str()), (Some(libc::SIGSEGV), ""));
}

#[test]
fn holds() {
    main();
}
