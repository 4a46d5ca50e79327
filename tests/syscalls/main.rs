//! The system-call budget: what a request, a connection and idleness cost, counted by `strace -c`.
//!
//! Each claim has a server (or, once, a client) that runs in a process of its own, which is this program
//! again, under strace; its peers are plain threads and sockets of std here. It is played twice, with
//! more work the second time, and the difference is what the additional work has cost: start and end
//! cancel out. A call that a claim does not list must not occur. Where strace is missing, or may not
//! trace, nothing is counted, and that is said.

mod claims;
#[path = "../harness/mod.rs"]
mod harness;

use crate::claims::CLAIMS;
use harness::Case;
use harness::say;
use std::collections::BTreeMap;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::net::SocketAddr;
use std::process::ChildStdin;
use std::process::Command;
use std::process::ExitCode;
use std::process::Stdio;

/// How much there is to do.
#[derive(Clone, Copy, Debug)]
struct Work {
    connections: usize,
    /// On each connection; or, where nothing is asked, how long nothing happens, in tenths of a second.
    requests: usize,
}

impl Work {
    const fn new(connections: usize, requests: usize) -> Self {
        Self { connections, requests }
    }

    /// As the further process gets it.
    fn from_arguments(arguments: &[String]) -> Self {
        let [connections, requests] =
            [0, 1].map(|place| arguments[place].parse().expect("a number of things to do"));
        Self { connections, requests }
    }
}

/// The process whose calls are counted, for its peers.
struct Counted {
    address: SocketAddr,
    pid: u32,
    /// Whoever reads it there waits until this writes a line or is dropped.
    stdin: ChildStdin,
}

impl Counted {
    /// Returns when the process waits in the kernel. While it is traced out of a call, it does not.
    fn until_asleep(&self) {
        let path = format!("/proc/{}/stat", self.pid);
        loop {
            let stat = std::fs::read_to_string(&path).expect("the process lives");
            let (_, state) = stat.rsplit_once(") ").expect("a name and a state");
            if state.starts_with('S') {
                return;
            }
            std::thread::yield_now();
        }
    }
}

/// How often a call may occur.
struct Share {
    call: &'static str,
    /// For each unit of work.
    least: f64,
    most: f64,
}

/// A call that occurs exactly so often for each unit.
const fn exactly(call: &'static str, count: f64) -> Share {
    Share { call, least: count, most: count }
}

/// A call that occurs at least and at most so often for each unit.
const fn between(call: &'static str, least: f64, most: f64) -> Share {
    Share { call, least, most }
}

/// A call that need not occur.
const fn at_most(call: &'static str, most: f64) -> Share {
    between(call, 0.0, most)
}

struct Claim {
    name: &'static str,
    /// What is counted: tells its address with [`announce`], and returns when the work is done.
    counted: fn(Work),
    /// The other side, in this process.
    peers: fn(Counted, Work),
    /// Little and much.
    work: [Work; 2],
    /// How many units of work lie between the two.
    units: usize,
    unit: &'static str,
    /// Calls, in all, by which a count may be off.
    slack: f64,
    budget: &'static [Share],
}

/// What varies: whether the first peer comes before the server waits, and what strace sees of a
/// process's start.
const SLACK: f64 = 5.0;

/// Seconds after which a process that hangs is ended by a signal.
const PATIENCE: libc::c_uint = 60;

fn main() -> ExitCode {
    let counts = std::env::args().any(|argument| argument == "--play" || argument == "--list");
    if let (false, Err(reason)) = (counts, try_strace()) {
        say(&format!("\nSKIPPED: no system call was counted: {reason}"));
        say("\ntest result: ok. 0 passed; 0 failed;\n");
        return ExitCode::SUCCESS;
    }
    harness::run(CLAIMS)
}

/// Whether strace is here and may trace.
fn try_strace() -> Result<(), String> {
    match Command::new("strace").args(["-f", "-c", "true"]).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Err(format!("strace: {error}")),
    }
}

/// Tells the peers whom they deal with.
fn announce(address: SocketAddr) {
    say(&format!("{address} {}", std::process::id()));
}

impl Case for Claim {
    fn name(&self) -> &'static str {
        self.name
    }

    fn play(&self, arguments: &[String]) {
        // SAFETY: alarm(2) has no precondition.
        unsafe { libc::alarm(PATIENCE) };
        (self.counted)(Work::from_arguments(arguments));
    }

    fn judge(&self) -> Result<(), String> {
        let [little, much] = [self.count(self.work[0])?, self.count(self.work[1])?];
        let mut cost = much;
        for (call, count) in little {
            *cost.entry(call).or_default() -= count;
        }
        cost.retain(|_, count| *count != 0.0);
        let units = self.units as f64;
        let rates: Vec<_> =
            cost.iter().map(|(call, count)| format!("{call} {:.3}", count / units)).collect();
        let measured = format!("one {} of {units}: {}", self.unit, rates.join(", "));
        say(&measured);
        let faults: Vec<_> = cost
            .keys()
            .map(String::as_str)
            .chain(self.budget.iter().map(|share| share.call))
            .filter(|call| !self.allows(call, cost.get(*call).copied().unwrap_or(0.0)))
            .collect();
        match faults[..] {
            [] => Ok(()),
            _ => Err(format!("{measured}\nout of the budget: {}", faults.join(", "))),
        }
    }
}

impl Claim {
    /// Whether a call may occur so often in all.
    fn allows(&self, call: &str, count: f64) -> bool {
        let share = self.budget.iter().find(|share| share.call == call);
        let (least, most) = share.map_or((0.0, 0.0), |share| (share.least, share.most));
        let units = self.units as f64;
        // With debug assertions std asks whether what it closes is open.
        let most = if cfg!(debug_assertions) && call == "fcntl" { 1.0 } else { most };
        (least * units - self.slack..=most * units + self.slack).contains(&count)
    }

    /// Plays it under strace, and returns how often each call occurred.
    fn count(&self, work: Work) -> Result<BTreeMap<String, f64>, String> {
        let text = |error: std::io::Error| format!("strace: {error}");
        let program = std::env::current_exe().map_err(text)?;
        let mut strace = Command::new("strace")
            .args(["-f", "-qq", "-c"])
            .arg(program)
            .args(harness::play_arguments(self.name))
            .args([work.connections, work.requests].map(|count| count.to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(text)?;
        let (stdin, stdout) = (strace.stdin.take(), strace.stdout.take());
        let (Some(stdin), Some(stdout)) = (stdin, stdout) else { unreachable!("both are piped") };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).map_err(text)?;
        let announced = line.trim().split_once(' ').and_then(|(address, pid)| {
            Some(Counted { address: address.parse().ok()?, pid: pid.parse().ok()?, stdin })
        });
        // Who has not come so far says why on standard error.
        if let Some(counted) = announced {
            (self.peers)(counted, work);
        }
        let output = strace.wait_with_output().map_err(text)?;
        let report = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(table(&report)) } else { Err(report) }
    }
}

/// Reads strace's summary: percent, seconds, microseconds, calls, errors if there were any, name.
fn table(report: &str) -> BTreeMap<String, f64> {
    let row = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let [percent, _, _, calls, .., name] = words[..] else { return None };
        percent.parse::<f64>().ok()?;
        (name != "total").then_some((name.to_owned(), calls.parse().ok()?))
    };
    report.lines().filter_map(row).collect()
}

/// Reads until the other side has closed or dropped its end.
fn until_end(mut from: impl Read) {
    while !matches!(from.read(&mut [0]), Ok(0) | Err(_)) {}
}
