//! asm-notes/guard-pages.md, stack-layout.md: what lies below a task's stack, and what it costs.
//!
//! `guards N` parks N tasks instead of 2,000.

#![expect(clippy::print_stdout, reason = "the report of a check")]

use std::cell::RefCell;
use std::fs;
use std::hint::black_box;
use std::io;
use std::io::Read;
use std::io::Write;
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

fn count_mappings(tasks: usize) {
    let before = mappings();
    giambio::run(|| {
        giambio::cancellable(|pool| {
            for _ in 0..tasks {
                pool.spawn(giambio::sleep_forever);
            }
            let after = mappings();
            println!("{tasks} guarded stacks: {before} mappings before, {after} with them");
            if kernel_has_guards() {
                assert!(after - before < 40, "a guard costs no mapping");
            } else {
                assert!(after - before > tasks, "a guard by protection costs two mappings");
            }
            pool.cancel();
        });
    });
}

fn main() {
    let tasks = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(2_000);
    println!("MADV_GUARD_INSTALL works: {}", kernel_has_guards());
    describe(32 << 10, PAGE);
    describe(256 << 10, 4 * PAGE);
    count_mappings(tasks);
    io::stdout().flush().expect("stdout");
}

#[test]
fn holds() {
    main();
}
