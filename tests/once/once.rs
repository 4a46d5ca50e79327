//! `Once`: who runs, who waits, and what a panic or a cancellation leaves.

use crate::Log;
use crate::POISONED;
use crate::fail;
use crate::forever;
use crate::panic_of;
use crate::secs;
use crate::unwind::Passing;
use crate::unwind::beside_an_unwind;
use crate::unwind::both;
use crate::unwind::in_destructor;
use giambio::TaskBuilder;
use giambio::pool;
use giambio::skip_after;
use giambio::sleep;
use giambio::sync::Event;
use giambio::sync::Once;
use giambio::task;
use giambio::task::no_switch;
use giambio::testing::assert_no_switch;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::yield_now;
use std::cell::Cell;
use std::thread;

#[test]
fn it_runs_once_however_many_come_and_all_see_what_it_has_done() {
    run_virtual(|| {
        let (once, runs) = (Once::new(), Cell::new(0));
        pool(|pool| {
            for _ in 0..200 {
                pool.spawn(|| {
                    once.call_once(|| {
                        (0..4).for_each(|_| yield_now());
                        runs.set(runs.get() + 1);
                    });
                    assert_eq!(runs.get(), 1);
                });
            }
        });
        assert!(once.is_completed());
    });
}

#[test]
fn while_one_runs_the_others_wait_and_all_else_goes_on() {
    run_virtual(|| {
        let (once, go_on) = (Once::new(), Event::new());
        pool(|pool| {
            let runs = pool.spawn(|| once.call_once(|| go_on.wait()));
            let waits = pool.spawn(|| once.call_once(|| unreachable!()));
            let waits_too = pool.spawn(|| once.call_once_force(|_| unreachable!()));
            settle();
            assert!(!runs.is_finished() && !waits.is_finished() && !waits_too.is_finished());
            assert!(!once.is_completed());
            go_on.trigger(()).unwrap();
            waits.join().unwrap();
            waits_too.join().unwrap();
        });
    });
}

#[test]
fn a_closure_that_is_cut_leaves_it_to_who_has_waited_longest() {
    run_virtual(|| {
        let (once, log) = (Once::new(), Log::default());
        pool(|pool| {
            let cut = pool.spawn(|| once.call_once(forever));
            for name in ["second", "third"] {
                let (once, log) = (&once, &log);
                pool.spawn(move || {
                    once.call_once(|| {
                        yield_now();
                        log.add(name);
                    });
                    assert!(once.is_completed());
                });
            }
            settle();
            cut.cancel();
            assert!(cut.join().unwrap_err().is_cancelled());
        });
        log.assert(&["second"]);
    });
}

#[test]
fn one_after_the_other_is_cut_until_one_is_not() {
    run_virtual(|| {
        let (once, begun) = (Once::new(), Cell::new(0));
        pool(|pool| {
            for timeout in [1, 2, 3, 100] {
                let (once, begun) = (&once, &begun);
                pool.spawn(move || {
                    skip_after(secs(timeout), |_| {
                        once.call_once(|| {
                            begun.set(begun.get() + 1);
                            sleep(secs(10));
                        });
                    });
                });
            }
        });
        assert_eq!(begun.get(), 4);
        assert!(once.is_completed());
    });
}

#[test]
fn a_closure_that_is_cut_while_nobody_waits_leaves_it_as_it_was() {
    run_virtual(|| {
        let once = Once::new();
        assert!(skip_after(secs(1), |_| once.call_once(forever)).is_none());
        assert!(!once.is_completed());
        once.call_once_force(|state| assert!(!state.is_poisoned()));
        assert!(once.is_completed());
    });
}

