//! Selected: what a list of operations consists of, and the one that was chosen.
//!
//! Layer 7. Imports: wait_any, sys. Never: which one is chosen, and why.

use super::Receiver;
use super::Sender;
use super::arm::Operand;
use super::arm::ReadyArm;
use super::arm::RecvArm;
use super::arm::SendArm;
use super::error::RecvError;
use super::error::SendError;
use super::occurrence::DeadlineArm;
use super::occurrence::OccurrenceArm;
use super::readiness::IoSource;
use super::readiness::ReadinessArm;
use crate::sys::Direction;
use crate::wait_any::Arm;
use crate::wait_any::Occurrence;
use std::fmt;
use std::io;
use std::ptr;
use std::ptr::NonNull;
use std::time::Instant;

/// An operation, and what it is on.
#[derive(Clone, Copy)]
pub(super) enum Wanted<'a> {
    Send(&'a dyn Selectable),
    Receive(&'a dyn Selectable),
    Ready(IoSource<'a>, Direction),
    Occurrence(&'a dyn Occurrence),
    Deadline(Instant),
}

impl<'a> Wanted<'a> {
    pub(super) fn arm(self) -> Box<dyn ErasedArm + 'a> {
        match self {
            Self::Send(on) | Self::Receive(on) => on.arm(),
            Self::Ready(source, direction) => Box::new(ReadinessArm::new(source, direction)),
            Self::Occurrence(on) => Box::new(OccurrenceArm::new(on)),
            Self::Deadline(at) => Box::new(DeadlineArm::new(at)),
        }
    }

    /// One that takes nothing.
    pub(super) fn ready_arm(self) -> Box<dyn Arm + 'a> {
        match self {
            Self::Send(on) | Self::Receive(on) => Box::new(ReadyArm::new(on)),
            Self::Ready(source, direction) => Box::new(ReadinessArm::new(source, direction)),
            Self::Occurrence(on) => Box::new(OccurrenceArm::new(on)),
            Self::Deadline(at) => Box::new(DeadlineArm::new(at)),
        }
    }

    fn is_on_a_channel(self) -> bool {
        matches!(self, Self::Send(_) | Self::Receive(_))
    }
}

/// An end of a channel.
pub(super) trait Selectable: Operand {
    fn arm(&self) -> Box<dyn ErasedArm + '_>;

    fn address(&self) -> *const ();
}

impl<T> Selectable for Receiver<T> {
    fn arm(&self) -> Box<dyn ErasedArm + '_> {
        Box::new(RecvArm::new(self))
    }

    fn address(&self) -> *const () {
        ptr::from_ref(self).cast()
    }
}

impl<T> Selectable for Sender<T> {
    fn arm(&self) -> Box<dyn ErasedArm + '_> {
        Box::new(SendArm::new(self))
    }

    fn address(&self) -> *const () {
        ptr::from_ref(self).cast()
    }
}

/// An arm whose type only its end of the channel knows.
pub(super) trait ErasedArm: Arm {
    fn as_arm(&mut self) -> &mut dyn Arm;

    fn this(&mut self) -> NonNull<()>;

    /// What has come of it, if it has an error to report and is not on a channel.
    fn result(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<T> ErasedArm for RecvArm<'_, T> {
    fn as_arm(&mut self) -> &mut dyn Arm {
        self
    }

    fn this(&mut self) -> NonNull<()> {
        NonNull::from(self).cast()
    }
}

impl<T> ErasedArm for SendArm<'_, T> {
    fn as_arm(&mut self) -> &mut dyn Arm {
        self
    }

    fn this(&mut self) -> NonNull<()> {
        NonNull::from(self).cast()
    }
}

impl ErasedArm for ReadinessArm<'_> {
    fn as_arm(&mut self) -> &mut dyn Arm {
        self
    }

    fn this(&mut self) -> NonNull<()> {
        NonNull::from(self).cast()
    }

    fn result(&mut self) -> io::Result<()> {
        self.finish()
    }
}

impl ErasedArm for OccurrenceArm<'_> {
    fn as_arm(&mut self) -> &mut dyn Arm {
        self
    }

    fn this(&mut self) -> NonNull<()> {
        NonNull::from(self).cast()
    }
}

impl ErasedArm for DeadlineArm {
    fn as_arm(&mut self) -> &mut dyn Arm {
        self
    }

