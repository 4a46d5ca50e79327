//! Stage: how a stage waits for its next item.
//!
//! Layer 7. Imports: channel, wait_any. Never: what becomes of the item.
//!
//! It waits for the end of its output as well: a receiver that leaves sends no message, and the next item
//! may be far away. That end comes first, so that no item is taken which nobody could receive.

use crate::channel::ClosedArm;
use crate::channel::Receiver;
use crate::channel::RecvArm;
use crate::channel::Sender;
use crate::wait_any::Choice;
use crate::wait_any::Order;
use crate::wait_any::Patience;
use crate::wait_any::first_of;
use std::iter;

/// What comes next.
#[derive(Debug)]
pub(super) enum Next<T> {
    Item(T),
    /// The input has ended.
    End,
    /// Nobody receives from the output any more.
    Unwanted,
}

/// Waits for what comes next.
pub(super) fn next<T, U>(input: &Receiver<T>, output: &Sender<U>) -> Next<T> {
    let (mut closed, mut item) = (ClosedArm::new(output), RecvArm::new(input));
    match first_of(&mut [&mut closed, &mut item], Order::Biased, Patience::Endless) {
        Choice::Arm(0) => Next::Unwanted,
        _ => item.finish().map_or(Next::End, Next::Item),
    }
}

/// The items that come, as long as somebody receives from the output.
pub(super) fn items<T, U>(input: &Receiver<T>, output: &Sender<U>) -> impl Iterator<Item = T> {
    iter::from_fn(move || match next(input, output) {
        Next::Item(item) => Some(item),
        Next::End | Next::Unwanted => None,
    })
}
