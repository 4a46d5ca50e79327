//! How calls that grow, shrink and use a semaphore race, in every order that loom can think of.

use super::Permits;
use super::Semaphore;
use crate::task::waiters::Waiter;
use crate::wait_queue::loom_tests::Worker;
use loom::thread;
use std::mem;
use std::sync::Arc;

/// Tasks that wait for a permit, each on a worker of its own.
struct Waiting(Vec<(Worker, Box<Waiter>)>);

impl Waiting {
    fn new(semaphore: &Semaphore, tasks: usize) -> Self {
        let wait = |_| {
            let worker = Worker::new();
            let waiter = worker.waits_in(&semaphore.permits);
            (worker, waiter)
        };
        Self((0..tasks).map(wait).collect())
    }

    /// Ends the waits: which of them have got a permit.
    fn served(self, semaphore: &Semaphore) -> Vec<bool> {
        let ended =
            self.0.iter().map(|(worker, waiter)| worker.has_left(&semaphore.permits, waiter));
        ended.collect()
    }
}

/// Runs `calls`, each on a thread of its own, with `held` permits in use, while `tasks` wait for one.
fn model(
    total: usize,
    held: usize,
    tasks: usize,
    calls: &'static [fn(&Semaphore)],
    check: fn(&Permits, Vec<bool>),
) {
    loom::model(move || {
        let semaphore = Arc::new(Semaphore::new(total));
        (0..held).for_each(|_| mem::forget(semaphore.try_acquire().unwrap()));
        let waiting = Waiting::new(&semaphore, tasks);
        let spawn = |call: &fn(&Semaphore)| {
            let (call, semaphore) = (*call, Arc::clone(&semaphore));
            thread::spawn(move || call(&semaphore))
        };
        let others: Vec<_> = calls[1..].iter().map(spawn).collect();
        calls[0](&semaphore);
        others.into_iter().for_each(|other| other.join().unwrap());
        let served = waiting.served(&semaphore);
        semaphore.permits.with(|permits, _| check(permits, served));
    });
}

#[test]
fn who_comes_while_a_semaphore_grows_is_not_faster_than_those_who_wait() {
    model(
        0,
        0,
        2,
        &[
            |semaphore| semaphore.resize(2),
            |semaphore| assert!(semaphore.try_acquire().is_none(), "faster than who waits"),
        ],
        |permits, served| {
            assert_eq!(served, [true, true]);
            assert_eq!((permits.total, permits.in_use, permits.growths), (2, 2, 0));
        },
    );
}

#[test]
fn two_calls_that_grow_it_and_one_that_asks_leave_nobody_behind() {
    model(
        0,
        0,
        2,
        &[
            |semaphore| semaphore.add_permits(1),
            |semaphore| semaphore.add_permits(2),
            |semaphore| drop(semaphore.try_acquire()),
        ],
        |permits, served| {
            assert_eq!(served, [true, true]);
            assert_eq!((permits.total, permits.in_use, permits.growths), (3, 2, 0));
        },
    );
}

#[test]
fn a_release_and_a_call_that_shrinks_it_agree_on_who_pays() {
    model(
        2,
        2,
        1,
        &[|semaphore| semaphore.release(), |semaphore| semaphore.resize(1)],
        |permits, served| {
            assert_eq!((permits.total, permits.growths), (1, 0));
            assert_eq!(permits.in_use, 1 + usize::from(served[0]));
        },
    );
}

#[test]
fn a_release_a_growth_and_a_forgotten_permit_serve_everybody() {
    model(
        2,
        2,
        2,
        &[
            |semaphore| semaphore.release(),
            |semaphore| semaphore.add_permits(1),
            |semaphore| semaphore.remove_one(),
        ],
        |permits, served| {
            assert_eq!(served, [true, true]);
            assert_eq!((permits.total, permits.in_use, permits.growths), (2, 2, 0));
        },
    );
}
