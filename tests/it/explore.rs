//! Schedules: which of the tasks that can run does, and what other orders bring to light.

use crate::Log;
use crate::fail;
use crate::ms;
use crate::panic_of;
use crate::secs;
use giambio::Builder;
use giambio::lowlevel::Parker;
use giambio::pool;
use giambio::sleep;
use giambio::sync::Event;
use giambio::sync::Semaphore;
use giambio::testing;
use giambio::testing::Schedule;
use giambio::testing::explore;
use giambio::testing::run_virtual;
use giambio::with_timeout;
use giambio::yield_now;
use std::cell::Cell;
use std::cell::RefCell;
use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;

/// Runs `main` on the virtual clock, in the order of a schedule.
fn scheduled<T>(schedule: Schedule, main: impl FnOnce() -> T) -> T {
    testing::builder().schedule(schedule).build().unwrap().run(main)
}

/// What a program says that sleeps, wakes others and opens pools in pools.
fn trace(schedule: Schedule) -> Vec<String> {
    let log = Log::default();
    scheduled(schedule, || {
        let (event, permits) = (Event::new(), Semaphore::new(2));
        pool(|outer| {
            for n in 0..5 {
                let (log, event, permits) = (&log, &event, &permits);
                outer.spawn(move || {
                    log.add(format!("{n} begins"));
                    yield_now();
                    let _permit = permits.acquire();
                    pool(|inner| {
                        inner.spawn(|| {
                            sleep(ms(n % 2));
                            log.add(format!("{n}'s first"));
                        });
                        inner.spawn(|| log.add(format!("{n}'s second")));
                    });
                    event.wait();
                    log.add(format!("{n} ends"));
                });
            }
            sleep(ms(1));
            log.add("the event");
            event.trigger(()).unwrap();
        });
    });
    log.take()
}

/// The order in which four tasks run.
fn order_of_four(schedule: Schedule) -> Vec<i32> {
    let order = RefCell::new(Vec::new());
    scheduled(schedule, || {
        pool(|pool| {
            for n in [1, 2, 3, 4] {
                let order = &order;
                pool.spawn(move || order.borrow_mut().push(n));
            }
        });
    });
    order.into_inner()
}

#[test]
fn smoke() {
    let runs = Cell::new(0);
    explore(0..10, || {
        let sum = pool(|pool| [1, 2].map(|n| pool.spawn(move || n)).map(|n| n.join().unwrap()));
        assert_eq!(sum, [1, 2]);
        runs.set(runs.get() + 1);
    });
    assert_eq!(runs.get(), 10);
}

#[test]
fn without_a_schedule_the_first_that_could_run_does() {
    assert_eq!(Schedule::default(), Schedule::Fifo);
    assert_eq!(order_of_four(Schedule::Fifo), [1, 2, 3, 4]);
    let steps = |run: &dyn Fn(&dyn Fn())| {
        let log = Log::default();
        run(&|| {
            pool(|pool| {
                for name in ["a", "b", "c"] {
                    let log = &log;
                    pool.spawn(move || {
                        for step in 1..=2 {
                            log.add(format!("{name}{step}"));
                            yield_now();
                        }
                    });
                }
            });
        });
        log.assert(&["a1", "b1", "c1", "a2", "b2", "c2"]);
    };
    steps(&|main| giambio::run(main));
    steps(&|main| run_virtual(main));
    steps(&|main| Builder::new().build().unwrap().run(main));
    steps(&|main| scheduled(Schedule::Fifo, main));
}

#[test]
fn the_same_seed_gives_the_same_order() {
    for seed in (0..50).chain([u64::MAX]) {
        assert_eq!(trace(Schedule::Seed(seed)), trace(Schedule::Seed(seed)), "seed {seed}");
    }
}

