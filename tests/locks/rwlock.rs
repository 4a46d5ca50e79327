//! RwLocks: who reads and who writes, and in which order.
//!
//! How a wait for one ends early is in `rwlock_waits`, poisoning in `poison_of_others`.

#![expect(clippy::mem_forget, reason = "what becomes of a lock whose guard was forgotten")]

use crate::Log;
use crate::blocks_its_thread;
use crate::named;
use crate::panic_of;
use crate::secs;
use crate::unwind::both;
use crate::unwind::in_destructor;
use giambio::Pool;
use giambio::pool;
use giambio::sleep;
use giambio::sync::RwLock;
use giambio::sync::RwLockWriteGuard;
use giambio::sync::TryLockError;
use giambio::task::no_switch;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::yield_now;
use std::cell::Cell;
use std::mem;
use std::thread;

/// Starts a task that notes when it reads, and does so for a second.
fn reader<'env>(pool: &'env Pool<'env, '_>, lock: &'env RwLock<()>, log: &'env Log, name: &str) {
    let name = name.to_owned();
    pool.spawn(move || {
        let _guard = lock.read();
        log.add(name);
        sleep(secs(1));
    });
    yield_now();
}

/// Starts a task that notes when it writes, and does so for a second.
fn writer<'env>(pool: &'env Pool<'env, '_>, lock: &'env RwLock<()>, log: &'env Log, name: &str) {
    let name = name.to_owned();
    pool.spawn(move || {
        let _guard = lock.write();
        log.add(name);
        sleep(secs(1));
    });
    yield_now();
}

#[test]
fn smoke() {
    run_virtual(|| {
        let lock = RwLock::new(1);
        pool(|pool| {
            let (first, second) = (lock.read().unwrap(), lock.read().unwrap());
            let writer = pool.spawn(|| *lock.write().unwrap() += 1);
            settle();
            drop(first);
            settle();
            assert!(!writer.is_finished());
            drop(second);
            writer.join().unwrap();
        });
        assert_eq!(*lock.read().unwrap(), 2);
    });
}

#[test]
fn many_read_at_once_and_one_writes() {
    run_virtual(|| {
        let (lock, readers, writers) = (RwLock::new(0), Cell::new(0), Cell::new(0));
        let most = Cell::new(0);
        pool(|pool| {
            for number in 0..40 {
                let (lock, readers, writers, most) = (&lock, &readers, &writers, &most);
                pool.spawn(move || {
                    if number % 8 == 0 {
                        let mut guard = lock.write().unwrap();
                        assert_eq!((readers.get(), writers.replace(1)), (0, 0));
                        *guard += 1;
                        sleep(secs(1));
                        writers.set(0);
                    } else {
                        let guard = lock.read().unwrap();
                        readers.set(readers.get() + 1);
                        most.set(most.get().max(readers.get()));
                        let before = *guard;
                        sleep(secs(1));
                        assert_eq!((writers.get(), *guard), (0, before));
                        readers.set(readers.get() - 1);
                    }
                });
            }
        });
        assert_eq!((most.get(), lock.into_inner().unwrap()), (7, 5));
    });
}

#[test]
fn who_has_waited_longest_is_served_with_all_readers_right_behind_it() {
    run_virtual(|| {
        let (lock, log) = (RwLock::new(()), Log::default());
        pool(|pool| {
            let guard = lock.write();
            for name in ["r1", "r2", "w1", "r3", "w2", "w3", "r4", "r5"] {
                let start = if name.starts_with('r') { reader } else { writer };
                start(pool, &lock, &log, name);
            }
            drop(guard);
            for expected in ["r1 r2", "w1", "r3", "w2", "w3", "r4 r5"] {
                settle();
                assert_eq!(log.take().join(" "), expected);
                sleep(secs(1));
            }
        });
    });
}

#[test]
fn a_reader_that_comes_while_a_writer_waits_queues_up_behind_it() {
    run_virtual(|| {
        let (lock, log) = (RwLock::new(()), Log::default());
        pool(|pool| {
            let guard = lock.read();
            writer(pool, &lock, &log, "writer");
            reader(pool, &lock, &log, "reader");
            settle();
            assert!(matches!(lock.try_read(), Err(TryLockError::WouldBlock)));
            assert_eq!(log.take(), [""; 0]);
            drop(guard);
            // Handed over, although the writer has not run.
            assert!(lock.try_read().is_err() && lock.try_write().is_err());
        });
        log.assert(&["writer", "reader"]);
    });
}

