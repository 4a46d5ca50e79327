//! Once lock: a value that is set once.
//!
//! Layer 7. Imports: park. Never: who waits, which `run_once` knows.

use super::run_once::RunOnce;
use super::run_once::Wants;
use crate::park;
use std::cell::UnsafeCell;
use std::fmt;
use std::mem;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;

/// What a report says of who would wait for himself.
const DOING: &str = "is initialising this `OnceLock`";

/// Holds a value that is set once, by the first to come, with [`std::sync::OnceLock`]'s names.
///
/// A task that comes while another one makes the value parks, and the others of its worker go on; outside of
/// [`run`](crate::run) the thread waits. One cell serves tasks of several runtimes and plain threads at once.
///
/// If the closure that makes the value panics, or a cancellation cuts it, there is no value, and who has
/// waited longest makes his own: nothing is poisoned.
///
/// # Examples
///
/// ```
/// use giambio::sync::OnceLock;
/// use std::time::Duration;
///
/// static CONFIG: OnceLock<String> = OnceLock::new();
///
/// fn config() -> &'static str {
///     CONFIG.get_or_init(|| {
///         giambio::sleep(Duration::from_millis(1)); // reads a file
///         "port = 1500".into()
///     })
/// }
///
/// giambio::run(|| {
///     giambio::pool(|pool| {
///         for _ in 0..10 {
///             pool.spawn(|| assert_eq!(config(), "port = 1500"));
///         }
///     });
/// });
/// ```
///
/// It is shared if its value may be, and may go to other threads:
///
/// ```compile_fail,E0277
/// fn may_be_shared<T: Sync>() {}
/// may_be_shared::<giambio::sync::OnceLock<std::cell::Cell<i32>>>();
/// ```
///
/// ```compile_fail,E0277
/// fn may_be_shared<T: Sync>() {}
/// // Shared, but not to be sent: whoever drops the cell could be on another thread.
/// may_be_shared::<giambio::sync::OnceLock<std::sync::MutexGuard<'static, i32>>>();
/// ```
///
/// ```compile_fail,E0277
/// fn may_go<T: Send>() {}
/// may_go::<giambio::sync::OnceLock<std::rc::Rc<i32>>>();
/// ```
pub struct OnceLock<T> {
    once: RunOnce,
    /// Written by who runs `once`, and read once that is complete.
    value: UnsafeCell<Option<T>>,
}

// SAFETY: one thread may set the value and another one use it, through a shared reference (`T: Sync`), or
// drop it (`T: Send`); only who runs `once` writes to it, before anybody reads it.
unsafe impl<T: Sync + Send> Sync for OnceLock<T> {}

// A closure that panics has set nothing.
impl<T: RefUnwindSafe + UnwindSafe> RefUnwindSafe for OnceLock<T> {}

impl<T> OnceLock<T> {
    /// A cell without a value.
    #[must_use]
    #[inline]
    pub const fn new() -> Self {
        Self { once: RunOnce::new(), value: UnsafeCell::new(None) }
    }

