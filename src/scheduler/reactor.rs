//! Reactor: which descriptors are ready, and which tasks that wakes.
//!
//! Layer 4. Imports: task, sys. Never: pools, sockets as such (it sees a descriptor and a key).
//!
//! Edge-triggered: a descriptor is registered once, for both directions and for urgent data, and what
//! the kernel said last is kept in two bits. A token is a slab key with a generation, never a
//! descriptor: descriptors are used again while events of the last owner may still be on their way.
//! Chosen: the waiter at the head of the queue is woken and hands the readiness on when it leaves
//! some. Rejected: waking all (every listener with a hundred acceptors would stampede).

use crate::clock::Nanos;
use crate::sys;
use crate::sys::Direction;
use crate::sys::TimerFd;
use crate::task::Core;
use crate::task::inbox::Bell;
use crate::task::inbox::Inbox;
use crate::task::inbox::Message;
use crate::task::local;
use crate::task::waiters::Waiter;
use crate::task::waiters::Waiters;
use mio::Interest;
use mio::Token;
use mio::event::Event;
use mio::unix::SourceFd;
use slab::Slab;
use std::cell::Cell;
use std::cell::OnceCell;
use std::cell::RefCell;
use std::io;
use std::num::NonZero;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

/// Readiness that one system call fetches. 1,024 entries are 12 KiB; a busier worker asks again.
const EVENTS_PER_POLL: usize = 1024;

/// Events that are looked at before the first of them is acted on.
const EVENTS_AHEAD: usize = 16;

const BELL: Token = Token(usize::MAX);
const ALARM: Token = Token(usize::MAX - 1);

/// The part of a reactor that other threads may use.
#[derive(Debug)]
pub(crate) struct Remote {
    pub(crate) inbox: Arc<Inbox>,
    registry: mio::Registry,
    /// [`sys::forks`] when it was made.
    made_at: u32,
}

impl Remote {
    /// Whether the epoll behind this is that of a process which this one was forked off: what the
    /// child deregistered there the parent would lose.
    pub(crate) fn is_inherited(&self) -> bool {
        self.made_at != sys::forks()
    }

    /// Makes the kernel forget a descriptor that is about to be closed. The key comes home through
    /// the inbox.
    pub(crate) fn deregister(&self, fd: BorrowedFd<'_>) {
        // It fails only if the kernel has forgotten the descriptor already.
        let _ = quietly(|| self.registry.deregister(&mut SourceFd(&fd.as_raw_fd())));
    }

    pub(crate) fn send_home(&self, key: SourceKey) {
        self.inbox.post(Message::Deregister(key.token().0));
    }

    /// Has those who wait for a source look again, soon.
    pub(crate) fn nudge(&self, key: SourceKey) {
        self.inbox.post(Message::Nudge(key.token().0));
    }
}

/// Runs a call of mio that logs, if somebody has switched that on: a log sink is foreign code. mio logs
/// before it acts, so after a sink's panic nothing has happened.
fn quietly(call: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let mut result = Err(io::Error::other("a log sink panicked"));
    local::in_hook(local::LOG_SINK, || result = call());
    result
}

#[derive(Debug)]
struct WakerBell(mio::Waker);

impl Bell for WakerBell {
    fn ring(&self) {
        // It fails only for a full counter, which wakes the worker all the same.
        let _ = self.0.wake();
    }
}

/// A registration with one reactor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceKey {
    index: u32,
    generation: Generation,
}

/// Tells the users of a slab entry apart. Not zero, so that a free entry needs no word of its own.
type Generation = NonZero<u32>;

impl SourceKey {
    fn token(self) -> Token {
        Token((self.generation.get() as usize) << 32 | self.index as usize)
    }

    /// `None` for what no key has as its token.
    pub(crate) fn from_token(token: usize) -> Option<Self> {
        let generation = NonZero::new((token >> 32) as u32)?;
        Some(Self { index: token as u32, generation })
    }
}

/// What a completed call says about the next one in the same direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// Nothing.
    Unknown,
    /// The source was emptied: a stream gave fewer bytes than there was room for.
    Nothing,
}

/// Where in the queue of a direction a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Behind all others.
    Last,
    /// Before all others: it was woken, and its call would have blocked again.
    Next,
}

/// What is known of one direction of a descriptor.
#[derive(Debug)]
struct Half {
    /// A call may succeed. Cleared when one would have blocked, set by an event.
    ready: Cell<bool>,
    /// A waiter was woken and has not made its call yet: who comes now stands behind it.
    handing_over: Cell<bool>,
    waiters: Waiters,
}

impl Half {
    fn new() -> Self {
        Self { ready: Cell::new(true), handing_over: Cell::new(false), waiters: Waiters::new() }
    }

    /// Wakes the task that has waited longest, unless one is on its way.
    fn wake_first(&self, wake: impl FnOnce(&Core)) {
        if self.handing_over.get() {
            return;
        }
        if let Some(core) = self.waiters.claim_first() {
            self.handing_over.set(true);
            wake(core);
        }
    }
}

