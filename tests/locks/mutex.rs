//! Mutexes: what they guard, who gets them and in which order.
//!
//! How waits for one end is in `mutex_waits`, poisoning in `poison`.

#![expect(clippy::mem_forget, reason = "what becomes of a lock whose guard was forgotten")]

use crate::Log;
use crate::blocks_its_thread;
use crate::named;
use crate::panic_of;
use crate::unwind::both;
use crate::unwind::in_destructor;
use giambio::pool;
use giambio::sync::Mutex;
use giambio::sync::TryLockError;
use giambio::task::no_switch;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::yield_now;
use std::cell::Cell;
use std::cell::RefCell;
use std::mem;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;

#[test]
fn smoke() {
    run_virtual(|| {
        let mutex = Mutex::new(1);
        pool(|pool| {
            let guard = mutex.lock().unwrap();
            let waiter = pool.spawn(|| *mutex.lock().unwrap() += 1);
            settle();
            assert!(!waiter.is_finished());
            drop(guard);
            waiter.join().unwrap();
        });
        assert_eq!(mutex.into_inner().unwrap(), 2);
    });
}

#[test]
fn one_task_at_a_time_has_it() {
    run_virtual(|| {
        let mutex = Mutex::new(0);
        pool(|pool| {
            for _ in 0..100 {
                pool.spawn(|| {
                    let mut guard = mutex.lock().unwrap();
                    let before = *guard;
                    yield_now();
                    *guard = before + 1;
                });
            }
        });
        assert_eq!(mutex.into_inner().unwrap(), 100);
    });
}

#[test]
fn it_goes_to_who_has_waited_longest_and_nobody_who_comes_later_is_faster() {
    run_virtual(|| {
        let (mutex, log) = (Mutex::new(()), Log::default());
        pool(|pool| {
            let guard = mutex.lock();
            for name in ["first", "second", "third"] {
                let (mutex, log) = (&mutex, &log);
                pool.spawn(move || {
                    let _guard = mutex.lock();
                    log.add(name);
                    yield_now();
                });
            }
            settle();
            drop(guard);
            // `first` has it, although it has not run.
            assert!(matches!(mutex.try_lock(), Err(TryLockError::WouldBlock)));
            drop(mutex.lock());
            log.add("main");
        });
        log.assert(&["first", "second", "third", "main"]);
    });
}

