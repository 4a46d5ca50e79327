//! The descriptor of a driver: in a foreign loop it alone tells when a tick is due.

use crate::drive::AT_ONCE;
use crate::drive::on_a_virtual_clock;
use crate::drive::park_then_sleep;
use crate::drive::runtime;
use crate::ms;
use crate::secs;
use crate::tcp::pair;
use crate::threads::thread_id;
use crate::threads::until_asleep;
use giambio::Driver;
use giambio::clock;
use giambio::lowlevel;
use giambio::lowlevel::Parker;
use giambio::pool;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::testing::settle;
use giambio::yield_now;
use mio::Events;
use mio::Interest;
use mio::Poll;
use mio::Token;
use mio::unix::SourceFd;
use std::cell::RefCell;
use std::io;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A wait that takes longer has failed.
const PATIENCE_MS: libc::c_int = 30_000;

/// `poll(2)`: whether the descriptor becomes readable within some milliseconds.
fn becomes_readable(fd: &impl AsFd, within_ms: libc::c_int) -> bool {
    let mut entry = libc::pollfd { fd: fd.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: `entry` is one valid `pollfd`, borrowed for the call.
    let ready = unsafe { libc::poll(&raw mut entry, 1, within_ms) };
    assert!(ready >= 0, "{}", io::Error::last_os_error());
    ready > 0
}

/// Ticks whenever the descriptor says so, until every task has ended; how often that was.
#[track_caller]
fn follow<T>(driver: &Driver<'_, T>) -> usize {
    let mut ticks = 0;
    loop {
        assert!(becomes_readable(driver, PATIENCE_MS), "a tick was due, and nothing told so");
        ticks += 1;
        if driver.tick(AT_ONCE).is_done {
            return ticks;
        }
    }
}

/// Ticks until nothing can run, and checks that the descriptor says so.
#[track_caller]
fn calm_down<T>(driver: &Driver<'_, T>) {
    while becomes_readable(driver, 0) {
        driver.tick(AT_ONCE);
    }
    let tick = driver.tick(AT_ONCE);
    assert!(!tick.is_done && !tick.is_ready && tick.steps == 0, "{tick:?}");
    assert!(!becomes_readable(driver, 0));
}

#[test]
fn smoke() {
    let (ticks, value) = runtime().drive(|| 42, |driver| follow(driver));
    assert_eq!((ticks, value), (1, Some(42)));
}

#[test]
fn deadlines_near_and_far_are_in_the_descriptor() {
    let naps = [Duration::from_micros(100), ms(2), ms(15), ms(3)];
    let main = || naps.into_iter().for_each(sleep);
    let (ticks, _) = runtime().drive(main, |driver| follow(driver));
    assert!(ticks < 50, "{ticks} ticks for four sleeps");
}

#[test]
fn a_deadline_that_goes_away_or_comes_nearer_is_noticed() {
    let parker = Parker::new();
    let unparker = parker.unparker();
    let main = || {
        assert!(parker.park_timeout(secs(3600)));
        sleep(ms(1));
        parker.park();
    };
    runtime().drive(main, |driver| {
        calm_down(driver);
        unparker.unpark();
        assert!(becomes_readable(driver, PATIENCE_MS));
        driver.tick(AT_ONCE);
        assert!(becomes_readable(driver, PATIENCE_MS)); // the millisecond
        calm_down(driver);
        unparker.unpark();
        follow(driver);
    });
}

#[test]
fn a_deadline_that_has_passed_when_it_is_set_is_in_the_descriptor() {
    let main = || {
        let at = clock() + ms(2);
        for _ in 0..3 {
            pool(|pool| {
                pool.set_deadline(Some(at)); // the same for all: the second is late
                pool.spawn(|| sleep_forever());
            });
        }
    };
    runtime().drive(main, |driver| follow(driver));
}

#[test]
fn data_from_a_plain_thread_is_in_the_descriptor() {
    let (ours, theirs) = pair();
    let theirs = std::net::TcpStream::from(theirs);
    let main = || {
        let mut buf = [0; 8];
        (0..3).map(|_| (&ours).read(&mut buf).unwrap()).collect::<Vec<_>>()
    };
    let (_, counts) = runtime().drive(main, |driver| {
        calm_down(driver);
        std::thread::scope(|threads| {
            let host = thread_id();
            threads.spawn(move || {
                for count in [1, 2, 3] {
                    until_asleep(host);
                    (&theirs).write_all(&[7; 3][..count]).unwrap();
                    // The next one must not arrive together with it.
                    assert_eq!((&theirs).read(&mut [0; 1]).unwrap(), usize::from(count < 3));
                }
            });
            for _ in 0..3 {
                assert!(becomes_readable(driver, PATIENCE_MS));
                if driver.tick(AT_ONCE).is_done {
                    break;
                }
                (&ours).write_all(b"k").unwrap();
            }
            assert!(driver.is_done());
            ours.shutdown(giambio::net::Shutdown::Both).unwrap();
        });
    });
    assert_eq!(counts, Some(vec![1, 2, 3]));
}

#[test]
fn wake_ups_and_cancellations_of_another_thread_are_in_the_descriptor() {
    let parker = Parker::new();
    let unparker = parker.unparker();
    let canceller = RefCell::new(None);
    let main = || park_then_sleep(&parker, &canceller);
    let (_, value) = runtime().drive(main, |driver| {
        calm_down(driver);
        let host = thread_id();
        let canceller = canceller.take().unwrap();
        std::thread::scope(|threads| {
            threads.spawn(|| {
                until_asleep(host);
                unparker.unpark();
            });
            assert!(becomes_readable(driver, PATIENCE_MS));
            assert_eq!(driver.tick(AT_ONCE).steps, 1);
        });
        calm_down(driver);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                until_asleep(host);
                canceller.cancel();
            });
            follow(driver);
        });
    });
    assert_eq!(value, Some(None));
}

