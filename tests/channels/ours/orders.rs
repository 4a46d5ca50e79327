//! One program in many orders: whatever the order, each message arrives once, or comes back.

use super::tools::all_kinds;
use super::tools::limited;
use crate::counted::Ledger;
use crate::ms;
use giambio::channel::Receiver;
use giambio::channel::Sender;
use giambio::channel::bounded;
use giambio::channel::select;
use giambio::pool;
use giambio::skip_after;
use giambio::sleep;
use giambio::testing::explore;
use giambio::yield_now;
use std::cell::Cell;

const SEEDS: std::ops::Range<u64> = 0..150;

#[test]
fn smoke() {
    explore(SEEDS, || {
        for (s, r) in all_kinds() {
            let receivers = pool(|pool| {
                for sender in 0..3 {
                    let s = s.clone();
                    pool.spawn(move || (0..5).for_each(|n| s.send(sender * 10 + n).unwrap()));
                }
                drop(s);
                let receivers = [(); 2].map(|()| pool.spawn(|| r.iter().collect::<Vec<i32>>()));
                receivers.map(|receiver| receiver.join().unwrap())
            });
            for got in &receivers {
                for sender in 0..3 {
                    let of_sender = got.iter().filter(|&&message| message / 10 == sender);
                    assert!(of_sender.is_sorted_by(|a, b| a < b), "{receivers:?}");
                }
            }
            let mut all = receivers.concat();
            all.sort_unstable();
            assert!(all.into_iter().eq((0..5).chain(10..15).chain(20..25)));
        }
    });
}

#[test]
fn receivers_that_are_cut_lose_no_message() {
    explore(SEEDS, || {
        for (s, r) in all_kinds() {
            let (got, sent) = (Cell::new(0), Cell::new(0));
            pool(|pool| {
                let receivers = [(); 6].map(|()| {
                    pool.spawn(|| {
                        r.recv().unwrap();
                        got.set(got.get() + 1);
                    })
                });
                let sender = pool.spawn(|| {
                    let send = |_: &i32| s.send_timeout((), ms(1)).is_ok();
                    sent.set((0..6).take_while(send).count());
                });
                for (number, receiver) in receivers.iter().enumerate() {
                    if number % 2 == 0 {
                        receiver.cancel();
                    }
                    yield_now();
                }
                sender.join().unwrap();
                sleep(ms(1));
                receivers.iter().for_each(|receiver| receiver.cancel());
            });
            let got = got.get();
            assert_eq!(got + r.try_iter().count(), sent.get());
            // Three were not cut before there was enough for them.
            assert!(got >= 3, "{got} of 3 that went on waiting were served");
        }
    });
}

#[test]
fn senders_that_are_cut_drop_their_message_or_have_sent_it() {
    explore(SEEDS, || {
        for (s, r) in limited() {
            let (ledger, sent) = (Ledger::default(), Cell::new(0));
            let received = pool(|pool| {
                for number in 0..8 {
                    let (s, ledger, sent) = (&s, &ledger, &sent);
                    let sender = pool.spawn(move || {
                        s.send(ledger.one()).unwrap();
                        sent.set(sent.get() + 1);
                    });
                    if number % 3 == 0 {
                        pool.spawn(move || sender.cancel());
                    }
                }
                let mut received = 0;
                while r.recv_timeout(ms(1)).is_ok() {
                    received += 1;
                }
                received
            });
            assert_eq!(received, sent.get());
            assert!(received >= 5);
            ledger.assert_all_dropped();
        }
    });
}

/// Selects at both ends of two channels, some of which are cut or out of time.
fn select_once(s: &[Sender<u32>; 2], r: &[Receiver<u32>; 2], number: u32) -> (u32, u32) {
    select! {
        send(s[0], number) -> sent => { sent.unwrap(); (1, 0) }
        send(s[1], number) -> sent => { sent.unwrap(); (1, 0) }
        recv(r[0]) -> got => { got.unwrap(); (0, 1) }
        recv(r[1]) -> got => { got.unwrap(); (0, 1) }
        default(ms(1)) => (0, 0),
    }
}

