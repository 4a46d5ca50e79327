//! As many connections as a process may have: client and server in a process each.

use crate::Scenario;
use crate::harness;
use crate::well;
use giambio::net::SocketAddr;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::net::raise_descriptor_limit;
use std::cell::Cell;
use std::env;
use std::io;
use std::io::Read;
use std::io::Write;
use std::process::Command;
use std::time::Duration;

pub(crate) const SCENARIOS: &[Scenario] =
    &[well(NAME, crowd), well("the_limit_on_descriptors_is_raised_as_far_as_it_may_be", raised)];

const NAME: &str =
    "a_server_with_descriptors_for_all_but_a_hundred_serves_each_and_goes_on_past_its_limit";

/// Tell the client where to go, and how many connections the server has room for.
const ADDRESS: &str = "CROWD_ADDRESS";
const CONNECTIONS: &str = "CROWD_CONNECTIONS";

/// What the server may have: enough to be many, and little enough to be quick.
const LIMIT_MAX: u64 = 4096;

/// What the client may have above that.
const CLIENT_MORE: u64 = 200;

/// Connections that come when there is room for fewer, and that still fit into the backlog.
const EXTRAS: usize = 110;

/// Connections that leave to make room.
const LEAVERS: usize = 200;

fn limits() -> libc::rlimit {
    let mut limits = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limits` is borrowed for the call.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limits) }, 0);
    limits
}

/// There is no way back.
fn lower_limits(soft: u64, hard: u64) {
    let limits = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: `limits` is borrowed for the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limits) }, 0);
}

fn raised() {
    lower_limits(64, 300);
    assert_eq!(raise_descriptor_limit().unwrap(), 300);
    assert_eq!((limits().rlim_cur, limits().rlim_max), (300, 300));
    assert_eq!(raise_descriptor_limit().unwrap(), 300);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let clones: Vec<_> = (0..200).map(|_| listener.try_clone().unwrap()).collect();
    assert_eq!(clones.len(), 200);
}

fn crowd() {
    if let (Ok(address), Ok(connections)) = (env::var(ADDRESS), env::var(CONNECTIONS)) {
        return client(address.parse().unwrap(), connections.parse().unwrap());
    }
    let limit = LIMIT_MAX.min(limits().rlim_max - CLIENT_MORE);
    let listener = giambio::run(|| TcpListener::bind("127.0.0.1:0").unwrap());
    let mut client = Command::new(env::current_exe().unwrap())
        .args(harness::play_arguments(NAME))
        .env(ADDRESS, listener.local_addr().unwrap().to_string())
        .env(CONNECTIONS, (limit - 100).to_string())
        .spawn()
        .unwrap();
    // The client has the old limits.
    lower_limits(64, limit);
    assert_eq!(raise_descriptor_limit().unwrap(), limit);
    giambio::run(|| serve(&listener, limit as usize));
    assert!(client.wait().unwrap().success());
}

/// Echoes to everybody until the first connection ends, and tells that one of the first refusal.
fn serve(listener: &TcpListener, limit: usize) {
    let (control, _) = listener.accept().unwrap();
    let (served, refusals) = (Cell::new(0), Cell::new(0));
    giambio::pool(|pool| {
        let (served, refusals, mut tell, mut hear) = (&served, &refusals, &control, &control);
        let acceptor = pool.spawn(move || {
            loop {
                match listener.accept() {
                    Ok((stream, _)) => {
                        served.set(served.get() + 1);
                        pool.spawn(move || echo(stream).unwrap());
                    }
                    Err(error) => {
                        assert!(error.to_string().contains("RLIMIT_NOFILE"), "{error}");
                        if refusals.replace(refusals.get() + 1) == 0 {
                            assert!(served.get() >= limit - 100, "refused after {served:?}");
                            tell.write_all(b"!").unwrap();
                        }
                        giambio::sleep(Duration::from_millis(5));
                    }
                }
            }
        });
        pool.spawn(move || {
            let _ended = hear.read(&mut [0]);
            acceptor.cancel();
        });
    });
    assert!(refusals.get() > 0);
    assert_eq!(served.get(), limit - 100 + EXTRAS);
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    loop {
        stream.readable()?;
        let mut buf = [0; 64];
        match stream.read(&mut buf)? {
            0 => return Ok(()),
            count => stream.write_all(&buf[..count])?,
        }
    }
}

fn ask(mut stream: &TcpStream, number: usize) {
    stream.write_all(&number.to_le_bytes()).unwrap();
}

fn hear(mut stream: &TcpStream, number: usize) {
    let mut answer = [0; size_of::<usize>()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(usize::from_le_bytes(answer), number);
}

fn client(address: SocketAddr, connections: usize) {
    raise_descriptor_limit().unwrap();
    giambio::run(|| {
        let mut control = TcpStream::connect(address).unwrap();
        let connect = |number| {
            let stream = TcpStream::connect(address).unwrap();
            ask(&stream, number);
            stream
        };
        let connect_and_hear = |number| {
            let stream = connect(number);
            hear(&stream, number);
            stream
        };
        // One after the other: many at once would be too many for the backlog.
        let mut streams: Vec<_> = (0..connections).map(connect_and_hear).collect();
        // These do not wait to be answered, for some have to wait for room.
        let extras: Vec<_> = (0..EXTRAS).map(connect).collect();
        control.read_exact(&mut [0]).unwrap();
        streams.truncate(connections - LEAVERS);
        extras.iter().enumerate().for_each(|(number, stream)| hear(stream, number));
        giambio::pool(|pool| {
            for (number, stream) in streams.iter().enumerate() {
                pool.spawn(move || {
                    ask(stream, number + 1);
                    hear(stream, number + 1);
                });
            }
        });
    });
}
