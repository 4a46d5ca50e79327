//! Serve: a task for each connection, and an orderly end.
//!
//! Layer 8. Imports: pool, sync, park, time, net's own files. Never: what a handler does.
//!
//! Two scopes, one in the other: that of all connections, a pool with the grace as its deadline, and
//! that of accepting, which a stop cuts wherever it waits. The caller's own task accepts.
//!
//! Chosen: handlers return `io::Result<()>`. Rejected: any error that can be shown. In a closure that uses
//! `?` nothing would say which one it is, and `serve` could not return it as what `accept` fails with.
//! Other errors go in by `io::Error::other`, which shows them as they are.

use super::SocketAddr;
use super::TcpListener;
use super::TcpStream;
use super::serving::Serving;
use super::serving::Tally;
use crate::os;
use crate::os::unix::net::UnixListener;
use crate::os::unix::net::UnixStream;
use crate::park;
use crate::pool::TaskBuilder;
use crate::pool::cancellable;
use crate::pool::try_pool;
use crate::sync::Event;
use crate::time;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

/// What connections come from: the listeners of this crate.
///
/// It is for [`serve`] and [`Server`], and nobody else can implement it.
pub trait Listener: Sealed {
    /// A connection.
    type Stream;
    /// The other side's address, as the log shows it.
    type Addr: Clone + fmt::Debug;

    /// Takes the next connection, parking the calling task until there is one.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. A cancelled `accept` has taken no connection.
    ///
    /// # Errors
    ///
    /// The system's.
    fn accept(&self) -> io::Result<(Self::Stream, Self::Addr)>;
}

/// Keeps [`Listener`] free to change.
pub trait Sealed {}

impl Sealed for TcpListener {}

impl Sealed for UnixListener {}

impl Listener for TcpListener {
    type Stream = TcpStream;
    type Addr = SocketAddr;

    fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        TcpListener::accept(self)
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;
    type Addr = os::unix::net::SocketAddr;

    fn accept(&self) -> io::Result<(UnixStream, Self::Addr)> {
        UnixListener::accept(self)
    }
}

/// How long a stopped server leaves its connections unless told otherwise.
///
/// Docker kills 10 s after it has asked a program to end, Kubernetes after 30 s, systemd after 90 s: half of
/// the shortest leaves as much for what the handlers do once they are cancelled.
const DEFAULT_GRACE: Duration = Duration::from_secs(5);

/// Accepts connections for ever, and runs `handler` with each in a task of its own.
///
/// [`Server`] has the options, among them a limit on connections, and the way to stop. The handler may
/// borrow, and need be neither `Send` nor `'static`; all connections share it. If it fails, be it by an
/// error or by a panic, that is logged with the other side's address, and everybody else goes on.
///
/// If the system runs out of descriptors or memory, the server says so in the log once, waits for a
/// connection to end or a tenth of a second, and tries again: what is in the backlog stays there meanwhile.
///
/// # Cancellation
///
/// A checkpoint on every call. A cancellation reaches every handler, and is raised when they have ended.
///
/// # Errors
///
/// What `accept` fails with if that will not pass by itself. The connections are ended as by a
/// [`stop`](Stopper::stop) first.
///
/// # Panics
///
/// Outside of `run`.
///
/// # Examples
///
/// ```no_run
/// use giambio::net::{self, TcpListener};
/// use std::io::Write;
///
/// let listener = TcpListener::bind("127.0.0.1:1500")?;
/// giambio::run(|| net::serve(&listener, |mut stream, peer| writeln!(stream, "hello, {peer}")))?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// Errors of other kinds become those of [`std::io`]:
///
/// ```no_run
/// # use giambio::net::{self, TcpListener};
/// # let listener = TcpListener::bind("127.0.0.1:1500")?;
/// use std::io::{self, BufRead, BufReader};
///
/// giambio::run(|| {
///     net::serve(&listener, |stream, _| {
///         for line in BufReader::new(stream).lines() {
///             let _number: u64 = line?.parse().map_err(io::Error::other)?;
///         }
///         Ok(())
///     })
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn serve<L: Listener>(
    listener: &L,
    handler: impl Fn(L::Stream, L::Addr) -> io::Result<()>,
) -> io::Result<Infallible> {
    match Server::new().serve(listener, handler) {
        Ok(_) => unreachable!("a server that nobody can stop was stopped"),
        Err(error) => Err(error),
    }
}

/// The options of a server, and the way to stop it: see [`serve`] for what it does.
///
/// It may serve several listeners, one after the other or at the same time; its clones share its
/// stopper, also on other threads.
///
/// # Examples
///
/// ```
/// use giambio::net::{Server, TcpListener, TcpStream};
/// use std::io::{Read, Write};
/// use std::time::Duration;
///
/// giambio::run(|| -> std::io::Result<()> {
///     let listener = TcpListener::bind("127.0.0.1:0")?;
///     let server = Server::new().max_connections(1000).grace(Duration::from_secs(1));
///     let stopper = server.stopper(); // for a task that waits for Ctrl-C, or for another thread
///     giambio::pool(|pool| {
///         let served = pool.spawn(|| server.serve(&listener, |mut stream, _| stream.write_all(b"bye")));
///         let mut text = String::new();
///         TcpStream::connect(listener.local_addr()?)?.read_to_string(&mut text)?;
///         stopper.stop();
///         assert_eq!(served.join().unwrap()?.accepted, 1);
///         Ok(())
///     })
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a server does nothing until it serves"]
pub struct Server {
    pub(super) max_connections: usize,
    grace: Duration,
    pub(super) stack_size: Option<usize>,
    pub(super) failures: Failures,
    stopper: Stopper,
}

