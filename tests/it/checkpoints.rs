//! Checkpoints: which calls are some, and what is watched while they are counted.

use crate::fail;
use crate::panic_of;
use crate::raised;
use crate::secs;
use crate::tcp::pair;
use giambio::Task;
use giambio::cancellable;
use giambio::finally;
use giambio::lowlevel::Parker;
use giambio::lowlevel::wait_readable;
use giambio::lowlevel::wait_writable;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::pool;
use giambio::shield;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::sync::Event;
use giambio::sync::Semaphore;
use giambio::task;
use giambio::testing::Sequencer;
use giambio::testing::assert_checkpoint;
use giambio::testing::assert_no_switch;
use giambio::testing::builder;
use giambio::testing::cancelled_at_every_checkpoint;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::try_pool;
use giambio::with_timeout;
use giambio::yield_now;
use std::cell::Cell;
use std::cell::RefCell;
use std::io::IoSliceMut;
use std::io::Read;
use std::io::Write;
use std::time::Duration;

/// What `assert_checkpoint` says where there was none.
const NONE: &str = "no checkpoint was met: this cannot be cancelled";

/// How many checkpoints `scenario` has, by being cut at each.
pub(crate) fn checkpoints_of(scenario: impl Fn()) -> u64 {
    cancelled_at_every_checkpoint(|cut| _ = cut.run(&scenario))
}

/// How many checkpoints that complete at once a task passes before it yields.
fn checkpoints_before_a_yield() -> usize {
    let (set, others_ran) = (Event::new(), Cell::new(false));
    set.trigger(()).unwrap();
    pool(|pool| {
        yield_now(); // a step of its own
        pool.spawn(|| others_ran.set(true));
        let passed = (0..1_000).take_while(|_| {
            set.wait();
            !others_ran.get()
        });
        passed.count()
    })
}

#[test]
fn smoke() {
    run_virtual(|| {
        assert_eq!(assert_checkpoint(|| (yield_now(), 7).1), 7);
        assert_eq!(assert_no_switch(|| 7), 7);
        assert_eq!(checkpoints_of(|| sleep(secs(1))), 1);
    });
}

#[test]
fn calls_that_wait_for_time_or_for_others_are_checkpoints() {
    run_virtual(|| {
        assert_checkpoint(yield_now);
        assert_checkpoint(|| sleep(Duration::ZERO));
        assert_checkpoint(|| sleep(secs(1)));
        assert_checkpoint(|| giambio::sleep_until(giambio::clock()));
        assert_checkpoint(|| _ = with_timeout(secs(1), |_| sleep_forever()));
        assert_checkpoint(settle);
        let parker = Parker::new();
        parker.unparker().unpark();
        assert_checkpoint(|| parker.park());
        assert_checkpoint(|| assert!(!parker.park_timeout(Duration::ZERO)));
        let event = Event::new();
        event.trigger(()).unwrap();
        assert_checkpoint(|| event.wait());
        assert_checkpoint(|| *event.wait_ref());
        let semaphore = Semaphore::new(1);
        assert_checkpoint(|| drop(semaphore.acquire()));
        let sequence = Sequencer::new();
        assert_checkpoint(|| drop(sequence.step(0)));
    });
}

#[test]
fn calls_that_wait_for_tasks_are_checkpoints() {
    run_virtual(|| {
        assert_checkpoint(|| pool(|_| ()));
        assert_checkpoint(|| try_pool(|_| Ok::<(), ()>(()))).unwrap();
        assert_checkpoint(|| cancellable(|_| ()));
        assert_checkpoint(|| giambio::skip_after(secs(1), |_| ()));
        assert_checkpoint(|| with_timeout(secs(1), |_| ())).unwrap();
        assert_checkpoint(|| giambio::join(|| (), || ()));
        assert_checkpoint(|| giambio::join_all([|| ()]));
        assert_checkpoint(|| giambio::race(|| (), || ()));
        assert_checkpoint(|| giambio::race_all([|| ()]));
        pool(|pool| {
            let task = pool.spawn(|| ());
            settle();
            assert_checkpoint(|| task.join()).unwrap();
            let started = |started: giambio::Started<i32>| started.report(1);
            assert_eq!(assert_checkpoint(|| pool.start(started)).0, 1);
            let mut ordered = pool.map([()], 1, |()| ());
            assert_checkpoint(|| ordered.next()).unwrap().unwrap();
            assert!(assert_checkpoint(|| ordered.next()).is_none());
            let mut unordered = pool.map_unordered([()], 1, |()| ());
            assert_checkpoint(|| unordered.next()).unwrap().unwrap();
            assert!(assert_checkpoint(|| unordered.next()).is_none());
        });
    });
}