    /// The value, if there is one.
    ///
    /// # Cancellation
    ///
    /// Never parks, also while the value is being made.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        if !self.once.is_complete() {
            return None;
        }
        // SAFETY: nobody writes to the value any more, as long as the cell is shared.
        unsafe { &*self.value.get() }.as_ref()
    }

    /// The value, if there is one, to be changed.
    ///
    /// # Cancellation
    ///
    /// Never parks.
    #[inline]
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut().as_mut()
    }

    /// Parks the calling task until there is a value.
    ///
    /// Nobody need be making one yet. Outside of [`run`](crate::run) it blocks the thread.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call, also when there is a value: what is waited for may never come. A wait
    /// that was cut has changed nothing.
    ///
    /// # Panics
    ///
    /// If the closure that makes the value calls this itself. If it would have to wait inside of
    /// [`task::no_switch`](crate::task::no_switch).
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::sync::OnceLock;
    ///
    /// giambio::run(|| {
    ///     let port = OnceLock::new();
    ///     giambio::pool(|pool| {
    ///         let client = pool.spawn(|| *port.wait());
    ///         port.set(1500).unwrap();
    ///         assert_eq!(client.join().unwrap(), 1500);
    ///     });
    /// });
    /// ```
    #[track_caller]
    pub fn wait(&self) -> &T {
        if let Some(me) = park::current() {
            me.checkpoint();
        }
        if !self.once.is_complete() {
            self.once.wait(Wants::WaitAnyway, DOING);
        }
        self.made()
    }

    /// Sets the value, unless there is one; while another task makes one, parks the calling task.
    ///
    /// # Cancellation
    ///
    /// As for [`get_or_init`](Self::get_or_init).
    ///
    /// # Errors
    ///
    /// `value`, if there is one already.
    ///
    /// # Panics
    ///
    /// If the closure that makes the value calls this itself. If it would have to wait inside of
    /// [`task::no_switch`](crate::task::no_switch).
    ///
    /// # Examples
    ///
    /// ```
    /// let cell = giambio::sync::OnceLock::new();
    /// assert_eq!(cell.set(1), Ok(()));
    /// assert_eq!(cell.set(2), Err(2));
    /// assert_eq!(cell.get(), Some(&1));
    /// ```
    #[track_caller]
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut mine = Some(value);
        if self.get().is_none() {
            self.fill(DOING, || mine.take());
        }
        mine.map_or(Ok(()), Err)
    }

    /// The value, which `f` makes if there is none; while another task makes it, parks the calling task.
    ///
    /// If the closure that is waited for panics or is cut by a cancellation, who has waited longest runs his
    /// own. Outside of [`run`](crate::run) it blocks the thread.
    ///
    /// # Cancellation
    ///
    /// May park, but is no checkpoint, and a cancellation does not cut the wait for another closure: a
    /// destructor may call this. Checkpoints in `f` are what they are everywhere; if a cancellation cuts
    /// it, there is no value, and the cancellation goes on here.
    ///
    /// # Panics
    ///
    /// If `f` does. If it would wait for itself: `f` must not ask for the value that it makes. If it would
    /// have to wait inside of [`task::no_switch`](crate::task::no_switch).
    ///
    /// # Examples
    ///
    /// ```
    /// let cell = giambio::sync::OnceLock::new();
    /// assert_eq!(cell.get_or_init(|| 1), &1);
    /// assert_eq!(cell.get_or_init(|| unreachable!()), &1);
    /// ```
    #[inline]
    #[track_caller]
    pub fn get_or_init<F>(&self, f: F) -> &T
    where
        F: FnOnce() -> T,
    {
        self.get_or_init_as(DOING, f)
    }

    /// Like `get_or_init`, for a report that says what is done here.
    #[inline]
    #[track_caller]
    pub(super) fn get_or_init_as(&self, doing: &str, f: impl FnOnce() -> T) -> &T {
        match self.get() {
            Some(value) => value,
            None => {
                self.fill(doing, || Some(f()));
                self.made()
            }
        }
    }

    /// Runs `f` for the value, unless somebody else has.
    #[cold]
    #[track_caller]
    fn fill(&self, doing: &str, f: impl FnOnce() -> Option<T>) {
        self.once.run(Wants::RunAnyway, doing, |_| {
            let value = f();
            // SAFETY: until this closure has ended nobody else's runs, and nobody reads.
            unsafe { *self.value.get() = value };
        });
    }

    /// The value that was waited for.
    #[inline]
    fn made(&self) -> &T {
        match self.get() {
            Some(value) => value,
            None => unreachable!("a value was made, and is not there"),
        }
    }

    /// Gives the value back, if there is one.
    ///
    /// # Cancellation
    ///
    /// Never parks.
    #[inline]
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    /// Takes the value out, if there is one: then another one may be set.
    ///
    /// # Cancellation
    ///
    /// Never parks.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut cell = giambio::sync::OnceLock::from(1);
    /// assert_eq!(cell.take(), Some(1));
    /// assert_eq!(cell.get(), None);
    /// assert_eq!(cell.set(2), Ok(()));
    /// ```
    #[inline]
    pub fn take(&mut self) -> Option<T> {
        mem::take(self).into_inner()
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Clone> Clone for OnceLock<T> {
    /// Clones the value, if there is one: the clone has its own.
    fn clone(&self) -> Self {
        self.get().cloned().map_or_else(Self::new, Self::from)
    }
}

impl<T> From<T> for OnceLock<T> {
    fn from(value: T) -> Self {
        Self { once: RunOnce::completed(), value: UnsafeCell::new(Some(value)) }
    }
}

impl<T: PartialEq> PartialEq for OnceLock<T> {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for OnceLock<T> {}

impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_tuple("OnceLock");
        match self.get() {
            Some(value) => text.field(value),
            None => text.field(&format_args!("<uninit>")),
        };
        text.finish()
    }
}
