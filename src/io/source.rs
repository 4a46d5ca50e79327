//! Source: a descriptor whose calls park the task instead of the thread.
//!
//! Layer 8. Imports: park, wait_queue, sys. Never: sessions, timers, what the descriptor is.
//!
//! Every blocking call of every socket is one line over `Io::call`, the one retry loop. A call is
//! tried first; only if it would block is the descriptor registered, for good, and the task parks.
//! On a thread without a runtime the same loop waits in `poll(2)`.

use super::Cancelled;
use crate::hooks::WaitReason;
use crate::park;
use crate::park::Attempt;
pub(crate) use crate::park::Left;
use crate::park::Remote;
use crate::park::Running;
use crate::park::SourceKey;
use crate::park::Turn;
use crate::sys;
use crate::sys::Direction;
use crate::task::Abort;
use crate::task::local::Raised;
use crate::task::phase::Winner;
use crate::task::waiters::Waiter;
use crate::wait_queue;
use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::Weak;

/// The place of a source in one worker's reactor.
#[derive(Debug)]
struct Registration {
    worker: u64,
    key: SourceKey,
    /// Weak: a socket that outlives its runtime must not keep the runtime's descriptors open.
    remote: Weak<Remote>,
    duplicate: Option<OwnedFd>,
}

/// A non-blocking source of I/O and its registrations.
///
/// It may be used by many tasks at once, moved to other threads, and dropped on any.
pub(crate) struct Io<S: AsFd> {
    /// `None` only while the `Io` is taken apart.
    source: Option<S>,
    /// With the worker that was first to wait; nearly always the only one.
    first: OnceLock<Registration>,
    /// With further workers.
    others: Mutex<Vec<Registration>>,
}

impl<S: AsFd> Io<S> {
    /// `source` must be in non-blocking mode.
    pub(crate) fn new(source: S) -> Self {
        Self { source: Some(source), first: OnceLock::new(), others: Mutex::new(Vec::new()) }
    }

    #[inline]
    pub(crate) fn source(&self) -> &S {
        match &self.source {
            Some(source) => source,
            None => unreachable!("a source is only taken with its `Io`"),
        }
    }

    /// The source without its registrations, still in non-blocking mode.
    pub(crate) fn into_source(mut self) -> S {
        self.deregister();
        match self.source.take() {
            Some(source) => source,
            None => unreachable!("a source is only taken with its `Io`"),
        }
    }

    /// Runs `call` until it does not block, parking in between.
    ///
    /// A checkpoint on every call. `call` returns, with its value, what that tells of the next one.
    ///
    /// # Errors
    ///
    /// `call`'s own; and of kind `Other`, carrying [`Cancelled`], if the task is cancelled where
    /// nothing may unwind, or would have to wait while it unwinds.
    #[inline]
    pub(crate) fn call<T>(
        &self,
        direction: Direction,
        mut call: impl FnMut(&S) -> io::Result<(T, Left)>,
    ) -> io::Result<T> {
        let Some(me) = park::current() else { return self.call_outside(direction, call) };
        let attempt = me.checkpoint_or_report();
        let reactor = &me.worker().reactor;
        let mut key = self.key(me);
        let mut woken = false;
        loop {
            // What is known may be older than what the kernel holds: who cannot wait tries anyway.
            let may_try = woken || attempt == Attempt::Once;
            if may_try || key.is_none_or(|key| reactor.may_try(key, direction)) {
                let error = match call(self.source()) {
                    Ok((value, left)) => {
                        if let Some(key) = key {
                            reactor.completed(key, direction, left, |next| me.wake(next));
                        }
                        return Ok(value);
                    }
                    Err(error) => error,
                };
                match (error.kind(), key) {
                    (io::ErrorKind::Interrupted, _) => continue,
                    (io::ErrorKind::WouldBlock, Some(key)) => reactor.exhausted(key, direction),
                    (io::ErrorKind::WouldBlock, None) => {}
                    (_, Some(key)) => {
                        let left = Left::Unknown;
                        reactor.completed(key, direction, left, |next| me.wake(next));
                        return Err(error);
                    }
                    (_, None) => return Err(error),
                }
            }
            // Who was woken in vain may have been cancelled between that and its turn.
            if attempt == Attempt::Once || (woken && me.raise_or_report() == Attempt::Once) {
                return Err(cancelled());
            }
            let known = match key {
                Some(key) => key,
                None => self.register(me, direction)?,
            };
            wait(me, known, direction, if woken { Turn::Next } else { Turn::Last })?;
            (key, woken) = (Some(known), true);
        }
    }

