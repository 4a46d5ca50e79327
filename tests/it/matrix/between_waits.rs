//! Cancellations that come while a call is between two waits: nobody tells it again when it waits once
//! more.

use crate::ms;
use crate::raised;
use crate::secs;
use crate::tcp::pair;
use crate::unwind::assert_given_up;
use giambio::JoinError;
use giambio::cancellable;
use giambio::net::TcpStream;
use giambio::pool;
use giambio::shield;
use giambio::skip_after;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::task;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use std::cell::Cell;
use std::cell::RefCell;
use std::io;
use std::io::Read;
use std::io::Write;

/// Has two tasks wait for the same byte, each with a descriptor of its own, so that both are woken; the
/// first to run reads it and cancels the other. What became of the two calls, that one first.
fn race_for_a_byte(
    read: impl Fn(&TcpStream) -> io::Result<usize>,
) -> [Result<io::Result<usize>, JoinError>; 2] {
    let (ours, mut theirs) = pair();
    let clone = ours.try_clone().unwrap();
    let (tasks, read) = (RefCell::new(Vec::new()), &read);
    let reader = |stream| {
        let tasks = &tasks;
        move || {
            let me = task::current();
            tasks.borrow_mut().push(me.clone());
            let got = read(stream);
            if got.as_ref().is_ok_and(|&count| count == 1) {
                let all = tasks.borrow();
                all.iter().filter(|task| task.id() != me.id()).for_each(|other| other.cancel());
            }
            got
        }
    };
    let mut ends = pool(|pool| {
        let readers = [&ours, &clone].map(|stream| pool.spawn(reader(stream)));
        settle();
        theirs.write_all(b"x").unwrap();
        readers.map(|reader| reader.join())
    });
    if !matches!(ends[0], Ok(Ok(1))) {
        ends.swap(0, 1);
    }
    ends
}

#[test]
fn smoke() {
    run_virtual(|| {
        let [first, second] = race_for_a_byte(|mut stream| stream.read(&mut [0; 8]));
        assert_eq!(first.unwrap().unwrap(), 1);
        assert!(second.unwrap_err().is_cancelled());
    });
}

#[test]
fn where_nothing_may_unwind_it_is_reported() {
    run_virtual(|| {
        let read = |mut stream: &TcpStream| task::no_unwind(|| stream.read(&mut [0; 8]));
        let [first, second] = race_for_a_byte(read);
        assert_eq!(first.unwrap().unwrap(), 1);
        assert_given_up(second.unwrap());
    });
}

#[test]
fn a_peek_takes_nothing_and_lets_both_be_done() {
    run_virtual(|| {
        for end in race_for_a_byte(|stream| stream.peek(&mut [0; 8])) {
            assert_eq!(end.unwrap().unwrap(), 1);
        }
    });
}

/// Items that take a second each, whatever happens.
fn slow_items() -> impl Iterator<Item = ()> {
    std::iter::repeat_with(|| shield(|| sleep(secs(1))))
}

#[test]
fn a_map_that_was_cancelled_while_its_items_made_it_wait_is_cut() {
    run_virtual(|| {
        pool(|pool| {
            let mut values = pool.map(slow_items(), 2, |()| sleep_forever());
            let mut others = pool.map_unordered(slow_items(), 2, |()| sleep_forever());
            assert!(skip_after(ms(1500), |_| values.next()).is_none());
            assert!(skip_after(ms(1500), |_| others.next()).is_none());
            pool.cancel();
        });
    });
}

#[test]
fn a_map_that_is_cancelled_before_takes_no_items() {
    run_virtual(|| {
        let taken = Cell::new(0);
        pool(|pool| {
            let items = || (0..3).inspect(|_| taken.set(taken.get() + 1));
            let mut values = pool.map(items(), 2, |item| item);
            let mut others = pool.map_unordered(items(), 2, |item| item);
            cancellable(|scope| {
                scope.cancel();
                assert!(raised(|| values.next()));
                assert!(raised(|| others.next()));
            });
            assert_eq!(taken.get(), 0);
            assert_eq!(values.map(Result::unwrap).collect::<Vec<_>>(), [0, 1, 2]);
            assert_eq!(others.map(Result::unwrap).sum::<i32>(), 3);
        });
    });
}
