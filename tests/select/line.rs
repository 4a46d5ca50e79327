//! The line of those who wait for one direction of a source: a select stands in it like anybody else, and
//! whatever becomes of it, the others go on.

use crate::pair;
use crate::put;
use crate::secs;
use crate::take;
use crate::take_all;
use giambio::Task;
use giambio::channel::TrySendError;
use giambio::channel::bounded;
use giambio::channel::select;
use giambio::os::unix::net::UnixStream;
use giambio::pool;
use giambio::skip_after;
use giambio::sleep_forever;
use giambio::sync::Event;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use std::cell::Cell;
use std::cell::RefCell;

/// A byte for each of several readers is read, by whoever.
#[track_caller]
fn assert_goes_on(ours: &UnixStream, theirs: &UnixStream) {
    for _ in 0..2 {
        pool(|pool| {
            let readers = [(); 3].map(|()| pool.spawn(|| take(ours)));
            settle();
            (0..3).for_each(|_| put(theirs));
            readers.into_iter().for_each(|reader| reader.join().unwrap());
        });
    }
    put(theirs);
    take(ours);
    assert_eq!(take_all(ours), 0);
}

#[track_caller]
fn assert_waits<T>(task: &Task<'_, T>) {
    settle();
    assert!(!task.is_finished());
}

#[test]
fn who_was_chosen_and_reads_nothing_lets_the_next_one_read() {
    run_virtual(|| {
        let ((ours, theirs), (_s, r)) = (pair(), bounded::<()>(0));
        pool(|pool| {
            let selects = [(); 3].map(|()| {
                pool.spawn(|| {
                    select! {
                        readable(ours) -> result => result.unwrap(),
                        recv(r) -> _ => unreachable!("nobody sends"),
                    }
                })
            });
            settle();
            let reader = pool.spawn(|| take(&ours));
            settle();
            put(&theirs);
            selects.into_iter().for_each(|select| select.join().unwrap());
            reader.join().unwrap();
        });
        assert_goes_on(&ours, &theirs);
    });
}

#[test]
fn a_select_behind_a_reader_is_woken_if_that_leaves_something() {
    run_virtual(|| {
        let ((ours, theirs), (_s, r)) = (pair(), bounded::<()>(0));
        pool(|pool| {
            let reader = pool.spawn(|| take(&ours));
            settle();
            let select = pool.spawn(|| {
                select! {
                    readable(ours) -> result => result.unwrap(),
                    recv(r) -> _ => unreachable!("nobody sends"),
                }
            });
            settle();
            put(&theirs);
            reader.join().unwrap();
            assert_waits(&select);
            put(&theirs);
            select.join().unwrap();
        });
        take(&ours);
        assert_goes_on(&ours, &theirs);
    });
}

#[test]
fn a_select_that_was_woken_in_vain_keeps_its_place() {
    run_virtual(|| {
        let ((ours, theirs), (_s, r)) = (pair(), bounded::<()>(0));
        let order = RefCell::new(Vec::new());
        let note = |what| order.borrow_mut().push(what);
        pool(|pool| {
            let first = pool.spawn(|| take(&ours));
            settle();
            pool.spawn(|| {
                select! {
                    readable(ours) -> result => result.unwrap(),
                    recv(r) -> _ => unreachable!("nobody sends"),
                }
                note("select");
            });
            settle();
            let last = pool.spawn(|| {
                take(&ours);
                note("reader");
            });
            settle();
            put(&theirs);
            first.join().unwrap();
            settle();
            put(&theirs);
            last.join().unwrap();
        });
        assert_eq!(order.take(), ["select", "reader"]);
        assert_goes_on(&ours, &theirs);
    });
}

#[test]
fn who_has_chosen_something_else_is_passed_over() {
    run_virtual(|| {
        let ((ours, theirs), (s, r)) = (pair(), bounded(0));
        pool(|pool| {
            let select = pool.spawn(|| {
                select! {
                    readable(ours) -> _ => unreachable!("it came second"),
                    recv(r) -> message => message.unwrap(),
                }
            });
            settle();
            let reader = pool.spawn(|| take(&ours));
            settle();
            // It has the message before it runs again, and before the reactor knows of the byte.
            s.try_send(7).unwrap();
            put(&theirs);
            assert_eq!(select.join().unwrap(), 7);
            reader.join().unwrap();
        });
        assert_goes_on(&ours, &theirs);
    });
}

/// Two sources in one report of the kernel's: the reader of the first runs before the select, which was
/// woken for the second one.
#[test]
fn who_was_woken_for_a_byte_takes_no_message() {
    run_virtual(|| {
        let ((first, other), (ours, theirs), (s, r)) = (pair(), pair(), bounded(0));
        pool(|pool| {
            let sender = pool.spawn(|| {
                take(&first);
                s.try_send(7)
            });
            let select = pool.spawn(|| {
                select! {
                    readable(ours) -> result => result.unwrap(),
                    recv(r) -> _ => unreachable!("it came second"),
                }
            });
            settle();
            put(&other);
            put(&theirs);
            assert_eq!(sender.join().unwrap(), Err(TrySendError::Full(7)));
            select.join().unwrap();
        });
        take(&ours);
        assert_goes_on(&ours, &theirs);
    });
}

