//! What stacks cost, and that their memory comes back: `cargo bench --bench stacks -- [PART]...`, all
//! parts unless some are named. Each part runs in a process of its own. Times are CPU time if nothing
//! else is said.
//!
//! * sequence: 10,000,000 tasks, one after another; the process does not grow.
//! * deep: 100,000 tasks parked below 20 frames each, then cancelled.
//! * burst: 100,000 tasks that use 6 KiB of stack each and end in random order, as connections do; then
//!   quiet. What is given back when, what that costs, and how long another task has to wait meanwhile.
//! * large: the same with 400 tasks that use 8 MiB each.
//! * big: a call of `on_big_stack` on a warm stack.
//! * soak [SECONDS]: tasks of every kind at random, for 60 seconds; the process does not grow.

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

mod churn;

use churn::Choices;
use churn::Churn;
use giambio::TaskBuilder;
use giambio::debug::StackStats;
use giambio::task::remaining_stack;
use std::cell::Cell;
use std::env;
use std::fs;
use std::hint::black_box;
use std::process::Command;
use std::time::Duration;
use std::time::Instant;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const SEED: u64 = 20_261_123;

type Part = (&'static str, fn(usize));

const PARTS: &[Part] = &[
    ("sequence", |_| sequence(10_000_000)),
    ("deep", |_| deep(100_000)),
    ("burst", |_| burst(100_000, 256 * KIB, 6 * KIB)),
    ("large", |_| burst(400, 8 * MIB, 8 * MIB - 64 * KIB)),
    ("big", |_| big(1_000_000)),
    ("soak", soak),
];

fn main() {
    // `cargo test --all-targets` runs this too, to see that it still builds and starts.
    let arguments: Vec<String> = env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let seconds = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(60);
    let named = |&&(name, _): &&Part| arguments.iter().any(|argument| argument == name);
    let mut parts: Vec<_> = PARTS.iter().filter(named).collect();
    if parts.is_empty() {
        parts.extend(PARTS);
    }
    if let [(name, run)] = parts[..] {
        println!("{name}:");
        return run(seconds);
    }
    for (name, _) in parts {
        let program = env::current_exe().expect("a bench has a path");
        let status = Command::new(program).args(["--bench", name, &seconds.to_string()]).status();
        assert!(status.expect("it starts").success(), "{name} has failed");
    }
}

/// Bytes of memory that this process has.
fn rss() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").expect("Linux has it");
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("the second number is the resident pages") * 4096
}

