//! How tasks of several workers race for a lock, in every order that loom can think of.
//!
//! The real word and the real line; a task that has to wait does so as in the models of the wait queue.

use super::Lock;
use crate::primitive::Ordering;
use crate::task::phase::Winner;
use crate::wait_queue::loom_tests::Worker;
use loom::cell::UnsafeCell;
use loom::thread;
use std::ptr;
use std::sync::Arc;

/// What the lock guards: loom sees who uses it when.
struct Guarded {
    lock: Lock,
    uses: UnsafeCell<usize>,
}

// SAFETY: loom checks who touches the number.
unsafe impl Sync for Guarded {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl Send for Guarded {}

/// Locks as a task of `worker`'s, which may give up `early`. Whether it has got the lock.
pub(in crate::sync) fn lock(
    lock: &Lock,
    worker: &Worker,
    token: usize,
    early: Option<Winner>,
) -> bool {
    if lock.try_lock(token) {
        return true;
    }
    let attempt = |(): &mut (), _: &_| {
        let taken = lock.take_or_mark(token);
        if taken { Ok(()) } else { Err(ptr::without_provenance(token)) }
    };
    let ended = worker.wait_with(&lock.line, attempt, || (), early, 0);
    matches!(ended, None | Some(Winner::Event))
}

impl Guarded {
    /// Locks, uses what is guarded and unlocks; how often that was done.
    fn use_it(&self, token: usize, early: Option<Winner>) -> usize {
        let worker = Worker::new();
        if !lock(&self.lock, &worker, token, early) {
            return 0;
        }
        // SAFETY: the lock is held, which is what loom checks.
        self.uses.with_mut(|uses| unsafe { *uses += 1 });
        self.lock.unlock();
        1
    }
}

/// Tasks of as many workers as `early` has entries use what one lock guards, and may give up.
fn model(early: &'static [Option<Winner>]) {
    loom::model(move || {
        let guarded = Arc::new(Guarded { lock: Lock::new(), uses: UnsafeCell::new(0) });
        // Before it is shared: loom's atomic is made with its first use.
        guarded.use_it(8, None);
        let token = |index: usize| (index + 1) * 8;
        let others: Vec<_> = (1..early.len())
            .map(|index| {
                let guarded = Arc::clone(&guarded);
                thread::spawn(move || guarded.use_it(token(index), early[index]))
            })
            .collect();
        let mut uses = 1 + guarded.use_it(token(0), early[0]);
        uses += others.into_iter().map(|other| other.join().unwrap()).sum::<usize>();
        assert!(guarded.lock.try_lock(8), "nobody has it, and it is locked");
        // SAFETY: the lock is held.
        assert_eq!(guarded.uses.with(|uses| unsafe { *uses }), uses);
        guarded.lock.unlock();
    });
}

#[test]
fn two_workers_never_have_it_at_once() {
    model(&[None, None]);
}

#[test]
fn three_workers_never_have_it_at_once() {
    model(&[None, None, None]);
}

#[test]
fn who_gives_up_has_not_got_it_and_the_others_get_it() {
    model(&[Some(Winner::Timeout), None, None]);
}

#[test]
fn two_who_give_up_leave_it_to_the_third() {
    model(&[Some(Winner::Timeout), Some(Winner::Cancellation), None]);
}

#[test]
fn who_has_left_it_is_not_taken_for_its_owner() {
    loom::model(|| {
        let lock = Arc::new(Lock::new());
        // Before it is shared: loom's atomics are made with their first use.
        assert!(lock.try_lock(8));
        lock.unlock();
        let other = {
            let lock = Arc::clone(&lock);
            thread::spawn(move || lock.try_lock(16).then(|| lock.unlock()))
        };
        if lock.try_lock(8) {
            assert_eq!(lock.owner.load(Ordering::Relaxed), 8);
            lock.unlock();
        }
        assert_ne!(lock.owner.load(Ordering::Relaxed), 8);
        other.join().unwrap();
    });
}
