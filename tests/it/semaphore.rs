//! Semaphores: who gets a permit, in which order, and what becomes of it.
//!
//! How they grow and shrink is in `semaphore_size`, those of several threads are in
//! `semaphore_threads`.

use crate::Log;
use crate::elapsed;
use crate::named;
use crate::panic_of;
use crate::raised;
use crate::secs;
use crate::unwind::OnDrop;
use crate::unwind::both;
use crate::unwind::in_destructor;
use giambio::Task;
use giambio::TooSlow;
use giambio::pool;
use giambio::shield;
use giambio::skip_after;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::sync::Semaphore;
use giambio::task;
use giambio::task::no_switch;
use giambio::task::no_unwind;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::with_timeout;
use giambio::yield_now;
use std::cell::Cell;
use std::cell::RefCell;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Counts who is somewhere at once.
#[derive(Default)]
pub(crate) struct Users {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Users {
    /// Counts one until the guard is dropped.
    pub(crate) fn come(&self) -> impl Drop {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        OnDrop::new(|| {
            self.now.fetch_sub(1, Ordering::Relaxed);
        })
    }

    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }
}

/// Asserts that all permits are available.
#[track_caller]
pub(crate) fn assert_whole(semaphore: &Semaphore, total: usize) {
    assert_eq!((semaphore.available(), semaphore.total()), (total, total));
}

#[test]
fn smoke() {
    run_virtual(|| {
        let semaphore = Semaphore::new(1);
        pool(|pool| {
            let permit = semaphore.acquire();
            let waiter = pool.spawn(|| drop(semaphore.acquire()));
            settle();
            assert!(!waiter.is_finished());
            drop(permit);
            waiter.join().unwrap();
        });
        assert_whole(&semaphore, 1);
    });
}

#[test]
fn as_many_tasks_as_there_are_permits_hold_one() {
    run_virtual(|| {
        let (semaphore, users) = (Semaphore::new(3), Users::default());
        let took = elapsed(|| {
            pool(|pool| {
                for _ in 0..10 {
                    pool.spawn(|| {
                        let _permit = semaphore.acquire();
                        let _user = users.come();
                        sleep(secs(1));
                    });
                }
            });
        });
        assert_eq!((users.most(), took), (3, secs(4)));
        assert_whole(&semaphore, 3);
    });
}

#[test]
fn what_is_available_is_counted() {
    let semaphore = Semaphore::new(2);
    assert_whole(&semaphore, 2);
    let first = semaphore.try_acquire().unwrap();
    let second = semaphore.acquire();
    assert_eq!((semaphore.available(), semaphore.total()), (0, 2));
    assert!(semaphore.try_acquire().is_none());
    assert_eq!(format!("{semaphore:?}"), "Semaphore { available: 0, total: 2, .. }");
    drop(first); // the one that was taken first goes first
    assert_eq!(semaphore.available(), 1);
    assert_eq!(format!("{second:?}"), "Permit { .. }");
    drop(second);
    assert_whole(&semaphore, 2);
}

#[test]
fn a_released_permit_goes_to_who_has_waited_longest_and_nobody_who_comes_later_is_faster() {
    run_virtual(|| {
        let (semaphore, log) = (Semaphore::new(1), Log::default());
        pool(|pool| {
            let permit = semaphore.acquire();
            for name in ["first", "second", "third"] {
                let (semaphore, log) = (&semaphore, &log);
                pool.spawn(move || {
                    let _permit = semaphore.acquire();
                    log.add(name);
                    yield_now();
                });
            }
            settle();
            drop(permit);
            // `first` has it, although it has not run.
            assert_eq!(semaphore.available(), 0);
            assert!(semaphore.try_acquire().is_none());
            drop(semaphore.acquire());
            log.add("main");
        });
        log.assert(&["first", "second", "third", "main"]);
    });
}

#[test]
fn tasks_that_share_one_permit_take_turns() {
    run_virtual(|| {
        let (semaphore, log) = (Semaphore::new(1), Log::default());
        pool(|pool| {
            for name in ["a", "b", "c"] {
                let (semaphore, log) = (&semaphore, &log);
                pool.spawn(move || {
                    for _ in 0..5 {
                        let _permit = semaphore.acquire();
                        log.add(name);
                        yield_now();
                    }
                });
            }
        });
        assert_eq!(log.take().concat(), "abc".repeat(5));
    });
}

#[test]
fn neither_an_acquire_of_what_is_available_nor_a_release_lets_anybody_else_run() {
    run_virtual(|| {
        let semaphore = Semaphore::new(1);
        pool(|pool| {
            let permit = semaphore.acquire();
            let waiter = pool.spawn(|| drop(semaphore.acquire()));
            settle();
            let other = pool.spawn(|| ());
            no_switch(|| drop(permit));
            assert!(!waiter.is_finished() && !other.is_finished());
            waiter.join().unwrap();
            let another = pool.spawn(|| ());
            drop(semaphore.acquire());
            assert!(!another.is_finished());
        });
    });
}

