//! A system that refuses, at any point: what is there stays good, the error names the limit, and the
//! next attempt works when the refusal has ended.

use super::*;
use crate::stack::Stacks;
use crate::stack::tests::KIB;
use crate::stack::tests::MIB;
use crate::stack::tests::Probe;
use crate::stack::tests::assert_guarded;
use crate::stack::tests::class;
use crate::stack::tests::fill;
use crate::stack::tests::mappings_between;
use crate::stack::tests::protected;
use crate::stack::tests::taken;
use crate::sys::seam::Call;
use crate::sys::seam::refusing;
use std::collections::HashSet;
use std::io::ErrorKind;

/// An account of its own, with a budget of `guards`.
fn account(guards: usize) -> &'static Account {
    Box::leak(Box::new(Account::new(2 * (SPARE_GUARDS + guards), 0)))
}

fn used(account: &Account) -> usize {
    account.used.load(Ordering::Relaxed)
}

/// What the kernel said, below an error's own words.
#[track_caller]
fn refusal_in(error: &io::Error) -> Option<i32> {
    let source = error.get_ref().expect("an error with a text").source()?;
    source.downcast_ref::<io::Error>().expect("the kernel's error").raw_os_error()
}

/// Reserves until that is refused; returns how many there were before, and the error.
#[track_caller]
fn reserved_until_refused(stacks: &mut Stacks, class: Class) -> (usize, io::Error) {
    for count in 0..1_000 {
        if let Err(error) = stacks.reserve(class) {
            return (count, error);
        }
    }
    panic!("nothing was refused");
}

/// What is refused, with which error, and what the text has to say.
const REFUSALS: &[(Call, i32, &str)] = &[
    (Call::Reserve, libc::ENOMEM, "vm.overcommit_memory"),
    (Call::Reserve, libc::EAGAIN, "RLIMIT_MEMLOCK"),
    (Call::Guard, libc::ENOMEM, "vm.overcommit_memory"),
    (Call::Protect, libc::ENOMEM, "vm.max_map_count is"),
];

#[test]
fn smoke() {
    let mut stacks = Stacks::new();
    let class = class(64 * KIB);
    let refused = refusing(Call::Reserve, libc::ENOMEM, || stacks.reserve(class));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::OutOfMemory);
    let slot = taken(&mut stacks, class);
    fill(&slot);
    stacks.give_back(slot);
}

/// `before` slots are out and full when `call` begins to be refused.
fn refuse_after(before: usize, (call, errno, words): (Call, i32, &str)) {
    let account = account(1_000);
    let mut stacks = match call {
        Call::Protect => Stacks::guarded_by(Guards::Protect(account)),
        _ => Stacks::new(),
    };
    let class = class(32 * KIB);
    let mut slots: Vec<_> = (0..before).map(|_| taken(&mut stacks, class)).collect();
    slots.iter().for_each(fill);
    if call == Call::Guard {
        stacks.guards = Guards::Install; // a kernel that has none would not be asked again
    }

    let promised = refusing(call, errno, || {
        let (promised, error) = reserved_until_refused(&mut stacks, class);
        let (again, _) = reserved_until_refused(&mut stacks, class);
        assert_eq!(again, 0, "refused once, it is refused again");
        assert_eq!(error.kind(), ErrorKind::OutOfMemory); // EAGAIN alone would be `WouldBlock`
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(refusal_in(&error), Some(errno));
        promised
    });
    let stats = stacks.stats();
    assert_eq!((stats.live, stats.idle), (before, promised));
    if call == Call::Protect {
        assert_eq!(used(account), before + promised, "a guard is paid for that is not there");
    }

    // The promises are kept, and the next ones can be given.
    slots.extend((0..promised).map(|_| stacks.take(class)));
    slots.extend((0..20).map(|_| taken(&mut stacks, class)));
    let bases: HashSet<_> = slots.iter().map(|slot| slot.base).collect();
    assert_eq!(bases.len(), before + promised + 20);
    slots.iter().for_each(fill);
    let mut probe = Probe::new();
    slots.iter().for_each(|slot| assert_guarded(slot, &mut probe));
    slots.into_iter().for_each(|slot| stacks.give_back(slot));
    drop(stacks);
    assert_eq!(used(account), 0);
}

#[test]
fn a_refusal_at_any_point_harms_neither_what_was_before_nor_what_comes_after() {
    // The chunks of this class end after 16 and 48 slots.
    for &refusal in REFUSALS {
        for before in [0, 1, 2, 15, 16, 17, 31, 47, 48, 49] {
            refuse_after(before, refusal);
        }
    }
}

