//! How threads race for one task, in every order that loom can think of.
//!
//! The real phase, queue, lock and inbox; the switch is what it amounts to on the worker's side: after
//! it, and not before, the worker reads its inbox. Checked: a message is received once or left once,
//! the task is queued once, and nobody touches it after that.

use super::WaitQueue;
use crate::park::Class;
use crate::task::Core;
use crate::task::Name;
use crate::task::TaskId;
use crate::task::Vtable;
use crate::task::cancel::CancelId;
use crate::task::cancel::CancelNode;
use crate::task::cancel::Shield;
use crate::task::inbox::Bell;
use crate::task::inbox::Inbox;
use crate::task::inbox::Message;
use crate::task::phase::Session;
use crate::task::phase::Winner;
use crate::task::waiters::Seat;
use crate::task::waiters::Waiter;
use crate::task::waiters::Waiters;
use crate::task::waiters::Who;
use loom::cell::UnsafeCell;
use loom::sync::Notify;
use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering;
use loom::thread;
use std::panic::Location;
use std::ptr;
use std::sync::Arc;

struct Ring(Arc<Notify>);

impl Bell for Ring {
    fn ring(&self) {
        self.0.notify();
    }
}

/// Messages that nobody has received yet.
type Queue = WaitQueue<usize>;

/// The worker's side: one task, its inbox and its bell.
pub(crate) struct Worker {
    core: Box<Core>,
    inbox: Arc<Inbox>,
    bell: Arc<Notify>,
    /// What the waker hands over lies on the task's stack; loom sees who touches it when.
    slot: Arc<UnsafeCell<usize>>,
    queue: Arc<Queue>,
}

impl Worker {
    pub(crate) fn new() -> Self {
        let bell = Arc::new(Notify::new());
        let inbox = Arc::new(Inbox::new(Box::new(Ring(Arc::clone(&bell)))));
        let base = CancelNode::new(CancelId(0), Shield::Down);
        let stack = Class::for_usable(1).unwrap();
        let name = Name::of_place(Location::caller());
        let core = Box::new(Core::new(TaskId(1), name, stack, base, &NOTHING));
        // SAFETY: the inbox is kept as long as the core; nothing frees the record by its pointer.
        unsafe { core.settle_in(&raw const *core, Arc::as_ptr(&inbox)) };
        let queue = Arc::new(Queue::new(0));
        Self { core, inbox, bell, slot: Arc::new(UnsafeCell::new(0)), queue }
    }

    fn sender(&self) -> Sender {
        Sender { queue: Arc::clone(&self.queue), slot: Arc::clone(&self.slot) }
    }

    /// One receive; `early` and `locals` as for `wait`. Returns how many messages were received.
    fn receive(&self, early: Option<Winner>, locals: usize) -> usize {
        let take = |messages: &mut usize| {
            let takes = *messages > 0;
            *messages -= usize::from(takes);
            takes
        };
        match self.wait(&self.queue, take, early, locals) {
            None => 1,
            Some(Winner::Event) => self.slot.with_mut(|slot| {
                // SAFETY: the waker's write is ordered before the push that brought us here.
                unsafe { ptr::replace(slot, 0) }
            }),
            Some(_) => 0,
        }
    }

    /// One wait, and who ended it; `None` if `ready` said so. `early` claims the session as a timer or
    /// a cancellation would, after the switch; `locals` are sends by other tasks of this worker.
    pub(crate) fn wait<S>(
        &self,
        queue: &WaitQueue<S>,
        ready: impl FnOnce(&mut S) -> bool,
        early: Option<Winner>,
        locals: usize,
    ) -> Option<Winner> {
        let attempt = |state: &mut S, _: &Waiters| {
            if ready(state) { Ok(()) } else { Err(ptr::null()) }
        };
        self.wait_with(queue, attempt, || (), early, locals)
    }

    /// Like `wait`, for who may bring something with it, and does something once it stands in the line.
    pub(crate) fn wait_with<S>(
        &self,
        queue: &WaitQueue<S>,
        attempt: impl FnOnce(&mut S, &Waiters) -> Result<(), *const ()>,
        standing: impl FnOnce(),
        early: Option<Winner>,
        locals: usize,
    ) -> Option<Winner> {
        let mut opened: Option<Session> = None;
        let waiter = std::cell::OnceCell::new();
        let got = queue.with(|state, line| {
            let Err(slot) = attempt(state, line) else { return true };
            let session = *opened.insert(self.core.phase.open());
            let seat = || Seat::with_slot(Who::Task(&*self.core), session, slot);
            let waiter = waiter.get_or_init(|| Waiter::new(seat()));
            // SAFETY: removed below, under the lock.
            unsafe { line.push(waiter) };
            false
        });
        if !got {
            standing();
        }
        let mut queued = false;
        if !got {
            // Switched away. Timers and cancellations claim here and nowhere else.
            if let (Some(winner), Some(session)) = (early, opened) {
                queued = self.core.phase.claim(session, winner);
            }
        }
        for _ in 0..locals {
            self.sender().send(Arc::as_ptr(&self.inbox), |_| {
                assert!(!queued, "queued twice");
                queued = true;
            });
        }
        if got {
            return None;
        }
        self.run_until_queued(queued);
        let Some(waiter) = waiter.get() else { unreachable!("it waited") };
        let winner = self.core.phase.winner();
        queue.with(|_, line| line.remove(waiter));
        Some(winner)
    }

