//! Refusal: what a server does when `accept` fails.
//!
//! Layer 8. Imports: sys, task, time. Never: connections.

use crate::sys;
use crate::task::local;
use crate::time;
use std::io;
use std::panic::Location;
use std::time::Duration;
use std::time::Instant;

/// What is to be done about an error of `accept`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It was one connection's: the next may be accepted at once.
    Passing,
    /// There is no more of something: accepting goes on after a pause.
    Shortage,
    /// It will be the same next time.
    Final,
}

/// Passing errors in a row after which the next counts as a shortage.
///
/// accept(2) has some of them be a connection's that are the listener's if they do not go away, such as
/// the `EOPNOTSUPP` of a socket that no connections come to: a server must not spin on those. So many
/// connections in a row that all failed before they were accepted are worth a pause as well.
const PASSING_IN_A_ROW_MAX: u32 = 100;

/// How long accepting has to work for the next shortage to be worth a line in the log.
///
/// At the limit each connection that ends makes room for one more, and the next accept fails again: by
/// the success alone there would be a line for each connection. Ten times the pause, so that a shortage
/// that lasts is one spell.
const CALM: Duration = Duration::from_secs(1);

/// What has gone wrong lately.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    passing_in_a_row: u32,
    last_shortage: Option<Instant>,
}

impl Refusals {
    /// A connection was accepted.
    pub(super) fn end_row(&mut self) {
        self.passing_in_a_row = 0;
    }

    /// Says what is to be done about `error`; the first shortage of a spell goes to the log. `server` is the
    /// place that it was started at.
    pub(super) fn judge(&mut self, error: &io::Error, server: &Location<'_>) -> Refusal {
        let refusal = match meaning(error) {
            Refusal::Passing if self.passing_in_a_row < PASSING_IN_A_ROW_MAX => {
                self.passing_in_a_row += 1;
                return Refusal::Passing;
            }
            Refusal::Passing => Refusal::Shortage,
            other => other,
        };
        if refusal == Refusal::Shortage {
            let now = time::clock();
            let calm = self.last_shortage.is_none_or(|last| now.duration_since(last) > CALM);
            self.last_shortage = Some(now);
            if calm {
                local::log(
                    log::Level::Warn,
                    format_args!("the server of {server} accepts no connection for now: {error}"),
                );
            }
        }
        refusal
    }
}

fn meaning(error: &io::Error) -> Refusal {
    match sys::os_code(error) {
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS) => Refusal::Shortage,
        // The first two belong to the connection that was to be accepted, which has gone or is not
        // allowed. With the others a network's error is passed on from it: accept(2) asks to have
        // them treated like `EAGAIN`.
        Some(
            libc::ECONNABORTED
            | libc::EPERM
            | libc::EPROTO
            | libc::ENETDOWN
            | libc::ENOPROTOOPT
            | libc::EHOSTDOWN
            | libc::ENONET
            | libc::EHOSTUNREACH
            | libc::EOPNOTSUPP
            | libc::ENETUNREACH,
        ) => Refusal::Passing,
        // `ENOMEM`, or there is no stack for the connection's task.
        _ if error.kind() == io::ErrorKind::OutOfMemory => Refusal::Shortage,
        _ => Refusal::Final,
    }
}
