//! Fault: who hears of an access to memory that must not be accessed?
//!
//! Layer 0. Imports: sys. Never: what lies at an address, who runs there.
//!
//! The handler stands before the one that was there and passes on whatever is not ours: std's report of
//! a thread's overflow and a crash reporter's handler go on working. Handlers run on the thread's
//! alternate signal stack, since the stack that has overflowed has no room for one.

use super::protect;
use super::release;
use super::reserve;
use std::io;
use std::mem;
use std::ptr;
use std::ptr::NonNull;
use std::sync::Once;
use std::sync::OnceLock;

/// What the kernel tells of a fault.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// What could not be accessed.
    pub(crate) address: usize,
    /// Where the faulting code's stack ended, on processors that we know.
    pub(crate) stack_pointer: Option<usize>,
}

struct Watch {
    look: fn(&Fault),
    /// What handled faults before.
    before: libc::sigaction,
}

static WATCH: OnceLock<Watch> = OnceLock::new();

/// Has `look` called on every fault of the process from now on, on the thread that met it. It ends the
/// process, or returns: then it was not for us. `look` must be async-signal-safe. Only the first
/// call's argument counts.
pub(crate) fn watch_faults(look: fn(&Fault)) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let Ok(present) = change_action(libc::SIGSEGV, None) else { return };
        let action = action_before(&present);
        // Refused, it leaves overflows without a report, and everything else as it is. What counts is
        // what this call has replaced: another thread may have set a handler since the one above.
        if let Ok(before) = change_action(libc::SIGSEGV, Some(&action)) {
            WATCH.get_or_init(|| Watch { look, before });
        }
    });
}

/// Our action, to stand before `next`: what is passed on finds itself as it was asked for, save that it
/// is always on the signal stack.
fn action_before(next: &libc::sigaction) -> libc::sigaction {
    let mut action = plain_action(on_fault as *const () as libc::sighandler_t);
    action.sa_mask = next.sa_mask;
    action.sa_flags = next.sa_flags & (libc::SA_NODEFER | libc::SA_RESTART);
    action.sa_flags |= libc::SA_SIGINFO | libc::SA_ONSTACK;
    if next.sa_sigaction == libc::SIG_IGN {
        action.sa_flags |= libc::SA_RESTART; // what is ignored interrupts no system call
    }
    action
}

/// An action without flags.
fn plain_action(handler: libc::sighandler_t) -> libc::sigaction {
    // SAFETY: for this plain C structure all zeroes are a value.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = handler;
    action
}

/// Has the handler of `signal` run on the thread's alternate stack: a task that is interrupted may have
/// no room left for one.
pub(crate) fn handle_on_signal_stack(signal: libc::c_int) -> io::Result<()> {
    let mut action = change_action(signal, None)?;
    if action.sa_flags & libc::SA_ONSTACK == 0 {
        action.sa_flags |= libc::SA_ONSTACK;
        change_action(signal, Some(&action))?;
    }
    Ok(())
}

/// Sets what is done about a signal, or leaves it; returns what was done before.
fn change_action(signal: libc::c_int, to: Option<&libc::sigaction>) -> io::Result<libc::sigaction> {
    let mut before = plain_action(libc::SIG_DFL);
    let to = to.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: both pointers are null or valid for the call; the handlers that this file sets are
    // async-signal-safe, or were set before.
    let failed = unsafe { libc::sigaction(signal, to, &raw mut before) };
    if failed == 0 { Ok(before) } else { Err(io::Error::last_os_error()) }
}

extern "C" fn on_fault(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // On another thread, `watch_faults` is between its last two steps: the code faults again.
    let Some(watch) = WATCH.get() else { return };
    // SAFETY: `SA_SIGINFO` was asked for, so the kernel passes one.
    let told = unsafe { &*info };
    // Other codes are of signals that somebody sent: those carry no address.
    if told.si_code > 0 {
        // SAFETY: a SIGSEGV from the kernel has this field.
        let address = unsafe { told.si_addr() }.addr();
        (watch.look)(&Fault { address, stack_pointer: stack_pointer(context) });
    }
    pass_on(&watch.before, signal, info, context);
}

/// The interrupted code's stack pointer.
fn stack_pointer(context: *mut libc::c_void) -> Option<usize> {
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    {
        let context = context.cast::<libc::ucontext_t>();
        // SAFETY: `SA_SIGINFO` was asked for, so the kernel passes one.
        let registers = unsafe { (*context).uc_mcontext.gregs };
        usize::try_from(registers[libc::REG_RSP as usize]).ok()
    }
    #[cfg(all(target_os = "linux", target_arch = "aarch64"))]
    {
        let context = context.cast::<libc::ucontext_t>();
        // SAFETY: `SA_SIGINFO` was asked for, so the kernel passes one.
        usize::try_from(unsafe { (*context).uc_mcontext.sp }).ok()
    }
    #[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
    {
        let _ = context;
        None
    }
}