#[test]
fn a_panic_is_told_to_those_who_wait_and_to_those_who_come() {
    run_virtual(|| {
        let once = Once::new();
        pool(|pool| {
            let panics = pool.spawn_isolated(|| {
                once.call_once(|| {
                    settle();
                    fail("on purpose");
                });
            });
            yield_now();
            let waits = [(); 2].map(|()| pool.spawn(|| panic_of(|| once.call_once(|| ()))));
            assert!(panics.join().unwrap_err().is_panic());
            for waits in waits {
                assert_eq!(waits.join().unwrap(), POISONED);
            }
        });
        assert_eq!(panic_of(|| once.call_once(|| ())), POISONED);
        assert_eq!(panic_of(|| once.call_once(|| ())), POISONED);
        assert!(!once.is_completed());
    });
}

#[test]
fn a_force_takes_over_from_a_panic_while_the_others_are_told() {
    run_virtual(|| {
        let (once, log) = (Once::new(), Log::default());
        pool(|pool| {
            pool.spawn_isolated(|| {
                once.call_once(|| {
                    settle();
                    fail("on purpose");
                });
            });
            yield_now();
            let refuses = pool.spawn(|| panic_of(|| once.call_once(|| ())));
            pool.spawn(|| {
                once.call_once_force(|state| {
                    assert!(state.is_poisoned());
                    log.add("forced");
                    sleep(secs(1));
                });
            });
            let forces_too = pool.spawn(|| once.call_once_force(|_| log.add("never")));
            assert_eq!(refuses.join().unwrap(), POISONED);
            assert!(!forces_too.is_finished());
            // A later one waits for the one that is forced.
            once.call_once(|| log.add("never"));
            log.add("later");
        });
        log.assert(&["forced", "later"]);
        once.call_once(|| unreachable!());
    });
}

#[test]
fn a_force_that_is_cut_or_panics_leaves_it_poisoned() {
    both(|passing| {
        let once = Once::new();
        assert_eq!(panic_of(|| once.call_once(|| fail("on purpose"))), "on purpose");
        pool(|pool| {
            let forces = pool.spawn_isolated(|| {
                once.call_once_force(|_| {
                    sleep(secs(1));
                    passing.begin()
                });
            });
            yield_now();
            let waits = pool.spawn(|| panic_of(|| once.call_once(|| ())));
            settle();
            assert!(!waits.is_finished());
            assert!(forces.join().is_err());
            assert_eq!(waits.join().unwrap(), POISONED);
        });
        once.call_once_force(|state| assert!(state.is_poisoned()));
        assert!(once.is_completed());
    });
}

#[test]
fn what_passes_through_is_told_apart_beside_a_task_that_is_parked_in_mid_unwind() {
    for parked in [Passing::Panic, Passing::Cancellation] {
        both(|passing| {
            let once = Once::new();
            beside_an_unwind(parked, secs(1), || {
                pool(|pool| {
                    let begins = || {
                        once.call_once(|| match passing {
                            Passing::Panic => fail("on purpose"),
                            // Raised when the other has ended: nothing is before.
                            Passing::Cancellation => {
                                task::current().cancel();
                                sleep(secs(2));
                                yield_now();
                            }
                        });
                    };
                    assert!(pool.spawn_isolated(begins).join().is_err());
                });
            });
            once.call_once_force(|state| {
                assert_eq!(state.is_poisoned(), passing == Passing::Panic);
            });
        });
    }
}

#[test]
fn a_panic_of_a_task_that_the_closure_has_spawned_poisons() {
    run_virtual(|| {
        let once = Once::new();
        let text = panic_of(|| {
            once.call_once(|| {
                pool(|pool| drop(pool.spawn(|| -> () { fail("in a child") })));
            });
        });
        assert_eq!(text, "in a child");
        assert_eq!(panic_of(|| once.call_once(|| ())), POISONED);
    });
}

#[test]
fn a_call_is_no_checkpoint() {
    run_virtual(|| {
        let once = Once::new();
        pool(|pool| {
            let task = pool.spawn(|| {
                task::current().cancel();
                assert_no_switch(|| once.call_once(|| ()));
                assert_no_switch(|| once.call_once(|| ()));
            });
            task.join().unwrap();
        });
        assert!(once.is_completed());
    });
}

