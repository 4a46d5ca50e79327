//! What other runtimes test of deadlines and clocks, asked of ours.
//!
//! Above each test is where the question comes from. Where the answer differs there, the test says why.

use crate::Log;
use crate::elapsed;
use crate::ms;
use crate::secs;
use crate::unwind::connection;
use giambio::TooSlow;
use giambio::cancellable;
use giambio::clock;
use giambio::current_deadline;
use giambio::lowlevel::wait_readable;
use giambio::pool;
use giambio::run;
use giambio::shield;
use giambio::shield_for;
use giambio::skip_after;
use giambio::sleep;
use giambio::sleep_until;
use giambio::sync::Semaphore;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::with_timeout;
use giambio::yield_now;
use std::cell::Cell;
use std::io::Read;
use std::io::Write;
use std::time::Duration;

/// How long until the running task would be cut.
fn left() -> Option<Duration> {
    current_deadline().map(|at| at.saturating_duration_since(clock()))
}

// curio: test_nested_timeout_uncaught, where it is an error of its own. Here the types tell them apart.
#[test]
fn an_inner_timeout_that_leaves_by_the_question_mark_is_not_taken_for_the_outer_one() {
    run_virtual(|| {
        let took = elapsed(|| {
            let result = with_timeout(secs(10), |_| {
                with_timeout(secs(1), |_| sleep(secs(5)))?;
                unreachable!("the inner one did not pass");
            });
            assert_eq!(result, Ok(Err::<(), _>(TooSlow)));
        });
        assert_eq!(took, secs(1));
    });
}

// curio: test_nested_context_timeout2 and 3.
#[test]
fn of_three_timeouts_the_one_that_passes_answers_whichever_it_is() {
    run_virtual(|| {
        for passes in 0..3_u64 {
            let length = |number| secs(if number == passes { 1 } else { 10 + number });
            let result = with_timeout(length(0), |_| {
                with_timeout(length(1), |_| with_timeout(length(2), |_| sleep(secs(5))))
            });
            let expected = match passes {
                0 => Err(TooSlow),
                1 => Ok(Err(TooSlow)),
                _ => Ok(Ok(Err(TooSlow))),
            };
            assert_eq!(result, expected);
        }
    });
}

// trio: test_cancel_scope_deadline_duplicates.
#[test]
fn a_deadline_that_was_set_ten_thousand_times_passes_when_it_was_set_to_last() {
    run_virtual(|| {
        let took = elapsed(|| {
            let start = clock();
            let cut = cancellable(|pool| {
                for number in 0..10_000 {
                    pool.set_deadline(Some(start + secs(9998 - number % 2 * 9000)));
                }
                pool.set_deadline(Some(start + secs(7)));
                sleep(secs(99));
            });
            assert_eq!(cut, None);
        });
        assert_eq!(took, secs(7));
    });
}

// trio: test_current_effective_deadline.
#[test]
fn the_deadline_that_counts_is_the_earliest_that_no_shield_hides() {
    run_virtual(|| {
        let start = clock();
        skip_after(secs(5), |_| {
            skip_after(secs(10), |inner| {
                assert_eq!(left(), Some(secs(5)));
                inner.set_deadline(Some(start + secs(3)));
                assert_eq!(left(), Some(secs(3)));
                inner.set_deadline(Some(start + secs(10)));
                assert_eq!(left(), Some(secs(5)));
                shield_for(secs(7), || assert_eq!(left(), Some(secs(7))));
                shield(|| skip_after(secs(8), |_| assert_eq!(left(), Some(secs(8)))));
                assert_eq!(left(), Some(secs(5)));
            });
        });
        assert_eq!(left(), None);
    });
}

// trio: test_context_shields_from_outer, test_move_on_after_moves_on_even_if_shielded.
#[test]
fn a_shield_for_is_cut_by_its_own_time_only() {
    run_virtual(|| {
        let took = elapsed(|| {
            let cut = skip_after(secs(1), |_| {
                assert_eq!(shield_for(secs(2), || sleep(secs(9))), None);
                assert_eq!(shield_for(secs(2), || sleep(secs(1))), Some(()));
                // The inner one keeps out the time of the outer one as well.
                let inner = || shield_for(secs(5), || sleep(secs(3)));
                assert_eq!(shield_for(secs(1), inner), Some(Some(())));
                yield_now();
            });
            assert_eq!(cut, None);
        });
        assert_eq!(took, secs(6));
    });
}

