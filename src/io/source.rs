//! Source: a descriptor whose calls park the task instead of the thread.
//!
//! Layer 8. Imports: channel, park, wait_queue, sys. Never: sessions, timers, what the descriptor is.
//!
//! Every blocking call of every socket is one line over `Io::call`, the one retry loop. A call is
//! tried first; only if it would block is the descriptor registered, for good, and the task parks.
//! On a thread without a runtime the same loop waits in `poll(2)`.

use super::Cancelled;
use super::registration::Forget;
use super::registration::Once;
use super::registration::Registration;
use super::registration::leave_reactor;
use super::registration::register_somehow;
use super::settings::Settings;
use crate::channel::IoSource;
use crate::channel::Registered;
use crate::clock::Nanos;
use crate::clock::now;
use crate::hooks::WaitReason;
use crate::park;
use crate::park::Attempt;
pub(crate) use crate::park::Left;
use crate::park::Running;
use crate::park::SourceKey;
use crate::park::Turn;
use crate::sys;
use crate::sys::Direction;
use crate::sys::Mode;
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
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::atomic::fence;
use std::time::Duration;
use std::time::Instant;

/// What most sources never need.
#[derive(Debug, Default)]
struct Extras {
    settings: Arc<Settings>,
    /// Set by `nudge` for those who register meanwhile.
    nudged: AtomicBool,
    /// Registrations with further workers, and those of duplicates.
    others: Mutex<Vec<(Registration, Option<OwnedFd>)>>,
}

/// A non-blocking source of I/O and its registrations.
///
/// It may be used by many tasks at once, moved to other threads, and dropped on any. It is small: it lies in
/// each connection's task.
pub(crate) struct Io<S: AsFd> {
    /// `None` only while the `Io` is taken apart.
    source: Option<S>,
    /// Whether somebody may have duplicated the descriptor: then its close does not make the kernel
    /// forget it.
    duplicated: AtomicBool,
    /// With the worker that was first to wait; nearly always the only one.
    first: OnceLock<Registration>,
    extras: OnceLock<Box<Extras>>,
}

// Like std's sockets: no panic leaves any of it half changed.
impl<S: AsFd + UnwindSafe> UnwindSafe for Io<S> {}
impl<S: AsFd + RefUnwindSafe> RefUnwindSafe for Io<S> {}

impl<S: AsFd> Io<S> {
    /// `source` must be in non-blocking mode.
    pub(crate) fn new(source: S) -> Self {
        Self::made(source, true.into(), OnceLock::new())
    }

    /// Like `new`, for what the kernel has made just now, to be closed on exec: nobody has a duplicate.
    pub(crate) fn fresh(source: S) -> Self {
        Self::made(source, false.into(), OnceLock::new())
    }

    fn made(source: S, duplicated: AtomicBool, extras: OnceLock<Box<Extras>>) -> Self {
        Self { source: Some(source), duplicated, first: OnceLock::new(), extras }
    }

    #[inline]
    pub(crate) fn source(&self) -> &S {
        match &self.source {
            Some(source) => source,
            None => unreachable!("a source is only taken with its `Io`"),
        }
    }

    /// The source, for whoever may duplicate its descriptor.
    pub(crate) fn lent(&self) -> &S {
        self.duplicated.store(true, Ordering::Relaxed);
        self.source()
    }

    /// The source without its registrations, still in non-blocking mode.
    pub(crate) fn into_source(mut self) -> S {
        self.deregister(Forget::Now);
        match self.source.take() {
            Some(source) => source,
            None => unreachable!("a source is only taken with its `Io`"),
        }
    }

    /// Another handle on the same source, made by `clone`. It shares the settings.
    pub(crate) fn try_clone(&self, clone: impl FnOnce(&S) -> io::Result<S>) -> io::Result<Self> {
        let source = clone(self.lent()).map_err(sys::name_limit)?;
        let settings = Arc::clone(&self.extras().settings);
        let extras = Box::new(Extras { settings, ..Extras::default() });
        Ok(Self::made(source, true.into(), OnceLock::from(extras)))
    }

