//! Cancellers: the right to stop a scope, in other hands.

use crate::ms;
use giambio::Canceller;
use giambio::cancellable;
use giambio::finally;
use giambio::pool;
use giambio::run;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::yield_now;
use std::cell::Cell;
use std::thread;

#[test]
fn smoke() {
    let cut = run(|| {
        cancellable(|pool| {
            pool.canceller().cancel();
            yield_now();
        })
    });
    assert_eq!(cut, None);
}

#[test]
fn a_plain_pools_canceller_stops_its_children_and_not_its_body() {
    run(|| {
        pool(|pool| {
            let task = pool.spawn(|| sleep_forever());
            yield_now();
            pool.canceller().cancel();
            assert!(pool.is_cancelled());
            assert!(task.join().map(|never: ()| never).unwrap_err().is_cancelled());
        });
    });
}

#[test]
fn a_canceller_works_from_a_sibling_twice_and_after_the_end() {
    run(|| {
        let kept = Cell::new(None::<Canceller>);
        let cut = cancellable(|pool| {
            let canceller = pool.canceller();
            kept.set(Some(canceller.clone()));
            pool.spawn(move || {
                canceller.cancel();
                canceller.cancel();
            });
            sleep_forever()
        });
        assert_eq!(cut, None::<()>);
        let canceller = kept.take().unwrap();
        canceller.cancel();
        // The next scope may lie where the last one lay.
        let value = cancellable(|pool| {
            canceller.cancel();
            yield_now();
            let _own = pool.canceller();
            canceller.cancel();
            yield_now();
            1
        });
        assert_eq!(value, Some(1));
    });
}

#[test]
fn a_canceller_works_from_another_thread() {
    run(|| {
        let cut = cancellable(|pool| {
            let canceller = pool.canceller();
            let thread = thread::spawn(move || canceller.cancel());
            pool.spawn(|| sleep_forever());
            finally(sleep_forever, || thread.join().unwrap())
        });
        assert_eq!(cut, None::<()>);
    });
}

#[test]
fn a_canceller_works_from_another_runtime() {
    run(|| {
        let cut = cancellable(|pool| {
            let canceller = pool.canceller();
            let thread = thread::spawn(move || run(|| canceller.cancel()));
            finally(sleep_forever, || thread.join().unwrap())
        });
        assert_eq!(cut, None::<()>);
    });
}

#[test]
fn a_canceller_may_outlive_its_runtime() {
    let canceller = run(|| cancellable(|pool| pool.canceller())).unwrap();
    canceller.cancel();
    thread::spawn(move || canceller.cancel()).join().unwrap();
}

#[test]
fn a_canceller_of_an_ended_scope_does_not_reach_the_next_one_from_another_thread() {
    run(|| {
        let old = cancellable(|pool| pool.canceller()).unwrap();
        let value = cancellable(|pool| {
            let _occupies_the_old_place = pool.canceller();
            let thread = thread::spawn(move || old.cancel());
            sleep(ms(1));
            thread.join().unwrap();
            sleep(ms(1));
            1
        });
        assert_eq!(value, Some(1));
    });
}