#[test]
fn more_readers_than_are_served_at_once_are_all_served() {
    run_virtual(|| {
        let (lock, log) = (RwLock::new(()), Log::default());
        pool(|pool| {
            let guard = lock.write();
            for number in 0..100 {
                reader(pool, &lock, &log, &number.to_string());
            }
            writer(pool, &lock, &log, "writer");
            drop(guard);
            settle();
            assert_eq!(log.take(), Vec::from_iter((0..100).map(|number: i32| number.to_string())));
        });
        log.assert(&["writer"]);
    });
}

#[test]
fn a_writer_that_goes_on_reading_lets_the_readers_in_and_the_next_writer_wait() {
    run_virtual(|| {
        let (lock, log) = (RwLock::new(()), Log::default());
        pool(|pool| {
            let guard = lock.write().unwrap();
            reader(pool, &lock, &log, "r1");
            reader(pool, &lock, &log, "r2");
            writer(pool, &lock, &log, "w1");
            reader(pool, &lock, &log, "r3");
            let guard = RwLockWriteGuard::downgrade(guard);
            settle();
            assert_eq!(log.take(), ["r1", "r2"]);
            sleep(secs(5));
            assert_eq!(log.take(), [""; 0]);
            drop(guard);
        });
        log.assert(&["w1", "r3"]);
        let guard = RwLockWriteGuard::downgrade(lock.write().unwrap());
        let second = lock.try_read().unwrap();
        assert!(lock.try_write().is_err());
        drop((guard, second));
        assert!(lock.try_write().is_ok());
    });
}

#[test]
fn readers_and_writers_that_share_it_take_turns() {
    run_virtual(|| {
        let (lock, log) = (RwLock::new(()), Log::default());
        pool(|pool| {
            for (name, writes) in [("a", true), ("b", false), ("c", true)] {
                let (lock, log) = (&lock, &log);
                pool.spawn(move || {
                    for _ in 0..5 {
                        let guards = (writes.then(|| lock.write()), (!writes).then(|| lock.read()));
                        log.add(name);
                        yield_now();
                        drop(guards);
                    }
                });
            }
        });
        assert_eq!(log.take().concat(), "abc".repeat(5));
    });
}

#[test]
fn neither_a_lock_of_what_is_free_nor_an_unlock_lets_anybody_else_run() {
    run_virtual(|| {
        let (lock, log) = (RwLock::new(()), Log::default());
        pool(|pool| {
            let guard = lock.write();
            reader(pool, &lock, &log, "reader");
            let other = pool.spawn(|| ());
            no_switch(|| drop(guard));
            let free = RwLock::new(());
            no_switch(|| {
                drop((free.read(), free.read()));
                drop(free.write());
            });
            for _ in 0..1000 {
                drop(free.read());
                drop(free.write());
            }
            assert!(!other.is_finished());
            assert_eq!(log.take(), [""; 0]);
        });
    });
}

#[test]
fn a_lock_that_would_wait_where_no_switch_is_allowed_panics_and_waits_for_nothing() {
    run_virtual(|| {
        let lock = RwLock::new(());
        pool(|pool| {
            let holder = pool.spawn(|| {
                let guard = lock.write().unwrap();
                settle();
                let _guard = RwLockWriteGuard::downgrade(guard);
                settle();
            });
            yield_now();
            let read = panic_of(|| no_switch(|| drop(lock.read())));
            assert!(read.starts_with("`read` would switch"), "{read}");
            settle();
            let write = panic_of(|| no_switch(|| drop(lock.write())));
            assert!(write.starts_with("`write` would switch"), "{write}");
            no_switch(|| drop(lock.read()));
            holder.join().unwrap();
            no_switch(|| drop(lock.write()));
        });
    });
}

#[test]
fn a_task_that_locks_again_what_it_writes_is_named_at_once() {
    run_virtual(|| {
        let again: [fn(&RwLock<()>); 4] = [
            |lock| drop(lock.read()),
            |lock| drop(lock.write()),
            |lock| drop(lock.read_interruptibly()),
            |lock| drop(lock.write_interruptibly()),
        ];
        for lock_again in again {
            let lock = RwLock::new(());
            pool(|pool| {
                let greedy = named(pool, "greedy", || {
                    let _guard = lock.write();
                    panic_of(|| lock_again(&lock))
                });
                let who = format!("task 'greedy' ({})", greedy.id());
                let does = "would wait for itself: it has locked this `RwLock` for writing already";
                assert_eq!(greedy.join().unwrap(), format!("{who} {does}"));
            });
        }
    });
    let lock = RwLock::new(());
    let _guard = lock.write();
    assert!(panic_of(|| lock.read().is_ok()).contains("would wait for itself"));
}

