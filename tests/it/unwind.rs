//! While a task unwinds: what its destructors may call, and what comes of it.

use crate::Log;
use crate::elapsed;
use crate::secs;
use giambio::clock;
use giambio::finally;
use giambio::io::Cancelled;
use giambio::lowlevel::Parker;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::pool;
use giambio::sleep;
use giambio::task;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use giambio::yield_now;
use std::cell::Cell;
use std::io;
use std::io::BufWriter;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::time::Duration;

/// More bytes than the buffers of a loopback connection hold.
const FLOOD: usize = 32 << 20;

/// What passes through a task's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passing {
    Panic,
    Cancellation,
}

/// Runs a test for each of them, on a clock of its own.
pub(crate) fn both(test: impl Fn(Passing)) {
    for passing in [Passing::Panic, Passing::Cancellation] {
        run_virtual(|| test(passing));
    }
}

impl Passing {
    /// Starts the unwind of the calling task.
    pub(crate) fn begin(self) -> ! {
        if self == Self::Panic {
            panic!("on purpose");
        }
        task::current().cancel();
        yield_now();
        unreachable!("a cancelled task went past a checkpoint");
    }
}

/// Calls a closure when it is dropped.
pub(crate) struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> OnDrop<F> {
    pub(crate) fn new(f: F) -> Self {
        Self(Some(f))
    }
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(|f| f());
    }
}

/// What `f` returns in a destructor that `passing` runs, in a task of its own.
#[track_caller]
pub(crate) fn in_destructor<T>(passing: Passing, f: impl FnOnce() -> T) -> T {
    let result = Cell::new(None);
    pool(|pool| {
        let task = pool.spawn_isolated(|| -> () {
            let _guard = OnDrop::new(|| result.set(Some(f())));
            passing.begin()
        });
        let error = task.join().unwrap_err();
        assert_eq!(error.is_cancelled(), passing == Passing::Cancellation);
        assert_eq!(error.is_panic(), passing == Passing::Panic);
    });
    result.take().unwrap()
}

/// A connection of the runtime's with a plain one at its other end.
pub(crate) fn connection() -> (TcpStream, net::TcpStream) {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let theirs = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (listener.accept().unwrap().0.into(), theirs)
}

#[track_caller]
pub(crate) fn assert_given_up<T>(result: io::Result<T>) {
    let Err(error) = result else { panic!("the call did not fail") };
    assert_eq!(error.kind(), ErrorKind::Other);
    assert!(error.get_ref().unwrap().is::<Cancelled>(), "{error:?}");
}

#[test]
fn smoke() {
    both(|passing| assert_eq!(in_destructor(passing, || elapsed(|| sleep(secs(2)))), secs(2)));
}

#[test]
fn a_read_with_nothing_to_read_gives_up_at_once() {
    both(|passing| {
        let (ours, _theirs) = connection();
        let result = in_destructor(passing, || (&ours).read(&mut [0; 8]));
        assert_given_up(result);
    });
}

#[test]
fn a_read_takes_what_is_ready() {
    both(|passing| {
        let (ours, mut theirs) = connection();
        theirs.write_all(b"ready").unwrap();
        let mut buf = [0; 8];
        let count = in_destructor(passing, || (&ours).read(&mut buf));
        assert_eq!(&buf[..count.unwrap()], b"ready");
    });
}

#[test]
fn a_read_takes_what_came_after_a_read_that_was_cut() {
    run_virtual(|| {
        let (ours, mut theirs) = connection();
        let (mut buf, count) = ([0; 8], Cell::new(0));
        pool(|pool| {
            let task = pool.spawn(|| {
                let _guard = OnDrop::new(|| count.set((&ours).read(&mut buf).unwrap_or(0)));
                let _ = (&ours).read(&mut [0; 8]);
            });
            settle();
            task.cancel();
            theirs.write_all(b"ready").unwrap();
        });
        assert_eq!(&buf[..count.get()], b"ready");
    });
}

#[test]
fn a_write_fills_the_buffer_and_then_gives_up() {
    both(|passing| {
        let (ours, _theirs) = connection();
        let mut sent = 0;
        let result = in_destructor(passing, || {
            loop {
                match (&ours).write(&[0; 4096]) {
                    Ok(count) => sent += count,
                    Err(error) => return io::Result::Err(error),
                }
            }
        });
        assert!(sent > 0);
        assert_given_up::<()>(result);
    });
}