#[test]
fn calls_that_wait_for_descriptors_are_checkpoints() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        let mut buf = [0; 2];
        assert_checkpoint(|| theirs.write(b"123456")).unwrap();
        assert_checkpoint(|| theirs.write_vectored(&[std::io::IoSlice::new(b"78")])).unwrap();
        assert_checkpoint(|| wait_readable(&ours)).unwrap();
        assert_checkpoint(|| wait_writable(&ours)).unwrap();
        assert_checkpoint(|| ours.peek(&mut buf)).unwrap();
        assert_checkpoint(|| (&ours).read(&mut buf)).unwrap();
        assert_checkpoint(|| (&ours).read_vectored(&mut [IoSliceMut::new(&mut buf)])).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        assert_checkpoint(|| TcpStream::connect(addr)).unwrap();
        assert!(assert_checkpoint(|| TcpStream::connect("no port")).is_err());
        assert_checkpoint(|| listener.accept()).unwrap();
        let _client = TcpStream::connect(addr).unwrap();
        assert_checkpoint(|| listener.incoming().next()).unwrap().unwrap();
    });
}

#[test]
fn calls_that_only_tell_or_ask_are_none() {
    run_virtual(|| {
        let (event, semaphore, parker) = (Event::new(), Semaphore::new(1), Parker::new());
        let unparker = parker.unparker();
        let calls: [&dyn Fn(); 16] = [
            &|| (),
            &|| _ = giambio::clock(),
            &|| _ = giambio::current_deadline(),
            &|| drop(task::current().name()),
            &|| task::no_switch(|| ()),
            &|| task::no_unwind(|| ()),
            &|| shield(|| ()),
            &|| _ = giambio::shield_for(secs(1), || ()),
            &|| finally(|| (), || ()),
            &|| giambio::on_big_stack(1 << 16, || ()),
            &|| _ = event.trigger(()),
            &|| _ = event.get(),
            &|| drop(semaphore.try_acquire()),
            &|| semaphore.add_permits(semaphore.available()),
            &|| unparker.unpark(),
            &|| _ = giambio::debug::stacks(),
        ];
        for (number, call) in calls.into_iter().enumerate() {
            assert_eq!(panic_of(|| assert_checkpoint(call)), NONE, "number {number}");
        }
    });
}

#[test]
fn calls_that_start_or_stop_tasks_are_none() {
    run_virtual(|| {
        pool(|pool| {
            let task = RefCell::new(None);
            let calls: [&dyn Fn(); 8] = [
                &|| drop(task.replace(Some(pool.spawn(|| ())))),
                &|| drop(pool.spawn_isolated(|| ())),
                &|| drop(pool.spawn_daemon(|| ())),
                &|| drop(pool.spawn_after(secs(1), || ())),
                &|| drop(pool.map([()], 1, |()| ())),
                &|| pool.set_deadline(None),
                &|| assert!(!task.borrow().as_ref().is_none_or(Task::is_finished)),
                &|| pool.cancel(),
            ];
            for (number, call) in calls.into_iter().enumerate() {
                assert_eq!(panic_of(|| assert_checkpoint(call)), NONE, "number {number}");
            }
        });
    });
}

#[test]
fn calls_that_set_up_sockets_are_none() {
    giambio::run(|| {
        let (mut ours, theirs) = pair();
        assert_eq!(panic_of(|| assert_checkpoint(|| TcpListener::bind("127.0.0.1:0"))), NONE);
        assert_eq!(panic_of(|| assert_checkpoint(|| ours.flush())), NONE);
        assert_eq!(panic_of(|| assert_checkpoint(|| ours.set_nodelay(true))), NONE);
        assert_eq!(panic_of(|| assert_checkpoint(|| ours.try_clone())), NONE);
        assert_eq!(panic_of(|| assert_checkpoint(|| drop(theirs))), NONE);
    });
}

