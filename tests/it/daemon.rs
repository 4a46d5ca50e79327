//! Daemons: tasks that a pool does not wait for, and what stops them.

use crate::Drops;
use crate::Log;
use crate::elapsed;
use crate::fail;
use crate::panic_of;
use crate::secs;
use giambio::Pool;
use giambio::cancellable;
use giambio::finally;
use giambio::pool;
use giambio::shield;
use giambio::skip_after;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use std::cell::Cell;

#[test]
fn smoke() {
    run_virtual(|| pool(|pool| drop(pool.spawn_daemon(|| sleep_forever()))));
}

#[test]
fn a_daemon_is_cancelled_when_the_others_have_ended() {
    run_virtual(|| {
        let beats = Cell::new(0);
        let took = elapsed(|| {
            pool(|pool| {
                pool.spawn_daemon(|| {
                    loop {
                        sleep(secs(1));
                        beats.set(beats.get() + 1);
                    }
                });
                pool.spawn(|| sleep(secs(2)));
                pool.spawn(|| sleep(secs(5)));
            });
        });
        // The fifth beat is due at the same time as the end, and was set first.
        assert_eq!((took, beats.get()), (secs(5), 5));
    });
}

#[test]
fn a_daemon_lives_as_long_as_the_body() {
    run_virtual(|| {
        pool(|pool| {
            let daemon = pool.spawn_daemon(|| sleep_forever());
            sleep(secs(3));
            assert!(!daemon.is_finished());
        });
    });
}

#[test]
fn the_pool_waits_for_what_a_daemon_does_when_it_is_cancelled() {
    run_virtual(|| {
        let log = Log::default();
        let took = elapsed(|| {
            pool(|pool| {
                pool.spawn_daemon(|| {
                    finally(sleep_forever, || {
                        sleep(secs(2));
                        log.add("flushed");
                    })
                });
                settle();
            });
            log.add("ended");
        });
        assert_eq!(took, secs(2));
        log.assert(&["flushed", "ended"]);
    });
}

#[test]
fn all_daemons_are_cancelled_at_the_same_time() {
    run_virtual(|| {
        let ended = Drops::default();
        let took = elapsed(|| {
            pool(|pool| {
                for _ in 0..100 {
                    let ended = ended.one();
                    pool.spawn_daemon(move || {
                        let _counted = ended;
                        shield(|| sleep(secs(1)));
                        sleep_forever()
                    });
                }
                sleep(secs(1));
            });
        });
        assert_eq!((took, ended.count()), (secs(1), 100));
    });
}

#[test]
fn a_daemon_that_ends_by_itself_is_joined_like_any_task() {
    run_virtual(|| {
        pool(|pool| {
            let daemon = pool.spawn_daemon(|| 7);
            assert_eq!(daemon.join().unwrap(), 7);
        });
    });
}

#[test]
fn a_panic_of_a_daemon_fails_the_pool() {
    let said = panic_of(|| {
        run_virtual(|| {
            pool(|pool| {
                pool.spawn_daemon(|| fail("daemon"));
                pool.spawn(|| sleep_forever());
            });
        });
    });
    assert_eq!(said, "daemon");
}

#[test]
fn a_panic_of_a_daemon_that_is_being_cancelled_fails_the_pool() {
    let said = panic_of(|| {
        run_virtual(|| {
            pool(|pool| {
                pool.spawn_daemon(|| finally(sleep_forever, || fail("in cleanup")));
                settle();
            });
        });
    });
    assert_eq!(said, "in cleanup");
}

#[test]
fn what_a_daemon_spawns_in_time_is_waited_for() {
    fn spawner<'scope>(pool: &'scope Pool<'scope, '_>, ended: &'scope Cell<bool>) {
        pool.spawn(move || {
            sleep(secs(4));
            ended.set(true);
        });
        sleep_forever()
    }
    run_virtual(|| {
        let ended = Cell::new(false);
        let took = elapsed(|| {
            pool(|pool| {
                pool.spawn_daemon(|| spawner(pool, &ended));
                sleep(secs(1));
            });
        });
        assert_eq!((took, ended.get()), (secs(4), true));
    });
}

#[test]
fn what_a_cancelled_daemon_spawns_is_waited_for_too() {
    run_virtual(|| {
        let ended = Cell::new(false);
        let took = elapsed(|| {
            pool(|pool| {
                pool.spawn_daemon(|| {
                    finally(sleep_forever, || {
                        pool.spawn(|| {
                            sleep(secs(2));
                            ended.set(true);
                        });
                    })
                });
                settle();
            });
        });
        assert_eq!((took, ended.get()), (secs(2), true));
    });
}

#[test]
fn a_daemon_that_is_spawned_by_a_cancelled_one_never_runs() {
    run_virtual(|| {
        pool(|pool| {
            pool.spawn_daemon(|| {
                finally(sleep_forever, || drop(pool.spawn_daemon(|| fail("it ran"))));
            });
            settle();
        });
    });
}

#[test]
fn cancelling_the_pool_cancels_its_daemons() {
    run_virtual(|| {
        let took = elapsed(|| {
            pool(|pool| {
                pool.spawn_daemon(|| sleep_forever());
                pool.spawn(|| sleep_forever());
                sleep(secs(1));
                pool.cancel();
            });
        });
        assert_eq!(took, secs(1));
    });
}

#[test]
fn the_end_of_its_daemons_does_not_cut_a_scope() {
    run_virtual(|| {
        let value = cancellable(|pool| {
            pool.spawn_daemon(|| sleep_forever());
            7
        });
        assert_eq!(value, Some(7));
        let value = skip_after(secs(5), |pool| {
            pool.spawn_daemon(|| sleep_forever());
            sleep(secs(1));
            8
        });
        assert_eq!(value, Some(8));
    });
}

#[test]
fn a_deadline_that_cuts_a_daemon_cuts_its_scope() {
    run_virtual(|| {
        let value = skip_after(secs(2), |pool| {
            pool.spawn_daemon(|| sleep_forever());
            pool.spawn(|| shield(|| sleep(secs(3))));
        });
        assert_eq!(value, None);
    });
}

#[test]
fn a_joined_daemon_says_why_it_was_cancelled() {
    run_virtual(|| {
        pool(|outer| {
            let (daemons, reasons) = (Cell::new(None), Cell::new(None));
            pool(|inner| {
                let daemon = inner.spawn_daemon(|| sleep_forever());
                daemons.set(Some(daemon.id()));
                inner.spawn_daemon(|| {
                    let error = shield(|| daemon.join().map(drop).unwrap_err());
                    reasons.set(error.cancel_reason().map(str::to_owned));
                });
                settle();
            });
            assert_eq!(reasons.take().as_deref(), Some("only daemons were left in its pool"));
            drop(outer.spawn(|| ()));
        });
    });
}

#[test]
fn a_daemon_whose_pool_ends_at_once_is_dropped_unrun() {
    run_virtual(|| {
        let drops = Drops::default();
        pool(|pool| {
            let counted = drops.one();
            pool.spawn_daemon(move || {
                let _counted = counted;
                fail("it ran")
            });
        });
        assert_eq!(drops.count(), 1);
    });
}
