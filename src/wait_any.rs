//! Wait any: waiting in several lines at once, for whichever is first.
//!
//! Layer 5. Imports: park, blocked, wait_queue, task, clock, sys. Never: what the lines are for.
//!
//! All places are of one session, so exactly one waker wins it, and says in which place it has met the
//! waiter. First every arm is attempted while nothing is linked: whoever can be served then has nobody to
//! race with. Only then the places are linked, one after the other, each under its own lock; an arm that
//! has become ready meanwhile ends the wait by the waiter's own claim, and all is attempted again. If that
//! claim loses, a waker was faster, and its choice stands.
//!
//! Rejected: holding the locks of all lines at once, in the order of their addresses, as Go does. It needs
//! no second attempt, but makes everybody who uses one of the lines spin for as long as all are looked at.

use crate::blocked::Blocked;
use crate::blocked::Polling;
use crate::hooks::WaitReason;
use crate::park;
use crate::park::Attempt;
use crate::park::Running;
use crate::sys::Direction;
use crate::task::Abort;
use crate::task::phase::Session;
use crate::task::phase::Winner;
use crate::task::waiters::Seat;
use crate::task::waiters::Waiter;
use crate::task::waiters::Who;
use crate::wait_queue::WaitQueue;
use std::cell::Cell;
use std::io;
use std::os::fd::BorrowedFd;
use std::ptr;
use std::time::Instant;

/// One of several things to wait for.
pub(crate) trait Arm {
    /// Does at once what can be done. The arm has no place now.
    fn attempt(&mut self, me: Option<Running>) -> bool;

    /// Like [`attempt`](Self::attempt), where neither a wait nor another attempt follows: what is known may
    /// be older than what the kernel holds.
    fn attempt_once(&mut self, me: Option<Running>) -> bool {
        self.attempt(me)
    }

    /// Where the arm keeps its place, and what it brings along ([`Seat`]).
    fn place(&mut self) -> &mut Place;

    /// Links the place, or says that the arm has become ready, for anybody but `who`: false.
    ///
    /// # Safety
    ///
    /// The arm stays where it is until `leave`.
    unsafe fn enter(&self, who: Who) -> bool;

    /// Takes the place out of its line, if it is still there.
    fn leave(&self);

    /// Makes sure of what a waker has done, once the arm has no place any more. False if that was nothing.
    fn settle(&mut self, winner: Winner) -> bool;

    /// What a plain thread has to look at itself: nobody tells it of descriptors.
    fn descriptor(&self) -> Option<(BorrowedFd<'_>, Direction)> {
        None
    }

    /// Is done, with this error: a thread could not look at its descriptor.
    fn fail(&mut self, _error: io::Error) {}

    /// When the arm becomes ready by itself.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// Pretends to be done, with an error. False if the arm has none to report.
    fn give_up(&mut self) -> bool {
        false
    }
}

/// What happens once, and wakes all who stand in its line.
pub(crate) trait Occurrence {
    fn is_over(&self) -> bool;

    /// Queues a waiter up, unless it is over: false.
    ///
    /// # Safety
    ///
    /// As for `Waiters::push`, until `leave`.
    unsafe fn enter(&self, who: Who, waiter: &Waiter) -> bool;

    /// Takes a waiter out of the line, if it is still there; afterwards no waker is busy with it.
    fn leave(&self, waiter: &Waiter);
}

/// A state of a queue in which nobody has to wait any more, from some time on.
pub(crate) trait Over {
    fn is_over(&self) -> bool;
}

impl Over for bool {
    fn is_over(&self) -> bool {
        *self
    }
}

impl<S: Over> Occurrence for WaitQueue<S> {
    fn is_over(&self) -> bool {
        self.with(|state, _| state.is_over())
    }

    unsafe fn enter(&self, _: Who, waiter: &Waiter) -> bool {
        self.with(|state, line| {
            let is_over = state.is_over();
            if !is_over {
                // SAFETY: passed on to the caller, who leaves under the same lock.
                unsafe { line.push(waiter) };
            }
            !is_over
        })
    }

    fn leave(&self, waiter: &Waiter) {
        self.with(|_, line| line.remove(waiter));
    }
}

/// An arm's place in its line, for the time of one wait.
#[derive(Debug, Default)]
pub(crate) struct Place {
    waiter: Option<Waiter>,
    slot: Option<*const ()>,
}

impl Place {
    /// What is brought along, which stays where it is as long as the place is linked.
    pub(crate) fn bring(&mut self, slot: *const ()) {
        self.slot = Some(slot);
    }

    fn take_seat(&mut self, who: Who, session: Session, chosen: &Cell<*const Waiter>) {
        let slot = self.slot.unwrap_or(ptr::null());
        self.waiter = Some(Waiter::new(Seat::of_several(who, session, slot, chosen)));
    }

