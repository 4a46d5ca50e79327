//! Events: who is woken, with what, and who is not. Those of several threads are in `event_threads`.

use crate::Drops;
use crate::Log;
use crate::elapsed;
use crate::named;
use crate::panic_of;
use crate::raised;
use crate::secs;
use crate::unwind::OnDrop;
use crate::unwind::both;
use crate::unwind::in_destructor;
use giambio::TooSlow;
use giambio::clock;
use giambio::debug::Debugger;
use giambio::debug::TaskRef;
use giambio::debug::WaitReason;
use giambio::pool;
use giambio::shield;
use giambio::skip_after;
use giambio::sleep;
use giambio::sync::AlreadySet;
use giambio::sync::Event;
use giambio::task;
use giambio::task::no_switch;
use giambio::task::no_unwind;
use giambio::testing;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::with_timeout;
use giambio::yield_now;
use std::cell::Cell;
use std::cell::RefCell;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::rc::Rc;

#[test]
fn smoke() {
    run_virtual(|| {
        let event = Event::new();
        pool(|pool| {
            let waiter = pool.spawn(|| event.wait());
            settle();
            assert!(!waiter.is_finished());
            event.trigger(7).unwrap();
            assert_eq!(waiter.join().unwrap(), 7);
        });
    });
}

#[test]
fn an_event_is_set_from_its_trigger_on() {
    let event = Event::default();
    assert!(!event.is_set());
    assert_eq!(event.get(), None);
    assert_eq!(format!("{event:?}"), "Event { is_set: false, .. }");
    event.trigger(7).unwrap();
    assert!(event.is_set());
    assert_eq!(event.get(), Some(&7));
    assert_eq!(format!("{event:?}"), "Event { is_set: true, .. }");
}

