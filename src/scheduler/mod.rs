//! Scheduler: one worker, one thread, all of its tasks.
//!
//! Layer 4. Imports: task, coroutine, stack, clock, hooks. Never: pools, sockets, why anybody waits.
//!
//! The worker's own stack is the thread's. It runs no user code: tasks run on theirs, hooks and log
//! sinks run caught. If it panics all the same the process aborts (I2): suspended tasks borrow from
//! one another and cannot be left behind.

mod drive;
mod idle;
mod look_out;
mod memory;
mod numbers;
pub(crate) mod offload;
pub(crate) mod reactor;
pub(crate) mod records;
mod run_queue;
pub(crate) mod timers;
pub(crate) mod watch;

use crate::clock::Clock;
use crate::clock::Nanos;
use crate::coroutine::Coroutine;
use crate::coroutine::Step;
use crate::coroutine::Suspender;
use crate::hooks::Debugger;
use crate::list::List;
use crate::list::Node;
use crate::stack::Class;
use crate::stack::Stacks;
use crate::stack::report_overflows;
use crate::sys;
use crate::task;
use crate::task::Core;
use crate::task::TaskRef;
use crate::task::cancel::CancelNode;
use crate::task::cancel::Cause;
use crate::task::inbox::CancelKey;
use crate::task::inbox::Inbox;
use crate::task::inbox::Message;
use crate::task::local;
use crate::task::local::BUDGET;
use crate::task::local::LOCAL;
use crate::task::phase::Session;
use crate::task::phase::Winner;
use crate::task::waiters::Waiters;
use drive::Host;
pub use drive::Tick;
pub(crate) use idle::DEADLINE_PASSED;
use look_out::LookOut;
pub(crate) use numbers::new_task_id_elsewhere;
use offload::Share;
use reactor::Reactor;
use reactor::SourceKey;
use records::Records;
pub(crate) use run_queue::Dice;
use run_queue::RunQueue;
pub use run_queue::Schedule;
use slab::Slab;
use std::cell::Cell;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;
use timers::Lateness;
use timers::TimerNode;
use timers::Timers;
use watch::Watch;

/// Tasks resumed before the reactor, the timers and the inbox are looked at again, so that ready
/// tasks cannot starve them.
///
/// An empty `epoll_wait` costs some 105 ns, as much as a dozen yields; at each 61st step it is 2 ns. An
/// odd number does not beat with batches of a power of two.
const STEPS_PER_POLL: u32 = 61;

/// What a deadline does when it passes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expiry {
    /// Ends this wait of this task.
    Park(*const Core, Session),
    /// Cancels this scope.
    Cancel(*const CancelNode),
}

/// What a worker does next.
enum Next {
    Resume(*const Core),
    LookAround,
    Idle,
    Finished,
}

/// A thread in the service of one runtime.
pub(crate) struct Worker {
    pub(crate) queue: RunQueue,
    /// Chooses among the queued tasks; without it the first is next.
    dice: Option<Dice>,
    /// For what a program leaves open.
    pub(crate) choices: Dice,
    /// Checkpoints that a task may pass in one step: none while somebody watches for them.
    budget: Cell<u32>,
    /// Whoever watches for checkpoints, the latest first.
    watch: Cell<*const Watch>,
    /// Who has met the last checkpoints while somebody watched, and how many of them.
    streak: Cell<(*const Core, u32)>,
    steps_left: Cell<u32>,
    live: Cell<usize>,
    /// Some parked task is in mid-unwind, so std's panic count tells nothing of the others (I5).
    window: Cell<bool>,
    debugger: Option<Box<dyn Debugger>>,
    pub(crate) clock: Clock,
    /// The clock when it was last read: costs nothing, and is good enough for "since when".
    pub(crate) now: Cell<Nanos>,
    pub(crate) timers: RefCell<Timers<Expiry>>,
    stacks: RefCell<Stacks>,
    /// When idle stacks are looked at next; `Nanos::MAX` while none has memory to return.
    next_period: Cell<Nanos>,
    /// Bytes of stacks that had been returned when the heap was trimmed last.
    returned_at_trim: Cell<usize>,
    /// A letter has woken the worker since it last looked for a deadlock, and it was not a helper's.
    has_heard_of_others: Cell<bool>,
    /// Whether to look for letters before the worker falls asleep.
    look_out: LookOut,
    /// Rounds of the loop until a worker that never sleeps looks at its idle stacks.
    rounds_left: Cell<u32>,
    pub(crate) records: Records,
    default_stack: Class,
    pub(crate) reactor: Reactor,
    inbox: Arc<Inbox>,
    /// Unique in the process, unlike the worker's address.
    id: u64,
    /// Tasks parked until the world outside does something.
    pub(crate) waiting_for_io: Cell<u32>,
    /// Calls that helper threads make for this runtime.
    pub(crate) offload: Share,
    /// Tasks parked until all others are.
    pub(crate) settlers: Waiters,
    /// Tasks parked while it could not be told whether they were unwinding.
    in_doubt: List<*const Core>,
    last_task_id: Cell<u64>,
    next_scope: Cell<u64>,
    cancellable: RefCell<Slab<(u64, *const CancelNode)>>,
    /// Why scopes were cancelled that were cancelled with words, by their numbers.
    reasons: RefCell<HashMap<u64, Rc<String>>>,
    /// Why no task can ever run again, once that was found.
    report: RefCell<Option<String>>,
    /// Other threads were named as the only ones that could wake a task.
    warned: Cell<bool>,
    root: Cell<*const CancelNode>,
    /// The structure layer's word: its `Threads`, while there is a main task.
    pub(crate) threads: Cell<*const ()>,
    host: Host,
}

