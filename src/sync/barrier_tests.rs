//! How tasks of several workers meet at a barrier, in every order that loom can think of.

use super::Barrier;
use crate::task::phase::Winner;
use crate::wait_queue::loom_tests::Worker;
use loom::thread;
use std::sync::Arc;

/// How a wait has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Led,
    Followed,
    GaveUp,
}

/// Waits as a task of a worker of its own, which may give up `early`.
fn wait(barrier: &Barrier, early: Option<Winner>) -> Ended {
    let mut round = None;
    let worker = Worker::new();
    let winner = worker.wait_with(
        &barrier.rounds,
        |rounds, line| rounds.arrive(barrier.size, line).map(|done| round = Some(done)),
        || (),
        early,
        0,
    );
    match (round, winner) {
        (Some(round), None) => {
            barrier.let_go(round);
            Ended::Led
        }
        (None, Some(Winner::Event)) => Ended::Followed,
        (None, Some(_)) => Ended::GaveUp,
        other => unreachable!("{other:?}"),
    }
}

/// Tasks of as many workers as `early` has entries meet at a barrier for two.
fn model(early: &'static [Option<Winner>], check: fn(&[Ended])) {
    loom::model(move || {
        let barrier = Arc::new(Barrier::new(2));
        let others: Vec<_> = (1..early.len())
            .map(|index| {
                let barrier = Arc::clone(&barrier);
                thread::spawn(move || wait(&barrier, early[index]))
            })
            .collect();
        let mut ended = vec![wait(&barrier, early[0])];
        ended.extend(others.into_iter().map(|other| other.join().unwrap()));
        check(&ended);
    });
}

fn count(ended: &[Ended], how: Ended) -> usize {
    ended.iter().filter(|other| **other == how).count()
}

#[test]
fn two_workers_meet_and_one_of_them_leads() {
    model(&[None, None], |ended| {
        assert_eq!((count(ended, Ended::Led), count(ended, Ended::Followed)), (1, 1));
    });
}

#[test]
fn of_two_who_may_give_up_nobody_goes_on_alone() {
    model(&[Some(Winner::Timeout), Some(Winner::Cancellation)], |ended| {
        let (leaders, followers) = (count(ended, Ended::Led), count(ended, Ended::Followed));
        // A leader whose other has given up at the very moment has counted him.
        assert!(leaders <= 1 && followers <= leaders, "{ended:?}");
    });
}
