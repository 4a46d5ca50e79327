//! Buffer: where messages lie that were sent and not yet received.
//!
//! Layer 7. Imports: nothing of this crate. Never: who sends, who receives, how many there may be.
//!
//! A ring where the number is limited, since it needs no memory after it was made; a list of blocks where it
//! is not. Nothing is allocated or freed in here: a new block is brought along, an empty one handed out, so
//! that the lock around this is never held for as long as an allocator may take. Rejected: a ring that
//! grows (a million messages would be moved while others spin).

use std::fmt;
use std::iter;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// Messages in a block. 30 and two links: a block of words has 256 bytes.
const PER_BLOCK: usize = 30;

/// Messages, first in, first out.
pub(super) enum Buffer<T> {
    Ring(Ring<T>),
    Blocks(Blocks<T>),
}

/// One piece of the memory of an unlimited buffer.
pub(super) struct Block<T> {
    next: Option<NonNull<Block<T>>>,
    /// An empty one may keep another.
    behind: Option<Box<Block<T>>>,
    messages: [MaybeUninit<T>; PER_BLOCK],
}

impl<T> Block<T> {
    pub(super) fn new() -> Box<Self> {
        // Not by way of the caller's frame: 30 messages of 4 KiB there, and again in each call in between,
        // overflow a task's stack in a debug build.
        let mut block = Box::<Self>::new_uninit();
        let place = block.as_mut_ptr();
        // SAFETY: the field lies in the block, whose memory is the box's.
        let next = unsafe { &raw mut (*place).next };
        // SAFETY: as above; there is nothing in it to be dropped.
        unsafe { next.write(None) };
        // SAFETY: as above.
        let behind = unsafe { &raw mut (*place).behind };
        // SAFETY: as above.
        unsafe { behind.write(None) };
        // SAFETY: the links are there, and places for messages may be empty.
        unsafe { block.assume_init() }
    }
}

impl<T> Buffer<T> {
    pub(super) fn limited(capacity: usize) -> Self {
        Self::Ring(Ring::new(capacity))
    }

    pub(super) fn unlimited() -> Self {
        Self::Blocks(Blocks::new())
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Ring(ring) => ring.len,
            Self::Blocks(blocks) => blocks.len,
        }
    }

    /// Whether a further message needs a block.
    #[inline]
    pub(super) fn needs_block(&self) -> bool {
        match self {
            Self::Ring(_) => false,
            Self::Blocks(blocks) => blocks.end == PER_BLOCK && blocks.spare.is_none(),
        }
    }

    /// Has a block for later; whoever brings one has been asked to.
    pub(super) fn bring(&mut self, block: Box<Block<T>>) -> Option<Box<Block<T>>> {
        match self {
            Self::Blocks(blocks) if blocks.spare.is_none() => {
                blocks.spare = Some(block);
                None
            }
            _ => Some(block),
        }
    }

    /// Adds a message behind all others: there is room for it.
    #[inline]
    pub(super) fn push(&mut self, message: T) {
        match self {
            Self::Ring(ring) => ring.push(message),
            Self::Blocks(blocks) => blocks.push(message),
        }
    }

    /// Takes the oldest message.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<T> {
        match self {
            Self::Ring(ring) => ring.pop(),
            Self::Blocks(blocks) => blocks.pop(),
        }
    }

    /// Whether a block has become superfluous.
    #[inline]
    pub(super) fn has_emptied(&self) -> bool {
        match self {
            Self::Ring(_) => false,
            Self::Blocks(blocks) => blocks.emptied.is_some(),
        }
    }

    /// Whether a message can be added or taken, as far as there is room, without a block coming or going.
    #[inline]
    pub(super) fn is_ready(&self) -> bool {
        match self {
            Self::Ring(_) => true,
            Self::Blocks(blocks) => blocks.end < PER_BLOCK && blocks.start + 1 < PER_BLOCK,
        }
    }

    /// The blocks that have become superfluous, to be freed outside of the lock.
    pub(super) fn take_emptied(&mut self) -> Option<Box<Block<T>>> {
        match self {
            Self::Ring(_) => None,
            Self::Blocks(blocks) => blocks.emptied.take(),
        }
    }
}

