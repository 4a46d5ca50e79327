//! Panics: in every place, at every moment, with every payload.

use crate::Drops;
use crate::Log;
use crate::fail;
use crate::logged;
use crate::named;
use crate::panic_of;
use crate::raised;
use crate::secs;
use giambio::cancellable;
use giambio::finally;
use giambio::lowlevel;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::pool;
use giambio::run;
use giambio::shield;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::sleep_until;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::try_pool;
use giambio::yield_now;
use std::cell::Cell;
use std::io::Read;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::panic_any;
use std::panic::resume_unwind;
use std::thread;

#[test]
fn smoke() {
    let text = run(|| panic_of(|| pool(|pool| drop(pool.spawn(|| panic!("a {}", "child"))))));
    assert_eq!(text, "a child");
    assert!(!thread::panicking());
}

#[test]
fn a_payload_arrives_as_what_it_was() {
    #[derive(Debug, PartialEq)]
    struct Reason(u32);
    run(|| {
        let body = AssertUnwindSafe(|| pool(|pool| drop(pool.spawn(|| panic_any(Reason(7))))));
        let payload = catch_unwind(body).unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&Reason(7)));
    });
}

/// Panics when it is dropped.
struct Bomb(&'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        fail(self.0);
    }
}

#[test]
fn a_panic_in_the_destructor_of_an_unwanted_value_fails_the_pool() {
    run(|| {
        let drops = Drops::default();
        let text = panic_of(|| {
            pool(|pool| {
                let one = drops.one();
                pool.spawn(move || {
                    let _one = one;
                    sleep_forever()
                });
                yield_now();
                pool.spawn(|| Bomb("a value's destructor"));
                sleep_forever()
            })
        });
        assert_eq!((text.as_str(), drops.count()), ("a value's destructor", 1));
    });
}

#[test]
fn a_panic_in_the_destructor_of_an_isolated_tasks_unwanted_value_is_logged() {
    logged("");
    run(|| pool(|pool| drop(pool.spawn_isolated(|| Bomb("an isolated value's destructor")))));
    assert_eq!(logged("an isolated value's destructor").len(), 1);
}

#[test]
fn a_panic_in_the_destructor_of_a_value_that_outlived_its_task_is_its_droppers() {
    run(|| {
        pool(|pool| {
            let task = pool.spawn(|| Bomb("dropped with its handle"));
            yield_now();
            assert_eq!(panic_of(|| drop(task)), "dropped with its handle");
            assert!(!pool.is_cancelled());
        });
    });
}

#[test]
fn a_panic_in_the_destructor_of_a_closure_that_never_ran_fails_the_pool() {
    run(|| {
        let text = panic_of(|| {
            pool(|pool| {
                let bomb = Bomb("a closure's destructor");
                pool.spawn(move || drop(bomb)).cancel();
            });
        });
        assert_eq!(text, "a closure's destructor");
    });
}

#[test]
fn a_payload_whose_destructor_panics_is_harmless_when_it_comes_second() {
    logged("");
    run(|| {
        let text = panic_of(|| {
            pool(|pool| {
                named(pool, "bomber", || {
                    finally(sleep_forever, || resume_unwind(Box::new(Bomb("in the payload"))))
                });
                yield_now();
                fail("first");
            });
        });
        assert_eq!(text, "first");
    });
    assert_eq!(logged("'bomber'").len(), 1);
}

#[test]
fn a_payload_whose_destructor_panics_is_harmless_when_nobody_joins() {
    run(|| {
        pool(|pool| {
            drop(pool.spawn_isolated(|| resume_unwind(Box::new(Bomb("dropped at the end")))));
            let task = pool.spawn_isolated(|| resume_unwind(Box::new(Bomb("dropped later"))));
            yield_now();
            drop(task);
            assert!(!pool.is_cancelled());
        });
    });
}

#[test]
fn an_error_whose_destructor_panics_is_harmless_when_something_is_worth_more() {
    run(|| {
        let text = panic_of(|| {
            try_pool(|pool| {
                pool.spawn(|| -> Result<(), Bomb> { fail("the panic") });
                shield(yield_now);
                Err::<(), _>(Bomb("an error's destructor"))
            })
        });
        assert_eq!(text, "the panic");
        let result = try_pool(|pool| {
            pool.spawn(|| Err::<(), _>(Err("the first error")));
            shield(yield_now);
            Err::<(), _>(Ok(Bomb("an error's destructor")))
        });
        let Err(Err(text)) = result else { panic!("the first error was lost") };
        assert_eq!(text, "the first error");
    });
}