#[test]
fn an_accept_takes_a_connection_that_stands_and_gives_up_without_one() {
    both(|passing| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (first, second) = in_destructor(passing, || (listener.accept(), listener.accept()));
        assert_eq!(first.unwrap().1, client.local_addr().unwrap());
        assert_given_up(second);
    });
}

#[test]
fn a_connect_that_would_have_to_wait_gives_up() {
    both(|passing| {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_given_up(in_destructor(passing, || TcpStream::connect(address)));
    });
}

#[test]
fn a_flush_sends_what_there_is_room_for() {
    both(|passing| {
        let (ours, mut theirs) = connection();
        let flushed = in_destructor(passing, || {
            let mut buffered = BufWriter::new(&ours);
            buffered.write_all(b"goodbye")?;
            buffered.flush()
        });
        flushed.unwrap();
        let mut text = [0; 7];
        theirs.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"goodbye");
    });
}

#[test]
fn a_flush_without_room_gives_up() {
    both(|passing| {
        let (ours, _theirs) = connection();
        let flushed = in_destructor(passing, || {
            // More than a socket's buffers hold, so that a rest is left for the flush.
            let mut buffered = BufWriter::with_capacity(FLOOD + 1, &ours);
            buffered.write_all(&vec![0; FLOOD])?;
            buffered.flush()
        });
        assert_given_up(flushed);
    });
}

#[test]
fn loops_of_std_end_instead_of_spinning() {
    both(|passing| {
        let (ours, mut theirs) = connection();
        theirs.write_all(b"half").unwrap();
        let mut text = Vec::new();
        let (read, written) = in_destructor(passing, || {
            let read = (&ours).read_to_end(&mut text);
            (read, (&ours).write_all(&vec![0; FLOOD]))
        });
        assert_eq!(text, b"half");
        assert_given_up(read);
        assert_given_up(written);
    });
}

#[test]
fn a_wait_for_a_descriptor_that_is_not_ready_gives_up() {
    both(|passing| {
        let (_ours, theirs) = connection();
        let (writable, readable) = in_destructor(passing, || {
            let writable = giambio::lowlevel::wait_writable(&theirs);
            (writable, giambio::lowlevel::wait_readable(&theirs))
        });
        writable.unwrap();
        assert_given_up(readable);
    });
}

#[test]
fn a_yield_lets_the_others_go_first() {
    both(|passing| {
        let log = Log::default();
        pool(|pool| {
            in_destructor(passing, || {
                pool.spawn(|| log.add("other"));
                yield_now();
                pool.spawn(|| log.add("another"));
                sleep(Duration::ZERO);
                log.add("destructor");
            });
        });
        log.assert(&["other", "another", "destructor"]);
    });
}

#[test]
fn a_join_waits_for_the_task() {
    both(|passing| {
        pool(|pool| {
            let task = pool.spawn(|| {
                sleep(secs(3));
                "value"
            });
            assert_eq!(in_destructor(passing, || task.join()).unwrap(), "value");
        });
    });
}

#[test]
fn a_park_waits_for_its_token() {
    both(|passing| {
        let parker = Parker::new();
        let unparker = parker.unparker();
        pool(|pool| {
            pool.spawn(|| {
                sleep(secs(3));
                unparker.unpark();
            });
            assert_eq!(in_destructor(passing, || elapsed(|| parker.park())), secs(3));
        });
    });
}

#[test]
fn the_end_of_a_pool_waits_for_its_children_and_their_io_works() {
    run_virtual(|| {
        let (ours, mut theirs) = connection();
        let mut text = [0; 4];
        let took = in_destructor(Passing::Panic, || {
            elapsed(|| {
                pool(|pool| {
                    let reader = pool.spawn(|| (&ours).read_exact(&mut text));
                    settle();
                    let _ = theirs.write_all(b"data");
                    drop(reader.join());
                    pool.spawn(|| sleep(secs(2)));
                });
            })
        });
        assert_eq!(took, secs(2));
        assert_eq!(&text, b"data");
    });
}

#[test]
fn a_pool_inside_of_the_cancelled_scope_starts_nothing() {
    run_virtual(|| {
        let ran = Cell::new(false);
        in_destructor(Passing::Cancellation, || pool(|pool| drop(pool.spawn(|| ran.set(true)))));
        assert!(!ran.get());
    });
}

