//! How a trigger races with those who come and those who give up, in every order that loom can think
//! of.

use super::Event;
use super::is_over;
use crate::task::phase::Winner;
use crate::wait_queue::loom_tests::Worker;
use loom::thread;
use std::sync::Arc;

/// A task waits and may give up `early`, while one of two threads triggers.
fn model(early: Option<Winner>) {
    loom::model(move || {
        let event = Arc::new(Event::new());
        let triggers = [1, 2].map(|value| {
            let event = Arc::clone(&event);
            thread::spawn(move || event.trigger(value).is_ok())
        });
        let worker = Worker::new();
        let winner = worker.wait(&event.over, is_over, early, 0);
        assert!(event.is_set() || winner == early, "woken for nothing");
        let [first, second] = triggers.map(|trigger| trigger.join().unwrap());
        assert!(first != second);
        assert_eq!(event.get(), Some(if first { &1 } else { &2 }));
        assert_eq!(worker.wait(&event.over, is_over, None, 0), None);
    });
}

#[test]
fn who_comes_while_it_is_triggered_waits_for_nothing_else() {
    model(None);
}

#[test]
fn who_gives_up_while_it_is_triggered_leaves_it_whole() {
    model(Some(Winner::Timeout));
}