#[test]
fn refused_attempts_take_nothing_for_good() {
    for call in [Call::Reserve, Call::Guard] {
        let mut stacks = Stacks::new();
        let class = class(32 * KIB);
        let slots: Vec<_> = (0..16).map(|_| taken(&mut stacks, class)).collect();
        stacks.guards = Guards::Install; // a kernel that has none would not be asked again
        refusing(call, libc::ENOMEM, || stacks.reserve(class)).expect_err("a refusal");
        // A chunk whose first guard was refused is kept for the next attempt.
        let reserved = stacks.stats().reserved_bytes;
        for _ in 0..100 {
            refusing(call, libc::ENOMEM, || stacks.reserve(class)).expect_err("a refusal");
        }
        assert_eq!(stacks.stats().reserved_bytes, reserved);
        slots.into_iter().for_each(|slot| stacks.give_back(slot));
    }
}

#[test]
fn a_refusal_of_one_class_leaves_the_others_alone() {
    let mut stacks = Stacks::new();
    let (small, large) = (class(32 * KIB), class(8 * MIB));
    let slot = taken(&mut stacks, small);
    refusing(Call::Reserve, libc::ENOMEM, || {
        stacks.reserve(large).expect_err("a refusal");
        let other = taken(&mut stacks, small); // its chunk has room
        fill(&other);
        stacks.give_back(other);
    });
    stacks.give_back(slot);
}

#[test]
fn a_kernel_without_guards_has_them_made_by_protection_from_then_on() {
    let mut stacks = Stacks::new();
    let class = class(64 * KIB);
    let mut slots: Vec<_> = (0..3).map(|_| taken(&mut stacks, class)).collect();
    slots.extend(refusing(Call::Guard, libc::EINVAL, || {
        [(); 2].map(|()| taken(&mut stacks, class))
    }));
    assert!(matches!(stacks.guards, Guards::Protect(_)));
    slots.extend([(); 2].map(|()| taken(&mut stacks, class)));
    // All in one chunk, where a guard and what lies above it are a mapping each.
    let mappings = mappings_between(&slots[3], &slots[6]);
    assert_eq!(mappings, 8, "of four guarded slots");
    slots.iter().for_each(fill);
    let mut probe = Probe::new();
    slots.iter().for_each(|slot| assert_guarded(slot, &mut probe));
    slots.into_iter().for_each(|slot| stacks.give_back(slot));
}

#[test]
fn only_guards_by_protection_count_against_the_budget() {
    let account = account(3);
    let mut stacks = Stacks::new();
    let class = class(32 * KIB);
    let mut slots: Vec<_> = (0..10).map(|_| taken(&mut stacks, class)).collect();
    if matches!(stacks.guards, Guards::Install) {
        stacks.guards = Guards::Protect(account); // what the next refusal would do
        slots.extend([(); 3].map(|()| taken(&mut stacks, class)));
        stacks.reserve(class).expect_err("a fourth guard by protection");
        assert_eq!(used(account), 3);
    }
    slots.into_iter().for_each(|slot| stacks.give_back(slot));
    drop(stacks);
    assert_eq!(used(account), 0);
}

#[test]
fn runtimes_share_a_budget_and_give_it_back_when_they_end() {
    let account = account(10);
    let class = class(32 * KIB);
    let take_all = |stacks: &mut Stacks| -> Vec<Slot> {
        let (count, error) = reserved_until_refused(stacks, class);
        assert!(error.to_string().contains("room for 10 stacks"), "{error}");
        assert_eq!(refusal_in(&error), None, "the budget ends before the kernel refuses");
        (0..count).map(|_| stacks.take(class)).collect()
    };
    let mut first = Stacks::guarded_by(Guards::Protect(account));
    let mut second = Stacks::guarded_by(Guards::Protect(account));
    let out: Vec<_> = (0..6).map(|_| taken(&mut first, class)).collect();
    let slots = take_all(&mut second);
    assert_eq!(slots.len(), 4);
    assert_eq!(take_all(&mut first).len(), 0);
    slots.into_iter().for_each(|slot| second.give_back(slot));
    // Idle slots keep their guards.
    assert_eq!(take_all(&mut first).len(), 0);
    drop(second);
    let mut third = Stacks::guarded_by(Guards::Protect(account));
    let slots = take_all(&mut third);
    assert_eq!(slots.len(), 4);
    slots.into_iter().for_each(|slot| third.give_back(slot));
    out.into_iter().for_each(|slot| first.give_back(slot));
    drop((first, third));
    assert_eq!(used(account), 0);
}

