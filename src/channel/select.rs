//! Select: the first of a list of operations that is made while the program runs.
//!
//! Layer 7. Imports: wait_any, sync, sys, time. Never: how a message gets to its receiver.
//!
//! crossbeam-channel's type of that name. The `select!` macro keeps its arms on the stack; here they are
//! boxed, since their number and types are not known.

use super::Receiver;
use super::Sender;
use super::error::ReadyTimeoutError;
use super::error::SelectTimeoutError;
use super::error::TryReadyError;
use super::error::TrySelectError;
use super::occurrence::Ending;
use super::readiness::Readiness;
use super::selected::ErasedArm;
use super::selected::SelectedOperation;
use super::selected::Wanted;
use crate::sync::Event;
use crate::sys::Direction;
use crate::time::clock;
use crate::wait_any;
use crate::wait_any::Arm;
use crate::wait_any::Choice;
use crate::wait_any::Order;
use crate::wait_any::Patience;
use std::fmt;
use std::time::Duration;
use std::time::Instant;

/// Waits for the first of several operations, whose number need not be known to the compiler.
///
/// Where it is, [`select!`](super::select!) says the same in fewer words. Operations are numbered in the
/// order in which they are added. Of several that are ready one is chosen at random, or in a
/// [biased](Self::new_biased) one the first.
///
/// [`select`](Self::select) chooses an operation and reserves what it needs: a message, or the right to
/// send one. The [`SelectedOperation`] must then be completed with the same end of the channel. Where
/// something else than a channel is waited for, its number is all there is to it.
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
///
/// The first of many tasks to end:
///
/// ```
/// use giambio::Task;
/// use giambio::channel::Select;
///
/// fn first_to_end<T>(tasks: &[Task<'_, T>]) -> usize {
///     let mut select = Select::new();
///     tasks.iter().for_each(|task| _ = select.finished(task));
///     select.select().index()
/// }
///
/// giambio::run(|| {
///     giambio::pool(|pool| {
///         let tasks = [3, 1, 2].map(|n| pool.spawn(move || (0..n).for_each(|_| giambio::yield_now())));
///         assert_eq!(first_to_end(&tasks), 1);
///     });
/// });
/// ```
#[must_use = "a list of operations does nothing until one of them is selected"]
pub struct Select<'a> {
    operations: Vec<Operation<'a>>,
    next_index: usize,
    order: Order,
}

struct Operation<'a> {
    index: usize,
    wanted: Wanted<'a>,
    /// Made when it is needed for the first time, and given away when it was chosen.
    arm: Option<Box<dyn ErasedArm + 'a>>,
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

    fn add(&mut self, wanted: Wanted<'a>) -> usize {
        let index = self.next_index;
        self.next_index += 1;
        self.operations.push(Operation { index, wanted, arm: None });
        index
    }

    /// Adds a send, and returns its number.
    pub fn send<T>(&mut self, sender: &'a Sender<T>) -> usize {
        self.add(Wanted::Send(sender))
    }

    /// Adds a receive, and returns its number.
    pub fn recv<T>(&mut self, receiver: &'a Receiver<T>) -> usize {
        self.add(Wanted::Receive(receiver))
    }

    /// Adds a wait until `source` can be read from, or has an end or an error to report, and returns its
    /// number. Nothing is read.
    pub fn readable<S: Readiness>(&mut self, source: &'a S) -> usize {
        self.add(Wanted::Ready(source.io_source(), Direction::Read))
    }

    /// Adds a wait until `source` can be written to, or has an error to report, and returns its number.
    pub fn writable<S: Readiness>(&mut self, source: &'a S) -> usize {
        self.add(Wanted::Ready(source.io_source(), Direction::Write))
    }

    /// Adds a wait until `task` has ended, and returns its number.
    pub fn finished<E: Ending>(&mut self, task: &'a E) -> usize {
        self.add(Wanted::Occurrence(task.end().0))
    }

    /// Adds a wait until `event` has happened, and returns its number.
    pub fn happened<T>(&mut self, event: &'a Event<T>) -> usize {
        self.add(Wanted::Occurrence(event.occurrence()))
    }

    /// Adds a wait until `at`, by [`clock`](crate::clock()), and returns its number.
    pub fn deadline(&mut self, at: Instant) -> usize {
        self.add(Wanted::Deadline(at))
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
            let wanted = operation.wanted;
            operation.arm.get_or_insert_with(|| wanted.arm()).as_arm()
        });
        let mut arms: Vec<&mut dyn Arm> = arms.collect();
        let Choice::Arm(place) = wait_any::first_of(&mut arms, self.order, patience) else {
            return None;
        };
        let chosen = &mut self.operations[place];
        let Some(arm) = chosen.arm.take() else { unreachable!("made above") };
        Some(SelectedOperation::new(chosen.index, chosen.wanted, arm))
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
            self.operations.iter().map(|operation| operation.wanted.ready_arm()).collect();
        let mut arms: Vec<&mut dyn Arm> =
            arms.iter_mut().map(|arm| &mut **arm as &mut dyn Arm).collect();
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
