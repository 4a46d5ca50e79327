//! Drive: who turns the loop, the worker itself or a host.
//!
//! Layer 4. Imports: task, clock, sys. Never: what a host does between its ticks.
//!
//! `run` turns the loop until every task has ended. A host turns it one round at a time, and between
//! two rounds it sleeps in a call of its own choice. If it has asked for the descriptor, that alone tells
//! it when the next round is due: a round that leaves nothing to run leaves the inbox asleep, so that
//! other threads ring, and the next deadline in the alarm; what the host itself wakes or cancels rings as
//! well; and a round that leaves something to run rings at once. Without the descriptor nobody rings.

use super::Next;
use super::STEPS_PER_POLL;
use super::Worker;
use crate::clock::Nanos;
use crate::sys;
use crate::task::Core;
use crate::task::cancel::Cause;
use crate::task::local::LOCAL;
use std::cell::Cell;
use std::os::fd::BorrowedFd;
use std::ptr;
use std::time::Duration;
use std::time::Instant;

static HOST_LEFT: Cause = Cause::Known("the closure of `drive` has ended");

/// What a round of the loop has done, and what it has left: see [`Driver::tick`](crate::Driver::tick).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tick {
    /// Steps of tasks that were run: a step ends where its task waits, yields or ends.
    pub steps: usize,
    /// Whether every task has ended, the main one too.
    pub is_done: bool,
    /// Whether there is more to do at once: tick again before you wait for anything.
    pub is_ready: bool,
    /// When to tick again if nothing else happens before, by [`clock`](crate::clock()). It may have passed.
    pub next_deadline: Option<Instant>,
}

/// What a worker knows of its host.
#[derive(Debug, Default)]
pub(super) struct Host {
    /// It has asked for the descriptor.
    polls: Cell<bool>,
    /// It polls, and its last tick has left nothing to run: what changes that must ring.
    must_hear: Cell<bool>,
}

/// What is undone at the end of a drive or a run.
#[derive(Debug)]
pub(crate) struct Begun {
    alarm: sys::AbortOnUnwind,
    /// For the report of an overflow.
    signal_stack: sys::SignalStack,
}

/// I2: nothing may unwind past suspended tasks.
fn alarm() -> sys::AbortOnUnwind {
    sys::AbortOnUnwind("giambio: the scheduler panicked; its tasks cannot be left behind\n")
}

impl Worker {
    /// Runs until every task has ended. `main` was admitted before, and nothing else.
    pub(crate) fn run(&self, main: &Core) {
        let begun = self.begin(main);
        self.turn_until_done();
        self.end(begun);
    }

    /// Takes this thread, until `end`. `main` was admitted before, and nothing else.
    #[inline]
    pub(crate) fn begin(&self, main: &Core) -> Begun {
        let alarm = alarm();
        let signal_stack = sys::SignalStack::ensure();
        self.root.set(&main.base);
        LOCAL.with(|local| local.worker.set(ptr::from_ref(self).cast()));
        self.hook("on_start", |debugger| debugger.on_start());
        self.tell_of_spawn(main);
        Begun { alarm, signal_stack }
    }

    /// Leaves the thread. Every task has ended.
    #[inline]
    pub(crate) fn end(&self, begun: Begun) {
        self.read_inbox();
        self.hook("on_exit", |debugger| debugger.on_exit());
        LOCAL.with(|local| local.worker.set(ptr::null()));
        self.root.set(ptr::null());
        begun.alarm.disarm();
        drop(begun.signal_stack);
    }

    #[inline]
    fn turn_until_done(&self) {
        loop {
            match self.next() {
                Next::Resume(core) => self.step(core),
                Next::LookAround => self.look_around(),
                Next::Idle => self.idle(),
                Next::Finished => break,
            }
        }
    }

    /// The host has gone: cancels what is left, and runs it to its end.
    pub(crate) fn finish_alone(&self) {
        self.host.polls.set(false);
        self.host.must_hear.set(false);
        // The host's panic, which was caught, is no task's any more.
        self.note_window();
        self.read_inbox();
        if !self.is_done() {
            self.root().into_iter().for_each(|root| self.cancel(root, &HOST_LEFT));
        }
        self.turn_until_done();
    }

    /// Looks at everything that could make a task ready, waiting for at most `max_wait` if none is, and
    /// runs some tens of steps. For a host, between two steps.
    pub(crate) fn tick(&self, max_wait: Option<Duration>) -> Tick {
        // The host might catch a panic of ours and go on.
        let alarm = alarm();
        self.host.must_hear.set(false);
        self.note_window();
        let mut steps = 0;
        if !self.is_done() {
            self.gather(max_wait);
            self.steps_left.set(STEPS_PER_POLL);
            while let Next::Resume(core) = self.next() {
                self.step(core);
                steps += 1;
            }
        }
        let tick = self.conclude(steps);
        alarm.disarm();
        tick
    }