impl Worker {
    pub(crate) fn new(
        clock: Clock,
        default_stack: Class,
        debugger: Option<Box<dyn Debugger>>,
        schedule: Schedule,
        helper_threads: usize,
    ) -> io::Result<Self> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        sys::watch_forks(local::forget_after_fork);
        report_overflows(task::TENANTS);
        let reactor = Reactor::new()?;
        Ok(Self {
            queue: RunQueue::new(),
            dice: Dice::of(schedule),
            choices: Dice::for_choices(schedule),
            budget: Cell::new(BUDGET),
            watch: Cell::new(ptr::null()),
            streak: Cell::new((ptr::null(), 0)),
            steps_left: Cell::new(STEPS_PER_POLL),
            live: Cell::new(0),
            window: Cell::new(false),
            debugger,
            clock,
            now: Cell::new(0),
            timers: RefCell::new(Timers::new()),
            stacks: RefCell::new(Stacks::new()),
            next_period: Cell::new(Nanos::MAX),
            returned_at_trim: Cell::new(0),
            has_heard_of_others: Cell::new(false),
            look_out: LookOut::default(),
            rounds_left: Cell::new(memory::ROUNDS_PER_LOOK),
            records: Records::new(),
            default_stack,
            inbox: Arc::clone(&reactor.remote().inbox),
            reactor,
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            waiting_for_io: Cell::new(0),
            offload: Share::new(helper_threads),
            settlers: Waiters::new(),
            in_doubt: List::new(),
            last_task_id: Cell::new(0),
            next_scope: Cell::new(0),
            cancellable: RefCell::new(Slab::new()),
            reasons: RefCell::new(HashMap::new()),
            report: RefCell::new(None),
            warned: Cell::new(false),
            root: Cell::new(ptr::null()),
            threads: Cell::new(ptr::null()),
            host: Host::default(),
        })
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// The main task's own scope, between `begin` and `end`.
    pub(crate) fn root(&self) -> Option<&CancelNode> {
        // SAFETY: set by `begin` to a node of the main task, whose record lives until after `end`.
        unsafe { self.root.get().as_ref() }
    }

    /// The class of the stacks of tasks that ask for none in particular.
    pub(crate) fn default_stack(&self) -> Class {
        self.default_stack
    }

    /// Queues a new task whose stack is reserved.
    ///
    /// # Safety
    ///
    /// The record stays alive until the task has ended and the worker has released it.
    #[inline]
    pub(crate) unsafe fn admit(&self, core: &Core) {
        self.live.set(self.live.get() + 1);
        self.queue.push(core);
        // The main task comes before the start, and is told after it.
        if self.debugger.is_some() && !self.root.get().is_null() {
            self.tell_of_spawn(core);
        }
    }

    #[cold]
    fn tell_of_spawn(&self, core: &Core) {
        self.hook_task("on_task_spawn", core, |debugger, task| debugger.on_task_spawn(task));
    }

    #[inline]
    fn next(&self) -> Next {
        let left = self.steps_left.get();
        if left == 0 {
            self.steps_left.set(STEPS_PER_POLL);
            return Next::LookAround;
        }
        let next = match &self.dice {
            None => self.queue.pop(),
            Some(dice) => self.queue.pop_random(dice),
        };
        match next {
            Some(core) => {
                self.steps_left.set(left - 1);
                Next::Resume(core)
            }
            None if self.live.get() > 0 => Next::Idle,
            None => Next::Finished,
        }
    }

