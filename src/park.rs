//! Park: the one door through which a task gives up the CPU.
//!
//! Layer 5. Imports: scheduler, task, clock, hooks. Never: why anybody waits.
//!
//! Every blocking call is a checkpoint or says why it is not, opens a session, links itself where
//! its wake-up will come from, and ends in [`Running::park`]. Above this file nobody knows the
//! scheduler.

use crate::clock::Nanos;
use crate::clock::now;
use crate::hooks::WaitReason;
use crate::list::Node;
use crate::scheduler::Expiry;
use crate::scheduler::timers::TimerNode;
use crate::sys;
use crate::task::Abort;
use crate::task::Core;
use crate::task::cancel::CancelId;
use crate::task::cancel::CancelNode;
use crate::task::cancel::Cause;
use crate::task::inbox::Inbox;
use crate::task::local;
use crate::task::local::LOCAL;
use crate::task::local::Place;
use crate::task::phase::Session;
use crate::task::phase::Winner;
use crate::task::waiters::Claimed;
use std::alloc::Layout;
use std::any::Any;
use std::fmt;
use std::ptr;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

pub(crate) use crate::scheduler::DEADLINE_PASSED;
use crate::scheduler::Dice;
pub use crate::scheduler::Schedule;
pub use crate::scheduler::Tick;
pub(crate) use crate::scheduler::Worker;
pub(crate) use crate::scheduler::new_task_id_elsewhere;
pub(crate) use crate::scheduler::offload::DEFAULT_LIMIT as DEFAULT_HELPER_THREADS;
pub(crate) use crate::scheduler::offload::Job;
pub(crate) use crate::scheduler::offload::Placed;
pub(crate) use crate::scheduler::offload::helpers;
pub(crate) use crate::scheduler::reactor::Left;
pub(crate) use crate::scheduler::reactor::Remote;
pub(crate) use crate::scheduler::reactor::SourceKey;
pub(crate) use crate::scheduler::reactor::Turn;
use crate::scheduler::records::Records;
pub(crate) use crate::scheduler::watch::Watch;
pub(crate) use crate::stack::Class;
pub use crate::stack::StackStats;

/// Cancellations that a task may swallow before the log names it.
const RAISES_BEFORE_WARNING: u32 = 100;

/// The payload of a cancellation's unwind: which scope is to catch it, and whose that is. A payload
/// that was caught by hand may turn up anywhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cancelled {
    pub(crate) scope: CancelId,
    pub(crate) worker: u64,
}

/// How a call that can report failure goes about its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// As often as it takes, parking in between.
    Patient,
    /// Once, then it reports the cancellation: nothing may unwind, or something does already.
    Once,
}

/// Whether a panic or a cancellation is passing through a task's frames (I5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unwinding {
    Yes,
    No,
    /// Another task is parked in mid-unwind, and std counts panics by thread.
    CannotTell,
}

/// Why a task was cancelled, as reports say it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Why {
    cause: Option<&'static Cause>,
    text: Option<Rc<String>>,
}

impl Why {
    /// Why the running task's code must stop, seen from its innermost scope.
    pub(crate) fn of(me: Running) -> Self {
        Self::by(me, me.core().innermost().outermost_cancelled())
    }

    /// Why code below `node` must stop.
    pub(crate) fn by(me: Running, node: Option<&CancelNode>) -> Self {
        let text = node
            .filter(|node| node.cause() == Some(&Cause::Explained))
            .and_then(|node| me.worker().reason(node));
        Self { cause: node.and_then(CancelNode::cause), text }
    }

    /// The words, if there is anything to be said that `was cancelled` does not say.
    pub(crate) fn words(&self) -> Option<&str> {
        match self.cause? {
            Cause::Asked => None,
            Cause::Explained => self.text.as_ref().map(|text| text.as_str()),
            Cause::Known(words) => Some(words),
        }
    }
}

/// Nothing, or a colon and the words: goes behind "cancelled".
impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.words() {
            Some(words) => write!(f, ": {words}"),
            None => Ok(()),
        }
    }
}

/// A deadline's place among a worker's timers.
pub(crate) type Timer = TimerNode<Expiry>;

/// A deadline that cancels `node` when it passes; set with `Worker::set_timer`.
pub(crate) fn cancel_timer(node: &CancelNode) -> Timer {
    TimerNode::new(Expiry::Cancel(node))
}

/// The task that runs now, seen from its own stack. A value of this type does not leave it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Running {
    core: NonNull<Core>,
    worker: NonNull<Worker>,
}

