//! Calls on a big stack that park, and what the others do meanwhile.

use crate::Log;
use crate::big_stack::live;
use crate::big_stack::nested;
use crate::big_stack::small;
use crate::elapsed;
use crate::ms;
use crate::secs;
use crate::tcp::pair;
use giambio::TooSlow;
use giambio::finally;
use giambio::lowlevel::Parker;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::on_big_stack;
use giambio::pool;
use giambio::run;
use giambio::shield;
use giambio::skip_after;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::try_pool;
use giambio::with_timeout;
use giambio::yield_now;
use std::hint::black_box;
use std::io::Read;
use std::io::Write;
use std::num::ParseIntError;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

#[test]
fn smoke() {
    run_virtual(|| assert_eq!(elapsed(|| on_big_stack(MIB, || sleep(secs(2)))), secs(2)));
}

#[test]
fn a_sleep_inside_takes_its_time_and_the_others_run() {
    run_virtual(|| {
        let log = Log::default();
        pool(|pool| {
            small(pool, || {
                on_big_stack(MIB, || {
                    sleep(secs(3));
                    log.add("big");
                });
                sleep(secs(3));
                log.add("back");
            });
            for second in [2, 4] {
                let log = &log;
                pool.spawn(move || {
                    sleep(secs(second));
                    log.add(format!("{second} s"));
                });
            }
        });
        log.assert(&["2 s", "big", "4 s", "back"]);
    });
}

#[test]
fn tasks_parked_inside_take_turns_and_keep_their_locals() {
    run(|| {
        let log = Log::default();
        pool(|pool| {
            for (name, depth) in [("a", 1), ("b", 0), ("c", 3), ("d", 2)] {
                let log = &log;
                pool.spawn(move || {
                    nested(depth, || {
                        let locals = black_box([name.as_bytes()[0]; 4 * KIB]);
                        for round in 0..3 {
                            log.add(format!("{name}{round}"));
                            yield_now();
                        }
                        assert!(locals.iter().all(|&byte| byte == name.as_bytes()[0]));
                    });
                    log.add(format!("{name} ends"));
                });
            }
        });
        log.assert(&[
            "a0", "b0", "c0", "d0", "a1", "b1", "c1", "d1", "a2", "b2", "c2", "d2", "a ends",
            "b ends", "c ends", "d ends",
        ]);
    });
}

#[test]
fn calls_that_overlap_end_in_any_order() {
    run_virtual(|| {
        let log = Log::default();
        pool(|pool| {
            for (name, first, second) in [("a", 1, 7), ("b", 2, 2), ("c", 3, 3), ("d", 5, 0)] {
                let log = &log;
                small(pool, move || {
                    on_big_stack(MIB, || {
                        let locals = black_box([first; 4 * KIB]);
                        sleep(secs(first));
                        on_big_stack(2 * MIB, || sleep(secs(second)));
                        assert_eq!(locals, [first; 4 * KIB]);
                    });
                    log.add(format!("{name} after {} s", first + second));
                });
            }
            sleep(secs(1) + ms(500));
            assert_eq!(live(), 1 + 4 + 4 + 1); // main, the tasks, their calls, one call in a call
        });
        log.assert(&["b after 4 s", "d after 5 s", "c after 6 s", "a after 8 s"]);
        assert_eq!(live(), 1);
    });
}

#[test]
fn a_child_may_be_spawned_from_inside_and_joined_anywhere() {
    run_virtual(|| {
        let log = Log::default();
        pool(|outer| {
            let (inner, to_outer) = on_big_stack(MIB, || {
                let inner = pool(|inner| {
                    let task = inner.spawn(|| on_big_stack(MIB, || log.add("child of the inner")));
                    task.join().unwrap();
                    inner.spawn(|| {
                        sleep(secs(1));
                        log.add("joined by the end of the pool");
                    });
                    1
                });
                log.add("the inner pool has ended");
                (inner, outer.spawn(|| 2))
            });
            assert_eq!(inner + to_outer.join().unwrap(), 3);
        });
        log.assert(&[
            "child of the inner",
            "joined by the end of the pool",
            "the inner pool has ended",
        ]);
    });
}

#[test]
fn a_timeout_inside_cuts_what_is_inside_and_one_around_cuts_the_call() {
    run_virtual(|| {
        let cut = on_big_stack(MIB, || with_timeout(secs(1), |_| sleep(secs(5))));
        assert_eq!(cut, Err(TooSlow));
        let took = elapsed(|| {
            let cut = with_timeout(secs(2), |_| on_big_stack(MIB, || sleep(secs(5))));
            assert_eq!(cut, Err(TooSlow));
        });
        assert_eq!(took, secs(2));
        let kept = with_timeout(secs(2), |_| on_big_stack(MIB, || sleep(secs(1))));
        assert_eq!(kept, Ok(()));
        assert_eq!(live(), 1);
    });
}

