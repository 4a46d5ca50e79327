//! Channels between runtimes and plain threads.

use super::tools::all_kinds;
use crate::counted::Ledger;
use crate::ms;
use crate::secs;
use giambio::channel::Receiver;
use giambio::channel::RecvError;
use giambio::channel::Select;
use giambio::channel::SendError;
use giambio::channel::Sender;
use giambio::channel::after;
use giambio::channel::bounded;
use giambio::channel::dropping;
use giambio::channel::select;
use giambio::channel::sliding;
use giambio::channel::unbounded;
use giambio::pool;
use giambio::skip_after;
use giambio::yield_now;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Runs `call` on a plain thread, and does `unblock` when that thread sleeps in the kernel; the call has
/// not ended before.
fn blocks_its_thread<T: Send>(call: impl FnOnce() -> T + Send, unblock: impl FnOnce()) -> T {
    let (tell, told) = mpsc::channel();
    thread::scope(|threads| {
        let caller = threads.spawn(move || {
            // SAFETY: gettid(2) takes nothing and cannot fail.
            tell.send(unsafe { libc::gettid() }).unwrap();
            call()
        });
        let path = format!("/proc/self/task/{}/stat", told.recv().unwrap());
        loop {
            let stat = std::fs::read_to_string(&path).expect("the thread is alive");
            let (_, state) = stat.rsplit_once(") ").expect("a name and a state");
            if state.starts_with('S') {
                break;
            }
            thread::yield_now();
        }
        assert!(!caller.is_finished());
        unblock();
        caller.join().unwrap()
    })
}

#[test]
fn smoke() {
    for (s, r) in all_kinds() {
        thread::scope(|threads| {
            threads.spawn(|| giambio::run(|| (0..100).for_each(|n| s.send(n).unwrap())));
            (0..100).for_each(|number| assert_eq!(r.recv(), Ok(number)));
            threads.spawn(|| (0..100).for_each(|n| s.send(n).unwrap()));
            giambio::run(|| (0..100).for_each(|number| assert_eq!(r.recv(), Ok(number))));
        });
    }
}

#[test]
fn outside_of_run_calls_block_their_thread() {
    for (s, r) in all_kinds() {
        let got = blocks_its_thread(|| r.recv(), || s.send(1).unwrap());
        assert_eq!(got, Ok(1));
        let got = blocks_its_thread(|| r.recv(), || giambio::run(|| s.send(2).unwrap()));
        assert_eq!(got, Ok(2));
        let select = || select! { recv(r) -> got => got };
        assert_eq!(blocks_its_thread(select, || s.send(3).unwrap()), Ok(3));
        let ready = || {
            let mut choice = Select::new();
            choice.recv(&r);
            choice.ready();
            r.recv()
        };
        if s.capacity() != Some(0) {
            assert_eq!(blocks_its_thread(ready, || s.send(4).unwrap()), Ok(4));
        }
    }
    for capacity in [0, 1] {
        let (s, r) = bounded(capacity);
        (0..capacity).for_each(|number| s.send(number).unwrap());
        let sent = blocks_its_thread(|| s.send(capacity), || assert_eq!(r.recv(), Ok(0)));
        assert_eq!(sent, Ok(()));
        r.try_iter().for_each(drop);
        (0..capacity).for_each(|number| s.send(number).unwrap());
        let sent = blocks_its_thread(|| s.send(7), || drop(r));
        assert_eq!(sent, Err(SendError(7)));
    }
    let (s, r) = bounded::<i32>(0);
    assert_eq!(blocks_its_thread(|| r.recv(), || drop(s)), Err(RecvError));
}

#[test]
fn two_runtimes_play_ping_pong() {
    for (ping, pong) in all_kinds().into_iter().zip(all_kinds()) {
        thread::scope(|threads| {
            threads.spawn(|| {
                giambio::run(|| ping.1.iter().take(500).for_each(|n| pong.0.send(n + 1).unwrap()));
            });
            giambio::run(|| {
                for number in 0..500 {
                    ping.0.send(number).unwrap();
                    assert_eq!(pong.1.recv(), Ok(number + 1));
                }
            });
        });
    }
}

