//! Mutex: what one task at a time may use.
//!
//! Layer 7. Imports: asker, park, time. Never: who waits, which `lock` knows.

use super::lock::Lock;
use super::poison::Poison;
use crate::asker;
use crate::asker::Asker;
use crate::park;
use crate::time;
use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::ops::Deref;
use std::ops::DerefMut;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::sync::LockResult;
use std::sync::TryLockError;
use std::sync::TryLockResult;
use std::time::Duration;

/// Guards a value that one task or thread at a time may use, with [`std::sync::Mutex`]'s names.
///
/// A task that has to wait parks, and the others of its worker go on; outside of [`run`](crate::run)
/// the thread waits. One mutex serves tasks of several runtimes and plain threads at once. It is handed
/// over to who has waited longest, and nobody who comes later is faster.
///
/// Poisoned as std's is, by a panic of who holds it; a cancellation poisons nothing. What counts is
/// whether the *task* panics: another one that is parked in the middle of its unwind, on the same thread,
/// poisons nobody else's locks. A panic that begins while another task is parked so may go unnoticed.
///
/// A guard stays on its thread, but one task may hand it to another there. The mutex counts as locked
/// by the task that has locked it. A guard that was lost to [`std::mem::forget`] locks for ever.
///
/// # Examples
///
/// ```
/// use giambio::sync::Mutex;
///
/// giambio::run(|| {
///     let total = Mutex::new(0);
///     giambio::pool(|pool| {
///         for number in 1..=10 {
///             let total = &total;
///             pool.spawn(move || {
///                 let mut total = total.lock().unwrap();
///                 let before = *total;
///                 giambio::yield_now(); // the others wait
///                 *total = before + number;
///             });
///         }
///     });
///     assert_eq!(total.into_inner().unwrap(), 55);
/// });
/// ```
///
/// It may lie in a static:
///
/// ```
/// use giambio::sync::Mutex;
///
/// static NAMES: Mutex<Vec<String>> = Mutex::new(Vec::new());
///
/// NAMES.lock().unwrap().push("a name".into());
/// assert_eq!(NAMES.lock().unwrap().len(), 1);
/// ```
///
/// It is shared if its value may go to other threads; a guard goes nowhere:
///
/// ```compile_fail,E0277
/// fn may_be_shared<T: Sync>() {}
/// may_be_shared::<giambio::sync::Mutex<std::rc::Rc<i32>>>();
/// ```
///
/// ```compile_fail,E0277
/// fn may_go<T: Send>() {}
/// may_go::<giambio::sync::MutexGuard<'static, i32>>();
/// ```
///
/// ```compile_fail,E0277
/// fn may_be_shared<T: Sync>() {}
/// may_be_shared::<giambio::sync::MutexGuard<'static, std::cell::Cell<i32>>>();
/// ```
pub struct Mutex<T: ?Sized> {
    lock: Lock,
    poison: Poison,
    value: UnsafeCell<T>,
}

// SAFETY: a mutex owns its value, and nothing else in it belongs to a thread.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: the lock lets one at a time use the value, so sharing the mutex amounts to sending the value
// back and forth.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

// What a panic has left in the middle is poisoned.
impl<T: ?Sized> UnwindSafe for Mutex<T> {}
impl<T: ?Sized> RefUnwindSafe for Mutex<T> {}

impl<T> Mutex<T> {
    /// A mutex that nobody has locked.
    #[must_use]
    #[inline]
    pub const fn new(value: T) -> Self {
        Self { lock: Lock::new(), poison: Poison::new(), value: UnsafeCell::new(value) }
    }

