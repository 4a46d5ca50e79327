//! Memory on Linux: reserve address space, make pages inaccessible, give both back.
//!
//! Layer 0. Imports: std, libc. Never: what the memory is for.
//!
//! Chosen: `MADV_GUARD_INSTALL`, which marks page table entries, so that a million guards cost no
//! mapping. Rejected: `PROT_NONE` alone (each guard splits a mapping: 32,750 of them fit under the
//! stock `vm.max_map_count`), `MAP_GROWSDOWN` and `MAP_STACK` (the first is unsafe beside a
//! neighbour, the second does nothing on Linux).

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::ptr;
use std::ptr::NonNull;

/// madvise(2) advice since Linux 6.13; the libc crate (0.2.191) does not have it.
const MADV_GUARD_INSTALL: libc::c_int = 102;

/// The unit of mapping and protection, in bytes.
pub(crate) fn page_size() -> usize {
    // SAFETY: sysconf(3) takes no pointer and has no precondition.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(bytes).expect("every Linux knows its page size")
}

/// Reserves `len` bytes of zeroed address space, readable and writable.
///
/// # Errors
///
/// What mmap(2) says; `ENOMEM` stands for every limit there is.
pub(crate) fn reserve(len: usize) -> io::Result<NonNull<u8>> {
    debug_assert!(len > 0 && len.is_multiple_of(page_size()), "reserve: {len} bytes");
    #[cfg(test)]
    super::seam::answer(super::seam::Call::Reserve)?;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // Without `MAP_NORESERVE` the kernel's overcommit heuristic refuses the second 32 GiB.
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new private mapping at a place of the kernel's choice touches nothing that exists.
    let start = unsafe { libc::mmap(ptr::null_mut(), len, access, flags, -1, 0) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // Under `transparent_hugepage/enabled = always` one touched page of a stack without a guard yet
    // became 2 MiB of memory. The answer is not looked at: a kernel built without huge pages says
    // EINVAL and needs no advice.
    //
    // No `MADV_DONTFORK`, though it makes fork(2) of a million stacks 90 times faster: a fork called
    // by a task (`Command` with `pre_exec` does that) would go on, in the child, on a stack that is
    // not there.
    //
    // SAFETY: the advice concerns only the mapping made above and does not change its contents.
    unsafe { libc::madvise(start, len, libc::MADV_NOHUGEPAGE) };
    NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mmap gave the null page"))
}

/// Unmaps what [`reserve`] gave; its memory goes back in any case.
///
/// # Safety
///
/// * `ptr` and `len` come from one call of `reserve`, and were not released before.
/// * Nobody uses an address in them any more.
pub(crate) unsafe fn release(ptr: NonNull<u8>, len: usize) {
    // SAFETY: the caller owns the whole mapping and has ended its last use.
    let failed = unsafe { libc::munmap(ptr.as_ptr().cast(), len) };
    if failed != 0 {
        // Cutting a mapping out of a merged one takes one more. When no more are allowed, the address
        // space stays taken, which harms nobody: a destructor has no better answer.
        let refusal = io::Error::last_os_error();
        debug_assert_eq!(refusal.raw_os_error(), Some(libc::ENOMEM), "munmap: {refusal}");
        // SAFETY: as above; nothing is unmapped, and nobody needs the contents.
        unsafe { libc::madvise(ptr.as_ptr().cast(), len, libc::MADV_DONTNEED) };
    }
}

/// Makes whole pages inaccessible without a mapping of their own.
///
/// # Errors
///
/// `InvalidInput` where the kernel cannot: older than Linux 6.13, or the memory is locked.
///
/// # Safety
///
/// * The pages lie in one mapping from [`reserve`], not yet released.
/// * Nobody uses an address in them, now or later: their contents are lost.
pub(crate) unsafe fn guard(ptr: NonNull<u8>, len: usize) -> io::Result<()> {
    #[cfg(test)]
    super::seam::answer(super::seam::Call::Guard)?;
    // SAFETY: the caller owns the pages and has no use for their contents.
    let failed = unsafe { libc::madvise(ptr.as_ptr().cast(), len, MADV_GUARD_INSTALL) };
    if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes whole pages inaccessible, splitting their mapping in two places.
///
/// # Errors
///
/// `OutOfMemory` when the process has `max_map_count` mappings already.
///
/// # Safety
///
/// As for [`guard`].
pub(crate) unsafe fn protect(ptr: NonNull<u8>, len: usize) -> io::Result<()> {
    #[cfg(test)]
    super::seam::answer(super::seam::Call::Protect)?;
    // SAFETY: the caller owns the pages, and nobody reads or writes them again.
    let failed = unsafe { libc::mprotect(ptr.as_ptr().cast(), len, libc::PROT_NONE) };
    if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Gives the memory of whole pages back to the system; they read as zeroes from here on. Guards among
/// them stay guards.
///
/// # Errors
///
/// `InvalidInput` if some of the memory is locked: from there on nothing has changed.
///
/// # Safety
///
/// * Every page lies in a mapping from [`reserve`], not yet released.
/// * Nobody needs their contents.
pub(crate) unsafe fn discard(ptr: NonNull<u8>, len: usize) -> io::Result<()> {
    #[cfg(test)]
    super::seam::answer(super::seam::Call::Discard)?;
    // SAFETY: the caller owns the pages and has no use for their contents.
    let failed = unsafe { libc::madvise(ptr.as_ptr().cast(), len, libc::MADV_DONTNEED) };
    if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Calls `each` with the distance from `start`, in bytes, of every page that has memory behind it, in
/// ascending order, until it says stop. Pages that are swapped out do not count. `start` is a page's.
pub(crate) fn for_each_resident(
    start: usize,
    len: usize,
    mut each: impl FnMut(usize) -> ControlFlow<()>,
) {
    /// Pages asked for in one call; a byte each, on the caller's stack.
    const BATCH: usize = 512;
    let page = page_size();
    let mut answers = [0_u8; BATCH];
    for batch in (0..len).step_by(BATCH * page) {
        let batch_len = (len - batch).min(BATCH * page);
        // SAFETY: mincore(2) touches none of the memory that it tells of, and writes one byte for each
        // page, of which there are at most `BATCH`.
        let failed =
            unsafe { libc::mincore((start + batch) as *mut _, batch_len, answers.as_mut_ptr()) };
        if failed != 0 {
            return;
        }
        let resident = answers[..batch_len.div_ceil(page)].iter().enumerate();
        for (index, _) in resident.filter(|&(_, answer)| answer & 1 != 0) {
            if each(batch + index * page).is_break() {
                return;
            }
        }
    }
}

/// Has the global allocator give free memory of its heap back to the system, where it is glibc's.
///
/// glibc gives back by itself what is free at the heap's end, and one younger allocation there is enough
/// to keep it all.
pub(crate) fn trim_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it has no precondition and touches nothing that is allocated.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// The number of this process's mappings, from `/proc/self/maps`: 40 ms when there are 65,530.
pub(crate) fn mapping_count() -> Option<usize> {
    let maps = fs::read("/proc/self/maps").ok()?;
    Some(maps.iter().filter(|&&byte| byte == b'\n').count())
}

/// The limit on mappings of one process, if /proc tells it.
pub(crate) fn max_map_count() -> Option<usize> {
    fs::read_to_string("/proc/sys/vm/max_map_count").ok()?.trim().parse().ok()
}

/// The number of this process's threads, from `/proc/self/task`.
pub(crate) fn thread_count() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/task").ok()?.count())
}
