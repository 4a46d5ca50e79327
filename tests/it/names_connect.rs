//! Names: what `connect` and `bind` make of them.

use crate::ms;
use crate::names::Always;
use crate::names::OneHost;
use crate::names::v4;
use crate::secs;
use crate::tcp::Refusing;
use giambio::clock;
use giambio::debug::Debugger;
use giambio::debug::TaskRef;
use giambio::debug::WaitReason;
use giambio::net::Family;
use giambio::net::Ipv6Addr;
use giambio::net::Resolver;
use giambio::net::SocketAddr;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::net::with_resolver;
use giambio::pool;
use giambio::skip_after;
use giambio::sleep;
use giambio::testing;
use giambio::testing::run_virtual;
use std::cell::RefCell;
use std::io;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net;
use std::sync::Arc;
use std::sync::Mutex;

#[test]
fn a_name_is_bound_to_the_first_of_its_addresses_that_works() {
    run_virtual(|| {
        let socket = Refusing::new();
        let taken = socket.addr();
        let other = SocketAddr::from(([127, 0, 0, 2], taken.port()));
        let host = OneHost::new("a.test", &[taken, other]);
        let listener = with_resolver(host.clone(), || TcpListener::bind("a.test:80")).unwrap();
        assert_eq!(listener.local_addr().unwrap(), other);
        host.asked.assert(&["a.test 80 Any"]);
    });
}

/// A listener on IPv4's loopback address, and what resolves `a.test` to it behind an IPv6 address at
/// which nobody listens.
fn half_dead() -> (net::TcpListener, OneHost) {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let dead = SocketAddr::from((Ipv6Addr::LOCALHOST, addr.port()));
    (listener, OneHost::new("a.test", &[dead, addr]))
}

#[test]
fn connect_to_a_name_asks_for_both_families_and_takes_the_address_that_works() {
    run_virtual(|| {
        let (listener, host) = half_dead();
        let (addr, start) = (listener.local_addr().unwrap(), clock());
        let names = [format!("a.test:{}", addr.port()), format!("a.test:{}", addr.port())];
        with_resolver(host.clone(), || {
            let streams = [
                TcpStream::connect(names[0].as_str()).unwrap(),
                TcpStream::connect(&names[1]).unwrap(),
                TcpStream::connect(("a.test", addr.port())).unwrap(),
                TcpStream::connect((String::from("a.test"), addr.port())).unwrap(),
            ];
            for stream in &streams {
                assert_eq!(stream.peer_addr().unwrap(), addr);
            }
        });
        assert_eq!(clock() - start, secs(4), "a second for each lookup, and nothing else");
        let asked = ["V6", "V4"].map(|family| format!("a.test {} {family}", addr.port()));
        assert_eq!(host.asked.take(), [&asked[..]; 4].concat());
    });
}

#[test]
fn connect_to_a_list_tries_it_in_its_order_and_tells_the_last_error_as_std_does() {
    run_virtual(|| {
        let (listener, _) = half_dead();
        let (works, dead) = (listener.local_addr().unwrap(), Refusing::new().addr());
        let stream = TcpStream::connect(&[dead, works][..]).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), works);
        let away = SocketAddr::from(([127, 0, 0, 1], 0)); // no port to connect to
        let error = TcpStream::connect(&[away, dead][..]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
    });
}

#[test]
fn connect_to_localhost_finds_who_listens_on_one_of_its_addresses() {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let connect = || TcpStream::connect(("localhost", port)).unwrap().peer_addr().unwrap();
    assert_eq!(connect(), listener.local_addr().unwrap());
    assert_eq!(giambio::run(connect), listener.local_addr().unwrap());
}

#[test]
fn connect_to_a_port_of_localhost_where_nobody_listens_is_refused() {
    let refusing = Refusing::new();
    let connect = || TcpStream::connect(("localhost", refusing.addr().port())).unwrap_err();
    for error in [connect(), giambio::run(connect)] {
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let text = error.to_string();
        assert!(text.contains("refused"), "{text}");
        // Of a single address as it is; of several, each is named.
        let named = text.contains(&refusing.addr().to_string());
        assert_eq!(named, error.raw_os_error().is_none(), "{text}");
    }
}

