//! `select!`: every form in which its arms can be written.
#![expect(
    clippy::never_loop,
    clippy::match_single_binding,
    clippy::unnecessary_literal_unwrap,
    clippy::let_and_return,
    clippy::redundant_closure_call,
    reason = "they are expressions"
)]

use super::channel;
use super::channel::Receiver;
use super::channel::RecvError;
use super::channel::SendError;
use super::channel::Sender;
use super::channel::bounded;
use super::channel::never;
use super::channel::select;
use super::channel::select_biased;
use super::channel::unbounded;
use super::world;
use crate::ms;
use std::cell::Cell;
use std::fmt::Display;
use std::ops::Deref;
use std::time::Duration;

#[test]
fn smoke() {
    world::run(|| {
        let (s, r) = unbounded();
        let got = select! {
            send(s, 7) -> sent => sent.map(|()| 0),
        };
        assert_eq!(got, Ok(0));
        let got = select! {
            recv(r) -> got => got,
        };
        assert_eq!(got, Ok(7));
    });
}

#[test]
fn commas_stand_where_a_match_has_them() {
    world::run(|| {
        let (s, r) = unbounded::<i32>();
        select! { send(s, 1) -> _ => {} }
        select! { send(s, 2) -> _ => {}, }
        select! { send(s, 3) -> _ => () }
        select! { send(s, 4) -> _ => (), }
        select! {
            recv(r) -> got => assert_eq!(got, Ok(1)),
            default => panic!("it is not empty")
        }
        select! {
            recv(r) -> got => { assert_eq!(got, Ok(2)) }
            default => { panic!("it is not empty") }
        }
        select! {
            recv(r) -> got => { assert_eq!(got, Ok(3)) },
            default => panic!("it is not empty"),
        }
        select! { recv(r,) -> got => assert_eq!(got, Ok(4)), default(ms(1000),) => {}, }
        select! { send(s, 5,) -> _ => {}, recv(never::<i32>(),) -> _ => {} }
        assert_eq!(r.recv(), Ok(5));
    });
}

#[test]
fn a_default_may_have_no_time_an_empty_list_or_a_time() {
    world::run(|| {
        let (s, r) = bounded::<i32>(0);
        let mut defaults = 0;
        select! { default => defaults += 1 }
        select! { default => defaults += 1, }
        select! { default => { defaults += 1; } }
        select! { default() => defaults += 1 }
        select! { default(ms(1)) => defaults += 1 }
        select! { default(Duration::ZERO) => { defaults += 1; } }
        select! {
            default => defaults += 1,
            recv(r) -> _ => panic!("nobody sends"),
        }
        select! {
            recv(r) -> _ => panic!("nobody sends"),
            default() => defaults += 1,
            send(s, 1) -> _ => panic!("nobody receives"),
        }
        let timeout = || ms(1) + ms(1);
        select! {
            send(s, 1) -> _ => panic!("nobody receives"),
            default(timeout()) => defaults += 1,
        }
        assert_eq!(defaults, 9);
    });
}

#[test]
fn a_biased_one_is_written_alike() {
    world::run(|| {
        let (s, r) = unbounded();
        select_biased! { send(s, 1,) -> sent => assert_eq!(sent, Ok(())), }
        select_biased! {
            recv(r) -> got => { assert_eq!(got, Ok(1)) }
            default => panic!("it is not empty")
        }
        select_biased! { recv(r) -> _ => panic!("it is empty"), default(ms(1)) => {} }
        select_biased! { default() => {} }
        let got = select_biased! {
            send(s, 2) -> _ => "first",
            recv(never::<i32>()) -> _ => "second",
        };
        assert_eq!(got, "first");
    });
}

/// After Rust's reference: whatever is an expression may stand behind the arrow.
#[test]
fn an_arm_may_be_any_expression() {
    world::run(|| {
        let (s, r) = unbounded::<i32>();
        let number = select! {
            recv(r) -> _ => 3.0,
            recv(r) -> _ => loop {
                unreachable!();
            },
            recv(r) -> _ => match 7 {
                _ => unreachable!(),
            },
            default => 7.0,
        };
        assert_eq!(number, 7.0);
        s.send(1).unwrap();
        let parts = select! {
            recv(r) -> got => if got.is_ok() { ("even", 2) } else { ("odd", 1) },
            default => ("none", 0)
        };
        assert_eq!(parts, ("even", 2));
        let sum = |a: i32, b: i32| a + b;
        let value = 1 + select! { send(s, 4) -> _ => sum(1, 2) * 3, default => 0 } + 1;
        assert_eq!(value, 11);
        let text = select! { recv(r) -> got => format!("{}", got.unwrap()), default => "x".into() };
        assert_eq!(text, "4");
        let closure = select! { default => |x: i32| x + 1 };
        assert_eq!(closure(1), 2);
        let unsized_part = select! { default => &[1, 2, 3][..] };
        assert_eq!(unsized_part.len(), 3);
    });
}