impl<T> fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// So many places, of which `len` from `head` on are filled.
pub(super) struct Ring<T> {
    places: Box<[MaybeUninit<T>]>,
    head: usize,
    len: usize,
}

impl<T> Ring<T> {
    fn new(capacity: usize) -> Self {
        Self { places: Box::new_uninit_slice(capacity), head: 0, len: 0 }
    }

    /// The place that is `distance` behind the head; both are at most the capacity.
    #[inline]
    fn place(&self, distance: usize) -> usize {
        let index = self.head + distance;
        if index >= self.places.len() { index - self.places.len() } else { index }
    }

    #[inline]
    fn push(&mut self, message: T) {
        debug_assert!(self.len < self.places.len(), "a ring is full");
        let place = self.place(self.len);
        self.places[place].write(message);
        self.len += 1;
    }

    #[inline]
    fn pop(&mut self) -> Option<T> {
        self.len = self.len.checked_sub(1)?;
        // SAFETY: there was a message, so the head's place is filled, and it counts as empty from now on.
        let message = unsafe { self.places[self.head].assume_init_read() };
        self.head = self.place(1);
        Some(message)
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        drop_all(iter::from_fn(|| self.pop()));
    }
}

/// Drops messages. If the destructor of one panics the others are dropped nevertheless, and a second panic
/// aborts, as in a `Vec`.
fn drop_all(messages: impl Iterator) {
    struct Rest<I: Iterator>(I);

    impl<I: Iterator> Drop for Rest<I> {
        fn drop(&mut self) {
            self.0.by_ref().for_each(drop);
        }
    }

    Rest(messages).0.by_ref().for_each(drop);
}

/// A list of blocks: messages from `start` in the first to `end` in the last.
pub(super) struct Blocks<T> {
    /// Both `None` before the first message.
    first: Option<NonNull<Block<T>>>,
    last: Option<NonNull<Block<T>>>,
    start: usize,
    end: usize,
    len: usize,
    /// Kept for the next message that needs one.
    spare: Option<Box<Block<T>>>,
    /// Superfluous, each with the next one behind it.
    emptied: Option<Box<Block<T>>>,
}

// SAFETY: the blocks belong to this list alone; what lies in them goes to the other thread with it.
unsafe impl<T: Send> Send for Blocks<T> {}

impl<T> Blocks<T> {
    const fn new() -> Self {
        Self {
            first: None,
            last: None,
            start: 0,
            end: PER_BLOCK,
            len: 0,
            spare: None,
            emptied: None,
        }
    }

    #[inline]
    fn push(&mut self, message: T) {
        if self.end == PER_BLOCK {
            self.append();
        }
        let Some(last) = self.last else { unreachable!("`append` has made one") };
        // SAFETY: the list owns its blocks, and nobody else refers to them.
        let block = unsafe { &mut *last.as_ptr() };
        block.messages[self.end].write(message);
        self.end += 1;
        self.len += 1;
    }

    #[cold]
    fn append(&mut self) {
        let Some(block) = self.spare.take() else { unreachable!("`needs_block` was not asked") };
        let fresh = NonNull::from(Box::leak(block));
        match self.last {
            // SAFETY: as in `push`.
            Some(last) => unsafe { &mut *last.as_ptr() }.next = Some(fresh),
            None => (self.first, self.start) = (Some(fresh), 0),
        }
        (self.last, self.end) = (Some(fresh), 0);
    }

    #[inline]
    fn pop(&mut self) -> Option<T> {
        self.len = self.len.checked_sub(1)?;
        let Some(first) = self.first else { unreachable!("messages lie in blocks") };
        // SAFETY: as in `push`.
        let block = unsafe { &mut *first.as_ptr() };
        // SAFETY: from `start` on the first block is filled; this place counts as empty from now on.
        let message = unsafe { block.messages[self.start].assume_init_read() };
        self.start += 1;
        if self.start == PER_BLOCK {
            self.leave(first);
        }
        Some(message)
    }

