//! How a `thread::scope` ends when something fails or is cancelled.

use crate::Drops;
use crate::Log;
use crate::OnDrop;
use crate::fail;
use crate::is_cancelled;
use crate::logged;
use crate::panic_of;
use crate::raised;
use crate::secs;
use giambio::TooSlow;
use giambio::cancellable;
use giambio::pool;
use giambio::run;
use giambio::shield;
use giambio::skip_after;
use giambio::task;
use giambio::testing::run_virtual;
use giambio::thread;
use giambio::with_timeout;
use giambio::yield_now;

/// Runs a test inside of `run` and outside.
fn everywhere(test: fn()) {
    run(test);
    test();
}

#[test]
fn smoke() {
    everywhere(|| {
        let text = panic_of(|| thread::scope(|scope| drop(scope.spawn(|| fail("child")))));
        assert_eq!(text, "a scoped thread panicked");
    });
}

#[test]
fn a_panic_that_was_joined_is_no_failure_of_the_scope() {
    everywhere(|| {
        let payload = thread::scope(|scope| scope.spawn(|| fail("joined")).join().map(drop));
        assert_eq!(*payload.unwrap_err().downcast::<&str>().unwrap(), "joined");
    });
}

#[test]
fn a_panic_of_one_thread_stops_no_other() {
    run_virtual(|| {
        let log = Log::default();
        let text = panic_of(|| {
            thread::scope(|scope| {
                scope.spawn(|| fail("at once"));
                scope.spawn(|| {
                    thread::sleep(secs(1));
                    log.add("the other goes on");
                });
                yield_now();
                log.add("and so does the body");
            });
        });
        assert_eq!(text, "a scoped thread panicked");
        log.assert(&["and so does the body", "the other goes on"]);
    });
}

#[test]
fn a_panic_of_the_body_goes_on_when_all_have_ended() {
    everywhere(|| {
        let log = Log::default();
        let text = panic_of(|| {
            thread::scope(|scope| -> () {
                scope.spawn(|| {
                    yield_now();
                    log.add("ended by itself");
                });
                fail("body");
            });
        });
        assert_eq!(text, "body");
        log.assert(&["ended by itself"]);
    });
}

#[test]
fn the_bodys_panic_comes_before_a_threads() {
    everywhere(|| {
        let text = panic_of(|| {
            thread::scope(|scope| -> () {
                drop(scope.spawn(|| fail("thread")));
                yield_now();
                fail("body");
            });
        });
        assert_eq!(text, "body");
    });
}

#[test]
fn a_panic_that_nobody_joined_is_in_the_log_too() {
    let _ = logged("");
    run(|| {
        let text = panic_of(|| {
            thread::scope(|scope| {
                let builder = thread::Builder::new().name("unjoined".into());
                drop(builder.spawn_scoped(scope, || fail("its words")).unwrap());
            });
        });
        assert_eq!(text, "a scoped thread panicked");
    });
    let lines = logged("'unjoined'");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].ends_with("nobody joined it: its words"), "{lines:?}");
}

#[test]
fn a_handle_that_is_dropped_after_the_panic_has_not_joined_it() {
    run(|| {
        let text = panic_of(|| {
            thread::scope(|scope| {
                let thread = scope.spawn(|| fail("early"));
                yield_now();
                assert!(thread.is_finished());
                drop(thread);
            });
        });
        assert_eq!(text, "a scoped thread panicked");
    });
}

#[test]
fn a_forgotten_handle_has_not_joined_it_either() {
    run(|| {
        let text = panic_of(|| {
            thread::scope(|scope| {
                #[expect(clippy::mem_forget, reason = "that is the test")]
                std::mem::forget(scope.spawn(|| fail("forgotten")));
            });
        });
        assert_eq!(text, "a scoped thread panicked");
    });
}

