//! Inbox: what other threads leave for a worker.
//!
//! Layer 3. Imports: primitive, task. Never: how a sleeping worker is woken (a `Bell` does that).
//!
//! A stack of letters whose head doubles as the sleeping flag: whoever replaces `ASLEEP` rings the
//! bell, so a worker that is awake costs its wakers no system call, and one word orders both. A
//! flag beside the list was rejected: it needs a sequentially consistent pair on each side.

use super::Core;
use crate::primitive::AtomicPtr;
use crate::primitive::Ordering;
use std::fmt;
use std::ptr;

/// Wakes a worker that sleeps in its reactor. Called from any thread.
pub(crate) trait Bell: Send + Sync {
    fn ring(&self);
}

/// A scope's place among those that other threads may cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CancelKey {
    pub(crate) index: usize,
    pub(crate) generation: u64,
}

/// Something that a worker does for another thread, on its own stack: no user code, and nothing that can
/// unwind or wait.
pub(crate) trait Errand: Send {
    fn run(self: Box<Self>);
}

/// What a letter says.
#[derive(Debug)]
pub(crate) enum Message {
    /// Queue this task; its wait was claimed by the sender.
    Wake(*const Core),
    /// Cancel a scope, if it still exists, for this reason. Boxed, since every task has a letter.
    Cancel(Box<(CancelKey, Option<String>)>),
    /// Forget a source that was closed on another thread.
    Deregister(usize),
    /// An abandoned call has come to its end on its helper thread.
    CallEnded,
    /// Have those who wait for a source look again.
    Nudge(usize),
    /// Do this. Boxed twice, since every task has a letter, of one word.
    Errand(Box<BoxedErrand>),
}

/// See [`Message::Errand`].
pub(crate) struct BoxedErrand(pub(crate) Box<dyn Errand>);

impl BoxedErrand {
    pub(crate) fn run(self) {
        self.0.run();
    }
}

impl fmt::Debug for BoxedErrand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxedErrand").finish_non_exhaustive()
    }
}

/// A message and its link. A `Wake` lies in its task's record, every other one in a box.
pub(crate) struct Letter {
    next: AtomicPtr<Letter>,
    message: Message,
}

impl Letter {
    pub(crate) fn new(message: Message) -> Self {
        Self { next: AtomicPtr::new(ptr::null_mut()), message }
    }

    /// The task of a wake-up.
    pub(super) fn task(&self) -> *const Core {
        match self.message {
            Message::Wake(core) => core,
            _ => unreachable!("a task's letter wakes it"),
        }
    }
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Letter").field(&self.message).finish()
    }
}

/// The worker sleeps, or is about to: ring the bell.
const ASLEEP: *mut Letter = ptr::without_provenance_mut(1);

/// Letters of all senders, the newest on top.
pub(crate) struct Inbox {
    head: AtomicPtr<Letter>,
    bell: Box<dyn Bell>,
}

// SAFETY: letters are handed over by the exchange of `head`, and a `Wake` is only pushed by the one
// thread that has claimed the task's session, which keeps its record alive until the push.
unsafe impl Send for Inbox {}
// SAFETY: as above; a bell is `Sync`.
unsafe impl Sync for Inbox {}

impl Inbox {
    pub(crate) fn new(bell: Box<dyn Bell>) -> Self {
        Self { head: AtomicPtr::new(ptr::null_mut()), bell }
    }

    /// Leaves a message that is not a wake-up.
    pub(crate) fn post(&self, message: Message) {
        debug_assert!(!matches!(message, Message::Wake(_)), "a wake-up needs no box");
        let letter = Box::into_raw(Box::new(Letter::new(message)));
        // SAFETY: the box was leaked for the worker, which takes it back in `drain`.
        unsafe { self.push(letter) };
    }

    /// Leaves `letter` and wakes the worker if it sleeps.
    ///
    /// # Safety
    ///
    /// `letter` stays alive until the worker has drained it, and is in no inbox now.
    pub(crate) unsafe fn push(&self, letter: *mut Letter) {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            let below = if head == ASLEEP { ptr::null_mut() } else { head };
            // SAFETY: the caller keeps the letter alive, and before the exchange below nobody else
            // knows of it.
            unsafe { &(*letter).next }.store(below, Ordering::Relaxed);
            // AcqRel: the worker must see what was written before the push.
            match self.head.compare_exchange_weak(head, letter, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => break,
                Err(now) => head = now,
            }
        }
        // The letter may be gone by now; only the inbox is touched.
        if head == ASLEEP {
            self.bell.ring();
        }
    }

    /// Whether there is anything to read. A hint while the worker is busy.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.load(Ordering::Relaxed).is_null()
    }

    /// Whether there is a letter, although the worker may be asleep.
    pub(crate) fn has_letters(&self) -> bool {
        let head = self.head.load(Ordering::Relaxed);
        !head.is_null() && head != ASLEEP
    }

    /// Wakes the worker without a letter, wherever it sleeps.
    pub(crate) fn ring(&self) {
        self.bell.ring();
    }

    /// Announces that the worker is about to sleep. False if letters have arrived: read them first.
    pub(crate) fn fall_asleep(&self) -> bool {
        self.head
            .compare_exchange(ptr::null_mut(), ASLEEP, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// Takes every letter, the oldest first, and ends the sleep that `fall_asleep` announced.
    pub(crate) fn drain(&self, mut read: impl FnMut(Message)) {
        let mut newest_first = self.head.swap(ptr::null_mut(), Ordering::Acquire);
        if newest_first == ASLEEP {
            return;
        }
        let mut oldest_first: *mut Letter = ptr::null_mut();
        while !newest_first.is_null() {
            // SAFETY: the swap made these letters ours, and `push`'s caller keeps them alive.
            let link = unsafe { &(*newest_first).next };
            let below = link.load(Ordering::Relaxed);
            link.store(oldest_first, Ordering::Relaxed);
            oldest_first = newest_first;
            newest_first = below;
        }
        while !oldest_first.is_null() {
            // SAFETY: as above.
            let letter = unsafe { &*oldest_first };
            let next = letter.next.load(Ordering::Relaxed);
            let message = match letter.message {
                Message::Wake(core) => Message::Wake(core),
                // SAFETY: `post` boxed this letter and nobody refers to it any more.
                _ => unsafe { Box::from_raw(oldest_first).message },
            };
            oldest_first = next;
            read(message);
        }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        // No task is left to be woken, but boxed letters may have come after the worker's last look.
        let mut letter = self.head.swap(ptr::null_mut(), Ordering::Acquire);
        while !letter.is_null() && letter != ASLEEP {
            // SAFETY: `&mut self` proves that no sender is left, and wake-ups are gone with their
            // tasks, so this letter was boxed by `post`.
            let boxed = unsafe { Box::from_raw(letter) };
            letter = boxed.next.load(Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}
