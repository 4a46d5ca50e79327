//! The loop in a host's hands: what a tick does, and where it is refused.

use crate::Log;
use crate::fail;
use crate::logged;
use crate::ms;
use crate::named;
use crate::panic_of;
use crate::secs;
use giambio::Builder;
use giambio::Canceller;
use giambio::Driver;
use giambio::Runtime;
use giambio::Tick;
use giambio::cancellable;
use giambio::clock;
use giambio::debug::Debugger;
use giambio::debug::TaskRef;
use giambio::debug::stacks;
use giambio::lowlevel;
use giambio::lowlevel::Parker;
use giambio::pool;
use giambio::run;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::task;
use giambio::testing;
use giambio::testing::Schedule;
use giambio::testing::settle;
use giambio::yield_now;
use std::cell::Cell;
use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::time::Duration;

/// A tick that does not wait.
pub(crate) const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

pub(crate) fn runtime() -> Runtime {
    Builder::new().build().unwrap()
}

/// A runtime whose clock moves only in a tick.
pub(crate) fn on_a_virtual_clock() -> Runtime {
    testing::builder().build().unwrap()
}

/// Ticks until every task has ended; returns how many ticks that took.
pub(crate) fn drive_to_the_end<T>(driver: &Driver<'_, T>) -> usize {
    (1..).find(|_| driver.tick(None).is_done).unwrap()
}

#[test]
fn smoke() {
    assert_eq!(runtime().drive(|| 42, |driver| drive_to_the_end(driver)), (1, Some(42)));
}

#[test]
fn tasks_run_in_ticks_and_only_there() {
    let log = Log::default();
    let main = || {
        pool(|pool| {
            for name in ["first", "second"] {
                let log = &log;
                named(pool, name, move || {
                    log.add(format!("{name} begins"));
                    sleep(secs(1));
                    log.add(format!("{name} ends"));
                });
            }
            log.add("main waits");
        });
    };
    on_a_virtual_clock().drive(main, |driver| {
        log.add("- host");
        driver.tick(AT_ONCE);
        log.add("- host");
        driver.tick(Some(ms(999)));
        log.add("- host");
        driver.tick(Some(ms(1)));
        log.add("- host");
        assert!(driver.is_done());
    });
    log.assert(&[
        "- host",
        "main waits",
        "first begins",
        "second begins",
        "- host",
        "- host",
        "first ends",
        "second ends",
        "- host",
    ]);
}

#[test]
fn a_tick_counts_its_steps_and_says_what_is_left() {
    let main = || {
        yield_now();
        sleep(secs(5));
        yield_now();
    };
    on_a_virtual_clock().drive(main, |driver| {
        let start = clock();
        let Tick { steps, is_done, is_ready, next_deadline, .. } = driver.tick(AT_ONCE);
        assert_eq!((steps, is_done, is_ready), (2, false, false));
        assert_eq!(next_deadline, Some(start + secs(5)));
        let waiting = driver.tick(AT_ONCE);
        assert_eq!((waiting.steps, waiting.next_deadline), (0, next_deadline));
        let last = driver.tick(Some(secs(9)));
        assert_eq!((last.steps, last.is_done, last.is_ready), (2, true, false));
        assert_eq!(last.next_deadline, None);
        assert_eq!(clock() - start, secs(5));
        let after = driver.tick(None);
        assert_eq!((after.steps, after.is_done, after.is_ready), (0, true, false));
    });
}

#[test]
fn a_task_that_is_always_ready_does_not_keep_a_tick_from_returning() {
    let yields = Cell::new(0);
    let main = || {
        loop {
            yield_now();
            yields.set(yields.get() + 1);
        }
    };
    let ((), none) = runtime().drive(main, |driver| {
        let mut steps = 0;
        for _ in 0..100 {
            let tick = driver.tick(None);
            assert!(tick.is_ready && tick.steps > 1 && tick.steps < 1000, "{tick:?}");
            steps += tick.steps;
        }
        assert_eq!(yields.get(), steps - 1);
    });
    assert!(none.is_none());
}

