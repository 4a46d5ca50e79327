//! Cancel scopes: what stops, when, and how it stays stopped.

use crate::Drops;
use crate::Log;
use crate::elapsed;
use crate::logged;
use crate::named;
use crate::raised;
use crate::secs;
use giambio::TaskBuilder;
use giambio::cancellable;
use giambio::finally;
use giambio::lowlevel;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::pool;
use giambio::run;
use giambio::shield;
use giambio::skip_after;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::sleep_until;
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

#[test]
fn smoke() {
    assert_eq!(run(|| cancellable(|_| 1)), Some(1));
}

#[test]
fn a_cancelled_body_is_cut_at_its_next_checkpoint() {
    let log = Log::default();
    let cut = run(|| {
        cancellable(|pool| {
            pool.cancel();
            log.add("goes on");
            yield_now();
            log.add("not reached");
        })
    });
    assert_eq!(cut, None);
    log.assert(&["goes on"]);
}

#[test]
fn a_scope_that_was_cancelled_and_cut_nothing_gives_its_value() {
    run(|| {
        let value = cancellable(|pool| {
            pool.cancel();
            1
        });
        assert_eq!(value, Some(1));
        let swallowed = cancellable(|pool| {
            pool.cancel();
            assert!(raised(yield_now));
            2
        });
        assert_eq!(swallowed, Some(2));
    });
}

#[test]
fn a_scope_whose_child_was_cut_gives_no_value() {
    run(|| {
        let drops = Drops::default();
        let parked = cancellable(|pool| {
            pool.spawn(|| sleep_forever());
            shield(yield_now);
            pool.cancel();
            drops.one()
        });
        assert!(parked.is_none());
        let unborn = cancellable(|pool| {
            pool.spawn(|| ());
            pool.cancel();
            drops.one()
        });
        assert!(unborn.is_none());
        assert_eq!(drops.count(), 2);
    });
}

#[test]
fn a_child_that_was_stopped_by_its_handle_does_not_cut_the_scope() {
    run(|| {
        let value = cancellable(|pool| {
            let task = pool.spawn(|| sleep_forever());
            yield_now();
            task.cancel();
            1
        });
        assert_eq!(value, Some(1));
    });
}

#[test]
fn after_its_scope_a_task_is_free_again() {
    run_virtual(|| {
        for _ in 0..3 {
            let cut = cancellable(|pool| {
                pool.cancel();
                sleep(secs(1));
            });
            assert!(cut.is_none());
            assert!(!raised(|| sleep(secs(1))));
        }
    });
}

#[test]
fn a_cancellation_is_caught_by_the_scope_that_was_cancelled() {
    run(|| {
        let log = Log::default();
        let outer = cancellable(|outer| {
            let middle = cancellable(|middle| {
                let inner = cancellable(|_| {
                    middle.cancel();
                    yield_now();
                });
                log.add(format!("inner {inner:?}"));
            });
            log.add(format!("middle {middle:?}"));
            assert!(!outer.is_cancelled());
        });
        log.add(format!("outer {outer:?}"));
        log.assert(&["middle None", "outer Some(())"]);
    });
}

#[test]
fn of_two_cancelled_scopes_the_outer_one_catches() {
    run(|| {
        let log = Log::default();
        let outer = cancellable(|outer| {
            let inner = cancellable(|inner| {
                inner.cancel();
                outer.cancel();
                yield_now();
            });
            log.add(format!("inner {inner:?}"));
        });
        log.add(format!("outer {outer:?}"));
        log.assert(&["outer None"]);
    });
}

#[test]
fn an_outer_cancellation_during_the_cleanup_of_an_inner_one_waits_for_the_inner_scopes_end() {
    run(|| {
        let log = Log::default();
        let outer = cancellable(|outer| {
            let inner = raised(|| {
                cancellable(|inner| {
                    inner.cancel();
                    finally(yield_now, || {
                        outer.cancel();
                        log.add("cleanup");
                    });
                })
            });
            log.add(format!("the inner scope's end raises: {inner}"));
            yield_now();
        });
        log.add(format!("outer {outer:?}"));
        log.assert(&["cleanup", "the inner scope's end raises: true", "outer None"]);
    });
}