#[test]
fn other_seeds_give_other_orders() {
    let orders: HashSet<_> = (0..50).map(|seed| trace(Schedule::Seed(seed))).collect();
    assert!(orders.len() > 45, "{} orders of 50 seeds", orders.len());
    let fifo = trace(Schedule::Fifo);
    assert!(!orders.contains(&fifo), "this could be, but the program has many thousand orders");
}

#[test]
fn some_hundred_seeds_reach_every_order_of_four_tasks() {
    let order = |seed| order_of_four(Schedule::Seed(seed));
    let orders: HashSet<_> = (0..300).map(order).collect();
    assert_eq!(orders.len(), 24);
    let far_away: HashSet<_> = (0..300).map(|n| order(u64::MAX - n)).collect();
    assert_eq!(far_away.len(), 24);
}

#[test]
fn no_order_of_four_tasks_is_much_rarer_than_others() {
    let mut counts = [[0; 4]; 4];
    for seed in 0..1_000 {
        for (place, task) in order_of_four(Schedule::Seed(seed)).into_iter().enumerate() {
            counts[place][task as usize - 1] += 1;
        }
    }
    for (place, counts) in counts.iter().enumerate() {
        for (task, count) in counts.iter().enumerate() {
            assert!((150..350).contains(count), "task {task} was {count} times at {place}");
        }
    }
}

#[test]
fn the_lowest_and_the_highest_seed_are_seeds_like_others() {
    for seed in [0, 1, u64::MAX - 1, u64::MAX] {
        // In a hundred rounds of one run each of four tasks is first at some time.
        let mut first = HashSet::new();
        scheduled(Schedule::Seed(seed), || {
            for _ in 0..100 {
                let order = RefCell::new(Vec::new());
                pool(|pool| {
                    for n in 0..4 {
                        let order = &order;
                        pool.spawn(move || order.borrow_mut().push(n));
                    }
                });
                first.insert(order.borrow()[0]);
            }
        });
        assert_eq!(first.len(), 4, "seed {seed}");
    }
}

#[test]
fn a_seed_orders_tasks_on_the_real_clock_too() {
    let order = |seed| {
        let log = Log::default();
        Builder::new().schedule(Schedule::Seed(seed)).build().unwrap().run(|| {
            pool(|pool| {
                for n in 0..8 {
                    let log = &log;
                    pool.spawn(move || log.add(n.to_string()));
                }
            });
        });
        log.take()
    };
    assert_eq!(order(1), order(1));
    let orders: HashSet<_> = (0..20).map(order).collect();
    assert!(orders.len() > 15);
}

#[test]
fn time_stands_still_in_every_order_while_a_task_can_run() {
    explore(0..50, || {
        let start = giambio::clock();
        pool(|pool| {
            pool.spawn(|| {
                for _ in 0..100 {
                    yield_now();
                }
                assert_eq!(giambio::clock(), start);
            });
            pool.spawn(|| assert!(with_timeout(secs(1), |_| sleep(secs(2))).is_err()));
        });
        assert_eq!(giambio::clock() - start, secs(1));
    });
}

#[test]
fn a_failing_seed_is_named_and_fails_again() {
    let fails = |seed| {
        let main = || match order_of_two() {
            [2, 1] => fail("the second was first"),
            _ => sleep(ms(1)),
        };
        catch_unwind(AssertUnwindSafe(|| explore([seed], main))).is_err()
    };
    let failing: Vec<_> = (0..20).filter(|&seed| fails(seed)).collect();
    assert!((3..18).contains(&failing.len()), "{failing:?}");
    assert!(failing.iter().all(|&seed| fails(seed)), "a seed did not fail again");
    let main = || assert_eq!(order_of_two(), [1, 2], "the second was first");
    let said = panic_of(|| explore(0..20, main));
    let first = failing[0];
    assert!(said.starts_with(&format!("seed {first} fails: assertion")), "{said}");
    assert!(said.contains("the second was first"), "{said}");
    assert!(said.ends_with(&format!("; `explore([{first}], ..)` replays it")), "{said}");
}

