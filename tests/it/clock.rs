//! Time: the test's own clock, the system's, and who gets the worker meanwhile.

use crate::Log;
use crate::elapsed;
use crate::ms;
use crate::named;
use crate::panic_of;
use crate::secs;
use crate::unwind::OnDrop;
use crate::unwind::connection;
use giambio::Pool;
use giambio::cancellable;
use giambio::clock;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::pool;
use giambio::run;
use giambio::skip_after;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::sleep_until;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::yield_now;
use std::cell::Cell;
use std::cell::RefCell;
use std::io::Read;
use std::io::Write;
use std::time::Duration;

/// Starts a task that logs `name` when `wait` has returned.
fn after<'scope>(
    pool: &'scope Pool<'scope, '_>,
    log: &'scope Log,
    name: &'static str,
    wait: impl FnOnce() + 'scope,
) {
    pool.spawn(move || {
        wait();
        log.add(name);
    });
}

#[test]
fn smoke() {
    run_virtual(|| {
        let start = clock();
        sleep(secs(3600));
        assert_eq!(clock() - start, secs(3600));
    });
}

#[test]
fn a_thousand_sleepers_wake_in_the_order_of_their_deadlines() {
    run_virtual(|| {
        let woken = RefCell::new(Vec::new());
        // 11 generates all numbers below the prime 1009.
        let delays = std::iter::successors(Some(1), |delay| Some(delay * 11 % 1009)).take(1008);
        pool(|pool| {
            for delay in delays {
                let woken = &woken;
                pool.spawn(move || {
                    sleep(ms(delay));
                    woken.borrow_mut().push(delay);
                });
            }
        });
        assert_eq!(woken.take(), (1..1009).collect::<Vec<_>>());
    });
}

#[test]
fn sleeps_that_end_together_end_in_the_order_in_which_they_began() {
    run_virtual(|| {
        let log = Log::default();
        let end = clock() + secs(10);
        pool(|pool| {
            after(pool, &log, "first", || sleep(secs(10)));
            after(pool, &log, "second", move || sleep_until(end));
            pool.spawn(|| {
                sleep(secs(5));
                after(pool, &log, "third", || sleep(secs(5)));
                after(pool, &log, "fourth", move || sleep_until(end));
            });
        });
        log.assert(&["first", "second", "third", "fourth"]);
    });
}

#[test]
fn a_deadline_that_has_come_lets_the_others_go_first() {
    run_virtual(|| {
        let start = clock();
        sleep(secs(1));
        for wait in [|_| sleep(Duration::ZERO), sleep_until, |start| sleep_until(start + secs(1))] {
            let log = Log::default();
            pool(|pool| {
                after(pool, &log, "other", || ());
                wait(start);
                log.add("waited");
            });
            log.assert(&["other", "waited"]);
        }
        assert_eq!(clock() - start, secs(1));
    });
}

#[test]
fn a_sleep_past_the_range_of_the_clock_never_ends() {
    run_virtual(|| {
        let century = secs(100 * 365 * 24 * 3600);
        let far = clock() + 10 * century;
        let waits: [&dyn Fn(); 3] =
            [&|| sleep(Duration::MAX), &|| sleep_until(far), &|| sleep_forever()];
        for wait in waits {
            assert_eq!(elapsed(|| assert_eq!(skip_after(secs(1), |_| wait()), None)), secs(1));
        }
        assert_eq!(skip_after(century, |_| sleep(Duration::MAX)), None);
    });
}

#[test]
fn a_timeout_past_the_range_of_the_clock_cuts_nothing() {
    run_virtual(|| {
        assert_eq!(skip_after(Duration::MAX, |_| sleep(secs(3600))), Some(()));
    });
}

#[test]
fn time_stands_still_while_something_can_run() {
    run_virtual(|| {
        let start = clock();
        pool(|pool| {
            let sleeper = pool.spawn(|| sleep(Duration::from_nanos(1)));
            for _ in 0..10_000 {
                yield_now();
            }
            assert!(!sleeper.is_finished());
            assert_eq!(clock(), start);
        });
        assert_eq!(clock() - start, Duration::from_nanos(1));
    });
}

#[test]
fn time_jumps_to_one_deadline_after_the_other() {
    run_virtual(|| {
        let (start, seen) = (clock(), RefCell::new(Vec::new()));
        pool(|pool| {
            for delay in [3, 1, 2] {
                let seen = &seen;
                pool.spawn(move || {
                    sleep(secs(delay));
                    seen.borrow_mut().push((clock() - start).as_secs());
                });
            }
        });
        assert_eq!(seen.take(), [1, 2, 3]);
    });
}

