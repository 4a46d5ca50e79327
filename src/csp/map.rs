//! Map: a closure over the items of a channel, so many at a time.
//!
//! Layer 7. Imports: channel, pool, unblock. Never: what the closure does.
//!
//! The workers of an ordered map stand in a ring, and two turns go round it: that to take an item, and that
//! to give a value. So each gives in the order in which it took, and who is done with an item takes the next
//! one only when its value was received: no more items are on their way than there are workers. Rejected: a
//! queue of the values that are not due yet, which would need a limit of its own.

use super::stage::Next;
use super::stage::next;
use crate::channel::Receiver;
use crate::channel::Sender;
use crate::channel::bounded;
use crate::pool::Pool;
use crate::unblock::unblock;
use std::cell::RefCell;
use std::iter;
use std::rc::Rc;

/// Gives the values of `f` for the items of `input`, in the order of the items, computed by `workers`
/// tasks.
///
/// At most `workers` items are on their way: the next one is taken when the oldest value was received. A
/// slow one holds back the values behind it, and [`map_unordered`] does not. [`Pool::map`] is the same for an
/// iterator, with a task for each item.
///
/// When nobody receives any more, no item is taken, and what `f` has begun it finishes; the values are
/// dropped. To cut it short, cancel the pool.
///
/// # Cancellation
///
/// Never parks. The tasks end with their pool.
///
/// # Panics
///
/// If `workers` is 0, or no stack is to be had. A panic of `f` fails the pool.
///
/// # Examples
///
/// ```
/// use giambio::csp::{from_iter, map_ordered};
/// use std::time::Duration;
///
/// giambio::testing::run_virtual(|| {
///     let start = giambio::clock();
///     giambio::pool(|pool| {
///         let nap = |seconds| { giambio::sleep(Duration::from_secs(seconds)); seconds };
///         let naps = map_ordered(pool, from_iter(pool, [3, 1, 2], 0), 3, nap);
///         assert_eq!(naps.iter().collect::<Vec<_>>(), [3, 1, 2]);
///     });
///     assert_eq!(giambio::clock() - start, Duration::from_secs(3)); // all at the same time
/// });
/// ```
#[track_caller]
pub fn map_ordered<'scope, T: 'scope, U: 'scope>(
    pool: &'scope Pool<'scope, '_>,
    input: Receiver<T>,
    workers: usize,
    f: impl Fn(T) -> U + 'scope,
) -> Receiver<U> {
    assert_some(workers);
    let (sender, receiver) = bounded(0);
    let (intake, f) = (Intake::new(input), Rc::new(f));
    for (take, give) in ring(workers).zip(ring(workers)) {
        let (intake, output, f) = (intake.clone(), sender.clone(), Rc::clone(&f));
        pool.spawn(move || work_in_turn(&take, &give, &intake, &output, &*f));
    }
    receiver
}

/// Like [`map_ordered`], with each value as soon as there is one.
///
/// At most `workers` items are on their way.
///
/// # Cancellation
///
/// As for [`map_ordered`].
///
/// # Panics
///
/// As for [`map_ordered`].
///
/// # Examples
///
/// ```
/// use giambio::csp::{from_iter, map_unordered};
/// use std::time::Duration;
///
/// giambio::testing::run_virtual(|| {
///     giambio::pool(|pool| {
///         let nap = |seconds| { giambio::sleep(Duration::from_secs(seconds)); seconds };
///         let naps = map_unordered(pool, from_iter(pool, [3, 1, 2], 0), 3, nap);
///         assert_eq!(naps.iter().collect::<Vec<_>>(), [1, 2, 3]);
///     });
/// });
/// ```
#[track_caller]
pub fn map_unordered<'scope, T: 'scope, U: 'scope>(
    pool: &'scope Pool<'scope, '_>,
    input: Receiver<T>,
    workers: usize,
    f: impl Fn(T) -> U + 'scope,
) -> Receiver<U> {
    assert_some(workers);
    let (sender, receiver) = bounded(0);
    let (intake, f) = (Intake::new(input), Rc::new(f));
    for _ in 0..workers {
        let (intake, output, f) = (intake.clone(), sender.clone(), Rc::clone(&f));
        pool.spawn(move || {
            let mut items = iter::from_fn(|| intake.next(&output));
            let _closed = items.try_for_each(|item| output.send(f(item)));
        });
    }
    receiver
}

