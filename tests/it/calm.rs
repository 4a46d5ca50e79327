//! While one task is parked in mid-unwind: the others notice nothing.

use crate::Log;
use crate::elapsed;
use crate::fail;
use crate::panic_of;
use crate::secs;
use crate::unwind::OnDrop;
use crate::unwind::Passing;
use crate::unwind::assert_given_up;
use crate::unwind::both;
use crate::unwind::connection;
use giambio::clock;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::pool;
use giambio::skip_after;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::task;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::yield_now;
use std::cell::Cell;
use std::io::Read;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::thread::panicking;
use std::time::Duration;

/// Runs `others` while a task is parked in a destructor, `duration` from now at the latest.
#[track_caller]
fn beside_an_unwind<T>(passing: Passing, duration: Duration, others: impl FnOnce() -> T) -> T {
    pool(|pool| {
        let unwinding = pool.spawn_isolated(|| -> () {
            let _guard = OnDrop::new(|| sleep(duration));
            passing.begin()
        });
        settle();
        let value = others();
        let error = unwinding.join().unwrap_err();
        assert_eq!(error.is_cancelled(), passing == Passing::Cancellation);
        value
    })
}

#[test]
fn smoke() {
    both(|passing| {
        assert!(!panicking());
        beside_an_unwind(passing, secs(1), || assert!(panicking(), "std counts by thread"));
        assert!(!panicking());
    });
}

#[test]
fn a_read_waits_and_gets_its_data() {
    both(|passing| {
        let (ours, mut theirs) = connection();
        let mut text = [0; 8];
        // The clock would not move while a read waits, so the unwinding task waits for it.
        pool(|pool| {
            let mut read = || (&ours).read_exact(&mut text);
            let reader = pool.spawn(move || {
                settle();
                read()
            });
            let unwinding = pool.spawn_isolated(|| -> () {
                let _guard = OnDrop::new(|| drop(reader.join().unwrap()));
                passing.begin()
            });
            settle();
            settle();
            assert!(panicking() && !unwinding.is_finished());
            theirs.write_all(b"two ").unwrap();
            settle();
            assert!(panicking() && !unwinding.is_finished());
            theirs.write_all(b"part").unwrap();
            assert!(unwinding.join().is_err());
        });
        assert_eq!(&text, b"two part");
    });
}

#[test]
fn a_write_waits_for_room() {
    both(|passing| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let received = beside_an_unwind(passing, secs(5), || {
            pool(|pool| {
                let address = listener.local_addr().unwrap();
                pool.spawn(move || {
                    let mut stream = TcpStream::connect(address).unwrap();
                    stream.write_all(&vec![7; 8 << 20]).unwrap();
                });
                let mut received = Vec::new();
                listener.accept().unwrap().0.read_to_end(&mut received).unwrap();
                assert!(panicking());
                received
            })
        });
        assert_eq!(received, vec![7; 8 << 20]);
    });
}

#[test]
fn a_task_that_waited_already_is_cancelled_at_once() {
    both(|passing| {
        pool(|pool| {
            let sleeper = pool.spawn(|| sleep_forever());
            settle();
            let start = clock();
            beside_an_unwind(passing, secs(5), || {
                sleeper.cancel();
                settle();
                assert!(sleeper.is_finished());
                assert_eq!(clock(), start);
            });
        });
    });
}

#[test]
fn a_task_that_parked_in_doubt_is_cancelled_when_the_unwind_has_gone_on() {
    both(|passing| {
        let log = Log::default();
        let start = clock();
        pool(|pool| {
            beside_an_unwind(passing, secs(5), || {
                let sleeper = pool.spawn(|| {
                    let _guard = OnDrop::new(|| {
                        log.add(format!("cut after {:?}", clock() - start));
                    });
                    sleep_forever()
                });
                settle();
                sleeper.cancel();
                settle();
                assert!(!sleeper.is_finished());
                log.add("still there");
            });
        });
        log.assert(&["still there", "cut after 5s"]);
    });
}

#[test]
fn a_read_that_parked_in_doubt_is_cancelled_when_the_unwind_has_gone_on() {
    run_virtual(|| {
        let (ours, _theirs) = connection();
        let over = Cell::new(false);
        pool(|pool| {
            let unwinding = pool.spawn_isolated(|| -> () {
                let _guard = OnDrop::new(|| {
                    while !over.get() {
                        yield_now()
                    }
                });
                fail("on purpose")
            });
            yield_now();
            let reader = pool.spawn(|| (&ours).read(&mut [0; 8]).map(drop));
            yield_now();
            reader.cancel();
            yield_now();
            assert!(!reader.is_finished());
            over.set(true);
            assert!(unwinding.join().is_err());
            assert!(reader.join().unwrap_err().is_cancelled());
        });
    });
}

