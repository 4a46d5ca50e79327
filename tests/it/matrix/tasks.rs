//! Rows of the matrix: calls that wait for tasks.
//!
//! Of those that start tasks none has left any behind, whatever became of the call.

use super::Case;
use super::Test;
use super::sync::trigger;
use crate::unwind::OnDrop;
use giambio::Pool;
use giambio::pool;
use giambio::sync::Event;
use giambio::sync::Semaphore;
use giambio::testing::settle;
use std::cell::Cell;
use std::cell::RefCell;

matrix!(Virtual: task_join, pool_start, map_next, map_unordered_next);
matrix!(Virtual: pool_end, try_pool_end, cancellable_end, join, join_all, race, race_all);

fn task_join(test: Test<'_>) {
    let event = Event::new();
    pool(|pool| {
        let tasks = RefCell::new(Vec::from([(); 4].map(|()| pool.spawn(|| event.wait()))));
        let call = || {
            let task = tasks.borrow_mut().pop().unwrap();
            task.join().unwrap();
        };
        test(&Case::new(&call).ends_when(&|| trigger(&event)));
        trigger(&event); // whoever was cut has left its task as it was
    });
}

/// What tasks of a call wait for.
struct Children<'c> {
    event: &'c Event,
    live: &'c Cell<usize>,
}

impl Children<'_> {
    /// One of them.
    fn wait(&self) {
        self.live.set(self.live.get() + 1);
        let _ending = OnDrop::new(|| self.live.set(self.live.get() - 1));
        self.event.wait();
    }
}

/// Tries a call whose tasks wait for an event, and which ends after them.
fn with_children(test: Test<'_>, call: impl Fn(&Children<'_>)) {
    let (event, live, left_behind) = (Event::new(), Cell::new(0), Cell::new(false));
    let children = Children { event: &event, live: &live };
    let call = || {
        let _ended = OnDrop::new(|| left_behind.set(left_behind.get() || live.get() > 0));
        call(&children);
    };
    test(&Case::new(&call).ends_when(&|| trigger(&event)));
    assert!(!left_behind.get(), "a task outlived the call that had started it");
}

fn pool_end(test: Test<'_>) {
    with_children(test, |children| pool(|pool| spawn_two(pool, children)));
}

fn try_pool_end(test: Test<'_>) {
    with_children(test, |children| {
        let ended = giambio::try_pool(|pool| {
            spawn_two(pool, children);
            Ok::<_, ()>(7)
        });
        assert_eq!(ended, Ok(7));
    });
}

fn cancellable_end(test: Test<'_>) {
    // Its own cancellation is none from outside.
    with_children(test, |children| {
        let ended = giambio::cancellable(|pool| spawn_two(pool, children));
        assert_eq!(ended, Some(()));
    });
}

fn spawn_two<'scope>(pool: &'scope Pool<'scope, '_>, children: &'scope Children<'_>) {
    pool.spawn(|| children.wait());
    pool.spawn(|| children.wait());
}

fn join(test: Test<'_>) {
    with_children(test, |children| {
        giambio::join(|| children.wait(), || children.wait());
    });
}

fn join_all(test: Test<'_>) {
    with_children(test, |children| {
        giambio::join_all([(); 2].map(|()| || children.wait()));
    });
}

fn race(test: Test<'_>) {
    // A loser that only a cancellation ends would never end while the race's caller waits in a
    // destructor: beside that it is in doubt who unwinds.
    with_children(test, |children| giambio::race(|| children.wait(), || children.wait()));
}

fn race_all(test: Test<'_>) {
    with_children(test, |children| {
        giambio::race_all([(); 2].map(|()| || children.wait()));
    });
}

/// The task of a `start` that was cut does not live on, that of one that was done does.
fn pool_start(test: Test<'_>) {
    let (go, stop, live) = (Event::new(), Event::new(), Cell::new(0));
    pool(|pool| {
        let call = || {
            let (value, _task) = pool.start(|started| {
                live.set(live.get() + 1);
                let _ending = OnDrop::new(|| live.set(live.get() - 1));
                go.wait();
                started.report(7);
                stop.wait();
            });
            assert_eq!(value, 7);
        };
        let effects = || {
            settle();
            live.get()
        };
        test(&Case::new(&call).ends_when(&|| trigger(&go)).has(&effects));
        trigger(&stop);
    });
}

const ITEMS: usize = 4;

fn map_next(test: Test<'_>) {
    let gates = [(); ITEMS].map(|()| Event::new());
    let (opened, given) = (Cell::new(0), Cell::new(0));
    pool(|pool| {
        let values = RefCell::new(pool.map(0..ITEMS, 2, |item: usize| {
            gates[item].wait();
            item
        }));
        let call = || {
            let value = values.borrow_mut().next().unwrap().unwrap();
            assert_eq!(value, given.replace(given.get() + 1), "a value is missing");
        };
        let complete = || trigger(&gates[opened.replace(opened.get() + 1)]);
        let effects = || {
            gates.iter().for_each(trigger);
            ITEMS - values.borrow_mut().by_ref().count()
        };
        test(&Case::new(&call).ends_when(&complete).has(&effects));
    });
}

fn map_unordered_next(test: Test<'_>) {
    let permits = Semaphore::new(0);
    pool(|pool| {
        let values = RefCell::new(pool.map_unordered(0..ITEMS, 2, |_| permits.acquire().forget()));
        let call = || values.borrow_mut().next().unwrap().unwrap();
        let effects = || {
            permits.add_permits(ITEMS);
            ITEMS - values.borrow_mut().by_ref().count()
        };
        test(&Case::new(&call).ends_when(&|| permits.add_permits(1)).has(&effects));
    });
}
