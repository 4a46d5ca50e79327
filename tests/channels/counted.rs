//! Messages of which each must be dropped, and only once.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

/// How often each message was dropped.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<Vec<u32>>>);

/// A message that writes its end down.
pub(crate) struct Counted {
    pub(crate) number: usize,
    ledger: Ledger,
}

impl Ledger {
    fn with<T>(&self, f: impl FnOnce(&mut Vec<u32>) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The next message.
    pub(crate) fn one(&self) -> Counted {
        let number = self.with(|drops| {
            drops.push(0);
            drops.len() - 1
        });
        Counted { number, ledger: self.clone() }
    }

    /// The next so many.
    pub(crate) fn some(&self, count: usize) -> Vec<Counted> {
        (0..count).map(|_| self.one()).collect()
    }

    /// How many messages have been made.
    pub(crate) fn made(&self) -> usize {
        self.with(|drops| drops.len())
    }

    /// The numbers of those that have been dropped.
    pub(crate) fn dropped(&self) -> Vec<usize> {
        self.with(|drops| (0..drops.len()).filter(|&number| drops[number] > 0).collect())
    }

    /// Every message has been dropped, once.
    #[track_caller]
    pub(crate) fn assert_all_dropped(&self) {
        self.with(|drops| {
            for (number, &count) in drops.iter().enumerate() {
                assert_eq!(count, 1, "drops of message {number} of {}", drops.len());
            }
        });
    }

    #[track_caller]
    pub(crate) fn assert_dropped(&self, numbers: &[usize]) {
        assert_eq!(self.dropped(), numbers);
        self.with(|drops| assert!(drops.iter().all(|&count| count <= 1), "dropped twice"));
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.ledger.with(|drops| drops[self.number] += 1);
    }
}
