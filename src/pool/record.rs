//! Record: a task's one allocation, and its life from the first step to the last.
//!
//! Layer 6. Imports: park, scope, task. Never: sockets, locks, who reads the outcome.
//!
//! [`Core`] comes first, then the outcome, then the closure, so that the scheduler needs no types and
//! a handle only the outcome's. The coroutine carries one pointer, so no closure is too big for it.
//!
//! Whose stack: the child drops its closure's remains, its task-locals, an unclaimed value and a payload
//! that nobody asked for on its own stack, inside the root's catch, before it leaves its pool's count.

use super::group::Group;
pub(crate) use super::group::Role;
use crate::park;
use crate::park::Class;
use crate::park::Running;
use crate::park::Why;
use crate::scope;
use crate::scope::Scope;
use crate::task::Core;
use crate::task::Name;
use crate::task::TaskId;
use crate::task::Vtable;
use crate::task::cancel::CancelId;
use crate::task::cancel::CancelNode;
use crate::task::cancel::Shield;
use crate::task::local;
use std::alloc::Layout;
use std::any::Any;
use std::cell::Cell;
use std::cell::UnsafeCell;
use std::fmt;
use std::hint::black_box;
use std::io;
use std::mem::ManuallyDrop;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::ptr;
use std::ptr::NonNull;
use std::sync::Arc;

/// How a task ended, as its handle sees it.
#[derive(Debug)]
pub(crate) enum Outcome<T> {
    /// It has not ended, or the outcome was taken.
    Pending,
    Returned(T),
    /// The payload is `None` if it went to the pool.
    Panicked(Option<Box<dyn Any + Send>>),
    /// It returned an error, which went to its pool.
    Failed,
    Cancelled(Why),
}

impl<T> Outcome<T> {
    /// Of a piece of the task's code that has unwound, cut `by` a scope or else by a panic.
    fn unwound(by: Option<CancelId>, payload: Box<dyn Any + Send>) -> Self {
        match by {
            Some(_) => Self::Cancelled(Why::default()),
            None => Self::Panicked(Some(payload)),
        }
    }

    /// A panic is worth more than an error, both are worth more than a cancellation, and each of them
    /// more than a value.
    fn worth(&self) -> u8 {
        match self {
            Self::Pending | Self::Returned(_) => 0,
            Self::Cancelled(_) => 1,
            Self::Failed => 2,
            Self::Panicked(_) => 3,
        }
    }
}

/// Who hears of a task's panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PanicGoes {
    ToThePool,
    ToTheHandle,
}

/// The part of a record that its handle knows.
#[repr(C)]
pub(crate) struct Joined<T> {
    pub(crate) core: Core,
    /// Not dropped with the record, which a `TaskRef` may keep longer than `T` lives. Who forgets a
    /// handle forgets the value.
    outcome: UnsafeCell<ManuallyDrop<Outcome<T>>>,
}

/// Who hears of a task's end beside its handle: asked on the task's own stack, after the last of its code
/// and before it leaves its group's count.
pub(crate) trait Receiver<T> {
    /// Whether nobody will ask for a value, so that it is dropped as a part of the task.
    fn is_gone(&self) -> bool;

    /// The task has ended but for this, which may park and does not unwind.
    fn receive(self, me: Running, joined: &Joined<T>);
}

/// Of a task with a handle, which looks by itself.
impl<T> Receiver<T> for () {
    #[inline]
    fn is_gone(&self) -> bool {
        false
    }

    #[inline]
    fn receive(self, _: Running, _: &Joined<T>) {}
}

impl<T> Joined<T> {
    /// Whether the task has come to an outcome, which nobody has taken, although it may still wait for
    /// others. Not while it runs.
    pub(crate) fn has_ended(&self) -> bool {
        // SAFETY: as in `replace`.
        let outcome = unsafe { &*self.outcome.get() };
        !matches!(**outcome, Outcome::Pending)
    }

    /// Whether there is a value to take. Only the owner of the handle, once the task has ended.
    pub(crate) fn has_returned(&self) -> bool {
        // SAFETY: as in `replace`.
        let outcome = unsafe { &*self.outcome.get() };
        matches!(**outcome, Outcome::Returned(_))
    }

    /// See [`Outcome::worth`].
    fn worth(&self) -> u8 {
        // SAFETY: as in `replace`.
        let outcome = unsafe { &*self.outcome.get() };
        outcome.worth()
    }

    /// Takes the outcome away. Only the owner of the handle, once the task has ended.
    pub(crate) fn take_outcome(&self) -> Outcome<T> {
        debug_assert!(self.core.finished.get(), "an outcome was asked for too early");
        self.replace(Outcome::Pending)
    }

    /// Takes the outcome away, for the task's receiver.
    pub(crate) fn hand_over(&self) -> Outcome<T> {
        debug_assert!(!self.core.finished.get(), "an outcome was handed over too late");
        self.replace(Outcome::Pending)
    }

