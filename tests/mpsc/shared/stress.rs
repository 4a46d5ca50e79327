//! Many at once.

use super::all_kinds;
use super::endless;
use super::world;
use super::world::MANY;
use super::world::scope;
use giambio::yield_now;
use std::sync::Arc;

/// After std's `oneshot_multi_thread_*_stress`: each side leaves before, while or after the other acts.
#[test]
fn sides_leave_in_any_order() {
    world::run(|| {
        for round in 0..60 {
            for (s, r) in all_kinds() {
                let message = Arc::new(round);
                scope(|scope| {
                    let sent = Arc::clone(&message);
                    scope.spawn(move || {
                        (0..round % 3).for_each(|_| yield_now());
                        if round % 5 > 0 {
                            drop(s.send(sent));
                        }
                    });
                    scope.spawn(move || {
                        (0..round % 4).for_each(|_| yield_now());
                        if round % 7 > 0 {
                            let got = r.recv();
                            assert_eq!(got.is_ok(), round % 5 > 0);
                            got.into_iter().for_each(|got| assert_eq!(*got, round));
                        }
                    });
                });
                assert_eq!(Arc::strong_count(&message), 1);
            }
        }
    });
}

/// After std's `stream_send_recv_stress`: each message is passed on by a worker of its own.
#[test]
fn workers_hand_a_stream_on() {
    world::run(|| {
        for (s, r) in all_kinds() {
            scope(|scope| {
                let mut end = r;
                for _ in 0..MANY.min(20) {
                    let (s, r) = endless();
                    let before = std::mem::replace(&mut end, r);
                    scope.spawn(move || {
                        before.iter().for_each(|number| s.send(number + 1).unwrap());
                    });
                }
                scope.spawn(move || (0..50).for_each(|number| s.send(number).unwrap()));
                let hops = MANY.min(20);
                assert!(end.iter().eq(hops..50 + hops));
            });
        }
    });
}

/// After std's `stress_shared`.
#[test]
fn a_crowd_of_senders_is_heard_out() {
    world::run(|| {
        for (s, r) in all_kinds() {
            scope(|scope| {
                for _ in 0..MANY {
                    let s = s.clone();
                    scope.spawn(move || (0..10).for_each(|number| s.send(number).unwrap()));
                }
                drop(s);
                let (mut count, mut sum) = (0, 0);
                for number in r {
                    count += 1;
                    sum += number;
                }
                assert_eq!((count, sum), (10 * MANY, 45 * MANY));
            });
        }
    });
}

/// After std's `shared_chan_stress`.
#[test]
fn senders_may_be_gone_before_anybody_receives() {
    world::run(|| {
        let (s, r) = endless();
        scope(|scope| {
            for number in 0..MANY {
                let s = s.clone();
                scope.spawn(move || s.send(number).unwrap());
            }
        });
        drop(s);
        let mut got: Vec<_> = r.iter().collect();
        got.sort_unstable();
        assert!(got.into_iter().eq(0..MANY));
    });
}