// trio: test_mock_clock_autojump_0_and_wait_all_tasks_blocked_0.
#[test]
fn who_settles_goes_on_before_the_clock_jumps() {
    run_virtual(|| {
        let log = Log::default();
        pool(|pool| {
            pool.spawn(|| {
                sleep(secs(100));
                log.add("the sleeper wakes");
            });
            pool.spawn(|| {
                settle();
                log.add("settled");
                sleep(secs(1000));
                log.add("done");
            });
        });
        log.assert(&["settled", "the sleeper wakes", "done"]);
    });
}

// trio: test_mock_clock_autojump.
#[test]
fn the_clock_jumps_to_the_nanosecond_and_a_zero_does_not_move_it() {
    run_virtual(|| {
        for nanos in [0, 1, 10, 1_000_000_007, u64::from(u32::MAX) * 100] {
            let length = Duration::from_nanos(nanos);
            assert_eq!(elapsed(|| sleep(length)), length);
        }
    });
}

// eio, time.md: mock clock, advancing the time.
#[test]
fn sleepers_to_absolute_times_wake_in_order_and_equal_ones_as_they_came() {
    run_virtual(|| {
        let (start, log) = (clock(), Log::default());
        let sleeper = |name: &str, seconds| {
            sleep_until(start + secs(seconds));
            log.add(format!("{name} {:?}", clock() - start));
        };
        giambio::join_all(
            [("A", 5), ("B", 7), ("C", 2), ("D", 0), ("E", 5)]
                .map(|(name, seconds)| move || sleeper(name, seconds)),
        );
        log.assert(&["D 0ns", "C 2s", "A 5s", "E 5s", "B 7s"]);
    });
}

// curio: test_ping_pong_starvation.
#[test]
fn two_tasks_that_wake_each_other_do_not_starve_a_third() {
    run(|| {
        let (ping, pong, turns) = (Semaphore::new(1), Semaphore::new(0), Cell::new(0_u32));
        cancellable(|pool| {
            for (from, to) in [(&ping, &pong), (&pong, &ping)] {
                let turns = &turns;
                pool.spawn(move || {
                    loop {
                        from.acquire().forget();
                        turns.set(turns.get() + 1);
                        to.add_permits(1);
                    }
                });
            }
            (0..10).for_each(|_| yield_now());
            assert!((1..=20).contains(&turns.get()), "{turns:?}");
            pool.cancel();
        });
    });
}

// libdill: fd.c, "two interleaved deadlines".
#[test]
fn bytes_that_come_before_the_deadline_of_their_reader_are_read() {
    let (ours, mut theirs) = connection();
    run(|| {
        let start = clock();
        pool(|pool| {
            pool.spawn(|| {
                sleep(ms(20));
                theirs.write_all(b"A").unwrap();
            });
            assert!(with_timeout(secs(60), |_| wait_readable(&ours).unwrap()).is_ok());
        });
        assert!((ms(20)..secs(60)).contains(&(clock() - start)));
    });
}

// libdill: fd.c, a descriptor is removed from the pollset after fdin times out.
#[test]
fn a_wait_that_timed_out_disturbs_no_later_one() {
    let (ours, mut theirs) = connection();
    run(|| {
        let mut word = [0; 4];
        for _ in 0..3 {
            assert_eq!(with_timeout(ms(5), |_| wait_readable(&ours).unwrap()), Err(TooSlow));
            assert!(with_timeout(ms(5), |_| (&ours).read(&mut word)).is_err());
            theirs.write_all(b"late").unwrap();
            assert!(elapsed(|| sleep(ms(10))) >= ms(10), "the bytes are not what it waits for");
            (&ours).read_exact(&mut word).unwrap();
            assert_eq!(&word, b"late");
        }
    });
}
