//! Event: what happens once, and who waits for it.
//!
//! Layer 7. Imports: wait_queue, wait_any, park, hooks, task. Never: what the value is for.
//!
//! The value lies in a `OnceLock` of std's and is there before anybody is woken; under the small lock
//! is only whether somebody still has to wait. So neither a clone nor a drop, which are the user's
//! code, ever runs inside of the lock.

use crate::hooks::WaitReason;
use crate::park;
use crate::task::Abort;
use crate::wait_any::Occurrence;
use crate::wait_queue::WaitQueue;
use std::error::Error;
use std::fmt;
use std::sync::OnceLock;

/// Something that happens once, with a value, and that any number of tasks wait for.
///
/// [`trigger`](Self::trigger) wakes everybody who waits, and from then on nobody has to. An event
/// works across runtimes and threads; outside of [`run`](crate::run) a wait blocks the thread.
///
/// # Examples
///
/// ```
/// use giambio::sync::Event;
///
/// giambio::run(|| {
///     let address = Event::new();
///     giambio::pool(|pool| {
///         let client = pool.spawn(|| format!("connects to {}", address.wait()));
///         address.trigger("127.0.0.1:1500").unwrap();
///         assert_eq!(client.join().unwrap(), "connects to 127.0.0.1:1500");
///     });
/// });
/// ```
///
/// One that carries nothing may lie in a static:
///
/// ```
/// use giambio::sync::Event;
///
/// static STARTED: Event = Event::new();
///
/// std::thread::spawn(|| STARTED.trigger(()));
/// giambio::run(|| STARTED.wait());
/// ```
///
/// Like a [`std::sync::OnceLock`] it goes to other threads if its value does, and is shared with them
/// if its value is as well:
///
/// ```
/// use giambio::sync::Event;
/// use std::cell::Cell;
///
/// fn may_go<T: Send>() {}
/// fn may_be_shared<T: Sync>() {}
///
/// may_be_shared::<Event<String>>();
/// may_go::<Event<Cell<i32>>>();
/// ```
///
/// ```compile_fail,E0277
/// fn may_be_shared<T: Sync>() {}
/// may_be_shared::<giambio::sync::Event<std::cell::Cell<i32>>>();
/// ```
///
/// ```compile_fail,E0277
/// fn may_be_shared<T: Sync>() {}
/// // Shared, but not to be sent: whoever drops the event could be on another thread.
/// may_be_shared::<giambio::sync::Event<std::sync::MutexGuard<'static, i32>>>();
/// ```
///
/// ```compile_fail,E0277
/// fn may_go<T: Send>() {}
/// may_go::<giambio::sync::Event<std::rc::Rc<i32>>>();
/// ```
pub struct Event<T = ()> {
    value: OnceLock<T>,
    /// Whether nobody has to wait any more. Set after `value`.
    over: WaitQueue<bool>,
}

impl<T> Event<T> {
    /// An event that has not happened.
    #[must_use]
    pub const fn new() -> Self {
        Self { value: OnceLock::new(), over: WaitQueue::new(false) }
    }

    /// Makes the event happen: sets its value, and wakes all who wait for it, in the order in which
    /// they came.
    ///
    /// # Cancellation
    ///
    /// Never parks, and is no checkpoint: destructors and plain threads may call it.
    ///
    /// # Errors
    ///
    /// [`AlreadySet`] with `value` in it, if the event has happened before. Nothing has changed then.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::sync::AlreadySet;
    /// use giambio::sync::Event;
    ///
    /// let event = Event::new();
    /// assert_eq!(event.trigger(1), Ok(()));
    /// assert_eq!(event.trigger(2), Err(AlreadySet(2)));
    /// assert_eq!(event.wait(), 1);
    /// ```
    pub fn trigger(&self, value: T) -> Result<(), AlreadySet<T>> {
        self.value.set(value).map_err(AlreadySet)?;
        self.over.wake_all(|over| *over = true);
        Ok(())
    }

