//! What they do, as far as one thread can see it.

use super::super::Facts;
use super::sync::*;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

fn fails<T>(f: impl FnOnce() -> T) {
    let failing = || {
        let _kept = f();
        resume_unwind(Box::new("on purpose"))
    };
    assert!(catch_unwind(AssertUnwindSafe(failing)).is_err());
}

pub(in super::super) fn mutex(facts: &mut Facts) {
    let mut mutex = Mutex::from(1);
    *mutex.lock().unwrap() += 1;
    *mutex.get_mut().unwrap() += 1;
    facts.note("guarded", mutex.try_lock().map(|guard| *guard).ok());
    let guard = mutex.lock();
    facts.note("locked", mutex.try_lock().is_err());
    drop(guard);
    facts.note("inner", mutex.into_inner());
    facts.note("default", Mutex::<String>::default().into_inner());
}

pub(in super::super) fn rwlock(facts: &mut Facts) {
    let mut lock = RwLock::from(1);
    *lock.write().unwrap() += 1;
    *lock.get_mut().unwrap() += 1;
    let first = lock.read().unwrap();
    facts.note("read", (lock.try_read().is_ok(), lock.try_write().is_err(), *first));
    drop(first);
    let guard = lock.write().unwrap();
    facts.note("written", (lock.try_read().is_err(), lock.try_write().is_err()));
    let guard = RwLockWriteGuard::downgrade(guard);
    facts.note("downgraded", (lock.try_read().is_ok(), lock.try_write().is_err(), *guard));
    drop(guard);
    facts.note("inner", lock.into_inner());
}

pub(in super::super) fn poison(facts: &mut Facts) {
    let (mutex, lock) = (Mutex::new(1), RwLock::new(1));
    fails(|| lock.read());
    facts.note("a reader", lock.is_poisoned());
    fails(|| (mutex.lock(), lock.write()));
    facts.note("poisoned", (mutex.is_poisoned(), lock.is_poisoned()));
    facts.note("locks", (mutex.lock().is_err(), lock.read().is_err()));
    facts.note("locks", lock.write().is_err());
    // A guard that was taken in spite of it does not poison less or more.
    drop(mutex.lock().unwrap_or_else(PoisonError::into_inner));
    facts.note("still", mutex.is_poisoned());
    mutex.clear_poison();
    lock.clear_poison();
    facts.note("cleared", (mutex.lock().is_ok(), lock.read().is_ok()));
    let changed = Condvar::new();
    fails(|| mutex.lock());
    let guard = mutex.lock().unwrap_err().into_inner();
    facts.note("wait", changed.wait_timeout(guard, Duration::from_millis(1)).is_err());
    let guard = mutex.lock().unwrap_err().into_inner();
    facts.note("wait_while", changed.wait_while(guard, |_| false).is_ok());
}

pub(in super::super) fn once(facts: &mut Facts) {
    let once = Once::new();
    let mut runs = 0;
    facts.note("completed", once.is_completed());
    once.call_once(|| runs += 1);
    once.call_once(|| runs += 1);
    once.call_once_force(|_| runs += 1);
    once.wait();
    once.wait_force();
    facts.note("runs", (runs, once.is_completed()));
    let poisoned = Once::new();
    let run = |f: fn()| catch_unwind(AssertUnwindSafe(|| poisoned.call_once(f))).is_err();
    facts.note("fails", run(|| resume_unwind(Box::new("on purpose"))));
    facts.note("was poisoned", (run(|| ()), poisoned.is_completed()));
    let force = || poisoned.call_once_force(|_| resume_unwind(Box::new("on purpose")));
    facts.note("fails again", catch_unwind(AssertUnwindSafe(force)).is_err());
    poisoned.call_once_force(|state| facts.note("poisoned", state.is_poisoned()));
    facts.note("healed", (run(|| ()), poisoned.is_completed()));
}

