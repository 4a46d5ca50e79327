//! The log: a sink is foreign code and does no harm.

use crate::Log;
use crate::fail;
use crate::ms;
use crate::panic_of;
use crate::secs;
use giambio::pool;
use giambio::sleep;
use std::process::Command;

/// A log sink that does what its name says.
pub(crate) struct Sink(pub(crate) fn(&str));

impl log::Log for Sink {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        (self.0)(&record.args().to_string());
    }
    fn flush(&self) {}
}

/// Runs `main` in a process of its own, whose log goes to `sink`; the caller's test is run again there.
#[track_caller]
pub(crate) fn with_sink(test: &str, sink: &'static Sink, main: fn()) {
    const CHILD: &str = "GIAMBIO_TEST_OF_A_LOG_SINK";
    if std::env::var_os(CHILD).is_some() {
        log::set_logger(sink).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
        return main();
    }
    let itself = std::env::current_exe().unwrap();
    let output = Command::new(itself).args([test, "--exact"]).env(CHILD, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{output:?}");
}

thread_local! {
    static SAID: Log = Log::default();
}

/// Loses two panics, which are logged, and goes on.
fn loses_panics() {
    let value = giambio::run(|| {
        pool(|pool| {
            for _ in 0..2 {
                drop(pool.spawn_isolated(|| fail("lost")));
            }
            sleep(ms(1));
            7
        })
    });
    assert_eq!(value, 7);
}

#[test]
fn a_sink_that_panics_does_no_harm() {
    static SINK: Sink = Sink(|line| {
        SAID.with(|said| said.add(line.rsplit(' ').next().unwrap_or_default()));
        fail("a broken sink");
    });
    with_sink("log_sink::a_sink_that_panics_does_no_harm", &SINK, || {
        loses_panics();
        SAID.with(|said| said.assert(&["lost", "lost"]));
    });
}

#[test]
fn a_sink_that_blocks_panics_and_does_no_harm() {
    static SINK: Sink = Sink(|_| {
        let text = panic_of(|| sleep(secs(1000)));
        SAID.with(|said| said.add(text));
        sleep(secs(1000));
    });
    with_sink("log_sink::a_sink_that_blocks_panics_and_does_no_harm", &SINK, || {
        loses_panics();
        let text = "a blocking call in a log sink, which must not block";
        SAID.with(|said| said.assert(&[text, text]));
    });
}
