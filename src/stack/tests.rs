//! What stacks promise, checked without running on them, save in `smoke`.
//!
//! A guard is probed by system calls, which answer `EFAULT` where a plain access would be a signal.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::io::PipeReader;
use std::io::PipeWriter;
use std::io::Read;
use std::iter;
use std::num::NonZeroUsize;
use std::os::fd::AsRawFd;
use std::panic;
use std::ptr;

use corosensei::Coroutine;
use corosensei::CoroutineResult;
use corosensei::Yielder;

use super::Class;
use super::MAX_USABLE_LEN;
use super::MIN_USABLE_LEN;
use super::Slot;
use super::Stacks;
use super::arena;
use super::arena::Account;
use super::arena::Guards;
use crate::sys;

pub(super) const KIB: usize = 1 << 10;
pub(super) const MIB: usize = 1 << 20;

#[track_caller]
pub(super) fn class(usable: usize) -> Class {
    Class::for_usable(usable).expect("a size in bounds")
}

impl Slot {
    pub(super) fn base(&self) -> NonZeroUsize {
        self.base.addr()
    }

    pub(super) fn limit(&self) -> NonZeroUsize {
        arena::limit_of(self.base, self.class)
    }

    pub(super) fn usable_len(&self) -> usize {
        self.class.usable_len()
    }
}

#[track_caller]
pub(super) fn taken(stacks: &mut Stacks, class: Class) -> Slot {
    stacks.reserve(class).expect("memory for a test");
    stacks.take(class)
}

/// Guards of the old kind, with budget for `guards` of them.
pub(super) fn protected(guards: usize) -> Stacks {
    let account = Box::leak(Box::new(Account::new(2 * (2_000 + guards), 0)));
    Stacks::guarded_by(Guards::Protect(account))
}

/// Asks the kernel whether an address can be read and written.
pub(super) struct Probe {
    reader: PipeReader,
    writer: PipeWriter,
}

impl Probe {
    pub(super) fn new() -> Self {
        let (reader, writer) = io::pipe().expect("two descriptors");
        Self { reader, writer }
    }

    pub(super) fn readable(&mut self, address: usize) -> bool {
        // SAFETY: write(2) checks the address: it reads one byte or fails with EFAULT.
        let sent = unsafe { libc::write(self.writer.as_raw_fd(), address as _, 1) };
        if sent == 1 {
            self.reader.read_exact(&mut [0]).expect("the byte just sent");
        }
        accessed(sent)
    }

    /// Writes a zero: only for memory that the test owns, or that nobody may own.
    pub(super) fn writable(&mut self, address: usize) -> bool {
        // SAFETY: the descriptor is a pipe's, and the byte lies on our own stack.
        let sent = unsafe { libc::write(self.writer.as_raw_fd(), (&raw const ZERO).cast(), 1) };
        assert_eq!(sent, 1);
        // SAFETY: read(2) checks the address: it fails with EFAULT, or writes one byte, and the test
        // that asks owns it.
        let received = unsafe { libc::read(self.reader.as_raw_fd(), address as _, 1) };
        let written = accessed(received);
        if !written {
            self.reader.read_exact(&mut [0]).expect("the byte that was not taken");
        }
        written
    }
}

static ZERO: u8 = 0;

fn accessed(transferred: isize) -> bool {
    if transferred != 1 {
        assert_eq!(io::Error::last_os_error().raw_os_error(), Some(libc::EFAULT));
    }
    transferred == 1
}

#[track_caller]
pub(super) fn assert_guarded(slot: &Slot, probe: &mut Probe) {
    let limit = slot.limit().get();
    let low = slot.base().get() - slot.usable_len();
    let mut pages = 0;
    for address in (limit..).step_by(sys::page_size()) {
        if probe.readable(address) {
            break;
        }
        assert!(!probe.writable(address), "the guard can be written at {address:#x}");
        assert!(!probe.readable(address + sys::page_size() - 1));
        pages += 1;
    }
    let guard = if slot.usable_len() < 64 * KIB { sys::page_size() } else { 16 * KIB };
    assert_eq!(pages * sys::page_size(), guard, "bytes of guard");
    assert!(limit + guard <= low, "the guard reaches into the usable bytes");
}

