//! Unreported: waiting for room that the kernel reports to nobody.
//!
//! Layer 8. Imports: io, park, task, hooks, time. Never: reactors, scopes.
//!
//! A blocking `connect(2)` or `sendto(2)` waits in a queue of the other socket. No `poll` and no `epoll`
//! on the own one shows what happens there: it is writable all the time, and each `sendto` that fails
//! reports so anew. Waiting for that would spin.
//!
//! Chosen: asking again, after pauses that grow with the wait. Rejected: the blocking call on a helper
//! thread, where no cancellation reaches it, and a peer that never accepts keeps a thread for each call;
//! a probe, connected to the same peer, to be polled in place of the own socket: only datagrams have
//! that, and each one that is taken would wake every sender.

use crate::hooks::WaitReason;
use crate::io::Cancelled;
use crate::io::Io;
use crate::park;
use crate::park::Attempt;
use crate::park::Running;
use crate::sys::Direction;
use crate::sys::Mode;
use crate::task::Abort;
use crate::task::local::Raised;
use crate::task::phase::Winner;
use crate::time;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

/// A wake-up is some 30 µs late: shorter ones would only ask more often.
const FIRST_PAUSE: Duration = Duration::from_micros(50);

/// A thousand tasks that wait for long then ask 20,000 times a second, a few percent of a core.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Runs `call` until it does not block, pausing in between. It counts as a write.
///
/// A checkpoint on every call.
///
/// # Errors
///
/// As for `Io::call`.
pub(super) fn call<S: AsFd, T>(
    io: &Io<S>,
    mut call: impl FnMut(&S) -> io::Result<T>,
) -> io::Result<T> {
    let me = park::current();
    let attempt = me.map_or(Attempt::Patient, Running::checkpoint_or_report);
    let mut deadline = None;
    let mut next_pause = FIRST_PAUSE;
    loop {
        let error = match call(io.source()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => error,
            done => return done,
        };
        let has_paused = next_pause > FIRST_PAUSE;
        // Who has paused may have been cancelled between the end of the pause and its turn.
        let must_end = |me: Running| has_paused && me.raise_or_report() == Attempt::Once;
        if attempt == Attempt::Once || me.is_some_and(must_end) {
            return Err(io::Error::other(Cancelled));
        }
        if io.mode() == Mode::NonBlocking {
            return Err(error);
        }
        let left = match io.timeout(Direction::Write) {
            Some(timeout) => {
                let now = time::clock();
                let at = *deadline.get_or_insert_with(|| now.checked_add(timeout));
                at.map_or(Duration::MAX, |at| at.saturating_duration_since(now))
            }
            None => Duration::MAX,
        };
        if left.is_zero() {
            return Err(error);
        }
        pause(me, next_pause.min(left))?;
        next_pause = (next_pause * 2).min(LONGEST_PAUSE);
    }
}

fn pause(me: Option<Running>, duration: Duration) -> io::Result<()> {
    let Some(me) = me else {
        time::sleep(duration); // of the thread
        return Ok(());
    };
    // It is the kernel that is waited for: a virtual clock must not jump over it.
    let _counted = Raised::new(&me.worker().waiting_for_io);
    let session = me.open(WaitReason::Writable);
    let winner = me.park(session, me.worker().deadline_after(duration), Abort::Report);
    if winner == Winner::Cancellation { Err(io::Error::other(Cancelled)) } else { Ok(()) }
}
