//! RwLock: what many tasks may read or one may write.
//!
//! Layer 7. Imports: asker, park, time. Never: who waits, which `shared_lock` knows.

use super::poison::Poison;
use super::rwlock_guards::RwLockReadGuard;
use super::rwlock_guards::RwLockWriteGuard;
use super::shared_lock::Access;
use super::shared_lock::SharedLock;
use crate::asker;
use crate::asker::Asker;
use crate::park;
use crate::time;
use std::cell::UnsafeCell;
use std::fmt;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::sync::LockResult;
use std::sync::TryLockError;
use std::sync::TryLockResult;
use std::time::Duration;

/// Guards a value that many tasks or threads may read at once, or one may write, with
/// [`std::sync::RwLock`]'s names.
///
/// A task that has to wait parks, and the others of its worker go on; outside of [`run`](crate::run)
/// the thread waits. One lock serves tasks of several runtimes and plain threads at once. Whoever has waited
/// longest is served first, a reader together with all readers right behind it, and nobody who comes later
/// is faster. So a reader that comes while a writer waits queues up behind it, and neither starves.
///
/// For the same reason a task that reads may wait for ever when it asks to read again: a writer may wait
/// in between, and that writer waits for the task. As with std's.
///
/// Poisoned as std's is, by a panic of who writes; a cancellation poisons nothing. What counts is whether
/// the *task* panics, as with a [`Mutex`](crate::sync::Mutex).
///
/// A guard stays on its thread, but one task may hand it to another there. The lock counts as written by
/// the task that has locked it. A guard that was lost to [`std::mem::forget`] locks for ever.
///
/// # Examples
///
/// ```
/// use giambio::sync::RwLock;
///
/// giambio::run(|| {
///     let names = RwLock::new(vec!["first"]);
///     giambio::pool(|pool| {
///         let read = names.read().unwrap();
///         pool.spawn(|| assert_eq!(names.read().unwrap().len(), 1)).join().unwrap();
///         pool.spawn(|| names.write().unwrap().push("second"));
///         giambio::yield_now();
///         assert_eq!(read.len(), 1); // the writer waits
///     });
///     assert_eq!(*names.read().unwrap(), ["first", "second"]);
/// });
/// ```
///
/// It may lie in a static. It is shared if its value may be both sent and shared; a guard goes nowhere:
///
/// ```
/// static LIMIT: giambio::sync::RwLock<usize> = giambio::sync::RwLock::new(100);
///
/// assert_eq!(*LIMIT.read().unwrap(), 100);
/// ```
///
/// ```compile_fail,E0277
/// fn may_be_shared<T: Sync>() {}
/// may_be_shared::<giambio::sync::RwLock<std::cell::Cell<i32>>>();
/// ```
///
/// ```compile_fail,E0277
/// fn may_go<T: Send>() {}
/// may_go::<giambio::sync::RwLockReadGuard<'static, i32>>();
/// ```
///
/// ```compile_fail,E0277
/// fn may_go<T: Send>() {}
/// may_go::<giambio::sync::RwLockWriteGuard<'static, i32>>();
/// ```
pub struct RwLock<T: ?Sized> {
    pub(super) lock: SharedLock,
    pub(super) poison: Poison,
    pub(super) value: UnsafeCell<T>,
}

// SAFETY: a lock owns its value, and nothing else in it belongs to a thread.
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}
// SAFETY: many at a time get a shared borrow of the value, on whatever threads, or one an exclusive one.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

// What a panic has left in the middle is poisoned.
impl<T: ?Sized> UnwindSafe for RwLock<T> {}
impl<T: ?Sized> RefUnwindSafe for RwLock<T> {}

impl<T> RwLock<T> {
    /// A lock that nobody has.
    #[must_use]
    #[inline]
    pub const fn new(value: T) -> Self {
        Self { lock: SharedLock::new(), poison: Poison::new(), value: UnsafeCell::new(value) }
    }

