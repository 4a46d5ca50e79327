//! asm-notes/red-zone.md: where a signal handler runs that interrupts a task.

#![expect(clippy::print_stdout, reason = "the report of a check")]

use std::hint::black_box;
use std::ptr;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

static HANDLER_FRAME: AtomicUsize = AtomicUsize::new(0);

extern "C" fn note_frame(_signal: libc::c_int) {
    let local = black_box(0u8);
    HANDLER_FRAME.store((&raw const local).addr(), Ordering::Relaxed);
}

/// Raises a signal on this thread and returns how far below this frame its handler ran.
fn depth_of_handler(flags: libc::c_int) -> usize {
    // SAFETY: all zero is a valid value of this plain C struct: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = note_frame as *const () as usize;
    action.sa_flags = flags;
    // SAFETY: the handler only stores to an atomic.
    let failed = unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, ptr::null_mut()) };
    assert_eq!(failed, 0);
    let local = black_box(0u8);
    // SAFETY: the signal has a handler.
    unsafe { libc::raise(libc::SIGUSR1) };
    (&raw const local).addr().wrapping_sub(HANDLER_FRAME.load(Ordering::Relaxed))
}

/// Whether the thread has an alternate stack, and how large it is.
fn alternate_stack() -> Option<usize> {
    // SAFETY: all zero is a valid value of this plain C struct.
    let mut stack: libc::stack_t = unsafe { std::mem::zeroed() };
    // SAFETY: only asks; the answer goes to a local.
    let failed = unsafe { libc::sigaltstack(ptr::null(), &raw mut stack) };
    assert_eq!(failed, 0);
    (stack.ss_flags & libc::SS_DISABLE == 0).then_some(stack.ss_size)
}

fn main() {
    // SAFETY: it takes no pointer.
    let minimum = unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) };
    let (plain, alternate) = giambio::run(|| {
        giambio::pool(|pool| {
            let task = pool.spawn(|| (depth_of_handler(0), depth_of_handler(libc::SA_ONSTACK)));
            task.join().expect("it does not panic")
        })
    });
    println!("without SA_ONSTACK: {plain} bytes below the task's own frame");
    println!("with SA_ONSTACK: elsewhere ({alternate:#x} bytes away)");
    let in_a_task = giambio::run(alternate_stack);
    let in_a_thread = std::thread::spawn(alternate_stack).join().expect("it does not panic");
    println!("alternate stacks: {in_a_task:?} in a task, {in_a_thread:?} in a thread of std's");
    println!("the kernel's own part of a signal frame is at most {minimum} bytes");
    assert!(in_a_task.is_some() && in_a_thread.is_some());
    assert!(plain < 64 << 10, "the handler did not run on the task's stack");
    assert!(alternate > 256 << 10, "the handler ran on the task's stack");
}

#[test]
fn holds() {
    main();
}
