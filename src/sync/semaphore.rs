//! Semaphore: how many at once.
//!
//! Layer 7. Imports: wait_queue, park, hooks, task. Never: what the permits are for.
//!
//! Chosen: a permit that is released while somebody waits is handed over and never becomes available
//! in between, so nobody who comes later can take it. Rejected: to look at the line as well when a
//! permit is asked for. Those whose wait was cut still stand in it until they run.
//!
//! Chosen: `total` and `in_use` instead of the number that is available, since that would fall below
//! zero when a semaphore shrinks; what is in use beyond the total is the debt.

use crate::hooks::WaitReason;
use crate::park;
use crate::task::Abort;
use crate::wait_queue::WaitQueue;
use std::fmt;
use std::mem;

/// Hands out a number of permits, to those who ask for them in the order in which they ask.
///
/// For whatever only so many tasks may do at once: connections to one host, open files, work in
/// memory. A released permit goes to who has waited longest, and nobody who comes later is faster. A
/// semaphore works across runtimes and threads; outside of [`run`](crate::run) a wait blocks the
/// thread.
///
/// There is no way to close one, as tokio's has: cancel those who wait.
///
/// # Examples
///
/// ```
/// use giambio::sync::Semaphore;
/// use std::cell::Cell;
/// use std::time::Duration;
///
/// giambio::testing::run_virtual(|| {
///     let (downloads, most) = (Semaphore::new(3), Cell::new(0));
///     giambio::pool(|pool| {
///         for _ in 0..10 {
///             pool.spawn(|| {
///                 let _permit = downloads.acquire();
///                 most.set(most.get().max(3 - downloads.available()));
///                 giambio::sleep(Duration::from_secs(1));
///             });
///         }
///     });
///     assert_eq!(most.get(), 3);
/// });
/// ```
///
/// It may lie in a static, and be shared:
///
/// ```
/// use giambio::sync::Semaphore;
///
/// static FILES: Semaphore = Semaphore::new(100);
///
/// fn may_be_shared<T: Send + Sync>() {}
/// may_be_shared::<Semaphore>();
/// may_be_shared::<giambio::sync::Permit<'static>>();
/// ```
///
/// A permit does not outlive its semaphore:
///
/// ```compile_fail,E0505
/// let semaphore = giambio::sync::Semaphore::new(1);
/// let permit = semaphore.acquire();
/// drop(semaphore);
/// drop(permit);
/// ```
pub struct Semaphore {
    permits: WaitQueue<Permits>,
}

/// Who waits, waits for `in_use` to fall below `total`; outside of the lock nobody does while it is,
/// unless `growths` is not 0.
struct Permits {
    /// How many there are to be.
    total: usize,
    /// How many are held; more than `total` if the semaphore has shrunk below that.
    in_use: usize,
    /// Calls that are about to serve those who wait, one after the other: who comes now queues up
    /// behind them.
    growths: usize,
}

impl Permits {
    /// Takes one that nobody waits for.
    fn take(&mut self) -> bool {
        let takes = self.available() > 0;
        self.in_use += usize::from(takes);
        takes
    }

    fn available(&self) -> usize {
        if self.growths > 0 { 0 } else { self.total.saturating_sub(self.in_use) }
    }
}

impl Semaphore {
    /// A semaphore with so many permits, all of them available.
    #[must_use]
    pub const fn new(permits: usize) -> Self {
        Self { permits: WaitQueue::new(Permits { total: permits, in_use: 0, growths: 0 }) }
    }

