//! RwLock guards: the right to read or to write what a lock guards.
//!
//! Layer 7. Imports: asker. Never: who waits, how it is locked.

use super::rwlock::RwLock;
use super::shared_lock::SharedLock;
use crate::asker::Asker;
use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::ops::Deref;
use std::ops::DerefMut;
use std::ptr::NonNull;

/// The right to read what an [`RwLock`] guards, given up when it is dropped.
///
/// The drop never parks: it works while a task unwinds, and inside of
/// [`task::no_switch`](crate::task::no_switch).
#[must_use = "a guard that is dropped at once has guarded nothing"]
#[clippy::has_significant_drop]
pub struct RwLockReadGuard<'a, T: ?Sized + 'a> {
    /// Not a borrow: it would have to outlive the unlocking in `drop`, after which another task may write.
    value: NonNull<T>,
    lock: &'a SharedLock,
}

// SAFETY: a shared guard only lends what it guards.
unsafe impl<T: ?Sized + Sync> Sync for RwLockReadGuard<'_, T> {}

impl<'a, T: ?Sized> RwLockReadGuard<'a, T> {
    /// For who has just taken a share of `lock`.
    #[inline]
    pub(super) fn of(lock: &'a RwLock<T>) -> Self {
        // SAFETY: a cell's content is nowhere near null.
        let value = unsafe { NonNull::new_unchecked(lock.value.get()) };
        Self { value, lock: &lock.lock }
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the lock outlives the guard, and nobody writes before the guard is gone.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.unlock_read();
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// The right to write what an [`RwLock`] guards, given up when it is dropped.
///
/// The drop never parks: it works while a task unwinds, and inside of
/// [`task::no_switch`](crate::task::no_switch).
#[must_use = "a guard that is dropped at once has guarded nothing"]
#[clippy::has_significant_drop]
pub struct RwLockWriteGuard<'a, T: ?Sized + 'a> {
    lock: &'a RwLock<T>,
    was_panicking: bool,
    not_send: PhantomData<*const ()>,
}

// SAFETY: a shared guard only lends what it guards.
unsafe impl<T: ?Sized + Sync> Sync for RwLockWriteGuard<'_, T> {}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// For who has just taken all of `lock`.
    #[inline]
    pub(super) fn of(lock: &'a RwLock<T>, asker: Asker) -> Self {
        Self { lock, was_panicking: asker.is_panicking, not_send: PhantomData }
    }

    /// Goes on reading what it has written, before anybody else writes.
    ///
    /// Readers that have waited longest, up to the first writer, go on as well.
    ///
    /// # Cancellation
    ///
    /// Never parks, and is no checkpoint.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::sync::RwLock;
    /// use giambio::sync::RwLockWriteGuard;
    ///
    /// let lock = RwLock::new(1);
    /// let mut guard = lock.write().unwrap();
    /// *guard = 2;
    /// let guard = RwLockWriteGuard::downgrade(guard);
    /// assert_eq!((*guard, *lock.read().unwrap()), (2, 2));
    /// ```
    #[must_use = "a guard that is dropped at once has guarded nothing"]
    #[expect(clippy::mem_forget, reason = "what it would give back was given back, up to a share")]
    pub fn downgrade(s: Self) -> RwLockReadGuard<'a, T> {
        let lock = s.lock;
        mem::forget(s);
        lock.lock.downgrade();
        RwLockReadGuard::of(lock)
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: until the guard is gone, nobody else gets at the value.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and this is the only borrow of the guard.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if !self.was_panicking {
            self.lock.poison.leave();
        }
        self.lock.lock.unlock_write();
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