/// Does what would have been done without us.
fn pass_on(
    before: &libc::sigaction,
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: as in `on_fault`.
    let code = unsafe { (*info).si_code };
    let handler = before.sa_sigaction;
    if handler == libc::SIG_IGN && code <= 0 {
        return; // the kernel's own cannot be ignored
    }
    let is_default = handler == libc::SIG_DFL || handler == libc::SIG_IGN;
    if is_default || before.sa_flags & libc::SA_RESETHAND != 0 {
        // A faulting instruction is run again after this handler, and then the kernel ends us.
        let _ = change_action(libc::SIGSEGV, Some(&plain_action(libc::SIG_DFL)));
    }
    if is_default {
        // Nothing is run again for a signal that was sent, nor for one that stands for another, which
        // found no room on the stack: the kernel says `SI_KERNEL` then.
        if !(1..libc::SI_KERNEL).contains(&code) {
            // SAFETY: no pointers; it is delivered when this handler no longer blocks it.
            unsafe { libc::raise(signal) };
        }
    } else if before.sa_flags & libc::SA_SIGINFO != 0 {
        type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
        // SAFETY: whoever installed it with this flag promised a function of this type.
        let handler = unsafe { mem::transmute::<libc::sighandler_t, Handler>(handler) };
        handler(signal, info, context);
    } else {
        type Handler = extern "C" fn(libc::c_int);
        // SAFETY: whoever installed it without the flag promised a function of this type.
        let handler = unsafe { mem::transmute::<libc::sighandler_t, Handler>(handler) };
        handler(signal);
    }
}

/// Bytes for the handlers' own frames, beside those that the kernel writes the registers to.
const HANDLER_LEN: usize = 16 << 10;

/// This thread's alternate signal stack, for as long as this lives, if it had none of its own: std
/// makes one for each thread that it starts, C does not.
#[derive(Debug)]
pub(crate) struct SignalStack {
    ours: Option<(NonNull<u8>, usize)>,
}

impl SignalStack {
    /// Without memory for one there is none, and an overflow on this thread ends in silence.
    pub(crate) fn ensure() -> Self {
        let has_one =
            change_signal_stack(None).is_ok_and(|old| old.ss_flags & libc::SS_DISABLE == 0);
        Self { ours: if has_one { None } else { install_signal_stack().ok() } }
    }
}

impl Drop for SignalStack {
    fn drop(&mut self) {
        let Some((start, len)) = self.ours else { return };
        let ours = start.addr().get()..start.addr().get() + len;
        if !change_signal_stack(None).is_ok_and(|now| ours.contains(&now.ss_sp.addr())) {
            // Somebody has put another in its place and may put this one back: it stays mapped.
            return;
        }
        let disabled = libc::stack_t {
            ss_sp: ptr::null_mut(),
            ss_flags: libc::SS_DISABLE,
            ss_size: len, // not looked at
        };
        if change_signal_stack(Some(&disabled)).is_ok() {
            // SAFETY: `install_signal_stack` mapped it for this value, and the kernel has let go of it.
            unsafe { release(start, len) };
        }
    }
}

/// Maps a stack of at least `HANDLER_LEN` over a guard, and has this thread's handlers use it.
fn install_signal_stack() -> io::Result<(NonNull<u8>, usize)> {
    let page = super::page_size();
    // SAFETY: no pointers.
    let frame = unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) } as usize;
    let len = page + (frame.max(libc::MINSIGSTKSZ) + HANDLER_LEN).next_multiple_of(page);
    let start = reserve(len)?;
    // SAFETY: the lowest page of what was reserved just now; nobody has seen it.
    let guarded = unsafe { protect(start, page) };
    let stack = libc::stack_t {
        ss_sp: start.as_ptr().wrapping_add(page).cast(),
        ss_flags: 0,
        ss_size: len - page,
    };
    match guarded.and_then(|()| change_signal_stack(Some(&stack))) {
        Ok(_) => Ok((start, len)),
        Err(refusal) => {
            // SAFETY: reserved above, and the kernel did not take it.
            unsafe { release(start, len) };
            Err(refusal)
        }
    }
}

/// Sets this thread's alternate signal stack, or leaves it; returns the one before.
fn change_signal_stack(to: Option<&libc::stack_t>) -> io::Result<libc::stack_t> {
    let mut before = libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: 0, ss_size: 0 };
    let to = to.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: both pointers are null or valid for the call, and a stack that is set stays mapped
    // until it is replaced (`SignalStack`).
    let failed = unsafe { libc::sigaltstack(to, &raw mut before) };
    if failed == 0 { Ok(before) } else { Err(io::Error::last_os_error()) }
}
