//! How the end of one channel races with a message in another, in every order that loom can think of.

use super::UNTIL_CLOSED;
use crate::channel::Receiver;
use crate::channel::bounded;
use crate::channel::link::Link;
use crate::channel::receiver::Source;
use crate::channel::state::RECEIVERS;
use crate::channel::state::Room;
use crate::task::phase::Session;
use crate::task::phase::Winner;
use crate::task::waiters::Seat;
use crate::task::waiters::Waiter;
use crate::task::waiters::Who;
use crate::wait_queue::loom_tests::Worker;
use loom::thread;
use std::cell::Cell;
use std::cell::OnceCell;
use std::cell::UnsafeCell;
use std::ptr;

fn link(receiver: &Receiver<usize>) -> &Link<usize> {
    match receiver.source() {
        Source::Link(link) => link,
        Source::Timer(_) | Source::Never => unreachable!("it was made by `bounded`"),
    }
}

/// A stage waits for an item, and for the end of its output, while a thread sends so many items, and another
/// one drops the receiver of the output.
fn waiting(items: usize) {
    loom::model(move || {
        let ((sender, input), (output, consumer)) = (bounded(1), bounded::<usize>(0));
        let keeps_it_open = sender.clone();
        let producer = thread::spawn(move || (0..items).for_each(|_| sender.try_send(1).unwrap()));
        let leaving = thread::spawn(move || drop(consumer));
        let worker = Worker::new();
        let room = UnsafeCell::new(Room::<usize>::Empty);
        let (closed_place, item_place) = (OnceCell::<Waiter>::new(), OnceCell::<Waiter>::new());
        let chosen = Cell::new(ptr::null());
        let enter = |who: Who, session: Session| {
            let until_closed = output.link().state.look(|state, lines| {
                if !state.is_closed {
                    let seat = Seat::of_several(who, session, ptr::null(), &chosen);
                    let waiter = closed_place.get_or_init(|| Waiter::new(seat));
                    // SAFETY: removed below, under the lock.
                    unsafe { lines[UNTIL_CLOSED].push(waiter) };
                }
                !state.is_closed
            });
            until_closed
                && link(&input).state.look(|state, lines| {
                    let waits = !state.can_receive(lines, who);
                    if waits {
                        let slot = room.get().cast_const().cast();
                        let seat = Seat::of_several(who, session, slot, &chosen);
                        let waiter = item_place.get_or_init(|| Waiter::new(seat));
                        // SAFETY: as above.
                        unsafe { lines[RECEIVERS].push(waiter) };
                    }
                    waits
                })
        };
        let winner = worker.wait_in_lines(enter, None);
        output.link().state.look(|_, lines| {
            closed_place.get().into_iter().for_each(|waiter| lines[UNTIL_CLOSED].remove(waiter));
        });
        link(&input).state.look(|_, lines| {
            item_place.get().into_iter().for_each(|waiter| lines[RECEIVERS].remove(waiter));
        });
        let got = matches!(room.into_inner(), Room::Full(1));
        assert_eq!(got, winner == Winner::Event, "an item came with the end, or without an item");
        if winner == Winner::Closed {
            assert!(output.is_closed(), "an end was told that has not come");
        }
        producer.join().unwrap();
        leaving.join().unwrap();
        assert!(output.is_closed());
        assert_eq!(input.len() + usize::from(got), items, "an item was lost or doubled");
        drop(keeps_it_open);
    });
}

#[test]
fn a_stage_that_waits_for_an_item_learns_of_the_end_of_its_output() {
    waiting(0);
}

#[test]
fn the_end_of_the_output_or_an_item_ends_the_wait_and_no_item_is_lost() {
    waiting(1);
}