    /// Gives the value back.
    ///
    /// # Cancellation
    ///
    /// Never parks.
    ///
    /// # Errors
    ///
    /// The value all the same, if the lock is poisoned.
    pub fn into_inner(self) -> LockResult<T> {
        let poison = self.poison;
        poison.result(self.value.into_inner())
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Locks it for reading, parking the calling task until nobody writes and whoever came before was
    /// served.
    ///
    /// It is unlocked when the guard is dropped, which never parks. Outside of [`run`](crate::run) it blocks
    /// the thread.
    ///
    /// # Cancellation
    ///
    /// May park, but is no checkpoint, and a cancellation does not cut it, as with
    /// [`Mutex::lock`](crate::sync::Mutex::lock). See [`read_interruptibly`](Self::read_interruptibly).
    ///
    /// # Errors
    ///
    /// The guard all the same, if the lock is poisoned.
    ///
    /// # Panics
    ///
    /// If the calling task or thread has locked it for writing: it would wait for itself. If it would have
    /// to wait inside of [`task::no_switch`](crate::task::no_switch).
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = giambio::sync::RwLock::new(1);
    /// let (first, second) = (lock.read().unwrap(), lock.read().unwrap());
    /// assert_eq!(*first + *second, 2);
    /// ```
    #[inline]
    #[track_caller]
    pub fn read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        self.lock.lock(Access::Read, asker::asker().token);
        self.reads()
    }

    /// Locks it for reading as [`read`](Self::read) does, unless the calling task is cancelled.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call, also when nobody writes. A call that was cut has not locked it. If it was
    /// served before the cancellation, the call completes and the next checkpoint raises.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    ///
    /// # Panics
    ///
    /// As for [`read`](Self::read).
    #[track_caller]
    pub fn read_interruptibly(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        pass_checkpoint();
        self.lock.lock_until(Access::Read, asker::asker().token, None);
        self.reads()
    }