#[test]
fn a_sleep_that_was_cut_leaves_nothing_to_wait_for() {
    run_virtual(|| {
        let cut = || pool(|pool| pool.spawn(|| sleep(secs(100))).cancel());
        assert_eq!(elapsed(cut), Duration::ZERO);
        let cut = || assert_eq!(skip_after(secs(1), |_| sleep(secs(100))), None);
        assert_eq!(elapsed(cut), secs(1));
        assert_eq!(
            elapsed(|| assert_eq!(skip_after(secs(9), |_| sleep(secs(1))), Some(()))),
            secs(1)
        );
    });
}

#[test]
fn waiting_for_the_world_outside_is_reported() {
    let report = panic_of(|| {
        run_virtual(|| {
            let (ours, _theirs) = connection();
            pool(|pool| {
                named(pool, "sleeper", || sleep(secs(1)));
                named(pool, "reader", || (&ours).read(&mut [0; 8]));
            });
        });
    });
    let lines: Vec<_> = report.lines().collect();
    assert!(lines[0].contains("real I/O"), "{report}");
    assert!(lines[1].contains("'main'") && lines[1].contains("waits for its pool"), "{report}");
    assert!(lines[2].contains("'sleeper'") && lines[2].contains("sleeps"), "{report}");
    assert!(lines[3].contains("'reader'") && lines[3].contains("readable"), "{report}");
}

#[test]
fn waiting_without_any_deadline_is_reported() {
    let unwound = Cell::new(false);
    let report = panic_of(|| {
        run_virtual(|| {
            pool(|pool| {
                let first = named(pool, "first", || {
                    let _guard = OnDrop::new(|| unwound.set(true));
                    sleep_forever()
                });
                named(pool, "second", || drop(first.join()));
                sleep(secs(5));
            });
        });
    });
    assert!(report.contains("every task waits"), "{report}");
    assert!(report.contains("'first'") && report.contains("sleeps for ever"), "{report}");
    assert!(report.contains("'second'") && report.contains("waits for task #"), "{report}");
    assert!(report.contains("for 5s"), "since when: {report}");
    assert!(unwound.get());
    run_virtual(|| sleep(secs(1))); // the thread is none the worse for it
}

#[test]
fn settle_returns_when_all_others_are_parked() {
    run_virtual(|| {
        let (start, log) = (clock(), Log::default());
        pool(|pool| {
            after(pool, &log, "sleeper", || sleep(secs(1)));
            after(pool, &log, "busy", || (0..100).for_each(|_| yield_now()));
            after(pool, &log, "parent", || {
                giambio::pool(|inner| after(inner, &log, "child", yield_now));
            });
            settle();
            log.add("settled");
            assert_eq!(clock(), start, "time is not moved");
            settle();
            log.add("settled again");
        });
        log.assert(&["child", "parent", "busy", "settled", "settled again", "sleeper"]);
    });
}

#[test]
fn settle_alone_returns() {
    run_virtual(settle);
    run(settle);
}

#[test]
fn settlers_go_on_one_by_one_in_their_order() {
    run_virtual(|| {
        let log = Log::default();
        pool(|pool| {
            for name in ["a", "b", "c"] {
                let log = &log;
                pool.spawn(move || {
                    for round in 1..=2 {
                        settle();
                        log.add(format!("{name}{round}"));
                        // Who yields can run: the next settler waits for that too.
                        yield_now();
                        log.add(format!("{name}{round} yielded"));
                    }
                });
            }
        });
        let both = |entry: &str| [entry.to_owned(), format!("{entry} yielded")];
        let expected: Vec<_> =
            ["a1", "b1", "c1", "a2", "b2", "c2"].into_iter().flat_map(both).collect();
        log.assert(&expected.iter().map(String::as_str).collect::<Vec<_>>());
    });
}

#[test]
fn settle_counts_io_that_the_kernel_has_completed() {
    for start in [run as fn(fn()), run_virtual] {
        start(|| {
            let (ours, mut theirs) = connection();
            let seen = Cell::new(0);
            cancellable(|pool| {
                pool.spawn(|| {
                    while (&ours).read(&mut [0; 1]).unwrap() > 0 {
                        seen.set(seen.get() + 1);
                    }
                });
                settle();
                for count in 1..=100 {
                    theirs.write_all(b"x").unwrap();
                    settle();
                    assert_eq!(seen.get(), count);
                }
                pool.cancel();
            });
        });
    }
}

#[test]
fn settle_is_a_checkpoint_and_works_inside_of_run_only() {
    assert!(panic_of(settle).contains("giambio::run"));
    run_virtual(|| {
        let cut = cancellable(|pool| {
            pool.cancel();
            settle();
        });
        assert_eq!(cut, None);
    });
}

#[test]
fn sockets_work_on_the_clock_of_a_test_with_both_ends_inside() {
    run_virtual(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        cancellable(|server| {
            server.spawn(|| {
                for stream in listener.incoming() {
                    let stream = stream.unwrap();
                    server.spawn(move || std::io::copy(&mut &stream, &mut &stream));
                }
            });
            pool(|clients| {
                for client in 0..20_u8 {
                    clients.spawn(move || {
                        let mut stream = TcpStream::connect(address).unwrap();
                        for round in 0..20 {
                            let mut echo = [0; 2];
                            stream.write_all(&[client, round]).unwrap();
                            stream.read_exact(&mut echo).unwrap();
                            assert_eq!(echo, [client, round]);
                        }
                    });
                }
            });
            server.cancel();
        });
    });
}

