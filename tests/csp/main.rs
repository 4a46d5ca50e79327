//! `giambio::csp`: stages between channels, and Python aiochan's tests of its own as claims about ours.
//!
//! Everything runs on the virtual clock, which fails with a report if anybody waits for ever.

mod aiochan;
mod broadcast;
mod combine;
mod ends;
mod failure;
mod flow;
mod map;
mod map_blocking;
mod orders;
mod topics;

use giambio::Pool;
use giambio::channel::Receiver;
use giambio::channel::Sender;
use giambio::channel::bounded;
use giambio::csp::Policy;
use giambio::csp::broadcast;
use giambio::csp::combine_latest;
use giambio::csp::distribute;
use giambio::csp::from_iter;
use giambio::csp::map_blocking;
use giambio::csp::map_ordered;
use giambio::csp::map_unordered;
use giambio::csp::merge;
use giambio::csp::pipe;
use giambio::csp::publish;
use giambio::csp::zip;
use giambio::csp::zip_longest;
use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

pub(crate) fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Sleeps for so many seconds, and says how many.
pub(crate) fn nap(seconds: u64) -> u64 {
    giambio::sleep(secs(seconds));
    seconds
}

/// How long `f` takes by the runtime's clock.
pub(crate) fn elapsed(f: impl FnOnce()) -> Duration {
    let start = giambio::clock();
    f();
    giambio::clock() - start
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

pub(crate) fn collect<T>(receiver: &Receiver<T>) -> Vec<T> {
    receiver.iter().collect()
}

pub(crate) fn sorted<T: Ord>(receiver: &Receiver<T>) -> Vec<T> {
    let mut items = collect(receiver);
    items.sort_unstable();
    items
}

/// Numbers from 0 on, and how many of them were taken.
#[derive(Clone, Default)]
pub(crate) struct Source(Rc<Cell<u64>>);

impl Source {
    pub(crate) fn taken(&self) -> u64 {
        self.0.get()
    }

    /// The numbers as a stage of its own, which has one of them in its hand.
    pub(crate) fn receiver<'scope>(&self, pool: &'scope Pool<'scope, '_>) -> Receiver<u64> {
        let taken = Rc::clone(&self.0);
        from_iter(pool, (0..).inspect(move |number| taken.set(number + 1)), 0)
    }
}

/// Pairs of both ends of so many channels.
pub(crate) fn channels<T>(count: usize, capacity: usize) -> (Vec<Sender<T>>, Vec<Receiver<T>>) {
    (0..count).map(|_| bounded(capacity)).unzip()
}

/// What goes through a stage, and whose owners can be counted.
pub(crate) type Item = Arc<u64>;

/// Something that gives out the items that are put into it.
pub(crate) type Stage =
    for<'scope, 'env> fn(pool: &'scope Pool<'scope, 'env>, input: Receiver<Item>) -> Receiver<Item>;

/// Every stage there is, and how many items it has in its hands at most.
pub(crate) const STAGES: &[(&str, u64, Stage)] = &[
    ("pipe", 1, |pool, input| {
        let (sender, receiver) = bounded(0);
        pipe(pool, input, sender);
        receiver
    }),
    ("pipe with a buffer", 1 + 3, |pool, input| {
        let (sender, receiver) = bounded(3);
        pipe(pool, input, sender);
        receiver
    }),
    ("merge", 1, |pool, input| merge(pool, [input])),
    ("merge of two", 1, |pool, input| merge(pool, [input, bounded(0).1])),
    ("distribute", 1, |pool, input| {
        let (sender, receiver) = bounded(0);
        distribute(pool, input, [bounded(0).0, sender]);
        receiver
    }),
    ("zip on the left", 1 + 1, |pool, input| {
        map_ordered(pool, zip(pool, input, from_iter(pool, 0.., 0)), 1, |(item, _)| item)
    }),
    ("zip on the right", 1 + 1, |pool, input| {
        map_ordered(pool, zip(pool, from_iter(pool, 0.., 0), input), 1, |(_, item)| item)
    }),
    ("zip_longest", 1 + 1, |pool, input| {
        let pairs = zip_longest(pool, bounded::<()>(0).1, input);
        map_ordered(pool, pairs, 1, |(_, item)| item.unwrap())
    }),
    ("combine_latest", 1 + 1, |pool, input| {
        map_ordered(pool, combine_latest(pool, [input]), 1, |latest| Arc::clone(&latest[0]))
    }),
    ("broadcast", 1, |pool, input| broadcast(pool, input).subscribe(Policy::Wait(0))),
    ("publish", 1, |pool, input| publish(pool, input, |_| 0).subscribe(0, Policy::Wait(0))),
    ("map_ordered", 3, |pool, input| map_ordered(pool, input, 3, |item| item)),
    ("map_unordered", 3, |pool, input| map_unordered(pool, input, 3, |item| item)),
    ("map_blocking", 2, |pool, input| map_blocking(pool, input, 2, |item| item)),
];