#[test]
fn a_list_that_cannot_grow_is_a_refusal_like_any_other() {
    let refusal = Vec::<u8>::new().try_reserve(usize::MAX).unwrap_err();
    let error = no_room::<Slot>(1_000, refusal);
    assert_eq!(error.kind(), ErrorKind::OutOfMemory);
    assert!(error.to_string().starts_with("out of stacks: "), "{error}");
}

#[test]
fn a_refusal_carries_the_words_of_the_kernel() {
    // Made by hand: a real refusal would hit the other tests of this process as well.
    let refusal = io::Error::from_raw_os_error(libc::EAGAIN);
    let error = no_memory(4096, refusal);
    assert_eq!(error.kind(), ErrorKind::OutOfMemory); // EAGAIN itself would be `WouldBlock`
    assert!(error.to_string().contains("RLIMIT_MEMLOCK"), "{error}");
    let source = error.get_ref().and_then(|error| error.source()).expect("a source");
    let source = source.downcast_ref::<io::Error>().expect("the kernel's error");
    assert_eq!(source.raw_os_error(), Some(libc::EAGAIN));
}

#[test]
fn a_refused_chunk_is_halved_until_it_fits() {
    let mut asked = Vec::new();
    let granted = halving(16, |slots| {
        asked.push(slots);
        if slots <= 2 { Ok(slots) } else { Err(io::Error::from_raw_os_error(libc::ENOMEM)) }
    });
    assert_eq!(granted.expect("two slots fit"), 2);
    assert_eq!(asked, [16, 8, 4, 2]);

    asked.clear();
    let refused = halving(4, |slots| {
        asked.push(slots);
        Err::<(), _>(io::Error::from_raw_os_error(libc::ENOMEM))
    });
    let refusal = refused.expect_err("nothing fits");
    assert_eq!(refusal.raw_os_error(), Some(libc::ENOMEM));
    assert_eq!(asked, [4, 2, 1]);
}

#[test]
fn the_budget_leaves_half_of_the_mappings_less_the_spare_ones() {
    assert_eq!(Account::new(65_530, 0).budget, 30_765);
    assert_eq!(Account::new(65_530, 20_000).budget, 20_765);
    assert_eq!(Account::new(4_002, 0).budget, 1);
    assert_eq!(Account::new(1_000, 0).budget, 0);
    assert_eq!(Account::new(1_000, 2_000).budget, 0);
}

#[test]
fn an_exhausted_budget_names_the_limit_and_spares_the_earlier_slots() {
    let mut stacks = protected(20);
    let class = class(32 * KIB);
    let mut slots: Vec<_> = (0..20).map(|_| taken(&mut stacks, class)).collect();
    for _ in 0..2 {
        let error = stacks.reserve(class).expect_err("the budget is used up");
        assert_eq!(error.kind(), ErrorKind::OutOfMemory);
        let text = error.to_string();
        assert!(text.contains("vm.max_map_count is 4040"), "{text}");
        assert!(text.contains("room for 20 stacks"), "{text}");
    }
    slots.iter().for_each(fill);
    stacks.give_back(slots.pop().expect("twenty slots"));
    slots.push(taken(&mut stacks, class));
    slots.into_iter().for_each(|slot| stacks.give_back(slot));
}

#[test]
fn locked_memory_is_guarded_by_protection() {
    let mut stacks = Stacks::new();
    let first = taken(&mut stacks, class(32 * KIB));
    let next = first.limit().get() + stride(class(32 * KIB));
    // The bare call, since AddressSanitizer makes mlock(3) do nothing.
    // SAFETY: locks one page of the chunk's second slot, which nobody uses yet.
    let failed = unsafe { libc::syscall(libc::SYS_mlock, next, 1_usize) };
    assert_eq!(failed, 0, "mlock: {}", io::Error::last_os_error());
    let second = taken(&mut stacks, class(32 * KIB));
    assert_eq!(second.limit().get(), next);
    assert!(matches!(stacks.guards, Guards::Protect { .. }));
    assert_guarded(&second, &mut Probe::new());
    assert_guarded(&first, &mut Probe::new());
    [first, second].into_iter().for_each(|slot| stacks.give_back(slot));
}
