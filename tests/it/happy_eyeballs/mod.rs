//! Happy eyeballs: scripted hosts on the virtual clock, to the millisecond. The cases are those of libdill's,
//! trio's and Go's tests, and our own.

mod ends;
mod order;

use crate::Log;
use crate::fail;
use crate::ms;
use giambio::clock;
use giambio::net::Family;
use giambio::net::HappyEyeballs;
use giambio::net::Resolver;
use giambio::net::SocketAddr;
use giambio::net::with_resolver;
use giambio::shield;
use giambio::sleep;
use giambio::task;
use giambio::testing::run_virtual;
use giambio::yield_now;
use std::cell::Cell;
use std::io;
use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Instant;

/// What becomes of an attempt, when it has taken its time.
#[derive(Clone, Copy)]
enum Outcome {
    Works,
    /// It works, and no cancellation can stop it on its way.
    WorksStubbornly,
    Fails(ErrorKind),
    Panics,
    CancelsItself,
}

use Outcome::CancelsItself;
use Outcome::Fails;
use Outcome::Panics;
use Outcome::Works;
use Outcome::WorksStubbornly;

const REFUSED: Outcome = Fails(ErrorKind::ConnectionRefused);

/// A lookup's answer.
type Answer = Result<Vec<SocketAddr>, &'static str>;

/// A host, the time that everything about it takes, and what has happened, with the milliseconds since the
/// beginning.
struct Host {
    start: Instant,
    v6: (u64, Answer),
    v4: (u64, Answer),
    attempts: Vec<(SocketAddr, u64, Outcome)>,
    open: Cell<usize>,
    log: Log,
}

/// `ip`, with the port that all of these tests use.
fn addr(ip: &str) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), 80)
}

fn addrs(ips: &[&str]) -> Answer {
    Ok(ips.iter().map(|ip| addr(ip)).collect())
}

impl Host {
    /// A host that has answers at once, but no addresses.
    fn new() -> Self {
        let (v6, v4) = ((0, addrs(&[])), (0, addrs(&[])));
        let (start, log) = (clock(), Log::default());
        Self { start, v6, v4, attempts: Vec::new(), open: Cell::new(0), log }
    }

    fn v6(mut self, after: u64, ips: &[&str]) -> Self {
        self.v6 = (after, addrs(ips));
        self
    }

    fn v4(mut self, after: u64, ips: &[&str]) -> Self {
        self.v4 = (after, addrs(ips));
        self
    }

    fn v6_fails(mut self, after: u64, text: &'static str) -> Self {
        self.v6 = (after, Err(text));
        self
    }

    fn v4_fails(mut self, after: u64, text: &'static str) -> Self {
        self.v4 = (after, Err(text));
        self
    }

    /// What happens to an attempt at `ip`.
    fn at(mut self, ip: &str, takes: u64, outcome: Outcome) -> Self {
        self.attempts.push((addr(ip), takes, outcome));
        self
    }

    fn note(&self, what: impl std::fmt::Display) {
        self.log.add(format!("{} {what}", (clock() - self.start).as_millis()));
    }

    /// Connects to it with the RFC's delays.
    fn connect(self) -> (Rc<Self>, io::Result<Connection>) {
        self.connect_with(&HappyEyeballs::new())
    }

    fn connect_with(self, eyeballs: &HappyEyeballs) -> (Rc<Self>, io::Result<Connection>) {
        let host = Rc::new(self);
        let result = connect_to(&host, eyeballs);
        (host, result)
    }

