//! Which address is tried when, and who wins. libdill's twelve cases come first.

use super::Host;
use super::Outcome::Fails;
use super::Outcome::Works;
use super::REFUSED;
use super::attempts_of;
use super::connect_to;
use super::expect;
use super::v4_only;
use crate::ms;
use crate::secs;
use giambio::net::HappyEyeballs;
use giambio::skip_after;
use giambio::testing::run_virtual;
use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;

#[test]
fn a_host_with_an_ipv6_address_is_connected_to_at_once() {
    expect(
        || Host::new().v6(10, &["2001::1"]).v4(10, &[]).at("2001::1", 10, Works),
        &["0 ask V6", "0 ask V4", "10 try 2001::1", "20 won 2001::1"],
    );
}

#[test]
fn a_host_without_ipv6_pays_no_delay() {
    expect(
        || Host::new().v6(10, &[]).v4(10, &["192.168.0.1"]).at("192.168.0.1", 10, Works),
        &["0 ask V6", "0 ask V4", "10 try 192.168.0.1", "20 won 192.168.0.1"],
    );
}

#[test]
fn a_slow_ipv4_lookup_is_not_waited_for() {
    expect(
        || Host::new().v6(10, &["2001::1"]).v4(100, &[]).at("2001::1", 10, Works),
        &["0 ask V6", "0 ask V4", "10 try 2001::1", "20 cut V4", "20 won 2001::1"],
    );
}

#[test]
fn a_slow_ipv6_lookup_is_waited_for_as_long_as_the_resolution_delay() {
    expect(
        || Host::new().v6(100, &[]).v4(10, &["192.168.0.1"]).at("192.168.0.1", 10, Works),
        &["0 ask V6", "0 ask V4", "60 try 192.168.0.1", "70 cut V6", "70 won 192.168.0.1"],
    );
}

#[test]
fn ipv6_goes_first_if_it_comes_within_the_resolution_delay() {
    expect(
        || Host::new().v6(30, &["2001::1"]).v4(10, &["192.168.0.1"]).at("2001::1", 10, Works),
        &["0 ask V6", "0 ask V4", "30 try 2001::1", "40 won 2001::1"],
    );
}

#[test]
fn ipv4_goes_first_if_ipv6_comes_too_late() {
    expect(
        || {
            let host = Host::new().v6(100, &["2001::1"]).v4(10, &["192.168.0.1"]);
            host.at("192.168.0.1", 100, Works)
        },
        &["0 ask V6", "0 ask V4", "60 try 192.168.0.1", "160 won 192.168.0.1"],
    );
}

#[test]
fn ipv6_is_used_whenever_it_comes_first() {
    expect(
        || Host::new().v6(100, &["2001::1"]).v4(200, &["192.168.0.1"]).at("2001::1", 10, Works),
        &["0 ask V6", "0 ask V4", "100 try 2001::1", "110 cut V4", "110 won 2001::1"],
    );
}

#[test]
fn a_deadline_within_the_resolution_delay_cuts_the_lookups() {
    a_deadline_cuts_the_lookups(30);
}

#[test]
fn a_deadline_after_the_resolution_delay_cuts_the_lookups() {
    a_deadline_cuts_the_lookups(100);
}

fn a_deadline_cuts_the_lookups(timeout: u64) {
    run_virtual(|| {
        let host = Rc::new(Host::new().v6(1000, &[]).v4(1000, &[]));
        assert!(skip_after(ms(timeout), |_| connect_to(&host, &HappyEyeballs::new())).is_none());
        let cut = ["cut V6", "cut V4"].map(|cut| format!("{timeout} {cut}"));
        host.log.assert(&["0 ask V6", "0 ask V4", &cut[0], &cut[1]]);
    });
}

