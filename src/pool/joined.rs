//! Joined: what a task is to its group and to its handle, whatever its closure.
//!
//! Layer 6. Imports: park, scope, task. Never: the types of closures.
//!
//! What is in here is compiled for each type of value, or once, and not for each closure: a program has a
//! few types of values and thousands of closures.

use super::group::Group;
pub(crate) use super::group::Role;
use crate::park::Class;
use crate::park::Running;
use crate::park::Why;
use crate::park::Worker;
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
use std::any::Any;
use std::cell::Cell;
use std::cell::UnsafeCell;
use std::fmt;
use std::mem::ManuallyDrop;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::ptr::NonNull;
use std::sync::Arc;

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
    membership: Membership,
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
    /// Writes the part of a task that does not depend on its closure, and hands the task to its group and to
    /// the scheduler.
    ///
    /// # Safety
    ///
    /// `place` begins a record whose other parts are written, and which `vtable` is for; the group is as for
    /// [`admit`](super::record::admit).
    pub(super) unsafe fn begin(
        place: *mut Self,
        worker: &Worker,
        group: *const Group,
        plan: Plan,
        vtable: &'static Vtable,
    ) -> NonNull<Self> {
        let Plan { id, name, stack, panic_goes, role, spawner } = plan;
        let base = CancelNode::new(worker.new_cancel_id(), Shield::Down);
        let fresh = Self {
            core: Core::new(id, name, stack, base, vtable),
            membership: Membership { group, panic_goes, role },
            outcome: UnsafeCell::new(ManuallyDrop::new(Outcome::Pending)),
        };
        // SAFETY: the caller has allocated a record.
        unsafe { place.write(fresh) };
        // SAFETY: written above, and nobody else knows of it.
        let joined = unsafe { &*place };
        // SAFETY: the pointer is to the whole record; the rest is passed on to the caller.
        unsafe { joined.membership.begin(worker, &joined.core, place.cast(), spawner) };
        // SAFETY: an allocation is never null.
        unsafe { NonNull::new_unchecked(place) }
    }

    /// The last that a task does: no user code runs after this.
    ///
    /// # Safety
    ///
    /// Once for each task, and by itself.
    pub(super) unsafe fn end(&self, me: Running) {
        // SAFETY: passed on to the caller.
        unsafe { self.membership.end(me, &self.core) };
    }

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

    pub(super) fn replace(&self, outcome: Outcome<T>) -> Outcome<T> {
        // SAFETY: until `finished` only the task itself touches this, after that only its handle, both
        // on this thread; and no reference outlives this function.
        let place = unsafe { &mut *self.outcome.get() };
        std::mem::replace(&mut **place, outcome)
    }

    /// Stores an outcome, and drops what was there.
    fn put(&self, outcome: Outcome<T>) {
        drop(self.replace(outcome));
    }

    /// Stores what became of a piece of the task's code, which has unwound; and which scope's
    /// cancellation has cut it.
    #[cold]
    pub(super) fn settle_unwound(
        &self,
        cut_by: &Cell<Option<CancelId>>,
        payload: Box<dyn Any + Send>,
    ) {
        let by = cutter(&self.core, &*payload);
        cut_by.set(by);
        // What was there before is `Pending`: the piece has not returned.
        self.put(Outcome::unwound(by, payload));
    }

    /// Drops the task's share of the values that it has inherited: if it is the last to hold one, its
    /// destructor is the task's own code.
    #[cold]
    pub(super) fn drop_bindings(&self, cut_by: &Cell<Option<CancelId>>) {
        let core = &self.core;
        while let Some(binding) = core.bindings.pop() {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(binding))) {
                core.unwinding.set(false);
                self.settle_further(cut_by, payload);
            }
            core.unwinding.set(false);
        }
    }

    /// Drops a value that nobody will ask for, as a part of the task.
    pub(super) fn drop_unclaimed(&self, cut_by: &Cell<Option<CancelId>>) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| self.put(Outcome::Pending))) {
            self.settle_unwound(cut_by, payload);
        }
        self.core.unwinding.set(false);
    }

    /// Stores what became of a further piece of the task's code, which has unwound, unless what is there
    /// is worth more.
    fn settle_further(&self, cut_by: &Cell<Option<CancelId>>, payload: Box<dyn Any + Send>) {
        let by = cutter(&self.core, &*payload);
        let outcome = Outcome::unwound(by, payload);
        if outcome.worth() > self.worth() {
            cut_by.set(by);
            scope::drop_value(self.replace(outcome));
        } else if let Outcome::Panicked(Some(payload)) = outcome {
            log_once_more(&self.core, payload);
        }
    }

    /// Tells the pool, the debugger or the log of an end that was not a return.
    pub(super) fn report(&self, me: Running, cut_by: Option<CancelId>) {
        let (core, membership) = (&self.core, &self.membership);
        let mut outcome = self.replace(Outcome::Pending);
        match &mut outcome {
            Outcome::Panicked(payload) => membership.report_panic(me, core, payload),
            Outcome::Cancelled(why) => membership.report_cut(me, core, cut_by, why),
            Outcome::Pending | Outcome::Returned(_) | Outcome::Failed => {}
        }
        self.put(outcome);
    }
}

