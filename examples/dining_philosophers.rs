//! Five philosophers, five forks, and two forks needed to eat: an evening without deadlock that ends on
//! time.
//!
//! What to look for: a fork lies in a channel that has room for one, and taking it is a `recv`. Who gets no
//! second fork in time puts the first one back, so nobody waits for ever. When the evening is over,
//! `skip_after` cuts everybody wherever he is, with forks in his hands or without; a fork goes back when it
//! is dropped, so all of them are on the table in the end.
//!
//! Run it: `cargo run --example dining_philosophers`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use giambio::channel::Receiver;
use giambio::channel::Sender;
use giambio::channel::bounded;
use std::cell::Cell;
use std::time::Duration;

const NAMES: [&str; 5] = ["Averroes", "Hypatia", "Kant", "Laozi", "Simone Weil"];
const EVENING: Duration = Duration::from_millis(300);

/// A place on the table, with a fork or without one.
struct Place {
    put: Sender<()>,
    take: Receiver<()>,
}

impl Place {
    fn with_a_fork() -> Self {
        let (put, take) = bounded(1);
        put.send(()).expect("there is room for it");
        Self { put, take }
    }

    fn fork_within(&self, patience: Duration) -> Option<Fork<'_>> {
        self.take.recv_timeout(patience).ok().map(|()| Fork(self))
    }
}

/// A fork in somebody's hand, put back on drop.
struct Fork<'t>(&'t Place);

impl Drop for Fork<'_> {
    fn drop(&mut self) {
        // Not `send`, which is a checkpoint: whoever is sent home puts his forks back first.
        self.0.put.try_send(()).expect("nobody else has put a fork here");
    }
}

fn main() {
    giambio::run(|| dine(EVENING));
}

/// Returns how often each of them has eaten, and how many forks are on the table in the end.
fn dine(evening: Duration) -> ([u32; 5], usize) {
    let (table, meals) = (NAMES.map(|_| Place::with_a_fork()), NAMES.map(|_| Cell::new(0)));
    giambio::skip_after(evening, |pool| {
        for (seat, (name, meals)) in NAMES.iter().zip(&meals).enumerate() {
            let (left, right) = (&table[seat], &table[(seat + 1) % table.len()]);
            // None is as patient as another, or all of them would give up at the same time.
            let patience = Duration::from_millis(3 + 2 * seat as u64);
            pool.spawn(move || {
                loop {
                    giambio::sleep(patience); // he thinks
                    let Some(_left) = left.fork_within(patience) else { continue };
                    let Some(_right) = right.fork_within(patience) else { continue };
                    giambio::sleep(Duration::from_millis(5)); // he eats
                    meals.set(meals.get() + 1);
                    println!("{name} has eaten {} times", meals.get());
                }
            });
        }
    });
    let forks = table.iter().filter(|place| !place.take.is_empty()).count();
    println!("the evening is over, and {forks} forks are on the table");
    (meals.map(Cell::into_inner), forks)
}

#[cfg(test)]
mod tests {
    use giambio::testing::explore;
    use giambio::testing::run_virtual;
    use std::time::Duration;

    #[test]
    fn runs() {
        super::main();
    }

    #[test]
    fn nobody_starves_and_the_evening_ends_on_time() {
        run_virtual(|| {
            let start = giambio::clock();
            let (meals, forks) = super::dine(super::EVENING);
            assert!(meals.iter().all(|&meals| meals >= 5), "{meals:?}");
            assert_eq!(forks, 5);
            assert_eq!(giambio::clock() - start, super::EVENING);
        });
    }

    #[test]
    fn every_fork_is_put_back_whenever_the_evening_ends() {
        explore(0..50, || {
            for limit in 0..20 {
                assert_eq!(super::dine(Duration::from_millis(limit)).1, 5);
            }
        });
    }
}
