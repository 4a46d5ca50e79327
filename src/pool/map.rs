//! Map: a closure over many items, so many at a time.
//!
//! Layer 6. Imports: pool's own files, park, wait_queue, task. Never: what the closure does.

use super::JoinError;
use super::Pool;
use super::Task;
use super::TaskBuilder;
use crate::hooks::WaitReason;
use crate::park;
use crate::task::Abort;
use crate::task::waiters::Waiters;
use crate::wait_queue;
use slab::Slab;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::iter::Fuse;
use std::panic::Location;
use std::rc::Rc;

impl<'scope, 'env> Pool<'scope, 'env> {
    /// Calls `f` with each item in a task of its own, at most `limit` at a time; the values come in the
    /// order of the items.
    ///
    /// The iterator is lazy: each `next` starts as many tasks as there is room for, and takes an item
    /// from `items` only then, so `items` may be endless, or wait. A value that was not asked for yet
    /// takes up room. A panic in `f` fails the pool; dropping the iterator cancels the tasks whose
    /// values it still owes.
    ///
    /// # Cancellation
    ///
    /// Each `next` is a checkpoint, before it starts anything. A cancelled one has taken nothing: the value
    /// keeps its place.
    ///
    /// # Panics
    ///
    /// If `limit` is 0. `next` panics if no stack is to be had.
    ///
    /// # Examples
    ///
    /// ```
    /// let pages = ["a", "bb", "ccc"];
    /// let sizes: Result<Vec<usize>, _> = giambio::run(|| {
    ///     giambio::pool(|pool| pool.map(pages, 2, |page| page.len()).collect())
    /// });
    /// assert_eq!(sizes.unwrap(), [1, 2, 3]);
    /// ```
    #[track_caller]
    pub fn map<I, F, T>(
        &'scope self,
        items: I,
        limit: usize,
        f: F,
    ) -> Map<'scope, 'env, I::IntoIter, F, T>
    where
        I: IntoIterator,
        I::Item: 'scope,
        F: Fn(I::Item) -> T + 'scope,
        T: 'scope,
    {
        Map { source: Source::new(self, items, limit, f), tasks: VecDeque::new() }
    }

    /// Like [`map`](Self::map), with each value as soon as there is one.
    ///
    /// # Cancellation
    ///
    /// As for [`map`](Self::map).
    ///
    /// # Panics
    ///
    /// As for [`map`](Self::map).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let order: Vec<u64> = giambio::testing::run_virtual(|| {
    ///     giambio::pool(|pool| {
    ///         let nap = |seconds| { giambio::sleep(Duration::from_secs(seconds)); seconds };
    ///         pool.map_unordered([3, 1, 2], 3, nap).map(Result::unwrap).collect()
    ///     })
    /// });
    /// assert_eq!(order, [1, 2, 3]);
    /// ```
    #[track_caller]
    pub fn map_unordered<I, F, T>(
        &'scope self,
        items: I,
        limit: usize,
        f: F,
    ) -> MapUnordered<'scope, 'env, I::IntoIter, F, T>
    where
        I: IntoIterator,
        I::Item: 'scope,
        F: Fn(I::Item) -> T + 'scope,
        T: 'scope,
    {
        let source = Source::new(self, items, limit, f);
        let ended = Ended { keys: RefCell::default(), waiter: Waiters::new() };
        MapUnordered { source, tasks: Slab::new(), ended: Rc::new(ended) }
    }
}

/// Where tasks come from.
struct Source<'scope, 'env, I, F> {
    pool: &'scope Pool<'scope, 'env>,
    items: Fuse<I>,
    limit: usize,
    f: Rc<F>,
    /// The place that the tasks are named after.
    place: &'static Location<'static>,
}

impl<'scope, 'env, I: Iterator, F> Source<'scope, 'env, I, F> {
    #[track_caller]
    fn new(
        pool: &'scope Pool<'scope, 'env>,
        items: impl IntoIterator<IntoIter = I>,
        limit: usize,
        f: F,
    ) -> Self {
        assert!(limit > 0, "a map with a limit of 0 would never start a task");
        let items = items.into_iter().fuse();
        Self { pool, items, limit, f: Rc::new(f), place: Location::caller() }
    }

