//! Calls that may be left to themselves, which no public call shows as they are.

use super::abandonable;
use super::unblock;
use crate::clock::Clock;
use crate::hooks::WaitReason;
use crate::park;
use crate::pool::cancellable;
use crate::pool::pool;
use crate::pool::with_timeout;
use crate::runtime::Builder;
use crate::runtime::run;
use crate::task::Abort;
use crate::time;
use crate::wait_queue;
use crate::wait_queue::WaitQueue;
use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::Barrier;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::sync::mpsc::Sender;
use std::thread;
use std::thread::ThreadId;
use std::time::Duration;

/// Tells on which thread it is dropped.
struct Parting(Sender<ThreadId>);

impl Drop for Parting {
    fn drop(&mut self) {
        let _ = self.0.send(thread::current().id());
    }
}

/// As `testing` has it.
fn run_virtual<T>(main: impl FnOnce() -> T) -> T {
    Builder::new().clock(Clock::owned_by_the_test()).build().unwrap().run(main)
}

/// As `testing` has it.
fn settle() {
    let me = park::current_for("this test");
    wait_queue::wait(me, &me.worker().settlers, None, WaitReason::Settle, Abort::Now);
}

fn someone_waits_for_a_turn() -> bool {
    park::worker_here(|worker| !worker.offload.line.is_empty()).unwrap()
}

/// A call that returns when it is told to, or when nobody can tell it any more.
fn until_told() -> (Sender<()>, impl FnOnce() + Send) {
    let (tell, told) = mpsc::channel();
    (tell, move || _ = told.recv())
}

/// Leaves `call` to itself when it has begun.
fn abandon<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) {
    pool(|pool| {
        let (tell, begun) = mpsc::channel();
        let caller = pool.spawn(move || {
            abandonable(move || {
                tell.send(()).unwrap();
                call()
            })
        });
        settle();
        begun.recv().unwrap();
        caller.cancel();
        assert!(caller.join().is_err_and(|error| error.is_cancelled()));
    });
}

#[test]
fn its_value_comes_back() {
    assert_eq!(abandonable(|| thread::current().id()).unwrap(), thread::current().id());
    run(|| {
        assert_ne!(abandonable(|| thread::current().id()).unwrap(), thread::current().id());
        let failed = catch_unwind(AssertUnwindSafe(|| abandonable(|| resume_unwind(Box::new(8)))));
        assert_eq!(failed.map(drop).unwrap_err().downcast_ref(), Some(&8));
    });
}

#[test]
fn a_cancelled_task_goes_on_at_once_and_the_value_is_dropped_on_the_helper() {
    let (tell, call) = until_told();
    let (parted, parting) = mpsc::channel();
    let helper = Arc::new(Mutex::new(None));
    run(|| {
        let here = Arc::clone(&helper);
        abandon(move || {
            *here.lock().unwrap() = Some(thread::current().id());
            call();
            Parting(parted)
        });
        assert!(parting.try_recv().is_err());
        tell.send(()).unwrap();
        assert_eq!(Some(parting.recv().unwrap()), *helper.lock().unwrap());
    });
    assert!(parting.recv().is_err(), "it was dropped twice");
}

#[test]
fn a_deadline_leaves_it_alone_too() {
    run(|| {
        let (tell, call) = until_told();
        let timed = with_timeout(Duration::from_millis(1), |_| abandonable(call));
        assert!(timed.is_err());
        tell.send(()).unwrap();
    });
}

#[test]
fn cancelled_before_it_does_not_run() {
    run(|| {
        let (parted, parting) = mpsc::channel();
        let carried = Parting(parted);
        let cut = cancellable(|scope| {
            scope.cancel();
            abandonable(move || {
                let _carried = carried;
                unreachable!("it was cancelled before");
            })
        });
        assert!(cut.is_none());
        assert_eq!(parting.recv().unwrap(), thread::current().id());
    });
}

#[test]
fn an_abandoned_call_keeps_its_turn_until_it_returns() {
    let mut runtime = Builder::new().helper_threads(1).build().unwrap();
    runtime.run(|| {
        let (tell, call) = until_told();
        abandon(call);
        pool(|pool| {
            pool.spawn(|| unblock(|| ()));
            settle();
            assert!(someone_waits_for_a_turn());
            tell.send(()).unwrap();
        });
        assert_eq!(unblock(|| 3), 3);
    });
}

#[test]
fn an_abandoned_call_that_panics_gives_its_turn_back() {
    let mut runtime = Builder::new().helper_threads(1).build().unwrap();
    runtime.run(|| {
        let (tell, call) = until_told();
        abandon(move || -> u32 {
            call();
            resume_unwind(Box::new("nobody hears of it"))
        });
        tell.send(()).unwrap();
        assert_eq!(unblock(|| 3), 3);
    });
}