#[test]
fn tasks_that_share_it_take_turns() {
    run_virtual(|| {
        let (mutex, log) = (Mutex::new(()), Log::default());
        pool(|pool| {
            for name in ["a", "b", "c"] {
                let (mutex, log) = (&mutex, &log);
                pool.spawn(move || {
                    for _ in 0..5 {
                        let _guard = mutex.lock();
                        log.add(name);
                        yield_now();
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
        let mutex = Mutex::new(());
        pool(|pool| {
            let guard = mutex.lock();
            let waiter = pool.spawn(|| drop(mutex.lock()));
            settle();
            let other = pool.spawn(|| ());
            no_switch(|| drop(guard));
            let free = Mutex::new(());
            no_switch(|| drop(free.lock()));
            assert!(!waiter.is_finished() && !other.is_finished());
        });
    });
}

#[test]
fn it_is_locked_and_unlocked_a_thousand_times_without_a_yield() {
    run_virtual(|| {
        let mutex = Mutex::new(0);
        pool(|pool| {
            let other = pool.spawn(|| ());
            for _ in 0..1000 {
                *mutex.lock().unwrap() += 1;
            }
            assert!(!other.is_finished(), "a lock was counted in the budget");
        });
    });
}

#[test]
fn a_lock_that_would_wait_where_no_switch_is_allowed_panics_and_waits_for_nothing() {
    run_virtual(|| {
        let mutex = Mutex::new(());
        pool(|pool| {
            let holder = pool.spawn(|| {
                let _guard = mutex.lock();
                settle();
            });
            yield_now();
            assert!(
                panic_of(|| no_switch(|| drop(mutex.lock()))).starts_with("`lock` would switch")
            );
            holder.join().unwrap();
            assert!(mutex.try_lock().is_ok(), "who has not waited was handed the lock");
        });
    });
}

#[test]
fn a_task_that_locks_twice_is_named_at_once() {
    let report = |lock: fn(&Mutex<()>)| {
        run_virtual(|| {
            let mutex = Mutex::new(());
            let text = pool(|pool| {
                let task = named(pool, "greedy", || {
                    let _guard = mutex.lock();
                    panic_of(|| lock(&mutex))
                });
                let id = task.id();
                (task.join().unwrap(), id)
            });
            assert!(mutex.try_lock().is_ok());
            text
        })
    };
    let locks: [fn(&Mutex<()>); 2] =
        [|mutex| drop(mutex.lock()), |mutex| drop(mutex.lock_interruptibly())];
    for lock in locks {
        let (text, id) = report(lock);
        let expected = format!(
            "task 'greedy' ({id}) would wait for itself: it has locked this `Mutex` already"
        );
        assert_eq!(text, expected);
    }
}

#[test]
fn a_task_that_locks_twice_while_others_wait_is_named_too() {
    run_virtual(|| {
        let mutex = Mutex::new(());
        pool(|pool| {
            let guard = mutex.lock();
            pool.spawn(|| drop(mutex.lock()));
            settle();
            assert!(panic_of(|| mutex.lock().is_ok()).contains("would wait for itself"));
            drop(guard);
            // Handed over: now it is the other's.
            let waits = pool.spawn(|| drop(mutex.lock()));
            waits.join().unwrap();
        });
    });
}

#[test]
fn a_thread_that_locks_twice_is_named_at_once() {
    let lock_twice = || {
        let mutex = Mutex::new(());
        let _guard = mutex.lock();
        panic_of(|| mutex.lock().is_ok())
    };
    let named = thread::Builder::new().name("greedy thread".into()).spawn(lock_twice).unwrap();
    let text = named.join().unwrap();
    assert_eq!(
        text,
        "thread 'greedy thread' would wait for itself: it has locked this `Mutex` already"
    );
    let text = thread::spawn(lock_twice).join().unwrap();
    assert!(text.starts_with("a thread without a name would wait for itself"), "{text}");
}

#[test]
fn a_task_and_its_thread_are_told_apart() {
    let mutex = Mutex::new(());
    let guard = mutex.lock();
    run_virtual(|| {
        // The thread outside of `run` has it, so this is no report, but a wait.
        let text = panic_of(|| no_switch(|| drop(mutex.lock())));
        assert!(text.starts_with("`lock` would switch"), "{text}");
    });
    drop(guard);
}

#[test]
fn a_guard_may_be_handed_to_another_task_and_counts_as_held_by_who_locked() {
    run_virtual(|| {
        let mutex = Mutex::new(0);
        pool(|pool| {
            let (mutex, mut guard) = (&mutex, mutex.lock().unwrap());
            let other = pool.spawn(move || {
                yield_now();
                *guard += 1;
                drop(guard);
                *mutex.lock().unwrap() += 1;
            });
            assert!(panic_of(|| mutex.lock().is_ok()).contains("would wait for itself"));
            assert!(mutex.try_lock().is_err());
            other.join().unwrap();
            assert_eq!(*mutex.lock().unwrap(), 2);
        });
    });
}

#[test]
fn a_later_task_is_not_taken_for_one_that_has_ended_and_whose_guard_lives() {
    run_virtual(|| {
        let (mutex, kept) = (Mutex::new(()), RefCell::new(None));
        pool(|pool| {
            pool.spawn(|| *kept.borrow_mut() = Some(mutex.lock())).join().unwrap();
            // Their records may lie where the first one's was.
            let waiters: Vec<_> = (0..10).map(|_| pool.spawn(|| drop(mutex.lock()))).collect();
            settle();
            drop(kept.take());
            waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        });
    });
}

#[test]
fn a_guard_unlocks_when_it_is_dropped_by_whatever_unwinds() {
    both(|passing| {
        let mutex = Mutex::new(());
        pool(|pool| {
            let task = pool.spawn_isolated(|| {
                let _guard = mutex.lock();
                passing.begin()
            });
            assert!(task.join().is_err());
        });
        assert!(!matches!(mutex.try_lock(), Err(TryLockError::WouldBlock)));
    });
}

#[test]
fn a_destructor_may_lock_and_really_waits_for_it() {
    both(|passing| {
        let (mutex, log) = (Mutex::new(()), Log::default());
        pool(|pool| {
            pool.spawn(|| {
                let _guard = mutex.lock();
                giambio::sleep(crate::secs(3));
                log.add("holder");
            });
            yield_now();
            in_destructor(passing, || {
                let _guard = mutex.lock().unwrap();
                log.add("destructor");
            });
        });
        log.assert(&["holder", "destructor"]);
    });
}

#[test]
fn try_lock_takes_what_is_free_and_never_waits() {
    let mutex = Mutex::new(7);
    let guard = mutex.try_lock().unwrap();
    assert_eq!(*guard, 7);
    assert!(matches!(mutex.try_lock(), Err(TryLockError::WouldBlock)));
    drop(guard);
    run_virtual(|| {
        let guard = no_switch(|| mutex.try_lock().unwrap());
        no_switch(|| assert!(mutex.try_lock().is_err()));
        drop(guard);
    });
}

#[test]
fn a_forgotten_guard_locks_for_ever() {
    let mutex = Mutex::new(());
    mem::forget(mutex.lock());
    assert!(mutex.try_lock().is_err());
    run_virtual(|| {
        let cut = giambio::skip_after(crate::secs(5), |_| drop(mutex.lock_interruptibly()));
        assert!(cut.is_none());
        assert!(mutex.try_lock().is_err());
    });
}

#[test]
fn its_value_is_dropped_once_and_lent_and_given_back() {
    let count = Rc::new(Cell::new(0));
    struct Counted(Rc<Cell<i32>>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let mut mutex = Mutex::new(Counted(Rc::clone(&count)));
    *mutex.get_mut().unwrap() = Counted(Rc::clone(&count));
    assert_eq!(count.get(), 1);
    let inner = mutex.into_inner().unwrap();
    assert_eq!(count.get(), 1);
    drop(Mutex::from(inner));
    assert_eq!(count.get(), 2);
    assert!(Mutex::<Vec<i32>>::default().into_inner().unwrap().is_empty());
}

#[test]
fn it_may_guard_what_has_no_size() {
    let mutex: &Mutex<[i32]> = &Mutex::new([1, 2, 3]);
    {
        let mut numbers = mutex.lock().unwrap();
        numbers[0] = 4;
        numbers[2] = 5;
    }
    assert_eq!(*mutex.lock().unwrap(), [4, 2, 5]);
}

static STATIC: Mutex<Vec<u8>> = Mutex::new(Vec::new());

#[test]
fn a_static_one_serves_tasks_and_threads() {
    let threads: Vec<_> = (0..4_u8)
        .map(|number| {
            thread::spawn(move || {
                STATIC.lock().unwrap().push(number);
                giambio::run(|| STATIC.lock().unwrap().push(number));
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let mut numbers = STATIC.lock().unwrap().clone();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 0, 1, 1, 2, 2, 3, 3]);
}

#[test]
fn outside_of_run_a_lock_blocks_its_thread() {
    let mutex = Mutex::new(0);
    let guard = mutex.lock();
    blocks_its_thread(|| *mutex.lock().unwrap() += 1, || drop(guard));
    let guard = mutex.lock();
    blocks_its_thread(|| *mutex.lock().unwrap() += 1, || giambio::run(|| drop(guard)));
    assert_eq!(*mutex.lock().unwrap(), 2);
}

#[test]
fn two_runtimes_and_a_thread_hand_it_around() {
    let (mutex, turns) = (Mutex::new(0), 300);
    let add = || {
        for _ in 0..turns {
            let mut guard = mutex.lock().unwrap();
            let before = *guard;
            thread::yield_now();
            *guard = before + 1;
        }
    };
    thread::scope(|threads| {
        for _ in 0..2 {
            threads
                .spawn(|| giambio::run(|| pool(|pool| drop([pool.spawn(add), pool.spawn(add)]))));
        }
        threads.spawn(add);
    });
    assert_eq!(mutex.into_inner().unwrap(), 5 * turns);
}

#[test]
fn an_unlock_wakes_a_task_of_another_runtime() {
    let mutex = Mutex::new(0);
    let (tell, told) = mpsc::channel();
    let guard = mutex.lock().unwrap();
    thread::scope(|threads| {
        threads.spawn(|| {
            giambio::run(|| {
                pool(|pool| {
                    pool.spawn(|| *mutex.lock().unwrap() += 1);
                    yield_now();
                    tell.send(()).unwrap(); // it waits
                });
            });
        });
        told.recv().unwrap();
        drop(guard);
    });
    assert_eq!(mutex.into_inner().unwrap(), 1);
}