    /// Starts a task for the next item, if `running` leaves room for one and there is an item; the task
    /// drops `ending` at its end.
    fn start<T>(
        &mut self,
        running: usize,
        ending: impl FnOnce() -> Ending,
    ) -> Option<Task<'scope, T>>
    where
        I::Item: 'scope,
        F: Fn(I::Item) -> T + 'scope,
        T: 'scope,
    {
        if running >= self.limit {
            return None;
        }
        let item = self.items.next()?;
        let (f, ending) = (Rc::clone(&self.f), ending());
        Some(TaskBuilder::at(self.place).spawn(self.pool, move || {
            let _ending = ending;
            f(item)
        }))
    }
}

/// The values of [`Pool::map`].
///
/// An item is an error if its task was cancelled, or has panicked and a shield kept that from here.
#[must_use = "an iterator does nothing until it is asked"]
pub struct Map<'scope, 'env, I, F, T> {
    source: Source<'scope, 'env, I, F>,
    tasks: VecDeque<Task<'scope, T>>,
}

impl<'scope, I, F, T> Iterator for Map<'scope, '_, I, F, T>
where
    I: Iterator,
    I::Item: 'scope,
    F: Fn(I::Item) -> T + 'scope,
    T: 'scope,
{
    type Item = Result<T, JoinError>;

    fn next(&mut self) -> Option<Self::Item> {
        let me = park::current_for("`next` on `map`");
        me.checkpoint();
        while let Some(task) = self.source.start(self.tasks.len(), || Ending(None)) {
            self.tasks.push_back(task);
        }
        let first = self.tasks.front()?;
        me.checkpoint(); // `items` may have waited. Cut here, the value keeps its place.
        first.wait(me);
        self.tasks.pop_front().map(Task::take)
    }
}

impl<I, F, T> Drop for Map<'_, '_, I, F, T> {
    fn drop(&mut self) {
        self.tasks.iter().for_each(Task::cancel);
    }
}

impl<I, F, T> fmt::Debug for Map<'_, '_, I, F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").field("running", &self.tasks.len()).finish_non_exhaustive()
    }
}

/// The keys of tasks that have ended, and who waits for one.
struct Ended {
    keys: RefCell<VecDeque<usize>>,
    waiter: Waiters,
}

/// Notes on drop that a task has come to its end, or never runs.
struct Ending(Option<(Rc<Ended>, usize)>);

impl Drop for Ending {
    fn drop(&mut self) {
        let Some((ended, key)) = self.0.take() else { return };
        ended.keys.borrow_mut().push_back(key);
        ended.waiter.claim_first().into_iter().for_each(|core| park::queue_here(core));
    }
}

/// The values of [`Pool::map_unordered`].
///
/// An item is an error if its task was cancelled, or has panicked and a shield kept that from here.
#[must_use = "an iterator does nothing until it is asked"]
pub struct MapUnordered<'scope, 'env, I, F, T> {
    source: Source<'scope, 'env, I, F>,
    tasks: Slab<Task<'scope, T>>,
    ended: Rc<Ended>,
}

impl<'scope, I, F, T> Iterator for MapUnordered<'scope, '_, I, F, T>
where
    I: Iterator,
    I::Item: 'scope,
    F: Fn(I::Item) -> T + 'scope,
    T: 'scope,
{
    type Item = Result<T, JoinError>;

    fn next(&mut self) -> Option<Self::Item> {
        let me = park::current_for("`next` on `map_unordered`");
        me.checkpoint();
        loop {
            let key = self.tasks.vacant_key();
            let ending = || Ending(Some((Rc::clone(&self.ended), key)));
            let Some(task) = self.source.start(self.tasks.len(), ending) else { break };
            self.tasks.insert(task);
        }
        if self.tasks.is_empty() {
            return None;
        }
        me.checkpoint(); // `items` may have waited
        if self.ended.keys.borrow().is_empty() {
            wait_queue::wait(me, &self.ended.waiter, None, WaitReason::MapNext, Abort::Now);
        }
        let key = *self.ended.keys.borrow().front()?;
        let first = &self.tasks[key];
        if !first.is_finished() {
            // What `f` owns may still wait in its destructor. Cut here, the value keeps its place.
            me.checkpoint();
        }
        first.wait(me);
        self.ended.keys.borrow_mut().pop_front();
        Some(self.tasks.remove(key).take())
    }
}

impl<I, F, T> Drop for MapUnordered<'_, '_, I, F, T> {
    fn drop(&mut self) {
        self.tasks.iter().for_each(|(_, task)| task.cancel());
    }
}

impl<I, F, T> fmt::Debug for MapUnordered<'_, '_, I, F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapUnordered").field("running", &self.tasks.len()).finish_non_exhaustive()
    }
}
