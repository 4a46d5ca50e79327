//! Rows of the matrix: locks and what else has std's names.
//!
//! A lock is had by what another task has locked, or a call before; a call is done when that is dropped.

use super::Case;
use super::Test;
use crate::secs;
use giambio::pool;
use giambio::sync::Condvar;
use giambio::sync::Event;
use giambio::sync::Mutex;
use giambio::sync::MutexGuard;
use giambio::sync::Once;
use giambio::sync::OnceLock;
use giambio::sync::RwLock;
use giambio::sync::RwLockWriteGuard;
use giambio::yield_now;
use std::cell::Cell;
use std::cell::RefCell;

matrix!(Virtual: mutex_lock_interruptibly, mutex_lock_timeout);
matrix!(Virtual: rwlock_read_interruptibly, rwlock_read_timeout);
matrix!(Virtual: rwlock_write_interruptibly, rwlock_write_timeout);
matrix!(Virtual: condvar_wait, condvar_wait_timeout, once_lock_wait);
matrix!(Virtual, mutex_lock is no checkpoint);
matrix!(Virtual, rwlock_read is no checkpoint);
matrix!(Virtual, rwlock_write is no checkpoint);
matrix!(Virtual, once_call is no checkpoint);
matrix!(Virtual, once_lock_get_or_init is no checkpoint);

/// Those that several tasks may make at once.
mod by_two {
    matrix!(Virtual, of several tasks at once: mutex_lock_interruptibly, mutex_lock_timeout);
    matrix!(Virtual, of several tasks at once: rwlock_write_interruptibly, condvar_wait);
}

type Lock = for<'m> fn(&'m Mutex<()>) -> MutexGuard<'m, ()>;

fn mutex_lock(test: Test<'_>) {
    locking(test, |mutex| mutex.lock().unwrap());
}

fn mutex_lock_interruptibly(test: Test<'_>) {
    locking(test, |mutex| mutex.lock_interruptibly().unwrap());
}

fn mutex_lock_timeout(test: Test<'_>) {
    locking(test, |mutex| mutex.lock_timeout(secs(1000)).unwrap());
}

fn locking(test: Test<'_>, lock: Lock) {
    let (mutex, guards, unlocks) = (Mutex::new(()), RefCell::new(Vec::new()), Cell::new(0));
    // By another task: who asks for its own lock is told so.
    let first = pool(|pool| pool.spawn(|| mutex.lock().unwrap()).join().unwrap());
    guards.borrow_mut().push(first);
    let call = || {
        let guard = lock(&mutex);
        guards.borrow_mut().push(guard);
    };
    let complete = || {
        drop(guards.borrow_mut().pop());
        unlocks.set(unlocks.get() + 1);
    };
    let effects = || unlocks.get() - usize::from(mutex.try_lock().is_ok());
    test(&Case::new(&call).ends_when(&complete).has(&effects));
    assert!(!mutex.is_poisoned());
}

type Write = for<'l> fn(&'l RwLock<()>) -> RwLockWriteGuard<'l, ()>;

fn rwlock_write(test: Test<'_>) {
    writing(test, |lock| lock.write().unwrap());
}

fn rwlock_write_interruptibly(test: Test<'_>) {
    writing(test, |lock| lock.write_interruptibly().unwrap());
}

fn rwlock_write_timeout(test: Test<'_>) {
    writing(test, |lock| lock.write_timeout(secs(1000)).unwrap());
}

fn rwlock_read(test: Test<'_>) {
    writing(test, |lock| read_and_write(lock, || drop(lock.read().unwrap())));
}

fn rwlock_read_interruptibly(test: Test<'_>) {
    writing(test, |lock| read_and_write(lock, || drop(lock.read_interruptibly().unwrap())));
}

fn rwlock_read_timeout(test: Test<'_>) {
    writing(test, |lock| read_and_write(lock, || drop(lock.read_timeout(secs(1000)).unwrap())));
}

/// Reads, and keeps the lock from the next call.
fn read_and_write<'l>(lock: &'l RwLock<()>, read: impl FnOnce()) -> RwLockWriteGuard<'l, ()> {
    read();
    lock.try_write().expect("nobody else is there")
}

fn writing(test: Test<'_>, write: Write) {
    let (lock, guards, unlocks) = (RwLock::new(()), RefCell::new(Vec::new()), Cell::new(0));
    let first = pool(|pool| pool.spawn(|| lock.write().unwrap()).join().unwrap());
    guards.borrow_mut().push(first);
    let call = || {
        let guard = write(&lock);
        guards.borrow_mut().push(guard);
    };
    let complete = || {
        drop(guards.borrow_mut().pop());
        unlocks.set(unlocks.get() + 1);
    };
    let effects = || unlocks.get() - usize::from(lock.try_write().is_ok());
    test(&Case::new(&call).ends_when(&complete).has(&effects));
    assert!(!lock.is_poisoned());
}

fn condvar_wait(test: Test<'_>) {
    taking(test, |store, changed| {
        let things = store.lock().unwrap();
        *changed.wait_while(things, |things| *things == 0).unwrap() -= 1;
    });
}

fn condvar_wait_timeout(test: Test<'_>) {
    taking(test, |store, changed| {
        let things = store.lock().unwrap();
        let wait = changed.wait_timeout_while(things, secs(1000), |things| *things == 0);
        *wait.unwrap().0 -= 1;
    });
}

fn taking(test: Test<'_>, take: fn(&Mutex<usize>, &Condvar)) {
    let (store, changed, put) = (Mutex::new(0), Condvar::new(), Cell::new(0));
    let call = || take(&store, &changed);
    let complete = || {
        *store.lock().unwrap() += 1;
        changed.notify_one();
        put.set(put.get() + 1);
    };
    let effects = || put.get() - *store.try_lock().unwrap();
    test(&Case::new(&call).ends_when(&complete).has(&effects));
    assert!(!store.is_poisoned());
}

fn once_lock_wait(test: Test<'_>) {
    let cell = OnceLock::new();
    let complete = || _ = cell.get_or_init(|| 7);
    test(&Case::new(&|| assert_eq!(*cell.wait(), 7)).ends_when(&complete));
}

/// Another task is in the middle of the initialisation.
fn once_call(test: Test<'_>) {
    let (once, go_on) = (Once::new(), Event::<()>::new());
    pool(|pool| {
        pool.spawn(|| once.call_once(|| go_on.wait()));
        yield_now();
        let complete = || super::sync::trigger(&go_on);
        let call = || once.call_once(|| unreachable!("it is running"));
        test(&Case::new(&call).ends_when(&complete));
        complete();
    });
}

fn once_lock_get_or_init(test: Test<'_>) {
    let (cell, go_on) = (OnceLock::new(), Event::<()>::new());
    let make = || {
        go_on.wait();
        7
    };
    pool(|pool| {
        pool.spawn(|| *cell.get_or_init(make));
        yield_now();
        let complete = || super::sync::trigger(&go_on);
        let call = || assert_eq!(*cell.get_or_init(|| unreachable!("it is running")), 7);
        test(&Case::new(&call).ends_when(&complete));
        complete();
    });
}
