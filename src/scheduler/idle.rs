//! Idle: what a worker does between its tasks' steps, and when there is nothing to run.
//!
//! Layer 4. Imports: task, clock, hooks. Never: pools, sockets, why anybody waits.
//!
//! A worker that has nothing to do sleeps in one `epoll_wait` until the next deadline, or for ever:
//! an idle program never wakes for nothing. Under a test's clock it moves the time instead.

use super::STEPS_PER_POLL;
use super::Worker;
use super::look_out::LOOK_FOR;
use super::offload;
use super::offload::Others;
use crate::clock::Nanos;
use crate::sys;
use crate::task::Core;
use crate::task::cancel::CancelNode;
use crate::task::cancel::Cause;
use crate::task::local;
use crate::task::phase::Winner;
use crossbeam_utils::Backoff;
use std::fmt::Write;
use std::time::Duration;

/// A deadline that was set for less than this is kept as exactly as the kernel wakes threads (34 µs
/// late in the median), with a timerfd and its one or two further system calls; a later one may be up to
/// a millisecond late, so that one wake-up serves all that are due in the same millisecond.
pub(super) const PRECISE_BELOW: Nanos = 10_000_000;

/// How soon a worker looks for other threads again, if one that it has seen may be about to leave.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

pub(crate) static DEADLINE_PASSED: Cause = Cause::Known("a deadline has passed");
static DEADLOCK: Cause = Cause::Known("every task waited for ever");

impl Worker {
    /// Looks at everything that could make a task ready, without waiting.
    #[cold]
    pub(super) fn look_around(&self) {
        // Without descriptors there is nothing to hear of, and other threads ring the inbox.
        if self.reactor.has_sources() {
            self.poll(Some(Duration::ZERO));
        }
        if !self.inbox.is_empty() {
            self.read_inbox();
        }
        self.expire_timers();
        self.look_at_idle_stacks_sometimes();
    }

    /// No task can run: waits until one can.
    pub(super) fn idle(&self) {
        if !self.inbox.is_empty() {
            self.read_inbox();
        }
        self.expire_timers();
        if !self.queue.is_empty() {
            return;
        }
        if self.return_idle_memory() {
            // Somebody may have come meanwhile; this is called again if not.
            return self.look_around();
        }
        if !self.settlers.is_empty() || self.clock.is_virtual() {
            return self.idle_in_a_test();
        }
        if self.look_out_for_letters() {
            return;
        }
        let mut until = None;
        if self.nothing_is_in_sight() {
            until = self.look_for_deadlock();
            if !self.queue.is_empty() {
                return;
            }
        }
        if self.inbox.fall_asleep() {
            let asleep_at = self.clock.now();
            self.poll(self.timeout(until));
            self.note_what_woke_it(asleep_at);
            self.read_inbox();
            self.expire_timers();
            // That was a look around: a worker that sleeps between requests needs no second one.
            self.steps_left.set(STEPS_PER_POLL);
        }
    }

    /// Waits for a letter without falling asleep, for as long as that is worth it: whether something has
    /// come. Meanwhile the kernel is asked as well, and no deadline waits for this.
    fn look_out_for_letters(&self) -> bool {
        if !self.look_out.is_on() {
            return false;
        }
        let until = self.clock.now() + LOOK_FOR;
        if self.next_wake_up().is_some_and(|at| at < until) {
            return false;
        }
        let backoff = Backoff::new();
        while self.inbox.is_empty() && self.queue.is_empty() {
            if self.clock.now() >= until {
                self.look_out.was_in_vain();
                return false;
            }
            if self.reactor.has_sources() {
                self.poll(Some(Duration::ZERO));
            } else if self.timers.borrow().is_empty() {
                // After some microseconds it also lets others have the processor, for who knows how long.
                backoff.snooze();
            } else {
                backoff.spin();
            }
        }
        if self.inbox.is_empty() {
            // Sleeping would have served that as well.
            self.look_out.was_in_vain();
            return true;
        }
        self.look_out.has_met_one();
        if self.reactor.has_sources() {
            self.poll(Some(Duration::ZERO));
        }
        self.read_inbox();
        self.steps_left.set(STEPS_PER_POLL);
        true
    }

    /// After a sleep since `asleep_at`, before the letters are read.
    fn note_what_woke_it(&self, asleep_at: Nanos) {
        if self.inbox.has_letters() {
            // A helper's letter says nothing of other threads, and while one works any letter may be its.
            if !self.offload.is_any_running() {
                self.has_heard_of_others.set(true);
            }
            self.look_out.was_woken_after(self.clock.now().saturating_sub(asleep_at));
        }
    }

    /// Somebody waits for everybody else to park, or time stands still until everybody does.
    #[cold]
    fn idle_in_a_test(&self) {
        // What the kernel holds already counts as progress.
        self.look_around();
        if !self.queue.is_empty() {
            return;
        }
        if let Some(settled) = self.settlers.claim_first() {
            self.queue.push(settled);
            return;
        }
        if self.offload.waiting.get() > 0 {
            // The call takes real time, and none that this clock knows of.
            return self.sleep_in_a_test(None);
        }
        if self.waiting_for_io.get() > 0 {
            return self.give_up("real I/O is waited for, and time stands still");
        }
        let next = self.timers.borrow().next();
        match next {
            Some(at) => {
                self.clock.advance_to(at);
                self.expire_timers();
            }
            // An abandoned call might wake somebody, or be waited for in vain: that is known at its end.
            None if self.offload.is_any_running() => self.sleep_in_a_test(None),
            None => self.give_up("every task waits, and no deadline is left to jump to"),
        }
    }

