//! Waiters: the queue of tasks under every primitive.
//!
//! Layer 3. Imports: list, sys, task. Never: locks, sockets, what is waited for.
//!
//! First in, first out, nodes on the waiting tasks' own stacks. Who pops a waiter claims its session;
//! a waiter whose wait a timer or a cancellation has ended already is passed over. The reactor, `join`
//! and pools, which only their own worker touches, use it as it is; `wait_queue` puts the small lock
//! around it that other threads need.

use super::Core;
use super::inbox::Inbox;
use super::phase::Phase;
use super::phase::Session;
use super::phase::Winner;
use crate::list::List;
use crate::list::Node;
use crate::sys;
use crate::sys::BellFd;
use crossbeam_utils::sync::Unparker;
use std::cell::Cell;
use std::ptr;
use std::sync::Arc;

/// A plain thread that waits as tasks do.
#[derive(Debug)]
pub(crate) struct Outsider {
    pub(crate) phase: Phase,
    pub(crate) alarm: Alarm,
}

/// How a plain thread is woken.
#[derive(Clone, Debug)]
pub(crate) enum Alarm {
    /// It sleeps until this is used.
    Unparker(Unparker),
    /// It looks at descriptors, and at this one among them.
    Bell(Arc<BellFd>),
}

impl Alarm {
    fn ring(&self) {
        match self {
            Self::Unparker(unparker) => unparker.unpark(),
            Self::Bell(bell) => bell.ring(),
        }
    }
}

/// Who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Task(*const Core),
    Thread(*const Outsider),
}

impl Who {
    /// Who waits nowhere.
    pub(crate) const NOBODY: Self = Self::Task(ptr::null());
}

/// A place in the queue of what is waited for.
pub(crate) type Waiter = Node<Seat>;

/// Who waits in a place, and what for.
#[derive(Debug)]
pub(crate) struct Seat {
    who: Who,
    session: Session,
    /// What the waiter has brought with it, which its primitive knows: room for a value, a value.
    slot: *const (),
    /// Null, or the session is linked in several places, and this is where who ends it says in which he
    /// has met it.
    chosen: *const Cell<*const Waiter>,
}

impl Seat {
    /// In one place only, without anything.
    #[inline]
    pub(crate) fn new(who: Who, session: Session) -> Self {
        Self::with_slot(who, session, ptr::null())
    }

    /// In one place only.
    #[inline]
    pub(crate) fn with_slot(who: Who, session: Session, slot: *const ()) -> Self {
        Self { who, session, slot, chosen: ptr::null() }
    }

    /// In one of several places.
    ///
    /// `chosen` lives as long as the places are linked, and is written by the winner of the session alone.
    pub(crate) fn of_several(
        who: Who,
        session: Session,
        slot: *const (),
        chosen: *const Cell<*const Waiter>,
    ) -> Self {
        Self { who, session, slot, chosen }
    }
}

/// Those who wait for one thing.
#[derive(Debug)]
pub(crate) struct Waiters(List<Seat>);

/// A waiter whose session was claimed, to be woken once no lock is held.
#[derive(Debug)]
pub(crate) struct Claimed {
    whom: Whom,
    slot: *const (),
}

#[derive(Debug)]
enum Whom {
    /// A task of this very worker: to be put into its run queue.
    Here(*const Core),
    /// A task of another worker, whose inbox this keeps alive.
    Elsewhere(*const Core, Arc<Inbox>),
    /// A plain thread.
    Thread(Alarm),
}

/// Notes in which place the winner of a session has met it. Only called by that winner, before it wakes
/// the waiter.
#[inline]
fn note_place(waiter: *const Waiter, chosen: *const Cell<*const Waiter>) {
    // SAFETY: whoever waits in several places stays in the frame of this cell until it is woken
    // (`Seat::of_several`), and that comes after this.
    if let Some(chosen) = unsafe { chosen.as_ref() } {
        chosen.set(waiter);
    }
}