    /// The node to link.
    pub(crate) fn waiter(&self) -> &Waiter {
        match &self.waiter {
            Some(waiter) => waiter,
            None => unreachable!("a place is linked before it is taken"),
        }
    }

    fn is(&self, chosen: *const Waiter) -> bool {
        self.waiter.as_ref().is_some_and(|waiter| ptr::eq(waiter, chosen))
    }
}

/// How long the first of several may take to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Not at all.
    None,
    /// Until then, by the clock of `clock`.
    Until(Instant),
    /// For ever.
    Endless,
}

impl Patience {
    fn is_over(self) -> bool {
        matches!(self, Self::Until(at) if park::time_here() >= at)
    }

    fn ends_at(self, at: Option<Instant>) -> bool {
        matches!(self, Self::Until(end) if Some(end) == at)
    }
}

/// What has come of the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// This arm was done, and no other.
    Arm(usize),
    /// None was done in time.
    Timeout,
}

/// In which order arms are attempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As they stand.
    Biased,
    /// In one that is drawn anew for each attempt: of two that are ready each is as likely the first.
    Fair,
}

/// One order of so many arms: every `stride`th, beginning anywhere, where the stride and the number have
/// no common divisor. With each stride its opposite is drawn as often, which makes it fair for each pair.
#[derive(Clone, Copy, Debug)]
struct Round {
    count: usize,
    start: usize,
    stride: usize,
}

impl Round {
    fn draw(count: usize, order: Order) -> Self {
        if order == Order::Biased || count < 2 {
            return Self { count, start: 0, stride: 1 };
        }
        let mut stride = 1 + park::random_below(count - 1);
        while has_common_divisor(stride, count) {
            stride = 1 + park::random_below(count - 1);
        }
        Self { count, start: park::random_below(count), stride }
    }

    fn indices(self) -> impl Iterator<Item = usize> {
        (0..self.count).map(move |step| (self.start + step * self.stride) % self.count)
    }
}

fn has_common_divisor(mut a: usize, mut b: usize) -> bool {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a > 1
}

/// Waits until one of several arms is done.
///
/// A checkpoint on every call, save for [`Patience::None`], which never waits. Without any arm only time
/// ends it.
#[track_caller]
pub(crate) fn first_of(arms: &mut [&mut dyn Arm], order: Order, patience: Patience) -> Choice {
    if patience == Patience::None {
        let done = attempt_all_once(arms, order, park::running());
        return done.map_or(Choice::Timeout, Choice::Arm);
    }
    let me = park::current();
    let mut attempt = me.map_or(Attempt::Patient, Running::checkpoint_or_report);
    let mut has_waited = false;
    loop {
        let done = match attempt {
            Attempt::Patient => attempt_all(arms, order, me),
            Attempt::Once => attempt_all_once(arms, order, me),
        };
        if let Some(done) = done {
            return Choice::Arm(done);
        }
        if has_waited || patience.is_over() {
            return attempt_all_once(arms, order, me).map_or(Choice::Timeout, Choice::Arm);
        }
        if attempt == Attempt::Once
            && let Some(given_up) = give_up_one(arms, order)
        {
            return Choice::Arm(given_up);
        }
        let deadline = earliest(arms, patience);
        let (winner, chosen) = match wait(me, arms, deadline, Round::draw(arms.len(), order)) {
            Ok(ended) => ended,
            Err(error) => return Choice::Arm(fail_one(arms, error)),
        };
        // The clock of a test stands still while the thread that drives it has really waited.
        has_waited = me.is_none() && winner == Winner::Timeout && patience.ends_at(deadline);
        let served = matches!(winner, Winner::Event | Winner::Closed);
        let place = arms.iter_mut().position(|arm| served && arm.place().is(chosen));
        if let Some(index) = place
            && arms[index].settle(winner)
        {
            return Choice::Arm(index);
        }
        attempt = match me {
            _ if winner == Winner::Cancellation => Attempt::Once,
            Some(me) => me.raise_or_report(),
            None => Attempt::Patient,
        };
    }
}

fn attempt_all(arms: &mut [&mut dyn Arm], order: Order, me: Option<Running>) -> Option<usize> {
    Round::draw(arms.len(), order).indices().find(|&index| arms[index].attempt(me))
}

fn attempt_all_once(arms: &mut [&mut dyn Arm], order: Order, me: Option<Running>) -> Option<usize> {
    Round::draw(arms.len(), order).indices().find(|&index| arms[index].attempt_once(me))
}

fn give_up_one(arms: &mut [&mut dyn Arm], order: Order) -> Option<usize> {
    Round::draw(arms.len(), order).indices().find(|&index| arms[index].give_up())
}

fn fail_one(arms: &mut [&mut dyn Arm], error: io::Error) -> usize {
    let Some(index) = arms.iter().position(|arm| arm.descriptor().is_some()) else {
        unreachable!("a wait without descriptors has failed")
    };
    arms[index].fail(error);
    index
}