#[test]
fn a_payload_whose_destructor_panics_is_harmless_in_a_cleanup() {
    run(|| {
        let text = panic_of(|| {
            finally(|| fail("body"), || resume_unwind(Box::new(Bomb("in the payload"))))
        });
        assert_eq!(text, "body");
    });
}

#[test]
fn a_payload_whose_destructor_panics_is_handed_on_like_any_other() {
    let payload = catch_unwind(|| {
        run(|| {
            pool(|pool| {
                pool.spawn(|| resume_unwind(Box::new(Bomb("handed on"))));
            });
        });
    });
    let bomb = payload.unwrap_err().downcast::<Bomb>().unwrap();
    assert_eq!(panic_of(|| drop(bomb)), "handed on");
}

#[test]
fn a_bodys_value_whose_destructor_panics_does_not_replace_the_first_panic() {
    run(|| {
        let text = panic_of(|| {
            pool(|pool| {
                pool.spawn(|| fail("child"));
                Bomb("the body's value")
            })
        });
        assert_eq!(text, "child");
    });
}

#[test]
fn a_panic_leaves_nested_pools_from_the_inside_out() {
    let log = Log::default();
    run_virtual(|| {
        let text = panic_of(|| {
            pool(|outer| {
                named(outer, "outer", || finally(sleep_forever, || log.add("outer child")));
                outer.spawn(|| {
                    pool(|middle| {
                        middle.spawn(|| finally(sleep_forever, || log.add("middle child")));
                        middle.spawn(|| {
                            pool(|inner| {
                                inner.spawn(|| finally(sleep_forever, || log.add("inner child")));
                                sleep(secs(1));
                                fail("the innermost body")
                            })
                        });
                    });
                });
            });
        });
        assert_eq!(text, "the innermost body");
    });
    log.assert(&["inner child", "middle child", "outer child"]);
}

#[test]
fn of_the_panics_of_nested_pools_the_first_goes_on_and_each_other_is_logged() {
    logged("");
    run_virtual(|| {
        let text = panic_of(|| {
            pool(|outer| {
                named(outer, "nested outer", || finally(sleep_forever, || fail("outer")));
                pool(|inner| {
                    named(inner, "nested inner", || finally(sleep_forever, || fail("inner")));
                    sleep(secs(1));
                    fail("first")
                })
            })
        });
        assert_eq!(text, "first");
    });
    assert_eq!(logged("'nested inner'").len(), 1);
    assert_eq!(logged("'nested outer'").len(), 1);
}

/// Sees to it that a task in `wait` is stopped, and its locals dropped, when a sibling panics.
#[track_caller]
fn is_stopped_by_a_siblings_panic(wait: impl FnOnce()) {
    let drops = Drops::default();
    let went_on = Cell::new(false);
    run_virtual(|| {
        let text = panic_of(|| {
            pool(|pool| {
                let one = drops.one();
                pool.spawn(|| {
                    let _one = one;
                    wait();
                    went_on.set(true);
                });
                pool.spawn(|| {
                    // The sibling waits by then, whatever it does first.
                    (0..20).for_each(|_| yield_now());
                    assert!(!went_on.get(), "it does not wait");
                    fail("the sibling")
                });
            });
        });
        assert_eq!(text, "the sibling");
    });
    assert!(!went_on.get(), "it was not stopped");
    assert_eq!(drops.count(), 1);
}

/// A connected pair.
fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (ours, listener.accept().unwrap().0)
}

#[test]
fn a_sleeping_sibling_is_stopped() {
    is_stopped_by_a_siblings_panic(|| sleep(secs(1)));
    is_stopped_by_a_siblings_panic(|| sleep_until(giambio::clock() + secs(1)));
    is_stopped_by_a_siblings_panic(|| sleep_forever());
}

#[test]
fn a_yielding_sibling_is_stopped() {
    is_stopped_by_a_siblings_panic(|| {
        loop {
            yield_now();
        }
    });
}

#[test]
fn a_settling_sibling_is_stopped() {
    is_stopped_by_a_siblings_panic(settle);
}