    fn replace(&self, outcome: Outcome<T>) -> Outcome<T> {
        // SAFETY: until `finished` only the task itself touches this, after that only its handle, both
        // on this thread; and no reference outlives this function.
        let place = unsafe { &mut *self.outcome.get() };
        std::mem::replace(&mut **place, outcome)
    }
}

/// Everything about a task. `F` returns `None` if it has failed its pool itself.
#[repr(C)]
struct Record<F, T, R> {
    joined: Joined<T>,
    /// Null for `run`'s main task.
    group: *const Group,
    panic_goes: PanicGoes,
    role: Role,
    /// Moved out at the first step. Not in an `Option`, which would take room even for `()`.
    receiver: ManuallyDrop<R>,
    /// Taken at the first step.
    body: Cell<Option<F>>,
}

/// What a spawner decides about a task.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) id: TaskId,
    pub(crate) name: Name,
    pub(crate) stack: Class,
    pub(crate) panic_goes: PanicGoes,
    pub(crate) role: Role,
    pub(crate) spawner: Spawner,
}

/// Where a task was spawned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spawner {
    /// On its own thread, whose bindings it inherits.
    Here,
    /// On another one.
    Elsewhere,
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
    let base = CancelNode::new(worker.new_cancel_id(), Shield::Down);
    let fresh = Record::<F, T, R> {
        joined: Joined {
            core: Core::new(plan.id, plan.name, plan.stack, base, Record::<F, T, R>::VTABLE),
            outcome: UnsafeCell::new(ManuallyDrop::new(Outcome::Pending)),
        },
        group,
        panic_goes: plan.panic_goes,
        role: plan.role,
        receiver: ManuallyDrop::new(receiver),
        body: Cell::new(Some(body)),
    };
    // SAFETY: allocated above for this very type.
    unsafe { record.write(fresh) };
    // SAFETY: written above, and nobody else knows of it.
    let core = unsafe { &(*record).joined.core };
    // SAFETY: the pointer is to the whole record; the worker outlives its tasks (I2).
    unsafe { core.settle_in(record.cast(), Arc::as_ptr(worker.inbox())) };
    // SAFETY: the caller keeps the group alive as long as the task counts.
    let group = unsafe { group.as_ref() };
    // SAFETY: the caller has a pool that is running, and does not move it.
    let scope = group.map(|group| unsafe { group.scope_of(worker, plan.role) });
    // SAFETY: the record is not freed, and the task detaches its node before it leaves the group.
    unsafe { core.base.attach(scope.map(Scope::node), core) };
    core.set_innermost(&core.base);
    if plan.spawner == Spawner::Here {
        core.bindings.inherit();
    }
    if let Some(group) = group {
        group.child_admitted(plan.role);
    }
    // SAFETY: the worker's share of the record is released by the worker itself.
    unsafe { worker.admit(core) };
    // SAFETY: an allocation is never null.
    unsafe { NonNull::new_unchecked(record.cast()) }
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
        let core = &self.joined.core;
        let cut_by = Cell::new(None);
        if core.cancel_pending() {
            self.settle(&cut_by, || {
                drop(self.body.take());
                Outcome::Cancelled(Why::default())
            });
        } else {
            self.settle(&cut_by, || match __rust_begin_short_backtrace(|| self.run_body()) {
                Some(value) => Outcome::Returned(value),
                None => Outcome::Failed,
            });
        }
        if !core.bindings.is_empty() {
            self.drop_bindings(&cut_by);
        }
        // Whatever becomes of a value that nobody asks for is part of the task.
        if (core.detached.get() || receiver.is_gone()) && self.joined.has_returned() {
            self.settle(&cut_by, || {
                drop(self.joined.replace(Outcome::Pending));
                Outcome::Pending
            });
        }
        let Some(me) = park::current() else { unreachable!("a task runs and is not current") };
        self.report(me, cut_by.get());
        receiver.receive(me, &self.joined);
        self.end(me);
    }

    fn run_body(&self) -> Option<T> {
        match self.body.take() {
            Some(body) => body(),
            None => unreachable!("a task was started twice"),
        }
    }

    /// Runs a piece of the task's code, which may unwind, and stores what became of it, and which scope's
    /// cancellation has cut it.
    ///
    /// In its place at once, and not by way of return values: a debug build would copy a large one from
    /// frame to frame until the stack is full.
    fn settle(&self, cut_by: &Cell<Option<CancelId>>, piece: impl FnOnce() -> Outcome<T>) {
        let caught = catch_unwind(AssertUnwindSafe(|| drop(self.joined.replace(piece()))));
        if let Err(payload) = caught {
            let by = self.cutter(&*payload);
            cut_by.set(by);
            // What was there before is `Pending`: the piece has not returned.
            drop(self.joined.replace(Outcome::unwound(by, payload)));
        }
        self.joined.core.unwinding.set(false);
    }

    /// The scope whose cancellation has unwound a piece of the task's code with `payload`.
    fn cutter(&self, payload: &(dyn Any + Send)) -> Option<CancelId> {
        // One that was kept and resumed where nothing is cancelled counts as a panic.
        let pending = self.joined.core.cancel_pending();
        scope::cancelled_scope(payload).filter(|_| pending)
    }

    /// Drops the task's share of the values that it has inherited: if it is the last to hold one, its
    /// destructor is the task's own code.
    #[cold]
    fn drop_bindings(&self, cut_by: &Cell<Option<CancelId>>) {
        let core = &self.joined.core;
        while let Some(binding) = core.bindings.pop() {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(binding))) {
                core.unwinding.set(false);
                self.settle_further(cut_by, payload);
            }
            core.unwinding.set(false);
        }
    }

    /// Stores what became of a further piece of the task's code, which has unwound, unless what is there
    /// is worth more.
    fn settle_further(&self, cut_by: &Cell<Option<CancelId>>, payload: Box<dyn Any + Send>) {
        let by = self.cutter(&*payload);
        let outcome = Outcome::unwound(by, payload);
        if outcome.worth() > self.joined.worth() {
            cut_by.set(by);
            scope::drop_value(self.joined.replace(outcome));
        } else if let Outcome::Panicked(Some(payload)) = outcome {
            let (core, text) = (&self.joined.core, scope::said(&*payload));
            local::log(
                log::Level::Error,
                format_args!("task '{}' ({}) panicked once more: {text}", core.name, core.id),
            );
            local::drop_caught(payload);
        }
    }

    /// Tells the pool, the debugger or the log of an end that was not a return.
    fn report(&self, me: Running, cut_by: Option<CancelId>) {
        let core = &self.joined.core;
        if self.joined.has_returned() {
            return;
        }
        let mut outcome = self.joined.replace(Outcome::Pending);
        // SAFETY: the group lives until this task has left its count.
        let group = unsafe { self.group.as_ref() };
        match &mut outcome {
            Outcome::Panicked(payload) => {
                let Some(raised) = payload else { unreachable!("a payload is given away once") };
                if let Some(debugger) = me.worker().debugger() {
                    me.worker().hook_task("on_exception_raised", core, |_, task| {
                        debugger.on_exception_raised(task, &**raised);
                    });
                }
                if let (Some(group), PanicGoes::ToThePool) = (group, self.panic_goes) {
                    payload.take().into_iter().for_each(|payload| {
                        group.child_panicked(&core.name, core.id, payload);
                    });
                } else if core.detached.get() {
                    let log = |payload| log_lost(&core.name, core.id, payload);
                    payload.take().into_iter().for_each(log);
                }
            }
            Outcome::Cancelled(why) => {
                // What was cancelled further out while the task cleaned up has cut nothing.
                let by = core.innermost().cancelled_one(cut_by);
                // Without a handle nobody would drop it.
                if !core.detached.get() {
                    *why = Why::by(me, by);
                }
                if let (Some(group), Some(by)) = (group, by) {
                    group.child_cut(by.id());
                }
                if me.worker().debugger().is_some() {
                    me.worker().hook_task("after_cancel", core, |debugger, task| {
                        debugger.after_cancel(task);
                    });
                }
            }
            Outcome::Pending | Outcome::Returned(_) | Outcome::Failed => {}
        }
        drop(self.joined.replace(outcome));
    }

    /// The last that a task does: no user code runs after this.
    fn end(&self, me: Running) {
        let core = &self.joined.core;
        debug_assert!(core.bindings.is_empty(), "a task ended within a `scope`");
        core.finished.set(true);
        me.worker().forget_reason(&core.base);
        core.base.detach();
        while let Some(joiner) = core.joiners.claim_first() {
            me.wake(joiner);
        }
        // SAFETY: the group lives until the next line has run.
        if let Some(group) = unsafe { self.group.as_ref() } {
            group.child_ended(me, self.role);
        }
    }
}

/// A failure is never lost: a panic that no handle will hand out goes to the log.
pub(crate) fn log_lost(name: &dyn fmt::Display, id: TaskId, payload: Box<dyn Any + Send>) {
    let text = scope::said(&*payload);
    local::log(
        log::Level::Error,
        format_args!("task '{name}' ({id}) panicked, and nobody joined it: {text}"),
    );
    local::drop_caught(payload);
}

/// std cuts backtraces at frames of this name, which leaves out 26 frames of ours.
#[inline(never)]
fn __rust_begin_short_backtrace<T>(f: impl FnOnce() -> T) -> T {
    let value = f();
    black_box(());
    value
}