/// Other tasks of the runtime go on while one waits for another thread.
#[test]
fn a_wait_for_another_thread_stops_no_other_task() {
    let ((s, r), (other_s, other_r)) = (bounded(0), unbounded());
    thread::scope(|threads| {
        threads.spawn(move || {
            // It answers only after the other task has spoken.
            other_r.recv().unwrap();
            s.send(7).unwrap();
        });
        giambio::run(|| {
            pool(|pool| {
                let waits = pool.spawn(|| r.recv());
                giambio::testing::settle();
                pool.spawn(|| other_s.send(()).unwrap());
                assert_eq!(waits.join().unwrap(), Ok(7));
            });
        });
    });
}

/// After curio's `test_univ_queue_multiple_kernels` and may's `send_from_outside_runtime`.
#[test]
fn a_channel_outlives_its_runtimes() {
    let (s, r) = unbounded();
    for round in 0..5 {
        giambio::run(|| s.send(round).unwrap());
        let s = s.clone();
        thread::spawn(move || s.send(round + 100).unwrap()).join().unwrap();
        assert_eq!(giambio::run(|| r.recv()), Ok(round));
        assert_eq!(giambio::run(|| r.recv()), Ok(round + 100));
    }
    let made = giambio::run(|| bounded(1));
    thread::spawn(move || made.0.send(made.1.is_empty()).unwrap()).join().unwrap();
}

#[test]
fn an_end_on_one_thread_is_heard_on_the_others() {
    for (s, r) in all_kinds::<i32>() {
        let parked = AtomicUsize::new(0);
        thread::scope(|threads| {
            for number in 0..4 {
                let (r, parked) = (&r, &parked);
                threads.spawn(move || {
                    let receive = || {
                        parked.fetch_add(1, Ordering::SeqCst);
                        if number % 2 == 0 {
                            assert_eq!(r.recv(), Err(RecvError));
                        } else {
                            select! { recv(r) -> got => assert_eq!(got, Err(RecvError)) }
                        }
                    };
                    if number < 2 {
                        return receive();
                    }
                    giambio::run(|| {
                        pool(|pool| {
                            for _ in 0..50 {
                                pool.spawn(receive);
                            }
                        });
                    });
                });
            }
            crate::until(|| parked.load(Ordering::SeqCst) == 102);
            drop(s);
        });
    }
}

/// What one OS thread does: a plain loop, or a thousand tasks.
fn act(thread: usize, each: impl Fn(usize) + Sync) {
    if thread == 3 {
        return (0..1000).for_each(each);
    }
    giambio::run(|| {
        pool(|pool| {
            for task in 0..1000 {
                let each = &each;
                pool.spawn(move || each(task));
            }
        });
    });
}

/// Counts what arrives, and checks that what a sender has sent comes in its order.
#[derive(Default)]
struct Arrivals {
    sum: AtomicUsize,
    count: AtomicUsize,
}

