//! Crew: the children of a `thread::scope`, which other threads may add to.
//!
//! Layer 6. Imports: pool's own files, park, scope, task. Never: who is told of the children's ends.
//!
//! A child that is started on the crew's own worker is admitted at once. One that another thread starts
//! goes to the worker as an errand, and until that is run it counts as asked for. The crew is over when
//! nobody is asked for and nobody is left. That cannot miss anybody: who may still ask is the body, a
//! child, or code that one of the two waits for; so when the body has ended and, as the worker alone knows,
//! no child is alive, nobody is left to ask, and what was asked for before is counted.

use super::default_stack;
use super::group::Cut;
use super::group::Group;
use super::group::OnFailure;
use super::group::Reach;
use super::group::Role;
use super::joined::PanicGoes;
use super::joined::Plan;
use super::joined::Receiver;
use super::joined::Spawner;
use super::record;
use crate::hooks::WaitReason;
use crate::park;
use crate::park::Class;
use crate::park::Running;
use crate::park::Worker;
use crate::scope;
use crate::task::Core;
use crate::task::Identity;
use crate::task::Name;
use crate::task::inbox::BoxedErrand;
use crate::task::inbox::Errand;
use crate::task::inbox::Inbox;
use crate::task::inbox::Message;
use std::cell::Cell;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

/// The children of one `thread::scope`.
pub(crate) struct Crew {
    /// Only the crew's own worker touches it.
    group: Group,
    worker: u64,
    inbox: Arc<Inbox>,
    /// Children that other threads have asked for, and whose errands were not run yet.
    asked_for: AtomicUsize,
    /// Closures of children that could not be started, for the opener to drop: only the crew's own worker
    /// touches it.
    refused: Cell<Vec<Box<dyn Closure>>>,
}

// SAFETY: `group` and `refused` are only touched by the crew's own worker: `run` by the task that has made
// the crew, `spawn` after it has compared the worker's number, an errand since that worker runs it.
unsafe impl Sync for Crew {}

/// A closure that will not be called.
trait Closure {}

impl<F> Closure for F {}

/// Who hears of the end of a child that another thread starts.
pub(crate) trait Distant<T>: Receiver<T> {
    /// There will be no child. Called on the worker's own stack: runs no user code.
    fn refuse(self, error: io::Error);
}

impl Crew {
    pub(crate) fn new(me: Running) -> Self {
        let group = Group::new(me.worker(), Reach::Body);
        // As with std: the others go on, and the body hears of it at the end.
        group.set_on_failure(OnFailure::LetOthersFinish);
        Self {
            group,
            worker: me.worker().id(),
            inbox: Arc::clone(me.worker().inbox()),
            asked_for: AtomicUsize::new(0),
            refused: Cell::default(),
        }
    }

    /// Runs `body` and waits for every child. A cancellation that cuts the body cancels the children.
    ///
    /// # Panics
    ///
    /// With the panic of the body.
    pub(crate) fn run<T>(&self, me: Running, body: impl FnOnce() -> T) -> Result<T, Cut> {
        self.group.run_until(me, WaitReason::ScopeEnd, || self.nobody_is_asked_for(), body)
    }

    /// Whether every errand was run. Drops what is left of those that failed, on the opener's stack.
    fn nobody_is_asked_for(&self) -> bool {
        loop {
            let refused = self.refused.take();
            if refused.is_empty() {
                // Relaxed: who may have asked has ended, and this task has seen that.
                return self.asked_for.load(Ordering::Relaxed) == 0;
            }
            refused.into_iter().for_each(scope::drop_value);
        }
    }