    /// One wait in the lines that `enter` queues up in, unless it says that there is nothing to wait for: who
    /// has ended it. `early` is as for `wait`.
    pub(crate) fn wait_in_lines(
        &self,
        enter: impl FnOnce(Who, Session) -> bool,
        early: Option<Winner>,
    ) -> Winner {
        let session = self.core.phase.open();
        let waits = enter(Who::Task(&*self.core), session);
        if !waits && self.core.phase.claim(session, Winner::Own) {
            return Winner::Own;
        }
        let queued = early.is_some_and(|winner| self.core.phase.claim(session, winner));
        self.run_until_queued(queued);
        self.core.phase.winner()
    }

    /// Has the task wait in a line, behind all others, until `has_left`.
    pub(crate) fn waits_in<S>(&self, queue: &WaitQueue<S>) -> Box<Waiter> {
        let waiter =
            Box::new(Waiter::new(Seat::new(Who::Task(&*self.core), self.core.phase.open())));
        // SAFETY: `has_left` removes it, under the lock, and nobody drops it before that.
        queue.with(|_, line| unsafe { line.push(&waiter) });
        waiter
    }

    /// Ends the wait: whether the task was woken.
    pub(crate) fn has_left<S>(&self, queue: &WaitQueue<S>, waiter: &Waiter) -> bool {
        queue.with(|_, line| line.remove(waiter));
        let mut wakes = 0;
        self.inbox.drain(|_| wakes += 1);
        assert!(wakes <= 1, "queued twice");
        assert_eq!(wakes == 0, self.core.phase.open_session().is_some());
        wakes == 1
    }

    fn run_until_queued(&self, mut queued: bool) {
        while !queued {
            self.inbox.drain(|message| match message {
                Message::Wake(core) => {
                    assert!(ptr::eq(core, &*self.core) && !queued, "queued twice");
                    queued = true;
                }
                other => unreachable!("{other:?}"),
            });
            if !queued && self.inbox.fall_asleep() {
                self.bell.wait();
            }
        }
    }
}

/// The senders' side, on any thread.
struct Sender {
    queue: Arc<Queue>,
    slot: Arc<UnsafeCell<usize>>,
}

// SAFETY: the queue is `Send`, and loom checks who touches the slot.
unsafe impl Send for Sender {}

impl Sender {
    fn send(&self, here: *const Inbox, queue: impl FnOnce(*const Core)) {
        let claimed = self.queue.with(|messages, line| {
            let claimed = line.claim_first_of_any(here, Winner::Event);
            match &claimed {
                // SAFETY: the winner of the claim alone writes to the waiter's slot.
                Some(_) => self.slot.with_mut(|slot| unsafe { *slot += 1 }),
                None => *messages += 1,
            }
            claimed
        });
        if let Some(claimed) = claimed {
            claimed.wake(queue);
        }
    }
}

unsafe fn nothing(_: *const Core) {}

static NOTHING: Vtable = Vtable { root: nothing, free: nothing };

fn model(early: Option<Winner>, locals: usize, remotes: usize) {
    loom::model(move || {
        let worker = Worker::new();
        let sent = Arc::new(AtomicUsize::new(0));
        let senders: Vec<_> = (0..remotes)
            .map(|_| {
                let (sender, sent) = (worker.sender(), Arc::clone(&sent));
                thread::spawn(move || {
                    sender.send(ptr::null(), |_| unreachable!("no worker here"));
                    sent.fetch_add(1, Ordering::Relaxed);
                })
            })
            .collect();
        let mut received = worker.receive(early, locals);
        // The task's frame ends here: a late waker would race with this write.
        // SAFETY: nobody may touch the slot any more, which is what loom checks.
        worker.slot.with_mut(|slot| unsafe { *slot = 0 });
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        worker.inbox.drain(|_| panic!("a wake-up after the wait"));
        received += worker.queue.with(|messages, _| std::mem::take(messages));
        assert_eq!(received, locals + remotes, "a message was lost or doubled");
        assert_eq!(sent.load(Ordering::Relaxed), remotes);
    });
}

