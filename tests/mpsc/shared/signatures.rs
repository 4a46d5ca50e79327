//! Every function, method and bound, with its signature. That they compile is the test.

use super::mpsc::IntoIter;
use super::mpsc::Iter;
use super::mpsc::Receiver;
use super::mpsc::RecvError;
use super::mpsc::RecvTimeoutError;
use super::mpsc::SendError;
use super::mpsc::Sender;
use super::mpsc::SyncSender;
use super::mpsc::TryIter;
use super::mpsc::TryRecvError;
use super::mpsc::TrySendError;
use super::mpsc::channel;
use super::mpsc::sync_channel;
use std::cell::Cell;
use std::error::Error;
use std::fmt::Debug;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::rc::Rc;
use std::time::Duration;

/// Of anything, be it used from one thread only.
type Any = Rc<Cell<i32>>;

#[test]
fn all() {
    functions();
    methods();
    iterators();
    bounds();
    errors();
    what_may_not_be_sent_is_not();
    what_may_not_be_shared_is_not();
}

fn functions() {
    let _: fn() -> (Sender<Any>, Receiver<Any>) = channel;
    let _: fn(usize) -> (SyncSender<Any>, Receiver<Any>) = sync_channel;
}

fn methods() {
    let _: fn(&Sender<Any>, Any) -> Result<(), SendError<Any>> = Sender::send;
    type S = SyncSender<Any>;
    let _: fn(&S, Any) -> Result<(), SendError<Any>> = S::send;
    let _: fn(&S, Any) -> Result<(), TrySendError<Any>> = S::try_send;
    type R = Receiver<Any>;
    let _: fn(&R) -> Result<Any, RecvError> = R::recv;
    let _: fn(&R) -> Result<Any, TryRecvError> = R::try_recv;
    let _: fn(&R, Duration) -> Result<Any, RecvTimeoutError> = R::recv_timeout;
    let _: fn(&R) -> Iter<'_, Any> = R::iter;
    let _: fn(&R) -> TryIter<'_, Any> = R::try_iter;
}

fn iterators() {
    fn iterates<I: Iterator<Item = Any>>() {}
    fn makes<C: IntoIterator<Item = Any, IntoIter = I>, I>() {}
    iterates::<Iter<'_, Any>>();
    iterates::<TryIter<'_, Any>>();
    iterates::<IntoIter<Any>>();
    makes::<Receiver<Any>, IntoIter<Any>>();
    makes::<&Receiver<Any>, Iter<'_, Any>>();
}

fn bounds() {
    fn may_go<T: Send>() {}
    fn is_shared<T: Send + Sync>() {}
    fn is_common<T: Debug + UnwindSafe + RefUnwindSafe + Unpin>() {}
    fn is_clone<T: Clone>() {}
    // What may be sent need not be shared, to go through a channel that is.
    is_shared::<Sender<Cell<i32>>>();
    is_shared::<SyncSender<Cell<i32>>>();
    may_go::<Receiver<Cell<i32>>>();
    may_go::<IntoIter<Cell<i32>>>();
    is_clone::<Sender<NotClone>>();
    is_clone::<SyncSender<NotClone>>();
    is_common::<Sender<Any>>();
    is_common::<SyncSender<Any>>();
    is_common::<Receiver<Any>>();
    is_common::<Iter<'_, Any>>();
    is_common::<TryIter<'_, Any>>();
    is_common::<IntoIter<Any>>();
}

struct NotClone;

/// They are std's own.
fn errors() {
    fn is<T>(_: fn(T) -> T) {}
    is::<std::sync::mpsc::SendError<Any>>(|error: SendError<Any>| error);
    is::<std::sync::mpsc::TrySendError<Any>>(|error: TrySendError<Any>| error);
    is::<std::sync::mpsc::RecvError>(|error: RecvError| error);
    is::<std::sync::mpsc::TryRecvError>(|error: TryRecvError| error);
    is::<std::sync::mpsc::RecvTimeoutError>(|error: RecvTimeoutError| error);
    fn is_error<T: Error>() {}
    is_error::<SendError<Any>>();
    is_error::<TrySendError<Any>>();
}

/// Compiles as long as the type has not the trait: otherwise there would be two to choose from.
macro_rules! assert_has_not {
    ($bound:ident: $($type:ty),+) => {
        trait Choice<A> {
            fn of() {}
        }
        struct HasIt;
        impl<T: ?Sized> Choice<()> for T {}
        impl<T: ?Sized + $bound> Choice<HasIt> for T {}
        $(<$type as Choice<_>>::of();)+
    };
}

fn what_may_not_be_sent_is_not() {
    assert_has_not!(Send: Sender<Any>, SyncSender<Any>, Receiver<Any>, IntoIter<Any>);
}

fn what_may_not_be_shared_is_not() {
    assert_has_not!(Sync: Receiver<u8>, IntoIter<u8>, Iter<'_, u8>, TryIter<'_, u8>, Sender<Any>);
}