    /// On a thread that runs no tasks every call really blocks.
    #[cold]
    fn call_outside<T>(
        &self,
        direction: Direction,
        mut call: impl FnMut(&S) -> io::Result<(T, Left)>,
    ) -> io::Result<T> {
        loop {
            match call(self.source()) {
                Ok((value, _)) => return Ok(value),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    sys::wait_for_fd(self.source().as_fd(), direction)?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The registration with the running task's worker.
    #[inline]
    fn key(&self, me: Running) -> Option<SourceKey> {
        let first = self.first.get()?;
        if first.worker == me.worker().id() { Some(first.key) } else { self.other_key(me) }
    }

    #[cold]
    fn other_key(&self, me: Running) -> Option<SourceKey> {
        // Nothing panics or parks while the lock is held.
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        others.iter().find(|known| known.worker == me.worker().id()).map(|known| known.key)
    }

    /// Registers the source with the running task's worker, after a call would have blocked.
    #[cold]
    fn register(&self, me: Running, direction: Direction) -> io::Result<SourceKey> {
        let worker = me.worker();
        let (key, duplicate) = register_somehow(me, self.source().as_fd())?;
        worker.reactor.exhausted(key, direction);
        let remote = Arc::downgrade(worker.reactor.remote());
        let registration = Registration { worker: worker.id(), key, remote, duplicate };
        if let Err(further) = self.first.set(registration) {
            let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
            others.retain(|known| known.remote.strong_count() > 0);
            others.push(further);
        }
        Ok(key)
    }

    /// Takes the source out of every reactor, on whatever thread this is.
    fn deregister(&mut self) {
        let Some(source) = &self.source else { return };
        let others = self.others.get_mut().unwrap_or_else(PoisonError::into_inner);
        let all = self.first.take().into_iter().chain(others.drain(..));
        for known in all {
            // With its runtime the reactor has gone, and the kernel has forgotten all that was in it.
            let Some(remote) = known.remote.upgrade() else { continue };
            if remote.is_inherited() {
                continue;
            }
            remote.deregister(known.duplicate.as_ref().map_or(source.as_fd(), AsFd::as_fd));
            let here = park::worker_here(|worker| {
                let ours = worker.id() == known.worker;
                if ours {
                    worker.reactor.forget(known.key);
                }
                ours
            });
            if here != Some(true) {
                remote.send_home(known.key);
            }
        }
    }
}

impl<S: AsFd> Drop for Io<S> {
    fn drop(&mut self) {
        self.deregister();
    }
}

impl<S: AsFd + fmt::Debug> fmt::Debug for Io<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source().fmt(f)
    }
}

/// For calls that may fail before they come to [`Io::call`], and are checkpoints all the same.
pub(crate) fn checkpoint() {
    if let Some(me) = park::current() {
        me.checkpoint();
    }
}

/// Parks until a registered source may be ready in one direction.
fn wait(me: Running, key: SourceKey, direction: Direction, turn: Turn) -> io::Result<()> {
    let reason = match direction {
        Direction::Read => WaitReason::Readable,
        Direction::Write => WaitReason::Writable,
    };
    let _counted = Raised::new(&me.worker().waiting_for_io);
    let reactor = &me.worker().reactor;
    // SAFETY: `wait_linked` removes the waiter before its frame ends, on the task's own worker.
    let enter = |waiter: &Waiter| unsafe { reactor.enter(key, direction, turn, waiter) };
    let leave = |waiter: &Waiter| reactor.leave(key, direction, waiter);
    match wait_queue::wait_linked(me, None, reason, Abort::Report, enter, leave) {
        Winner::Event => Ok(()),
        Winner::Cancellation => Err(cancelled()),
        Winner::Timeout => unreachable!("no deadline was set"),
    }
}

/// Parks until a descriptor that is nobody's [`Io`] may be ready.
pub(crate) fn wait_once(fd: BorrowedFd<'_>, direction: Direction) -> io::Result<()> {
    let Some(me) = park::current() else { return sys::wait_for_fd(fd, direction) };
    let attempt = me.checkpoint_or_report();
    // What is ready needs no registration, and regular files, always ready, allow none.
    if sys::is_ready(fd, direction)? {
        return Ok(());
    }
    if attempt == Attempt::Once {
        return Err(cancelled());
    }
    let once = Once::new(me, fd)?;
    wait(me, once.key, direction, Turn::Last)
}

/// Registers a descriptor with the running task's worker. The kernel registers a descriptor once, be it
/// for an [`Io`] or for one wait; who comes second registers a duplicate.
#[cold]
fn register_somehow(me: Running, fd: BorrowedFd<'_>) -> io::Result<(SourceKey, Option<OwnedFd>)> {
    let reactor = &me.worker().reactor;
    match reactor.register(fd) {
        Ok(key) => Ok((key, None)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let duplicate = fd.try_clone_to_owned().map_err(sys::name_limit)?;
            let key = reactor.register(duplicate.as_fd()).map_err(sys::name_limit)?;
            Ok((key, Some(duplicate)))
        }
        Err(error) => Err(sys::name_limit(error)),
    }
}

/// A registration for one wait, undone on drop.
struct Once<'f> {
    me: Running,
    key: SourceKey,
    fd: BorrowedFd<'f>,
    duplicate: Option<OwnedFd>,
}

impl<'f> Once<'f> {
    fn new(me: Running, fd: BorrowedFd<'f>) -> io::Result<Self> {
        let (key, duplicate) = register_somehow(me, fd)?;
        Ok(Self { me, key, fd, duplicate })
    }
}

impl Drop for Once<'_> {
    fn drop(&mut self) {
        let reactor = &self.me.worker().reactor;
        reactor.remote().deregister(self.duplicate.as_ref().map_or(self.fd, AsFd::as_fd));
        reactor.forget(self.key);
    }
}

#[cold]
fn cancelled() -> io::Error {
    io::Error::other(Cancelled)
}