#[test]
fn a_joining_sibling_is_stopped() {
    is_stopped_by_a_siblings_panic(|| {
        pool(|pool| pool.spawn(|| shield(|| sleep(secs(1)))).join().unwrap());
    });
}

#[test]
fn a_sibling_at_the_end_of_its_pool_is_stopped() {
    is_stopped_by_a_siblings_panic(waits_for_its_child);
    is_stopped_by_a_siblings_panic(|| {
        pool(|pool| drop(pool.spawn(|| shield(|| sleep(secs(1))))));
    });
}

#[test]
fn a_sibling_that_waits_for_a_socket_is_stopped() {
    is_stopped_by_a_siblings_panic(|| {
        TcpListener::bind("127.0.0.1:0").unwrap().accept().unwrap();
    });
    is_stopped_by_a_siblings_panic(|| {
        let (mut ours, _theirs) = connected();
        ours.read_exact(&mut [0]).unwrap();
    });
    is_stopped_by_a_siblings_panic(|| {
        let (mut ours, _theirs) = connected();
        ours.write_all(&vec![0; 64 << 20]).unwrap();
    });
    is_stopped_by_a_siblings_panic(|| {
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        lowlevel::wait_readable(&ours).unwrap();
    });
}

#[test]
fn a_sibling_in_a_shield_is_stopped_behind_it() {
    let shielded = Cell::new(false);
    is_stopped_by_a_siblings_panic(|| {
        shield(|| {
            sleep(secs(1));
            shielded.set(true);
        });
        yield_now();
    });
    assert!(shielded.get());
}

#[test]
fn a_panic_reaches_siblings_in_every_wait_at_once() {
    let drops = Drops::default();
    run_virtual(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let text = panic_of(|| {
            pool(|pool| {
                let waits: [Box<dyn FnOnce()>; 7] = [
                    Box::new(|| sleep(secs(1))),
                    Box::new(|| sleep_forever()),
                    Box::new(|| drop(listener.accept())),
                    Box::new(|| drop(listener.accept())),
                    Box::new(settle),
                    Box::new(waits_for_its_child),
                    Box::new(|| (0..1000).for_each(|_| yield_now())),
                ];
                for wait in waits {
                    let one = drops.one();
                    let waiter = pool.spawn(move || {
                        let _one = one;
                        wait();
                    });
                    let one = drops.one();
                    pool.spawn(move || {
                        let _one = one;
                        drop(waiter.join());
                    });
                }
                (0..20).for_each(|_| yield_now());
                assert_eq!(drops.count(), 0);
                fail("the body");
            });
        });
        assert_eq!((text.as_str(), drops.count()), ("the body", 14));
    });
}

fn waits_for_its_child() {
    pool(|pool| drop(pool.spawn(|| sleep_forever())));
}

#[test]
fn who_swallows_a_cancellation_ends_with_a_value_all_the_same() {
    run(|| {
        pool(|pool| {
            let task = pool.spawn(|| {
                assert!(raised(|| sleep_forever()));
                assert!(raised(yield_now));
                5
            });
            yield_now();
            task.cancel();
            assert_eq!(task.join().unwrap(), 5);
        });
    });
}

#[test]
fn a_body_that_swallows_a_failure_is_told_at_the_end_of_the_pool() {
    run(|| {
        let text = panic_of(|| {
            pool(|pool| {
                pool.spawn(|| fail("child"));
                assert!(raised(|| sleep_forever()));
                1
            })
        });
        assert_eq!(text, "child");
    });
}

#[test]
fn a_panic_that_is_caught_inside_of_its_task_fails_nothing() {
    run(|| {
        pool(|pool| {
            let task = pool.spawn(|| {
                let text = panic_of(|| fail("caught"));
                yield_now();
                text
            });
            assert_eq!(task.join().unwrap(), "caught");
            assert!(!pool.is_cancelled() && !thread::panicking());
        });
    });
}

#[test]
fn a_panic_while_the_pool_is_being_cancelled_is_not_lost() {
    run(|| {
        let text = panic_of(|| {
            cancellable(|pool| {
                pool.spawn(|| {
                    assert!(raised(|| sleep_forever()));
                    fail("after the cancellation")
                });
                yield_now();
                pool.cancel();
            })
        });
        assert_eq!(text, "after the cancellation");
    });
}