    /// Of a connection that was accepted here: the kernel has given it the listener's timeouts.
    pub(crate) fn accepted<T: AsFd>(&self, source: T) -> Io<T> {
        let accepted = Io::fresh(source);
        if self.extras.get().is_some() {
            for direction in [Direction::Read, Direction::Write] {
                if let Some(timeout) = self.timeout(direction) {
                    accepted.set_timeout(direction, Some(timeout));
                }
            }
        }
        accepted
    }

    /// How long a call waits before it fails with `WouldBlock`, as std's do.
    pub(crate) fn set_timeout(&self, direction: Direction, timeout: Option<Duration>) {
        self.extras().settings.timeout(direction).set(timeout);
    }

    /// Whether a call waits at all.
    pub(crate) fn set_mode(&self, mode: Mode) {
        self.extras().settings.set_mode(mode);
    }

    pub(crate) fn mode(&self) -> Mode {
        self.extras.get().map_or(Mode::Blocking, |extras| extras.settings.mode())
    }

    pub(crate) fn timeout(&self, direction: Direction) -> Option<Duration> {
        self.extras.get()?.settings.timeout(direction).get()
    }

    #[cold]
    fn extras(&self) -> &Extras {
        self.extras.get_or_init(Box::default)
    }

    /// Runs `call` until it does not block, parking in between.
    ///
    /// A checkpoint on every call. `call` returns, with its value, what that tells of the next one.
    ///
    /// # Errors
    ///
    /// `call`'s own; `WouldBlock` after the direction's timeout, or at once in non-blocking mode; and of kind
    /// `Other`, carrying [`Cancelled`], if the task is cancelled where nothing may unwind, or would
    /// have to wait while it unwinds.
    #[inline]
    pub(crate) fn call<T>(
        &self,
        direction: Direction,
        call: impl FnMut(&S) -> io::Result<(T, Left)>,
    ) -> io::Result<T> {
        self.call_within(direction, None, call)
    }

