//! Names: what stands for an address, and who looks it up.

use crate::Log;
use crate::raised;
use crate::secs;
use crate::tcp::Refusing;
use crate::unwind::assert_given_up;
use crate::unwind::both;
use crate::unwind::in_destructor;
use giambio::Builder;
use giambio::cancellable;
use giambio::clock;
use giambio::net::Family;
use giambio::net::IpAddr;
use giambio::net::Ipv4Addr;
use giambio::net::Ipv6Addr;
use giambio::net::Resolver;
use giambio::net::SocketAddr;
use giambio::net::SocketAddrV4;
use giambio::net::SocketAddrV6;
use giambio::net::SystemResolver;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::net::ToSocketAddrs;
use giambio::net::with_resolver;
use giambio::pool;
use giambio::sleep;
use giambio::task;
use giambio::testing;
use giambio::testing::run_virtual;
use giambio::unblock;
use giambio::yield_now;
use std::io;
use std::io::ErrorKind;
use std::net;
use std::rc::Rc;
use std::sync::mpsc;

/// Knows one host, takes a second for each lookup, and notes what it was asked.
#[derive(Clone)]
pub(crate) struct OneHost {
    name: &'static str,
    addrs: Vec<SocketAddr>,
    pub(crate) asked: Rc<Log>,
}

impl OneHost {
    pub(crate) fn new(name: &'static str, addrs: &[SocketAddr]) -> Self {
        Self { name, addrs: addrs.into(), asked: Rc::default() }
    }
}

impl Resolver for OneHost {
    fn resolve(&self, host: &str, port: u16, family: Family) -> io::Result<Vec<SocketAddr>> {
        self.asked.add(format!("{host} {port} {family:?}"));
        sleep(secs(1));
        if host != self.name {
            return Err(io::Error::new(ErrorKind::NotFound, format!("who is {host}?")));
        }
        let asked_for = |addr: &SocketAddr| match family {
            Family::Any => true,
            Family::V4 => addr.is_ipv4(),
            Family::V6 => addr.is_ipv6(),
        };
        Ok(self.addrs.iter().copied().filter(asked_for).collect())
    }
}

/// Says the same about every name, at once.
pub(crate) struct Always(pub(crate) Vec<SocketAddr>);

impl Resolver for Always {
    fn resolve(&self, _: &str, _: u16, _: Family) -> io::Result<Vec<SocketAddr>> {
        Ok(self.0.clone())
    }
}

/// Fails every test in which a name is looked up.
struct NotAsked;

impl Resolver for NotAsked {
    fn resolve(&self, host: &str, _: u16, _: Family) -> io::Result<Vec<SocketAddr>> {
        panic!("`{host}` was looked up")
    }
}

/// A private address.
pub(crate) fn v4(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 80))
}

/// What a conversion says, in a form that can be compared.
type Said = Result<Vec<SocketAddr>, (ErrorKind, String)>;

fn said(result: io::Result<impl Iterator<Item = SocketAddr>>) -> Said {
    result.map(Iterator::collect).map_err(|error| (error.kind(), error.to_string()))
}

/// Compares our conversion of a value with std's, outside of tasks and inside.
#[track_caller]
fn as_in_std<A: ToSocketAddrs + net::ToSocketAddrs + ?Sized>(value: &A) {
    let std = said(net::ToSocketAddrs::to_socket_addrs(value));
    assert_eq!(said(ToSocketAddrs::to_socket_addrs(value)), std);
    let inside = giambio::run(|| said(ToSocketAddrs::to_socket_addrs(value)));
    assert_eq!(inside, std);
}

/// As `as_in_std`, for what has to come without a lookup.
#[track_caller]
fn numeric_as_in_std<A: ToSocketAddrs + net::ToSocketAddrs + ?Sized>(value: &A) {
    with_resolver(NotAsked, || as_in_std(value));
}