/// What a handler's failure means for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failures {
    /// Nothing.
    AreLogged,
    /// Their end.
    FailTheServer,
}

impl Server {
    /// The options of [`serve`].
    pub fn new() -> Self {
        Self {
            max_connections: usize::MAX,
            grace: DEFAULT_GRACE,
            stack_size: None,
            failures: Failures::AreLogged,
            stopper: Stopper { stopped: Arc::default() },
        }
    }

    /// Sets how many connections there may be at a time, for each listener; there is no limit unless set.
    ///
    /// Further ones stay in the listener's backlog until one has ended.
    ///
    /// # Panics
    ///
    /// If `count` is 0.
    #[track_caller]
    pub fn max_connections(mut self, count: usize) -> Self {
        assert!(count > 0, "a server with a limit of 0 connections would never accept one");
        self.max_connections = count;
        self
    }

    /// Sets how long handlers may go on after a [`stop`](Stopper::stop) before they are cancelled: 5 s
    /// unless set.
    ///
    /// By [`clock`](crate::clock()). That is half of what Docker leaves a program that it has asked to end,
    /// and other supervisors leave more. Zero cancels them at once; [`Duration::MAX`] is for ever.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Sets the size of the stacks that handlers run on: see
    /// [`TaskBuilder::stack_size`](crate::TaskBuilder::stack_size).
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Has a handler's failure fail the server, as in a [`try_pool`](crate::try_pool()): all others are
    /// cancelled, and its error is returned, or its panic goes on, when they have ended.
    ///
    /// For tests, and where nothing is better than something wrong.
    pub fn fail_fast(mut self) -> Self {
        self.failures = Failures::FailTheServer;
        self
    }

    /// The right to stop this server and its clones.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopper.is_stopped()
    }

    /// Accepts connections until it is stopped, and runs `handler` with each in a task of its own: see
    /// [`serve`].
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call, also of a server that was stopped before. A cancellation reaches every
    /// handler, and is raised when they have ended.
    ///
    /// # Errors
    ///
    /// What `accept` fails with if that will not pass by itself, a handler's error after
    /// [`fail_fast`](Self::fail_fast), `InvalidInput` if a [`stack_size`](Self::stack_size) is none. Where
    /// a task cannot be cancelled, it is [`io::Cancelled`](crate::io::Cancelled).
    ///
    /// # Panics
    ///
    /// With a handler's panic after [`fail_fast`](Self::fail_fast). Outside of `run`.
    #[track_caller]
    pub fn serve<L: Listener>(
        &self,
        listener: &L,
        handler: impl Fn(L::Stream, L::Addr) -> io::Result<()>,
    ) -> io::Result<Served> {
        let me = park::current_for("`giambio::net::serve`");
        let place = Location::caller();
        let tally = Tally::new();
        let serving = Serving { server: self, listener, handler, tally: &tally, place };
        let ended = try_pool(|connections| {
            let ended = cancellable(|accepting| {
                let watch = move || {
                    self.stopper.stopped.wait();
                    accepting.cancel();
                };
                TaskBuilder::at(place).daemon().try_spawn(accepting, watch)?;
                serving.accept_all(me, connections)
            });
            let ended = match ended {
                // Where nothing may unwind, a stop makes `accept` fail.
                Some(Err(error)) if !self.is_stopped() => Err(error),
                _ => Ok(()),
            };
            if self.grace.is_zero() {
                connections.cancel();
            } else {
                connections.set_deadline(time::clock().checked_add(self.grace));
            }
            Ok(ended)
        })?;
        ended.map(|()| tally.served())
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

/// Stops a [`Server`] from anywhere: a handler, another task, another thread.
///
/// ```
/// fn may_go<T: Clone + Send + Sync + 'static>() {}
/// may_go::<giambio::net::Stopper>();
/// ```
#[derive(Clone, Debug)]
pub struct Stopper {
    stopped: Arc<Event>,
}

impl Stopper {
    /// Has the server accept no more connections, and end when those that it has have ended.
    ///
    /// Their handlers have the server's [`grace`](Server::grace); then they are cancelled, and waited for.
    /// The listener stays open, and what is in its backlog stays there; a connection that came before this
    /// call may still be accepted. A server that is stopped stays so, and every `serve` to come returns at
    /// once; to stop it again changes nothing.
    ///
    /// Never parks, and works before `serve` has begun.
    pub fn stop(&self) {
        // An error says that somebody else was first.
        let _ = self.stopped.trigger(());
    }

    /// Whether [`stop`](Self::stop) was called: handlers that serve one request after the other may look,
    /// so as to end in between.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped.is_set()
    }
}

/// What became of a stopped server's connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Served {
    /// All that were accepted.
    pub accepted: usize,
    /// Those among them whose handlers have returned an error or have panicked.
    pub failed: usize,
    /// Those whose handlers were cancelled, or had not begun, when their time was over; and those for
    /// which there was no stack.
    pub cancelled: usize,
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
