//! asm-notes/guard-pages.md, stack-layout.md: what lies below a task's stack, and what it costs.
//!
//! `guards N` parks N tasks instead of 2,000, `guards N KIB` on stacks of this size. `guards N locked`
//! locks the process's memory first, which takes `MADV_GUARD_INSTALL` away, so that guards are made by
//! protection.

#![expect(clippy::print_stdout, reason = "the report of a check")]

use std::cell::RefCell;
use std::fs;
use std::hint::black_box;
use std::io;
use std::io::Read;
use std::os::fd::AsRawFd;

const PAGE: usize = 4096;

/// Asks the kernel whether an address can be read, without reading it.
struct Probe {
    reader: io::PipeReader,
    writer: io::PipeWriter,
}

impl Probe {
    fn new() -> Self {
        let (reader, writer) = io::pipe().expect("a pipe");
        Self { reader, writer }
    }

    fn is_readable(&mut self, address: usize) -> bool {
        let fd = self.writer.as_raw_fd();
        // SAFETY: write(2) checks the address itself, and says EFAULT.
        let written = unsafe { libc::write(fd, address as *const libc::c_void, 1) };
        if written == 1 {
            self.reader.read_exact(&mut [0]).expect("the byte that was just written");
            return true;
        }
        let error = io::Error::last_os_error();
        assert_eq!(error.raw_os_error(), Some(libc::EFAULT), "{error}");
        false
    }
}

/// One stack, seen by its own task.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// An address in the task's frame.
    frame: usize,
    /// The lowest readable byte: where the guard ends.
    floor: usize,
    guard_len: usize,
}

fn look(probe: &mut Probe) -> Seen {
    let local = black_box(0u8);
    let frame = (&raw const local).addr();
    let mut floor = frame & !(PAGE - 1);
    while probe.is_readable(floor - PAGE) {
        floor -= PAGE;
    }
    let mut guard_len = PAGE;
    while guard_len < 16 * PAGE && !probe.is_readable(floor - guard_len - PAGE) {
        guard_len += PAGE;
    }
    Seen { frame, floor, guard_len }
}

fn mappings() -> usize {
    fs::read_to_string("/proc/self/maps").map_or(0, |maps| maps.lines().count())
}

/// Whether this kernel has `MADV_GUARD_INSTALL`.
fn kernel_has_guards() -> bool {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping of the kernel's choice.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), PAGE, access, flags, -1, 0) };
    assert_ne!(page, libc::MAP_FAILED);
    // SAFETY: the page was mapped above and is nobody else's.
    let answer = unsafe { libc::madvise(page, PAGE, 102) };
    // SAFETY: as above.
    unsafe { libc::munmap(page, PAGE) };
    answer == 0
}

fn stacks_of(usable: usize, count: usize) -> Vec<Seen> {
    let seen = RefCell::new(Vec::new());
    let probe = RefCell::new(Probe::new());
    let mut runtime = giambio::Builder::new().stack_size(usable).build().expect("a runtime");
    runtime.run(|| {
        giambio::pool(|pool| {
            for _ in 0..count {
                pool.spawn(|| {
                    let found = look(&mut probe.borrow_mut());
                    seen.borrow_mut().push(found);
                    giambio::yield_now(); // keeps the stack from being used again
                });
            }
        });
    });
    seen.into_inner()
}

fn describe(usable: usize, guard_len: usize) {
    // The first slot's guard ends where the mapping begins; what lies below it is not ours. A chunk
    // is carved upwards and its free slots are taken from the back, so the first task has slot 0.
    let seen = stacks_of(usable, 4);
    println!("stacks of {} KiB:", usable / 1024);
    for stack in &seen {
        println!(
            "  frame at page offset {:4}, {} KiB above the guard of {} KiB",
            stack.frame % PAGE,
            (stack.frame - stack.floor) / 1024,
            stack.guard_len / 1024
        );
    }
    for stack in &seen[1..] {
        assert_eq!(stack.guard_len, guard_len, "the guard's width");
        assert!(stack.frame - stack.floor > usable - PAGE, "promised bytes are missing");
    }
    let mut offsets: Vec<_> = seen.iter().map(|stack| stack.frame % PAGE).collect();
    offsets.sort_unstable();
    offsets.dedup();
    assert_eq!(offsets.len(), seen.len(), "neighbours have the same colour");
}

fn page_table_kib() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPTE:"));
    line.and_then(|rest| rest.trim_end_matches("kB").trim().parse().ok()).unwrap_or(0)
}

/// Spawns until `tasks` have a stack or none is to be had; none of them has run.
fn count_mappings(tasks: usize, usable: Option<usize>, guards: Guards) {
    let before = (mappings(), page_table_kib());
    giambio::run(|| {
        giambio::cancellable(|pool| {
            let spawn = |_: &usize| {
                let mut task = giambio::TaskBuilder::new();
                if let Some(usable) = usable {
                    task = task.stack_size(usable);
                }
                let spawned = task.try_spawn(pool, giambio::sleep_forever);
                spawned.inspect_err(|refusal| println!("refused: {refusal}")).is_ok()
            };
            let made = (0..tasks).take_while(spawn).count();
            let after = (mappings(), page_table_kib());
            println!(
                "{made} guarded stacks: {} mappings before, {} with them; {} bytes of page tables each",
                before.0,
                after.0,
                after.1.saturating_sub(before.1) * 1024 / made.max(1)
            );
            assert!(made > 0);
            match guards {
                Guards::Installed => assert!(after.0 - before.0 < 40, "a guard costs no mapping"),
                Guards::Protected => assert!(after.0 > 2 * made, "a guard costs two mappings"),
            }
            pool.cancel();
        });
    });
}

/// How this process's guards are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guards {
    Installed,
    Protected,
}

fn lock_memory() {
    // SAFETY: it takes no pointer; what is locked is only what is touched.
    let failed = unsafe { libc::mlockall(libc::MCL_FUTURE | libc::MCL_ONFAULT) };
    assert_eq!(failed, 0, "mlockall: {}", io::Error::last_os_error());
}

fn main() {
    let number = |index| std::env::args().nth(index)?.parse::<usize>().ok();
    let tasks = number(1).unwrap_or(2_000);
    let usable = number(2).map(|kib| kib << 10);
    if std::env::args().nth(2).is_some_and(|word| word == "locked") {
        lock_memory();
    }
    let guards = if kernel_has_guards() { Guards::Installed } else { Guards::Protected };
    println!("{guards:?}");
    describe(32 << 10, PAGE);
    describe(256 << 10, 4 * PAGE);
    count_mappings(tasks, usable, guards);
}

#[test]
fn holds() {
    main();
}
