//! Panics and other unwinds that pass through a big stack, and calls on one in a destructor.

use crate::Drops;
use crate::Log;
use crate::big_stack::live;
use crate::big_stack::nested;
use crate::big_stack::small;
use crate::elapsed;
use crate::fail;
use crate::panic_of;
use crate::secs;
use crate::unwind::OnDrop;
use crate::unwind::Passing;
use crate::unwind::assert_given_up;
use crate::unwind::both;
use crate::unwind::connection;
use crate::unwind::in_destructor;
use giambio::Pool;
use giambio::clock;
use giambio::finally;
use giambio::on_big_stack;
use giambio::pool;
use giambio::run;
use giambio::shield;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::task;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::try_pool;
use giambio::yield_now;
use std::cell::Cell;
use std::io::Read;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::thread::panicking;
use std::time::Duration;

const MIB: usize = 1 << 20;

#[test]
fn smoke() {
    run(|| assert_eq!(panic_of(|| on_big_stack(MIB, || fail("deep"))), "deep"));
}

#[test]
fn a_panic_inside_leaves_the_call_with_its_payload() {
    run(|| {
        for depth in [1, 3] {
            let call = AssertUnwindSafe(|| nested(depth, || resume_unwind(Box::new(7_u8))));
            let payload = catch_unwind(call).unwrap_err();
            assert_eq!(payload.downcast_ref::<u8>(), Some(&7));
            assert_eq!(live(), 1);
        }
    });
}

#[test]
fn an_unwind_drops_what_lies_on_both_sides_from_the_inside_out() {
    both(|passing| {
        let (log, drops) = (Log::default(), Drops::default());
        pool(|pool| {
            let task = pool.spawn_isolated(|| {
                let _outside = OnDrop::new(|| log.add(format!("outside, {} live", live())));
                let captured = drops.one();
                on_big_stack(MIB, || {
                    let _captured = captured;
                    let _between = OnDrop::new(|| log.add(format!("between, {} live", live())));
                    on_big_stack(MIB, || {
                        let _inside = OnDrop::new(|| log.add(format!("inside, {} live", live())));
                        passing.begin()
                    })
                })
            });
            let error = task.join().unwrap_err();
            assert_eq!(error.is_cancelled(), passing == Passing::Cancellation);
        });
        log.assert(&["inside, 4 live", "between, 3 live", "outside, 2 live"]);
        assert_eq!((drops.count(), live()), (1, 1));
    });
}

#[test]
fn a_panic_inside_fails_the_pool_of_its_task() {
    run_virtual(|| {
        let drops = Drops::default();
        let failing = || {
            pool(|pool| {
                let one = drops.one();
                pool.spawn(|| {
                    on_big_stack(MIB, || {
                        let _one = one;
                        sleep_forever()
                    })
                });
                small(pool, || {
                    sleep(secs(1));
                    on_big_stack(MIB, || fail("the first"))
                });
                on_big_stack(MIB, sleep_forever)
            })
        };
        assert_eq!(panic_of(failing), "the first");
        assert_eq!((drops.count(), live()), (1, 1));
    });
}

#[test]
fn a_panic_inside_beats_the_error_of_a_try_pool() {
    run(|| {
        let failing = || {
            try_pool(|pool| {
                pool.spawn(|| on_big_stack(MIB, || -> Result<(), _> { fail("panic") }));
                yield_now();
                on_big_stack(MIB, || Err::<(), _>("error"))
            })
        };
        assert_eq!(panic_of(failing), "panic");
    });
}

#[test]
fn a_panic_caught_inside_stays_there() {
    run(|| {
        pool(|pool| {
            let task = pool.spawn(|| {
                on_big_stack(MIB, || {
                    let text = panic_of(|| on_big_stack(MIB, || fail("caught")));
                    yield_now();
                    text
                })
            });
            assert_eq!(task.join().unwrap(), "caught");
        });
        assert!(!panicking());
    });
}

#[test]
fn after_a_panic_caught_around_a_call_checkpoints_raise_again() {
    run_virtual(|| {
        let (ours, mut theirs) = connection();
        pool(|pool| {
            let task = pool.spawn(|| {
                assert_eq!(panic_of(|| on_big_stack(MIB, || fail("caught"))), "caught");
                assert!(!panicking());
                let mut text = [0; 4];
                (&ours).read_exact(&mut text).unwrap(); // it waits, and is not given up
                assert_eq!(&text, b"data");
                task::current().cancel();
                yield_now();
                unreachable!("a checkpoint did not raise");
            });
            settle();
            theirs.write_all(b"data").unwrap();
            assert!(task.join().unwrap_err().is_cancelled());
        });
    });
}

