//! How a wait, a change and a notification race, in every order that loom can think of.

use super::Condvar;
use super::is_before;
use crate::sync::lock::Lock;
use crate::sync::lock::loom_tests;
use crate::task::phase::Winner;
use crate::wait_queue::loom_tests::Worker;
use loom::cell::UnsafeCell;
use loom::thread;
use std::ptr;
use std::sync::Arc;

/// A number of things that a lock guards, and who waits for one of them.
struct Store {
    lock: Lock,
    things: UnsafeCell<usize>,
    changed: Condvar,
}

// SAFETY: loom checks who touches the number.
unsafe impl Sync for Store {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl Send for Store {}

impl Store {
    fn new() -> Arc<Self> {
        let store = Self { lock: Lock::new(), things: UnsafeCell::new(0), changed: Condvar::new() };
        // Before it is shared: loom's atomics are made with their first use.
        assert!(store.lock.try_lock(8));
        store.lock.unlock();
        Arc::new(store)
    }

    /// Locks as a task of a worker of its own.
    fn lock(&self, worker: &Worker, token: usize) {
        assert!(loom_tests::lock(&self.lock, worker, token, None));
    }

    fn put(&self, things: usize, token: usize, notify: fn(&Condvar)) {
        self.lock(&Worker::new(), token);
        // SAFETY: the lock is held, which is what loom checks.
        self.things.with_mut(|before| unsafe { *before += things });
        self.lock.unlock();
        notify(&self.changed);
    }

    /// Takes a thing as soon as there is one; who gives up `early` may have got none.
    fn take(&self, token: usize, early: Option<Winner>) -> usize {
        let worker = Worker::new();
        self.lock(&worker, token);
        let mut taken = self.take_one();
        let mut has_given_up = false;
        while taken == 0 && !has_given_up {
            let draw = |next: &mut usize, _: &_| {
                *next += 1;
                Err(ptr::without_provenance(*next - 1))
            };
            let unlock = || self.lock.unlock();
            let ended = worker.wait_with(&self.changed.line, draw, unlock, early, 0);
            has_given_up = ended != Some(Winner::Event);
            self.lock(&worker, token);
            taken = self.take_one();
        }
        self.lock.unlock();
        taken
    }

    fn take_one(&self) -> usize {
        self.things.with_mut(|things| {
            // SAFETY: the lock is held, which is what loom checks.
            let things = unsafe { &mut *things };
            let taken = usize::from(*things > 0);
            *things -= taken;
            taken
        })
    }
}

/// Switches between threads that a model tries beyond those that it has to, at most. With 3 a model of
/// three takes minutes.
const PREEMPTIONS_OF_THREE: usize = 2;

/// Tasks of as many workers as `early` has entries take one each of what another one puts there.
fn model(early: &'static [Option<Winner>], notify: fn(&Condvar)) {
    let mut builder = loom::model::Builder::new();
    if early.len() > 1 {
        builder.preemption_bound = Some(PREEMPTIONS_OF_THREE);
    }
    builder.check(move || {
        let store = Store::new();
        let takers: Vec<_> = (0..early.len())
            .map(|index| {
                let store = Arc::clone(&store);
                thread::spawn(move || store.take((index + 2) * 8, early[index]))
            })
            .collect();
        let wanted = early.iter().filter(|early| early.is_none()).count();
        store.put(wanted, 8, notify);
        let taken: usize = takers.into_iter().map(|taker| taker.join().unwrap()).sum();
        // SAFETY: nobody else is left.
        assert_eq!(taken + store.things.with(|left| unsafe { *left }), wanted);
    });
}

#[test]
fn a_notification_between_the_look_and_the_wait_is_not_lost() {
    model(&[None], Condvar::notify_one);
}

#[test]
fn all_are_notified() {
    model(&[None, None], Condvar::notify_all);
}

/// The first of two that wait gives up while one other notifies once: one of them is notified.
#[test]
fn who_gives_up_passes_the_notification_on() {
    loom::model(|| {
        let changed = Arc::new(Condvar::new());
        let (impatient, patient) = (Worker::new(), Worker::new());
        let mut others = None;
        let stand_behind = || {
            let place = patient.waits_in(&changed.line);
            let changed = Arc::clone(&changed);
            others = Some((place, thread::spawn(move || changed.notify_one())));
        };
        let come = |_: &mut usize, _: &_| Err(ptr::null());
        let ended =
            impatient.wait_with(&changed.line, come, stand_behind, Some(Winner::Timeout), 0);
        let (place, notifier) = others.unwrap();
        notifier.join().unwrap();
        let is_notified = [ended == Some(Winner::Event), patient.has_left(&changed.line, &place)];
        assert!(is_notified[0] != is_notified[1], "{is_notified:?}");
    });
}

#[test]
fn tickets_may_go_round() {
    assert!(is_before(1, 2) && !is_before(2, 2) && !is_before(3, 2));
    assert!(is_before(usize::MAX, 0) && !is_before(0, usize::MAX));
}
