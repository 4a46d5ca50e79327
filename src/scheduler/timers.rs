//! Timers: which deadline is due next.
//!
//! Layer 4. Imports: nothing of this crate. Never: tasks, scopes, and so never why a deadline exists.
//!
//! Chosen: an indexed 4-ary heap, each node knowing its place in it. A cancelled timer is gone at
//! once, so nothing is stale and `next` is exact. Beside a million others, setting one and
//! cancelling it at once takes 9-57 ns; cancelling any other takes 125-165 ns, most of it for memory
//! that is not in the cache. Measure again with `cargo bench --bench timers`. The only spike is the
//! growth of the `Vec`, one reallocation for each doubling, of up to 1 ms at a million; it keeps
//! what it has grown to.
//!
//! Rejected, by prototypes with a million timers: lazy deletion (firing costs three times as much,
//! and a purge stops the worker for 6 ms); a wheel (twice as fast, but a cascade takes 7 ms, and
//! its `next` is a lower bound that wakes an idle program for nothing); a pairing heap (up to 29 ms
//! for one pop); a `BTreeMap` (eight times as slow to cancel). 8 children or entries of 16 bytes
//! gain nothing; choosing among the children without branches makes a pop 15 % slower.

use std::cell::Cell;
use std::fmt;
use std::ptr;

/// Children of an entry. Half the levels of a binary heap, and half the nodes to write on the way
/// up; the children are neighbours in memory, so the second one to look at is mostly in the cache.
const ARITY: usize = 4;

/// The position of a node that is in no heap. No index reaches it, see [`MAX_LIVE`].
const NOT_QUEUED: u32 = u32::MAX;

/// Timers that can be set at once: positions are 32 bits wide, to keep nodes small.
const MAX_LIVE: usize = u32::MAX as usize - 1;

/// How late a deadline may be noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lateness {
    /// As little as the machine allows: it was set for so short a time that a millisecond matters.
    Least,
    /// Up to a millisecond.
    Millisecond,
}

/// A deadline's place in a [`Timers`]; lives where the waiter lives.
///
/// That is, on the blocked task's stack or in a scope. It can be set again once it has fired or
/// been removed.
pub(crate) struct TimerNode<T> {
    /// The index of this node's entry, or [`NOT_QUEUED`]. Written by the heap only.
    position: Cell<u32>,
    /// What [`Timers::insert`] was told; means nothing while the node is not queued.
    precise: Cell<bool>,
    target: T,
}

impl<T: Copy> TimerNode<T> {
    /// A node that is not queued; `target` is what comes out when it fires.
    pub(crate) const fn new(target: T) -> Self {
        Self { position: Cell::new(NOT_QUEUED), precise: Cell::new(false), target }
    }

    /// Whether the deadline is set: neither fired nor removed.
    pub(crate) fn is_queued(&self) -> bool {
        self.position.get() != NOT_QUEUED
    }
}

impl<T> fmt::Debug for TimerNode<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let position = Some(self.position.get()).filter(|&position| position != NOT_QUEUED);
        f.debug_struct("TimerNode")
            .field("position", &position)
            .field("precise", &self.precise.get())
            .finish_non_exhaustive()
    }
}

/// 24 bytes: comparing two of them does not touch their nodes.
#[derive(Clone, Copy)]
struct Entry<T> {
    /// Nanoseconds on the clock of whoever owns the heap.
    at: u64,
    /// Orders equal deadlines by when they were set. 64 bits last for centuries.
    seq: u64,
    /// Alive for as long as the entry exists: [`Timers::insert`] demands it.
    node: *const TimerNode<T>,
}

impl<T: Copy> Entry<T> {
    fn is_before(&self, other: &Self) -> bool {
        (self.at, self.seq) < (other.at, other.seq)
    }

    fn node(&self) -> &TimerNode<T> {
        // SAFETY: whoever called `Timers::insert` keeps the node alive, in place and free of
        // `&mut` until it has fired or been removed, and `Timers::take`, which does both, is the
        // last to ask an entry for its node.
        unsafe { &*self.node }
    }
}

/// The deadlines of one worker, the earliest first.
pub(crate) struct Timers<T> {
    /// The children of `i` are `ARITY * i + 1 ..= ARITY * i + ARITY`, none of them before `i`.
    heap: Vec<Entry<T>>,
    /// Insertions so far.
    seq: u64,
    /// Entries whose node is `precise`.
    precise: usize,
}

impl<T: Copy> Timers<T> {
    pub(crate) const fn new() -> Self {
        Self { heap: Vec::new(), seq: 0, precise: 0 }
    }