pub(in super::super) fn once_lock(facts: &mut Facts) {
    let mut cell = OnceLock::new();
    facts.note("empty", (cell.get(), cell == OnceLock::default()));
    let failing = || cell.get_or_init(|| resume_unwind(Box::new("on purpose")));
    facts.note("fails", catch_unwind(AssertUnwindSafe(failing)).is_err());
    facts.note("still empty", cell.get());
    facts.note("made", cell.get_or_init(|| 1));
    facts.note("not made again", (cell.get_or_init(|| 2), cell.set(3), cell.wait()));
    *cell.get_mut().unwrap() += 10;
    facts.note("clone", (cell.clone() == cell, cell == OnceLock::from(12)));
    facts.note("taken", (cell.take(), cell.take()));
    facts.note("set", (cell.set(4), cell.set(5)));
    facts.note("inner", (cell.into_inner(), OnceLock::<u8>::new().into_inner()));
}

pub(in super::super) fn lazy_lock(facts: &mut Facts) {
    let mut runs = 0;
    let mut lazy = LazyLock::new(|| {
        runs += 1;
        runs
    });
    facts.note("not made", LazyLock::get(&lazy));
    facts.note("not made", LazyLock::get_mut(&mut lazy));
    facts.note("made", (*lazy, *LazyLock::force(&lazy), LazyLock::get(&lazy)));
    *lazy += 10;
    *LazyLock::force_mut(&mut lazy) += 10;
    facts.note("changed", (LazyLock::get_mut(&mut lazy).copied(), *lazy));
    facts.note("default", LazyLock::<String>::default().len());
    let mut poisoned: LazyLock<i32> = LazyLock::new(|| resume_unwind(Box::new("on purpose")));
    for _ in 0..2 {
        let force = || *LazyLock::force(&poisoned);
        facts.note("fails", catch_unwind(AssertUnwindSafe(force)).is_err());
    }
    facts.note("poisoned", (LazyLock::get(&poisoned), &poisoned));
    let force_mut = || *LazyLock::force_mut(&mut poisoned);
    facts.note("fails", catch_unwind(AssertUnwindSafe(force_mut)).is_err());
}

pub(in super::super) fn condvar(facts: &mut Facts) {
    let (mutex, changed) = (Mutex::new(0), Condvar::new());
    changed.notify_one();
    changed.notify_all();
    let moment = Duration::from_millis(1);
    let lock = || mutex.lock().unwrap();
    let (guard, result) = changed.wait_timeout(lock(), moment).unwrap();
    facts.note("wait_timeout", (*guard, result.timed_out()));
    drop(guard);
    let (guard, result) = changed.wait_timeout_while(lock(), moment, |_| true).unwrap();
    facts.note("wait_timeout_while", (*guard, result.timed_out()));
    drop(guard);
    let result = changed.wait_timeout_while(lock(), moment, |_| false).unwrap().1;
    facts.note("wait_timeout_while", result.timed_out());
    #[expect(deprecated, reason = "it is there")]
    let was_notified = changed.wait_timeout_ms(lock(), 1).unwrap().1;
    facts.note("wait_timeout_ms", was_notified);
    let guard = changed
        .wait_while(lock(), |count| {
            *count += 1;
            false
        })
        .unwrap();
    facts.note("wait_while", *guard);
    drop(guard);
    thread::scope(|threads| {
        threads.spawn(|| {
            for _ in 0..10 {
                *lock() += 1;
                changed.notify_all();
            }
        });
        let guard = changed.wait_while(lock(), |count| *count < 11).unwrap();
        facts.note("notified", *guard);
    });
}

pub(in super::super) fn barrier(facts: &mut Facts) {
    let one = Barrier::new(1);
    facts.note("one", (one.wait().is_leader(), one.wait().is_leader()));
    facts.note("none", Barrier::new(0).wait().is_leader());
    let three = Barrier::new(3);
    for round in 0..3 {
        let leaders = thread::scope(|threads| {
            let others = [(); 2].map(|()| threads.spawn(|| three.wait().is_leader()));
            let leads = three.wait().is_leader();
            others
                .into_iter()
                .map(|other| other.join().unwrap())
                .chain([leads])
                .filter(|&l| l)
                .count()
        });
        facts.note("leaders", (round, leaders));
    }
}
