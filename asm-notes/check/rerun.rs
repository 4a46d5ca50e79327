//! Runs the check again as a child process, for statements about how a process dies.

use std::env;
use std::process::Command;
use std::process::Output;

const MODE: &str = "GIAMBIO_CHECK_MODE";

/// What the parent asked this process to do, if it is such a child.
pub(crate) fn mode() -> Option<String> {
    env::var(MODE).ok()
}

/// Runs this very program in `mode`, be it the example or its test, and waits for its end.
pub(crate) fn child(mode: &str, backtrace: &str) -> Output {
    let program = env::current_exe().expect("a program knows its file");
    Command::new(program)
        .args(["holds", "--exact", "--nocapture"]) // means nothing to the example itself
        .env(MODE, mode)
        .env("RUST_BACKTRACE", backtrace)
        .output()
        .expect("a program can run itself")
}