/// Writes to all bytes that the task was promised, and to the first and last one by system call.
#[track_caller]
pub(super) fn fill(slot: &Slot) {
    let low = slot.base().get() - slot.usable_len();
    // SAFETY: the test took the slot and nothing runs on it.
    unsafe { ptr::with_exposed_provenance_mut::<u8>(low).write_bytes(0xa5, slot.usable_len()) };
    let mut probe = Probe::new();
    assert!(probe.writable(low));
    assert!(probe.writable(slot.base().get() - 1));
}

/// Mappings that overlap the slots from `low` to `high`.
pub(super) fn mappings_between(low: &Slot, high: &Slot) -> usize {
    let (low, high) = (low.limit().get(), high.base().get());
    let address = |text: &str| usize::from_str_radix(text, 16).expect("an address of /proc");
    let maps = fs::read_to_string("/proc/self/maps").expect("a /proc");
    maps.lines()
        .filter(|line| {
            let (start, rest) = line.split_once('-').expect("a line of /proc/self/maps");
            let (end, _) = rest.split_once(' ').expect("a line of /proc/self/maps");
            address(start) < high && address(end) > low
        })
        .count()
}

#[test]
fn smoke() {
    let mut stacks = Stacks::new();
    let slot = taken(&mut stacks, class(64 * KIB));
    // SAFETY: the slot is given back below, after the coroutine has ended.
    let lent = unsafe { slot.lend(ptr::null()) };
    let mut coroutine = Coroutine::with_stack(lent, |yielder: &Yielder<u32, u32>, first| {
        yielder.suspend(first + 1)
    });
    assert!(matches!(coroutine.resume(1), CoroutineResult::Yield(2)));
    assert!(matches!(coroutine.resume(3), CoroutineResult::Return(3)));
    assert!(coroutine.done());
    stacks.give_back(slot);
}

#[test]
fn a_size_is_rounded_up_to_a_power_of_two() {
    let usable = |bytes| class(bytes).usable_len();
    assert_eq!(usable(1), 32 * KIB);
    assert_eq!(usable(32 * KIB), 32 * KIB);
    assert_eq!(usable(32 * KIB + 1), 64 * KIB);
    assert_eq!(usable(100_000), 128 * KIB);
    assert_eq!(usable(256 * KIB), 256 * KIB);
    assert_eq!(usable(512 * MIB + 1), MAX_USABLE_LEN);
    assert_eq!(usable(MAX_USABLE_LEN), MAX_USABLE_LEN);
}

#[test]
fn a_size_out_of_bounds_is_an_error_that_names_the_bounds() {
    for bytes in [0, MAX_USABLE_LEN + 1, usize::MAX] {
        let error = Class::for_usable(bytes).expect_err("a size out of bounds");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let text = error.to_string();
        for part in [&bytes.to_string(), "1 byte", &MIN_USABLE_LEN.to_string(), "1 GiB"] {
            assert!(text.contains(part), "no {part} in: {text}");
        }
    }
}

#[test]
fn all_promised_bytes_can_be_written_whatever_the_colour() {
    for usable in [32 * KIB, 64 * KIB, 256 * KIB] {
        let mut stacks = Stacks::new();
        let slots: Vec<_> = (0..40).map(|_| taken(&mut stacks, class(usable))).collect();
        slots.iter().for_each(fill);
        let mut probe = Probe::new();
        for slot in slots {
            assert_guarded(&slot, &mut probe); // the neighbours' writing has not opened it
            stacks.give_back(slot);
        }
    }
}

#[test]
fn the_largest_stacks_are_guarded_and_usable_at_both_ends() {
    let mut stacks = Stacks::new();
    let mut probe = Probe::new();
    for _ in 0..3 {
        let slot = taken(&mut stacks, class(MAX_USABLE_LEN));
        assert_eq!(slot.usable_len(), MAX_USABLE_LEN);
        assert_guarded(&slot, &mut probe);
        assert!(probe.writable(slot.base().get() - slot.usable_len()));
        assert!(probe.writable(slot.base().get() - 1));
        stacks.reserve(class(MAX_USABLE_LEN)).expect("address space");
        stacks.give_back(slot);
    }
}