/// In the running task's runtime.
fn order_of_two() -> [i32; 2] {
    let order = Cell::new([0, 0]);
    pool(|pool| {
        for n in [1, 2] {
            let order = &order;
            pool.spawn(move || order.set([order.get()[1], n]));
        }
    });
    order.get()
}

#[test]
fn a_seed_is_named_whatever_the_panic_carries() {
    let said = panic_of(|| explore([7], || resume_unwind(Box::new(1))));
    assert_eq!(said, "seed 7 fails: (no message); `explore([7], ..)` replays it");
}

#[test]
fn what_comes_after_a_seed_that_fails_is_not_run() {
    let seeds = RefCell::new(Vec::new());
    let mut next = 0..;
    let noted = (5..9).inspect(|&seed| seeds.borrow_mut().push(seed));
    let ends = Cell::new(0);
    panic_of(|| {
        explore(noted, || {
            if ends.replace(ends.get() + 1) == 1 {
                fail("now")
            }
        })
    });
    assert_eq!(*seeds.borrow(), [5, 6]);
    // And the thread is as it was.
    assert_eq!(giambio::run(|| next.next()), Some(0));
}

#[test]
fn no_seed_is_no_run() {
    explore([], || fail("it ran"));
}

/// A bug that only some orders show.
#[track_caller]
fn only_exploring_finds(bug: fn(), message: &str) {
    run_virtual(bug);
    let said = panic_of(|| explore(0..200, bug));
    assert!(said.contains(message), "{said}");
}

/// Looks, says good night, and parks: who wakes it in between wakes nobody.
fn loses_a_wake_up() {
    let (ready, waits) = (Cell::new(false), Cell::new(false));
    let parker = Parker::new();
    let unparker = parker.unparker();
    pool(|pool| {
        pool.spawn(|| {
            ready.set(true);
            if waits.get() {
                unparker.unpark();
            }
        });
        pool.spawn(|| {
            if !ready.get() {
                yield_now();
                waits.set(true);
                parker.park();
            }
        });
    });
}

#[test]
fn exploring_finds_a_lost_wake_up() {
    only_exploring_finds(loses_a_wake_up, "every task waits, and no deadline is left to jump to");
}

/// Two tasks take two locks each, in opposite orders.
fn takes_locks_crosswise() {
    let (one, other) = (Semaphore::new(1), Semaphore::new(1));
    pool(|pool| {
        pool.spawn(|| {
            let _first = one.acquire();
            yield_now();
            let _second = other.acquire();
        });
        pool.spawn(|| {
            yield_now();
            let _first = other.acquire();
            let _second = one.acquire();
        });
    });
}

#[test]
fn exploring_finds_locks_that_are_taken_crosswise() {
    only_exploring_finds(takes_locks_crosswise, "waits for a permit");
}

/// Looks whether there is enough, lets others go first, and takes it.
fn looks_too_early() {
    let balance = Cell::new(100);
    pool(|pool| {
        pool.spawn(|| {
            if balance.get() >= 60 {
                yield_now();
                balance.set(balance.get() - 60);
            }
        });
        pool.spawn(|| {
            yield_now();
            if balance.get() >= 60 {
                balance.set(balance.get() - 60);
            }
        });
    });
    assert!(balance.get() >= 0, "there was not enough");
}

#[test]
fn exploring_finds_what_is_looked_at_too_early() {
    only_exploring_finds(looks_too_early, "there was not enough");
}

/// Relies on the order of two spawns.
fn uses_what_a_sibling_makes() {
    let made = Cell::new(None);
    pool(|pool| {
        pool.spawn(|| made.set(Some(7)));
        pool.spawn(|| assert!(made.get().is_some(), "it was not there"));
    });
}

#[test]
fn exploring_finds_who_relies_on_the_order_of_spawns() {
    only_exploring_finds(uses_what_a_sibling_makes, "it was not there");
}

