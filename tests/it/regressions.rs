//! Programs that once broke the runtime.

use crate::fail;
use crate::ms;
use crate::secs;
use giambio::Builder;
use giambio::debug::Debugger;
use giambio::debug::TaskRef;
use giambio::debug::WaitReason;
use giambio::lowlevel::Parker;
use giambio::lowlevel::Unparker;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::pool;
use giambio::run;
use giambio::sleep;
use giambio::testing;
use giambio::yield_now;
use std::cell::Cell;
use std::cell::RefCell;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Panics with a payload whose destructor switches, when a task is about to wait for another.
struct PanicsBeforeJoin(Rc<Cell<u32>>);

impl Debugger for PanicsBeforeJoin {
    fn before_park(&self, _task: &TaskRef, reason: WaitReason) {
        if let WaitReason::Join(_) = reason {
            resume_unwind(Box::new(Switches));
        }
    }
    fn on_exit(&self) {
        self.0.set(self.0.get() + 1);
    }
}

struct Switches;

impl Drop for Switches {
    fn drop(&mut self) {
        yield_now();
    }
}

#[test]
fn the_payload_of_a_hooks_panic_cannot_switch_in_the_middle_of_a_park() {
    let exits = Rc::new(Cell::new(0));
    let debugger = PanicsBeforeJoin(Rc::clone(&exits));
    let mut runtime = testing::builder().debugger(debugger).build().unwrap();
    let value = runtime.run(|| pool(|pool| pool.spawn(|| 1).join().unwrap()));
    assert_eq!((value, exits.get()), (1, 1));
}

/// Cancels every task that is about to sleep.
struct CancelsSleepers;

impl Debugger for CancelsSleepers {
    fn before_park(&self, task: &TaskRef, reason: WaitReason) {
        if reason == WaitReason::Sleep {
            task.cancel();
        }
    }
}

struct SleepsOnDrop<'c>(&'c Cell<bool>);

impl Drop for SleepsOnDrop<'_> {
    fn drop(&mut self) {
        sleep(secs(1));
        self.0.set(true);
    }
}

#[test]
fn a_hook_that_cancels_a_task_in_mid_unwind_does_not_make_its_destructor_raise() {
    let slept = Cell::new(false);
    let mut runtime = testing::builder().debugger(CancelsSleepers).build().unwrap();
    runtime.run(|| {
        pool(|pool| {
            let task = pool.spawn_isolated(|| {
                let _sleeps = SleepsOnDrop(&slept);
                fail("the panic that counts")
            });
            assert!(task.join().unwrap_err().is_panic());
        });
    });
    assert!(slept.get());
}

/// Unparks a task when the reactor is about to be asked.
struct UnparksBeforeIo(Rc<RefCell<Option<Unparker>>>);

impl Debugger for UnparksBeforeIo {
    fn before_io(&self, _timeout: Option<Duration>) {
        self.0.take().iter().for_each(Unparker::unpark);
    }
}

#[test]
fn a_task_that_a_hook_wakes_before_io_runs_at_once() {
    let unparker = Rc::new(RefCell::new(None));
    let debugger = UnparksBeforeIo(Rc::clone(&unparker));
    let mut runtime = Builder::new().debugger(debugger).build().unwrap();
    runtime.run(|| {
        let parker = Parker::new();
        unparker.replace(Some(parker.unparker()));
        let start = giambio::clock();
        assert!(parker.park_timeout(secs(60)));
        assert!(giambio::clock() - start < secs(30));
    });
}

/// Under AddressSanitizer this finds a waker that is still at a node which its task has given up.
#[test]
fn timeouts_race_with_unparkers_of_other_threads() {
    let (stop, target) = (AtomicBool::new(false), Mutex::new(None::<Unparker>));
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let unparker = target.lock().unwrap().clone();
                    unparker.iter().for_each(Unparker::unpark);
                    std::thread::yield_now();
                }
            });
        }
        run(|| {
            for _ in 0..200 {
                let wait = || {
                    let parker = Parker::new();
                    *target.lock().unwrap() = Some(parker.unparker());
                    for _ in 0..5 {
                        parker.park_timeout(Duration::from_micros(1));
                    }
                    parker.park();
                };
                pool(|pool| pool.spawn(wait).join().unwrap());
            }
        });
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_socket_that_outlives_runtimes_keeps_none_of_their_descriptors() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    // More than twice as many as there may be descriptors would be open otherwise.
    let mut highest = 0;
    for round in 0..300 {
        run(|| {
            pool(|pool| {
                let accepted = pool.spawn(|| listener.accept().map(drop));
                sleep(ms(0)); // it waits, and has registered the listener
                let client = TcpStream::connect(addr).unwrap();
                accepted.join().unwrap().unwrap();
                let descriptor = std::os::fd::AsRawFd::as_raw_fd(&client);
                if round > 0 {
                    highest = highest.max(descriptor);
                }
            });
        });
    }
    // Other tests of this process have descriptors as well.
    assert!(highest < 500, "descriptor {highest}");
}
