//! std's sockets and ours, side by side: one body for each type, compiled for both, and what it has seen
//! compared. The list of calls is that of std's documentation for Rust 1.95.

mod of_std;
mod ours;

use std::fmt::Debug;
use std::io;
use std::thread;

/// What a body has seen, in order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Facts(Vec<String>);

impl Facts {
    /// Anything that is the same in every run: no port, no descriptor, no time.
    fn note(&mut self, what: &str, seen: impl Debug) {
        self.0.push(format!("{what}: {seen:?}"));
    }

    /// A result, and of an error all that a program can see.
    fn result<T: Debug>(&mut self, what: &str, result: io::Result<T>) {
        match result {
            Ok(value) => self.note(what, value),
            Err(error) => {
                let seen = (error.kind(), error.raw_os_error(), error.to_string());
                self.note(what, seen);
            }
        }
    }
}

/// Tries std's type on a plain thread, ours in a task and on a plain thread.
#[track_caller]
fn compare(of_std: fn(&mut Facts), ours: fn(&mut Facts)) {
    let seen = |body: fn(&mut Facts)| {
        let mut facts = Facts::default();
        body(&mut facts);
        facts.0
    };
    let expected = thread::spawn(move || seen(of_std)).join().expect("std's own");
    assert!(!expected.is_empty());
    assert_eq!(giambio::run(|| seen(ours)), expected, "in a task");
    let outside = thread::spawn(move || seen(ours)).join().expect("ours outside of `run`");
    assert_eq!(outside, expected, "on a plain thread");
}

#[test]
fn connecting_is_as_with_std() {
    compare(of_std::tcp::connecting, ours::tcp::connecting);
}

#[test]
fn a_streams_options_are_those_of_std() {
    compare(of_std::tcp::stream_options, ours::tcp::stream_options);
}

#[test]
fn a_streams_timeouts_are_those_of_std() {
    compare(of_std::tcp::stream_timeouts, ours::tcp::stream_timeouts);
}

#[test]
fn a_stream_carries_bytes_as_stds_does() {
    compare(of_std::tcp::bytes, ours::tcp::bytes);
}

#[test]
fn a_stream_in_non_blocking_mode_does_what_stds_does() {
    compare(of_std::tcp::nonblocking, ours::tcp::nonblocking);
}

#[test]
fn a_stream_ends_as_stds_does() {
    compare(of_std::tcp::endings, ours::tcp::endings);
}

#[test]
fn a_stream_becomes_a_descriptor_and_back_as_stds_does() {
    compare(of_std::tcp::descriptors, ours::tcp::descriptors);
}

#[test]
fn a_listener_does_what_stds_does() {
    compare(of_std::tcp::listener, ours::tcp::listener);
}

#[test]
fn a_listener_is_bound_as_stds_is() {
    compare(of_std::tcp::binding, ours::tcp::binding);
}

#[test]
fn a_listeners_timeouts_are_its_connections_too_as_with_std() {
    compare(of_std::tcp::inherited_timeouts, ours::tcp::inherited_timeouts);
}

#[test]
fn a_udp_socket_is_bound_and_connected_as_stds_is() {
    compare(of_std::udp::binding, ours::udp::binding);
}

#[test]
fn a_udp_sockets_options_are_those_of_std() {
    compare(of_std::udp::options, ours::udp::options);
}

#[test]
fn a_udp_sockets_timeouts_and_mode_are_those_of_std() {
    compare(of_std::udp::waiting, ours::udp::waiting);
}

#[test]
fn a_udp_socket_carries_datagrams_as_stds_does() {
    compare(of_std::udp::datagrams, ours::udp::datagrams);
}

#[test]
fn a_udp_socket_hears_of_refusals_as_stds_does() {
    compare(of_std::udp::refusals, ours::udp::refusals);
}

#[test]
fn a_udp_socket_joins_and_leaves_groups_as_stds_does() {
    compare(of_std::udp::groups, ours::udp::groups);
}

/// That they compile is the test.
#[test]
fn every_signature_is_stds() {
    of_std::signatures::all();
    ours::signatures::all();
}
