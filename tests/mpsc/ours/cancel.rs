//! Sends and receives that are cut: they have consumed nothing.

use crate::elapsed;
use crate::secs;
use giambio::TooSlow;
use giambio::pool;
use giambio::skip_after;
use giambio::sleep;
use giambio::sync::mpsc::Receiver;
use giambio::sync::mpsc::RecvError;
use giambio::sync::mpsc::RecvTimeoutError;
use giambio::sync::mpsc::SendError;
use giambio::sync::mpsc::TryRecvError;
use giambio::sync::mpsc::TrySendError;
use giambio::sync::mpsc::channel;
use giambio::sync::mpsc::sync_channel;
use giambio::task;
use giambio::task::no_switch;
use giambio::task::no_unwind;
use giambio::testing::assert_checkpoint;
use giambio::testing::cancelled_at_every_checkpoint;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::with_timeout;
use std::cell::Cell;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

#[test]
fn smoke() {
    run_virtual(|| {
        let (s, r) = channel();
        assert!(skip_after(secs(1), |_| r.recv()).is_none());
        s.send(7).unwrap();
        assert_eq!(r.recv(), Ok(7));
    });
}

#[test]
fn every_call_that_may_wait_is_a_checkpoint_also_when_it_need_not() {
    run_virtual(|| {
        let (s, r) = channel();
        assert_checkpoint(|| s.send(1)).unwrap();
        assert_checkpoint(|| s.send(2)).unwrap();
        assert_checkpoint(|| s.send(3)).unwrap();
        assert_eq!(assert_checkpoint(|| r.recv()), Ok(1));
        assert_eq!(assert_checkpoint(|| r.recv_timeout(Duration::ZERO)), Ok(2));
        assert_eq!(assert_checkpoint(|| r.iter().next()), Some(3));
        let (s, r) = sync_channel(1);
        assert_checkpoint(|| s.send(1)).unwrap();
        assert_eq!(assert_checkpoint(|| r.into_iter().next()), Some(1));
        assert_eq!(assert_checkpoint(|| s.send(2)), Err(SendError(2)));
    });
}

#[test]
fn calls_that_only_try_are_none_and_never_switch() {
    run_virtual(|| {
        let (s, r) = sync_channel(1);
        pool(|pool| {
            let task = pool.spawn(|| {
                task::current().cancel();
                no_switch(|| {
                    s.try_send(1).unwrap();
                    assert_eq!(s.try_send(2), Err(TrySendError::Full(2)));
                    assert_eq!(r.try_recv(), Ok(1));
                    assert_eq!(r.try_iter().next(), None);
                });
                true
            });
            assert!(task.join().unwrap());
        });
    });
}

#[test]
fn a_recv_in_a_cancelled_scope_leaves_the_message() {
    run_virtual(|| {
        let (s, r) = channel();
        s.send(7).unwrap();
        assert!(skip_after(Duration::ZERO, |_| r.recv()).is_none());
        assert_eq!(r.try_recv(), Ok(7));
    });
}

#[test]
fn a_send_in_a_cancelled_scope_sends_nothing_and_drops_its_message() {
    run_virtual(|| {
        let (s, r) = channel();
        let message = Rc::new(());
        assert!(skip_after(Duration::ZERO, |_| s.send(Rc::clone(&message))).is_none());
        assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(Rc::strong_count(&message), 1);
    });
}

#[test]
fn a_send_that_was_cut_while_it_waited_was_not_sent() {
    run_virtual(|| {
        for bound in [0, 1] {
            let (s, r) = sync_channel(bound);
            (0..bound).for_each(|number| s.send(Rc::new(number)).unwrap());
            let message = Rc::new(9);
            assert!(skip_after(secs(1), |_| s.send(Rc::clone(&message))).is_none());
            assert_eq!(Rc::strong_count(&message), 1);
            drop(s);
            assert!(r.iter().map(|number| *number).eq(0..bound));
        }
    });
}

#[test]
fn who_was_cut_is_passed_over_before_it_has_run_again() {
    run_virtual(|| {
        let (s, r) = sync_channel(0);
        pool(|pool| {
            let cut = pool.spawn(|| r.recv());
            settle();
            cut.cancel();
            assert_eq!(s.try_send(1), Err(TrySendError::Full(1)));
            assert!(cut.join().unwrap_err().is_cancelled());
            let cut = pool.spawn(|| s.send(2));
            settle();
            let next = pool.spawn(|| s.send(3));
            settle();
            cut.cancel();
            assert_eq!(r.recv(), Ok(3));
            assert!(cut.join().unwrap_err().is_cancelled());
            assert_eq!(next.join().unwrap(), Ok(()));
        });
    });
}

