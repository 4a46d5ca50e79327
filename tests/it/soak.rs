//! Many tasks, one after another and of every kind: stacks are used again, and nothing piles up.

#[path = "../../benches/churn/mod.rs"]
pub(crate) mod churn;

use crate::secs;
use churn::Churn;
use churn::MOST_STACKS;
use giambio::debug::StackStats;
use giambio::testing::run_virtual;

fn stacks() -> StackStats {
    giambio::debug::stacks().expect("a runtime on this thread")
}

#[test]
fn smoke() {
    let churn = Churn::default();
    run_virtual(|| churn.run(1, || churn.spawned.get() >= 100));
    assert!(churn.spawned.get() >= 100);
    assert_eq!(churn.dropped, churn.spawned);
}

#[test]
fn a_hundred_thousand_tasks_in_sequence_run_on_one_stack() {
    giambio::run(|| {
        giambio::pool(|pool| {
            let mut sum = 0;
            for number in 0..100_000_u64 {
                sum += pool.spawn(move || number).join().unwrap();
                if number == 0 {
                    assert_eq!((stacks().live, stacks().idle, stacks().peak), (1, 1, 2));
                }
            }
            assert_eq!(sum, 99_999 * 100_000 / 2);
            assert_eq!((stacks().live, stacks().idle, stacks().peak), (1, 1, 2));
        });
    });
}

/// Goes on for so many seconds of a virtual clock; the stacks after each of them.
fn soak(churn: &Churn, seed: u64, seconds: u64) -> Vec<StackStats> {
    let end = giambio::clock() + secs(seconds);
    giambio::pool(|pool| {
        pool.spawn(|| churn.run(seed, || giambio::clock() >= end));
        let sample = |_| {
            giambio::sleep(secs(1));
            stacks()
        };
        (0..seconds).map(sample).collect()
    })
}

#[test]
fn tasks_of_every_kind_need_no_more_stacks_than_live_at_once() {
    let churn = Churn::default();
    run_virtual(|| {
        let samples = soak(&churn, 20_261_123, 3);
        for sample in &samples {
            assert!((1..=MOST_STACKS).contains(&sample.live), "{sample:?}");
        }
        // The first second has needed nearly all that are ever needed, and fifty times as many tasks
        // have run.
        let all = samples[0].live + samples[0].idle;
        let end = stacks();
        assert!(end.live == 1 && end.idle < all * 5 / 4, "{all} after a second, then {end:?}");
        assert!(churn.spawned.get() > 50 * end.idle as u64, "{churn:?}");
        giambio::sleep(secs(2));
        giambio::sleep(secs(4));
        assert!(stacks().returned_bytes > 1 << 20, "{:?}", stacks());
    });
    assert_eq!(churn.dropped, churn.spawned);
    let done = [&churn.returned, &churn.cancelled, &churn.cut, &churn.failed, &churn.big_stacks];
    assert!(done.iter().all(|count| count.get() > 200), "{churn:?}");
}

#[test]
fn a_seed_repeats_the_whole_program() {
    let once = || {
        let churn = Churn::default();
        run_virtual(|| soak(&churn, 7, 1));
        format!("{churn:?}")
    };
    assert_eq!(once(), once());
}
