//! The return of idle memory: one test for each sentence about it. What has memory is asked of the
//! kernel.

use super::*;
use crate::stack::Stacks;
use crate::stack::arena::guard_len;
use crate::stack::arena::limit_of;
use crate::stack::arena::stride;
use crate::stack::tests::KIB;
use crate::stack::tests::MIB;
use crate::stack::tests::Probe;
use crate::stack::tests::assert_guarded;
use crate::stack::tests::class;
use crate::stack::tests::fill;
use crate::stack::tests::protected;
use crate::stack::tests::taken;
use crate::sys;
use crate::sys::seam::Call;
use crate::sys::seam::count;
use crate::sys::seam::refusing;
use std::ops::ControlFlow;

/// Of this size, eight idle slots keep their memory.
pub(super) const USABLE: usize = 512 * KIB;
const KEPT: usize = 8;

/// Pages of a slot that have memory.
pub(super) fn resident(base: NonNull<u8>, class: Class) -> usize {
    let guard = guard_len(class);
    let mut pages = 0;
    sys::for_each_resident(limit_of(base, class).get() + guard, stride(class) - guard, |_| {
        pages += 1;
        ControlFlow::Continue(())
    });
    pages
}

/// Writes to this many pages, from the top down.
pub(super) fn touch(slot: &Slot, pages: usize) {
    for page in 0..pages {
        let byte = slot.base.as_ptr().wrapping_sub(1 + page * sys::page_size());
        // SAFETY: below the base, within the usable bytes of a slot that the test has taken.
        unsafe { byte.write(1) };
    }
}

impl Stacks {
    fn cache(&mut self, class: Class) -> &mut Cache {
        self.caches.iter_mut().find(|cache| cache.arena.class() == class).expect("a class")
    }

    /// The bases of the free slots, coldest first.
    fn free(&mut self, class: Class) -> Vec<NonNull<u8>> {
        self.cache(class).free.iter().map(|slot| slot.base).collect()
    }

    fn returned(&self) -> usize {
        self.stats().returned_bytes
    }

    /// Returns all that is marked; how many calls that took.
    #[track_caller]
    fn return_all(&mut self) -> usize {
        let calls = (0..10_000).take_while(|_| self.return_some()).count();
        assert!(calls < 10_000, "it does not end");
        calls
    }
}

/// Stacks with this many idle slots of `class`, of one page each, at the beginning of a period.
#[track_caller]
fn with_idle(class: Class, count: usize) -> Stacks {
    let mut stacks = Stacks::new();
    add_idle(&mut stacks, class, count);
    stacks
}

#[track_caller]
fn add_idle(stacks: &mut Stacks, class: Class, count: usize) {
    let slots: Vec<_> = (0..count).map(|_| taken(stacks, class)).collect();
    slots.iter().for_each(|slot| touch(slot, 1));
    slots.into_iter().for_each(|slot| stacks.give_back(slot));
    stacks.end_period();
    assert!(!stacks.return_some(), "they have not been idle for a period");
}

/// Takes and gives back the `count` warmest slots.
fn use_warmest(stacks: &mut Stacks, class: Class, count: usize) {
    let slots: Vec<_> = (0..count).map(|_| taken(stacks, class)).collect();
    slots.into_iter().rev().for_each(|slot| stacks.give_back(slot));
}

/// Which of the free slots have memory, coldest first.
fn which_resident(stacks: &mut Stacks, class: Class) -> Vec<bool> {
    stacks.free(class).into_iter().map(|base| resident(base, class) > 0).collect()
}

#[track_caller]
fn assert_cold(stacks: &mut Stacks, class: Class, count: usize) {
    let expected: Vec<_> = (0..stacks.free(class).len()).map(|index| index >= count).collect();
    assert_eq!(which_resident(stacks, class), expected);
}

#[test]
fn smoke() {
    let class = class(USABLE);
    let mut stacks = with_idle(class, 20);
    assert!(stacks.has_idle_memory());
    stacks.end_period();
    assert!(stacks.return_some());
    assert!(!stacks.return_some());
    assert!(!stacks.has_idle_memory());
    assert_eq!(stacks.returned(), (20 - KEPT) * sys::page_size());
    assert_cold(&mut stacks, class, 20 - KEPT);
}

