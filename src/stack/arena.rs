//! Fresh slots of one size class: where does the next one come from, and what guards it?
//!
//! Layer 1. Imports: sys, corosensei, its own folder. Never: which slots are free.
//!
//! Chosen: chunks that double, each slot guarded when it is first needed. Rejected: one giant
//! reservation at the start (refused under `RLIMIT_AS` and strict overcommit), guards for a whole
//! chunk at once (a system call and a share of a page table for every slot, wanted or not).
//!
//! ```text
//! limit                                         base        limit of the next slot
//! | guard | usable, and up to 1,920 bytes more   | colour    |
//! ```

use std::error;
use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use corosensei::stack::valgrind::ValgrindStackRegistration;

use super::Class;
use super::Slot;
use crate::sys;

/// Width of a guard, in bytes. Rust code touches every page on its way down; C code built without
/// `-fstack-clash-protection` may step over a page or two. Four pages cost 40 ns more than one.
const GUARD_LEN: usize = 16 << 10;

/// Below this many usable bytes the guard is a single page: tasks that count every KiB do not call C.
const WIDE_GUARD_FROM: usize = 64 << 10;

/// Neighbouring stack tops lie this many bytes apart in their page, two cache lines, since the
/// hardware fetches lines in pairs. Without it all tops share the same sets of the first-level cache:
/// 24 instead of 12 ns a switch when 1,000 tasks yield in turn.
const COLOUR_STEP: usize = 128;

/// Different tops before they repeat. All of them fit into the extra page that each slot has.
const COLOURS: usize = 16;

/// Slots in the first chunk of a class.
const FIRST_CHUNK_SLOTS: usize = 16;

/// From this many usable bytes the first chunk is a single slot: whoever asks for it wants one deep
/// recursion, and address space may be limited.
const LARGE_FROM: usize = 4 << 20;

/// Chunks stop doubling here: a million slots are 71 chunks, and the kernel merges neighbours.
const MAX_CHUNK_SLOTS: usize = 16 << 10;

/// And here, in bytes, so that the largest classes do not ask for TiBs at a time.
const MAX_CHUNK_LEN: usize = 64 << 30;

/// The kernel's default, for a /proc that does not tell.
const DEFAULT_MAX_MAP_COUNT: usize = 65_530;

/// Guards left to the program's own mappings, where each guard costs two. These 4,000 mappings are
/// two for each of a thousand threads, and as many again for libraries, files and the heap.
const SPARE_GUARDS: usize = 2_000;

/// How the next slot of a runtime gets its guard.
#[derive(Debug)]
pub(super) enum Guards {
    /// In page table entries, as many as there is memory; tried until the kernel says it cannot.
    Install,
    /// By protection, two mappings each, at most `left` more.
    Protect { left: usize, max_map_count: usize },
}

impl Guards {
    /// Guards by protection on a system that allows `max_map_count` mappings.
    pub(super) fn by_protection(max_map_count: usize) -> Self {
        Self::Protect { left: guard_budget(max_map_count), max_map_count }
    }

    /// Makes the pages at `ptr` inaccessible for good.
    ///
    /// # Safety
    ///
    /// As for [`sys::guard`].
    unsafe fn guard(&mut self, ptr: NonNull<u8>, len: usize) -> io::Result<()> {
        match self {
            // SAFETY: passed on from our caller.
            Self::Install => match unsafe { sys::guard(ptr, len) } {
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    let limit = sys::max_map_count().unwrap_or(DEFAULT_MAX_MAP_COUNT);
                    *self = Self::by_protection(limit);
                    // SAFETY: passed on from our caller; the refusal has changed nothing.
                    unsafe { self.guard(ptr, len) }
                }
                done => done.map_err(no_memory),
            },
            Self::Protect { left: 0, max_map_count } => Err(no_mappings(*max_map_count, None)),
            Self::Protect { left, max_map_count } => {
                // SAFETY: passed on from our caller.
                unsafe { sys::protect(ptr, len) }
                    .map_err(|refusal| no_mappings(*max_map_count, Some(refusal)))?;
                *left -= 1;
                Ok(())
            }
        }
    }
}

/// How many guards by protection a process may have before its own mappings are in danger.
pub(super) fn guard_budget(max_map_count: usize) -> usize {
    (max_map_count / 2).saturating_sub(SPARE_GUARDS)
}

/// One reservation.
struct Chunk {
    start: NonNull<u8>,
    slots: usize,
    /// Slots that have been cut from it, lowest first.
    carved: usize,
}

/// The address space of one class. It does not unmap itself: see [`Arena::release`].
pub(super) struct Arena {
    class: Class,
    /// All used up but the last.
    chunks: Vec<Chunk>,
    /// Tells Valgrind that each slot is a stack of its own, lest it take a switch for a huge frame.
    /// One for each slot ever cut; elsewhere a number and a few instructions without effect.
    registrations: Vec<ValgrindStackRegistration>,
}

impl Arena {
    pub(super) fn new(class: Class) -> Self {
        Self { class, chunks: Vec::new(), registrations: Vec::new() }
    }

    /// Slots made so far. None is ever unmade.
    pub(super) fn carved(&self) -> usize {
        self.registrations.len()
    }

