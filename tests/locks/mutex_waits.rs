//! Mutexes: how a wait for one ends before it has come to it.

use crate::Log;
use crate::elapsed;
use crate::panic_of;
use crate::raised;
use crate::secs;
use crate::unwind::both;
use crate::unwind::in_destructor;
use giambio::Pool;
use giambio::TooSlow;
use giambio::cancellable;
use giambio::pool;
use giambio::shield;
use giambio::skip_after;
use giambio::sleep;
use giambio::sync::Mutex;
use giambio::sync::TryLockError;
use giambio::task;
use giambio::task::no_switch;
use giambio::task::no_unwind;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::with_timeout;
use giambio::yield_now;
use std::thread;
use std::time::Duration;

/// Locks a mutex in one of the ways that a cancellation ends.
type Lock = fn(&Mutex<()>);

const CUT: [Lock; 2] = [
    |mutex| drop(mutex.lock_interruptibly().unwrap()),
    |mutex| drop(mutex.lock_timeout(secs(1000)).unwrap()),
];

/// Has a task lock the mutex for so long.
fn held_for<'env>(pool: &'env Pool<'env, '_>, mutex: &'env Mutex<()>, duration: Duration) {
    pool.spawn(move || {
        let _guard = mutex.lock();
        sleep(duration);
    });
    yield_now();
}

#[test]
fn smoke() {
    run_virtual(|| {
        let mutex = Mutex::new(1);
        assert_eq!(*mutex.lock_interruptibly().unwrap(), 1);
        let guard = mutex.lock_timeout(secs(1)).unwrap();
        assert!(matches!(mutex.lock_timeout(secs(1)), Err(TryLockError::WouldBlock)));
        drop(guard);
    });
}

#[test]
fn a_cancelled_task_locks_all_the_same() {
    run_virtual(|| {
        let (mutex, log) = (Mutex::new(()), Log::default());
        let cut = cancellable(|pool| {
            pool.cancel();
            drop(mutex.lock());
            log.add("free");
            let guard = mutex.lock();
            pool.cancel();
            drop(guard);
            yield_now();
        });
        assert!(cut.is_none());
        log.assert(&["free"]);
    });
}

#[test]
fn a_cancellation_does_not_cut_a_lock_that_waits_and_is_raised_after_it() {
    run_virtual(|| {
        let (mutex, log) = (Mutex::new(()), Log::default());
        pool(|pool| {
            let guard = mutex.lock();
            let waiter = pool.spawn(|| {
                let guard = mutex.lock();
                log.add("locked");
                drop(guard);
                yield_now();
                log.add("not cut");
            });
            settle();
            waiter.cancel();
            settle();
            assert!(!waiter.is_finished());
            drop(guard);
            assert!(waiter.join().unwrap_err().is_cancelled());
        });
        log.assert(&["locked"]);
    });
}

#[test]
fn the_others_are_checkpoints_also_where_nobody_has_it() {
    run_virtual(|| {
        let mutex = Mutex::new(());
        for lock in CUT {
            let cut = cancellable(|pool| {
                pool.cancel();
                assert!(raised(|| lock(&mutex)));
                lock(&mutex);
            });
            assert!(cut.is_none());
            pool(|pool| {
                let other = pool.spawn(|| ());
                (0..1000).for_each(|_| lock(&mutex));
                assert!(other.is_finished(), "it is not counted in the budget");
            });
        }
        assert!(mutex.try_lock().is_ok());
    });
}

#[test]
fn a_cancelled_waiter_lets_the_next_one_through() {
    run_virtual(|| {
        for lock in CUT {
            let (mutex, log) = (Mutex::new(()), Log::default());
            pool(|pool| {
                let guard = mutex.lock();
                let first = pool.spawn(|| {
                    lock(&mutex);
                    log.add("first");
                });
                pool.spawn(|| {
                    lock(&mutex);
                    log.add("second");
                });
                settle();
                // It stands in the line until it runs, but the lock passes it over.
                first.cancel();
                drop(guard);
                assert!(mutex.try_lock().is_err());
                assert!(first.join().unwrap_err().is_cancelled());
            });
            log.assert(&["second"]);
            assert!(mutex.try_lock().is_ok());
        }
    });
}

#[test]
fn a_lock_that_was_handed_over_before_the_cancellation_is_had() {
    run_virtual(|| {
        for lock in CUT {
            let (mutex, log) = (Mutex::new(()), Log::default());
            pool(|pool| {
                let guard = mutex.lock();
                let waiter = pool.spawn(|| {
                    lock(&mutex);
                    log.add("locked");
                    yield_now();
                    log.add("not cut");
                });
                settle();
                drop(guard);
                waiter.cancel();
                assert!(waiter.join().unwrap_err().is_cancelled());
            });
            log.assert(&["locked"]);
            assert!(mutex.try_lock().is_ok());
        }
    });
}

