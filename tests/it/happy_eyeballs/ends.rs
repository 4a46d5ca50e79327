//! How a race ends: what is closed, what the error tells; and where there is none.

use super::Host;
use super::Outcome::CancelsItself;
use super::Outcome::Fails;
use super::Outcome::Panics;
use super::Outcome::Works;
use super::Outcome::WorksStubbornly;
use super::REFUSED;
use super::Script;
use super::addr;
use super::attempts_of;
use super::connect_to;
use super::expect;
use super::v4_only;
use crate::ms;
use crate::panic_of;
use crate::raised;
use crate::unwind::OnDrop;
use crate::unwind::Passing;
use crate::unwind::assert_given_up;
use crate::unwind::both;
use crate::unwind::in_destructor;
use giambio::cancellable;
use giambio::net::HappyEyeballs;
use giambio::net::with_resolver;
use giambio::pool;
use giambio::sleep;
use giambio::sync::Event;
use giambio::task;
use giambio::testing::cancelled_at_every_checkpoint;
use giambio::testing::run_virtual;
use giambio::yield_now;
use std::cell::Cell;
use std::io;
use std::io::ErrorKind;
use std::rc::Rc;

#[test]
fn the_failure_of_a_single_address_is_told_as_it_is() {
    run_virtual(|| {
        let (host, result) = v4_only(&[("1.2.3.4", 123, REFUSED)]).connect();
        assert_eq!(attempts_of(&host), ["0 try 1.2.3.4", "123 failed"]);
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(error.to_string(), "1.2.3.4 says no");
    });
}

#[test]
fn the_systems_error_of_a_single_address_keeps_its_number() {
    run_virtual(|| {
        let host = Rc::new(v4_only(&[("1.2.3.4", 0, Works)]));
        let refuse = |_| Err::<(), _>(io::Error::from_raw_os_error(libc::ECONNREFUSED));
        let connect = || HappyEyeballs::new().connect_by("a.test", 80, refuse);
        let error = with_resolver(Script(host), connect).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
    });
}

