//! Fallback: kernels and processes where a stack cannot be had in the usual way, or would be more than
//! was asked for.

use crate::End;
use crate::Scenario;
use crate::exhaustion::dig;
use crate::exhaustion::panic_of;
use crate::mappings;
use crate::mappings::Taken;
use crate::overflow::announce_and_overflow;
use crate::well;
use giambio::Builder;
use giambio::TaskBuilder;
use giambio::on_big_stack;
use giambio::pool;
use giambio::task::remaining_stack;
use giambio::testing::settle;
use std::cell::RefCell;
use std::fs;
use std::hint::black_box;
use std::io;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

pub(crate) const SCENARIOS: &[Scenario] = &[
    well("without_guard_install_stacks_are_guarded_by_protection", || {
        refuse_guard_install();
        giambio::run(guarded_by_protection);
    }),
    Scenario {
        name: "without_guard_install_an_overflow_is_reported",
        run: || {
            refuse_guard_install();
            giambio::run(|| {
                pool(|pool| {
                    let build = TaskBuilder::new().name("deep".into()).stack_size(64 * KIB);
                    build.spawn(pool, announce_and_overflow);
                });
            });
        },
        end: End::AbortReporting(&["task 'deep' (#2) has overflowed its stack of 64 KiB: "]),
    },
    well("without_guard_install_the_budget_ends_before_the_mappings_do", budget),
    well("without_guard_install_runtimes_share_the_budget_and_give_it_back", shared_budget),
    well("in_locked_memory_stacks_are_guarded_by_protection", locked),
    well("stacks_are_never_made_of_huge_pages", huge_pages),
];

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Has madvise(2) answer like a kernel before Linux 6.13, on this thread and those that it starts.
fn refuse_guard_install() {
    const MADV_GUARD_INSTALL: u32 = 102;
    // Offsets in the kernel's `seccomp_data`: the call's number, and the lower half of its third argument.
    const NUMBER: u32 = 0;
    const ADVICE: u32 = 16 + 2 * 8 + if cfg!(target_endian = "big") { 4 } else { 0 };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let equals = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let answer = libc::BPF_RET | libc::BPF_K;
    let step = |code: u32, jf, k| libc::sock_filter { code: code as u16, jt: 0, jf, k };
    let mut steps = [
        step(load, 0, NUMBER),
        step(equals, 3, libc::SYS_madvise as u32),
        step(load, 0, ADVICE),
        step(equals, 1, MADV_GUARD_INSTALL),
        step(answer, 0, libc::SECCOMP_RET_ERRNO | libc::EINVAL as u32),
        step(answer, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: takes no pointer.
    let failed = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(failed, 0, "{}", io::Error::last_os_error());
    // SAFETY: the program and its steps are borrowed for the call, which copies them.
    let failed = unsafe {
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program, 0, 0)
    };
    assert_eq!(failed, 0, "{}", io::Error::last_os_error());

    let page = mappings::map(mappings::page_size(), libc::PROT_READ).unwrap();
    // SAFETY: a page that nobody uses.
    let failed = unsafe { libc::madvise(page, mappings::page_size(), MADV_GUARD_INSTALL as _) };
    assert_eq!(failed, -1);
    assert_eq!(io::Error::last_os_error().raw_os_error(), Some(libc::EINVAL));
    mappings::unmap(page, mappings::page_size());
}

/// An address in the caller's frame.
#[inline(never)]
fn here() -> usize {
    let byte = black_box(0_u8);
    (&raw const byte).addr()
}

/// Below the running task's stack of `size` lies a mapping that is its guard.
#[track_caller]
fn assert_protected(size: usize) {
    let (address, remaining) = (here(), remaining_stack().expect("a task"));
    let maps = mappings::all();
    let own = maps.iter().position(|own| own.range.contains(&address)).expect("a stack");
    let (own, below) = (&maps[own], &maps[own - 1]);
    assert_eq!(own.access, "rw-p");
    // Upwards it may reach into what no task has had yet.
    assert!(remaining.abs_diff(address - own.range.start) < KIB, "the mapping is not the stack");
    assert_eq!(below.access, "---p");
    assert_eq!(below.range.end, own.range.start);
    let guard = if size < 64 * KIB { mappings::page_size() } else { 16 * KIB };
    assert!(below.range.len() >= guard, "{} bytes of guard", below.range.len());
}

/// Tasks with stacks of several sizes, all of which work.
fn guarded_by_protection() {
    let sizes = [32 * KIB, 64 * KIB, 512 * KIB];
    for _ in 0..2 {
        pool(|pool| {
            for size in sizes.into_iter().cycle().take(60) {
                TaskBuilder::new().stack_size(size).spawn(pool, move || {
                    assert_protected(size);
                    assert_eq!(dig(5), 5);
                    giambio::sleep(Duration::from_millis(1));
                    assert_eq!(dig(6), 6);
                    assert_protected(size);
                });
            }
        });
    }
    assert_protected(8 * MIB); // main's
    on_big_stack(MIB, || assert_protected(MIB));
}

/// Leaves so many mappings that there is room for some hundred guards by protection.
fn few_mappings() -> Taken {
    let taken = Taken::all_but(4_000 + 500);
    refuse_guard_install();
    taken
}

/// Spawns until that is refused; returns how many tasks there were, and the text of the error.
fn fill_the_budget() -> (usize, String) {
    giambio::run(|| {
        pool(|pool| {
            let build = || TaskBuilder::new().stack_size(32 * KIB);
            let mut tasks = Vec::new();
            let error = loop {
                assert!(tasks.len() < 1_000, "there is no budget");
                match build().try_spawn(pool, giambio::yield_now) {
                    Ok(task) => tasks.push(task),
                    Err(error) => break error,
                }
            };
            // We have refused it, not the kernel, and there are mappings to spare.
            assert_eq!(error.kind(), ErrorKind::OutOfMemory);
            assert!(error.get_ref().is_some_and(|error| error.source().is_none()), "{error:?}");
            let limit = format!("vm.max_map_count is {} ", mappings::most());
            assert!(error.to_string().contains(&limit), "{error}");
            for access in [libc::PROT_READ, libc::PROT_NONE] {
                mappings::unmap(mappings::map(64 * KIB, access).unwrap(), 64 * KIB);
            }
            let left = mappings::most() - mappings::all().len();
            assert!((3_900..4_100).contains(&left), "{left} mappings are left");

            assert_eq!(
                panic_of(|| build().spawn(pool, || ())),
                format!("a task could not be spawned: {error}")
            );
            assert_eq!(panic_of(|| on_big_stack(MIB, || ())), format!("on_big_stack: {error}"));
            let count = tasks.len();
            tasks.into_iter().for_each(|task| task.join().unwrap());
            // Their stacks serve others of their size.
            let others = (0..count).map(|_| build().spawn(pool, || dig(4))).collect::<Vec<_>>();
            assert!(others.into_iter().all(|task| task.join().unwrap() == 4));
            (count, error.to_string())
        })
    })
}

fn budget() {
    let _taken = few_mappings();
    let (count, text) = fill_the_budget();
    assert!((200..300).contains(&count), "{count} tasks");
    assert!(text.contains(&format!("(room for {} stacks)", count + 1)), "{text}"); // one is main's
}

fn shared_budget() {
    let _taken = few_mappings();
    let (alone, _) = fill_the_budget();
    let met = Barrier::new(2);
    thread::scope(|threads| {
        let first = threads.spawn(|| {
            giambio::run(|| {
                pool(|pool| {
                    let build = || TaskBuilder::new().stack_size(64 * KIB);
                    let tasks: Vec<_> = (0..50).map(|_| build().spawn(pool, || dig(4))).collect();
                    met.wait(); // the second begins
                    met.wait(); // and has ended
                    assert!(tasks.into_iter().all(|task| task.join().unwrap() == 4));
                    // What the second had can be had by the first, beside its idle stacks.
                    for _ in 0..alone {
                        build().spawn(pool, || ());
                    }
                    build().try_spawn(pool, || ()).expect_err("one more than there may be");
                });
            });
        });
        threads.spawn(|| {
            met.wait();
            let (count, _) = fill_the_budget();
            assert_eq!(count, alone - 50 - 1); // and a main for each
            met.wait();
        });
        first.join().unwrap();
    });
    assert_eq!(fill_the_budget().0, alone);
}

/// More than the stacks of this file's tasks have, and the program's own memory.
const LOCKED: usize = 128 * MIB;

/// Locks what the process has and what it will have; whether that is allowed.
fn lock_all() -> bool {
    // To be locked with the rest: then so much is allowed.
    let probe = mappings::map(LOCKED, libc::PROT_READ).unwrap();
    // The bare call, since AddressSanitizer makes mlockall(3) do nothing.
    // SAFETY: takes no pointer.
    let failed =
        unsafe { libc::syscall(libc::SYS_mlockall, libc::MCL_CURRENT | libc::MCL_FUTURE) } != 0;
    let error = io::Error::last_os_error();
    mappings::unmap(probe, LOCKED);
    if failed {
        let refused = [libc::EPERM, libc::ENOMEM, libc::EAGAIN].map(Some);
        assert!(refused.contains(&error.raw_os_error()) && !has_the_right_to_lock(), "{error}");
    }
    !failed
}

/// Whether this process has `CAP_IPC_LOCK`, and not only in a user namespace.
fn has_the_right_to_lock() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let rights = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    let has_right = u64::from_str_radix(rights.trim(), 16).unwrap() & 1 << 14 != 0;
    let users = fs::read_to_string("/proc/self/uid_map").unwrap();
    has_right && users.split_whitespace().eq(["0", "0", "4294967295"])
}

