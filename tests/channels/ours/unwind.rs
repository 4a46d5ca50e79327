//! While a task unwinds, a send or a receive makes one attempt, and then says that the channel has ended.

use super::tools::OnDrop;
use super::tools::Passing;
use super::tools::all_kinds;
use super::tools::both;
use super::tools::fill;
use super::tools::in_destructor;
use super::tools::limited;
use crate::counted::Ledger;
use crate::elapsed;
use crate::secs;
use giambio::channel::RecvError;
use giambio::channel::RecvTimeoutError;
use giambio::channel::SendError;
use giambio::channel::SendTimeoutError;
use giambio::channel::TryRecvError;
use giambio::channel::TrySendError;
use giambio::channel::bounded;
use giambio::channel::unbounded;
use giambio::pool;
use giambio::sync::Event;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use std::cell::RefCell;
use std::time::Duration;

#[test]
fn smoke() {
    both(|passing| {
        let (s, r) = bounded(1);
        assert_eq!(in_destructor(passing, || s.send(1)), Ok(()));
        assert_eq!(in_destructor(passing, || s.send(2)), Err(SendError(2)));
        assert_eq!(in_destructor(passing, || r.recv()), Ok(1));
        assert_eq!(in_destructor(passing, || r.recv()), Err(RecvError));
    });
}

#[test]
fn a_receive_of_nothing_gives_up_at_once_and_the_channel_goes_on() {
    both(|passing| {
        for (s, r) in all_kinds() {
            let took = elapsed(|| {
                in_destructor(passing, || {
                    assert_eq!(r.recv(), Err(RecvError));
                    let gone = RecvTimeoutError::Disconnected;
                    assert_eq!(r.recv_timeout(secs(5)), Err(gone));
                    assert_eq!(r.recv_deadline(giambio::clock() + secs(5)), Err(gone));
                    assert_eq!(r.iter().next(), None);
                    assert_eq!(r.try_recv(), Err(TryRecvError::Empty), "this says how it is");
                });
            });
            assert_eq!(took, Duration::ZERO);
            assert!(!s.is_closed() && !r.is_closed());
            pool(|pool| {
                pool.spawn(|| s.send(7).unwrap());
                assert_eq!(r.recv(), Ok(7));
            });
        }
    });
}

#[test]
fn a_send_without_room_gives_its_message_back_at_once_and_the_channel_goes_on() {
    both(|passing| {
        for (s, r) in limited() {
            let count = fill(&s);
            let took = elapsed(|| {
                in_destructor(passing, || {
                    assert_eq!(s.send(9), Err(SendError(9)));
                    let gone = Err(SendTimeoutError::Disconnected(9));
                    assert_eq!(s.send_timeout(9, secs(5)), gone);
                    assert_eq!(s.send_deadline(9, giambio::clock() + secs(5)), gone);
                    assert_eq!(s.try_send(9), Err(TrySendError::Full(9)), "this says how it is");
                });
            });
            assert_eq!(took, Duration::ZERO);
            assert!(!s.is_closed());
            assert!(r.try_iter().eq(0..count));
        }
    });
}

#[test]
fn what_can_be_done_is_done() {
    both(|passing| {
        for (s, r) in all_kinds() {
            pool(|pool| {
                let receives = pool.spawn(|| r.recv());
                settle();
                assert_eq!(in_destructor(passing, || s.send(7)), Ok(()));
                assert_eq!(receives.join().unwrap(), Ok(7));
                let sends = pool.spawn(|| s.send(8));
                settle();
                assert_eq!(in_destructor(passing, || r.recv()), Ok(8));
                assert_eq!(sends.join().unwrap(), Ok(()));
            });
        }
    });
}

#[test]
fn a_message_that_comes_back_is_dropped_once() {
    both(|passing| {
        let ((s, r), ledger) = (bounded(0), Ledger::default());
        let back = in_destructor(passing, || s.send(ledger.one()).unwrap_err().into_inner());
        assert_eq!(back.number, 0);
        ledger.assert_dropped(&[]);
        drop(back);
        drop((s, r));
        ledger.assert_all_dropped();
    });
}

#[test]
fn a_worker_that_is_cut_may_tell_its_result() {
    run_virtual(|| {
        let (s, r) = unbounded();
        pool(|pool| {
            let worker = pool.spawn(|| {
                let _tells = OnDrop::new(|| s.send("cut").unwrap());
                giambio::sleep_forever()
            });
            settle();
            worker.cancel();
            assert_eq!(r.recv(), Ok("cut"));
        });
    });
}

#[test]
fn a_destructor_may_end_a_channel() {
    both(|passing| {
        let (s, r) = bounded(1);
        pool(|pool| {
            let receives = pool.spawn(|| r.iter().collect::<Vec<_>>());
            settle();
            in_destructor(passing, || {
                s.send(1).unwrap();
                drop(s);
            });
            assert_eq!(receives.join().unwrap(), [1]);
        });
        let (s, r) = bounded::<i32>(0);
        pool(|pool| {
            let sends = pool.spawn(|| s.send(2));
            settle();
            in_destructor(passing, || assert!(r.close()));
            assert_eq!(sends.join().unwrap(), Err(SendError(2)));
        });
    });
}

/// Messages lie on the stack that unwinds, and go with it.
#[test]
fn the_ends_of_a_channel_may_be_unwound() {
    both(|passing| {
        let ledger = Ledger::default();
        pool(|pool| {
            let task = pool.spawn_isolated(|| -> () {
                let (s, _r) = bounded(3);
                ledger.some(3).into_iter().for_each(|message| s.send(message).unwrap());
                passing.begin()
            });
            task.join().unwrap_err();
        });
        ledger.assert_all_dropped();
    });
}

/// A task in mid-unwind, whose destructor waits, is no reason for others to fail.
#[test]
fn beside_an_unwind_others_wait_as_ever() {
    run_virtual(|| {
        let ((s, r), go_on, log) = (bounded(0), Event::new(), RefCell::new(Vec::new()));
        pool(|pool| {
            let unwinds = pool.spawn_isolated(|| -> () {
                let _waits = OnDrop::new(|| go_on.wait());
                Passing::Panic.begin()
            });
            settle();
            let receives = pool.spawn(|| {
                log.borrow_mut().push("begins to wait");
                r.recv()
            });
            settle();
            log.borrow_mut().push("sends");
            assert_eq!(s.send(7), Ok(()));
            assert_eq!(receives.join().unwrap(), Ok(7));
            go_on.trigger(()).unwrap();
            assert!(unwinds.join().unwrap_err().is_panic());
        });
        assert_eq!(log.take(), ["begins to wait", "sends"]);
    });
}
