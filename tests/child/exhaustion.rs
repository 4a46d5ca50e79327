//! Exhaustion: whichever limit leaves no stack for one more task, the spawner is told its name, and
//! everything else goes on.

use crate::Scenario;
use crate::mappings;
use crate::well;
use giambio::Builder;
use giambio::Pool;
use giambio::Task;
use giambio::TaskBuilder;
use giambio::on_big_stack;
use giambio::pool;
use giambio::testing::settle;
use std::any::Any;
use std::fs;
use std::hint::black_box;
use std::io;
use std::io::ErrorKind;
use std::panic;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

pub(crate) const SCENARIOS: &[Scenario] = &[
    well("out_of_address_space_a_spawn_names_the_limit_and_the_rest_goes_on", || {
        survive(LARGE, "RLIMIT_AS", || room_for_ten(Quota::AddressSpace));
    }),
    well("out_of_data_a_spawn_names_the_limit_and_the_rest_goes_on", || {
        survive(LARGE, "RLIMIT_DATA", || room_for_ten(Quota::Data));
    }),
    well("out_of_locked_memory_a_spawn_names_the_limit_and_the_rest_goes_on", || {
        survive(LARGE, "RLIMIT_MEMLOCK", no_locked_memory);
    }),
    well("out_of_mappings_a_spawn_names_the_limit_and_the_rest_goes_on", || {
        survive(SMALL, "vm.max_map_count", no_mappings);
    }),
    well("out_of_address_space_a_run_names_the_limit_and_the_next_one_works", || {
        no_main_stack("RLIMIT_AS", || room_for(4 * MIB, Quota::AddressSpace));
    }),
    well("out_of_data_a_run_names_the_limit_and_the_next_one_works", || {
        no_main_stack("RLIMIT_DATA", || room_for(4 * MIB, Quota::Data));
    }),
    well("out_of_locked_memory_a_run_names_the_limit_and_the_next_one_works", || {
        no_main_stack("RLIMIT_MEMLOCK", no_locked_memory);
    }),
    well("out_of_mappings_a_run_names_the_limit_and_the_next_one_works", || {
        no_main_stack("vm.max_map_count", no_mappings);
    }),
    well("out_of_mappings_a_runtime_that_ends_gives_its_memory_back", ends_without_mappings),
    well("a_limit_on_address_space_is_used_up_to_the_last_stack", as_many_as_fit),
    well("a_task_that_cannot_spawn_fails_as_by_any_other_panic", spawner_fails),
];

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Stacks of which ten meet a limit on bytes that leaves room for everything else.
pub(crate) const LARGE: usize = 16 * MIB;

/// Stacks that come in chunks of sixteen at first.
const SMALL: usize = 64 * KIB;

/// Ends a shortage.
pub(crate) type Lift = Box<dyn FnOnce()>;

/// What a process may have only so many bytes of.
#[derive(Clone, Copy)]
pub(crate) enum Quota {
    AddressSpace,
    Data,
    LockedMemory,
}

/// Sets the limit, if it may be that high; returns the one before.
fn set_limit(quota: Quota, bytes: libc::rlim_t) -> libc::rlim_t {
    let resource = match quota {
        Quota::AddressSpace => libc::RLIMIT_AS,
        Quota::Data => libc::RLIMIT_DATA,
        Quota::LockedMemory => libc::RLIMIT_MEMLOCK,
    };
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is borrowed for the call.
    assert_eq!(unsafe { libc::getrlimit(resource, &raw mut limit) }, 0);
    let before = limit.rlim_cur;
    limit.rlim_cur = bytes.min(limit.rlim_max);
    // SAFETY: as above.
    assert_eq!(unsafe { libc::setrlimit(resource, &raw const limit) }, 0);
    before
}

/// Has the limit come after `bytes` more.
pub(crate) fn room_for(bytes: usize, quota: Quota) -> Lift {
    let field = match quota {
        Quota::AddressSpace => "VmSize:",
        Quota::Data => "VmData:",
        Quota::LockedMemory => "VmLck:",
    };
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let value = status.lines().find_map(|line| line.strip_prefix(field)).expect(field);
    let used = KIB * value.trim().trim_end_matches(" kB").parse::<usize>().unwrap();
    let before = set_limit(quota, (used + bytes) as libc::rlim_t);
    Box::new(move || _ = set_limit(quota, before))
}

/// Room for ten large stacks with their guards, and for half of another.
fn room_for_ten(quota: Quota) -> Lift {
    room_for(10 * (LARGE + 64 * KIB) + LARGE / 2, quota)
}