#[test]
fn families_alternate_and_a_deadline_cuts_every_attempt() {
    run_virtual(|| {
        let host = Host::new().v6(10, &["2001::1", "2001::2"]);
        let host = host.v4(20, &["192.168.0.1", "192.168.0.2"]);
        let host = host.at("2001::1", 2000, Works).at("192.168.0.1", 2000, Works);
        let host = Rc::new(host.at("2001::2", 2000, Works));
        assert!(skip_after(ms(700), |_| connect_to(&host, &HappyEyeballs::new())).is_none());
        host.log.assert(&[
            "0 ask V6",
            "0 ask V4",
            "10 try 2001::1",
            "260 try 192.168.0.1",
            "510 try 2001::2",
            "700 cut 2001::1",
            "700 cut 192.168.0.1",
            "700 cut 2001::2",
        ]);
    });
}

#[test]
fn late_ipv6_addresses_take_their_turns() {
    expect(
        || {
            let host = Host::new().v6(400, &["2001::1", "2001::2", "2001::3"]);
            let host = host.v4(10, &["192.168.0.1", "192.168.0.2", "192.168.0.3"]);
            let host = host.at("192.168.0.1", 2000, Works).at("192.168.0.2", 2000, Works);
            host.at("2001::1", 2000, Works).at("192.168.0.3", 50, Works)
        },
        &[
            "0 ask V6",
            "0 ask V4",
            "60 try 192.168.0.1",
            "310 try 192.168.0.2",
            "560 try 2001::1",
            "810 try 192.168.0.3",
            "860 cut 192.168.0.1",
            "860 cut 192.168.0.2",
            "860 cut 2001::1",
            "860 won 192.168.0.3",
        ],
    );
}

#[test]
fn late_ipv4_addresses_take_their_turns() {
    expect(
        || {
            let host = Host::new().v6(10, &["2001::1", "2001::2", "2001::3"]);
            let host = host.v4(400, &["192.168.0.1", "192.168.0.2", "192.168.0.3"]);
            let host = host.at("2001::1", 2000, Works).at("2001::2", 2000, Works);
            host.at("192.168.0.1", 2000, Works).at("2001::3", 50, Works)
        },
        &[
            "0 ask V6",
            "0 ask V4",
            "10 try 2001::1",
            "260 try 2001::2",
            "510 try 192.168.0.1",
            "760 try 2001::3",
            "810 cut 2001::1",
            "810 cut 2001::2",
            "810 cut 192.168.0.1",
            "810 won 2001::3",
        ],
    );
}

#[test]
fn a_single_address_has_all_the_time_that_it_needs() {
    run_virtual(|| {
        let (host, result) = v4_only(&[("1.2.3.4", 100_000, Works)]).connect();
        assert_eq!(attempts_of(&host), ["0 try 1.2.3.4", "100000 won 1.2.3.4"]);
        drop(result);
    });
}

#[test]
fn slow_attempts_go_on_beside_later_ones() {
    run_virtual(|| {
        let host =
            v4_only(&[("1.1.1.1", 1000, Works), ("2.2.2.2", 1000, Works), ("3.3.3.3", 200, Works)]);
        let (host, result) = host.connect();
        let tries = ["0 try 1.1.1.1", "250 try 2.2.2.2", "500 try 3.3.3.3"];
        let end = ["700 cut 1.1.1.1", "700 cut 2.2.2.2", "700 won 3.3.3.3"];
        assert_eq!(attempts_of(&host), [tries, end].concat());
        drop(result);
    });
}

#[test]
fn what_is_not_needed_is_not_tried() {
    run_virtual(|| {
        let host =
            v4_only(&[("1.1.1.1", 1000, Works), ("2.2.2.2", 100, Works), ("3.3.3.3", 200, Works)]);
        let (host, result) = host.connect();
        let expected = ["0 try 1.1.1.1", "250 try 2.2.2.2", "350 cut 1.1.1.1", "350 won 2.2.2.2"];
        assert_eq!(attempts_of(&host), expected);
        drop(result);
    });
}