#[test]
fn a_task_that_runs_is_not_raised_in_before_the_unwind_has_gone_on() {
    both(|passing| {
        let (start, naps) = (clock(), Cell::new(0));
        pool(|pool| {
            beside_an_unwind(passing, secs(5), || {
                let task = pool.spawn(|| {
                    task::current().cancel();
                    loop {
                        sleep(secs(2));
                        naps.set(naps.get() + 1);
                    }
                });
                sleep(secs(4) + Duration::from_millis(1));
                assert!(!task.is_finished());
            });
        });
        assert_eq!(naps.get(), 2);
        assert_eq!(clock() - start, secs(5));
    });
}

#[test]
fn a_timeout_cuts_when_the_unwind_has_gone_on() {
    both(|passing| {
        let took = beside_an_unwind(passing, secs(5), || {
            elapsed(|| assert_eq!(skip_after(secs(1), |_| sleep(secs(10))), None))
        });
        assert_eq!(took, secs(5));
    });
}

#[test]
fn a_timeout_that_ran_before_cuts_on_time() {
    both(|passing| {
        pool(|pool| {
            pool.spawn(|| {
                let cut = || assert_eq!(skip_after(secs(1), |_| sleep(secs(10))), None);
                assert_eq!(elapsed(cut), secs(1));
            });
            settle();
            beside_an_unwind(passing, secs(5), || ());
        });
    });
}

#[test]
fn a_panic_beside_it_ends_its_task_as_ever() {
    both(|passing| {
        let log = Log::default();
        beside_an_unwind(passing, secs(5), || {
            let failing = || {
                pool(|pool| {
                    pool.spawn(|| {
                        let _guard = OnDrop::new(|| {
                            sleep(secs(1));
                            log.add("destructor");
                        });
                        panic!("beside");
                    });
                });
            };
            assert_eq!(panic_of(failing), "beside");
            assert!(panicking());
            log.add("caught");
        });
        log.assert(&["destructor", "caught"]);
    });
}

#[test]
fn the_last_of_several_unwinds_ends_the_doubt() {
    both(|passing| {
        let (start, cut) = (clock(), Cell::new(None));
        pool(|pool| {
            let sleeper = beside_an_unwind(passing, secs(3), || {
                pool.spawn_isolated(|| -> () {
                    let _guard = OnDrop::new(|| sleep(secs(7)));
                    fail("the other one");
                });
                let sleeper = pool.spawn(|| {
                    let _guard = OnDrop::new(|| cut.set(Some(clock() - start)));
                    sleep_forever()
                });
                settle();
                sleeper.cancel();
                sleep(secs(4));
                // The first unwind has gone on, the second has not.
                assert!(panicking() && !sleeper.is_finished());
                sleeper
            });
            assert!(sleeper.join().unwrap_err().is_cancelled());
        });
        assert_eq!(cut.get(), Some(secs(7)));
    });
}

#[test]
fn a_panicking_task_in_a_destructor_is_never_raised_in() {
    run_virtual(|| {
        let took = Cell::new(Duration::ZERO);
        pool(|pool| {
            let task = pool.spawn_isolated(|| -> () {
                let _guard = OnDrop::new(|| took.set(elapsed(|| sleep(secs(5)))));
                fail("its own");
            });
            sleep(secs(1));
            task.cancel();
            assert!(task.join().unwrap_err().is_panic());
        });
        assert_eq!(took.get(), secs(5));
    });
}

#[test]
fn a_second_panicking_task_in_a_destructor_is_never_raised_in_either() {
    both(|passing| {
        let took = Cell::new(Duration::ZERO);
        pool(|pool| {
            beside_an_unwind(passing, secs(2), || {
                let task = pool.spawn_isolated(|| -> () {
                    let _guard = OnDrop::new(|| took.set(elapsed(|| sleep(secs(5)))));
                    fail("its own");
                });
                settle();
                task.cancel();
            });
        });
        assert_eq!(took.get(), secs(5));
    });
}

