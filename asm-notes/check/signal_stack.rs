//! asm-notes/red-zone.md: where a signal handler runs that interrupts a task, and how much of an
//! alternate stack the report of an overflow takes.

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

/// Sets this thread's alternate stack, or leaves it, and returns the one before.
fn change_alternate_stack(to: Option<&libc::stack_t>) -> libc::stack_t {
    // SAFETY: all zero is a valid value of this plain C struct.
    let mut before: libc::stack_t = unsafe { std::mem::zeroed() };
    let to = to.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the answer goes to a local; a stack that is set here is never unmapped.
    let failed = unsafe { libc::sigaltstack(to, &raw mut before) };
    assert_eq!(failed, 0);
    before
}

/// Whether the thread has an alternate stack, and how large it is.
fn alternate_stack() -> Option<usize> {
    let stack = change_alternate_stack(None);
    (stack.ss_flags & libc::SS_DISABLE == 0).then_some(stack.ss_size)
}

/// Small frames without an end.
#[inline(never)]
fn deep(n: u64) -> u64 {
    let frame = black_box([n; 32]);
    if n == u64::MAX { 0 } else { deep(n + 1) + frame[(n % 32) as usize] }
}

/// A fault in a task that is no overflow.
fn fault_in_a_task() {
    // SAFETY: none: it faults.
    giambio::run(|| unsafe { ptr::without_provenance::<u8>(8).read_volatile() });
}

fn overflow_in_a_task() {
    giambio::run(|| black_box(deep(0)));
}

fn overflow_of_the_thread() {
    black_box(deep(0));
}

/// How much of the alternate stack handlers have touched when `body` has killed a child process.
fn touched_by_handlers(body: fn()) -> usize {
    const LEN: usize = 64 << 10;
    const PAINT: u8 = 0xA5;
    let (access, shared) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
    let flags = shared | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping, which the child has in common with this process.
    let start = unsafe { libc::mmap(ptr::null_mut(), LEN, access, flags, -1, 0) };
    assert_ne!(start, libc::MAP_FAILED);
    // SAFETY: the mapping is this long.
    unsafe { start.cast::<u8>().write_bytes(PAINT, LEN) };
    // SAFETY: the child calls `body` on a copy of this stack and dies of it.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        change_alternate_stack(Some(&libc::stack_t { ss_sp: start, ss_flags: 0, ss_size: LEN }));
        // SAFETY: what the handlers say would only be in the way.
        unsafe { libc::close(2) };
        body();
        std::process::exit(0);
    }
    let mut status = 0;
    // SAFETY: `status` is borrowed for the call.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert!(libc::WIFSIGNALED(status), "the child has survived");
    // SAFETY: the child is gone, and the mapping is this long.
    let bytes = unsafe { std::slice::from_raw_parts(start.cast::<u8>(), LEN) };
    LEN - bytes.iter().take_while(|&&byte| byte == PAINT).count()
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
    let report = touched_by_handlers(overflow_in_a_task);
    let passed_on = touched_by_handlers(fault_in_a_task);
    let std_s = touched_by_handlers(overflow_of_the_thread);
    println!("touched by a report of ours: {report}; of std's: {std_s}");
    println!("touched by a fault that we pass on to std's handler: {passed_on}");
    let size = in_a_thread.expect("asserted above");
    assert!(report.max(passed_on) + 2048 < size, "too much for a stack of {size} bytes");
}

#[test]
fn holds() {
    main();
}
