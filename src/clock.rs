//! Clock: what time it is, for the program or for its test.
//!
//! Layer 0. Imports: nothing of this crate. Never: who waits for a time.
//!
//! Inside the runtime a time is a `u64`: nanoseconds since the clock was made, enough for 584 years.
//! Rejected: `Instant` throughout (16 bytes with a niche in the middle; timers compare two words).

use std::cell::Cell;
use std::time::Duration;
use std::time::Instant;

/// Nanoseconds since the epoch of one [`Clock`].
pub(crate) type Nanos = u64;

/// A runtime's source of time.
#[derive(Debug)]
pub(crate) struct Clock {
    epoch: Instant,
    /// `Some` if time stands still until `advance_to` moves it.
    owned: Option<Cell<Nanos>>,
}

impl Clock {
    /// The monotonic clock of the system.
    pub(crate) fn system() -> Self {
        Self { epoch: now(), owned: None }
    }

    /// A clock that stands still until it is told otherwise.
    pub(crate) fn owned_by_the_test() -> Self {
        Self { epoch: now(), owned: Some(Cell::new(0)) }
    }

    pub(crate) fn is_virtual(&self) -> bool {
        self.owned.is_some()
    }

    pub(crate) fn now(&self) -> Nanos {
        match &self.owned {
            Some(now) => now.get(),
            None => nanos(self.epoch.elapsed()),
        }
    }

    /// Moves a virtual clock forward; the system's clock goes by itself.
    pub(crate) fn advance_to(&self, at: Nanos) {
        if let Some(now) = &self.owned {
            now.set(now.get().max(at));
        }
    }

    pub(crate) fn instant(&self, at: Nanos) -> Instant {
        self.epoch + Duration::from_nanos(at)
    }

    /// `at` on this clock: the epoch if it lies before that, `None` past the clock's range.
    pub(crate) fn nanos_at(&self, at: Instant) -> Option<Nanos> {
        u64::try_from(at.saturating_duration_since(self.epoch).as_nanos()).ok()
    }
}

/// The system's time, for code that runs outside of a runtime.
#[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
