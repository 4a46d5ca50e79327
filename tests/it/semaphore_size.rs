//! Semaphores that grow and shrink.

use crate::Log;
use crate::panic_of;
use crate::secs;
use crate::semaphore::assert_whole;
use giambio::Task;
use giambio::TooSlow;
use giambio::pool;
use giambio::sleep;
use giambio::sync::Permit;
use giambio::sync::Semaphore;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::with_timeout;
use std::cell::RefCell;

/// Tasks that each ask for a permit and hold it until they are told to release it.
struct Holders<'h, 's> {
    held: &'h RefCell<Vec<(usize, Permit<'s>)>>,
}

impl Holders<'_, '_> {
    /// Who holds a permit now, in the order in which they got it.
    fn now(&self) -> Vec<usize> {
        settle();
        self.held.borrow().iter().map(|&(number, _)| number).collect()
    }

    fn release(&self, number: usize) {
        let mut held = self.held.borrow_mut();
        let place = held.iter().position(|&(holder, _)| holder == number).unwrap();
        let permit = held.remove(place);
        drop(held);
        drop(permit);
    }
}

/// Has five tasks ask for a permit, one after the other; after `body` each that gets one releases it.
fn with_five<'s>(semaphore: &'s Semaphore, body: impl FnOnce(Holders<'_, 's>, Vec<&Task<'_, ()>>)) {
    let held = RefCell::new(Vec::new());
    pool(|pool| {
        let tasks = [0, 1, 2, 3, 4].map(|number| {
            let held = &held;
            pool.spawn(move || {
                let permit = semaphore.acquire();
                held.borrow_mut().push((number, permit));
            })
        });
        settle();
        body(Holders { held: &held }, tasks.iter().collect());
        while !held.take().is_empty() {
            settle();
        }
    });
}

#[test]
fn smoke() {
    let semaphore = Semaphore::new(1);
    semaphore.resize(2);
    assert_whole(&semaphore, 2);
    semaphore.add_permits(2);
    assert_whole(&semaphore, 4);
    semaphore.resize(0);
    assert_whole(&semaphore, 0);
    assert!(semaphore.try_acquire().is_none());
}

#[test]
fn permits_that_are_added_go_to_those_who_wait_in_their_order() {
    run_virtual(|| {
        let semaphore = Semaphore::new(0);
        with_five(&semaphore, |holders, _| {
            semaphore.resize(2);
            assert_eq!(semaphore.available(), 0, "those who wait have them, although none has run");
            assert_eq!(holders.now(), [0, 1]);
            semaphore.add_permits(1);
            assert_eq!(holders.now(), [0, 1, 2]);
            semaphore.resize(6);
            assert_eq!(semaphore.available(), 1);
            assert_eq!(holders.now(), [0, 1, 2, 3, 4]);
        });
        assert_whole(&semaphore, 6);
    });
}

/// After trio's `test_CapacityLimiter_change_total_tokens`.
#[test]
fn a_semaphore_that_shrinks_below_what_is_in_use_takes_the_next_releases_for_that() {
    run_virtual(|| {
        let semaphore = Semaphore::new(2);
        with_five(&semaphore, |holders, _| {
            assert_eq!(holders.now(), [0, 1]);
            semaphore.resize(4);
            assert_eq!(holders.now(), [0, 1, 2, 3]);
            semaphore.resize(1);
            assert_eq!((semaphore.available(), semaphore.total()), (0, 1));
            for number in [0, 1, 2] {
                holders.release(number);
                assert!(!holders.now().contains(&4));
                assert!(semaphore.try_acquire().is_none());
            }
            assert_eq!(holders.now(), [3]);
            holders.release(3);
            assert_eq!(holders.now(), [4]);
        });
        assert_whole(&semaphore, 1);
    });
}

