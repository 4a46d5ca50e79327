//! After the tests of Go's `select`: `chan_test.go` of its runtime, `doubleselect` and `select3` to
//! `select7` of its `test/chan`.

use super::Channel;
use super::channel::Receiver;
use super::channel::RecvError;
use super::channel::SendError;
use super::channel::Sender;
use super::channel::bounded;
use super::channel::never;
use super::channel::select;
use super::world;
use super::world::scope;
use crate::ms;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

/// `TestNonblockSelectRace`: at each moment one of the two holds a message.
#[test]
fn a_select_that_does_not_wait_sees_that_one_is_ready() {
    world::run(|| {
        for _ in 0..150 {
            let ((s, r), (other_s, other_r)) = (bounded(1), bounded(1));
            s.send(1).unwrap();
            scope(|scope| {
                let looks = scope.spawn(|| {
                    select! {
                        recv(r) -> _ => true,
                        recv(other_r) -> _ => true,
                        default => false,
                    }
                });
                other_s.send(1).unwrap();
                select! { recv(r) -> _ => {} default => {} }
                assert!(looks.join().unwrap(), "none was ready");
            });
        }
    });
}

/// `TestNonblockSelectRace2`: the second becomes ready by its end.
#[test]
fn a_select_that_does_not_wait_sees_that_one_has_ended() {
    world::run(|| {
        for _ in 0..150 {
            let ((s, r), (other_s, other_r)) = (bounded(1), bounded::<i32>(0));
            s.send(1).unwrap();
            scope(|scope| {
                let looks = scope.spawn(|| {
                    select! {
                        recv(r) -> _ => true,
                        recv(other_r) -> _ => true,
                        default => false,
                    }
                });
                drop(other_s);
                select! { recv(r) -> _ => {} default => {} }
                assert!(looks.join().unwrap(), "none was ready");
            });
        }
    });
}

/// `TestSelfSelect`.
#[test]
fn two_that_send_and_receive_on_one_channel_never_get_their_own() {
    world::run(|| {
        for capacity in [0, 10] {
            let (s, r) = bounded(capacity);
            let left = AtomicUsize::new(2);
            scope(|scope| {
                for me in 0..2 {
                    let (s, r, left) = (&s, &r, &left);
                    scope.spawn(move || {
                        let check = |got: Result<usize, _>| {
                            assert!(capacity > 0 || got != Ok(me), "it has met itself");
                        };
                        for number in 0..300 {
                            // The last to go on finds no peer.
                            if left.load(Ordering::SeqCst) < 2 {
                                break;
                            }
                            if me == 0 || number % 2 == 0 {
                                select! {
                                    send(s, me) -> _ => {}
                                    recv(r) -> got => check(got),
                                    default(ms(1)) => {}
                                }
                            } else {
                                select! {
                                    recv(r) -> got => check(got),
                                    send(s, me) -> _ => {}
                                    default(ms(1)) => {}
                                }
                            }
                        }
                        left.fetch_sub(1, Ordering::SeqCst);
                    });
                }
            });
        }
    });
}

/// `TestSelectStress`: each of four channels is used by plain calls, and all by one select at each side.
#[test]
fn selects_and_plain_calls_share_four_channels() {
    const COUNT: usize = 300;
    world::run(|| {
        let channels: [Channel<usize>; 4] = [bounded(0), bounded(0), bounded(2), bounded(3)];
        let [s0, s1, s2, s3] = channels.each_ref().map(|(s, _)| s.clone());
        let [r0, r1, r2, r3] = channels.each_ref().map(|(_, r)| r.clone());
        scope(|scope| {
            for (s, r) in &channels {
                scope.spawn(move || (0..COUNT).for_each(|number| s.send(number).unwrap()));
                scope.spawn(move || assert_eq!(r.iter().take(COUNT).count(), COUNT));
            }
            scope.spawn(move || {
                let mut left = [COUNT; 4];
                let hole = bounded(0);
                while left != [0; 4] {
                    fn open<'s>(
                        left: usize,
                        s: &'s Sender<usize>,
                        hole: &'s Sender<usize>,
                    ) -> &'s Sender<usize> {
                        if left > 0 { s } else { hole }
                    }
                    let arm = select! {
                        send(open(left[3], &s3, &hole.0), 1) -> sent => { sent.unwrap(); 3 }
                        send(open(left[2], &s2, &hole.0), 1) -> sent => { sent.unwrap(); 2 }
                        send(open(left[0], &s0, &hole.0), 1) -> sent => { sent.unwrap(); 0 }
                        send(open(left[1], &s1, &hole.0), 1) -> sent => { sent.unwrap(); 1 }
                    };
                    left[arm] -= 1;
                }
            });
            scope.spawn(move || {
                let mut left = [COUNT; 4];
                let hole = never();
                while left != [0; 4] {
                    fn open<'r>(
                        left: usize,
                        r: &'r Receiver<usize>,
                        hole: &'r Receiver<usize>,
                    ) -> &'r Receiver<usize> {
                        if left > 0 { r } else { hole }
                    }
                    let arm = select! {
                        recv(open(left[0], &r0, &hole)) -> got => { got.unwrap(); 0 }
                        recv(open(left[1], &r1, &hole)) -> got => { got.unwrap(); 1 }
                        recv(open(left[2], &r2, &hole)) -> got => { got.unwrap(); 2 }
                        recv(open(left[3], &r3, &hole)) -> got => { got.unwrap(); 3 }
                    };
                    left[arm] -= 1;
                }
            });
        });
        assert!(channels.iter().all(|(_, r)| r.is_empty()));
    });
}

