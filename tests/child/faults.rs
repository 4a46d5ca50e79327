//! Faults: whatever is no overflow of a task goes where it went before, and handlers find a stack.

use crate::End;
use crate::Scenario;
use crate::overflow::announce_and_overflow;
use crate::overflow::in_a_task;
use crate::overflow::recurse;
use crate::well;
use giambio::on_big_stack;
use std::hint::black_box;
use std::io;
use std::mem;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

const REPORT: End = End::AbortReporting(&["task 'deep' (#", ") has overflowed its stack of "]);

pub(crate) const SCENARIOS: &[Scenario] = &[
    fault("a_fault_in_a_task_is_a_plain_sigsegv", &[], || in_a_task(|| read(8))),
    fault("a_fault_without_an_address_is_a_plain_sigsegv", &[], || in_a_task(|| read(1 << 63))),
    fault("a_fault_is_a_plain_sigsegv_where_that_was_the_default", &[], || {
        set_action(libc::SIG_DFL, 0);
        in_a_task(|| read(8));
    }),
    fault("a_fault_ends_a_process_that_ignores_sigsegv", &[], || {
        set_action(libc::SIG_IGN, 0);
        in_a_task(|| read(8));
    }),
    reported("a_handler_from_before_is_called_for_a_fault_and_not_for_an_overflow", || {
        set_action(mend_told as *const () as usize, libc::SA_SIGINFO);
        mended_then_overflow();
    }),
    reported("a_plain_handler_from_before_is_called_for_a_fault_and_not_for_an_overflow", || {
        set_action(mend as *const () as usize, 0);
        mended_then_overflow();
    }),
    fault("a_handler_that_was_to_be_called_once_is_called_once", &["called"], || {
        set_action(call_once as *const () as usize, libc::SA_RESETHAND);
        in_a_task(|| read(8));
    }),
    reported("a_handler_that_was_to_be_called_once_is_not_called_for_an_overflow", || {
        set_action(call_once as *const () as usize, libc::SA_RESETHAND);
        in_a_task(announce_and_overflow);
    }),
    reported("a_handler_from_after_that_chains_lets_an_overflow_through", || {
        chain_after_us();
        in_a_task(announce_and_overflow);
    }),
    fault("a_handler_from_after_that_chains_lets_a_fault_through", &[], || {
        chain_after_us();
        in_a_task(|| read(8));
    }),
    fault("a_sigsegv_that_is_sent_ends_the_process_by_default", &[], || {
        set_action(libc::SIG_DFL, 0);
        in_a_task(send);
    }),
    well("a_sigsegv_that_is_sent_is_ignored_if_it_was", || {
        set_action(libc::SIG_IGN, 0);
        in_a_task(send);
    }),
    well("a_sigsegv_that_is_sent_reaches_the_handler_from_before", || {
        set_action(count_sent as *const () as usize, libc::SA_SIGINFO);
        in_a_task(send);
        assert_eq!(CALLS.load(Ordering::Relaxed), 2);
    }),
    #[cfg(target_arch = "x86_64")]
    fault("a_signal_that_finds_no_room_on_a_task_s_stack_ends_the_process_by_default", &[], || {
        set_action(libc::SIG_DFL, 0);
        in_a_task(signalled_at_the_end_of_the_stack);
    }),
    well("an_ignored_sigsegv_interrupts_no_system_call", ignored_in_a_call),
    well("a_thread_of_c_has_a_signal_stack_while_it_runs_tasks_and_none_afterwards", || {
        on_a_thread_of_c(|| {
            for _ in 0..2 {
                assert_eq!(signal_stack(), None);
                in_a_task(|| assert!(signal_stack().is_some()));
                assert_eq!(signal_stack(), None);
                on_big_stack(1, || assert!(signal_stack().is_some()));
                assert_eq!(signal_stack(), None);
            }
        });
    }),
    reported("an_overflow_on_a_thread_of_c_is_reported", || {
        on_a_thread_of_c(|| {
            assert_eq!(signal_stack(), None);
            in_a_task(|| ());
            in_a_task(announce_and_overflow);
        });
    }),
    Scenario {
        name: "an_overflow_of_a_big_stack_on_a_thread_of_c_is_reported",
        run: || on_a_thread_of_c(|| on_big_stack(1, || _ = black_box(recurse(0)))),
        end: End::AbortReporting(&["a call of giambio::on_big_stack outside of a task has over"]),
    },
    well("a_thread_s_own_signal_stack_is_left_alone", own_signal_stack),
    well("a_signal_stack_that_replaced_ours_stays_and_ours_can_come_back", replaced_signal_stack),
];