#[test]
fn checkpoints_of_tasks_that_are_started_inside_count_and_those_of_others_do_not() {
    run_virtual(|| {
        pool(|outer| {
            outer.spawn_daemon(|| {
                loop {
                    yield_now();
                }
            });
            let text = panic_of(|| {
                assert_checkpoint(|| {
                    outer.spawn(yield_now); // it is this pool's, which is not inside
                    for _ in 0..10 {
                        assert!(giambio::debug::stacks().is_some());
                    }
                });
            });
            assert_eq!(text, NONE);
            let child = || {
                yield_now();
                yield_now();
            };
            // Two of each child, and the ends of two pools.
            let count = checkpoints_of(|| {
                pool(|inner| {
                    inner.spawn(child);
                    pool(|innermost| drop(innermost.spawn(child)));
                });
            });
            assert_eq!(count, 6);
        });
    });
}

#[test]
fn each_call_is_one_checkpoint_also_if_it_waits() {
    run_virtual(|| {
        assert_eq!(checkpoints_of(|| ()), 0);
        assert_eq!(checkpoints_of(|| (0..200).for_each(|_| yield_now())), 200);
        assert_eq!(checkpoints_of(|| _ = with_timeout(secs(1), |_| sleep_forever())), 2);
        let event = Event::new();
        event.trigger(()).unwrap();
        assert_eq!(checkpoints_of(|| (0..200).for_each(|_| event.wait())), 200);
        let waits = || {
            let semaphore = Semaphore::new(0);
            pool(|pool| {
                pool.spawn(|| semaphore.acquire().forget());
                settle();
                semaphore.add_permits(1);
            });
        };
        assert_eq!(checkpoints_of(waits), 3); // `acquire`, `settle`, the end
    });
}

#[test]
fn tasks_yield_to_be_fair_while_somebody_watches() {
    run_virtual(|| {
        let usual = checkpoints_before_a_yield();
        assert_eq!(usual, 64);
        // The one of the yield that comes before is among them here.
        assert_eq!(assert_checkpoint(checkpoints_before_a_yield), usual - 1);
        // So do tasks that nobody watches.
        pool(|outer| {
            outer.spawn(|| assert_eq!(checkpoints_before_a_yield(), usual - 1));
            assert_checkpoint(|| sleep(secs(1)));
        });
        let nobody_yields = || {
            let event = Event::new();
            event.trigger(()).unwrap();
            assert_no_switch(|| (0..200).for_each(|_| event.wait()));
        };
        assert_eq!(checkpoints_of(nobody_yields), 200);
    });
}

#[test]
fn a_task_that_never_waits_leaves_those_their_turns_that_are_watched() {
    run_virtual(|| {
        let (set, over) = (Event::new(), Cell::new(false));
        set.trigger(()).unwrap();
        pool(|pool| {
            pool.spawn(|| {
                while !over.get() {
                    set.wait();
                }
            });
            assert_checkpoint(yield_now);
            over.set(true);
        });
    });
}

#[test]
fn after_a_watch_everything_is_as_before_however_it_ended() {
    run_virtual(|| {
        let usual = checkpoints_before_a_yield();
        assert_checkpoint(yield_now);
        assert_eq!(checkpoints_before_a_yield(), usual);
        panic_of(|| assert_checkpoint(|| ()));
        assert_eq!(checkpoints_before_a_yield(), usual);
        panic_of(|| assert_checkpoint(|| fail("inside")));
        assert_eq!(checkpoints_before_a_yield(), usual);
        let cut = cancellable(|pool| {
            pool.cancel();
            assert_checkpoint(sleep_forever)
        });
        assert!(cut.is_none());
        assert_eq!(checkpoints_before_a_yield(), usual);
        assert!(with_timeout(secs(1), |_| assert_checkpoint(sleep_forever)).is_err());
        assert_eq!(checkpoints_before_a_yield(), usual);
        checkpoints_of(|| pool(|pool| drop(pool.spawn(|| sleep(secs(1))))));
        assert_eq!(checkpoints_before_a_yield(), usual);
        let swallows = || {
            raised(yield_now);
        };
        checkpoints_of(swallows);
        assert_eq!(checkpoints_before_a_yield(), usual);
    });
}