#[test]
fn nothing_is_returned_before_a_whole_period_has_passed() {
    let class = class(USABLE);
    let mut stacks = with_idle(class, 20);
    // Of the period that begins now, the slots that come back in it are no part.
    use_warmest(&mut stacks, class, 20);
    stacks.end_period();
    assert!(!stacks.return_some());
    assert_cold(&mut stacks, class, 0);
    stacks.end_period();
    assert!(stacks.return_some());
    assert_cold(&mut stacks, class, 20 - KEPT);
}

#[test]
fn a_slot_that_was_taken_in_the_period_keeps_its_memory() {
    let class = class(USABLE);
    let mut stacks = with_idle(class, 20);
    use_warmest(&mut stacks, class, 15);
    stacks.end_period();
    stacks.return_all();
    assert_cold(&mut stacks, class, 5);
    assert!(stacks.has_idle_memory(), "seven more than are to keep it");
}

#[test]
fn a_slot_that_is_taken_after_its_period_keeps_its_memory_too() {
    let class = class(USABLE);
    let mut stacks = with_idle(class, 20);
    stacks.end_period(); // twelve are marked
    use_warmest(&mut stacks, class, 15);
    stacks.return_all();
    assert_cold(&mut stacks, class, 5);
}

#[test]
fn the_warmest_slots_keep_four_mebibytes_of_each_class() {
    for (usable, kept) in [(32 * KIB, 128), (256 * KIB, 16), (4 * MIB, 1), (8 * MIB, 0)] {
        let class = class(usable);
        let mut stacks = with_idle(class, kept);
        assert!(!stacks.has_idle_memory());
        stacks.end_period();
        assert_eq!(stacks.return_all(), 0);

        let mut stacks = with_idle(class, kept + 5);
        assert!(stacks.has_idle_memory());
        stacks.end_period();
        stacks.return_all();
        assert_cold(&mut stacks, class, 5);
        assert!(!stacks.has_idle_memory());
    }
}

#[test]
fn a_call_returns_a_bounded_piece() {
    // 512 slots at the most, and 512 MiB of them unless one slot is larger than that.
    for (usable, count, calls) in [(32 * KIB, 1_300, 3), (MIB, 600, 2), (16 * MIB, 70, 3)] {
        let class = class(usable);
        let mut stacks = with_idle(class, count);
        stacks.end_period();
        assert_eq!(stacks.return_all(), calls);
        assert_cold(&mut stacks, class, count - (4 * MIB / usable));
    }
    let class = class(1 << 30);
    let mut stacks = with_idle(class, 2);
    stacks.end_period();
    assert_eq!(stacks.return_all(), 2);
}

#[test]
fn neighbours_are_returned_by_one_call() {
    let class = class(8 * MIB);
    let mut stacks = Stacks::new();
    let mut slots: Vec<_> = (0..31).map(|_| Some(taken(&mut stacks, class))).collect();
    slots.iter().flatten().for_each(|slot| touch(slot, 1));
    // In an order that tears all neighbours apart: 7 and 31 have no common factor.
    for index in (0..31).map(|step| step * 7 % 31) {
        slots[index].take().into_iter().for_each(|slot| stacks.give_back(slot));
    }
    stacks.end_period();
    stacks.end_period();
    let calls = count(Call::Discard, || assert_eq!(stacks.return_all(), 1));
    assert!((1..=5).contains(&calls), "{calls} calls for five chunks");
    assert_cold(&mut stacks, class, 31);
}

#[test]
fn a_period_that_ends_before_all_is_returned_loses_nothing() {
    let class = class(32 * KIB);
    let mut stacks = with_idle(class, 1_300);
    stacks.end_period();
    assert!(stacks.return_some());
    stacks.end_period();
    stacks.return_all();
    assert_cold(&mut stacks, class, 1_300 - 128);
    assert_eq!(stacks.returned(), (1_300 - 128) * sys::page_size());
}

#[test]
fn fresh_slots_that_come_during_a_return_are_neither_marked_nor_in_the_way() {
    let class = class(32 * KIB);
    let mut stacks = with_idle(class, 1_300);
    stacks.end_period();
    assert!(stacks.return_some()); // 512 of 1,172
    for _ in 0..1_310 {
        stacks.reserve(class).expect("memory for a test"); // ten more than there are
    }
    assert_eq!(stacks.free(class).len(), 1_310);
    assert_cold(&mut stacks, class, 522);
    assert!(stacks.has_idle_memory());
    stacks.return_all();
    assert_cold(&mut stacks, class, 1_310 - 128);
    assert!(!stacks.has_idle_memory());
    assert_eq!(stacks.returned(), (1_300 - 128) * sys::page_size());
    assert_eq!(stacks.stats().peak, 1_300, "ten have never been taken");
}