#[test]
fn a_message_that_was_handed_over_before_the_cancellation_is_received() {
    run_virtual(|| {
        let (s, r) = sync_channel(0);
        let got = Cell::new(None);
        pool(|pool| {
            let receiver = pool.spawn(|| {
                got.set(r.recv().ok());
                r.recv()
            });
            settle();
            s.try_send(7).unwrap();
            receiver.cancel();
            assert!(receiver.join().unwrap_err().is_cancelled(), "the next call is cut");
        });
        assert_eq!(got.get(), Some(7));
    });
}

#[test]
fn a_timeout_around_a_receive_and_its_own_answer_for_themselves() {
    run_virtual(|| {
        let (_s, r) = channel::<u8>();
        let took = elapsed(|| {
            let inner = with_timeout(secs(2), |_| r.recv_timeout(secs(1)));
            assert_eq!(inner, Ok(Err(RecvTimeoutError::Timeout)));
            let outer = with_timeout(secs(1), |_| r.recv_timeout(secs(2)));
            assert_eq!(outer, Err(TooSlow));
        });
        assert_eq!(took, secs(2));
    });
}

/// Sends through `s` and receives, again and again, and is cut at each checkpoint of that.
#[test]
fn wherever_a_program_is_cut_nothing_is_lost_and_nothing_twice() {
    run_virtual(|| {
        let checkpoints = cancelled_at_every_checkpoint(|cut| {
            let ((s, r), (answer, answers)) = (sync_channel(1), channel());
            let (sent, received) = (Cell::new(0), RefCell::new(Vec::new()));
            cut.run(|| {
                pool(|pool| {
                    pool.spawn(|| {
                        for number in 0..4 {
                            s.send(number).unwrap();
                            sent.set(sent.get() + 1);
                        }
                    });
                    for _ in 0..4 {
                        received.borrow_mut().push(r.recv().unwrap());
                        answer.send(()).unwrap();
                    }
                });
            });
            let answered = answers.try_iter().count();
            let cut_between = received.borrow().len() - answered;
            assert!(cut_between <= 1, "of {answered} answers so many are missing: {cut_between}");
            received.borrow_mut().extend(r.try_iter());
            assert!(received.take().into_iter().eq(0..sent.get()));
        });
        assert!(checkpoints >= 12, "{checkpoints}");
    });
}

#[test]
fn where_nothing_may_unwind_a_call_waits_until_it_is_cancelled_and_then_fails() {
    run_virtual(|| {
        let ((s, r), (full, _nobody)) = (channel::<u8>(), sync_channel::<u8>(0));
        pool(|pool| {
            let receiver = pool.spawn(|| no_unwind(|| (r.recv(), r.recv_timeout(secs(100)))));
            let sender = pool.spawn(|| no_unwind(|| full.send(1)));
            settle();
            assert!(!receiver.is_finished() && !sender.is_finished());
            sleep(secs(1000));
            assert!(!receiver.is_finished() && !sender.is_finished());
            receiver.cancel();
            sender.cancel();
            let failed = (Err(RecvError), Err(RecvTimeoutError::Disconnected));
            assert_eq!(receiver.join().unwrap(), failed);
            assert_eq!(sender.join().unwrap(), Err(SendError(1)));
        });
        // The other sides were there all the time.
        s.send(7).unwrap();
        assert_eq!(r.recv(), Ok(7));
    });
}

#[test]
fn inside_of_no_switch_a_call_that_would_wait_panics_naming_itself() {
    run_virtual(|| {
        let (s, r) = sync_channel(1);
        no_switch(|| s.send(1)).unwrap();
        assert_eq!(no_switch(|| r.recv()), Ok(1));
        let text = panic_text(&r);
        assert!(text.contains("`task::no_switch`"), "{text}");
    });
}

fn panic_text(r: &Receiver<i32>) -> String {
    let wait = std::panic::AssertUnwindSafe(|| no_switch(|| r.recv()));
    let payload = std::panic::catch_unwind(wait).unwrap_err();
    *payload.downcast::<String>().unwrap()
}
