//! Select: the first of a list of operations that is made while the program runs.
//!
//! Layer 7. Imports: wait_any, time. Never: how a message gets to its receiver.
//!
//! crossbeam-channel's type of that name. The `select!` macro keeps its arms on the stack; here they are
//! boxed, since their number and types are not known.

use super::Receiver;
use super::Sender;
use super::arm::Operand;
use super::arm::ReadyArm;
use super::arm::RecvArm;
use super::arm::SendArm;
use super::error::ReadyTimeoutError;
use super::error::RecvError;
use super::error::SelectTimeoutError;
use super::error::SendError;
use super::error::TryReadyError;
use super::error::TrySelectError;
use crate::time::clock;
use crate::wait_any;
use crate::wait_any::Arm;
use crate::wait_any::Choice;
use crate::wait_any::Order;
use crate::wait_any::Patience;
use std::fmt;
use std::ptr;
use std::ptr::NonNull;
use std::time::Duration;
use std::time::Instant;

/// Waits for the first of several operations, whose number need not be known to the compiler.
///
/// Where it is, [`select!`](super::select!) says the same in fewer words. Operations are numbered in the
/// order in which they are added. Of several that are ready one is chosen at random, or in a
/// [biased](Self::new_biased) one the first.
///
/// [`select`](Self::select) chooses an operation and reserves what it needs: a message, or the right to
/// send one. The [`SelectedOperation`] must then be completed with the same end of the channel.
/// [`ready`](Self::ready) only says which one would not wait.
///
/// # Cancellation
///
/// As for [`select!`](super::select!).
///
/// # Examples
///
/// ```
/// use giambio::channel::{Receiver, RecvError, Select, unbounded};
///
/// fn recv_multiple<T>(receivers: &[Receiver<T>]) -> (usize, Result<T, RecvError>) {
///     let mut select = Select::new();
///     for receiver in receivers {
///         select.recv(receiver);
///     }
///     let operation = select.select();
///     let index = operation.index();
///     (index, operation.recv(&receivers[index]))
/// }
///
/// let (_first, receiver) = unbounded();
/// let (second, other) = unbounded();
/// second.send(7).unwrap();
/// assert_eq!(recv_multiple(&[receiver, other]), (1, Ok(7)));
/// ```
#[must_use = "a list of operations does nothing until one of them is selected"]
pub struct Select<'a> {
    operations: Vec<Operation<'a>>,
    next_index: usize,
    order: Order,
}

struct Operation<'a> {
    index: usize,
    on: &'a dyn Selectable,
    kind: Kind,
    /// Made when it is needed for the first time, and given away when it was chosen.
    arm: Option<Box<dyn ErasedArm + 'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Send,
    Receive,
}

/// An end of a channel.
trait Selectable: Operand {
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
trait ErasedArm: Arm {
    fn as_arm(&mut self) -> &mut dyn Arm;

    fn this(&mut self) -> NonNull<()>;
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

impl<'a> Select<'a> {
    /// An empty list, from which fair choices are made.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut select = giambio::channel::Select::new();
    /// assert!(select.try_select().is_err()); // there is nothing that could be ready
    /// ```
    pub fn new() -> Self {
        Self { operations: Vec::with_capacity(4), next_index: 0, order: Order::Fair }
    }

    /// An empty list, from which the first that is ready is chosen.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::channel::{Select, unbounded};
    ///
    /// let ((one, first), (two, second)) = (unbounded(), unbounded());
    /// one.send(1).unwrap();
    /// two.send(2).unwrap();
    /// let mut select = Select::new_biased();
    /// select.recv(&first);
    /// select.recv(&second);
    /// assert_eq!(select.select().recv(&first), Ok(1));
    /// ```
    pub fn new_biased() -> Self {
        Self { order: Order::Biased, ..Self::new() }
    }

    fn add(&mut self, on: &'a dyn Selectable, kind: Kind) -> usize {
        let index = self.next_index;
        self.next_index += 1;
        self.operations.push(Operation { index, on, kind, arm: None });
        index
    }

    /// Adds a send, and returns its number.
    pub fn send<T>(&mut self, sender: &'a Sender<T>) -> usize {
        self.add(sender, Kind::Send)
    }