#[test]
fn a_second_trigger_hands_its_value_back_and_changes_nothing() {
    struct Silent(&'static str); // neither `Debug` nor `Clone` nor comparable
    let event = Event::new();
    event.trigger(Silent("first")).unwrap();
    let error = event.trigger(Silent("second")).unwrap_err();
    assert_eq!(format!("{error}, {error:?}"), "the event was already set, AlreadySet { .. }");
    let AlreadySet(Silent(back)) = error;
    assert_eq!((back, event.wait_ref().0), ("second", "first"));
}

#[test]
fn every_waiter_gets_the_value_in_the_order_in_which_they_came() {
    run_virtual(|| {
        let (event, log) = (Event::new(), Log::default());
        pool(|pool| {
            for name in ["first", "second", "third"] {
                let (event, log) = (&event, &log);
                pool.spawn(move || {
                    log.add(format!("{name} waits"));
                    let value: String = event.wait();
                    log.add(format!("{name} got {value}"));
                });
            }
            settle();
            event.trigger("it".into()).unwrap();
            log.add("triggered"); // and nobody has run meanwhile
        });
        log.assert(&[
            "first waits",
            "second waits",
            "third waits",
            "triggered",
            "first got it",
            "second got it",
            "third got it",
        ]);
    });
}

#[test]
fn a_wait_for_what_has_happened_lets_nobody_else_run() {
    run_virtual(|| {
        let event = Event::new();
        event.trigger("value").unwrap();
        pool(|pool| {
            let other = pool.spawn(|| ());
            assert_eq!(event.wait(), "value");
            assert_eq!(event.wait_ref(), &"value");
            assert!(!other.is_finished());
        });
        assert_eq!(event.wait(), "value", "the value was used up");
    });
}

#[test]
fn a_wait_for_what_has_happened_is_a_checkpoint() {
    run_virtual(|| {
        let event = Event::new();
        event.trigger(()).unwrap();
        pool(|pool| {
            pool.spawn(|| {
                task::current().cancel();
                assert!(raised(|| event.wait()));
                assert!(raised(|| *event.wait_ref()));
                assert!(event.is_set() && event.get().is_some(), "these are none");
            });
        });
    });
}

#[test]
fn a_loop_of_waits_for_what_has_happened_does_not_starve_the_others() {
    giambio::run(|| {
        let event = Event::new();
        event.trigger(()).unwrap();
        pool(|pool| {
            let other = pool.spawn(|| ());
            while !other.is_finished() {
                event.wait();
            }
        });
    });
}

#[test]
fn wait_ref_lends_what_cannot_be_cloned() {
    struct NotClone(Cell<i32>);
    run_virtual(|| {
        let event = Event::new();
        pool(|pool| {
            for _ in 0..2 {
                pool.spawn(|| {
                    let value: &NotClone = event.wait_ref();
                    value.0.set(value.0.get() + 1);
                });
            }
            settle();
            event.trigger(NotClone(Cell::new(5))).ok().unwrap();
        });
        assert_eq!(event.get().unwrap().0.get(), 7);
    });
}

#[test]
fn a_waiter_that_was_cancelled_is_passed_over() {
    run_virtual(|| {
        let (event, log) = (Event::new(), Log::default());
        pool(|pool| {
            let [before, parked, same_step, patient] = ["before", "parked", "same step", "patient"]
                .map(|name| {
                    let (event, log) = (&event, &log);
                    pool.spawn(move || {
                        let _guard = OnDrop::new(|| log.add(format!("{name} has left")));
                        let () = event.wait();
                        log.add(format!("{name} was woken"));
                    })
                });
            before.cancel();
            settle();
            parked.cancel();
            settle();
            same_step.cancel();
            event.trigger(()).unwrap();
            assert!(before.join().unwrap_err().is_cancelled());
            assert!(parked.join().unwrap_err().is_cancelled());
            assert!(same_step.join().unwrap_err().is_cancelled());
            patient.join().unwrap();
        });
        log.assert(&[
            "parked has left",
            "same step has left",
            "patient was woken",
            "patient has left",
        ]);
    });
}

#[test]
fn a_waiter_that_is_cancelled_after_the_trigger_gets_the_value_and_is_cut_at_its_next_checkpoint() {
    run_virtual(|| {
        let (event, got) = (Event::new(), Cell::new(0));
        pool(|pool| {
            let waiter = pool.spawn(|| {
                got.set(event.wait());
                yield_now();
                unreachable!("a checkpoint has not raised");
            });
            settle();
            event.trigger(7).unwrap();
            waiter.cancel();
            assert!(waiter.join().unwrap_err().is_cancelled());
        });
        assert_eq!(got.get(), 7);
    });
}

#[test]
fn a_timeout_cuts_a_wait_and_the_next_one_gets_the_value() {
    run_virtual(|| {
        let event = Event::new();
        pool(|pool| {
            pool.spawn(|| {
                sleep(secs(5));
                event.trigger("late").unwrap();
            });
            let wait = || with_timeout(secs(2), |_| event.wait());
            let start = clock();
            assert_eq!([wait(), wait(), wait()], [Err(TooSlow), Err(TooSlow), Ok("late")]);
            assert_eq!(clock() - start, secs(5));
            assert_eq!(with_timeout(secs(0), |_| event.wait()), Err(TooSlow));
        });
    });
}

#[test]
fn a_shielded_wait_is_not_cut() {
    run_virtual(|| {
        let event = Event::new();
        pool(|pool| {
            pool.spawn(|| {
                sleep(secs(5));
                event.trigger(()).unwrap();
            });
            let took = elapsed(|| {
                let cut = skip_after(secs(1), |_| {
                    shield(|| event.wait());
                    yield_now();
                });
                assert!(cut.is_none() && event.is_set());
            });
            assert_eq!(took, secs(5));
        });
    });
}

#[test]
fn ten_thousand_waiters_are_woken_in_their_order() {
    run_virtual(|| {
        let (event, woken) = (Event::new(), RefCell::new(Vec::new()));
        pool(|pool| {
            let waiters: Vec<_> = (0..10_000)
                .map(|number| {
                    let (event, woken) = (&event, &woken);
                    pool.spawn(move || {
                        event.wait();
                        woken.borrow_mut().push(number);
                    })
                })
                .collect();
            settle();
            waiters.iter().step_by(10).for_each(|waiter| waiter.cancel());
            event.trigger(()).unwrap();
        });
        assert!(woken.take().into_iter().eq((0..10_000).filter(|number| number % 10 > 0)));
    });
}

#[test]
fn inside_of_no_switch_a_wait_panics_unless_the_event_has_happened() {
    run_virtual(|| {
        let event = Event::new();
        let text = panic_of(|| no_switch(|| event.wait()));
        assert!(text.contains("`Event::wait` would switch"), "{text}");
        pool(|pool| {
            let waiter = pool.spawn(|| event.wait());
            settle();
            no_switch(|| event.trigger(7)).unwrap();
            assert_eq!(no_switch(|| event.wait()), 7);
            assert_eq!(waiter.join().unwrap(), 7);
        });
    });
}

#[test]
fn where_nothing_may_unwind_a_cancelled_wait_goes_on_waiting() {
    run_virtual(|| {
        let event = Event::new();
        pool(|pool| {
            let waiter = pool.spawn(|| {
                let value = no_unwind(|| event.wait());
                assert!(raised(yield_now));
                assert_eq!(no_unwind(|| event.wait()), value);
                value
            });
            settle();
            waiter.cancel();
            settle();
            assert!(!waiter.is_finished());
            event.trigger(7).unwrap();
            assert_eq!(waiter.join().unwrap(), 7);
        });
    });
}

#[test]
fn while_a_task_unwinds_it_really_waits() {
    both(|passing| {
        let event = Event::new();
        pool(|pool| {
            pool.spawn(|| {
                sleep(secs(3));
                event.trigger(7).unwrap();
            });
            let took = in_destructor(passing, || elapsed(|| assert_eq!(event.wait(), 7)));
            assert_eq!(took, secs(3));
        });
    });
}

#[test]
fn a_destructor_may_trigger_while_its_task_unwinds() {
    both(|passing| {
        let event = Event::new();
        pool(|pool| {
            let waiter = pool.spawn(|| event.wait());
            settle();
            in_destructor(passing, || event.trigger("from a destructor").unwrap());
            assert_eq!(waiter.join().unwrap(), "from a destructor");
        });
    });
}

#[test]
fn the_value_is_dropped_once_and_with_its_event() {
    let drops = Drops::default();
    let event = Event::new();
    event.trigger(drops.one()).ok().unwrap();
    let rejected = event.trigger(drops.one()).err().unwrap();
    assert_eq!(drops.count(), 0);
    drop(rejected);
    assert_eq!(drops.count(), 1);
    drop(event);
    assert_eq!(drops.count(), 2);
}

#[test]
fn a_clone_may_panic_or_use_the_event_itself() {
    struct Odd<'e>(&'e Cell<Option<&'e Event<Odd<'e>>>>);
    impl Clone for Odd<'_> {
        fn clone(&self) -> Self {
            yield_now();
            match self.0.take() {
                Some(event) => Self(event.wait_ref().0),
                None => panic!("not a second time"),
            }
        }
    }
    run_virtual(|| {
        let back = Cell::new(None);
        let event = Event::new();
        event.trigger(Odd(&back)).ok().unwrap();
        back.set(Some(&event));
        event.wait();
        assert_eq!(panic_of(|| event.wait()), "not a second time");
        assert!(event.is_set());
        back.set(None);
    });
}

