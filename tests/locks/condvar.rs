//! Condition variables: who is notified, in which order, and what becomes of a notification.

use crate::Log;
use crate::blocks_its_thread;
use crate::elapsed;
use crate::fail;
use crate::panic_of;
use crate::raised;
use crate::secs;
use crate::unwind::both;
use crate::unwind::in_destructor;
use giambio::Pool;
use giambio::Task;
use giambio::TooSlow;
use giambio::cancellable;
use giambio::pool;
use giambio::sleep;
use giambio::sync::Condvar;
use giambio::sync::Mutex;
use giambio::task;
use giambio::task::no_switch;
use giambio::task::no_unwind;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::with_timeout;
use giambio::yield_now;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A counter and who waits for it to change.
#[derive(Default)]
struct Counter {
    count: Mutex<i32>,
    changed: Condvar,
}

impl Counter {
    /// Waits once, and notes when it was notified.
    fn wait(&self, log: &Log, name: &str) {
        drop(self.changed.wait(self.count.lock().unwrap()).unwrap());
        log.add(name);
    }

    fn add(&self) {
        *self.count.lock().unwrap() += 1;
    }
}

/// Starts a task that waits once.
fn waiter<'env>(
    pool: &'env Pool<'env, '_>,
    counter: &'env Counter,
    log: &'env Log,
    name: &'static str,
) -> Task<'env, ()> {
    let waiter = pool.spawn(move || counter.wait(log, name));
    settle();
    waiter
}

#[test]
fn smoke() {
    run_virtual(|| {
        let counter = Counter::default();
        pool(|pool| {
            pool.spawn(|| {
                sleep(secs(1));
                counter.add();
                counter.changed.notify_one();
            });
            let mut count = counter.count.lock().unwrap();
            while *count == 0 {
                count = counter.changed.wait(count).unwrap();
            }
            assert_eq!(*count, 1);
        });
    });
}

#[test]
fn a_wait_unlocks_the_mutex_and_locks_it_again() {
    run_virtual(|| {
        let (counter, log) = (Counter::default(), Log::default());
        pool(|pool| {
            waiter(pool, &counter, &log, "notified");
            let count = counter.count.try_lock().expect("a wait keeps the mutex locked");
            counter.changed.notify_one();
            settle();
            log.assert(&[]);
            drop(count);
        });
        log.assert(&["notified"]);
    });
}

#[test]
fn one_is_notified_after_the_other_in_the_order_in_which_they_came() {
    run_virtual(|| {
        let (counter, log) = (Counter::default(), Log::default());
        pool(|pool| {
            for name in ["first", "second", "third"] {
                waiter(pool, &counter, &log, name);
            }
            for name in ["first", "second", "third"] {
                counter.changed.notify_one();
                settle();
                assert_eq!(log.take(), [name]);
            }
        });
    });
}

#[test]
fn all_are_notified_in_the_order_in_which_they_came() {
    run_virtual(|| {
        let (counter, log) = (Counter::default(), Log::default());
        pool(|pool| {
            for name in ["first", "second", "third"] {
                waiter(pool, &counter, &log, name);
            }
            counter.changed.notify_all();
        });
        log.assert(&["first", "second", "third"]);
    });
}

#[test]
fn who_comes_after_a_notification_waits_for_the_next() {
    run_virtual(|| {
        let (counter, log) = (Counter::default(), Log::default());
        pool(|pool| {
            counter.changed.notify_one();
            counter.changed.notify_all();
            waiter(pool, &counter, &log, "late");
            log.assert(&[]);
            no_switch(|| counter.changed.notify_one());
        });
        log.assert(&["late"]);
    });
}

#[test]
fn a_wait_never_ends_without_a_notification() {
    run_virtual(|| {
        let (counter, log) = (Counter::default(), Log::default());
        pool(|pool| {
            let waiter = waiter(pool, &counter, &log, "notified");
            for _ in 0..100 {
                counter.add();
                sleep(secs(1));
            }
            assert!(!waiter.is_finished());
            counter.changed.notify_one();
        });
    });
}

#[test]
fn wait_while_looks_again_after_each_notification_and_not_without_one() {
    run_virtual(|| {
        let (counter, looks) = (Counter::default(), Log::default());
        pool(|pool| {
            pool.spawn(|| {
                for _ in 0..3 {
                    sleep(secs(1));
                    counter.add();
                    counter.changed.notify_all();
                }
            });
            let is_early = |count: &mut i32| {
                looks.add(count.to_string());
                *count < 3
            };
            let count = counter.changed.wait_while(counter.count.lock().unwrap(), is_early);
            assert_eq!(*count.unwrap(), 3);
        });
        looks.assert(&["0", "1", "2", "3"]);
    });
}