#[test]
fn exploring_finds_nothing_where_there_is_nothing() {
    explore(0..200, || {
        let (balance, lock) = (Cell::new(100), Semaphore::new(1));
        pool(|pool| {
            for _ in 0..3 {
                pool.spawn(|| {
                    let _locked = lock.acquire();
                    if balance.get() >= 60 {
                        yield_now();
                        balance.set(balance.get() - 60);
                    }
                });
            }
        });
        assert_eq!(balance.get(), 40);
    });
}

/// The most steps that any of `tasks` had to wait for its turn while all of them could run.
fn longest_wait(schedule: Schedule, tasks: usize, steps: u32) -> u32 {
    let (now, longest) = (Cell::new(0), Cell::new(0));
    scheduled(schedule, || {
        pool(|pool| {
            for _ in 0..tasks {
                pool.spawn(|| {
                    let mut last = 0;
                    while now.get() < steps {
                        now.set(now.get() + 1);
                        longest.set(longest.get().max(now.get() - last));
                        last = now.get();
                        yield_now();
                    }
                });
            }
        });
    });
    longest.get()
}

#[test]
fn a_random_order_starves_nobody() {
    assert!(longest_wait(Schedule::Fifo, 10, 10_000) <= 11);
    for seed in 0..20 {
        // With odds of 9 in 10 to be passed over, a wait of 200 turns happens once in 10^9 turns.
        let longest = longest_wait(Schedule::Seed(seed), 10, 10_000);
        assert!(longest < 200, "one of 10 tasks waited for {longest} turns, with seed {seed}");
        // Of 63 in 64, among those that are first in a longer queue.
        let longest = longest_wait(Schedule::Seed(seed), 200, 20_000);
        assert!(longest < 2_000, "one of 200 tasks waited for {longest} turns, with seed {seed}");
    }
}

#[test]
fn deadlines_and_io_are_looked_at_in_every_order() {
    for seed in 0..20 {
        Builder::new().schedule(Schedule::Seed(seed)).build().unwrap().run(|| {
            let over = Cell::new(false);
            pool(|pool| {
                for _ in 0..10 {
                    pool.spawn(|| {
                        while !over.get() {
                            yield_now();
                        }
                    });
                }
                let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
                pool.spawn(|| {
                    giambio::lowlevel::wait_readable(ours).unwrap();
                    sleep(ms(1));
                    over.set(true);
                });
                pool.spawn(|| drop(theirs));
            });
        });
    }
}

#[test]
fn ten_thousand_tasks_run_in_a_random_order() {
    const TASKS: usize = 10_000;
    let order = |seed| {
        let order = RefCell::new(Vec::with_capacity(TASKS));
        scheduled(Schedule::Seed(seed), || {
            pool(|pool| {
                for n in 0..TASKS {
                    let order = &order;
                    pool.spawn(move || {
                        yield_now();
                        sleep(ms(n as u64 % 3));
                        order.borrow_mut().push(n);
                    });
                }
            });
            assert_eq!(giambio::debug::stacks().unwrap().live, 1);
        });
        order.into_inner()
    };
    let first = order(1);
    assert!(!first.is_sorted());
    assert_eq!(first.iter().collect::<HashSet<_>>().len(), TASKS);
    assert_eq!(order(1), first);
    assert_ne!(order(2), first);
}

#[test]
fn who_waits_longest_is_served_first_in_every_order() {
    explore(0..100, || {
        let (permits, came, served) = (Semaphore::new(0), Cell::new(0), RefCell::new(Vec::new()));
        pool(|pool| {
            for _ in 0..5 {
                pool.spawn(|| {
                    let place = came.replace(came.get() + 1);
                    permits.acquire().forget();
                    served.borrow_mut().push(place);
                });
            }
            testing::settle();
            for place in 0..5 {
                permits.add_permits(1);
                testing::settle();
                assert_eq!(served.borrow().last(), Some(&place));
            }
        });
    });
}
