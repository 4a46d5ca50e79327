//! The park token: one a thread, remembered once, and never lost.

use crate::Log;
use crate::ms;
use crate::panic_of;
use crate::secs;
use giambio::run;
use giambio::skip_after;
use giambio::task;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::thread;
use giambio::with_timeout;
use giambio::yield_now;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

/// Whether the calling task had a token; it is taken.
fn had_token() -> bool {
    let start = giambio::clock();
    thread::park_timeout(secs(1));
    giambio::clock() - start < secs(1)
}

#[test]
fn smoke() {
    run_virtual(|| {
        let log = Log::default();
        let says = log.clone();
        let parked = thread::spawn(move || {
            thread::park();
            says.add("unparked");
        });
        settle();
        log.add("unpark");
        parked.thread().unpark();
        parked.join().unwrap();
        log.assert(&["unpark", "unparked"]);
    });
}

#[test]
fn a_token_that_comes_first_is_kept() {
    run_virtual(|| {
        thread::current().unpark();
        let start = giambio::clock();
        thread::park();
        assert_eq!(giambio::clock(), start);
    });
}

#[test]
fn two_tokens_count_as_one() {
    run_virtual(|| {
        thread::current().unpark();
        thread::current().unpark();
        assert!(had_token());
        assert!(!had_token());
    });
}

#[test]
fn a_token_that_ends_a_wait_is_used_up() {
    run_virtual(|| {
        let main = thread::current();
        thread::spawn(move || main.unpark());
        thread::park();
        assert!(!had_token());
    });
}

#[test]
fn each_thread_has_its_own() {
    run_virtual(|| {
        thread::current().unpark();
        assert!(!thread::spawn(had_token).join().unwrap());
        assert!(had_token());
    });
}

#[test]
fn so_has_a_task_of_a_pool() {
    run_virtual(|| {
        giambio::pool(|pool| {
            let (sender, receiver) = mpsc::channel();
            let task = pool.spawn(move || {
                sender.send(thread::current()).unwrap();
                thread::park();
            });
            settle();
            assert!(!task.is_finished());
            receiver.recv().unwrap().unpark();
            task.join().unwrap();
        });
    });
}

#[test]
fn a_park_that_times_out_takes_no_later_token() {
    run_virtual(|| {
        let start = giambio::clock();
        thread::park_timeout(secs(2));
        assert_eq!(giambio::clock() - start, secs(2));
        thread::current().unpark();
        assert!(had_token());
    });
}

#[test]
fn a_timeout_past_the_clocks_range_is_never() {
    run_virtual(|| {
        let main = thread::current();
        thread::spawn(move || {
            thread::sleep(secs(3600));
            main.unpark();
        });
        let start = giambio::clock();
        thread::park_timeout(Duration::MAX);
        assert_eq!(giambio::clock() - start, secs(3600));
    });
}

#[test]
fn a_timeout_of_zero_looks_for_a_token() {
    run_virtual(|| {
        thread::current().unpark();
        thread::park_timeout(Duration::ZERO);
        assert!(!had_token());
    });
}

#[test]
fn a_cancelled_park_has_not_taken_the_token() {
    run_virtual(|| {
        thread::current().unpark();
        assert!(with_timeout(Duration::ZERO, |_| thread::park()).is_err());
        assert!(had_token());
        assert!(skip_after(secs(1), |_| thread::park()).is_none());
        thread::current().unpark();
        assert!(had_token());
    });
}

#[test]
fn a_token_that_meets_a_cancellation_is_there_for_the_next_park() {
    run_virtual(|| {
        let parked = thread::spawn(|| {
            let cut = giambio::cancellable(|scope| {
                let (me, canceller) = (thread::current(), scope.canceller());
                thread::spawn(move || {
                    settle(); // it is parked
                    canceller.cancel();
                    me.unpark();
                });
                thread::park();
            });
            (cut.is_none(), had_token())
        });
        assert_eq!(parked.join().unwrap(), (true, true));
    });
}

#[test]
fn a_token_that_comes_before_the_cancellation_ends_the_park() {
    run_virtual(|| {
        let parked = thread::spawn(|| {
            let done = Log::default();
            let cut = giambio::cancellable(|scope| {
                let (me, canceller) = (thread::current(), scope.canceller());
                thread::spawn(move || {
                    settle();
                    me.unpark();
                    canceller.cancel();
                });
                thread::park();
                done.add("parked");
                yield_now();
            });
            done.assert(&["parked"]);
            (cut.is_none(), had_token())
        });
        assert_eq!(parked.join().unwrap(), (true, false));
    });
}

#[test]
fn while_the_task_unwinds_park_really_waits() {
    run_virtual(|| {
        let log = Log::default();
        let says = log.clone();
        let thread = thread::spawn(move || -> () {
            let _guard = crate::OnDrop::new(|| {
                thread::park();
                says.add("unparked");
            });
            crate::fail("on purpose");
        });
        settle();
        log.assert(&[]);
        thread.thread().unpark();
        assert!(thread.join().is_err());
        log.assert(&["unparked"]);
    });
}