#[test]
fn a_report_says_who_waits_for_an_event() {
    let report = panic_of(|| {
        run_virtual(|| {
            let event = Event::<()>::new();
            pool(|pool| {
                named(pool, "event waiter", || event.wait());
            });
        });
    });
    let line = report.lines().find(|line| line.contains("'event waiter'")).unwrap();
    assert!(line.contains("waits for an event to be triggered, for "), "{report}");
}

/// Triggers an event when a task ends, and keeps what tasks wait for.
struct Trigger(Rc<(Event, RefCell<Vec<WaitReason>>)>);

impl Debugger for Trigger {
    fn before_park(&self, _: &TaskRef, reason: WaitReason) {
        self.0.1.borrow_mut().push(reason);
    }

    fn on_task_exit(&self, _: &TaskRef) {
        let _ = self.0.0.trigger(()); // the main task ends as well
    }
}

#[test]
fn a_hook_may_trigger_an_event_and_is_told_who_waits_for_one() {
    let shared: Rc<(Event, RefCell<Vec<WaitReason>>)> = Rc::default();
    let mut runtime = testing::builder().debugger(Trigger(Rc::clone(&shared))).build().unwrap();
    runtime.run(|| {
        pool(|pool| {
            pool.spawn(|| ());
            shared.0.wait();
        });
    });
    assert_eq!(shared.1.take(), [WaitReason::Event]);
}

#[test]
fn an_event_may_be_waited_for_in_a_catch_unwind() {
    fn is_unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}
    is_unwind_safe::<Event<String>>();
}