#[test]
fn after_a_panic_caught_by_hand_the_task_is_calm_as_soon_as_all_others_are() {
    run_virtual(|| {
        pool(|pool| {
            let unwinding = pool.spawn_isolated(|| -> () {
                let _guard = OnDrop::new(|| sleep(secs(2)));
                fail("another task's")
            });
            settle();
            assert!(panicking());
            let task = pool.spawn(|| {
                assert_eq!(panic_of(|| on_big_stack(MIB, || fail("caught"))), "caught");
                sleep(secs(3));
                assert!(!panicking());
                sleep_forever()
            });
            assert!(unwinding.join().is_err());
            sleep(secs(2));
            task.cancel();
            assert!(elapsed(|| assert!(task.join().is_err())) == Duration::ZERO);
        });
    });
}

#[test]
fn a_destructor_inside_may_wait_while_an_unwind_passes() {
    both(|passing| {
        let log = Log::default();
        let start = clock();
        pool(|pool| {
            let task = pool.spawn_isolated(|| -> () {
                let waits = |name: &'static str| {
                    let log = &log;
                    OnDrop::new(move || {
                        sleep(secs(1));
                        log.add(name);
                    })
                };
                let _outside = waits("outside");
                on_big_stack(MIB, || {
                    let _between = waits("between");
                    nested(2, || {
                        let _inside = waits("inside");
                        passing.begin()
                    })
                })
            });
            let error = task.join().unwrap_err();
            assert_eq!(error.is_panic(), passing == Passing::Panic);
        });
        log.assert(&["inside", "between", "outside"]);
        assert_eq!((clock() - start, live()), (secs(3), 1));
    });
}

#[test]
fn a_destructor_on_either_side_sees_the_unwind_and_its_reads_give_up() {
    both(|passing| {
        let (ours, _theirs) = connection();
        let read = |result: &Cell<_>| result.set(Some((&ours).read(&mut [0; 8])));
        let (inside, outside) = (Cell::new(None), Cell::new(None));
        pool(|pool| {
            let task = pool.spawn_isolated(|| -> () {
                let _outside = OnDrop::new(|| read(&outside));
                nested(2, || {
                    let _inside = OnDrop::new(|| read(&inside));
                    passing.begin()
                })
            });
            assert!(task.join().is_err());
        });
        assert_given_up(inside.take().unwrap());
        assert_given_up(outside.take().unwrap());
    });
}

/// Has a task parked in mid-unwind for the next five seconds.
fn unwind_for_five_seconds<'scope>(pool: &'scope Pool<'scope, '_>) {
    pool.spawn_isolated(|| -> () {
        let _guard = OnDrop::new(|| sleep(secs(5)));
        fail("another task's")
    });
    settle();
    assert!(panicking());
}

#[test]
fn beside_another_unwind_a_cancellation_that_a_call_passes_on_is_seen() {
    run_virtual(|| {
        let (ours, _theirs) = connection();
        let result = Cell::new(None);
        pool(|pool| {
            let task = pool.spawn(|| {
                let _guard = OnDrop::new(|| result.set(Some((&ours).read(&mut [0; 8]))));
                nested(2, sleep_forever)
            });
            settle();
            unwind_for_five_seconds(pool);
            task.cancel();
            assert!(elapsed(|| assert!(task.join().is_err())) == Duration::ZERO);
        });
        assert_given_up(result.take().unwrap());
    });
}

#[test]
fn beside_another_unwind_a_panic_is_in_as_much_doubt_as_without_the_call() {
    for depth in [0, 2] {
        run_virtual(|| {
            let (ours, mut theirs) = connection();
            let mut text = [0; 4];
            let mut read = || (&ours).read_exact(&mut text).unwrap();
            pool(|pool| {
                unwind_for_five_seconds(pool);
                let task = pool.spawn_isolated(|| -> () {
                    let _guard = OnDrop::new(&mut read);
                    nested(depth, || fail("passed on"))
                });
                settle();
                assert!(!task.is_finished(), "its destructor waits");
                theirs.write_all(b"data").unwrap();
                assert!(task.join().unwrap_err().is_panic());
            });
            assert_eq!(&text, b"data");
        });
    }
}

#[test]
fn beside_another_unwind_a_task_that_has_caught_a_panic_around_a_call_is_calm() {
    for depth in [0, 2] {
        run_virtual(|| {
            let (ours, mut theirs) = connection();
            pool(|pool| {
                unwind_for_five_seconds(pool);
                let task = pool.spawn(|| {
                    assert_eq!(panic_of(|| nested(depth, || fail("caught"))), "caught");
                    let mut text = [0; 4];
                    (&ours).read_exact(&mut text).unwrap();
                    assert!(panicking(), "the other task's");
                    text
                });
                settle();
                theirs.write_all(b"data").unwrap();
                assert_eq!(&task.join().unwrap(), b"data");
            });
        });
    }
}

