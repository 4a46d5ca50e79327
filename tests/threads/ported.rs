//! Behaviour that tests of others pin down: those of std's `thread`, of may's coroutines, of trio's and of
//! libdill's threads.

use crate::is_cancelled;
use crate::ms;
use giambio::run;
use giambio::testing::run_virtual;
use giambio::thread;
use giambio::unblock;
use giambio::yield_now;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::sync::mpsc::channel;

/// may: a token before the first park, one from outside for the second.
#[test]
fn mays_unpark() {
    run(|| {
        let mut seen = Vec::new();
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                thread::current().unpark();
                seen.push(5);
                thread::park();
                seen.push(10);
                thread::park();
            });
            giambio::testing::settle();
            assert!(!thread.is_finished());
            thread.thread().unpark();
        });
        assert_eq!(seen, [5, 10]);
    });
}

/// may: a token shortens the first wait, none the second, one from outside the third.
#[test]
fn mays_park_timeout() {
    run_virtual(|| {
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let start = giambio::clock();
                thread::current().unpark();
                thread::park_timeout(ms(100));
                assert_eq!(giambio::clock() - start, ms(0));
                thread::park_timeout(ms(10));
                assert_eq!(giambio::clock() - start, ms(10));
                thread::park_timeout(ms(100));
                assert_eq!(giambio::clock() - start, ms(50));
            });
            thread::sleep(ms(50));
            thread.thread().unpark();
        });
    });
}

/// may: each thread of a scope changes what it has borrowed.
#[test]
fn mays_scoped_coroutine() {
    run(|| {
        let mut numbers = [1, 2, 3];
        thread::scope(|scope| {
            for number in &mut numbers {
                scope.spawn(move || *number += 1);
            }
        });
        assert_eq!(numbers, [2, 3, 4]);
    });
}

/// may: a thread starts ten, and ends before them.
#[test]
fn mays_spawn_inside() {
    let ended = Arc::new(AtomicUsize::new(0));
    run(|| {
        let counts = Arc::clone(&ended);
        let builder = thread::Builder::new().name("parent".into());
        let parent = builder.spawn(move || {
            let me = thread::current();
            for _ in 0..10 {
                let counts = Arc::clone(&counts);
                thread::spawn(move || {
                    yield_now();
                    counts.fetch_add(1, Ordering::Relaxed);
                });
            }
            assert_eq!(me.name(), Some("parent"));
        });
        parent.unwrap().join().unwrap();
        giambio::testing::settle();
    });
    assert_eq!(ended.load(Ordering::Relaxed), 10);
}

/// may: a thread joins those that it has started.
#[test]
fn mays_wait_join() {
    run(|| {
        let parent = thread::spawn(|| {
            let threads: Vec<_> = (0..10).map(|n| thread::spawn(move || n)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<i32>()
        });
        assert_eq!(parent.join().unwrap(), 45);
    });
}

/// std: eleven threads, each started by the one before.
#[test]
fn stds_spawn_sched() {
    fn chain(left: i32, last: Sender<()>) {
        thread::spawn(
            move || if left == 0 { last.send(()).unwrap() } else { chain(left - 1, last) },
        );
    }
    run(|| {
        let (sender, receiver) = channel();
        chain(10, sender);
        unblock(move || receiver.recv().unwrap());
    });
}

/// std: what a closure owns is moved, not copied.
#[test]
fn stds_avoid_copying_the_body() {
    run(|| {
        let boxed = Box::new(1);
        let here = (&raw const *boxed).addr();
        let there = thread::spawn(move || (&raw const *boxed).addr()).join().unwrap();
        assert_eq!(here, there);
    });
}

/// std: a long chain of generations does not hold on to its ancestors.
#[test]
fn stds_child_does_not_ref_its_parent() {
    fn generation(number: u32) {
        if number < 10_000 {
            thread::spawn(move || generation(number + 1));
        }
    }
    run(|| {
        generation(0);
        giambio::testing::settle();
        assert_eq!(giambio::debug::stacks().unwrap().live, 1);
    });
}

/// std: a payload is what was thrown, whatever it was.
#[test]
fn stds_panic_messages() {
    struct Juju;
    run(|| {
        let text = thread::spawn(|| panic!("static string")).join().map(drop).unwrap_err();
        assert_eq!(*text.downcast::<&str>().unwrap(), "static string");
        let owned = thread::spawn(|| std::panic::panic_any(String::from("owned"))).join();
        assert_eq!(*owned.map(drop).unwrap_err().downcast::<String>().unwrap(), "owned");
        let unit = thread::spawn(|| std::panic::panic_any(Juju)).join().map(drop).unwrap_err();
        assert!(unit.is::<Juju>());
    });
}

/// std: a token that comes before, ten times.
#[test]
fn stds_park_unpark_before() {
    run(|| {
        for _ in 0..10 {
            thread::current().unpark();
            thread::park();
            thread::current().unpark();
            thread::park_timeout(ms(u64::from(u32::MAX)));
        }
    });
}

/// std: a token from another thread, which a spawn in between does not take.
#[test]
fn stds_park_unpark_called_other_thread() {
    run_virtual(|| {
        for _ in 0..10 {
            let main = thread::current();
            let other = thread::spawn(move || {
                thread::sleep(ms(50));
                main.unpark();
            });
            thread::park();
            other.join().unwrap();
        }
    });
}

/// trio: what is started during a shutdown is cancelled, and does not hang it.
#[test]
fn trios_from_thread_run_during_shutdown() {
    let thread = run(|| {
        thread::spawn(|| {
            let caught = std::panic::catch_unwind(|| giambio::sleep_forever());
            assert!(caught.is_err());
            let late = thread::spawn(|| unreachable!("it never begins"));
            giambio::shield(|| is_cancelled(late.join()))
        })
    });
    // It had not begun itself.
    assert!(is_cancelled(thread.join()));
    let thread = run(|| {
        let thread = thread::spawn(|| {
            let caught = std::panic::catch_unwind(|| giambio::sleep_forever());
            assert!(caught.is_err());
            let late = thread::spawn(|| unreachable!("it never begins"));
            giambio::shield(|| is_cancelled(late.join()))
        });
        yield_now();
        thread
    });
    assert!(thread.join().unwrap());
}

/// trio: from a task to a helper thread and back, again and again.
#[test]
fn trios_recursive_to_thread() {
    fn deeper(left: usize) -> usize {
        if left == 0 {
            return 0;
        }
        let below = unblock(move || run(move || thread::spawn(move || deeper(left - 1)).join()));
        below.unwrap() + 1
    }
    assert_eq!(run(|| deeper(5)), 5);
}

/// libdill: a scheduler on each of several threads, and the first to end does not disturb the others.
#[test]
fn libdills_threads() {
    let others = [3, 5, 7].map(|rounds| {
        std::thread::spawn(move || {
            run(move || {
                let threads: Vec<_> = (0..rounds).map(|n| thread::spawn(move || n)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
            })
        })
    });
    assert_eq!(run(|| thread::spawn(|| 1).join().unwrap()), 1);
    assert_eq!(others.map(|other| other.join().unwrap()), [3, 10, 21]);
}
