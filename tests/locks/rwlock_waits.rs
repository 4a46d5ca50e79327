//! RwLocks: how a wait for one ends before it has come to it, and what becomes of those behind.

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
use giambio::sleep;
use giambio::sync::RwLock;
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

type Lock = fn(&RwLock<()>);

/// Ways to lock for reading that a cancellation ends.
const READS: [Lock; 2] = [
    |lock| drop(lock.read_interruptibly().unwrap()),
    |lock| drop(lock.read_timeout(secs(1000)).unwrap()),
];

/// Ways to lock for writing that a cancellation ends.
const WRITES: [Lock; 2] = [
    |lock| drop(lock.write_interruptibly().unwrap()),
    |lock| drop(lock.write_timeout(secs(1000)).unwrap()),
];

fn all() -> impl Iterator<Item = Lock> {
    READS.into_iter().chain(WRITES)
}

/// Has a task write for so long.
fn written_for<'env>(pool: &'env Pool<'env, '_>, lock: &'env RwLock<()>, duration: Duration) {
    pool.spawn(move || {
        let _guard = lock.write();
        sleep(duration);
    });
    yield_now();
}

#[test]
fn smoke() {
    run_virtual(|| {
        let lock = RwLock::new(1);
        assert_eq!(*lock.read_interruptibly().unwrap(), 1);
        assert_eq!(*lock.write_interruptibly().unwrap(), 1);
        let guard = lock.read_timeout(secs(1)).unwrap();
        assert!(matches!(lock.write_timeout(secs(1)), Err(TryLockError::WouldBlock)));
        drop(guard);
        let _guard = lock.write_timeout(secs(1)).unwrap();
        assert!(matches!(lock.read_timeout(secs(1)), Err(TryLockError::WouldBlock)));
    });
}

