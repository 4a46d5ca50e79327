//! Record: a task's one allocation, and its life from the first step to the last.
//!
//! Layer 6. Imports: park, task. Never: sockets, locks, who reads the outcome.
//!
//! [`Core`] comes first, then the rest of [`Joined`], then the closure, so that the scheduler needs no types
//! and a handle only the outcome's. The coroutine carries one pointer, so no closure is too big for it.
//!
//! Whose stack: the child drops its closure's remains, its task-locals, an unclaimed value and a payload
//! that nobody asked for on its own stack, inside the root's catch, before it leaves its pool's count.

use super::group::Group;
use super::joined::Joined;
use super::joined::Outcome;
use super::joined::Plan;
use super::joined::Receiver;
use crate::park;
use crate::park::Why;
use crate::task::Core;
use crate::task::Vtable;
use std::alloc::Layout;
use std::cell::Cell;
use std::hint::black_box;
use std::io;
use std::mem::ManuallyDrop;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::ptr;
use std::ptr::NonNull;

/// Everything about a task. `F` returns `None` if it has failed its pool itself.
#[repr(C)]
struct Record<F, T, R> {
    joined: Joined<T>,
    /// Moved out at the first step. Not in an `Option`, which would take room even for `()`.
    receiver: ManuallyDrop<R>,
    /// Taken at the first step.
    body: Cell<Option<F>>,
}

/// Makes a task and queues it. The pointer is the handle's share of the record.
///
/// # Errors
///
/// If no stack is to be had; nothing was made then, and `body` was dropped.
///
/// # Safety
///
/// `group` stays alive until the task has left its count, or is null for `run`'s main task; what `F`,
/// `T` and `R` borrow outlives the task; the handle's outcome is taken or forgotten while `T` is alive.
#[inline]
pub(crate) unsafe fn admit<F, T, R>(
    worker: &park::Worker,
    group: *const Group,
    plan: Plan,
    receiver: R,
    body: F,
) -> io::Result<NonNull<Joined<T>>>
where
    F: FnOnce() -> Option<T>,
    R: Receiver<T>,
{
    worker.reserve_stack(plan.stack)?;
    // SAFETY: passed on to the caller.
    Ok(unsafe { admit_reserved(worker, group, plan, receiver, body) })
}

/// Like [`admit`], for who has reserved the stack. Runs no code of `F`.
///
/// # Safety
///
/// As for [`admit`].
#[inline]
pub(crate) unsafe fn admit_reserved<F, T, R>(
    worker: &park::Worker,
    group: *const Group,
    plan: Plan,
    receiver: R,
    body: F,
) -> NonNull<Joined<T>>
where
    F: FnOnce() -> Option<T>,
    R: Receiver<T>,
{
    let layout = Layout::new::<Record<F, T, R>>();
    let record: *mut Record<F, T, R> = worker.records.allocate(layout).cast();
    // SAFETY: allocated above for this very type.
    let place = unsafe { &raw mut (*record).receiver };
    // SAFETY: as above.
    unsafe { place.write(ManuallyDrop::new(receiver)) };
    // SAFETY: as above.
    let place = unsafe { &raw mut (*record).body };
    // SAFETY: as above.
    unsafe { place.write(Cell::new(Some(body))) };
    // SAFETY: the record begins with this, and the rest of it is written; the caller promises the same.
    unsafe { Joined::begin(record.cast(), worker, group, plan, Record::<F, T, R>::VTABLE) }
}

impl<F, T, R> Record<F, T, R>
where
    F: FnOnce() -> Option<T>,
    R: Receiver<T>,
{
    const VTABLE: &'static Vtable = &Vtable { root: Self::root, free: Self::free };

    /// # Safety
    ///
    /// `core` points to a live `Record<F, T, R>` as a whole, and this is the task's first step.
    unsafe fn root(core: *const Core) {
        // SAFETY: the caller's promise; the record is `repr(C)`, so the pointers are the same.
        let record = unsafe { &*core.cast::<Self>() };
        record.live();
    }

    /// # Safety
    ///
    /// `core` points to a whole `Record<F, T, R>` made by `admit` that nobody else refers to.
    unsafe fn free(core: *const Core) {
        let record = core.cast_mut().cast::<Self>();
        // SAFETY: the caller's promise.
        unsafe { record.drop_in_place() };
        // SAFETY: allocated by `admit` for this very type, and dropped above.
        unsafe { park::free_record(record.cast(), Layout::new::<Self>()) };
    }

    /// A task's whole life. Nothing unwinds out of this (I4): whatever could is caught, and a panic
    /// in our own code meets a root that aborts.
    fn live(&self) {
        // SAFETY: done once, at the first step, and nobody else looks at the field.
        let receiver = unsafe { ptr::read(&raw const *self.receiver) };
        let (joined, cut_by) = (&self.joined, Cell::new(None));
        // Into its place at once, and not by way of return values: a debug build would copy a large one
        // from frame to frame until the stack is full.
        let run = AssertUnwindSafe(|| drop(joined.replace(self.run())));
        if let Err(payload) = catch_unwind(run) {
            joined.settle_unwound(&cut_by, payload);
        }
        joined.core.unwinding.set(false);
        if !joined.core.bindings.is_empty() {
            joined.drop_bindings(&cut_by);
        }
        // Whatever becomes of a value that nobody asks for is part of the task.
        if joined.has_returned() && (joined.core.detached.get() || receiver.is_gone()) {
            joined.drop_unclaimed(&cut_by);
        }
        let Some(me) = park::current() else { unreachable!("a task runs and is not current") };
        if !joined.has_returned() {
            joined.report(me, cut_by.get());
        }
        receiver.receive(me, joined);
        // SAFETY: a task lives once.
        unsafe { joined.end(me) };
    }

    /// Runs the closure, or drops it if the task was cancelled before.
    fn run(&self) -> Outcome<T> {
        if self.joined.core.cancel_pending() {
            drop(self.body.take());
            return Outcome::Cancelled(Why::default());
        }
        match __rust_begin_short_backtrace(|| self.run_body()) {
            Some(value) => Outcome::Returned(value),
            None => Outcome::Failed,
        }
    }

    fn run_body(&self) -> Option<T> {
        match self.body.take() {
            Some(body) => body(),
            None => unreachable!("a task was started twice"),
        }
    }
}

/// std cuts backtraces at frames of this name, which leaves out what lies below a task's body.
#[inline(never)]
fn __rust_begin_short_backtrace<T>(f: impl FnOnce() -> T) -> T {
    let value = f();
    black_box(());
    value
}
