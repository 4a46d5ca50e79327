//! The machine: what we ask of the operating system, in our words.
//!
//! Layer 0. Imports: std, libc. Never: tasks, and therefore never why memory or time is wanted.
//!
//! Every platform file defines, with these names:
//!
//! * `page_size() -> usize`: bytes, a power of two.
//! * `reserve(len) -> io::Result<NonNull<u8>>`: `len` bytes of address space, page-aligned, zeroed,
//!   readable and writable. No memory stands behind a page before its first touch, and none is set
//!   aside for it. `len` is a positive multiple of the page size, here and below.
//! * `release(ptr, len)`: gives address space and memory back.
//! * `guard(ptr, len) -> io::Result<()>`: from here on every access to these whole pages faults,
//!   until `release`. Costs no mapping. Where the machine has no such thing the error's kind is
//!   `InvalidInput`, and the pages are as before.
//! * `protect(ptr, len) -> io::Result<()>`: the same by the oldest means, which works everywhere but
//!   costs two mappings. The error's kind is `OutOfMemory` when there are no more mappings.
//! * `discard(ptr, len) -> io::Result<()>`: the memory behind these whole pages goes back; they are
//!   zeroed, and what was guarded among them still is.
//! * `for_each_resident(start, len, each)`: which pages have memory behind them, if that is known.
//! * `shortage(len, refusal) -> Shortage`: the limit that a refused `reserve` has met.
//! * `name_thread_limit(refusal) -> io::Error`: the same for a thread that was refused.
//! * `watch_faults(look)`: has `look` called when memory is accessed that must not be.
//! * `SignalStack::ensure()`: a stack for `look` on this thread, if it has none.
//! * `handle_on_signal_stack(signal)`: its handler runs there too.
//! * `trim_heap()`: the allocator's free memory goes back too, as far as it can be told to.
//! * `mapping_count() -> Option<usize>`: how many mappings the process has, if that is known.
//! * `max_map_count() -> Option<usize>`: how many mappings a process may have, if that is known.
//! * `prefetch(address)`: a hint that this cache line will be read soon; any address will do.
//! * `thread_count() -> Option<usize>`: how many threads the process has, if that is known.
//!
//! Chosen: free functions on addresses. Rejected: an owning `Mapping` whose `Drop` unmaps (whether a
//! mapping may go depends on who runs on it, which only the layer above can count).

#[cfg(unix)]
mod abort;
mod cache;
#[cfg(unix)]
mod descriptor;
#[cfg(unix)]
mod fault;
#[cfg(unix)]
mod fork;
#[cfg(unix)]
mod inherited;
#[cfg(unix)]
mod io;
#[cfg(unix)]
mod limits;
#[cfg(unix)]
mod names;
#[cfg(test)]
pub(crate) mod seam;
#[cfg(unix)]
mod socket;
#[cfg(unix)]
mod unix;

#[cfg(unix)]
pub(crate) use abort::{AbortOnUnwind, abort_with};
pub(crate) use cache::prefetch;
#[cfg(unix)]
pub(crate) use descriptor::{Mode, read, set_mode, write};
#[cfg(unix)]
pub(crate) use fault::{Fault, SignalStack, handle_on_signal_stack, watch_faults};
#[cfg(unix)]
pub(crate) use fork::{forks, has_forked, watch_forks};
#[cfg(unix)]
pub(crate) use inherited::take_inherited;
#[cfg(unix)]
pub(crate) use io::{BellFd, Direction, Interest, TimerFd};
#[cfg(unix)]
pub(crate) use io::{is_ready, name_limit, os_code, wait_for_any, wait_for_fd};
#[cfg(unix)]
pub(crate) use limits::{Shortage, name_thread_limit, raise_descriptor_limit, shortage};
#[cfg(unix)]
pub(crate) use names::{IpVersion, look_up};
#[cfg(unix)]
pub(crate) use socket::{Ancillary, is_read_shut, receive};
#[cfg(unix)]
pub(crate) use unix::{discard, guard, page_size, protect, release, reserve};
#[cfg(unix)]
pub(crate) use unix::{for_each_resident, mapping_count, max_map_count, thread_count, trim_heap};