    /// Keeps a closure for the opener to drop.
    ///
    /// # Safety
    ///
    /// Called on the crew's own worker, below `run`. What the closure borrows outlives that.
    unsafe fn keep<'f>(&self, body: Box<dyn Closure + 'f>) {
        // SAFETY: only the lifetime of what is borrowed changes, and `run` drops it.
        let body = unsafe { mem::transmute::<Box<dyn Closure + 'f>, Box<dyn Closure>>(body) };
        let mut refused = self.refused.take();
        refused.push(body);
        self.refused.set(refused);
    }

    /// The running task, if it may start a child itself.
    pub(crate) fn at_home(&self) -> Option<Running> {
        park::current().filter(|me| me.worker().id() == self.worker)
    }

    /// Starts a child, from the crew's own worker, with a stack of that class or of the default one.
    ///
    /// # Errors
    ///
    /// If no stack is to be had; `body` was dropped then.
    ///
    /// # Safety
    ///
    /// `me` is what `at_home` has given, and is below `run`. What `F`, `T` and `R` borrow outlives `run`.
    pub(crate) unsafe fn spawn<F, T, R>(
        &self,
        me: Running,
        who: Arc<Identity>,
        stack: Option<Class>,
        receiver: R,
        body: F,
    ) -> io::Result<()>
    where
        F: FnOnce() -> T,
        R: Receiver<T>,
    {
        let plan = plan(who, stack.unwrap_or(default_stack(me)), Spawner::Here);
        let group = &raw const self.group;
        // SAFETY: `run` does not end before the group's last child has, and the rest is passed on to the
        // caller; the receiver takes the outcome.
        let joined = unsafe { record::admit(me.worker(), group, plan, receiver, || Some(body())) }?;
        // SAFETY: the handle's share, which nobody else has; the core is the record's first field.
        unsafe { Core::release(joined.as_ptr().cast()) };
        Ok(())
    }

    /// Has the crew's worker start a child; its receiver hears if that has failed.
    ///
    /// # Safety
    ///
    /// The caller is waited for by the crew's body or by one of its children. What `F`, `T` and `R` borrow
    /// outlives `run`.
    pub(crate) unsafe fn ask_for<F, T, R>(
        &self,
        who: Arc<Identity>,
        stack: Option<Class>,
        receiver: R,
        body: F,
    ) where
        F: FnOnce() -> T + Send,
        R: Distant<T> + Send,
    {
        let body = Box::new(body);
        let child = Child { crew: self, who, stack, receiver, body, value: PhantomData };
        let errand: Box<dyn Errand + '_> = Box::new(child);
        // SAFETY: only the lifetime of what is borrowed changes. The errand is run before `Crew::run` ends,
        // which waits for it since it is counted below, and what it borrows outlives `run`.
        let errand = unsafe { mem::transmute::<Box<dyn Errand + '_>, Box<dyn Errand>>(errand) };
        // Relaxed: the caller's end is what makes this known.
        self.asked_for.fetch_add(1, Ordering::Relaxed);
        // The errand may be run before this returns; still the crew waits for the caller.
        self.inbox.post(Message::Errand(Box::new(BoxedErrand(errand))));
    }
}

impl fmt::Debug for Crew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crew").finish_non_exhaustive()
    }
}

fn plan(who: Arc<Identity>, stack: Class, spawner: Spawner) -> Plan {
    Plan {
        id: who.id(),
        name: Name::of(who),
        stack,
        panic_goes: PanicGoes::ToTheHandle,
        role: Role::Ordinary,
        spawner,
    }
}

/// A child on its way to the crew's worker.
struct Child<F, T, R> {
    crew: *const Crew,
    who: Arc<Identity>,
    stack: Option<Class>,
    receiver: R,
    /// In a box, so that it can be kept if there is no stack.
    body: Box<F>,
    value: PhantomData<fn() -> T>,
}

// SAFETY: the crew is looked at by its own worker only, and the rest may be sent.
unsafe impl<F: Send, T, R: Send> Send for Child<F, T, R> {}

impl<F, T, R> Errand for Child<F, T, R>
where
    F: FnOnce() -> T + Send,
    R: Distant<T> + Send,
{
    fn run(self: Box<Self>) {
        // SAFETY: the crew waits for whom it was asked for, which this is until it is subtracted below.
        let crew = unsafe { &*self.crew };
        park::worker_here(|worker| self.start(worker, crew));
        crew.asked_for.fetch_sub(1, Ordering::Relaxed);
        if crew.group.live() == 0 {
            crew.group.look_again();
        }
    }
}

impl<F, T, R> Child<F, T, R>
where
    F: FnOnce() -> T + Send,
    R: Distant<T> + Send,
{
    fn start(self, worker: &Worker, crew: &Crew) {
        let stack = self.stack.unwrap_or(worker.default_stack());
        if let Err(error) = worker.reserve_stack(stack) {
            self.receiver.refuse(error);
            // SAFETY: this is the crew's worker, and who has asked has promised the rest.
            return unsafe { crew.keep(self.body) };
        }
        let plan = plan(self.who, stack, Spawner::Elsewhere);
        let (group, body) = (&raw const crew.group, self.body);
        let body = || Some(body());
        // SAFETY: as in `Crew::spawn`: who has asked has promised the same.
        let joined = unsafe { record::admit_reserved(worker, group, plan, self.receiver, body) };
        // SAFETY: the handle's share, which nobody else has; the core is the record's first field.
        unsafe { Core::release(joined.as_ptr().cast()) };
    }
}
