//! The error types: what they say, hold, and become.

use super::channel::ReadyTimeoutError;
use super::channel::RecvError;
use super::channel::RecvTimeoutError;
use super::channel::SelectTimeoutError;
use super::channel::SendError;
use super::channel::SendTimeoutError;
use super::channel::TryReadyError;
use super::channel::TryRecvError;
use super::channel::TrySelectError;
use super::channel::TrySendError;
use super::channel::bounded;
use std::error::Error;
use std::fmt::Debug;
use std::panic::UnwindSafe;
use std::rc::Rc;

/// A message of which nothing is asked but that it may be sent.
struct Plain;

#[test]
fn smoke() {
    let (s, r) = bounded(1);
    drop(r);
    assert_eq!(s.send(7).unwrap_err().to_string(), "sending on a disconnected channel");
}

/// What it prints, plain and for a programmer; crossbeam's put some of the latter in quotes.
fn prints(error: &(dyn Error + Send + 'static)) -> [String; 2] {
    [error.to_string(), format!("{error:?}").trim_matches('"').into()]
}

#[test]
fn errors_that_hold_a_message_print_without_it() {
    let disconnected = "sending on a disconnected channel";
    assert_eq!(prints(&SendError(Plain)), [disconnected, "SendError(..)"]);
    let full = TrySendError::Full(Plain);
    assert_eq!(prints(&full), ["sending on a full channel", "Full(..)"]);
    let gone = TrySendError::Disconnected(Plain);
    assert_eq!(prints(&gone), [disconnected, "Disconnected(..)"]);
    // Of these crossbeam's do not say which they are.
    let slow = SendTimeoutError::Timeout(Plain);
    assert_eq!(prints(&slow)[0], "timed out waiting on send operation");
    let gone = SendTimeoutError::Disconnected(Plain);
    assert_eq!(prints(&gone)[0], disconnected);
    assert!([slow, gone].map(|error| prints(&error)[1].ends_with("(..)")) == [true; 2]);
}

#[test]
fn errors_of_receives_print_what_has_happened() {
    let gone = "receiving on an empty and disconnected channel";
    assert_eq!(prints(&RecvError), [gone, "RecvError"]);
    assert_eq!(prints(&TryRecvError::Disconnected), [gone, "Disconnected"]);
    assert_eq!(prints(&TryRecvError::Empty), ["receiving on an empty channel", "Empty"]);
    let slow = RecvTimeoutError::Timeout;
    assert_eq!(prints(&slow), ["timed out waiting on receive operation", "Timeout"]);
    let gone = RecvTimeoutError::Disconnected;
    assert_eq!(prints(&gone), ["channel is empty and disconnected", "Disconnected"]);
}

#[test]
fn errors_of_selects_print_what_has_happened() {
    let blocked = "all operations in select would block";
    assert_eq!(prints(&TrySelectError), [blocked, "TrySelectError"]);
    let slow = "timed out waiting on select";
    assert_eq!(prints(&SelectTimeoutError), [slow, "SelectTimeoutError"]);
    // These two are no `Error` in crossbeam's.
    assert_eq!(format!("{TryReadyError:?}"), "TryReadyError");
    assert_eq!(format!("{ReadyTimeoutError:?}"), "ReadyTimeoutError");
}

#[test]
fn a_message_is_taken_out_of_its_error() {
    assert_eq!(SendError(1).into_inner(), 1);
    assert_eq!(SendError(1).0, 1);
    assert_eq!(TrySendError::Full(2).into_inner(), 2);
    assert_eq!(TrySendError::Disconnected(3).into_inner(), 3);
    assert_eq!(SendTimeoutError::Timeout(4).into_inner(), 4);
    assert_eq!(SendTimeoutError::Disconnected(5).into_inner(), 5);
    // Whatever it is.
    let message = Rc::new(6);
    assert!(Rc::ptr_eq(&SendError(Rc::clone(&message)).into_inner(), &message));
}

#[test]
fn errors_say_which_they_are() {
    let (full, gone) = (TrySendError::Full(()), TrySendError::Disconnected(()));
    assert_eq!((full.is_full(), full.is_disconnected()), (true, false));
    assert_eq!((gone.is_full(), gone.is_disconnected()), (false, true));
    let (slow, gone) = (SendTimeoutError::Timeout(()), SendTimeoutError::Disconnected(()));
    assert_eq!((slow.is_timeout(), slow.is_disconnected()), (true, false));
    assert_eq!((gone.is_timeout(), gone.is_disconnected()), (false, true));
    let (empty, gone) = (TryRecvError::Empty, TryRecvError::Disconnected);
    assert_eq!((empty.is_empty(), empty.is_disconnected()), (true, false));
    assert_eq!((gone.is_empty(), gone.is_disconnected()), (false, true));
    let (slow, gone) = (RecvTimeoutError::Timeout, RecvTimeoutError::Disconnected);
    assert_eq!((slow.is_timeout(), slow.is_disconnected()), (true, false));
    assert_eq!((gone.is_timeout(), gone.is_disconnected()), (false, true));
}

#[test]
fn the_lasting_error_becomes_any_other() {
    assert_eq!(TrySendError::from(SendError(1)), TrySendError::Disconnected(1));
    assert_eq!(SendTimeoutError::from(SendError(2)), SendTimeoutError::Disconnected(2));
    assert_eq!(TryRecvError::from(RecvError), TryRecvError::Disconnected);
    assert_eq!(RecvTimeoutError::from(RecvError), RecvTimeoutError::Disconnected);
}

#[test]
fn errors_are_compared_copied_and_carried() {
    fn has_all<E: Copy + Eq + Debug + Send + Sync + UnwindSafe + 'static>(error: E) {
        assert_eq!(error, { error });
    }
    has_all(SendError(1));
    has_all(TrySendError::Full(1));
    has_all(SendTimeoutError::Timeout(1));
    has_all(RecvError);
    has_all(TryRecvError::Empty);
    has_all(RecvTimeoutError::Timeout);
    has_all(TrySelectError);
    has_all(SelectTimeoutError);
    has_all(TryReadyError);
    has_all(ReadyTimeoutError);
    assert_ne!(SendError(1), SendError(2));
    assert_ne!(TrySendError::Full(1), TrySendError::Disconnected(1));
}

#[test]
fn a_question_mark_passes_them_on() {
    fn fails() -> Result<(), Box<dyn Error + Send + Sync>> {
        let (s, r) = bounded::<i32>(1);
        s.try_send(1)?;
        r.try_recv()?;
        drop(r);
        s.send(2)?;
        unreachable!("nobody receives");
    }
    let error = fails().unwrap_err();
    assert_eq!(error.downcast_ref::<SendError<i32>>(), Some(&SendError(2)));
}

#[test]
fn the_ends_print_their_names() {
    let (s, r) = bounded::<Plain>(1);
    assert!(format!("{s:?}").starts_with("Sender {"));
    assert!(format!("{r:?}").starts_with("Receiver {"));
    assert!(format!("{:?}", r.iter()).starts_with("Iter {"));
    assert!(format!("{:?}", r.try_iter()).starts_with("TryIter {"));
    assert!(format!("{:?}", r.into_iter()).starts_with("IntoIter {"));
}