    /// Locks it for reading, waiting for that for `timeout` at most.
    ///
    /// By the clock of [`clock`](crate::clock()). A timeout of zero still lets every other task that can run
    /// go first, if somebody writes. Who writes itself waits in vain, and is not reported.
    ///
    /// # Cancellation
    ///
    /// As for [`read_interruptibly`](Self::read_interruptibly).
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`] if the time is up. [`TryLockError::Poisoned`] with the guard, if the lock
    /// is poisoned.
    ///
    /// # Panics
    ///
    /// If it would have to wait inside of [`task::no_switch`](crate::task::no_switch).
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::sync::RwLock;
    /// use std::time::Duration;
    ///
    /// giambio::testing::run_virtual(|| {
    ///     let lock = RwLock::new(());
    ///     giambio::pool(|pool| {
    ///         pool.spawn(|| {
    ///             let _guard = lock.write();
    ///             giambio::sleep(Duration::from_secs(3));
    ///         });
    ///         giambio::yield_now();
    ///         assert!(lock.read_timeout(Duration::from_secs(2)).is_err());
    ///         assert!(lock.read_timeout(Duration::from_secs(2)).is_ok());
    ///     });
    /// });
    /// ```
    #[track_caller]
    pub fn read_timeout(&self, timeout: Duration) -> TryLockResult<RwLockReadGuard<'_, T>> {
        if self.locked_within(Access::Read, asker::asker(), timeout) {
            Ok(self.reads()?)
        } else {
            Err(TryLockError::WouldBlock)
        }
    }

    /// Locks it for reading if nobody writes or waits to.
    ///
    /// # Cancellation
    ///
    /// Never parks, and is no checkpoint.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`] if somebody writes, or waits. [`TryLockError::Poisoned`] with the guard,
    /// if the lock is poisoned.
    #[inline]
    pub fn try_read(&self) -> TryLockResult<RwLockReadGuard<'_, T>> {
        if !self.lock.try_lock(Access::Read, asker::asker().token) {
            return Err(TryLockError::WouldBlock);
        }
        Ok(self.reads()?)
    }

    /// Locks it for writing, parking the calling task until nobody else has it and whoever came before was
    /// served.
    ///
    /// It is unlocked when the guard is dropped, which never parks. Outside of [`run`](crate::run) it blocks
    /// the thread.
    ///
    /// # Cancellation
    ///
    /// As for [`read`](Self::read).
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    ///
    /// # Panics
    ///
    /// As for [`read`](Self::read). A task that waits for its own read lock is not noticed.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = giambio::sync::RwLock::new(1);
    /// *lock.write().unwrap() += 1;
    /// assert_eq!(*lock.read().unwrap(), 2);
    /// ```
    #[inline]
    #[track_caller]
    pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        let asker = asker::asker();
        self.lock.lock(Access::Write, asker.token);
        self.writes(asker)
    }

    /// Locks it for writing as [`write`](Self::write) does, unless the calling task is cancelled.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call, also when nobody has the lock. A call that was cut has not locked it, and
    /// readers that have waited behind it go on. If it was served before the cancellation, the call
    /// completes and the next checkpoint raises.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    ///
    /// # Panics
    ///
    /// As for [`write`](Self::write).
    #[track_caller]
    pub fn write_interruptibly(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        pass_checkpoint();
        let asker = asker::asker();
        self.lock.lock_until(Access::Write, asker.token, None);
        self.writes(asker)
    }

    /// Locks it for writing, waiting for that for `timeout` at most.
    ///
    /// By the clock of [`clock`](crate::clock()). A timeout of zero still lets every other task that can run
    /// go first, if somebody has the lock. Who writes itself waits in vain, and is not reported.
    ///
    /// # Cancellation
    ///
    /// As for [`write_interruptibly`](Self::write_interruptibly).
    ///
    /// # Errors
    ///
    /// As for [`read_timeout`](Self::read_timeout).
    ///
    /// # Panics
    ///
    /// As for [`read_timeout`](Self::read_timeout).
    #[track_caller]
    pub fn write_timeout(&self, timeout: Duration) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        let asker = asker::asker();
        if self.locked_within(Access::Write, asker, timeout) {
            Ok(self.writes(asker)?)
        } else {
            Err(TryLockError::WouldBlock)
        }
    }

    /// Locks it for writing if nobody has it.
    ///
    /// # Cancellation
    ///
    /// Never parks, and is no checkpoint.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`] if somebody has it, or waits for it. [`TryLockError::Poisoned`] with the
    /// guard, if the lock is poisoned.
    #[inline]
    pub fn try_write(&self) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        let asker = asker::asker();
        if !self.lock.try_lock(Access::Write, asker.token) {
            return Err(TryLockError::WouldBlock);
        }
        Ok(self.writes(asker)?)
    }

    #[track_caller]
    fn locked_within(&self, access: Access, asker: Asker, timeout: Duration) -> bool {
        pass_checkpoint();
        self.lock.try_lock(access, asker.token)
            || self.lock.lock_until(access, asker.token, time::clock().checked_add(timeout))
    }

    /// What who has just locked it for reading gets.
    #[inline]
    fn reads(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        self.poison.result(RwLockReadGuard::of(self))
    }

    /// What who has just locked it for writing gets.
    #[inline]
    fn writes(&self, asker: Asker) -> LockResult<RwLockWriteGuard<'_, T>> {
        self.poison.result(RwLockWriteGuard::of(self, asker))
    }

    /// Whether somebody has panicked while he had the lock for writing.
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
    /// The value all the same, if the lock is poisoned.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        let value = self.value.get_mut();
        self.poison.result(value)
    }
}

fn pass_checkpoint() {
    if let Some(me) = park::current() {
        me.checkpoint();
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("RwLock");
        match self.try_read() {
            Ok(guard) => text.field("data", &&*guard),
            Err(TryLockError::Poisoned(poisoned)) => text.field("data", &&**poisoned.get_ref()),
            Err(TryLockError::WouldBlock) => text.field("data", &format_args!("<locked>")),
        };
        text.field("poisoned", &self.is_poisoned()).finish_non_exhaustive()
    }
}