    /// Takes a permit, parking the calling task until there is one for it.
    ///
    /// Whoever has waited longest is served first. The permit is released when the guard is dropped.
    /// Outside of [`run`](crate::run) it blocks the thread. Two tasks that each hold the permit that
    /// the other waits for wait for ever, as with locks.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call, also when there is a permit. An `acquire` that was cut has taken
    /// none: it goes to the next who waits. If the permit was handed over before the cancellation, the
    /// call completes and the next checkpoint raises.
    ///
    /// # Panics
    ///
    /// If it would have to wait inside of [`task::no_switch`](crate::task::no_switch).
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::sync::Semaphore;
    ///
    /// giambio::run(|| {
    ///     let semaphore = Semaphore::new(1);
    ///     giambio::pool(|pool| {
    ///         let permit = semaphore.acquire();
    ///         let waiter = pool.spawn(|| drop(semaphore.acquire()));
    ///         giambio::yield_now();
    ///         assert!(!waiter.is_finished());
    ///         drop(permit);
    ///         waiter.join().unwrap();
    ///     });
    /// });
    /// ```
    #[track_caller]
    pub fn acquire(&self) -> Permit<'_> {
        if let Some(me) = park::current() {
            me.checkpoint();
        }
        self.permits.wait_unless(None, WaitReason::Semaphore, Abort::Now, Permits::take);
        Permit { semaphore: self }
    }

    /// Takes a permit if one is available; one that somebody waits for is not.
    ///
    /// # Cancellation
    ///
    /// Never parks, and is no checkpoint.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = giambio::sync::Semaphore::new(1);
    /// let permit = semaphore.try_acquire();
    /// assert!(permit.is_some());
    /// assert!(semaphore.try_acquire().is_none());
    /// drop(permit);
    /// assert!(semaphore.try_acquire().is_some());
    /// ```
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        let taken = self.permits.with(|permits, _| permits.take());
        // Made only if it was taken: its drop releases it.
        taken.then(|| Permit { semaphore: self })
    }

    /// How many permits could be taken at once right now.
    ///
    /// # Cancellation
    ///
    /// Never parks.
    #[must_use]
    pub fn available(&self) -> usize {
        self.permits.with(|permits, _| permits.available())
    }

    /// How many permits there are, available or in use.
    ///
    /// If the semaphore has shrunk below what is in use, those that still have to go do not count.
    ///
    /// # Cancellation
    ///
    /// Never parks.
    #[must_use]
    pub fn total(&self) -> usize {
        self.permits.with(|permits, _| permits.total)
    }

    /// Changes how many permits there are, available and in use together.
    ///
    /// What is added goes to those who wait, in their order. Permits that are in use are not taken
    /// away: if there are more of them than `total`, as many as are too many disappear when they are
    /// released, before any is available again.
    ///
    /// # Cancellation
    ///
    /// Never parks, and is no checkpoint.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::sync::Semaphore;
    ///
    /// let semaphore = Semaphore::new(2);
    /// let permits = (semaphore.acquire(), semaphore.acquire());
    /// semaphore.resize(1);
    /// drop(permits.0); // this one disappears
    /// assert!(semaphore.try_acquire().is_none());
    /// drop(permits.1);
    /// assert_eq!(semaphore.available(), 1);
    /// semaphore.resize(10);
    /// assert_eq!(semaphore.available(), 10);
    /// ```
    pub fn resize(&self, total: usize) {
        self.grow(|permits| permits.total = total);
    }

    /// Makes `count` further permits, for those who wait in their order, or else available.
    ///
    /// Needs no permit that was taken before: one task may take permits and
    /// [`forget`](Permit::forget) them, and another one add them.
    ///
    /// # Cancellation
    ///
    /// Never parks, and is no checkpoint.
    ///
    /// # Panics
    ///
    /// If there would be more than `usize::MAX` permits. None was added then.
    ///
    /// # Examples
    ///
    /// Ten calls a second, and not one more:
    ///
    /// ```
    /// use giambio::sync::Semaphore;
    /// use std::time::Duration;
    ///
    /// giambio::testing::run_virtual(|| {
    ///     let calls = Semaphore::new(0);
    ///     let start = giambio::clock();
    ///     giambio::cancellable(|pool| {
    ///         pool.spawn(|| {
    ///             loop {
    ///                 calls.add_permits(1);
    ///                 giambio::sleep(Duration::from_millis(100));
    ///             }
    ///         });
    ///         for _ in 0..31 {
    ///             calls.acquire().forget();
    ///         }
    ///         pool.cancel();
    ///     });
    ///     assert_eq!(giambio::clock() - start, Duration::from_secs(3));
    /// });
    /// ```
    #[track_caller]
    pub fn add_permits(&self, count: usize) {
        let mut fits = true;
        self.grow(|permits| match permits.total.checked_add(count) {
            Some(total) => permits.total = total,
            None => fits = false,
        });
        assert!(fits, "a semaphore has at most usize::MAX permits");
    }

    /// Changes how many there are, and then serves those who wait as far as that goes.
    fn grow(&self, change: impl FnOnce(&mut Permits)) {
        let mut change = Some(change);
        let mut woke = true;
        while woke {
            woke = self.permits.wake_one(|permits, line| {
                if let Some(change) = change.take() {
                    change(permits);
                    permits.growths += 1;
                }
                let is_one_left = permits.in_use < permits.total;
                let claimed = if is_one_left { line.claim_first() } else { None };
                match claimed {
                    Some(_) => permits.in_use += 1,
                    None => permits.growths -= 1,
                }
                claimed
            });
        }
    }

    fn release(&self) {
        self.permits.wake_one(|permits, line| {
            let is_wanted = permits.in_use <= permits.total;
            let claimed = if is_wanted { line.claim_first() } else { None };
            if claimed.is_none() {
                permits.in_use -= 1;
            }
            claimed
        });
    }

    /// Takes one that is in use out of the world.
    fn remove_one(&self) {
        self.permits.with(|permits, _| {
            if permits.in_use <= permits.total {
                permits.total -= 1;
            }
            permits.in_use -= 1;
        });
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (available, total) =
            self.permits.with(|permits, _| (permits.available(), permits.total));
        f.debug_struct("Semaphore")
            .field("available", &available)
            .field("total", &total)
            .finish_non_exhaustive()
    }
}

/// One permit of a [`Semaphore`], released when it is dropped.
///
/// The drop never parks: it works while a task unwinds, on any other thread, and inside of
/// [`task::no_switch`](crate::task::no_switch). A permit that was lost to [`std::mem::forget`] counts
/// as in use for ever.
#[must_use = "a permit that is dropped at once has allowed nothing"]
pub struct Permit<'s> {
    semaphore: &'s Semaphore,
}

impl Permit<'_> {
    /// Removes the permit for good: the semaphore has one less from now on.
    ///
    /// If the semaphore has more permits in use than it was resized to, this is one of those that have
    /// to go, and it only goes earlier.
    ///
    /// # Cancellation
    ///
    /// Never parks.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = giambio::sync::Semaphore::new(2);
    /// semaphore.acquire().forget();
    /// assert_eq!((semaphore.available(), semaphore.total()), (1, 1));
    /// ```
    #[expect(clippy::mem_forget, reason = "the permit is gone; there is nothing left to release")]
    pub fn forget(self) {
        self.semaphore.remove_one();
        mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.semaphore.release();
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

#[cfg(all(test, loom))]
#[path = "semaphore_tests.rs"]
mod loom_tests;
