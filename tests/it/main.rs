//! The behaviour of the runtime, seen from outside: one claim a test.

mod async_fd;
mod big_stack;
mod big_stack_cancel;
mod big_stack_places;
mod big_stack_unwind;
mod big_stack_waits;
mod calm;
mod canceller;
mod checkpoints;
mod clock;
mod combine;
mod combine_unwind;
mod copy;
mod cuts;
mod daemon;
mod deadline;
mod debugger;
mod drive;
mod drive_end;
mod drive_fd;
mod event;
mod event_threads;
mod explore;
mod happy_eyeballs;
mod idle_stacks;
mod io_names;
mod join;
mod leaks;
mod listen;
mod log_sink;
mod lowlevel;
mod map;
mod matrix;
mod names;
mod names_connect;
mod net_nonblocking;
mod net_surface;
mod net_timeouts;
mod offload;
mod offload_turns;
mod on_failure;
mod originals;
mod originals_channels;
mod originals_net;
mod panic;
mod pipe;
mod pool;
mod ported_pools;
mod ported_scopes;
mod ported_start;
mod ported_time;
mod process;
mod readable;
mod reason;
mod regressions;
mod robust;
mod robust_shared;
mod run;
mod scope;
mod seeds;
mod semaphore;
mod semaphore_size;
mod semaphore_threads;
mod sequencer;
mod serve;
mod serve_stop;
mod shield;
mod soak;
mod stack_usage;
mod start;
mod stress;
mod structure_wild;
mod sync_orders;
mod task;
mod task_builder;
mod task_local;
mod task_local_endings;
mod task_local_inheritance;
mod tcp;
mod tcp_cancel;
mod tcp_convert;
mod tcp_faults;
mod tcp_many;
mod tcp_partial;
mod tcp_shared;
mod threads;
mod timeout;
mod try_pool;
mod udp;
mod unix;
mod unix_connect;
mod unix_datagram;
mod unix_surface;
mod unwind;

use giambio::Pool;
use giambio::Task;
use giambio::TaskBuilder;
use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::sync::Mutex;
use std::sync::Once;
use std::sync::PoisonError;
use std::time::Duration;

/// Milliseconds.
pub(crate) fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

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

    pub(crate) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    pub(crate) fn take(&self) -> Vec<String> {
        self.0.take()
    }

    #[track_caller]
    pub(crate) fn assert(&self, expected: &[&str]) {
        assert_eq!(*self.0.borrow(), expected);
    }
}

/// Counts the drops of what carries it.
#[derive(Clone, Default)]
pub(crate) struct Drops(std::rc::Rc<std::cell::Cell<usize>>);

impl Drops {
    pub(crate) fn count(&self) -> usize {
        self.0.get()
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
        self.0.0.set(self.0.count() + 1);
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

/// Sleeps for so many seconds, and says how many.
pub(crate) fn nap(seconds: u64) -> u64 {
    giambio::sleep(secs(seconds));
    seconds
}

/// Fails after so many seconds; after none, when everybody else who can run has gone first.
pub(crate) fn fail_after(seconds: u64, text: &'static str) -> ! {
    giambio::sleep(secs(seconds));
    fail(text)
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

/// Uses up `bytes` of the stack, and returns how many it has used.
pub(crate) fn dig(bytes: usize) -> usize {
    #[inline(never)]
    fn deeper(top: usize, bytes: usize) -> usize {
        let room = std::hint::black_box([0_u8; 1024]);
        let used = top - room.as_ptr().addr();
        // The sum keeps the call from becoming a loop.
        if used < bytes { deeper(top, bytes) + usize::from(room[1]) } else { used }
    }
    let top = 0_u8;
    deeper((&raw const top).addr(), bytes)
}

/// How long `f` takes by the runtime's clock.
pub(crate) fn elapsed(f: impl FnOnce()) -> Duration {
    let start = giambio::clock();
    f();
    giambio::clock() - start
}

/// The lines that were logged, by every test of the process, and contain `part`.
///
/// The first call, before anything is logged, switches the log on. Tests find their own lines by the
/// names of their tasks.
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
