//! Happy eyeballs: which of a host's addresses answers first?
//!
//! Layer 8. Imports: net's own files, io, time, pool, wait_queue, park, hooks, task. Never: sessions,
//! timers, reactors.
//!
//! RFC 8305. The decisions are in `candidates.rs`; here are the tasks: one for each lookup and each
//! attempt, children of the call, which waits for their news and ends with all of them.

use super::TcpStream;
use super::addr::numeric;
use super::candidates::Attempt;
use super::candidates::Candidates;
use super::candidates::Delays;
use super::candidates::Failures;
use super::candidates::Step;
use super::resolve::Family;
use super::resolve::look_up;
use crate::hooks::WaitReason;
use crate::io::Cancelled;
use crate::io::checkpoint;
use crate::park;
use crate::park::Running;
use crate::park::Unwinding;
use crate::pool::Pool;
use crate::pool::TaskBuilder;
use crate::pool::pool;
use crate::task::Abort;
use crate::time::clock;
use crate::wait_queue::WaitQueue;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use std::time::Instant;

/// RFC 8305, section 8: the "Resolution Delay".
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// RFC 8305, section 8: the "Connection Attempt Delay", for which it recommends 250 ms, from 100 ms to
/// 2 s, and never less than 10 ms.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Connects to a host name by whichever of its addresses answers first, after
/// [RFC 8305](https://www.rfc-editor.org/rfc/rfc8305), "Happy Eyeballs".
///
/// [`TcpStream::connect`] to a name does this; the type is for other delays and other ways to connect.
///
/// IPv6 and IPv4 addresses are looked up at the same time. IPv6 goes first: if the IPv4 addresses are
/// known earlier, the IPv6 ones are waited for up to the resolution delay. Then one address is tried after
/// the other, the families in turn. The next attempt begins when the one before it has failed, or has
/// taken the attempt delay; it goes on beside that. Addresses that become known late join in. The first
/// connection wins; when this returns, all other attempts have ended and theirs are closed.
///
/// Outside of [`run`](crate::run), and where a task cannot wait for others (inside of
/// [`task::no_unwind`](crate::task::no_unwind) and [`task::no_switch`](crate::task::no_switch), and while
/// another task waits in a destructor that an unwind runs), the addresses are tried one after the other, in the resolver's order. While the task unwinds no name is
/// looked up.
///
/// # Examples
///
/// ```
/// use giambio::net::{HappyEyeballs, TcpListener};
/// use std::time::Duration;
///
/// giambio::run(|| {
///     let listener = TcpListener::bind("127.0.0.1:0")?;
///     let port = listener.local_addr()?.port();
///     let patient = HappyEyeballs::new().attempt_delay(Duration::from_secs(1));
///     let stream = patient.connect("localhost", port)?;
///     assert_eq!(stream.peer_addr()?.port(), port);
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct HappyEyeballs {
    delays: Delays,
}

impl HappyEyeballs {
    /// The delays that the RFC recommends.
    #[must_use]
    pub fn new() -> Self {
        Self { delays: Delays { resolution: RESOLUTION_DELAY, attempt: ATTEMPT_DELAY } }
    }

    /// Sets how long an attempt may take before the next begins beside it; 250 ms unless set.
    ///
    /// The RFC asks for 100 ms to 2 s, and for never less than 10 ms.
    #[must_use]
    pub fn attempt_delay(mut self, delay: Duration) -> Self {
        self.delays.attempt = delay;
        self
    }

    /// Sets how long IPv6 addresses are waited for when the IPv4 ones are known; 50 ms unless set.
    #[must_use]
    pub fn resolution_delay(mut self, delay: Duration) -> Self {
        self.delays.resolution = delay;
        self
    }

    /// Opens a connection, parking the calling task until one stands.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. A cancelled `connect` has closed every connection and abandoned the
    /// lookups.
    ///
    /// # Errors
    ///
    /// If all addresses fail: the error of the only one, or else one that tells of each, with the kind of
    /// the last, which is also its [source](std::error::Error::source). The resolver's error, if no address
    /// is known. `InvalidInput` if there is none. `OutOfMemory` if there is no stack for an attempt. While
    /// the task unwinds, and inside of [`task::no_unwind`](crate::task::no_unwind) if it is cancelled, of
    /// kind `Other`, carrying [`io::Cancelled`](crate::io::Cancelled).
    pub fn connect(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        self.connect_by(host, port, TcpStream::connect_to)
    }

    /// Like [`connect`](Self::connect), with attempts of the caller's own: to bind a source address first,
    /// to set options, to go through a proxy.
    ///
    /// `connector` runs for each address in a task of its own, several at a time, and may park. What it
    /// makes too late to win is dropped before this returns. A numeric `host` is tried in the calling task.
    ///
    /// # Cancellation
    ///
    /// As for [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect).
    ///
    /// # Panics
    ///
    /// If `connector` does; the other attempts are cancelled first.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::net::{HappyEyeballs, SocketAddr};
    /// use std::io;
    ///
    /// let connector = |addr: SocketAddr| Err::<(), _>(io::Error::other(format!("{} is away", addr.ip())));
    /// let result = giambio::run(|| HappyEyeballs::new().connect_by("127.0.0.1", 80, connector));
    /// assert_eq!(result.unwrap_err().to_string(), "127.0.0.1 is away");
    /// ```
    pub fn connect_by<C>(
        &self,
        host: &str,
        port: u16,
        connector: impl Fn(SocketAddr) -> io::Result<C>,
    ) -> io::Result<C> {
        checkpoint();
        if let Some(addr) = numeric(host, port) {
            return connector(addr);
        }
        match park::current() {
            Some(me) if may_be_cut(me) => {
                let race = Race { host, port, connector, news: News::new() };
                race.run(me, Candidates::new(self.delays))
            }
            _ => one_by_one(host, port, connector),
        }
    }
}