    /// Takes the first block, which is empty, out of the list. It stays if it is the only one.
    #[cold]
    fn leave(&mut self, first: NonNull<Block<T>>) {
        if self.last == Some(first) {
            // Empty: begin it anew.
            (self.start, self.end) = (0, 0);
            return;
        }
        // SAFETY: the block came from a box (`append`), and the list forgets it in the next line.
        let mut block = unsafe { Box::from_raw(first.as_ptr()) };
        (self.first, self.start) = (block.next.take(), 0);
        if self.spare.is_none() {
            self.spare = Some(block);
        } else {
            block.behind = self.emptied.take();
            self.emptied = Some(block);
        }
    }

    /// Frees the block of a list that is empty and will not be used again.
    fn free_last(&mut self) {
        if let Some(first) = self.first.take() {
            // SAFETY: an empty list has at most one block, which came from a box (`append`).
            drop(unsafe { Box::from_raw(first.as_ptr()) });
        }
    }
}

impl<T> Drop for Blocks<T> {
    fn drop(&mut self) {
        drop_all(iter::from_fn(|| {
            self.emptied = None;
            let message = self.pop();
            if message.is_none() {
                self.free_last();
            }
            message
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::Block;
    use super::Buffer;
    use super::PER_BLOCK;
    use std::cell::Cell;
    use std::panic::AssertUnwindSafe;
    use std::panic::catch_unwind;
    use std::rc::Rc;

    fn push<T>(buffer: &mut Buffer<T>, message: T) {
        if buffer.needs_block() {
            assert!(buffer.bring(Block::new()).is_none());
        }
        buffer.push(message);
    }

    /// Adds and takes in waves of many sizes, against a queue of std's.
    fn behaves_like_a_queue(mut buffer: Buffer<Rc<usize>>, most: usize) {
        let alive = Rc::new(0);
        let mut model = std::collections::VecDeque::new();
        for wave in 1..500 {
            for number in 0..wave * 7 % (most + 1) {
                if buffer.len() < most {
                    push(&mut buffer, Rc::new(number));
                    model.push_back(number);
                }
            }
            for _ in 0..wave * 5 % (most + 2) {
                assert_eq!(buffer.pop().map(|message| *message), model.pop_front());
                drop(buffer.take_emptied());
            }
            assert_eq!(buffer.len(), model.len());
        }
        (0..most - buffer.len()).for_each(|_| push(&mut buffer, Rc::clone(&alive)));
        drop(buffer);
        assert_eq!(Rc::strong_count(&alive), 1);
    }

    #[test]
    fn a_ring_is_a_queue() {
        (1..20).for_each(|size| behaves_like_a_queue(Buffer::limited(size), size));
    }

    #[test]
    fn a_list_of_blocks_is_a_queue() {
        for most in [1, PER_BLOCK - 1, PER_BLOCK, PER_BLOCK + 1, 3 * PER_BLOCK + 5] {
            behaves_like_a_queue(Buffer::unlimited(), most);
        }
    }

    #[test]
    fn a_destructor_that_panics_does_not_keep_other_messages_from_being_dropped() {
        struct Counted<'c>(&'c Cell<usize>);
        impl Drop for Counted<'_> {
            fn drop(&mut self) {
                self.0.set(self.0.get() + 1);
                assert!(self.0.get() != 3, "the third one panics");
            }
        }
        for (mut buffer, count) in [(Buffer::limited(8), 8), (Buffer::unlimited(), 3 * PER_BLOCK)] {
            let dropped = Cell::new(0);
            (0..count).for_each(|_| push(&mut buffer, Counted(&dropped)));
            assert!(catch_unwind(AssertUnwindSafe(|| drop(buffer))).is_err());
            assert_eq!(dropped.get(), count);
        }
    }

    #[test]
    fn a_list_whose_length_is_steady_asks_for_no_block_again() {
        let mut buffer = Buffer::unlimited();
        (0..2 * PER_BLOCK).for_each(|number| push(&mut buffer, number));
        for number in 0..10 * PER_BLOCK {
            assert!(buffer.pop().is_some());
            assert!(!buffer.needs_block() || number < PER_BLOCK, "{number}");
            push(&mut buffer, number);
        }
    }
}
