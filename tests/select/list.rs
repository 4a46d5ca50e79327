//! `Select`, with more than channels in it.

use crate::pair;
use crate::panic_of;
use crate::put;
use crate::secs;
use giambio::channel::Select;
use giambio::channel::bounded;
use giambio::clock;
use giambio::pool;
use giambio::sync::Event;
use giambio::testing::run_virtual;
use giambio::testing::settle;

#[test]
fn of_many_tasks_the_first_to_end_is_found() {
    run_virtual(|| {
        pool(|pool| {
            let tasks: Vec<_> =
                (1..=50).rev().map(|n| pool.spawn(move || giambio::sleep(secs(n)))).collect();
            let mut left: Vec<_> = tasks.iter().enumerate().collect();
            let mut order = Vec::new();
            while !left.is_empty() {
                let mut list = Select::new();
                left.iter().for_each(|(_, task)| _ = list.finished(*task));
                let first = list.select().index();
                drop(list);
                order.push(left.remove(first).0);
            }
            assert!(order.into_iter().eq((0..50).rev()));
        });
    });
}

#[test]
fn an_operation_that_is_not_on_a_channel_need_not_be_completed() {
    run_virtual(|| {
        let (ours, theirs) = pair();
        put(&theirs);
        let mut list = Select::new();
        list.readable(&ours);
        for _ in 0..3 {
            assert_eq!(list.select().index(), 0);
        }
        list.select().complete().unwrap();
        list.try_select().unwrap().complete().unwrap();
        list.select_timeout(secs(1)).unwrap().complete().unwrap();
        list.select_deadline(clock()).unwrap().complete().unwrap();
        assert_eq!(list.try_ready(), Ok(0));
        assert_eq!(list.ready_timeout(secs(1)), Ok(0));
        assert_eq!(list.ready_deadline(clock()), Ok(0));
    });
}

#[test]
fn one_that_is_on_a_channel_is_completed_by_sending_or_receiving() {
    let (s, r) = bounded(1);
    let mut list = Select::new();
    list.send(&s);
    let text = panic_of(|| list.select().complete());
    assert!(text.contains("a message is sent or received"), "{text}");
    let event = Event::new();
    event.trigger(()).unwrap();
    let mut list = Select::new();
    list.happened(&event);
    let text = panic_of(|| list.select().send(&s, ()));
    assert!(text.contains("wasn't selected"), "{text}");
    let text = panic_of(|| list.select().recv(&r));
    assert!(text.contains("wasn't selected"), "{text}");
    // Nothing was sent.
    assert!(r.is_empty());
    s.try_send(()).unwrap();
}

#[test]
fn a_list_is_used_again_cloned_and_shortened() {
    run_virtual(|| {
        let ((ours, theirs), (_s, r), event) = (pair(), bounded::<()>(0), Event::new());
        let mut list = Select::new();
        assert_eq!(list.readable(&ours), 0);
        assert_eq!(list.recv(&r), 1);
        assert_eq!(list.happened(&event), 2);
        assert_eq!(list.deadline(clock() + secs(1000)), 3);
        pool(|pool| {
            let mut other = list.clone();
            let selected = pool.spawn(move || [other.select().index(), other.ready()]);
            settle();
            put(&theirs);
            assert_eq!(selected.join().unwrap(), [0, 0]);
            assert_eq!(list.select().index(), 0);
            list.remove(0);
            let selected = pool.spawn(|| [list.select().index(), list.ready()]);
            settle();
            event.trigger(()).unwrap();
            assert_eq!(selected.join().unwrap(), [2, 2]);
        });
    });
}

#[test]
fn a_biased_list_chooses_the_first_that_is_ready() {
    run_virtual(|| {
        let ((ours, theirs), event) = (pair(), Event::new());
        event.trigger(()).unwrap();
        let mut list = Select::new_biased();
        list.readable(&ours);
        list.happened(&event);
        list.deadline(clock());
        for _ in 0..50 {
            assert_eq!(list.select().index(), 1);
            assert_eq!(list.ready(), 1);
        }
        put(&theirs);
        for _ in 0..50 {
            assert_eq!(list.try_select().unwrap().index(), 0);
            assert_eq!(list.try_ready(), Ok(0));
        }
    });
}

#[test]
fn nothing_in_time_is_an_error() {
    run_virtual(|| {
        let event = Event::<()>::new();
        let mut list = Select::new();
        list.happened(&event);
        list.deadline(clock() + secs(10));
        assert!(list.try_select().is_err());
        assert!(list.select_timeout(secs(1)).is_err());
        assert!(list.ready_timeout(secs(1)).is_err());
        assert!(list.ready_deadline(clock() + secs(1)).is_err());
        assert_eq!(list.select_timeout(secs(100)).unwrap().index(), 1);
    });
}