#[test]
fn the_attempt_delay_can_be_set() {
    run_virtual(|| {
        let host =
            v4_only(&[("1.1.1.1", 1000, Works), ("2.2.2.2", 1000, Works), ("3.3.3.3", 200, Works)]);
        let (host, result) = host.connect_with(&HappyEyeballs::new().attempt_delay(ms(450)));
        let tries = ["0 try 1.1.1.1", "450 try 2.2.2.2", "900 try 3.3.3.3"];
        let end = ["1000 cut 2.2.2.2", "1000 cut 3.3.3.3", "1000 won 1.1.1.1"];
        assert_eq!(attempts_of(&host), [tries, end].concat());
        drop(result);
    });
}

#[test]
fn the_resolution_delay_can_be_set() {
    run_virtual(|| {
        let host = Host::new().v6(500, &["2001::1"]).v4(10, &["192.168.0.1"]);
        let patient = HappyEyeballs::new().resolution_delay(secs(1));
        let (host, result) = host.at("2001::1", 10, Works).connect_with(&patient);
        host.log.assert(&["0 ask V6", "0 ask V4", "500 try 2001::1", "510 won 2001::1"]);
        drop(result);
    });
}

#[test]
fn a_failure_lets_the_next_address_be_tried_at_once() {
    run_virtual(|| {
        let (host, result) = v4_only(&[
            ("1.1.1.1", 100, REFUSED),
            ("2.2.2.2", 200, REFUSED),
            ("3.3.3.3", 10_000, Works),
            ("4.4.4.4", 250, Works),
        ])
        .connect();
        let tries = ["0 try 1.1.1.1", "100 try 2.2.2.2", "300 try 3.3.3.3", "550 try 4.4.4.4"];
        let end = ["800 cut 3.3.3.3", "800 won 4.4.4.4"];
        assert_eq!(attempts_of(&host), [&tries[..], &end].concat());
        drop(result);
    });
}

#[test]
fn the_failure_of_an_earlier_attempt_does_not_hurry_the_next() {
    run_virtual(|| {
        let (host, result) = v4_only(&[
            ("1.1.1.1", 300, REFUSED), // while the second is on its way
            ("2.2.2.2", 1000, Works),
            ("3.3.3.3", 10, Works),
        ])
        .connect();
        let tries = ["0 try 1.1.1.1", "250 try 2.2.2.2", "500 try 3.3.3.3"];
        assert_eq!(
            attempts_of(&host),
            [&tries[..], &["510 cut 2.2.2.2", "510 won 3.3.3.3"]].concat()
        );
        drop(result);
    });
}

#[test]
fn of_several_that_connect_at_the_same_time_one_wins_and_the_others_are_closed() {
    run_virtual(|| {
        let (host, result) = v4_only(&[
            ("1.1.1.1", 500, REFUSED),
            ("2.2.2.2", 10_000, Works),
            ("3.3.3.3", 9_000, Works),
            ("4.4.4.4", 8_000, Works),
            ("5.5.5.5", 500, REFUSED),
        ])
        .connect_with(&HappyEyeballs::new().attempt_delay(secs(1)));
        let log = attempts_of(&host);
        let tries = [
            "0 try 1.1.1.1",
            "500 try 2.2.2.2",
            "1500 try 3.3.3.3",
            "2500 try 4.4.4.4",
            "3500 try 5.5.5.5",
        ];
        assert_eq!(log[..5], tries);
        assert_eq!(
            log.last().unwrap(),
            &format!("10500 won {}", result.as_ref().unwrap().addr.ip())
        );
        assert_eq!(host.open.get(), 1);
        drop(result);
        assert_eq!(host.open.get(), 0);
    });
}