#[test]
fn a_cancellation_does_not_cut_a_plain_read_or_write() {
    run_virtual(|| {
        let plain: [Lock; 2] = [|lock| drop(lock.read()), |lock| drop(lock.write())];
        for lock_it in plain {
            let (lock, log) = (RwLock::new(()), Log::default());
            pool(|pool| {
                let guard = lock.write();
                let waiter = pool.spawn(|| {
                    lock_it(&lock);
                    log.add("locked");
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
            let cut = cancellable(|pool| {
                pool.cancel();
                lock_it(&lock);
                log.add("in a cancelled scope");
                yield_now();
            });
            assert!(cut.is_none());
            log.assert(&["locked", "in a cancelled scope"]);
        }
    });
}

#[test]
fn the_others_are_checkpoints_also_where_nobody_has_it() {
    run_virtual(|| {
        for lock_it in all() {
            let lock = RwLock::new(());
            let cut = cancellable(|pool| {
                pool.cancel();
                assert!(raised(|| lock_it(&lock)));
                lock_it(&lock);
            });
            assert!(cut.is_none());
            pool(|pool| {
                let other = pool.spawn(|| ());
                (0..1000).for_each(|_| lock_it(&lock));
                assert!(other.is_finished(), "it is not counted in the budget");
            });
            assert!(lock.try_write().is_ok());
        }
    });
}

#[test]
fn a_cancelled_waiter_lets_the_next_one_through() {
    run_virtual(|| {
        for lock_it in all() {
            let (lock, log) = (RwLock::new(()), Log::default());
            pool(|pool| {
                let guard = lock.write();
                let first = pool.spawn(|| {
                    lock_it(&lock);
                    log.add("first");
                });
                pool.spawn(|| {
                    drop(lock.write());
                    log.add("second");
                });
                settle();
                first.cancel();
                drop(guard);
                assert!(first.join().unwrap_err().is_cancelled());
            });
            log.assert(&["second"]);
            assert!(lock.try_write().is_ok());
        }
    });
}

#[test]
fn a_writer_that_is_cancelled_at_the_head_lets_the_readers_behind_it_through() {
    run_virtual(|| {
        for write in WRITES {
            let (lock, log) = (RwLock::new(()), Log::default());
            pool(|pool| {
                let guard = lock.read();
                let writer = pool.spawn(|| write(&lock));
                settle();
                for name in ["a", "b"] {
                    let (lock, log) = (&lock, &log);
                    pool.spawn(move || {
                        let _guard = lock.read();
                        log.add(name);
                        sleep(secs(1));
                    });
                }
                settle();
                log.assert(&[]);
                writer.cancel();
                assert!(writer.join().unwrap_err().is_cancelled());
                settle();
                log.assert(&["a", "b"]);
                drop(guard);
            });
            assert!(lock.try_write().is_ok());
        }
    });
}

#[test]
fn a_writer_whose_time_is_up_lets_the_readers_behind_it_through() {
    run_virtual(|| {
        let (lock, log) = (RwLock::new(()), Log::default());
        pool(|pool| {
            let _guard = lock.read();
            pool.spawn(|| {
                assert!(lock.write_timeout(secs(2)).is_err());
                log.add("given up");
            });
            settle();
            pool.spawn(|| {
                let took = elapsed(|| drop(lock.read()));
                log.add(format!("read after {took:?}"));
            });
            settle();
            // Another writer, behind the reader, goes on waiting.
            pool.spawn(|| {
                assert!(lock.write_timeout(secs(5)).is_err());
                log.add("given up too");
            });
            sleep(secs(6));
            no_switch(|| drop(lock.read()));
        });
        log.assert(&["given up", "read after 2s", "given up too"]);
    });
}

#[test]
fn a_reader_that_gives_up_leaves_no_mark() {
    run_virtual(|| {
        let lock = RwLock::new(());
        pool(|pool| {
            written_for(pool, &lock, secs(3));
            assert!(lock.read_timeout(secs(1)).is_err());
            sleep(secs(3));
            no_switch(|| drop((lock.read(), lock.read())));
            no_switch(|| drop(lock.write()));
        });
    });
}

#[test]
fn who_has_left_the_line_but_has_not_run_is_in_nobodys_way() {
    run_virtual(|| {
        let lock = RwLock::new(());
        pool(|pool| {
            let guard = lock.read();
            let writer = pool.spawn(|| drop(lock.write_interruptibly()));
            settle();
            writer.cancel();
            assert!(lock.try_read().is_ok(), "a cancelled writer is in the way");
            drop(guard);
            assert!(lock.try_write().is_ok(), "a cancelled writer is in the way");
            assert!(writer.join().is_err());
        });
    });
}

#[test]
fn what_was_handed_over_before_the_cancellation_is_had() {
    run_virtual(|| {
        for lock_it in all() {
            let (lock, log) = (RwLock::new(()), Log::default());
            pool(|pool| {
                let guard = lock.write();
                let waiter = pool.spawn(|| {
                    lock_it(&lock);
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
            assert!(lock.try_write().is_ok());
        }
    });
}

#[test]
fn timeouts_are_kept_to_the_second_on_the_virtual_clock() {
    run_virtual(|| {
        let lock = RwLock::new(());
        pool(|pool| {
            written_for(pool, &lock, secs(10));
            assert_eq!(elapsed(|| assert!(lock.read_timeout(secs(2)).is_err())), secs(2));
            assert_eq!(elapsed(|| assert!(lock.write_timeout(secs(3)).is_err())), secs(3));
            assert!(lock.read_timeout(Duration::ZERO).is_err());
            assert!(lock.write_timeout(Duration::ZERO).is_err());
            assert_eq!(elapsed(|| assert!(lock.read_timeout(Duration::MAX).is_ok())), secs(5));
            assert!(lock.write_timeout(Duration::MAX).is_ok());
            let _guard = lock.write();
            assert_eq!(elapsed(|| assert!(lock.read_timeout(secs(2)).is_err())), secs(2));
            let text = panic_of(|| lock.write_timeout(Duration::MAX).is_ok());
            assert!(text.contains("would wait for itself"));
        });
    });
}

#[test]
fn scopes_reach_them_and_where_nothing_may_unwind_they_wait() {
    run_virtual(|| {
        for lock_it in all() {
            let lock = RwLock::new(());
            pool(|pool| {
                written_for(pool, &lock, secs(3));
                assert_eq!(with_timeout(secs(1), |_| lock_it(&lock)), Err(TooSlow));
                let waiter = pool.spawn(|| {
                    let took = elapsed(|| {
                        no_unwind(|| {
                            task::current().cancel();
                            lock_it(&lock);
                        });
                    });
                    assert_eq!(took, secs(2));
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
        for lock_it in all() {
            let lock = RwLock::new(());
            pool(|pool| {
                written_for(pool, &lock, secs(3));
                assert_eq!(in_destructor(passing, || elapsed(|| lock_it(&lock))), secs(3));
            });
            assert!(lock.try_write().is_ok());
        }
    });
}

#[test]
fn outside_of_run_a_timeout_is_kept_and_lets_those_behind_through() {
    let lock = RwLock::new(());
    let guard = lock.read();
    let timeout = Duration::from_millis(20);
    thread::scope(|threads| {
        let writer = threads.spawn(|| lock.write_timeout(timeout).is_err());
        // It may have to wait behind the writer, but no longer than that waits.
        let reader = threads.spawn(|| giambio::run(|| lock.read().is_ok()));
        assert!(writer.join().unwrap() && reader.join().unwrap());
        drop(guard);
    });
    assert!(lock.write_timeout(Duration::ZERO).is_ok());
    let _guard = lock.write();
    thread::scope(|threads| {
        threads.spawn(|| assert!(lock.read_timeout(timeout).is_err()));
    });
}
