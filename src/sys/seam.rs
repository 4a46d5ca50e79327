//! Seam: a system that refuses, for the unit tests of its callers.
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
}

thread_local! {
    static REFUSED: Cell<Option<(Call, i32)>> = const { Cell::new(None) };
}

/// Has `call` fail with `errno` on this thread while `f` runs.
pub(crate) fn refusing<T>(call: Call, errno: i32, f: impl FnOnce() -> T) -> T {
    let before = REFUSED.replace(Some((call, errno)));
    let value = f();
    REFUSED.set(before);
    value
}

pub(super) fn answer(call: Call) -> io::Result<()> {
    match REFUSED.get() {
        Some((refused, errno)) if refused == call => Err(io::Error::from_raw_os_error(errno)),
        _ => Ok(()),
    }
}