    /// Cuts the next slot and guards it, mapping a chunk if the last one is used up.
    pub(super) fn carve(&mut self, guards: &mut Guards) -> io::Result<Slot> {
        let stride = stride(self.class);
        if self.chunks.last().is_none_or(|chunk| chunk.carved == chunk.slots) {
            let chunk = self.map_chunk()?;
            self.chunks.push(chunk);
        }
        let chunk = self.chunks.last_mut().expect("there is one that is not used up");
        // SAFETY: `carved < slots`, so that this slot lies in the chunk, which stays mapped until
        // `release`.
        let limit = unsafe { chunk.start.add(chunk.carved * stride) };
        // SAFETY: the slot is in the chunk and nobody has seen it. The guard is a part of it that
        // `Slot` does not give to a task.
        unsafe { guards.guard(limit, guard_len(self.class)) }?;
        let colour = self.registrations.len() % COLOURS * COLOUR_STEP;
        // SAFETY: `stride` bytes from `limit` are in the chunk or one past it, and no colour is as
        // large as a stride.
        let base = unsafe { limit.add(stride - colour) };
        chunk.carved += 1;
        let registration = ValgrindStackRegistration::new(limit.as_ptr(), stride);
        self.registrations.push(registration);
        Ok(Slot { base, class: self.class })
    }

    fn map_chunk(&self) -> io::Result<Chunk> {
        let stride = stride(self.class);
        let slots = next_chunk_slots(self.class, self.chunks.last().map(|chunk| chunk.slots));
        halving(slots, |slots| {
            let start = sys::reserve(slots * stride)?;
            Ok(Chunk { start, slots, carved: 0 })
        })
        .map_err(no_memory)
    }

    /// Whether `slot` was cut here.
    pub(super) fn owns(&self, slot: &Slot) -> bool {
        let stride = stride(self.class);
        self.chunks.iter().any(|chunk| {
            let start = chunk.start.addr().get();
            (start..start + chunk.slots * stride).contains(&limit_of(slot.base, slot.class).get())
        })
    }

    /// Unmaps everything.
    ///
    /// # Safety
    ///
    /// No slot of this arena exists any more.
    pub(super) unsafe fn release(&mut self) {
        let stride = stride(self.class);
        self.registrations.clear();
        for chunk in self.chunks.drain(..) {
            // SAFETY: `map_chunk` reserved exactly this, draining releases it once, and our caller
            // has seen the end of every slot.
            unsafe { sys::release(chunk.start, chunk.slots * stride) };
        }
    }
}

/// Bytes from one slot to the next. Whole pages, whatever their size.
pub(super) fn stride(class: Class) -> usize {
    let page = sys::page_size();
    let colour_len = (COLOURS * COLOUR_STEP).next_multiple_of(page);
    guard_len(class) + class.usable_len().next_multiple_of(page) + colour_len
}

/// Bytes of a slot's guard. Whole pages.
fn guard_len(class: Class) -> usize {
    let page = sys::page_size();
    if class.usable_len() < WIDE_GUARD_FROM { page } else { GUARD_LEN.next_multiple_of(page) }
}

/// Where the guard of the slot of this base begins.
pub(super) fn limit_of(base: NonNull<u8>, class: Class) -> NonZeroUsize {
    // The colour is what its top lacks to a whole page.
    let top = base.addr().get().next_multiple_of(sys::page_size());
    NonZeroUsize::new(top - stride(class)).expect("mappings begin above zero")
}

/// How many slots to ask for when the last chunk, of `last` slots, is used up.
pub(super) fn next_chunk_slots(class: Class, last: Option<usize>) -> usize {
    let most = (MAX_CHUNK_LEN / stride(class)).min(MAX_CHUNK_SLOTS);
    match last {
        Some(last) => (last * 2).min(most),
        None if class.usable_len() >= LARGE_FROM => 1,
        None => FIRST_CHUNK_SLOTS,
    }
}

/// Maps `slots` slots, or the largest of its halves that the kernel grants; the error is that of a
/// single one.
pub(super) fn halving<T>(
    mut slots: usize,
    mut map: impl FnMut(usize) -> io::Result<T>,
) -> io::Result<T> {
    loop {
        match map(slots) {
            Err(_) if slots > 1 => slots /= 2,
            done => return done,
        }
    }
}

/// A stack was refused: by which limit, and with which words of the kernel's.
#[derive(Debug)]
struct OutOfStacks {
    text: String,
    source: Option<io::Error>,
}

impl fmt::Display for OutOfStacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl error::Error for OutOfStacks {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_ref().map(|refusal| refusal as _)
    }
}

impl From<OutOfStacks> for io::Error {
    /// Always of one kind: the kernel's `EAGAIN` for locked memory must not become `WouldBlock`.
    fn from(error: OutOfStacks) -> Self {
        Self::new(io::ErrorKind::OutOfMemory, error)
    }
}

fn no_mappings(max_map_count: usize, source: Option<io::Error>) -> io::Error {
    let text = format!(
        "out of guarded stacks: on this kernel each takes two mappings, and vm.max_map_count is \
         {max_map_count} (room for {} stacks): raise it with sysctl",
        guard_budget(max_map_count)
    );
    OutOfStacks { text, source }.into()
}

pub(super) fn no_memory(refusal: io::Error) -> io::Error {
    let text = "out of stacks: the kernel refuses more address space: the limit is RLIMIT_AS \
                (`ulimit -v`), vm.overcommit_memory or the memory itself"
        .to_owned();
    OutOfStacks { text, source: Some(refusal) }.into()
}
