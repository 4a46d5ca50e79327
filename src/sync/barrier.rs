//! Barrier: so many, all at once.
//!
//! Layer 7. Imports: wait_queue, park, hooks, task. Never: what they meet for.
//!
//! Who counts stands in the line: a wait that was cut still does until its task runs, so the last to come
//! looks whose waits have not ended. A counter, which may be too high, tells when that is worth the walk.

use crate::hooks::WaitReason;
use crate::park;
use crate::task::Abort;
use crate::task::phase::Winner;
use crate::task::waiters::Waiters;
use crate::wait_queue::Spot;
use crate::wait_queue::Wait;
use crate::wait_queue::WaitQueue;
use std::fmt;
use std::ptr;

/// Lets a number of tasks and threads wait until all of them have come, with [`std::sync::Barrier`]'s
/// names.
///
/// A task that waits parks, and the others of its worker go on; outside of [`run`](crate::run) the thread
/// waits. One barrier serves tasks of several runtimes and plain threads at once, over and over: those who
/// come when all have met are the first of the next round.
///
/// # Examples
///
/// ```
/// use giambio::sync::Barrier;
/// use std::cell::Cell;
///
/// giambio::run(|| {
///     let (barrier, prepared) = (Barrier::new(10), Cell::new(0));
///     giambio::pool(|pool| {
///         for _ in 0..10 {
///             pool.spawn(|| {
///                 prepared.set(prepared.get() + 1);
///                 barrier.wait();
///                 assert_eq!(prepared.get(), 10);
///             });
///         }
///     });
/// });
/// ```
///
/// It may lie in a static, and be shared:
///
/// ```
/// use giambio::sync::Barrier;
///
/// static BOTH: Barrier = Barrier::new(2);
///
/// fn may_be_shared<T: Send + Sync>() {}
/// may_be_shared::<Barrier>();
///
/// let thread = std::thread::spawn(|| BOTH.wait().is_leader());
/// let leads = giambio::run(|| BOTH.wait().is_leader());
/// assert!(leads != thread.join().unwrap());
/// ```
pub struct Barrier {
    size: usize,
    rounds: WaitQueue<Rounds>,
}

/// What is known of those who wait, each of whom has brought the number of his round.
struct Rounds {
    /// The one that whoever comes now belongs to.
    current: usize,
    /// How many have come in it, including those who have given up since they were last counted.
    arrived: usize,
}

/// What [`Barrier::wait`] says to who has waited.
///
/// # Examples
///
/// ```
/// let barrier = giambio::sync::Barrier::new(1);
/// assert!(barrier.wait().is_leader());
/// ```
pub struct BarrierWaitResult(bool);

impl Barrier {
    /// A barrier for so many; for none it is one for one.
    #[must_use]
    #[inline]
    pub const fn new(n: usize) -> Self {
        Self { size: n, rounds: WaitQueue::new(Rounds { current: 0, arrived: 0 }) }
    }

    /// Parks the calling task until all have come.
    ///
    /// The last to come does not park: it lets the others go on, in the order in which they have come, and is
    /// the round's leader. Outside of [`run`](crate::run) it blocks the thread.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. Who was cut while it waited has withdrawn, and another one has to come in
    /// its place. If the last has come before the cancellation, the call completes and the next checkpoint
    /// raises. Only if a task is cancelled at the very moment at which the last comes, on another thread than
    /// the task's, may it be cut although it has been counted: then the others go on without it.
    ///
    /// # Panics
    ///
    /// If it would have to wait inside of [`task::no_switch`](crate::task::no_switch).
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::sync::Barrier;
    ///
    /// giambio::run(|| {
    ///     let barrier = Barrier::new(2);
    ///     giambio::pool(|pool| {
    ///         let cut = pool.spawn(|| drop(barrier.wait()));
    ///         giambio::yield_now();
    ///         cut.cancel(); // and does not count
    ///         let first = pool.spawn(|| barrier.wait().is_leader());
    ///         giambio::yield_now();
    ///         assert!(!first.is_finished());
    ///         assert!(barrier.wait().is_leader());
    ///         assert!(!first.join().unwrap());
    ///     });
    /// });
    /// ```
    #[track_caller]
    pub fn wait(&self) -> BarrierWaitResult {
        let me = park::current();
        if let Some(me) = me {
            me.checkpoint();
        }
        let wait = Wait { deadline: None, reason: WaitReason::Barrier, abort: Abort::Now };
        let arrived = self.rounds.attempt_or_stand(
            me,
            &wait,
            |rounds, lines| {
                let spot = |slot| Spot { line: 0, slot };
                rounds.arrive(self.size, lines.line(0)).map_err(spot)
            },
            || (),
        );
        if let Ok(round) = arrived {
            self.let_go(round);
        }
        BarrierWaitResult(arrived.is_ok())
    }

    /// Wakes all of a round, in their order.
    ///
    /// The lock is taken for each of them, so that nobody spins for as long as a long line takes. Who comes
    /// meanwhile is of a later round.
    fn let_go(&self, round: usize) {
        // An earlier round's may be in front: its leader is still about it, on another thread.
        let is_over = |slot: *const ()| slot.addr() <= round;
        while self.rounds.wake_one(|_, lines| lines.claim_if(0, Winner::Event, is_over)) {}
    }
}

impl Rounds {
    /// Counts who comes now; under the lock. The round that he has completed, or else what he brings to
    /// the line.
    fn arrive(&mut self, size: usize, line: &Waiters) -> Result<usize, *const ()> {
        let round = self.current;
        let slot = ptr::without_provenance(round);
        self.arrived += 1;
        if self.arrived >= size {
            self.arrived = line.count_open(|other| other == slot) + 1;
        }
        if self.arrived < size {
            return Err(slot);
        }
        self.arrived = 0;
        self.current += 1;
        Ok(round)
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier").finish_non_exhaustive()
    }
}

impl BarrierWaitResult {
    /// Whether this was the last to come: of each round that is one.
    ///
    /// # Cancellation
    ///
    /// Never parks.
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

#[cfg(all(test, loom))]
#[path = "barrier_tests.rs"]
mod loom_tests;