/// Like [`map_ordered`], with `f` called on helper threads: for what computes for long, or really blocks.
///
/// Each call is an [`unblock`](crate::unblock()), which says more about them. At most `workers` items are
/// on their way, whether they wait for a thread, are on one, or wait to be received; of the threads a
/// runtime has 64 at a time, unless [`Builder::helper_threads`](crate::Builder::helper_threads) says
/// otherwise. `f` and the items go to other threads, and may borrow from outside of the pool. If the order
/// does not matter, call [`map_unordered`] with a closure that calls `unblock`.
///
/// # Cancellation
///
/// As for [`map_ordered`]. A call that has begun is waited for.
///
/// # Panics
///
/// As for [`map_ordered`]. A call for which no thread can be started fails the pool.
///
/// # Examples
///
/// ```
/// use giambio::csp::{from_iter, map_blocking};
/// use std::fs;
///
/// let folder = String::from("src");
/// let bytes: usize = giambio::run(|| {
///     giambio::pool(|pool| {
///         let names = from_iter(pool, ["lib.rs", "list.rs"], 0);
///         let texts = map_blocking(pool, names, 2, |name| fs::read(format!("{folder}/{name}")));
///         texts.iter().map(|text| text.unwrap().len()).sum()
///     })
/// });
/// assert!(bytes > 0);
/// ```
///
/// What goes to another thread must be `Send`, and the closure, which all of them use, `Sync`:
///
/// ```compile_fail,E0277
/// use std::rc::Rc;
///
/// giambio::run(|| {
///     giambio::pool(|pool| {
///         let numbers = giambio::csp::from_iter(pool, [Rc::new(1)], 0);
///         giambio::csp::map_blocking(pool, numbers, 1, |number| *number);
///     });
/// });
/// ```
///
/// ```compile_fail,E0277
/// let sum = std::cell::Cell::new(0);
/// giambio::run(|| {
///     giambio::pool(|pool| {
///         let numbers = giambio::csp::from_iter(pool, [1, 2], 0);
///         giambio::csp::map_blocking(pool, numbers, 1, |number| sum.set(sum.get() + number));
///     });
/// });
/// ```
#[track_caller]
pub fn map_blocking<'scope, T: Send + 'scope, U: Send + 'scope>(
    pool: &'scope Pool<'scope, '_>,
    input: Receiver<T>,
    workers: usize,
    f: impl Fn(T) -> U + Sync + 'scope,
) -> Receiver<U> {
    map_ordered(pool, input, workers, move |item| unblock(|| f(item)))
}

#[track_caller]
fn assert_some(workers: usize) {
    assert!(workers > 0, "a map by 0 workers would never take an item");
}

/// The input, which no worker holds on to while it works: as soon as it is not wanted any more it is dropped.
struct Intake<T>(Rc<RefCell<Option<Receiver<T>>>>);

impl<T> Intake<T> {
    fn new(input: Receiver<T>) -> Self {
        Self(Rc::new(RefCell::new(Some(input))))
    }

    /// The next item, as long as somebody receives from the output.
    fn next<U>(&self, output: &Sender<U>) -> Option<T> {
        let input = self.0.borrow().clone()?;
        match next(&input, output) {
            Next::Item(item) => Some(item),
            Next::End | Next::Unwanted => {
                drop(self.0.take());
                None
            }
        }
    }
}

impl<T> Clone for Intake<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

/// A worker's part in a turn that goes round. It breaks where one of them leaves.
struct Turn {
    mine: Receiver<()>,
    next: Sender<()>,
}

impl Turn {
    /// Waits for it: false if it will never come.
    fn wait(&self) -> bool {
        self.mine.recv().is_ok()
    }

    /// Gives it to the next worker, who may have left.
    fn pass(&self) {
        let _left = self.next.try_send(());
    }
}

/// The parts of all in a new turn, which the first of them has.
fn ring(workers: usize) -> impl Iterator<Item = Turn> {
    let (mut nexts, mines): (Vec<_>, Vec<_>) = (0..workers).map(|_| bounded(1)).unzip();
    let _first = nexts[0].try_send(());
    nexts.rotate_left(1);
    mines.into_iter().zip(nexts).map(|(mine, next)| Turn { mine, next })
}

fn work_in_turn<T, U>(
    take: &Turn,
    give: &Turn,
    intake: &Intake<T>,
    output: &Sender<U>,
    f: impl Fn(T) -> U,
) {
    while take.wait()
        && let Some(item) = intake.next(output)
    {
        take.pass();
        let value = f(item);
        if !give.wait() || output.send(value).is_err() {
            return;
        }
        give.pass();
    }
}
