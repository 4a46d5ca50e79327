//! Condition variables: who is notified, when, and in which order.
//!
//! How a wait ends without a notification is in `condvar_ends`.

use crate::Log;
use crate::blocks_its_thread;
use crate::elapsed;
use crate::secs;
use giambio::Pool;
use giambio::Task;
use giambio::pool;
use giambio::sleep;
use giambio::sync::Condvar;
use giambio::sync::Mutex;
use giambio::task::no_switch;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A counter and who waits for it to change.
#[derive(Default)]
pub(crate) struct Counter {
    pub(crate) count: Mutex<i32>,
    pub(crate) changed: Condvar,
}

impl Counter {
    /// Waits once, and notes when it was notified.
    pub(crate) fn wait(&self, log: &Log, name: &str) {
        drop(self.changed.wait(self.count.lock().unwrap()).unwrap());
        log.add(name);
    }

    fn add(&self) {
        *self.count.lock().unwrap() += 1;
    }
}

/// Starts a task that waits once.
pub(crate) fn waiter<'env>(
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
