//! Start: a task that says when it is ready.
//!
//! Layer 6. Imports: pool's own files, park, wait_queue, task. Never: what the task does.

use super::Pool;
use super::Task;
use super::TaskBuilder;
use super::combine::raise_for_want_of_a_value;
use crate::hooks::WaitReason;
use crate::park;
use crate::park::Running;
use crate::task::Abort;
use crate::task::waiters::Waiters;
use crate::wait_queue;
use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

/// What a starting task reports through, and where its starter waits.
struct Report<V> {
    value: Cell<Option<V>>,
    state: Cell<State>,
    starter: Waiters,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Starting,
    Reported,
    /// The task has ended.
    Over,
}

impl<V> Report<V> {
    fn set(&self, state: State) {
        self.state.set(state);
        self.starter.claim_first().into_iter().for_each(|core| park::queue_here(core));
    }
}

/// A task's way to say that it is ready: see [`Pool::start`].
pub struct Started<V> {
    report: Rc<Report<V>>,
}

impl<V> Started<V> {
    /// Has `start` return with `value`. Never parks.
    ///
    /// If `start` was cancelled meanwhile the value is dropped, and so is the task cancelled.
    pub fn report(self, value: V) {
        self.report.value.set(Some(value));
        self.report.set(State::Reported);
    }
}

impl<V> fmt::Debug for Started<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Started").finish_non_exhaustive()
    }
}

/// Tells the starter, on drop, that the task will report no more.
struct Ending<V>(Rc<Report<V>>);

impl<V> Drop for Ending<V> {
    fn drop(&mut self) {
        if self.0.state.get() == State::Starting {
            self.0.set(State::Over);
        }
    }
}

/// Cancels a task on drop: its starter was cut.
struct CancelOnDrop<'t, 'scope, T>(Option<&'t Task<'scope, T>>);

impl<T> Drop for CancelOnDrop<'_, '_, T> {
    fn drop(&mut self) {
        self.0.into_iter().for_each(Task::cancel);
    }
}

impl<'scope> Pool<'scope, '_> {
    /// Starts a task and waits until it has reported that it is ready: its report, and its handle.
    ///
    /// For servers: bind, report the address, serve. `f` calls [`Started::report`] once, and goes on. A
    /// task that ends without having reported fails the pool, with a panic that says so.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call. A cancelled `start` cancels the task too.
    ///
    /// # Panics
    ///
    /// If the task was cancelled before it had reported, or has failed where its failure does not cut the
    /// caller: under a shield, or if others are to finish. If no stack is to be had.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::net::{TcpListener, TcpStream};
    ///
    /// giambio::run(|| {
    ///     giambio::pool(|pool| {
    ///         let (address, server) = pool.start(|started| {
    ///             let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    ///             started.report(listener.local_addr().unwrap());
    ///             drop(listener.accept().unwrap());
    ///         });
    ///         TcpStream::connect(address).unwrap(); // it listens already
    ///         server.join().unwrap();
    ///     });
    /// });
    /// ```
    #[track_caller]
    pub fn start<V: 'scope, T: 'scope>(
        &'scope self,
        f: impl FnOnce(Started<V>) -> T + 'scope,
    ) -> (V, Task<'scope, T>) {
        TaskBuilder::new().start(self, f)
    }
}

impl TaskBuilder {
    /// Starts a task in `pool` and waits until it is ready: see [`Pool::start`].
    ///
    /// # Cancellation
    ///
    /// As for [`Pool::start`].
    ///
    /// # Panics
    ///
    /// As for [`Pool::start`] and [`spawn`](Self::spawn).
    #[track_caller]
    pub fn start<'scope, 'env, V: 'scope, T: 'scope>(
        self,
        pool: &'scope Pool<'scope, 'env>,
        f: impl FnOnce(Started<V>) -> T + 'scope,
    ) -> (V, Task<'scope, T>) {
        let me = park::current_for("`start`");
        me.checkpoint();
        let (value, state) = (Cell::new(None), Cell::new(State::Starting));
        let report = Rc::new(Report { value, state, starter: Waiters::new() });
        let ending = Ending(Rc::clone(&report));
        let task = self.spawn(pool, move || {
            let value = f(Started { report: Rc::clone(&ending.0) });
            let reported = ending.0.state.get() == State::Reported;
            assert!(reported, "a task that was started ended without having reported");
            value
        });
        let mut cut = CancelOnDrop(Some(&task));
        if report.state.get() == State::Starting {
            me.raise_if_pending(); // the debugger, told of the spawn, may have cancelled us
            wait_queue::wait(me, &report.starter, None, WaitReason::Start, Abort::Now);
        }
        let value = report.value.take();
        if value.is_some() {
            cut.0 = None;
        }
        drop(cut);
        match value {
            Some(value) => (value, task),
            None => without_a_report(me, task),
        }
    }
}

/// Raises or panics in place of a report that will not come.
#[track_caller]
fn without_a_report<T>(me: Running, task: Task<'_, T>) -> ! {
    // The task's failure may have cancelled the starter, which counts for more than what follows.
    me.checkpoint();
    raise_for_want_of_a_value(me);
    task.wait(me); // all that is left of it are a few steps of ours
    let name = task.name();
    match task.take() {
        Err(error) if error.is_cancelled() => {
            panic!("task '{name}' was cancelled before it had reported")
        }
        _ => panic!("task '{name}' failed before it had reported"),
    }
}