#[test]
fn the_value_of_a_select_is_that_of_the_arm() {
    world::run(|| {
        let (s, r) = unbounded::<i32>();
        let choose = || {
            select! {
                recv(r) -> _ => "foo".into(),
                default => "baz".to_string(),
            }
        };
        assert_eq!(choose(), "baz");
        s.send(0).unwrap();
        assert_eq!(choose(), "foo");
        let never_returns: i32 = select! {
            send(s, 0) -> _ => 5,
            recv(never::<()>()) -> _ => panic!("that is never"),
        };
        assert_eq!(never_returns, 5);
    });
}

#[test]
fn handles_may_be_places_references_and_values() {
    struct Both {
        s: Sender<i32>,
        ends: [Receiver<i32>; 1],
    }
    world::run(|| {
        let (s, r) = unbounded();
        select! { send(&s, 1) -> _ => {} recv(&never::<i32>()) -> _ => {} }
        select! { send(&&&s, 2) -> _ => {} }
        select! { recv(&&&r) -> got => assert_eq!(got, Ok(1)) }
        select! { recv(Some(&r).unwrap()) -> got => assert_eq!(got, Ok(2)) }
        let mut both = Both { s, ends: [r] };
        select! { send(both.s, 3) -> _ => {} }
        select! { recv(both.ends[0]) -> got => assert_eq!(got, Ok(3)) }
        select! { send(&mut both.s, 4) -> _ => {} }
        select! { recv(both.ends.first().unwrap()) -> got => assert_eq!(got, Ok(4)) }
        let (s, r) = (Box::new(both.s), Box::new(both.ends));
        select! { send(*s, 5) -> _ => {} }
        select! { recv(r[0]) -> got => assert_eq!(got, Ok(5)) }
        let made = || s.clone();
        select! { send(made(), 6) -> _ => {} }
        select! { recv({ let other = r[0].clone(); other }) -> got => assert_eq!(got, Ok(6)) }
        select! { recv(if s.is_empty() { &r[0] } else { panic!() }) -> _ => {}, default => {} }
    });
}

#[test]
fn handles_may_hide_behind_a_deref() {
    struct Hidden<T>(T);
    impl<T> Deref for Hidden<T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.0
        }
    }
    world::run(|| {
        let (s, r) = bounded::<i32>(1);
        let (s, r) = (Hidden(s), Hidden(r));
        select! { send(s, 7) -> sent => assert_eq!(sent, Ok(())), recv(r) -> _ => panic!() }
        select! { recv(r) -> got => assert_eq!(got, Ok(7)), default => panic!() }
    });
}

#[test]
fn handles_may_be_given_away() {
    world::run(|| {
        let (s, r) = unbounded::<i32>();
        let (other_s, other_r) = (s.clone(), r.clone());
        select! {
            recv((move || r)()) -> got => assert_eq!(got, Ok(1)),
            send((move || s)(), 1) -> sent => assert_eq!(sent, Ok(())),
        }
        assert_eq!(other_r.recv(), Ok(1));
        drop(other_s);
        // Its only sender is gone with the select.
        assert_eq!(other_r.recv(), Err(RecvError));
    });
}

/// A receiver, its last sender, and the one arm that both are given to.
#[test]
fn handles_of_arms_live_until_the_choice_was_made() {
    world::run(|| {
        let ((s, r), (full, _full_r)) = (bounded(1), bounded(0));
        s.send(7).unwrap();
        select! {
            recv(r.clone()) -> got => assert_eq!(got, Ok(7)),
            send({ drop(r); &full }, 1) -> _ => panic!("nobody receives"),
        }
    });
}

#[test]
fn handles_are_evaluated_once_and_in_order() {
    world::run(|| {
        let (log, (s, r)) = (Cell::new(String::new()), unbounded::<i32>());
        let (full, _full_r) = bounded(0);
        let add = |what: char| {
            let mut text = log.take();
            text.push(what);
            log.set(text);
        };
        for _ in 0..3 {
            select! {
                recv({ add('a'); &r }) -> _ => add('1'),
                recv({ add('b'); never::<i32>() }) -> _ => panic!(),
                send({ add('c'); &full }, { add('x'); 1 }) -> _ => panic!(),
                default => add('2'),
            }
        }
        s.send(1).unwrap();
        select! {
            send({ add('d'); &s }, { add('e'); 1 }) -> _ => add('f'),
        }
        assert_eq!(log.take(), "abc2abc2abc2def");
    });
}