    /// Whether every task has ended.
    pub(crate) fn is_done(&self) -> bool {
        self.live.get() == 0
    }

    /// Looks once at the inbox, the timers and the kernel.
    fn gather(&self, max_wait: Option<Duration>) {
        self.read_inbox();
        let until = max_wait.and_then(|wait| self.deadline_after(wait));
        self.expire_timers();
        let in_a_test = self.clock.is_virtual() || !self.settlers.is_empty();
        let at_once = in_a_test
            || !self.queue.is_empty()
            || max_wait == Some(Duration::ZERO)
            || self.return_idle_memory();
        if !at_once {
            self.wait_for_the_host(until);
        } else if self.reactor.has_sources() || self.host.polls.get() {
            // Without sources too: what has rung must be heard, or the descriptor stays readable.
            self.poll(Some(Duration::ZERO));
        }
        self.read_inbox();
        self.expire_timers();
        if in_a_test && self.queue.is_empty() {
            self.pretend_to_wait(max_wait, until);
        }
    }

    /// Nothing can run, and the host gives the thread away until then.
    fn wait_for_the_host(&self, until: Option<Nanos>) {
        if until.is_none() && self.nothing_is_in_sight() {
            // No deadlock: the host has other tricks, a signal's handler for one.
            self.warn_once("every task waits for the host or for another thread");
        }
        // The log's sink may have woken a task.
        if self.queue.is_empty() && self.inbox.fall_asleep() {
            self.poll(self.timeout(until));
        }
    }

    /// Somebody waits for everybody else to park, or time passes only in the host's name.
    #[cold]
    fn pretend_to_wait(&self, max_wait: Option<Duration>, until: Option<Nanos>) {
        if let Some(settled) = self.settlers.claim_first() {
            return self.queue.push(settled);
        }
        if self.offload.waiting.get() > 0 {
            return self.sleep_in_a_test(max_wait);
        }
        let next = self.timers.borrow().next();
        if let Some(at) = next.into_iter().chain(until).min() {
            self.clock.advance_to(at);
            self.expire_timers();
        }
    }

    /// Says what the round has left, and sees to it that a host that polls hears of the next.
    fn conclude(&self, steps: usize) -> Tick {
        let is_done = self.is_done();
        let is_ready = !is_done && self.has_more();
        let next = if is_done { None } else { self.next_wake_up() };
        if self.host.polls.get() && !is_done {
            self.host.must_hear.set(!is_ready);
            if is_ready || !self.wakes_the_host(next) {
                self.inbox.ring();
            }
        }
        let next_deadline = next.map(|at| self.clock.instant(at));
        Tick { steps, is_done, is_ready, next_deadline }
    }

    /// Whether there is something to do at once. If not, and the host polls, the inbox is asleep.
    fn has_more(&self) -> bool {
        if !self.queue.is_empty() {
            self.look_at_idle_stacks_sometimes();
            return true;
        }
        if !self.settlers.is_empty() || self.return_idle_memory() {
            return true;
        }
        if self.host.polls.get() {
            // A full answer may have been a part: the rest makes no new edge.
            self.reactor.may_know_more() || !self.inbox.fall_asleep()
        } else {
            !self.inbox.is_empty()
        }
    }

    /// Puts a deadline into the descriptor; false if it has passed or that failed: no time to sleep.
    fn wakes_the_host(&self, next: Option<Nanos>) -> bool {
        let Some(at) = next.filter(|_| !self.clock.is_virtual()) else { return true };
        let left = Duration::from_nanos(at.saturating_sub(self.read_clock()));
        !left.is_zero() && self.reactor.set_alarm(at, left).is_ok()
    }

    /// What becomes readable when a tick is due, from now until the host has gone.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        // What there is to do already the next tick finds.
        if !self.host.polls.replace(true) {
            self.inbox.ring();
        }
        self.reactor.descriptor()
    }

    /// Something has become ready on this thread: rings if that happened between two ticks.
    #[inline]
    pub(crate) fn tell_host(&self) {
        if self.host.must_hear.get() {
            self.ring_for_the_host();
        }
    }

    #[cold]
    fn ring_for_the_host(&self) {
        self.host.must_hear.set(false);
        self.inbox.ring();
    }

    /// Whether this thread unwinds, and no parked task does.
    pub(crate) fn host_unwinds(&self) -> bool {
        std::thread::panicking() && !self.is_unwind_window()
    }
}