#[test]
fn what_can_run_in_the_next_tick_is_first_there() {
    let order = RefCell::new(Vec::new());
    let main = || {
        pool(|pool| {
            for number in 0..200 {
                let order = &order;
                pool.spawn(move || order.borrow_mut().push(number));
            }
        });
    };
    runtime().drive(main, |driver| assert!(drive_to_the_end(driver) > 1));
    assert_eq!(order.into_inner(), (0..200).collect::<Vec<_>>());
}

#[test]
fn a_drive_inside_of_run_and_a_run_inside_of_drive_are_refused() {
    let mut other = runtime();
    let in_run = "giambio::Runtime::drive inside of giambio::run: start a pool instead";
    assert_eq!(run(|| panic_of(|| other.drive(|| (), |_| ()))), in_run);
    let main = || panic_of(|| run(|| ()));
    let (in_host, in_main) = runtime().drive(main, |driver| {
        let run = panic_of(|| run(|| ()));
        let drive = panic_of(|| other.drive(|| (), |_| ()));
        drive_to_the_end(driver);
        [run, drive]
    });
    assert_eq!(in_main.unwrap(), "giambio::run inside of giambio::run: start a pool instead");
    assert_eq!(
        in_host,
        [
            "giambio::run in the closure of `drive`, whose runtime has this thread",
            "giambio::Runtime::drive in the closure of `drive`, whose runtime has this thread",
        ]
    );
    assert_eq!(other.run(|| 1), 1);
}

#[test]
fn the_host_is_no_task() {
    on_a_virtual_clock().drive(sleep_forever, |driver| {
        assert!(panic_of(|| pool(|_| ())).contains("giambio::run"));
        assert!(panic_of(task::current).contains("giambio::run"));
        assert!(panic_of(settle).contains("giambio::run"));
        assert_eq!(stacks().unwrap().live, 0);
        driver.tick(Some(secs(3600)));
        driver.tick(Some(secs(3600)));
        assert_eq!(stacks().unwrap().live, 1);
        // The host's own waits are real ones, whatever the clock of the tasks says.
        let before = clock();
        sleep(ms(1));
        giambio::sleep_until(before + ms(1));
        assert_eq!(clock(), before);
        assert!(!Parker::new().park_timeout(ms(1)));
        assert_eq!(task::no_switch(|| driver.tick(AT_ONCE).steps), 0);
        assert_eq!(giambio::on_big_stack(1 << 20, || driver.tick(AT_ONCE).steps), 0);
    });
    assert!(stacks().is_none());
}

/// Parks, and then sleeps until it is cancelled.
pub(crate) fn park_then_sleep(
    parker: &Parker,
    canceller: &RefCell<Option<Canceller>>,
) -> Option<()> {
    cancellable(|pool| {
        *canceller.borrow_mut() = Some(pool.canceller());
        parker.park();
        sleep_forever()
    })
}

#[test]
fn the_host_wakes_and_cancels_tasks() {
    let parker = Parker::new();
    let unparker = parker.unparker();
    let canceller = RefCell::new(None);
    let main = || park_then_sleep(&parker, &canceller);
    let (_, value) = runtime().drive(main, |driver| {
        assert_eq!(driver.tick(AT_ONCE).steps, 1);
        assert_eq!(driver.tick(AT_ONCE).steps, 0);
        unparker.unpark();
        assert_eq!(driver.tick(None).steps, 1);
        canceller.take().unwrap().cancel();
        assert!(driver.tick(None).is_done);
    });
    assert_eq!(value, Some(None));
}

#[test]
fn a_tick_without_a_limit_waits_for_another_thread() {
    let parker = Parker::new();
    let unparker = parker.unparker();
    runtime().drive(
        || parker.park(),
        |driver| {
            driver.tick(AT_ONCE);
            let waker = std::thread::spawn(move || {
                std::thread::yield_now();
                unparker.unpark();
            });
            drive_to_the_end(driver);
            waker.join().unwrap();
        },
    );
}

