//! Group: the children of one pool, and what becomes of their failures.
//!
//! Layer 6. Imports: scope, park, wait_queue, task. Never: the types of what children return.
//!
//! A group lies on its parent's stack, in a frame that does not end before the last child has (I3).
//!
//! The body runs in the *outer* scope. A plain pool's children have an *inner* one below it, so that
//! `cancel` and the deadline reach them and not the body, while a failure cancels both by cancelling
//! the outer one. Where the type says that the body may be cut, one scope does for both.

use crate::clock::Nanos;
use crate::hooks::WaitReason;
use crate::park;
use crate::park::Running;
use crate::park::Worker;
use crate::scope;
use crate::scope::Scope;
use crate::sys;
use crate::task::Abort;
use crate::task::Name;
use crate::task::TaskId;
use crate::task::cancel::CancelId;
use crate::task::cancel::CancelNode;
use crate::task::cancel::Cause;
use crate::task::cancel::Shield;
use crate::task::local;
use crate::task::phase::Winner;
use crate::task::waiters::Waiters;
use crate::wait_queue;
use std::any::Any;
use std::cell::Cell;
use std::cell::OnceCell;

/// What becomes of a pool's other tasks, and of its body, when a task or the body fails.
///
/// See [`Pool::on_failure`](crate::Pool::on_failure).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnFailure {
    /// They are cancelled.
    #[default]
    CancelOthers,
    /// They go on to their end, and only then the pool fails.
    LetOthersFinish,
}

/// Whether a pool waits for a task, or only for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The pool ends when it has.
    Ordinary,
    /// It is cancelled when the ordinary ones have ended.
    Daemon,
}

/// What `cancel` and the deadline of a group reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The children.
    Children,
    /// The body too: it may end without a value.
    Body,
}

static POOL_FAILED: Cause = Cause::Known("its pool has failed");
static POOL_ENDED: Cause = Cause::Known("only daemons were left in its pool");

/// The children of one pool.
pub(crate) struct Group {
    outer: Scope,
    inner: Option<Scope>,
    /// Where daemons are, once there is one: below the scope of the other children.
    daemon_scope: OnceCell<Scope>,
    on_failure: Cell<OnFailure>,
    /// Children that have not ended.
    live: Cell<usize>,
    /// Daemons among them.
    daemons: Cell<usize>,
    /// The parent, once it waits for them.
    parent: Waiters,
    /// The first panic.
    panic: Cell<Option<Box<dyn Any + Send>>>,
    /// A child was cut by this group's own cancellation.
    cut: Cell<bool>,
}

impl Group {
    pub(crate) fn new(worker: &Worker, reach: Reach) -> Self {
        Self {
            outer: Scope::new(worker, Shield::Down),
            inner: (reach == Reach::Children).then(|| Scope::new(worker, Shield::Down)),
            daemon_scope: OnceCell::new(),
            on_failure: Cell::new(OnFailure::CancelOthers),
            live: Cell::new(0),
            daemons: Cell::new(0),
            parent: Waiters::new(),
            panic: Cell::new(None),
            cut: Cell::new(false),
        }
    }

    /// The scope that `cancel`, the deadline and the children belong to.
    pub(crate) fn scope(&self) -> &Scope {
        self.inner.as_ref().unwrap_or(&self.outer)
    }

    /// The scope of a child of this role.
    ///
    /// # Safety
    ///
    /// The group stays where it is until `run` has returned, and `run` was called; or else until `close`,
    /// and it was hung below a scope.
    #[inline]
    pub(crate) unsafe fn scope_of(&self, worker: &Worker, role: Role) -> &Scope {
        if role == Role::Ordinary {
            return self.scope();
        }
        self.daemon_scope.get_or_init(|| Scope::new(worker, Shield::Down));
        let Some(scope) = self.daemon_scope.get() else { unreachable!("made above") };
        if scope.node().parent().is_none() {
            // SAFETY: both lie in this group, and `run` closes this one first; the rest is passed on to
            // the caller.
            unsafe { scope.hang_below(self.scope().node()) };
        }
        scope
    }

