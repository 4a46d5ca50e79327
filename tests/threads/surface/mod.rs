//! std's threads and ours, side by side: one body for each, compiled for both, and what it has seen
//! compared. The list of calls is that of std's documentation for Rust 1.95.

mod of_std;
mod ours;

use std::fmt::Debug;

/// What a body has seen, in order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Facts(Vec<String>);

impl Facts {
    /// Anything that is the same in every run: no number, no time.
    fn note(&mut self, what: &str, seen: impl Debug) {
        self.0.push(format!("{what}: {seen:?}"));
    }

    /// The end of a thread, and of a failure what it has said.
    fn end<T: Debug>(&mut self, what: &str, joined: std::thread::Result<T>) {
        let seen = joined.map_err(|payload| match payload.downcast::<&str>() {
            Ok(text) => (*text).to_owned(),
            Err(payload) => match payload.downcast::<String>() {
                Ok(text) => *text,
                Err(_) => "something else".into(),
            },
        });
        self.note(what, seen);
    }
}

/// Tries std's on a plain thread, ours in a task and on a plain thread.
#[track_caller]
fn compare(of_std: fn(&mut Facts), ours: fn(&mut Facts)) {
    let seen = |body: fn(&mut Facts)| {
        let mut facts = Facts::default();
        body(&mut facts);
        facts.0
    };
    let expected = std::thread::spawn(move || seen(of_std)).join().expect("std's own");
    assert!(!expected.is_empty());
    assert_eq!(giambio::run(|| seen(ours)), expected, "in a task");
    let outside = std::thread::spawn(move || seen(ours)).join().expect("ours outside of `run`");
    assert_eq!(outside, expected, "on a plain thread");
}

#[test]
fn threads_are_spawned_and_joined_as_stds_are() {
    compare(of_std::behaviour::spawning, ours::behaviour::spawning);
}

#[test]
fn builders_do_what_stds_do() {
    compare(of_std::behaviour::building, ours::behaviour::building);
}

#[test]
fn threads_are_known_as_stds_are() {
    compare(of_std::behaviour::identities, ours::behaviour::identities);
}

#[test]
fn tokens_are_left_and_taken_as_stds_are() {
    compare(of_std::behaviour::parking, ours::behaviour::parking);
}

#[test]
fn scopes_are_as_stds_are() {
    compare(of_std::behaviour::scopes, ours::behaviour::scopes);
}

#[test]
fn scopes_fail_as_stds_do() {
    compare(of_std::behaviour::failing_scopes, ours::behaviour::failing_scopes);
}

#[test]
fn panics_are_seen_as_with_std() {
    compare(of_std::behaviour::panics, ours::behaviour::panics);
}

/// That they compile is the test.
#[test]
fn every_signature_is_stds() {
    of_std::signatures::all();
    ours::signatures::all();
}