fn earliest(arms: &[&mut dyn Arm], patience: Patience) -> Option<Instant> {
    let limit = match patience {
        Patience::Until(at) => Some(at),
        Patience::None | Patience::Endless => None,
    };
    arms.iter().filter_map(|arm| arm.deadline()).chain(limit).min()
}

/// Waits in all places at once: who has ended that, and in which place.
#[track_caller]
fn wait(
    me: Option<Running>,
    arms: &mut [&mut dyn Arm],
    deadline: Option<Instant>,
    round: Round,
) -> io::Result<(Winner, *const Waiter)> {
    let chosen = Cell::new(ptr::null());
    let winner = match me {
        Some(me) => wait_as_task(me, arms, deadline, round, &chosen),
        None if arms.iter().any(|arm| arm.descriptor().is_some()) => {
            poll_as_thread(arms, deadline, round, &chosen)?
        }
        None => Blocked::with(|blocked| {
            let session = blocked.open();
            let places = Places::take(arms, round, blocked.who(), session, &chosen);
            if !places.enter_all(blocked.who()) && blocked.claim_own(session) {
                return Winner::Own;
            }
            blocked.block(session, deadline)
        }),
    };
    Ok((winner, chosen.get()))
}

#[cold]
fn poll_as_thread(
    arms: &mut [&mut dyn Arm],
    deadline: Option<Instant>,
    round: Round,
    chosen: &Cell<*const Waiter>,
) -> io::Result<Winner> {
    let polling = Polling::new()?;
    let session = polling.open();
    let places = Places::take(arms, round, polling.who(), session, chosen);
    if !places.enter_all(polling.who()) && polling.claim_own(session) {
        return Ok(Winner::Own);
    }
    polling.block(session, deadline, places.arms.iter().filter_map(|arm| arm.descriptor()))
}

#[track_caller]
fn wait_as_task(
    me: Running,
    arms: &mut [&mut dyn Arm],
    deadline: Option<Instant>,
    round: Round,
    chosen: &Cell<*const Waiter>,
) -> Winner {
    let session = me.open(WaitReason::Select);
    let who = Who::Task(me.core());
    let places = Places::take(arms, round, who, session, chosen);
    if !places.enter_all(who) && me.core().phase.claim(session, Winner::Own) {
        me.core().reason.set(WaitReason::Runnable);
        return Winner::Own;
    }
    let deadline = deadline.and_then(|at| me.worker().deadline_at(at));
    me.park(session, deadline, Abort::Report)
}

/// The places of a wait, given up on drop: on a wake-up, a timeout, a cancellation and a panic alike. That
/// takes every lock, so that afterwards no waker is busy with any of them.
struct Places<'w, 'a> {
    arms: &'w [&'a mut dyn Arm],
    /// In which they are linked: two may stand in one line, and the first of them is served first.
    round: Round,
}

impl<'w, 'a> Places<'w, 'a> {
    fn take(
        arms: &'w mut [&'a mut dyn Arm],
        round: Round,
        who: Who,
        session: Session,
        chosen: &Cell<*const Waiter>,
    ) -> Self {
        arms.iter_mut().for_each(|arm| arm.place().take_seat(who, session, chosen));
        Self { arms, round }
    }

    /// False as soon as an arm is ready.
    fn enter_all(&self, who: Who) -> bool {
        // SAFETY: the arms are borrowed, hence in place, until `self` is dropped, which leaves all.
        self.round.indices().all(|index| unsafe { self.arms[index].enter(who) })
    }
}

impl Drop for Places<'_, '_> {
    fn drop(&mut self) {
        self.arms.iter().for_each(|arm| arm.leave());
    }
}

#[cfg(test)]
mod tests {
    use super::Order;
    use super::Round;

    #[test]
    fn a_round_comes_to_every_arm_once() {
        for count in 0..40 {
            let mut seen: Vec<_> = Round::draw(count, Order::Fair).indices().collect();
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..count));
        }
    }

    #[test]
    fn of_each_pair_each_is_first_as_often() {
        for count in 2..9 {
            let mut first = vec![0_i32; count * count];
            const ROUNDS: i32 = 4000;
            for _ in 0..ROUNDS {
                let order: Vec<_> = Round::draw(count, Order::Fair).indices().collect();
                for (place, &earlier) in order.iter().enumerate() {
                    order[place..].iter().for_each(|&later| first[earlier * count + later] += 1);
                }
            }
            for (a, b) in (0..count).flat_map(|a| (0..a).map(move |b| (a, b))) {
                // Six standard deviations.
                let off = (first[a * count + b] - ROUNDS / 2).abs();
                assert!(off < 190, "{a} was before {b} of {count} by {off} too often or seldom");
            }
        }
    }
}
