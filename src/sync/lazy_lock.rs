//! Lazy lock: a value that is made when it is first used.
//!
//! Layer 7. Imports: park, scope. Never: who waits, which `once_lock` knows.

use super::once_lock::OnceLock;
use crate::park;
use crate::scope::shield;
use std::cell::Cell;
use std::fmt;
use std::ops::Deref;
use std::ops::DerefMut;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;

/// What a report says of who would wait for himself.
const DOING: &str = "is initialising this `LazyLock`";

/// Holds a value that is made when it is first used, with [`std::sync::LazyLock`]'s names.
///
/// A task that comes while another one makes the value parks, and the others of its worker go on; outside of
/// [`run`](crate::run) the thread waits. One cell serves tasks of several runtimes and plain threads at once.
///
/// Poisoned as std's is: if the closure panics, every later use panics as well.
///
/// # Cancellation
///
/// A use may park, but is no checkpoint, and a cancellation cuts neither the wait for the value nor the
/// closure that makes it: there is no second one, so it runs as in [`shield`](crate::shield()). A
/// closure that waits for long keeps a cancelled task that long.
///
/// # Examples
///
/// ```
/// use giambio::sync::LazyLock;
/// use giambio::sync::Mutex;
///
/// static NAMES: LazyLock<Mutex<Vec<String>>> = LazyLock::new(|| {
///     giambio::yield_now(); // may wait, for a file or a server
///     Mutex::new(vec!["root".into()])
/// });
///
/// giambio::run(|| {
///     giambio::pool(|pool| {
///         pool.spawn(|| NAMES.lock().unwrap().push("one".into()));
///         pool.spawn(|| NAMES.lock().unwrap().push("two".into()));
///     });
///     assert_eq!(*NAMES.lock().unwrap(), ["root", "one", "two"]);
/// });
/// ```
///
/// It is shared if its value may be, and value and closure may go to other threads:
///
/// ```compile_fail,E0277
/// fn may_be_shared<T: Sync>() {}
/// may_be_shared::<giambio::sync::LazyLock<std::cell::Cell<i32>>>();
/// ```
///
/// ```compile_fail,E0277
/// fn may_be_shared<T: Sync>(_: &T) {}
/// let number = std::rc::Rc::new(1);
/// may_be_shared(&giambio::sync::LazyLock::new(move || *number));
/// ```
pub struct LazyLock<T, F = fn() -> T> {
    cell: OnceLock<T>,
    /// Used up by who makes the value, and by nobody else while the cell is shared.
    make: Cell<Option<F>>,
}

// SAFETY: only the closure that `cell` runs, one at a time, touches `make`, and takes out what another thread
// may have put in (`F: Send`); the value is shared as `OnceLock` shares it.
unsafe impl<T: Sync + Send, F: Send> Sync for LazyLock<T, F> {}

// After a panic there is neither a value nor a closure.
impl<T: RefUnwindSafe + UnwindSafe, F: UnwindSafe> RefUnwindSafe for LazyLock<T, F> {}

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    /// A cell whose value `f` makes when it is first used.
    #[must_use]
    #[inline]
    pub const fn new(f: F) -> Self {
        Self { cell: OnceLock::new(), make: Cell::new(Some(f)) }
    }

    /// The value, which is made now if it was not; while another task makes it, parks the calling task.
    ///
    /// As `*this` does. Outside of [`run`](crate::run) it blocks the thread.
    ///
    /// # Cancellation
    ///
    /// As for the [type](Self): no checkpoint, and not cut.
    ///
    /// # Panics
    ///
    /// If the closure panics or has panicked. If the closure uses the value that it makes. If it would have to
    /// wait inside of [`task::no_switch`](crate::task::no_switch).
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::sync::LazyLock;
    ///
    /// let lazy = LazyLock::new(|| 92);
    /// assert_eq!(LazyLock::force(&lazy), &92);
    /// assert_eq!(*lazy, 92);
    /// ```
    #[inline]
    #[track_caller]
    pub fn force(this: &Self) -> &T {
        this.cell.get_or_init_as(DOING, || match this.make.take() {
            Some(make) => shielded(make),
            None => is_poisoned(),
        })
    }

    /// Like [`force`](Self::force), for a value that is to be changed.
    ///
    /// # Cancellation
    ///
    /// As for the [type](Self): no checkpoint, and not cut.
    ///
    /// # Panics
    ///
    /// As for [`force`](Self::force).
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::sync::LazyLock;
    ///
    /// let mut lazy = LazyLock::new(|| 92);
    /// *LazyLock::force_mut(&mut lazy) = 44;
    /// assert_eq!(*lazy, 44);
    /// ```
    #[inline]
    #[track_caller]
    pub fn force_mut(this: &mut Self) -> &mut T {
        Self::force(this);
        match this.cell.get_mut() {
            Some(value) => value,
            None => unreachable!("a value was made, and is not there"),
        }
    }
}

impl<T, F> LazyLock<T, F> {
    /// The value, if it was made.
    ///
    /// # Cancellation
    ///
    /// Never parks, also while the value is being made.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::sync::LazyLock;
    ///
    /// let lazy = LazyLock::new(|| 92);
    /// assert_eq!(LazyLock::get(&lazy), None);
    /// let _ = *lazy;
    /// assert_eq!(LazyLock::get(&lazy), Some(&92));
    /// ```
    #[inline]
    pub fn get(this: &Self) -> Option<&T> {
        this.cell.get()
    }

    /// The value, if it was made, to be changed.
    ///
    /// # Cancellation
    ///
    /// Never parks.
    #[inline]
    pub fn get_mut(this: &mut Self) -> Option<&mut T> {
        this.cell.get_mut()
    }
}

/// `make`, where no cancellation from outside reaches it. In a debugger's hook, which is no task, none would.
fn shielded<T>(make: impl FnOnce() -> T) -> T {
    if park::running().is_some() { shield(make) } else { make() }
}

/// std's words.
#[cold]
#[track_caller]
fn is_poisoned() -> ! {
    panic!("LazyLock instance has previously been poisoned");
}

impl<T, F: FnOnce() -> T> Deref for LazyLock<T, F> {
    type Target = T;

    /// As [`LazyLock::force`].
    #[inline]
    #[track_caller]
    fn deref(&self) -> &T {
        Self::force(self)
    }
}

impl<T, F: FnOnce() -> T> DerefMut for LazyLock<T, F> {
    /// As [`LazyLock::force_mut`].
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
        match Self::get(self) {
            Some(value) => text.field(value),
            None => text.field(&format_args!("<uninit>")),
        };
        text.finish()
    }
}
