//! Events of several threads: with runtimes, and without.

use crate::threads::blocks_its_thread;
use crate::threads::thread_id;
use crate::threads::until_asleep;
use giambio::TooSlow;
use giambio::pool;
use giambio::sync::Event;
use giambio::with_timeout;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

#[test]
fn outside_of_run_a_wait_blocks_its_thread() {
    let event = Event::new();
    let value = blocks_its_thread(|| event.wait(), || event.trigger(7).unwrap());
    assert_eq!((value, event.wait()), (7, 7));
    let event = Event::new();
    let trigger = || giambio::run(|| event.trigger("from a task").unwrap());
    assert_eq!(blocks_its_thread(|| event.wait(), trigger), "from a task");
}

#[test]
fn a_static_event_wakes_a_runtime_from_a_plain_thread() {
    static EVENT: Event<u32> = Event::new();
    let (tell, told) = mpsc::channel();
    let runtime = thread::spawn(move || {
        giambio::run(|| {
            pool(|pool| {
                let waiters = [(); 3].map(|()| pool.spawn(|| EVENT.wait()));
                tell.send(thread_id()).unwrap();
                waiters.map(|waiter| waiter.join().unwrap())
            })
        })
    });
    until_asleep(told.recv().unwrap());
    EVENT.trigger(7).unwrap();
    assert_eq!(runtime.join().unwrap(), [7; 3]);
}

#[test]
fn two_runtimes_and_a_plain_thread_wait_for_one_event() {
    let event = Event::new();
    let (tell, told) = mpsc::channel();
    thread::scope(|threads| {
        let wait = || event.wait();
        let runtimes = [(); 2].map(|()| {
            let tell = tell.clone();
            threads.spawn(move || {
                giambio::run(|| {
                    pool(|pool| {
                        let waiters = [(); 2].map(|()| pool.spawn(wait));
                        tell.send(thread_id()).unwrap();
                        waiters.map(|waiter| waiter.join().unwrap())
                    })
                })
            })
        });
        let plain = threads.spawn(move || {
            tell.send(thread_id()).unwrap();
            wait()
        });
        (0..3).for_each(|_| until_asleep(told.recv().unwrap()));
        event.trigger("everybody").unwrap();
        for runtime in runtimes {
            assert_eq!(runtime.join().unwrap(), ["everybody"; 2]);
        }
        assert_eq!(plain.join().unwrap(), "everybody");
    });
}

/// Each event but the even ones is triggered by the first task that comes to it, while others link
/// themselves; each even one by the last, when all others wait.
#[test]
fn four_threads_with_a_thousand_tasks_each_pass_through_forty_events() {
    const TASKS: usize = 4 * 1000;
    let steps: Vec<_> = (0..40).map(|_| (AtomicUsize::new(0), Event::new())).collect();
    let pass = |number: usize, (arrived, event): &(AtomicUsize, Event<Arc<usize>>)| {
        let rank = arrived.fetch_add(1, Ordering::Relaxed);
        let triggers = if number.is_multiple_of(2) { TASKS - 1 } else { 0 };
        if rank == triggers {
            event.trigger(Arc::new(number)).unwrap();
        }
        assert_eq!(*event.wait(), number);
    };
    thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                giambio::run(|| {
                    pool(|pool| {
                        for _ in 0..1000 {
                            pool.spawn(|| {
                                let steps = steps.iter().enumerate();
                                steps.for_each(|(number, step)| pass(number, step));
                            });
                        }
                    });
                });
            });
        }
    });
    let values: Vec<_> = steps.into_iter().map(|(_, event)| event.wait()).collect();
    assert!(values.iter().enumerate().all(|(number, value)| **value == number));
}

/// A wait that is cut at any moment either gets the value or leaves, while a thread triggers.
#[test]
fn timeouts_race_with_a_trigger_on_another_thread() {
    let events: Vec<_> = (0..300).map(|_| Event::new()).collect();
    let (tell, told) = mpsc::channel();
    thread::scope(|threads| {
        threads.spawn(|| {
            for number in told {
                let event: &Event<usize> = &events[number];
                event.trigger(number).unwrap();
            }
        });
        giambio::run(|| {
            for (number, event) in events.iter().enumerate() {
                pool(|pool| {
                    for micros in 0..20 {
                        pool.spawn(move || {
                            let limit = Duration::from_micros(micros * 10);
                            let got = with_timeout(limit, |_| event.wait());
                            assert!(got == Ok(number) || got == Err(TooSlow));
                        });
                    }
                    tell.send(number).unwrap();
                    assert_eq!(event.wait(), number);
                });
            }
        });
        drop(tell);
    });
}