#[test]
fn if_all_fail_the_error_tells_of_each() {
    run_virtual(|| {
        let (host, result) = v4_only(&[
            ("1.1.1.1", 100, REFUSED),
            ("2.2.2.2", 200, Fails(ErrorKind::NetworkUnreachable)),
            ("3.3.3.3", 10_000, Fails(ErrorKind::TimedOut)),
            ("4.4.4.4", 250, REFUSED),
        ])
        .connect();
        let tries = ["0 try 1.1.1.1", "100 try 2.2.2.2", "300 try 3.3.3.3", "550 try 4.4.4.4"];
        assert_eq!(attempts_of(&host), [&tries[..], &["10300 failed"]].concat());
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "that of the last to fail");
        let tells = "no connection to a.test: 1.1.1.1:80: 1.1.1.1 says no; 2.2.2.2:80: 2.2.2.2 says no; \
                     4.4.4.4:80: 4.4.4.4 says no; 3.3.3.3:80: 3.3.3.3 says no";
        assert_eq!(error.to_string(), tells);
        let source = std::error::Error::source(&error).expect("a source");
        assert_eq!(source.to_string(), "3.3.3.3 says no");
        let last = source.downcast_ref::<io::Error>().expect("the error itself");
        assert_eq!(last.kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn a_host_without_addresses_is_an_invalid_input_as_in_std() {
    run_virtual(|| {
        let (host, result) = Host::new().connect();
        assert_eq!(attempts_of(&host), ["0 failed"]);
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), "could not resolve to any addresses");
    });
}

#[test]
fn the_failure_of_one_lookup_does_not_stop_the_other() {
    expect(
        || Host::new().v6_fails(10, "no AAAA").v4(30, &["1.1.1.1"]).at("1.1.1.1", 10, Works),
        &["0 ask V6", "0 ask V4", "30 try 1.1.1.1", "40 won 1.1.1.1"],
    );
    expect(
        || Host::new().v6(30, &["::1"]).v4_fails(10, "no A").at("::1", 10, Works),
        &["0 ask V6", "0 ask V4", "30 try ::1", "40 won ::1"],
    );
}

#[test]
fn if_both_lookups_fail_the_error_is_that_of_the_ipv4_one() {
    run_virtual(|| {
        for (v6, v4) in [(10, 20), (20, 10)] {
            let host = Host::new().v6_fails(v6, "no AAAA").v4_fails(v4, "no such host");
            let (host, result) = host.connect();
            host.log.assert(&["0 ask V6", "0 ask V4", "20 failed"]);
            assert_eq!(result.unwrap_err().to_string(), "no such host");
        }
        let (_, result) = Host::new().v6_fails(0, "no AAAA").connect();
        assert_eq!(result.unwrap_err().to_string(), "no AAAA", "IPv4 has answered with nothing");
    });
}

#[test]
fn a_connection_that_is_late_and_does_not_let_itself_be_cancelled_is_closed_first() {
    expect(
        || v4_only(&[("1.1.1.1", 1000, WorksStubbornly), ("2.2.2.2", 100, Works)]),
        &[
            "0 ask V6",
            "0 ask V4",
            "0 try 1.1.1.1",
            "250 try 2.2.2.2",
            "1000 close 1.1.1.1", // the winner has waited for it since 350
            "1000 won 2.2.2.2",
        ],
    );
}

#[test]
fn a_cancelled_attempt_leaves_nothing_open_wherever_it_is_cut() {
    run_virtual(|| {
        let checkpoints = cancelled_at_every_checkpoint(|cut| {
            let host = Host::new().v6(10, &["::1"]).v4(20, &["1.1.1.1", "2.2.2.2"]);
            let host = host.at("::1", 1000, Works).at("1.1.1.1", 100, REFUSED);
            let host = Rc::new(host.at("2.2.2.2", 10, Works));
            let result = cut.run(|| connect_to(&host, &HappyEyeballs::new()));
            let won = matches!(&result, Some(Ok(_)));
            assert_eq!(host.open.get(), usize::from(won));
            drop(result);
            assert_eq!(host.open.get(), 0);
        });
        assert!(checkpoints > 10, "{checkpoints}");
    });
}

#[test]
fn a_connector_that_panics_ends_the_others_first() {
    run_virtual(|| {
        let host = Rc::new(v4_only(&[("1.1.1.1", 1000, Works), ("2.2.2.2", 10, Panics)]));
        assert_eq!(panic_of(|| connect_to(&host, &HappyEyeballs::new())), "on purpose");
        let expected = ["0 try 1.1.1.1", "250 try 2.2.2.2", "260 cut 1.1.1.1"];
        assert_eq!(attempts_of(&host), expected);
    });
}

#[test]
fn an_attempt_that_is_cancelled_by_itself_counts_as_failed() {
    run_virtual(|| {
        let (host, result) =
            v4_only(&[("1.1.1.1", 10, CancelsItself), ("2.2.2.2", 10, Works)]).connect();
        let expected = ["0 try 1.1.1.1", "10 try 2.2.2.2", "20 won 2.2.2.2"];
        assert_eq!(attempts_of(&host), expected);
        drop(result);
        let (_, result) = v4_only(&[("1.1.1.1", 10, CancelsItself)]).connect();
        assert!(result.unwrap_err().to_string().contains("was cancelled"));
    });
}

#[test]
fn a_numeric_host_is_tried_by_the_calling_task_and_never_looked_up() {
    run_virtual(|| {
        let host = Rc::new(Host::new().at("1.1.1.1", 10, Works).at("::1", 10, Works));
        for ip in ["1.1.1.1", "::1"] {
            let me = task::current().id();
            let connector = |addr| {
                assert_eq!(task::current().id(), me);
                host.attempt(addr)
            };
            let connect = || HappyEyeballs::default().connect_by(ip, 80, connector);
            let connection = with_resolver(Script(Rc::clone(&host)), connect).unwrap();
            assert_eq!(connection.addr, addr(ip));
        }
        let expected = ["0 try 1.1.1.1", "10 close 1.1.1.1", "10 try ::1", "20 close ::1"];
        host.log.assert(&expected);
    });
}

#[test]
fn every_call_is_a_checkpoint() {
    run_virtual(|| {
        giambio::cancellable(|pool| {
            pool.cancel();
            for host in ["1.1.1.1", "a.test"] {
                let connect = |_| -> io::Result<()> { unreachable!("it was cancelled before") };
                assert!(raised(|| HappyEyeballs::new().connect_by(host, 80, connect)));
            }
        });
    });
}

/// The order in which a host's addresses are tried where there is no race: the resolver's.
const ONE_BY_ONE: &[&str] =
    &["0 ask Any", "0 try 1.1.1.1", "10 try 2.2.2.2", "20 try ::1", "30 won ::1"];

fn works_at_last() -> Rc<Host> {
    let host = Host::new().v6(0, &["::1"]).v4(0, &["1.1.1.1", "2.2.2.2"]);
    let host = host.at("1.1.1.1", 10, REFUSED).at("2.2.2.2", 10, REFUSED);
    Rc::new(host.at("::1", 10, Works))
}

#[test]
fn where_nothing_may_unwind_addresses_are_tried_in_the_resolvers_order() {
    run_virtual(|| {
        let host = works_at_last();
        task::no_unwind(|| connect_to(&host, &HappyEyeballs::new())).unwrap();
        assert_eq!(host.log.take()[..5], *ONE_BY_ONE);
    });
}

#[test]
fn while_the_task_unwinds_a_name_is_not_looked_up() {
    both(|passing| {
        let host = works_at_last();
        let connect = || connect_to(&host, &HappyEyeballs::new());
        assert_given_up(in_destructor(passing, connect));
        host.log.assert(&["0 failed"]);
    });
}

#[test]
fn where_nothing_may_unwind_a_cancelled_task_looks_nothing_up() {
    run_virtual(|| {
        let host = works_at_last();
        cancellable(|pool| {
            pool.cancel();
            let connect = || connect_to(&host, &HappyEyeballs::new());
            assert_given_up(task::no_unwind(connect));
        });
        host.log.assert(&["0 failed"]);
    });
}

#[test]
fn if_all_fail_one_by_one_the_error_tells_of_each_as_well() {
    run_virtual(|| {
        let host = Host::new().v6(0, &["::1"]).v4(0, &["1.1.1.1"]);
        let host =
            Rc::new(host.at("1.1.1.1", 10, REFUSED).at("::1", 10, Fails(ErrorKind::TimedOut)));
        let error = task::no_unwind(|| connect_to(&host, &HappyEyeballs::new())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let tells = "no connection to a.test: 1.1.1.1:80: 1.1.1.1 says no; [::1]:80: ::1 says no";
        assert_eq!(error.to_string(), tells);
    });
}

#[test]
fn a_cancellation_that_is_reported_ends_the_attempts_one_by_one() {
    run_virtual(|| {
        let host = works_at_last();
        let tried = Cell::new(0);
        let give_up = |_| {
            tried.set(tried.get() + 1);
            Err::<(), _>(io::Error::other(giambio::io::Cancelled))
        };
        let connect = || HappyEyeballs::new().connect_by("a.test", 80, give_up);
        assert_given_up(with_resolver(Script(host), || task::no_unwind(connect)));
        assert_eq!(tried.get(), 1);
    });
}

#[test]
fn inside_of_no_switch_what_would_switch_is_named() {
    run_virtual(|| {
        let connect = || HappyEyeballs::new().connect_by("a.test", 80, |_| Ok(()));
        let panic = panic_of(|| {
            with_resolver(Script(works_at_last()), || {
                task::no_switch(|| {
                    connect().unwrap(); // asks for all at once, which takes no time
                    let slow = Rc::new(v4_only(&[("1.1.1.1", 10, Works)]));
                    connect_to(&slow, &HappyEyeballs::new())
                })
            })
        });
        assert!(panic.starts_with("`sleep` would switch"), "{panic}");
    });
}

#[test]
fn outside_of_run_addresses_are_tried_in_the_resolvers_order() {
    let host = Host::new().v6(0, &["::1"]).v4(0, &["1.1.1.1", "2.2.2.2"]);
    let host = host.at("1.1.1.1", 0, REFUSED).at("2.2.2.2", 0, REFUSED);
    let host = Rc::new(host.at("::1", 0, Works));
    connect_to(&host, &HappyEyeballs::new()).unwrap();
    let log: Vec<_> = host.log.take();
    let what = log.iter().map(|line| line.split_once(' ').unwrap().1);
    let expected = ["ask Any", "try 1.1.1.1", "try 2.2.2.2", "try ::1", "won ::1", "close ::1"];
    assert!(what.eq(expected), "{log:?}");
}

#[test]
fn a_race_that_is_cancelled_between_two_waits_is_cut_beside_an_unwind_too() {
    run_virtual(|| {
        let host = Rc::new(Host::new().v6(10, &[]).v4(20, &["1.1.1.1"]));
        let event = Event::new();
        pool(|pool| {
            let connects = pool.spawn(|| connect_to(&host, &HappyEyeballs::new()));
            pool.spawn(|| {
                let _waits = OnDrop::new(|| event.wait());
                Passing::Cancellation.begin()
            });
            yield_now(); // both have begun
            yield_now(); // the lookups as well
            sleep(ms(10)); // and the first answer is on its way
            connects.cancel();
            let end = connects.join();
            event.trigger(()).unwrap();
            assert!(end.unwrap_err().is_cancelled());
        });
        host.log.assert(&["0 ask V6", "0 ask V4"]); // and nothing was tried
    });
}

#[test]
fn beside_an_unwind_addresses_are_tried_in_the_resolvers_order() {
    run_virtual(|| {
        let (host, event) = (works_at_last(), Event::new());
        pool(|pool| {
            pool.spawn(|| {
                let _waits = OnDrop::new(|| event.wait());
                Passing::Cancellation.begin()
            });
            yield_now();
            connect_to(&host, &HappyEyeballs::new()).unwrap();
            event.trigger(()).unwrap();
        });
        assert_eq!(host.log.take()[..5], *ONE_BY_ONE);
    });
}
