//! The text: what holds for any channel of std's vocabulary, in any world.
//!
//! Who includes it brings `mpsc`, the channels, and `world`: how a test is played (`run`), how workers are
//! started and waited for (`scope`), how they come to where they wait (`settle`), and what a wait took
//! (`assert_took`). A worker is a thread or a task, so nothing here stands on the order in which they run,
//! and all that they share may be sent.

mod ends;
mod iterators;
mod looks;
mod rendezvous;
mod signatures;
mod streams;
mod stress;
mod timeouts;

use super::mpsc;
use super::world;
use mpsc::Receiver;
use mpsc::SendError;
use mpsc::Sender;
use mpsc::SyncSender;

/// A sender of either kind.
pub(crate) enum AnySender<T> {
    Endless(Sender<T>),
    Bounded(SyncSender<T>),
}

impl<T> AnySender<T> {
    fn send(&self, message: T) -> Result<(), SendError<T>> {
        match self {
            Self::Endless(sender) => sender.send(message),
            Self::Bounded(sender) => sender.send(message),
        }
    }
}

impl<T> Clone for AnySender<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Endless(sender) => Self::Endless(sender.clone()),
            Self::Bounded(sender) => Self::Bounded(sender.clone()),
        }
    }
}

type Channel<T> = (AnySender<T>, Receiver<T>);

fn endless<T>() -> Channel<T> {
    let (s, r) = mpsc::channel();
    (AnySender::Endless(s), r)
}

fn bounded<T>(bound: usize) -> Channel<T> {
    let (s, r) = mpsc::sync_channel(bound);
    (AnySender::Bounded(s), r)
}

/// A channel of each kind that holds messages: one, some, and any number.
fn buffers<T>() -> [Channel<T>; 3] {
    [bounded(1), bounded(3), endless()]
}

/// A channel of each kind.
fn all_kinds<T>() -> [Channel<T>; 4] {
    [bounded(0), bounded(1), bounded(3), endless()]
}
