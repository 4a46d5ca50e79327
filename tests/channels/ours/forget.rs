//! What is forgotten keeps its channel alive, and harms nobody.
#![expect(clippy::mem_forget, clippy::forget_non_drop, reason = "what comes of it is the subject")]

use super::tools::all_kinds;
use super::tools::assert_cut;
use crate::counted::Ledger;
use crate::secs;
use giambio::channel::RecvTimeoutError;
use giambio::channel::Select;
use giambio::channel::TryRecvError;
use giambio::channel::bounded;
use giambio::channel::unbounded;
use giambio::pool;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use std::mem::forget;

#[test]
fn smoke() {
    run_virtual(|| {
        for (s, r) in all_kinds::<i32>() {
            forget(s);
            assert_eq!(r.recv_timeout(secs(1)), Err(RecvTimeoutError::Timeout));
            assert!(!r.is_closed());
        }
    });
}

#[test]
fn a_forgotten_receiver_keeps_its_channel_open() {
    run_virtual(|| {
        let ((s, r), ledger) = (bounded(1), Ledger::default());
        forget(r);
        s.send(ledger.one()).unwrap();
        assert!(s.send_timeout(ledger.one(), secs(1)).unwrap_err().is_timeout());
        assert!(s.close());
        drop(s);
        ledger.assert_dropped(&[1]);
    });
}

#[test]
fn a_forgotten_iterator_has_taken_what_it_has_given() {
    run_virtual(|| {
        let (s, r) = unbounded();
        (0..9).for_each(|number| s.send(number).unwrap());
        let mut messages = r.iter();
        assert_eq!(messages.next(), Some(0));
        forget(messages);
        let mut messages = r.try_iter();
        assert_eq!(messages.next(), Some(1));
        forget(messages);
        let mut messages = r.clone().into_iter();
        assert_eq!(messages.next(), Some(2));
        forget(messages);
        drop(s);
        assert!(r.iter().eq(3..9));
    });
}

#[test]
fn a_forgotten_list_of_operations_waits_for_nothing() {
    run_virtual(|| {
        for (s, r) in all_kinds() {
            let mut choice = Select::new();
            choice.recv(&r);
            assert!(choice.select_timeout(secs(1)).is_err());
            assert!(choice.ready_timeout(secs(1)).is_err());
            forget(choice);
            pool(|pool| {
                pool.spawn(|| s.send(7).unwrap());
                assert_eq!(r.recv(), Ok(7));
            });
        }
    });
}

#[test]
fn a_task_that_was_forgotten_while_it_waits_waits_on() {
    run_virtual(|| {
        let (s, r) = bounded(0);
        pool(|pool| {
            forget(pool.spawn(|| assert_eq!(r.recv(), Ok(7))));
            settle();
            s.send(7).unwrap();
        });
    });
}

#[test]
fn a_forgotten_error_keeps_its_message() {
    run_virtual(|| {
        let ((s, r), ledger) = (bounded(0), Ledger::default());
        drop(r);
        forget(s.send(ledger.one()));
        ledger.assert_dropped(&[]);
    });
}

#[test]
fn a_forgotten_message_is_nobodys() {
    run_virtual(|| {
        let ((s, r), ledger) = (bounded(2), Ledger::default());
        s.send(ledger.one()).unwrap();
        s.send(ledger.one()).unwrap();
        forget(r.recv());
        drop((s, r));
        ledger.assert_dropped(&[1]);
    });
}

#[test]
fn a_cut_beside_what_was_forgotten_is_a_cut() {
    run_virtual(|| {
        let (s, r) = bounded::<i32>(0);
        forget((s.clone(), r.clone()));
        pool(|pool| {
            let cut = pool.spawn(|| r.recv());
            settle();
            cut.cancel();
            assert_cut(cut);
        });
        assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
        drop((s, r));
    });
}