#[test]
fn a_deadline_reaches_connect_to_a_name() {
    run_virtual(|| {
        let (listener, host) = half_dead();
        let port = listener.local_addr().unwrap().port();
        let connect = || with_resolver(host, || TcpStream::connect(("a.test", port)));
        let start = clock();
        assert!(skip_after(ms(300), |_| connect()).is_none());
        assert_eq!(clock() - start, ms(300));
    });
}

#[test]
fn a_connection_that_loses_the_race_is_closed() {
    // What Go's TestDialParallelSpuriousConnection asks of real connections.
    let listeners =
        ["127.0.0.1:0", "127.0.0.1:0"].map(|addr| net::TcpListener::bind(addr).unwrap());
    let addrs = listeners.each_ref().map(|listener| listener.local_addr().unwrap());
    giambio::run(|| {
        let turn = RefCell::new(addrs.iter().rev());
        let slow_first = |_| {
            let addr = *turn.borrow_mut().next().expect("two are tried");
            let stream = TcpStream::connect(addr)?;
            if addr == addrs[1] {
                giambio::shield(|| sleep(ms(100)));
            }
            Ok(stream)
        };
        let host = Always(vec![v4(1), v4(2)]);
        let eyeballs = giambio::net::HappyEyeballs::new().attempt_delay(ms(10));
        let connect = || eyeballs.connect_by("a.test", 80, slow_first);
        let mut won = with_resolver(host, connect).unwrap();
        assert_eq!(won.peer_addr().unwrap(), addrs[0]);
        let [mut winner, mut loser] = listeners.map(|listener| listener.accept().unwrap().0);
        assert_eq!(loser.read(&mut [0]).unwrap(), 0, "the end, and no data");
        won.write_all(b"x").unwrap();
        assert_eq!(winner.read(&mut [0]).unwrap(), 1);
    });
}

#[test]
fn who_connects_to_a_name_says_what_it_waits_for() {
    #[derive(Clone, Default)]
    struct Reasons(Arc<Mutex<Vec<String>>>);
    impl Debugger for Reasons {
        fn before_park(&self, _: &TaskRef, reason: WaitReason) {
            self.0.lock().unwrap().push(reason.to_string());
        }
    }
    let reasons = Reasons::default();
    testing::builder().debugger(reasons.clone()).build().unwrap().run(|| {
        let host = OneHost::new("a.test", &[]);
        with_resolver(host, || TcpStream::connect("a.test:80")).unwrap_err();
    });
    let reasons = reasons.0.lock().unwrap();
    assert_eq!(reasons[0], "waits for one of a host's addresses to answer");
}

#[test]
fn a_resolver_may_open_connections_to_names_itself() {
    struct Asks(SocketAddr);
    impl Resolver for Asks {
        fn resolve(&self, _: &str, _: u16, family: Family) -> io::Result<Vec<SocketAddr>> {
            let connect = || TcpStream::connect(("ns.test", self.0.port()));
            let mut stream = with_resolver(Always(vec![self.0]), connect)?;
            stream.write_all(&[u8::from(family == Family::V4)])?;
            let mut ip = Vec::new();
            stream.read_to_end(&mut ip)?;
            let ip = <[u8; 4]>::try_from(ip.as_slice()).ok();
            Ok(ip.map(|ip| SocketAddr::from((ip, self.0.port()))).into_iter().collect())
        }
    }
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = server.local_addr().unwrap();
    giambio::run(|| {
        pool(|pool| {
            pool.spawn_daemon(|| {
                for stream in server.incoming() {
                    let (mut stream, mut asks) = (stream.unwrap(), [0]);
                    if stream.read(&mut asks).unwrap() == 1 && asks == [1] {
                        stream.write_all(&[127, 0, 0, 1]).unwrap();
                    }
                }
            });
            let connect = || TcpStream::connect(("a.test", addr.port()));
            let stream = with_resolver(Asks(addr), connect).unwrap();
            assert_eq!(stream.peer_addr().unwrap(), addr);
        });
    });
}