    /// Gives the value back.
    ///
    /// # Cancellation
    ///
    /// Never parks.
    ///
    /// # Errors
    ///
    /// The value all the same, if the mutex is poisoned.
    pub fn into_inner(self) -> LockResult<T> {
        let poison = self.poison;
        poison.result(self.value.into_inner())
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Locks the mutex, parking the calling task until it is handed over.
    ///
    /// The mutex is unlocked when the guard is dropped, which never parks. Outside of
    /// [`run`](crate::run) it blocks the thread.
    ///
    /// # Cancellation
    ///
    /// May park, but is no checkpoint, and a cancellation does not cut it: a destructor that locks in order
    /// to count down must not be left in the middle. It uses up none of a task's budget either. See
    /// [`lock_interruptibly`](Self::lock_interruptibly).
    ///
    /// # Errors
    ///
    /// The guard all the same, if the mutex is poisoned.
    ///
    /// # Panics
    ///
    /// If the calling task or thread has locked it already: it would wait for itself. If it would have to
    /// wait inside of [`task::no_switch`](crate::task::no_switch).
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::sync::Mutex;
    ///
    /// giambio::run(|| {
    ///     let mutex = Mutex::new(1);
    ///     *mutex.lock().unwrap() += 1;
    ///     assert_eq!(*mutex.lock().unwrap(), 2);
    /// });
    /// ```
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        let asker = asker::asker();
        self.lock.lock(asker.token);
        self.locked(asker)
    }