/// `TestSelectFairness`: of six that could send and two that always do, each of the two gets its turn.
#[test]
fn of_two_that_are_always_ready_none_starves() {
    const TRIALS: usize = 2000;
    world::run(|| {
        let channels = [(); 2].map(|()| bounded::<u8>(TRIALS + 1));
        for (s, _) in &channels {
            (0..=TRIALS).for_each(|_| s.send(0).unwrap());
        }
        let [(_, r0), (_, r1)] = &channels;
        let (empty, nothing) = (bounded::<u8>(0), never::<u8>());
        let mut counts = [0_usize; 2];
        for _ in 0..TRIALS {
            let arm = select! {
                recv(empty.1) -> _ => panic!("nobody sends"),
                recv(nothing) -> _ => panic!("nobody sends"),
                recv(r0) -> _ => 0,
                recv(r1) -> _ => 1,
            };
            counts[arm] += 1;
        }
        // Ten times the deviation that chance allows would be 224.
        assert!(counts[0].abs_diff(counts[1]) < 500, "{counts:?}");
    });
}

/// `TestPseudoRandomSend`.
#[test]
fn two_arms_that_send_on_one_channel_are_both_used() {
    const COUNT: usize = 200;
    world::run(|| {
        for capacity in [0, COUNT] {
            let (s, r) = bounded(capacity);
            let ones: usize = scope(|scope| {
                let receiver = scope.spawn(move || r.iter().sum());
                for _ in 0..COUNT {
                    select! {
                        send(s, 0) -> sent => sent.unwrap(),
                        send(s, 1) -> sent => sent.unwrap(),
                    }
                }
                drop(s);
                receiver.join().unwrap()
            });
            assert!((COUNT / 10..COUNT - COUNT / 10).contains(&ones), "{ones} of {COUNT}");
        }
    });
}

/// `TestSelectDuplicateChannel`: nothing is left of the arm that did not win.
#[test]
fn a_channel_may_stand_in_two_arms() {
    world::run(|| {
        let ((s, r), (other_s, other_r), (e_s, e_r)) = (bounded(0), bounded(0), bounded(0));
        scope(|scope| {
            scope.spawn(|| {
                select! {
                    recv(r) -> got => assert_eq!(got, Ok(7)),
                    recv(r) -> got => assert_eq!(got, Ok(7)),
                    recv(other_r) -> _ => panic!("nobody sends"),
                }
                e_s.send(9).unwrap();
            });
            world::settle();
            scope.spawn(|| assert_eq!(r.recv(), Ok(8)));
            world::settle();
            s.send(7).unwrap();
            assert_eq!(e_r.recv(), Ok(9), "the select has ended");
            s.send(8).unwrap();
        });
        drop::<Sender<i32>>(other_s);
    });
}

/// `doubleselect`: no message is sent twice.
#[test]
fn a_select_of_four_arms_sends_each_message_once() {
    const COUNT: usize = 1000;
    world::run(|| {
        let [c1, c2, c3, c4] = [(); 4].map(|()| bounded(0));
        let (all_s, all_r) = bounded(0);
        scope(|scope| {
            scope.spawn(move || {
                let [s1, s2, s3, s4] = [c1.0, c2.0, c3.0, c4.0];
                for number in 0..COUNT {
                    select! {
                        send(s1, number) -> sent => sent.unwrap(),
                        send(s2, number) -> sent => sent.unwrap(),
                        send(s3, number) -> sent => sent.unwrap(),
                        send(s4, number) -> sent => sent.unwrap(),
                    }
                }
            });
            for r in [c1.1, c2.1, c3.1, c4.1] {
                let all_s = all_s.clone();
                scope.spawn(move || r.iter().for_each(|number| all_s.send(number).unwrap()));
            }
            drop(all_s);
            let mut seen = vec![false; COUNT];
            for number in all_r {
                assert!(!std::mem::replace(&mut seen[number], true), "{number} came twice");
            }
            assert!(seen.into_iter().all(|seen| seen));
        });
    });
}