#[test]
fn a_plain_pools_cancel_stops_its_children_and_not_its_body() {
    run_virtual(|| {
        let log = Log::default();
        let took = elapsed(|| {
            pool(|pool| {
                pool.spawn(|| sleep(secs(60)));
                yield_now();
                assert!(!pool.is_cancelled());
                pool.cancel();
                assert!(pool.is_cancelled());
                sleep(secs(1));
                log.add("the body goes on");
                pool.spawn(|| log.add("a later child"));
            });
            log.add("the pool returns");
        });
        assert_eq!(took, secs(1));
        log.assert(&["the body goes on", "the pool returns"]);
    });
}

#[test]
fn a_cancelled_pool_stops_what_its_children_have_opened() {
    run(|| {
        let drops = Drops::default();
        pool(|outer| {
            for _ in 0..3 {
                outer.spawn(|| {
                    cancellable(|inner| {
                        let one = drops.one();
                        inner.spawn(move || {
                            let _one = one;
                            sleep_forever()
                        });
                        yield_now();
                        sleep_forever()
                    })
                    .unwrap_or(())
                });
            }
            for _ in 0..4 {
                yield_now();
            }
            outer.cancel();
        });
        assert_eq!(drops.count(), 3);
    });
}

#[test]
fn cancelling_twice_is_cancelling_once() {
    run(|| {
        let cut = cancellable(|pool| {
            pool.cancel();
            pool.cancel();
            assert!(raised(yield_now));
            pool.cancel();
            yield_now();
        });
        assert!(cut.is_none());
        yield_now();
    });
}

/// Logs its drop.
struct Says<'l>(&'l Log, &'static str);

impl Drop for Says<'_> {
    fn drop(&mut self) {
        self.0.add(format!("{} in {}", self.1, task::current().name()));
    }
}

#[test]
fn cancelling_runs_no_foreign_code_on_the_callers_stack() {
    let log = Log::default();
    run(|| {
        pool(|pool| {
            let (parked, unborn) = (Says(&log, "dropped"), Says(&log, "dropped"));
            named(pool, "parked", move || {
                let _guard = parked;
                sleep_forever()
            });
            yield_now();
            named(pool, "unborn", move || drop(unborn));
            pool.canceller().cancel();
            pool.cancel();
            log.add("cancel has returned");
        });
    });
    log.assert(&["cancel has returned", "dropped in unborn", "dropped in parked"]);
}

/// A connected pair, and its listener.
fn sockets() -> (TcpListener, TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (theirs, _) = listener.accept().unwrap();
    (listener, ours, theirs)
}

#[test]
fn every_checkpoint_raises_until_the_task_has_left_the_scope() {
    run_virtual(|| {
        let (listener, ours, theirs) = sockets();
        let (mut ours, mut theirs) = (&ours, &theirs);
        theirs.write_all(b"ready").unwrap();
        let stayed = cancellable(|outer| {
            let done = outer.spawn(|| ());
            yield_now();
            outer.cancel();
            assert!(raised(yield_now));
            assert!(raised(|| sleep(secs(0))));
            assert!(raised(|| sleep(secs(1))));
            assert!(raised(|| sleep_until(giambio::clock())));
            assert!(raised(|| sleep_forever()));
            assert!(raised(settle));
            assert!(raised(|| done.join()));
            assert!(raised(|| pool(|_| ())));
            assert!(raised(|| try_pool(|_| Ok::<(), ()>(()))));
            assert!(raised(|| cancellable(|_| ())));
            assert!(raised(|| skip_after(secs(1), |_| ())));
            assert!(raised(|| listener.accept()));
            assert!(raised(|| TcpStream::connect(listener.local_addr().unwrap())));
            assert!(raised(|| ours.read(&mut [0; 5])));
            assert!(raised(|| ours.peek(&mut [0; 5])));
            assert!(raised(|| ours.write(b"lost?")));
            assert!(raised(|| lowlevel::wait_readable(std::io::stdin())));
        });
        assert_eq!(stayed, Some(()));
        let mut text = [0; 5];
        assert_eq!(ours.read(&mut text).unwrap(), 5);
        assert_eq!(&text, b"ready");
    });
}

