//! What they print.

use super::super::Facts;
use super::sync::*;
use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::time::Duration;

/// Poisons what `f` locks.
fn poison(f: impl FnOnce() -> Box<dyn Any>) {
    let failing = || {
        let _guard = f();
        resume_unwind(Box::new("on purpose"))
    };
    assert!(catch_unwind(AssertUnwindSafe(failing)).is_err());
}

fn fail() -> ! {
    resume_unwind(Box::new("on purpose"))
}

pub(in super::super) fn debug(facts: &mut Facts) {
    let mutex: &'static Mutex<i32> = Box::leak(Box::new(Mutex::new(5)));
    facts.note("free", mutex);
    let guard = mutex.lock().unwrap();
    facts.note("locked", mutex);
    facts.note("guard", (&guard, format!("{guard}")));
    drop(guard);
    poison(|| Box::new(mutex.lock()));
    facts.note("poisoned", mutex);
    facts.note("poisoned and locked", (mutex.lock(), mutex));
    facts.note("pretty", format!("{mutex:#?}"));
    let lock: &'static RwLock<i32> = Box::leak(Box::new(RwLock::new(5)));
    facts.note("free", lock);
    let guard = lock.read().unwrap();
    facts.note("read", (lock, &guard, format!("{guard}")));
    drop(guard);
    let guard = lock.write().unwrap();
    facts.note("written", (lock, &guard, format!("{guard}")));
    drop(guard);
    poison(|| Box::new(lock.write()));
    facts.note("poisoned", (lock, lock.read(), lock.try_write()));
    let changed = Condvar::new();
    let free = Mutex::new(());
    let (guard, result) =
        changed.wait_timeout(free.lock().unwrap(), Duration::from_millis(1)).unwrap();
    facts.note("condvar", (&changed, &guard, result));
    let barrier = Barrier::new(1);
    facts.note("barrier", (&barrier, barrier.wait()));
    let once = Once::new();
    once.call_once_force(|state| facts.note("state", state));
    facts.note("once", &once);
    let cell = OnceLock::new();
    facts.note("cell", cell.clone());
    cell.set("value").unwrap();
    facts.note("cell", (&cell, cell.clone()));
    let lazy = LazyLock::new(|| 5);
    facts.note("lazy", &lazy);
    assert_eq!(*lazy, 5);
    facts.note("lazy", &lazy);
    facts.note("unsized", &*Box::new(Mutex::new([1, 2])) as &Mutex<[i32]>);
}

/// The text of the panic in which `f` ends.
fn panic_of(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).unwrap_err();
    let text = payload.downcast_ref::<&str>().copied();
    text.or(payload.downcast_ref::<String>().map(String::as_str)).unwrap().into()
}

pub(in super::super) fn errors(facts: &mut Facts) {
    let mutex: &'static Mutex<i32> = Box::leak(Box::new(Mutex::new(5)));
    let guard = mutex.lock();
    facts.note("would block", mutex.try_lock().unwrap_err().to_string());
    drop(guard);
    poison(|| Box::new(mutex.lock()));
    facts.note("poisoned", mutex.lock().unwrap_err().to_string());
    facts.note("poisoned", mutex.try_lock().unwrap_err().to_string());
    facts.note("unwrapped", panic_of(|| drop(mutex.lock().unwrap())));
    let once = Once::new();
    assert!(catch_unwind(|| once.call_once(|| fail())).is_err());
    facts.note("once", panic_of(|| once.call_once(|| ())));
    facts.note("wait", panic_of(|| once.wait()));
    let lazy: LazyLock<i32> = LazyLock::new(|| fail());
    assert!(catch_unwind(|| LazyLock::force(&lazy)).is_err());
    facts.note("lazy", panic_of(|| assert_eq!(*lazy, 5)));
}
