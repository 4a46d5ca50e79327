//! Csp: stages that stand between channels.
//!
//! Layer 7. Imports: channel, pool, unblock, wait_any. Never: sockets, what the items are.
//!
//! A stage is a task, or some, that takes items from the receivers it is given and has what becomes of
//! them received elsewhere. Programs are put together of stages, and each stage is one call. They are those
//! of Python's aiochan, as functions over [`channel`](crate::channel)'s ends in a [`Pool`](crate::Pool).
//!
//! | call | what comes out |
//! |---|---|
//! | [`from_iter`] | the items of an iterator |
//! | [`pipe`] | the same items, in a channel of one's own |
//! | [`merge`] | the items of several inputs, as they come |
//! | [`distribute`] | each item, from whichever output is ready |
//! | [`zip`], [`zip_longest`] | pairs, one item of each input |
//! | [`combine_latest`] | the latest item of each input, whenever one of them changes |
//! | [`map_ordered`], [`map_unordered`] | a closure's values, of so many items at a time |
//! | [`map_blocking`] | the same, computed on helper threads |
//! | [`broadcast()`] | every item, for each subscriber |
//! | [`publish`] | every item, for each subscriber of its topic |
//!
//! What needs no task of its own is a call on an iterator: `receiver.iter().filter(..)`, `.take(3)`,
//! `.collect()`.
//!
//! # Back-pressure
//!
//! A receiver that a stage returns is that of a [`bounded(0)`](crate::channel::bounded): it holds nothing.
//! Whoever takes an item then waits until it is received before it takes the next one, so a stage has as
//! many items as its documentation says, mostly one, and a slow consumer slows down its producers. A buffer
//! between two stages is a [`pipe`] into a channel that has one.
//!
//! # Ends
//!
//! When its inputs have ended, a stage gives what it has and ends its outputs. When nobody receives from its
//! output any more, a stage drops its inputs at once, also while it waits for an item; the item in its hand
//! is lost, save where the documentation says otherwise. So both kinds of ends go through a program from
//! stage to stage, and nobody is left waiting.
//!
//! A stage that panics fails its pool, as any task does. Its neighbours see their channels closed by that,
//! and are cancelled with the rest of the pool. An error that is none of the stage's business is an item:
//! a closure that returns a `Result` makes a receiver of them, and whoever has the `?` has the failure.
//!
//! # Lifetimes
//!
//! Items and closures may borrow what lives outside of the pool, as its tasks may; they stay on this thread,
//! and need not be `Send`, save for [`map_blocking`]. What lives in the pool's body is moved in:
//!
//! ```compile_fail,E0373
//! giambio::run(|| {
//!     giambio::pool(|pool| {
//!         let factor = 2; // `move |number| number * factor` would do
//!         let numbers = giambio::csp::from_iter(pool, [1, 2], 0);
//!         giambio::csp::map_ordered(pool, numbers, 1, |number| number * factor);
//!     });
//! });
//! ```
//!
//! # Cancellation
//!
//! None of these functions parks. Their tasks are the pool's, and a cancelled pool ends all of them; items
//! that are on their way are dropped.
//!
//! # Examples
//!
//! ```
//! use giambio::csp::{from_iter, map_ordered, merge};
//!
//! giambio::testing::run_virtual(|| {
//!     giambio::pool(|pool| {
//!         let words = from_iter(pool, ["a", "bb", "ccc"], 0);
//!         let more = from_iter(pool, ["dddd"], 0);
//!         let lengths = map_ordered(pool, merge(pool, [words, more]), 2, str::len);
//!         assert_eq!(lengths.iter().sum::<usize>(), 10);
//!     });
//! });
//! ```

mod broadcast;
mod combine;
mod flow;
mod hub;
mod map;
mod stage;
mod topics;

pub use broadcast::Broadcast;
pub use broadcast::Policy;
pub use broadcast::broadcast;
pub use combine::combine_latest;
pub use combine::zip;
pub use combine::zip_longest;
pub use flow::distribute;
pub use flow::from_iter;
pub use flow::merge;
pub use flow::pipe;
pub use map::map_blocking;
pub use map::map_ordered;
pub use map::map_unordered;
pub use topics::Topics;
pub use topics::publish;