    fn this(&mut self) -> NonNull<()> {
        NonNull::from(self).cast()
    }
}

/// An operation that was chosen and has to be completed, which does not wait.
///
/// One that is not on a channel need not be completed: its [`index`](Self::index) says it all, save for what
/// [`complete`](Self::complete) tells of a source of I/O.
///
/// # Panics
///
/// When one on a channel is dropped without having been completed; a message that was reserved for it is
/// dropped, and the right to send goes to the next. Forgetting a send keeps a receiver waiting that was
/// promised its message.
#[must_use = "a selected operation must be completed"]
pub struct SelectedOperation<'a> {
    arm: Option<Box<dyn ErasedArm + 'a>>,
    index: usize,
    wanted: Wanted<'a>,
}

impl<'a> SelectedOperation<'a> {
    pub(super) fn new(index: usize, wanted: Wanted<'a>, arm: Box<dyn ErasedArm + 'a>) -> Self {
        Self { arm: Some(arm), index, wanted }
    }

    /// The operation's number.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Sends the message, with the sender that was selected.
    ///
    /// # Errors
    ///
    /// [`SendError`] with the message, if the channel is closed or all its receivers are gone.
    ///
    /// # Panics
    ///
    /// If `sender` is not the one that was selected.
    #[track_caller]
    pub fn send<T>(mut self, sender: &Sender<T>, message: T) -> Result<(), SendError<T>> {
        let address = ptr::from_ref(sender).cast();
        let (Wanted::Send(selected), Some(arm)) = (self.wanted, &mut self.arm) else {
            panic!("passed a sender that wasn't selected");
        };
        assert!(ptr::eq(selected.address(), address), "passed a sender that wasn't selected");
        let arm = arm.this().cast::<SendArm<'_, T>>();
        // SAFETY: the arm was made by the sender of that address, which is borrowed all the while: so it is
        // this very sender, and of this type.
        let result = unsafe { &mut *arm.as_ptr() }.finish(message);
        self.arm = None;
        result
    }

    /// Receives the message, with the receiver that was selected.
    ///
    /// # Errors
    ///
    /// [`RecvError`] if the channel is empty, and it is closed or all its senders are gone.
    ///
    /// # Panics
    ///
    /// If `receiver` is not the one that was selected.
    #[track_caller]
    pub fn recv<T>(mut self, receiver: &Receiver<T>) -> Result<T, RecvError> {
        let address = ptr::from_ref(receiver).cast();
        let (Wanted::Receive(selected), Some(arm)) = (self.wanted, &mut self.arm) else {
            panic!("passed a receiver that wasn't selected");
        };
        assert!(ptr::eq(selected.address(), address), "passed a receiver that wasn't selected");
        let arm = arm.this().cast::<RecvArm<'_, T>>();
        // SAFETY: as in `send`.
        let result = unsafe { &mut *arm.as_ptr() }.finish();
        self.arm = None;
        result
    }

    /// Completes an operation that is not on a channel.
    ///
    /// # Errors
    ///
    /// Those of waiting for a source of I/O: the system's, if it does not watch the descriptor; and one of kind
    /// `Other`, carrying [`Cancelled`](crate::io::Cancelled), where the select was not to wait.
    ///
    /// # Panics
    ///
    /// If the operation is on a channel.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::channel::Select;
    /// use giambio::os::unix::net::UnixStream;
    /// use std::io::Write;
    ///
    /// giambio::run(|| -> std::io::Result<()> {
    ///     let (mut ours, theirs) = UnixStream::pair()?;
    ///     ours.write_all(b"x")?;
    ///     let mut select = Select::new();
    ///     select.readable(&theirs);
    ///     select.select().complete()
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn complete(mut self) -> io::Result<()> {
        assert!(!self.wanted.is_on_a_channel(), "a message is sent or received");
        self.arm.take().map_or(Ok(()), |mut arm| arm.result())
    }
}

impl Drop for SelectedOperation<'_> {
    fn drop(&mut self) {
        let Some(arm) = self.arm.take() else { return };
        drop(arm);
        if !self.wanted.is_on_a_channel() {
            return;
        }
        // An unwind is on its way already when a message could not be made.
        if !std::thread::panicking() {
            panic!("dropped `SelectedOperation` without completing the operation");
        }
    }
}

impl fmt::Debug for SelectedOperation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("SelectedOperation { .. }")
    }
}