/// A scenario that ends by SIGSEGV.
const fn fault(name: &'static str, texts: &'static [&'static str], run: fn()) -> Scenario {
    Scenario { name, run, end: End::Fault(texts) }
}

/// A scenario whose task called "deep" has to be reported.
const fn reported(name: &'static str, run: fn()) -> Scenario {
    Scenario { name, run, end: REPORT }
}

/// Nothing is there.
fn read(address: usize) {
    // SAFETY: none: this is the fault that the scenario is about.
    let byte = unsafe { ptr::without_provenance::<u8>(address).read_volatile() };
    panic!("{byte} lies at {address}");
}

fn set_action(handler: usize, flags: libc::c_int) -> libc::sigaction {
    // SAFETY: an all-zero `sigaction` is a valid one: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    // SAFETY: as above.
    let mut before: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: both are borrowed for the call, and the handlers below are async-signal-safe.
    let result = unsafe { libc::sigaction(libc::SIGSEGV, &raw const action, &raw mut before) };
    assert_eq!(result, 0);
    before
}

static CALLS: AtomicUsize = AtomicUsize::new(0);
static PAGE: AtomicUsize = AtomicUsize::new(0);

/// The end of a handler that was called although it must not be.
fn refuse() -> ! {
    // SAFETY: async-signal-safe.
    unsafe { libc::_exit(9) }
}

/// Makes `PAGE` accessible, once.
extern "C" fn mend(signal: libc::c_int) {
    let page = ptr::without_provenance_mut(PAGE.load(Ordering::Relaxed));
    if signal != libc::SIGSEGV || CALLS.fetch_add(1, Ordering::Relaxed) > 0 {
        refuse();
    }
    // SAFETY: a mapping of one page, in which nobody has anything.
    if unsafe { libc::mprotect(page, 4096, libc::PROT_READ | libc::PROT_WRITE) } != 0 {
        refuse();
    }
}

extern "C" fn mend_told(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: whoever calls a handler with `SA_SIGINFO` passes one.
    let info = unsafe { &*info };
    // SAFETY: a SIGSEGV has this field.
    let address = unsafe { info.si_addr() }.addr();
    if info.si_code <= 0 || context.is_null() || address != PAGE.load(Ordering::Relaxed) + 7 {
        refuse();
    }
    mend(signal);
}

/// A fault that the handler mends, and then an overflow.
fn mended_then_overflow() {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping at a place of the kernel's choice.
    let page = unsafe { libc::mmap(ptr::null_mut(), 4096, libc::PROT_NONE, flags, -1, 0) };
    assert_ne!(page, libc::MAP_FAILED);
    PAGE.store(page.addr(), Ordering::Relaxed);
    in_a_task(|| {
        let byte = ptr::with_exposed_provenance_mut::<u8>(PAGE.load(Ordering::Relaxed) + 7);
        // SAFETY: the handler makes the page accessible.
        unsafe { byte.write_volatile(5) };
        assert_eq!(CALLS.load(Ordering::Relaxed), 1);
    });
    in_a_task(announce_and_overflow);
}

extern "C" fn call_once(_: libc::c_int) {
    if CALLS.fetch_add(1, Ordering::Relaxed) > 0 {
        refuse();
    }
    // SAFETY: async-signal-safe; the text is alive.
    unsafe { libc::write(2, b"called\n".as_ptr().cast(), 7) };
}

static CHAINED: OnceLock<libc::sigaction> = OnceLock::new();

/// Sets a handler when ours is there already, as a library does that is loaded later.
fn chain_after_us() {
    giambio::run(|| ());
    // SAFETY: all zeroes are a valid one, and it is not looked at before it is set below.
    let mut ours: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: only asks; borrowed for the call.
    assert_eq!(unsafe { libc::sigaction(libc::SIGSEGV, ptr::null(), &raw mut ours) }, 0);
    CHAINED.set(ours).ok().unwrap();
    set_action(chain as *const () as usize, libc::SA_SIGINFO | libc::SA_ONSTACK);
}

extern "C" fn chain(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
    let Some(next) = CHAINED.get().filter(|next| next.sa_flags & libc::SA_SIGINFO != 0) else {
        refuse();
    };
    // SAFETY: it was set with `SA_SIGINFO`.
    let next = unsafe { mem::transmute::<libc::sighandler_t, Handler>(next.sa_sigaction) };
    next(signal, info, context);
}

/// Sends a SIGSEGV to this thread, and one to this process.
fn send() {
    // SAFETY: no pointers.
    unsafe { libc::raise(libc::SIGSEGV) };
    // SAFETY: as above.
    let own = unsafe { libc::getpid() };
    // SAFETY: as above.
    unsafe { libc::kill(own, libc::SIGSEGV) };
    giambio::yield_now();
}

extern "C" fn count_sent(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: whoever calls a handler with `SA_SIGINFO` passes one.
    if ![libc::SI_TKILL, libc::SI_USER].contains(unsafe { &(*info).si_code }) {
        refuse();
    }
    CALLS.fetch_add(1, Ordering::Relaxed);
}

/// A handler without `SA_ONSTACK` that is to run where 512 bytes are left.
#[cfg(target_arch = "x86_64")]
fn signalled_at_the_end_of_the_stack() {
    let local = black_box(0_u8);
    let left = giambio::task::remaining_stack().unwrap();
    let near_the_end = ((&raw const local).addr() - left + 64) / 4096 * 4096 + 512;
    // SAFETY: the handler is async-signal-safe.
    unsafe { libc::signal(libc::SIGUSR1, mend as *const () as usize) };
    // SAFETY: no pointers.
    let thread = unsafe { libc::gettid() };
    // SAFETY: it moves the stack pointer inside of this stack, to where nobody is, and back.
    unsafe {
        std::arch::asm!(
            "xchg rsp, {near_the_end}",
            "syscall",
            "xchg rsp, {near_the_end}",
            near_the_end = inout(reg) near_the_end => _,
            inout("rax") libc::SYS_tgkill => _,
            in("rdi") i64::from(std::process::id()),
            in("rsi") i64::from(thread),
            in("rdx") i64::from(libc::SIGUSR1),
            out("rcx") _,
            out("r11") _,
        );
    }
}

/// A thread in read(2) is sent signals, and then its byte.
fn ignored_in_a_call() {
    set_action(libc::SIG_IGN, 0);
    giambio::run(|| ());
    let (mut reader, mut writer) = io::pipe().unwrap();
    let own = std::process::id();
    std::thread::scope(|threads| {
        let (sender, thread) = std::sync::mpsc::channel();
        let read = threads.spawn(move || {
            // SAFETY: no pointers.
            sender.send(unsafe { libc::gettid() }).unwrap();
            io::Read::read(&mut reader, &mut [0]).unwrap()
        });
        let thread = thread.recv().unwrap();
        let is_waiting = || {
            let call = std::fs::read_to_string(format!("/proc/self/task/{thread}/syscall"));
            call.unwrap().starts_with("0 ")
        };
        for _ in 0..3 {
            while !is_waiting() {
                std::thread::yield_now();
            }
            // SAFETY: no pointers; a thread of this process.
            unsafe { libc::syscall(libc::SYS_tgkill, own, thread, libc::SIGSEGV) };
        }
        io::Write::write_all(&mut writer, &[1]).unwrap();
        assert_eq!(read.join().unwrap(), 1);
    });
}

/// Calls `body` on a thread that std knows nothing of, and waits for its end.
fn on_a_thread_of_c(body: fn()) {
    extern "C" fn start(body: *mut libc::c_void) -> *mut libc::c_void {
        // SAFETY: it is the function that was passed below.
        let body = unsafe { mem::transmute::<*mut libc::c_void, fn()>(body) };
        body();
        ptr::null_mut()
    }
    let mut thread = 0;
    let argument = body as *mut libc::c_void;
    // SAFETY: `thread` is borrowed for the call; the function lives for ever.
    let result = unsafe { libc::pthread_create(&raw mut thread, ptr::null(), start, argument) };
    assert_eq!(result, 0);
    // SAFETY: it was started above and is joined once.
    assert_eq!(unsafe { libc::pthread_join(thread, ptr::null_mut()) }, 0);
}

/// Where this thread's signal stack is, if it has one.
fn signal_stack() -> Option<usize> {
    let now = change_signal_stack(None);
    (now.ss_flags & libc::SS_DISABLE == 0).then(|| now.ss_sp.addr())
}

/// Sets this thread's signal stack, or leaves it; returns the one before.
fn change_signal_stack(to: Option<&libc::stack_t>) -> libc::stack_t {
    let mut before = libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: 0, ss_size: 0 };
    let to = to.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the pointers are null or borrowed for the call; the stacks below are never freed.
    assert_eq!(unsafe { libc::sigaltstack(to, &raw mut before) }, 0);
    before
}

fn new_signal_stack() -> libc::stack_t {
    let memory = Vec::leak(vec![0_u8; 64 << 10]);
    libc::stack_t { ss_sp: memory.as_mut_ptr().cast(), ss_flags: 0, ss_size: memory.len() }
}

fn own_signal_stack() {
    let own = new_signal_stack();
    change_signal_stack(Some(&own));
    let is_own = || assert_eq!(change_signal_stack(None).ss_sp, own.ss_sp);
    giambio::run(is_own);
    is_own();
    on_big_stack(1, is_own);
    is_own();
}

fn replaced_signal_stack() {
    on_a_thread_of_c(|| {
        let other = new_signal_stack();
        let ours = giambio::run(|| change_signal_stack(Some(&other)));
        assert_eq!(signal_stack(), Some(other.ss_sp.addr()));
        change_signal_stack(Some(&ours));
        // SAFETY: `ours` was set, so it is mapped; nobody is on it.
        unsafe { ours.ss_sp.cast::<u8>().write_bytes(0, ours.ss_size) };
    });
}
