//! std's types and ours, side by side: one text for both, compiled for each, and what it has seen compared.
//! The list of calls is that of std's documentation for Rust 1.95.

#![expect(clippy::type_complexity, reason = "signatures are the subject")]

mod of_std;
mod ours;

use std::fmt::Debug;
use std::thread;

/// What a body has seen, in order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Facts(Vec<String>);

impl Facts {
    /// Anything that is the same in every run.
    fn note(&mut self, what: &str, seen: impl Debug) {
        self.0.push(format!("{what}: {seen:?}"));
    }
}

/// Tries std's types on a plain thread, ours in a task and on a plain thread.
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

/// That they compile is the test.
#[test]
fn every_signature_is_stds() {
    of_std::signatures::all();
    ours::signatures::all();
}

#[test]
fn debug_output_is_stds() {
    compare(of_std::texts::debug, ours::texts::debug);
}

#[test]
fn errors_and_panics_read_as_stds_do() {
    compare(of_std::texts::errors, ours::texts::errors);
}

#[test]
fn locks_do_what_stds_do() {
    compare(of_std::acts::mutex, ours::acts::mutex);
    compare(of_std::acts::rwlock, ours::acts::rwlock);
    compare(of_std::acts::poison, ours::acts::poison);
}

#[test]
fn what_is_initialised_once_does_what_stds_does() {
    compare(of_std::acts::once, ours::acts::once);
    compare(of_std::acts::once_lock, ours::acts::once_lock);
    compare(of_std::acts::lazy_lock, ours::acts::lazy_lock);
}

#[test]
fn condition_variables_and_barriers_do_what_stds_do() {
    compare(of_std::acts::condvar, ours::acts::condvar);
    compare(of_std::acts::barrier, ours::acts::barrier);
}