#[test]
fn one_waker_wakes_the_task_once() {
    model(None, 0, 1);
}

#[test]
fn of_two_wakers_one_wins_and_the_other_leaves_its_message() {
    model(None, 0, 2);
}

#[test]
fn a_waker_and_a_timeout_have_one_winner() {
    model(Some(Winner::Timeout), 0, 1);
}

#[test]
fn two_wakers_and_a_cancellation_have_one_winner() {
    model(Some(Winner::Cancellation), 0, 2);
}

#[test]
fn a_plain_claim_on_the_own_worker_meets_a_waker_elsewhere() {
    model(None, 1, 1);
}

#[test]
fn a_plain_claim_a_timeout_and_a_waker_have_one_winner() {
    model(Some(Winner::Timeout), 1, 1);
}

#[test]
fn two_waits_in_a_row_are_not_mixed_up() {
    loom::model(|| {
        let worker = Worker::new();
        let sender = worker.sender();
        let remote = thread::spawn(move || sender.send(ptr::null(), |_| unreachable!("no worker")));
        let mut received = worker.receive(Some(Winner::Timeout), 0);
        if received == 0 {
            received = worker.receive(None, 0);
        }
        remote.join().unwrap();
        assert_eq!(received, 1);
        worker.inbox.drain(|_| panic!("a wake-up after the wait"));
    });
}

#[test]
fn a_letter_posted_while_the_worker_falls_asleep_rings_the_bell() {
    use crate::task::inbox::CancelKey;
    loom::model(|| {
        let worker = Worker::new();
        let inbox = Arc::clone(&worker.inbox);
        let key = CancelKey { index: 7, generation: 1 };
        let remote = thread::spawn(move || inbox.post(Message::Cancel(Box::new((key, None)))));
        let mut read = 0;
        while read == 0 {
            worker.inbox.drain(|message| {
                assert!(matches!(message, Message::Cancel(order) if *order == (key, None)));
                read += 1;
            });
            if read == 0 && worker.inbox.fall_asleep() {
                worker.bell.wait();
            }
        }
        remote.join().unwrap();
        assert_eq!(read, 1);
    });
}

/// What happens once.
struct Event {
    over: WaitQueue<bool>,
    /// Written by who triggers, before it does; loom sees who reads it when.
    value: UnsafeCell<usize>,
}

// SAFETY: the queue is `Sync`, and loom checks who touches the value.
unsafe impl Sync for Event {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl Send for Event {}

impl Event {
    fn trigger(&self) {
        // SAFETY: nobody reads the value before the event is over, which is what loom checks.
        self.value.with_mut(|value| unsafe { *value = 7 });
        self.over.wake_all(|over| *over = true);
    }

    /// One wait of a task on a worker of its own.
    fn wait_for(&self, worker: &Worker, early: Option<Winner>) {
        let winner = worker.wait(&self.over, |over| *over, early, 0);
        if matches!(winner, None | Some(Winner::Event)) {
            // SAFETY: who was woken, or did not have to wait, comes after the write.
            assert_eq!(self.value.with(|value| unsafe { *value }), 7);
        } else {
            assert_eq!(winner, early);
        }
    }
}

/// Tasks of as many workers as `early` has entries wait for an event that another thread triggers.
fn event_model(early: &'static [Option<Winner>]) {
    loom::model(move || {
        let event = Arc::new(Event { over: WaitQueue::new(false), value: UnsafeCell::new(0) });
        let wait = |event: Arc<Event>, early| {
            let worker = Worker::new();
            event.wait_for(&worker, early);
            worker
        };
        let others: Vec<_> = early[1..]
            .iter()
            .map(|&early| {
                let event = Arc::clone(&event);
                thread::spawn(move || drop(wait(event, early)))
            })
            .collect();
        let trigger = {
            let event = Arc::clone(&event);
            thread::spawn(move || event.trigger())
        };
        let worker = wait(Arc::clone(&event), early[0]);
        trigger.join().unwrap();
        others.into_iter().for_each(|other| other.join().unwrap());
        worker.inbox.drain(|_| panic!("a wake-up after the wait"));
        assert!(event.over.with(|over, line| *over && line.is_empty()));
        event.wait_for(&worker, None);
    });
}

#[test]
fn an_event_wakes_who_waits_and_lets_pass_who_comes_later() {
    event_model(&[None]);
}

#[test]
fn an_event_wakes_the_tasks_of_two_workers() {
    event_model(&[None, None]);
}

#[test]
fn an_event_and_a_timeout_have_one_winner() {
    event_model(&[Some(Winner::Timeout)]);
}

#[test]
fn an_event_passes_over_who_was_cancelled_and_wakes_the_other() {
    event_model(&[Some(Winner::Cancellation), None]);
}