    /// Resumes a task that was in the run queue until it parks, yields or ends.
    ///
    /// By pointer: a task that ends here may take its record with it.
    #[inline]
    fn step(&self, task: *const Core) {
        // SAFETY: a queued task has not ended, and `bury` below is the last to touch it (I2).
        let core = unsafe { &*task };
        if self.debugger.is_some() {
            self.hook_task("before_task_step", core, |debugger, task| {
                debugger.before_task_step(task);
            });
        }
        // SAFETY: what is behind this task in the run queue has not ended (I2).
        if let Some(next) = unsafe { core.next.get().as_ref() } {
            next.prefetch();
        }
        let step = LOCAL.with(|local| {
            local.core.set(core);
            local.budget.set(if core.cancel_pending() { 0 } else { self.budget.get() });
            // SAFETY: only this function and those it calls touch the field, on this thread, and no
            // step runs inside of another.
            let coroutine = unsafe { &mut *core.coroutine.get() };
            let step = coroutine.get_or_insert_with(|| self.start(core)).resume();
            local.core.set(ptr::null());
            step
        });
        self.note_window();
        if self.debugger.is_some() {
            self.hook_task("after_task_step", core, |debugger, task| {
                debugger.after_task_step(task);
            });
        }
        if step == Step::Ended {
            self.bury(task);
        }
    }

    #[inline]
    fn start(&self, core: &Core) -> Coroutine {
        let slot = self.take_stack(core.stack.get());
        let core = ptr::from_ref(core);
        let root = move |suspender: &Suspender| {
            // SAFETY: the worker resumes this closure before it releases the record.
            let this = unsafe { &*core };
            this.suspender.set(suspender);
            // SAFETY: a coroutine is made once for each task, and this runs on its stack.
            unsafe { this.run() };
        };
        // SAFETY: the tenant is a record, which is released after the coroutine has ended (`bury`).
        unsafe { Coroutine::new(slot, core.cast(), root) }
    }

    /// Takes a task that has ended out of everything.
    #[inline]
    fn bury(&self, task: *const Core) {
        // SAFETY: the scheduler's share of the record keeps it until the release below.
        let core = unsafe { &*task };
        // SAFETY: the coroutine is not running, and nobody else touches the field (`step`).
        let coroutine = unsafe { &mut *core.coroutine.get() };
        if let Some(slot) = coroutine.as_mut().and_then(Coroutine::take_stack) {
            self.give_back_stack(slot);
        }
        *coroutine = None;
        self.live.set(self.live.get() - 1);
        if self.debugger.is_some() {
            self.hook_task("on_task_exit", core, |debugger, task| debugger.on_task_exit(task));
        }
        // SAFETY: the scheduler's ownership ends here; the task has ended.
        unsafe { Core::release(task) };
    }

    /// Cancels a scope and ends the waits that this may end.
    pub(crate) fn cancel(&self, node: &CancelNode, cause: &'static Cause) {
        node.cancel(cause, |core| self.deliver(core));
        self.tell_host();
    }

    /// Cancels a scope, keeping the words for whoever asks why, until `forget_reason`.
    #[cold]
    pub(crate) fn cancel_because(&self, node: &CancelNode, reason: String) {
        if !node.is_cancelled() {
            self.reasons.borrow_mut().insert(node.id().0, Rc::new(reason));
            self.cancel(node, &Cause::Explained);
        }
    }

    /// The words that this scope was cancelled with.
    #[cold]
    pub(crate) fn reason(&self, node: &CancelNode) -> Option<Rc<String>> {
        self.reasons.borrow().get(&node.id().0).cloned()
    }

    /// The scope ends.
    #[inline]
    pub(crate) fn forget_reason(&self, node: &CancelNode) {
        if node.cause() == Some(&Cause::Explained) {
            self.reasons.borrow_mut().remove(&node.id().0);
        }
    }

    /// Tells a task whose innermost scope has become cancelled.
    fn deliver(&self, core: &Core) {
        LOCAL.with(|local| {
            if ptr::eq(local.core.get(), core) {
                local.budget.set(0);
            }
        });
        if !core.may_be_cancelled() {
            return;
        }
        let Some(session) = core.phase.open_session() else { return };
        // A waker on another thread may claim first: then the task completes its call.
        if core.phase.claim(session, Winner::Cancellation) {
            if self.debugger.is_some() {
                self.hook_task("before_cancel", core, |debugger, task| {
                    debugger.before_cancel(task);
                });
            }
            self.queue.push(core);
        }
    }

    /// Whether a parked task makes std's panic count useless for all others.
    pub(crate) fn is_unwind_window(&self) -> bool {
        self.window.get()
    }

    /// Remembers a task that parks in doubt.
    ///
    /// # Safety
    ///
    /// `node` stays alive and in place until `certain`, and so does the record that it names.
    pub(crate) unsafe fn doubt(&self, node: &Node<*const Core>) {
        // SAFETY: passed on to the caller.
        unsafe { self.in_doubt.push_back(node) };
    }