#[test]
fn a_semaphore_that_grows_again_pays_its_debt_first() {
    run_virtual(|| {
        let semaphore = Semaphore::new(3);
        with_five(&semaphore, |holders, _| {
            semaphore.resize(0);
            semaphore.add_permits(2);
            assert_eq!((semaphore.available(), semaphore.total()), (0, 2));
            assert_eq!(holders.now(), [0, 1, 2]);
            semaphore.add_permits(2);
            assert_eq!(holders.now(), [0, 1, 2, 3]);
            holders.release(2);
            assert_eq!(holders.now(), [0, 1, 3, 4]);
        });
        assert_whole(&semaphore, 4);
    });
}

#[test]
fn a_semaphore_that_grows_passes_over_waiters_that_were_cancelled() {
    run_virtual(|| {
        let semaphore = Semaphore::new(0);
        with_five(&semaphore, |holders, tasks| {
            for number in [0, 2, 3] {
                tasks[number].cancel();
            }
            semaphore.resize(3);
            assert_eq!(semaphore.available(), 1);
            assert_eq!(holders.now(), [1, 4]);
        });
        assert_whole(&semaphore, 3);
    });
}

#[test]
fn a_forgotten_permit_makes_one_less() {
    run_virtual(|| {
        let semaphore = Semaphore::new(2);
        semaphore.acquire().forget();
        assert_whole(&semaphore, 1);
        let other = semaphore.acquire();
        assert_eq!((semaphore.available(), semaphore.total()), (0, 1));
        other.forget();
        assert_whole(&semaphore, 0);
        assert_eq!(with_timeout(secs(1), |_| semaphore.acquire().forget()), Err(TooSlow));
        semaphore.add_permits(1);
        assert_whole(&semaphore, 1);
    });
}

#[test]
fn a_forgotten_permit_pays_a_debt_first() {
    let semaphore = Semaphore::new(3);
    let [first, second, third] = [(); 3].map(|()| semaphore.acquire());
    semaphore.resize(1);
    first.forget();
    assert_eq!((semaphore.available(), semaphore.total()), (0, 1));
    drop(second);
    assert_eq!((semaphore.available(), semaphore.total()), (0, 1));
    drop(third);
    assert_whole(&semaphore, 1);
}

#[test]
fn as_many_permits_as_fit_into_a_usize_and_not_one_more() {
    let semaphore = Semaphore::new(usize::MAX);
    let permit = semaphore.acquire();
    assert_eq!(semaphore.available(), usize::MAX - 1);
    let text = panic_of(|| semaphore.add_permits(1));
    assert_eq!(text, "a semaphore has at most usize::MAX permits");
    drop(permit);
    assert_whole(&semaphore, usize::MAX);
    semaphore.resize(1);
    drop(semaphore.acquire());
    assert_whole(&semaphore, 1);
}

#[test]
fn ten_thousand_waiters_get_what_is_added_at_once() {
    run_virtual(|| {
        let (semaphore, log) = (Semaphore::new(0), Log::default());
        pool(|pool| {
            for number in 0..10_000 {
                let (semaphore, log) = (&semaphore, &log);
                pool.spawn(move || {
                    semaphore.acquire().forget();
                    if number % 1000 == 0 {
                        log.add(number.to_string());
                    }
                });
            }
            settle();
            semaphore.add_permits(9_000);
            settle();
            assert_eq!((log.len(), semaphore.total()), (9, 0));
            semaphore.add_permits(1_001);
        });
        assert_eq!(log.take()[8..], ["8000", "9000"]);
        assert_whole(&semaphore, 1);
    });
}

#[test]
fn one_task_adds_what_others_take() {
    run_virtual(|| {
        let calls = Semaphore::new(0);
        let start = giambio::clock();
        giambio::cancellable(|pool| {
            pool.spawn(|| {
                loop {
                    sleep(secs(1));
                    calls.add_permits(2);
                }
            });
            giambio::pool(|takers| {
                for _ in 0..3 {
                    takers.spawn(|| (0..4).for_each(|_| calls.acquire().forget()));
                }
            });
            pool.cancel();
        });
        assert_eq!(giambio::clock() - start, secs(6));
    });
}