    /// Waits in real time, for what cannot be hurried, while the test's time stands still.
    pub(super) fn sleep_in_a_test(&self, max_wait: Option<Duration>) {
        if self.inbox.fall_asleep() {
            self.poll(max_wait);
            self.read_inbox();
        }
    }

    /// Only another thread can end the sleep.
    pub(super) fn nothing_is_in_sight(&self) -> bool {
        self.timers.borrow().is_empty()
            && self.waiting_for_io.get() == 0
            && self.offload.waiting.get() == 0
    }

    /// When the worker has something to do again, as far as that is known.
    pub(super) fn next_wake_up(&self) -> Option<Nanos> {
        let next = self.timers.borrow().next().unwrap_or(Nanos::MAX);
        Some(next.min(self.next_period.get())).filter(|&at| at != Nanos::MAX)
    }

    /// How long the worker may sleep, if it is to be back at `until`.
    pub(super) fn timeout(&self, until: Option<Nanos>) -> Option<Duration> {
        let wake_at = self.next_wake_up().into_iter().chain(until).min()?;
        let left = wake_at.saturating_sub(self.read_clock());
        let is_near = until == Some(wake_at) && left < PRECISE_BELOW;
        let precise = is_near || self.timers.borrow().wants_precision();
        let left = Duration::from_nanos(left);
        // A failure to set the alarm costs at most a millisecond of lateness.
        if precise && !left.is_zero() && self.reactor.set_alarm(wake_at, left).is_ok() {
            return None;
        }
        Some(left)
    }

    pub(super) fn poll(&self, timeout: Option<Duration>) {
        let wake = |core: &Core| self.queue.push(core);
        if self.debugger.is_none() {
            return self.reactor.poll(timeout, wake);
        }
        self.hook("before_io", |debugger| debugger.before_io(timeout));
        // The hook may have woken a task.
        let timeout = if self.queue.is_empty() { timeout } else { Some(Duration::ZERO) };
        let before = self.clock.now();
        self.reactor.poll(timeout, wake);
        let elapsed = Duration::from_nanos(self.clock.now().saturating_sub(before));
        self.hook("after_io", |debugger| debugger.after_io(elapsed));
    }

    /// Fires every deadline that has passed.
    pub(super) fn expire_timers(&self) {
        if self.timers.borrow().is_empty() {
            return;
        }
        let now = self.read_clock();
        // A cancellation tells the debugger, which is foreign code: nothing is borrowed meanwhile.
        while let Some(expiry) = { self.timers.borrow_mut().pop_due(now) } {
            match expiry {
                super::Expiry::Park(core, session) => {
                    // SAFETY: the timer was still set, so its task is still parked.
                    let core = unsafe { &*core };
                    if core.phase.claim(session, Winner::Timeout) {
                        self.queue.push(core);
                    }
                }
                // SAFETY: a scope removes its timer before it ends.
                super::Expiry::Cancel(node) => self.cancel(unsafe { &*node }, &DEADLINE_PASSED),
            }
        }
    }

    /// Nothing can ever wake a task unless another thread does. Returns when to look again, if that is to
    /// be soon.
    ///
    /// A helper with an abandoned call is another thread, and at its end leaves a letter: until then it is
    /// not known whether it wakes somebody.
    #[cold]
    fn look_for_deadlock(&self) -> Option<Nanos> {
        // Counting threads is five system calls. Who has left a letter just now will hardly be gone; if it
        // leaves no other one soon, they are counted.
        if self.has_heard_of_others.replace(false) {
            return self.deadline_after(LOOK_AGAIN);
        }
        match offload::helpers().others() {
            Others::Exist => self.warn_once("every task waits for another thread"),
            Others::MayBeLeaving => return self.deadline_after(LOOK_AGAIN),
            // The last other thread may have ended just now: what it has left is read first.
            Others::DoNotExist if !self.inbox.is_empty() => {}
            Others::DoNotExist => {
                self.give_up("deadlock: every task waits, and nothing can wake one");
            }
        }
        None
    }

    /// Not before each sleep: a program may wait for its other threads often and rightly.
    #[cold]
    pub(super) fn warn_once(&self, why: &str) {
        if !self.warned.replace(true) {
            let report = self.describe(why, self.root());
            local::log(log::Level::Warn, format_args!("{report}"));
        }
    }

    /// Ends the run: cancels everything and keeps the report for `run` to panic with.
    #[cold]
    fn give_up(&self, why: &str) {
        let report = self.describe(why, self.root());
        if self.report.borrow().is_some() {
            // It was cancelled before, and something will not be.
            sys::abort_with(&["giambio: ", &report, "\n"]);
        }
        local::log(log::Level::Error, format_args!("{report}"));
        *self.report.borrow_mut() = Some(report);
        self.root().into_iter().for_each(|root| self.cancel(root, &DEADLOCK));
        if self.queue.is_empty() {
            let report = self.describe(why, self.root());
            sys::abort_with(&["giambio: ", &report, "\n"]);
        }
    }

    /// Every task below `root` with what it waits for.
    #[cold]
    pub(crate) fn describe(&self, why: &str, root: Option<&CancelNode>) -> String {
        let mut text = String::from(why);
        let now = self.clock.now();
        let Some(root) = root else { return text };
        root.for_each_task(|core| {
            let since = Duration::from_nanos(now.saturating_sub(core.since.get()));
            let _ = write!(text, "\n  task '{}' ({}) {}", core.name, core.id, core.reason.get());
            let _ = write!(text, ", for {since:?}");
            if core.name.chosen().is_some() {
                let place = core.name.place();
                let _ = write!(text, "; it was spawned at {}:{}", place.file(), place.line());
            }
        });
        text
    }
}
