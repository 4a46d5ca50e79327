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

fn dropping_a_suspended_one_panics() {
    let mut coroutine = Coroutine::<(), (), (), _>::with_stack(Mapped::new(), |yielder, ()| {
        yielder.suspend(());
    });
    coroutine.resume(());
    let payload = panic::catch_unwind(AssertUnwindSafe(|| drop(coroutine)));
    let payload = payload.expect_err("a suspended coroutine was dropped in silence");
    println!("dropped while suspended: {:?}", payload.downcast_ref::<&str>());
}

fn main() {
    if rerun::mode().is_some() {
        return panic_through_a_root();
    }
    let output = rerun::child("root", "0");
    let text = String::from_utf8_lossy(&output.stderr);
    println!("a panic reached a root: signal {:?}, stderr:\n{text}", output.status.signal());
    assert_eq!(output.status.signal(), Some(libc::SIGABRT));
    assert!(text.contains("cannot propagate coroutine panic"));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("survived"));
    dropping_a_suspended_one_panics();
}

#[test]
fn holds() {
    main();
}
