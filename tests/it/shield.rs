//! Shields and cleanup: what a cancellation has to wait for.

use crate::Drops;
use crate::Log;
use crate::elapsed;
use crate::fail;
use crate::logged;
use crate::panic_of;
use crate::raised;
use crate::secs;
use giambio::TaskBuilder;
use giambio::cancellable;
use giambio::finally;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::pool;
use giambio::run;
use giambio::shield;
use giambio::skip_after;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::testing::run_virtual;
use giambio::yield_now;
use std::cell::Cell;
use std::io::Read;
use std::io::Write;

#[test]
fn smoke() {
    run_virtual(|| {
        let saved = Cell::new(false);
        let cut = skip_after(secs(1), |_| {
            shield(|| sleep(secs(2)));
            saved.set(true);
            yield_now();
            unreachable!("the checkpoint did not raise");
        });
        assert_eq!((cut, saved.get()), (None::<()>, true));
    });
}

#[test]
fn a_shield_gives_its_value_and_lets_panics_out() {
    run(|| {
        assert_eq!(shield(|| 1), 1);
        assert_eq!(panic_of(|| shield(|| fail("inside"))), "inside");
        assert!(!raised(yield_now));
    });
}

#[test]
fn a_shield_that_a_panic_has_left_is_down() {
    run(|| {
        let cut = cancellable(|pool| {
            pool.cancel();
            assert_eq!(panic_of(|| shield(|| fail("inside"))), "inside");
            yield_now();
        });
        assert_eq!(cut, None);
    });
}

#[test]
fn a_cancellation_comes_at_the_first_checkpoint_after_the_outermost_shield() {
    let log = Log::default();
    run(|| {
        let cut = cancellable(|pool| {
            shield(|| {
                pool.cancel();
                shield(|| {
                    yield_now();
                    log.add("in both");
                });
                yield_now();
                log.add("in one");
            });
            log.add("behind");
            yield_now();
            log.add("not reached");
        });
        assert_eq!(cut, None);
    });
    log.assert(&["in both", "in one", "behind"]);
}

#[test]
fn a_shield_that_goes_up_when_all_is_lost_still_holds() {
    run_virtual(|| {
        let cut = cancellable(|pool| {
            pool.cancel();
            assert!(raised(yield_now));
            assert_eq!(elapsed(|| shield(|| sleep(secs(3)))), secs(3));
            yield_now();
        });
        assert_eq!(cut, None);
    });
}

#[test]
fn a_scope_inside_of_a_shield_can_be_cancelled() {
    run(|| {
        let outer = cancellable(|outer| {
            outer.cancel();
            shield(|| {
                let inner = cancellable(|inner| {
                    yield_now();
                    inner.cancel();
                    yield_now();
                    unreachable!("the checkpoint did not raise");
                });
                assert_eq!(inner, None::<()>);
                yield_now();
            });
            1
        });
        assert_eq!(outer, Some(1));
    });
}

#[test]
fn the_children_of_a_pool_inside_of_a_shield_are_shielded() {
    run_virtual(|| {
        let ended = Cell::new(0);
        let cut = cancellable(|outer| {
            outer.cancel();
            shield(|| {
                pool(|inner| {
                    for _ in 0..2 {
                        inner.spawn(|| {
                            sleep(secs(1));
                            ended.set(ended.get() + 1);
                        });
                    }
                });
            });
            yield_now();
        });
        assert_eq!((cut, ended.get()), (None, 2));
    });
}

#[test]
fn a_shield_of_the_body_does_not_shield_the_pools_children() {
    run_virtual(|| {
        let took = elapsed(|| {
            let cut = skip_after(secs(1), |pool| {
                shield(|| {
                    let task = pool.spawn(|| sleep(secs(60)));
                    assert!(task.join().unwrap_err().is_cancelled());
                });
            });
            assert_eq!(cut, None);
        });
        assert_eq!(took, secs(1));
    });
}

#[test]
fn a_failure_does_not_get_through_a_shield_either() {
    run_virtual(|| {
        let took = elapsed(|| {
            let text = panic_of(|| {
                pool(|pool| {
                    pool.spawn(|| fail("child"));
                    shield(|| sleep(secs(2)));
                    yield_now();
                    unreachable!("the body was not cut");
                });
            });
            assert_eq!(text, "child");
        });
        assert_eq!(took, secs(2));
    });
}

