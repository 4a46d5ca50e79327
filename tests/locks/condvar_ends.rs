//! Condition variables: how a wait ends otherwise than by a notification, and who gets that then.

use crate::Log;
use crate::condvar::Counter;
use crate::condvar::waiter;
use crate::elapsed;
use crate::fail;
use crate::panic_of;
use crate::raised;
use crate::secs;
use crate::unwind::both;
use crate::unwind::in_destructor;
use giambio::TooSlow;
use giambio::cancellable;
use giambio::pool;
use giambio::sleep;
use giambio::task;
use giambio::task::no_switch;
use giambio::task::no_unwind;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::with_timeout;
use giambio::yield_now;

#[test]
fn who_has_given_up_or_was_cancelled_takes_no_notification() {
    run_virtual(|| {
        let (counter, log) = (Counter::default(), Log::default());
        pool(|pool| {
            let cut = waiter(pool, &counter, &log, "cut");
            pool.spawn(|| {
                let count = counter.count.lock().unwrap();
                let (_count, result) = counter.changed.wait_timeout(count, secs(2)).unwrap();
                log.add(format!("timed out: {}", result.timed_out()));
            });
            settle();
            waiter(pool, &counter, &log, "patient");
            sleep(secs(1));
            // It stands in front, and has not run since.
            cut.cancel();
            counter.changed.notify_one();
            assert!(cut.join().unwrap_err().is_cancelled());
            settle();
            log.assert(&["timed out: false"]);
            counter.changed.notify_one();
        });
        log.assert(&["timed out: false", "patient"]);
    });
}

#[test]
fn a_notification_at_the_moment_of_the_timeout_goes_to_one_who_waits() {
    run_virtual(|| {
        let (counter, log) = (Counter::default(), Log::default());
        pool(|pool| {
            pool.spawn(|| {
                let count = counter.count.lock().unwrap();
                let (_count, result) = counter.changed.wait_timeout(count, secs(2)).unwrap();
                assert!(result.timed_out());
                log.add("timed out");
            });
            settle();
            waiter(pool, &counter, &log, "patient");
            // At the same time, but this deadline was set later, so it comes second.
            sleep(secs(2));
            counter.changed.notify_one();
        });
        log.assert(&["timed out", "patient"]);
    });
}

#[test]
fn who_is_cancelled_while_it_waits_has_not_locked_the_mutex_again() {
    run_virtual(|| {
        let counter = Counter::default();
        pool(|pool| {
            let waiter = pool.spawn(|| {
                let count = counter.count.lock().unwrap();
                drop(counter.changed.wait(count));
            });
            settle();
            let count = counter.count.lock().unwrap();
            waiter.cancel();
            assert!(waiter.join().unwrap_err().is_cancelled(), "it waits for the mutex");
            drop(count);
        });
        assert!(!counter.count.is_poisoned() && counter.count.try_lock().is_ok());
    });
}

#[test]
fn who_is_cancelled_before_it_waits_unlocks_the_mutex() {
    run_virtual(|| {
        let counter = Counter::default();
        let lock = || counter.count.lock().unwrap();
        let waits: [&dyn Fn(); 4] = [
            &|| drop(counter.changed.wait(lock())),
            &|| drop(counter.changed.wait_while(lock(), |_| false)),
            &|| drop(counter.changed.wait_timeout(lock(), secs(1))),
            &|| drop(counter.changed.wait_timeout_while(lock(), secs(1), |_| false)),
        ];
        for wait in waits {
            let cut = cancellable(|pool| {
                pool.cancel();
                assert!(raised(wait));
                assert!(counter.count.try_lock().is_ok());
                wait();
            });
            assert!(cut.is_none());
            assert!(!counter.count.is_poisoned() && counter.count.try_lock().is_ok());
        }
    });
}

#[test]
fn who_was_notified_before_the_cancellation_gets_the_mutex() {
    // Cancelled before it has run since, or while it waits for the mutex.
    for has_run in [false, true] {
        run_virtual(|| {
            let (counter, log) = (Counter::default(), Log::default());
            pool(|pool| {
                let waiter = pool.spawn(|| {
                    let count = counter.changed.wait(counter.count.lock().unwrap()).unwrap();
                    log.add(format!("notified, {}", *count));
                    yield_now();
                    log.add("not cut");
                });
                settle();
                let mut count = counter.count.lock().unwrap();
                *count = 7;
                counter.changed.notify_one();
                if has_run {
                    settle();
                }
                waiter.cancel();
                settle();
                assert!(!waiter.is_finished(), "it was cut");
                drop(count);
                assert!(waiter.join().unwrap_err().is_cancelled());
            });
            log.assert(&["notified, 7"]);
            assert!(counter.count.try_lock().is_ok());
        });
    }
}

#[test]
fn scopes_cut_a_wait_and_where_nothing_may_unwind_it_goes_on() {
    run_virtual(|| {
        let (counter, log) = (Counter::default(), Log::default());
        let cut = with_timeout(secs(2), |_| counter.wait(&log, "not cut"));
        assert_eq!(cut, Err(TooSlow));
        pool(|pool| {
            let waiter = pool.spawn(|| {
                no_unwind(|| {
                    task::current().cancel();
                    counter.wait(&log, "notified");
                });
                yield_now();
            });
            settle();
            assert!(!waiter.is_finished());
            counter.changed.notify_one();
            assert!(waiter.join().unwrap_err().is_cancelled());
        });
        log.assert(&["notified"]);
    });
}

#[test]
fn in_a_destructor_it_really_waits() {
    both(|passing| {
        let (counter, log) = (Counter::default(), Log::default());
        pool(|pool| {
            pool.spawn(|| {
                sleep(secs(2));
                counter.changed.notify_one();
            });
            let took = in_destructor(passing, || elapsed(|| counter.wait(&log, "notified")));
            assert_eq!(took, secs(2));
        });
        assert!(!counter.count.is_poisoned());
    });
}

#[test]
fn where_no_switch_is_allowed_it_panics_and_unlocks_the_mutex() {
    run_virtual(|| {
        let (counter, log) = (Counter::default(), Log::default());
        let text = panic_of(|| no_switch(|| counter.wait(&log, "notified")));
        assert!(text.starts_with("`Condvar::wait` would switch"), "{text}");
        assert!(counter.count.is_poisoned());
        counter.count.clear_poison();
        pool(|pool| {
            waiter(pool, &counter, &log, "notified");
            counter.changed.notify_one();
        });
        log.assert(&["notified"]);
    });
}

#[test]
fn who_is_woken_finds_the_mutex_poisoned() {
    run_virtual(|| {
        let counter = Counter::default();
        let waits: [&dyn Fn() -> bool; 3] = [
            &|| counter.changed.wait(counter.count.lock().unwrap()).is_err(),
            &|| {
                let count = counter.count.lock().unwrap();
                counter.changed.wait_timeout(count, secs(9)).is_err()
            },
            &|| counter.changed.wait_while(counter.count.lock().unwrap(), |_| true).is_err(),
        ];
        pool(|pool| {
            let waiters = waits.map(|wait| pool.spawn(wait));
            settle();
            let failing = pool.spawn_isolated(|| {
                let _count = counter.count.lock();
                counter.changed.notify_all();
                fail("with the mutex");
            });
            assert!(failing.join().is_err());
            assert!(waiters.into_iter().all(|waiter| waiter.join().unwrap()));
        });
    });
}
