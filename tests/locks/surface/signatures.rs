//! Every stable name, with its signature.

use super::sync::*;
use std::fmt::Debug;
use std::fmt::Display;
use std::ops::Deref;
use std::ops::DerefMut;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::time::Duration;

pub(in super::super) fn all() {
    reexports();
    mutex::<u8>();
    unsized_mutex::<[u8]>();
    rwlock::<u8>();
    unsized_rwlock::<[u8]>();
    read_guards_are_covariant();
    condvar::<u8>();
    barrier();
    once();
    once_lock::<String>();
    lazy_lock::<String, fn() -> String>();
    statics();
}

fn reexports() {
    let shared: Arc<u8> = Arc::new(1);
    let _: Weak<u8> = Arc::downgrade(&shared);
    let number = atomic::AtomicU8::new(1);
    number.store(2, atomic::Ordering::Relaxed);
    let _: fn(u8) -> PoisonError<u8> = PoisonError::new;
    let _: LockResult<u8> = Err(PoisonError::new(1));
    let _: TryLockResult<u8> = Err(TryLockError::from(PoisonError::new(1)));
    let _: TryLockResult<u8> = Err(TryLockError::WouldBlock);
}

fn is_a_lock<L>()
where
    L: ?Sized + Debug + Send + Sync + UnwindSafe + RefUnwindSafe,
{
}

fn is_made_of<T, L: From<T> + Default + Unpin>() {}

fn is_a_guard<T: ?Sized, G>()
where
    G: Deref<Target = T> + Debug + Display + Sync + UnwindSafe + Unpin,
{
}

fn mutex<T: Debug + Display + Default + Send + Sync + RefUnwindSafe + Unpin + 'static>() {
    is_a_lock::<Mutex<T>>();
    is_made_of::<T, Mutex<T>>();
    is_a_guard::<T, MutexGuard<'_, T>>();
    let _: fn(T) -> Mutex<T> = Mutex::new;
    let _: fn(Mutex<T>) -> LockResult<T> = Mutex::into_inner;
}

fn unsized_mutex<T: ?Sized + Debug + Send>() {
    is_a_lock::<Mutex<T>>();
    let _: fn(&Mutex<T>) -> LockResult<MutexGuard<'_, T>> = Mutex::lock;
    let _: fn(&Mutex<T>) -> TryLockResult<MutexGuard<'_, T>> = Mutex::try_lock;
    let _: fn(&Mutex<T>) -> bool = Mutex::is_poisoned;
    let _: fn(&Mutex<T>) = Mutex::clear_poison;
    let _: fn(&mut Mutex<T>) -> LockResult<&mut T> = Mutex::get_mut;
    fn may_be_changed<T: ?Sized, G: DerefMut<Target = T>>() {}
    may_be_changed::<T, MutexGuard<'_, T>>();
}

fn rwlock<T: Debug + Display + Default + Send + Sync + RefUnwindSafe + Unpin + 'static>() {
    is_a_lock::<RwLock<T>>();
    is_made_of::<T, RwLock<T>>();
    is_a_guard::<T, RwLockReadGuard<'_, T>>();
    is_a_guard::<T, RwLockWriteGuard<'_, T>>();
    let _: fn(T) -> RwLock<T> = RwLock::new;
    let _: fn(RwLock<T>) -> LockResult<T> = RwLock::into_inner;
}

fn unsized_rwlock<T: ?Sized + Debug + Send + Sync>() {
    is_a_lock::<RwLock<T>>();
    let _: fn(&RwLock<T>) -> LockResult<RwLockReadGuard<'_, T>> = RwLock::read;
    let _: fn(&RwLock<T>) -> LockResult<RwLockWriteGuard<'_, T>> = RwLock::write;
    let _: fn(&RwLock<T>) -> TryLockResult<RwLockReadGuard<'_, T>> = RwLock::try_read;
    let _: fn(&RwLock<T>) -> TryLockResult<RwLockWriteGuard<'_, T>> = RwLock::try_write;
    let _: fn(&RwLock<T>) -> bool = RwLock::is_poisoned;
    let _: fn(&RwLock<T>) = RwLock::clear_poison;
    let _: fn(&mut RwLock<T>) -> LockResult<&mut T> = RwLock::get_mut;
    fn may_be_changed<T: ?Sized, G: DerefMut<Target = T>>() {}
    may_be_changed::<T, RwLockWriteGuard<'_, T>>();
    type Downgrade<'a, T> = fn(RwLockWriteGuard<'a, T>) -> RwLockReadGuard<'a, T>;
    let _: Downgrade<'_, T> = RwLockWriteGuard::downgrade;
}

fn read_guards_are_covariant() {
    fn shorter<'short>(
        guard: RwLockReadGuard<'static, &'static str>,
    ) -> RwLockReadGuard<'short, &'short str> {
        guard
    }
    let _ = shorter;
}

type Guarded<'a, T, R> = LockResult<(MutexGuard<'a, T>, R)>;

