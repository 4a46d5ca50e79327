//! Channels between runtimes and plain threads.

use super::tools::all_kinds;
use crate::ms;
use crate::secs;
use giambio::channel::RecvError;
use giambio::channel::Select;
use giambio::channel::SendError;
use giambio::channel::after;
use giambio::channel::bounded;
use giambio::channel::select;
use giambio::channel::unbounded;
use giambio::pool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;

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