    /// Whether the event has happened.
    ///
    /// # Cancellation
    ///
    /// Never parks.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.value.get().is_some()
    }

    /// The value of an event that has happened.
    ///
    /// # Cancellation
    ///
    /// Never parks.
    ///
    /// # Examples
    ///
    /// ```
    /// let event = giambio::sync::Event::new();
    /// assert_eq!(event.get(), None);
    /// event.trigger("done").unwrap();
    /// assert_eq!(event.get(), Some(&"done"));
    /// ```
    #[must_use]
    pub fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// For a select that waits until the event has happened.
    pub(crate) fn occurrence(&self) -> &dyn Occurrence {
        &self.over
    }

    /// Lends the value, parking the calling task until the event has happened.
    ///
    /// Otherwise like [`wait`](Self::wait).
    ///
    /// # Cancellation
    ///
    /// As for [`wait`](Self::wait).
    ///
    /// # Panics
    ///
    /// As for [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::sync::Event;
    ///
    /// struct Config { // not to be cloned
    ///     port: u16,
    /// }
    ///
    /// let loaded = Event::<Config>::new();
    /// giambio::run(|| {
    ///     giambio::pool(|pool| {
    ///         pool.spawn(|| assert_eq!(loaded.wait_ref().port, 1500));
    ///         pool.spawn(|| loaded.trigger(Config { port: 1500 }).is_ok());
    ///     });
    /// });
    /// ```
    #[track_caller]
    pub fn wait_ref(&self) -> &T {
        if let Some(me) = park::current() {
            me.checkpoint();
        }
        if let Some(value) = self.value.get() {
            return value;
        }
        self.over.wait_unless(None, WaitReason::Event, Abort::Now, is_over);
        match self.value.get() {
            Some(value) => value,
            None => unreachable!("an event was over before it had its value"),
        }
    }

    /// Clones the value, parking the calling task until the event has happened.
    ///
    /// Returns at once if it has. Outside of [`run`](crate::run) it blocks the thread.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call, also when the event has happened. A wait that was cut has changed
    /// nothing. If the event has happened before the cancellation, the call completes and the next
    /// checkpoint raises.
    ///
    /// # Panics
    ///
    /// If it would have to wait inside of [`task::no_switch`](crate::task::no_switch), and if
    /// `T::clone` does.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::TooSlow;
    /// use giambio::sync::Event;
    /// use std::time::Duration;
    ///
    /// giambio::testing::run_virtual(|| {
    ///     let event = Event::new();
    ///     let wait = || giambio::with_timeout(Duration::from_secs(1), |_| event.wait());
    ///     assert_eq!(wait(), Err(TooSlow));
    ///     event.trigger(7).unwrap();
    ///     assert_eq!(wait(), Ok(7));
    /// });
    /// ```
    #[track_caller]
    pub fn wait(&self) -> T
    where
        T: Clone,
    {
        self.wait_ref().clone()
    }
}

/// Whether nobody has to wait any more; asked under the lock.
fn is_over(over: &mut bool) -> bool {
    *over
}

impl<T> Default for Event<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Event<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("is_set", &self.is_set()).finish_non_exhaustive()
    }
}

/// The value came back because its event has happened before.
///
/// # Examples
///
/// ```
/// use giambio::sync::Event;
///
/// let event = Event::new();
/// event.trigger(String::from("first")).unwrap();
/// let error = event.trigger(String::from("second")).unwrap_err();
/// assert_eq!(error.to_string(), "the event was already set");
/// assert_eq!(error.0, "second");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AlreadySet<T>(pub T);

impl<T> fmt::Debug for AlreadySet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlreadySet").finish_non_exhaustive()
    }
}

impl<T> fmt::Display for AlreadySet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the event was already set")
    }
}

impl<T> Error for AlreadySet<T> {}

#[cfg(all(test, loom))]
#[path = "event_tests.rs"]
mod loom_tests;
