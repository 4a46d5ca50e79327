//! Channels between runtimes and plain threads.

use crate::secs;
use giambio::pool;
use giambio::skip_after;
use giambio::sync::mpsc::RecvTimeoutError;
use giambio::sync::mpsc::channel;
use giambio::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

#[test]
fn two_runtimes_talk_to_each_other() {
    for bound in [0, 1] {
        let ((ping, pinged), (pong, ponged)) = (sync_channel(bound), sync_channel(bound));
        thread::scope(|threads| {
            threads.spawn(move || {
                giambio::run(|| {
                    pinged.iter().for_each(|number: u32| pong.send(number + 1).unwrap());
                });
            });
            giambio::run(|| {
                for number in 0..500 {
                    ping.send(number).unwrap();
                    assert_eq!(ponged.recv(), Ok(number + 1));
                }
            });
            drop(ping);
        });
    }
}

#[test]
fn a_thread_waits_in_real_time_and_not_in_that_of_a_test() {
    let (s, r) = channel::<u8>();
    assert_eq!(r.recv_timeout(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
    giambio::testing::run_virtual(|| {
        assert_eq!(r.recv_timeout(secs(3600)), Err(RecvTimeoutError::Timeout));
    });
    drop(s);
    assert_eq!(r.recv_timeout(secs(3600)), Err(RecvTimeoutError::Disconnected));
}

/// Receivers outlive the runtime whose task has sent, and the other way round.
#[test]
fn ends_outlive_runtimes() {
    let (s, r) = sync_channel(10);
    giambio::run(|| (0..3).for_each(|number| s.send(number).unwrap()));
    giambio::run(|| assert_eq!(r.recv(), Ok(0)));
    assert_eq!(r.recv(), Ok(1));
    giambio::run(|| drop(s));
    assert_eq!(giambio::run(|| r.into_iter().collect::<Vec<_>>()), [2]);
}

/// Four runtimes of a thousand tasks each, some of which are cut, send into one channel.
#[test]
fn four_runtimes_with_a_thousand_tasks_each_send_to_one_receiver() {
    for bound in [Some(0), Some(7), None] {
        let ((endless, r), (bounded, other)) =
            (channel::<u64>(), sync_channel::<u64>(bound.unwrap_or(0)));
        let r = if bound.is_some() { other } else { r };
        let send = |number| match bound {
            Some(_) => bounded.send(number).is_ok(),
            None => endless.send(number).is_ok(),
        };
        // By whoever sends or gives up: what was sent was received, once.
        let (mut sent, mut got) = thread::scope(|threads| {
            let senders = [0, 1, 2, 3].map(|runtime| {
                let send = &send;
                threads.spawn(move || giambio::run(|| crowd(runtime, send)))
            });
            let mut got = Vec::new();
            let mut is_over = false;
            while !is_over {
                is_over = senders.iter().all(|sender| sender.is_finished());
                got.extend(r.recv_timeout(Duration::from_millis(1)));
                got.extend(r.try_iter());
            }
            (senders.map(|sender| sender.join().unwrap()).concat(), got)
        });
        sent.sort_unstable();
        got.sort_unstable();
        assert!(got == sent, "{} were sent, and {} received", sent.len(), got.len());
        assert!(sent.len() >= 3000, "{}", sent.len());
    }
}

/// The numbers that were sent.
fn crowd(runtime: u64, send: &impl Fn(u64) -> bool) -> Vec<u64> {
    pool(|pool| {
        let tasks = Vec::from_iter((0..1000).map(|task| {
            pool.spawn(move || {
                let number = runtime * 1000 + task;
                let sent = match task % 4 {
                    0 => skip_after(Duration::from_micros(task), |_| send(number)),
                    _ => Some(send(number)),
                };
                (sent == Some(true)).then_some(number)
            })
        }));
        tasks.into_iter().filter_map(|task| task.join().unwrap()).collect()
    })
}