#[test]
fn a_watch_that_a_child_of_a_failed_pool_had_leaves_nothing_behind() {
    run_virtual(|| {
        let usual = checkpoints_before_a_yield();
        let text = panic_of(|| {
            pool(|pool| {
                pool.spawn(|| assert_checkpoint(sleep_forever));
                pool.spawn(|| {
                    sleep(secs(1));
                    fail("a sibling");
                });
            });
        });
        assert_eq!(text, "a sibling");
        assert_eq!(checkpoints_before_a_yield(), usual);
    });
}

#[test]
fn watches_nest() {
    run_virtual(|| {
        assert_checkpoint(|| assert_checkpoint(yield_now));
        // What the inner one counts the outer one counts too: 1, and the end of its scope.
        assert_eq!(checkpoints_of(|| assert_checkpoint(yield_now)), 2);
        let text = panic_of(|| {
            assert_checkpoint(|| {
                yield_now();
                assert_checkpoint(|| ());
            });
        });
        assert_eq!(text, NONE);
    });
}

#[test]
fn watches_of_several_tasks_end_in_any_order() {
    run_virtual(|| {
        let usual = checkpoints_before_a_yield();
        for lengths in [[1, 2, 3], [3, 2, 1], [2, 3, 1], [3, 1, 2]] {
            let counts = RefCell::new(Vec::new());
            pool(|pool| {
                for length in lengths {
                    let counts = &counts;
                    pool.spawn(move || {
                        let count = checkpoints_of(|| {
                            for _ in 0..length {
                                sleep(secs(1));
                            }
                        });
                        assert_eq!(count, length);
                        counts.borrow_mut().push(length);
                    });
                }
            });
            assert_eq!(*counts.borrow(), [1, 2, 3]);
            assert_eq!(checkpoints_before_a_yield(), usual);
        }
    });
}

#[test]
fn a_checkpoint_that_is_asserted_in_a_cancelled_task_raises() {
    run_virtual(|| {
        let cut = cancellable(|pool| {
            pool.cancel();
            assert!(raised(|| assert_checkpoint(yield_now)));
            assert_checkpoint(yield_now);
            unreachable!("a cancelled task went past a checkpoint");
        });
        assert!(cut.is_none());
    });
}

#[test]
fn an_assertion_of_no_switch_names_the_call_that_would() {
    run_virtual(|| {
        let text = panic_of(|| assert_no_switch(yield_now));
        assert!(text.starts_with("`yield_now` would switch to another task"), "{text}");
        let text = panic_of(|| assert_no_switch(|| sleep(secs(1))));
        assert!(text.starts_with("`sleep` would switch"), "{text}");
        let semaphore = Semaphore::new(1);
        let permit = assert_no_switch(|| semaphore.acquire());
        let text = panic_of(|| drop(assert_no_switch(|| semaphore.acquire())));
        assert!(text.starts_with("`Semaphore::acquire` would switch"), "{text}");
        assert_no_switch(|| drop(permit));
    });
    assert_eq!(assert_no_switch(|| 7), 7); // outside of a task there is nobody to switch to
}

#[test]
fn the_tools_say_where_they_work() {
    let call = || builder().build().is_ok();
    for text in [
        panic_of(|| assert_checkpoint(call)),
        panic_of(|| cancelled_at_every_checkpoint(|cut| _ = cut.run(call))),
    ] {
        assert!(text.contains("giambio::run"), "{text}");
    }
}

#[test]
fn ten_thousand_tasks_are_watched() {
    run_virtual(|| {
        let run = || {
            pool(|pool| {
                for _ in 0..10_000 {
                    pool.spawn(|| sleep(secs(1)));
                }
            });
        };
        assert_checkpoint(run);
        assert_eq!(checkpoints_before_a_yield(), 64);
        assert_eq!(giambio::debug::stacks().unwrap().live, 1);
    });
}
