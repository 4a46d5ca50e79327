//! Calls on helper threads: borrowing, failures, cancellation, time.

use crate::Log;
use crate::ms;
use crate::named;
use crate::panic_of;
use crate::secs;
use crate::unwind::Passing;
use crate::unwind::in_destructor;
use giambio::Builder;
use giambio::cancellable;
use giambio::clock;
use giambio::debug::Debugger;
use giambio::debug::TaskRef;
use giambio::debug::WaitReason;
use giambio::pool;
use giambio::race;
use giambio::run;
use giambio::sleep;
use giambio::task::no_switch;
use giambio::testing;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::try_unblock;
use giambio::unblock;
use giambio::yield_now;
use std::cell::Cell;
use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Barrier;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Runs `main` with so many turns.
pub(crate) fn run_with_turns<T>(limit: usize, main: impl FnOnce() -> T) -> T {
    Builder::new().helper_threads(limit).build().unwrap().run(main)
}

/// Counts its drops, on whatever thread.
#[derive(Clone, Default)]
struct Drops(Arc<AtomicUsize>);

impl Drops {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn one(&self) -> Counted {
        Counted(self.clone())
    }
}

struct Counted(Drops);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A call that returns when it is told to, or when nobody can tell it any more.
pub(crate) fn until_told() -> (mpsc::Sender<()>, impl FnOnce() + Send) {
    let (tell, told) = mpsc::channel();
    (tell, move || _ = told.recv())
}

#[test]
fn smoke() {
    run(|| {
        let mut text = String::from("bor");
        let length = unblock(|| {
            text.push_str("rowed");
            text.len()
        });
        assert_eq!((text.as_str(), length), ("borrowed", 8));
    });
}

#[test]
fn a_value_may_borrow_from_the_task() {
    let words = String::from("one two three");
    let last = run(|| unblock(|| words.split(' ').next_back()));
    assert_eq!(last, Some("three"));
}

#[test]
fn it_runs_on_a_thread_that_is_named_for_it() {
    run(|| {
        let here = thread::current().id();
        let (id, name) = unblock(|| {
            let thread = thread::current();
            (thread.id(), thread.name().map(str::to_owned))
        });
        assert_ne!(id, here);
        assert_eq!(name.as_deref(), Some("giambio-helper"));
    });
}

#[test]
fn outside_of_run_it_calls_right_there() {
    let here = thread::current().id();
    assert_eq!(unblock(|| thread::current().id()), here);
    assert_eq!(try_unblock(|| thread::current().id()).unwrap(), here);
}

#[test]
fn other_tasks_run_meanwhile() {
    run(|| {
        let (tell, call) = until_told();
        let steps = Cell::new(0);
        pool(|pool| {
            let caller = pool.spawn(|| {
                unblock(call);
                steps.get()
            });
            for _ in 0..100 {
                yield_now();
                steps.set(steps.get() + 1);
            }
            tell.send(()).unwrap();
            assert_eq!(caller.join().unwrap(), 100);
        });
    });
}

#[test]
fn calls_of_several_tasks_run_at_the_same_time() {
    run(|| {
        let all_are_here = Barrier::new(10);
        pool(|pool| {
            for _ in 0..10 {
                pool.spawn(|| unblock(|| all_are_here.wait()));
            }
        });
    });
}

#[test]
fn a_panic_goes_on_in_the_caller() {
    run(|| {
        let failing = || -> u32 { resume_unwind(Box::new("on a helper")) };
        assert_eq!(panic_of(|| unblock(failing)), "on a helper");
        assert_eq!(panic_of(|| try_unblock(failing)), "on a helper");
        let failed = panic_of(|| {
            pool(|pool| {
                pool.spawn(|| giambio::sleep_forever());
                pool.spawn(|| unblock(failing));
            });
        });
        assert_eq!(failed, "on a helper");
    });
}

