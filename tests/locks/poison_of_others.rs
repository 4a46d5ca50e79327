//! Poisoning of what is no mutex.

use crate::fail;
use crate::secs;
use crate::unwind::Passing;
use crate::unwind::beside_an_unwind;
use crate::unwind::both;
use crate::unwind::in_destructor;
use giambio::pool;
use giambio::sync::RwLock;
use giambio::sync::RwLockWriteGuard;
use giambio::sync::TryLockError;
use giambio::testing::run_virtual;
use std::sync::Arc;
use std::thread;

/// Runs a task that ends in an unwind.
#[track_caller]
fn ends_badly(f: impl FnOnce()) {
    pool(|pool| assert!(pool.spawn_isolated(f).join().is_err()));
}

#[test]
fn smoke() {
    run_virtual(|| {
        let lock = RwLock::new(1);
        ends_badly(|| {
            *lock.write().unwrap() = 2;
            let _guard = lock.write().unwrap();
            fail("with the lock");
        });
        assert_eq!(*lock.read().unwrap_err().into_inner(), 2);
    });
}

/// std's `test_rw_arc_poison_wr` and its neighbours.
#[test]
fn a_writers_panic_poisons_and_a_readers_or_a_cancellation_does_not() {
    both(|passing| {
        let lock = RwLock::new(1);
        ends_badly(|| {
            let _guard = lock.read();
            passing.begin()
        });
        assert!(!lock.is_poisoned());
        ends_badly(|| {
            let _guard = RwLockWriteGuard::downgrade(lock.write().unwrap());
            passing.begin()
        });
        assert!(!lock.is_poisoned());
        ends_badly(|| {
            let _guard = lock.write();
            passing.begin()
        });
        assert_eq!(lock.is_poisoned(), passing == Passing::Panic);
    });
}

#[test]
fn whoever_takes_a_poisoned_lock_is_told_and_may_clear_it() {
    let mut lock = RwLock::new(3);
    let poison = |lock: &RwLock<i32>| {
        thread::scope(|threads| {
            let failing = threads.spawn(|| {
                let _guard = lock.write();
                fail("with the lock");
            });
            assert!(failing.join().is_err());
        });
    };
    poison(&lock);
    assert_eq!(*lock.read().unwrap_err().into_inner(), 3);
    assert_eq!(*lock.write().unwrap_err().into_inner(), 3);
    assert_eq!(*lock.read_interruptibly().unwrap_err().into_inner(), 3);
    assert_eq!(*lock.write_interruptibly().unwrap_err().into_inner(), 3);
    assert!(matches!(lock.try_read(), Err(TryLockError::Poisoned(_))));
    assert!(matches!(lock.try_write(), Err(TryLockError::Poisoned(_))));
    assert!(matches!(lock.read_timeout(secs(1)), Err(TryLockError::Poisoned(_))));
    assert!(matches!(lock.write_timeout(secs(1)), Err(TryLockError::Poisoned(_))));
    assert_eq!(*lock.get_mut().unwrap_err().into_inner(), 3);
    lock.clear_poison();
    assert_eq!(*lock.write().unwrap(), 3);
    poison(&lock);
    assert_eq!(lock.into_inner().unwrap_err().into_inner(), 3);
}

/// std's `test_rw_arc_access_in_unwind`.
#[test]
fn a_destructor_that_an_unwind_runs_may_write_and_does_not_poison() {
    struct Unwinder(Arc<RwLock<i32>>);
    impl Drop for Unwinder {
        fn drop(&mut self) {
            *self.0.write().unwrap() += 1;
        }
    }
    let lock = Arc::new(RwLock::new(1));
    let theirs = Arc::clone(&lock);
    let failing = thread::spawn(move || {
        let _unwinder = Unwinder(theirs);
        fail("on purpose");
    });
    assert!(failing.join().is_err());
    assert_eq!(*lock.read().unwrap(), 2);
    both(|passing| {
        let lock = RwLock::new(1);
        in_destructor(passing, || *lock.write().unwrap() += 1);
        assert_eq!(*lock.read().unwrap(), 2);
    });
}

#[test]
fn a_task_that_is_parked_in_mid_unwind_poisons_nobody_elses_lock() {
    both(|passing| {
        let (before, during) = (RwLock::new(()), RwLock::new(()));
        let guard = before.write().unwrap();
        beside_an_unwind(passing, secs(1), || {
            drop(guard);
            drop(during.write().unwrap());
        });
        assert!(!before.is_poisoned() && !during.is_poisoned());
    });
}
