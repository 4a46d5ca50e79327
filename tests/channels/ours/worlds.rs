//! Two worlds in one: workers are plain threads, or tasks; these in the order and time of a program, on a
//! virtual clock, and there in other orders.
//!
//! That it is one saves to compile the text twice.

use crate::threads;
use giambio::JoinError;
use giambio::Pool;
use giambio::Task;
use giambio::testing;
use std::any::Any;
use std::cell::Cell;
use std::thread;
use std::time::Duration;

/// Orders in which the tasks are run, beside that of a program.
const SEEDS: u64 = 4;

/// Where the workers of this thread's test are. Other threads are plain ones, and tasks change no thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum World {
    Threads,
    Tasks,
    /// Where time passes only when everybody waits.
    TasksOnVirtualTime,
}

thread_local! {
    static WORLD: Cell<World> = const { Cell::new(World::Threads) };
}

/// Plays a test.
pub(crate) fn run(body: impl Fn()) {
    WORLD.set(World::Threads);
    threads::run(&body);
    WORLD.set(World::Tasks);
    giambio::run(&body);
    WORLD.set(World::TasksOnVirtualTime);
    testing::run_virtual(&body);
    testing::explore(0..SEEDS, body);
}

/// How many workers make a crowd.
pub(crate) fn many() -> usize {
    if WORLD.get() == World::Threads { threads::many() } else { 10_000 }
}

/// Lets the others come to where they wait.
pub(crate) fn settle() {
    if WORLD.get() == World::Threads { threads::settle() } else { testing::settle() }
}

/// On a virtual clock a wait takes what it should and nothing more.
#[track_caller]
pub(crate) fn assert_took(took: Duration, expected: Duration) {
    if WORLD.get() == World::TasksOnVirtualTime {
        assert_eq!(took, expected);
    } else {
        threads::assert_took(took, expected);
    }
}

/// Starts workers, and waits for all of them.
pub(crate) fn scope<'env, T>(f: impl for<'s> FnOnce(Scope<'s, 'env>) -> T) -> T {
    if WORLD.get() == World::Threads {
        thread::scope(|scope| f(Scope::Threads(scope)))
    } else {
        giambio::pool(|pool| f(Scope::Tasks(pool)))
    }
}

#[derive(Clone, Copy)]
pub(crate) enum Scope<'scope, 'env> {
    Threads(&'scope thread::Scope<'scope, 'env>),
    Tasks(&'scope Pool<'scope, 'env>),
}

impl<'scope> Scope<'scope, '_> {
    #[track_caller]
    pub(crate) fn spawn<T: Send + 'scope>(
        self,
        f: impl FnOnce() -> T + Send + 'scope,
    ) -> Worker<'scope, T> {
        match self {
            Self::Threads(scope) => Worker::Thread(scope.spawn(f)),
            Self::Tasks(pool) => Worker::Task(pool.spawn(f)),
        }
    }
}

pub(crate) enum Worker<'scope, T> {
    Thread(thread::ScopedJoinHandle<'scope, T>),
    Task(Task<'scope, T>),
}

/// How a worker failed; who joins it only says that it should not have.
#[derive(Debug)]
#[expect(dead_code, reason = "it is printed")]
pub(crate) enum Failure {
    Thread(Box<dyn Any + Send>),
    Task(JoinError),
}

impl<T> Worker<'_, T> {
    pub(crate) fn join(self) -> Result<T, Failure> {
        match self {
            Self::Thread(thread) => thread.join().map_err(Failure::Thread),
            Self::Task(task) => task.join().map_err(Failure::Task),
        }
    }

    pub(crate) fn is_finished(&self) -> bool {
        match self {
            Self::Thread(thread) => thread.is_finished(),
            Self::Task(task) => task.is_finished(),
        }
    }
}
