//! `Once::wait` and `wait_force`: what ends them.

use crate::POISONED;
use crate::fail;
use crate::forever;
use crate::panic_of;
use crate::secs;
use giambio::pool;
use giambio::skip_after;
use giambio::sleep;
use giambio::sync::Once;
use giambio::task;
use giambio::testing::assert_checkpoint;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::yield_now;

const WAITS: [fn(&Once); 2] = [Once::wait, Once::wait_force];

#[test]
fn they_wait_for_a_closure_that_nobody_has_called_yet() {
    for wait in WAITS {
        run_virtual(|| {
            let once = Once::new();
            pool(|pool| {
                let waits = pool.spawn(|| wait(&once));
                settle();
                assert!(!waits.is_finished());
                once.call_once(|| sleep(secs(1)));
                waits.join().unwrap();
                wait(&once);
            });
        });
    }
}

#[test]
fn they_are_checkpoints_also_when_it_has_run() {
    for wait in WAITS {
        run_virtual(|| {
            let once = Once::new();
            once.call_once(|| ());
            assert_checkpoint(|| wait(&once));
            pool(|pool| {
                let cut = pool.spawn(|| {
                    task::current().cancel();
                    wait(&once);
                });
                assert!(cut.join().unwrap_err().is_cancelled());
            });
        });
    }
}

#[test]
fn one_that_is_cut_has_changed_nothing() {
    for wait in WAITS {
        run_virtual(|| {
            let once = Once::new();
            pool(|pool| {
                let cut = pool.spawn(|| wait(&once));
                let other = pool.spawn(|| wait(&once));
                settle();
                cut.cancel();
                assert!(cut.join().unwrap_err().is_cancelled());
                assert!(!other.is_finished());
                once.call_once_force(|state| assert!(!state.is_poisoned()));
                other.join().unwrap();
            });
            assert!(skip_after(secs(1), |_| wait(&Once::new())).is_none());
        });
    }
}

#[test]
fn a_completion_before_the_cancellation_counts() {
    for wait in WAITS {
        run_virtual(|| {
            let once = Once::new();
            pool(|pool| {
                let waits = pool.spawn(|| wait(&once));
                settle();
                once.call_once(|| ());
                waits.cancel();
                waits.join().unwrap();
            });
        });
    }
}

#[test]
fn a_closure_that_is_cut_ends_neither() {
    run_virtual(|| {
        let once = Once::new();
        pool(|pool| {
            let cut = pool.spawn(|| once.call_once(forever));
            yield_now();
            let waits = WAITS.map(|wait| {
                pool.spawn({
                    let once = &once;
                    move || wait(once)
                })
            });
            settle();
            cut.cancel();
            assert!(cut.join().unwrap_err().is_cancelled());
            settle();
            assert!(waits.iter().all(|wait| !wait.is_finished()));
            once.call_once(|| ());
            for wait in waits {
                wait.join().unwrap();
            }
        });
    });
}

#[test]
fn a_panic_ends_the_wait_with_a_panic_and_the_forced_wait_not() {
    run_virtual(|| {
        let once = Once::new();
        pool(|pool| {
            let told = pool.spawn(|| panic_of(|| once.wait()));
            let waits = pool.spawn(|| once.wait_force());
            settle();
            assert_eq!(panic_of(|| once.call_once(|| fail("on purpose"))), "on purpose");
            assert_eq!(told.join().unwrap(), POISONED);
            settle();
            assert!(!waits.is_finished());
            assert_eq!(panic_of(|| once.wait()), POISONED);
            once.call_once_force(|_| ());
            waits.join().unwrap();
            once.wait();
        });
    });
}

#[test]
fn who_waits_while_another_one_is_forced_waits_for_that() {
    run_virtual(|| {
        let once = Once::new();
        assert_eq!(panic_of(|| once.call_once(|| fail("on purpose"))), "on purpose");
        pool(|pool| {
            pool.spawn(|| once.call_once_force(|_| sleep(secs(1))));
            yield_now();
            let waits = WAITS.map(|wait| {
                pool.spawn({
                    let once = &once;
                    move || wait(once)
                })
            });
            settle();
            assert!(waits.iter().all(|wait| !wait.is_finished()));
            for wait in waits {
                wait.join().unwrap();
            }
        });
    });
}
