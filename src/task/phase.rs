//! Phase: who may end a wait, and who did.
//!
//! Layer 3. Imports: primitive. Never: what a task waits for.
//!
//! A wait is a numbered *session*. The word is `session << 8 | winner`; a winner of 0 means that the
//! session is open.
//!
//! ```text
//! (n, winner)  --open-->   (n+1, 0)       by the owner, a plain store, before its first node is linked
//! (n, 0)       --claim-->  (n, winner)    by exactly one waker, timer, cancellation or the owner itself
//! ```
//!
//! Only who wins the claim queues the task, so it is queued once (I7), and its record and stack stay
//! alive from the claim to the push. There is no phase between open and parked: a task is pinned (I1),
//! so a claim made before it has switched away only fills a queue that its own worker reads after the
//! switch. Once a node is linked the task must switch, or win the claim itself. A further phase was
//! measured and rejected: 28 ns more for each round trip between two tasks.

use crate::primitive::AtomicU64;
use crate::primitive::Ordering;

/// Bits of the word below the session's number.
const WINNER_BITS: u32 = 8;

/// Who ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Winner {
    /// What the task waited for has happened.
    Event,
    /// The deadline has passed.
    Timeout,
    /// A scope around the wait was cancelled.
    Cancellation,
    /// What the task waited for cannot happen any more.
    Closed,
    /// The task itself: one of several things that it was about to wait for is there.
    Own,
}

impl Winner {
    const fn code(self) -> u64 {
        match self {
            Self::Event => 1,
            Self::Timeout => 2,
            Self::Cancellation => 3,
            Self::Closed => 4,
            Self::Own => 5,
        }
    }
}

/// One wait of one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Session(u64);

/// A task's place in the park protocol.
#[derive(Debug)]
pub(crate) struct Phase(AtomicU64);

impl Phase {
    /// The phase of a task that does not wait.
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(Winner::Event.code()))
    }

    /// Begins a wait. Only the task itself calls this, before it links its first node.
    #[inline]
    pub(crate) fn open(&self) -> Session {
        // Relaxed: wakers learn of the session from a node that they find under a lock, or on the
        // task's own thread.
        let session = (self.0.load(Ordering::Relaxed) >> WINNER_BITS) + 1;
        self.0.store(session << WINNER_BITS, Ordering::Relaxed);
        Session(session)
    }

    /// Ends `session` for `winner`, from any thread. True for exactly one caller.
    #[inline]
    pub(crate) fn claim(&self, session: Session, winner: Winner) -> bool {
        let open = session.0 << WINNER_BITS;
        // AcqRel: what the winner writes into the waiter's slot afterwards must not move up here.
        self.0
            .compare_exchange(open, open | winner.code(), Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// Like `claim`, on the task's own worker, for a session that is linked in one primitive only
    /// and whose other claims are made on this thread or under the lock that the caller holds.
    ///
    /// Load and store instead of a compare-and-swap: 18 ns less for a round trip between two tasks.
    #[inline]
    pub(crate) fn claim_on_own_worker(&self, session: Session, winner: Winner) -> bool {
        let open = session.0 << WINNER_BITS;
        if self.0.load(Ordering::Relaxed) != open {
            return false;
        }
        self.0.store(open | winner.code(), Ordering::Relaxed);
        true
    }

    /// The session that is open now, if the task waits.
    #[inline]
    pub(crate) fn open_session(&self) -> Option<Session> {
        // Acquire: a plain thread goes on when this says no, and then owns what its waker handed over.
        let word = self.0.load(Ordering::Acquire);
        (word & ((1 << WINNER_BITS) - 1) == 0).then_some(Session(word >> WINNER_BITS))
    }

    /// Who won the last session, read by the task after its switch.
    #[inline]
    pub(crate) fn winner(&self) -> Winner {
        // Relaxed: the queue that brought the task back ordered the claim before this.
        match self.0.load(Ordering::Relaxed) & ((1 << WINNER_BITS) - 1) {
            1 => Winner::Event,
            2 => Winner::Timeout,
            3 => Winner::Cancellation,
            4 => Winner::Closed,
            5 => Winner::Own,
            _ => unreachable!("a task was resumed while its session was open"),
        }
    }
}

#[cfg(test)]
#[path = "phase_tests.rs"]
mod tests;