/// One cache line, in the slab too: it is looked at for each call and each event.
#[derive(Debug)]
#[repr(align(64))]
struct Source {
    generation: Generation,
    read: Half,
    write: Half,
    /// No urgent data, hang-up or error was reported, so a short read has emptied the socket.
    short_reads_drain: Cell<bool>,
}

impl Source {
    fn half(&self, direction: Direction) -> &Half {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }
}

/// Turns the system's readiness into wake-ups for one worker.
#[derive(Debug)]
pub(crate) struct Reactor {
    poll: RefCell<mio::Poll>,
    events: RefCell<mio::Events>,
    sources: RefCell<Slab<Source>>,
    next_generation: Cell<Generation>,
    /// Made for the first deadline that a timeout in milliseconds would miss by too much.
    alarm: OnceCell<TimerFd>,
    /// What the alarm was last set for, so that the same deadline costs one system call.
    alarm_set_for: Cell<Nanos>,
    remote: Arc<Remote>,
}

impl Reactor {
    pub(crate) fn new() -> io::Result<Self> {
        let poll = mio::Poll::new()?;
        let bell = WakerBell(mio::Waker::new(poll.registry(), BELL)?);
        let inbox = Arc::new(Inbox::new(Box::new(bell)));
        let registry = poll.registry().try_clone()?;
        let remote = Arc::new(Remote { inbox, registry, made_at: sys::forks() });
        Ok(Self {
            poll: RefCell::new(poll),
            events: RefCell::new(mio::Events::with_capacity(EVENTS_PER_POLL)),
            sources: RefCell::new(Slab::new()),
            next_generation: Cell::new(Generation::MIN),
            alarm: OnceCell::new(),
            alarm_set_for: Cell::new(0),
            remote,
        })
    }

    pub(crate) fn remote(&self) -> &Arc<Remote> {
        &self.remote
    }

    /// Whether any descriptor is registered.
    pub(crate) fn has_sources(&self) -> bool {
        !self.sources.borrow().is_empty()
    }

    /// Registers a descriptor. The kernel reports at once what is ready already, so a call that
    /// would have blocked before the registration loses no readiness.
    pub(crate) fn register(&self, fd: BorrowedFd<'_>) -> io::Result<SourceKey> {
        let generation = self.next_generation.get();
        // The highest generation is left to `BELL` and `ALARM`.
        let next = generation.checked_add(1).filter(|&next| next < Generation::MAX);
        self.next_generation.set(next.unwrap_or(Generation::MIN));
        let source = Source {
            generation,
            read: Half::new(),
            write: Half::new(),
            short_reads_drain: Cell::new(true),
        };
        let index = self.sources.borrow_mut().insert(source);
        let key = SourceKey { index: index as u32, generation };
        // Without PRIORITY an urgent byte ends a read early and no edge ever reports the rest.
        let interest = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY;
        let poll = self.poll.borrow();
        let registry = poll.registry();
        let registered =
            quietly(|| registry.register(&mut SourceFd(&fd.as_raw_fd()), key.token(), interest));
        if let Err(error) = registered {
            self.sources.borrow_mut().remove(index);
            return Err(error);
        }
        Ok(key)
    }

    /// Frees a key whose descriptor the kernel has forgotten. Nobody waits for it: who waits
    /// borrows the owner of the key.
    pub(crate) fn forget(&self, key: SourceKey) {
        let mut sources = self.sources.borrow_mut();
        let index = key.index as usize;
        if sources.get(index).is_some_and(|source| source.generation == key.generation) {
            sources.remove(index);
        }
    }

    /// Wakes the first who waits for a source in each direction, if the key is still its own.
    pub(crate) fn nudge(&self, key: SourceKey, mut wake: impl FnMut(&Core)) {
        let sources = self.sources.borrow();
        let source = sources.get(key.index as usize);
        let Some(source) = source.filter(|source| source.generation == key.generation) else {
            return;
        };
        for half in [&source.read, &source.write] {
            half.ready.set(true);
            half.wake_first(&mut wake);
        }
    }

    fn with<R>(&self, key: SourceKey, look: impl FnOnce(&Source) -> R) -> R {
        look(&self.sources.borrow()[key.index as usize])
    }

    /// Whether a task that was not woken may make its call: it may succeed, and nobody is first.
    #[inline]
    pub(crate) fn may_try(&self, key: SourceKey, direction: Direction) -> bool {
        self.with(key, |source| {
            let half = source.half(direction);
            half.ready.get() && !half.handing_over.get()
        })
    }

    /// A call would have blocked.
    #[inline]
    pub(crate) fn exhausted(&self, key: SourceKey, direction: Direction) {
        self.with(key, |source| {
            let half = source.half(direction);
            half.ready.set(false);
            half.handing_over.set(false);
        });
    }

