//! Candidates: which address of a host is tried next, and when?
//!
//! Layer 8. Imports: net's own files. Never: tasks, sockets; the time is its caller's.
//!
//! RFC 8305, sections 3 to 5, as one value with a function for each event, and one that decides.

use super::addr::no_address;
use super::resolve::Family;
use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use std::time::Instant;

/// How long is waited for what would be better.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delays {
    /// For IPv6 addresses when the IPv4 ones are there.
    pub(super) resolution: Duration,
    /// For an attempt before the next is made beside it.
    pub(super) attempt: Duration,
}

/// What is to be done next.
#[derive(Debug)]
pub(super) enum Step {
    Try(Attempt),
    /// For news, at most until then.
    Wait(Option<Instant>),
    /// There is nothing left that could work.
    GiveUp,
}

/// One address that is being tried.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    /// Counted from 1.
    number: usize,
    pub(super) addr: SocketAddr,
}

/// When the next attempt may begin.
#[derive(Clone, Copy, Debug)]
enum Start {
    AtOnce,
    At(Instant),
    /// After what comes first of an answer and a failure.
    AfterNews,
}

impl Start {
    fn after(now: Instant, delay: Duration) -> Self {
        now.checked_add(delay).map_or(Self::AfterNews, Self::At)
    }
}

/// The addresses of a host that are known so far, and what has become of them.
#[derive(Debug)]
pub(super) struct Candidates {
    delays: Delays,
    v4: VecDeque<SocketAddr>,
    v6: VecDeque<SocketAddr>,
    /// Families that have not answered.
    asked: Vec<Family>,
    /// The family whose turn it is: they alternate, IPv6 first.
    turn: Family,
    start: Start,
    started: usize,
    running: usize,
    failures: Failures,
    lookup_error: Option<io::Error>,
}

impl Candidates {
    /// Nothing is known of the host, and both families were asked.
    pub(super) fn new(delays: Delays) -> Self {
        Self {
            delays,
            v4: VecDeque::new(),
            v6: VecDeque::new(),
            asked: vec![Family::V4, Family::V6],
            turn: Family::V6,
            start: Start::AtOnce,
            started: 0,
            running: 0,
            failures: Failures::default(),
            lookup_error: None,
        }
    }

    /// A family has answered. What does not belong to it is left out.
    pub(super) fn answered(
        &mut self,
        family: Family,
        answer: io::Result<Vec<SocketAddr>>,
        now: Instant,
    ) {
        self.asked.retain(|&asked| asked != family);
        match (answer, family) {
            (Ok(addrs), Family::V6) => self.v6.extend(addrs.iter().filter(|addr| addr.is_ipv6())),
            (Ok(addrs), _) => self.v4.extend(addrs.iter().filter(|addr| addr.is_ipv4())),
            // A host that has IPv6 addresses only is rare: of two errors, IPv4's is the one that matters.
            (Err(error), Family::V6) => {
                self.lookup_error = self.lookup_error.take().or(Some(error))
            }
            (Err(error), _) => self.lookup_error = Some(error),
        }
        if self.started == 0 {
            let awaits_better = self.asked.contains(&Family::V6) && !self.v4.is_empty();
            self.start = if awaits_better {
                Start::after(now, self.delays.resolution)
            } else {
                Start::AtOnce
            };
        }
    }

    /// An attempt has failed. If none was made since, the next need not wait.
    pub(super) fn failed(&mut self, attempt: Attempt, error: io::Error) {
        self.running -= 1;
        self.failures.0.push((attempt.addr, error));
        if attempt.number == self.started {
            self.start = Start::AtOnce;
        }
    }

    /// Decides; an attempt that it returns counts as begun.
    pub(super) fn next_step(&mut self, now: Instant) -> Step {
        if self.v4.is_empty() && self.v6.is_empty() {
            let is_hopeless = self.asked.is_empty() && self.running == 0;
            return if is_hopeless { Step::GiveUp } else { Step::Wait(None) };
        }
        match self.start {
            Start::At(at) if now < at => return Step::Wait(Some(at)),
            Start::AfterNews => return Step::Wait(None),
            Start::At(_) | Start::AtOnce => {}
        }
        let Some(addr) = self.take() else { unreachable!("one of the families has an address") };
        self.turn = if addr.is_ipv6() { Family::V4 } else { Family::V6 };
        self.start = Start::after(now, self.delays.attempt);
        self.started += 1;
        self.running += 1;
        Step::Try(Attempt { number: self.started, addr })
    }

    /// The next address: of the family whose turn it is, if it has any.
    fn take(&mut self) -> Option<SocketAddr> {
        match self.turn {
            Family::V6 => self.v6.pop_front().or_else(|| self.v4.pop_front()),
            _ => self.v4.pop_front().or_else(|| self.v6.pop_front()),
        }
    }

    /// Why there is no connection to `host`, once there is nothing left.
    pub(super) fn into_error(self, host: &str) -> io::Error {
        match self.lookup_error {
            Some(error) if self.started == 0 => error,
            _ => self.failures.into_error(host),
        }
    }
}

/// Addresses that were tried in vain, in the order of their failures.
#[derive(Debug, Default)]
pub(super) struct Failures(pub(super) Vec<(SocketAddr, io::Error)>);

impl Failures {
    /// The only failure as it is; several as one error that tells of all, with the kind of the last.
    pub(super) fn into_error(mut self, host: &str) -> io::Error {
        match self.0.len() {
            0 => no_address(),
            1 => self.0.remove(0).1,
            last => {
                let kind = self.0[last - 1].1.kind();
                io::Error::new(kind, AllFailed { host: host.into(), failures: self })
            }
        }
    }
}

#[derive(Debug)]
struct AllFailed {
    host: Box<str>,
    failures: Failures,
}

impl fmt::Display for AllFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no connection to {}", self.host)?;
        for (index, (addr, error)) in self.failures.0.iter().enumerate() {
            let separator = if index == 0 { ':' } else { ';' };
            write!(f, "{separator} {addr}: {error}")?;
        }
        Ok(())
    }
}

impl Error for AllFailed {
    /// The last failure, whose kind the whole error has.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let (_, error) = self.failures.0.last()?;
        Some(error)
    }
}