#[test]
fn a_message_is_made_when_its_arm_was_chosen() {
    world::run(|| {
        let (made, (s, r), (full, _full_r)) = (Cell::new(0), bounded(1), bounded(0));
        let make = || {
            made.set(made.get() + 1);
            made.get()
        };
        select! { send(full, make()) -> _ => panic!(), default => {} }
        select! { send(full, make()) -> _ => panic!(), default(ms(1)) => {} }
        select! { send(full, make()) -> _ => panic!(), send(s, 7) -> _ => {} }
        select! { send(full, make()) -> _ => panic!(), recv(r) -> got => assert_eq!(got, Ok(7)) }
        assert_eq!(made.get(), 0);
        select! { send(s, make()) -> sent => assert_eq!(sent, Ok(())) }
        assert_eq!((made.get(), r.recv()), (1, Ok(1)));
        drop(r);
        select! { send(s, make()) -> sent => assert_eq!(sent, Err(SendError(2))) }
    });
}

#[test]
fn a_message_may_come_from_the_channel_that_it_goes_to() {
    world::run(|| {
        let (s, r) = bounded(2);
        s.send(7).unwrap();
        select! { send(s, r.recv().unwrap() + 1) -> sent => assert_eq!(sent, Ok(())) }
        assert_eq!(r.try_iter().collect::<Vec<_>>(), [8]);
    });
}

#[test]
fn names_and_patterns_of_arms_are_the_users() {
    world::run(|| {
        let (s, r) = unbounded::<(i32, &str)>();
        for message in [(1, "a"), (2, "b"), (3, "c"), (4, "d")] {
            s.send(message).unwrap();
        }
        select! { recv(r) -> r => assert_eq!(r, Ok((1, "a"))) }
        select! { recv(r) -> mut got => { got = got.map(|(n, t)| (n + 1, t)); assert_eq!(got, Ok((3, "b"))) } }
        select! {
            recv(r) -> got @ (Ok(_) | Err(_)) => assert!(got.is_ok()),
        }
        select! {
            recv(r) -> got => {
                let Ok((number, text)) = got else { panic!("it has ended") };
                assert_eq!((number, text), (4, "d"));
            }
        }
        let (_res, _oper, _sel, _r, _s) = (1, 2, 3, 4, 5);
        select! { default => assert_eq!(_res + _oper + _sel + _r + _s, 15) }
        s.send((_res + _oper, "x")).unwrap();
        select! {
            recv(r) -> _res => assert_eq!((_res, _oper + _sel + _r + _s), (Ok((3, "x")), 14)),
        }
        select! { send(s, (_sel, "y")) -> _oper => assert_eq!((_oper, _sel), (Ok(()), 3)) }
    });
}

#[test]
fn results_are_of_the_types_of_send_and_recv() {
    world::run(|| {
        let ((s, _), (_, r)) = (bounded::<i32>(0), bounded::<String>(0));
        for _ in 0..10 {
            select! {
                send(s, 0) -> sent => {
                    let sent: Result<(), SendError<i32>> = sent;
                    assert_eq!(sent, Err(SendError(0)));
                }
                recv(r) -> got => {
                    let got: Result<String, RecvError> = got;
                    assert_eq!(got, Err(RecvError));
                }
            }
        }
    });
}

#[test]
fn types_are_inferred_from_arms() {
    world::run(|| {
        let (s, r) = unbounded();
        select! { recv(r) -> _ => panic!("it is empty"), default => {} }
        s.send(1_u8).unwrap();
        let (s, r) = unbounded();
        select! { send(s, Vec::new()) -> _ => {} }
        let got: Vec<u64> = select! { recv(r) -> got => got.unwrap() };
        assert!(got.is_empty());
        let (s, r) = unbounded::<Box<dyn Display>>();
        select! { send(s, Box::new(7)) -> _ => {} }
        assert_eq!(r.recv().unwrap().to_string(), "7");
    });
}

#[test]
fn it_may_be_named_by_its_path() {
    world::run(|| {
        let (s, r) = unbounded();
        channel::select! { send(s, 1) -> _ => {} }
        channel::select_biased! { recv(r) -> got => assert_eq!(got, Ok(1)) }
    });
}

/// Names of the prelude that mean something else here.
#[test]
fn it_does_not_stand_on_names_of_its_user() {
    mod std {}
    mod core {}
    #[expect(dead_code, reason = "they are in the way")]
    enum Wrong {
        Some,
        None,
        Ok,
        Err,
    }
    world::run(|| {
        let (s, r) = unbounded();
        s.send(7).unwrap();
        #[expect(unused_imports, reason = "they are in the way")]
        use Wrong::*;
        select! {
            recv(r) -> got => assert_eq!(got.unwrap(), 7),
            default(ms(1)) => panic!("it is not empty"),
        }
        select! { recv(r) -> _ => panic!("it is empty"), default(ms(1)) => {} }
        select! { send(s, 1) -> sent => sent.unwrap(), recv(r) -> _ => panic!() }
    });
}