    /// Sets `node` to fire at `at`, in nanoseconds.
    ///
    /// # Safety
    ///
    /// * `node` is not queued, here or elsewhere.
    /// * `node` stays alive and at its address, and is borrowed only shared, until it has fired
    ///   ([`pop_due`](Self::pop_due) has returned its target), has been
    ///   [removed](Self::remove), or `self` is gone.
    ///
    /// # Panics
    ///
    /// With `u32::MAX - 1` timers already set.
    pub(crate) unsafe fn insert(&mut self, node: *const TimerNode<T>, at: u64, lateness: Lateness) {
        let precise = lateness == Lateness::Least;
        assert_room(self.heap.len());
        let entry = Entry { at, seq: self.seq, node };
        debug_assert!(!entry.node().is_queued(), "a timer was set twice");
        entry.node().precise.set(precise);
        self.seq += 1;
        self.precise += usize::from(precise);
        self.heap.push(entry); // makes room; `up` puts the entry where it belongs
        self.up(self.heap.len() - 1, entry);
    }

    /// Takes `node` out, so that it will not fire. Does nothing if it is not queued.
    ///
    /// # Panics
    ///
    /// If `node` is queued in another heap.
    pub(crate) fn remove(&mut self, node: &TimerNode<T>) {
        if node.is_queued() {
            let index = node.position.get() as usize;
            let ours = self.heap.get(index).is_some_and(|entry| ptr::eq(entry.node, node));
            assert!(ours, "a timer was removed from a heap that it is not in");
            self.take(index);
        }
    }

    /// The earliest deadline, exactly: it belongs to a timer that is still set.
    pub(crate) fn next(&self) -> Option<u64> {
        self.heap.first().map(|entry| entry.at)
    }

    /// Whether any timer that is set is precise, be it the next or not.
    pub(crate) fn wants_precision(&self) -> bool {
        self.precise > 0
    }

    /// Takes out the earliest timer if it is due at `now`, and returns its target.
    ///
    /// Never early, if `now` was read after the wait. Among equal deadlines the one set first
    /// comes first.
    pub(crate) fn pop_due(&mut self, now: u64) -> Option<T> {
        if self.next()? <= now { Some(self.take(0)) } else { None }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Takes out the entry at `index`, the last one filling its place, and lets go of its node.
    fn take(&mut self, index: usize) -> T {
        let taken = self.heap.swap_remove(index);
        if let Some(&filler) = self.heap.get(index) {
            // The filler may come from another branch, so it can belong on either side.
            if index > 0 && filler.is_before(&self.heap[parent(index)]) {
                self.up(index, filler);
            } else {
                self.down(index, filler);
            }
        }
        let node = taken.node();
        node.position.set(NOT_QUEUED);
        self.precise -= usize::from(node.precise.get());
        node.target
    }

    /// Moves the hole at `hole` towards the root until `entry` fits into it.
    fn up(&mut self, mut hole: usize, entry: Entry<T>) {
        while hole > 0 && entry.is_before(&self.heap[parent(hole)]) {
            self.place(hole, self.heap[parent(hole)]);
            hole = parent(hole);
        }
        self.place(hole, entry);
    }

    /// Moves the hole at `hole` towards the leaves until `entry` fits into it.
    fn down(&mut self, mut hole: usize, entry: Entry<T>) {
        while let Some((child, earliest)) = self.earliest_child(hole)
            && earliest.is_before(&entry)
        {
            self.place(hole, earliest);
            hole = child;
        }
        self.place(hole, entry);
    }

    fn earliest_child(&self, index: usize) -> Option<(usize, Entry<T>)> {
        let first = ARITY * index + 1;
        let end = self.heap.len().min(first + ARITY);
        let children = self.heap.get(first..end)?;
        let mut earliest = (first, *children.first()?);
        for (offset, child) in children.iter().enumerate().skip(1) {
            if child.is_before(&earliest.1) {
                earliest = (first + offset, *child);
            }
        }
        Some(earliest)
    }

    /// The only place that gives out positions, so that nodes and entries cannot disagree.
    fn place(&mut self, index: usize, entry: Entry<T>) {
        self.heap[index] = entry;
        entry.node().position.set(index as u32); // below `MAX_LIVE`, `insert` saw to it
    }
}

impl<T> fmt::Debug for Timers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timers")
            .field("len", &self.heap.len())
            .field("precise", &self.precise)
            .field("next", &self.heap.first().map(|entry| entry.at))
            .finish_non_exhaustive()
    }
}

impl<T> Drop for Timers<T> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            debug_assert!(self.heap.is_empty(), "a timer heap died with deadlines in it");
        }
    }
}

fn parent(index: usize) -> usize {
    (index - 1) / ARITY
}

fn assert_room(live: usize) {
    assert!(live < MAX_LIVE, "more than {MAX_LIVE} timers on one worker: set fewer at a time");
}

#[cfg(test)]
#[path = "timers_tests.rs"]
mod tests;
