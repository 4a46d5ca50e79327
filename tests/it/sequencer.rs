//! Sequences of steps that several tasks take.

use crate::Log;
use crate::fail;
use crate::panic_of;
use crate::raised;
use crate::secs;
use crate::unwind::both;
use crate::unwind::in_destructor;
use giambio::TooSlow;
use giambio::pool;
use giambio::sleep;
use giambio::task;
use giambio::task::no_switch;
use giambio::testing::Sequencer;
use giambio::testing::Step;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::with_timeout;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::thread;

/// After trio's `test_Sequencer`.
#[test]
fn smoke() {
    run_virtual(|| {
        let (sequence, log) = (Sequencer::new(), Log::default());
        pool(|pool| {
            for (name, numbers) in [("first", &[1, 3, 4][..]), ("second", &[0, 2])] {
                let (sequence, log) = (&sequence, &log);
                pool.spawn(move || {
                    for &number in numbers {
                        let _step = sequence.step(number);
                        log.add(format!("{name} {number}"));
                    }
                });
            }
            let _step = sequence.step(5);
            settle();
            log.assert(&["second 0", "first 1", "second 2", "first 3", "first 4"]);
        });
    });
}

#[test]
fn a_step_begins_when_the_one_below_has_ended_and_not_when_it_began() {
    run_virtual(|| {
        let (sequence, log) = (Sequencer::new(), Log::default());
        pool(|pool| {
            for number in [2, 1, 0] {
                let (sequence, log) = (&sequence, &log);
                pool.spawn(move || {
                    let _step = sequence.step(number);
                    log.add(format!("{number} begins"));
                    sleep(secs(1));
                    log.add(format!("{number} ends"));
                });
            }
        });
        log.assert(&["0 begins", "0 ends", "1 begins", "1 ends", "2 begins", "2 ends"]);
    });
}

#[test]
fn a_step_is_taken_once() {
    run_virtual(|| {
        let sequence = Sequencer::default();
        let first = sequence.step(0);
        let again = || panic_of(|| drop(sequence.step(0)));
        assert_eq!(again(), "step 0 of a sequence was taken twice");
        drop(first);
        assert_eq!(again(), "step 0 of a sequence was taken twice");
        drop(sequence.step(1)); // that has broken nothing
        pool(|pool| {
            let waiter = pool.spawn(|| drop(sequence.step(3)));
            settle();
            let text = panic_of(|| drop(sequence.step(3)));
            assert_eq!(text, "step 3 of a sequence was taken twice");
            drop(sequence.step(2));
            waiter.join().unwrap();
        });
    });
}

/// After trio's `test_Sequencer_cancel`.
#[test]
fn a_step_that_was_cut_while_it_waited_makes_those_above_panic() {
    run_virtual(|| {
        let sequence = Sequencer::new();
        pool(|pool| {
            let above = [2, 3].map(|number| {
                let sequence = &sequence;
                pool.spawn(move || panic_of(|| drop(sequence.step(number))))
            });
            let cut = pool.spawn(|| drop(sequence.step(1)));
            let first = sequence.step(0);
            settle();
            cut.cancel();
            assert!(cut.join().unwrap_err().is_cancelled());
            let text = "waits for step 1, which was cut before it began";
            for (task, number) in above.into_iter().zip(2..) {
                assert_eq!(task.join().unwrap(), format!("step {number} {text}"));
            }
            drop(first);
            let late = panic_of(|| drop(sequence.step(4)));
            assert_eq!(late, format!("step 4 {text}"));
        });
    });
}

#[test]
fn a_step_that_was_cut_does_not_stop_those_below() {
    run_virtual(|| {
        let (sequence, log) = (Sequencer::new(), Log::default());
        pool(|pool| {
            for number in [1, 2] {
                let (sequence, log) = (&sequence, &log);
                pool.spawn(move || {
                    let _step = sequence.step(number);
                    log.add(number.to_string());
                });
            }
            assert_eq!(with_timeout(secs(1), |_| drop(sequence.step(4))), Err(TooSlow));
            drop(sequence.step(0));
            drop(sequence.step(3));
            assert!(panic_of(|| drop(sequence.step(9))).contains("step 4"));
        });
        log.assert(&["1", "2"]);
    });
}