/// Whose a task is, and who hears of its end. The group is null for `run`'s main task.
#[derive(Clone, Copy, Debug)]
struct Membership {
    group: *const Group,
    panic_goes: PanicGoes,
    role: Role,
}

impl Membership {
    /// Hands a new task to its group and to the scheduler.
    ///
    /// # Safety
    ///
    /// `record` points to the whole record of `core`, which nobody knows of; the group is as for
    /// [`admit`](super::record::admit).
    #[inline]
    unsafe fn begin(&self, worker: &Worker, core: &Core, record: *const Core, spawner: Spawner) {
        // SAFETY: the pointer is to the whole record; the worker outlives its tasks (I2).
        unsafe { core.settle_in(record, Arc::as_ptr(worker.inbox())) };
        // SAFETY: the task does not count yet, and the caller promises the same for now.
        let group = unsafe { self.group() };
        // SAFETY: the caller has a pool that is running, and does not move it.
        let scope = group.map(|group| unsafe { group.scope_of(worker, self.role) });
        // SAFETY: the record is not freed, and the task detaches its node before it leaves the group.
        unsafe { core.base.attach(scope.map(Scope::node), core) };
        core.set_innermost(&core.base);
        if spawner == Spawner::Here {
            core.bindings.inherit();
        }
        if let Some(group) = group {
            group.child_admitted(self.role);
        }
        // SAFETY: the worker's share of the record is released by the worker itself.
        unsafe { worker.admit(core) };
    }

    /// # Safety
    ///
    /// The task has not left the group's count, and does not as long as this is used: until then the group
    /// lives (`admit`).
    unsafe fn group(&self) -> Option<&Group> {
        // SAFETY: passed on to the caller.
        unsafe { self.group.as_ref() }
    }

    fn report_panic(&self, me: Running, core: &Core, payload: &mut Option<Box<dyn Any + Send>>) {
        let Some(raised) = payload else { unreachable!("a payload is given away once") };
        if let Some(debugger) = me.worker().debugger() {
            me.worker().hook_task("on_exception_raised", core, |_, task| {
                debugger.on_exception_raised(task, &**raised);
            });
        }
        // SAFETY: the task reports before it leaves the count.
        let group = unsafe { self.group() };
        if let (Some(group), PanicGoes::ToThePool) = (group, self.panic_goes) {
            payload.take().into_iter().for_each(|payload| {
                group.child_panicked(&core.name, core.id, payload);
            });
        } else if core.detached.get() {
            payload.take().into_iter().for_each(|payload| log_lost(&core.name, core.id, payload));
        }
    }

    fn report_cut(&self, me: Running, core: &Core, cut_by: Option<CancelId>, why: &mut Why) {
        // What was cancelled further out while the task cleaned up has cut nothing.
        let by = core.innermost().cancelled_one(cut_by);
        // Without a handle nobody would drop it.
        if !core.detached.get() {
            *why = Why::by(me, by);
        }
        // SAFETY: the task reports before it leaves the count.
        let group = unsafe { self.group() };
        if let (Some(group), Some(by)) = (group, by) {
            group.child_cut(by.id());
        }
        if me.worker().debugger().is_some() {
            me.worker().hook_task("after_cancel", core, |debugger, task| {
                debugger.after_cancel(task);
            });
        }
    }

    /// The last that a task does: no user code runs after this.
    /// # Safety
    ///
    /// As for [`Joined::end`].
    #[inline]
    unsafe fn end(&self, me: Running, core: &Core) {
        debug_assert!(core.bindings.is_empty(), "a task ended within a `scope`");
        core.finished.set(true);
        me.worker().forget_reason(&core.base);
        core.base.detach();
        while let Some(joiner) = core.joiners.claim_first() {
            me.wake(joiner);
        }
        // SAFETY: the task leaves the count in the next line, for the first time.
        if let Some(group) = unsafe { self.group() } {
            group.child_ended(me, self.role);
        }
    }
}

/// The scope whose cancellation has unwound a piece of the task's code with `payload`.
fn cutter(core: &Core, payload: &(dyn Any + Send)) -> Option<CancelId> {
    // One that was kept and resumed where nothing is cancelled counts as a panic.
    let pending = core.cancel_pending();
    scope::cancelled_scope(payload).filter(|_| pending)
}

#[cold]
fn log_once_more(core: &Core, payload: Box<dyn Any + Send>) {
    let (name, id, text) = (&core.name, core.id, scope::said(&*payload));
    local::log(log::Level::Error, format_args!("task '{name}' ({id}) panicked once more: {text}"));
    local::drop_caught(payload);
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