#[test]
fn a_shielded_pool_runs_its_children() {
    both(|passing| {
        let took = in_destructor(passing, || {
            elapsed(|| giambio::shield(|| pool(|pool| drop(pool.spawn(|| sleep(secs(3)))))))
        });
        assert_eq!(took, secs(3));
    });
}

#[test]
fn a_timeout_does_not_cut_a_destructor() {
    both(|passing| {
        let nap = |length| giambio::with_timeout(secs(2), |_| elapsed(|| sleep(length)));
        assert_eq!(in_destructor(passing, || nap(secs(1))), Ok(secs(1)));
        // Nothing is raised in a destructor, so the body ends and gives its value.
        assert_eq!(in_destructor(passing, || nap(secs(3))), Ok(secs(3)));
    });
}

#[test]
fn a_body_that_is_cancelled_in_a_destructor_gives_its_value() {
    both(|passing| {
        let value = in_destructor(passing, || {
            giambio::cancellable(|pool| {
                pool.cancel();
                yield_now();
                7
            })
        });
        assert_eq!(value, Some(7));
    });
}

#[test]
fn a_destructor_may_catch_the_panic_of_a_child() {
    both(|passing| {
        let caught = in_destructor(passing, || {
            giambio::shield(|| {
                let failing = || pool(|pool| drop(pool.spawn(|| panic!("inside"))));
                catch_unwind(AssertUnwindSafe(failing)).is_err()
            })
        });
        assert!(caught);
    });
}

#[test]
fn a_destructor_still_unwinds_after_a_pool_in_it_has_ended() {
    both(|passing| {
        let (ours, _theirs) = connection();
        let result = in_destructor(passing, || {
            // The park inside is the first that is seen of the unwind.
            pool(|_| sleep(secs(1)));
            (&ours).read(&mut [0; 8])
        });
        assert_given_up(result);
    });
}

#[test]
fn a_destructor_unwinds_after_the_unwind_has_waited_in_a_pool() {
    both(|passing| {
        let (ours, _theirs) = connection();
        let result = Cell::new(None);
        pool(|outer| {
            let task = outer.spawn_isolated(|| {
                let _guard = OnDrop::new(|| result.set(Some((&ours).read(&mut [0; 8]))));
                pool(|_| {
                    let _guard = OnDrop::new(|| sleep(secs(1)));
                    passing.begin()
                });
            });
            assert!(task.join().is_err());
        });
        assert_given_up(result.take().unwrap());
    });
}

#[test]
fn finally_in_a_destructor_runs_both_its_parts() {
    both(|passing| {
        let log = Log::default();
        let took = in_destructor(passing, || {
            elapsed(|| {
                let body = || {
                    sleep(secs(1));
                    log.add("body");
                };
                finally(body, || {
                    sleep(secs(1));
                    log.add("cleanup");
                });
            })
        });
        log.assert(&["body", "cleanup"]);
        assert_eq!(took, secs(2));
    });
}

#[test]
fn a_cleanup_does_io_as_ever_and_the_unwind_goes_on() {
    both(|passing| {
        let (ours, mut theirs) = connection();
        let mut text = [0; 4];
        pool(|pool| {
            let task = pool.spawn_isolated(|| {
                finally(
                    || passing.begin(),
                    || {
                        assert!(!std::thread::panicking());
                        sleep(secs(1));
                        (&ours).read_exact(&mut text).unwrap();
                    },
                );
            });
            sleep(secs(1));
            settle(); // the cleanup waits in its read
            theirs.write_all(b"data").unwrap();
            let error = task.join().unwrap_err();
            assert_eq!(error.is_cancelled(), passing == Passing::Cancellation);
        });
        assert_eq!(&text, b"data");
    });
}

#[test]
fn destructors_run_in_their_order_and_each_may_wait() {
    both(|passing| {
        let log = Log::default();
        let start = clock();
        pool(|pool| {
            let task = pool.spawn_isolated(|| -> () {
                let waits = |name: &'static str| {
                    let log = &log;
                    OnDrop::new(move || {
                        sleep(secs(1));
                        log.add(name);
                    })
                };
                let _outer = waits("outer");
                let _middle = waits("middle");
                let _inner = waits("inner");
                passing.begin()
            });
            assert!(task.join().is_err());
        });
        log.assert(&["inner", "middle", "outer"]);
        assert_eq!(clock() - start, secs(3));
    });
}