#[test]
fn an_acquire_of_what_is_available_is_a_checkpoint_and_takes_nothing_when_it_raises() {
    run_virtual(|| {
        let semaphore = Semaphore::new(1);
        pool(|pool| {
            pool.spawn(|| {
                task::current().cancel();
                assert!(raised(|| semaphore.acquire().forget()));
                assert_whole(&semaphore, 1);
                drop(semaphore.try_acquire().expect("this is no checkpoint"));
            });
        });
    });
}

#[test]
fn a_loop_of_acquires_does_not_starve_the_others() {
    giambio::run(|| {
        let semaphore = Semaphore::new(1);
        pool(|pool| {
            let other = pool.spawn(|| ());
            while !other.is_finished() {
                drop(semaphore.acquire());
            }
        });
    });
}

#[test]
fn a_waiter_that_was_cancelled_is_passed_over_and_its_permit_goes_to_the_next() {
    run_virtual(|| {
        let (semaphore, log) = (Semaphore::new(1), Log::default());
        pool(|pool| {
            let permit = semaphore.acquire();
            let names = ["before", "parked", "same step", "patient"];
            let [before, parked, same_step, patient]: [Task<'_, ()>; 4] = names.map(|name| {
                let (semaphore, log) = (&semaphore, &log);
                pool.spawn(move || {
                    let _permit = semaphore.acquire();
                    log.add(name);
                })
            });
            before.cancel();
            settle();
            parked.cancel();
            settle();
            same_step.cancel();
            drop(permit);
            assert_eq!(semaphore.available(), 0, "`patient` has it");
            patient.join().unwrap();
            for cancelled in [before, parked, same_step] {
                assert!(cancelled.join().unwrap_err().is_cancelled());
            }
        });
        log.assert(&["patient"]);
        assert_whole(&semaphore, 1);
    });
}

#[test]
fn a_permit_that_was_handed_over_before_the_cancellation_completes_the_call() {
    run_virtual(|| {
        let (semaphore, got) = (Semaphore::new(1), Cell::new(false));
        pool(|pool| {
            let permit = semaphore.acquire();
            let served = pool.spawn(|| {
                let _permit = semaphore.acquire();
                got.set(true);
                yield_now();
                unreachable!("a checkpoint has not raised");
            });
            let next = pool.spawn(|| drop(semaphore.acquire()));
            settle();
            drop(permit);
            served.cancel();
            assert!(served.join().unwrap_err().is_cancelled());
            assert!(got.get());
            next.join().unwrap();
        });
        assert_whole(&semaphore, 1);
    });
}

#[test]
fn a_waiter_that_was_cancelled_leaves_a_free_permit_to_who_comes_next() {
    run_virtual(|| {
        let semaphore = Semaphore::new(1);
        pool(|pool| {
            let permit = semaphore.acquire();
            let waiter = pool.spawn(|| drop(semaphore.acquire()));
            settle();
            // It still stands in the line, and nobody may wait behind it for nothing.
            waiter.cancel();
            drop(permit);
            assert_eq!(semaphore.available(), 1);
            let permit = semaphore.try_acquire().unwrap();
            let other = pool.spawn(|| drop(semaphore.acquire()));
            settle();
            drop(permit);
            other.join().unwrap();
        });
        assert_whole(&semaphore, 1);
    });
}

#[test]
fn a_timeout_cuts_an_acquire_and_leaves_no_trace() {
    run_virtual(|| {
        let semaphore = Semaphore::new(1);
        let permit = semaphore.acquire();
        let take = |limit| with_timeout(limit, |_| drop(semaphore.acquire()));
        for _ in 0..1000 {
            assert_eq!(elapsed(|| assert_eq!(take(secs(2)), Err(TooSlow))), secs(2));
        }
        drop(permit);
        assert_whole(&semaphore, 1);
        assert_eq!(take(secs(2)), Ok(()));
        assert_eq!(take(Duration::ZERO), Err(TooSlow));
        assert_whole(&semaphore, 1);
    });
}

#[test]
fn a_shielded_acquire_is_not_cut() {
    run_virtual(|| {
        let semaphore = Semaphore::new(1);
        pool(|pool| {
            let permit = semaphore.acquire();
            pool.spawn(|| {
                sleep(secs(5));
                drop(permit);
            });
            let took = elapsed(|| {
                let cut = skip_after(secs(1), |_| {
                    let _permit = shield(|| semaphore.acquire());
                    yield_now();
                });
                assert!(cut.is_none());
            });
            assert_eq!(took, secs(5));
        });
        assert_whole(&semaphore, 1);
    });
}

#[test]
fn a_pool_that_is_cancelled_gives_every_permit_back() {
    run_virtual(|| {
        let semaphore = Semaphore::new(3);
        giambio::cancellable(|pool| {
            for _ in 0..10 {
                pool.spawn(|| {
                    let _permit = semaphore.acquire();
                    sleep_forever()
                });
            }
            settle();
            assert_eq!(semaphore.available(), 0);
            pool.cancel();
        });
        assert_whole(&semaphore, 3);
    });
}