    /// Locks the mutex as [`lock`](Self::lock) does, unless the calling task is cancelled.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call, also when nobody has the mutex. A call that was cut has not locked it:
    /// it goes to the next who waits. If it was handed over before the cancellation, the call completes and
    /// the next checkpoint raises.
    ///
    /// # Errors
    ///
    /// As for [`lock`](Self::lock).
    ///
    /// # Panics
    ///
    /// As for [`lock`](Self::lock).
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::sync::Mutex;
    /// use std::time::Duration;
    ///
    /// giambio::testing::run_virtual(|| {
    ///     let mutex = Mutex::new(());
    ///     let _guard = mutex.lock().unwrap();
    ///     giambio::pool(|pool| {
    ///         let waiter = pool.spawn(|| drop(mutex.lock_interruptibly()));
    ///         giambio::sleep(Duration::from_secs(1));
    ///         waiter.cancel();
    ///         assert!(waiter.join().unwrap_err().is_cancelled());
    ///     });
    /// });
    /// ```
    #[track_caller]
    pub fn lock_interruptibly(&self) -> LockResult<MutexGuard<'_, T>> {
        if let Some(me) = park::current() {
            me.checkpoint();
        }
        let asker = asker::asker();
        self.lock.lock_until(asker.token, None);
        self.locked(asker)
    }

    /// Locks the mutex, waiting for it for `timeout` at most.
    ///
    /// By the clock of [`clock`](crate::clock()). A timeout of zero still lets every other task that can run
    /// go first, if somebody has the mutex. Who has locked it itself waits in vain, and is not reported.
    ///
    /// # Cancellation
    ///
    /// As for [`lock_interruptibly`](Self::lock_interruptibly).
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`] if the time is up. [`TryLockError::Poisoned`] with the guard, if the
    /// mutex is poisoned.
    ///
    /// # Panics
    ///
    /// If it would have to wait inside of [`task::no_switch`](crate::task::no_switch).
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::sync::Mutex;
    /// use giambio::sync::TryLockError;
    /// use std::time::Duration;
    ///
    /// giambio::testing::run_virtual(|| {
    ///     let mutex = Mutex::new(());
    ///     giambio::pool(|pool| {
    ///         pool.spawn(|| {
    ///             let _guard = mutex.lock();
    ///             giambio::sleep(Duration::from_secs(3));
    ///         });
    ///         giambio::yield_now();
    ///         let lock = || mutex.lock_timeout(Duration::from_secs(2));
    ///         assert!(matches!(lock(), Err(TryLockError::WouldBlock)));
    ///         assert!(lock().is_ok());
    ///     });
    /// });
    /// ```
    #[track_caller]
    pub fn lock_timeout(&self, timeout: Duration) -> TryLockResult<MutexGuard<'_, T>> {
        if let Some(me) = park::current() {
            me.checkpoint();
        }
        let asker = asker::asker();
        let has_locked = self.lock.try_lock(asker.token)
            || self.lock.lock_until(asker.token, time::clock().checked_add(timeout));
        if has_locked { Ok(self.locked(asker)?) } else { Err(TryLockError::WouldBlock) }
    }

    /// Locks the mutex if nobody has it.
    ///
    /// One that was handed over to who has waited for it is locked, even if he has not run yet.
    ///
    /// # Cancellation
    ///
    /// Never parks, and is no checkpoint.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`] if it is locked. [`TryLockError::Poisoned`] with the guard, if it is
    /// poisoned.
    ///
    /// # Examples
    ///
    /// ```
    /// let mutex = giambio::sync::Mutex::new(0);
    /// let guard = mutex.try_lock().unwrap();
    /// assert!(mutex.try_lock().is_err());
    /// drop(guard);
    /// assert!(mutex.try_lock().is_ok());
    /// ```
    #[inline]
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        let asker = asker::asker();
        if !self.lock.try_lock(asker.token) {
            return Err(TryLockError::WouldBlock);
        }
        Ok(self.locked(asker)?)
    }

    /// Locks it again for who has given up its guard in order to wait: no checkpoint.
    #[track_caller]
    pub(super) fn lock_again(&self, asker: Asker) -> LockResult<MutexGuard<'_, T>> {
        self.lock.lock(asker.token);
        self.locked(asker)
    }

    /// What who has just locked it gets.
    #[inline]
    fn locked(&self, asker: Asker) -> LockResult<MutexGuard<'_, T>> {
        let was_panicking = asker.is_panicking;
        self.poison.result(MutexGuard { mutex: self, was_panicking, not_send: PhantomData })
    }

    /// Whether somebody has panicked while he had the mutex.
    ///
    /// # Cancellation
    ///
    /// Never parks.
    #[inline]
    pub fn is_poisoned(&self) -> bool {
        self.poison.is_set()
    }

    /// Says that the value is whole, whatever a panic has left of it.
    ///
    /// # Cancellation
    ///
    /// Never parks.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::sync::Mutex;
    ///
    /// let mutex = Mutex::new(0);
    /// let failing = std::panic::catch_unwind(|| {
    ///     let _guard = mutex.lock();
    ///     panic!("on purpose");
    /// });
    /// assert!(failing.is_err() && mutex.is_poisoned());
    /// *mutex.lock().unwrap_err().into_inner() = 1;
    /// mutex.clear_poison();
    /// assert_eq!(*mutex.lock().unwrap(), 1);
    /// ```
    #[inline]
    pub fn clear_poison(&self) {
        self.poison.clear();
    }

    /// Lends the value: nobody else can have it locked.
    ///
    /// # Cancellation
    ///
    /// Never parks.
    ///
    /// # Errors
    ///
    /// The value all the same, if the mutex is poisoned.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        let value = self.value.get_mut();
        self.poison.result(value)
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Mutex");
        match self.try_lock() {
            Ok(guard) => text.field("data", &&*guard),
            Err(TryLockError::Poisoned(poisoned)) => text.field("data", &&**poisoned.get_ref()),
            // With quotation marks, and an `RwLock` without: so does std's, as of 1.95.
            Err(TryLockError::WouldBlock) => text.field("data", &"<locked>"),
        };
        text.field("poisoned", &self.is_poisoned()).finish_non_exhaustive()
    }
}

/// The right to use what a [`Mutex`] guards, given up when it is dropped.
///
/// The drop never parks: it works while a task unwinds, and inside of
/// [`task::no_switch`](crate::task::no_switch).
#[must_use = "a guard that is dropped at once has guarded nothing"]
#[clippy::has_significant_drop]
pub struct MutexGuard<'a, T: ?Sized + 'a> {
    mutex: &'a Mutex<T>,
    was_panicking: bool,
    not_send: PhantomData<*const ()>,
}

// SAFETY: a shared guard only lends what it guards.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// Its mutex, and who has locked it, as it was then.
    pub(super) fn origin(guard: &Self) -> (&'a Mutex<T>, Asker) {
        (guard.mutex, Asker { is_panicking: guard.was_panicking, ..asker::asker() })
    }

    /// Unlocks for a while, which poisons nothing.
    #[expect(clippy::mem_forget, reason = "it was unlocked")]
    pub(super) fn unlock(guard: Self) {
        guard.mutex.lock.unlock();
        mem::forget(guard);
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: until the guard is gone, nobody else gets at the value.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and this is the only borrow of the guard.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if !self.was_panicking {
            self.mutex.poison.leave();
        }
        self.mutex.lock.unlock();
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