/// The running task; `None` on a thread that runs none.
///
/// # Panics
///
/// In a hook of the debugger, naming it. In the child of a fork it aborts.
#[inline]
pub(crate) fn current() -> Option<Running> {
    LOCAL.with(|local| match NonNull::new(local.core.get().cast_mut()) {
        Some(core) => {
            let worker = local.worker.get().cast::<Worker>().cast_mut();
            // SAFETY: a worker sets its own word before it sets a task, and unsets the task first.
            let worker = unsafe { NonNull::new_unchecked(worker) };
            Some(Running { core, worker })
        }
        None => nobody(local.place.get()),
    })
}

/// The running task; `None` elsewhere, also in a hook. For calls that never block.
#[inline]
pub(crate) fn running() -> Option<Running> {
    let here = LOCAL.with(|local| !local.core.get().is_null());
    if here { current() } else { None }
}

/// Why there is no task here.
#[cold]
fn nobody(place: Place) -> Option<Running> {
    match place {
        Place::Outside => None,
        Place::Hook(name) => panic!("a blocking call in {name}, which must not block"),
        Place::Forked => sys::abort_with(&[
            "giambio: a blocking call in the child of a fork; it may only exec or _exit\n",
        ]),
    }
}

/// The running task, for calls that make no sense anywhere else.
#[track_caller]
#[inline]
pub(crate) fn current_for(call: &str) -> Running {
    match current() {
        Some(me) => me,
        None => panic!("{call} works inside of a task: call it below `giambio::run`"),
    }
}

/// The worker on this thread, in whatever state it is.
#[inline]
pub(crate) fn worker_here<R>(look: impl FnOnce(&Worker) -> R) -> Option<R> {
    let worker = LOCAL.with(|local| local.worker.get()).cast::<Worker>();
    // SAFETY: only a worker sets the word, and it unsets it before it ends, on this thread.
    unsafe { worker.as_ref() }.map(look)
}

/// What time it is: by the clock of the worker on this thread, or else the system's.
pub(crate) fn time_here() -> Instant {
    worker_here(|worker| worker.clock.instant(worker.clock.now())).unwrap_or_else(now)
}

/// A number from 0 to `limit` - 1, drawn anew each time: on a worker the same ones in each run.
pub(crate) fn random_below(limit: usize) -> usize {
    thread_local! {
        static OUTSIDE: Dice = Dice::of_seed(std::process::id().into());
    }
    let drawn = worker_here(|worker| worker.choices.below(limit as u64));
    drawn.unwrap_or_else(|| OUTSIDE.with(|dice| dice.below(limit as u64))) as usize
}

/// The inbox of the worker on this thread, or null.
#[inline]
pub(crate) fn inbox_here() -> *const Inbox {
    worker_here(|worker| Arc::as_ptr(worker.inbox())).unwrap_or(ptr::null())
}

/// Puts a task of this thread's worker, whose session was claimed, into the run queue.
#[inline]
pub(crate) fn queue_here(core: *const Core) {
    worker_here(|worker| {
        // SAFETY: the winner of the claim has the record until the task is queued.
        worker.queue.push(unsafe { &*core });
        worker.tell_host();
    });
}

/// Frees a task's record, on whatever thread state this is.
///
/// # Safety
///
/// `record` was allocated by some worker's `Records` for `layout`, and is not used again.
#[inline]
pub(crate) unsafe fn free_record(record: *mut u8, layout: Layout) {
    // SAFETY: passed on to the caller.
    let kept = worker_here(|worker| unsafe { worker.records.give_back(record, layout) });
    if kept.is_none() {
        // SAFETY: passed on to the caller.
        unsafe { Records::free(record, layout) };
    }
}

impl Running {
    #[inline]
    pub(crate) fn core(&self) -> &Core {
        // SAFETY: the task runs, so its record is alive, and this value stays on its stack.
        unsafe { self.core.as_ref() }
    }

    #[inline]
    pub(crate) fn worker(&self) -> &Worker {
        // SAFETY: a worker outlives its tasks (I2).
        unsafe { self.worker.as_ref() }
    }

    /// Switches to the scheduler until the task is resumed.
    #[inline(always)]
    fn switch(self) {
        // SAFETY: set at the task's first step to what lies at the top of its own stack.
        unsafe { &*self.core().suspender.get() }.suspend(());
    }

    /// Whether the task may give up the CPU now.
    #[inline]
    pub(crate) fn may_switch(self) -> bool {
        self.core().no_switch.get() == 0
    }

    /// Panics if the task may not give up the CPU now.
    #[inline]
    #[track_caller]
    pub(crate) fn assert_may_switch(self, reason: WaitReason) {
        if !self.may_switch() {
            panic!("{} would switch to another task, inside of `task::no_switch`", reason.call());
        }
    }

