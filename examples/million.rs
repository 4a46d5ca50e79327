//! A million tasks parked at the same time: what each of them takes, and that it is given back.
//!
//! What to look for: the stacks are ordinary ones, 256 KiB each with a guard below, yet a parked task
//! takes one page of it and some 400 bytes besides, and less than 600 bytes of page tables, which the
//! kernel counts apart. The process has a few dozen mappings, so the default `vm.max_map_count` is far
//! away. When the tasks have ended, their stacks stay warm for some seconds; then their memory goes back.
//!
//! Run it: `cargo run --release --example million [TASKS]`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::fs;
use std::time::Duration;
use std::time::Instant;

const SECONDS_OF_QUIET: u64 = 6;

fn main() {
    let count = match std::env::args().nth(1).map(|count| count.parse()) {
        None => 1_000_000,
        Some(Ok(count)) if count > 0 => count,
        Some(_) => panic!("usage: million [TASKS]"),
    };
    giambio::run(|| {
        million(count).print();
        for second in 1..=SECONDS_OF_QUIET {
            giambio::sleep(Duration::from_secs(1));
            println!("after {second} s of quiet: {:.1} MiB", mib(Stage::reached(None).rss));
        }
        println!("{:?}", giambio::debug::stacks().expect("this is inside of `run`"));
    });
}

/// Parks `count` tasks, each asleep for an hour, and cancels them all.
fn million(count: usize) -> Report {
    let start = Stage::reached(None);
    let mut began = giambio::clock();
    let (spawned, parked) = giambio::pool(|pool| {
        for _ in 0..count {
            pool.spawn(|| giambio::sleep(Duration::from_secs(3600)));
        }
        let spawned = Stage::reached(Some(began));
        began = giambio::clock();
        giambio::yield_now(); // every one of them goes first, up to its sleep
        let parked = Stage::reached(Some(began));
        began = giambio::clock();
        pool.cancel();
        (spawned, parked)
    });
    Report { count, start, spawned, parked, ended: Stage::reached(Some(began)) }
}

/// What the process has at some moment. All sizes are bytes.
struct Stage {
    took: Duration,
    /// Memory.
    rss: usize,
    /// How much of it belongs to stacks and records of tasks.
    tasks: usize,
    /// Page tables, which the kernel counts apart.
    pte: usize,
    mappings: usize,
}

impl Stage {
    fn reached(began: Option<Instant>) -> Self {
        let took = began.map(|began| giambio::clock() - began).unwrap_or_default();
        let status = fs::read_to_string("/proc/self/status").expect("Linux has it");
        let maps = fs::read_to_string("/proc/self/smaps").expect("Linux has it");
        Self {
            took,
            rss: field(&status, "VmRSS:"),
            tasks: memory_of_tasks(&maps),
            pte: field(&status, "VmPTE:"),
            mappings: maps.lines().filter(|line| line.starts_with("VmFlags:")).count(),
        }
    }

    fn print(&self, name: &str) {
        println!(
            "{name:9} {:6.1} MiB of memory, {:5.1} MiB of page tables, {:2} mappings, {:6.3} s",
            mib(self.rss),
            mib(self.pte),
            self.mappings,
            self.took.as_secs_f64()
        );
    }
}

fn mib(bytes: usize) -> f64 {
    bytes as f64 / (1 << 20) as f64
}

/// The number behind `name`, which /proc gives in KiB.
fn field(text: &str, name: &str) -> usize {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
    number.and_then(|number| number.parse::<usize>().ok()).expect("a size in kB") * 1024
}

/// Memory of the mappings that want no huge pages (`nh`), which are giambio's own.
fn memory_of_tasks(maps: &str) -> usize {
    // The flags are the last line of each mapping.
    let mappings = maps.split("VmFlags:").zip(maps.split("VmFlags:").skip(1));
    let own = mappings.filter(|(_, after)| {
        let flags = after.lines().next().unwrap_or_default();
        flags.split(' ').any(|flag| flag == "nh")
    });
    own.map(|(mapping, _)| field(mapping, "Rss:")).sum()
}

struct Report {
    count: usize,
    start: Stage,
    spawned: Stage,
    parked: Stage,
    ended: Stage,
}

/// Bytes of one parked task.
#[derive(Debug)]
struct Share {
    memory: f64,
    stack: f64,
    /// With its place in the lists of stacks.
    record: f64,
    timer: f64,
    page_tables: f64,
}

impl Report {
    fn share(&self) -> Share {
        let Self { start, spawned, parked, .. } = self;
        let each = |from: usize, to: usize| (to as f64 - from as f64) / self.count as f64;
        // A task that has not begun has touched no stack and set no timer; the timers lie in the heap.
        let timer = each(spawned.rss - spawned.tasks, parked.rss - parked.tasks);
        Share {
            memory: each(start.rss, parked.rss),
            stack: each(spawned.rss, parked.rss) - timer,
            record: each(start.rss, spawned.rss),
            timer,
            page_tables: each(start.pte, parked.pte),
        }
    }

    fn print(&self) {
        self.start.print("start");
        self.spawned.print("spawned");
        self.parked.print("parked");
        self.ended.print("ended");
        let share = self.share();
        println!(
            "each of {} parked tasks: {:.0} bytes of memory (stack {:.0}, record {:.0}, timer {:.0}) \
             and {:.0} bytes of page tables",
            self.count, share.memory, share.stack, share.record, share.timer, share.page_tables
        );
        let each = |stage: &Stage| stage.took.as_nanos() / self.count as u128;
        let [spawn, park, end] = [&self.spawned, &self.parked, &self.ended].map(each);
        println!("each: {spawn} ns to spawn, {park} ns to park, {end} ns to be cancelled and end");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parked_task_takes_some_pages_and_few_page_tables() {
        let (report, stacks) = giambio::run(|| (million(2_000), giambio::debug::stacks().unwrap()));
        assert_eq!((stacks.live, stacks.idle, stacks.peak), (1, 2_000, 2_001));
        let share = report.share();
        let parts = share.stack + share.record + share.timer;
        assert!((parts - share.memory).abs() < 1.0, "{share:?}");
        // One page of stack in a release build, two or three in a debug build.
        assert!((4_095.0..16_384.0).contains(&share.stack), "{share:?}");
        assert!((300.0..1_500.0).contains(&share.record), "{share:?}");
        assert!((0.0..200.0).contains(&share.timer), "{share:?}");
        assert!((400.0..4_096.0).contains(&share.page_tables), "{share:?}");
        // Guards take no mapping where the kernel has `MADV_GUARD_INSTALL`.
        assert!(report.parked.mappings < report.start.mappings + 50);
    }

    #[test]
    fn sizes_of_proc_are_in_kib() {
        assert_eq!(field("VmPeak:\t  8 kB\nVmRSS:\t      17 kB\n", "VmRSS:"), 17 << 10);
        let maps = "0-1 rw-p\nRss:  4 kB\nVmFlags: rd wr nh \n1-2 r--p\nRss: 8 kB\nVmFlags: rd \n";
        assert_eq!(memory_of_tasks(maps), 4 << 10);
    }
}
