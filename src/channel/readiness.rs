//! Readiness: how a select waits for a source of I/O.
//!
//! Layer 7. Imports: wait_any, park, sys, task. Never: sockets (it sees a descriptor and a registration).
//!
//! The arm takes nothing from its source: whoever has chosen it calls, and somebody else may be first. It
//! stands in the reactor's line for its direction, beside those who read. When it is woken there, it asks the
//! kernel whether anything is left, and is done with its turn, so that those behind it go on. An arm that is not chosen was never woken, and
//! has had no turn: the reactor passes over a waiter whose wait has ended elsewhere.

use crate::park;
use crate::park::Left;
use crate::park::Running;
use crate::park::SourceKey;
use crate::park::Turn;
use crate::sys;
pub(crate) use crate::sys::Direction;
use crate::task::phase::Winner;
use crate::task::waiters::Who;
use crate::wait_any::Arm;
use crate::wait_any::Place;
use std::cell::Cell;
use std::fmt;
use std::io;
use std::ops::Deref;
use std::os::fd::BorrowedFd;

/// What `readable` and `writable` of a [`select!`](super::select!) wait for: sockets, listeners, pipes, and any
/// descriptor in an [`io::Async`](crate::io::Async); and whatever refers to one of them.
///
/// It is implemented for the types of this crate, and nobody else can: what its method returns is made
/// here.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither readable nor writable to a select",
    label = "not a socket, a pipe or an `io::Async`",
    note = "any descriptor is one inside of a `giambio::io::Async`"
)]
pub trait Readiness {
    #[doc(hidden)]
    fn io_source(&self) -> IoSource<'_>;
}

impl<P> Readiness for P
where
    P: Deref + ?Sized,
    P::Target: Readiness,
{
    fn io_source(&self) -> IoSource<'_> {
        (**self).io_source()
    }
}

/// A source of I/O of whatever type.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct IoSource<'a>(&'a dyn Registered);

impl<'a> IoSource<'a> {
    pub(crate) fn new(source: &'a dyn Registered) -> Self {
        Self(source)
    }
}

/// A source of I/O, as the reactor knows it.
pub(crate) trait Registered {
    fn descriptor(&self) -> BorrowedFd<'_>;

    /// The registration with the running task's worker.
    fn key(&self, me: Running) -> Option<SourceKey>;

    /// Registers the source with the running task's worker, after a call would have blocked.
    fn register(&self, me: Running, direction: Direction) -> io::Result<SourceKey>;

    /// What a call reports that may not wait.
    fn given_up(&self) -> io::Error;
}

/// Whether somebody waits if the source is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effort {
    Once,
    Patient,
}

/// Waits until a call in one direction may succeed.
pub struct ReadinessArm<'a> {
    source: &'a dyn Registered,
    direction: Direction,
    place: Place,
    /// Where in its line it is to stand.
    turn: Turn,
    /// It stands there, and counts as waiting for I/O.
    is_entered: Cell<bool>,
    got: Option<io::Result<()>>,
}

impl<'a> ReadinessArm<'a> {
    pub(super) fn new(source: IoSource<'a>, direction: Direction) -> Self {
        let (place, is_entered) = (Place::default(), Cell::new(false));
        Self { source: source.0, direction, place, turn: Turn::Last, is_entered, got: None }
    }

    /// What has come of it, after this arm was chosen.
    ///
    /// # Errors
    ///
    /// The system's, if it does not watch the descriptor; and of kind `Other`, carrying
    /// [`Cancelled`](crate::io::Cancelled), where the select was not to wait.
    pub fn finish(&mut self) -> io::Result<()> {
        match self.got.take() {
            Some(got) => got,
            None => unreachable!("an arm is finished that was not chosen"),
        }
    }

    fn look(&mut self, me: Option<Running>, effort: Effort) -> bool {
        match self.is_ready(me, effort) {
            Ok(false) => return false,
            Ok(true) => self.got = Some(Ok(())),
            Err(error) => self.got = Some(Err(error)),
        }
        true
    }

