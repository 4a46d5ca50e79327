//! How the two sides of a channel race, in every order that loom can think of.
//!
//! The real state, lock and claims; a task that parks is that of `wait_queue`'s models. Checked: each
//! message is received once, comes back once or is left in the buffer once, and nobody waits for ever.

use super::Link;
use super::Offer;
use super::RECEIVERS;
use super::Room;
use super::SENDERS;
use super::Side;
use super::Step;
use super::replace_room;
use crate::channel::state::WhenFull;
use crate::task::phase::Session;
use crate::task::phase::Winner;
use crate::task::waiters::Seat;
use crate::task::waiters::Waiter;
use crate::task::waiters::Who;
use crate::wait_queue::loom_tests::Worker;
use crate::wait_queue::wake;
use loom::thread;
use std::cell::Cell;
use std::cell::OnceCell;
use std::cell::UnsafeCell;
use std::ptr;
use std::sync::Arc;

type Channel = Arc<Link<usize>>;

fn channel(capacity: Option<usize>) -> Channel {
    Arc::new(Link::new(capacity, WhenFull::Wait))
}

/// What has come of a receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Got {
    Message(usize),
    Closed,
    GivenUp,
}

/// A receive of a task, which may give up `early` once it waits.
fn receive(worker: &Worker, link: &Channel, early: Option<Winner>) -> Got {
    let (room, mut woken, waiter) = (UnsafeCell::new(Room::Empty), None, OnceCell::new());
    let mut step = None;
    let enter = |who: Who, session: Session| {
        link.state.change(|state, lines| {
            step = state.receive(&room, &mut woken, lines);
            if step.is_none() {
                let seat = Seat::with_slot(who, session, room.get().cast_const().cast());
                // SAFETY: removed below, under the lock.
                unsafe { lines.line(RECEIVERS).push(waiter.get_or_init(|| Waiter::new(seat))) };
            }
            step.is_none()
        })
    };
    let winner = worker.wait_in_lines(enter, early);
    if let Some(waiter) = waiter.get() {
        link.state.look(|_, lines| lines[RECEIVERS].remove(waiter));
    }
    wake(woken);
    match replace_room(&room) {
        Room::Full(message) => Got::Message(message),
        _ if step == Some(Step::Closed) || winner == Winner::Closed => Got::Closed,
        _ => {
            assert_eq!(Some(winner), early, "woken for nothing");
            Got::GivenUp
        }
    }
}

/// A send of a task, which may give up `early` once it waits: whether the message has left it.
fn send(worker: &Worker, link: &Channel, message: usize, early: Option<Winner>) -> bool {
    let (offer, mut woken) = (UnsafeCell::new(Offer::Message(message)), None);
    let waiter = OnceCell::new();
    let enter = |who: Who, session: Session| {
        link.state.change(|state, lines| {
            let step = state.send(&offer, &mut woken, lines);
            if step.is_none() {
                let seat = Seat::with_slot(who, session, offer.get().cast_const().cast());
                // SAFETY: removed below, under the lock.
                unsafe { lines.line(SENDERS).push(waiter.get_or_init(|| Waiter::new(seat))) };
            }
            step.is_none()
        })
    };
    worker.wait_in_lines(enter, early);
    if let Some(waiter) = waiter.get() {
        link.state.look(|_, lines| lines[SENDERS].remove(waiter));
    }
    wake(woken);
    matches!(offer.into_inner(), Offer::Taken)
}

/// Messages that are left in the buffer.
fn left(link: &Channel) -> usize {
    link.state.look(|state, _| std::iter::from_fn(|| state.buffer.pop()).sum())
}

/// A task receives once, or gives up, while as many threads send 1 each as they can.
fn receiving(capacity: Option<usize>, senders: usize, early: Option<Winner>) {
    loom::model(move || {
        let link = channel(capacity);
        let threads: Vec<_> = (0..senders)
            .map(|_| {
                let link = Arc::clone(&link);
                thread::spawn(move || usize::from(link.try_send(1).is_ok()))
            })
            .collect();
        let worker = Worker::new();
        // Where there are no places a send may come too early, and then nobody would come.
        let early = early.or((capacity == Some(0)).then_some(Winner::Timeout));
        let received = match receive(&worker, &link, early) {
            Got::Message(message) => message,
            Got::Closed => unreachable!("nobody closes it"),
            Got::GivenUp => 0,
        };
        let sent: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(received + left(&link), sent, "a message was lost or doubled");
    });
}

#[test]
fn a_task_receives_what_a_thread_sends_into_a_place() {
    receiving(Some(1), 1, None);
}

#[test]
fn a_task_receives_one_of_what_two_threads_send_into_blocks() {
    receiving(None, 2, None);
}

#[test]
fn a_task_that_gives_up_leaves_the_message_in_its_place() {
    receiving(Some(1), 2, Some(Winner::Cancellation));
}