impl Waiters {
    pub(crate) const fn new() -> Self {
        Self(List::new())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Queues a waiter behind all others.
    ///
    /// # Safety
    ///
    /// `waiter`, and what it names, stay alive and in place until the waiter was removed or popped,
    /// and all of that happens under one lock, or else on the one worker whose tasks wait here.
    pub(crate) unsafe fn push(&self, waiter: &Waiter) {
        // SAFETY: passed on to the caller.
        unsafe { self.0.push_back(waiter) };
    }

    /// Queues a waiter before all others: it was woken before them, and in vain.
    ///
    /// # Safety
    ///
    /// As for [`push`](Self::push).
    pub(crate) unsafe fn push_first(&self, waiter: &Waiter) {
        // SAFETY: passed on to the caller.
        unsafe { self.0.push_front(waiter) };
    }

    /// Gives up a place in the queue, if the waiter still has it.
    pub(crate) fn remove(&self, waiter: &Waiter) {
        self.0.remove(waiter);
    }

    /// Has the cache fetch the waiter that `claim_first` will look at.
    #[inline]
    pub(crate) fn prefetch_first(&self) {
        if let Some(waiter) = self.0.front() {
            let node = ptr::from_ref(waiter);
            sys::prefetch(node.cast());
            // It lies anywhere on its task's stack, so on two lines as often as not.
            sys::prefetch(node.wrapping_add(1).cast());
        }
    }

    /// Has the cache fetch the task of that waiter.
    #[inline]
    pub(crate) fn prefetch_first_task(&self) {
        if let Some(Seat { who: Who::Task(core), .. }) = self.0.front().map(Waiter::value) {
            Core::prefetch_record(*core);
        }
    }

    /// Has the cache fetch what the next claims lead to, each a step further than the call before the last
    /// claim did: the frames of the first task, the record of the second, and the third one's waiter. The
    /// caller holds the queue's lock.
    ///
    /// With a thousand tasks in line none of that is in the second-level cache, and each leads to the next:
    /// a turn of a lock takes half as long again without this.
    pub(crate) fn look_ahead(&self, here: *const Inbox) {
        let Some(first) = self.0.front() else { return };
        if let Some(core) = first.value().task_of(here) {
            core.prefetch();
        }
        let Some(second) = first.next() else { return };
        if let Who::Task(core) = second.value().who {
            Core::prefetch_record(core);
        }
        if let Some(third) = second.next() {
            let node = ptr::from_ref(third);
            sys::prefetch(node.cast());
            sys::prefetch(node.wrapping_add(1).cast());
        }
    }

    /// Ends the longest wait in a queue of one worker's tasks; the caller must queue the task.
    #[inline]
    pub(crate) fn claim_first(&self) -> Option<&Core> {
        while let Some(waiter) = self.0.front() {
            let &Seat { who, session, chosen, .. } = waiter.value();
            self.0.remove(waiter);
            let Who::Task(core) = who else {
                unreachable!("a thread waits among one worker's tasks")
            };
            // SAFETY: the waiter was linked, so `push`'s caller kept the record alive.
            let core = unsafe { &*core };
            // Who waits elsewhere as well may be claimed there by another thread.
            let claimed = if chosen.is_null() {
                core.phase.claim_on_own_worker(session, Winner::Event)
            } else {
                core.phase.claim(session, Winner::Event)
            };
            if claimed {
                note_place(waiter, chosen);
                return Some(core);
            }
        }
        None
    }

    /// Ends the longest wait in a queue that is guarded by a lock, which the caller holds; `here` is
    /// the inbox of the caller's worker, or null on a plain thread.
    ///
    /// What outlives the claim is cloned before it. Afterwards a task stays where it is until it is woken,
    /// and a plain thread until the lock is released: so its slot may be used until then.
    #[inline]
    pub(crate) fn claim_first_of_any(&self, here: *const Inbox, winner: Winner) -> Option<Claimed> {
        self.claim_first_if(here, winner, |_| true)
    }

    /// Like [`claim_first_of_any`](Self::claim_first_of_any), if the one who has waited longest has brought
    /// what is `wanted`: nobody is passed over whose wait has not ended.
    #[inline]
    pub(crate) fn claim_first_if(
        &self,
        here: *const Inbox,
        winner: Winner,
        wanted: impl Fn(*const ()) -> bool,
    ) -> Option<Claimed> {
        while let Some(waiter) = self.0.front() {
            if !wanted(waiter.value().slot) && waiter.value().is_open() {
                return None;
            }
            if let Some(claimed) = self.claim(waiter, here, winner) {
                return Some(claimed);
            }
        }
        None
    }

    /// Ends the longest wait, if it is that of a task of this worker that waits nowhere else: the shortest
    /// way, for what happens most often. The caller must queue the task; what it has brought, and `accepts`
    /// wants, comes with it.
    #[inline]
    pub(crate) fn claim_first_if_here(
        &self,
        here: *const Inbox,
        accepts: impl Fn(*const ()) -> bool,
    ) -> Option<(*const Core, *const ())> {
        let waiter = self.0.front()?;
        let &Seat { who, session, slot, chosen } = waiter.value();
        let Who::Task(task) = who else { return None };
        // SAFETY: the waiter was linked, so `push`'s caller kept the record alive.
        let core = unsafe { &*task };
        if !ptr::eq(core.home.get(), here) || !chosen.is_null() || !accepts(slot) {
            return None;
        }
        self.0.remove(waiter);
        core.phase.claim_on_own_worker(session, Winner::Event).then_some((task, slot))
    }

    /// Like [`claim_first_of_any`](Self::claim_first_of_any), passing over those whose slot `accepts` does
    /// not want; they stay where they are.
    pub(crate) fn claim_first_with(
        &self,
        here: *const Inbox,
        winner: Winner,
        accepts: impl Fn(*const ()) -> bool,
    ) -> Option<Claimed> {
        let mut at = self.0.front();
        while let Some(waiter) = at {
            at = waiter.next();
            let seat = waiter.value();
            // Whose wait has ended may be about to use its slot itself.
            if seat.is_open()
                && accepts(seat.slot)
                && let Some(claimed) = self.claim(waiter, here, winner)
            {
                return Some(claimed);
            }
        }
        None
    }

    /// Takes a waiter out of the line and ends its wait, if nobody else has.
    #[inline]
    fn claim(&self, waiter: &Waiter, here: *const Inbox, winner: Winner) -> Option<Claimed> {
        let &Seat { who, session, slot, chosen } = waiter.value();
        self.0.remove(waiter);
        let whom = match who {
            Who::Task(task) => claim_task(task, session, here, winner, chosen),
            Who::Thread(outsider) => claim_thread(outsider, session, winner),
        }?;
        note_place(waiter, chosen);
        Some(Claimed { whom, slot })
    }

    /// What the one who has waited longest has brought, if anybody waits; those in front of him whose wait
    /// has ended already leave the queue. The caller holds the queue's lock.
    pub(crate) fn first_slot(&self) -> Option<*const ()> {
        while let Some(waiter) = self.0.front() {
            let seat = waiter.value();
            if seat.is_open() {
                return Some(seat.slot);
            }
            self.0.remove(waiter);
        }
        None
    }

    /// How many wait here whose slot is `wanted`; those whose wait has ended already leave the queue. The caller
    /// holds the queue's lock.
    pub(crate) fn count_open(&self, wanted: impl Fn(*const ()) -> bool) -> usize {
        let mut count = 0;
        let mut at = self.0.front();
        while let Some(waiter) = at {
            at = waiter.next();
            if !waiter.value().is_open() {
                self.0.remove(waiter);
            } else if wanted(waiter.value().slot) {
                count += 1;
            }
        }
        count
    }

    /// Whether anybody but `who` waits here. The caller holds the queue's lock.
    pub(crate) fn has_other_than(&self, who: Who) -> bool {
        let mut at = self.0.front();
        while let Some(waiter) = at {
            if waiter.value().who != who && waiter.value().is_open() {
                return true;
            }
            at = waiter.next();
        }
        false
    }
}

impl Seat {
    /// The task that waits, if it is one of this worker's.
    fn task_of(&self, here: *const Inbox) -> Option<&Core> {
        let Who::Task(core) = self.who else { return None };
        // SAFETY: a linked waiter's record is alive (`push`).
        Some(unsafe { &*core }).filter(|core| ptr::eq(core.home.get(), here))
    }

