//! Combine: items of several inputs become one.
//!
//! Layer 7. Imports: channel, pool, wait_any. Never: the items.

use super::stage::Next;
use super::stage::next;
use crate::channel::ClosedArm;
use crate::channel::Receiver;
use crate::channel::RecvArm;
use crate::channel::RecvError;
use crate::channel::Sender;
use crate::channel::bounded;
use crate::channel::never;
use crate::pool::Pool;
use crate::wait_any::Arm;
use crate::wait_any::Choice;
use crate::wait_any::Order;
use crate::wait_any::Patience;
use crate::wait_any::first_of;
use std::iter;

/// Pairs the items of two inputs: the first with the first, the second with the second.
///
/// It ends as soon as one of the inputs has, also while it waits for the other one; half a pair is dropped.
/// Of items it has at most one pair.
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
/// use giambio::csp::{from_iter, zip};
///
/// giambio::testing::run_virtual(|| {
///     giambio::pool(|pool| {
///         let pairs = zip(pool, from_iter(pool, 1.., 0), from_iter(pool, ["a", "b"], 0));
///         assert_eq!(pairs.iter().collect::<Vec<_>>(), [(1, "a"), (2, "b")]);
///     });
/// });
/// ```
#[track_caller]
pub fn zip<'scope, A: 'scope, B: 'scope>(
    pool: &'scope Pool<'scope, '_>,
    a: Receiver<A>,
    b: Receiver<B>,
) -> Receiver<(A, B)> {
    let (sender, receiver) = bounded(0);
    pool.spawn(move || {
        let pairs = iter::from_fn(|| next_pair(&a, &b, &sender));
        let _closed = { pairs }.try_for_each(|pair| sender.send(pair));
    });
    receiver
}

/// Takes whichever comes first, so that the end of either input is seen while the other one is waited for.
fn next_pair<A, B, O>(a: &Receiver<A>, b: &Receiver<B>, output: &Sender<O>) -> Option<(A, B)> {
    let (no_a, no_b) = (never(), never());
    let (mut left, mut right) = (None, None);
    loop {
        (left, right) = match (left, right) {
            (Some(a), Some(b)) => return Some((a, b)),
            halves => halves,
        };
        let mut closed = ClosedArm::new(output);
        let mut arm_a = RecvArm::new(if left.is_none() { a } else { &no_a });
        let mut arm_b = RecvArm::new(if right.is_none() { b } else { &no_b });
        let mut arms: [&mut dyn Arm; 3] = [&mut closed, &mut arm_a, &mut arm_b];
        match first_of(&mut arms, Order::Biased, Patience::Endless) {
            Choice::Arm(1) => left = Some(arm_a.finish().ok()?),
            Choice::Arm(2) => right = Some(arm_b.finish().ok()?),
            Choice::Arm(_) | Choice::Timeout => return None,
        }
    }
}

/// Like [`zip`], until both inputs have ended: what one of them has not is `None`.
///
/// Never are both of a pair.
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
/// use giambio::csp::{from_iter, zip_longest};
///
/// giambio::testing::run_virtual(|| {
///     giambio::pool(|pool| {
///         let pairs = zip_longest(pool, from_iter(pool, [1, 2], 0), from_iter(pool, ["a"], 0));
///         assert_eq!(pairs.recv(), Ok((Some(1), Some("a"))));
///         assert_eq!(pairs.recv(), Ok((Some(2), None)));
///         assert!(pairs.recv().is_err());
///     });
/// });
/// ```
#[track_caller]
pub fn zip_longest<'scope, A: 'scope, B: 'scope>(
    pool: &'scope Pool<'scope, '_>,
    a: Receiver<A>,
    b: Receiver<B>,
) -> Receiver<(Option<A>, Option<B>)> {
    let (sender, receiver) = bounded(0);
    pool.spawn(move || {
        let (mut a, mut b) = (Some(a), Some(b));
        while let (Ok(left), Ok(right)) = (next_half(&mut a, &sender), next_half(&mut b, &sender)) {
            if left.is_none() && right.is_none() || sender.send((left, right)).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Nobody receives any more.
struct Unwanted;

/// The next item of an input that may have ended: then it is dropped.
fn next_half<T, O>(
    input: &mut Option<Receiver<T>>,
    output: &Sender<O>,
) -> Result<Option<T>, Unwanted> {
    let Some(receiver) = input else { return Ok(None) };
    match next(receiver, output) {
        Next::Item(item) => Ok(Some(item)),
        Next::End => {
            *input = None;
            Ok(None)
        }
        Next::Unwanted => Err(Unwanted),
    }
}

/// Gives the latest item of each input, whenever one of them has a new one.
///
/// The first such list comes when every input has given an item. What several inputs give at once makes as
/// many lists, one after the other, and while a list waits to be received the inputs wait as well: no
/// change is passed over. An input that has ended keeps its last item. It ends when all inputs have, and
/// already when one has ended without any item, since then no list can come.
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
/// use giambio::csp::combine_latest;
///
/// giambio::testing::run_virtual(|| {
///     giambio::pool(|pool| {
///         let ((width, widths), (height, heights)) = (bounded(1), bounded(1));
///         let sizes = combine_latest(pool, [widths, heights]);
///         width.send(80).unwrap();
///         height.send(24).unwrap();
///         assert_eq!(sizes.recv(), Ok(vec![80, 24]));
///         width.send(132).unwrap();
///         assert_eq!(sizes.recv(), Ok(vec![132, 24]));
///     });
/// });
/// ```
#[track_caller]
pub fn combine_latest<'scope, T: Clone + 'scope>(
    pool: &'scope Pool<'scope, '_>,
    inputs: impl IntoIterator<Item = Receiver<T>>,
) -> Receiver<Vec<T>> {
    let (sender, receiver) = bounded(0);
    let inputs: Vec<_> = inputs.into_iter().collect();
    pool.spawn(move || combine(&inputs, &sender));
    receiver
}

fn combine<T: Clone>(inputs: &[Receiver<T>], output: &Sender<Vec<T>>) {
    let mut latest: Vec<Option<T>> = inputs.iter().map(|_| None).collect();
    let mut closed = ClosedArm::new(output);
    let mut open: Vec<_> = inputs.iter().map(RecvArm::new).enumerate().collect();
    // The choice is fair, so the end would not come first by itself.
    while !open.is_empty() && !output.is_closed() {
        let inputs = open.iter_mut().map(|(_, arm)| arm as &mut dyn Arm);
        let mut arms: Vec<&mut dyn Arm> = iter::once(&mut closed as _).chain(inputs).collect();
        let chosen = match first_of(&mut arms, Order::Fair, Patience::Endless) {
            Choice::Arm(0) | Choice::Timeout => return,
            Choice::Arm(place) => place - 1,
        };
        let (index, arm) = &mut open[chosen];
        match arm.finish() {
            Ok(item) => latest[*index] = Some(item),
            Err(RecvError) if latest[*index].is_none() => return,
            Err(RecvError) => {
                open.remove(chosen);
                continue;
            }
        }
        let is_complete = latest.iter().all(Option::is_some);
        if is_complete && output.send(latest.iter().flatten().cloned().collect()).is_err() {
            return;
        }
    }
}