impl Default for HappyEyeballs {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether a pool may be opened: a cancellation takes its children away, and then has to be raised. In
/// doubt it must not be, so there is none.
fn may_be_cut(me: Running) -> bool {
    me.core().no_unwind.get() == 0 && me.unwinding() == Unwinding::No && me.may_switch()
}

/// Tries what the resolver knows, in its order.
fn one_by_one<C>(
    host: &str,
    port: u16,
    connector: impl Fn(SocketAddr) -> io::Result<C>,
) -> io::Result<C> {
    let mut failures = Failures::default();
    for addr in look_up(host, port, Family::Any)? {
        match connector(addr) {
            // It would be that for every other address as well.
            Err(error) if error.get_ref().is_some_and(|inner| inner.is::<Cancelled>()) => {
                return Err(error);
            }
            Err(error) => failures.0.push((addr, error)),
            connected => return connected,
        }
    }
    Err(failures.into_error(host))
}

/// What a child of a race has to say.
enum Event<C> {
    Answered(Family, io::Result<Vec<SocketAddr>>),
    Tried(Attempt, io::Result<C>),
}

/// What the children of a race have said, oldest first, and the line in which the race waits for it.
struct News<C> {
    events: RefCell<VecDeque<Event<C>>>,
    line: WaitQueue<()>,
}

impl<C> News<C> {
    fn new() -> Self {
        Self { events: RefCell::default(), line: WaitQueue::new(()) }
    }

    fn push(&self, event: Event<C>) {
        self.events.borrow_mut().push_back(event);
        self.line.wake_one(|(), line| line.claim_first());
    }

    fn take(&self) -> Option<Event<C>> {
        self.events.borrow_mut().pop_front()
    }

    /// Parks until there is something, or until then.
    fn wait(&self, until: Option<Instant>) {
        let is_there = |(): &mut ()| !self.events.borrow().is_empty();
        self.line.wait_unless(until, WaitReason::Connect, Abort::Now, is_there);
    }
}

/// Says how a child has ended, whatever that was: on drop, what it would be if nobody says better.
struct Report<'n, C> {
    news: &'n News<C>,
    event: Option<Event<C>>,
}

impl<'n, C> Report<'n, C> {
    fn new(news: &'n News<C>, event: Event<C>) -> Self {
        Self { news, event: Some(event) }
    }

    fn send(mut self, event: Event<C>) {
        self.event = Some(event);
    }
}

impl<C> Drop for Report<'_, C> {
    fn drop(&mut self) {
        if let Some(event) = self.event.take() {
            self.news.push(event);
        }
    }
}

/// One call: what its children share.
struct Race<'h, C, F> {
    host: &'h str,
    port: u16,
    connector: F,
    news: News<C>,
}

impl<C, F: Fn(SocketAddr) -> io::Result<C>> Race<'_, C, F> {
    /// Late connections are dropped with the race, after the last child has ended.
    fn run(self, me: Running, mut candidates: Candidates) -> io::Result<C> {
        let won = pool(|pool| {
            let ended = self.watch(me, pool, &mut candidates);
            pool.cancel_because("another address was faster");
            ended
        })?;
        won.ok_or_else(|| candidates.into_error(self.host))
    }

    /// Starts the children when their time has come, until one has connected; `None` if none can.
    fn watch<'scope>(
        &'scope self,
        me: Running,
        pool: &'scope Pool<'scope, '_>,
        candidates: &mut Candidates,
    ) -> io::Result<Option<C>> {
        for family in [Family::V6, Family::V4] {
            self.ask(pool, family)?;
        }
        loop {
            me.checkpoint();
            if me.core().cancel_pending() {
                // Somebody else has begun to unwind and waits. But this task did not when it came here.
                me.raise();
            }
            while let Some(event) = self.news.take() {
                match event {
                    Event::Answered(family, answer) => candidates.answered(family, answer, clock()),
                    Event::Tried(_, Ok(connection)) => return Ok(Some(connection)),
                    Event::Tried(attempt, Err(error)) => candidates.failed(attempt, error),
                }
            }
            match candidates.next_step(clock()) {
                Step::Try(attempt) => self.attempt(pool, attempt)?,
                Step::Wait(until) => self.news.wait(until),
                Step::GiveUp => return Ok(None),
            }
        }
    }

    fn ask<'scope>(&'scope self, pool: &'scope Pool<'scope, '_>, family: Family) -> io::Result<()> {
        let report = Report::new(&self.news, Event::Answered(family, Err(stopped())));
        let task = TaskBuilder::new().name(format!("look up {} ({family:?})", self.host));
        task.try_spawn(pool, move || {
            report.send(Event::Answered(family, look_up(self.host, self.port, family)));
        })?;
        Ok(())
    }

    fn attempt<'scope>(
        &'scope self,
        pool: &'scope Pool<'scope, '_>,
        attempt: Attempt,
    ) -> io::Result<()> {
        let report = Report::new(&self.news, Event::Tried(attempt, Err(stopped())));
        let task = TaskBuilder::new().name(format!("connect to {}", attempt.addr));
        task.try_spawn(pool, move || {
            report.send(Event::Tried(attempt, (self.connector)(attempt.addr)));
        })?;
        Ok(())
    }
}

/// Of a child that was cancelled by itself: the race goes on without it.
fn stopped() -> io::Error {
    io::Error::other("the task of this attempt was cancelled")
}
