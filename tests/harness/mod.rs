//! What the targets without libtest's harness have in common: cargo's arguments, and the report.

use std::io;
use std::io::Write;
use std::process::ExitCode;

/// A test that is played in a process of its own, which is this program again.
pub(crate) trait Case {
    /// The claim.
    fn name(&self) -> &'static str;

    /// What the further process does, given what stood behind its name.
    fn play(&self, arguments: &[String]);

    /// Has it played, and judges; the error is a report.
    fn judge(&self) -> Result<(), String>;
}

/// What the arguments ask for.
#[derive(Default)]
struct Request {
    /// Parts of names; none means all.
    filters: Vec<String>,
    exact: bool,
    lists: bool,
}

impl Request {
    fn asks_for(&self, name: &str) -> bool {
        let fits =
            |filter: &String| if self.exact { name == filter } else { name.contains(&**filter) };
        self.filters.is_empty() || self.filters.iter().any(fits)
    }
}

/// The arguments that have this program play one case.
pub(crate) fn play_arguments(name: &str) -> [&str; 2] {
    ["--play", name]
}

/// Does what the arguments say: judges the cases that they ask for, lists them, or plays one.
pub(crate) fn run<C: Case>(cases: &[C]) -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mut request = Request::default();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--play" => return play(cases, &arguments.collect::<Vec<_>>()),
            "--list" => request.lists = true,
            "--exact" => request.exact = true,
            "--test-threads" | "--format" | "--color" | "--skip" => drop(arguments.next()),
            option if option.starts_with('-') => {}
            _ => request.filters.push(argument),
        }
    }
    let chosen: Vec<_> = cases.iter().filter(|case| request.asks_for(case.name())).collect();
    if request.lists {
        chosen.iter().for_each(|case| say(&format!("{}: test", case.name())));
        return ExitCode::SUCCESS;
    }
    judge_all(&chosen)
}

fn play<C: Case>(cases: &[C], arguments: &[String]) -> ExitCode {
    let Some((name, rest)) = arguments.split_first() else { return ExitCode::FAILURE };
    let Some(case) = cases.iter().find(|case| case.name() == name) else {
        return ExitCode::FAILURE;
    };
    case.play(rest);
    ExitCode::SUCCESS
}

fn judge_all<C: Case>(cases: &[&C]) -> ExitCode {
    say(&format!("\nrunning {} tests", cases.len()));
    let mut failures = Vec::new();
    for case in cases {
        let verdict = case.judge();
        let word = if verdict.is_ok() { "ok" } else { "FAILED" };
        say(&format!("test {} ... {word}", case.name()));
        failures.extend(verdict.err().map(|report| (case.name(), report)));
    }
    for (name, report) in &failures {
        say(&format!("\n---- {name} ----\n{report}"));
    }
    let word = if failures.is_empty() { "ok" } else { "FAILED" };
    let passed = cases.len() - failures.len();
    say(&format!("\ntest result: {word}. {passed} passed; {} failed;\n", failures.len()));
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

pub(crate) fn say(line: &str) {
    // Nobody is left to hear of a closed standard output.
    let _ = writeln!(io::stdout(), "{line}");
}
