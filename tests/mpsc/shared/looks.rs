//! What the ends, iterators and errors look like.

use super::mpsc::Receiver;
use super::mpsc::RecvError;
use super::mpsc::RecvTimeoutError;
use super::mpsc::SendError;
use super::mpsc::TryRecvError;
use super::mpsc::TrySendError;
use super::mpsc::channel;
use super::mpsc::sync_channel;
use super::world;
use std::fmt::Debug;

/// Plain, with lines, and with a width.
fn shown(value: &impl Debug) -> [String; 3] {
    [format!("{value:?}"), format!("{value:#?}"), format!("{value:30?}")]
}

#[test]
fn the_ends_show_nothing_of_their_messages() {
    world::run(|| {
        let (s, r) = channel();
        s.send("a message").unwrap();
        assert_eq!(shown(&s), ["Sender { .. }"; 3]);
        assert_eq!(shown(&r), ["Receiver { .. }"; 3]);
        let (s, r) = sync_channel(1);
        s.send("a message").unwrap();
        assert_eq!(shown(&s), ["SyncSender { .. }"; 3]);
        assert_eq!(shown(&r), ["Receiver { .. }"; 3]);
    });
}

#[test]
fn the_iterators_show_their_receiver() {
    world::run(|| {
        let (s, r): (_, Receiver<i32>) = channel();
        s.send(1).unwrap();
        let pretty = |name| format!("{name} {{\n    rx: Receiver {{ .. }},\n}}");
        let plain = |name| format!("{name} {{ rx: Receiver {{ .. }} }}");
        let both = |name| [plain(name), pretty(name), plain(name)];
        assert_eq!(shown(&r.iter()), both("Iter"));
        assert_eq!(shown(&r.try_iter()), both("TryIter"));
        assert_eq!(shown(&r.into_iter()), both("IntoIter"));
    });
}

#[test]
fn errors_say_what_stds_say() {
    world::run(|| {
        let (s, r) = sync_channel(1);
        s.send(1).unwrap();
        let full = s.try_send(2).unwrap_err();
        drop(r);
        let gone = s.try_send(3).unwrap_err();
        let failed = s.send(4).unwrap_err();
        assert_eq!(
            (full, gone, failed),
            (TrySendError::Full(2), TrySendError::Disconnected(3), SendError(4))
        );
        assert_eq!(full.to_string(), "sending on a full channel");
        assert_eq!(gone.to_string(), "sending on a closed channel");
        assert_eq!(failed.to_string(), "sending on a closed channel");
        assert_eq!(format!("{failed:?}"), "SendError { .. }");
        assert_eq!(TrySendError::from(failed), TrySendError::Disconnected(4));

        let (s, r) = channel::<u8>();
        assert_eq!(r.try_recv().unwrap_err().to_string(), "receiving on an empty channel");
        drop(s);
        assert_eq!(r.try_recv().unwrap_err().to_string(), "receiving on a closed channel");
        assert_eq!(r.recv().unwrap_err().to_string(), "receiving on a closed channel");
        assert_eq!(TryRecvError::from(RecvError), TryRecvError::Disconnected);
        assert_eq!(RecvTimeoutError::from(RecvError), RecvTimeoutError::Disconnected);
    });
}
