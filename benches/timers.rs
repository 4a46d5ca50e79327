//! What a deadline costs beside others: `cargo bench --bench timers`.
//!
//! Prints the nanoseconds of CPU time for one pair of operations, as minimum / median of the
//! rounds; drawing the random numbers is part of them (1-2 ns). The pairs:
//!
//! * late: set a deadline later than all others and cancel it at once.
//! * short: the same, earlier than all others; the whole way up and down again.
//! * uniform: the same, anywhere among the others.
//! * any: cancel any of them, long after it was set, and set it again. What it costs beyond
//!   uniform is mostly memory that is not in the cache: the node, its entry, the entry's parent.
//!   Below it, its halves by themselves, from many in a row.
//! * fire: pop the earliest and set it again, anywhere among the others.

#[path = "../src/scheduler/timers.rs"]
#[allow(dead_code, unused_imports, reason = "uses a part; its tests run with the library's")]
mod timers;

use std::collections::HashSet;
use std::time::Duration;
use timers::Lateness;
use timers::TimerNode;
use timers::Timers;

/// Odd, so that the median is a measured round.
const ROUNDS: usize = 15;
/// Short enough (1-10 ms) for most rounds to run undisturbed.
const PAIRS_PER_ROUND: usize = 20_000;
/// A batch for the halves: small enough for the smallest heap, large against the clock's 0.3 us.
const BATCH: usize = 500;
const BATCHES: usize = 151;
/// The standing deadlines lie in `BASE .. BASE + SPREAD` ns; 100 s.
const BASE: u64 = 1 << 40;
const SPREAD: u64 = 100_000_000_000;

/// A node with `PAD` bytes of other things behind it, as on a stack.
struct Record<const PAD: usize> {
    node: TimerNode<u32>,
    _rest: [u8; PAD],
}

/// One record in a cache line of its own: 12 bytes of node and the rest of 64.
const LINE: usize = 52;
/// One record for each page and a cache line, as on stacks that differ in depth.
const PAGE: usize = 4096 + LINE;

/// Marsaglia's xorshift64: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

struct Bench<const PAD: usize> {
    timers: Timers<u32>,
    /// The `live` ones in the heap, and one that is set and cancelled. Never grows nor shrinks.
    records: Vec<Record<PAD>>,
    live: usize,
    random: Random,
}

impl<const PAD: usize> Bench<PAD> {
    fn new(live: usize) -> Self {
        let record = |id| Record { node: TimerNode::new(id as u32), _rest: [0; PAD] };
        let mut bench = Self {
            timers: Timers::new(),
            records: (0..=live).map(record).collect(),
            live,
            random: Random(0x9E37_79B9_7F4A_7C15),
        };
        (0..live).for_each(|id| bench.set_anywhere(id));
        bench
    }

    fn set(&mut self, id: usize, at: u64) {
        // SAFETY: `records` keeps its buffer for the whole life of the heap, and every caller
        // passes a record that has just fired or been removed, or has never been set.
        unsafe { self.timers.insert(&self.records[id].node, at, Lateness::Millisecond) };
    }

    fn set_anywhere(&mut self, id: usize) {
        let at = BASE + self.random.below(SPREAD);
        self.set(id, at);
    }

    fn set_and_cancel(&mut self, at: u64) {
        self.set(self.live, at);
        self.timers.remove(&self.records[self.live].node);
    }

    fn late(&mut self) {
        self.set_and_cancel(BASE + SPREAD);
    }

    fn short(&mut self) {
        self.set_and_cancel(BASE - 1);
    }

    fn uniform(&mut self) {
        let at = BASE + self.random.below(SPREAD);
        self.set_and_cancel(at);
    }

    fn any(&mut self) {
        let id = self.random.below(self.live as u64) as usize;
        self.timers.remove(&self.records[id].node);
        self.set_anywhere(id);
    }

    fn fire(&mut self) {
        let id = self.timers.pop_due(u64::MAX).expect("nobody emptied the heap");
        self.set_anywhere(id as usize);
    }

    fn measure(&mut self, name: &str, pair: fn(&mut Self)) {
        let rounds = (0..ROUNDS)
            .map(|_| time(PAIRS_PER_ROUND, || (0..PAIRS_PER_ROUND).for_each(|_| pair(self))))
            .collect();
        self.report(name, rounds);
    }

    /// A batch of records in random order, none of them twice: a regular step would be prefetched.
    fn victims(&mut self) -> Vec<usize> {
        let (mut ids, mut seen) = (Vec::new(), HashSet::new());
        while ids.len() < BATCH {
            let id = self.random.below(self.live as u64) as usize;
            if seen.insert(id) {
                ids.push(id);
            }
        }
        ids
    }

    /// The halves of "any" by themselves: cancels a batch, then sets it again.
    fn measure_halves(&mut self) {
        let (mut cancels, mut sets) = (Vec::new(), Vec::new());
        for _ in 0..BATCHES {
            let ids = self.victims();
            cancels.push(time(BATCH, || {
                ids.iter().for_each(|&id| self.timers.remove(&self.records[id].node));
            }));
            sets.push(time(BATCH, || ids.iter().for_each(|&id| self.set_anywhere(id))));
        }
        self.report("- cancel", cancels);
        self.report("- set", sets);
    }

    #[allow(clippy::print_stdout, reason = "its output is what it is for")]
    fn report(&self, name: &str, mut rounds: Vec<f64>) {
        rounds.sort_by(f64::total_cmp);
        let (live, apart) = (self.live, size_of::<Record<PAD>>());
        let (min, median) = (rounds[0], rounds[rounds.len() / 2]);
        println!("{live:>9} live, {apart:>4} B apart  {name:<8} {min:>6.1} / {median:>6.1} ns");
    }
}

/// Nanoseconds for one of the `count` things that `work` does.
fn time(count: usize, work: impl FnOnce()) -> f64 {
    let start = cpu_time();
    work();
    (cpu_time() - start).as_nanos() as f64 / count as f64
}

fn measure_all<const PAD: usize>(live: usize) {
    let mut bench = Bench::<PAD>::new(live);
    bench.measure("late", Bench::late);
    bench.measure("short", Bench::short);
    bench.measure("uniform", Bench::uniform);
    bench.measure("any", Bench::any);
    bench.measure_halves();
    bench.measure("fire", Bench::fire);
    while bench.timers.pop_due(u64::MAX).is_some() {}
}

/// CPU time of this process: other programs on the machine disturb it less than the wall clock.
fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a `timespec` of ours, for the length of the call.
    let rc = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    assert_eq!(rc, 0, "clock_gettime: {}", std::io::Error::last_os_error());
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn main() {
    // `cargo test --all-targets` runs this too, to see that it still builds and starts.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    for live in [1_000, 100_000, 1_000_000] {
        measure_all::<LINE>(live);
    }
    // A million of these would take 4 GB.
    for live in [1_000, 100_000] {
        measure_all::<PAGE>(live);
    }
}
