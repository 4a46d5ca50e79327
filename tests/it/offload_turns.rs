//! Calls on helper threads that take turns.

use crate::ms;
use crate::offload::run_with_turns;
use crate::offload::until_told;
use crate::panic_of;
use crate::secs;
use giambio::Builder;
use giambio::clock;
use giambio::debug::TaskRef;
use giambio::pool;
use giambio::sleep;
use giambio::testing;
use giambio::testing::settle;
use giambio::unblock;
use giambio::yield_now;
use std::cell::RefCell;
use std::panic::resume_unwind;
use std::sync::Barrier;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;

#[test]
fn a_panic_gives_its_turn_back() {
    run_with_turns(1, || {
        for _ in 0..3 {
            assert_eq!(panic_of(|| unblock(|| resume_unwind(Box::new("again")))), "again");
        }
        assert_eq!(unblock(|| 4), 4);
    });
}

#[test]
fn a_thousand_tasks_take_turns_with_four_threads() {
    let (running, most, calls) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let call = || {
        let now = running.fetch_add(1, Ordering::SeqCst) + 1;
        most.fetch_max(now, Ordering::SeqCst);
        calls.fetch_add(1, Ordering::SeqCst);
        thread::yield_now();
        running.fetch_sub(1, Ordering::SeqCst);
    };
    let sum = run_with_turns(4, || {
        pool(|pool| {
            let call = &call;
            let tasks: Vec<_> = (0..1000)
                .map(|number| {
                    pool.spawn(move || {
                        unblock(|| {
                            call();
                            number
                        })
                    })
                })
                .collect();
            tasks.into_iter().map(|task| task.join().unwrap()).sum::<usize>()
        })
    });
    assert_eq!((sum, calls.into_inner(), running.into_inner()), (499_500, 1000, 0));
    assert!((1..=4).contains(&most.into_inner()));
}

#[test]
fn as_many_calls_as_there_are_turns_run_and_the_next_waits() {
    run_with_turns(3, || {
        let begun = AtomicUsize::new(0);
        let three_are_here = Barrier::new(3);
        pool(|pool| {
            let (tells, calls): (Vec<_>, Vec<_>) = (0..3).map(|_| until_told()).unzip();
            for call in calls {
                let (begun, three_are_here) = (&begun, &three_are_here);
                pool.spawn(move || {
                    unblock(|| {
                        three_are_here.wait();
                        begun.fetch_add(1, Ordering::SeqCst);
                        call();
                    });
                });
            }
            let fourth = pool.spawn(|| unblock(|| begun.fetch_add(1, Ordering::SeqCst)));
            while begun.load(Ordering::SeqCst) < 3 {
                yield_now();
            }
            (0..100).for_each(|_| yield_now());
            assert_eq!(begun.load(Ordering::SeqCst), 3);
            drop(tells);
            assert_eq!(fourth.join().unwrap(), 3);
        });
    });
}

#[test]
fn turns_are_taken_first_in_first_out() {
    run_with_turns(1, || {
        let order = Mutex::new(Vec::new());
        let (tell, call) = until_told();
        pool(|pool| {
            pool.spawn(|| unblock(call));
            for number in 0..20 {
                let order = &order;
                pool.spawn(move || unblock(|| order.lock().unwrap().push(number)));
            }
            settle();
            tell.send(()).unwrap();
        });
        assert_eq!(order.into_inner().unwrap(), Vec::from_iter(0..20));
    });
}

#[test]
fn cancelled_while_it_waits_for_its_turn_it_does_not_run_and_is_dropped_on_its_task() {
    /// Says where it is dropped.
    struct Place<'p>(&'p Mutex<Option<thread::ThreadId>>);
    impl Drop for Place<'_> {
        fn drop(&mut self) {
            *self.0.lock().unwrap() = Some(thread::current().id());
        }
    }
    run_with_turns(1, || {
        let (tell, call) = until_told();
        let (place, order) = (Mutex::new(None), Mutex::new(Vec::new()));
        pool(|pool| {
            pool.spawn(|| unblock(call));
            let carried = Place(&place);
            let second = pool.spawn(|| {
                unblock(|| {
                    let _carried = carried;
                    order.lock().unwrap().push("second");
                });
            });
            let third = pool.spawn(|| unblock(|| order.lock().unwrap().push("third")));
            settle();
            second.cancel();
            assert!(second.join().unwrap_err().is_cancelled());
            assert_eq!(*place.lock().unwrap(), Some(thread::current().id()));
            assert!(!third.is_finished());
            tell.send(()).unwrap();
            third.join().unwrap();
        });
        assert_eq!(*order.lock().unwrap(), ["third"]);
    });
}

#[test]
fn cancelled_when_its_turn_has_come_it_does_not_run() {
    run_with_turns(1, || {
        let (tell, call) = until_told();
        let ran = AtomicUsize::new(0);
        let victim = RefCell::new(None::<TaskRef>);
        pool(|pool| {
            // Its end hands the turn to the second, which is cancelled before it can take a step.
            pool.spawn(|| {
                unblock(call);
                victim.borrow().as_ref().unwrap().cancel();
            });
            let second = pool.spawn(|| {
                *victim.borrow_mut() = Some(giambio::task::current());
                unblock(|| ran.fetch_add(1, Ordering::SeqCst))
            });
            settle();
            tell.send(()).unwrap();
            assert!(second.join().unwrap_err().is_cancelled());
            unblock(|| ()); // the turn was not lost
        });
        assert_eq!(ran.into_inner(), 0);
    });
}

#[test]
fn two_runtimes_on_two_threads_share_helpers_and_not_turns() {
    let both_are_here = Barrier::new(2);
    thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                run_with_turns(1, || {
                    for _ in 0..100 {
                        unblock(|| both_are_here.wait());
                    }
                });
            });
        }
    });
}

#[test]
#[should_panic(expected = "a limit of 0 helper threads")]
fn a_limit_of_zero_is_refused() {
    drop(Builder::new().helper_threads(0));
}

#[test]
fn virtual_time_stands_still_while_a_call_waits_for_its_turn() {
    let mut runtime = testing::builder().helper_threads(1).build().unwrap();
    runtime.run(|| {
        let start = clock();
        pool(|pool| {
            for _ in 0..3 {
                pool.spawn(|| unblock(|| sleep(ms(2))));
            }
            pool.spawn(|| {
                sleep(secs(1));
                assert_eq!(clock() - start, secs(1));
            });
        });
        assert_eq!(clock() - start, secs(1));
    });
}
