//! List: how records are linked without allocating.
//!
//! Layer 0. Imports: nothing of this crate. Never: tasks, and therefore never what is linked or why.
//!
//! Chosen: a doubly linked list whose nodes lie in the records themselves, so that a task can be
//! taken out of the middle of a queue in constant time. Rejected: `Vec` and `VecDeque` (a cancelled
//! waiter in the middle costs a search), a slab of nodes (an allocation to block).

use std::cell::Cell;
use std::fmt;
use std::ptr;

/// One record's place in at most one [`List`].
pub(crate) struct Node<T> {
    previous: Cell<*const Node<T>>,
    next: Cell<*const Node<T>>,
    linked: Cell<bool>,
    value: T,
}

impl<T> Node<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self {
            previous: Cell::new(ptr::null()),
            next: Cell::new(ptr::null()),
            linked: Cell::new(false),
            value,
        }
    }

    /// What the node carries.
    pub(crate) fn value(&self) -> &T {
        &self.value
    }

    pub(crate) fn is_linked(&self) -> bool {
        self.linked.get()
    }

    /// The node behind this one in its list.
    pub(crate) fn next(&self) -> Option<&Node<T>> {
        // SAFETY: a linked node's neighbours are linked, and `List::push_back`'s caller keeps every
        // linked node alive and in place.
        unsafe { self.next.get().as_ref() }
    }
}

impl<T> fmt::Debug for Node<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("linked", &self.linked).finish_non_exhaustive()
    }
}

/// A first-in first-out list of nodes that it does not own.
///
/// The list itself may move; its nodes may not while they are linked.
pub(crate) struct List<T> {
    head: Cell<*const Node<T>>,
    tail: Cell<*const Node<T>>,
}

impl<T> List<T> {
    pub(crate) const fn new() -> Self {
        Self { head: Cell::new(ptr::null()), tail: Cell::new(ptr::null()) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.head.get().is_null()
    }

    /// The node that has been linked longest.
    pub(crate) fn front(&self) -> Option<&Node<T>> {
        // SAFETY: `push_back`'s caller keeps every linked node alive and in place.
        unsafe { self.head.get().as_ref() }
    }

    /// Links `node` behind all others.
    ///
    /// # Safety
    ///
    /// `node` is alive, stays where it is and stays alive until it is removed from this very list.
    pub(crate) unsafe fn push_back(&self, node: *const Node<T>) {
        // SAFETY: the caller hands over a node that is alive.
        let fresh = unsafe { &*node };
        debug_assert!(!fresh.linked.get(), "a node was linked twice");
        let last = self.tail.replace(node);
        fresh.previous.set(last);
        fresh.next.set(ptr::null());
        fresh.linked.set(true);
        // SAFETY: a non-null tail is a linked node, which its own `push_back` caller keeps alive.
        match unsafe { last.as_ref() } {
            Some(last) => last.next.set(node),
            None => self.head.set(node),
        }
    }

    /// Links `node` before all others.
    ///
    /// # Safety
    ///
    /// As for [`push_back`](Self::push_back).
    pub(crate) unsafe fn push_front(&self, node: *const Node<T>) {
        // SAFETY: the caller hands over a node that is alive.
        let fresh = unsafe { &*node };
        debug_assert!(!fresh.linked.get(), "a node was linked twice");
        let first = self.head.replace(node);
        fresh.previous.set(ptr::null());
        fresh.next.set(first);
        fresh.linked.set(true);
        // SAFETY: a non-null head is a linked node, which its caller keeps alive.
        match unsafe { first.as_ref() } {
            Some(first) => first.previous.set(node),
            None => self.tail.set(node),
        }
    }

    /// Takes `node` out, wherever it stands. It must be linked in this list or in none.
    pub(crate) fn remove(&self, node: &Node<T>) {
        if !node.linked.replace(false) {
            return;
        }
        let (previous, next) = (node.previous.get(), node.next.get());
        // SAFETY: a linked node's neighbours are linked, hence alive (`push_back`).
        match unsafe { previous.as_ref() } {
            Some(previous) => previous.next.set(next),
            None => self.head.set(next),
        }
        // SAFETY: as above.
        match unsafe { next.as_ref() } {
            Some(next) => next.previous.set(previous),
            None => self.tail.set(previous),
        }
    }
}

impl<T> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List").field("empty", &self.is_empty()).finish_non_exhaustive()
    }
}

impl<T> Drop for List<T> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            debug_assert!(self.is_empty(), "a list died while records were linked in it");
        }
    }
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