/// `select3`: which forms wait, and which do not.
#[test]
fn what_can_be_done_at_once_does_not_wait() {
    world::run(|| {
        let waits = |s: &Sender<i32>, r: &Receiver<i32>| {
            let sends = select! { send(s, 7) -> _ => false, default => true };
            let receives = select! { recv(r) -> _ => false, default => true };
            (sends, receives)
        };
        // Nobody at the other end.
        let (s, r) = bounded(0);
        assert_eq!(waits(&s, &r), (true, true));
        assert_eq!(waits(&s, &never()), (true, true));
        // Empty, with room, and full.
        let (s, r) = bounded(10);
        assert!(select! { recv(r) -> _ => false, default => true });
        assert!(select! { send(s, 7) -> _ => true, default => false });
        assert!(select! { recv(r) -> got => got == Ok(7), default => false });
        (0..10).for_each(|_| s.send(1).unwrap());
        assert!(select! { send(s, 7) -> _ => false, default => true });
        // Ended.
        let (s, r) = bounded(0);
        drop(r);
        assert_eq!(select! { send(s, 7) -> sent => sent, default => panic!() }, Err(SendError(7)));
        let (s, r) = bounded::<i32>(0);
        drop(s);
        assert_eq!(select! { recv(r) -> got => got, default => panic!() }, Err(RecvError));
    });
}

/// `select5`: what an arm names may itself use the channel.
#[test]
fn handles_and_messages_may_use_the_channels_they_stand_for() {
    world::run(|| {
        let (s, r) = bounded(3);
        (1..=2).for_each(|number| s.send(number).unwrap());
        let got = select! {
            recv({ assert_eq!(r.recv(), Ok(1)); &r }) -> got => got.unwrap(),
        };
        assert_eq!(got, 2);
        s.send(3).unwrap();
        select! {
            send({ assert_eq!(r.recv(), Ok(3)); &s }, { s.send(4).unwrap(); 5 }) -> sent => {
                sent.unwrap();
            }
        }
        // Whether its place was kept or not, both have arrived.
        let mut rest: Vec<_> = r.try_iter().collect();
        rest.sort_unstable();
        assert_eq!(rest, [4, 5]);
    });
}

/// `select6`: those that are taken out of the middle of the line leave it whole.
#[test]
fn a_select_that_leaves_its_line_leaves_the_others_in_it() {
    world::run(|| {
        let ((s1, r1), (s2, r2)) = (bounded(0), bounded(0));
        scope(|scope| {
            // A select that stands in both lines, and one for each that waits behind it.
            let first = scope.spawn(|| {
                select! { recv(r1) -> got => got, recv(r2) -> got => got }
            });
            world::settle();
            let second = scope.spawn(|| r1.recv());
            world::settle();
            let third = scope.spawn(|| select! { recv(r1) -> got => got, recv(r2) -> got => got });
            world::settle();
            s2.send(1).unwrap();
            s1.send(1).unwrap();
            s1.send(1).unwrap();
            for receiver in [first, second, third] {
                assert_eq!(receiver.join().unwrap(), Ok(1));
            }
        });
    });
}

/// `select7`: each form of a receive meets each form of a send.
#[test]
fn every_form_of_a_receive_meets_every_form_of_a_send() {
    type Sends = fn(&Sender<i32>);
    type Receives = fn(&Receiver<i32>);
    let sends: [Sends; 4] = [
        |s| s.send(7).unwrap(),
        |s| select! { send(s, 7) -> sent => sent.unwrap() },
        |s| select! { send(s, 7) -> sent => sent.unwrap(), recv(never::<i32>()) -> _ => panic!() },
        |s| {
            while select! { send(s, 7) -> sent => { sent.unwrap(); false } default(ms(1)) => true }
            {
            }
        },
    ];
    let receives: [Receives; 4] = [
        |r| assert_eq!(r.recv(), Ok(7)),
        |r| select! { recv(r) -> got => assert_eq!(got, Ok(7)) },
        |r| select! { recv(r) -> got => assert_eq!(got, Ok(7)), recv(never::<i32>()) -> _ => {} },
        |r| while select! { recv(r) -> got => got != Ok(7), default(ms(1)) => true } {},
    ];
    world::run(|| {
        for send in sends {
            for receive in receives {
                for first in 0..2 {
                    let (s, r) = bounded(0);
                    scope(|scope| {
                        if first == 0 {
                            scope.spawn(|| send(&s));
                            world::settle();
                            receive(&r);
                        } else {
                            scope.spawn(|| receive(&r));
                            world::settle();
                            send(&s);
                        }
                    });
                }
            }
        }
    });
}