#[test]
fn a_timeout_is_kept_to_the_second_on_the_virtual_clock() {
    run_virtual(|| {
        let mutex = Mutex::new(());
        pool(|pool| {
            held_for(pool, &mutex, secs(10));
            let in_vain = || assert!(mutex.lock_timeout(secs(4)).is_err());
            assert_eq!(elapsed(in_vain), secs(4));
            let in_time = || assert!(mutex.lock_timeout(secs(7)).is_ok());
            assert_eq!(elapsed(in_time), secs(6));
        });
    });
}

#[test]
fn who_has_given_up_is_passed_over_and_the_next_gets_it() {
    run_virtual(|| {
        let (mutex, log) = (Mutex::new(()), Log::default());
        pool(|pool| {
            held_for(pool, &mutex, secs(3));
            pool.spawn(|| {
                assert!(mutex.lock_timeout(secs(1)).is_err());
                log.add("given up");
            });
            pool.spawn(|| {
                assert!(mutex.lock_timeout(secs(5)).is_ok());
                log.add("locked");
            });
        });
        log.assert(&["given up", "locked"]);
        assert!(mutex.try_lock().is_ok());
    });
}

#[test]
fn when_all_who_have_waited_have_given_up_it_is_free_after_its_unlock() {
    run_virtual(|| {
        let mutex = Mutex::new(());
        pool(|pool| {
            let guard = mutex.lock();
            for _ in 0..3 {
                pool.spawn(|| assert!(mutex.lock_timeout(secs(1)).is_err()));
            }
            sleep(secs(2));
            drop(guard);
            no_switch(|| drop(mutex.lock()));
        });
    });
}

#[test]
fn a_timeout_of_zero_lets_the_others_go_first_and_an_endless_one_waits() {
    run_virtual(|| {
        let mutex = Mutex::new(());
        pool(|pool| {
            let guard = mutex.lock();
            let other = pool.spawn(|| ());
            assert!(mutex.lock_timeout(Duration::ZERO).is_err());
            assert!(other.is_finished());
            drop(guard);
            assert!(mutex.lock_timeout(Duration::ZERO).is_ok());
            held_for(pool, &mutex, secs(100));
            assert!(mutex.lock_timeout(Duration::MAX).is_ok());
        });
    });
}

#[test]
fn who_has_it_waits_for_itself_in_vain_with_a_timeout_and_is_not_reported() {
    run_virtual(|| {
        let mutex = Mutex::new(());
        let _guard = mutex.lock();
        let again =
            || assert!(matches!(mutex.lock_timeout(secs(2)), Err(TryLockError::WouldBlock)));
        assert_eq!(elapsed(again), secs(2));
        assert!(panic_of(|| mutex.lock_timeout(Duration::MAX)).contains("would wait for itself"));
    });
}

#[test]
fn scopes_and_shields_reach_them() {
    run_virtual(|| {
        for lock in CUT {
            let mutex = Mutex::new(());
            pool(|pool| {
                held_for(pool, &mutex, secs(3));
                assert_eq!(with_timeout(secs(1), |_| lock(&mutex)), Err(TooSlow));
                let cut = skip_after(secs(1), |_| {
                    shield(|| lock(&mutex));
                    assert!(mutex.try_lock().is_ok());
                    yield_now();
                });
                assert!(cut.is_none());
            });
        }
    });
}

#[test]
fn where_nothing_may_unwind_they_wait() {
    run_virtual(|| {
        for lock in CUT {
            let mutex = Mutex::new(());
            pool(|pool| {
                held_for(pool, &mutex, secs(3));
                let waiter = pool.spawn(|| {
                    let took = elapsed(|| {
                        no_unwind(|| {
                            task::current().cancel();
                            lock(&mutex);
                        });
                    });
                    assert_eq!(took, secs(3));
                    yield_now();
                });
                assert!(waiter.join().unwrap_err().is_cancelled());
            });
        }
    });
}

#[test]
fn in_a_destructor_they_wait() {
    both(|passing| {
        for lock in CUT {
            let mutex = Mutex::new(());
            pool(|pool| {
                held_for(pool, &mutex, secs(3));
                assert_eq!(in_destructor(passing, || elapsed(|| lock(&mutex))), secs(3));
            });
            assert!(mutex.try_lock().is_ok());
        }
    });
}

#[test]
fn outside_of_run_a_timeout_is_kept() {
    let mutex = Mutex::new(());
    let guard = mutex.lock();
    thread::scope(|threads| {
        threads.spawn(|| {
            let start = giambio::clock();
            let timeout = Duration::from_millis(20);
            assert!(matches!(mutex.lock_timeout(timeout), Err(TryLockError::WouldBlock)));
            assert!(giambio::clock() - start >= timeout);
        });
    });
    drop(guard);
    assert!(mutex.lock_timeout(Duration::ZERO).is_ok());
    assert!(mutex.lock_interruptibly().is_ok());
}
