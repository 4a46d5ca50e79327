//! Task: a coroutine with an identity.
//!
//! Layer 3. Imports: coroutine, stack, list, primitive. Never: workers, reactors, pools.
//!
//! One allocation holds everything about a task: this record, and behind it the closure and the
//! outcome, whose types only the spawner knows. All owners of the record live on one thread, so their
//! count is a plain number. What may borrow (closure, outcome) never waits for the last owner.

mod bindings;
pub(crate) mod cancel;
mod current;
mod identity;
pub(crate) mod inbox;
pub(crate) mod local;
pub(crate) mod phase;
mod task_local;
pub(crate) mod waiters;

use crate::coroutine::Coroutine;
use crate::coroutine::Suspender;
use crate::hooks::WaitReason;
use crate::stack::Bounds;
use crate::stack::Class;
use crate::stack::Line;
use crate::stack::Tenant;
use crate::stack::Tenants;
use crate::sys;
use bindings::Bindings;
use cancel::CancelNode;
pub use current::StackUsage;
pub use current::current;
pub use current::no_switch;
pub use current::no_unwind;
pub use current::remaining_stack;
pub use current::stack_usage;
pub(crate) use identity::Identity;
pub(crate) use identity::Name;
use inbox::Inbox;
use inbox::Letter;
use inbox::Message;
use phase::Phase;
use std::cell::Cell;
use std::cell::UnsafeCell;
use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr;
use std::ptr::NonNull;
use std::sync::Arc;
pub use task_local::AccessError;
pub use task_local::TaskLocal;
#[doc(no_inline)]
pub use task_local::task_local;
use waiters::Waiters;

/// A task's number, unique in its process for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(pub(crate) u64);

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Who may end a wait before what it waits for has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Abort {
    /// A cancellation, which is then raised. Under `no_unwind` nobody: there is nothing to say so with.
    Now,
    /// A cancellation, which is raised, or under `no_unwind` reported by the caller as an error.
    Report,
    /// Nobody: what it waits for will happen.
    Never,
}

/// Where the tenant of a stack points that is no task: a thread's call of `on_big_stack`.
pub(crate) static NO_TASK: u8 = 0;

/// What overflow reports ask of tasks.
pub(crate) const TENANTS: Tenants =
    Tenants { here: current::stack_here, describe: describe_tenant };

/// Says in an overflow report who runs on a stack.
///
/// # Safety
///
/// The tenant is the record of a task that has started and has not ended, or [`NO_TASK`].
unsafe fn describe_tenant(tenant: Tenant, line: &mut Line) {
    if ptr::eq(tenant.cast(), &raw const NO_TASK) {
        return line.push("a call of giambio::on_big_stack outside of a task");
    }
    // SAFETY: passed on to the caller.
    let core = unsafe { &*tenant.cast::<Core>() };
    line.push("task '");
    match core.name.chosen() {
        Some(chosen) => line.push_name(chosen),
        None => {
            let place = core.name.place();
            line.push_name(place.file());
            line.push(":");
            line.push_number(place.line().into());
        }
    }
    line.push("' (#");
    line.push_number(core.id.0);
    line.push(")");
}

/// What the creator of a record knows about the closure and the outcome behind it.
#[derive(Debug)]
pub(crate) struct Vtable {
    /// Runs the task from its first step to its end, on its own stack. Does not unwind (I4).
    pub(crate) root: unsafe fn(*const Core),
    /// Frees the record.
    pub(crate) free: unsafe fn(*const Core),
}

