//! The text: what holds for any channel of crossbeam's vocabulary, in any world.
//!
//! Who includes it brings `channel`, the channels, and `world`: how a test is played (`run`), how workers
//! are started and waited for (`scope`), how they come to where they wait (`settle`), and what a wait took
//! (`assert_took`). A worker is a thread or a task, so nothing here stands on the order in which they run,
//! and all that they share may be sent.

mod basics;
mod disconnect;
mod drops;
mod errors;
mod go_channels;
mod go_select;
mod iterators;
mod select_flow;
mod select_grammar;
mod select_list;
mod select_many;
mod select_ready;
mod signatures;
mod stress;
mod timeouts;
mod timers;

use super::channel;
use super::world;
use channel::Receiver;
use channel::Sender;
use channel::bounded;
use channel::unbounded;

type Channel<T> = (Sender<T>, Receiver<T>);

/// A channel of each kind that holds messages: one, some, and any number.
fn buffers<T>() -> [Channel<T>; 3] {
    [bounded(1), bounded(3), unbounded()]
}

/// A channel of each kind that a sender may find full.
fn limited<T>() -> [Channel<T>; 3] {
    [bounded(0), bounded(1), bounded(3)]
}

/// A channel of each kind.
fn all_kinds<T>() -> [Channel<T>; 4] {
    [bounded(0), bounded(1), bounded(3), unbounded()]
}

/// Sends to a channel until it is full; to one that never is, a few.
fn fill(s: &Sender<usize>) -> usize {
    (0..s.capacity().unwrap_or(3)).inspect(|&number| s.send(number).unwrap()).count()
}