#[test]
fn a_hundred_cancelled_tasks_wait_in_their_destructors_together() {
    run_virtual(|| {
        let ended = Cell::new(0);
        let took = elapsed(|| {
            pool(|pool| {
                for _ in 0..100 {
                    pool.spawn(|| {
                        let _guard = OnDrop::new(|| {
                            sleep(secs(1));
                            ended.set(ended.get() + 1);
                        });
                        sleep_forever()
                    });
                }
                settle();
                pool.cancel();
            });
        });
        assert_eq!((ended.get(), took), (100, secs(1)));
    });
}

#[test]
fn a_destructor_in_doubt_waits_for_its_io_and_gets_it() {
    run_virtual(|| {
        let (ours, mut theirs) = connection();
        let text = Cell::new([0; 4]);
        pool(|pool| {
            let waits_for = pool.spawn(settle);
            pool.spawn_isolated(|| -> () {
                let _guard = OnDrop::new(|| drop(waits_for.join()));
                fail("first");
            });
            yield_now();
            // Nobody saw this panic begin, so nobody knows that the task unwinds.
            pool.spawn_isolated(|| -> () {
                let _guard = OnDrop::new(|| {
                    let mut buf = [0; 4];
                    let _ = (&ours).read_exact(&mut buf);
                    text.set(buf);
                });
                fail("second");
            });
            settle();
            theirs.write_all(b"data").unwrap();
        });
        assert_eq!(&text.get(), b"data");
    });
}

#[test]
fn a_panic_that_was_caught_is_over() {
    for waits_by in ["yield_now", "join"] {
        run_virtual(|| {
            let (ours, mut theirs) = connection();
            let over = Cell::new(false);
            pool(|pool| {
                let careful = pool.spawn(|| {
                    let result = Cell::new(None);
                    let caught = catch_unwind(AssertUnwindSafe(|| {
                        // The call notices that the task unwinds.
                        let _guard = OnDrop::new(|| result.set(Some((&ours).read(&mut [0; 4]))));
                        fail("caught by hand");
                    }));
                    assert!(caught.is_err());
                    assert_given_up(result.take().unwrap());
                    match waits_by {
                        "join" => pool.spawn(|| ()).join().unwrap(),
                        _ => yield_now(),
                    }
                    assert!(panicking(), "the other task's");
                    let mut text = [0; 4];
                    (&ours).read_exact(&mut text).unwrap();
                    text
                });
                let unwinding = pool.spawn_isolated(|| -> () {
                    let _guard = OnDrop::new(|| {
                        while !over.get() {
                            yield_now()
                        }
                    });
                    fail("on purpose");
                });
                (0..5).for_each(|_| yield_now());
                theirs.write_all(b"data").unwrap();
                assert_eq!(&careful.join().unwrap(), b"data");
                over.set(true);
                assert!(unwinding.join().is_err());
            });
        });
    }
}

#[test]
fn a_new_panic_after_an_unwind_that_waited_is_seen() {
    run_virtual(|| {
        let (ours, _theirs) = connection();
        let result = Cell::new(None);
        pool(|pool| {
            let task = pool.spawn_isolated(|| -> () {
                let cut = skip_after(secs(1), |_| {
                    let _guard = OnDrop::new(|| sleep(secs(1)));
                    sleep_forever()
                });
                assert!(cut.is_none());
                let _guard = OnDrop::new(|| result.set(Some((&ours).read(&mut [0; 8]))));
                fail("the second unwind");
            });
            assert!(task.join().unwrap_err().is_panic());
        });
        assert_given_up(result.take().unwrap());
    });
}

#[test]
fn a_panic_that_a_pool_passes_on_is_seen() {
    run_virtual(|| {
        let (ours, _theirs) = connection();
        let result = Cell::new(None);
        beside_an_unwind(Passing::Panic, secs(5), || {
            pool(|outer| {
                let task = outer.spawn_isolated(|| {
                    let _guard = OnDrop::new(|| result.set(Some((&ours).read(&mut [0; 8]))));
                    pool(|_| fail("passed on"));
                });
                assert!(task.join().unwrap_err().is_panic());
            });
        });
        assert_given_up(result.take().unwrap());
    });
}

#[test]
fn a_cancellation_that_a_pool_passes_on_is_seen() {
    run_virtual(|| {
        let (ours, _theirs) = connection();
        let result = Cell::new(None);
        pool(|outer| {
            let task = outer.spawn(|| {
                let _guard = OnDrop::new(|| result.set(Some((&ours).read(&mut [0; 8]))));
                pool(|_| sleep_forever())
            });
            settle();
            beside_an_unwind(Passing::Panic, secs(5), || task.cancel());
        });
        assert_given_up(result.take().unwrap());
    });
}