#[test]
fn guards_may_be_handed_to_another_task() {
    run_virtual(|| {
        let lock = RwLock::new(0);
        pool(|pool| {
            let (lock, mut guard) = (&lock, lock.write().unwrap());
            let other = pool.spawn(move || {
                *guard += 1;
                drop(guard);
                assert_eq!(*lock.read().unwrap(), 1);
                lock.read().unwrap()
            });
            let guard = other.join().unwrap();
            assert!(lock.try_write().is_err());
            drop(guard);
            assert!(lock.try_write().is_ok());
        });
    });
}

#[test]
fn a_destructor_may_lock_and_really_waits_for_it() {
    both(|passing| {
        let (lock, log) = (RwLock::new(()), Log::default());
        pool(|pool| {
            writer(pool, &lock, &log, "holder");
            in_destructor(passing, || {
                let _guard = lock.read().unwrap();
                log.add("reads");
            });
            reader(pool, &lock, &log, "holder");
            in_destructor(passing, || {
                let _guard = lock.write().unwrap();
                log.add("writes");
            });
        });
        log.assert(&["holder", "reads", "holder", "writes"]);
    });
}

#[test]
fn guards_unlock_when_they_are_dropped_by_whatever_unwinds() {
    both(|passing| {
        let lock = RwLock::new(());
        for writes in [true, false] {
            pool(|pool| {
                let task = pool.spawn_isolated(|| {
                    let _guards = (writes.then(|| lock.write()), (!writes).then(|| lock.read()));
                    passing.begin()
                });
                assert!(task.join().is_err());
            });
            assert!(!matches!(lock.try_write(), Err(TryLockError::WouldBlock)));
        }
    });
}

/// std's `test_rwlock_try_write` and its neighbour.
#[test]
fn trying_takes_what_nobody_is_in_the_way_of() {
    let lock = RwLock::new(0);
    {
        let _guard = lock.read().unwrap();
        assert!(matches!(lock.try_write(), Err(TryLockError::WouldBlock)));
        assert!(lock.try_read().is_ok());
    }
    {
        let _guard = lock.write().unwrap();
        assert!(matches!(lock.try_read(), Err(TryLockError::WouldBlock)));
        assert!(matches!(lock.try_write(), Err(TryLockError::WouldBlock)));
    }
    assert!(lock.try_write().is_ok());
}

#[test]
fn forgotten_guards_lock_for_ever() {
    let lock = RwLock::new(());
    mem::forget(lock.read());
    assert!(lock.try_write().is_err() && lock.try_read().is_ok());
    let lock = RwLock::new(());
    mem::forget(lock.write());
    assert!(lock.try_write().is_err() && lock.try_read().is_err());
}

#[test]
fn its_value_is_lent_and_given_back_and_may_have_no_size() {
    let mut lock = RwLock::new(String::from("a"));
    lock.get_mut().unwrap().push('b');
    assert_eq!(lock.into_inner().unwrap(), "ab");
    assert_eq!(*RwLock::from(3).read().unwrap(), 3);
    assert_eq!(*RwLock::<u8>::default().read().unwrap(), 0);
    let unsized_lock: &RwLock<[i32]> = &RwLock::new([1, 2, 3]);
    unsized_lock.write().unwrap()[0] = 4;
    assert_eq!(*unsized_lock.read().unwrap(), [4, 2, 3]);
    let (read, written) =
        (format!("{:?}", lock_of(7).read()), format!("{}", *lock_of(7).write().unwrap()));
    assert_eq!((read.as_str(), written.as_str()), ("Ok(7)", "7"));
}

fn lock_of(value: i32) -> RwLock<i32> {
    RwLock::new(value)
}

#[test]
fn outside_of_run_locks_block_their_thread() {
    let lock = RwLock::new(0);
    let guard = lock.write();
    blocks_its_thread(|| drop(lock.read()), || drop(guard));
    let guard = lock.read();
    blocks_its_thread(|| *lock.write().unwrap() += 1, || drop(guard));
    let guard = lock.write();
    blocks_its_thread(|| *lock.write().unwrap() += 1, || giambio::run(|| drop(guard)));
    assert_eq!(*lock.read().unwrap(), 2);
}

#[test]
fn readers_of_two_runtimes_and_a_thread_are_served_together() {
    let lock = RwLock::new(0);
    let guard = lock.write();
    let barrier = std::sync::Barrier::new(3);
    let read = || {
        let _guard = lock.read().unwrap();
        barrier.wait();
    };
    thread::scope(|threads| {
        threads.spawn(read);
        threads.spawn(|| giambio::run(read));
        threads.spawn(|| giambio::run(|| pool(|pool| pool.spawn(read).join().unwrap())));
        drop(guard);
    });
    assert!(lock.try_write().is_ok());
}