#[test]
fn a_machine_without_ipv6_pays_no_delay() {
    let away = Fails(ErrorKind::NetworkUnreachable);
    run_virtual(|| {
        let host = Host::new().v6(0, &["::1", "::3"]).v4(0, &["2.2.2.2", "4.4.4.4"]);
        let host = host.at("::1", 0, away).at("::3", 0, away);
        let (host, result) = host.at("2.2.2.2", 10, Works).connect();
        assert_eq!(attempts_of(&host), ["0 try ::1", "0 try 2.2.2.2", "10 won 2.2.2.2"]);
        drop(result);
    });
}

#[test]
fn a_machine_without_ipv4_pays_no_delay() {
    let away = Fails(ErrorKind::NetworkUnreachable);
    run_virtual(|| {
        let host = Host::new().v6(20, &["::1"]).v4(0, &["2.2.2.2", "4.4.4.4"]);
        let host = host.at("2.2.2.2", 0, away).at("4.4.4.4", 0, away);
        let (host, result) = host.at("::1", 300, Works).connect();
        let tries = ["20 try ::1", "270 try 2.2.2.2", "270 try 4.4.4.4"];
        assert_eq!(attempts_of(&host), [&tries[..], &["320 won ::1"]].concat());
        drop(result);
    });
}

#[test]
fn the_failure_of_the_ipv6_lookup_ends_the_resolution_delay() {
    expect(
        || Host::new().v6_fails(30, "no AAAA").v4(10, &["1.1.1.1"]).at("1.1.1.1", 10, Works),
        &["0 ask V6", "0 ask V4", "30 try 1.1.1.1", "40 won 1.1.1.1"],
    );
}

#[test]
fn addresses_of_a_family_that_was_not_asked_for_are_left_out() {
    let mixed = ["1.1.1.1", "::1"];
    run_virtual(|| {
        let host = Host::new().v6(0, &mixed).v4(0, &mixed);
        let (host, result) = host.at("1.1.1.1", 0, REFUSED).at("::1", 0, REFUSED).connect();
        assert_eq!(attempts_of(&host), ["0 try ::1", "0 try 1.1.1.1", "0 failed"]);
        drop(result);
    });
}

#[test]
fn answers_that_come_when_all_have_failed_are_tried_at_once() {
    expect(
        || {
            let host = Host::new().v6(500, &["::1"]).v4(0, &["1.1.1.1"]);
            host.at("1.1.1.1", 10, REFUSED).at("::1", 10, Works)
        },
        &["0 ask V6", "0 ask V4", "50 try 1.1.1.1", "500 try ::1", "510 won ::1"],
    );
}

#[test]
fn with_no_attempt_delay_all_are_tried_at_once() {
    run_virtual(|| {
        let host =
            v4_only(&[("1.1.1.1", 20, Works), ("2.2.2.2", 10, Works), ("3.3.3.3", 30, Works)]);
        let (host, result) = host.connect_with(&HappyEyeballs::new().attempt_delay(Duration::ZERO));
        let tries = ["0 try 1.1.1.1", "0 try 2.2.2.2", "0 try 3.3.3.3"];
        let end = ["10 cut 1.1.1.1", "10 cut 3.3.3.3", "10 won 2.2.2.2"];
        assert_eq!(attempts_of(&host), [tries, end].concat());
        drop(result);
    });
}

#[test]
fn with_endless_delays_one_is_tried_after_the_other() {
    run_virtual(|| {
        let eyeballs = HappyEyeballs::new().attempt_delay(Duration::MAX);
        let eyeballs = eyeballs.resolution_delay(Duration::MAX);
        let host = Host::new().v6(secs(9).as_millis() as u64, &[]).v4(0, &["1.1.1.1", "2.2.2.2"]);
        let host = host.at("1.1.1.1", 1000, REFUSED).at("2.2.2.2", 1000, Works);
        let (host, result) = host.connect_with(&eyeballs);
        let expected = ["9000 try 1.1.1.1", "10000 try 2.2.2.2", "11000 won 2.2.2.2"];
        assert_eq!(attempts_of(&host), expected);
        drop(result);
    });
}
