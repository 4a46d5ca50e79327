//! Two children sleep for two seconds each, and their parent waits for two seconds, not for four.
//!
//! What to look for: `spawn` returns at once, so "[main] Children spawned" comes first; both children
//! sleep at the same time; the pool ends with the last of them. The test runs the same function on a
//! virtual clock, where two seconds take no time.
//!
//! Run it: `cargo run --example sleepers`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

fn main() {
    giambio::run(sleepers);
}

fn child(name: &str) {
    println!("[{name}] Child spawned! Sleeping for 2 seconds");
    giambio::sleep(Duration::from_secs(2));
    println!("[{name}] Had a nice nap!");
}

/// Returns how long it took.
fn sleepers() -> Duration {
    let start = giambio::clock();
    giambio::pool(|pool| {
        pool.spawn(|| child("child"));
        pool.spawn(|| child("child 1"));
        println!("[main] Children spawned, awaiting completion");
    });
    let elapsed = giambio::clock() - start;
    println!("[main] Children execution complete in {:.2} seconds", elapsed.as_secs_f64());
    elapsed
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    #[test]
    fn the_children_sleep_at_the_same_time() {
        let elapsed = giambio::testing::run_virtual(super::sleepers);
        assert_eq!(elapsed, Duration::from_secs(2));
    }

    #[test]
    fn a_deadline_cuts_both_children() {
        let result = giambio::testing::run_virtual(|| {
            giambio::with_timeout(Duration::from_secs(1), |_| super::sleepers())
        });
        assert_eq!(result, Err(giambio::TooSlow));
    }
}
