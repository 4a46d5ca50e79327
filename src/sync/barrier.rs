//! Barrier: how tasks wait until so many of them have come.
//!
//! Layer 7. Imports: wait_queue, park, hooks, task. Never: what they have done before.
//!
//! Those who wait are counted by whom they are counted for: the last one. It looks at the line, so who was
//! cancelled meanwhile does not count, whether it has run since or not. The count that is kept is only
//! what spares the others that look: it is never too low.
//!
//! A waiter brings the number of its round with it, and the last one wakes those of its own round and
//! of earlier ones: others may have come for the next before all of them are woken.

use crate::hooks::WaitReason;
use crate::park;
use crate::task::Abort;
use crate::task::phase::Winner;
use crate::wait_queue::Lines;
use crate::wait_queue::Spot;
use crate::wait_queue::Wait;
use crate::wait_queue::WaitQueue;
use std::fmt;
use std::ptr;

/// Parks tasks and blocks threads until so many have come, again and again, with
/// [`std::sync::Barrier`]'s names.
///
/// One barrier serves tasks of several runtimes and plain threads at once.
///
/// # Examples
///
/// ```
/// use giambio::sync::Barrier;
/// use std::cell::Cell;
///
/// giambio::run(|| {
///     let (barrier, before, leaders) = (Barrier::new(10), Cell::new(0), Cell::new(0));
///     giambio::pool(|pool| {
///         for _ in 0..10 {
///             pool.spawn(|| {
///                 before.set(before.get() + 1);
///                 let is_leader = barrier.wait().is_leader();
///                 assert_eq!(before.get(), 10);
///                 leaders.set(leaders.get() + i32::from(is_leader));
///             });
///         }
///     });
///     assert_eq!(leaders.get(), 1);
/// });
/// ```
pub struct Barrier {
    arrivals: WaitQueue<Arrivals>,
    size: usize,
}

struct Arrivals {
    /// Those who wait in this round, or more: some may have been cancelled.
    count: usize,
    round: usize,
}

impl Barrier {
    /// A barrier for so many tasks and threads; one for none lets each pass at once, as one for one does.
    #[must_use]
    #[inline]
    pub const fn new(n: usize) -> Self {
        Self { arrivals: WaitQueue::new(Arrivals { count: 0, round: 0 }), size: n }
    }

    /// Parks the calling task until so many have come that nobody has to wait any more.
    ///
    /// The one that comes last is the leader, goes on at once, and wakes the others in the order in which
    /// they have come. Then the barrier can be used again. Outside of [`run`](crate::run) it blocks the
    /// thread.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call, also for the last to come. A wait that was cut has not come: one more
    /// is needed. Only who is cancelled on one thread at the very moment at which the last one comes on another
    /// counts all the same. If the others have come before the cancellation, the call completes and the next
    /// checkpoint raises.
    ///
    /// # Panics
    ///
    /// If it would have to wait inside of [`task::no_switch`](crate::task::no_switch). It has not come then.
    #[track_caller]
    pub fn wait(&self) -> BarrierWaitResult {
        let me = park::current();
        if let Some(me) = me {
            me.checkpoint();
        }
        let wait = Wait { deadline: None, reason: WaitReason::Barrier, abort: Abort::Now };
        let come = |arrivals: &mut Arrivals, lines: &Lines<'_, 1>| self.come(arrivals, lines);
        match self.arrivals.attempt_or_stand(me, &wait, come, || ()) {
            Ok(round) => {
                self.arrivals.wake_line_while(0, Winner::Event, |slot| {
                    slot.addr().wrapping_sub(round).cast_signed() <= 0
                });
                BarrierWaitResult(true)
            }
            Err(_) => BarrierWaitResult(false),
        }
    }

    /// Ends the round, or says where to wait for its end.
    fn come(&self, arrivals: &mut Arrivals, lines: &Lines<'_, 1>) -> Result<usize, Spot> {
        let others = self.size.saturating_sub(1);
        if arrivals.count >= others {
            let round = arrivals.round;
            arrivals.count = lines.line(0).count_if(|slot| slot.addr() == round);
        }
        if arrivals.count >= others {
            arrivals.count = 0;
            let round = arrivals.round;
            arrivals.round = round.wrapping_add(1);
            return Ok(round);
        }
        arrivals.count += 1;
        Err(Spot { line: 0, slot: ptr::without_provenance(arrivals.round) })
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier").finish_non_exhaustive()
    }
}

/// Who has come last to a [`Barrier`].
pub struct BarrierWaitResult(bool);

impl BarrierWaitResult {
    /// Whether this is the one that has come last; in each round one has.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.0
    }
}

impl fmt::Debug for BarrierWaitResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BarrierWaitResult").field("is_leader", &self.is_leader()).finish()
    }
}
