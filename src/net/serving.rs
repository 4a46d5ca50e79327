//! Serving: the accept loop, and what becomes of one connection.
//!
//! Layer 8. Imports: pool, scope, park, wait_queue, task, net's own files. Never: what a handler does.

use super::refusal::Refusal;
use super::refusal::Refusals;
use super::serve::Failures;
use super::serve::Listener;
use super::serve::Served;
use super::serve::Server;
use crate::hooks::WaitReason;
use crate::park;
use crate::park::Running;
use crate::pool::TaskBuilder;
use crate::pool::TryPool;
use crate::scope;
use crate::task::Abort;
use crate::task::local;
use crate::task::waiters::Waiters;
use crate::wait_queue;
use std::cell::Cell;
use std::fmt;
use std::io;
use std::panic::Location;
use std::time::Duration;

/// How long a server waits for what it has run out of, unless one of its connections ends.
///
/// Ten failing calls a second cost nothing, so there is no need to wait longer and longer; trio's choice.
const PAUSE: Duration = Duration::from_millis(100);

/// The connections of one `serve`.
pub(super) struct Tally {
    live: Cell<usize>,
    served: Cell<Served>,
    /// The acceptor, while it waits for a connection to end.
    acceptor: Waiters,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self { live: Cell::new(0), served: Cell::default(), acceptor: Waiters::new() }
    }

    pub(super) fn served(&self) -> Served {
        self.served.get()
    }

    fn count(&self, change: impl FnOnce(&mut Served)) {
        let mut served = self.served.get();
        change(&mut served);
        self.served.set(served);
    }

    /// Parks `me` until there are fewer than `max` connections.
    fn wait_for_room(&self, me: Running, max: usize) {
        while self.live.get() >= max {
            me.checkpoint();
            // The checkpoint may have let others run.
            if self.live.get() >= max {
                self.wait_for_an_end(me, None);
            }
        }
    }

    /// Parks `me`, which comes from a checkpoint, until a connection ends, for at most `timeout`.
    fn wait_for_an_end(&self, me: Running, timeout: Option<Duration>) {
        let deadline = timeout.and_then(|timeout| me.worker().deadline_after(timeout));
        let reason = WaitReason::ConnectionEnd;
        wait_queue::wait(me, &self.acceptor, deadline, reason, Abort::Now);
    }
}

/// One connection: counted until this is dropped.
struct Connection<'t> {
    tally: &'t Tally,
    /// Its handler has come to an end of its own.
    ended: Cell<bool>,
}

impl<'t> Connection<'t> {
    fn new(tally: &'t Tally) -> Self {
        tally.live.set(tally.live.get() + 1);
        tally.count(|served| served.accepted += 1);
        Self { tally, ended: Cell::new(false) }
    }

    fn failed(&self) {
        self.ended.set(true);
        self.tally.count(|served| served.failed += 1);
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        self.tally.live.set(self.tally.live.get() - 1);
        if !self.ended.get() {
            self.tally.count(|served| served.cancelled += 1);
        }
        let acceptor = self.tally.acceptor.claim_first();
        acceptor.into_iter().for_each(|acceptor| park::queue_here(acceptor));
    }
}

/// What the tasks of one `serve` share.
pub(super) struct Serving<'s, L, H> {
    pub(super) server: &'s Server,
    pub(super) listener: &'s L,
    pub(super) handler: H,
    pub(super) tally: &'s Tally,
    /// Where the server was started: what its tasks are named after.
    pub(super) place: &'static Location<'static>,
}

impl<L, H> Serving<'_, L, H>
where
    L: Listener,
    H: Fn(L::Stream, L::Addr) -> io::Result<()>,
{
    /// Ends when it is stopped, or with an error that is no connection's. A stop cuts it where it waits.
    pub(super) fn accept_all<'scope, 'env>(
        &'env self,
        me: Running,
        connections: &'scope TryPool<'scope, 'env, io::Error>,
    ) -> io::Result<()> {
        let mut refusals = Refusals::default();
        loop {
            self.tally.wait_for_room(me, self.server.max_connections);
            // The task that cuts this one may not have had its turn yet.
            if self.server.is_stopped() {
                return Ok(());
            }
            let accepted = self.listener.accept().and_then(|(stream, peer)| {
                refusals.end_row();
                self.begin(connections, stream, peer)
            });
            let Err(error) = accepted else { continue };
            match refusals.judge(&error, self.place) {
                Refusal::Passing => {}
                Refusal::Shortage => {
                    me.checkpoint();
                    self.tally.wait_for_an_end(me, Some(PAUSE));
                }
                Refusal::Final => return Err(error),
            }
        }
    }

    /// Starts a connection's task. If there is no stack for it, the connection is closed.
    fn begin<'scope, 'env>(
        &'env self,
        connections: &'scope TryPool<'scope, 'env, io::Error>,
        stream: L::Stream,
        peer: L::Addr,
    ) -> io::Result<()>
    where
        L::Stream: 'scope,
        L::Addr: 'scope,
    {
        let connection = Connection::new(self.tally);
        let mut task = TaskBuilder::at(self.place);
        if let Some(bytes) = self.server.stack_size {
            task = task.stack_size(bytes);
        }
        connections.try_spawn(task, move || self.attend(&connection, stream, peer)).map(drop)
    }

    /// A connection's task. Its error and its panic fail the server.
    fn attend(
        &self,
        connection: &Connection<'_>,
        stream: L::Stream,
        peer: L::Addr,
    ) -> io::Result<()> {
        let me = park::current_for("`giambio::net::serve`");
        let outcome = scope::caught(me, || (self.handler)(stream, peer.clone()));
        let fatal = self.server.failures == Failures::FailTheServer;
        match outcome {
            Ok(Ok(())) => connection.ended.set(true),
            Ok(Err(error)) => {
                connection.failed();
                log(format_args!("the handler of {peer:?} failed: {error}"));
                if fatal {
                    return Err(error);
                }
            }
            // As in the end of a task: one that was kept and raised again, where nothing is cancelled, is
            // a panic.
            Err(cut) if me.core().cancel_pending() && scope::cancelled_scope(&*cut).is_some() => {
                me.unwind_with(cut)
            }
            Err(payload) => {
                connection.failed();
                log(format_args!("the handler of {peer:?} panicked: {}", scope::said(&*payload)));
                if fatal {
                    me.unwind_with(payload)
                }
                local::drop_caught(payload);
            }
        }
        Ok(())
    }
}

fn log(message: fmt::Arguments<'_>) {
    local::log(log::Level::Error, message);
}
