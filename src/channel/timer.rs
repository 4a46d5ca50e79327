//! Timer: channels whose messages are points in time.
//!
//! Layer 7. Imports: time. Never: who waits for them.
//!
//! Nobody sends these messages, and no timer runs before somebody waits: who receives computes when the next
//! one is due, by the clock where it runs.

use super::Receiver;
use crate::time::clock;
use crossbeam_utils::atomic::AtomicCell;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

/// What gives messages as time goes by.
pub(super) trait Timer<T>: Send + Sync {
    /// Takes the message that is due at `now`, if there is one.
    fn take(&self, now: Instant) -> Option<T>;

    /// When the next message is due; `None` if there is none any more.
    fn due(&self) -> Option<Instant>;
}

/// One point in time.
struct At {
    when: Instant,
    was_taken: AtomicBool,
}

impl Timer<Instant> for At {
    fn take(&self, now: Instant) -> Option<Instant> {
        // Relaxed: nothing but the right to the message is passed on.
        (now >= self.when && !self.was_taken.swap(true, Ordering::Relaxed)).then_some(self.when)
    }

    fn due(&self) -> Option<Instant> {
        (!self.was_taken.load(Ordering::Relaxed)).then_some(self.when)
    }
}

/// Points in time, so far apart.
struct Tick {
    next: AtomicCell<Instant>,
    period: Duration,
}

impl Tick {
    /// The first time after `now` that is a number of periods after `due`: whoever comes late shifts
    /// nothing, and finds no heap of messages.
    fn next_after(&self, due: Instant, now: Instant) -> Instant {
        let behind = now.saturating_duration_since(due).as_nanos();
        let periods = behind.checked_div(self.period.as_nanos()).unwrap_or(0) + 1;
        let periods = u32::try_from(periods).unwrap_or(u32::MAX);
        let next = self.period.checked_mul(periods).and_then(|later| due.checked_add(later));
        next.unwrap_or(now)
    }
}

impl Timer<Instant> for Tick {
    fn take(&self, now: Instant) -> Option<Instant> {
        loop {
            let due = self.next.load();
            if now < due {
                return None;
            }
            let next = self.next_after(due, now);
            if self.next.compare_exchange(due, next).is_ok() {
                return Some(due);
            }
        }
    }

    fn due(&self) -> Option<Instant> {
        Some(self.next.load())
    }
}

/// Makes a channel that gives one message, `duration` from now: the point in time.
///
/// By [`clock`](crate::clock()), which is virtual in tests. No memory or timer is in use before somebody
/// waits. After that message it stays empty for ever. Never parks.
///
/// # Examples
///
/// ```
/// use giambio::channel::{after, bounded, select};
/// use std::time::Duration;
///
/// giambio::testing::run_virtual(|| {
///     let (_sender, receiver) = bounded::<u8>(0);
///     select! {
///         recv(receiver) -> _ => unreachable!("nobody sends"),
///         recv(after(Duration::from_secs(60))) -> when => assert_eq!(when, Ok(giambio::clock())),
///     }
/// });
/// ```
#[must_use]
pub fn after(duration: Duration) -> Receiver<Instant> {
    clock().checked_add(duration).map_or_else(never, at)
}

/// Makes a channel that gives one message, at the time `when`, by [`clock`](crate::clock()).
///
/// Like [`after`] otherwise.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// giambio::testing::run_virtual(|| {
///     let when = giambio::clock() + Duration::from_secs(1);
///     assert_eq!(giambio::channel::at(when).recv(), Ok(when));
/// });
/// ```
#[must_use]
pub fn at(when: Instant) -> Receiver<Instant> {
    Receiver::of_timer(Arc::new(At { when, was_taken: AtomicBool::new(false) }))
}

/// Makes a channel that gives a message every `period`, the first one a period from now: the point in
/// time when it was due.
///
/// It holds one message. Who receives it late has missed those that came meanwhile, and gets the next one
/// when that is due: they neither pile up nor shift, as with Go's tickers. By [`clock`](crate::clock()).
/// Never parks.
///
/// # Examples
///
/// ```
/// use giambio::channel::tick;
/// use std::time::Duration;
///
/// giambio::testing::run_virtual(|| {
///     let start = giambio::clock();
///     let ticks = tick(Duration::from_secs(10));
///     let times: Vec<_> = ticks.iter().take(3).map(|at| (at - start).as_secs()).collect();
///     assert_eq!(times, [10, 20, 30]);
/// });
/// ```
#[must_use]
pub fn tick(period: Duration) -> Receiver<Instant> {
    match clock().checked_add(period) {
        Some(first) => Receiver::of_timer(Arc::new(Tick { next: AtomicCell::new(first), period })),
        None => never(),
    }
}

/// Makes a channel that never gives a message.
///
/// For a [`select!`](super::select!) in which a source is optional. Never parks.
///
/// # Examples
///
/// ```
/// use giambio::channel::{after, never};
/// use std::time::Duration;
///
/// giambio::testing::run_virtual(|| {
///     let limit: Option<Duration> = None;
///     let timeout = limit.map_or_else(never, after);
///     assert!(timeout.recv_timeout(Duration::from_secs(3600)).is_err());
/// });
/// ```
#[must_use]
pub const fn never<T>() -> Receiver<T> {
    Receiver::of_nothing()
}
