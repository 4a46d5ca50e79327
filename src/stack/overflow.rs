//! Overflow: whose stack was it that ran into its guard?
//!
//! Layer 1. Imports: sys, its own folder. Never: what a tenant is (whoever lends stacks says how one
//! is described), which thread runs what.
//!
//! Everything here runs in a signal handler, or is what the handler reads: no allocation, no lock, no
//! thread-local. Chosen: a look-up by address in a list of all chunks of the process. Rejected: asking
//! for the thread's current task (the thread-local of a shared library may be allocated at its first
//! use, which a handler must not do). Only where the stack pointer lies in another stack of ours is the
//! task asked for: the thread has used its thread-local then.

use super::Bounds;
use super::Class;
use super::Tenant;
use super::arena;
use crate::sys;
use crate::sys::Fault;
use std::ptr;
use std::ptr::NonNull;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::atomic::fence;

/// What whoever lends stacks knows of those that run on them. Both functions are async-signal-safe.
#[derive(Debug)]
pub(crate) struct Tenants {
    /// The stack that this thread's tenant is on. Called on threads that have a tenant, or had one.
    pub(crate) here: fn() -> Option<Bounds>,
    /// Writes down who a tenant is.
    ///
    /// # Safety
    ///
    /// The tenant is one that [`Slot::lend`](super::Slot::lend) was given, and the call is made on the
    /// thread that runs on its stack.
    pub(crate) describe: unsafe fn(Tenant, &mut Line),
}

static TENANTS: OnceLock<Tenants> = OnceLock::new();

/// Has overflows reported from now on, in this process. Only the first call's argument counts.
pub(crate) fn report_overflows(tenants: Tenants) {
    TENANTS.get_or_init(|| tenants);
    sys::watch_faults(look);
}

/// A chunk of slots, as the handler sees it. Never freed, but used again for another chunk.
pub(super) struct Region {
    /// Odd while the fields below are being changed: a reader that meets it, or sees it change, skips
    /// this region, which then cannot be the one that it looks for: a task runs on that.
    version: AtomicUsize,
    start: AtomicUsize,
    len: AtomicUsize,
    class: AtomicU8,
    next: Option<&'static Region>,
}

static FIRST: AtomicPtr<Region> = AtomicPtr::new(ptr::null_mut());

/// Regions without a chunk. The lock also makes writers take turns.
static VACANT: Mutex<Vec<&'static Region>> = Mutex::new(Vec::new());

fn vacant() -> MutexGuard<'static, Vec<&'static Region>> {
    VACANT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a chunk known to the handler, until `forget`.
pub(super) fn watch(start: NonNull<u8>, len: usize, class: Class) -> &'static Region {
    let mut vacant = vacant();
    if let Some(region) = vacant.pop() {
        region.set(start.addr().get(), len, class);
        return region;
    }
    let first = FIRST.load(Ordering::Relaxed);
    let region: &'static Region = Box::leak(Box::new(Region {
        version: AtomicUsize::new(0),
        start: AtomicUsize::new(start.addr().get()),
        len: AtomicUsize::new(len),
        class: AtomicU8::new(class.0),
        // SAFETY: null, or a region that was leaked here.
        next: unsafe { first.as_ref() },
    }));
    FIRST.store(ptr::from_ref(region).cast_mut(), Ordering::Release);
    region
}

/// The chunk is about to be unmapped.
pub(super) fn forget(region: &'static Region) {
    let mut vacant = vacant();
    region.set(0, 0, Class(0));
    vacant.push(region);
}

impl Region {
    /// By the holder of the lock on `VACANT`. A sequence lock, for readers that may interrupt it.
    fn set(&self, start: usize, len: usize, class: Class) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        self.start.store(start, Ordering::Relaxed);
        self.len.store(len, Ordering::Relaxed);
        self.class.store(class.0, Ordering::Relaxed);
        self.version.store(version + 2, Ordering::Release);
    }

    /// The slot that `address` lies in, if it is one of this region's.
    fn find(&self, address: usize) -> Option<Spot> {
        let version = self.version.load(Ordering::Acquire);
        let start = self.start.load(Ordering::Relaxed);
        let len = self.len.load(Ordering::Relaxed);
        let class = Class(self.class.load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        if version % 2 == 1 || self.version.load(Ordering::Relaxed) != version {
            return None;
        }
        let distance = address.checked_sub(start).filter(|&distance| distance < len)?;
        let index = distance / arena::stride(class);
        Some(Spot { limit: start + index * arena::stride(class), index, class })
    }
}