#[test]
fn a_runtime_may_end_before_its_abandoned_calls() {
    let (parted, parting) = mpsc::channel();
    let (tell, call) = until_told();
    let mut runtime = Builder::new().helper_threads(2).build().unwrap();
    runtime.run(|| {
        abandon(move || {
            call();
            Parting(parted)
        });
    });
    // Its turn comes home in the next run; in the last one nobody waits for it.
    assert_eq!(runtime.run(|| unblock(|| 5)), 5);
    drop(runtime);
    tell.send(()).unwrap();
    assert_ne!(parting.recv().unwrap(), thread::current().id());

    let (tell, call) = until_told();
    let mut runtime = Builder::new().helper_threads(1).build().unwrap();
    runtime.run(|| abandon(call));
    tell.send(()).unwrap();
    assert_eq!(runtime.run(|| unblock(|| 6)), 6);
}

#[test]
fn virtual_time_goes_on_beside_an_abandoned_call() {
    let (tell, call) = until_told();
    run_virtual(|| {
        abandon(call);
        let start = time::clock();
        time::sleep(Duration::from_secs(3600));
        assert_eq!(time::clock() - start, Duration::from_secs(3600));
    });
    drop(tell);
}

#[test]
fn a_test_waits_for_an_abandoned_call_before_it_gives_up() {
    let (tell, call) = until_told();
    let given_up = catch_unwind(AssertUnwindSafe(|| {
        run_virtual(|| {
            let is_heard = Arc::new(WaitQueue::new(false));
            let wait = || {
                is_heard.wait_unless(None, WaitReason::Unpark, Abort::Now, std::mem::take::<bool>)
            };
            let queue = Arc::clone(&is_heard);
            abandon(move || {
                call();
                queue.wake_first_or(|is_heard| *is_heard = true);
            });
            tell.send(()).unwrap();
            wait(); // the call may wake somebody
            wait();
        });
    }));
    let report = *given_up.unwrap_err().downcast::<String>().unwrap();
    assert!(report.contains("no deadline is left") && report.contains("unparked"), "{report}");
}

/// Counts its drops.
struct Value(Arc<AtomicUsize>);

impl Drop for Value {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn racing_with_its_end_a_cancellation_loses_no_turn_and_no_value() {
    let (made, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let returned = Cell::new(0);
    let mut runtime = Builder::new().helper_threads(3).build().unwrap();
    runtime.run(|| {
        for round in 0..2_000 {
            let (made, dropped) = (Arc::clone(&made), Arc::clone(&dropped));
            let call = move || {
                made.fetch_add(1, Ordering::SeqCst);
                Value(dropped)
            };
            pool(|pool| {
                let task = pool.spawn(|| {
                    drop(abandonable(call).unwrap());
                    returned.set(returned.get() + 1);
                });
                if round % 20 > 0 {
                    (0..1 + round % 7).for_each(|_| time::yield_now());
                    (0..round * 13 % 2_000).for_each(|_| std::hint::spin_loop());
                    task.cancel();
                }
            });
        }
        let all_are_here = Barrier::new(4); // so all three turns have come back
        pool(|pool| {
            (0..3).for_each(|_| drop(pool.spawn(|| unblock(|| all_are_here.wait()))));
            settle();
            while someone_waits_for_a_turn() {
                time::sleep(Duration::from_millis(1));
            }
            pool.spawn(|| unblock(|| ()));
            settle();
            assert!(someone_waits_for_a_turn(), "a turn has come back twice");
            all_are_here.wait();
        });
    });
    while made.load(Ordering::SeqCst) != dropped.load(Ordering::SeqCst) {
        thread::yield_now();
    }
    assert!((100..2_000).contains(&returned.get()), "{} of 2,000", returned.get());
    assert!(made.load(Ordering::SeqCst) >= returned.get());
}

#[test]
fn cancelled_while_it_waits_for_its_turn_it_is_dropped_on_its_task() {
    let mut runtime = Builder::new().helper_threads(1).build().unwrap();
    runtime.run(|| {
        let (tell, call) = until_told();
        pool(|pool| {
            pool.spawn(|| unblock(call));
            let (parted, parting) = mpsc::channel();
            let carried = Parting(parted);
            let task = pool.spawn(move || abandonable(move || drop(carried)));
            settle();
            task.cancel();
            assert!(task.join().is_err());
            assert_eq!(parting.recv().unwrap(), thread::current().id());
            tell.send(()).unwrap();
        });
    });
}