    /// Opens a group that has no body, below a scope whose task waits for its children.
    ///
    /// # Safety
    ///
    /// Both stay alive and in place until `close`.
    pub(crate) unsafe fn hang_below(&self, parent: &CancelNode) {
        debug_assert!(self.inner.is_none(), "a group without a body has one scope");
        // SAFETY: passed on to the caller.
        unsafe { self.outer.hang_below(parent) };
    }

    /// Ends a group without a body. Its last child has ended.
    pub(crate) fn close(&self) {
        debug_assert!(self.live.get() == 0, "a group was closed before its last child had ended");
        self.outer.close();
    }

    /// Children that have not ended.
    pub(crate) fn live(&self) -> usize {
        self.live.get()
    }

    /// Parks the task that waits for the children, until the last has ended, or the deadline, or
    /// [`look_again`](Self::look_again).
    pub(crate) fn wait(&self, me: Running, deadline: Option<Nanos>, reason: WaitReason) -> Winner {
        wait_queue::wait(me, &self.parent, deadline, reason, Abort::Never)
    }

    /// Ends the wait of who waits for the children.
    pub(crate) fn look_again(&self) {
        self.parent.claim_first().into_iter().for_each(|parent| park::queue_here(parent));
    }

    pub(crate) fn child_admitted(&self, role: Role) {
        self.live.set(self.live.get() + 1);
        self.daemons.set(self.daemons.get() + usize::from(role == Role::Daemon));
    }

    /// A child has left its last frame of user code.
    pub(crate) fn child_ended(&self, me: Running, role: Role) {
        let left = self.live.get() - 1;
        self.live.set(left);
        self.daemons.set(self.daemons.get() - usize::from(role == Role::Daemon));
        // The parent may now stop the daemons, once.
        if left == 0 || (left == self.daemons.get() && !self.daemons_are_stopped()) {
            self.parent.claim_first().into_iter().for_each(|parent| me.wake(parent));
        }
    }

    fn daemons_are_stopped(&self) -> bool {
        self.daemon_scope.get().is_none_or(|scope| scope.node().is_cancelled())
    }

    pub(crate) fn set_on_failure(&self, policy: OnFailure) {
        self.on_failure.set(policy);
    }

    /// A child was stopped by the scope `by`.
    pub(crate) fn child_cut(&self, by: CancelId) {
        if by == self.outer.id() {
            self.cut.set(true);
        }
    }

    /// A child, or the body, has failed: everything else stops, unless it was told otherwise.
    pub(crate) fn fail(&self) {
        if self.on_failure.get() == OnFailure::CancelOthers {
            self.outer.cancel(&POOL_FAILED);
        }
    }

    /// A child has panicked. The first payload goes to the parent, the others to the log.
    pub(crate) fn child_panicked(&self, name: &Name, id: TaskId, payload: Box<dyn Any + Send>) {
        self.panicked(payload, |text| {
            local::log(
                log::Level::Error,
                format_args!("task '{name}' ({id}) panicked after its pool had failed: {text}"),
            );
        });
    }

    fn panicked(&self, payload: Box<dyn Any + Send>, log: impl FnOnce(&str)) {
        match self.panic.take() {
            None => self.panic.set(Some(payload)),
            Some(first) => {
                self.panic.set(Some(first));
                log(scope::said(&*payload));
                local::drop_caught(payload);
            }
        }
        self.fail();
    }

    /// Runs `body` and waits for every child. `Err` is the scope whose cancellation cut the body.
    ///
    /// # Panics
    ///
    /// With the first panic of the body or of a child.
    pub(crate) fn run<T>(&self, me: Running, body: impl FnOnce() -> T) -> Result<T, Cut> {
        self.run_until(me, WaitReason::PoolEnd, || true, body)
    }

