//! Flow: items go on as they are.
//!
//! Layer 7. Imports: channel, pool. Never: the items.

use super::stage::Next;
use super::stage::items;
use super::stage::next;
use crate::channel::Receiver;
use crate::channel::Select;
use crate::channel::SendError;
use crate::channel::Sender;
use crate::channel::bounded;
use crate::pool::Pool;

/// Sends what comes out of `input` into `output`.
///
/// For an output that exists already, or is to have a capacity or a policy: see
/// [`dropping`](crate::channel::dropping) and [`sliding`](crate::channel::sliding). It ends as soon as the
/// input has ended or `output` is closed; of items it has at most one, which is lost if `output` is closed
/// before that could be sent.
///
/// # Cancellation
///
/// Never parks. The task ends with its pool.
///
/// # Panics
///
/// If no stack is to be had.
///
/// # Examples
///
/// ```
/// use giambio::channel::bounded;
/// use giambio::csp::{from_iter, pipe};
///
/// giambio::testing::run_virtual(|| {
///     giambio::pool(|pool| {
///         let (sender, buffered) = bounded(100); // a buffer for who is slow at times
///         pipe(pool, from_iter(pool, 0..1000, 0), sender);
///         giambio::testing::settle();
///         assert_eq!(buffered.len(), 100);
///         assert_eq!(buffered.iter().count(), 1000);
///     });
/// });
/// ```
#[track_caller]
pub fn pipe<'scope, T: 'scope>(
    pool: &'scope Pool<'scope, '_>,
    input: Receiver<T>,
    output: Sender<T>,
) {
    pool.spawn(move || {
        let _closed = items(&input, &output).try_for_each(|item| output.send(item));
    });
}

/// Makes a channel of an iterator's items.
///
/// The iterator is lazy: of items it is `capacity` and one ahead of the receiver. So it may be endless; it is
/// dropped when nobody receives any more. It may wait in its `next`, and is part of the program's flow then,
/// but while it does nobody can tell it that the receiver is gone.
///
/// # Cancellation
///
/// Never parks. The task ends with its pool.
///
/// # Panics
///
/// If no stack is to be had, or `capacity` items are more than memory can hold. A panic of the iterator
/// fails the pool.
///
/// # Examples
///
/// ```
/// giambio::testing::run_virtual(|| {
///     giambio::pool(|pool| {
///         let numbers = giambio::csp::from_iter(pool, 1.., 0);
///         assert_eq!(numbers.recv(), Ok(1));
///         assert_eq!(numbers.recv(), Ok(2));
///     });
/// });
/// ```
#[track_caller]
pub fn from_iter<'scope, I>(
    pool: &'scope Pool<'scope, '_>,
    items: I,
    capacity: usize,
) -> Receiver<I::Item>
where
    I: IntoIterator + 'scope,
    I::Item: 'scope,
{
    let (sender, receiver) = bounded(capacity);
    pool.spawn(move || {
        let _closed = items.into_iter().try_for_each(|item| sender.send(item));
    });
    receiver
}

/// Makes one channel of several: items come out as they come in.
///
/// Those of one input keep their order. No input is preferred: who has waited longest is received first. Of
/// items it has at most one from each input. It ends when all inputs have.
///
/// # Cancellation
///
/// Never parks. The tasks, one for each input, end with their pool.
///
/// # Panics
///
/// If no stack is to be had.
///
/// # Examples
///
/// ```
/// use giambio::csp::{from_iter, merge};
///
/// giambio::testing::run_virtual(|| {
///     giambio::pool(|pool| {
///         let inputs = [from_iter(pool, 0..10, 0), from_iter(pool, 10..20, 0)];
///         let mut numbers: Vec<_> = merge(pool, inputs).iter().collect();
///         numbers.sort_unstable();
///         assert!(numbers.into_iter().eq(0..20));
///     });
/// });
/// ```
#[track_caller]
pub fn merge<'scope, T: 'scope>(
    pool: &'scope Pool<'scope, '_>,
    inputs: impl IntoIterator<Item = Receiver<T>>,
) -> Receiver<T> {
    let (sender, receiver) = bounded(0);
    for input in inputs {
        pipe(pool, input, sender.clone());
    }
    receiver
}

/// Sends each item into whichever output is ready for it.
///
/// Of several that are ready one is chosen at random, each as likely. An output that is closed is left out,
/// and the item that was meant for it goes elsewhere; what already lies in an output's buffer goes with it.
/// It ends when the input has ended, and as soon as all outputs are closed: only then the item in its hand,
/// if it has one, is lost.
///
/// # Cancellation
///
/// Never parks. The task ends with its pool.
///
/// # Panics
///
/// If no stack is to be had.
///
/// # Examples
///
/// ```
/// use giambio::channel::bounded;
/// use giambio::csp::{distribute, from_iter, merge};
///
/// giambio::testing::run_virtual(|| {
///     giambio::pool(|pool| {
///         let (senders, receivers): (Vec<_>, Vec<_>) = (0..3).map(|_| bounded(0)).unzip();
///         distribute(pool, from_iter(pool, 0..20, 0), senders);
///         let mut numbers: Vec<_> = merge(pool, receivers).iter().collect();
///         numbers.sort_unstable();
///         assert!(numbers.into_iter().eq(0..20));
///     });
/// });
/// ```
#[track_caller]
pub fn distribute<'scope, T: 'scope>(
    pool: &'scope Pool<'scope, '_>,
    input: Receiver<T>,
    outputs: impl IntoIterator<Item = Sender<T>>,
) {
    let outputs: Vec<_> = outputs.into_iter().collect();
    pool.spawn(move || share_out(&input, &outputs));
}

fn share_out<T>(input: &Receiver<T>, outputs: &[Sender<T>]) {
    let mut ready = Select::new();
    for output in outputs {
        ready.send(output);
    }
    // As long as the first that is not known to be closed is open there is somebody to send to: only that one
    // has to be watched.
    let mut open: Vec<_> = (0..outputs.len()).rev().collect();
    while let Some(&first) = open.last() {
        match next(input, &outputs[first]) {
            Next::Item(item) => give_to_one(item, &mut ready, outputs, &mut open),
            Next::End => return,
            Next::Unwanted => {
                ready.remove(first);
                open.pop();
            }
        }
    }
}

/// Sends the item to one of the outputs, of which those that turn out to be closed are taken out.
fn give_to_one<'o, T>(
    mut item: T,
    ready: &mut Select<'o>,
    outputs: &'o [Sender<T>],
    open: &mut Vec<usize>,
) {
    while !open.is_empty() {
        let chosen = ready.select();
        let index = chosen.index();
        match chosen.send(&outputs[index], item) {
            Ok(()) => return,
            Err(SendError(came_back)) => item = came_back,
        }
        ready.remove(index);
        open.retain(|&other| other != index);
    }
}
