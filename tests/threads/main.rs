//! `giambio::thread`: the behaviour of its threads, seen from outside, and beside std's.

mod builder;
mod identity;
mod join;
mod park;
mod patience;
mod ported;
mod scope;
mod scope_ends;
mod scope_remote;
mod shutdown;
mod shutdown_states;
mod spawn;
mod surface;

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::Once;
use std::sync::PoisonError;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Milliseconds.
pub(crate) fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Seconds.
pub(crate) fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// What happened, in order, on whatever thread.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn add(&self, entry: impl Into<String>) {
        self.entries().push(entry.into());
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[track_caller]
    pub(crate) fn assert(&self, expected: &[&str]) {
        assert_eq!(*self.entries(), expected);
    }
}

/// Counts the drops of what carries it.
#[derive(Clone, Default)]
pub(crate) struct Drops(Arc<AtomicUsize>);

impl Drops {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// A value whose drop is counted.
    pub(crate) fn one(&self) -> CountedDrop {
        CountedDrop(self.clone())
    }
}

/// See [`Drops::one`].
pub(crate) struct CountedDrop(Drops);

impl Drop for CountedDrop {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Calls a closure when it is dropped.
pub(crate) struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> OnDrop<F> {
    pub(crate) fn new(f: F) -> Self {
        Self(Some(f))
    }
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(|f| f());
    }
}

/// Panics without the message that the panic hook would print.
pub(crate) fn fail(text: &'static str) -> ! {
    resume_unwind(Box::new(text))
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

/// Whether a `join` says that the thread was cancelled.
#[track_caller]
pub(crate) fn is_cancelled<T>(joined: giambio::thread::Result<T>) -> bool {
    let Err(payload) = joined else { return false };
    let error = payload.downcast::<giambio::JoinError>().expect("a JoinError");
    error.is_cancelled()
}

/// The lines that were logged, by every test of the process, and contain `part`.
///
/// The first call, before anything is logged, switches the log on. Tests find their own lines by the
/// names of their threads.
pub(crate) fn logged(part: &str) -> Vec<String> {
    static SWITCHED_ON: Once = Once::new();
    SWITCHED_ON.call_once(|| {
        log::set_logger(&Lines).expect("the tests have one logger");
        log::set_max_level(log::LevelFilter::Trace);
    });
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    lines.iter().filter(|line| line.contains(part)).cloned().collect()
}

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Keeps what is logged, as `LEVEL: message`.
struct Lines;

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!("{}: {}", record.level(), record.args());
        LINES.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    fn flush(&self) {}
}
