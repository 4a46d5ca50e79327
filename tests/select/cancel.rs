//! Selects that are cut: they have done nothing, and nobody misses them.

use crate::ms;
use crate::pair;
use crate::put;
use crate::secs;
use crate::world::ALL;
use crate::world::TIMELESS;
use crate::world::with_world;
use giambio::cancellable;
use giambio::channel::bounded;
use giambio::channel::select;
use giambio::io::Cancelled;
use giambio::pool;
use giambio::shield;
use giambio::skip_after;
use giambio::sleep;
use giambio::sync::Event;
use giambio::task;
use giambio::task::no_unwind;
use giambio::testing::cancelled_at_every_checkpoint;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use std::cell::Cell;
use std::io;
use std::time::Duration;

#[track_caller]
fn assert_given_up(result: &io::Result<()>) {
    let error = result.as_ref().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Other);
    assert!(error.get_ref().unwrap().is::<Cancelled>(), "{error:?}");
}

#[test]
fn in_a_cancelled_scope_nothing_is_done_although_all_is_ready() {
    run_virtual(|| {
        with_world(|world| {
            TIMELESS.into_iter().for_each(|kind| world.fire(kind));
            settle();
            let cut = cancellable(|scope| {
                scope.cancel();
                world.select()
            });
            assert_eq!(cut, None);
            world.assert_left(&TIMELESS, None);
        });
    });
}

#[test]
fn who_is_cut_while_parked_has_done_nothing_and_whoever_comes_next_is_served() {
    run_virtual(|| {
        for kind in TIMELESS {
            with_world(|world| {
                pool(|pool| {
                    let cut = pool.spawn(|| world.select());
                    settle();
                    cut.cancel();
                    // While it is on its way out.
                    world.fire(kind);
                    let next = pool.spawn(|| world.select());
                    assert!(cut.join().unwrap_err().is_cancelled());
                    assert_eq!(next.join().unwrap(), kind);
                });
                world.assert_left(&[kind], Some(kind));
            });
        }
    });
}

#[test]
fn a_timeout_cuts_a_wait_for_everything() {
    giambio::run(|| {
        with_world(|world| {
            assert_eq!(skip_after(Duration::ZERO, |_| world.select()), None);
            assert_eq!(skip_after(ms(2), |_| world.select()), None);
            assert_eq!(skip_after(ms(2), |_| world.select_of(&ALL)), None);
            assert_eq!(skip_after(ms(2), |_| world.ready_of(&ALL)), None);
            world.assert_left(&[], None);
        });
    });
}

/// Two of them, one after the other, with all that they leave behind.
#[test]
fn wherever_a_program_is_cut_nothing_is_done_twice_or_lost() {
    run_virtual(|| {
        for first in TIMELESS {
            for second in TIMELESS.into_iter().filter(|&second| second != first) {
                let checkpoints = cancelled_at_every_checkpoint(|cut| {
                    with_world(|world| {
                        let done = Cell::new(None);
                        let others = TIMELESS.into_iter();
                        let others = Vec::from_iter(others.filter(|&kind| kind != first));
                        world.fire(first);
                        settle();
                        cut.run(|| {
                            done.set(Some(world.select()));
                            pool(|pool| {
                                pool.spawn(|| world.fire(second));
                                assert_eq!(world.ready_of(&others), second);
                            });
                        });
                        assert!(done.get().is_none_or(|chosen| chosen == first));
                    });
                });
                assert!(checkpoints >= 2, "{checkpoints}");
            }
        }
    });
}

#[test]
fn under_a_shield_a_select_goes_on() {
    run_virtual(|| {
        with_world(|world| {
            pool(|pool| {
                let task = pool.spawn(|| shield(|| world.select()));
                settle();
                task.cancel();
                settle();
                assert!(!task.is_finished());
                world.fire(TIMELESS[0]);
                assert_eq!(task.join().unwrap(), TIMELESS[0]);
            });
        });
    });
}

#[test]
fn where_nothing_may_unwind_readiness_reports_the_cancellation() {
    run_virtual(|| {
        let ((ours, theirs), event) = (pair(), Event::<()>::new());
        let wait = || {
            no_unwind(|| {
                select! {
                    readable(ours) -> result => result,
                    happened(event) -> _ => unreachable!("it has not happened"),
                }
            })
        };
        pool(|pool| {
            let task = pool.spawn(|| (wait(), wait()));
            settle();
            assert!(!task.is_finished());
            task.cancel();
            let (first, second) = task.join().unwrap();
            assert_given_up(&first);
            assert_given_up(&second);
            // What is ready is told of all the same.
            put(&theirs);
            let task = pool.spawn(|| {
                task::current().cancel();
                wait()
            });
            task.join().unwrap().unwrap();
        });
    });
}

#[test]
fn where_nothing_may_unwind_what_has_no_error_to_report_is_waited_for() {
    run_virtual(|| {
        let (event, ended) = (&Event::new(), &Cell::new(0));
        pool(|pool| {
            let gate = pool.spawn(|| event.wait());
            let gate = &gate;
            giambio::pool(|pool| {
                let wait = move || {
                    no_unwind(|| {
                        select! {
                            happened(event) -> () => {}
                            finished(gate) -> _ => {}
                            deadline(giambio::clock() + secs(1000)) -> _ => panic!("too late"),
                        }
                        ended.set(ended.get() + 1);
                    });
                };
                let before = pool.spawn(move || {
                    task::current().cancel();
                    wait();
                });
                let while_parked = pool.spawn(wait);
                settle();
                while_parked.cancel();
                sleep(secs(500));
                assert_eq!(ended.get(), 0);
                event.trigger(()).unwrap();
                before.join().unwrap();
                while_parked.join().unwrap();
                assert_eq!(ended.get(), 2);
            });
        });
    });
}

/// One arm that has an error is enough.
#[test]
fn where_nothing_may_unwind_a_channel_beside_an_event_reports() {
    run_virtual(|| {
        let ((_s, r), event) = (bounded::<()>(0), Event::<()>::new());
        pool(|pool| {
            let task = pool.spawn(|| {
                no_unwind(|| {
                    select! {
                        happened(event) -> _ => unreachable!("it has not happened"),
                        recv(r) -> message => message,
                    }
                })
            });
            settle();
            task.cancel();
            assert!(task.join().unwrap().is_err());
        });
    });
}
