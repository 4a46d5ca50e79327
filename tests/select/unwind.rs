//! Selects of a task that unwinds.

use crate::elapsed;
use crate::pair;
use crate::put;
use crate::secs;
use giambio::channel::RecvError;
use giambio::channel::bounded;
use giambio::channel::select;
use giambio::clock;
use giambio::io::Cancelled;
use giambio::pool;
use giambio::sync::Event;
use giambio::task;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::yield_now;
use std::cell::Cell;
use std::panic::resume_unwind;

/// What passes through a task's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passing {
    Panic,
    Cancellation,
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Runs a test for each of them, on a clock of its own.
fn both(test: impl Fn(Passing)) {
    for passing in [Passing::Panic, Passing::Cancellation] {
        run_virtual(|| test(passing));
    }
}

/// What `f` returns in a destructor that `passing` runs, in a task of its own.
fn in_destructor<T>(passing: Passing, f: impl Fn() -> T) -> T {
    let result = Cell::new(None);
    pool(|pool| {
        let task = pool.spawn_isolated(|| -> () {
            let _guard = OnDrop(|| result.set(Some(f())));
            if passing == Passing::Panic {
                resume_unwind(Box::new("on purpose"));
            }
            task::current().cancel();
            yield_now();
            unreachable!("a cancelled task went past a checkpoint");
        });
        let error = task.join().unwrap_err();
        assert_eq!(error.is_panic(), passing == Passing::Panic);
    });
    result.take().unwrap()
}

#[test]
fn smoke() {
    both(|passing| {
        let event = Event::new();
        event.trigger(7).unwrap();
        let value = in_destructor(passing, || select!(happened(event) -> value => *value));
        assert_eq!(value, 7);
    });
}

#[test]
fn a_source_that_is_not_ready_is_given_up_at_once() {
    both(|passing| {
        let ((ours, theirs), event) = (pair(), Event::<()>::new());
        let look = || {
            select! {
                happened(event) -> _ => unreachable!("it has not happened"),
                readable(ours) -> result => result,
            }
        };
        let took = elapsed(|| {
            let error = in_destructor(passing, look).unwrap_err();
            assert!(error.get_ref().unwrap().is::<Cancelled>(), "{error:?}");
        });
        assert_eq!(took, secs(0));
        put(&theirs);
        in_destructor(passing, look).unwrap();
    });
}

#[test]
fn one_that_is_known_to_be_empty_is_asked_once_more() {
    both(|passing| {
        let (ours, theirs) = pair();
        pool(|pool| {
            let reader = pool.spawn(|| crate::take(&ours));
            settle();
            reader.cancel();
        });
        let look = || {
            put(&theirs);
            select!(readable(ours) -> result => result)
        };
        in_destructor(passing, look).unwrap();
    });
}

#[test]
fn what_has_no_error_to_report_is_really_waited_for() {
    both(|passing| {
        let event = Event::new();
        pool(|pool| {
            let slow = pool.spawn(|| giambio::sleep(secs(2)));
            pool.spawn(|| {
                giambio::sleep(secs(3));
                event.trigger(()).unwrap();
            });
            let took = elapsed(|| {
                in_destructor(passing, || {
                    select! {
                        finished(slow) -> _ => {}
                        happened(event) -> _ => unreachable!("it comes later"),
                    }
                });
            });
            assert_eq!(took, secs(2));
            let took = elapsed(|| in_destructor(passing, || select!(happened(event) -> _ => {})));
            assert_eq!(took, secs(1));
            let took = elapsed(|| {
                in_destructor(passing, || select!(deadline(clock() + secs(5)) -> _ => {}));
            });
            assert_eq!(took, secs(5));
        });
    });
}

#[test]
fn beside_a_channel_it_is_not() {
    both(|passing| {
        let ((_s, r), event) = (bounded::<()>(0), Event::<()>::new());
        let took = elapsed(|| {
            let result = in_destructor(passing, || {
                select! {
                    happened(event) -> _ => unreachable!("it has not happened"),
                    recv(r) -> message => message,
                    deadline(clock() + secs(5)) -> _ => unreachable!("it is given up before"),
                }
            });
            assert_eq!(result, Err(RecvError));
        });
        assert_eq!(took, secs(0));
    });
}