/// Has the allocator keep two mebibytes, since nothing can be mapped for it soon.
fn fill_the_heap() {
    let mut blocks: Vec<_> = (0..2048).map(|_| Box::new([0_u8; KIB])).collect();
    // The last one pins the end of the heap.
    Box::leak(black_box(blocks.pop()).unwrap());
}

fn no_mappings() -> Lift {
    fill_the_heap();
    let taken = mappings::Taken::all();
    Box::new(|| drop(taken))
}

/// Has every new mapping locked, and only few bytes may be.
fn no_locked_memory() -> Lift {
    fill_the_heap();
    lose_the_right_to_lock();
    let before = set_limit(Quota::LockedMemory, 4 * MIB as libc::rlim_t);
    // SAFETY: takes no pointer.
    let failed = unsafe { libc::mlockall(libc::MCL_FUTURE) };
    assert_eq!(failed, 0, "{}", io::Error::last_os_error());
    Box::new(move || {
        // SAFETY: takes nothing.
        assert_eq!(unsafe { libc::munlockall() }, 0);
        set_limit(Quota::LockedMemory, before);
    })
}

/// The limit does not hold for whoever has `CAP_IPC_LOCK`.
fn lose_the_right_to_lock() {
    /// The kernel's version 3 of these two structures.
    #[repr(C)]
    struct Header {
        version: u32,
        pid: libc::c_int,
    }
    #[derive(Clone, Copy, Default)]
    #[repr(C)]
    struct Sets {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    const CAP_IPC_LOCK: u32 = 14;
    let mut header = Header { version: 0x2008_0522, pid: 0 };
    let mut sets = [Sets::default(); 2];
    // SAFETY: the kernel reads a header and writes two sets, and both are borrowed for the call.
    let failed = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, &raw mut sets) };
    assert_eq!(failed, 0, "capget: {}", io::Error::last_os_error());
    sets[0].effective &= !(1 << CAP_IPC_LOCK);
    // SAFETY: as above, and the kernel reads both.
    let failed = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, &raw const sets) };
    assert_eq!(failed, 0, "capset: {}", io::Error::last_os_error());
}

/// Uses this many bytes of the stack, and returns their sum.
pub(crate) fn dig(kib: usize) -> usize {
    let frame = black_box([1_u8; KIB]);
    let below = if kib > 1 { dig(kib - 1) } else { 0 };
    below + usize::from(black_box(&frame)[0])
}

/// The text of a panic that is expected, and not printed.
#[track_caller]
pub(crate) fn panic_of<T>(call: impl FnOnce() -> T) -> String {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| ()));
    let result = panic::catch_unwind(AssertUnwindSafe(call));
    panic::set_hook(hook);
    match result {
        Ok(_) => panic!("there was no panic"),
        Err(payload) => text_of(payload),
    }
}

#[track_caller]
fn text_of(payload: Box<dyn Any + Send>) -> String {
    *payload.downcast::<String>().expect("a text")
}

/// What a task does here, in two steps.
fn work(number: usize) -> usize {
    assert_eq!(dig(20), 20);
    giambio::sleep(Duration::from_millis(1));
    assert_eq!(dig(21), 21);
    2 * number
}

/// Every way to ask for a stack says the same.
#[track_caller]
fn assert_refused<'scope>(pool: &'scope Pool<'scope, '_>, size: usize, error: &io::Error) {
    let again = TaskBuilder::new().try_spawn(pool, || ()).expect_err("no stack");
    assert_eq!(again.to_string(), error.to_string());
    assert_eq!(again.kind(), ErrorKind::OutOfMemory);
    assert_eq!(panic_of(|| pool.spawn(|| ())), format!("a task could not be spawned: {error}"));
    let deep_call = || on_big_stack(size, || panic!("it has run"));
    assert_eq!(panic_of(deep_call), format!("on_big_stack: {error}"));
}

