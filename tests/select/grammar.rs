//! What the macros accept.

use crate::pair;
use crate::put;
use crate::secs;
use giambio::Task;
use giambio::channel::Ending;
use giambio::channel::Readiness;
use giambio::channel::bounded;
use giambio::channel::select;
use giambio::channel::select_biased;
use giambio::clock;
use giambio::os::unix::net::UnixStream;
use giambio::pool;
use giambio::sync::Event;
use giambio::testing::run_virtual;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

#[test]
fn whatever_refers_to_a_source_a_task_or_an_event_will_do() {
    run_virtual(|| {
        let (ours, theirs) = pair();
        put(&theirs);
        select!(readable(ours) -> result => result.unwrap());
        select!(readable(&ours) -> result => result.unwrap());
        select!(readable(&&ours) -> result => result.unwrap());
        let mut ours = ours;
        select!(readable(&mut ours) -> result => result.unwrap());
        let boxed = Box::new(ours);
        select!(readable(boxed) -> result => result.unwrap());
        let counted = Rc::new(*boxed);
        select!(readable(counted) -> result => result.unwrap());
        let in_cell = RefCell::new(counted);
        select!(readable(in_cell.borrow()) -> result => result.unwrap());
        let shared = Arc::new(theirs);
        select!(writable(shared) -> result => result.unwrap());
        select!(writable(Arc::clone(&shared)) -> result => result.unwrap());
        pool(|pool| {
            let task = pool.spawn(|| 1);
            select!(finished(task) -> _ => {});
            select!(finished(&task) -> _ => {});
            let tasks = [Rc::new(task)];
            select!(finished(tasks[0]) -> _ => {});
        });
        let event = Event::new();
        event.trigger(1).unwrap();
        select!(happened(event) -> one => assert_eq!(*one, 1));
        select!(happened(&event) -> one => assert_eq!(*one, 1));
        let event = Arc::new(event);
        select!(happened(event) -> &one => assert_eq!(one, 1));
        select!(deadline(clock()) -> _ => {});
    });
}

#[test]
fn arms_are_separated_as_in_a_match() {
    run_virtual(|| {
        let ((ours, theirs), (s, r), event) = (pair(), bounded(1), Event::<()>::new());
        put(&theirs);
        pool(|pool| {
            let task = pool.spawn(|| giambio::sleep(secs(3600)));
            let task: &Task<'_, ()> = &task;
            let chosen = select_biased! {
                finished(task,) -> _ => { 1 }
                happened(event,) -> _ => 2,
                readable(ours,) -> result => {
                    result.unwrap();
                    3
                },
                writable(theirs) -> _ => 4,
                deadline(clock() + secs(1),) -> _ => { 5 }
                recv(r) -> _ => 6,
                send(s, ()) -> _ => 7
            };
            assert_eq!(chosen, 3);
            let chosen = select! {
                finished(task) -> _ => 1,
                default => 2,
                happened(event) -> _ => 3,
            };
            assert_eq!(chosen, 2);
            let chosen = select! {
                default(secs(1)) => 1,
                happened(event) -> _ => 2,
                deadline(clock() + secs(2)) -> _ => 3,
            };
            assert_eq!(chosen, 1);
            pool.cancel();
        });
    });
}

#[test]
fn what_was_selected_from_may_be_moved_in_the_code() {
    run_virtual(|| {
        let (ours, theirs) = pair();
        put(&theirs);
        select! {
            readable(ours) -> result => {
                result.unwrap();
                drop(ours);
            }
            default => unreachable!("it is ready"),
        }
        pool(|pool| {
            let task = pool.spawn(|| 7);
            let value = select! {
                finished(task) -> _ => task.join().unwrap(),
            };
            assert_eq!(value, 7);
        });
    });
}

#[test]
fn control_flow_leaves_the_code_of_an_arm() {
    fn find(event: &Event<i32>) -> Option<i32> {
        let late = clock() + secs(2);
        let mut turns = 0;
        'turns: loop {
            turns += 1;
            select! {
                happened(event) -> value => return Some(*value),
                deadline(clock() + secs(1)) -> _ => {
                    if turns == 1 {
                        continue;
                    }
                }
            }
            for _ in 0..2 {
                select! {
                    deadline(late) -> _ => break 'turns,
                    default => turns += 100,
                }
            }
        }
        assert_eq!(turns, 2);
        None
    }
    run_virtual(|| {
        let event = Event::new();
        assert_eq!(find(&event), None);
        event.trigger(7).unwrap();
        assert_eq!(find(&event), Some(7));
    });
}

#[test]
fn code_may_be_generic_over_sources_and_tasks() {
    fn first<S: Readiness, E: Ending>(source: &S, task: &E) -> &'static str {
        select! {
            readable(source) -> result => {
                result.unwrap();
                "readable"
            }
            finished(task) -> _ => "finished",
        }
    }
    run_virtual(|| {
        let (ours, theirs): (UnixStream, UnixStream) = pair();
        pool(|pool| {
            let task = pool.spawn(|| ());
            assert_eq!(first(&ours, &task), "finished");
            let task = pool.spawn(|| put(&theirs));
            let words = [first(&ours, &task), first(&ours, &task)];
            assert!(words.contains(&"readable") || words == ["finished"; 2]);
        });
    });
}
