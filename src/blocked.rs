//! Blocked: how a plain thread waits where tasks park.
//!
//! Layer 5. Imports: park, task, clock, sys. Never: what the thread waits for.
//!
//! A thread has a phase as a task has, and whoever ends its wait does so by the same claim. It may see
//! that it was claimed before its waker is done, though: a task is resumed by a queue, a thread looks.

use crate::clock::now;
use crate::park;
use crate::sys;
use crate::sys::BellFd;
use crate::sys::Direction;
use crate::sys::Interest;
use crate::task::phase::Phase;
use crate::task::phase::Session;
use crate::task::phase::Winner;
use crate::task::waiters::Alarm;
use crate::task::waiters::Claimed;
use crate::task::waiters::Outsider;
use crate::task::waiters::Who;
use crossbeam_utils::Backoff;
use crossbeam_utils::sync::Parker;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Instant;

/// A plain thread that waits.
pub(crate) struct Blocked {
    parker: Parker,
    outsider: Outsider,
}

thread_local! {
    /// Made once: a wait of a thread costs no allocation.
    static BLOCKED: Blocked = Blocked::new();
}

impl Blocked {
    fn new() -> Self {
        let parker = Parker::new();
        let alarm = Alarm::Unparker(parker.unparker().clone());
        let outsider = Outsider { phase: Phase::new(), alarm };
        Self { parker, outsider }
    }

    /// Makes this thread's, if it has none yet: under a lock there would be no time for that.
    #[cold]
    pub(crate) fn prepare() {
        // It fails only in a thread that is about to end, which makes one for each wait.
        let _ = BLOCKED.try_with(|_| ());
    }

    /// Runs `wait` with this thread's; it waits once, and waits for nothing else meanwhile.
    pub(crate) fn with<R>(wait: impl FnOnce(&Self) -> R) -> R {
        let mut wait = Some(wait);
        let waited = BLOCKED.try_with(|blocked| wait.take().map(|wait| wait(blocked)));
        match (waited, wait) {
            (Ok(Some(result)), _) => result,
            // The thread is about to end: this is a destructor of another thread-local.
            (_, Some(wait)) => wait(&Self::new()),
            _ => unreachable!("a wait was neither made nor left"),
        }
    }

    pub(crate) fn who(&self) -> Who {
        Who::Thread(&raw const self.outsider)
    }

    /// Begins a wait; what was claimed before is over.
    pub(crate) fn open(&self) -> Session {
        self.outsider.phase.open()
    }

    /// Sleeps until `is_over`, which somebody tells it who was given this (a [`Claimed`] with that slot).
    pub(crate) fn sleep_until(
        &self,
        slot: *const (),
        give: impl FnOnce(Claimed) -> bool,
        is_over: impl Fn() -> bool,
    ) -> bool {
        let given = give(Claimed::thread(self.parker.unparker().clone(), slot));
        while given && !is_over() {
            self.parker.park();
        }
        given
    }

    /// Takes the session for the thread itself; false if somebody has ended the wait already.
    pub(crate) fn claim_own(&self, session: Session) -> bool {
        self.outsider.phase.claim(session, Winner::Own)
    }

    /// Blocks until the session was ended, and says by whom.
    ///
    /// Whoever it was may still hold the lock under which it has done so, and use what lies in this
    /// thread's frames: take that lock before they end.
    pub(crate) fn block(&self, session: Session, deadline: Option<Instant>) -> Winner {
        let phase = &self.outsider.phase;
        let deadline = deadline.and_then(real);
        // Who is about to answer on another core does so sooner than a thread falls asleep and wakes.
        let backoff = Backoff::new();
        while phase.open_session().is_some() && !backoff.is_completed() {
            backoff.snooze();
        }
        while phase.open_session().is_some() {
            match deadline {
                None => self.parker.park(),
                Some(at) => self.parker.park_deadline(at),
            }
            let late = deadline.is_some_and(|at| now() >= at);
            // A waker may be first: then its token is on its way, and this looks again.
            if late && phase.claim(session, Winner::Timeout) {
                break;
            }
        }
        phase.winner()
    }
}

/// A plain thread that waits for descriptors as well: it sleeps in `poll(2)`, and is woken through one more
/// descriptor. Made for one wait, so that nobody rings for another.
pub(crate) struct Polling {
    bell: Arc<BellFd>,
    outsider: Outsider,
}

impl Polling {
    pub(crate) fn new() -> io::Result<Self> {
        let bell = Arc::new(BellFd::new()?);
        let outsider = Outsider { phase: Phase::new(), alarm: Alarm::Bell(Arc::clone(&bell)) };
        Ok(Self { bell, outsider })
    }

    pub(crate) fn who(&self) -> Who {
        Who::Thread(&raw const self.outsider)
    }

    /// As [`Blocked::open`].
    pub(crate) fn open(&self) -> Session {
        self.outsider.phase.open()
    }

    /// As [`Blocked::claim_own`].
    pub(crate) fn claim_own(&self, session: Session) -> bool {
        self.outsider.phase.claim(session, Winner::Own)
    }

    /// Blocks until the session was ended, by the thread itself as soon as one of the descriptors is ready.
    ///
    /// As for [`Blocked::block`]. The error is that of `poll(2)`; nobody else has ended the session then.
    pub(crate) fn block<'f>(
        &self,
        session: Session,
        deadline: Option<Instant>,
        watched: impl Iterator<Item = (BorrowedFd<'f>, Direction)>,
    ) -> io::Result<Winner> {
        let phase = &self.outsider.phase;
        let deadline = deadline.and_then(real);
        let mut interests = vec![Interest::new(self.bell.fd(), Direction::Read)];
        interests.extend(watched.map(|(fd, direction)| Interest::new(fd, direction)));
        while phase.open_session().is_some() {
            let own = match sys::wait_for_any(&mut interests, deadline) {
                Ok(false) => Winner::Timeout,
                // If it is the bell, somebody has ended the session before, and the claim fails.
                Ok(true) => Winner::Own,
                Err(error) if phase.claim(session, Winner::Own) => return Err(error),
                Err(_) => break,
            };
            phase.claim(session, own);
        }
        Ok(phase.winner())
    }
}

/// When a thread is to end a real wait until `at`, which is by the clock of a runtime that it drives, if any:
/// that may be a test's. `None` is never.
fn real(at: Instant) -> Option<Instant> {
    let left = park::worker_here(|worker| {
        at.saturating_duration_since(worker.clock.instant(worker.clock.now()))
    });
    left.map_or(Some(at), |left| now().checked_add(left))
}