#[test]
fn selects_that_are_cut_have_done_nothing() {
    explore(SEEDS, || {
        for capacity in 0..3 {
            let [(s0, r0), (s1, r1)] = [(); 2].map(|()| bounded(capacity));
            let (s, r) = ([s0, s1], [r0, r1]);
            let counts = Cell::new((0, 0));
            pool(|pool| {
                for number in 0..12 {
                    let (s, r, counts) = (&s, &r, &counts);
                    let task = pool.spawn(move || {
                        let (sent, received) = select_once(s, r, number);
                        let (all_sent, all_received) = counts.get();
                        counts.set((all_sent + sent, all_received + received));
                        yield_now();
                    });
                    if number % 4 == 0 {
                        pool.spawn(move || task.cancel());
                    }
                }
            });
            let left: usize = r.iter().map(|r| r.try_iter().count()).sum();
            let (sent, received) = counts.get();
            assert_eq!(sent as usize, received as usize + left);
        }
    });
}

#[test]
fn timeouts_race_with_messages_and_one_of_them_wins() {
    explore(SEEDS, || {
        for (s, r) in all_kinds() {
            pool(|pool| {
                let receives = pool.spawn(|| r.recv_timeout(ms(5)));
                let scoped = pool.spawn(|| skip_after(ms(5), |_| r.recv().unwrap()));
                let sends = pool.spawn(|| {
                    sleep(ms(5));
                    usize::from(s.send_timeout(7, ms(1)).is_ok())
                });
                let sent = sends.join().unwrap();
                let by_call = usize::from(receives.join().unwrap().is_ok());
                let by_scope = usize::from(scoped.join().unwrap().is_some());
                assert_eq!(by_call + by_scope + r.try_iter().count(), sent);
            });
        }
    });
}

#[test]
fn the_end_races_with_messages_and_nothing_is_lost() {
    explore(SEEDS, || {
        for (s, r) in all_kinds() {
            let ledger = Ledger::default();
            pool(|pool| {
                let senders = [(); 3].map(|()| {
                    pool.spawn(|| (0..4).filter(|_| s.send(ledger.one()).is_ok()).count())
                });
                let receivers = [(); 2].map(|()| pool.spawn(|| r.iter().count()));
                let closes = pool.spawn(|| {
                    (0..3).for_each(|_| yield_now());
                    s.close()
                });
                assert!(closes.join().unwrap());
                let sent: usize = senders.map(|sender| sender.join().unwrap()).iter().sum();
                let received: usize =
                    receivers.map(|receiver| receiver.join().unwrap()).iter().sum();
                assert_eq!(sent, received);
            });
            ledger.assert_all_dropped();
        }
    });
}

/// A message that is made while its maker is cut.
#[test]
fn makers_of_messages_that_are_cut_leave_their_place() {
    explore(SEEDS, || {
        for (s, r) in limited() {
            let (ledger, sent) = (Ledger::default(), Cell::new(0));
            pool(|pool| {
                let receiver = pool.spawn(|| r.iter().count());
                for number in 0..6 {
                    let (s, ledger, sent) = (&s, &ledger, &sent);
                    let maker = pool.spawn(move || {
                        let make = || {
                            let message = ledger.one();
                            yield_now();
                            message
                        };
                        select! { send(s, make()) -> done => done.unwrap() }
                        sent.set(sent.get() + 1);
                    });
                    if number % 2 == 0 {
                        pool.spawn(move || {
                            yield_now();
                            maker.cancel();
                        });
                    }
                }
                sleep(ms(1));
                s.close();
                assert_eq!(receiver.join().unwrap(), sent.get());
                assert!(sent.get() >= 3);
            });
            ledger.assert_all_dropped();
        }
    });
}