    /// Lets every other task that can run go first.
    #[inline]
    pub(crate) fn reschedule(self) {
        self.note_unwinding();
        self.worker().queue.push(self.core());
        self.switch();
    }

    /// `yield_now` on a task: a checkpoint that always switches.
    #[inline]
    pub(crate) fn yield_now(self) {
        if LOCAL.with(|local| local.budget.get()) == 0 {
            self.checkpoint_slow();
        }
        self.assert_may_switch(WaitReason::Runnable);
        self.reschedule();
        if LOCAL.with(|local| local.budget.get()) == 0 {
            self.raise_if_pending();
        }
    }

    /// Raises a pending cancellation, and yields if the task has used up its budget.
    #[inline]
    pub(crate) fn checkpoint(self) {
        LOCAL.with(|local| match local.budget.get().checked_sub(1) {
            Some(left) => local.budget.set(left),
            None => self.checkpoint_slow(),
        });
    }

    #[cold]
    #[inline(never)]
    fn checkpoint_slow(self) {
        let core = self.core();
        if self.worker().is_watched() && !core.cancel_pending() {
            let may_go_on = self.worker().note_checkpoint(core);
            if may_go_on && !core.cancel_pending() {
                return;
            }
        }
        let unwinding = self.unwinding();
        let may_raise = core.no_unwind.get() == 0 && unwinding == Unwinding::No;
        // Who swallows cancellations in a loop lets the others run before the next is raised.
        if core.cancel_pending() && may_raise && core.raises.get() == 0 {
            self.raise();
        }
        if unwinding != Unwinding::Yes {
            self.yield_for_fairness();
        }
        self.raise_if_pending();
    }

    /// A switch that nobody asked for: left out where it is forbidden.
    fn yield_for_fairness(self) {
        if self.may_switch() {
            self.reschedule();
        } else if !self.core().cancel_pending() {
            LOCAL.with(|local| local.budget.set(self.worker().budget()));
        }
    }

    /// Makes the next checkpoint look, after the running task's scopes have changed.
    pub(crate) fn refresh_budget(self) {
        if self.core().cancel_pending() {
            LOCAL.with(|local| local.budget.set(0));
        }
    }

    /// Like `checkpoint`, for a call that can report failure.
    #[inline]
    pub(crate) fn checkpoint_or_report(self) -> Attempt {
        self.checkpoint();
        // One relaxed load unless some thread of the process is panicking right now.
        if std::thread::panicking() || self.core().no_unwind.get() > 0 {
            return self.attempt_slow();
        }
        Attempt::Patient
    }

    /// Raises or reports a cancellation that has come while the task was on its way from one park to the
    /// next: nobody would tell it again. Does not yield.
    #[cold]
    pub(crate) fn raise_or_report(self) -> Attempt {
        self.raise_if_pending();
        self.attempt_slow()
    }

    #[cold]
    fn attempt_slow(self) -> Attempt {
        let unwinding = self.unwinding() == Unwinding::Yes;
        if unwinding || (self.core().no_unwind.get() > 0 && self.core().cancel_pending()) {
            Attempt::Once
        } else {
            Attempt::Patient
        }
    }

    /// Whether this task unwinds, as far as that can be told.
    pub(crate) fn unwinding(self) -> Unwinding {
        let core = self.core();
        if !std::thread::panicking() {
            core.unwinding.set(false);
            return Unwinding::No;
        }
        if !self.worker().is_unwind_window() && !core.unwinding.replace(true) {
            // We have not begun it, so it is a panic.
            core.is_cut.set(false);
        }
        if core.unwinding.get() { Unwinding::Yes } else { Unwinding::CannotTell }
    }

    /// Takes down whether the task unwinds before it switches: afterwards std's count is the others'.
    #[inline]
    fn note_unwinding(self) {
        if std::thread::panicking() {
            self.unwinding();
        } else {
            // Its unwind may have been caught by hand, unseen.
            self.core().unwinding.set(false);
        }
    }

    /// Raises a pending cancellation where it can, and never switches.
    #[cold]
    pub(crate) fn raise_if_pending(self) {
        let core = self.core();
        if core.cancel_pending() && core.no_unwind.get() == 0 && self.unwinding() == Unwinding::No {
            self.raise();
        }
    }