#[test]
fn sockets_work_inside() {
    run(|| {
        let (ours, theirs) = pair();
        pool(|pool| {
            small(pool, || {
                on_big_stack(MIB, || {
                    let mut byte = [0];
                    while (&theirs).read(&mut byte).unwrap() > 0 {
                        (&theirs).write_all(&[byte[0] + 1]).unwrap();
                    }
                });
            });
            small(pool, || {
                nested(2, || {
                    for byte in 0..10 {
                        (&ours).write_all(&[byte]).unwrap();
                        let mut answer = [0];
                        (&ours).read_exact(&mut answer).unwrap();
                        assert_eq!(answer, [byte + 1]);
                    }
                    ours.shutdown(std::net::Shutdown::Both).unwrap();
                });
            });
        });
    });
}

#[test]
fn connecting_and_accepting_work_inside() {
    run(|| {
        let listener = on_big_stack(MIB, || TcpListener::bind("127.0.0.1:0").unwrap());
        pool(|pool| {
            let accepted = pool.spawn(|| on_big_stack(MIB, || listener.accept().unwrap().1));
            settle();
            let address = listener.local_addr().unwrap();
            let stream = on_big_stack(MIB, || TcpStream::connect(address).unwrap());
            assert_eq!(accepted.join().unwrap(), stream.local_addr().unwrap());
        });
    });
}

#[test]
fn a_park_inside_is_ended_by_another_thread() {
    run(|| {
        let parker = Parker::new();
        let unparker = parker.unparker();
        std::thread::scope(|threads| {
            pool(|pool| {
                let waiter = pool.spawn(|| on_big_stack(MIB, || parker.park()));
                settle();
                threads.spawn(move || unparker.unpark());
                waiter.join().unwrap();
            });
        });
    });
}

#[test]
fn finally_and_shield_work_inside_and_around() {
    run_virtual(|| {
        let log = Log::default();
        let cut = skip_after(secs(1), |_| {
            finally(
                || {
                    on_big_stack(MIB, || {
                        shield(|| sleep(secs(2)));
                        log.add("not cut");
                        finally(sleep_forever, || {
                            on_big_stack(MIB, || sleep(secs(2)));
                            log.add("cleanup inside");
                        })
                    })
                },
                || {
                    on_big_stack(MIB, || sleep(secs(2)));
                    log.add("cleanup around");
                },
            )
        });
        assert!(cut.is_none());
        log.assert(&["not cut", "cleanup inside", "cleanup around"]);
        assert_eq!(live(), 1);
    });
}

#[test]
fn question_marks_work_inside_of_a_try_pool() {
    fn parse(text: &str) -> Result<i32, ParseIntError> {
        on_big_stack(MIB, || {
            yield_now();
            let number = text.parse::<i32>()?;
            Ok(number)
        })
    }
    run(|| {
        let sum = |texts: [&'static str; 2]| {
            try_pool(|pool| {
                let task = pool.spawn(move || parse(texts[0]));
                let number = on_big_stack(MIB, || parse(texts[1]))?;
                Ok(number + on_big_stack(MIB, || task.join().unwrap()))
            })
        };
        assert_eq!(sum(["1", "2"]), Ok(3));
        assert!(sum(["1", "x"]).is_err());
        assert!(sum(["x", "2"]).is_err());
        assert_eq!(live(), 1);
    });
}

/// Does what a seed says, up to `left` calls deep, and checks that its frame is as it was.
fn wander(seed: u64, left: u32) -> u32 {
    let next = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let locals = black_box([next; 32]);
    let pause = ms(next >> 40 & 7);
    let go_on = || wander(next, left - 1);
    let steps = match next >> 61 {
        _ if left == 0 => 0,
        0 | 1 => on_big_stack(256 * KIB, go_on),
        2 => shield(go_on),
        3 => skip_after(pause, |_| on_big_stack(MIB, go_on)).unwrap_or_default(),
        4 => pool(|pool| pool.spawn(move || wander(next, left / 2)).join().unwrap_or_default()),
        5 => {
            yield_now();
            go_on()
        }
        _ => {
            sleep(pause);
            go_on()
        }
    };
    assert_eq!(locals, [next; 32]);
    steps + 1
}

#[test]
fn five_hundred_tasks_that_wander_about_and_are_cut_leave_nothing_behind() {
    run_virtual(|| {
        for limit in [3, 30, 3_000] {
            let mut steps = 0;
            let cut = skip_after(ms(limit), |pool| {
                let tasks: Vec<_> =
                    (0..500).map(|seed| pool.spawn(move || wander(seed, 30))).collect();
                for task in tasks {
                    steps += task.join().unwrap_or_default();
                }
            });
            assert_eq!(cut.is_some(), limit == 3_000);
            assert_eq!(steps > 500, limit == 3_000, "{steps}");
            assert_eq!(live(), 1);
        }
    });
}