#[test]
fn what_is_no_checkpoint_does_not_raise() {
    run_virtual(|| {
        let value = cancellable(|outer| {
            outer.cancel();
            outer.spawn(|| ()).cancel();
            outer.set_deadline(None);
            outer.canceller().cancel();
            assert!(outer.is_cancelled() && outer.deadline().is_none());
            assert_eq!((shield(|| 1), finally(|| 2, || ())), (1, 2));
            assert_eq!(task::current().name(), "main");
            assert_eq!(giambio::clock(), giambio::clock());
            TcpListener::bind("127.0.0.1:0").unwrap();
        });
        // Only the child was cut.
        assert_eq!(value, None);
    });
}

/// Swallows cancellations in `wait` while a sibling takes `turns`, and sees that it gets them.
fn swallow(name: &str, turns: u32, wait: impl Fn()) {
    let let_go = Cell::new(false);
    run(|| {
        pool(|pool| {
            let stubborn = named(pool, name, || {
                task::current().cancel();
                let mut swallowed = 0;
                // A worker that hangs must not hang the test.
                while !let_go.get() && swallowed < 100_000 {
                    assert!(raised(&wait));
                    swallowed += 1;
                }
                swallowed
            });
            for _ in 0..turns {
                yield_now();
            }
            let_go.set(true);
            let swallowed = stubborn.join().unwrap();
            assert!(swallowed <= turns + 2, "{swallowed} times in {turns} turns of its sibling");
            assert!(swallowed >= turns / 4, "{swallowed} times in {turns} turns of its sibling");
        });
    });
}

#[test]
fn a_task_that_swallows_cancellations_does_not_hang_the_worker() {
    swallow("swallows at yield", 50, yield_now);
    swallow("swallows at sleep", 50, || sleep(secs(60)));
    swallow("swallows at sleep_forever", 50, || sleep_forever());
    swallow("swallows at the end of a pool", 50, || pool(|_| ()));
    swallow("swallows and shields", 50, || {
        shield(|| ());
        yield_now();
    });
    swallow("swallows and opens scopes in a shield", 50, || {
        shield(|| cancellable(|pool| pool.cancel()));
        yield_now();
    });
}

#[test]
fn a_task_that_swallows_a_hundred_cancellations_is_named_in_the_log() {
    logged("");
    swallow("swallows-90", 85, yield_now);
    assert_eq!(logged("'swallows-90'").len(), 0);
    swallow("swallows-300", 300, yield_now);
    let lines = logged("'swallows-300'");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("swallowed 100 cancellations"), "{lines:?}");
}

#[test]
fn cancellations_of_different_scopes_do_not_add_up() {
    logged("");
    run(|| {
        pool(|pool| {
            named(pool, "patient", || {
                for _ in 0..150 {
                    assert!(cancellable(|pool| (pool.cancel(), yield_now())).is_none());
                }
            });
        });
    });
    assert_eq!(logged("'patient'").len(), 0);
}

#[test]
fn a_cancellation_that_is_caught_and_resumed_still_finds_its_scope() {
    run(|| {
        let cut = cancellable(|pool| {
            pool.cancel();
            match catch_unwind(AssertUnwindSafe(yield_now)) {
                Err(payload) => resume_unwind(payload),
                Ok(()) => unreachable!("the checkpoint did not raise"),
            }
        });
        assert_eq!(cut, None::<()>);
    });
}

/// Opens `depth` scopes and then calls `innermost`.
fn nest(depth: usize, innermost: &dyn Fn()) {
    if depth == 0 {
        return innermost();
    }
    let ended = cancellable(|_| nest(depth - 1, innermost));
    assert!(ended.is_some(), "a scope in between has caught");
}

#[test]
fn scopes_nest_ten_thousand_deep() {
    run(|| {
        pool(|pool| {
            let deep = TaskBuilder::new().stack_size(1 << 28);
            deep.spawn(pool, || {
                let reached = Cell::new(0);
                nest(10_000, &|| reached.set(reached.get() + 1));
                let cut = cancellable(|outermost| {
                    nest(10_000, &|| {
                        reached.set(reached.get() + 1);
                        outermost.cancel();
                        yield_now();
                    });
                });
                assert_eq!((cut, reached.get()), (None, 2));
            });
        });
    });
}
