//! What a run leaves behind: nothing but what was forgotten, and that does no harm.
//!
//! Descriptors and mappings are counted in processes of their own: see tests/child.

use crate::CountedDrop;
use crate::Drops;
use crate::fail;
use crate::secs;
use crate::tcp::pair;
use crate::tcp_faults::full_listener;
use giambio::Builder;
use giambio::Pool;
use giambio::TaskBuilder;
use giambio::lowlevel::Parker;
use giambio::lowlevel::wait_readable;
use giambio::lowlevel::wait_writable;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::testing::settle;
use std::io::Read;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Mutex;

/// What [`forget`] has got: a leak checker takes what a static can reach for wanted.
static FORGOTTEN: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// `std::mem::forget`, except that a leak checker does not complain.
pub(crate) fn forget<T>(value: T) {
    let place = Box::into_raw(Box::new(value));
    FORGOTTEN.lock().unwrap().push(place.expose_provenance());
}

/// The sockets that children wait on.
struct Sockets {
    silent: TcpStream,
    full: TcpStream,
    listener: TcpListener,
    _peers: [TcpStream; 2],
    /// Nobody gets into its backlog any more.
    crowded: (std::net::TcpListener, Vec<std::net::TcpStream>),
}

impl Sockets {
    fn new() -> Self {
        let ((silent, first), (full, second)) = (pair(), pair());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self { silent, full, listener, _peers: [first, second], crowded: full_listener() }
    }
}

/// Spawns a child for every state that a task can wait in, each with one value in its closure and one
/// in a local; how many values that are.
fn spawn_waiters<'scope>(
    pool: &'scope Pool<'scope, '_>,
    sockets: &'scope Sockets,
    drops: &Drops,
) -> usize {
    let mut spawned = 0;
    let mut spawn = |wait: Box<dyn FnOnce(CountedDrop) + 'scope>| {
        let (captured, local) = (drops.one(), drops.one());
        pool.spawn(move || {
            let _captured = captured;
            wait(local);
        });
        spawned += 2;
    };
    spawn(Box::new(|_local| giambio::sleep_forever()));
    spawn(Box::new(|_local| giambio::sleep(secs(3600))));
    spawn(Box::new(|_local| drop((&sockets.silent).read(&mut [0]))));
    spawn(Box::new(|_local| drop(sockets.silent.peek(&mut [0]))));
    spawn(Box::new(|_local| {
        let block = vec![0; 1 << 20];
        while (&sockets.full).write(&block).is_ok() {}
    }));
    spawn(Box::new(|_local| drop(sockets.listener.accept())));
    spawn(Box::new(|_local| drop(wait_readable(&sockets.silent))));
    spawn(Box::new(|_local| drop(wait_writable(&sockets.full)))); // the writer has filled it
    spawn(Box::new(|_local| drop(TcpStream::connect(sockets.crowded.0.local_addr().unwrap()))));
    spawn(Box::new(|_local| Parker::new().park()));
    spawn(Box::new(|_local| settle())); // one below never parks
    spawn(Box::new(|_local| giambio::pool(|pool| drop(pool.spawn(|| giambio::sleep_forever())))));
    spawn(Box::new(|local| {
        giambio::pool(|pool| {
            let task = pool.spawn(move || {
                let _moved = local;
                giambio::sleep_forever()
            });
            let _ = task.join();
        });
    }));
    spawn(Box::new(|_local| {
        let _cut = giambio::skip_after(secs(60), |_| giambio::sleep(secs(3600)));
    }));
    spawn(Box::new(|_local| {
        giambio::finally(|| giambio::sleep_forever(), || giambio::sleep(secs(0)));
    }));
    spawn(Box::new(|_local| {
        loop {
            giambio::yield_now();
        }
    }));
    spawned
}

#[test]
fn a_pool_that_is_cancelled_drops_what_its_children_hold_in_every_state() {
    giambio::run(|| {
        let (drops, sockets) = (Drops::default(), Sockets::new());
        let mut held = 0;
        giambio::pool(|pool| {
            held = spawn_waiters(pool, &sockets, &drops);
            (0..3).for_each(|_| giambio::yield_now());
            held += spawn_waiters(pool, &sockets, &drops); // these never begin
            assert_eq!(drops.count(), 0);
            pool.cancel();
        });
        assert_eq!(drops.count(), held);
    });
}

#[test]
fn a_body_that_has_returned_waits_for_children_in_every_state() {
    giambio::run(|| {
        let (drops, sockets) = (Drops::default(), Sockets::new());
        let mut held = 0;
        giambio::pool(|pool| {
            held = spawn_waiters(pool, &sockets, &drops);
            let drops = &drops;
            pool.spawn(move || {
                (0..3).for_each(|_| giambio::yield_now());
                assert_eq!(drops.count(), 0);
                pool.cancel();
            });
        });
        assert_eq!(drops.count(), held);
    });
}

#[test]
fn a_body_that_panics_drops_what_its_children_hold_in_every_state() {
    giambio::run(|| {
        let (drops, sockets) = (Drops::default(), Sockets::new());
        let mut held = 0;
        let failed = catch_unwind(AssertUnwindSafe(|| {
            giambio::pool(|pool| {
                held = spawn_waiters(pool, &sockets, &drops);
                (0..3).for_each(|_| giambio::yield_now());
                held += spawn_waiters(pool, &sockets, &drops);
                fail("the body")
            })
        }));
        assert!(failed.is_err_and(|payload| payload.is::<&str>()));
        assert_eq!(drops.count(), held);
    });
}

