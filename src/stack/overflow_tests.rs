//! What the handler reads, without a fault: the list of chunks, and the line that it writes.

use super::*;
use crate::stack::Stacks;
use crate::stack::tests::KIB;
use crate::stack::tests::MIB;
use crate::stack::tests::class;
use crate::stack::tests::taken;
use std::thread;

/// Address space that nothing else is mapped to while this lives, whatever the other tests do.
struct Hole {
    start: NonNull<u8>,
    len: usize,
}

impl Hole {
    /// Room for `slots` slots of `class`.
    fn new(class: Class, slots: usize) -> Self {
        let len = slots * arena::stride(class);
        Self { start: sys::reserve(len).expect("address space"), len }
    }

    fn first(&self) -> usize {
        self.start.addr().get()
    }

    fn last(&self) -> usize {
        self.first() + self.len - 1
    }
}

impl Drop for Hole {
    fn drop(&mut self) {
        // SAFETY: reserved by `new`, and the test has not used an address in it.
        unsafe { sys::release(self.start, self.len) };
    }
}

/// The limit of the slot that `address` lies in.
fn limit_at(address: usize) -> Option<usize> {
    find(address).map(|spot| spot.limit)
}

#[test]
fn smoke() {
    let class = class(64 * KIB);
    let stride = arena::stride(class);
    let hole = Hole::new(class, 3);
    assert!(find(hole.first()).is_none());
    let region = watch(hole.start, hole.len, class);
    for (index, address) in [(0, hole.first()), (1, hole.first() + stride), (2, hole.last())] {
        let spot = find(address).expect("a watched chunk");
        assert_eq!((spot.index, spot.class), (index, class));
        assert_eq!(spot.limit, hole.first() + index * stride);
    }
    forget(region);
    for address in [hole.first(), hole.last()] {
        assert!(find(address).is_none(), "a forgotten chunk was found");
    }
}

#[test]
fn a_chunk_ends_with_its_last_byte() {
    let class = class(32 * KIB);
    let (whole, stride) = (Hole::new(class, 3), arena::stride(class));
    // SAFETY: the second of three slots.
    let middle = unsafe { whole.start.add(stride) };
    let region = watch(middle, stride, class);
    let start = middle.addr().get();
    assert_eq!(limit_at(start), Some(start));
    assert_eq!(limit_at(start + stride - 1), Some(start));
    assert_eq!(limit_at(start - 1), None);
    assert_eq!(limit_at(start + stride), None);
    forget(region);
}

#[test]
fn every_slot_of_every_runtime_is_found_by_its_first_and_its_last_byte() {
    let classes = [32 * KIB, 64 * KIB, MIB, 8 * MIB].map(class);
    let mut runtimes = [Stacks::new(), Stacks::new()];
    let mut out = Vec::new();
    for (index, stacks) in runtimes.iter_mut().enumerate() {
        for class in classes {
            out.extend((0..20).map(|_| (index, taken(stacks, class))));
        }
    }
    for (_, slot) in &out {
        let limit = slot.limit().get();
        for address in [limit, slot.base().get(), limit + arena::stride(slot.class) - 1] {
            let spot = find(address).expect("a slot of a live runtime");
            assert_eq!((spot.limit, spot.class), (limit, slot.class));
            // There the handler looks for the tenant.
            assert_eq!(arena::base_of(spot.limit, spot.index, spot.class), slot.base().get());
        }
    }
    for (index, slot) in out {
        runtimes[index].give_back(slot);
    }
}

#[test]
fn a_runtime_that_ends_takes_only_its_own_chunks_out() {
    let class = class(64 * KIB);
    let (mut first, mut second) = (Stacks::new(), Stacks::new());
    let slots = [taken(&mut first, class), taken(&mut second, class)];
    let [gone, stays] = slots.each_ref().map(|slot| slot.limit().get());
    let [of_first, of_second] = slots;
    first.give_back(of_first);
    // Until the chunk is unmapped no other test's can lie there, and until then it is found.
    assert_eq!(limit_at(gone), Some(gone));
    drop(first);
    assert_eq!(limit_at(stays), Some(stays));
    second.give_back(of_second);
}

#[test]
fn a_vacant_region_is_used_again() {
    let regions = || {
        // SAFETY: null, or a region that was leaked.
        let first = unsafe { FIRST.load(Ordering::Acquire).as_ref() };
        std::iter::successors(first, |region| region.next).count()
    };
    let class = class(32 * KIB);
    let hole = Hole::new(class, 1);
    let before = regions();
    for _ in 0..10_000 {
        forget(watch(hole.start, hole.len, class));
    }
    // The other tests' chunks are fewer than that.
    assert!(regions() - before < 5_000, "{before} regions have become {}", regions());
}

