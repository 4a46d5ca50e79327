//! Fresh slots of one size class: where does the next one come from, and what guards it?
//!
//! Layer 1. Imports: sys, corosensei, its own folder. Never: which slots are free.
//!
//! Chosen: chunks that double, each slot guarded when it is first needed. Rejected: one giant
//! reservation at the start (refused under `RLIMIT_AS` and strict overcommit), guards for a whole
//! chunk at once (a system call and a share of a page table for every slot, wanted or not).
//!
//! ```text
//! limit                                         base                limit of the next slot
//! | guard | usable, and 2 to 4 KiB more          | tenant | colour   |
//! ```

use std::collections::TryReserveError;
use std::error;
use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use corosensei::stack::valgrind::ValgrindStackRegistration;

use super::Class;
use super::Slot;
use super::Tenant;
use super::overflow;
use super::overflow::Region;
use crate::sys;
use crate::sys::Shortage;

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

/// Bytes at the base of a slot, above what a coroutine gets, that say who runs on it. Beside the first
/// frame, hence in memory that is touched anyway; as many as keep the stack aligned.
const TENANT_LEN: usize = 16;
const _: () = assert!(TENANT_LEN >= size_of::<Tenant>());

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

/// The guards by protection of the whole process, since all runtimes share its mappings.
#[derive(Debug)]
pub(super) struct Account {
    /// Guards in use.
    used: AtomicUsize,
    /// Guards there may be.
    budget: usize,
    max_map_count: usize,
}

impl Account {
    /// The account of a process that has `mappings` mappings and may have `max_map_count`.
    pub(super) fn new(max_map_count: usize, mappings: usize) -> Self {
        let budget = (max_map_count.saturating_sub(mappings) / 2).saturating_sub(SPARE_GUARDS);
        Self { used: AtomicUsize::new(0), budget, max_map_count }
    }

    fn of_this_process() -> &'static Self {
        static ACCOUNT: OnceLock<Account> = OnceLock::new();
        ACCOUNT.get_or_init(|| {
            let max_map_count = sys::max_map_count().unwrap_or(DEFAULT_MAX_MAP_COUNT);
            Self::new(max_map_count, sys::mapping_count().unwrap_or(0))
        })
    }

    fn open(&self) -> io::Result<()> {
        let one_more = |used| Some(used + 1).filter(|&used| used <= self.budget);
        let opened = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        opened.map(drop).map_err(|_| self.refuse(None))
    }

    fn close(&self, guards: usize) {
        self.used.fetch_sub(guards, Ordering::Relaxed);
    }

    fn refuse(&self, source: Option<io::Error>) -> io::Error {
        let text = format!(
            "out of guarded stacks: here each takes two mappings (before Linux 6.13, or in locked \
             memory), and vm.max_map_count is {} (room for {} stacks): raise it with sysctl",
            self.max_map_count, self.budget
        );
        OutOfStacks { text, source }.into()
    }
}

/// How the next slot of a runtime gets its guard.
#[derive(Clone, Copy, Debug)]
pub(super) enum Guards {
    /// In page table entries, as many as there is memory; tried until the kernel says it cannot.
    Install,
    /// By protection, two mappings each.
    Protect(&'static Account),
}

impl Guards {
    /// Makes the pages at `ptr` inaccessible for good.
    ///
    /// # Safety
    ///
    /// As for [`sys::guard`].
    unsafe fn guard(&mut self, ptr: NonNull<u8>, len: usize) -> io::Result<()> {
        match *self {
            // SAFETY: passed on from our caller.
            Self::Install => match unsafe { sys::guard(ptr, len) } {
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    *self = Self::Protect(Account::of_this_process());
                    // SAFETY: passed on from our caller; the refusal has changed nothing.
                    unsafe { self.guard(ptr, len) }
                }
                // A guard takes memory for page tables, and no address space.
                done => done.map_err(|refusal| no_memory(0, refusal)),
            },
            Self::Protect(account) => {
                account.open()?;
                // SAFETY: passed on from our caller.
                unsafe { sys::protect(ptr, len) }.map_err(|refusal| {
                    account.close(1);
                    account.refuse(Some(refusal))
                })
            }
        }
    }
}

/// One reservation.
struct Chunk {
    start: NonNull<u8>,
    slots: usize,
    /// Slots that have been cut from it, lowest first.
    carved: usize,
    region: &'static Region,
}

/// The address space of one class. It does not unmap itself: see [`Arena::release`].
pub(super) struct Arena {
    class: Class,
    /// All used up but the last.
    chunks: Vec<Chunk>,
    /// Tells Valgrind that each slot is a stack of its own, lest it take a switch for a huge frame.
    /// One for each slot ever cut; elsewhere a number and a few instructions without effect.
    registrations: Vec<ValgrindStackRegistration>,
    /// The guards by protection among those of the slots, if there are any.
    protected: Option<(&'static Account, usize)>,
}

impl Arena {
    pub(super) fn new(class: Class) -> Self {
        Self { class, chunks: Vec::new(), registrations: Vec::new(), protected: None }
    }

