//! LazyLock: a value that is made when it is first asked for.
//!
//! Layer 7. Imports: park, scope. Never: who waits, which `once` knows.
//!
//! Chosen: the closure runs shielded. It is there once, so what a cancellation cut could never be made.

use super::once_lock::OnceLock;
use crate::park;
use crate::scope;
use std::cell::Cell;
use std::fmt;
use std::ops::Deref;
use std::ops::DerefMut;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;

/// A value that is made when it is first asked for, with [`std::sync::LazyLock`]'s names.
///
/// Tasks that come while it is being made park, and the others of their worker go on; outside of
/// [`run`](crate::run) the thread waits. One value serves tasks of several runtimes and plain threads at
/// once.
///
/// # Cancellation
///
/// The closure that makes the value runs as under [`shield`](crate::shield): it could not be called a second
/// time. Waiting for it parks, but is no checkpoint, and a cancellation does not cut it.
///
/// # Panics
///
/// Whoever asks for the value, if the closure panics or has panicked before. Who is in the middle of the
/// closure: it would wait for itself. Who would have to wait inside of
/// [`task::no_switch`](crate::task::no_switch).
///
/// # Examples
///
/// ```
/// use giambio::sync::LazyLock;
///
/// static SQUARES: LazyLock<Vec<u32>> = LazyLock::new(|| (0..100).map(|n| n * n).collect());
///
/// giambio::run(|| {
///     giambio::pool(|pool| {
///         pool.spawn(|| assert_eq!(SQUARES[7], 49));
///         pool.spawn(|| assert_eq!(SQUARES[9], 81));
///     });
/// });
/// ```
///
/// It is shared if its value may be both sent and shared, and its closure sent:
///
/// ```compile_fail,E0277
/// fn may_be_shared<T: Sync>() {}
/// may_be_shared::<giambio::sync::LazyLock<std::cell::Cell<i32>>>();
/// ```
///
/// ```compile_fail,E0277
/// fn is_shared<T: Sync>(_: T) {}
/// let local = std::rc::Rc::new(1);
/// is_shared(giambio::sync::LazyLock::new(move || *local));
/// ```
pub struct LazyLock<T, F = fn() -> T> {
    cell: OnceLock<T>,
    /// Taken by who makes the value.
    make: Cell<Option<F>>,
}

// SAFETY: the closure is only taken by the one who initialises the cell, which one at a time does; it may
// be on another thread than who drops it.
unsafe impl<T: Send + Sync, F: Send> Sync for LazyLock<T, F> {}

// A panic of the closure leaves neither it nor a value behind.
impl<T: UnwindSafe, F: UnwindSafe> UnwindSafe for LazyLock<T, F> {}
impl<T: RefUnwindSafe + UnwindSafe, F: UnwindSafe> RefUnwindSafe for LazyLock<T, F> {}

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    /// A value that `f` will make.
    #[must_use]
    #[inline]
    pub const fn new(f: F) -> Self {
        Self { cell: OnceLock::new(), make: Cell::new(Some(f)) }
    }

    /// Makes the value, if it was not made yet, and lends it.
    ///
    /// What `*` does as well.
    ///
    /// # Cancellation
    ///
    /// As for [`LazyLock`].
    ///
    /// # Panics
    ///
    /// As for [`LazyLock`].
    #[inline]
    #[track_caller]
    pub fn force(this: &Self) -> &T {
        this.cell.get_or_init(|| this.made())
    }

    /// Makes the value, if it was not made yet, and lends it to be changed.
    ///
    /// # Cancellation
    ///
    /// As for [`LazyLock`].
    ///
    /// # Panics
    ///
    /// As for [`LazyLock`].
    #[inline]
    #[track_caller]
    pub fn force_mut(this: &mut Self) -> &mut T {
        Self::force(this);
        match this.cell.get_mut() {
            Some(value) => value,
            None => unreachable!("a value was made and is not there"),
        }
    }

    #[cold]
    #[track_caller]
    fn made(&self) -> T {
        match (self.make.take(), park::running()) {
            (Some(make), Some(_)) => scope::shield(make),
            (Some(make), None) => make(),
            (None, _) => panic!("LazyLock instance has previously been poisoned"),
        }
    }
}

impl<T, F> LazyLock<T, F> {
    /// The value, if it was made.
    ///
    /// # Cancellation
    ///
    /// Never parks.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::sync::LazyLock;
    ///
    /// let lazy = LazyLock::new(|| 7);
    /// assert_eq!(LazyLock::get(&lazy), None);
    /// assert_eq!(*lazy, 7);
    /// assert_eq!(LazyLock::get(&lazy), Some(&7));
    /// ```
    #[inline]
    pub fn get(this: &Self) -> Option<&T> {
        this.cell.get()
    }

    /// Lends the value to be changed, if it was made.
    ///
    /// # Cancellation
    ///
    /// Never parks.
    #[inline]
    pub fn get_mut(this: &mut Self) -> Option<&mut T> {
        this.cell.get_mut()
    }
}

impl<T, F: FnOnce() -> T> Deref for LazyLock<T, F> {
    type Target = T;

    #[inline]
    #[track_caller]
    fn deref(&self) -> &T {
        Self::force(self)
    }
}

impl<T, F: FnOnce() -> T> DerefMut for LazyLock<T, F> {
    #[inline]
    #[track_caller]
    fn deref_mut(&mut self) -> &mut T {
        Self::force_mut(self)
    }
}

impl<T: Default> Default for LazyLock<T> {
    fn default() -> Self {
        Self::new(T::default)
    }
}

impl<T: fmt::Debug, F> fmt::Debug for LazyLock<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_tuple("LazyLock");
        match self.cell.get() {
            Some(value) => text.field(value),
            None => text.field(&format_args!("<uninit>")),
        };
        text.finish()
    }
}