/// What every task has, whatever its types. The rest of the record lies behind it.
///
/// In the order of use: what a park, a wake-up and a switch touch lies in the first 128 bytes
/// (a thousand tasks' records do not fit into the second-level cache).
#[repr(C)]
pub(crate) struct Core {
    pub(crate) phase: Phase,
    /// The link of the run queue (I7).
    pub(crate) next: Cell<*const Core>,
    /// On the task's own stack, from the first step on.
    pub(crate) suspender: Cell<*const Suspender>,
    pub(crate) reason: Cell<WaitReason>,
    /// When the task parked, by the worker's coarse clock.
    pub(crate) since: Cell<u64>,
    /// Where on its stack the task parked last: what it needs first when it comes back.
    pub(crate) frames: Cell<*const u8>,
    /// Nothing may unwind out of this task while this is not 0.
    pub(crate) no_unwind: Cell<u32>,
    /// This task may not give up the CPU while this is not 0.
    pub(crate) no_switch: Cell<u32>,
    pub(crate) abort: Cell<Abort>,
    /// The innermost scope is cancelled: kept here so that a step reads no scope.
    cancel_pending: Cell<bool>,
    /// A panic or a cancellation was seen passing through this task's frames.
    pub(crate) unwinding: Cell<bool>,
    /// It is a cancellation that passes, or that was caught and kept.
    pub(crate) is_cut: Cell<bool>,
    /// Parked while it could not be told whether it was unwinding: it is not raised in.
    pub(crate) in_doubt: Cell<bool>,
    pub(crate) finished: Cell<bool>,
    /// The handle is gone: nobody will ask for the outcome.
    pub(crate) detached: Cell<bool>,
    /// Of the stack that it is on: its own, or that of a call of `on_big_stack`.
    pub(crate) stack: Cell<Class>,
    /// `None` before the first step and after the last. Only the scheduler touches it.
    pub(crate) coroutine: UnsafeCell<Option<Coroutine>>,
    /// The inbox of the task's worker, which outlives the task.
    pub(crate) home: Cell<*const Inbox>,
    pub(crate) id: TaskId,

    innermost: Cell<*const CancelNode>,
    pub(crate) base: CancelNode,
    vtable: &'static Vtable,
    pub(crate) joiners: Waiters,
    /// Cancellations raised since this task was last free of them.
    pub(crate) raises: Cell<u32>,
    /// One for the scheduler until the task has ended, one for its handle, one for each `TaskRef`.
    refs: Cell<u32>,
    pub(crate) name: Name,
    /// Empty when the task has ended.
    pub(crate) bindings: ManuallyDrop<Bindings>,
    /// What a wake-up from another thread is written on: it names the whole allocation that this record is
    /// the beginning of.
    pub(crate) letter: UnsafeCell<Letter>,
}

impl Core {
    pub(crate) fn new(
        id: TaskId,
        name: Name,
        stack: Class,
        base: CancelNode,
        vtable: &'static Vtable,
    ) -> Self {
        Self {
            phase: Phase::new(),
            next: Cell::new(ptr::null()),
            coroutine: UnsafeCell::new(None),
            suspender: Cell::new(ptr::null()),
            innermost: Cell::new(ptr::null()),
            base,
            vtable,
            reason: Cell::new(WaitReason::Runnable),
            abort: Cell::new(Abort::Never),
            no_unwind: Cell::new(0),
            no_switch: Cell::new(0),
            cancel_pending: Cell::new(false),
            unwinding: Cell::new(false),
            is_cut: Cell::new(false),
            in_doubt: Cell::new(false),
            raises: Cell::new(0),
            finished: Cell::new(false),
            detached: Cell::new(false),
            refs: Cell::new(2),
            joiners: Waiters::new(),
            home: Cell::new(ptr::null()),
            letter: UnsafeCell::new(Letter::new(Message::Wake(ptr::null()))),
            since: Cell::new(0),
            frames: Cell::new(ptr::null()),
            stack: Cell::new(stack),
            id,
            name,
            bindings: Bindings::new(),
        }
    }

    /// The innermost scope that the task's code is in.
    #[inline]
    pub(crate) fn innermost(&self) -> &CancelNode {
        // SAFETY: null only before the first `set_innermost`, which precedes every use; a scope
        // resets it before it ends, and the base node lies in this record.
        unsafe { &*self.innermost.get() }
    }

    #[inline]
    pub(crate) fn set_innermost(&self, node: &CancelNode) {
        self.innermost.set(node);
        self.cancel_pending.set(node.is_effective());
    }

    /// Whether a cancellation waits for this task's next checkpoint.
    #[inline]
    pub(crate) fn cancel_pending(&self) -> bool {
        self.cancel_pending.get()
    }

    /// Whether a cancellation may end the wait that the task is in.
    pub(crate) fn may_be_cancelled(&self) -> bool {
        match self.abort.get() {
            Abort::Now => self.no_unwind.get() == 0 && !self.in_doubt.get(),
            Abort::Report => !self.in_doubt.get(),
            Abort::Never => false,
        }
    }

    /// Tells the record where it lives and whose task it is. Called once, before anything else.
    ///
    /// # Safety
    ///
    /// `record` is the whole allocation that `self` begins; `home` was made by an `Arc` that outlives
    /// the task.
    #[inline]
    pub(crate) unsafe fn settle_in(&self, record: *const Core, home: *const Inbox) {
        self.home.set(home);
        // SAFETY: nobody else knows of the record yet.
        unsafe { *self.letter.get() = Letter::new(Message::Wake(record)) };
    }

