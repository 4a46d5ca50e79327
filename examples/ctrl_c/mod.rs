//! Ctrl-C as a cancellation: what the servers among these examples share.

use giambio::signal::SIGINT;
use giambio::signal::Signals;
use std::io;

/// Runs `f` until it ends, or until Ctrl-C cancels it and all that it has started: then `None`.
pub(crate) fn until_ctrl_c<T>(f: impl FnOnce() -> T) -> io::Result<Option<T>> {
    let interrupts = Signals::new([SIGINT])?; // from here on none is missed
    Ok(giambio::cancellable(|pool| {
        pool.spawn_daemon(|| match interrupts.recv() {
            Ok(_) => pool.cancel(),
            Err(error) => log::error!("Ctrl-C is not noticed any more: {error}"),
        });
        f()
    }))
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
