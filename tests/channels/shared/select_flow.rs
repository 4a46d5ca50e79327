//! `select!`: arms among the code around them.

use super::Channel;
use super::channel::Receiver;
use super::channel::RecvError;
use super::channel::SendError;
use super::channel::Sender;
use super::channel::bounded;
use super::channel::never;
use super::channel::select;
use super::channel::unbounded;
use super::world;
use super::world::scope;
use crate::ms;
use crate::secs;

#[test]
fn smoke() {
    world::run(|| {
        let ((s, r), (other_s, other_r)) = (bounded(0), bounded(0));
        scope(|scope| {
            scope.spawn(|| {
                for number in 0..10 {
                    s.send(number).unwrap();
                    other_r.recv().unwrap();
                }
            });
            let (mut sent, mut received) = (0, 0);
            while sent + received < 20 {
                select! {
                    recv(r) -> got => { assert_eq!(got, Ok(received)); received += 1 }
                    send(other_s, ()) -> done => { done.unwrap(); sent += 1 }
                }
            }
            assert_eq!((sent, received), (10, 10));
        });
    });
}

#[test]
fn an_arm_may_leave_its_loop_or_go_on_with_it() {
    world::run(|| {
        let (s, r) = unbounded();
        (0..10).for_each(|number| s.send(number).unwrap());
        let mut seen = Vec::new();
        let last = 'outer: loop {
            for _ in 0..3 {
                select! {
                    recv(r) -> got => match got.unwrap() {
                        number if number % 2 == 0 => continue,
                        7 => break 'outer 7,
                        number => seen.push(number),
                    },
                    default => unreachable!("it is not empty"),
                }
            }
            seen.push(-1);
        };
        assert_eq!((last, seen), (7, vec![1, -1, 3, 5, -1]));
        assert_eq!(r.len(), 2);
    });
}

#[test]
fn an_arm_may_leave_its_function() {
    fn take(r: &Receiver<i32>) -> Option<i32> {
        select! {
            recv(r) -> got => return got.ok(),
            default => {}
        }
        Some(-1)
    }
    fn pass_on(r: &Receiver<i32>, s: &Sender<i32>) -> Result<i32, Box<dyn std::error::Error>> {
        let got = select! {
            recv(r) -> got => got?,
            default => 0,
        };
        select! {
            send(s, got) -> sent => sent?,
        }
        Ok(got)
    }
    world::run(|| {
        let (s, r) = unbounded();
        assert_eq!(take(&r), Some(-1));
        s.send(7).unwrap();
        assert_eq!(take(&r), Some(7));
        s.send(8).unwrap();
        let (other_s, other_r) = bounded(1);
        assert_eq!(pass_on(&r, &other_s).unwrap(), 8);
        drop(other_r);
        let error = pass_on(&r, &other_s).unwrap_err();
        assert_eq!(error.to_string(), SendError(0).to_string());
        drop(s);
        assert_eq!(take(&r), None);
        let error = pass_on(&r, &other_s).unwrap_err();
        assert_eq!(error.to_string(), RecvError.to_string());
    });
}

#[test]
fn an_arm_may_consume_what_others_consume_too() {
    world::run(|| {
        let ((s, r), once, other) = (unbounded(), Box::new(1), Box::new(2));
        let mut seen = Vec::new();
        select! {
            send(s, once) -> sent => { sent.unwrap(); seen.push(other) }
            recv(never::<()>()) -> _ => drop((other, seen)),
            default(ms(1)) => drop(other),
        }
        assert_eq!(r.recv(), Ok(Box::new(1)));
        let text = String::from("moved");
        let kept = select! {
            recv(r) -> _ => text,
            default => text + " by default",
        };
        assert_eq!(kept, "moved by default");
    });
}

#[test]
fn an_arm_may_use_what_it_has_chosen_from() {
    world::run(|| {
        let (mut s, mut r) = unbounded();
        s.send(1).unwrap();
        select! {
            recv(r) -> got => {
                assert_eq!(got, Ok(1));
                (s, r) = bounded(1);
            }
        }
        assert_eq!((s.capacity(), r.len()), (Some(1), 0));
        select! {
            send(s, 2) -> sent => {
                sent.unwrap();
                drop(s);
            }
        }
        assert!(r.into_iter().eq([2]));
    });
}

#[test]
fn an_arm_may_select() {
    world::run(|| {
        let (s, r) = unbounded();
        let mut depth = 0;
        s.send(0).unwrap();
        select! {
            recv(r) -> got => {
                depth += 1;
                assert_eq!(got, Ok(0));
                select! {
                    recv(r) -> _ => panic!("it is empty"),
                    send(s, 1) -> _ => {
                        depth += 1;
                        select! {
                            recv(r) -> got => {
                                depth += 1;
                                assert_eq!(got, Ok(1));
                                select! { default => depth += 1 }
                            }
                            default => panic!("it is not empty"),
                        }
                    }
                }
            }
        }
        assert_eq!(depth, 4);
    });
}

#[test]
fn a_message_may_come_from_a_select() {
    world::run(|| {
        let ((s, r), (other_s, other_r)) = (unbounded(), unbounded());
        s.send(7).unwrap();
        select! {
            send(other_s, select! { recv(r) -> got => got.unwrap() + 1, default => 0 }) -> sent => {
                sent.unwrap();
            }
        }
        assert_eq!(other_r.recv(), Ok(8));
    });
}

