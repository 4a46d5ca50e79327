//! Channels and the runtime's clock: on a virtual one every wait takes what it should, to the nanosecond.

use super::tools::all_kinds;
use super::tools::raised;
use crate::elapsed;
use crate::ms;
use crate::secs;
use giambio::channel::Receiver;
use giambio::channel::RecvTimeoutError;
use giambio::channel::Select;
use giambio::channel::SendTimeoutError;
use giambio::channel::after;
use giambio::channel::at;
use giambio::channel::bounded;
use giambio::channel::never;
use giambio::channel::select;
use giambio::channel::tick;
use giambio::clock;
use giambio::pool;
use giambio::skip_after;
use giambio::sleep;
use giambio::task;
use giambio::testing::assert_checkpoint;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::with_timeout;
use giambio::yield_now;
use std::cell::RefCell;
use std::time::Duration;
use std::time::Instant;

const HOUR: Duration = secs_const(3600);

const fn secs_const(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn smoke() {
    run_virtual(|| {
        for (_s, r) in all_kinds::<i32>() {
            let timeout = Err(RecvTimeoutError::Timeout);
            assert_eq!(elapsed(|| assert_eq!(r.recv_timeout(HOUR), timeout)), HOUR);
            let deadline = clock() + HOUR;
            assert_eq!(elapsed(|| assert_eq!(r.recv_deadline(deadline), timeout)), HOUR);
        }
    });
}

#[test]
fn sends_give_up_on_time() {
    run_virtual(|| {
        let (s, _r) = bounded(0);
        let timeout = Err(SendTimeoutError::Timeout(7));
        assert_eq!(elapsed(|| assert_eq!(s.send_timeout(7, HOUR), timeout)), HOUR);
        let deadline = clock() + HOUR;
        assert_eq!(elapsed(|| assert_eq!(s.send_deadline(7, deadline), timeout)), HOUR);
    });
}

#[test]
fn selects_give_up_on_time() {
    run_virtual(|| {
        let (s, r) = bounded::<i32>(0);
        let took = elapsed(|| {
            select! {
                recv(r) -> _ => panic!("nobody sends"),
                send(s, 1) -> _ => panic!("nobody receives"),
                default(HOUR) => {}
            }
        });
        assert_eq!(took, HOUR);
        let mut choice = Select::new();
        choice.recv(&r);
        choice.send(&s);
        assert_eq!(elapsed(|| assert!(choice.select_timeout(HOUR).is_err())), HOUR);
        assert_eq!(elapsed(|| assert!(choice.ready_timeout(HOUR).is_err())), HOUR);
        let deadline = clock() + HOUR;
        assert_eq!(elapsed(|| assert!(choice.select_deadline(deadline).is_err())), HOUR);
        let deadline = clock() + HOUR;
        assert_eq!(elapsed(|| assert!(choice.ready_deadline(deadline).is_err())), HOUR);
    });
}

#[test]
fn a_moment_comes_on_time() {
    run_virtual(|| {
        let start = clock();
        assert_eq!(after(HOUR).recv(), Ok(start + HOUR));
        assert_eq!(clock(), start + HOUR);
        assert_eq!(at(start + 2 * HOUR).recv(), Ok(start + 2 * HOUR));
        assert_eq!(clock(), start + 2 * HOUR);
        assert_eq!(at(start).recv(), Ok(start), "it was long ago");
        let odd = Duration::from_nanos(1_234_567);
        assert_eq!(after(odd).recv(), Ok(start + 2 * HOUR + odd));
        assert_eq!(clock(), start + 2 * HOUR + odd);
    });
}

#[test]
fn ticks_keep_their_phase() {
    run_virtual(|| {
        let (start, r) = (clock(), tick(HOUR));
        for number in 1..100 {
            assert_eq!(r.recv(), Ok(start + HOUR * number));
            assert_eq!(clock(), start + HOUR * number);
            sleep(ms(u64::from(number) * 1000));
        }
    });
}

#[test]
fn a_tick_that_is_fetched_late_shifts_nothing() {
    run_virtual(|| {
        let (start, r) = (clock(), tick(secs(10)));
        sleep(secs(35));
        assert_eq!(r.recv(), Ok(start + secs(10)), "the first that was missed, once");
        assert_eq!(r.len(), 0);
        assert_eq!(r.recv(), Ok(start + secs(40)));
        assert_eq!(r.recv(), Ok(start + secs(50)));
    });
}

#[test]
fn selects_are_woken_on_time() {
    run_virtual(|| {
        let (start, (_s, r)) = (clock(), bounded::<i32>(0));
        let (late, early, ticks) = (after(2 * HOUR), at(start + HOUR), tick(HOUR + secs(1)));
        let mut seen = Vec::new();
        for _ in 0..4 {
            select! {
                recv(r) -> _ => panic!("nobody sends"),
                recv(late) -> when => seen.push(("late", when.unwrap() - start)),
                recv(early) -> when => seen.push(("early", when.unwrap() - start)),
                recv(ticks) -> when => seen.push(("tick", when.unwrap() - start)),
            }
            assert_eq!(clock() - start, seen.last().unwrap().1);
        }
        let expected = [
            ("early", HOUR),
            ("tick", HOUR + secs(1)),
            ("late", 2 * HOUR),
            ("tick", 2 * (HOUR + secs(1))),
        ];
        assert_eq!(seen, expected);
    });
}

#[test]
fn a_message_that_comes_first_is_received_and_the_timer_is_gone() {
    run_virtual(|| {
        for (s, r) in all_kinds() {
            pool(|pool| {
                pool.spawn(|| {
                    sleep(secs(1));
                    s.send(7).unwrap();
                });
                let took = elapsed(|| assert_eq!(r.recv_timeout(HOUR), Ok(7)));
                assert_eq!(took, secs(1));
            });
            let took = elapsed(|| {
                pool(|pool| {
                    pool.spawn(|| s.send_timeout(8, HOUR).unwrap());
                    assert_eq!(r.recv(), Ok(8));
                });
            });
            assert_eq!(took, Duration::ZERO);
        }
    });
}

#[test]
fn of_many_deadlines_each_ends_its_own_wait() {
    run_virtual(|| {
        let ((_s, r), order) = (bounded::<i32>(0), RefCell::new(Vec::new()));
        pool(|pool| {
            for number in [5, 3, 9, 1, 3, 7] {
                let (r, order) = (&r, &order);
                pool.spawn(move || {
                    let timeout = secs(number);
                    assert_eq!(elapsed(|| assert!(r.recv_timeout(timeout).is_err())), timeout);
                    order.borrow_mut().push(number);
                });
            }
        });
        assert_eq!(order.take(), [1, 3, 3, 5, 7, 9]);
    });
}

#[test]
fn waits_for_a_moment_are_cut_and_leave_it_to_the_next() {
    run_virtual(|| {
        type Makes = fn() -> Receiver<Instant>;
        let makers: [Makes; 3] = [|| after(HOUR), || at(clock() + HOUR), || tick(HOUR)];
        for make in makers {
            let (start, r) = (clock(), make());
            assert!(skip_after(secs(1), |_| r.recv()).is_none());
            pool(|pool| {
                let cut = pool.spawn(|| r.recv());
                settle();
                cut.cancel();
                assert!(cut.join().unwrap_err().is_cancelled());
            });
            assert_eq!(r.recv(), Ok(start + HOUR));
            assert_eq!(clock(), start + HOUR);
        }
    });
}

#[test]
fn waits_for_a_moment_are_checkpoints() {
    run_virtual(|| {
        assert!(assert_checkpoint(|| after(Duration::ZERO).recv()).is_ok());
        assert!(assert_checkpoint(|| tick(secs(1)).recv()).is_ok());
        assert!(assert_checkpoint(|| never::<i32>().recv_timeout(secs(1))).is_err());
        pool(|pool| {
            pool.spawn(|| {
                let due = after(Duration::ZERO);
                task::current().cancel();
                assert!(raised(|| due.recv()));
                assert!(due.try_recv().is_ok(), "it was left");
                assert!(raised(|| never::<i32>().recv()));
                assert!(raised(yield_now));
            });
        });
    });
}

#[test]
fn never_waits_until_it_is_cut() {
    run_virtual(|| {
        let took = elapsed(|| assert!(with_timeout(HOUR, |_| never::<i32>().recv()).is_err()));
        assert_eq!(took, HOUR);
        pool(|pool| {
            let waits = pool.spawn(|| never::<i32>().iter().count());
            sleep(HOUR);
            assert!(!waits.is_finished());
            waits.cancel();
        });
    });
}

#[test]
fn a_time_beyond_the_clock_is_for_ever() {
    run_virtual(|| {
        let (s, r) = bounded(0);
        pool(|pool| {
            let receives = pool.spawn(|| r.recv_timeout(Duration::MAX));
            let ends = pool.spawn(|| skip_after(HOUR, |_| after(Duration::MAX).recv()));
            assert!(ends.join().unwrap().is_none());
            s.send_timeout(7, Duration::MAX).unwrap();
            assert_eq!(receives.join().unwrap(), Ok(7));
        });
    });
}

/// The clock that made a moment is the one that it comes by.
#[test]
fn on_a_plain_thread_moments_come_by_the_real_clock() {
    let start = clock();
    let when = after(ms(3)).recv().unwrap();
    assert!(when >= start + ms(3) && clock() >= when);
    let ticks = tick(ms(1));
    (0..3).for_each(|_| assert!(ticks.recv().is_ok()));
    assert!(clock() >= start + ms(6));
}

/// Made outside of a runtime on the real clock, and waited for inside.
#[test]
fn a_moment_may_be_waited_for_in_a_task_that_did_not_make_it() {
    let (start, moment, ticks) = (clock(), after(ms(3)), tick(ms(2)));
    giambio::run(|| {
        pool(|pool| {
            pool.spawn(|| assert!(moment.recv().is_ok_and(|when| when >= start + ms(3))));
            pool.spawn(|| (0..2).for_each(|_| assert!(ticks.recv().is_ok())));
        });
        assert!(clock() >= start + ms(4));
    });
}
