//! asm-notes/unwinding.md: what corosensei does without its `unwind` feature, which we leave out.

#![expect(clippy::print_stdout, reason = "the report of a check")]

mod rerun;

use corosensei::Coroutine;
use corosensei::stack::Stack;
use corosensei::stack::StackPointer;
use std::os::unix::process::ExitStatusExt;
use std::panic;
use std::panic::AssertUnwindSafe;

const PAGE: usize = 4096;
const LEN: usize = 64 * PAGE;

/// One guarded stack; never unmapped.
struct Mapped(StackPointer);

impl Mapped {
    fn new() -> Self {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping of the kernel's choice.
        let low = unsafe { libc::mmap(std::ptr::null_mut(), LEN, access, flags, -1, 0) };
        assert_ne!(low, libc::MAP_FAILED);
        // SAFETY: the lowest page of the mapping above, which nobody uses yet.
        assert_eq!(unsafe { libc::mprotect(low, PAGE, libc::PROT_NONE) }, 0);
        Self(StackPointer::new(low.expose_provenance() + LEN).expect("above zero"))
    }
}

// SAFETY: `new` maps the bytes between limit and base for this value alone and protects a page.
unsafe impl Stack for Mapped {
    fn base(&self) -> StackPointer {
        self.0
    }

    fn limit(&self) -> StackPointer {
        StackPointer::new(self.0.get() - LEN).expect("above zero")
    }
}

fn panic_through_a_root() {
    let body = |_: &corosensei::Yielder<(), ()>, ()| panic!("nobody catches this");
    let mut coroutine = Coroutine::<(), (), (), _>::with_stack(Mapped::new(), body);
    let caught = panic::catch_unwind(AssertUnwindSafe(|| coroutine.resume(())));
    println!("survived: {}", caught.is_err());
}

fn drop_a_suspended_one() {
    let mut coroutine = Coroutine::<(), (), (), _>::with_stack(Mapped::new(), |yielder, ()| {
        yielder.suspend(());
    });
    coroutine.resume(());
    let caught = panic::catch_unwind(AssertUnwindSafe(|| drop(coroutine)));
    println!("survived: {}", caught.is_err());
}

/// Runs this program in `mode` and expects it to abort, saying one of `last_words` among other things.
fn dies(mode: &str, last_words: &[&str]) {
    let output = rerun::child(mode, "0");
    let text = String::from_utf8_lossy(&output.stderr);
    println!("{mode}: signal {:?}", output.status.signal());
    // The messages, without the backtraces that std prints when it is about to abort.
    let quiet = |line: &&str| !line.starts_with("thread '") && !line.starts_with(' ');
    text.lines().filter(quiet).for_each(|line| println!("    {line}"));
    assert_eq!(output.status.signal(), Some(libc::SIGABRT));
    assert!(last_words.iter().any(|words| text.contains(words)));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("survived"));
}

fn main() {
    match rerun::mode().as_deref() {
        Some("panic at the root") => panic_through_a_root(),
        Some(_) => drop_a_suspended_one(),
        None => {
            let guard = "cannot propagate coroutine panic";
            let unwinder = "failed to initiate panic";
            dies("panic at the root", &[guard, unwinder]);
            dies("dropped while suspended", &["can't unwind a suspended coroutine"]);
        }
    }
}

#[test]
fn holds() {
    main();
}