#[test]
fn a_guard_survives_the_reuse_of_its_slot() {
    for mut stacks in [Stacks::new(), protected(10)] {
        let mut probe = Probe::new();
        for _ in 0..3 {
            let slot = taken(&mut stacks, class(64 * KIB));
            fill(&slot);
            assert_guarded(&slot, &mut probe);
            stacks.give_back(slot);
        }
    }
}

#[test]
fn the_slot_given_back_last_is_taken_first() {
    let mut stacks = Stacks::new();
    let class = class(32 * KIB);
    let [first, second, third] = [(); 3].map(|()| taken(&mut stacks, class));
    let bases = [&second, &third, &first].map(Slot::base);
    stacks.give_back(first);
    stacks.give_back(third);
    stacks.give_back(second);
    let again = [(); 3].map(|()| taken(&mut stacks, class));
    assert_eq!(again.each_ref().map(Slot::base), bases);
    again.into_iter().for_each(|slot| stacks.give_back(slot));
}

#[test]
fn classes_do_not_share_slots() {
    let mut stacks = Stacks::new();
    let small = taken(&mut stacks, class(32 * KIB));
    stacks.give_back(small);
    let large = taken(&mut stacks, class(64 * KIB));
    fill(&large);
    stacks.give_back(large);
}

#[test]
fn ten_thousand_short_tasks_run_on_one_stack() {
    let mut stacks = Stacks::new();
    let class = class(64 * KIB);
    for _ in 0..10_000 {
        stacks.reserve(class).expect("memory for a test");
    }
    let mut bases = HashSet::new();
    for _ in 0..10_000 {
        let slot = stacks.take(class);
        bases.insert(slot.base());
        stacks.give_back(slot);
    }
    assert_eq!(bases.len(), 1);
}

#[test]
fn a_reservation_during_a_burst_does_not_bury_the_warm_slot() {
    let mut stacks = Stacks::new();
    let class = class(64 * KIB);
    let slot = taken(&mut stacks, class);
    let warm = slot.base();
    stacks.give_back(slot);
    for _ in 0..100 {
        stacks.reserve(class).expect("memory for a test");
    }
    let slot = stacks.take(class);
    assert_eq!(slot.base(), warm);
    stacks.give_back(slot);
}

#[test]
fn every_reservation_has_a_slot_of_its_own() {
    let mut stacks = Stacks::new();
    let class = class(32 * KIB);
    for _ in 0..100 {
        stacks.reserve(class).expect("memory for a test");
    }
    let slots: Vec<_> = (0..100).map(|_| stacks.take(class)).collect();
    let mut ranges: Vec<_> = slots.iter().map(|slot| (slot.limit(), slot.base())).collect();
    ranges.sort();
    assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0), "slots overlap");
    slots.into_iter().for_each(|slot| stacks.give_back(slot));
}

#[test]
fn a_slot_given_back_makes_the_next_reservation_free() {
    let mut stacks = protected(1);
    let class = class(32 * KIB);
    for _ in 0..100 {
        let slot = taken(&mut stacks, class); // a second slot would be over the budget
        stacks.give_back(slot);
    }
}

#[test]
fn sixteen_neighbours_have_tops_of_sixteen_colours() {
    // The larger classes begin with smaller chunks: there a sixteenth neighbour comes later.
    for (usable, slots) in [(32 * KIB, 16), (8 * MIB, 31)] {
        let mut stacks = Stacks::new();
        let slots: Vec<_> = (0..slots).map(|_| taken(&mut stacks, class(usable))).collect();
        let colours: HashSet<_> = slots.iter().map(|slot| slot.base().get() % 4096).collect();
        assert_eq!(colours.len(), 16);
        assert!(colours.iter().all(|colour| colour % 128 == 128 - 16));
        assert!(slots.iter().all(|slot| slot.limit().get() % sys::page_size() == 0));
        slots.into_iter().for_each(|slot| stacks.give_back(slot));
    }
}