#[test]
fn smoke() {
    run_virtual(|| {
        let host = OneHost::new("a.test", &[v4(1), v4(2)]);
        let start = clock();
        let addrs = with_resolver(host.clone(), || "a.test:80".to_socket_addrs().unwrap());
        assert_eq!(addrs.collect::<Vec<_>>(), [v4(1), v4(2)]);
        assert_eq!(clock() - start, secs(1));
        host.asked.assert(&["a.test 80 Any"]);
    });
}

#[test]
fn what_std_implements_its_trait_for_implements_ours_and_says_the_same() {
    let (ip4, ip6) = (Ipv4Addr::new(10, 0, 0, 7), Ipv6Addr::LOCALHOST);
    numeric_as_in_std(&v4(1));
    numeric_as_in_std(&SocketAddr::new(ip6.into(), 80));
    numeric_as_in_std(&SocketAddrV4::new(ip4, 80));
    numeric_as_in_std(&SocketAddrV6::new(ip6, 80, 1, 2));
    numeric_as_in_std(&(IpAddr::from(ip4), 80));
    numeric_as_in_std(&(IpAddr::from(ip6), 80));
    numeric_as_in_std(&(ip4, 80));
    numeric_as_in_std(&(ip6, 80));
    numeric_as_in_std(&("10.0.0.7", 80));
    numeric_as_in_std(&("::1", 80));
    numeric_as_in_std(&(String::from("10.0.0.7"), 80));
    numeric_as_in_std("10.0.0.7:80");
    numeric_as_in_std("[fe80::1%3]:80");
    numeric_as_in_std(&String::from("[::1]:80"));
    numeric_as_in_std(&&[v4(1), v4(2)][..]);
    numeric_as_in_std(&&[][..]);
    numeric_as_in_std(&&&"10.0.0.7:80");
}

#[test]
fn their_iterators_are_stds() {
    fn same<A: ToSocketAddrs<Iter = I> + net::ToSocketAddrs<Iter = I> + ?Sized, I>() {}
    same::<SocketAddr, _>();
    same::<SocketAddrV4, _>();
    same::<SocketAddrV6, _>();
    same::<(IpAddr, u16), _>();
    same::<(Ipv4Addr, u16), _>();
    same::<(Ipv6Addr, u16), _>();
    same::<(&str, u16), _>();
    same::<(String, u16), _>();
    same::<str, _>();
    same::<String, _>();
    same::<&[SocketAddr], _>();
    same::<&&str, _>();
}