#[test]
fn a_cancellation_does_not_cut_the_wait_for_another_closure() {
    run_virtual(|| {
        let (once, log) = (Once::new(), Log::default());
        pool(|pool| {
            pool.spawn(|| once.call_once(|| sleep(secs(5))));
            yield_now();
            let waits = pool.spawn(|| {
                once.call_once(|| unreachable!());
                log.add("went on");
                yield_now();
                log.add("never");
            });
            settle();
            waits.cancel();
            settle();
            assert!(!waits.is_finished());
            assert!(waits.join().unwrap_err().is_cancelled());
        });
        log.assert(&["went on"]);
    });
}

#[test]
fn a_closure_that_calls_itself_names_its_task() {
    let calls: [fn(&Once); 4] = [
        |once| once.call_once(|| ()),
        |once| once.call_once_force(|_| ()),
        Once::wait,
        Once::wait_force,
    ];
    for call in calls {
        run_virtual(|| {
            let once = Once::new();
            pool(|pool| {
                let named = TaskBuilder::new().name("circle".into());
                let task = named.spawn(pool, || panic_of(|| once.call_once(|| call(&once))));
                let expected = format!(
                    "task 'circle' ({}) would wait for itself: it is initialising this `Once` already",
                    task.id()
                );
                assert_eq!(task.join().unwrap(), expected);
            });
            assert_eq!(panic_of(|| once.call_once(|| ())), POISONED);
        });
    }
}

#[test]
fn a_closure_that_calls_itself_after_it_was_handed_over_is_named_too() {
    run_virtual(|| {
        let once = Once::new();
        pool(|pool| {
            let cut = pool.spawn(|| once.call_once(forever));
            yield_now();
            let next = pool.spawn(|| panic_of(|| once.call_once(|| once.wait())));
            settle();
            cut.cancel();
            assert!(next.join().unwrap().contains("would wait for itself"));
        });
    });
}

#[test]
fn a_closure_that_calls_itself_names_its_thread() {
    let thread = thread::Builder::new().name("ring".into());
    let text = thread.spawn(|| {
        let once = Once::new();
        panic_of(|| once.call_once(|| once.call_once(|| ())))
    });
    let expected = "thread 'ring' would wait for itself: it is initialising this `Once` already";
    assert_eq!(text.unwrap().join().unwrap(), expected);
}

#[test]
fn where_no_switch_is_allowed_it_runs_and_does_not_wait() {
    run_virtual(|| {
        let once = Once::new();
        no_switch(|| Once::new().call_once(|| ()));
        pool(|pool| {
            let runs = pool.spawn(|| once.call_once(settle));
            yield_now();
            for wait in [|once: &Once| once.call_once(|| ()), Once::wait, Once::wait_force] {
                let text = panic_of(|| no_switch(|| wait(&once)));
                assert!(text.starts_with("`call_once` or `get_or_init` would switch"), "{text}");
            }
            runs.join().unwrap();
            no_switch(|| once.call_once(|| ()));
        });
    });
}

#[test]
fn in_a_destructor_it_runs_and_really_waits() {
    both(|passing| {
        let (once, begun) = (Once::new(), Event::new());
        assert!(in_destructor(passing, || {
            let once = Once::new();
            once.call_once(|| sleep(secs(1)));
            once.is_completed()
        }));
        pool(|pool| {
            pool.spawn(|| {
                once.call_once(|| {
                    begun.trigger(()).unwrap();
                    sleep(secs(1));
                });
            });
            begun.wait();
            in_destructor(passing, || {
                assert!(!once.is_completed());
                once.call_once(|| unreachable!());
                assert!(once.is_completed());
                once.wait();
                once.wait_force();
            });
        });
    });
}

#[test]
fn a_panic_in_a_destructor_that_catches_it_poisons() {
    both(|passing| {
        let once = Once::new();
        in_destructor(passing, || {
            assert_eq!(panic_of(|| once.call_once(|| fail("on purpose"))), "on purpose");
        });
        assert_eq!(panic_of(|| once.call_once(|| ())), POISONED);
    });
}