/// A slot, found by an address in it.
struct Spot {
    limit: usize,
    index: usize,
    class: Class,
}

fn find(address: usize) -> Option<Spot> {
    // SAFETY: null, or a region that was leaked.
    let mut next = unsafe { FIRST.load(Ordering::Acquire).as_ref() };
    while let Some(region) = next {
        if let Some(spot) = region.find(address) {
            return Some(spot);
        }
        next = region.next;
    }
    None
}

/// Whether the code that has faulted belongs on this stack. A wild pointer into somebody's guard is no
/// overflow, and whoever runs there may be on another thread.
fn belongs(spot: &Spot, stack_pointer: usize, tenants: &Tenants) -> bool {
    let slot = spot.limit..spot.limit + arena::stride(spot.class);
    if slot.contains(&stack_pointer) {
        return true;
    }
    // C code built without probes moves the pointer by a whole frame before the first access: past the
    // guard and into the stack below.
    let usable = spot.limit + arena::guard_len(spot.class);
    find(stack_pointer).is_some() && (tenants.here)().is_some_and(|stack| stack.low == usable)
}

/// Ends the process with a report if a task has run into the guard of its stack.
fn look(fault: &Fault) {
    let Some(spot) = find(fault.address) else { return };
    if fault.address - spot.limit >= arena::guard_len(spot.class) {
        return;
    }
    let (Some(tenants), Some(stack_pointer)) = (TENANTS.get(), fault.stack_pointer) else { return };
    if !belongs(&spot, stack_pointer, tenants) {
        return;
    }
    let base = arena::base_of(spot.limit, spot.index, spot.class);
    let tenant: *const Tenant = ptr::with_exposed_provenance(base);
    // SAFETY: I6: this address lies above the usable bytes of a slot whose chunk is mapped, since this
    // thread runs on it. It is written by that thread only, before and after a tenant has run.
    let tenant = unsafe { tenant.read() };
    if tenant.is_null() {
        return;
    }
    let mut line = Line::new();
    line.push("\ngiambio: ");
    // SAFETY: the tenant of the stack that this thread runs on; a slot that is given back has none.
    unsafe { (tenants.describe)(tenant, &mut line) };
    line.push(" has overflowed its stack of ");
    line.push_number(spot.class.usable_len() as u64 / 1024);
    line.push(
        " KiB: raise it with TaskBuilder::stack_size or Builder::stack_size, or make the deep call in \
         giambio::on_big_stack\n",
    );
    sys::abort_with(&[line.text()]);
}

/// A line of text in a fixed buffer, for a signal handler.
pub(crate) struct Line {
    bytes: [u8; Self::CAPACITY],
    len: usize,
}

impl Line {
    const CAPACITY: usize = 512;
    /// What a name may take, so that the rest of the line finds room.
    const NAME_MAX: usize = 256;

    fn new() -> Self {
        Self { bytes: [0; Self::CAPACITY], len: 0 }
    }

    /// Appends a text, as far as there is room.
    pub(crate) fn push(&mut self, text: &str) {
        text.chars().for_each(|char| self.push_char(char));
    }

    /// Appends a name of the user's choice: its beginning, without line breaks and other controls.
    pub(crate) fn push_name(&mut self, name: &str) {
        let end = self.len + Self::NAME_MAX;
        for char in name.chars() {
            if self.len + char.len_utf8() > end {
                return self.push("...");
            }
            self.push_char(if char.is_control() { ' ' } else { char });
        }
    }

    pub(crate) fn push_number(&mut self, number: u64) {
        if number >= 10 {
            self.push_number(number / 10);
        }
        self.push_char(char::from(b'0' + (number % 10) as u8)); // a digit
    }

    fn push_char(&mut self, char: char) {
        if self.len + char.len_utf8() <= Self::CAPACITY {
            self.len += char.encode_utf8(&mut self.bytes[self.len..]).len();
        }
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or("")
    }
}

#[cfg(test)]
#[path = "overflow_tests.rs"]
mod tests;