    /// The whole record, with what lies behind this part of it.
    #[inline]
    fn whole(&self) -> *const Self {
        // SAFETY: written by `settle_in` before anybody else knew of the record, and read-only since; the
        // link beside it is an atomic.
        unsafe { &*self.letter.get() }.task()
    }

    /// A share of the inbox of the task's worker.
    #[cold]
    pub(crate) fn home(&self) -> Arc<Inbox> {
        let home = self.home.get();
        // SAFETY: made by an `Arc` (`settle_in`) that lives as long as the task.
        unsafe { Arc::increment_strong_count(home) };
        // SAFETY: the count was just raised for this one.
        unsafe { Arc::from_raw(home) }
    }

    /// Has the cache fetch what the next step and the one after it begin with: this task's innermost
    /// frames, and the record behind it in the run queue.
    ///
    /// With a thousand tasks none of that is in the second-level cache. Serving 1,000 connections took
    /// 1.12 µs outside of the kernel for each request with 3 lines of the frames, 0.66 with 10.
    #[inline]
    pub(crate) fn prefetch(&self) {
        const LINE: usize = 64;
        const LINES: usize = 10;
        let (frames, behind) = (self.frames.get(), self.next.get());
        // Looking up an address that is not mapped costs more than it could gain.
        if !frames.is_null() {
            // A suspender lies right below the base of its stack.
            let used = self.suspender.get().addr().saturating_sub(frames.addr());
            for line in 0..LINES.min(used / LINE + 1) {
                sys::prefetch(frames.wrapping_add(line * LINE));
            }
        }
        if !behind.is_null() {
            Self::prefetch_record(behind);
        }
    }

    /// Has the cache fetch the part of a record that a wake-up and a switch touch, which begins anywhere in a
    /// line.
    #[inline]
    pub(crate) fn prefetch_record(record: *const Self) {
        let hot = record.cast::<u8>();
        sys::prefetch(hot);
        sys::prefetch(hot.wrapping_add(64));
        sys::prefetch(hot.wrapping_add(127));
    }

    /// The stack that the task is on. Only for the running task, on that stack.
    pub(crate) fn stack_bounds(&self) -> Bounds {
        // A suspender lies right below the base of its stack.
        Bounds::around(self.suspender.get().addr(), self.stack.get())
    }

    /// Adds an owner.
    pub(crate) fn retain(&self) {
        self.refs.set(self.refs.get() + 1);
    }

    /// Takes an owner away.
    ///
    /// # Safety
    ///
    /// The caller is one of the owners and does not touch the record again.
    #[inline]
    pub(crate) unsafe fn release(core: *const Core) {
        // SAFETY: the caller is an owner, so the record is alive.
        let this = unsafe { &*core };
        let left = this.refs.get() - 1;
        this.refs.set(left);
        if left == 0 {
            // SAFETY: that was the last owner; the vtable was made for this very record.
            unsafe { (this.vtable.free)(this.whole()) };
        }
    }

    /// Runs the task from its first step to its last.
    ///
    /// # Safety
    ///
    /// Called once, on the task's own stack.
    #[inline]
    pub(crate) unsafe fn run(&self) {
        // SAFETY: the vtable was made for this very record, and the rest is passed on to the caller.
        unsafe { (self.vtable.root)(self.whole()) };
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A task's identity, and the right to cancel it; no hold on what it computes.
///
/// It stays on the task's thread and may outlive the task.
pub struct TaskRef {
    core: NonNull<Core>,
}

impl TaskRef {
    pub(crate) fn new(core: &Core) -> Self {
        core.retain();
        Self { core: NonNull::from(core) }
    }

    pub(crate) fn core(&self) -> &Core {
        // SAFETY: this reference is one of the record's owners.
        unsafe { self.core.as_ref() }
    }

    /// The task's number, unique in this process.
    pub fn id(&self) -> TaskId {
        self.core().id
    }

    /// The name that its spawner chose, or else where it was spawned.
    pub fn name(&self) -> String {
        self.core().name.to_string()
    }
}

impl Clone for TaskRef {
    fn clone(&self) -> Self {
        Self::new(self.core())
    }
}

impl Drop for TaskRef {
    fn drop(&mut self) {
        // SAFETY: `new` made this reference an owner; it is gone after this.
        unsafe { Core::release(self.core.as_ptr()) };
    }
}

impl fmt::Debug for TaskRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskRef").field("id", &self.id()).field("name", &self.name()).finish()
    }
}

impl fmt::Display for TaskRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' ({})", self.core().name, self.id())
    }
}
