//! asm-notes/guard-pages.md: how a process dies whose task has used up its stack.
//!
//! `overflow deep` and `overflow frame` die that way themselves.

#![expect(clippy::print_stdout, reason = "the report of a check")]

mod rerun;

use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;

/// A small frame, very often.
#[inline(never)]
fn deep(n: u64) -> u64 {
    let frame = black_box([n; 32]);
    if n == 0 { 0 } else { deep(n - 1) + frame[(n % 32) as usize] }
}

/// One frame of 1 MiB, four times the stack and far more than its guard. Only the far end is used.
#[inline(never)]
fn one_large_frame() -> u8 {
    let mut frame = [0u8; 1 << 20];
    black_box(&mut frame);
    frame[0]
}

fn overflow(how: &str) {
    giambio::run(|| {
        giambio::pool(|pool| match how {
            "frame" => drop(pool.spawn(|| black_box(one_large_frame()))),
            _ => drop(pool.spawn(|| black_box(deep(black_box(10_000_000))))),
        });
    });
    println!("survived");
}

fn main() {
    if let Some(how) = rerun::mode().or_else(|| std::env::args().nth(1)) {
        return overflow(&how);
    }
    for how in ["deep", "frame"] {
        let output = rerun::child(how, "0");
        let signal = output.status.signal();
        let text = String::from_utf8_lossy(&output.stderr);
        println!("{how}: signal {signal:?}, stderr {text:?}");
        assert!(!String::from_utf8_lossy(&output.stdout).contains("survived"));
        assert_eq!(signal, Some(libc::SIGSEGV), "it dies by another signal: rewrite the note");
        assert!(!text.contains("overflow"), "somebody reports the overflow: rewrite the note");
    }
}

#[test]
fn holds() {
    main();
}
