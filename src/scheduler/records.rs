//! Records: where the memory of tasks' records comes from, and where it waits for the next.
//!
//! Layer 4. Imports: nothing of this crate. Never: what is in a record.
//!
//! Free lists by size over the global allocator. Without them a burst of 10,000 short tasks hands 4 MB
//! back to glibc, which hands them to the kernel: page faults were half of the cost of a spawn in
//! `spawnb` of `benches/peers`. Every block is an allocation of its own, so a record that outlives its
//! worker is freed like any other.

use std::alloc;
use std::alloc::Layout;
use std::array;
use std::cell::Cell;
use std::fmt;
use std::ptr;

/// Sizes, with the allocator's word before each, are rounded up to this, one cache line.
const GRAIN: usize = 64;

/// What glibc keeps before each block.
const HEADER: usize = 8;

/// What every allocator gives without further ado. glibc spends 112 bytes beside each block that is to be
/// aligned to a cache line. Rejected: spans of aligned blocks, which save as much, but with them
/// spawning takes 72 ns instead of 65.
const ALIGN: usize = 16;

/// Larger records, that is larger closures and values, go to the allocator each time.
const LARGEST: usize = 1024;

/// Free blocks that are kept of each size: some 8 MB of usual records. What a burst of more tasks
/// leaves goes back to the allocator, and from there to the system when its stacks' memory does.
const KEPT: usize = 16 * 1024;

/// Free blocks of one size, each holding the address of the next.
struct Free {
    first: Cell<*mut u8>,
    count: Cell<usize>,
}

/// The free records of one worker.
pub(crate) struct Records {
    by_size: [Free; LARGEST / GRAIN],
}

/// The index of a layout's free list, and the layout of all blocks in it.
#[inline]
fn class(layout: Layout) -> Option<(usize, Layout)> {
    let index = (layout.size() + HEADER - 1) / GRAIN;
    if index >= LARGEST / GRAIN || layout.align() > ALIGN {
        return None;
    }
    block(index).map(|rounded| (index, rounded))
}

/// The layout of all blocks in a free list.
#[inline]
fn block(index: usize) -> Option<Layout> {
    Layout::from_size_align((index + 1) * GRAIN - HEADER, ALIGN).ok()
}

impl Records {
    pub(crate) fn new() -> Self {
        let free = || Free { first: Cell::new(ptr::null_mut()), count: Cell::new(0) };
        Self { by_size: array::from_fn(|_| free()) }
    }

    /// Memory for one record of `layout`, whose size is not 0. Aborts if there is none, like `Box`.
    #[inline]
    pub(crate) fn allocate(&self, layout: Layout) -> *mut u8 {
        let Some((index, rounded)) = class(layout) else { return allocate(layout) };
        let free = &self.by_size[index];
        let first = free.first.get();
        if first.is_null() {
            return allocate(rounded);
        }
        // SAFETY: a block in the list is ours alone and begins with the address of the next.
        free.first.set(unsafe { first.cast::<*mut u8>().read() });
        free.count.set(free.count.get() - 1);
        first
    }

    /// Keeps a block for the next record of its size, or frees it.
    ///
    /// # Safety
    ///
    /// `block` came from the `allocate` of some `Records` for `layout`, and is not used again.
    #[inline]
    pub(crate) unsafe fn give_back(&self, block: *mut u8, layout: Layout) {
        if let Some((index, _)) = class(layout) {
            let free = &self.by_size[index];
            if free.count.get() < KEPT {
                // SAFETY: the block is longer than an address and aligned for one, and ours.
                unsafe { block.cast::<*mut u8>().write(free.first.get()) };
                free.first.set(block);
                free.count.set(free.count.get() + 1);
                return;
            }
        }
        // SAFETY: passed on to the caller.
        unsafe { Self::free(block, layout) };
    }

    /// Frees a block for good.
    ///
    /// # Safety
    ///
    /// As for `give_back`.
    #[cold]
    pub(crate) unsafe fn free(block: *mut u8, layout: Layout) {
        let layout = class(layout).map_or(layout, |(_, rounded)| rounded);
        // SAFETY: allocated with this very layout; the rest is passed on to the caller.
        unsafe { alloc::dealloc(block, layout) };
    }
}

#[cold]
fn allocate(layout: Layout) -> *mut u8 {
    // SAFETY: a record is never of size 0.
    let block = unsafe { alloc::alloc(layout) };
    if block.is_null() {
        alloc::handle_alloc_error(layout);
    }
    block
}

impl Records {
    /// Frees the blocks that are kept.
    #[cold]
    pub(crate) fn clear(&self) {
        for (index, free) in self.by_size.iter().enumerate() {
            free.count.set(0);
            let Some(layout) = block(index) else { continue };
            let mut block = free.first.replace(ptr::null_mut());
            while !block.is_null() {
                // SAFETY: a block in the list is ours alone and begins with the address of the next.
                let next = unsafe { block.cast::<*mut u8>().read() };
                // SAFETY: allocated with this very layout, and in no list any more.
                unsafe { alloc::dealloc(block, layout) };
                block = next;
            }
        }
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        self.clear();
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").finish_non_exhaustive()
    }
}
