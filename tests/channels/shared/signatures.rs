//! Every function, method and bound, with its signature. That they compile is the test.

use super::channel::IntoIter;
use super::channel::Iter;
use super::channel::ReadyTimeoutError;
use super::channel::Receiver;
use super::channel::RecvError;
use super::channel::RecvTimeoutError;
use super::channel::Select;
use super::channel::SelectTimeoutError;
use super::channel::SelectedOperation;
use super::channel::SendError;
use super::channel::SendTimeoutError;
use super::channel::Sender;
use super::channel::TryIter;
use super::channel::TryReadyError;
use super::channel::TryRecvError;
use super::channel::TrySelectError;
use super::channel::TrySendError;
use super::channel::after;
use super::channel::at;
use super::channel::bounded;
use super::channel::never;
use super::channel::select;
use super::channel::select_biased;
use super::channel::tick;
use super::channel::unbounded;
use std::cell::Cell;
use std::convert::Infallible;
use std::fmt::Debug;
use std::iter::FusedIterator;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::rc::Rc;
use std::time::Duration;
use std::time::Instant;

/// Of anything, be it used from one thread only.
type Any = Rc<Cell<i32>>;

#[test]
fn all() {
    functions();
    sender();
    receiver();
    selection();
    iterators();
    bounds();
}

fn functions() {
    let _: fn(usize) -> (Sender<Any>, Receiver<Any>) = bounded;
    let _: fn() -> (Sender<Any>, Receiver<Any>) = unbounded;
    let _: [fn(Duration) -> Receiver<Instant>; 2] = [after, tick];
    let _: fn(Instant) -> Receiver<Instant> = at;
    let _: fn() -> Receiver<Any> = never;
    // A receiver that never receives may lie in a static.
    static NEVER: Receiver<i32> = never();
    assert_eq!(NEVER.try_recv(), Err(TryRecvError::Empty));
    select!(default => {});
    select_biased!(default => {});
}

fn sender() {
    type S = Sender<Any>;
    let _: fn(&S, Any) -> Result<(), SendError<Any>> = S::send;
    let _: fn(&S, Any) -> Result<(), TrySendError<Any>> = S::try_send;
    type Timed<Limit> = fn(&S, Any, Limit) -> Result<(), SendTimeoutError<Any>>;
    let _: Timed<Duration> = S::send_timeout;
    let _: Timed<Instant> = S::send_deadline;
    let _: [fn(&S) -> bool; 2] = [S::is_empty, S::is_full];
    let _: fn(&S) -> usize = S::len;
    let _: fn(&S) -> Option<usize> = S::capacity;
    let _: fn(&S, &S) -> bool = S::same_channel;
}

fn receiver() {
    type R = Receiver<Any>;
    type Receives<E> = fn(&R) -> Result<Any, E>;
    let _: Receives<RecvError> = R::recv;
    let _: Receives<TryRecvError> = R::try_recv;
    type Timed<Limit> = fn(&R, Limit) -> Result<Any, RecvTimeoutError>;
    let _: Timed<Duration> = R::recv_timeout;
    let _: Timed<Instant> = R::recv_deadline;
    let _: [fn(&R) -> bool; 2] = [R::is_empty, R::is_full];
    let _: fn(&R) -> usize = R::len;
    let _: fn(&R) -> Option<usize> = R::capacity;
    let _: fn(&R) -> Iter<'_, Any> = R::iter;
    let _: fn(&R) -> TryIter<'_, Any> = R::try_iter;
    let _: fn(&R, &R) -> bool = R::same_channel;
}

fn selection() {
    type Chosen = SelectedOperation<'static>;
    let _: [fn() -> Select<'static>; 3] = [Select::new, Select::new_biased, Select::default];
    let _: fn(&mut Select<'static>, &'static Sender<Any>) -> usize = Select::send;
    let _: fn(&mut Select<'static>, &'static Receiver<Any>) -> usize = Select::recv;
    let _: fn(&mut Select<'static>, usize) = Select::remove;
    let _: fn(&mut Select<'static>) -> Chosen = Select::select;
    let _: fn(&mut Select<'static>) -> Result<Chosen, TrySelectError> = Select::try_select;
    type Selects<Limit> = fn(&mut Select<'static>, Limit) -> Result<Chosen, SelectTimeoutError>;
    let _: Selects<Duration> = Select::select_timeout;
    let _: Selects<Instant> = Select::select_deadline;
    let _: fn(&mut Select<'static>) -> usize = Select::ready;
    let _: fn(&mut Select<'static>) -> Result<usize, TryReadyError> = Select::try_ready;
    type Readies<Limit> = fn(&mut Select<'static>, Limit) -> Result<usize, ReadyTimeoutError>;
    let _: Readies<Duration> = Select::ready_timeout;
    let _: Readies<Instant> = Select::ready_deadline;
    let _: fn(&Chosen) -> usize = SelectedOperation::index;
    type Sends = fn(Chosen, &Sender<i32>, i32) -> Result<(), SendError<i32>>;
    let _: Sends = SelectedOperation::send;
    let _: fn(Chosen, &Receiver<i32>) -> Result<i32, RecvError> = SelectedOperation::recv;
}

fn iterators() {
    fn iterates<I: Iterator<Item = Any> + Debug>() {}
    fn ends<I: FusedIterator>() {}
    fn makes<C: IntoIterator<Item = Any, IntoIter = I>, I>() {}
    iterates::<Iter<'_, Any>>();
    iterates::<TryIter<'_, Any>>();
    iterates::<IntoIter<Any>>();
    ends::<Iter<'_, Any>>();
    ends::<IntoIter<Any>>();
    makes::<Receiver<Any>, IntoIter<Any>>();
    makes::<&Receiver<Any>, Iter<'_, Any>>();
}

fn bounds() {
    fn is_shared<T: Send + Sync>() {}
    fn is_common<T: Clone + Debug + UnwindSafe + RefUnwindSafe + Unpin>() {}
    // What may be sent need not be shared, to go through a channel that is.
    is_shared::<Sender<Cell<i32>>>();
    is_shared::<Receiver<Cell<i32>>>();
    is_shared::<IntoIter<Cell<i32>>>();
    is_shared::<Iter<'_, Cell<i32>>>();
    is_shared::<TryIter<'_, Cell<i32>>>();
    is_common::<Sender<Any>>();
    is_common::<Receiver<Any>>();
    is_common::<Sender<Infallible>>();
    fn is_debug_and_clone<T: Debug + Clone>() {}
    is_debug_and_clone::<Select<'_>>();
    fn is_debug<T: Debug>() {}
    is_debug::<SelectedOperation<'_>>();
}