#[test]
fn that_every_task_waits_is_no_deadlock_and_is_said_when_the_host_waits_as_well() {
    let parker = Parker::new();
    let unparker = parker.unparker();
    let main = || pool(|pool| drop(named(pool, "waits for the host", || parker.park())));
    let report = || logged("task 'waits for the host' (");
    assert!(report().is_empty());
    runtime().drive(main, |driver| {
        driver.tick(AT_ONCE);
        driver.tick(Some(ms(1)));
        assert!(report().is_empty());
        let waker = std::thread::spawn(move || {
            while report().is_empty() {
                std::thread::yield_now();
            }
            unparker.unpark();
        });
        drive_to_the_end(driver);
        waker.join().unwrap();
    });
    let [line] = &report()[..] else { panic!("not one report") };
    let why = "WARN: every task waits for the host or for another thread\n";
    assert!(line.starts_with(why), "{line}");
    assert!(line.contains("waits to be unparked"), "{line}");
}

/// The real time that `f` takes.
#[expect(clippy::disallowed_methods, reason = "real time is the subject")]
fn real_time(f: impl FnOnce()) -> Duration {
    let start = std::time::Instant::now();
    f();
    start.elapsed()
}

#[test]
fn a_tick_waits_for_as_long_as_it_may_and_no_longer() {
    let main = || sleep(secs(3600));
    runtime().drive(main, |driver| {
        driver.tick(AT_ONCE);
        for limit in [Duration::from_micros(300), ms(2), ms(30)] {
            let took = real_time(|| assert_eq!(driver.tick(Some(limit)).steps, 0));
            assert!(took >= limit && took < secs(60), "{took:?} for {limit:?}");
        }
        assert!(real_time(|| assert_eq!(driver.tick(AT_ONCE).steps, 0)) < secs(60));
    });
}

#[test]
fn a_deadline_ends_the_wait_of_a_tick() {
    let main = || [ms(1), ms(15)].map(|nap| real_time(|| sleep(nap)));
    let (_, naps) = runtime().drive(main, |driver| {
        let took = real_time(|| while !driver.tick(Some(secs(3600))).is_done {});
        assert!(took < secs(60), "{took:?}");
    });
    assert!(naps.unwrap().into_iter().zip([ms(1), ms(15)]).all(|(took, nap)| took >= nap));
}

#[test]
fn a_virtual_clock_moves_by_what_a_tick_may_wait_for() {
    on_a_virtual_clock().drive(
        || sleep(secs(10)),
        |driver| {
            let start = clock();
            driver.tick(Some(secs(3))); // runs main, and does not wait
            assert_eq!(clock() - start, secs(0));
            driver.tick(Some(secs(3)));
            assert_eq!(clock() - start, secs(3));
            driver.tick(AT_ONCE);
            assert_eq!(clock() - start, secs(3));
            assert!(driver.tick(None).is_done);
            assert_eq!(clock() - start, secs(10));
        },
    );
    on_a_virtual_clock().drive(sleep_forever, |driver| {
        let start = clock();
        driver.tick(AT_ONCE);
        driver.tick(None); // no deadline, and it does not hang
        assert_eq!(clock() - start, secs(0));
        driver.tick(Some(secs(3)));
        assert_eq!(clock() - start, secs(3));
    });
}

#[test]
fn settle_returns_within_the_ticks() {
    let log = Log::default();
    let main = || {
        pool(|pool| {
            pool.spawn(|| {
                yield_now();
                log.add("child parks");
                sleep(ms(1));
            });
            settle();
            log.add("settled");
        });
    };
    for mut runtime in [runtime(), on_a_virtual_clock()] {
        runtime.drive(main, |driver| {
            assert!(driver.tick(AT_ONCE).is_ready);
            driver.tick(AT_ONCE);
        });
        assert_eq!(log.take(), ["child parks", "settled"]);
    }
}

#[test]
fn a_seeded_schedule_orders_ticks_as_well() {
    let order = |seed| {
        let order = RefCell::new(Vec::new());
        let mut runtime = testing::builder().schedule(Schedule::Seed(seed)).build().unwrap();
        let main = || {
            pool(|pool| {
                for number in 0..8 {
                    let order = &order;
                    pool.spawn(move || order.borrow_mut().push(number));
                }
            });
        };
        runtime.drive(main, |driver| drive_to_the_end(driver));
        order.into_inner()
    };
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
}