/// Tasks that have begun, tasks that have not, and then no more stacks of `size`.
fn survive(size: usize, limit: &str, impose: impl FnOnce() -> Lift) {
    let mut runtime = Builder::new().stack_size(size).build().unwrap();
    runtime.run(|| {
        pool(|pool| {
            let mut tasks = Vec::with_capacity(1_000);
            tasks.extend((0..3).map(|number| pool.spawn(move || work(number))));
            settle();
            tasks.extend((3..5).map(|number| pool.spawn(move || work(number))));

            let lift = impose();
            let error = loop {
                assert!(tasks.len() < 1_000, "there is no limit");
                let number = tasks.len();
                match TaskBuilder::new().try_spawn(pool, move || work(number)) {
                    Ok(task) => tasks.push(task),
                    Err(error) => break error,
                }
            };
            assert_eq!(error.kind(), ErrorKind::OutOfMemory);
            assert!(error.to_string().contains(limit), "{error}");
            assert_refused(pool, size, &error);

            for (number, task) in tasks.into_iter().enumerate() {
                assert_eq!(task.join().unwrap(), 2 * number);
            }
            // Their stacks serve others, be there a limit or not.
            let others: Vec<_> = (0..5).map(|number| pool.spawn(move || work(number))).collect();
            assert_eq!(others.into_iter().map(|task| task.join().unwrap()).sum::<usize>(), 20);
            assert_eq!(on_big_stack(size, || dig(20)), 20);

            lift();
            for number in 0..50 {
                pool.spawn(move || work(number));
            }
        });
    });
    assert_eq!(runtime.run(|| work(21)), 42);
}

/// There is no stack for main, nor for a call outside of tasks.
fn no_main_stack(limit: &str, impose: impl FnOnce() -> Lift) {
    let mut runtime = Builder::new().build().unwrap();
    let lift = impose();
    let assert_named = |text: String, start: &str| {
        assert!(text.starts_with(start) && text.contains(limit), "{text}");
    };
    for _ in 0..2 {
        assert_named(panic_of(|| runtime.run(|| ())), "giambio cannot start: out of ");
        assert_named(panic_of(|| giambio::run(|| ())), "giambio cannot start: out of ");
        assert_named(panic_of(|| on_big_stack(LARGE, || ())), "on_big_stack: out of ");
    }
    lift();
    assert_eq!(runtime.run(|| work(1)) + giambio::run(|| work(2)), 6);
    assert_eq!(on_big_stack(LARGE, || work(3)), 6);
}

/// Bytes of memory that this process has.
fn resident() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * mappings::page_size()
}

/// The kernel joins neighbouring mappings, and then unmapping the middle of one takes a mapping more.
fn ends_without_mappings() {
    let mut runtimes = [(); 3].map(|()| Builder::new().stack_size(SMALL).build().unwrap());
    for round in 0..3 {
        for runtime in &mut runtimes {
            runtime.run(|| {
                pool(|pool| {
                    for number in 0..16 << round {
                        pool.spawn(move || work(number));
                    }
                });
                on_big_stack(8 * MIB, || dig(2 << 10));
            });
        }
    }
    let [first, second, third] = runtimes;
    let lift = no_mappings();
    let before = resident();
    drop(second);
    assert!(before - resident() > 2 * MIB, "{} bytes of {before}", before - resident());
    lift();
    drop((first, third));
    assert_eq!(giambio::run(|| work(1)), 2);
}

fn as_many_as_fit() {
    giambio::run(|| {
        pool(|pool| {
            let lift = room_for_ten(Quota::AddressSpace);
            let build = || TaskBuilder::new().stack_size(LARGE);
            let count = (0..1_000).take_while(|_| build().try_spawn(pool, || ()).is_ok()).count();
            assert_eq!(count, 10);
            // What a large one did not fit into is room for small ones.
            for _ in 0..20 {
                TaskBuilder::new().stack_size(SMALL).spawn(pool, || ());
            }
            lift();
        });
    });
}

fn spawner_fails() {
    giambio::run(|| {
        let lift = room_for_ten(Quota::AddressSpace);
        pool(|outer| {
            let bystander = outer.spawn(|| work(4));
            let spawner = outer.spawn_isolated(|| spawn_for_ever(outer));
            let text = panic_of(|| panic::resume_unwind(payload_of(spawner)));
            assert!(text.starts_with("a task could not be spawned: out of stacks: "), "{text}");
            assert_eq!(bystander.join().unwrap(), 8);
            // Not isolated, it fails its pool and no other.
            let bystander = outer.spawn(|| work(5));
            let text = panic_of(|| {
                pool(|inner| {
                    inner.spawn(|| giambio::sleep_forever());
                    inner.spawn(|| spawn_for_ever(inner));
                });
            });
            assert!(text.contains("RLIMIT_AS"), "{text}");
            assert_eq!(bystander.join().unwrap(), 10);
        });
        lift();
    });
}

fn spawn_for_ever<'scope>(pool: &'scope Pool<'scope, '_>) {
    loop {
        TaskBuilder::new().stack_size(LARGE).spawn(pool, || ());
    }
}

/// What a task panics with that is expected to.
fn payload_of(task: Task<()>) -> Box<dyn Any + Send> {
    task.join().expect_err("a panic").into_panic().expect("a payload")
}
