//! Scenarios that need a process of their own: they end it, use it up, fork it, or must be its only
//! thread.
//!
//! This target has no harness. It runs itself once for each scenario, with `--scenario NAME`, and
//! judges how that process ends. Arguments are parts of names, as for other tests; `--list` lists.

mod deadlock;
mod descriptors;
mod drives;
mod exhaustion;
mod fallback;
mod faults;
mod forks;
mod inherited;
mod mappings;
mod overflow;
mod servers;
mod signals;

use std::io;
use std::io::Write;
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
        deadlock::SCENARIOS,
        descriptors::SCENARIOS,
        drives::SCENARIOS,
        exhaustion::SCENARIOS,
        fallback::SCENARIOS,
        faults::SCENARIOS,
        forks::SCENARIOS,
        inherited::SCENARIOS,
        overflow::SCENARIOS,
        servers::SCENARIOS,
        signals::SCENARIOS,
    ]
    .into_iter()
    .flatten()
    .collect();
    let mut arguments = std::env::args().skip(1);
    let mut filters = Vec::new();
    let (mut lists, mut exact) = (false, false);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--scenario" => return play(&scenarios, &arguments.next().unwrap_or_default()),
            "--list" => lists = true,
            "--exact" => exact = true,
            "--test-threads" | "--format" | "--color" | "--skip" => drop(arguments.next()),
            option if option.starts_with('-') => {}
            filter => filters.push(filter.to_owned()),
        }
    }
    let fits = |name: &str, filter: &String| {
        if exact { name == filter } else { name.contains(filter.as_str()) }
    };
    let chosen: Vec<_> = scenarios
        .into_iter()
        .filter(|one| filters.is_empty() || filters.iter().any(|filter| fits(one.name, filter)))
        .collect();
    if lists {
        chosen.iter().for_each(|scenario| say(&format!("{}: test", scenario.name)));
        return ExitCode::SUCCESS;
    }
    judge_all(&chosen)
}

/// This process is a scenario's.
fn play(scenarios: &[&Scenario], name: &str) -> ExitCode {
    let Some(scenario) = scenarios.iter().find(|scenario| scenario.name == name) else {
        return ExitCode::FAILURE;
    };
    // SAFETY: alarm(2) has no precondition.
    unsafe { libc::alarm(PATIENCE) };
    (scenario.run)();
    ExitCode::SUCCESS
}

fn judge_all(scenarios: &[&Scenario]) -> ExitCode {
    say(&format!("\nrunning {} tests", scenarios.len()));
    let mut failures = Vec::new();
    for scenario in scenarios {
        let verdict = judge(scenario);
        let word = if verdict.is_ok() { "ok" } else { "FAILED" };
        say(&format!("test {} ... {word}", scenario.name));
        failures.extend(verdict.err().map(|report| (scenario.name, report)));
    }
    for (name, report) in &failures {
        say(&format!("\n---- {name} ----\n{report}"));
    }
    let word = if failures.is_empty() { "ok" } else { "FAILED" };
    let passed = scenarios.len() - failures.len();
    say(&format!("\ntest result: {word}. {passed} passed; {} failed;\n", failures.len()));
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Plays a scenario in its process; the error is a report.
fn judge(scenario: &Scenario) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new(program)
        .args(["--scenario", scenario.name])
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
    };
    if !ended_well {
        return Err(describe(&output, "it ended in the wrong way"));
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    if let Some(text) = texts.iter().find(|text| !errors.contains(**text)) {
        return Err(describe(&output, &format!("it did not say {text:?}")));
    }
    let said_well = match scenario.end {
        End::Well | End::WellSaying(_) | End::AbortSaying(_) => true,
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

fn say(line: &str) {
    // Nobody is left to hear of a closed standard output.
    let _ = writeln!(io::stdout(), "{line}");
}
