//! Rows of the matrix: calls that wait for tasks.
//!
//! Of those that start tasks none has left any behind, whatever became of the call.

use super::Case;
use super::Test;
use super::sync::trigger;
use crate::secs;
use crate::unwind::OnDrop;
use giambio::Pool;
use giambio::pool;
use giambio::shield;
use giambio::sync::Event;
use giambio::sync::Semaphore;
use giambio::task;
use giambio::testing::settle;
use giambio::thread;
use giambio::thread::Thread;
use std::cell::Cell;
use std::cell::RefCell;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

matrix!(Virtual: task_join, pool_start, map_next, map_unordered_next);
matrix!(Virtual: pool_end, try_pool_end, cancellable_end, join, join_all, race, race_all);
matrix!(Virtual: thread_join, scoped_join, scope_end, thread_park, thread_park_timeout);

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

fn thread_join(test: Test<'_>) {
    let event = Arc::new(Event::new());
    let spawn = |()| {
        let event = Arc::clone(&event);
        thread::spawn(move || event.wait())
    };
    let threads = RefCell::new(Vec::from([(); 4].map(spawn)));
    let call = || {
        let thread = threads.borrow_mut().pop().unwrap();
        thread.join().unwrap();
    };
    test(&Case::new(&call).ends_when(&|| trigger(&event)));
    trigger(&event); // whoever was cut has left its thread as it was
}

fn scoped_join(test: Test<'_>) {
    let event = Event::new();
    thread::scope(|scope| {
        let spawn = |()| scope.spawn(|| event.wait());
        let threads = RefCell::new(Vec::from([(); 4].map(spawn)));
        let call = || {
            let thread = threads.borrow_mut().pop().unwrap();
            thread.join().unwrap();
        };
        test(&Case::new(&call).ends_when(&|| trigger(&event)));
        trigger(&event);
    });
}

fn thread_park(test: Test<'_>) {
    parking(test, thread::park);
}

fn thread_park_timeout(test: Test<'_>) {
    parking(test, || thread::park_timeout(secs(1000)));
}

/// A token is a thread's own, and a situation has several tasks make the call: so a token that comes when
/// nobody does is for the next who does, and one that a call has left behind as well.
fn parking(test: Test<'_>, park: fn()) {
    let (caller, given, left) = (RefCell::new(None::<Thread>), Cell::new(0), Cell::new(0));
    let call = || {
        let me = thread::current();
        if left.get() > 0 {
            left.set(left.get() - 1);
            me.unpark();
        }
        caller.replace(Some(me));
        let parked = catch_unwind(park);
        caller.take();
        if let Err(cut) = parked {
            left.set(left.get() + usize::from(shield(has_token)));
            resume_unwind(cut);
        }
    };
    let complete = || {
        given.set(given.get() + 1);
        match &*caller.borrow() {
            Some(thread) => thread.unpark(),
            None => left.set(left.get() + 1),
        }
    };
    let effects = || given.get() - left.get();
    test(&Case::new(&call).ends_when(&complete).has(&effects));
}

/// Whether the calling task has a token, which is taken: without one it would switch.
fn has_token() -> bool {
    catch_unwind(|| task::no_switch(|| thread::park_timeout(Duration::ZERO))).is_ok()
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

fn scope_end(test: Test<'_>) {
    let (event, live, left_behind) = (Event::new(), AtomicUsize::new(0), Cell::new(false));
    let wait = || {
        live.fetch_add(1, Ordering::Relaxed);
        let _ending = OnDrop::new(|| _ = live.fetch_sub(1, Ordering::Relaxed));
        event.wait();
    };
    let call = || {
        let is_left = || live.load(Ordering::Relaxed) > 0;
        let _ended = OnDrop::new(|| left_behind.set(left_behind.get() || is_left()));
        thread::scope(|scope| {
            scope.spawn(wait);
            scope.spawn(wait);
        });
    };
    test(&Case::new(&call).ends_when(&|| trigger(&event)));
    assert!(!left_behind.get(), "a thread outlived the scope that had started it");
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
