//! Ends of tasks, events and deadlines: what happens once.

use crate::elapsed;
use crate::ms;
use crate::panic_of;
use crate::secs;
use giambio::JoinError;
use giambio::channel::Select;
use giambio::channel::bounded;
use giambio::channel::select;
use giambio::channel::select_biased;
use giambio::clock;
use giambio::pool;
use giambio::skip_after;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::sync::Event;
use giambio::task;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::thread;
use std::cell::Cell;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

#[test]
fn a_task_ends_however_it_ends() {
    run_virtual(|| {
        pool(|pool| {
            let returns = pool.spawn_isolated(|| sleep(secs(1)));
            let panics = pool.spawn_isolated(|| {
                sleep(secs(2));
                resume_unwind(Box::new("on purpose"))
            });
            let is_cut = pool.spawn_isolated(|| {
                assert!(skip_after(secs(3), |_| sleep_forever()).is_none());
                task::current().cancel();
                sleep_forever()
            });
            let never_begins = pool.spawn_isolated(|| ());
            never_begins.cancel();
            let took = elapsed(|| select!(finished(never_begins) -> _ => {}));
            assert_eq!(took, secs(0));
            let took = elapsed(|| select!(finished(returns) -> _ => {}));
            assert_eq!(took, secs(1));
            let took = elapsed(|| select!(finished(panics) -> _ => {}));
            assert_eq!(took, secs(1));
            let took = elapsed(|| select!(finished(is_cut) -> _ => {}));
            assert_eq!(took, secs(1));
            assert!(returns.join().is_ok());
            let errors: [JoinError; 3] = [
                panics.join().unwrap_err(),
                is_cut.join().unwrap_err(),
                never_begins.join().unwrap_err(),
            ];
            assert_eq!(errors.each_ref().map(JoinError::is_panic), [true, false, false]);
            assert_eq!(errors.each_ref().map(JoinError::is_cancelled), [false, true, true]);
        });
    });
}

#[test]
fn all_who_wait_for_a_tasks_end_learn_of_it() {
    run_virtual(|| {
        let gate = Event::new();
        pool(|pool| {
            let task = pool.spawn(|| gate.wait());
            let (task, ended, (_s, r)) = (&task, &Cell::new(0), &bounded::<()>(0));
            pool.spawn(|| {
                settle();
                gate.trigger(()).unwrap();
            });
            giambio::pool(|pool| {
                for _ in 0..3 {
                    pool.spawn(move || {
                        select! {
                            finished(task) -> _ => ended.set(ended.get() + 1),
                            recv(r) -> _ => unreachable!("nobody sends"),
                        }
                    });
                }
            });
            assert_eq!(ended.get(), 3);
        });
    });
}

/// Some have a message before it ends: the others must not be passed over.
#[test]
fn who_has_chosen_something_else_stands_in_nobodys_way() {
    run_virtual(|| {
        let (gate, event) = (Event::new(), Event::<()>::new());
        pool(|pool| {
            let task = pool.spawn(|| gate.wait());
            let (task, event, (s, r)) = (&task, &event, &bounded(0));
            let (messages, ends) = (&Cell::new(0), &Cell::new(0));
            let wait = move || {
                select! {
                    recv(r) -> message => messages.set(messages.get() + message.unwrap()),
                    finished(task) -> _ => ends.set(ends.get() + 1),
                    happened(event) -> _ => unreachable!("it has not happened"),
                }
            };
            giambio::pool(|pool| {
                (0..5).for_each(|_| drop(pool.spawn(wait)));
                settle();
                // Those who have waited longest.
                (0..2).for_each(|_| s.try_send(1).unwrap());
                gate.trigger(()).unwrap();
            });
            assert_eq!((messages.get(), ends.get()), (2, 3));
        });
    });
}

/// Threads that are tasks, those of the system, and their handles' users in both.
#[test]
fn a_thread_ends_too() {
    let (stop, seen) = (&Event::new(), &AtomicUsize::new(0));
    let wait = |one: &thread::JoinHandle<i32>, other: &thread::ScopedJoinHandle<'_, i32>| {
        let first = select! {
            finished(one) -> _ => 1,
            finished(other) -> _ => 2,
            happened(stop) -> () => 3,
            deadline(clock() + secs(60)) -> _ => panic!("too slow"),
        };
        assert_eq!(first, 2);
        seen.fetch_add(1, Ordering::SeqCst);
        select!(finished(one) -> _ => {});
    };
    let play = || {
        seen.store(0, Ordering::SeqCst);
        let gates = [(); 2].map(|()| Arc::new(Event::new()));
        thread::scope(|scope| {
            let waits = |gate: &Arc<Event>| {
                let gate = Arc::clone(gate);
                move || {
                    gate.wait();
                    7
                }
            };
            let (one, other) = (thread::spawn(waits(&gates[0])), scope.spawn(waits(&gates[1])));
            // Several may wait for the same end.
            thread::scope(|scope| {
                let waiters = [(); 3].map(|()| scope.spawn(|| wait(&one, &other)));
                thread::sleep(ms(1));
                gates[1].trigger(()).unwrap();
                while seen.load(Ordering::SeqCst) < 3 {
                    thread::sleep(ms(1));
                }
                gates[0].trigger(()).unwrap();
                waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
                wait_for_both(&one, &other);
            });
            assert_eq!((one.join().unwrap(), other.join().unwrap()), (7, 7));
        });
    };
    play();
    giambio::run(play);
}