#[test]
fn guards_by_protection_fault_too() {
    let mut stacks = protected(40);
    let mut probe = Probe::new();
    for usable in [32 * KIB, 64 * KIB] {
        let slots: Vec<_> = (0..20).map(|_| taken(&mut stacks, class(usable))).collect();
        slots.iter().for_each(fill);
        for slot in slots {
            assert_guarded(&slot, &mut probe);
            stacks.give_back(slot);
        }
    }
}

#[test]
fn chunks_double_up_to_a_limit() {
    let sizes = |class, chunks| -> Vec<usize> {
        let next = |last: &usize| Some(arena::next_chunk_slots(class, Some(*last)));
        iter::successors(Some(arena::next_chunk_slots(class, None)), next).take(chunks).collect()
    };
    assert_eq!(sizes(class(32 * KIB), 4), [16, 32, 64, 128]);
    assert_eq!(sizes(class(256 * KIB), 12)[10..], [16_384, 16_384]);
    assert_eq!(sizes(class(4 * MIB), 4), [1, 2, 4, 8]);
    assert_eq!(sizes(class(MAX_USABLE_LEN), 8)[5..], [32, 63, 63]); // 64 GiB
}

#[test]
fn ten_thousand_guards_cost_hardly_a_mapping() {
    let mut stacks = Stacks::new();
    let class = class(64 * KIB);
    let slots: Vec<_> = (0..10_000).map(|_| taken(&mut stacks, class)).collect();
    if matches!(stacks.guards, Guards::Install) {
        // Nine chunks (16, 32, .., 4,096 slots) lie anywhere; the rest are neighbours in the tenth.
        let chunk = &slots[16 * 511..];
        let mappings = mappings_between(&chunk[0], chunk.last().expect("slots"));
        assert!(mappings <= 2, "{mappings} mappings for {} slots", chunk.len());
    }
    slots.into_iter().for_each(|slot| stacks.give_back(slot));
}

#[test]
fn guards_by_protection_cost_two_mappings_each() {
    let mut stacks = protected(16);
    let slots: Vec<_> = (0..16).map(|_| taken(&mut stacks, class(64 * KIB))).collect();
    assert_eq!(mappings_between(&slots[0], &slots[15]), 32);
    slots.into_iter().for_each(|slot| stacks.give_back(slot));
}

#[test]
fn dropped_stacks_leave_no_mapping() {
    // Another test may map something into the hole before we look, but not ten times in a row.
    let all_unmapped = (0..10).any(|_| {
        let mut stacks = Stacks::new();
        let class = class(64 * KIB);
        let slots: Vec<_> = (0..100).map(|_| taken(&mut stacks, class)).collect();
        slots.iter().for_each(fill);
        let addresses: Vec<_> = slots.iter().map(|slot| slot.base().get() - 1).collect();
        slots.into_iter().for_each(|slot| stacks.give_back(slot));
        drop(stacks);
        let mut probe = Probe::new();
        !addresses.into_iter().any(|address| probe.readable(address))
    });
    assert!(all_unmapped);
}

#[test]
fn stacks_stay_mapped_under_a_slot_that_is_out() {
    let class = class(32 * KIB);
    let out = panic::catch_unwind(|| {
        let mut stacks = Stacks::new();
        let slot = taken(&mut stacks, class);
        drop(stacks);
        slot
    });
    // A release build says nothing, and the slot works; a debug build has told us above.
    assert_eq!(out.is_err(), cfg!(debug_assertions));
    if let Ok(slot) = out {
        fill(&slot);
    }
}

#[test]
fn neither_a_slot_nor_its_stacks_can_leave_their_thread() {
    trait Ambiguous<Case> {
        fn exists() {}
    }
    struct EveryType;
    struct SendType;
    impl<T> Ambiguous<EveryType> for T {}
    impl<T: Send> Ambiguous<SendType> for T {}
    // Does not compile when both implementations apply.
    <Slot as Ambiguous<_>>::exists();
    <Stacks as Ambiguous<_>>::exists();
}