    /// Adds a receive, and returns its number.
    pub fn recv<T>(&mut self, receiver: &'a Receiver<T>) -> usize {
        self.add(receiver, Kind::Receive)
    }

    /// Takes an operation out, for example since its channel is closed. The others keep their numbers.
    ///
    /// # Panics
    ///
    /// If there is no operation of that number.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::channel::{Select, unbounded};
    ///
    /// let ((one, first), (two, second)) = (unbounded::<u8>(), unbounded());
    /// drop(one);
    /// two.send(2).unwrap();
    /// let mut select = Select::new();
    /// let closed = select.recv(&first);
    /// let open = select.recv(&second);
    /// select.remove(closed);
    /// let operation = select.select();
    /// assert_eq!(operation.index(), open);
    /// assert_eq!(operation.recv(&second), Ok(2));
    /// ```
    pub fn remove(&mut self, index: usize) {
        assert!(index < self.next_index, "index out of bounds; {index} >= {}", self.next_index);
        let place = self.operations.iter().position(|operation| operation.index == index);
        match place {
            Some(place) => drop(self.operations.remove(place)),
            None => panic!("no operation with this index"),
        }
    }

    #[track_caller]
    fn choose(&mut self, patience: Patience) -> Option<SelectedOperation<'a>> {
        let arms = self.operations.iter_mut().map(|operation| {
            let on = operation.on;
            operation.arm.get_or_insert_with(|| on.arm()).as_arm()
        });
        let mut arms: Vec<&mut dyn Arm> = arms.collect();
        let Choice::Arm(place) = wait_any::first_of(&mut arms, self.order, patience) else {
            return None;
        };
        let chosen = &mut self.operations[place];
        let Some(arm) = chosen.arm.take() else { unreachable!("made above") };
        Some(SelectedOperation {
            arm: Some(arm),
            index: chosen.index,
            address: chosen.on.address(),
            kind: chosen.kind,
        })
    }

    /// Chooses an operation that would not wait, if there is one.
    ///
    /// Never parks, and is no checkpoint; see [`Receiver::try_recv`] for an exception.
    ///
    /// # Errors
    ///
    /// [`TrySelectError`] if each of them would wait.
    pub fn try_select(&mut self) -> Result<SelectedOperation<'a>, TrySelectError> {
        self.choose(Patience::None).ok_or(TrySelectError)
    }

