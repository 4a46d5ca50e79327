//! Crowds on several threads, of tasks and plain ones: what is sent is received once, or dropped once.

use super::tools::all_kinds;
use crate::counted::Ledger;
use giambio::channel::Receiver;
use giambio::channel::Select;
use giambio::channel::Sender;
use giambio::channel::bounded;
use giambio::channel::dropping;
use giambio::channel::select;
use giambio::channel::sliding;
use giambio::pool;
use giambio::skip_after;
use giambio::yield_now;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

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

/// Counts what arrives, and adds it up.
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

/// A runtime of a thousand tasks and a plain thread on each side.
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
fn thousands_of_tasks_and_threads_pass_every_message_once() {
    for (s, r) in all_kinds() {
        let arrivals = Arrivals::default();
        let send = |s: &Sender<usize>, _, each| (0..each).for_each(|n| s.send(n).unwrap());
        let receive = |r: &Receiver<usize>| r.iter().for_each(|n| arrivals.note(n));
        stress((s, r), send, receive);
        arrivals.assert_all(2000, EACH);
    }
}

#[test]
fn selects_of_thousands_of_tasks_and_threads_pass_every_message_once() {
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
                    if (sender + turn).is_multiple_of(3) {
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
                if sender.is_multiple_of(2) {
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