#[test]
fn cancelled_before_it_does_not_run() {
    run(|| {
        let drops = Drops::default();
        let carried = drops.one();
        let cut = cancellable(|scope| {
            scope.cancel();
            unblock(|| {
                let _carried = carried;
                unreachable!("it was cancelled before");
            })
        });
        assert_eq!((cut, drops.count()), (None::<()>, 1));
    });
}

#[test]
fn cancelled_while_it_runs_it_is_waited_for_and_the_next_checkpoint_raises() {
    run(|| {
        let (tell, call) = until_told();
        let log = Log::default();
        pool(|pool| {
            let caller = pool.spawn(|| {
                let value = unblock(|| {
                    call();
                    7
                });
                log.add(format!("value {value}"));
                yield_now();
                log.add("went on");
            });
            settle();
            caller.cancel();
            settle();
            assert!(!caller.is_finished());
            log.add("told");
            tell.send(()).unwrap();
            assert!(caller.join().unwrap_err().is_cancelled());
        });
        log.assert(&["told", "value 7"]);
    });
}

#[test]
fn a_deadline_does_not_cut_what_has_begun() {
    run(|| {
        let (tell, call) = until_told();
        let value = Cell::new(0);
        let slow = pool(|outside| {
            outside.spawn(|| {
                sleep(ms(20));
                tell.send(()).unwrap();
            });
            giambio::skip_after(ms(1), |_| {
                value.set(unblock(|| {
                    call();
                    3
                }));
                yield_now();
            })
        });
        assert_eq!((slow, value.get()), (None, 3));
    });
}

#[test]
fn what_a_call_takes_and_gives_is_dropped_once() {
    let carried = Drops::default();
    let given = Drops::default();
    let counts = || (carried.count(), given.count());
    let call = |carried: Counted, given: Counted| {
        move || {
            let _carried = carried;
            given
        }
    };
    drop(unblock(call(carried.one(), given.one())));
    assert_eq!(counts(), (1, 1));
    run_with_turns(1, || {
        let value = unblock(call(carried.one(), given.one()));
        assert_eq!(counts(), (2, 1));
        drop(value);
        assert_eq!(counts(), (2, 2));

        let failing = call(carried.one(), given.one());
        let failed = catch_unwind(AssertUnwindSafe(|| {
            unblock(|| {
                let _given = failing();
                resume_unwind(Box::new("on purpose"))
            })
        }));
        assert!(failed.is_err());
        assert_eq!(counts(), (3, 3));

        let (tell, first) = until_told();
        pool(|pool| {
            pool.spawn(|| unblock(first));
            let waits = pool.spawn(|| unblock(call(carried.one(), given.one())));
            settle();
            waits.cancel();
            assert!(waits.join().is_err());
            assert_eq!(counts(), (4, 4));
            tell.send(()).unwrap();
        });

        pool(|pool| {
            let (tell, blocks) = until_told();
            let cancelled = pool.spawn(|| {
                unblock(|| {
                    blocks();
                    call(carried.one(), given.one())()
                })
            });
            settle();
            cancelled.cancel();
            tell.send(()).unwrap();
        });
        assert_eq!(counts(), (5, 5));
    });
}

#[test]
fn inside_of_a_call_blocking_calls_block_and_run_runs() {
    run_with_turns(1, || {
        let sum = unblock(|| {
            sleep(ms(1));
            let parker = giambio::lowlevel::Parker::new();
            let unparker = parker.unparker();
            thread::spawn(move || unparker.unpark());
            parker.park();
            run_with_turns(1, || {
                pool(|pool| {
                    let tasks = [1, 2, 3].map(|number| pool.spawn(move || unblock(|| number)));
                    tasks.map(|task| task.join().unwrap()).iter().sum::<i32>()
                })
            })
        });
        assert_eq!(sum, 6);
    });
}