#[test]
fn a_region_in_change_is_skipped() {
    let class = class(32 * KIB);
    let region = Region {
        version: AtomicUsize::new(0),
        start: AtomicUsize::new(1 << 20),
        len: AtomicUsize::new(arena::stride(class)),
        class: AtomicU8::new(class.0),
        next: None,
    };
    assert!(region.find(1 << 20).is_some());
    region.version.store(1, Ordering::Relaxed);
    assert!(region.find(1 << 20).is_none());
    region.version.store(2, Ordering::Relaxed);
    assert!(region.find(1 << 20).is_some());
}

#[test]
fn a_reader_never_sees_half_a_change() {
    // Two chunks that overlap and differ in everything.
    let chunks = [(1 << 30, 32 * KIB), ((1 << 30) + 4096, MIB)].map(|(at, len)| (at, class(len)));
    let address = (1 << 30) + 20 * KIB;
    let region = Region {
        version: AtomicUsize::new(0),
        start: AtomicUsize::new(0),
        len: AtomicUsize::new(0),
        class: AtomicU8::new(0),
        next: None,
    };
    thread::scope(|threads| {
        let reader = threads.spawn(|| {
            let mut seen = [0; 2];
            while seen.contains(&0) || seen[0] + seen[1] < 100_000 {
                let Some(spot) = region.find(address) else { continue };
                let which = chunks.iter().position(|&chunk| chunk == (spot.limit, spot.class));
                seen[which.expect("half of each")] += 1;
            }
        });
        for (start, class) in chunks.into_iter().cycle().take_while(|_| !reader.is_finished()) {
            region.set(start, arena::stride(class), class);
        }
        reader.join().expect("a reader that never saw half a change");
    });
}

#[track_caller]
fn line(write: impl FnOnce(&mut Line)) -> String {
    let mut line = Line::new();
    write(&mut line);
    let text = line.text().to_owned();
    assert_eq!(text.len(), line.len, "the bytes are no text");
    text
}

#[test]
fn a_number_has_its_digits() {
    for number in [0, 7, 10, 909, 1_024, u64::from(u32::MAX), u64::MAX] {
        assert_eq!(line(|line| line.push_number(number)), number.to_string());
    }
}

#[test]
fn a_line_is_what_was_pushed() {
    let text = line(|line| {
        line.push("task '");
        line.push_name("später 🙂");
        line.push("' has ");
        line.push_number(64);
        line.push(" KiB\n");
    });
    assert_eq!(text, "task 'später 🙂' has 64 KiB\n");
}

#[test]
fn a_line_ends_at_a_character_when_it_is_full() {
    for char in ['x', 'ä', '€', '🙂'] {
        let text = line(|line| line.push(&char.to_string().repeat(1_000)));
        let fits = Line::CAPACITY / char.len_utf8();
        assert_eq!(text, char.to_string().repeat(fits));
    }
    let text = line(|line| {
        line.push(&"x".repeat(Line::CAPACITY - 2));
        line.push_number(1234);
    });
    assert_eq!(text, "x".repeat(Line::CAPACITY - 2) + "12");
}

#[test]
fn a_long_name_is_cut_at_a_character_and_says_so() {
    for (char, most) in [('x', 256), ('ä', 128), ('€', 85), ('🙂', 64)] {
        let text = |count| line(|line| line.push_name(&char.to_string().repeat(count)));
        assert_eq!(text(most), char.to_string().repeat(most));
        assert_eq!(text(most + 1), char.to_string().repeat(most) + "...");
        assert_eq!(text(10_000), char.to_string().repeat(most) + "...");
    }
    // The limit is the name's, wherever it begins.
    let text = line(|line| {
        line.push("task '");
        line.push_name(&"x".repeat(300));
    });
    assert_eq!(text, format!("task '{}...", "x".repeat(256)));
}

#[test]
fn a_name_stays_on_its_line() {
    let text = line(|line| line.push_name("two\nlines\r\tand\0a\x1b[1mcolour\x7f\u{9b}"));
    assert_eq!(text, "two lines  and a [1mcolour  ");
}

#[test]
fn a_long_name_leaves_room_for_the_rest_of_the_line() {
    let advice = format!("{}\n", "x".repeat(150));
    let text = line(|line| {
        line.push("\ngiambio: task '");
        line.push_name(&"€".repeat(1_000));
        line.push(":");
        line.push_number(u32::MAX.into());
        line.push("' (#");
        line.push_number(u64::MAX);
        line.push(") has overflowed its stack of ");
        line.push_number(1 << 20);
        line.push(&advice);
    });
    assert!(text.ends_with(&advice), "{text}");
}
