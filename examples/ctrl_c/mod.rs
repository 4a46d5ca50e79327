//! Ctrl-C as a cancellation: what the servers among these examples share.

use signal_hook::consts::SIGINT;
use signal_hook::iterator::Handle;
use signal_hook::iterator::Signals;
use std::io;
use std::thread;
use std::thread::JoinHandle;

/// Runs `f` until it ends, or until Ctrl-C cancels it and all that it has started: then `None`.
pub(crate) fn until_ctrl_c<T>(f: impl FnOnce() -> T) -> io::Result<Option<T>> {
    let mut signals = Signals::new([SIGINT])?;
    let handle = signals.handle();
    let result = giambio::cancellable(|pool| {
        let canceller = pool.canceller(); // unlike `pool`, it may cross to another thread
        let watch = move || signals.forever().for_each(|_| canceller.cancel());
        let thread = thread::Builder::new().name("ctrl-c".into()).spawn(watch)?;
        let _watch = Watch { handle, thread: Some(thread) };
        Ok(f())
    });
    result.transpose()
}

/// The thread that waits for signals; it ends with this, whether `f` returns or unwinds.
struct Watch {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.handle.close();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            log::error!("the thread that waits for Ctrl-C has panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::until_ctrl_c;

    /// One test: a signal reaches everybody in the process who waits for it.
    #[test]
    fn ctrl_c_cuts_what_runs_and_nothing_else_is_changed() {
        giambio::run(|| {
            assert_eq!(until_ctrl_c(|| 1).unwrap(), Some(1));
            let cut = until_ctrl_c(|| {
                signal_hook::low_level::raise(super::SIGINT).unwrap();
                giambio::sleep_forever()
            });
            assert_eq!(cut.unwrap(), None::<()>);
            giambio::yield_now(); // no cancellation is left behind
            assert_eq!(until_ctrl_c(|| 2).unwrap(), Some(2));
        });
    }
}
