//! Listeners with options. Those that are inherited need a process of their own: tests/child/inherited.rs.

use crate::ms;
use crate::secs;
use giambio::net::ListenOptions;
use giambio::net::Server;
use giambio::net::SocketAddr;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use socket2::SockRef;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net;
use std::thread;

#[test]
fn smoke() {
    giambio::run(|| {
        let listener = ListenOptions::new().bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(listener.accept().unwrap().1, client.local_addr().unwrap());
    });
}

#[test]
fn two_runtimes_on_two_threads_share_a_port() {
    const CLIENTS: usize = 100;
    let options = ListenOptions::new().reuse_port();
    let first = options.bind("127.0.0.1:0").unwrap();
    let addr = first.local_addr().unwrap();
    let second = options.bind(addr).unwrap();
    let server = Server::new();
    thread::scope(|threads| {
        let servers = [(first, b"1"), (second, b"2")].map(|(listener, name)| {
            let server = server.clone();
            threads.spawn(move || {
                let greet = |mut stream: TcpStream, _: SocketAddr| stream.write_all(name);
                giambio::run(|| server.serve(&listener, greet)).unwrap().accepted
            })
        });
        let mut greeted = [0, 0];
        for _ in 0..CLIENTS {
            let mut name = [0];
            net::TcpStream::connect(addr).unwrap().read_exact(&mut name).unwrap();
            greeted[usize::from(name[0] - b'1')] += 1;
        }
        server.stopper().stop();
        assert_eq!(servers.map(|thread| thread.join().unwrap()), greeted);
        assert!(greeted.iter().all(|&count| count > 0), "{greeted:?}");
    });
}

#[test]
fn a_port_is_shared_only_by_those_who_ask_for_it() {
    let alone = ListenOptions::new().bind("127.0.0.1:0").unwrap();
    let addr = alone.local_addr().unwrap();
    let taken = ListenOptions::new().reuse_port().bind(addr).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AddrInUse);
}

#[test]
fn a_port_is_free_again_as_soon_as_its_listener_is_closed() {
    giambio::run(|| {
        let listener = ListenOptions::new().bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(addr).unwrap();
        drop(listener.accept().unwrap()); // this side closes first, and remembers the connection
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        drop((client, listener));
        ListenOptions::new().bind(addr).unwrap();
    });
}

/// How many clients get in before one has to wait, or `most`.
fn room(listener: &TcpListener, most: usize) -> usize {
    let addr = listener.local_addr().unwrap();
    let mut clients = Vec::new();
    while clients.len() < most {
        // Who does get in does so within a millisecond; who does not would be tried again after a second.
        match net::TcpStream::connect_timeout(&addr, ms(500)) {
            Ok(client) => clients.push(client),
            Err(error) if error.kind() == ErrorKind::TimedOut => break,
            Err(error) => panic!("{error}"),
        }
    }
    clients.len()
}

#[test]
fn a_backlog_is_as_long_as_was_asked_for() {
    let listener = ListenOptions::new().backlog(3).bind("127.0.0.1:0").unwrap();
    assert_eq!(room(&listener, 100), 4); // Linux's own count: one more than was asked for
}

#[test]
fn a_backlog_is_longer_than_stds_unless_it_was_asked_for() {
    let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    let most: usize = most.trim().parse().unwrap();
    let listener = ListenOptions::new().bind("127.0.0.1:0").unwrap();
    assert_eq!(room(&listener, most.min(200)), most.min(200));
}

#[test]
fn an_ipv6_listener_leaves_ipv4_alone_if_it_is_told_to() {
    let only_v6 = |options: ListenOptions| {
        let listener = options.bind("[::1]:0").unwrap();
        SockRef::from(&listener).only_v6().unwrap()
    };
    assert!(only_v6(ListenOptions::new().only_v6()));
    let default = net::TcpListener::bind("[::1]:0").unwrap();
    assert_eq!(only_v6(ListenOptions::new()), SockRef::from(&default).only_v6().unwrap());
    // It says nothing about IPv4.
    ListenOptions::new().only_v6().bind("127.0.0.1:0").unwrap();
}

#[test]
fn the_first_address_that_works_is_the_one() {
    let free = "127.0.0.1:0".parse().unwrap();
    let foreign = "192.0.2.1:0".parse().unwrap(); // nobody has this one (RFC 5737)
    let listener = ListenOptions::new().bind(&[foreign, free][..]).unwrap();
    assert_eq!(listener.local_addr().unwrap().ip(), free.ip());
    let error = ListenOptions::new().bind(foreign).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    let none: &[SocketAddr] = &[];
    assert_eq!(ListenOptions::new().bind(none).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_listener_with_options_parks_its_task_and_not_the_thread() {
    giambio::run(|| {
        let listener = ListenOptions::default().bind("127.0.0.1:0").unwrap();
        let late = giambio::with_timeout(ms(10), |_| listener.accept());
        assert!(late.is_err());
        let in_time = giambio::with_timeout(secs(60), |pool| {
            pool.spawn(|| TcpStream::connect(listener.local_addr().unwrap()).unwrap());
            listener.accept().unwrap();
        });
        assert!(in_time.is_ok());
    });
}
