//! Poisoning: whose panic does it, and whose does not.

use crate::fail;
use crate::raised;
use crate::secs;
use crate::unwind::OnDrop;
use crate::unwind::Passing;
use crate::unwind::beside_an_unwind;
use crate::unwind::both;
use crate::unwind::in_destructor;
use giambio::cancellable;
use giambio::finally;
use giambio::pool;
use giambio::skip_after;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::sync::Mutex;
use giambio::sync::TryLockError;
use giambio::task;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::yield_now;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::thread;

/// Runs a task that ends in an unwind, whichever that is.
#[track_caller]
fn ends_badly(f: impl FnOnce()) {
    pool(|pool| assert!(pool.spawn_isolated(f).join().is_err()));
}

#[test]
fn smoke() {
    run_virtual(|| {
        let mutex = Mutex::new(1);
        ends_badly(|| {
            let mut guard = mutex.lock().unwrap();
            *guard = 2;
            fail("with the lock");
        });
        assert!(mutex.is_poisoned());
        assert_eq!(*mutex.lock().unwrap_err().into_inner(), 2);
    });
}

#[test]
fn a_panic_poisons_and_a_cancellation_does_not() {
    both(|passing| {
        let mutex = Mutex::new(1);
        ends_badly(|| {
            let _guard = mutex.lock();
            passing.begin()
        });
        assert_eq!(mutex.is_poisoned(), passing == Passing::Panic);
    });
}

#[test]
fn whoever_takes_a_poisoned_one_is_told_and_may_clear_it() {
    run_virtual(|| {
        let mut mutex = Mutex::new(3);
        ends_badly(|| {
            let _guard = mutex.lock();
            fail("with the lock");
        });
        assert_eq!(*mutex.lock().unwrap_err().into_inner(), 3);
        assert_eq!(*mutex.lock_interruptibly().unwrap_err().into_inner(), 3);
        for is_timed in [false, true] {
            let result = if is_timed { mutex.lock_timeout(secs(1)) } else { mutex.try_lock() };
            let Err(TryLockError::Poisoned(error)) = result else { panic!("{result:?}") };
            assert_eq!(*error.into_inner(), 3);
        }
        assert_eq!(*mutex.get_mut().unwrap_err().into_inner(), 3);
        assert_eq!(format!("{mutex:?}"), "Mutex { data: 3, poisoned: true, .. }");
        mutex.clear_poison();
        assert_eq!(*mutex.lock().unwrap(), 3);
        ends_badly(|| {
            let _guard = mutex.lock();
            fail("again");
        });
        assert_eq!(mutex.into_inner().unwrap_err().into_inner(), 3);
    });
}

#[test]
fn who_waits_while_it_is_poisoned_is_told() {
    run_virtual(|| {
        let mutex = Mutex::new(());
        pool(|pool| {
            let failing = pool.spawn_isolated(|| {
                let _guard = mutex.lock();
                yield_now();
                fail("with the lock");
            });
            yield_now();
            assert!(mutex.lock().is_err());
            assert!(failing.join().is_err());
        });
    });
}

#[test]
fn a_panic_without_the_lock_poisons_nothing() {
    run_virtual(|| {
        let mutex = Mutex::new(());
        ends_badly(|| {
            drop(mutex.lock());
            fail("without the lock");
        });
        ends_badly(|| {
            let _guard = mutex.lock();
            assert!(catch_unwind(|| fail("caught")).is_err());
            task::current().cancel();
            yield_now();
        });
        assert!(!mutex.is_poisoned());
    });
}

#[test]
fn a_panic_of_a_plain_thread_poisons() {
    let mutex = Mutex::new(());
    thread::scope(|threads| {
        let failing = threads.spawn(|| {
            let _guard = mutex.lock();
            fail("with the lock");
        });
        assert!(failing.join().is_err());
    });
    assert!(mutex.is_poisoned());
}

/// std's `test_mutex_arc_access_in_unwind`.
#[test]
fn a_destructor_that_a_panic_runs_may_lock_and_does_not_poison() {
    struct Unwinder(Arc<Mutex<i32>>);
    impl Drop for Unwinder {
        fn drop(&mut self) {
            *self.0.lock().unwrap() += 1;
        }
    }
    let outside = Arc::new(Mutex::new(1));
    let inside = Arc::clone(&outside);
    let failing = thread::spawn(move || {
        let _unwinder = Unwinder(inside);
        fail("on purpose");
    });
    assert!(failing.join().is_err());
    assert_eq!(*outside.lock().unwrap(), 2);
    both(|passing| {
        let mutex = Mutex::new(1);
        in_destructor(passing, || *mutex.lock().unwrap() += 1);
        assert_eq!(mutex.into_inner().unwrap(), 2);
    });
}

#[test]
fn a_lock_that_a_destructor_has_waited_for_is_not_poisoned_either() {
    both(|passing| {
        let mutex = Mutex::new(1);
        pool(|pool| {
            pool.spawn(|| {
                let _guard = mutex.lock();
                sleep(secs(1));
            });
            yield_now();
            in_destructor(passing, || *mutex.lock().unwrap() += 1);
        });
        assert_eq!(mutex.into_inner().unwrap(), 2);
    });
}

