//! Semaphores of several threads: with runtimes and without, under load.

use crate::secs;
use crate::semaphore::Users;
use crate::semaphore::assert_whole;
use crate::threads::blocks_its_thread;
use giambio::clock;
use giambio::pool;
use giambio::skip_after;
use giambio::sync::Semaphore;
use giambio::yield_now;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

#[test]
fn outside_of_run_an_acquire_blocks_its_thread() {
    let semaphore = Semaphore::new(1);
    let permit = semaphore.acquire();
    blocks_its_thread(|| drop(semaphore.acquire()), || drop(permit));
    let permit = semaphore.acquire();
    blocks_its_thread(|| drop(semaphore.acquire()), || giambio::run(|| drop(permit)));
    assert_whole(&semaphore, 1);
}

#[test]
fn a_permit_may_be_released_on_another_thread() {
    static SEMAPHORE: Semaphore = Semaphore::new(1);
    let (hand_over, handed_over) = mpsc::channel();
    let releaser = thread::spawn(move || handed_over.into_iter().for_each(drop));
    giambio::run(|| {
        let start = clock();
        for _ in 0..100 {
            hand_over.send(SEMAPHORE.acquire()).unwrap();
        }
        drop(SEMAPHORE.acquire());
        drop(hand_over);
        assert!(clock() - start < secs(60));
    });
    releaser.join().unwrap();
    assert_whole(&SEMAPHORE, 1);
}

/// Runs a thousand tasks on each of four threads, with `act` on their own number, and `beside` on a
/// plain thread until they have all ended.
fn on_four_threads(act: impl Fn(u64) + Sync, beside: impl Fn(u64) + Sync) {
    let ended = AtomicBool::new(false);
    thread::scope(|threads| {
        threads.spawn(|| {
            for round in 0.. {
                beside(round);
                if ended.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        let runtimes = [(); 4].map(|()| {
            threads.spawn(|| {
                giambio::run(|| {
                    pool(|pool| {
                        for number in 0..1000 {
                            let act = &act;
                            pool.spawn(move || act(number));
                        }
                    });
                });
            })
        });
        let results = runtimes.map(|runtime| runtime.join());
        ended.store(true, Ordering::Relaxed);
        results.into_iter().for_each(|result| result.unwrap());
    });
}

/// Takes a permit and keeps it while others run; some are cut, at whatever moment that is.
fn use_one(semaphore: &Semaphore, users: &Users, number: u64) {
    let work = || {
        let _permit = semaphore.acquire();
        let _user = users.come();
        yield_now();
    };
    match number % 4 {
        0 => drop(semaphore.try_acquire()),
        1 => drop(skip_after(Duration::from_micros(number), |_| work())),
        _ => work(),
    }
}

/// After tokio's `stress_test`.
#[test]
fn four_threads_with_a_thousand_tasks_each_and_a_plain_one_share_seven_permits() {
    let (semaphore, users) = (Semaphore::new(7), Users::default());
    let act = |number| (0..5).for_each(|round| use_one(&semaphore, &users, number + round));
    let beside = |_| {
        let _permit = semaphore.acquire();
        let _user = users.come();
    };
    on_four_threads(act, beside);
    assert!((2..=7).contains(&users.most()), "{}", users.most());
    assert_whole(&semaphore, 7);
    let permits: Vec<_> = std::iter::from_fn(|| semaphore.try_acquire()).collect();
    assert_eq!(permits.len(), 7);
}

#[test]
fn a_semaphore_is_resized_under_load() {
    let (semaphore, users) = (Semaphore::new(7), Users::default());
    let act = |number| (0..5).for_each(|round| use_one(&semaphore, &users, number + round));
    // Never 0 for long: somebody waits for a permit.
    let beside = |round: u64| {
        for total in [0, 3, 6, 1, 5] {
            semaphore.resize(total + usize::from(round.is_multiple_of(2)));
        }
    };
    on_four_threads(act, beside);
    assert!((1..=7).contains(&users.most()), "{}", users.most());
    semaphore.resize(4);
    assert_whole(&semaphore, 4);
}

#[test]
fn permits_are_added_and_forgotten_under_load() {
    let semaphore = Semaphore::new(1);
    let act = |number: u64| match number % 4 {
        0 => drop(semaphore.acquire()),
        1 => semaphore.acquire().forget(),
        2 => semaphore.add_permits(1),
        _ => {
            if skip_after(Duration::from_micros(number), |_| semaphore.acquire().forget()).is_some()
            {
                semaphore.add_permits(1);
            }
        }
    };
    on_four_threads(act, |_| drop(semaphore.try_acquire()));
    assert_whole(&semaphore, 1);
}
