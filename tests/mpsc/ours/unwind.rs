//! Calls of a task that unwinds: one attempt, and then as if the other side were gone.

use crate::secs;
use giambio::pool;
use giambio::sync::mpsc::RecvError;
use giambio::sync::mpsc::RecvTimeoutError;
use giambio::sync::mpsc::SendError;
use giambio::sync::mpsc::TryRecvError;
use giambio::sync::mpsc::channel;
use giambio::sync::mpsc::sync_channel;
use giambio::task;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::yield_now;
use std::cell::Cell;
use std::panic::resume_unwind;

/// What passes through a task's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passing {
    Panic,
    Cancellation,
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// What `f` returns in a destructor that runs while a task unwinds; for each reason to.
fn in_destructors<T>(f: impl Fn() -> T, check: impl Fn(T)) {
    for passing in [Passing::Panic, Passing::Cancellation] {
        let result = Cell::new(None);
        pool(|pool| {
            let task = pool.spawn_isolated(|| -> () {
                let _guard = OnDrop(|| result.set(Some(f())));
                if passing == Passing::Panic {
                    resume_unwind(Box::new("on purpose"));
                }
                task::current().cancel();
                yield_now();
                unreachable!("a cancelled task went past a checkpoint");
            });
            let error = task.join().unwrap_err();
            assert_eq!(error.is_panic(), passing == Passing::Panic);
        });
        check(result.take().unwrap());
    }
}

#[test]
fn a_receive_takes_what_is_there() {
    run_virtual(|| {
        let (s, r) = channel();
        (1..=6).for_each(|number| s.send(number).unwrap());
        let calls = || (r.recv(), r.recv_timeout(secs(9)), r.iter().next());
        let expected = Cell::new(1);
        in_destructors(calls, |got| {
            let first = expected.replace(4);
            assert_eq!(got, (Ok(first), Ok(first + 1), Some(first + 2)));
        });
    });
}

#[test]
fn a_receive_that_would_wait_says_that_nobody_is_there() {
    run_virtual(|| {
        let (s, r) = channel::<u8>();
        let start = giambio::clock();
        let calls = || (r.recv(), r.recv_timeout(secs(9)), r.try_recv(), r.iter().next());
        let expected =
            (Err(RecvError), Err(RecvTimeoutError::Disconnected), Err(TryRecvError::Empty), None);
        in_destructors(calls, |got| assert_eq!(got, expected));
        assert_eq!(giambio::clock(), start, "it has not waited");
        s.send(1).unwrap();
        assert_eq!(r.recv(), Ok(1));
    });
}

#[test]
fn a_send_for_which_there_is_room_is_made() {
    run_virtual(|| {
        let ((s, r), (endless, others)) = (sync_channel(2), channel());
        in_destructors(|| (s.send(1), endless.send(1)), |got| assert_eq!(got, (Ok(()), Ok(()))));
        assert_eq!((r.try_iter().count(), others.try_iter().count()), (2, 2));
    });
}

#[test]
fn a_send_that_would_wait_gives_its_message_back() {
    run_virtual(|| {
        for bound in [0, 1] {
            let (s, r) = sync_channel(bound);
            (0..bound).for_each(|_| s.send(String::new()).unwrap());
            let send = || s.send("a message".into());
            in_destructors(send, |got| assert_eq!(got, Err(SendError("a message".into()))));
            assert_eq!(r.try_iter().count(), bound);
        }
    });
}

#[test]
fn a_send_meets_a_receiver_that_waits() {
    run_virtual(|| {
        let (s, r) = sync_channel(0);
        pool(|pool| {
            let receiver = pool.spawn(|| (r.recv(), r.recv()));
            in_destructors(
                || {
                    settle();
                    s.send(7)
                },
                |got| assert_eq!(got, Ok(())),
            );
            assert_eq!(receiver.join().unwrap(), (Ok(7), Ok(7)));
        });
    });
}
