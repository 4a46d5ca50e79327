//! What only our channels do, in any world.

mod close;
mod making;
mod policies;

use super::channel;
use super::world;
use channel::Receiver;
use channel::Sender;
use channel::bounded;
use channel::dropping;
use channel::sliding;
use channel::unbounded;

type Channel<T> = (Sender<T>, Receiver<T>);

/// A channel of each kind, with its name.
fn all_kinds<T>() -> [(&'static str, Channel<T>); 6] {
    [
        ("rendezvous", bounded(0)),
        ("of one", bounded(1)),
        ("bounded", bounded(3)),
        ("unbounded", unbounded()),
        ("dropping", dropping(3)),
        ("sliding", sliding(3)),
    ]
}

/// Those that hold messages.
fn buffers<T>() -> impl Iterator<Item = (&'static str, Channel<T>)> {
    all_kinds().into_iter().skip(1)
}
