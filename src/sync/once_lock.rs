//! OnceLock: a value that is set once.
//!
//! Layer 7. Imports: its own directory. Never: who waits, which `once` knows.

use super::once::Force;
use super::once::Once;
use std::cell::UnsafeCell;
use std::fmt;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;

/// A cell that is written once, with [`std::sync::OnceLock`]'s names.
///
/// Tasks that come while its value is being made park, and the others of their worker go on; outside of
/// [`run`](crate::run) the thread waits. One cell serves tasks of several runtimes and plain threads at
/// once. If an initialisation panics, or is cut by a cancellation, the cell stays empty and the next one who
/// asks tries.
///
/// # Examples
///
/// ```
/// use giambio::sync::OnceLock;
///
/// static CONFIG: OnceLock<String> = OnceLock::new();
///
/// giambio::run(|| {
///     giambio::pool(|pool| {
///         for _ in 0..10 {
///             pool.spawn(|| {
///                 let config = CONFIG.get_or_init(|| {
///                     giambio::yield_now(); // the others wait
///                     "port = 1500".into()
///                 });
///                 assert_eq!(config, "port = 1500");
///             });
///         }
///     });
/// });
/// ```
///
/// It is shared if its value may be both sent and shared:
///
/// ```compile_fail,E0277
/// fn may_be_shared<T: Sync>() {}
/// may_be_shared::<giambio::sync::OnceLock<std::cell::Cell<i32>>>();
/// ```
///
/// ```compile_fail,E0277
/// fn may_be_shared<T: Sync>() {}
/// // Shared, but not to be sent: whoever drops the cell could be on another thread.
/// may_be_shared::<giambio::sync::OnceLock<giambio::sync::MutexGuard<'static, i32>>>();
/// ```
pub struct OnceLock<T> {
    once: Once,
    /// Written by the run of `once`, and only lent when that is complete.
    value: UnsafeCell<Option<T>>,
}

// SAFETY: the value is written once, by one, and shared afterwards; who writes it may be on another
// thread than who drops it.
unsafe impl<T: Send + Sync> Sync for OnceLock<T> {}

// A panic while it is written leaves it empty.
impl<T: RefUnwindSafe + UnwindSafe> RefUnwindSafe for OnceLock<T> {}

impl<T> OnceLock<T> {
    /// An empty cell.
    #[must_use]
    #[inline]
    pub const fn new() -> Self {
        Self { once: Once::new(), value: UnsafeCell::new(None) }
    }

    /// The value, if there is one.
    ///
    /// # Cancellation
    ///
    /// Never parks.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        if !self.once.is_completed() {
            return None;
        }
        // SAFETY: nobody writes the value any more while the cell is shared.
        unsafe { &*self.value.get() }.as_ref()
    }

    /// Lends the value to be changed, if there is one.
    ///
    /// # Cancellation
    ///
    /// Never parks.
    #[inline]
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut().as_mut()
    }

    /// Lends the value, parking the calling task until there is one.
    ///
    /// Outside of [`run`](crate::run) it blocks the thread.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call, unlike [`get_or_init`](Self::get_or_init): nobody may be about to set
    /// the value at all.
    ///
    /// # Panics
    ///
    /// If the calling task or thread is in the middle of the initialisation: it would wait for itself. If it
    /// would have to wait inside of [`task::no_switch`](crate::task::no_switch).
    ///
    /// # Examples
    ///
    /// ```
    /// let cell = giambio::sync::OnceLock::new();
    /// giambio::run(|| {
    ///     giambio::pool(|pool| {
    ///         let waiter = pool.spawn(|| *cell.wait());
    ///         pool.spawn(|| cell.set(7).unwrap());
    ///         assert_eq!(waiter.join().unwrap(), 7);
    ///     });
    /// });
    /// ```
    #[track_caller]
    pub fn wait(&self) -> &T {
        self.once.wait_force();
        self.written()
    }

    /// Sets the value, unless there is one.
    ///
    /// # Cancellation
    ///
    /// Parks while another one makes the value, but is no checkpoint, and a cancellation does not cut it.
    ///
    /// # Errors
    ///
    /// `value`, if there is one already.
    ///
    /// # Panics
    ///
    /// As for [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// let cell = giambio::sync::OnceLock::new();
    /// assert_eq!(cell.set(1), Ok(()));
    /// assert_eq!(cell.set(2), Err(2));
    /// assert_eq!(cell.get(), Some(&1));
    /// ```
    #[inline]
    #[track_caller]
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        if self.get().is_none() {
            self.write(&mut || value.take());
        }
        value.map_or(Ok(()), Err)
    }

    /// The value, which `f` makes if there is none yet.
    ///
    /// # Cancellation
    ///
    /// Parks while another one makes the value, but is no checkpoint, and a cancellation does not cut the wait.
    /// One that cuts `f` leaves the cell empty.
    ///
    /// # Panics
    ///
    /// With `f`'s panic: the cell is empty then. Otherwise as for [`wait`](Self::wait).
    #[inline]
    #[track_caller]
    pub fn get_or_init<F: FnOnce() -> T>(&self, f: F) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        let mut f = Some(f);
        self.write(&mut || f.take().map(|f| f()));
        self.written()
    }

    /// Has `make` called, unless another one has written the value, or does so now.
    #[cold]
    #[track_caller]
    fn write(&self, make: &mut dyn FnMut() -> Option<T>) {
        self.once.call(Force::Yes, &mut |_| {
            let made = make();
            // SAFETY: one at a time runs this, and nobody is lent the value before it is complete.
            unsafe { *self.value.get() = made };
        });
    }

    fn written(&self) -> &T {
        match self.get() {
            Some(value) => value,
            None => unreachable!("a cell was complete before it had its value"),
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

    /// Takes the value out, if there is one, and leaves the cell empty.
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
    /// assert_eq!(cell.take(), None);
    /// assert_eq!(*cell.get_or_init(|| 2), 2);
    /// ```
    #[inline]
    pub fn take(&mut self) -> Option<T> {
        self.once = Once::new();
        self.value.get_mut().take()
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

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

impl<T: Clone> Clone for OnceLock<T> {
    fn clone(&self) -> Self {
        self.get().map_or_else(Self::new, |value| Self::from(value.clone()))
    }
}

impl<T> From<T> for OnceLock<T> {
    fn from(value: T) -> Self {
        let cell = Self::new();
        // Nobody else can have been faster.
        drop(cell.set(value));
        cell
    }
}

impl<T: PartialEq> PartialEq for OnceLock<T> {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for OnceLock<T> {}
