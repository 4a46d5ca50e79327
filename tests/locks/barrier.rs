//! Barriers: who has come, who leads, and who does not count.

use crate::Log;
use crate::blocks_its_thread;
use crate::elapsed;
use crate::panic_of;
use crate::raised;
use crate::secs;
use crate::unwind::both;
use crate::unwind::in_destructor;
use giambio::cancellable;
use giambio::pool;
use giambio::skip_after;
use giambio::sleep;
use giambio::sync::Barrier;
use giambio::task;
use giambio::task::no_switch;
use giambio::task::no_unwind;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::yield_now;
use std::cell::Cell;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;

#[test]
fn smoke() {
    run_virtual(|| {
        let (barrier, log) = (Barrier::new(3), Log::default());
        pool(|pool| {
            for seconds in [1, 3, 2] {
                let (barrier, log) = (&barrier, &log);
                pool.spawn(move || {
                    sleep(secs(seconds));
                    log.add("came");
                    barrier.wait();
                    log.add("went on");
                });
            }
        });
        log.assert(&["came", "came", "came", "went on", "went on", "went on"]);
    });
}

#[test]
fn the_last_one_leads_and_goes_on_at_once_and_the_others_in_their_order() {
    run_virtual(|| {
        let (barrier, log) = (Barrier::new(4), Log::default());
        pool(|pool| {
            for name in ["first", "second", "third"] {
                let (barrier, log) = (&barrier, &log);
                pool.spawn(move || {
                    assert!(!barrier.wait().is_leader());
                    log.add(name);
                });
            }
            settle();
            assert!(no_switch(|| barrier.wait().is_leader()));
            log.add("leader");
        });
        log.assert(&["leader", "first", "second", "third"]);
    });
}

#[test]
fn it_can_be_used_again_and_again() {
    run_virtual(|| {
        let (barrier, round, leaders) = (Barrier::new(5), Cell::new(0), Cell::new(0));
        pool(|pool| {
            for _ in 0..5 {
                pool.spawn(|| {
                    for number in 0..100 {
                        assert!(round.get() == number, "somebody is a round ahead");
                        if barrier.wait().is_leader() {
                            leaders.set(leaders.get() + 1);
                            round.set(number + 1);
                        }
                        barrier.wait();
                    }
                });
            }
        });
        assert_eq!((leaders.get(), round.get()), (100, 100));
    });
}

#[test]
fn more_than_it_is_for_take_turns() {
    run_virtual(|| {
        let (barrier, leaders) = (Barrier::new(3), Cell::new(0));
        pool(|pool| {
            for _ in 0..9 {
                pool.spawn(|| {
                    let leads = barrier.wait().is_leader();
                    leaders.set(leaders.get() + i32::from(leads));
                });
            }
        });
        assert_eq!(leaders.get(), 3);
    });
}

#[test]
fn one_for_one_or_for_none_lets_each_pass() {
    run_virtual(|| {
        for size in [0, 1] {
            let barrier = Barrier::new(size);
            (0..3).for_each(|_| assert!(no_switch(|| barrier.wait().is_leader())));
        }
    });
}

#[test]
fn it_is_a_checkpoint_also_for_the_last_one() {
    run_virtual(|| {
        let barrier = Barrier::new(1);
        let cut = cancellable(|pool| {
            pool.cancel();
            assert!(raised(|| barrier.wait()));
            barrier.wait();
        });
        assert!(cut.is_none());
        pool(|pool| {
            let other = pool.spawn(|| ());
            (0..1000).for_each(|_| drop(barrier.wait()));
            assert!(other.is_finished(), "it is not counted in the budget");
        });
    });
}