#[test]
fn a_permit_that_a_destructor_releases_goes_to_the_next_who_waits() {
    both(|passing| {
        let (semaphore, log) = (Semaphore::new(1), Log::default());
        pool(|pool| {
            in_destructor(passing, || {
                let permit = semaphore.acquire();
                for name in ["next", "last"] {
                    let (semaphore, log) = (&semaphore, &log);
                    pool.spawn(move || {
                        let _permit = semaphore.acquire();
                        log.add(name);
                    });
                }
                settle();
                drop(permit);
                log.add("released");
            });
        });
        log.assert(&["released", "next", "last"]);
        assert_whole(&semaphore, 1);
    });
}

#[test]
fn a_holder_that_is_cancelled_releases_its_permit_before_its_pool_ends() {
    run_virtual(|| {
        let (semaphore, log) = (Semaphore::new(1), Log::default());
        pool(|pool| {
            let holder = pool.spawn(|| {
                let _left = OnDrop::new(|| log.add("holder has left"));
                let _permit = semaphore.acquire();
                sleep_forever()
            });
            pool.spawn(|| {
                let _permit = semaphore.acquire();
                log.add("next");
            });
            settle();
            holder.cancel();
        });
        log.assert(&["holder has left", "next"]);
    });
}

#[test]
fn while_a_task_unwinds_it_really_waits() {
    both(|passing| {
        let semaphore = Semaphore::new(1);
        pool(|pool| {
            let permit = semaphore.acquire();
            pool.spawn(|| {
                sleep(secs(3));
                drop(permit);
            });
            let took = in_destructor(passing, || elapsed(|| drop(semaphore.acquire())));
            assert_eq!(took, secs(3));
        });
        assert_whole(&semaphore, 1);
    });
}

#[test]
fn where_nothing_may_unwind_a_cancelled_acquire_goes_on_waiting() {
    run_virtual(|| {
        let semaphore = Semaphore::new(1);
        pool(|pool| {
            let permit = semaphore.acquire();
            let waiter = pool.spawn(|| {
                let _permit = no_unwind(|| semaphore.acquire());
                assert!(raised(yield_now));
            });
            settle();
            waiter.cancel();
            settle();
            assert!(!waiter.is_finished());
            drop(permit);
            waiter.join().unwrap();
        });
        assert_whole(&semaphore, 1);
    });
}

#[test]
fn inside_of_no_switch_an_acquire_panics_if_it_would_wait() {
    run_virtual(|| {
        let semaphore = Semaphore::new(1);
        let permit = no_switch(|| semaphore.acquire());
        let text = panic_of(|| no_switch(|| semaphore.acquire().forget()));
        assert!(text.contains("`Semaphore::acquire` would switch"), "{text}");
        drop(permit);
        assert_whole(&semaphore, 1);
    });
}

#[test]
fn a_permit_that_was_lost_counts_as_in_use() {
    run_virtual(|| {
        let semaphore = Semaphore::new(2);
        #[expect(clippy::mem_forget, reason = "what a lost permit does is the subject")]
        std::mem::forget(semaphore.acquire());
        assert_eq!((semaphore.available(), semaphore.total()), (1, 2));
        drop(semaphore.acquire());
        semaphore.resize(3); // so it can be replaced
        assert_eq!((semaphore.available(), semaphore.total()), (2, 3));
    });
}

#[test]
fn ten_thousand_waiters_pass_in_their_order() {
    run_virtual(|| {
        let (semaphore, passed) = (Semaphore::new(1), RefCell::new(Vec::new()));
        pool(|pool| {
            let permit = semaphore.acquire();
            let waiters: Vec<_> = (0..10_000)
                .map(|number| {
                    let (semaphore, passed) = (&semaphore, &passed);
                    pool.spawn(move || {
                        let _permit = semaphore.acquire();
                        passed.borrow_mut().push(number);
                    })
                })
                .collect();
            settle();
            waiters.iter().step_by(10).for_each(|waiter| waiter.cancel());
            drop(permit);
        });
        assert!(passed.take().into_iter().eq((0..10_000).filter(|number| number % 10 > 0)));
        assert_whole(&semaphore, 1);
    });
}

#[test]
fn a_report_says_who_waits_for_a_permit() {
    let report = panic_of(|| {
        run_virtual(|| {
            let semaphore = Semaphore::new(0);
            pool(|pool| {
                named(pool, "permit waiter", || semaphore.acquire().forget());
            });
        });
    });
    let line = report.lines().find(|line| line.contains("'permit waiter'")).unwrap();
    assert!(line.contains("waits for a permit of a semaphore, for "), "{report}");
}

#[test]
fn a_semaphore_may_be_used_in_a_catch_unwind() {
    fn is_unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}
    is_unwind_safe::<Semaphore>();
}
