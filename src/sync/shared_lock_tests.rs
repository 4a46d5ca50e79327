//! How readers and writers of several workers race for a lock, in every order that loom can think of.
//!
//! The real word and the real line; a task that has to wait does so as in the models of the wait queue.

use super::Access;
use super::Departure;
use super::SharedLock;
use crate::primitive::Ordering;
use crate::task::phase::Winner;
use crate::wait_queue::loom_tests::Worker;
use loom::cell::UnsafeCell;
use loom::thread;
use std::sync::Arc;

/// What the lock guards: loom sees who uses it when.
struct Guarded {
    lock: SharedLock,
    uses: UnsafeCell<usize>,
}

// SAFETY: loom checks who touches the number.
unsafe impl Sync for Guarded {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl Send for Guarded {}

/// What one task does.
#[derive(Clone, Copy)]
enum Part {
    Reads,
    Writes,
    /// Writes, and goes on reading.
    Downgrades,
    /// Tries to write, but may give up.
    MayGiveUp,
    /// Reads if nobody is in the way.
    Tries,
}

impl Guarded {
    /// Locks as a task of a worker of its own, which may give up `early`. Whether it has got the lock.
    fn lock(&self, access: Access, token: usize, early: Option<Winner>) -> bool {
        let taken = match access {
            Access::Read => self.lock.read_fast(),
            Access::Write => self.lock.write_fast(token),
        };
        if taken {
            return true;
        }
        let worker = Worker::new();
        let departure = Departure(&self.lock);
        let attempt = |(): &mut (), line: &_| {
            let taken = self.lock.take_or_mark(access, token, line);
            if taken { Ok(()) } else { Err(access.slot(token)) }
        };
        let ended = worker.wait_with(&self.lock.line, attempt, || (), early, 0);
        let has_it = matches!(ended, None | Some(Winner::Event));
        if has_it {
            departure.has_arrived();
        }
        has_it
    }

    fn read(&self) {
        // SAFETY: the lock is held, which is what loom checks.
        self.uses.with(|uses| std::hint::black_box(unsafe { *uses }));
    }

    fn write(&self) {
        // SAFETY: as above.
        self.uses.with_mut(|uses| unsafe { *uses += 1 });
    }

    /// Plays a part; how often it has written.
    fn play(&self, part: Part, token: usize) -> usize {
        match part {
            Part::Reads => {
                assert!(self.lock(Access::Read, token, None));
                self.read();
                self.lock.unlock_read();
                0
            }
            Part::Tries => {
                if self.lock.try_lock(Access::Read, token) {
                    self.read();
                    self.lock.unlock_read();
                }
                0
            }
            Part::Writes => {
                assert!(self.lock(Access::Write, token, None));
                self.write();
                self.lock.unlock_write();
                1
            }
            Part::Downgrades => {
                assert!(self.lock(Access::Write, token, None));
                self.write();
                self.lock.downgrade();
                self.read();
                self.lock.unlock_read();
                1
            }
            Part::MayGiveUp => {
                let has_it = self.lock(Access::Write, token, Some(Winner::Timeout));
                if has_it {
                    self.write();
                    self.lock.unlock_write();
                }
                usize::from(has_it)
            }
        }
    }
}

/// Switches between threads that a model tries beyond those that it has to, at most. With 3 a model of
/// three that all have to wait takes more than 20 s.
const PREEMPTIONS_OF_THREE: usize = 2;

/// Tasks of as many workers as there are parts play them with one lock.
fn model(parts: &'static [Part]) {
    let mut builder = loom::model::Builder::new();
    let gives_up = |part: &Part| matches!(part, Part::MayGiveUp | Part::Tries);
    if !parts.iter().any(gives_up) {
        builder.preemption_bound = Some(PREEMPTIONS_OF_THREE);
    }
    builder.check(move || {
        let guarded = Arc::new(Guarded { lock: SharedLock::new(), uses: UnsafeCell::new(0) });
        let token = |index: usize| (index + 1) * 8;
        // Before it is shared: loom's atomics are made with their first use.
        guarded.play(Part::Writes, token(0));
        let others: Vec<_> = (1..parts.len())
            .map(|index| {
                let guarded = Arc::clone(&guarded);
                thread::spawn(move || guarded.play(parts[index], token(index)))
            })
            .collect();
        let mut writes = 1 + guarded.play(parts[0], token(0));
        writes += others.into_iter().map(|other| other.join().unwrap()).sum::<usize>();
        assert!(guarded.lock.write_fast(8), "nobody has it, and it is locked or marked");
        // SAFETY: the lock is held.
        assert_eq!(guarded.uses.with(|uses| unsafe { *uses }), writes);
        guarded.lock.unlock_write();
    });
}

#[test]
fn a_writer_and_two_readers_are_all_served() {
    model(&[Part::Writes, Part::Reads, Part::Reads]);
}

#[test]
fn two_writers_and_a_reader_never_meet() {
    model(&[Part::Writes, Part::Writes, Part::Reads]);
}

#[test]
fn who_goes_on_reading_lets_readers_in_and_keeps_writers_out() {
    model(&[Part::Downgrades, Part::Writes, Part::Reads]);
}

#[test]
fn a_writer_that_gives_up_lets_the_readers_behind_it_through() {
    model(&[Part::Reads, Part::MayGiveUp, Part::Reads]);
}

#[test]
fn a_writer_that_gives_up_leaves_the_lock_to_another() {
    model(&[Part::Writes, Part::MayGiveUp, Part::Writes]);
}

#[test]
fn who_only_tries_disturbs_nobody() {
    model(&[Part::Writes, Part::Tries, Part::MayGiveUp]);
}

#[test]
fn who_has_left_it_is_not_taken_for_its_writer() {
    loom::model(|| {
        let lock = Arc::new(SharedLock::new());
        // Before it is shared: loom's atomics are made with their first use.
        assert!(lock.write_fast(8));
        lock.downgrade();
        lock.unlock_read();
        let other = {
            let lock = Arc::clone(&lock);
            thread::spawn(move || lock.write_fast(16).then(|| lock.unlock_write()))
        };
        if lock.write_fast(8) {
            lock.unlock_write();
            assert_ne!(lock.writer.load(Ordering::Relaxed), 8);
        }
        other.join().unwrap();
    });
}