impl Arrivals {
    fn note(&self, number: usize) {
        self.sum.fetch_add(number, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    #[track_caller]
    fn assert_all(&self, senders: usize, each: usize) {
        assert_eq!(self.count.load(Ordering::Relaxed), senders * each);
        let sum_of_one = each * (each - 1) / 2;
        assert_eq!(self.sum.load(Ordering::Relaxed), senders * sum_of_one);
    }
}

const EACH: usize = 8;

/// Three runtimes of a thousand tasks each and a plain thread on each side.
fn stress<T: Send>(
    (s, r): (Sender<T>, Receiver<T>),
    send: impl Fn(&Sender<T>, usize, usize) + Sync,
    receive: impl Fn(&Receiver<T>) + Sync,
) {
    thread::scope(|threads| {
        for thread in [0, 3] {
            let (r, receive) = (r.clone(), &receive);
            threads.spawn(move || act(thread, |_| receive(&r)));
        }
        drop(r);
        for thread in [1, 3] {
            let (s, send) = (s.clone(), &send);
            threads.spawn(move || act(thread, |task| send(&s, (thread / 2) * 1000 + task, EACH)));
        }
        drop(s);
    });
}

#[test]
fn a_thousand_tasks_on_each_of_four_threads_pass_every_message_once() {
    for (s, r) in all_kinds() {
        let arrivals = Arrivals::default();
        let send = |s: &Sender<usize>, _, each| (0..each).for_each(|n| s.send(n).unwrap());
        let receive = |r: &Receiver<usize>| r.iter().for_each(|n| arrivals.note(n));
        stress((s, r), send, receive);
        arrivals.assert_all(2000, EACH);
    }
}

#[test]
fn selects_of_a_thousand_tasks_on_each_of_four_threads_pass_every_message_once() {
    for (s, r) in all_kinds() {
        let (arrivals, (_other_s, other_r)) = (Arrivals::default(), bounded::<usize>(0));
        let (full, _full_r) = bounded(0);
        let send = |s: &Sender<usize>, _, each| {
            for number in 0..each {
                select! {
                    send(full, number) -> _ => panic!("nobody receives"),
                    send(s, number) -> sent => sent.unwrap(),
                }
            }
        };
        let receive = |r: &Receiver<usize>| {
            loop {
                select! {
                    recv(r) -> got => match got {
                        Ok(number) => arrivals.note(number),
                        Err(_) => return,
                    },
                    recv(other_r) -> _ => panic!("nobody sends"),
                }
            }
        };
        stress((s, r), send, receive);
        arrivals.assert_all(2000, EACH);
    }
}

#[test]
fn messages_of_one_sender_keep_their_order_across_threads() {
    for (s, r) in all_kinds() {
        let arrivals = Arrivals::default();
        let send = |s: &Sender<(usize, usize)>, sender, each| {
            (0..each).for_each(|number| s.send((sender, number)).unwrap());
        };
        let receive = |r: &Receiver<(usize, usize)>| {
            let mut last = std::collections::HashMap::new();
            for (sender, number) in r {
                arrivals.note(number);
                if let Some(before) = last.insert(sender, number) {
                    assert!(number > before, "{number} of {sender} after {before}");
                }
            }
        };
        stress((s, r), send, receive);
        arrivals.assert_all(2000, EACH);
    }
}

#[test]
fn calls_that_are_cut_at_any_moment_lose_and_double_nothing() {
    for (s, r) in all_kinds() {
        let (ledger, received) = (Ledger::default(), AtomicUsize::new(0));
        let sent = AtomicUsize::new(0);
        let send = |s: &Sender<_>, sender: usize, each| {
            for number in 0..each {
                let limit = Duration::from_micros(u64::try_from((sender + number) % 200).unwrap());
                let done = match number % 4 {
                    0 => s.send(ledger.one()).is_ok(),
                    1 => s.send_timeout(ledger.one(), limit).is_ok(),
                    2 => s.try_send(ledger.one()).is_ok(),
                    _ => {
                        let cut = AtomicUsize::new(0);
                        skip_after(limit, |_| {
                            cut.store(usize::from(s.send(ledger.one()).is_ok()), Ordering::Relaxed);
                        });
                        cut.into_inner() == 1
                    }
                };
                sent.fetch_add(usize::from(done), Ordering::Relaxed);
            }
        };
        let receive = |r: &Receiver<_>| {
            let mut turn = 0;
            loop {
                turn += 1;
                let got = match turn % 3 {
                    0 => r.recv().map_err(|_| true),
                    1 => r.recv_timeout(Duration::from_micros(50)).map_err(|e| e.is_disconnected()),
                    _ => select! {
                        recv(r) -> got => got.map_err(|_| true),
                        default(Duration::from_micros(70)) => Err(false),
                    },
                };
                match got {
                    Ok(message) => {
                        received.fetch_add(1, Ordering::Relaxed);
                        drop(message);
                    }
                    Err(true) => return,
                    Err(false) => {}
                }
            }
        };
        cut_stress((s, r), send, receive);
        assert_eq!(sent.into_inner(), received.into_inner());
        ledger.assert_all_dropped();
    }
}

/// [`stress`], where all senders are tasks: `skip_after` needs one.
fn cut_stress<T: Send>(
    (s, r): (Sender<T>, Receiver<T>),
    send: impl Fn(&Sender<T>, usize, usize) + Sync,
    receive: impl Fn(&Receiver<T>) + Sync,
) {
    thread::scope(|threads| {
        for thread in 0..2 {
            let (s, send) = (s.clone(), &send);
            threads.spawn(move || {
                giambio::run(|| {
                    pool(|pool| {
                        for task in 0..500 {
                            let s = s.clone();
                            pool.spawn(move || send(&s, thread * 500 + task, EACH));
                        }
                        drop(s);
                    });
                });
            });
        }
        drop(s);
        let other = r.clone();
        let receive = &receive;
        threads.spawn(move || receive(&other));
        threads.spawn(move || {
            giambio::run(|| {
                pool(|pool| {
                    for _ in 0..100 {
                        let r = r.clone();
                        pool.spawn(move || receive(&r));
                    }
                    drop(r);
                });
            });
        });
    });
}

/// A select has the right to send, and then nothing to send.
#[test]
fn makers_that_fail_keep_no_place_and_no_receiver() {
    for (s, r) in all_kinds() {
        let arrivals = Arrivals::default();
        let send = |s: &Sender<usize>, sender: usize, each| {
            let mut number = 0;
            for turn in 0.. {
                if number == each {
                    return;
                }
                let make = || {
                    if (sender + turn) % 3 == 0 {
                        yield_now();
                        resume_unwind(Box::new("on purpose"));
                    }
                    number
                };
                let select = || select! { send(s, make()) -> sent => sent.unwrap() };
                number += usize::from(catch_unwind(AssertUnwindSafe(select)).is_ok());
            }
        };
        let receive = |r: &Receiver<usize>| r.iter().for_each(|n| arrivals.note(n));
        stress((s, r), send, receive);
        arrivals.assert_all(2000, EACH);
    }
}

#[test]
fn who_waits_to_become_ready_hears_of_every_thread() {
    for (s, r) in all_kinds() {
        let arrivals = Arrivals::default();
        let send = |s: &Sender<usize>, sender: usize, each| {
            for number in 0..each {
                if sender % 2 == 0 {
                    s.send(number).unwrap();
                } else {
                    select! { send(s, number) -> sent => sent.unwrap() }
                }
            }
        };
        let receive = |r: &Receiver<usize>| {
            let mut choice = Select::new();
            choice.recv(r);
            loop {
                choice.ready();
                match r.try_recv() {
                    Ok(number) => arrivals.note(number),
                    Err(error) if error.is_disconnected() => return,
                    Err(_) => {}
                }
            }
        };
        few((s, r), send, receive);
        arrivals.assert_all(20, EACH);
    }
}

/// [`stress`] with so few that it does not matter that all of them are woken by each message.
fn few<T: Send>(
    (s, r): (Sender<T>, Receiver<T>),
    send: impl Fn(&Sender<T>, usize, usize) + Sync,
    receive: impl Fn(&Receiver<T>) + Sync,
) {
    thread::scope(|threads| {
        for thread in 0..2 {
            let (s, send) = (s.clone(), &send);
            threads.spawn(move || {
                giambio::run(|| {
                    pool(|pool| {
                        for task in 0..10 {
                            let s = s.clone();
                            pool.spawn(move || send(&s, thread * 10 + task, EACH));
                        }
                        drop(s);
                    });
                });
            });
        }
        drop(s);
        let (other, receive) = (r.clone(), &receive);
        threads.spawn(move || receive(&other));
        threads.spawn(move || {
            giambio::run(|| pool(|pool| (0..5).for_each(|_| drop(pool.spawn(|| receive(&r))))));
        });
    });
}

#[test]
fn dropping_and_sliding_channels_lose_only_what_they_drop() {
    for (s, r) in [dropping(16), sliding(16)] {
        let (ledger, received) = (Ledger::default(), AtomicUsize::new(0));
        let send = |s: &Sender<_>, _, each| {
            for _ in 0..each {
                s.send(ledger.one()).unwrap();
                yield_now();
            }
        };
        let receive = |r: &Receiver<_>| {
            r.iter().for_each(|message| {
                received.fetch_add(1, Ordering::Relaxed);
                drop(message);
            });
        };
        stress((s, r), send, receive);
        assert_eq!(ledger.made(), 2000 * EACH);
        assert!(received.into_inner() > 0);
        ledger.assert_all_dropped();
    }
}

#[test]
fn a_channel_is_closed_while_all_are_busy() {
    for (s, r) in all_kinds() {
        let (sent, received) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let closer = s.clone();
        let send = |s: &Sender<usize>, sender, each| {
            if sender == 600 {
                closer.close();
            }
            let count = (0..each).take_while(|&number| s.send(number).is_ok()).count();
            sent.fetch_add(count, Ordering::Relaxed);
        };
        let receive = |r: &Receiver<usize>| {
            received.fetch_add(r.iter().count(), Ordering::Relaxed);
        };
        stress((s, r), send, receive);
        assert_eq!(sent.into_inner(), received.into_inner());
    }
}

#[test]
fn a_channel_is_closed_while_all_select() {
    for (s, r) in all_kinds() {
        let (ledger, received) = (Ledger::default(), AtomicUsize::new(0));
        let (sent, closer) = (AtomicUsize::new(0), r.clone());
        let (_nobody, nothing) = bounded::<i32>(0);
        let send = |s: &Sender<_>, sender, each| {
            if sender == 600 {
                closer.close();
            }
            let send = |_: &usize| {
                select! { send(s, ledger.one()) -> sent => sent.is_ok(), recv(nothing) -> _ => false }
            };
            sent.fetch_add((0..each).take_while(send).count(), Ordering::Relaxed);
        };
        let receive = |r: &Receiver<_>| {
            while select! { recv(nothing) -> _ => false, recv(r) -> got => got.is_ok() } {
                received.fetch_add(1, Ordering::Relaxed);
            }
        };
        stress((s, r), send, receive);
        assert_eq!(sent.into_inner(), received.into_inner());
        drop(closer);
        ledger.assert_all_dropped();
    }
}

#[test]
fn timers_are_shared_by_threads() {
    let moment = after(ms(5));
    let got = AtomicUsize::new(0);
    thread::scope(|threads| {
        for number in 0..4 {
            let (moment, got) = (moment.clone(), &got);
            threads.spawn(move || {
                let receive = || {
                    let is_mine = moment.recv_timeout(ms(60)).is_ok();
                    got.fetch_add(usize::from(is_mine), Ordering::SeqCst);
                };
                if number < 2 { receive() } else { giambio::run(receive) }
            });
        }
    });
    assert_eq!(got.into_inner(), 1);
}

/// After crossbeam's `thread_locals`: what a thread does last may wait.
#[test]
fn a_thread_may_wait_while_its_locals_are_destroyed() {
    struct Waits;
    impl Drop for Waits {
        fn drop(&mut self) {
            let (s, r) = unbounded::<i32>();
            select! { recv(r) -> _ => panic!("nobody sends"), default(ms(2)) => {} }
            assert!(r.recv_timeout(ms(2)).is_err());
            s.send(1).unwrap();
            assert_eq!(r.recv(), Ok(1));
            ENDED.fetch_add(1, Ordering::SeqCst);
        }
    }
    thread_local! {
        static WAITS: Waits = const { Waits };
    }
    static ENDED: AtomicUsize = AtomicUsize::new(0);
    let ((s, r), (_, ended)) = (unbounded(), bounded::<i32>(0));
    let waits = thread::spawn(move || {
        // Before whatever the channel keeps for the thread, so that it is destroyed after.
        WAITS.with(|_| ());
        r.recv().unwrap();
        ended.recv_timeout(secs(1000)).unwrap_err();
    });
    s.send(()).unwrap();
    // A scope would not wait for the thread's locals.
    waits.join().unwrap();
    assert_eq!(ENDED.load(Ordering::SeqCst), 1);
}