    pub(crate) fn certain(&self, node: &Node<*const Core>) {
        self.in_doubt.remove(node);
    }

    /// Between two steps: whether a parked task is in mid-unwind.
    #[inline]
    fn note_window(&self) {
        let window = std::thread::panicking();
        if self.window.replace(window) && !window {
            self.close_window();
        }
    }

    /// The last task that was parked in mid-unwind has gone on: nobody is in doubt any more.
    #[cold]
    fn close_window(&self) {
        while let Some(node) = self.in_doubt.front() {
            self.in_doubt.remove(node);
            // SAFETY: linked, hence alive (`doubt`).
            let core = unsafe { &**node.value() };
            core.in_doubt.set(false);
            if core.cancel_pending() {
                self.deliver(core);
            }
        }
    }

    /// Lets other threads cancel `node` by the key that this returns, until `revoke`.
    pub(crate) fn publish(&self, node: &CancelNode) -> CancelKey {
        let generation = node.id().0;
        let index = self.cancellable.borrow_mut().insert((generation, ptr::from_ref(node)));
        CancelKey { index, generation }
    }

    pub(crate) fn revoke(&self, key: CancelKey) {
        self.cancellable.borrow_mut().remove(key.index);
    }

    /// Cancels a published scope, if it still exists.
    pub(crate) fn cancel_published(&self, key: CancelKey, reason: Option<String>) {
        let found = self.cancellable.borrow().get(key.index).copied();
        if let Some((_, node)) = found.filter(|&(generation, _)| generation == key.generation) {
            // SAFETY: a published scope is revoked before it ends.
            let node = unsafe { &*node };
            match reason {
                None => self.cancel(node, &Cause::Asked),
                Some(reason) => self.cancel_because(node, reason),
            }
        }
    }

    pub(crate) fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    fn read_inbox(&self) {
        self.inbox.drain(|message| match message {
            // SAFETY: the sender has claimed the task's session and left the rest to us.
            Message::Wake(core) => self.queue.push(unsafe { &*core }),
            Message::Cancel(order) => self.cancel_published(order.0, order.1),
            Message::Deregister(token) => {
                if let Some(key) = SourceKey::from_token(token) {
                    self.reactor.forget(key);
                }
            }
            Message::CallEnded => self.end_call(),
            Message::Errand(errand) => errand.run(),
            Message::Nudge(token) => {
                if let Some(key) = SourceKey::from_token(token) {
                    self.reactor.nudge(key, |core| self.queue.push(core));
                }
            }
        });
    }

    /// Sets a deadline. `now` was read not long ago.
    ///
    /// # Safety
    ///
    /// `node` and what its target names stay alive and in place until it has fired or was removed.
    #[inline]
    pub(crate) unsafe fn set_timer(&self, node: &TimerNode<Expiry>, at: Nanos) {
        let soon = at.saturating_sub(self.now.get()) < idle::PRECISE_BELOW;
        let lateness = if soon { Lateness::Least } else { Lateness::Millisecond };
        // SAFETY: passed on to the caller.
        unsafe { self.timers.borrow_mut().insert(node, at, lateness) };
    }

    /// Reads the clock, for everybody.
    #[inline]
    pub(crate) fn read_clock(&self) -> Nanos {
        let now = self.clock.now();
        self.now.set(now);
        now
    }

    /// `timeout` from now; `None`, that is never, past the clock's range.
    pub(crate) fn deadline_after(&self, timeout: Duration) -> Option<Nanos> {
        self.read_clock().checked_add(u64::try_from(timeout.as_nanos()).ok()?)
    }

    /// When a deadline passes by this worker's clock; `None`, that is never, past the clock's range.
    #[cold]
    pub(crate) fn deadline_at(&self, at: Instant) -> Option<Nanos> {
        self.read_clock();
        self.clock.nanos_at(at)
    }

    pub(crate) fn debugger(&self) -> Option<&dyn Debugger> {
        self.debugger.as_deref()
    }

    fn hook(&self, name: &'static str, call: impl FnOnce(&dyn Debugger)) {
        if let Some(debugger) = self.debugger() {
            local::in_hook(name, || call(debugger));
        }
    }

    #[cold]
    pub(crate) fn hook_task(
        &self,
        name: &'static str,
        core: &Core,
        call: impl FnOnce(&dyn Debugger, &TaskRef),
    ) {
        self.hook(name, |debugger| call(debugger, &TaskRef::new(core)));
    }

    /// Why no task could ever run again, if that has happened.
    pub(crate) fn take_report(&self) -> Option<String> {
        self.report.borrow_mut().take()
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("id", &self.id)
            .field("live", &self.live)
            .finish_non_exhaustive()
    }
}
