//! Selects on plain threads, where they really block, and between those and tasks.

use crate::elapsed;
use crate::ms;
use crate::pair;
use crate::put;
use crate::secs;
use crate::take;
use crate::take_all;
use giambio::channel::Select;
use giambio::channel::bounded;
use giambio::channel::select;
use giambio::channel::unbounded;
use giambio::clock;
use giambio::sync::Event;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Returns when a thread of this process sleeps in the kernel.
fn until_asleep(thread: libc::pid_t) {
    let path = format!("/proc/self/task/{thread}/stat");
    loop {
        let stat = std::fs::read_to_string(&path).expect("the thread is alive");
        let (_, state) = stat.rsplit_once(") ").expect("a name and a state");
        if state.starts_with('S') {
            return;
        }
        thread::yield_now();
    }
}

/// Runs `call` on a plain thread, checks that it blocks there, and that it ends after `unblock`.
#[track_caller]
fn blocks_its_thread<T: Send>(call: impl FnOnce() -> T + Send, unblock: impl FnOnce()) -> T {
    let (tell, told) = mpsc::channel();
    thread::scope(|threads| {
        let caller = threads.spawn(move || {
            // SAFETY: gettid(2) takes nothing and cannot fail.
            tell.send(unsafe { libc::gettid() }).unwrap();
            call()
        });
        until_asleep(told.recv().unwrap());
        assert!(!caller.is_finished());
        unblock();
        caller.join().unwrap()
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Chosen {
    Byte,
    Message,
    Event,
    Room,
}

#[test]
fn each_kind_ends_the_wait_of_a_thread() {
    let (ours, theirs) = pair();
    let (s, r) = bounded(0);
    let full = bounded(1);
    full.0.send(()).unwrap();
    let event = Event::new();
    let wait = || {
        select! {
            readable(ours) -> result => {
                result.unwrap();
                take(&ours);
                Chosen::Byte
            }
            recv(r) -> message => {
                assert_eq!(message, Ok(7));
                Chosen::Message
            }
            send(full.0, ()) -> result => {
                assert_eq!(result, Ok(()));
                Chosen::Room
            }
            happened(event) -> () => Chosen::Event,
            deadline(clock() + secs(600)) -> _ => panic!("too slow"),
        }
    };
    for _ in 0..3 {
        assert_eq!(blocks_its_thread(wait, || put(&theirs)), Chosen::Byte);
        assert_eq!(blocks_its_thread(wait, || s.send(7).unwrap()), Chosen::Message);
        assert_eq!(blocks_its_thread(wait, || full.1.recv().unwrap()), Chosen::Room);
        // From tasks.
        let put = || giambio::run(|| put(&theirs));
        assert_eq!(blocks_its_thread(wait, put), Chosen::Byte);
        let send = || giambio::run(|| s.send(7).unwrap());
        assert_eq!(blocks_its_thread(wait, send), Chosen::Message);
    }
    assert_eq!(blocks_its_thread(wait, || event.trigger(()).unwrap()), Chosen::Event);
}

#[test]
fn a_thread_waits_until_its_time_is_up() {
    let ((ours, _theirs), (_s, r)) = (pair(), bounded::<()>(0));
    let took = elapsed(|| {
        let late = select! {
            readable(ours) -> _ => false,
            recv(r) -> _ => false,
            default(ms(3)) => true,
        };
        assert!(late);
    });
    assert!(took >= ms(3), "{took:?}");
    let took = elapsed(|| {
        let at = clock() + ms(3);
        let late = select! {
            writable(pair().0) -> _ => true,
            deadline(at) -> _ => false,
        };
        assert!(late);
        let late = select! {
            readable(ours) -> _ => false,
            deadline(at) -> _ => true,
        };
        assert!(late);
    });
    assert!(took >= ms(3), "{took:?}");
    let mut list = Select::new();
    list.readable(&ours);
    assert!(list.try_select().is_err());
    assert!(list.select_timeout(ms(1)).is_err());
    assert!(list.ready_timeout(ms(1)).is_err());
}

/// The clock of its runtime stands still while it waits in real time.
#[test]
fn the_host_of_a_drive_waits_as_a_thread() {
    let ((ours, theirs), (_s, r)) = (pair(), bounded::<()>(0));
    let mut runtime = giambio::testing::builder().build().unwrap();
    runtime.drive(
        || (),
        |driver| {
            let late = select! {
                readable(ours) -> _ => false,
                recv(r) -> _ => false,
                default(ms(2)) => true,
            };
            assert!(late);
            put(&theirs);
            select! {
                readable(ours) -> result => result.unwrap(),
                recv(r) -> _ => unreachable!("nobody sends"),
            }
            while !driver.is_done() {
                driver.tick(Some(Duration::ZERO));
            }
        },
    );
}

/// Bytes, messages and an end from all sides: each is taken once, and nobody oversleeps.
#[test]
fn threads_and_tasks_share_a_source_and_a_channel_under_load() {
    const EACH: usize = 2_000;
    let ((ours, theirs), (s, r)) = (pair(), unbounded());
    let stop = Event::<()>::new();
    let (bytes, messages) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        loop {
            select! {
                readable(ours) -> result => {
                    result.unwrap();
                    // Another may have been faster: this must not wait.
                    bytes.fetch_add(take_some(&ours), Ordering::Relaxed);
                }
                recv(r) -> message => _ = messages.fetch_add(message.unwrap(), Ordering::Relaxed),
                happened(stop) -> _ => return,
            }
        }
    };
    ours.set_nonblocking(true).unwrap();
    thread::scope(|threads| {
        threads.spawn(work);
        threads.spawn(work);
        threads.spawn(|| {
            giambio::run(|| {
                giambio::pool(|pool| (0..50).for_each(|_| drop(pool.spawn(work))));
            });
        });
        threads.spawn(|| (0..EACH).for_each(|_| put(&theirs)));
        (0..EACH).for_each(|_| s.send(1).unwrap());
        giambio::run(|| {
            let is_done = || {
                bytes.load(Ordering::Relaxed) == EACH && messages.load(Ordering::Relaxed) == EACH
            };
            let noticed = giambio::with_timeout(secs(60), |_| {
                while !is_done() {
                    giambio::sleep(ms(1));
                }
            });
            stop.trigger(()).unwrap();
            noticed.expect("something was not noticed");
        });
    });
    ours.set_nonblocking(false).unwrap();
    assert_eq!(take_all(&ours), 0);
}

fn take_some(mut stream: &giambio::os::unix::net::UnixStream) -> usize {
    std::io::Read::read(&mut stream, &mut [0; 3]).unwrap_or(0)
}

/// A bell rings for one wait: one that comes late is for nobody.
#[test]
fn a_thread_that_selects_again_and_again_is_woken_for_each_message() {
    let ((ours, _theirs), (s, r)) = (pair(), bounded(0));
    thread::scope(|threads| {
        threads.spawn(move || (0..2_000).for_each(|number| s.send(number).unwrap()));
        for expected in 0..2_000 {
            select! {
                recv(r) -> number => assert_eq!(number, Ok(expected)),
                readable(ours) -> _ => unreachable!("nobody writes"),
            }
        }
        assert!(r.recv().is_err());
    });
}