#[test]
fn under_no_switch_a_park_without_a_token_is_told() {
    run(|| {
        thread::current().unpark();
        task::no_switch(thread::park);
        let text = panic_of(|| task::no_switch(thread::park));
        assert_eq!(text, "`park` would switch to another task, inside of `task::no_switch`");
    });
}

#[test]
fn a_plain_thread_unparks_a_task() {
    run(|| {
        let main = thread::current();
        let other = std::thread::spawn(move || main.unpark());
        thread::park();
        other.join().unwrap();
    });
}

#[test]
fn a_task_unparks_a_plain_thread() {
    let parked = std::thread::spawn(thread::park);
    let outside = thread::spawn(thread::park);
    run(|| {
        parked.thread().unpark();
        outside.thread().unpark();
        outside.join().unwrap();
    });
    parked.join().unwrap();
}

#[test]
fn a_task_of_another_runtime_unparks_and_is_unparked() {
    let (there, here) = mpsc::channel();
    let (back, answer) = mpsc::channel::<thread::Thread>();
    let other = std::thread::spawn(move || {
        run(|| {
            there.send(thread::current()).unwrap();
            answer.recv().unwrap().unpark();
            thread::park();
        });
    });
    run(|| {
        back.send(thread::current()).unwrap();
        thread::park();
        here.recv().unwrap().unpark();
    });
    other.join().unwrap();
}

#[test]
fn a_thread_that_has_ended_may_be_unparked() {
    let thread = run(|| {
        let ended = thread::spawn(|| ());
        let thread = ended.thread().clone();
        ended.join().unwrap();
        thread.unpark();
        thread
    });
    thread.unpark();
}

/// Two threads hand a number to and fro, each parking until it has changed.
#[test]
fn no_token_is_lost_in_ten_thousand_rounds_between_threads_and_tasks() {
    const ROUNDS: usize = 10_000;
    let turn = Arc::new(AtomicUsize::new(0));
    let play = |turn: &AtomicUsize, mine: usize, other: &thread::Thread| {
        for round in 0..ROUNDS {
            while turn.load(Ordering::Acquire) != 2 * round + mine {
                thread::park();
            }
            turn.store(2 * round + mine + 1, Ordering::Release);
            other.unpark();
        }
    };
    let (tell, told) = mpsc::channel();
    let theirs = Arc::clone(&turn);
    let outside = thread::spawn(move || {
        let task: thread::Thread = told.recv().unwrap();
        play(&theirs, 1, &task);
    });
    run(|| {
        tell.send(thread::current()).unwrap();
        play(&turn, 0, outside.thread());
    });
    outside.join().unwrap();
    assert_eq!(turn.load(Ordering::Relaxed), 2 * ROUNDS);
}

#[test]
fn four_plain_threads_unpark_a_thousand_tasks() {
    const TASKS: usize = 1000;
    const TOKENS: usize = 20;
    run(|| {
        let gathered = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let gathered = Arc::clone(&gathered);
                thread::spawn(move || {
                    // A token may stand for two unparks, but the last unpark is never lost.
                    while gathered.load(Ordering::Acquire) < 4 * TOKENS {
                        thread::park();
                    }
                })
            })
            .collect();
        let threads: Arc<Vec<_>> = Arc::new(tasks.iter().map(|t| t.thread().clone()).collect());
        let unparkers = [(); 4].map(|()| {
            let (threads, gathered) = (Arc::clone(&threads), Arc::clone(&gathered));
            std::thread::spawn(move || {
                for _ in 0..TOKENS {
                    gathered.fetch_add(1, Ordering::AcqRel);
                    threads.iter().for_each(thread::Thread::unpark);
                }
            })
        });
        tasks.into_iter().for_each(|task| task.join().unwrap());
        unparkers.into_iter().for_each(|unparker| unparker.join().unwrap());
    });
}

#[test]
fn park_and_its_timeouts_race_with_unparks_and_no_token_is_lost() {
    const TOKENS: usize = 2000;
    run(|| {
        let taken = Arc::new(AtomicUsize::new(0));
        let takes = Arc::clone(&taken);
        let parked = thread::spawn(move || {
            let mut seen = 0;
            while seen < TOKENS {
                thread::park_timeout(Duration::from_micros(seen as u64 % 50));
                seen = takes.load(Ordering::Acquire);
            }
        });
        let thread = parked.thread().clone();
        let unparker = std::thread::spawn(move || {
            for _ in 0..TOKENS {
                taken.fetch_add(1, Ordering::AcqRel);
                thread.unpark();
            }
        });
        assert!(with_timeout(secs(60), |_| parked.join().unwrap()).is_ok());
        unparker.join().unwrap();
    });
}

#[test]
fn outside_of_run_it_is_the_threads_own() {
    thread::current().unpark();
    thread::park();
    thread::park_timeout(ms(1));
}
