//! Explore: one program in many orders.
//!
//! Layer 9. Imports: testing's own files, scope. Never: what is tested.

use super::Schedule;
use super::builder;
use crate::scope::said;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

/// Runs `main` once for each seed, on the virtual clock, each time in another order of its tasks.
///
/// Among the tasks that can run, a random one does ([`Schedule::Seed`]). What fails in some orders only, a
/// missing wake-up, a lock that is given up too early, fails here with the seed that shows it.
///
/// # Panics
///
/// With the message of the first run that panics, and its seed; to replay it, explore that seed alone:
/// `explore([seed], main)`.
///
/// # Examples
///
/// ```
/// use giambio::testing::explore;
///
/// explore(0..100, || {
///     let total = giambio::pool(|pool| {
///         let tasks = [1, 2, 3].map(|n| pool.spawn(move || n));
///         tasks.map(|task| task.join().unwrap()).iter().sum::<i32>()
///     });
///     assert_eq!(total, 6);
/// });
/// ```
#[track_caller]
pub fn explore(seeds: impl IntoIterator<Item = u64>, main: impl Fn()) {
    for seed in seeds {
        let mut runtime = match builder().schedule(Schedule::Seed(seed)).build() {
            Ok(runtime) => runtime,
            Err(error) => panic!("giambio cannot start: {error}"),
        };
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| runtime.run(&main))) {
            let text = said(&*payload);
            panic!("seed {seed} fails: {text}; `explore([{seed}], ..)` replays it");
        }
    }
}