#[test]
fn the_value_of_the_body_is_dropped_if_a_thread_has_failed() {
    run(|| {
        let drops = Drops::default();
        let text = panic_of(|| {
            thread::scope(|scope| {
                drop(scope.spawn(|| fail("thread")));
                drops.one()
            })
        });
        assert_eq!(text, "a scoped thread panicked");
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_timeout_around_a_scope_reaches_its_threads_and_its_body() {
    run_virtual(|| {
        let log = Log::default();
        let slow = with_timeout(secs(1), |_| {
            thread::scope(|scope| {
                scope.spawn(|| {
                    let _guard = OnDrop::new(|| log.add("thread"));
                    giambio::sleep_forever()
                });
                let _guard = OnDrop::new(|| log.add("body"));
                giambio::sleep_forever()
            })
        });
        assert_eq!(slow, Err::<(), _>(TooSlow));
        log.assert(&["body", "thread"]);
    });
}

#[test]
fn and_its_end() {
    run_virtual(|| {
        let start = giambio::clock();
        let slow = with_timeout(secs(1), |_| {
            thread::scope(|scope| drop(scope.spawn(|| giambio::sleep_forever())));
        });
        assert_eq!(slow, Err(TooSlow));
        assert_eq!(giambio::clock() - start, secs(1));
    });
}

#[test]
fn a_cancellation_waits_for_what_is_shielded_and_then_goes_on() {
    run_virtual(|| {
        let (start, log) = (giambio::clock(), Log::default());
        let cut = skip_after(secs(1), |_| {
            thread::scope(|scope| {
                scope.spawn(|| {
                    shield(|| thread::sleep(secs(3)));
                    log.add("saved");
                });
                giambio::sleep_forever()
            })
        });
        assert_eq!(cut, None::<()>);
        assert_eq!(giambio::clock() - start, secs(3));
        log.assert(&["saved"]);
    });
}

#[test]
fn a_body_that_is_cut_cancels_its_threads_be_they_shielded_from_the_cause() {
    // The body is in the caller's scopes; what cuts it cancels the threads too.
    run(|| {
        pool(|pool| {
            let task = pool.spawn(|| {
                thread::scope(|scope| {
                    let thread = scope.spawn(|| giambio::sleep_forever());
                    task::current().cancel();
                    yield_now();
                    drop(thread);
                });
            });
            assert!(task.join().unwrap_err().is_cancelled());
        });
    });
}

#[test]
fn in_a_cancelled_scope_a_thread_never_begins() {
    run(|| {
        let drops = Drops::default();
        let cut = cancellable(|outside| {
            thread::scope(|scope| {
                outside.cancel();
                let counted = drops.one();
                let thread = scope.spawn(move || {
                    let _counted = counted;
                    unreachable!("a thread began in a cancelled scope");
                });
                shield(|| assert!(is_cancelled(thread.join())));
            });
        });
        assert_eq!(cut, None);
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_thread_that_cancels_itself_is_no_failure() {
    run(|| {
        thread::scope(|scope| {
            drop(scope.spawn(|| {
                task::current().cancel();
                yield_now();
            }));
        });
    });
}

#[test]
fn a_panic_beats_the_cancellation() {
    run_virtual(|| {
        let text = panic_of(|| {
            skip_after(secs(1), |_| {
                thread::scope(|scope| {
                    drop(scope.spawn(|| {
                        if raised(|| giambio::sleep_forever()) {
                            fail("while it was cancelled");
                        }
                    }));
                    giambio::sleep_forever()
                })
            })
        });
        assert_eq!(text, "a scoped thread panicked");
    });
}

#[test]
fn a_cancelled_join_inside_of_a_scope_leaves_the_thread_to_the_scope() {
    run_virtual(|| {
        let log = Log::default();
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                thread::sleep(secs(2));
                log.add("went on");
            });
            assert!(skip_after(secs(1), |_| thread.join().unwrap()).is_none());
        });
        log.assert(&["went on"]);
    });
}

#[test]
fn a_shield_around_the_scope_keeps_its_threads() {
    run_virtual(|| {
        let log = Log::default();
        let cut = skip_after(secs(1), |_| {
            shield(|| {
                thread::scope(|scope| {
                    scope.spawn(|| {
                        thread::sleep(secs(2));
                        log.add("not cut");
                    });
                });
            });
            log.add("ended");
        });
        assert_eq!(cut, Some(()));
        log.assert(&["not cut", "ended"]);
    });
}