    /// Chooses the first operation that need not wait, parking the calling task until there is one.
    ///
    /// # Panics
    ///
    /// If the list is empty. If it would have to wait inside of
    /// [`task::no_switch`](crate::task::no_switch).
    #[track_caller]
    pub fn select(&mut self) -> SelectedOperation<'a> {
        assert!(!self.operations.is_empty(), "no operations have been added to `Select`");
        match self.choose(Patience::Endless) {
            Some(selected) => selected,
            None => unreachable!("patience has ended that had no end"),
        }
    }

    /// Like [`select`](Self::select), for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`SelectTimeoutError`] if the time is up.
    ///
    /// # Panics
    ///
    /// If it would have to wait inside of [`task::no_switch`](crate::task::no_switch).
    #[track_caller]
    pub fn select_timeout(
        &mut self,
        timeout: Duration,
    ) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
        self.choose(within(timeout)).ok_or(SelectTimeoutError)
    }

    /// Like [`select`](Self::select), until `deadline` at the latest, by [`clock`](crate::clock()).
    ///
    /// # Errors
    ///
    /// [`SelectTimeoutError`] if the time is up.
    ///
    /// # Panics
    ///
    /// If it would have to wait inside of [`task::no_switch`](crate::task::no_switch).
    #[track_caller]
    pub fn select_deadline(
        &mut self,
        deadline: Instant,
    ) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
        self.choose(Patience::Until(deadline)).ok_or(SelectTimeoutError)
    }

    #[track_caller]
    fn find_ready(&mut self, patience: Patience) -> Option<usize> {
        let mut arms: Vec<_> =
            self.operations.iter().map(|operation| ReadyArm::new(operation.on)).collect();
        let mut arms: Vec<&mut dyn Arm> = arms.iter_mut().map(|arm| arm as &mut dyn Arm).collect();
        match wait_any::first_of(&mut arms, self.order, patience) {
            Choice::Arm(place) => Some(self.operations[place].index),
            Choice::Timeout => None,
        }
    }

    /// The number of an operation that would not wait, if there is one.
    ///
    /// Somebody else may be faster when it is made.
    ///
    /// # Errors
    ///
    /// [`TryReadyError`] if each of them would wait.
    pub fn try_ready(&mut self) -> Result<usize, TryReadyError> {
        self.find_ready(Patience::None).ok_or(TryReadyError)
    }

    /// The number of the first operation that would not wait, parking the calling task until there is one.
    ///
    /// Somebody else may be faster when it is made.
    ///
    /// # Panics
    ///
    /// As for [`select`](Self::select).
    #[track_caller]
    pub fn ready(&mut self) -> usize {
        assert!(!self.operations.is_empty(), "no operations have been added to `Select`");
        match self.find_ready(Patience::Endless) {
            Some(index) => index,
            None => unreachable!("patience has ended that had no end"),
        }
    }

    /// Like [`ready`](Self::ready), for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`ReadyTimeoutError`] if the time is up.
    ///
    /// # Panics
    ///
    /// If it would have to wait inside of [`task::no_switch`](crate::task::no_switch).
    #[track_caller]
    pub fn ready_timeout(&mut self, timeout: Duration) -> Result<usize, ReadyTimeoutError> {
        self.find_ready(within(timeout)).ok_or(ReadyTimeoutError)
    }

    /// Like [`ready`](Self::ready), until `deadline` at the latest, by [`clock`](crate::clock()).
    ///
    /// # Errors
    ///
    /// [`ReadyTimeoutError`] if the time is up.
    ///
    /// # Panics
    ///
    /// If it would have to wait inside of [`task::no_switch`](crate::task::no_switch).
    #[track_caller]
    pub fn ready_deadline(&mut self, deadline: Instant) -> Result<usize, ReadyTimeoutError> {
        self.find_ready(Patience::Until(deadline)).ok_or(ReadyTimeoutError)
    }
}

fn within(timeout: Duration) -> Patience {
    clock().checked_add(timeout).map_or(Patience::Endless, Patience::Until)
}

impl Default for Select<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Clone for Select<'a> {
    fn clone(&self) -> Self {
        let same = |operation: &Operation<'a>| Operation { arm: None, ..*operation };
        let operations = self.operations.iter().map(same).collect();
        Self { operations, ..*self }
    }
}

impl fmt::Debug for Select<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Select { .. }")
    }
}

/// An operation that was chosen and has to be completed, which does not wait.
///
/// # Panics
///
/// When it is dropped without having been completed; a message that was reserved for it is dropped, and
/// the right to send goes to the next. Forgetting a send keeps a receiver waiting that was promised its
/// message.
#[must_use = "a selected operation must be completed"]
pub struct SelectedOperation<'a> {
    arm: Option<Box<dyn ErasedArm + 'a>>,
    index: usize,
    address: *const (),
    kind: Kind,
}

impl SelectedOperation<'_> {
    /// The operation's number.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// The arm, if `address` is that of its end of the channel.
    #[track_caller]
    fn arm(&mut self, address: *const (), kind: Kind) -> Option<&mut (dyn ErasedArm + '_)> {
        let is_same = ptr::eq(self.address, address) && self.kind == kind;
        self.arm.as_deref_mut().filter(|_| is_same).map(|arm| arm as _)
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
        let Some(arm) = self.arm(ptr::from_ref(sender).cast(), Kind::Send) else {
            panic!("passed a sender that wasn't selected");
        };
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
        let Some(arm) = self.arm(ptr::from_ref(receiver).cast(), Kind::Receive) else {
            panic!("passed a receiver that wasn't selected");
        };
        let arm = arm.this().cast::<RecvArm<'_, T>>();
        // SAFETY: as in `send`.
        let result = unsafe { &mut *arm.as_ptr() }.finish();
        self.arm = None;
        result
    }
}

impl Drop for SelectedOperation<'_> {
    fn drop(&mut self) {
        let Some(arm) = self.arm.take() else { return };
        drop(arm);
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