/// Goes `depth` shields deep and then calls `innermost`.
fn nest(depth: usize, innermost: &dyn Fn()) {
    if depth == 0 { innermost() } else { shield(|| nest(depth - 1, innermost)) }
}

#[test]
fn shields_nest_ten_thousand_deep() {
    run(|| {
        pool(|pool| {
            let deep = TaskBuilder::new().stack_size(1 << 28);
            deep.spawn(pool, || {
                let reached = Cell::new(false);
                let cut = cancellable(|pool| {
                    pool.cancel();
                    nest(10_000, &|| {
                        yield_now();
                        reached.set(true);
                    });
                    yield_now();
                });
                assert_eq!((cut, reached.get()), (None, true));
            });
        });
    });
}

#[test]
fn finally_runs_its_cleanup_after_the_value() {
    let log = Log::default();
    run(|| {
        let value = finally(
            || {
                log.add("body");
                1
            },
            || {
                yield_now();
                log.add("cleanup");
            },
        );
        log.add(format!("value {value}"));
    });
    log.assert(&["body", "cleanup", "value 1"]);
}

#[test]
fn a_cleanup_may_block_after_a_cancellation() {
    run_virtual(|| {
        let took = elapsed(|| {
            let cut = skip_after(secs(1), |_| {
                finally(sleep_forever, || {
                    sleep(secs(1));
                    pool(|pool| drop(pool.spawn(|| sleep(secs(1)))));
                })
            });
            assert_eq!(cut, None::<()>);
        });
        assert_eq!(took, secs(3));
    });
}

#[test]
fn a_cleanup_may_block_after_a_panic() {
    run_virtual(|| {
        let took = elapsed(|| {
            let text = panic_of(|| {
                finally(
                    || fail("body"),
                    || {
                        sleep(secs(1));
                        pool(|pool| drop(pool.spawn(|| sleep(secs(1)))));
                    },
                )
            });
            assert_eq!(text, "body");
        });
        assert_eq!(took, secs(2));
    });
}

#[test]
fn a_cleanup_may_say_goodbye_over_a_socket() {
    let goodbye = run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        pool(|pool| {
            let server = pool.spawn(|| {
                let mut stream = listener.accept().unwrap().0;
                finally(sleep_forever, || stream.write_all(b"goodbye").unwrap())
            });
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            yield_now();
            server.cancel();
            let mut text = String::new();
            client.read_to_string(&mut text).unwrap();
            assert!(server.join().map(|never: ()| never).unwrap_err().is_cancelled());
            text
        })
    });
    assert_eq!(goodbye, "goodbye");
}

#[test]
fn cleanups_run_from_the_inside_out() {
    let log = Log::default();
    run(|| {
        let cut = cancellable(|pool| {
            finally(
                || finally(|| (pool.cancel(), yield_now()), || log.add("inner")),
                || log.add("outer"),
            )
        });
        assert_eq!(cut, None);
    });
    log.assert(&["inner", "outer"]);
}

#[test]
fn a_cancellation_during_the_cleanup_comes_after_it() {
    let log = Log::default();
    run(|| {
        let cut = cancellable(|pool| {
            finally(
                || (),
                || {
                    pool.cancel();
                    yield_now();
                    log.add("cleaned up");
                },
            );
            log.add("behind");
            yield_now();
            log.add("not reached");
        });
        assert_eq!(cut, None);
    });
    log.assert(&["cleaned up", "behind"]);
}

#[test]
fn a_cleanup_that_panics_after_a_value_drops_the_value() {
    run(|| {
        let drops = Drops::default();
        assert_eq!(panic_of(|| finally(|| drops.one(), || fail("cleanup"))), "cleanup");
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_cleanup_that_panics_after_a_panic_is_logged() {
    logged("");
    run(|| {
        let text = panic_of(|| finally(|| fail("body"), || fail("a cleanup after a panic")));
        assert_eq!(text, "body");
    });
    assert_eq!(logged("a cleanup after a panic").len(), 1);
}

#[test]
fn a_cleanup_that_panics_after_a_cancellation_beats_it() {
    run(|| {
        let text = panic_of(|| {
            cancellable(|pool| {
                pool.cancel();
                finally(yield_now, || fail("cleanup"));
            })
        });
        assert_eq!(text, "cleanup");
    });
}