    fn attempt(self: &Rc<Self>, addr: SocketAddr) -> io::Result<Connection> {
        self.note(format_args!("try {}", addr.ip()));
        let script = self.attempts.iter().find(|(at, ..)| *at == addr);
        let &(_, takes, outcome) = script.expect("an address of this host");
        let cut = NotedOnDrop { host: self, text: Some(format!("cut {}", addr.ip())) };
        match outcome {
            WorksStubbornly => shield(|| sleep(ms(takes))),
            _ => sleep(ms(takes)),
        }
        cut.disarm();
        match outcome {
            Works | WorksStubbornly => {
                self.open.set(self.open.get() + 1);
                Ok(Connection { host: Rc::clone(self), addr })
            }
            Fails(kind) => Err(io::Error::new(kind, format!("{} says no", addr.ip()))),
            Panics => fail("on purpose"),
            CancelsItself => {
                task::current().cancel();
                yield_now();
                unreachable!("a cancelled task went past a checkpoint");
            }
        }
    }
}

fn connect_to(host: &Rc<Host>, eyeballs: &HappyEyeballs) -> io::Result<Connection> {
    let result = with_resolver(Script(Rc::clone(host)), || {
        eyeballs.connect_by("a.test", 80, |addr| host.attempt(addr))
    });
    match &result {
        Ok(connection) => host.note(format_args!("won {}", connection.addr.ip())),
        Err(_) => host.note("failed"),
    }
    result
}

/// Notes on drop that something was cut, unless that was taken away.
struct NotedOnDrop<'h> {
    host: &'h Host,
    text: Option<String>,
}

impl NotedOnDrop<'_> {
    fn disarm(mut self) {
        self.text = None;
    }
}

impl Drop for NotedOnDrop<'_> {
    fn drop(&mut self) {
        self.text.iter().for_each(|text| self.host.note(text));
    }
}

#[derive(Debug)]
struct Connection {
    host: Rc<Host>,
    addr: SocketAddr,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a.test")
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.host.open.set(self.host.open.get() - 1);
        self.host.note(format_args!("close {}", self.addr.ip()));
    }
}

struct Script(Rc<Host>);

impl Resolver for Script {
    fn resolve(&self, name: &str, port: u16, family: Family) -> io::Result<Vec<SocketAddr>> {
        assert_eq!((name, port), ("a.test", 80));
        let host = &self.0;
        host.note(format_args!("ask {family:?}"));
        let cut = NotedOnDrop { host, text: Some(format!("cut {family:?}")) };
        let all = |answer: &Answer| answer.clone().map_err(io::Error::other);
        let answer = match family {
            Family::V6 => {
                sleep(ms(host.v6.0));
                all(&host.v6.1)
            }
            Family::V4 => {
                sleep(ms(host.v4.0));
                all(&host.v4.1)
            }
            // As a system may put them: IPv4 first.
            Family::Any => all(&host.v4.1).and_then(|v4| Ok([v4, all(&host.v6.1)?].concat())),
        };
        cut.disarm();
        answer
    }
}

/// Runs a host's test on the virtual clock; all that it had open is closed, the winner last.
#[track_caller]
fn expect(host: fn() -> Host, expected: &[&str]) {
    run_virtual(|| {
        let (host, result) = host().connect();
        host.log.assert(expected);
        assert_eq!(host.open.get(), usize::from(result.is_ok()));
    });
}

/// Addresses of a host that has only IPv4 ones, known at once, in this order.
fn v4_only(attempts: &[(&str, u64, Outcome)]) -> Host {
    let ips: Vec<_> = attempts.iter().map(|(ip, ..)| *ip).collect();
    let host = Host::new().v4(0, &ips);
    attempts.iter().fold(host, |host, &(ip, takes, outcome)| host.at(ip, takes, outcome))
}

/// Takes the lookups, which take no time, from the head of a log.
fn attempts_of(host: &Host) -> Vec<String> {
    let log = host.log.take();
    assert_eq!(log[..2], ["0 ask V6", "0 ask V4"]);
    log[2..].to_vec()
}

#[test]
fn smoke() {
    run_virtual(|| {
        let host = Host::new().v6(0, &["2001::1"]).at("2001::1", 10, Works);
        let (_, result) = host.connect();
        assert_eq!(result.unwrap().addr, addr("2001::1"));
    });
}