    /// A call has succeeded or failed without blocking: the next that waits may try.
    #[inline]
    pub(crate) fn completed(
        &self,
        key: SourceKey,
        direction: Direction,
        left: Left,
        wake: impl FnOnce(&Core),
    ) {
        self.with(key, |source| {
            let half = source.half(direction);
            half.handing_over.set(false);
            if left == Left::Nothing && source.short_reads_drain.get() {
                half.ready.set(false);
            } else if half.ready.get() {
                half.wake_first(wake);
            }
        });
    }

    /// Queues a task for a direction of a source.
    ///
    /// # Safety
    ///
    /// As for [`Waiters::push`], until `leave`.
    pub(crate) unsafe fn enter(
        &self,
        key: SourceKey,
        direction: Direction,
        turn: Turn,
        waiter: &Waiter,
    ) {
        self.with(key, |source| {
            let waiters = &source.half(direction).waiters;
            match turn {
                // SAFETY: passed on to the caller.
                Turn::Last => unsafe { waiters.push(waiter) },
                // SAFETY: as above.
                Turn::Next => unsafe { waiters.push_first(waiter) },
            }
        });
    }

    pub(crate) fn leave(&self, key: SourceKey, direction: Direction, waiter: &Waiter) {
        self.with(key, |source| source.half(direction).waiters.remove(waiter));
    }

    /// Rings at `at`, which is `delay` from now, more exactly than `poll`'s timeout, which counts in
    /// milliseconds.
    pub(crate) fn set_alarm(&self, at: Nanos, delay: Duration) -> io::Result<()> {
        if self.alarm_set_for.get() == at {
            return Ok(());
        }
        let alarm = match self.alarm.get() {
            Some(alarm) => alarm,
            None => {
                let alarm = TimerFd::new()?;
                // Edge-triggered: each expiry is an edge, so the timer is never read.
                let poll = self.poll.borrow();
                let (registry, fd) = (poll.registry(), alarm.fd().as_raw_fd());
                quietly(|| registry.register(&mut SourceFd(&fd), ALARM, Interest::READABLE))?;
                self.alarm.get_or_init(|| alarm)
            }
        };
        alarm.set(delay)?;
        self.alarm_set_for.set(at);
        Ok(())
    }

    /// Readable while the kernel has something to tell.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.remote.registry.as_fd()
    }

    /// Whether the last answer was as long as an answer can be.
    pub(crate) fn may_know_more(&self) -> bool {
        self.events.borrow().iter().count() == EVENTS_PER_POLL
    }

    /// Asks the kernel, for at most `timeout`, and wakes a task for each direction that is ready.
    pub(crate) fn poll(&self, timeout: Option<Duration>, mut wake: impl FnMut(&Core)) {
        let mut events = self.events.borrow_mut();
        match self.poll.borrow_mut().poll(&mut events, timeout) {
            Ok(()) => {}
            // A signal: the caller looks at its timers and comes back.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return,
            Err(error) => panic!("epoll_wait: {error}"),
        }
        let sources = self.sources.borrow();
        let mut rest = events.iter();
        loop {
            let batch = rest.clone().take(EVENTS_AHEAD);
            look_ahead(&sources, batch.clone());
            batch.for_each(|event| deliver(&sources, event, &mut wake));
            if rest.nth(EVENTS_AHEAD - 1).is_none() {
                return;
            }
        }
    }
}

/// The source that an event is about, unless it was the last owner's of the entry.
#[inline]
fn source_of<'s>(sources: &'s Slab<Source>, event: &Event) -> Option<&'s Source> {
    let key = SourceKey::from_token(event.token().0)?;
    sources.get(key.index as usize).filter(|source| source.generation == key.generation)
}

/// Has the cache fetch what a batch of events leads to: the source, the first waiter, its task.
///
/// Each leads to the next. With a thousand connections none of it is in the second-level cache, and
/// waiting for one after the other would be most of an event's cost. (The processor looks at several
/// sources at once by itself.)
#[inline]
fn look_ahead<'e>(sources: &Slab<Source>, batch: impl Iterator<Item = &'e Event> + Clone) {
    for source in batch.clone().filter_map(|event| source_of(sources, event)) {
        source.read.waiters.prefetch_first();
        source.write.waiters.prefetch_first();
    }
    for source in batch.filter_map(|event| source_of(sources, event)) {
        source.read.waiters.prefetch_first_task();
        source.write.waiters.prefetch_first_task();
    }
}

/// Takes down what the kernel says of one descriptor, and wakes a task for each direction.
#[inline]
fn deliver(sources: &Slab<Source>, event: &Event, wake: &mut impl FnMut(&Core)) {
    let Some(source) = source_of(sources, event) else { return };
    let broken = event.is_error();
    if broken || event.is_priority() || event.is_read_closed() || event.is_write_closed() {
        source.short_reads_drain.set(false);
    }
    let readable = event.is_readable() || event.is_read_closed() || event.is_priority();
    for (half, ready) in [
        (&source.read, broken || readable),
        (&source.write, broken || event.is_writable() || event.is_write_closed()),
    ] {
        if ready {
            half.ready.set(true);
            half.wake_first(&mut *wake);
        }
    }
}
