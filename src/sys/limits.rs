//! Limits: which of them did the kernel mean?
//!
//! Layer 0. Imports: sys. Never: what was to be made.
//!
//! `ENOMEM` stands for every limit on memory that there is. Whoever passes it on to a user has to say
//! which one to raise.

use std::fmt;
use std::fs;
use std::io;
use std::ptr;

/// What there is no more of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shortage {
    /// Address space of this process: at most this many bytes.
    AddressSpace(u64),
    /// Memory of its own that it may write to, touched or not: at most this many bytes.
    Data(u64),
    /// Mappings of this process: at most this many.
    Mappings(usize),
    /// Memory that may be locked, while this process locks all of its memory.
    LockedMemory,
    /// Memory, or promises of it.
    Memory,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddressSpace(limit) => {
                write!(f, "the limit on address space, RLIMIT_AS (`ulimit -v`), is {limit} bytes")
            }
            Self::Data(limit) => {
                write!(f, "the limit on data, RLIMIT_DATA (`ulimit -d`), is {limit} bytes")
            }
            Self::Mappings(limit) => {
                write!(f, "all mappings are in use, and vm.max_map_count is {limit}")
            }
            Self::LockedMemory => {
                f.write_str("all memory is locked (mlockall) up to RLIMIT_MEMLOCK (`ulimit -l`)")
            }
            Self::Memory => f.write_str(
                "the kernel has no more memory, or promises no more (vm.overcommit_memory)",
            ),
        }
    }
}

/// Raises `RLIMIT_NOFILE`'s soft limit to the hard one, and returns that.
pub(crate) fn raise_descriptor_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is borrowed for the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if limit.rlim_cur < limit.rlim_max {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: as above.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(limit.rlim_max)
}

/// Why `refusal` was the answer when `len` bytes of address space were asked for.
#[cold]
pub(crate) fn shortage(len: usize, refusal: &io::Error) -> Shortage {
    if refusal.raw_os_error() == Some(libc::EAGAIN) {
        return Shortage::LockedMemory;
    }
    if let Some(limit) = exceeded(Quota::AddressSpace, len) {
        return Shortage::AddressSpace(limit);
    }
    if let Some(limit) = exceeded(Quota::Data, len) {
        return Shortage::Data(limit);
    }
    match super::max_map_count() {
        Some(limit) if !can_map_a_page() => Shortage::Mappings(limit),
        _ => Shortage::Memory,
    }
}

/// Says which limit `refusal` may have meant, with which a thread could not be started. The kind is
/// `QuotaExceeded`: the system's own, `WouldBlock`, asks callers to try again.
#[cold]
pub(crate) fn name_thread_limit(refusal: &io::Error) -> io::Error {
    const STACK: usize = 2 << 20; // what std asks for by default
    if let Some(limit) = exceeded(Quota::AddressSpace, STACK) {
        let shortage = Shortage::AddressSpace(limit);
        return io::Error::new(io::ErrorKind::QuotaExceeded, format!("out of threads: {shortage}"));
    }
    let is = |limit: Option<u64>| limit.map_or(String::new(), |limit| format!(" is {limit}"));
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse().ok();
    let user = is(limit_on(Quota::Threads));
    let system = is(number("/proc/sys/kernel/threads-max"));
    let group = is(pids_max().as_deref().and_then(number));
    let text = format!(
        "out of threads: RLIMIT_NPROC (`ulimit -u`){user}, kernel.threads-max{system}, pids.max of the \
         control group{group}: {refusal}"
    );
    io::Error::new(io::ErrorKind::QuotaExceeded, text)
}

/// The file with this process's limit on threads in the second version of control groups.
fn pids_max() -> Option<String> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(format!("/sys/fs/cgroup{}/pids.max", group.trim_end_matches('/')))
}

/// What a process may have only so much of.
#[derive(Clone, Copy)]
enum Quota {
    /// In bytes.
    AddressSpace,
    /// In bytes.
    Data,
    /// Of all processes of its user.
    Threads,
}

/// The limit, if there is one and `len` bytes more would be over it.
fn exceeded(quota: Quota, len: usize) -> Option<u64> {
    let limit = limit_on(quota)?;
    let is_over = used_of(quota).is_none_or(|used| used.saturating_add(len as u64) > limit);
    is_over.then_some(limit)
}

/// `RLIMIT_AS`, `RLIMIT_DATA` or `RLIMIT_NPROC`, if there is one.
fn limit_on(quota: Quota) -> Option<u64> {
    let resource = match quota {
        Quota::AddressSpace => libc::RLIMIT_AS,
        Quota::Data => libc::RLIMIT_DATA,
        Quota::Threads => libc::RLIMIT_NPROC,
    };
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the pointer is valid for the call. A failure leaves what stands above.
    unsafe { libc::getrlimit(resource, &raw mut limit) };
    Some(limit.rlim_cur).filter(|&limit| limit != libc::RLIM_INFINITY)
}

/// What the process has of it now, in bytes. Its first stack counts as data here, though the kernel
/// leaves that out.
fn used_of(quota: Quota) -> Option<u64> {
    let field = match quota {
        Quota::AddressSpace => 0,
        Quota::Data => 5,
        Quota::Threads => return None,
    };
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(field)?.parse().ok()?;
    Some(pages * super::page_size() as u64)
}

/// Whether there is room for one more mapping. Counting those in /proc instead would take 40 ms when
/// there are 65,530 of them.
fn can_map_a_page() -> bool {
    let len = super::page_size();
    // Read-only, so that strict overcommit does not count it.
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new private mapping at a place of the kernel's choice touches nothing that exists.
    let page = unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_READ, flags, -1, 0) };
    if page == libc::MAP_FAILED {
        return false;
    }
    // SAFETY: mapped above, and nobody has seen it.
    unsafe { libc::munmap(page, len) };
    true
}