#[test]
fn a_select_that_was_cancelled_is_passed_over() {
    run_virtual(|| {
        let ((ours, theirs), event) = (pair(), Event::<()>::new());
        pool(|pool| {
            let select = pool.spawn(|| {
                select! {
                    readable(ours) -> _ => unreachable!("it was cancelled before"),
                    happened(event) -> _ => unreachable!("it has not happened"),
                }
            });
            settle();
            let reader = pool.spawn(|| take(&ours));
            settle();
            // It has not left the line when the byte comes.
            select.cancel();
            put(&theirs);
            reader.join().unwrap();
            assert!(select.join().unwrap_err().is_cancelled());
        });
        assert_goes_on(&ours, &theirs);
    });
}

/// As above: woken by the reactor, and cancelled before it has run again.
#[test]
fn a_select_that_was_cancelled_after_it_was_chosen_lets_the_next_one_read() {
    run_virtual(|| {
        let ((first, other), (ours, theirs), event) = (pair(), pair(), Event::<()>::new());
        let is_chosen = Cell::new(false);
        pool(|pool| {
            let select = pool.spawn(|| {
                select! {
                    readable(ours) -> result => result.unwrap(),
                    happened(event) -> _ => unreachable!("it has not happened"),
                }
                is_chosen.set(true);
                sleep_forever()
            });
            settle();
            let reader = pool.spawn(|| take(&ours));
            let select = &select;
            giambio::pool(|pool| {
                pool.spawn(|| {
                    take(&first);
                    assert!(!is_chosen.get());
                    select.cancel();
                });
                settle();
                put(&other);
                put(&theirs);
            });
            assert!(is_chosen.get(), "what has won was lost");
            reader.join().unwrap();
        });
        assert_goes_on(&ours, &theirs);
    });
}

#[test]
fn a_select_whose_time_is_up_is_passed_over() {
    giambio::run(|| {
        let (ours, theirs) = pair();
        pool(|pool| {
            let reader = pool.spawn(|| {
                giambio::sleep(crate::ms(2));
                take(&ours);
            });
            let late = select! {
                readable(ours) -> _ => false,
                default(crate::ms(4)) => true,
            };
            assert!(late);
            assert!(!reader.is_finished());
            put(&theirs);
            reader.join().unwrap();
        });
        assert_goes_on(&ours, &theirs);
    });
}

#[test]
fn both_directions_of_one_source_in_one_select() {
    run_virtual(|| {
        let (ours, theirs) = pair();
        let filled = crate::world::fill(&ours);
        let wait = || {
            select! {
                readable(ours) -> result => {
                    result.unwrap();
                    "readable"
                }
                readable(ours) -> result => {
                    result.unwrap();
                    "readable"
                }
                writable(ours) -> result => {
                    result.unwrap();
                    "writable"
                }
            }
        };
        pool(|pool| {
            let select = pool.spawn(wait);
            settle();
            put(&theirs);
            assert_eq!(select.join().unwrap(), "readable");
            take(&ours);
            let select = pool.spawn(wait);
            settle();
            std::io::Read::read_exact(&mut &theirs, &mut vec![0; filled]).unwrap();
            assert_eq!(select.join().unwrap(), "writable");
            // Both at once, from one report of the kernel's.
            let filled = crate::world::fill(&ours);
            let select = pool.spawn(wait);
            settle();
            std::io::Read::read_exact(&mut &theirs, &mut vec![0; filled]).unwrap();
            put(&theirs);
            select.join().unwrap();
        });
        take(&ours);
        assert_goes_on(&ours, &theirs);
    });
}

#[test]
fn a_shutdown_and_the_other_ends_drop_end_a_wait() {
    run_virtual(|| {
        let ((ours, theirs), (_s, r)) = (pair(), bounded::<()>(0));
        let wait = |stream: &UnixStream| {
            select! {
                readable(stream) -> result => result.unwrap(),
                recv(r) -> _ => unreachable!("nobody sends"),
            }
        };
        pool(|pool| {
            let select = pool.spawn(|| wait(&ours));
            settle();
            ours.shutdown(std::net::Shutdown::Read).unwrap();
            select.join().unwrap();
            let (others, _ours) = pair();
            let select = pool.spawn(|| wait(&theirs));
            settle();
            drop(others);
            assert_waits(&select);
            ours.shutdown(std::net::Shutdown::Both).unwrap();
            select.join().unwrap();
        });
        assert!(skip_after(secs(1), |_| wait(&theirs)).is_some());
    });
}

/// What is known of a source may be older than what the kernel holds.
#[test]
fn a_select_that_does_not_wait_asks_the_kernel() {
    run_virtual(|| {
        let (ours, theirs) = pair();
        let look = || {
            select! {
                readable(ours) -> result => result.is_ok(),
                default => false,
            }
        };
        let look_in_time = || {
            select! {
                readable(ours) -> result => result.is_ok(),
                default(secs(0)) => false,
            }
        };
        assert!(!look() && !look_in_time());
        // Registered, and nothing there: a read that parks and is cut.
        pool(|pool| {
            let reader = pool.spawn(|| take(&ours));
            settle();
            reader.cancel();
        });
        for look in [&look as &dyn Fn() -> bool, &look_in_time] {
            assert!(!look());
            giambio::task::no_switch(|| {
                put(&theirs);
                assert!(look());
                assert_eq!(take_all(&ours), 1);
                assert!(!look());
            });
        }
        assert_goes_on(&ours, &theirs);
    });
}