fn condvar<T: 'static>() {
    is_a_lock::<Condvar>();
    let _: fn() -> Condvar = Condvar::new;
    let _: fn() -> Condvar = Default::default;
    let _: fn(&Condvar, MutexGuard<'static, T>) -> LockResult<MutexGuard<'static, T>> =
        Condvar::wait;
    type Condition<T> = fn(&mut T) -> bool;
    let _: fn(
        &Condvar,
        MutexGuard<'static, T>,
        Condition<T>,
    ) -> LockResult<MutexGuard<'static, T>> = Condvar::wait_while;
    #[expect(deprecated, reason = "it is there")]
    let _: fn(&Condvar, MutexGuard<'static, T>, u32) -> Guarded<'static, T, bool> =
        Condvar::wait_timeout_ms;
    let _: fn(
        &Condvar,
        MutexGuard<'static, T>,
        Duration,
    ) -> Guarded<'static, T, WaitTimeoutResult> = Condvar::wait_timeout;
    let _: fn(
        &Condvar,
        MutexGuard<'static, T>,
        Duration,
        Condition<T>,
    ) -> Guarded<'static, T, WaitTimeoutResult> = Condvar::wait_timeout_while;
    let _: fn(&Condvar) = Condvar::notify_one;
    let _: fn(&Condvar) = Condvar::notify_all;
    fn is_a_value<V: Debug + Copy + Eq + Send + Sync + UnwindSafe + RefUnwindSafe>() {}
    is_a_value::<WaitTimeoutResult>();
    let _: fn(&WaitTimeoutResult) -> bool = WaitTimeoutResult::timed_out;
}

fn barrier() {
    is_a_lock::<Barrier>();
    is_a_lock::<BarrierWaitResult>();
    let _: fn(usize) -> Barrier = Barrier::new;
    let _: fn(&Barrier) -> BarrierWaitResult = Barrier::wait;
    let _: fn(&BarrierWaitResult) -> bool = BarrierWaitResult::is_leader;
}

fn once() {
    is_a_lock::<Once>();
    #[expect(deprecated, reason = "it is there")]
    let _: Once = ONCE_INIT;
    let _: fn() -> Once = Once::new;
    let _: fn(&Once, fn()) = Once::call_once;
    let _: fn(&Once, fn(&OnceState)) = Once::call_once_force;
    let _: fn(&Once) -> bool = Once::is_completed;
    let _: fn(&Once) = Once::wait;
    let _: fn(&Once) = Once::wait_force;
    let _: fn(&OnceState) -> bool = OnceState::is_poisoned;
}

fn once_lock<T: Debug + Eq + Clone + Send + Sync + UnwindSafe + RefUnwindSafe + Unpin>() {
    is_a_lock::<OnceLock<T>>();
    fn is_a_value<T, C: Clone + Eq + Default + From<T> + Unpin>() {}
    is_a_value::<T, OnceLock<T>>();
    let _: fn() -> OnceLock<T> = OnceLock::new;
    let _: fn(&OnceLock<T>) -> Option<&T> = OnceLock::get;
    let _: fn(&mut OnceLock<T>) -> Option<&mut T> = OnceLock::get_mut;
    let _: fn(&OnceLock<T>) -> &T = OnceLock::wait;
    let _: fn(&OnceLock<T>, T) -> Result<(), T> = OnceLock::set;
    let _: fn(&OnceLock<T>, fn() -> T) -> &T = OnceLock::get_or_init;
    let _: fn(OnceLock<T>) -> Option<T> = OnceLock::into_inner;
    let _: fn(&mut OnceLock<T>) -> Option<T> = OnceLock::take;
}

fn lazy_lock<T, F>()
where
    T: Debug + Default + Send + Sync + UnwindSafe + RefUnwindSafe + Unpin,
    F: FnOnce() -> T + Send + UnwindSafe + Unpin,
{
    is_a_lock::<LazyLock<T, F>>();
    fn is_a_pointer<T, L: DerefMut<Target = T> + Unpin>() {}
    is_a_pointer::<T, LazyLock<T, F>>();
    let _: fn() -> LazyLock<T> = LazyLock::<T>::default;
    let _: fn(F) -> LazyLock<T, F> = LazyLock::new;
    let _: fn(&LazyLock<T, F>) -> &T = LazyLock::force;
    let _: fn(&mut LazyLock<T, F>) -> &mut T = LazyLock::force_mut;
    let _: fn(&LazyLock<T, F>) -> Option<&T> = LazyLock::get;
    let _: fn(&mut LazyLock<T, F>) -> Option<&mut T> = LazyLock::get_mut;
}

fn statics() {
    static MUTEX: Mutex<u8> = Mutex::new(1);
    static RWLOCK: RwLock<u8> = RwLock::new(1);
    static CONDVAR: Condvar = Condvar::new();
    static BARRIER: Barrier = Barrier::new(1);
    static ONCE: Once = Once::new();
    static CELL: OnceLock<u8> = OnceLock::new();
    static LAZY: LazyLock<u8> = LazyLock::new(|| 1);
    assert_eq!(*MUTEX.lock().unwrap() + *RWLOCK.read().unwrap() + *LAZY, 3);
    CONDVAR.notify_all();
    assert!(BARRIER.wait().is_leader());
    ONCE.call_once(|| ());
    assert_eq!(CELL.get(), None);
}
