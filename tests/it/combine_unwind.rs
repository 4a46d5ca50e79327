//! `join`, `race` and `start` promise a value: what they do where nothing can be raised in its place.

use crate::elapsed;
use crate::nap;
use crate::secs;
use crate::unwind::OnDrop;
use crate::unwind::both;
use crate::unwind::in_destructor;
use giambio::Started;
use giambio::cancellable;
use giambio::clock;
use giambio::join;
use giambio::join_all;
use giambio::pool;
use giambio::race;
use giambio::race_all;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::sync::Event;
use giambio::task;
use giambio::task::no_unwind;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::yield_now;
use std::cell::Cell;

/// All four at work, eight seconds in all.
fn all_four() -> [u64; 4] {
    let (a, b) = join(|| nap(1), || nap(3));
    let all: u64 = join_all([1, 2].map(|seconds| move || nap(seconds))).into_iter().sum();
    let first = race(|| nap(9), || nap(2));
    let second = race_all([9, 1].map(|seconds| move || nap(seconds)));
    [a + b, all, first, second.unwrap()]
}

const ALL_FOUR: [u64; 4] = [4, 3, 2, 1];

#[test]
fn smoke() {
    run_virtual(|| assert_eq!(elapsed(|| assert_eq!(all_four(), ALL_FOUR)), secs(8)));
}

#[test]
fn in_a_destructor_their_tasks_really_run_although_all_around_is_cancelled() {
    // How long it takes is another matter: beside an unwind that waits, the losers of a race are in
    // doubt like everybody else, and end by themselves.
    both(|passing| assert_eq!(in_destructor(passing, all_four), ALL_FOUR));
}

#[test]
fn where_nothing_may_unwind_their_tasks_are_not_cut() {
    run_virtual(|| {
        for cancelled_after in [0, 1] {
            let values = Cell::new(None);
            let took = elapsed(|| {
                pool(|pool| {
                    let task = pool.spawn(|| {
                        yield_now();
                        no_unwind(|| values.set(Some(all_four())));
                        yield_now();
                        unreachable!("the cancellation is raised behind it");
                    });
                    sleep(secs(cancelled_after));
                    task.cancel();
                });
            });
            let expected = (cancelled_after > 0).then_some(ALL_FOUR);
            assert_eq!((values.take(), took), (expected, secs(8 * cancelled_after)));
        }
    });
}

#[test]
fn a_task_that_cancels_itself_where_nothing_may_unwind_gets_its_values_first() {
    run_virtual(|| {
        let values = Cell::new(None);
        pool(|pool| {
            pool.spawn(|| {
                no_unwind(|| {
                    task::current().cancel();
                    values.set(Some(all_four()));
                });
                yield_now();
                unreachable!("the cancellation is raised behind it");
            });
        });
        assert_eq!(values.take(), Some(ALL_FOUR));
    });
}

/// Cancels a task and has it make `call` while another one is parked in mid-unwind: the call, which has
/// no value, raises the cancellation instead of panicking.
#[track_caller]
fn is_cut_in_doubt(call: fn()) {
    run_virtual(|| {
        let (start, event, went_on) = (clock(), Event::new(), Cell::new(false));
        pool(|pool| {
            let unwinding = pool.spawn(|| {
                let _guard = OnDrop::new(|| sleep(secs(5)));
                sleep_forever()
            });
            let caller = pool.spawn(|| {
                event.wait();
                call();
                went_on.set(true);
            });
            settle();
            unwinding.cancel();
            settle();
            event.trigger(()).unwrap(); // so that it runs, and cannot be cut where it waits
            caller.cancel();
            assert!(caller.join().unwrap_err().is_cancelled());
        });
        assert_eq!((clock() - start, went_on.get()), (secs(5), false));
    });
}

#[test]
fn a_call_without_a_value_in_doubt_is_cut_and_does_not_panic() {
    is_cut_in_doubt(|| _ = join(|| 1, || 2));
    is_cut_in_doubt(|| _ = join_all([|| 1, || 2]));
    is_cut_in_doubt(|| _ = race(|| 1, || 2));
    is_cut_in_doubt(|| _ = race_all([|| 1, || 2]));
    is_cut_in_doubt(|| {
        pool(|pool| drop(pool.start(|started: Started<i32>| started.report(1))));
    });
}

#[test]
fn a_race_that_is_cut_together_with_a_task_whose_destructor_waits_is_just_cut() {
    run_virtual(|| {
        let took = elapsed(|| {
            let cut = cancellable(|scope| {
                scope.spawn(|| {
                    let _guard = OnDrop::new(|| sleep(secs(5)));
                    sleep_forever()
                });
                scope.spawn(|| race(|| nap(100), || nap(200)));
                scope.spawn(|| race_all([100, 200].map(|seconds| move || nap(seconds))));
                scope.spawn(|| join(|| nap(100), || nap(200)));
                scope.spawn(|| join_all([100, 200].map(|seconds| move || nap(seconds))));
                scope.spawn(|| drop(scope.start(|_: Started<()>| sleep_forever())));
                sleep(secs(1));
                scope.cancel();
                yield_now();
            });
            assert_eq!(cut, None);
        });
        assert_eq!(took, secs(6));
    });
}