fn locked() {
    if !lock_all() {
        return;
    }
    let status = fs::read_to_string("/proc/self/status").unwrap();
    assert!(!status.contains("VmLck:\t       0 kB"), "nothing is locked");
    giambio::run(guarded_by_protection);
}

/// The lines of `/proc/self/smaps` about the mapping that has `address`.
fn details(smaps: &str, address: usize) -> Vec<&str> {
    let range = |line: &str| {
        let (start, rest) = line.split_once('-')?;
        let (end, _) = rest.split_once(' ')?;
        let address = |text| usize::from_str_radix(text, 16).ok();
        Some(address(start)?..address(end)?)
    };
    let mut lines = smaps.lines();
    lines.find(|line| range(line).is_some_and(|range| range.contains(&address))).expect("a stack");
    lines.take_while(|line| range(line).is_none()).collect()
}

fn huge_pages() {
    let mut runtime = Builder::new().stack_size(8 * MIB).build().unwrap();
    runtime.run(|| {
        let addresses = RefCell::new(vec![here()]);
        assert_eq!(dig(2 << 10), 2 << 10); // MiBs, so that a huge page could be filled
        pool(|pool| {
            for _ in 0..40 {
                pool.spawn(|| {
                    addresses.borrow_mut().push(here());
                    assert_eq!(dig(2 << 10), 2 << 10);
                    settle();
                });
            }
            settle();
            let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
            let has_huge_pages = Path::new("/sys/kernel/mm/transparent_hugepage").exists();
            for address in addresses.take() {
                let details = details(&smaps, address);
                let field = |name| details.iter().find_map(|line| line.strip_prefix(name));
                if let Some(bytes) = field("AnonHugePages:") {
                    assert_eq!(bytes.trim(), "0 kB");
                }
                // Whatever the system's setting is, which here may be "never".
                let flags = field("VmFlags:").expect("flags");
                assert!(flags.split(' ').any(|flag| flag == "nh") || !has_huge_pages, "{flags}");
                let resident = field("Rss:").expect("memory").trim().trim_end_matches(" kB");
                assert!(resident.parse::<usize>().unwrap() > 2 << 10, "the stack is not in use");
            }
        });
    });
}
