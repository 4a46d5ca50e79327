//! A world of both: the main one is a task, and of its workers every second is a thread.

pub(crate) use crate::threads::assert_took;
pub(crate) use crate::threads::settle;
use crate::until;
use giambio::Pool;
use giambio::Task;
use giambio::pool;
use std::cell::Cell;
use std::fmt;
use std::thread;
use std::thread::Scope;
use std::thread::ScopedJoinHandle;

/// How many workers make a crowd.
pub(crate) const MANY: usize = 50;

/// Plays a test, beginning with a task and with a thread.
pub(crate) fn run(body: impl Fn()) {
    for first in [Kind::Task, Kind::Thread] {
        NEXT.set(first);
        giambio::run(&body);
    }
}

thread_local! {
    static NEXT: Cell<Kind> = const { Cell::new(Kind::Task) };
}

/// What the next worker is to be.
#[derive(Clone, Copy)]
enum Kind {
    Task,
    Thread,
}

/// Starts workers; all have ended when `body` has.
pub(crate) fn scope<'env, T>(
    body: impl for<'long, 'short> FnOnce(&Workers<'long, 'short, 'env>) -> T,
) -> T {
    // When the threads are waited for, the tasks have all ended.
    thread::scope(|threads| pool(|tasks| body(&Workers { threads, tasks })))
}

pub(crate) struct Workers<'long, 'short, 'env> {
    threads: &'long Scope<'long, 'env>,
    tasks: &'short Pool<'short, 'long>,
}

impl<'long, 'short> Workers<'long, 'short, '_> {
    pub(crate) fn spawn<T: Send + 'long>(
        &self,
        f: impl FnOnce() -> T + Send + 'long,
    ) -> Worker<'long, 'short, T> {
        match NEXT.get() {
            Kind::Task => {
                NEXT.set(Kind::Thread);
                Worker::Task(self.tasks.spawn(f))
            }
            Kind::Thread => {
                NEXT.set(Kind::Task);
                Worker::Thread(self.threads.spawn(f))
            }
        }
    }
}

pub(crate) enum Worker<'long, 'short, T> {
    Task(Task<'short, T>),
    Thread(ScopedJoinHandle<'long, T>),
}

impl<T> Worker<'_, '_, T> {
    pub(crate) fn join(self) -> Result<T, Box<dyn fmt::Debug>> {
        match self {
            Self::Task(task) => task.join().map_err(|error| Box::new(error) as _),
            Self::Thread(thread) => {
                // The other tasks of this thread must run meanwhile.
                until(|| thread.is_finished());
                thread.join().map_err(|error| Box::new(error) as _)
            }
        }
    }
}
