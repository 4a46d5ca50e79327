//! `map_blocking`: a closure over the items of a channel, on helper threads.

use crate::Source;
use crate::collect;
use crate::fail;
use crate::panic_of;
use giambio::channel::bounded;
use giambio::csp::from_iter;
use giambio::csp::map_blocking;
use giambio::csp::map_unordered;
use giambio::pool;
use giambio::run;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::unblock;
use std::collections::HashSet;
use std::sync::Barrier;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;

#[test]
fn smoke() {
    run(|| {
        pool(|pool| {
            let doubled = map_blocking(pool, from_iter(pool, 0..10, 0), 3, |number| number * 2);
            assert!(doubled.iter().eq((0..10).map(|number| number * 2)));
        });
    });
}

#[test]
fn the_closure_runs_on_other_threads_at_the_same_time_and_may_borrow() {
    let here = thread::current().id();
    // Nobody gets past it before all four are there.
    let (all_four, threads) = (Barrier::new(4), Mutex::new(HashSet::new()));
    run(|| {
        pool(|pool| {
            let f = |number| {
                all_four.wait();
                threads.lock().unwrap().insert(thread::current().id());
                number
            };
            let values = map_blocking(pool, from_iter(pool, 0..40, 0), 4, f);
            assert!(values.iter().eq(0..40));
        });
    });
    let threads = threads.into_inner().unwrap();
    assert!(threads.len() >= 4 && !threads.contains(&here));
}

#[test]
fn other_tasks_run_meanwhile() {
    run(|| {
        pool(|pool| {
            let (release, released) = mpsc::channel();
            let released = Mutex::new(released);
            let f = move |number: u8| {
                released.lock().unwrap().recv().unwrap();
                number
            };
            let values = map_blocking(pool, from_iter(pool, [7], 0), 1, f);
            settle(); // the call has begun, and waits for this task
            release.send(()).unwrap();
            assert_eq!(values.recv(), Ok(7));
        });
    });
}

#[test]
fn at_most_as_many_items_are_on_their_way_as_there_are_workers() {
    run(|| {
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        pool(|pool| {
            let source = Source::default();
            let f = |number| {
                most.fetch_max(running.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                running.fetch_sub(1, Ordering::Relaxed);
                number
            };
            let values = map_blocking(pool, source.receiver(pool), 3, f);
            for received in 0..50 {
                assert_eq!(values.recv(), Ok(received));
                // Three, and the one that the source has in its hand.
                assert!(source.taken() <= received + 1 + 3 + 1);
            }
        });
        assert!((1..=3).contains(&most.into_inner()));
    });
}

#[test]
fn a_call_that_has_begun_is_waited_for_and_no_other_begins() {
    let (begun, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
    run(|| {
        pool(|pool| {
            let (release, released) = mpsc::channel();
            let released = Mutex::new(released);
            let (begun, ended) = (&begun, &ended);
            let f = move |number: u32| {
                begun.fetch_add(1, Ordering::Relaxed);
                released.lock().unwrap().recv().unwrap();
                ended.fetch_add(1, Ordering::Relaxed);
                number
            };
            let values = map_blocking(pool, from_iter(pool, 0.., 0), 1, f);
            while begun.load(Ordering::Relaxed) == 0 {
                settle();
            }
            pool.cancel();
            release.send(()).unwrap();
            assert!(values.recv().is_err());
        });
    });
    assert_eq!((begun.into_inner(), ended.into_inner()), (1, 1));
}

#[test]
fn a_panic_on_a_helper_thread_fails_the_pool() {
    let f = |number: u32| if number == 3 { fail("three") } else { number };
    let said = panic_of(|| {
        run(|| {
            pool(|pool| {
                let values = map_blocking(pool, from_iter(pool, 0.., 0), 2, f);
                values.iter().for_each(drop);
                giambio::sleep_forever()
            });
        });
    });
    assert_eq!(said, "three");
}

#[test]
fn without_order_it_is_a_map_that_unblocks() {
    run(|| {
        pool(|pool| {
            let (sender, receiver) = bounded(0);
            // The first item waits for what the second one's value sets off.
            let f = move |number: u32| {
                unblock(|| if number == 0 { receiver.recv().unwrap() } else { number })
            };
            let values = map_unordered(pool, from_iter(pool, [0, 5], 0), 2, f);
            assert_eq!(values.recv(), Ok(5));
            sender.send(7).unwrap();
            assert_eq!(collect(&values), [7]);
        });
    });
}

#[test]
fn the_virtual_clock_waits_for_helper_threads() {
    run_virtual(|| {
        pool(|pool| {
            let start = giambio::clock();
            let values = map_blocking(pool, from_iter(pool, 0..20, 0), 4, |number| number + 1);
            assert!(values.iter().eq(1..=20));
            assert_eq!(giambio::clock(), start);
        });
    });
}
