//! `Pool::on_failure`: what becomes of the others when one has failed.

use crate::Log;
use crate::elapsed;
use crate::fail;
use crate::fail_after;
use crate::logged;
use crate::named;
use crate::nap;
use crate::panic_of;
use crate::secs;
use giambio::OnFailure;
use giambio::pool;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::testing::run_virtual;
use giambio::try_pool;
use std::cell::Cell;
use std::cell::RefCell;

/// Says that it has slept.
fn log_after(log: &Log, seconds: u64, text: &str) {
    sleep(secs(seconds));
    log.add(text);
}

// The rule that Python giambio's comments have for nested pools; Go's errgroup has it without a context.
#[test]
fn where_others_are_to_finish_nobody_is_cut_by_a_failure() {
    logged("");
    run_virtual(|| {
        let log = Log::default();
        let took = elapsed(|| {
            let text = panic_of(|| {
                pool(|pool| {
                    pool.on_failure(OnFailure::LetOthersFinish);
                    pool.spawn(|| fail_after(1, "spared others 1"));
                    named(pool, "spared-others-2", || fail_after(2, "second"));
                    pool.spawn(|| log_after(&log, 3, "a sibling ends"));
                    let daemon = pool.spawn_daemon(|| sleep_forever());
                    nap(4);
                    assert!(!pool.is_cancelled() && !daemon.is_finished());
                    pool.spawn(|| log_after(&log, 1, "a late sibling ends"));
                    log.add("the body ends");
                });
            });
            assert_eq!(text, "spared others 1");
        });
        assert_eq!(took, secs(5));
        log.assert(&["a sibling ends", "the body ends", "a late sibling ends"]);
    });
    assert_eq!(logged("'spared-others-2'").len(), 1);
}

#[test]
fn where_others_are_to_finish_a_body_that_fails_waits_for_them() {
    run_virtual(|| {
        let ended = Cell::new(0);
        let child = || ended.set(ended.get() + nap(2));
        let text = panic_of(|| {
            pool(|pool| {
                pool.on_failure(OnFailure::LetOthersFinish);
                pool.spawn(child);
                fail("body");
            });
        });
        assert_eq!((text.as_str(), ended.replace(0)), ("body", 2));
        let failed = try_pool(|pool| {
            pool.on_failure(OnFailure::LetOthersFinish);
            pool.spawn(|| {
                child();
                Ok(())
            });
            pool.spawn(|| Err::<(), _>("child"));
            nap(1);
            Err::<(), _>("body")
        });
        assert_eq!((failed, ended.get()), (Err("child"), 2));
    });
}

#[test]
fn a_policy_counts_for_failures_to_come_and_not_for_cancellations() {
    run_virtual(|| {
        let took = elapsed(|| {
            let text = panic_of(|| {
                pool(|pool| {
                    pool.on_failure(OnFailure::LetOthersFinish);
                    pool.spawn(|| fail_after(1, "first"));
                    pool.spawn(|| fail_after(3, "second"));
                    pool.spawn(|| nap(9));
                    nap(2);
                    pool.on_failure(OnFailure::CancelOthers);
                    sleep_forever()
                })
            });
            assert_eq!(text, "first");
        });
        assert_eq!(took, secs(3));
        let took = elapsed(|| {
            let text = panic_of(|| {
                pool(|pool| {
                    pool.on_failure(OnFailure::LetOthersFinish);
                    pool.spawn(|| fail_after(1, "first"));
                    pool.spawn(|| nap(9));
                    nap(2);
                    pool.cancel();
                });
            });
            assert_eq!(text, "first");
        });
        assert_eq!(took, secs(2));
    });
}

#[test]
fn where_others_are_to_finish_a_map_gives_a_failed_item_as_an_error() {
    run_virtual(|| {
        let values = RefCell::new(Vec::new());
        let text = panic_of(|| {
            pool(|pool| {
                pool.on_failure(OnFailure::LetOthersFinish);
                let f = |number| if number == 2 { fail("item 2") } else { nap(number) };
                for value in pool.map([1, 2, 3], 2, f) {
                    let value = value.map_err(|error| {
                        assert!(error.is_panic() && error.to_string().contains("its pool has"));
                    });
                    values.borrow_mut().push(value);
                }
            });
        });
        assert_eq!((text.as_str(), values.take()), ("item 2", vec![Ok(1), Err(()), Ok(3)]));
    });
}
