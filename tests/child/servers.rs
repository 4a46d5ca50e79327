//! Servers: those that run out of descriptors, and those that inherit them.

use crate::Scenario;
use crate::descriptors::take_all;
use crate::well;
use giambio::debug::Debugger;
use giambio::debug::TaskRef;
use giambio::debug::WaitReason;
use giambio::net::Server;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::sync::Event;
use std::cell::Cell;
use std::fs::File;
use std::io::Read;
use std::io::Write;
use std::rc::Rc;
use std::sync::Mutex;
use std::time::Duration;

pub(crate) const SCENARIOS: &[Scenario] = &[
    well("a_server_without_descriptors_pauses_and_goes_on", pauses),
    well("a_server_at_the_limit_of_descriptors_uses_no_time_and_serves_everybody", limited),
];

/// The lines that were logged at the level of a warning.
static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Warnings;

impl log::Log for Warnings {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() == log::Level::Warn
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            WARNINGS.lock().unwrap().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

fn keep_warnings() {
    log::set_logger(&Warnings).unwrap();
    log::set_max_level(log::LevelFilter::Warn);
}

#[track_caller]
fn assert_warned_once() {
    let warnings = WARNINGS.lock().unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("servers.rs") && warnings[0].contains("RLIMIT_NOFILE"));
}

/// Counts how often a server waits for a connection to end.
struct Pauses(Rc<Cell<usize>>);

impl Debugger for Pauses {
    fn before_park(&self, _: &TaskRef, reason: WaitReason) {
        self.0.set(self.0.get() + usize::from(reason == WaitReason::ConnectionEnd));
    }
}

/// On the virtual clock: ten attempts a second, and one line.
fn pauses() {
    keep_warnings();
    let pauses = Rc::new(Cell::new(0));
    let builder = giambio::testing::builder().debugger(Pauses(Rc::clone(&pauses)));
    builder.build().unwrap().run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, served) = (Server::new(), Event::new());
        giambio::pool(|pool| {
            let taken = take_all();
            let ended = pool.spawn(|| {
                server.serve(&listener, |_, _| {
                    served.trigger(()).unwrap();
                    server.stopper().stop();
                    Ok(())
                })
            });
            giambio::sleep(Duration::from_secs(3600));
            assert_eq!(pauses.get(), 36_000);
            drop(taken);
            let before = giambio::clock();
            served.wait();
            assert!(giambio::clock() - before <= Duration::from_millis(100));
            assert_eq!(ended.join().unwrap().unwrap().accepted, 1);
        });
    });
    assert_warned_once();
}

/// On the real one: more clients than there are descriptors, which take turns; and while all are taken, the
/// process sleeps.
fn limited() {
    const CLIENTS: usize = 100;
    keep_warnings();
    giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap().into();
        let free = [(); 4].map(|()| File::open("/dev/null").unwrap());
        let kind = socket2::Type::STREAM.cloexec();
        let client = || socket2::Socket::new(socket2::Domain::IPV4, kind, None).unwrap();
        let clients: Vec<_> = (0..CLIENTS).map(|_| client()).collect();
        assert!(take_all().is_empty(), "the clients have all numbers up to the new limit");
        drop(free);
        let server = Server::new();
        giambio::pool(|pool| {
            let ended = pool.spawn(|| {
                server.serve(&listener, |mut stream, _| {
                    stream.write_all(b".")?;
                    stream.read(&mut [0]).map(drop)
                })
            });
            clients.iter().for_each(|client| client.connect(&addr).unwrap());
            giambio::sleep(Duration::from_millis(100));
            let used = cpu_time();
            giambio::sleep(Duration::from_millis(500));
            assert!(cpu_time() - used < Duration::from_millis(100), "the server spins");
            for client in clients {
                let mut client = TcpStream::from(std::net::TcpStream::from(client));
                client.read_exact(&mut [0]).unwrap();
                client.write_all(b"x").unwrap();
                assert_eq!(client.read(&mut [0]).unwrap(), 0);
            }
            server.stopper().stop();
            let served = ended.join().unwrap().unwrap();
            assert_eq!((served.accepted, served.failed), (CLIENTS, 0));
        });
    });
    assert_warned_once();
}

/// What the process has used of its processors.
fn cpu_time() -> Duration {
    // SAFETY: plain numbers, for which all bits may be zero.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is borrowed for the call.
    assert_eq!(unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) }, 0);
    [usage.ru_utime, usage.ru_stime].iter().fold(Duration::ZERO, |sum, time| {
        sum + Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    })
}