    /// Like `run`, for a group that is not over before `is_over` says so as well. Who changes that tells
    /// by [`look_again`](Self::look_again); it may itself start children.
    pub(crate) fn run_until<T>(
        &self,
        me: Running,
        reason: WaitReason,
        is_over: impl Fn() -> bool,
        body: impl FnOnce() -> T,
    ) -> Result<T, Cut> {
        // SAFETY: `self` is borrowed for the whole call, which finishes it before it returns; the alarm
        // below keeps it from unwinding in between.
        unsafe { self.begin(me) };
        // I3: an unwind past this frame would free what the children borrow.
        let alarm = sys::AbortOnUnwind("giambio: a pool unwound before its last child had ended\n");
        let result = match scope::caught(me, || self.body(me, reason, body)) {
            Ok(value) => Some(Ok(value)),
            Err(payload) => self.body_unwound(payload).map(Err),
        };
        self.finish(me, reason, &is_over);
        alarm.disarm();
        match (self.panic.take(), result) {
            (Some(payload), result) => {
                scope::drop_value(result);
                me.unwind_with(payload)
            }
            (None, Some(result)) => result,
            (None, None) => unreachable!("a body panicked without a payload"),
        }
    }

    /// Enters the scopes. Not generic, and neither are `finish` and `body_unwound`: each pool of a program has
    /// a body of a type of its own.
    ///
    /// # Safety
    ///
    /// The group stays alive and in place until [`finish`](Self::finish) has returned.
    unsafe fn begin(&self, me: Running) {
        // SAFETY: passed on to the caller.
        unsafe { self.outer.enter(me) };
        if let Some(inner) = &self.inner {
            // SAFETY: passed on to the caller.
            unsafe { inner.hang_below(self.outer.node()) };
        }
    }

    /// Waits for every child, and leaves the scopes.
    fn finish(&self, me: Running, reason: WaitReason, is_over: &dyn Fn() -> bool) {
        // Under `no_switch` this has panicked already, and still the children must end first (I3).
        let no_switch = me.core().no_switch.replace(0);
        // A result that was dropped may have spawned again, so this is asked until it is true.
        while !is_over() || self.live.get() > 0 {
            if let Some(scope) = self.daemon_scope.get()
                && self.live.get() == self.daemons.get()
            {
                scope.cancel(&POOL_ENDED);
            }
            self.wait(me, None, reason);
        }
        me.core().no_switch.set(no_switch);
        self.daemon_scope.get().into_iter().for_each(Scope::close);
        if let Some(inner) = &self.inner {
            inner.close();
        }
        self.outer.leave(me);
    }

    /// Runs the body, and panics at its end if it may not wait for the children.
    fn body<T>(&self, me: Running, reason: WaitReason, body: impl FnOnce() -> T) -> T {
        let value = body();
        if self.live.get() > 0 {
            me.assert_may_switch(reason);
        }
        value
    }

    /// The body has left by an unwind: its children stop, and a panic counts as the pool's.
    #[cold]
    fn body_unwound(&self, payload: Box<dyn Any + Send>) -> Option<Cut> {
        let Some(by) = scope::cancelled_scope(&*payload) else {
            self.panicked(payload, |text| {
                local::log(
                    log::Level::Error,
                    format_args!("a pool's body panicked after the pool had failed: {text}"),
                );
            });
            return None;
        };
        self.outer.cancel(&POOL_FAILED);
        Some(Cut { by, payload })
    }

    /// Whether the cancellation that cut the body was this group's own.
    pub(crate) fn is_own(&self, cut: &Cut) -> bool {
        cut.by == self.outer.id()
    }

    /// Whether this group's own cancellation, and no failure, has stopped a child.
    pub(crate) fn has_cut_a_child(&self) -> bool {
        self.cut.get()
    }
}

/// The unwind of a cancelled body.
pub(crate) struct Cut {
    by: CancelId,
    payload: Box<dyn Any + Send>,
}

impl Cut {
    /// Goes on to the scope that it is meant for.
    pub(crate) fn resume(self, me: Running) -> ! {
        me.unwind_with(self.payload)
    }
}

/// The running task and a group for it, or a panic that names `giambio::run`.
#[track_caller]
pub(crate) fn here(call: &str, reach: Reach) -> (Running, Group) {
    let me = park::current_for(call);
    (me, Group::new(me.worker(), reach))
}