#[test]
fn a_fresh_slot_that_is_used_and_idle_is_returned_like_any_other() {
    let class = class(USABLE);
    let mut stacks = with_idle(class, 20);
    stacks.end_period();
    stacks.return_all();
    for _ in 0..30 {
        stacks.reserve(class).expect("memory for a test");
    }
    let slots: Vec<_> = (0..30).map(|_| stacks.take(class)).collect();
    slots.iter().for_each(|slot| touch(slot, 2));
    slots.into_iter().for_each(|slot| stacks.give_back(slot));
    assert_cold(&mut stacks, class, 0);
    stacks.end_period();
    stacks.return_all();
    assert_cold(&mut stacks, class, 0);
    stacks.end_period();
    stacks.return_all();
    assert_cold(&mut stacks, class, 30 - KEPT);
    assert_eq!(stacks.returned(), ((20 - KEPT) + 2 * (30 - KEPT)) * sys::page_size());
}

#[test]
fn a_cold_slot_that_was_taken_counts_as_having_memory_again() {
    let class = class(USABLE);
    let mut stacks = with_idle(class, 20);
    stacks.end_period();
    stacks.return_all();
    assert!(!stacks.has_idle_memory());
    use_warmest(&mut stacks, class, 13); // eight warm ones and five cold ones
    assert!(stacks.has_idle_memory());
    assert_cold(&mut stacks, class, 7);
    for idle_periods in 0..2 {
        stacks.end_period();
        assert_eq!(stacks.return_all(), idle_periods);
    }
    assert_cold(&mut stacks, class, 12);
    assert_eq!(stacks.returned(), (12 + 5) * sys::page_size());
}

#[test]
fn promised_slots_may_lose_their_memory_and_work() {
    let class = class(USABLE);
    let mut stacks = with_idle(class, 20);
    for _ in 0..20 {
        stacks.reserve(class).expect("memory for a test");
    }
    stacks.end_period();
    stacks.return_all();
    assert_cold(&mut stacks, class, 20 - KEPT);
    let slots: Vec<_> = (0..20).map(|_| stacks.take(class)).collect();
    slots.iter().for_each(fill);
    let mut probe = Probe::new();
    for slot in slots {
        assert_guarded(&slot, &mut probe);
        stacks.give_back(slot);
    }
}

#[test]
fn guards_survive_the_return() {
    for mut stacks in [Stacks::new(), protected(40)] {
        for class in [class(32 * KIB), class(8 * MIB)] {
            add_idle(&mut stacks, class, 20);
        }
        let large = class(8 * MIB);
        stacks.end_period();
        stacks.return_all();
        assert_cold(&mut stacks, large, 20);
        let slots: Vec<_> = (0..20).map(|_| taken(&mut stacks, large)).collect();
        let mut probe = Probe::new();
        slots.iter().for_each(|slot| assert_guarded(slot, &mut probe));
        slots.iter().for_each(fill);
        for slot in slots {
            assert_guarded(&slot, &mut probe);
            stacks.give_back(slot);
        }
    }
}

#[test]
fn what_lies_between_two_returned_slots_and_is_in_use_keeps_its_contents() {
    let class = class(8 * MIB);
    let mut stacks = Stacks::new();
    let mut slots: Vec<_> = (0..15).map(|_| taken(&mut stacks, class)).collect();
    slots.iter().for_each(fill);
    let out: Vec<_> = [12, 11, 9, 8, 5, 3, 1].map(|index| slots.remove(index)).into();
    slots.into_iter().for_each(|slot| stacks.give_back(slot));
    stacks.end_period();
    stacks.end_period();
    stacks.return_all();
    assert_cold(&mut stacks, class, 8);
    for slot in out {
        let low = slot.base.addr().get() - class.usable_len();
        let bytes = std::ptr::with_exposed_provenance::<u8>(low);
        for offset in (1..class.usable_len()).step_by(KIB) {
            // SAFETY: a usable byte of a slot that the test has taken and filled.
            assert_eq!(unsafe { bytes.wrapping_add(offset).read() }, 0xa5);
        }
        stacks.give_back(slot);
    }
}

