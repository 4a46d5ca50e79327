//! Seam: a system that refuses and counts, for the unit tests of its callers.
//!
//! Layer 0. Imports: nothing of this crate. Never: anything outside of tests.

use std::cell::Cell;
use std::io;

/// What may be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Reserve,
    Guard,
    Protect,
    Discard,
    StartThread,
}

thread_local! {
    static COUNTED: Cell<Option<(Call, usize)>> = const { Cell::new(None) };
    static REFUSED: Cell<Option<(Call, i32)>> = const { Cell::new(None) };
}

/// Has `call` fail with `errno` on this thread while `f` runs.
pub(crate) fn refusing<T>(call: Call, errno: i32, f: impl FnOnce() -> T) -> T {
    let before = REFUSED.replace(Some((call, errno)));
    let value = f();
    REFUSED.set(before);
    value
}

/// How often this thread makes `call` while `f` runs.
pub(crate) fn count(call: Call, f: impl FnOnce()) -> usize {
    COUNTED.set(Some((call, 0)));
    f();
    COUNTED.take().map_or(0, |(_, count)| count)
}

pub(crate) fn answer(call: Call) -> io::Result<()> {
    if let Some((counted, count)) = COUNTED.get().filter(|(counted, _)| *counted == call) {
        COUNTED.set(Some((counted, count + 1)));
    }
    match REFUSED.get() {
        Some((refused, errno)) if refused == call => Err(io::Error::from_raw_os_error(errno)),
        _ => Ok(()),
    }
}