fn mib(bytes: usize) -> f64 {
    bytes as f64 / MIB as f64
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn stacks() -> StackStats {
    giambio::debug::stacks().expect("this is inside of `run`")
}

/// CPU time of this process: other programs on the machine disturb it less than the wall clock.
fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a `timespec` of ours, for the length of the call.
    let rc = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    assert_eq!(rc, 0, "clock_gettime: {}", std::io::Error::last_os_error());
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Nanoseconds for one of the `count` things that `work` does.
fn time(count: usize, work: impl FnOnce()) -> f64 {
    let start = cpu_time();
    work();
    (cpu_time() - start).as_nanos() as f64 / count as f64
}

fn sequence(count: usize) {
    giambio::run(|| {
        giambio::pool(|pool| {
            let spawn = |count| {
                for n in 0..count {
                    black_box(pool.spawn(move || n).join().expect("it returns"));
                }
            };
            spawn(count / 100);
            let before = rss();
            let nanos = time(count, || spawn(count));
            let after = rss();
            println!(
                "  {count} tasks: {nanos:.1} ns each; {:.2} MiB of memory before, {:.2} after",
                mib(before),
                mib(after)
            );
            println!("  {:?}", stacks());
            assert!(after <= before + 64 * KIB, "the process has grown");
            assert_eq!(stacks().peak, 2);
        });
    });
}

/// A frame with something to drop.
struct Frame(u64);

impl Drop for Frame {
    fn drop(&mut self) {
        black_box(self.0);
    }
}

/// Calls `f` below so many frames.
#[inline(never)]
fn below(frames: u64, f: fn() -> usize) -> usize {
    let _frame = Frame(frames);
    let locals = black_box([frames; 8]);
    let value = match frames {
        0 => f(),
        _ => below(frames - 1, f),
    };
    black_box(&locals);
    value
}

fn deep(count: usize) {
    const FRAMES: u64 = 20;
    giambio::run(|| {
        let start = rss();
        let stage = |name: &str, nanos: f64| {
            let memory = rss().saturating_sub(start) as f64 / count as f64;
            println!("  {name:9} {nanos:6.0} ns and {memory:5.0} bytes of memory each");
        };
        giambio::pool(|pool| {
            let spawned = time(count, || {
                for _ in 0..count {
                    pool.spawn(|| below(FRAMES, || giambio::sleep_forever()));
                }
            });
            stage("spawned", spawned);
            // Every one of them goes first, down to its wait.
            stage("parked", time(count, giambio::yield_now));
            let left = |frames| below(frames, || remaining_stack().unwrap_or_default());
            println!("  {} bytes of stack for {FRAMES} frames", left(0) - left(FRAMES));
            let cancelled = time(count, || {
                pool.cancel();
                giambio::yield_now();
            });
            assert_eq!(stacks().live, 1);
            stage("cancelled", cancelled);
        });
        giambio::sleep(Duration::from_secs(6));
        println!("  after quiet: {:.1} MiB more than at the start", mib(rss() - start.min(rss())));
        println!("  {:?}", stacks());
    });
}

/// A task that ticks each millisecond, and the worst that has happened since somebody asked.
#[derive(Default)]
struct Ticker {
    late: Cell<Duration>,
    /// CPU time from one tick to the next: other programs make a tick late too, but not this long.
    busy: Cell<Duration>,
}

impl Ticker {
    fn tick(&self) -> ! {
        loop {
            let due = giambio::clock() + Duration::from_millis(1);
            let cpu = cpu_time();
            giambio::sleep_until(due);
            self.busy.set(self.busy.get().max(cpu_time() - cpu));
            self.late.set(self.late.get().max(giambio::clock() - due));
        }
    }

    fn report(&self, name: &str, baseline: usize, cpu: Duration) {
        let stacks = stacks();
        println!(
            "  {name:10} {:7.1} MiB more; {:6} stacks idle, {:6.1} MiB returned; {:6.1} ms of CPU; \
             at worst {:5.2} ms late, {:5.2} ms busy",
            mib(rss().saturating_sub(baseline)),
            stacks.idle,
            mib(stacks.returned_bytes),
            millis(cpu),
            millis(self.late.take()),
            millis(self.busy.take()),
        );
    }
}

/// Uses the stack until only `left` bytes of it are left, and waits there.
#[inline(never)]
fn connection(left: usize, until: Instant) {
    let room = black_box([1_u8; KIB]);
    if remaining_stack().is_some_and(|now| now > left) {
        connection(left, until);
    } else {
        giambio::sleep_until(until);
    }
    black_box(&room);
}

fn burst(count: usize, size: usize, used: usize) {
    let ticker = Ticker::default();
    let choices = Choices::new(SEED);
    giambio::run(|| {
        giambio::pool(|pool| {
            pool.spawn(|| ticker.tick());
            let baseline = rss();
            let second = |name: &str| {
                let start = cpu_time();
                giambio::sleep(Duration::from_secs(1));
                ticker.report(name, baseline, cpu_time() - start);
            };
            second("before");
            let start = cpu_time();
            giambio::pool(|clients| {
                let all_here = giambio::clock() + Duration::from_secs(2);
                for _ in 0..count {
                    let end = all_here + choices.millis_below(1_000);
                    let client = TaskBuilder::new().stack_size(size);
                    client.spawn(clients, move || connection(size - used, end));
                    if giambio::debug::stacks().is_some_and(|stacks| stacks.idle >= 100) {
                        giambio::yield_now(); // these have come, and now they run
                    }
                }
            });
            ticker.report("burst", baseline, cpu_time() - start);
            (1..=12).for_each(|n| second(&format!("after {n} s")));
            pool.cancel();
        });
    });
}

fn big(count: usize) {
    giambio::run(|| {
        giambio::pool(|pool| {
            pool.spawn(|| {
                for size in [64 * KIB, MIB, 16 * MIB, 256 * MIB] {
                    let calls = || {
                        for n in 0..count {
                            black_box(giambio::on_big_stack(size, || black_box(n)));
                        }
                    };
                    calls();
                    let best = (0..7).map(|_| time(count, calls)).fold(f64::MAX, f64::min);
                    println!("  {:6} KiB: {best:.1} ns a call", size / KIB);
                }
            });
        });
    });
}

fn soak(seconds: usize) {
    const WARM_UP: usize = 10;
    println!("  seed {SEED}; {seconds} s after {WARM_UP} s of warm-up");
    giambio::run(|| {
        let start = rss();
        let churn = Churn::default();
        churn_for(&churn, SEED, WARM_UP);
        let before = quiet();
        let mut samples = churn_for(&churn, SEED + 1, seconds);
        let after = quiet();
        println!("  {churn:?}");
        println!("  {:?}", stacks());
        println!(
            "  MiB of memory: {:.1} at the start, {:.1} in the quiet before, {:.1} in the quiet after",
            mib(start),
            mib(before),
            mib(after)
        );
        let thirds = samples.chunks_mut(seconds.div_ceil(3)).map(|third| {
            third.sort_unstable();
            (third[0], third[third.len() / 2], third[third.len() - 1])
        });
        for (index, (min, median, max)) in thirds.enumerate() {
            println!(
                "  {}. third of the seconds: {:.1} at least, {:.1} in the median, {:.1} at most",
                index + 1,
                mib(min),
                mib(median),
                mib(max)
            );
        }
        assert_eq!(churn.spawned, churn.dropped);
        // What 4 MiB of each size, kept warm, have room for.
        assert!(after <= before + 16 * MIB, "the process has grown");
    });
}

/// The process's memory at each second.
fn churn_for(churn: &Churn, seed: u64, seconds: usize) -> Vec<usize> {
    let end = giambio::clock() + Duration::from_secs(seconds as u64);
    giambio::pool(|pool| {
        pool.spawn(|| churn.run(seed, || giambio::clock() >= end));
        let sample = |_| {
            giambio::sleep(Duration::from_secs(1));
            rss()
        };
        (0..seconds).map(sample).collect()
    })
}

/// Waits until what is idle has been given back; how much memory the process has then.
fn quiet() -> usize {
    giambio::sleep(Duration::from_secs(6));
    rss()
}