#[test]
fn what_the_host_itself_wakes_or_cancels_is_in_the_descriptor() {
    let parker = Parker::new();
    let unparker = parker.unparker();
    let canceller = RefCell::new(None);
    let main = || park_then_sleep(&parker, &canceller);
    runtime().drive(main, |driver| {
        calm_down(driver);
        unparker.unpark();
        assert!(becomes_readable(driver, 0));
        driver.tick(AT_ONCE);
        calm_down(driver);
        canceller.take().unwrap().cancel();
        assert!(becomes_readable(driver, 0));
        assert!(driver.tick(AT_ONCE).is_done);
    });
}

#[test]
fn what_a_tick_leaves_to_do_is_in_the_descriptor() {
    let main = || {
        (0..1000).for_each(|_| yield_now());
        pool(|pool| {
            pool.spawn(|| sleep(ms(1)));
            settle();
        });
    };
    let (ticks, _) = runtime().drive(main, |driver| follow(driver));
    assert!(ticks > 10);
}

#[test]
fn a_descriptor_that_is_asked_for_late_knows_what_happened_before() {
    let parker = Parker::new();
    let unparker = parker.unparker();
    let main = || {
        parker.park();
        sleep(ms(12));
    };
    runtime().drive(main, |driver| {
        assert!(!driver.tick(AT_ONCE).is_ready);
        std::thread::spawn(move || unparker.unpark()).join().unwrap();
        follow(driver);
    });
}

#[test]
fn a_later_drive_begins_with_a_quiet_descriptor() {
    let mut runtime = runtime();
    for _ in 0..3 {
        runtime.drive(|| sleep(secs(3600)), |driver| calm_down(driver));
        runtime.drive(|| sleep(ms(1)), |driver| follow(driver));
        runtime.run(|| sleep(ms(1)));
    }
}

#[test]
fn on_a_virtual_clock_no_deadline_is_in_the_descriptor() {
    on_a_virtual_clock().drive(
        || sleep(ms(1)),
        |driver| {
            calm_down(driver);
            assert!(!becomes_readable(driver, 5));
            driver.tick(Some(ms(1)));
            assert!(driver.is_done());
        },
    );
}

/// A foreign loop that is told of edges only, with a source of its own beside the driver; how many ticks
/// it took.
fn follow_edges<T>(driver: &Driver<'_, T>, mut own: UnixStream) -> usize {
    const DRIVER: Token = Token(1);
    const OWN: Token = Token(2);
    let mut poll = Poll::new().unwrap();
    let registry = poll.registry();
    for (fd, token) in [(driver.as_fd(), DRIVER), (own.as_fd(), OWN)] {
        registry.register(&mut SourceFd(&fd.as_raw_fd()), token, Interest::READABLE).unwrap();
    }
    let mut events = Events::with_capacity(4);
    let mut ticks = 0;
    while !driver.is_done() {
        poll.poll(&mut events, Some(secs(30))).unwrap();
        assert!(!events.is_empty(), "a tick was due, and no edge told so");
        for event in &events {
            if event.token() == DRIVER {
                driver.tick(AT_ONCE);
                ticks += 1;
            } else {
                own.read_exact(&mut [0]).unwrap();
                own.write_all(b"a").unwrap();
            }
        }
    }
    ticks
}

#[test]
fn a_foreign_loop_that_is_edge_triggered_misses_nothing() {
    let (inside, own) = UnixStream::pair().unwrap();
    let parker = Parker::new();
    let unparker = parker.unparker();
    let main = || {
        for round in 0..20 {
            sleep(Duration::from_micros(200));
            (0..round * 10).for_each(|_| yield_now());
            // The host answers.
            (&inside).write_all(b"q").unwrap();
            lowlevel::wait_readable(&inside).unwrap();
            (&inside).read_exact(&mut [0]).unwrap();
            let unparker = unparker.clone();
            let waker = std::thread::spawn(move || unparker.unpark());
            parker.park();
            waker.join().unwrap();
        }
    };
    let (ticks, value) = runtime().drive(main, |driver| follow_edges(driver, own));
    assert_eq!(value, Some(()));
    assert!(ticks < 2000, "{ticks} ticks");
}

#[test]
fn drivers_of_several_threads_wake_one_another() {
    let parkers = [Parker::new(), Parker::new()];
    let [one, other] = parkers.each_ref().map(Parker::unparker);
    let [first, second] = parkers;
    std::thread::scope(|threads| {
        threads.spawn(move || {
            let main = || {
                for _ in 0..100 {
                    other.unpark();
                    first.park();
                }
            };
            runtime().drive(main, |driver| follow(driver));
        });
        threads.spawn(move || {
            let main = || {
                for _ in 0..100 {
                    second.park();
                    one.unpark();
                }
            };
            runtime().drive(main, |driver| follow(driver));
        });
    });
}
