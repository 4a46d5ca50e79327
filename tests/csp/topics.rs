//! `publish`: each item for those who have asked for its topic.

use crate::Source;
use crate::collect;
use giambio::channel::bounded;
use giambio::csp::Policy;
use giambio::csp::from_iter;
use giambio::csp::publish;
use giambio::pool;
use giambio::testing::explore;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use std::cell::Cell;
use std::hash::Hash;
use std::hash::Hasher;
use std::rc::Rc;

/// A topic of which it is known how many copies there are.
#[derive(Clone)]
struct Topic(u32, #[expect(dead_code, reason = "counts its owners")] Rc<()>);

impl PartialEq for Topic {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Topic {}

impl Hash for Topic {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

#[test]
fn smoke() {
    run_virtual(|| {
        pool(|pool| {
            let topics = publish(pool, from_iter(pool, 0..10, 0), |number| number % 2 == 0);
            let odd = topics.subscribe(false, Policy::Wait(5));
            let even = topics.subscribe(true, Policy::Wait(5));
            assert_eq!(collect(&odd), [1, 3, 5, 7, 9]);
            assert_eq!(collect(&even), [0, 2, 4, 6, 8]);
        });
    });
}

#[test]
fn an_item_of_an_unknown_topic_is_dropped() {
    run_virtual(|| {
        pool(|pool| {
            let (sender, input) = bounded(0);
            let topics = publish(pool, input, |(topic, _): &(_, Rc<()>)| *topic);
            let ones = topics.subscribe(1, Policy::Wait(1));
            let item = Rc::new(());
            for topic in [0, 2, 1, 3] {
                sender.send((topic, Rc::clone(&item))).unwrap();
                settle();
            }
            assert_eq!(ones.len(), 1);
            assert_eq!(Rc::strong_count(&item), 2);
        });
    });
}

#[test]
fn a_slow_subscriber_holds_every_topic() {
    run_virtual(|| {
        pool(|pool| {
            let source = Source::default();
            let topics = publish(pool, source.receiver(pool), |number| number % 2);
            let (slow, fast) =
                (topics.subscribe(1, Policy::Wait(0)), topics.subscribe(0, Policy::Wait(100)));
            settle();
            assert_eq!((source.taken(), fast.len()), (3, 1)); // 1 waits, and 2 behind it
            assert_eq!(slow.recv(), Ok(1));
            settle();
            assert_eq!((source.taken(), fast.len()), (5, 2));
            drop(slow);
            settle();
            // Nobody is waited for but the one with the large buffer.
            assert_eq!(fast.len(), 100);
        });
    });
}

#[test]
fn the_end_of_the_source_closes_the_subscribers_of_every_topic() {
    run_virtual(|| {
        pool(|pool| {
            let (sender, input) = bounded::<u32>(0);
            let topics = publish(pool, input, |number| *number);
            let receivers = [0, 1, 2].map(|topic| topics.subscribe(topic, Policy::Wait(0)));
            settle();
            let late = topics.subscribe(3, Policy::Wait(0));
            drop(sender);
            assert!(receivers.iter().all(|receiver| receiver.recv().is_err()));
            assert!(late.recv().is_err());
            assert!(topics.subscribe(0, Policy::Wait(0)).is_closed());
        });
    });
}

#[test]
fn it_ends_when_nobody_can_receive_any_more() {
    run_virtual(|| {
        pool(|pool| {
            let (sender, input) = bounded::<u32>(0);
            let topics = publish(pool, input, |number| *number);
            let receivers = [0, 1, 1].map(|topic| topics.subscribe(topic, Policy::Wait(0)));
            drop(topics);
            for receiver in receivers {
                settle();
                assert!(!sender.is_closed());
                drop(receiver);
            }
            settle();
            assert!(sender.is_closed());
        });
    });
}

#[test]
fn a_topic_without_subscribers_is_forgotten_with_its_next_item() {
    run_virtual(|| {
        pool(|pool| {
            let (sender, input) = bounded::<u32>(0);
            let owners = Rc::new(());
            let of_item = Rc::clone(&owners);
            let topics = publish(pool, input, move |&number| Topic(number, Rc::clone(&of_item)));
            let subscribe =
                |number| topics.subscribe(Topic(number, Rc::clone(&owners)), Policy::Wait(1));
            let (left, stays) = (subscribe(1), subscribe(2));
            drop(left);
            sender.send(1).unwrap();
            sender.send(2).unwrap();
            settle();
            assert_eq!(stays.len(), 1);
            // `owners`, `of_item`, and the topic that has a subscriber.
            assert_eq!(Rc::strong_count(&owners), 3);
        });
    });
}

#[test]
fn topics_without_subscribers_are_forgotten_without_any_item() {
    run_virtual(|| {
        pool(|pool| {
            let (_sender, input) = bounded::<u32>(0);
            let owners = Rc::new(());
            let topics = publish(pool, input, |_| unreachable!("nothing is published"));
            for number in 0..1000 {
                drop(topics.subscribe(Topic(number, Rc::clone(&owners)), Policy::Wait(1)));
                settle();
            }
            assert!(Rc::strong_count(&owners) < 40, "{owners:?}");
        });
    });
}

#[test]
fn one_receiver_may_have_several_topics() {
    run_virtual(|| {
        pool(|pool| {
            let (sender, receiver) = bounded(0);
            let topics = publish(pool, from_iter(pool, 0..10, 0), |number| number % 3);
            topics.attach(0, sender.clone());
            topics.attach(2, sender);
            assert_eq!(collect(&receiver), [0, 2, 3, 5, 6, 8, 9]);
        });
    });
}

#[test]
fn the_closure_that_tells_topics_may_have_a_state() {
    run_virtual(|| {
        let published = Cell::new(0);
        pool(|pool| {
            let (mut turn, published) = (0, &published);
            let next_turn = move |_: &char| {
                published.set(published.get() + 1);
                turn += 1;
                turn % 2
            };
            let topics = publish(pool, from_iter(pool, 'a'..='f', 0), next_turn);
            assert_eq!(collect(&topics.subscribe(0, Policy::Wait(0))), ['b', 'd', 'f']);
        });
        assert_eq!(published.get(), 6);
    });
}

#[test]
fn every_subscriber_gets_what_he_has_asked_for_in_any_order_of_the_tasks() {
    explore(0..100, || {
        pool(|pool| {
            let topics = publish(pool, from_iter(pool, 0..60, 0), |number| number % 3);
            for topic in [0, 1, 2, 0, 1, 2] {
                let receiver = topics.subscribe(topic, Policy::Wait(topic as usize));
                pool.spawn(move || {
                    assert!(receiver.iter().eq((0..20).map(|turn| turn * 3 + topic)));
                });
            }
        });
    });
}