    /// Unwinds to the outermost cancelled scope that the task can see.
    #[cold]
    pub(crate) fn raise(self) -> ! {
        let core = self.core();
        let Some(node) = core.innermost().outermost_cancelled() else {
            unreachable!("a task was cancelled by no scope");
        };
        let scope = node.id();
        core.raises.set(core.raises.get() + 1);
        if core.raises.get() == RAISES_BEFORE_WARNING {
            let why = Why::of(self);
            local::log(
                log::Level::Warn,
                format_args!(
                    "task '{}' ({}) has swallowed {RAISES_BEFORE_WARNING} cancellations{why}",
                    core.name, core.id
                ),
            );
        }
        self.unwind_with(Box::new(Cancelled { scope, worker: self.worker().id() }))
    }

    /// Begins an unwind, or lets one that was caught go on.
    #[cold]
    pub(crate) fn unwind_with(self, payload: Box<dyn Any + Send>) -> ! {
        // In a destructor: the unwind that runs it is the one that counts.
        if self.unwinding() != Unwinding::Yes {
            self.core().is_cut.set(payload.is::<Cancelled>());
        }
        self.core().unwinding.set(true);
        std::panic::resume_unwind(payload)
    }

    /// Begins a wait: until `park`, the caller links itself where its wake-up will come from, and
    /// nothing that it does in between may panic or switch.
    #[inline]
    #[track_caller]
    pub(crate) fn open(self, reason: WaitReason) -> Session {
        self.assert_may_switch(reason);
        self.core().reason.set(reason);
        self.core().phase.open()
    }

    /// Switches away until `session` was claimed, and says by whom. There are no spurious wake-ups.
    ///
    /// A cancellation that wins is raised; only `Abort::Report` under `no_unwind` sees it returned.
    #[inline]
    pub(crate) fn park(self, session: Session, deadline: Option<Nanos>, abort: Abort) -> Winner {
        let core = self.core();
        core.abort.set(abort);
        core.since.set(self.worker().now.get());
        // Not in `switch`: a yield, which must stay small enough to be inlined, finds its frames warm.
        let frame = 0_u8;
        core.frames.set(&raw const frame);
        if std::thread::panicking() || self.worker().debugger().is_some() {
            self.park_slow(session, deadline);
        } else {
            core.unwinding.set(false);
            self.park_until(session, deadline);
        }
        core.reason.set(WaitReason::Runnable);
        let winner = core.phase.winner();
        if winner == Winner::Cancellation && core.no_unwind.get() == 0 {
            self.raise();
        }
        winner
    }

    #[inline]
    fn park_until(self, session: Session, deadline: Option<Nanos>) {
        let Some(at) = deadline else { return self.switch() };
        let timer = Timer::new(Expiry::Park(self.core(), session));
        // SAFETY: the node lies in this frame, which lives until it is removed below; the switch
        // does not unwind.
        unsafe { self.worker().set_timer(&timer, at) };
        self.switch();
        self.worker().timers.borrow_mut().remove(&timer);
    }

    /// Parks while a debugger looks on, or while some task of this thread unwinds.
    #[cold]
    fn park_slow(self, session: Session, deadline: Option<Nanos>) {
        let core = self.core();
        // In doubt it is not raised in: a second unwind inside of a destructor would abort.
        let calm = self.unwinding() == Unwinding::No;
        let doubt = Node::new(ptr::from_ref(core));
        if !calm {
            core.in_doubt.set(true);
            // SAFETY: the node lies in this frame, which does not end before `certain` below.
            unsafe { self.worker().doubt(&doubt) };
        }
        // Not before that: the hook may cancel the task.
        if self.worker().debugger().is_some() {
            let reason = core.reason.get();
            self.worker().hook_task("before_park", core, |debugger, task| {
                debugger.before_park(task, reason);
            });
        }
        self.park_until(session, deadline);
        if !calm {
            self.worker().certain(&doubt);
            core.in_doubt.set(false);
        }
    }

    /// Gives its own wake-up to somebody else, and parks until that one uses it; nothing else can end the
    /// wait. `give` says whether somebody has taken it; the slot is its own business.
    #[track_caller]
    pub(crate) fn park_promised(
        self,
        reason: WaitReason,
        slot: *const (),
        give: impl FnOnce(Claimed) -> bool,
    ) {
        let session = self.open(reason);
        // Claimed before anybody else knows of it, so that there is nothing left to win.
        let claimed = self.core().phase.claim_on_own_worker(session, Winner::Event);
        debug_assert!(claimed, "somebody has claimed a session that nobody knows of");
        if give(Claimed::task(self.core(), slot)) {
            self.park(session, None, Abort::Never);
        } else {
            self.core().reason.set(WaitReason::Runnable);
        }
    }

    /// Queues a task whose session this one has claimed.
    #[inline]
    pub(crate) fn wake(self, core: &Core) {
        self.worker().queue.push(core);
    }
}