#[test]
fn a_timeout_is_kept_to_the_second_on_the_virtual_clock() {
    run_virtual(|| {
        let counter = Counter::default();
        let lock = || counter.count.lock().unwrap();
        let took = elapsed(|| {
            assert!(counter.changed.wait_timeout(lock(), secs(3)).unwrap().1.timed_out());
        });
        assert_eq!(took, secs(3));
        pool(|pool| {
            pool.spawn(|| {
                sleep(secs(2));
                counter.changed.notify_one();
            });
            let took = elapsed(|| {
                let (_count, result) = counter.changed.wait_timeout(lock(), secs(3)).unwrap();
                assert!(!result.timed_out());
            });
            assert_eq!(took, secs(2));
            pool.spawn(|| {
                sleep(secs(2));
                counter.changed.notify_one();
            });
            let (_count, result) = counter.changed.wait_timeout(lock(), Duration::MAX).unwrap();
            assert!(!result.timed_out());
        });
        assert!(counter.changed.wait_timeout(lock(), Duration::ZERO).unwrap().1.timed_out());
    });
}

#[test]
fn after_a_timeout_the_mutex_may_have_to_be_waited_for() {
    run_virtual(|| {
        let counter = Counter::default();
        pool(|pool| {
            pool.spawn(|| {
                sleep(secs(1));
                let _count = counter.count.lock();
                sleep(secs(5));
            });
            let took = elapsed(|| {
                let count = counter.count.lock().unwrap();
                let (_count, result) = counter.changed.wait_timeout(count, secs(2)).unwrap();
                assert!(result.timed_out());
            });
            assert_eq!(took, secs(6));
        });
    });
}

#[test]
fn a_timeout_with_a_condition_is_one_for_all_its_waits() {
    run_virtual(|| {
        let counter = Counter::default();
        let wait_for = |wanted| {
            let count = counter.count.lock().unwrap();
            let is_early = |count: &mut i32| *count < wanted;
            let (count, result) =
                counter.changed.wait_timeout_while(count, secs(10), is_early).unwrap();
            (*count, result.timed_out())
        };
        pool(|pool| {
            pool.spawn(|| {
                for _ in 0..4 {
                    sleep(secs(3));
                    counter.add();
                    counter.changed.notify_all();
                }
            });
            assert_eq!(elapsed(|| assert_eq!(wait_for(4), (3, true))), secs(10));
            assert_eq!(elapsed(|| assert_eq!(wait_for(4), (4, false))), secs(2));
            assert_eq!(elapsed(|| assert_eq!(wait_for(4), (4, false))), secs(0));
            // Nobody notifies, but the condition no longer holds when the time is up.
            pool.spawn(|| {
                sleep(secs(1));
                counter.add();
            });
            assert_eq!(elapsed(|| assert_eq!(wait_for(5), (5, false))), secs(10));
        });
    });
}

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
    run_virtual(|| {
        let (counter, log) = (Counter::default(), Log::default());
        pool(|pool| {
            let count = counter.count.lock().unwrap();
            let waiter = pool.spawn(|| {
                let count = counter.changed.wait(counter.count.lock().unwrap()).unwrap();
                log.add(format!("notified, {}", *count));
                yield_now();
                log.add("not cut");
            });
            settle();
            drop(count);
            settle();
            let mut count = counter.count.lock().unwrap();
            *count = 7;
            counter.changed.notify_one();
            waiter.cancel();
            settle();
            // Notified, and now it waits for the mutex, which is not cut either.
            waiter.cancel();
            settle();
            assert!(!waiter.is_finished());
            drop(count);
            assert!(waiter.join().unwrap_err().is_cancelled());
        });
        log.assert(&["notified, 7"]);
        assert!(counter.count.try_lock().is_ok());
    });
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

#[test]
fn each_wait_may_be_with_another_mutex() {
    run_virtual(|| {
        let (first, second, changed) = (Mutex::new(1), Mutex::new(2), Condvar::new());
        pool(|pool| {
            let one = pool.spawn(|| *changed.wait(first.lock().unwrap()).unwrap());
            let other = pool.spawn(|| *changed.wait(second.lock().unwrap()).unwrap());
            settle();
            changed.notify_all();
            assert_eq!((one.join().unwrap(), other.join().unwrap()), (1, 2));
        });
    });
}

#[test]
fn outside_of_run_a_wait_blocks_its_thread() {
    let (counter, log) = (Counter::default(), || Log::default());
    blocks_its_thread(|| counter.wait(&log(), "notified"), || counter.changed.notify_one());
    let wait = || counter.wait(&log(), "notified");
    blocks_its_thread(wait, || giambio::run(|| counter.changed.notify_all()));
    let start = giambio::clock();
    let timeout = Duration::from_millis(20);
    let count = counter.count.lock().unwrap();
    assert!(counter.changed.wait_timeout(count, timeout).unwrap().1.timed_out());
    assert!(giambio::clock() - start >= timeout);
}

#[test]
fn a_thread_notifies_the_tasks_of_two_runtimes() {
    let counter = Counter::default();
    let (tell, told) = mpsc::channel();
    thread::scope(|threads| {
        for _ in 0..2 {
            let (counter, tell) = (&counter, tell.clone());
            threads.spawn(move || {
                giambio::run(|| {
                    pool(|pool| {
                        for _ in 0..10 {
                            pool.spawn(|| {
                                let count = counter.count.lock().unwrap();
                                tell.send(()).unwrap();
                                drop(counter.changed.wait_while(count, |count| *count == 0));
                            });
                        }
                    });
                });
            });
        }
        told.iter().take(20).for_each(drop);
        counter.add(); // so they have all unlocked it, and wait
        counter.changed.notify_all();
    });
}