#[test]
fn who_was_cancelled_has_not_come_whether_it_has_run_since_or_not() {
    for has_run in [true, false] {
        run_virtual(|| {
            let (barrier, log) = (Barrier::new(3), Log::default());
            pool(|pool| {
                let come = |name: &'static str| {
                    let (barrier, log) = (&barrier, &log);
                    let task = pool.spawn(move || {
                        barrier.wait();
                        log.add(name);
                    });
                    settle();
                    task
                };
                let cut = come("cut");
                come("second");
                cut.cancel();
                if has_run {
                    settle();
                }
                let third =
                    pool.spawn(|| log.add(format!("leads: {}", barrier.wait().is_leader())));
                settle();
                assert!(!third.is_finished(), "who was cancelled counts");
                log.assert(&[]);
                come("fourth");
                assert!(cut.join().unwrap_err().is_cancelled());
            });
            log.assert(&["fourth", "second", "leads: false"]);
        });
    }
}

#[test]
fn a_cancelled_one_counts_neither_for_its_round_nor_for_the_next() {
    run_virtual(|| {
        let barrier = Barrier::new(2);
        pool(|pool| {
            for _ in 0..10 {
                assert!(skip_after(secs(1), |_| barrier.wait()).is_none());
            }
            let other = pool.spawn(|| barrier.wait().is_leader());
            settle();
            assert!(!other.is_finished());
            assert!(barrier.wait().is_leader());
            assert!(!other.join().unwrap());
            let other = pool.spawn(|| barrier.wait().is_leader());
            settle();
            assert!(!other.is_finished());
            assert!(barrier.wait().is_leader());
        });
    });
}

#[test]
fn when_the_others_came_before_the_cancellation_it_goes_on() {
    run_virtual(|| {
        let (barrier, log) = (Barrier::new(2), Log::default());
        pool(|pool| {
            let first = pool.spawn(|| {
                barrier.wait();
                log.add("went on");
                yield_now();
                log.add("not cut");
            });
            settle();
            barrier.wait();
            first.cancel();
            assert!(first.join().unwrap_err().is_cancelled());
        });
        log.assert(&["went on"]);
    });
}

#[test]
fn where_it_may_not_wait_it_panics_and_has_not_come() {
    run_virtual(|| {
        let barrier = Barrier::new(2);
        let text = panic_of(|| no_switch(|| barrier.wait()));
        assert!(text.starts_with("`Barrier::wait` would switch"), "{text}");
        assert!(skip_after(secs(1), |_| barrier.wait()).is_none(), "it counts");
    });
}

#[test]
fn in_a_destructor_and_where_nothing_may_unwind_it_really_waits() {
    both(|passing| {
        let barrier = Barrier::new(2);
        pool(|pool| {
            pool.spawn(|| {
                for _ in 0..2 {
                    sleep(secs(3));
                    barrier.wait();
                }
            });
            assert_eq!(in_destructor(passing, || elapsed(|| drop(barrier.wait()))), secs(3));
            let waiter = pool.spawn(|| {
                let took = elapsed(|| {
                    no_unwind(|| {
                        task::current().cancel();
                        barrier.wait();
                    });
                });
                assert_eq!(took, secs(3));
            });
            waiter.join().unwrap();
        });
    });
}

#[test]
fn outside_of_run_it_blocks_its_thread() {
    let barrier = Barrier::new(2);
    let wait = || barrier.wait().is_leader();
    let mut leads = false;
    assert!(!blocks_its_thread(wait, || leads = wait()));
    assert!(leads);
    assert!(!blocks_its_thread(wait, || leads = giambio::run(wait)));
    assert!(leads);
}

#[test]
fn tasks_of_two_runtimes_and_threads_meet() {
    const ROUNDS: usize = 200;
    let (barrier, came, leaders) = (Barrier::new(6), AtomicUsize::new(0), AtomicUsize::new(0));
    let meet = || {
        for round in 0..ROUNDS {
            came.fetch_add(1, Ordering::SeqCst);
            let leads = barrier.wait().is_leader();
            assert!(came.load(Ordering::SeqCst) >= (round + 1) * 6);
            leaders.fetch_add(usize::from(leads), Ordering::SeqCst);
        }
    };
    thread::scope(|threads| {
        for _ in 0..2 {
            threads
                .spawn(|| giambio::run(|| pool(|pool| drop([pool.spawn(meet), pool.spawn(meet)]))));
            threads.spawn(meet);
        }
    });
    assert_eq!(leaders.into_inner(), ROUNDS);
}
