//! Scenarios that need a process of their own: they end it, use it up, fork it, or must be its only
//! thread.
//!
//! This target has a harness of its own. It runs itself once for each scenario, with `--play NAME`, and
//! judges how that process ends. Arguments are parts of names, as for other tests; `--list` lists.

mod crowd;
mod deadlock;
mod descriptors;
mod drives;
mod duplicates;
mod exhaustion;
mod fallback;
mod faults;
mod forks;
#[path = "../harness/mod.rs"]
mod harness;
mod inherited;
mod mappings;
mod offload;
mod overflow;
mod servers;
mod signal_waits;
mod signals;
mod stdin;
mod stdout;
mod threads;

use harness::Case;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::process::ExitCode;
use std::process::Output;

/// How a scenario's process has to end.
enum End {
    /// With success.
    Well,
    /// With success, and these texts on standard error.
    WellSaying(&'static [&'static str]),
    /// By `abort`, and these texts on standard error.
    AbortSaying(&'static [&'static str]),
    /// By `abort`, and on standard error an empty line and our report: one line, with these texts and
    /// with every line of standard output.
    AbortReporting(&'static [&'static str]),
    /// By `abort`, and these texts of others on standard error, but none of ours.
    AbortByOthers(&'static [&'static str]),
    /// By SIGSEGV, and these texts of others on standard error, but none of ours.
    Fault(&'static [&'static str]),
    /// By this signal.
    Signal(libc::c_int),
}

struct Scenario {
    name: &'static str,
    run: fn(),
    end: End,
}

/// A scenario that succeeds.
const fn well(name: &'static str, run: fn()) -> Scenario {
    Scenario { name, run, end: End::Well }
}

/// Seconds after which a scenario that hangs is ended by a signal.
const PATIENCE: libc::c_uint = 60;

fn main() -> ExitCode {
    let scenarios: Vec<_> = [
        crowd::SCENARIOS,
        deadlock::SCENARIOS,
        descriptors::SCENARIOS,
        drives::SCENARIOS,
        duplicates::SCENARIOS,
        exhaustion::SCENARIOS,
        fallback::SCENARIOS,
        faults::SCENARIOS,
        forks::SCENARIOS,
        offload::SCENARIOS,
        overflow::SCENARIOS,
        signal_waits::SCENARIOS,
        inherited::SCENARIOS,
        servers::SCENARIOS,
        signals::SCENARIOS,
        stdin::SCENARIOS,
        stdout::SCENARIOS,
        threads::SCENARIOS,
    ]
    .into_iter()
    .flatten()
    .collect();
    harness::run(&scenarios)
}

impl Case for &Scenario {
    fn name(&self) -> &'static str {
        self.name
    }

    /// This process is the scenario's.
    fn play(&self, _: &[String]) {
        // SAFETY: alarm(2) has no precondition.
        unsafe { libc::alarm(PATIENCE) };
        (self.run)();
    }

    fn judge(&self) -> Result<(), String> {
        judge(self)
    }
}

/// Plays a scenario in its process; the error is a report.
fn judge(scenario: &Scenario) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new(program)
        .args(harness::play_arguments(scenario.name))
        .output()
        .map_err(|error| error.to_string())?;
    let signal = output.status.signal();
    let (ended_well, texts) = match scenario.end {
        End::Well => (output.status.success(), &[][..]),
        End::WellSaying(texts) => (output.status.success(), texts),
        End::AbortSaying(texts) | End::AbortReporting(texts) | End::AbortByOthers(texts) => {
            (signal == Some(libc::SIGABRT), texts)
        }
        End::Fault(texts) => (signal == Some(libc::SIGSEGV), texts),
        End::Signal(expected) => (signal == Some(expected), &[][..]),
    };
    if !ended_well {
        return Err(describe(&output, "it ended in the wrong way"));
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    if let Some(text) = texts.iter().find(|text| !errors.contains(**text)) {
        return Err(describe(&output, &format!("it did not say {text:?}")));
    }
    let said_well = match scenario.end {
        End::Well | End::WellSaying(_) | End::AbortSaying(_) | End::Signal(_) => true,
        End::AbortReporting(_) => is_report(&errors, &String::from_utf8_lossy(&output.stdout)),
        End::AbortByOthers(_) | End::Fault(_) => !errors.contains("giambio:"),
    };
    if said_well { Ok(()) } else { Err(describe(&output, "it said more, or less")) }
}

/// Whether `errors` are an empty line and one more, which has all the lines that were `announced`.
fn is_report(errors: &str, announced: &str) -> bool {
    let line = errors.strip_prefix("\ngiambio: ").and_then(|rest| rest.strip_suffix('\n'));
    line.is_some_and(|line| {
        !line.contains('\n') && announced.lines().all(|announced| line.contains(announced))
    })
}

fn describe(output: &Output, why: &str) -> String {
    format!(
        "{why}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
