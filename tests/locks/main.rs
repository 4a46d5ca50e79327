//! Locks and what else tasks synchronise by, with std's names: one claim a test.

mod condvar;
mod condvar_ends;
mod mutex;
mod mutex_waits;
mod poison;
mod poison_of_others;
mod rwlock;
mod rwlock_waits;
mod stress;
mod surface;
mod unwind;

use giambio::Pool;
use giambio::Task;
use giambio::TaskBuilder;
use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Seconds.
pub(crate) fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// What happened, in order.
#[derive(Default)]
pub(crate) struct Log(RefCell<Vec<String>>);

impl Log {
    pub(crate) fn add(&self, entry: impl Into<String>) {
        self.0.borrow_mut().push(entry.into());
    }

    pub(crate) fn take(&self) -> Vec<String> {
        self.0.take()
    }

    #[track_caller]
    pub(crate) fn assert(&self, expected: &[&str]) {
        assert_eq!(*self.0.borrow(), expected);
    }
}

/// Starts a task with a name of its own.
pub(crate) fn named<'scope, T: 'scope>(
    pool: &'scope Pool<'scope, '_>,
    name: &str,
    f: impl FnOnce() -> T + 'scope,
) -> Task<'scope, T> {
    TaskBuilder::new().name(name.into()).spawn(pool, f)
}

/// Panics without the message that the panic hook would print.
pub(crate) fn fail(text: &'static str) -> ! {
    resume_unwind(Box::new(text))
}

/// How long `f` takes by the runtime's clock.
pub(crate) fn elapsed(f: impl FnOnce()) -> Duration {
    let start = giambio::clock();
    f();
    giambio::clock() - start
}

/// The text of the panic in which `f` ends.
#[track_caller]
pub(crate) fn panic_of<T>(f: impl FnOnce() -> T) -> String {
    let Err(payload) = catch_unwind(AssertUnwindSafe(f)) else { panic!("nothing panicked") };
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => match payload.downcast::<&str>() {
            Ok(text) => (*text).into(),
            Err(_) => panic!("a payload that is no text"),
        },
    }
}

/// Whether a cancellation is raised in `f`; it is swallowed.
pub(crate) fn raised<T>(f: impl FnOnce() -> T) -> bool {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(_) => false,
        Err(payload) if payload.is::<&str>() || payload.is::<String>() => resume_unwind(payload),
        Err(_) => true,
    }
}

/// Runs `call` on a plain thread, checks that it blocks there, and that it ends after `unblock`.
#[track_caller]
pub(crate) fn blocks_its_thread<T: Send>(
    call: impl FnOnce() -> T + Send,
    unblock: impl FnOnce(),
) -> T {
    let (tell, told) = mpsc::channel();
    thread::scope(|threads| {
        let caller = threads.spawn(move || {
            // SAFETY: gettid(2) takes nothing and cannot fail.
            tell.send(unsafe { libc::gettid() }).unwrap();
            call()
        });
        until_asleep(told.recv().unwrap());
        assert!(!caller.is_finished());
        unblock();
        caller.join().unwrap()
    })
}

/// Returns when a thread of this process sleeps in the kernel.
fn until_asleep(thread: libc::pid_t) {
    let path = format!("/proc/self/task/{thread}/stat");
    loop {
        let stat = std::fs::read_to_string(&path).expect("the thread is alive");
        let (_, state) = stat.rsplit_once(") ").expect("a name and a state");
        if state.starts_with('S') {
            return;
        }
        thread::yield_now();
    }
}
