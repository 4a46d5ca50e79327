//! What tasks wait for in one another: in many orders, and cut at every checkpoint.

use crate::Log;
use crate::semaphore::Users;
use crate::semaphore::assert_whole;
use giambio::pool;
use giambio::sleep;
use giambio::sync::Event;
use giambio::sync::Semaphore;
use giambio::testing::Cut;
use giambio::testing::Sequencer;
use giambio::testing::assert_checkpoint;
use giambio::testing::cancelled_at_every_checkpoint;
use giambio::testing::explore;
use giambio::testing::run_virtual;
use giambio::with_timeout;
use giambio::yield_now;
use std::cell::Cell;
use std::time::Duration;

#[test]
fn smoke() {
    explore(0..10, || {
        let (event, semaphore) = (Event::new(), Semaphore::new(0));
        pool(|pool| {
            pool.spawn(|| semaphore.add_permits(event.wait()));
            pool.spawn(|| semaphore.acquire().forget());
            pool.spawn(|| event.trigger(1).unwrap());
        });
        assert_whole(&semaphore, 0);
    });
}

/// Uses a semaphore of two from three tasks that take turns; a number of checkpoints.
fn use_a_semaphore(cut: &Cut) {
    let (semaphore, users, done) = (Semaphore::new(2), Users::default(), Cell::new(0));
    let completed = cut.run(|| {
        pool(|pool| {
            for _ in 0..3 {
                pool.spawn(|| {
                    for _ in 0..2 {
                        let _permit = semaphore.acquire();
                        let _user = users.come();
                        yield_now();
                        done.set(done.get() + 1);
                    }
                });
            }
        });
    });
    assert!(users.most() <= 2);
    assert_whole(&semaphore, 2);
    // The end of the pool is a checkpoint as well.
    assert!(completed.is_none() || done.get() == 6);
}

#[test]
fn a_semaphore_is_whole_wherever_its_users_were_cut() {
    let checkpoints = run_virtual(|| cancelled_at_every_checkpoint(use_a_semaphore));
    assert!(checkpoints >= 12, "an `acquire` or a `yield_now` was none");
}

#[test]
fn an_event_works_wherever_those_who_wait_were_cut() {
    let checkpoints = run_virtual(|| {
        cancelled_at_every_checkpoint(|cut| {
            let (event, got) = (Event::new(), Cell::new(0));
            cut.run(|| {
                pool(|pool| {
                    for _ in 0..3 {
                        pool.spawn(|| got.set(got.get() + event.wait()));
                    }
                    pool.spawn(|| {
                        sleep(Duration::from_secs(1));
                        event.trigger(1).unwrap();
                    });
                });
            });
            assert_eq!(event.is_set(), got.get() > 0);
            let _ = event.trigger(1); // nobody is left who could be woken
            assert_eq!(event.wait(), 1);
        })
    });
    assert!(checkpoints >= 4, "a `wait` or the `sleep` was none");
}

#[test]
fn each_call_that_may_wait_is_a_checkpoint_also_when_it_need_not() {
    run_virtual(|| {
        let (event, semaphore, sequence) = (Event::new(), Semaphore::new(1), Sequencer::new());
        event.trigger(()).unwrap();
        assert_checkpoint(|| event.wait());
        assert_checkpoint(|| *event.wait_ref());
        assert_checkpoint(|| drop(semaphore.acquire()));
        assert_checkpoint(|| drop(sequence.step(0)));
    });
}

#[test]
fn a_semaphore_serves_in_the_order_of_the_calls_whoever_runs_first() {
    explore(0..50, || {
        let (semaphore, asked, got) = (Semaphore::new(1), Log::default(), Log::default());
        let permit = semaphore.acquire();
        pool(|pool| {
            for number in 0..20 {
                let (semaphore, asked, got) = (&semaphore, &asked, &got);
                pool.spawn(move || {
                    asked.add(number.to_string());
                    let _permit = semaphore.acquire();
                    got.add(number.to_string());
                    yield_now();
                });
            }
            sleep(Duration::from_secs(1));
            drop(permit);
        });
        assert_eq!(asked.take(), got.take());
        assert_whole(&semaphore, 1);
    });
}

#[test]
fn timeouts_releases_and_new_sizes_leave_a_semaphore_whole_in_every_order() {
    explore(0..100, || {
        let (semaphore, users) = (Semaphore::new(2), Users::default());
        pool(|pool| {
            for number in 0..30 {
                let (semaphore, users) = (&semaphore, &users);
                pool.spawn(move || {
                    // Deadlines, releases and resizes that fall together.
                    let limit = Duration::from_secs(number % 5);
                    let _ = with_timeout(limit, |_| {
                        let _permit = semaphore.acquire();
                        let _user = users.come();
                        sleep(Duration::from_secs(1));
                    });
                });
            }
            for total in [0, 3, 1, 2] {
                let semaphore = &semaphore;
                pool.spawn_after(Duration::from_secs(1), move || semaphore.resize(total));
            }
            sleep(Duration::from_secs(2));
            semaphore.resize(2);
        });
        assert!((2..=3).contains(&users.most()), "{}", users.most());
        assert_whole(&semaphore, 2);
    });
}

#[test]
fn an_event_wakes_everybody_who_was_not_cut_in_every_order() {
    explore(0..100, || {
        let (event, woken, cut) = (Event::new(), Cell::new(0), Cell::new(0));
        pool(|pool| {
            for number in 0..30 {
                let (event, woken, cut) = (&event, &woken, &cut);
                pool.spawn(move || {
                    let limit = Duration::from_secs(1 + number % 3);
                    let count = match with_timeout(limit, |_| event.wait()) {
                        Ok(()) => woken,
                        Err(giambio::TooSlow) => cut,
                    };
                    count.set(count.get() + 1);
                });
            }
            sleep(Duration::from_secs(2));
            event.trigger(()).unwrap();
        });
        // Who had 3 s was woken, who had 1 s was not; with 2 s it is as it falls.
        assert!(woken.get() >= 10 && cut.get() >= 10, "{woken:?} {cut:?}");
        assert_eq!(woken.get() + cut.get(), 30);
    });
}