#[test]
fn a_refused_return_is_not_tried_again_and_does_not_count() {
    let class = class(USABLE);
    let mut stacks = with_idle(class, 20);
    stacks.end_period();
    refusing(Call::Discard, libc::EINVAL, || {
        assert_eq!(stacks.return_all(), 1);
        assert!(!stacks.has_idle_memory(), "it would wake the worker for ever");
        stacks.end_period();
        assert_eq!(stacks.return_all(), 0);
    });
    assert_eq!(stacks.returned(), 0);
    assert_cold(&mut stacks, class, 0);
    // Once they have been used and idle again, so is the return.
    use_warmest(&mut stacks, class, 20);
    stacks.end_period();
    stacks.end_period();
    stacks.return_all();
    assert_cold(&mut stacks, class, 20 - KEPT);
    assert_eq!(stacks.returned(), (20 - KEPT) * sys::page_size());
}

#[test]
fn locked_memory_is_not_returned() {
    let class = class(8 * MIB);
    let mut stacks = with_idle(class, 1);
    let base = stacks.free(class)[0];
    let page = base.addr().get() & !(sys::page_size() - 1);
    // The bare call, since AddressSanitizer makes mlock(3) do nothing.
    // SAFETY: locks one page of a slot that nobody uses.
    let failed = unsafe { libc::syscall(libc::SYS_mlock, page, 1_usize) };
    assert_eq!(failed, 0, "mlock: {}", io::Error::last_os_error());
    stacks.end_period();
    assert_eq!(stacks.return_all(), 1);
    assert_eq!(stacks.returned(), 0);
    assert_eq!(resident(base, class), 1);
}

#[test]
fn a_deep_stack_is_returned_in_pieces_too() {
    let class = class(32 * MIB);
    let mut stacks = Stacks::new();
    let slot = taken(&mut stacks, class);
    fill(&slot);
    let (base, pages) = (slot.base, resident(slot.base, class));
    stacks.give_back(slot);
    stacks.end_period();
    stacks.end_period();
    assert!(stacks.return_some());
    assert_eq!(stacks.returned(), RETURNED_PAGES * sys::page_size());
    assert_eq!(resident(base, class), pages - RETURNED_PAGES);
    assert!(stacks.has_idle_memory());
    assert_eq!(stacks.return_all(), pages.div_ceil(RETURNED_PAGES) - 1);
    assert_eq!(stacks.returned(), pages * sys::page_size());
    assert_cold(&mut stacks, class, 1);
}

#[test]
fn a_stack_that_is_taken_while_it_is_half_returned_works() {
    let class = class(32 * MIB);
    let mut stacks = Stacks::new();
    let slot = taken(&mut stacks, class);
    fill(&slot);
    stacks.give_back(slot);
    stacks.end_period();
    stacks.end_period();
    assert!(stacks.return_some());
    let slot = taken(&mut stacks, class);
    assert_eq!(stacks.return_all(), 0);
    fill(&slot);
    assert_guarded(&slot, &mut Probe::new());
    stacks.give_back(slot);
}

/// Ten thousand slots of a page each that came back in an order without neighbours.
fn scrambled(class: Class) -> Stacks {
    let mut stacks = Stacks::new();
    let mut slots: Vec<_> = (0..10_000).map(|_| Some(taken(&mut stacks, class))).collect();
    slots.iter().flatten().for_each(|slot| touch(slot, 1));
    for index in (0..10_000).map(|step| step * 6_177 % 10_000) {
        slots[index].take().into_iter().for_each(|slot| stacks.give_back(slot));
    }
    stacks.end_period();
    stacks.end_period();
    stacks
}

#[test]
fn neighbours_among_ten_thousand_are_returned_together() {
    let class = class(32 * KIB);
    let mut stacks = scrambled(class);
    let mut calls = 0;
    // Those that are kept, 128 of them, leave gaps.
    let madvise = count(Call::Discard, || calls = stacks.return_all());
    assert!(madvise < calls + 200, "{madvise} for {calls} pieces");
    assert_cold(&mut stacks, class, 10_000 - 128);
}

#[test]
fn fresh_slots_do_not_disturb_the_order_of_a_return() {
    let class = class(32 * KIB);
    let mut stacks = scrambled(class);
    assert!(stacks.return_some());
    for _ in 0..10_100 {
        stacks.reserve(class).expect("memory for a test");
    }
    let mut calls = 0;
    let madvise = count(Call::Discard, || calls = stacks.return_all());
    assert!(madvise < calls + 200, "{madvise} for {calls} pieces");
    assert_cold(&mut stacks, class, 10_100 - 128);
}