#[test]
fn a_thousand_tasks_end_in_ticks() {
    let ended = Cell::new(0);
    let main = || {
        pool(|pool| {
            for number in 0..1000 {
                let ended = &ended;
                pool.spawn(move || {
                    sleep(ms(number % 7));
                    yield_now();
                    ended.set(ended.get() + 1);
                });
            }
        });
    };
    for host_stays in [true, false] {
        ended.set(0);
        on_a_virtual_clock().drive(main, |driver| {
            driver.tick(None);
            if host_stays {
                drive_to_the_end(driver);
            }
        });
        assert_eq!(ended.get(), if host_stays { 1000 } else { 0 });
    }
}

#[test]
fn a_callback_that_cannot_borrow_the_driver_ticks_by_the_thread() {
    assert!(lowlevel::tick(None).is_none());
    let ticked = Rc::new(Cell::new(0));
    let count = Rc::clone(&ticked);
    let callback: Box<dyn Fn() -> Option<Tick>> = Box::new(move || {
        let tick = lowlevel::tick(Some(secs(1)))?;
        count.set(count.get() + 1);
        Some(tick)
    });
    let main = || (0..3).for_each(|_| sleep(ms(1)));
    let (_, value) =
        on_a_virtual_clock().drive(main, |_driver| while !callback().unwrap().is_done {});
    assert_eq!((value, ticked.get()), (Some(()), 4));
    assert!(callback().is_none());
    assert!(run(|| std::thread::spawn(|| lowlevel::tick(None)).join()).unwrap().is_none());
}

#[test]
fn a_tick_inside_of_a_task_is_refused_and_the_task_goes_on() {
    let refused = "`giambio::lowlevel::tick` inside of a task: the loop runs already";
    let tick = || panic_of(|| lowlevel::tick(None));
    assert_eq!(run(tick), refused);
    let main = || {
        yield_now();
        [tick(), pool(|pool| pool.spawn(tick).join().unwrap())]
    };
    let (_, texts) = runtime().drive(main, |driver| drive_to_the_end(driver));
    assert_eq!(texts.unwrap(), [refused, refused]);
}

/// Writes down what it is told, and tries to tick.
struct TicksInItsHooks(Rc<Log>);

impl Debugger for TicksInItsHooks {
    fn on_start(&self) {
        self.0.add(panic_of(|| lowlevel::tick(None)));
    }
    fn on_task_spawn(&self, task: &TaskRef) {
        self.0.add(format!("spawned {}", task.name()));
    }
    fn before_task_step(&self, _: &TaskRef) {
        self.0.add(panic_of(|| lowlevel::tick(None)));
    }
    fn on_task_exit(&self, task: &TaskRef) {
        self.0.add(format!("exited {}", task.name()));
    }
    fn on_exit(&self) {
        self.0.add("on_exit");
    }
}

#[test]
fn hooks_are_paired_and_must_not_tick() {
    let log = Rc::new(Log::default());
    let debugger = TicksInItsHooks(Rc::clone(&log));
    let mut runtime = testing::builder().debugger(debugger).build().unwrap();
    runtime.drive(
        || (),
        |driver| {
            log.add("host");
            drive_to_the_end(driver);
            log.add("host");
        },
    );
    log.assert(&[
        "a blocking call in on_start, which must not block",
        "spawned main",
        "host",
        "a blocking call in before_task_step, which must not block",
        "exited main",
        "host",
        "on_exit",
    ]);
}

/// Ticks when it is dropped, and keeps what came of it.
struct TicksInItsDrop<'r, 'd, T>(&'r Driver<'d, T>, &'r RefCell<String>);

impl<T> Drop for TicksInItsDrop<'_, '_, T> {
    fn drop(&mut self) {
        let answer = catch_unwind(AssertUnwindSafe(|| self.0.tick(AT_ONCE).steps.to_string()));
        *self.1.borrow_mut() = answer.unwrap_or_else(|payload| panic_of(|| resume_unwind(payload)));
    }
}

#[test]
fn a_tick_in_a_destructor_is_refused_only_while_the_host_unwinds() {
    let text = RefCell::default();
    let unwinding = panic_of(|| {
        runtime().drive(sleep_forever, |driver| {
            drop(TicksInItsDrop(driver, &text));
            assert_eq!(*text.borrow(), "1");
            let _ticks = TicksInItsDrop(driver, &text);
            fail("unwinding")
        })
    });
    assert_eq!(unwinding, "unwinding");
    assert_eq!(*text.borrow(), "`Driver::tick` in a destructor while the thread unwinds");
}