#[test]
fn a_task_and_a_thread_meet_or_miss_each_other_where_there_are_no_places() {
    receiving(Some(0), 2, None);
}

/// A task sends 1 into a channel that holds `filled` already, or gives up, while threads receive.
fn sending(capacity: usize, filled: usize, receivers: usize, early: Option<Winner>) {
    loom::model(move || {
        let link = channel(Some(capacity));
        (0..filled).for_each(|_| link.try_send(1).unwrap());
        let threads: Vec<_> = (0..receivers)
            .map(|_| {
                let link = Arc::clone(&link);
                thread::spawn(move || link.receive_now().unwrap().unwrap_or(0))
            })
            .collect();
        let worker = Worker::new();
        let sent = usize::from(send(&worker, &link, 1, early));
        let received: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(received + left(&link), filled + sent, "a message was lost or doubled");
        assert!(sent == 1 || early.is_some(), "a message came back although there was room");
    });
}

#[test]
fn a_task_sends_as_soon_as_a_thread_has_made_room() {
    sending(1, 1, 1, None);
}

#[test]
fn two_threads_receive_what_was_there_and_what_a_task_has_sent_behind_it() {
    sending(1, 1, 2, None);
}

#[test]
fn a_task_that_gives_up_a_send_has_sent_it_or_keeps_it() {
    sending(1, 1, 2, Some(Winner::Timeout));
    sending(0, 0, 2, Some(Winner::Cancellation));
}

#[test]
fn a_receive_a_send_and_the_end_of_the_last_sender_lose_nothing() {
    loom::model(|| {
        let link = channel(Some(1));
        let sender = {
            let link = Arc::clone(&link);
            thread::spawn(move || {
                link.try_send(1).unwrap();
                link.drop_handle(Side::Senders);
            })
        };
        let worker = Worker::new();
        assert_eq!(receive(&worker, &link, None), Got::Message(1));
        assert_eq!(receive(&worker, &link, None), Got::Closed);
        sender.join().unwrap();
    });
}

#[test]
fn a_send_that_waits_gets_its_message_back_when_the_last_receiver_goes() {
    loom::model(|| {
        let link = channel(Some(1));
        link.try_send(1).unwrap();
        let receiver = {
            let link = Arc::clone(&link);
            thread::spawn(move || {
                let received = link.receive_now().unwrap().unwrap();
                link.drop_handle(Side::Receivers);
                received
            })
        };
        let worker = Worker::new();
        // Taken by nobody, it is dropped with the buffer or comes back.
        send(&worker, &link, 1, None);
        assert_eq!(receiver.join().unwrap(), 1);
        assert_eq!(left(&link), 0);
    });
}

/// A task waits in two channels at once, into each of which a thread sends 1.
fn selecting(early: Option<Winner>) {
    loom::model(move || {
        let links = [channel(Some(1)), channel(Some(1))];
        let threads = links.each_ref().map(|link| {
            let link = Arc::clone(link);
            thread::spawn(move || link.try_send(1).unwrap())
        });
        let worker = Worker::new();
        let rooms = [const { UnsafeCell::new(Room::<usize>::Empty) }; 2];
        let places = [const { OnceCell::<Waiter>::new() }; 2];
        let chosen = Cell::new(ptr::null());
        let enter = |who: Who, session: Session| {
            let mut arms = links.iter().zip(&rooms).zip(&places);
            arms.all(|((link, room), place)| {
                link.state.look(|state, lines| {
                    let waits = !state.can_receive(lines, who);
                    let slot = room.get().cast_const().cast();
                    let seat = Seat::of_several(who, session, slot, &chosen);
                    let waiter = place.get_or_init(|| Waiter::new(seat));
                    if waits {
                        // SAFETY: removed below, under the lock.
                        unsafe { lines[RECEIVERS].push(waiter) };
                    }
                    waits
                })
            })
        };
        let winner = worker.wait_in_lines(enter, early);
        for (link, place) in links.iter().zip(&places) {
            link.state.look(|_, lines| {
                place.get().into_iter().for_each(|waiter| lines[RECEIVERS].remove(waiter));
            });
        }
        let received = rooms.each_ref().map(|room| matches!(replace_room(room), Room::Full(1)));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let served = usize::from(winner == Winner::Event);
        assert_eq!(received.iter().filter(|one| **one).count(), served, "not exactly one");
        let place = places
            .iter()
            .position(|place| place.get().is_some_and(|waiter| ptr::eq(waiter, chosen.get())));
        assert_eq!(place, received.iter().position(|one| *one), "the wrong one was named");
        assert_eq!(links.iter().map(left).sum::<usize>() + served, 2, "a message was lost");
    });
}

#[test]
fn of_two_channels_that_a_task_waits_in_exactly_one_serves_it() {
    selecting(None);
}

#[test]
fn a_select_that_gives_up_has_taken_one_message_or_none() {
    selecting(Some(Winner::Cancellation));
}