    /// Like `call`, with a timeout of its own.
    #[inline]
    pub(crate) fn call_within<T>(
        &self,
        direction: Direction,
        timeout: Option<Duration>,
        mut call: impl FnMut(&S) -> io::Result<(T, Left)>,
    ) -> io::Result<T> {
        let Some(me) = park::current() else {
            return self.call_outside(direction, timeout, call);
        };
        let attempt = me.checkpoint_or_report();
        let reactor = &me.worker().reactor;
        let mut key = self.key(me);
        let (mut woken, mut deadline) = (false, None);
        loop {
            // What is known may be older than what the kernel holds: who cannot wait tries anyway.
            let may_try = woken || attempt == Attempt::Once;
            if may_try
                || key.is_none_or(|key| reactor.may_try(key, direction))
                || self.mode() == Mode::NonBlocking
            {
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
            self.may_wait()?;
            let known = match key {
                Some(key) => key,
                None => self.register(me, direction)?,
            };
            deadline = deadline.or_else(|| self.deadline(me, direction, timeout));
            let turn = if woken { Turn::Next } else { Turn::Last };
            wait(me, known, direction, turn, deadline)?;
            (key, woken) = (Some(known), true);
        }
    }

    /// On a thread that runs no tasks every call really blocks.
    #[cold]
    fn call_outside<T>(
        &self,
        direction: Direction,
        timeout: Option<Duration>,
        mut call: impl FnMut(&S) -> io::Result<(T, Left)>,
    ) -> io::Result<T> {
        let timeout = timeout.or_else(|| self.timeout(direction));
        let deadline = timeout.and_then(|timeout| now().checked_add(timeout));
        loop {
            match call(self.source()) {
                Ok((value, _)) => return Ok(value),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.may_wait()?;
                    self.block(direction, deadline)?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Blocks a thread that runs no tasks until a call may succeed.
    fn block(&self, direction: Direction, deadline: Option<Instant>) -> io::Result<()> {
        match sys::wait_for_fd(self.source().as_fd(), direction, deadline)? {
            true => Ok(()),
            false => Err(would_block()),
        }
    }

    /// Parks until a call in this direction may succeed, in non-blocking mode too: it is the wait itself
    /// that was asked for. Somebody else's call may be first.
    ///
    /// # Errors
    ///
    /// `WouldBlock` after the direction's timeout; else as for [`call`](Self::call).
    pub(crate) fn wait_ready(&self, direction: Direction) -> io::Result<()> {
        let Some(me) = park::current() else {
            let deadline = self.timeout(direction).and_then(|timeout| now().checked_add(timeout));
            return self.block(direction, deadline);
        };
        let attempt = me.checkpoint_or_report();
        let reactor = &me.worker().reactor;
        let key = self.key(me);
        // After a short read nothing was left: the steady state asks the kernel nothing.
        if attempt == Attempt::Once || key.is_none_or(|key| reactor.may_try(key, direction)) {
            if sys::is_ready(self.source().as_fd(), direction)? {
                return Ok(());
            }
            if attempt == Attempt::Once {
                return Err(cancelled());
            }
            if let Some(key) = key {
                reactor.exhausted(key, direction);
            }
        }
        let key = match key {
            Some(key) => key,
            None => self.register(me, direction)?,
        };
        wait(me, key, direction, Turn::Last, self.deadline(me, direction, None))?;
        // Nothing was taken, so whoever waits behind may go on as well.
        reactor.completed(key, direction, Left::Unknown, |next| me.wake(next));
        Ok(())
    }

    /// For a select that waits for readiness.
    pub(crate) fn io_source(&self) -> IoSource<'_> {
        IoSource::new(self)
    }

    #[inline]
    fn may_wait(&self) -> io::Result<()> {
        match self.mode() {
            Mode::Blocking => Ok(()),
            Mode::NonBlocking => Err(would_block()),
        }
    }

    #[inline]
    fn deadline(
        &self,
        me: Running,
        direction: Direction,
        timeout: Option<Duration>,
    ) -> Option<Nanos> {
        let timeout = timeout.or_else(|| self.timeout(direction))?;
        me.worker().deadline_after(timeout)
    }

    /// The registration with the running task's worker.
    #[inline]
    fn key(&self, me: Running) -> Option<SourceKey> {
        match self.first.get() {
            Some(first) if first.is_with(me) => Some(first.key),
            _ => self.other_key(me),
        }
    }

    #[inline]
    fn other_key(&self, me: Running) -> Option<SourceKey> {
        let others = self.extras.get()?.others();
        others.iter().find(|(known, _)| known.is_with(me)).map(|(known, _)| known.key)
    }

    /// Registers the source with the running task's worker, after a call would have blocked.
    #[cold]
    fn register(&self, me: Running, direction: Direction) -> io::Result<SourceKey> {
        let (key, duplicate) = register_somehow(me, self.source().as_fd())?;
        let reactor = &me.worker().reactor;
        reactor.exhausted(key, direction);
        let further = match duplicate {
            None => self.first.set(Registration::new(me, key)).err().map(|further| (further, None)),
            duplicate => Some((Registration::new(me, key), duplicate)),
        };
        if let Some(further) = further {
            let mut others = self.extras().others();
            others.retain(|(known, _)| known.remote.strong_count() > 0);
            others.push(further);
        }
        // Either this sees the flag, or `nudge` the registration.
        fence(Ordering::SeqCst);
        let extras = self.extras.get();
        if extras.is_some_and(|extras| extras.nudged.load(Ordering::Relaxed)) {
            reactor.remote().nudge(key);
        }
        Ok(key)
    }

    /// Has all tasks that wait look again, after something that the kernel does not report to them.
    pub(crate) fn nudge(&self) {
        let nudge = |known: &Registration| match known.remote.upgrade() {
            Some(remote) if !remote.is_inherited() => remote.nudge(known.key),
            _ => {}
        };
        let extras = self.extras();
        extras.nudged.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.first.get().into_iter().for_each(nudge);
        extras.others().iter().for_each(|(known, _)| nudge(known));
    }

    /// Takes the source out of every reactor, on whatever thread this is.
    fn deregister(&mut self, forget: Forget) {
        let Some(source) = &self.source else { return };
        if let Some(first) = self.first.take() {
            leave_reactor(&first, source.as_fd(), forget);
        }
        let Some(extras) = self.extras.get() else { return };
        for (known, duplicate) in extras.others().drain(..) {
            let fd = duplicate.as_ref().map_or(source.as_fd(), AsFd::as_fd);
            leave_reactor(&known, fd, Forget::Now);
        }
    }
}

impl Extras {
    fn others(&self) -> MutexGuard<'_, Vec<(Registration, Option<OwnedFd>)>> {
        // Nothing panics or parks while the lock is held.
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: AsFd> Registered for Io<S> {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.source().as_fd()
    }

    fn key(&self, me: Running) -> Option<SourceKey> {
        self.key(me)
    }

    fn register(&self, me: Running, direction: Direction) -> io::Result<SourceKey> {
        self.register(me, direction)
    }

    fn given_up(&self) -> io::Error {
        cancelled()
    }
}

impl<S: AsFd> Drop for Io<S> {
    fn drop(&mut self) {
        // What was forked off has all descriptors, and may keep them.
        let is_alone = !*self.duplicated.get_mut() && !sys::has_forked();
        self.deregister(if is_alone { Forget::ByClose } else { Forget::Now });
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
fn wait(
    me: Running,
    key: SourceKey,
    direction: Direction,
    turn: Turn,
    deadline: Option<Nanos>,
) -> io::Result<()> {
    let reason = match direction {
        Direction::Read => WaitReason::Readable,
        Direction::Write => WaitReason::Writable,
    };
    let _counted = Raised::new(&me.worker().waiting_for_io);
    let reactor = &me.worker().reactor;
    // SAFETY: `wait_linked` removes the waiter before its frame ends, on the task's own worker.
    let enter = |waiter: &Waiter| unsafe { reactor.enter(key, direction, turn, waiter) };
    let leave = |waiter: &Waiter| reactor.leave(key, direction, waiter);
    match wait_queue::wait_linked(me, deadline, reason, Abort::Report, enter, leave) {
        Winner::Event => Ok(()),
        Winner::Cancellation => Err(cancelled()),
        Winner::Timeout => Err(would_block()),
        Winner::Closed | Winner::Own => unreachable!("a source's waiters are only woken"),
    }
}

/// Parks until a descriptor that is nobody's [`Io`] may be ready.
pub(crate) fn wait_once(fd: BorrowedFd<'_>, direction: Direction) -> io::Result<()> {
    let Some(me) = park::current() else {
        return sys::wait_for_fd(fd, direction, None).map(drop);
    };
    let attempt = me.checkpoint_or_report();
    // What is ready needs no registration, and regular files, always ready, allow none.
    if sys::is_ready(fd, direction)? {
        return Ok(());
    }
    if attempt == Attempt::Once {
        return Err(cancelled());
    }
    let once = Once::new(me, fd)?;
    wait(me, once.key, direction, Turn::Last, None)
}

#[cold]
fn cancelled() -> io::Error {
    io::Error::other(Cancelled)
}

/// What std's calls report after a timeout, and in non-blocking mode.
#[cold]
fn would_block() -> io::Error {
    io::Error::from_raw_os_error(libc::EWOULDBLOCK)
}