#[test]
fn two_tests_clocks_have_nothing_to_do_with_each_other() {
    let hour = || run_virtual(|| elapsed(|| sleep(secs(3600))));
    assert_eq!((hour(), hour()), (secs(3600), secs(3600)));
    let real = elapsed(|| assert_eq!(hour(), secs(3600)));
    assert!(real < secs(60), "an hour took {real:?}");
}

#[test]
fn a_sleep_is_never_early() {
    let lengths = [1, 10, 100, 999, 1000, 1001, 2500, 9999, 10_001, 12_345];
    for micros in lengths.map(Duration::from_micros) {
        for _ in 0..5 {
            let outside = clock();
            run(|| assert!(elapsed(|| sleep(micros)) >= micros));
            assert!(clock() - outside >= micros);
        }
    }
}

#[test]
fn a_short_sleep_is_not_rounded_up_to_milliseconds() {
    run(|| {
        let mut took = [(); 50].map(|()| elapsed(|| sleep(Duration::from_micros(100))));
        took.sort();
        assert!(took[25] < Duration::from_micros(600), "{took:?}");
    });
}

#[test]
fn sleepers_wake_in_order_in_real_time_too() {
    run(|| {
        let log = Log::default();
        pool(|pool| {
            after(pool, &log, "last", || sleep(ms(30)));
            after(pool, &log, "first", || sleep(ms(10)));
            after(pool, &log, "middle", || sleep(ms(20)));
        });
        log.assert(&["first", "middle", "last"]);
    });
}

#[test]
fn outside_of_run_the_thread_sleeps() {
    assert!(elapsed(|| sleep(ms(3))) >= ms(3));
    let end = clock() + ms(3);
    sleep_until(end);
    assert!(clock() >= end);
    sleep_until(end);
    yield_now();
}

/// Runs `turn` again and again beside a task that runs `other`, until that has ended.
fn beside_a_busy_task(mut turn: impl FnMut(), other: impl FnOnce()) {
    run(|| {
        let ended = Cell::new(false);
        pool(|pool| {
            pool.spawn(|| {
                other();
                ended.set(true);
            });
            while !ended.get() {
                turn();
            }
        });
    });
}

/// Runs every loop that never has to wait beside a task that runs `other`.
fn beside_busy_tasks(other: impl Fn()) {
    let (ours, mut theirs) = connection();
    theirs.write_all(b"ready").unwrap();
    beside_a_busy_task(yield_now, &other);
    beside_a_busy_task(|| sleep(Duration::ZERO), &other);
    // What is only looked at stays there: the socket is always ready.
    beside_a_busy_task(|| assert_eq!(ours.peek(&mut [0; 5]).unwrap(), 5), &other);
    beside_a_busy_task(|| giambio::lowlevel::wait_writable(&ours).unwrap(), &other);
    beside_a_busy_task(|| pool(|_| ()), &other);
}

#[test]
fn a_busy_task_does_not_starve_timers() {
    beside_busy_tasks(|| sleep(Duration::from_micros(100)));
}

#[test]
fn a_busy_task_does_not_starve_others() {
    beside_busy_tasks(|| (0..10).for_each(|_| yield_now()));
}

#[test]
fn a_busy_task_does_not_starve_io() {
    beside_busy_tasks(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        pool(|pool| {
            pool.spawn(move || TcpStream::connect(address).unwrap().write_all(b"x").unwrap());
            let mut text = Vec::new();
            listener.accept().unwrap().0.read_to_end(&mut text).unwrap();
            assert_eq!(text, b"x");
        });
    });
}

#[test]
fn a_busy_task_does_not_starve_other_threads() {
    beside_busy_tasks(|| {
        let stopped = cancellable(|pool| {
            let canceller = pool.canceller();
            let thread = std::thread::spawn(move || canceller.cancel());
            let _joined = OnDrop::new(|| thread.join().unwrap());
            sleep_forever()
        });
        assert!(stopped.is_none());
    });
}

#[test]
fn a_reader_of_a_full_socket_gives_way_within_its_budget() {
    run(|| {
        let (ours, mut theirs) = connection();
        theirs.write_all(&[0; 1000]).unwrap();
        let (read, read_before) = (Cell::new(0), Cell::new(None));
        pool(|pool| {
            pool.spawn(|| read_before.set(Some(read.get())));
            for count in 1..=1000 {
                (&ours).read_exact(&mut [0; 1]).unwrap();
                read.set(count);
            }
            // A hundred is more than the budget, and far from all.
            assert!(read_before.get().is_some_and(|count| count < 100), "{read_before:?}");
        });
    });
}
