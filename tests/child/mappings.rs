//! Mappings of this process: where they are, and a way to use them up.

use std::fs;
use std::io;
use std::ops::Range;
use std::ptr;

/// A line of `/proc/self/maps`.
pub(crate) struct Mapping {
    pub(crate) range: Range<usize>,
    /// As in "rw-p".
    pub(crate) access: String,
}

/// All mappings, in ascending order.
pub(crate) fn all() -> Vec<Mapping> {
    let address = |text: &str| usize::from_str_radix(text, 16).expect("an address");
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mapping = |line: &str| {
        let mut words = line.split(' ');
        let (start, end) = words.next()?.split_once('-')?;
        Some(Mapping { range: address(start)..address(end), access: words.next()?.into() })
    };
    maps.lines().map(|line| mapping(line).expect("a line of /proc/self/maps")).collect()
}

/// How many mappings a process may have.
pub(crate) fn most() -> usize {
    fs::read_to_string("/proc/sys/vm/max_map_count").unwrap().trim().parse().unwrap()
}

pub(crate) fn page_size() -> usize {
    // SAFETY: sysconf(3) takes no pointer.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) }.try_into().unwrap()
}

/// Maps pages at a place of the kernel's choice.
pub(crate) fn map(len: usize, access: libc::c_int) -> io::Result<*mut libc::c_void> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new private mapping touches nothing that exists.
    let start = unsafe { libc::mmap(ptr::null_mut(), len, access, flags, -1, 0) };
    if start == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(start) }
}

/// Unmaps what `map` gave.
pub(crate) fn unmap(start: *mut libc::c_void, len: usize) {
    // SAFETY: the callers have mapped this, and use no address in it any more.
    assert_eq!(unsafe { libc::munmap(start, len) }, 0, "{}", io::Error::last_os_error());
}

/// Pages of alternating access: a mapping each. They are unmapped with this.
pub(crate) struct Taken {
    area: (*mut libc::c_void, usize),
    extra: Vec<*mut libc::c_void>,
}

impl Taken {
    /// Takes mappings until only `left` are left, or two or three fewer.
    pub(crate) fn all_but(left: usize) -> Self {
        let pairs = (most() - all().len() - left) / 2;
        let mut taken = Self::area(2 * pairs + 1);
        for pair in 0..pairs {
            taken.split(2 * pair + 1).expect("a mapping that is left");
        }
        taken
    }

    /// Takes all, so that neither a page can be mapped nor a mapping be split.
    pub(crate) fn all() -> Self {
        let mut taken = Self::area(most() + 2);
        let mut page = 1;
        while taken.split(page).is_ok() {
            page += 2;
        }
        for access in [libc::PROT_READ, libc::PROT_NONE].into_iter().cycle() {
            match map(page_size(), access) {
                Ok(page) => taken.extra.push(page),
                Err(_) => break,
            }
            assert!(taken.extra.len() < 10, "the mappings have no end");
        }
        taken
    }

    fn area(pages: usize) -> Self {
        let len = pages * page_size();
        let extra = Vec::with_capacity(16); // nothing can be allocated later
        Self { area: (map(len, libc::PROT_NONE).unwrap(), len), extra }
    }

    /// Makes this page of the area readable, and with that a mapping of its own.
    fn split(&mut self, page: usize) -> io::Result<()> {
        let page = self.area.0.wrapping_byte_add(page * page_size());
        // SAFETY: a page of a mapping that nobody uses.
        let failed = unsafe { libc::mprotect(page, page_size(), libc::PROT_READ) };
        if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.extra.drain(..).for_each(|page| unmap(page, page_size()));
        unmap(self.area.0, self.area.1);
    }
}