#[test]
fn beside_an_unwind_a_task_on_a_big_stack_notices_nothing() {
    both(|passing| {
        let (ours, mut theirs) = connection();
        let mut text = [0; 4];
        pool(|pool| {
            let mut read = || on_big_stack(MIB, || (&ours).read_exact(&mut text).unwrap());
            let reader = pool.spawn(move || {
                settle();
                read();
            });
            let unwinding = pool.spawn_isolated(|| -> () {
                let _guard = OnDrop::new(|| nested(2, || reader.join().unwrap()));
                passing.begin()
            });
            settle();
            settle();
            assert!(panicking() && !unwinding.is_finished());
            theirs.write_all(b"data").unwrap();
            assert!(unwinding.join().is_err());
        });
        assert_eq!(&text, b"data");
    });
}

#[test]
fn a_task_that_parked_inside_in_doubt_is_cancelled_when_the_unwind_has_gone_on() {
    both(|passing| {
        let start = clock();
        pool(|pool| {
            pool.spawn_isolated(|| -> () {
                let _guard = OnDrop::new(|| sleep(secs(5)));
                passing.begin()
            });
            settle();
            let sleeper = pool.spawn(|| nested(2, sleep_forever));
            settle();
            sleeper.cancel();
            settle();
            assert!(!sleeper.is_finished());
            assert!(sleeper.join().unwrap_err().is_cancelled());
        });
        assert_eq!((clock() - start, live()), (secs(5), 1));
    });
}

#[test]
fn a_call_in_a_destructor_returns_its_value_and_may_wait() {
    both(|passing| {
        let took = in_destructor(passing, || {
            elapsed(|| assert_eq!(on_big_stack(MIB, || nested(2, || sleep(secs(2)))), ()))
        });
        assert_eq!((took, live()), (secs(2), 1));
    });
}

#[test]
fn a_call_in_a_destructor_is_a_part_of_the_unwind() {
    both(|passing| {
        let (ours, mut theirs) = connection();
        theirs.write_all(b"rest").unwrap();
        let (first, second, after) = in_destructor(passing, || {
            let mut buf = [0; 8];
            let (first, second) =
                on_big_stack(MIB, || ((&ours).read(&mut buf), (&ours).read(&mut [0; 8])));
            (first, second, (&ours).read(&mut [0; 8]))
        });
        assert_eq!(first.unwrap(), 4);
        assert_given_up(second);
        assert_given_up(after);
    });
}

#[test]
fn a_panic_of_a_call_in_a_destructor_may_be_caught_there() {
    both(|passing| {
        let (ours, _theirs) = connection();
        let (text, read) = in_destructor(passing, || {
            let text = panic_of(|| on_big_stack(MIB, || fail("second")));
            (text, (&ours).read(&mut [0; 8]))
        });
        assert_eq!(text, "second");
        assert_given_up(read); // the first unwind still goes on
    });
}

#[test]
fn a_cleanup_on_a_big_stack_does_io_as_ever() {
    both(|passing| {
        let (ours, mut theirs) = connection();
        let mut text = [0; 4];
        pool(|pool| {
            let task = pool.spawn_isolated(|| {
                let read = || (&ours).read_exact(&mut text).unwrap();
                finally(|| on_big_stack(MIB, || passing.begin()), || on_big_stack(MIB, read))
            });
            settle();
            theirs.write_all(b"data").unwrap();
            let error = task.join().unwrap_err();
            assert_eq!(error.is_cancelled(), passing == Passing::Cancellation);
        });
        assert_eq!((&text, live()), (b"data", 1));
    });
}

#[test]
fn an_unwind_from_the_bottom_of_a_deep_recursion_drops_what_every_frame_holds() {
    fn deeper(left: usize, drops: &Drops, passing: Passing) -> usize {
        let _one = drops.one();
        match (left, passing) {
            (0, Passing::Panic) => fail("at the bottom"), // says nothing: its backtrace would be long
            (0, Passing::Cancellation) => passing.begin(),
            _ => deeper(left - 1, drops, passing) + 1,
        }
    }
    both(|passing| {
        let drops = Drops::default();
        pool(|pool| {
            let task = pool.spawn_isolated(|| {
                on_big_stack(16 * MIB, || deeper(9_999, &drops, passing));
            });
            assert!(task.join().is_err());
        });
        assert_eq!((drops.count(), live()), (10_000, 1));
    });
}

#[test]
fn what_an_ended_task_leaves_may_make_a_call_when_it_is_dropped() {
    run_virtual(|| {
        let slept = Cell::new(Duration::ZERO);
        let nap = || {
            OnDrop::new(|| {
                let took = elapsed(|| shield(|| nested(2, || sleep(secs(1)))));
                slept.set(slept.get() + took);
            })
        };
        pool(|pool| {
            let captured = nap();
            let never = pool.spawn(move || {
                let _captured = captured;
                unreachable!("it was cancelled before");
            });
            never.cancel();
            pool.spawn(nap); // nobody asks for its value
        });
        assert_eq!((slept.get(), live()), (secs(2), 1));
    });
}