#[test]
fn those_above_name_the_lowest_step_that_was_cut() {
    run_virtual(|| {
        let sequence = Sequencer::new();
        for number in [5, 3] {
            assert_eq!(with_timeout(secs(1), |_| drop(sequence.step(number))), Err(TooSlow));
        }
        assert!(panic_of(|| drop(sequence.step(9))).contains("waits for step 3"));
        assert!(panic_of(|| drop(sequence.step(4))).contains("waits for step 3"));
        (0..3).for_each(|number| drop(sequence.step(number)));
    });
}

#[test]
fn a_step_is_a_checkpoint_also_when_its_turn_has_come() {
    run_virtual(|| {
        let sequence = Sequencer::new();
        pool(|pool| {
            pool.spawn(|| {
                task::current().cancel();
                assert!(raised(|| drop(sequence.step(0))));
            });
        });
        assert!(panic_of(|| drop(sequence.step(1))).contains("step 0"));
    });
}

#[test]
fn a_step_that_panics_has_ended() {
    run_virtual(|| {
        let sequence = Sequencer::new();
        let failed = catch_unwind(AssertUnwindSafe(|| {
            let _step = sequence.step(0);
            fail("on purpose")
        }));
        assert!(failed.is_err());
        drop(sequence.step(1));
    });
}

#[test]
fn inside_of_no_switch_a_step_panics_if_it_would_wait() {
    run_virtual(|| {
        let sequence = Sequencer::new();
        no_switch(|| drop(sequence.step(0)));
        let text = panic_of(|| no_switch(|| drop(sequence.step(2))));
        assert!(text.contains("would switch"), "{text}");
        drop(sequence.step(1));
        assert!(panic_of(|| drop(sequence.step(3))).contains("step 2"));
    });
}

#[test]
fn a_destructor_may_wait_for_its_step() {
    both(|passing| {
        let (sequence, log) = (Sequencer::new(), Log::default());
        pool(|pool| {
            pool.spawn(|| {
                let _step = sequence.step(0);
                sleep(secs(1));
                log.add("other");
            });
            in_destructor(passing, || {
                let _step = sequence.step(1);
                log.add("destructor");
            });
            drop(sequence.step(2));
        });
        log.assert(&["other", "destructor"]);
    });
}

#[test]
fn a_step_that_nobody_takes_is_a_deadlock_that_is_reported() {
    let report = panic_of(|| run_virtual(|| drop(Sequencer::new().step(1))));
    assert!(report.contains("'main'") && report.contains("waits for an event"), "{report}");
}

#[test]
fn threads_runtimes_and_tasks_take_turns() {
    let (sequence, order) = (Sequencer::new(), Mutex::new(Vec::new()));
    let walk = |from: usize| {
        for number in (from..400).step_by(4) {
            let _step = sequence.step(number);
            order.lock().unwrap().push(number);
        }
    };
    thread::scope(|threads| {
        threads.spawn(|| walk(0)); // outside of `run`
        threads.spawn(|| giambio::run(|| walk(1)));
        giambio::run(|| {
            pool(|pool| {
                pool.spawn(|| walk(2));
                pool.spawn(|| walk(3));
            });
        });
    });
    assert!(order.into_inner().unwrap().into_iter().eq(0..400));
}

#[test]
fn a_sequence_may_be_shared_and_its_steps_sent() {
    fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<Sequencer>();
    is_send_and_sync::<Step<'_>>();
    let sequence = Sequencer::new();
    let step = sequence.step(0);
    assert_eq!(format!("{sequence:?} {step:?}"), "Sequencer { .. } Step { number: 0, .. }");
    thread::scope(|threads| {
        threads.spawn(|| drop(step));
    });
    drop(sequence.step(1));
}