    pub(super) fn class(&self) -> Class {
        self.class
    }

    /// Slots made so far. None is ever unmade.
    pub(super) fn carved(&self) -> usize {
        self.registrations.len()
    }

    /// Bytes of address space.
    pub(super) fn reserved_len(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.slots).sum::<usize>() * stride(self.class)
    }

    /// Cuts the next slot and guards it, mapping a chunk if the last one is used up.
    pub(super) fn carve(&mut self, guards: &mut Guards) -> io::Result<Slot> {
        let stride = stride(self.class);
        // First the room, for then nothing has to be undone when a later step fails.
        let room = self.registrations.try_reserve(1);
        room.map_err(|refusal| no_room::<ValgrindStackRegistration>(self.carved(), refusal))?;
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
        if let Guards::Protect(account) = guards {
            self.protected.get_or_insert((account, 0)).1 += 1;
        }
        let distance = base_of(0, chunk.carved, self.class);
        // SAFETY: a base lies in its slot.
        let base = unsafe { limit.add(distance) };
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
            let region = overflow::watch(start, slots * stride, self.class);
            Ok(Chunk { start, slots, carved: 0, region })
        })
        .map_err(|refusal| no_memory(stride, refusal))
    }

    /// Gives the memory of slots back to the system, but not more than `most_pages` pages at a time. How
    /// many of the slots, from the first on, have none left, and how many bytes that was. `bases` are
    /// those of slots of this arena, in ascending order.
    ///
    /// # Safety
    ///
    /// Nobody runs on these slots.
    pub(super) unsafe fn discard(
        &self,
        bases: &[NonNull<u8>],
        most_pages: usize,
    ) -> (usize, usize) {
        let (stride, guard_len) = (stride(self.class), guard_len(self.class));
        let next_to = |a: &NonNull<u8>, b: &NonNull<u8>| {
            self.limit(*a).get() + stride == self.limit(*b).get()
        };
        let (mut slots, mut pages) = (0, 0);
        // One call for neighbours: the guards between them stay.
        for run in bases.chunk_by(next_to) {
            let low = self.limit(run[0]).get() + guard_len;
            let whole = run.len() * stride - guard_len;
            let (mut len, before) = (whole, pages);
            sys::for_each_resident(low, whole, |distance| {
                if pages == most_pages {
                    len = distance;
                    return ControlFlow::Break(());
                }
                pages += 1;
                ControlFlow::Continue(())
            });
            let start =
                NonNull::without_provenance(NonZeroUsize::new(low).expect("not the null page"));
            // SAFETY: whole pages from the first slot's lowest usable one to the last slot's top or below
            // it, all of them in chunks of this arena, which stay mapped until `release`; passed on from
            // our caller that their contents are not needed.
            if unsafe { sys::discard(start, len) }.is_err() {
                // Locked memory stays, and trying again would not help.
                (len, pages) = (whole, before);
            }
            slots += (len + guard_len) / stride;
            if len < whole {
                break;
            }
        }
        (slots, pages * sys::page_size())
    }

    fn limit(&self, base: NonNull<u8>) -> NonZeroUsize {
        limit_of(base, self.class)
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
        if let Some((account, guards)) = self.protected.take() {
            account.close(guards);
        }
        for chunk in self.chunks.drain(..) {
            overflow::forget(chunk.region);
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
pub(super) fn guard_len(class: Class) -> usize {
    let page = sys::page_size();
    if class.usable_len() < WIDE_GUARD_FROM { page } else { GUARD_LEN.next_multiple_of(page) }
}

/// The base of the slot that begins at `limit` and is the one of this index in its chunk.
pub(super) fn base_of(limit: usize, index: usize, class: Class) -> usize {
    limit + stride(class) - index % COLOURS * COLOUR_STEP - TENANT_LEN
}

/// Where the guard begins of the slot that has `address`, which lies in the page of the slot's base.
pub(super) fn limit_around(address: usize, class: Class) -> usize {
    address.next_multiple_of(sys::page_size()) - stride(class)
}

/// Where the guard of the slot of this base begins.
pub(super) fn limit_of(base: NonNull<u8>, class: Class) -> NonZeroUsize {
    NonZeroUsize::new(limit_around(base.addr().get(), class)).expect("mappings begin above zero")
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

pub(super) fn no_memory(len: usize, refusal: io::Error) -> io::Error {
    let shortage = sys::shortage(len, &refusal);
    let advice = match shortage {
        Shortage::Mappings(_) => ": raise it with sysctl",
        Shortage::AddressSpace(_)
        | Shortage::Data(_)
        | Shortage::LockedMemory
        | Shortage::Memory => "",
    };
    let text = format!("out of stacks: {shortage}{advice}");
    OutOfStacks { text, source: Some(refusal) }.into()
}

/// A list of `len` slots was refused the room for one more.
pub(super) fn no_room<T>(len: usize, refusal: TryReserveError) -> io::Error {
    // It would have doubled.
    no_memory(2 * len * size_of::<T>(), refusal.into())
}

#[cfg(test)]
#[path = "refusal_tests.rs"]
mod tests;