#[test]
fn while_the_task_unwinds_it_really_waits() {
    for passing in [Passing::Panic, Passing::Cancellation] {
        run(|| {
            let here = thread::current().id();
            let there = in_destructor(passing, || unblock(|| thread::current().id()));
            assert_ne!(there, here);
        });
    }
}

#[test]
fn where_nothing_may_switch_it_does_not_run() {
    run_with_turns(1, || {
        let drops = Drops::default();
        let carried = drops.one();
        let call = || {
            let _carried = carried;
            unreachable!("the task would have to wait for it");
        };
        let text = panic_of(|| no_switch(|| unblock(call)));
        assert!(text.starts_with("`unblock` "), "{text}");
        assert_eq!(drops.count(), 1);
        assert_eq!(unblock(|| 5), 5);
    });
}

#[test]
fn on_a_big_stack_it_borrows_from_that() {
    run(|| {
        let sum = giambio::on_big_stack(1 << 20, || {
            let numbers = [1, 2, 3];
            unblock(|| numbers.iter().sum::<i32>())
        });
        assert_eq!(sum, 6);
    });
}

#[test]
fn the_loser_of_a_race_is_waited_for() {
    run(|| {
        let (tell, call) = until_told();
        let ended = AtomicUsize::new(0);
        let slow = || {
            unblock(|| {
                call();
                ended.fetch_add(1, Ordering::SeqCst);
            });
            "slow"
        };
        let fast = || {
            yield_now();
            tell.send(()).unwrap();
            "fast"
        };
        assert_eq!(race(slow, fast), "fast");
        assert_eq!(ended.into_inner(), 1);
    });
}

#[test]
fn virtual_time_stands_still_while_a_call_runs() {
    run_virtual(|| {
        pool(|pool| {
            let sleeper = pool.spawn(|| sleep(secs(1)));
            let start = clock();
            unblock(|| sleep(ms(20))); // really
            assert_eq!(clock(), start);
            assert!(!sleeper.is_finished());
            sleeper.join().unwrap();
            assert_eq!(clock() - start, secs(1));
        });
    });
}

#[test]
fn a_host_on_virtual_time_waits_for_a_call_as_long_as_it_says() {
    let (tell, call) = until_told();
    let mut runtime = testing::builder().build().unwrap();
    let main = || {
        let start = clock();
        unblock(call);
        clock() - start
    };
    let (ticks, passed) = runtime.drive(main, |driver| {
        assert_eq!(driver.tick(Some(Duration::ZERO)).steps, 1);
        assert_eq!(driver.tick(Some(ms(1))).steps, 0);
        tell.send(()).unwrap();
        let mut ticks = 0;
        while !driver.is_done() {
            driver.tick(None);
            ticks += 1;
        }
        ticks
    });
    assert_eq!(passed, Some(Duration::ZERO));
    assert!(ticks < 10, "{ticks} ticks for one call: it was not waited for");
}

/// Notes why tasks park.
struct Reasons(Rc<RefCell<Vec<String>>>);

impl Debugger for Reasons {
    fn before_park(&self, task: &TaskRef, reason: WaitReason) {
        self.0.borrow_mut().push(format!("{} {reason}", task.name()));
    }
}

#[test]
fn a_debugger_is_told_what_a_call_waits_for() {
    let reasons = Rc::new(RefCell::new(Vec::new()));
    let debugger = Reasons(Rc::clone(&reasons));
    let mut runtime = Builder::new().helper_threads(1).debugger(debugger).build().unwrap();
    runtime.run(|| {
        let (tell, call) = until_told();
        pool(|pool| {
            named(pool, "first", || unblock(call));
            named(pool, "second", || unblock(|| ()));
            settle();
            tell.send(()).unwrap();
        });
    });
    let reasons = reasons.borrow();
    assert!(reasons.contains(&"first waits for a call on a helper thread to return".into()));
    assert!(reasons.contains(&"second waits for a helper thread to be free".into()));
}