#[test]
fn a_task_that_is_parked_in_mid_unwind_poisons_nobody_elses_lock() {
    both(|passing| {
        let (before, during) = (Mutex::new(()), Mutex::new(()));
        pool(|pool| {
            let guard = before.lock().unwrap();
            // Locks before the other unwinds and unlocks meanwhile; and both meanwhile.
            beside_an_unwind(passing, secs(1), || drop(guard));
            let holder = pool.spawn(|| {
                let _guard = before.lock().unwrap();
                sleep(secs(2));
            });
            yield_now();
            beside_an_unwind(passing, secs(5), || {
                drop(during.lock().unwrap());
                drop(before.lock().unwrap());
                drop(during.try_lock().unwrap());
            });
            holder.join().unwrap();
        });
        assert!(!before.is_poisoned() && !during.is_poisoned());
    });
}

#[test]
fn a_lock_that_was_taken_beside_an_unwind_is_poisoned_by_a_later_panic() {
    both(|passing| {
        let mutex = Mutex::new(());
        pool(|pool| {
            let task = beside_an_unwind(passing, secs(1), || {
                let task = pool.spawn_isolated(|| {
                    let _guard = mutex.lock().unwrap();
                    sleep(secs(3));
                    fail("when the unwind has gone on");
                });
                settle();
                task
            });
            assert!(task.join().unwrap_err().is_panic());
        });
        assert!(mutex.is_poisoned());
    });
}

#[test]
fn a_cancellation_that_waits_in_a_destructor_does_not_poison_what_it_drops_later() {
    run_virtual(|| {
        let mutex = Mutex::new(());
        ends_badly(|| {
            let _guard = mutex.lock();
            let _waits = OnDrop::new(|| sleep(secs(1)));
            Passing::Cancellation.begin()
        });
        assert!(!mutex.is_poisoned());
        pool(|pool| {
            let sleeper = pool.spawn(|| {
                let _guard = mutex.lock();
                let _waits = OnDrop::new(|| sleep(secs(1)));
                sleep_forever()
            });
            settle();
            beside_an_unwind(Passing::Panic, secs(9), || {
                sleeper.cancel();
                assert!(sleeper.join().unwrap_err().is_cancelled());
            });
        });
        assert!(!mutex.is_poisoned());
    });
}

#[test]
fn a_panic_that_waits_in_a_destructor_poisons_what_it_drops_later() {
    run_virtual(|| {
        let mutex = Mutex::new(());
        ends_badly(|| {
            let _guard = mutex.lock();
            let _waits = OnDrop::new(|| sleep(secs(1)));
            fail("waits");
        });
        assert!(mutex.is_poisoned());
    });
}

#[test]
fn a_panic_after_a_cancellation_that_was_caught_poisons() {
    run_virtual(|| {
        let mutex = Mutex::new(());
        ends_badly(|| {
            assert!(skip_after(secs(1), |_| sleep_forever()).is_none());
            let _guard = mutex.lock();
            fail("after the timeout");
        });
        assert!(mutex.is_poisoned());
        mutex.clear_poison();
        ends_badly(|| {
            task::current().cancel();
            assert!(raised(yield_now));
            let _guard = mutex.lock();
            fail("after it was swallowed");
        });
        assert!(mutex.is_poisoned());
    });
}

#[test]
fn a_cancellation_after_a_panic_that_was_caught_does_not_poison() {
    run_virtual(|| {
        let mutex = Mutex::new(());
        ends_badly(|| {
            assert!(catch_unwind(|| fail("caught")).is_err());
            let _guard = mutex.lock();
            Passing::Cancellation.begin()
        });
        assert!(!mutex.is_poisoned());
    });
}

#[test]
fn a_panic_that_a_destructor_catches_does_not_make_a_cancellation_poison() {
    run_virtual(|| {
        let mutex = Mutex::new(());
        ends_badly(|| {
            let _guard = mutex.lock();
            let _catches = OnDrop::new(|| {
                let failing =
                    || giambio::shield(|| pool(|pool| drop(pool.spawn(|| fail("a child")))));
                assert!(catch_unwind(AssertUnwindSafe(failing)).is_err());
            });
            Passing::Cancellation.begin()
        });
        assert!(!mutex.is_poisoned());
    });
}

#[test]
fn what_a_pool_or_finally_passes_on_counts_as_what_it_is() {
    both(|passing| {
        let mutex = Mutex::new(());
        ends_badly(|| {
            let _guard = mutex.lock();
            pool(|_| passing.begin())
        });
        assert_eq!(mutex.is_poisoned(), passing == Passing::Panic);
        mutex.clear_poison();
        ends_badly(|| {
            let _guard = mutex.lock();
            finally(|| passing.begin(), || sleep(secs(1)))
        });
        assert_eq!(mutex.is_poisoned(), passing == Passing::Panic);
    });
}

#[test]
fn a_childs_panic_poisons_its_lock_and_its_parents() {
    run_virtual(|| {
        let (childs, parents, siblings) = (Mutex::new(()), Mutex::new(()), Mutex::new(()));
        ends_badly(|| {
            let _guard = parents.lock();
            pool(|pool| {
                pool.spawn(|| {
                    let _guard = siblings.lock();
                    sleep_forever()
                });
                yield_now();
                pool.spawn(|| {
                    let _guard = childs.lock();
                    fail("the child");
                });
            });
        });
        assert!(childs.is_poisoned() && parents.is_poisoned());
        assert!(!siblings.is_poisoned(), "the sibling was cancelled");
    });
}

#[test]
fn a_cut_body_poisons_nothing() {
    run_virtual(|| {
        let mutex = Mutex::new(());
        let cut = cancellable(|pool| {
            let _guard = mutex.lock();
            pool.cancel();
            yield_now();
        });
        assert!(cut.is_none() && !mutex.is_poisoned());
    });
}