fn wait_for_both(one: &thread::JoinHandle<i32>, other: &thread::ScopedJoinHandle<'_, i32>) {
    let mut list = Select::new();
    list.finished(one);
    list.finished(other);
    let first = list.select().index();
    list.remove(first);
    assert_eq!(list.ready(), 1 - first);
}

#[test]
fn the_value_of_an_event_is_lent_for_as_long_as_the_event_lives() {
    struct NotClone(i32);
    fn at_the_end<'e>(event: &'e Event<NotClone>, other: &Event<()>) -> &'e NotClone {
        select! {
            happened(event) -> value => value,
            happened(other) -> () => unreachable!("it has not happened"),
        }
    }
    struct Owner(Event<String>);
    impl Owner {
        fn event(&self) -> &Event<String> {
            &self.0
        }
    }
    run_virtual(|| {
        let (event, other) = (Event::new(), Event::new());
        assert!(event.trigger(NotClone(7)).is_ok());
        assert_eq!(at_the_end(&event, &other).0, 7);
        // Whatever refers to it.
        let shared = Arc::new(Event::new());
        shared.trigger(8).unwrap();
        assert_eq!(select!(happened(shared) -> value => *value), 8);
        let owner = Owner(Event::new());
        owner.event().trigger("text".into()).unwrap();
        let text: &str = select!(happened(owner.event()) -> text => text);
        assert_eq!(text, "text");
        assert_eq!(select!(happened(&&owner.0) -> text => text.len()), 4);
    });
}

#[test]
fn an_event_of_another_thread_ends_a_wait() {
    for _ in 0..200 {
        let event = Arc::new(Event::new());
        let trigger = Arc::clone(&event);
        let thread = std::thread::spawn(move || trigger.trigger(7).unwrap());
        giambio::run(|| {
            let (_s, r) = bounded::<()>(0);
            let value = select! {
                recv(r) -> _ => unreachable!("nobody sends"),
                happened(event) -> value => *value,
            };
            assert_eq!(value, 7);
        });
        thread.join().unwrap();
    }
}

#[test]
fn a_deadline_comes_when_it_is_due() {
    run_virtual(|| {
        let (_s, r) = bounded::<()>(0);
        let start = clock();
        for due in [3, 1, 2, 5] {
            select! {
                recv(r) -> _ => unreachable!("nobody sends"),
                deadline(start + secs(due)) -> _ => {}
            }
            assert_eq!(clock() - start, secs(due.max(3)));
        }
    });
}

#[test]
fn the_earliest_of_several_deadlines_counts() {
    run_virtual(|| {
        let (_s, r) = bounded::<()>(0);
        let start = clock();
        let chosen = select! {
            deadline(start + secs(3)) -> _ => 3,
            recv(r) -> _ => unreachable!("nobody sends"),
            deadline(start + secs(2)) -> _ => 2,
            default(secs(4)) => 4,
        };
        assert_eq!((chosen, clock() - start), (2, secs(2)));
        let chosen = select! {
            deadline(clock() + secs(3)) -> _ => 3,
            default(secs(1)) => 1,
        };
        assert_eq!(chosen, 1);
    });
}

#[test]
fn what_comes_with_a_deadline_is_chosen_as_often_and_before_it_if_it_comes_first() {
    run_virtual(|| {
        let start = clock();
        let event = Event::new();
        event.trigger(()).unwrap();
        let mut deadlines = 0;
        for _ in 0..1000 {
            select! {
                happened(event) -> () => {}
                deadline(start) -> _ => deadlines += 1,
            }
            select_biased! {
                happened(event) -> () => {}
                deadline(start) -> _ => unreachable!("it is not the first"),
            }
        }
        assert!((400..=600).contains(&deadlines), "{deadlines}");
    });
}

#[test]
fn a_select_for_what_never_comes_is_reported_as_a_deadlock() {
    let text = panic_of(|| {
        run_virtual(|| {
            let event = Event::<()>::new();
            select!(happened(event) -> _ => {});
        })
    });
    assert!(text.contains("every task waits") && text.contains("select"), "{text}");
}

#[test]
fn inside_of_no_switch_a_select_that_would_wait_panics() {
    run_virtual(|| {
        let event = Event::new();
        let wait = || task::no_switch(|| select!(happened(event) -> value => *value));
        let text = panic_of(wait);
        assert!(text.contains("`task::no_switch`"), "{text}");
        event.trigger(7).unwrap();
        assert_eq!(wait(), 7);
    });
}
