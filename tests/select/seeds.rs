//! Everything at once, in many orders, and how fair that is.

use crate::pair;
use crate::put;
use crate::take;
use crate::take_all;
use crate::world::TIMELESS;
use crate::world::with_world;
use giambio::channel::bounded;
use giambio::channel::select;
use giambio::channel::select_biased;
use giambio::pool;
use giambio::sync::Event;
use giambio::testing::explore;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::yield_now;
use std::cell::Cell;
use std::cell::RefCell;

/// Each is fired by a task of its own while one selects: exactly one takes effect.
#[test]
fn of_all_that_become_ready_in_whatever_order_one_takes_effect() {
    let chosen = RefCell::new([0; TIMELESS.len()]);
    explore(0..400, || {
        with_world(|world| {
            let selected = pool(|pool| {
                let selected = pool.spawn(|| world.select());
                for kind in TIMELESS {
                    pool.spawn(move || world.fire(kind));
                }
                selected.join().unwrap()
            });
            settle();
            world.assert_left(&TIMELESS, Some(selected));
            let place = TIMELESS.into_iter().position(|kind| kind == selected).unwrap();
            chosen.borrow_mut()[place] += 1;
        });
    });
    let chosen = chosen.into_inner();
    assert!(chosen.into_iter().all(|count| count >= 10), "{chosen:?}");
}

#[test]
fn of_all_that_are_ready_each_is_chosen_as_often() {
    run_virtual(|| {
        let mut chosen = [0; TIMELESS.len()];
        for _ in 0..1200 {
            with_world(|world| {
                TIMELESS.into_iter().for_each(|kind| world.fire(kind));
                settle();
                let selected = world.select();
                chosen[TIMELESS.into_iter().position(|kind| kind == selected).unwrap()] += 1;
            });
        }
        // 200 each; seven standard deviations.
        assert!(chosen.into_iter().all(|count| (110..290).contains(&count)), "{chosen:?}");
    });
}

#[test]
fn between_a_ready_socket_and_a_ready_channel_the_choice_is_fair_and_biased_on_request() {
    run_virtual(|| {
        let ((ours, theirs), (s, r)) = (pair(), bounded(1));
        put(&theirs);
        s.send(()).unwrap();
        let mut bytes = 0;
        for _ in 0..1000 {
            select! {
                readable(ours) -> result => {
                    result.unwrap();
                    take(&ours);
                    put(&theirs);
                    bytes += 1;
                }
                recv(r) -> message => {
                    message.unwrap();
                    s.send(()).unwrap();
                }
            }
            select_biased! {
                readable(ours) -> result => result.unwrap(),
                recv(r) -> _ => unreachable!("it is the second"),
            }
            select_biased! {
                recv(r) -> message => {
                    message.unwrap();
                    s.send(()).unwrap();
                }
                readable(ours) -> _ => unreachable!("it is the second"),
            }
        }
        assert!((390..=610).contains(&bytes), "{bytes}");
    });
}

/// A channel that always has a message does not keep a source from being noticed.
#[test]
fn a_source_beside_a_busy_channel_is_noticed() {
    run_virtual(|| {
        let ((ours, theirs), (s, r)) = (pair(), bounded(1));
        s.send(0).unwrap();
        pool(|pool| {
            pool.spawn(|| {
                (0..10).for_each(|_| yield_now());
                put(&theirs);
            });
            loop {
                select! {
                    readable(ours) -> result => break result.unwrap(),
                    recv(r) -> turn => {
                        let turn = turn.unwrap();
                        assert!(turn < 100_000, "it was not noticed");
                        s.send(turn + 1).unwrap();
                    }
                }
            }
        });
    });
}

/// Tasks that select, read and are cancelled, on the same source and the same channel: every byte and every
/// message is taken once.
#[test]
fn readers_selects_and_cancellations_in_many_orders_lose_nothing() {
    explore(0..300, || {
        const EACH: usize = 6;
        let ((ours, theirs), (s, r), stop) = (pair(), bounded(1), Event::<()>::new());
        let (bytes, messages) = (Cell::new(0), Cell::new(0));
        let count_byte = || bytes.set(bytes.get() + 1);
        let select_once = || {
            select! {
                // Another may be faster, so this does not wait for the byte.
                readable(ours) -> result => {
                    result.unwrap();
                    bytes.set(bytes.get() + take_all(&ours));
                }
                recv(r) -> message => messages.set(messages.get() + message.unwrap()),
                happened(stop) -> _ => return true,
            }
            false
        };
        pool(|pool| {
            for _ in 0..3 {
                pool.spawn(|| while !select_once() {});
            }
            let cut = [(); 3].map(|()| pool.spawn(|| while !select_once() {}));
            let reader = pool.spawn(|| {
                loop {
                    take(&ours);
                    count_byte();
                }
            });
            let sender = pool.spawn(|| (0..EACH).for_each(|_| s.send(1).unwrap()));
            let writer = pool.spawn(|| {
                for _ in 0..EACH {
                    put(&theirs);
                    yield_now();
                }
            });
            for task in cut {
                yield_now();
                task.cancel();
            }
            sender.join().unwrap();
            writer.join().unwrap();
            settle();
            // Whoever reads parks again only when nothing is left.
            assert_eq!((bytes.get(), messages.get()), (EACH, EACH));
            stop.trigger(()).unwrap();
            reader.cancel();
        });
    });
}
