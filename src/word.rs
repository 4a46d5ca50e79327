//! Word: the small lock inside of everything that several threads wait in.
//!
//! Layer 0. Imports: nothing of this crate. Never: what it guards.
//!
//! Taken by one compare-and-swap and released by a plain store; a release by a swap was measured and
//! costs 13 ns more. Inside there is no user code, no allocation and no wake-up, so it is held for
//! some tens of nanoseconds and spinning is enough. loom's models put loom's mutex in its place: a
//! spinning thread exceeds what they can explore.

#[cfg(not(loom))]
use std::sync::atomic::AtomicBool;
#[cfg(not(loom))]
use std::sync::atomic::Ordering;

/// Vain attempts before the thread gives up its time slice: some 100 ns, longer than the lock is held
/// unless its holder was preempted.
#[cfg(not(loom))]
const SPINS: u32 = 64;

/// A lock for a few instructions.
#[cfg(not(loom))]
#[derive(Debug)]
pub(crate) struct Word(AtomicBool);

#[cfg(not(loom))]
impl Word {
    pub(crate) const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Takes the lock, until the guard is dropped. Meanwhile the thread must not wait or lock this again.
    #[inline]
    pub(crate) fn lock(&self) -> Held<'_> {
        if !self.try_lock() {
            self.lock_slow();
        }
        Held(self)
    }

    #[cold]
    fn lock_slow(&self) {
        let mut tries = 1;
        while !self.try_lock() {
            tries += 1;
            if tries < SPINS {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        self.0.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }
}

/// A [`Word`] that this thread has taken.
#[cfg(not(loom))]
#[derive(Debug)]
pub(crate) struct Held<'w>(&'w Word);

#[cfg(not(loom))]
impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Release);
    }
}

/// A [`Word`] that this thread has taken.
#[cfg(loom)]
pub(crate) type Held<'w> = loom::sync::MutexGuard<'w, ()>;

/// A lock for a few instructions.
///
/// Made with its first use: loom's mutex has no constant constructor, and what waits in statics needs
/// one.
#[cfg(loom)]
#[derive(Debug)]
pub(crate) struct Word(std::sync::OnceLock<loom::sync::Mutex<()>>);

#[cfg(loom)]
impl Word {
    pub(crate) const fn new() -> Self {
        Self(std::sync::OnceLock::new())
    }

    pub(crate) fn lock(&self) -> Held<'_> {
        self.0.get_or_init(|| loom::sync::Mutex::new(())).lock().unwrap()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Word;
    use std::cell::UnsafeCell;
    use std::sync::Arc;

    struct Guarded(Word, UnsafeCell<u64>);

    // SAFETY: the number is only touched under the word.
    #[expect(unsafe_code, reason = "the lock under test is what makes this sound")]
    unsafe impl Sync for Guarded {}

    #[test]
    fn four_threads_never_meet_inside() {
        let guarded = Arc::new(Guarded(Word::new(), UnsafeCell::new(0)));
        let add = |guarded: Arc<Guarded>| {
            for _ in 0..20_000 {
                let _held = guarded.0.lock();
                let number = guarded.1.get();
                // SAFETY: the word is held.
                #[expect(unsafe_code, reason = "the lock under test is what makes this sound")]
                unsafe {
                    *number += 1;
                }
            }
        };
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let guarded = Arc::clone(&guarded);
                std::thread::spawn(move || add(guarded))
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let guarded = Arc::into_inner(guarded).unwrap();
        assert_eq!(guarded.1.into_inner(), 80_000);
    }
}
