//! Selects that wait for more than channels: sockets, tasks, events and deadlines beside them.
//!
//! What holds of channels alone is in `tests/channels`.

mod cancel;
mod grammar;
mod kinds;
mod line;
mod list;
mod once;
mod seeds;
mod sources;
mod threads;
mod unwind;
mod world;

use giambio::os::unix::net::UnixStream;
use std::io::Read;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::time::Duration;

/// Milliseconds.
pub(crate) fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Seconds.
pub(crate) fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// How long `f` takes by the runtime's clock.
pub(crate) fn elapsed(f: impl FnOnce()) -> Duration {
    let start = giambio::clock();
    f();
    giambio::clock() - start
}

/// The text of the panic in which `f` ends.
#[track_caller]
pub(crate) fn panic_of<T>(f: impl FnOnce() -> T) -> String {
    let Err(payload) = catch_unwind(AssertUnwindSafe(f)) else { panic!("nothing panicked") };
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => match payload.downcast::<&str>() {
            Ok(text) => (*text).into(),
            Err(_) => panic!("a payload that is no text"),
        },
    }
}

/// Two ends of a connection.
pub(crate) fn pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().unwrap()
}

/// Sends a byte, for which there is room.
pub(crate) fn put(mut stream: &UnixStream) {
    assert_eq!(stream.write(b"x").unwrap(), 1);
}

/// Takes a byte, waiting for one.
pub(crate) fn take(mut stream: &UnixStream) {
    assert_eq!(stream.read(&mut [0]).unwrap(), 1);
}

/// How many bytes can be taken without waiting.
pub(crate) fn take_all(mut stream: &UnixStream) -> usize {
    stream.set_nonblocking(true).unwrap();
    let mut count = 0;
    while stream.read(&mut [0]).is_ok_and(|read| read == 1) {
        count += 1;
    }
    stream.set_nonblocking(false).unwrap();
    count
}
