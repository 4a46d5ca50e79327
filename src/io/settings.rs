//! Settings: how long a source's calls wait, if they do.
//!
//! Layer 8. Imports: sys. Never: how a call waits.
//!
//! The kernel's own settings are of no use for that: a descriptor that stops no thread never blocks.

use crate::sys::Direction;
use crate::sys::Mode;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// As in std's `set_nonblocking`.
impl From<bool> for Mode {
    fn from(nonblocking: bool) -> Self {
        if nonblocking { Self::NonBlocking } else { Self::Blocking }
    }
}

/// What std keeps in a socket, shared by its clones. Nothing is published through these words.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    nonblocking: AtomicBool,
    read_timeout: Timeout,
    write_timeout: Timeout,
}

impl Settings {
    pub(crate) fn timeout(&self, direction: Direction) -> &Timeout {
        match direction {
            Direction::Read => &self.read_timeout,
            Direction::Write => &self.write_timeout,
        }
    }

    pub(crate) fn mode(&self) -> Mode {
        self.nonblocking.load(Ordering::Relaxed).into()
    }

    pub(crate) fn set_mode(&self, mode: Mode) {
        self.nonblocking.store(mode == Mode::NonBlocking, Ordering::Relaxed);
    }
}

/// Nanoseconds; 0 is none.
#[derive(Debug, Default)]
pub(crate) struct Timeout(AtomicU64);

impl Timeout {
    pub(crate) fn get(&self) -> Option<Duration> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }

    pub(crate) fn set(&self, timeout: Option<Duration>) {
        let nanos = timeout.map_or(0, |t| u64::try_from(t.as_nanos()).unwrap_or(u64::MAX));
        self.0.store(nanos, Ordering::Relaxed);
    }
}