    /// Whether the wait has not ended. It may at any moment, unless only the lock's holder could end it.
    fn is_open(&self) -> bool {
        let open = match self.who {
            // SAFETY: a linked waiter's record is alive (`push`).
            Who::Task(core) => unsafe { &(*core).phase }.open_session(),
            // SAFETY: a linked waiter's entry is alive (`push`).
            Who::Thread(outsider) => unsafe { &(*outsider).phase }.open_session(),
        };
        open == Some(self.session)
    }
}

#[inline]
fn claim_task(
    task: *const Core,
    session: Session,
    here: *const Inbox,
    winner: Winner,
    chosen: *const Cell<*const Waiter>,
) -> Option<Whom> {
    // SAFETY: the waiter was linked, so `push`'s caller kept the record alive.
    let core = unsafe { &*task };
    if !ptr::eq(core.home.get(), here) {
        let home = core.home();
        return core.phase.claim(session, winner).then_some(Whom::Elsewhere(task, home));
    }
    let claimed = if chosen.is_null() {
        core.phase.claim_on_own_worker(session, winner)
    } else {
        core.phase.claim(session, winner)
    };
    claimed.then_some(Whom::Here(task))
}

#[cold]
fn claim_thread(outsider: *const Outsider, session: Session, winner: Winner) -> Option<Whom> {
    // SAFETY: the waiter was linked, so `push`'s caller kept the thread's entry alive.
    let outsider = unsafe { &*outsider };
    let alarm = outsider.alarm.clone();
    outsider.phase.claim(session, winner).then_some(Whom::Thread(alarm))
}

impl Claimed {
    /// A task that has claimed its own session and is about to switch: for who is to wake it.
    pub(crate) fn task(core: &Core, slot: *const ()) -> Self {
        Self { whom: Whom::Elsewhere(core, core.home()), slot }
    }

    /// A thread that sleeps until it finds its slot used.
    pub(crate) fn thread(unparker: Unparker, slot: *const ()) -> Self {
        Self { whom: Whom::Thread(Alarm::Unparker(unparker)), slot }
    }

    /// What the waiter has brought with it.
    #[inline]
    pub(crate) fn slot(&self) -> *const () {
        self.slot
    }

    /// Wakes the waiter, once the lock is released; `queue` puts a task of this worker into its run
    /// queue.
    #[inline]
    pub(crate) fn wake(self, queue: impl FnOnce(*const Core)) {
        match self.whom {
            Whom::Here(core) => queue(core),
            Whom::Elsewhere(core, home) => wake_elsewhere(core, &home),
            Whom::Thread(alarm) => alarm.ring(),
        }
    }
}

#[cold]
fn wake_elsewhere(core: *const Core, home: &Inbox) {
    // SAFETY: only the winner of the claim touches the task until it is queued.
    let letter = unsafe { (*core).letter.get() };
    // SAFETY: the record lives until its worker has drained this letter and resumed it.
    unsafe { home.push(letter) };
}