    fn is_ready(&self, me: Option<Running>, effort: Effort) -> io::Result<bool> {
        let ask = || sys::is_ready(self.source.descriptor(), self.direction);
        let Some(me) = me else { return ask() };
        let reactor = &me.worker().reactor;
        let key = self.source.key(me);
        let may_try = key.is_none_or(|key| reactor.may_try(key, self.direction));
        if may_try || effort == Effort::Once {
            if ask()? {
                return Ok(true);
            }
            // Whoever was woken and has not made its call yet is still on its way.
            if let Some(key) = key.filter(|_| may_try) {
                reactor.exhausted(key, self.direction);
            }
        }
        if effort == Effort::Patient && key.is_none() {
            self.source.register(me, self.direction)?;
        }
        Ok(false)
    }

    /// The running task, and the registration with its worker.
    fn registration(&self) -> Option<(Running, SourceKey)> {
        let me = park::running()?;
        Some((me, self.source.key(me)?))
    }
}

impl Arm for ReadinessArm<'_> {
    fn attempt(&mut self, me: Option<Running>) -> bool {
        self.look(me, Effort::Patient)
    }

    fn attempt_once(&mut self, me: Option<Running>) -> bool {
        self.look(me, Effort::Once)
    }

    fn place(&mut self) -> &mut Place {
        &mut self.place
    }

    unsafe fn enter(&self, who: Who) -> bool {
        if let Who::Thread(_) = who {
            return true;
        }
        let Some((me, key)) = self.registration() else { return false };
        let reactor = &me.worker().reactor;
        // Another arm's attempt may have let others run, the reactor among them.
        if reactor.may_try(key, self.direction) {
            return false;
        }
        let waiting = &me.worker().waiting_for_io;
        waiting.set(waiting.get() + 1);
        self.is_entered.set(true);
        // SAFETY: the caller keeps the arm in place until `leave`, on the task's own worker.
        unsafe { reactor.enter(key, self.direction, self.turn, self.place.waiter()) };
        true
    }

    fn leave(&self) {
        if !self.is_entered.replace(false) {
            return;
        }
        let Some((me, key)) = self.registration() else {
            unreachable!("a source is registered as long as it lives")
        };
        let waiting = &me.worker().waiting_for_io;
        waiting.set(waiting.get() - 1);
        // The line belongs to this worker: the node can be looked at without a lock.
        if self.place.waiter().is_linked() {
            me.worker().reactor.leave(key, self.direction, self.place.waiter());
        }
    }

    fn settle(&mut self, _: Winner) -> bool {
        let Some((me, key)) = self.registration() else {
            unreachable!("only a task is woken here, and only after it has registered")
        };
        let reactor = &me.worker().reactor;
        // Who was first in line may have taken all there was.
        let ready = sys::is_ready(self.source.descriptor(), self.direction);
        if matches!(ready, Ok(false)) {
            reactor.exhausted(key, self.direction);
            self.turn = Turn::Next;
            return false;
        }
        // Nothing was taken, so whoever waits behind may go on as well.
        reactor.completed(key, self.direction, Left::Unknown, |next| me.wake(next));
        self.got = Some(ready.map(drop));
        true
    }

    fn descriptor(&self) -> Option<(BorrowedFd<'_>, Direction)> {
        Some((self.source.descriptor(), self.direction))
    }

    fn fail(&mut self, error: io::Error) {
        self.got = Some(Err(error));
    }

    fn give_up(&mut self) -> bool {
        self.got = Some(Err(self.source.given_up()));
        true
    }
}

impl fmt::Debug for IoSource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IoSource").finish_non_exhaustive()
    }
}

impl fmt::Debug for ReadinessArm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadinessArm").field("direction", &self.direction).finish_non_exhaustive()
    }
}