#[test]
fn a_handle_may_come_from_a_select() {
    world::run(|| {
        let (links, (s, r)) = (unbounded(), unbounded());
        links.0.send(r).unwrap();
        s.send(7).unwrap();
        select! {
            recv(select! { recv(links.1) -> r => r.unwrap() }) -> got => assert_eq!(got, Ok(7)),
        }
    });
}

#[test]
fn generic_code_may_select() {
    fn first<T: PartialEq + Clone>(value: T, (s, r): &Channel<T>) -> bool {
        select! { send(s, value.clone()) -> sent => sent.is_ok_and(|()| r.recv().unwrap() == value) }
    }
    world::run(|| {
        assert!(first(7, &unbounded()));
        assert!(first("x".to_string(), &bounded(1)));
        assert!(first([(); 3], &bounded(2)));
    });
}

#[test]
fn closures_may_select() {
    world::run(|| {
        let (s, r) = unbounded();
        s.send(7).unwrap();
        let take = move || select! { recv(r) -> got => got, default => Err(RecvError) };
        assert_eq!((take(), take()), (Ok(7), Err(RecvError)));
    });
}

#[test]
fn there_may_be_thirty_two_arms() {
    world::run(|| {
        let channels: [Channel<usize>; 32] = std::array::from_fn(|_| bounded(1));
        let r = |index: usize| &channels[index].1;
        for (number, (s, _)) in channels.iter().enumerate() {
            s.send(number).unwrap();
            let (arm, got) = select! {
                recv(r(0)) -> got => (0, got), recv(r(1)) -> got => (1, got),
                recv(r(2)) -> got => (2, got), recv(r(3)) -> got => (3, got),
                recv(r(4)) -> got => (4, got), recv(r(5)) -> got => (5, got),
                recv(r(6)) -> got => (6, got), recv(r(7)) -> got => (7, got),
                recv(r(8)) -> got => (8, got), recv(r(9)) -> got => (9, got),
                recv(r(10)) -> got => (10, got), recv(r(11)) -> got => (11, got),
                recv(r(12)) -> got => (12, got), recv(r(13)) -> got => (13, got),
                recv(r(14)) -> got => (14, got), recv(r(15)) -> got => (15, got),
                recv(r(16)) -> got => (16, got), recv(r(17)) -> got => (17, got),
                recv(r(18)) -> got => (18, got), recv(r(19)) -> got => (19, got),
                recv(r(20)) -> got => (20, got), recv(r(21)) -> got => (21, got),
                recv(r(22)) -> got => (22, got), recv(r(23)) -> got => (23, got),
                recv(r(24)) -> got => (24, got), recv(r(25)) -> got => (25, got),
                recv(r(26)) -> got => (26, got), recv(r(27)) -> got => (27, got),
                recv(r(28)) -> got => (28, got), recv(r(29)) -> got => (29, got),
                recv(r(30)) -> got => (30, got), recv(r(31)) -> got => (31, got),
                default(secs(1000)) => panic!("one is ready"),
            };
            assert_eq!((arm, got), (number, Ok(number)));
        }
    });
}

#[test]
fn an_arm_of_what_has_ended_is_ready() {
    world::run(|| {
        for (s, r) in super::all_kinds::<i32>() {
            drop(s);
            select! { recv(r) -> got => assert_eq!(got, Err(RecvError)), default => panic!() }
            select! { recv(r) -> got => assert_eq!(got, Err(RecvError)), default(ms(1)) => panic!() }
        }
        for (s, r) in super::all_kinds::<i32>() {
            drop(r);
            select! { send(s, 1) -> sent => assert_eq!(sent, Err(SendError(1))), default => panic!() }
            select! { send(s, 2) -> sent => assert_eq!(sent, Err(SendError(2))) }
        }
    });
}

/// Two ends of one channel in one select are no peers of each other.
#[test]
fn a_select_does_not_meet_itself() {
    world::run(|| {
        let (s, r) = bounded::<i32>(0);
        select! {
            send(s, 0) -> _ => panic!("it has met itself"),
            recv(r) -> _ => panic!("it has met itself"),
            default(ms(3)) => {}
        }
        select! {
            recv(r) -> _ => panic!("it has met itself"),
            send(s, 0) -> _ => panic!("it has met itself"),
            default => {}
        }
        let (s, r) = bounded::<i32>(1);
        select! {
            send(s, 0) -> _ => {}
            recv(r) -> _ => panic!("it is empty"),
        }
    });
}

#[test]
fn waits_end_with_the_first_arm_that_is_ready() {
    world::run(|| {
        for (s, r) in super::all_kinds() {
            let (_other_s, other_r) = bounded::<i32>(0);
            let (other_sends, _other_receives) = bounded(0);
            scope(|scope| {
                let selects = scope.spawn(|| {
                    select! {
                        recv(r) -> got => got,
                        recv(other_r) -> _ => panic!("nobody sends"),
                        send(other_sends, 1) -> _ => panic!("nobody receives"),
                        default(secs(1000)) => panic!("somebody sends"),
                    }
                });
                world::settle();
                s.send(7).unwrap();
                assert_eq!(selects.join().unwrap(), Ok(7));
            });
        }
    });
}