#[test]
fn a_child_that_panics_drops_what_its_siblings_hold_in_every_state() {
    giambio::run(|| {
        let (drops, sockets) = (Drops::default(), Sockets::new());
        let mut held = 0;
        let failed = catch_unwind(AssertUnwindSafe(|| {
            giambio::pool(|pool| {
                held = spawn_waiters(pool, &sockets, &drops);
                pool.spawn(|| {
                    (0..3).for_each(|_| giambio::yield_now());
                    fail("a child")
                });
                giambio::sleep_forever()
            })
        }));
        assert!(failed.is_err());
        assert_eq!(drops.count(), held);
    });
}

#[test]
fn a_run_whose_main_panics_drops_what_its_tasks_hold() {
    let drops = Drops::default();
    let failed = catch_unwind(AssertUnwindSafe(|| {
        giambio::run(|| {
            let _local = drops.one();
            giambio::pool(|pool| {
                let captured = drops.one();
                pool.spawn(move || {
                    let _captured = captured;
                    giambio::sleep_forever()
                });
                settle();
                fail("main")
            })
        })
    }));
    assert!(failed.is_err());
    assert_eq!(drops.count(), 2);
}

#[test]
fn values_that_nobody_asks_for_are_dropped() {
    giambio::run(|| {
        let drops = Drops::default();
        giambio::pool(|pool| {
            pool.spawn(|| drops.one()); // the handle goes first
            let late = pool.spawn(|| drops.one());
            settle();
            assert_eq!(drops.count(), 1);
            drop(late); // the task ends first
            assert_eq!(drops.count(), 2);
            let joined = pool.spawn(|| drops.one()).join().unwrap();
            assert_eq!(drops.count(), 2);
            drop(joined);
        });
        assert_eq!(drops.count(), 3);
    });
}

#[test]
fn a_forgotten_handle_leaks_its_value_and_nothing_else() {
    giambio::run(|| {
        let drops = Drops::default();
        giambio::pool(|pool| {
            let captured = drops.one();
            forget(pool.spawn(|| {
                let _captured = captured;
                drops.one() // nobody will ever drop this one
            }));
            let ended = pool.spawn(|| drops.one());
            settle();
            assert!(ended.is_finished());
            forget(ended);
            forget(TaskBuilder::new().name("forgotten".into()));
            forget(giambio::task::current());
        });
        assert_eq!(drops.count(), 1);
        // A forgotten handle of a task that is cut later, and one of a task that never begins.
        giambio::pool(|pool| {
            let captured = [drops.one(), drops.one()];
            let [first, second] = captured;
            forget(pool.spawn(move || {
                let _captured = first;
                giambio::sleep_forever()
            }));
            settle();
            forget(pool.spawn(move || drop(second)));
            forget(pool.canceller());
            pool.cancel();
        });
        assert_eq!(drops.count(), 3);
    });
}

#[test]
fn a_forgotten_task_reference_outlives_its_task_and_its_runtime() {
    let kept = giambio::run(|| {
        giambio::pool(|pool| {
            let task = pool.spawn(giambio::task::current);
            let kept = task.join().unwrap();
            forget(kept.clone());
            kept
        })
    });
    assert!(!kept.name().is_empty());
    kept.cancel(); // its task has ended long ago
    drop(kept);
}

#[test]
fn forgotten_sockets_stay_open_and_disturb_nobody() {
    giambio::run(|| {
        for _ in 0..10 {
            let (ours, theirs) = pair();
            crate::tcp::register(&ours);
            giambio::pool(|pool| {
                pool.spawn(|| {
                    settle();
                    (&theirs).write_all(b"x").unwrap();
                });
                assert_eq!((&ours).read(&mut [0; 8]).unwrap(), 1);
            });
            forget(ours);
            (&theirs).write_all(b"still open").unwrap();
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let mut incoming = listener.incoming();
        let client = TcpStream::connect(addr).unwrap();
        forget(incoming.next().unwrap().unwrap());
        forget(incoming);
        (&client).write_all(b"still open").unwrap();
        forget(listener);
        TcpStream::connect(addr).unwrap();
    });
}

#[test]
fn a_forgotten_parker_or_join_error_disturbs_nobody() {
    giambio::run(|| {
        let parker = Parker::new();
        let unparker = parker.unparker();
        forget(parker.unparker());
        giambio::pool(|pool| {
            let parked = pool.spawn(|| parker.park());
            settle();
            unparker.unpark();
            parked.join().unwrap();
            let stopped = pool.spawn(|| giambio::sleep_forever());
            stopped.cancel();
            forget(stopped.join().unwrap_err());
        });
        forget(parker);
        unparker.unpark(); // for nobody
        let another = Parker::new();
        forget(another.unparker());
        assert!(!another.park_timeout(secs(0)));
    });
}

#[test]
fn a_forgotten_runtime_or_builder_harms_no_other() {
    let drops = Drops::default();
    forget(Builder::new().stack_size(1 << 16));
    let mut runtime = Builder::new().build().unwrap();
    runtime.run(|| {
        giambio::pool(|pool| {
            let captured = drops.one();
            pool.spawn(move || drop(captured));
        });
    });
    assert_eq!(drops.count(), 1);
    forget(runtime);
    assert_eq!(giambio::run(|| 7), 7);
}
