//! `Barrier`: who waits for whom.

use crate::Log;
use crate::panic_of;
use crate::secs;
use crate::unwind::both;
use crate::unwind::in_destructor;
use giambio::pool;
use giambio::skip_after;
use giambio::sync::Barrier;
use giambio::task;
use giambio::task::no_switch;
use giambio::testing::assert_checkpoint;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::yield_now;
use std::cell::Cell;

#[test]
fn all_but_one_wait_and_the_last_leads() {
    run_virtual(|| {
        let barrier = Barrier::new(10);
        pool(|pool| {
            let others = [(); 9].map(|()| pool.spawn(|| barrier.wait().is_leader()));
            settle();
            assert!(others.iter().all(|other| !other.is_finished()));
            assert!(barrier.wait().is_leader());
            for other in others {
                assert!(!other.join().unwrap());
            }
        });
    });
}

#[test]
fn the_last_to_come_does_not_park_and_the_others_go_on_in_their_order() {
    run_virtual(|| {
        let (barrier, log) = (Barrier::new(4), Log::default());
        pool(|pool| {
            for name in ["first", "second", "third"] {
                let (barrier, log) = (&barrier, &log);
                pool.spawn(move || {
                    barrier.wait();
                    log.add(name);
                });
            }
            settle();
            assert!(no_switch(|| barrier.wait()).is_leader());
            log.add("last");
        });
        log.assert(&["last", "first", "second", "third"]);
    });
}

#[test]
fn it_is_used_again_and_again_and_each_round_has_one_leader() {
    run_virtual(|| {
        let (barrier, arrived, led) = (Barrier::new(20), Cell::new(0), Cell::new(0));
        pool(|pool| {
            for _ in 0..20 {
                pool.spawn(|| {
                    for round in 0..50 {
                        arrived.set(arrived.get() + 1);
                        let result = barrier.wait();
                        led.set(led.get() + usize::from(result.is_leader()));
                        assert!(
                            arrived.get() >= (round + 1) * 20 && arrived.get() <= (round + 2) * 20
                        );
                    }
                });
            }
        });
        assert_eq!((arrived.get(), led.get()), (1000, 50));
    });
}

#[test]
fn one_for_none_or_for_one_keeps_nobody() {
    run_virtual(|| {
        for size in [0, 1] {
            let barrier = Barrier::new(size);
            assert!((0..3).all(|_| no_switch(|| barrier.wait().is_leader())));
        }
    });
}

#[test]
fn more_than_it_is_for_meet_in_rounds() {
    run_virtual(|| {
        let (barrier, led) = (Barrier::new(3), Cell::new(0));
        pool(|pool| {
            let tasks: Vec<_> = (0..8)
                .map(|_| {
                    pool.spawn(|| led.set(led.get() + usize::from(barrier.wait().is_leader())))
                })
                .collect();
            settle();
            assert_eq!(tasks.iter().filter(|task| task.is_finished()).count(), 6);
            barrier.wait();
        });
        assert_eq!(led.get(), 2);
    });
}

#[test]
fn who_was_cut_has_withdrawn_and_another_one_has_to_come() {
    run_virtual(|| {
        let barrier = Barrier::new(3);
        pool(|pool| {
            let cut = [(); 2].map(|()| {
                pool.spawn(|| {
                    barrier.wait();
                })
            });
            settle();
            for cut in cut {
                cut.cancel();
                // It has not run, and still stands in the line.
                let stays = pool.spawn(|| barrier.wait().is_leader());
                yield_now();
                assert!(!stays.is_finished());
                assert!(cut.join().unwrap_err().is_cancelled());
            }
            assert!(barrier.wait().is_leader());
        });
        // And nothing is left of them.
        pool(|pool| {
            let others = [(); 2].map(|()| pool.spawn(|| barrier.wait().is_leader()));
            settle();
            assert!(others.iter().all(|other| !other.is_finished()));
            assert!(barrier.wait().is_leader());
        });
    });
}

#[test]
fn who_is_cancelled_and_has_not_run_since_does_not_count() {
    run_virtual(|| {
        let barrier = Barrier::new(2);
        pool(|pool| {
            let cut = pool.spawn(|| {
                barrier.wait();
            });
            settle();
            cut.cancel();
            // Whoever comes now would lead if it counted.
            let text = panic_of(|| {
                no_switch(|| {
                    barrier.wait();
                })
            });
            assert!(text.starts_with("`Barrier::wait` would switch"), "{text}");
            assert!(cut.join().unwrap_err().is_cancelled());
        });
    });
}

#[test]
fn who_panicked_instead_of_waiting_does_not_count() {
    run_virtual(|| {
        let barrier = Barrier::new(2);
        pool(|pool| {
            for _ in 0..3 {
                assert!(
                    panic_of(|| no_switch(|| {
                        barrier.wait();
                    }))
                    .contains("would switch")
                );
            }
            let waits = pool.spawn(|| barrier.wait().is_leader());
            settle();
            assert!(!waits.is_finished());
            assert!(barrier.wait().is_leader());
        });
    });
}

#[test]
fn timeouts_withdraw_too_however_many() {
    run_virtual(|| {
        let barrier = Barrier::new(3);
        for _ in 0..10 {
            pool(|pool| {
                for _ in 0..2 {
                    pool.spawn(|| assert!(skip_after(secs(1), |_| barrier.wait()).is_none()));
                }
            });
        }
        pool(|pool| {
            let others = [(); 2].map(|()| pool.spawn(|| barrier.wait().is_leader()));
            settle();
            assert!(others.iter().all(|other| !other.is_finished()));
            assert!(barrier.wait().is_leader());
        });
    });
}

#[test]
fn who_has_met_the_others_before_it_was_cancelled_goes_on() {
    run_virtual(|| {
        let (barrier, log) = (Barrier::new(2), Log::default());
        pool(|pool| {
            let task = pool.spawn(|| {
                barrier.wait();
                log.add("met");
                yield_now();
                log.add("never");
            });
            settle();
            barrier.wait();
            task.cancel();
            assert!(task.join().unwrap_err().is_cancelled());
        });
        log.assert(&["met"]);
    });
}

#[test]
fn a_wait_is_a_checkpoint_for_the_last_as_well() {
    run_virtual(|| {
        let barrier = Barrier::new(1);
        assert_checkpoint(|| barrier.wait());
        pool(|pool| {
            let cut = pool.spawn(|| {
                task::current().cancel();
                barrier.wait();
            });
            assert!(cut.join().unwrap_err().is_cancelled());
        });
    });
}

#[test]
fn in_a_destructor_it_really_waits() {
    both(|passing| {
        let barrier = Barrier::new(2);
        pool(|pool| {
            let other = pool.spawn(|| {
                giambio::sleep(secs(1));
                barrier.wait().is_leader()
            });
            assert!(!in_destructor(passing, || barrier.wait().is_leader()));
            assert!(other.join().unwrap());
        });
    });
}