#[test]
fn texts_that_are_no_addresses_fail_as_in_std() {
    let texts =
        ["", "host", "10.0.0.7", "[::1]", "host:", "host:x", "host:65536", "host:-1", "[::1]:"];
    for text in texts {
        numeric_as_in_std(text);
        numeric_as_in_std(&String::from(text));
    }
    let error = "host".to_socket_addrs().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn names_that_the_system_can_answer_for_by_itself_are_as_in_std() {
    for name in ["localhost", "127.1", "", "nul\0", "[::1]", "::1%lo"] {
        as_in_std(&(name, 80));
        as_in_std(&(String::from(name), 80));
        as_in_std(&format!("{name}:80"));
    }
}

#[test]
fn numeric_hosts_are_not_looked_up() {
    with_resolver(NotAsked, || {
        run_virtual(|| {
            // std asks the system for this one, which answers the same.
            assert_eq!(said("::1:80".to_socket_addrs()), said("[::1]:80".to_socket_addrs()));
            testing::assert_no_switch(|| ("10.0.0.7", 80).to_socket_addrs().map(drop)).unwrap();
            TcpListener::bind("127.0.0.1:0").unwrap();
            TcpListener::bind(("::ffff:127.0.0.1", 0)).unwrap();
            let refusing = Refusing::new().addr();
            let port = refusing.port();
            let kind = |result: io::Result<TcpStream>| result.unwrap_err().kind();
            assert_eq!(kind(TcpStream::connect(refusing)), ErrorKind::ConnectionRefused);
            assert_eq!(kind(TcpStream::connect(("127.0.0.1", port))), ErrorKind::ConnectionRefused);
            let text = refusing.to_string();
            assert_eq!(kind(TcpStream::connect(text)), ErrorKind::ConnectionRefused);
        });
    });
}

#[test]
fn no_address_at_all_fails_as_in_std() {
    let none: &[SocketAddr] = &[];
    let ours = TcpStream::connect(none).unwrap_err();
    let std = net::TcpStream::connect(none).unwrap_err();
    assert_eq!((ours.kind(), ours.to_string()), (std.kind(), std.to_string()));
    let ours = TcpListener::bind(none).unwrap_err();
    let std = net::TcpListener::bind(none).unwrap_err();
    assert_eq!((ours.kind(), ours.to_string()), (std.kind(), std.to_string()));
}

#[test]
fn the_resolvers_errors_come_through() {
    run_virtual(|| {
        with_resolver(OneHost::new("a.test", &[]), || {
            let errors = [
                "b.test:80".to_socket_addrs().unwrap_err(),
                TcpListener::bind("b.test:80").unwrap_err(),
                TcpStream::connect("b.test:80").unwrap_err(),
            ];
            for error in errors {
                assert_eq!(error.kind(), ErrorKind::NotFound);
                assert_eq!(error.to_string(), "who is b.test?");
            }
            let error = TcpStream::connect("a.test:80").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        });
    });
}

#[test]
fn every_lookup_is_a_checkpoint_whoever_answers() {
    run_virtual(|| {
        with_resolver(Always(Vec::new()), || {
            testing::assert_checkpoint(|| "a.test:80".to_socket_addrs().unwrap());
            testing::assert_checkpoint(|| TcpListener::bind("a.test:80").unwrap_err());
            testing::assert_checkpoint(|| TcpStream::connect("a.test:80").unwrap_err());
        });
        cancellable(|scope| {
            scope.cancel();
            TcpListener::bind("127.0.0.1:0").unwrap(); // this is none
            assert!(raised(|| with_resolver(NotAsked, || "a.test:80".to_socket_addrs())));
        });
    });
}

#[test]
fn while_a_task_unwinds_it_looks_nothing_up() {
    both(|passing| {
        let look_up = || with_resolver(NotAsked, || "a.test:80".to_socket_addrs());
        assert_given_up(in_destructor(passing, look_up));
        let addr = in_destructor(passing, || "127.0.0.1:80".to_socket_addrs()).unwrap().next();
        assert_eq!(addr, "127.0.0.1:80".parse().ok());
    });
}

#[test]
fn where_nothing_may_unwind_a_lookup_is_waited_for_and_then_given_up() {
    run_virtual(|| {
        let start = clock();
        let end = cancellable(|scope| {
            scope.spawn(|| scope.cancel());
            let look_up = || ("a.test", 80).to_socket_addrs();
            let host = OneHost::new("a.test", &[v4(1)]);
            assert_given_up(task::no_unwind(|| with_resolver(host, look_up)));
            assert_eq!(clock() - start, secs(1));
            assert_given_up(task::no_unwind(|| with_resolver(NotAsked, look_up)));
            yield_now();
        });
        assert!(end.is_none(), "it was cancelled");
    });
}

#[test]
fn a_resolver_holds_for_its_scope_and_for_the_tasks_that_are_spawned_in_it() {
    let first = |host: &str| (host, 80).to_socket_addrs().map(|mut addrs| addrs.next());
    run_virtual(|| {
        pool(|pool| {
            with_resolver(OneHost::new("a.test", &[v4(1)]), || {
                let child = pool.spawn(move || first("a.test").unwrap());
                with_resolver(OneHost::new("a.test", &[v4(2)]), || {
                    let child = pool.spawn(move || first("a.test").unwrap());
                    assert_eq!(first("a.test").unwrap(), Some(v4(2)));
                    assert_eq!(child.join().unwrap(), Some(v4(2)));
                });
                assert_eq!(first("a.test").unwrap(), Some(v4(1)));
                assert_eq!(child.join().unwrap(), Some(v4(1)));
            });
        });
    });
}

#[test]
fn without_a_resolver_of_ones_own_the_system_is_asked() {
    giambio::run(|| {
        let addrs =
            with_resolver(NotAsked, || with_resolver(SystemResolver, || resolve("localhost")));
        assert_eq!(addrs, resolve("localhost"));
        assert!(addrs.iter().all(|addr| addr.ip().is_loopback()));
    });
}

fn resolve(host: &str) -> Vec<SocketAddr> {
    (host, 80).to_socket_addrs().unwrap().collect()
}

#[test]
fn a_resolver_may_be_bound_outside_of_run_and_holds_inside() {
    with_resolver(OneHost::new("a.test", &[v4(1)]), || {
        assert_eq!(run_virtual(|| resolve("a.test")), [v4(1)]);
    });
}

#[test]
fn the_system_is_asked_for_one_family_at_a_time_too() {
    for ask in [ask_system, |host: &str, family| giambio::run(|| ask_system(host, family))] {
        let both = ask("localhost", Family::Any).unwrap();
        let v4 = ask("localhost", Family::V4).unwrap();
        assert_eq!(v4, [SocketAddr::from(([127, 0, 0, 1], 80))]);
        assert!(both.contains(&v4[0]));
        // Not every machine has one.
        for addr in ask("localhost", Family::V6).into_iter().flatten() {
            assert_eq!(addr, SocketAddr::from((Ipv6Addr::LOCALHOST, 80)));
        }
        let scoped = ask("fe80::1%1", Family::V6).unwrap();
        let SocketAddr::V6(scoped) = scoped[0] else { panic!("{scoped:?}") };
        assert_eq!((scoped.scope_id(), scoped.port()), (1, 80));
    }
}

fn ask_system(host: &str, family: Family) -> io::Result<Vec<SocketAddr>> {
    SystemResolver.resolve(host, 80, family)
}

#[test]
fn the_systems_refusals_are_worded_as_in_std() {
    // The system finds out by itself that these are not of that family.
    for (host, family) in [("127.0.0.1", Family::V6), ("::1", Family::V4)] {
        let error = ask_system(host, family).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("failed to lookup address information: "), "{text}");
        assert_eq!(error.kind(), ErrorKind::Other);
    }
    let error = ask_system("nul\0", Family::V4).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn others_run_while_a_helper_is_to_look_up_a_name() {
    for family in [Family::Any, Family::V4] {
        let (open, gate) = mpsc::channel();
        // The only helper has something else to do first.
        let mut runtime = Builder::new().helper_threads(1).build().unwrap();
        runtime.run(|| {
            pool(|pool| {
                pool.spawn(|| unblock(move || gate.recv().unwrap()));
                let looks_up = pool.spawn(|| ask_system("localhost", family));
                for _ in 0..10 {
                    yield_now();
                }
                assert!(!looks_up.is_finished());
                open.send(()).unwrap();
                assert!(!looks_up.join().unwrap().unwrap().is_empty());
            });
        });
    }
}

#[test]
fn a_lookup_that_is_cut_is_not_waited_for() {
    giambio::run(|| {
        // `invalid` is nobody's by RFC 6761. Name servers that cannot be reached are waited for for
        // at least 5 s; where there are none, the answer may be there before the cut.
        let start = clock();
        pool(|pool| {
            let looks_up = pool.spawn(|| ask_system("giambio.invalid", Family::Any));
            yield_now(); // it has begun
            looks_up.cancel();
            match looks_up.join() {
                Ok(answer) => drop(answer.unwrap_err()),
                Err(error) => assert!(error.is_cancelled()),
            }
        });
        assert!(clock() - start < secs(4));
    });
}
