//! How often the allocator is asked: never to block, once to spawn.
//!
//! A binary of its own, with one test at a time: the counter is the process's allocator.

use std::alloc::GlobalAlloc;
use std::alloc::Layout;
use std::alloc::System;
use std::cell::Cell;
use std::io::Read;
use std::io::Write;
use std::time::Duration;

struct Counting;

thread_local! {
    /// By thread, so that the harness's own threads do not count.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: passed on to the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: passed on to the caller.
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often `f` asks the allocator, on this thread.
fn allocations(f: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    f();
    ALLOCATIONS.get() - before
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

#[test]
fn to_sleep_to_yield_and_to_time_out_allocates_nothing() {
    giambio::testing::run_virtual(|| {
        let second = Duration::from_secs(1);
        let wait = || {
            giambio::sleep(second);
            giambio::yield_now();
            giambio::skip_after(second, |_| giambio::shield(giambio::yield_now));
        };
        wait(); // the timers' heap grows once
        assert_eq!(allocations(wait), 0);
    });
}

#[test]
fn to_wait_for_a_socket_a_task_and_a_pool_allocates_nothing() {
    use giambio::net::TcpListener;
    use giambio::net::TcpStream;
    giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (theirs, _) = listener.accept().unwrap();
        giambio::pool(|pool| {
            pool.spawn(|| {
                let mut byte = [0];
                while (&theirs).read(&mut byte).unwrap() > 0 {
                    (&theirs).write_all(&byte).unwrap();
                }
            });
            let echo = || {
                let mut byte = [7];
                (&ours).write_all(&byte).unwrap();
                (&ours).read_exact(&mut byte).unwrap();
                assert_eq!(byte, [7]);
            };
            echo(); // both sides register
            assert_eq!(allocations(|| (0..10).for_each(|_| echo())), 0);
            ours.shutdown(std::net::Shutdown::Both).unwrap();
        });
    });
}

#[test]
fn a_spawn_allocates_once_and_not_again_when_its_record_is_reused() {
    giambio::run(|| {
        giambio::pool(|pool| {
            let spawn_and_join = || pool.spawn(|| giambio::yield_now()).join().unwrap();
            spawn_and_join(); // the first stack of its class
            assert_eq!(allocations(spawn_and_join), 0);
            let two_at_once = || {
                let tasks = [pool.spawn(|| ()), pool.spawn(|| ())];
                tasks.into_iter().for_each(|task| task.join().unwrap());
            };
            assert_eq!(allocations(two_at_once), 1);
            assert_eq!(allocations(two_at_once), 0);
        });
    });
}

#[test]
fn a_closure_of_any_size_is_spawned_with_one_allocation() {
    giambio::run(|| {
        giambio::pool(|pool| {
            pool.spawn(|| ()).join().unwrap();
            let large = [1_u8; 4096];
            let count = allocations(|| {
                let task =
                    pool.spawn(move || large.iter().map(|&byte| u32::from(byte)).sum::<u32>());
                assert_eq!(task.join().unwrap(), 4096);
            });
            assert_eq!(count, 1);
        });
    });
}

#[test]
fn a_call_on_a_big_stack_allocates_nothing_once_one_is_warm() {
    giambio::run(|| {
        let call = || {
            giambio::on_big_stack(1 << 20, || {
                giambio::yield_now();
                giambio::on_big_stack(4 << 20, giambio::yield_now);
                giambio::task::stack_usage()
            })
        };
        assert!(call().is_some());
        assert_eq!(allocations(|| assert!(call().is_some())), 0);
    });
}

#[test]
fn to_inherit_a_task_local_and_to_look_at_it_allocates_nothing() {
    giambio::task_local! {
        #[inherited]
        static USER: u32;
        #[inherited]
        static TRACE: u32;
        static OWN: u32;
    }
    giambio::run(|| {
        giambio::pool(|pool| {
            let spawn_and_join = || pool.spawn(|| USER.get() + TRACE.get()).join().unwrap();
            USER.scope(1, || {
                TRACE.scope(2, || {
                    assert_eq!(spawn_and_join(), 3); // the first stack of its class
                    assert_eq!(allocations(|| assert_eq!(spawn_and_join(), 3)), 0);
                    OWN.scope(4, || assert_eq!(allocations(|| assert_eq!(spawn_and_join(), 3)), 0));
                });
            });
        });
    });
}

#[test]
fn a_server_allocates_nothing_for_a_connection_that_a_spawn_does_not() {
    use giambio::net::Server;
    use giambio::net::TcpListener;
    use giambio::net::TcpStream;
    giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let connect = |count| {
            for _ in 0..count {
                let mut stream = TcpStream::connect(addr).unwrap();
                assert_eq!(stream.read(&mut [0; 2]).unwrap(), 1);
                assert_eq!(stream.read(&mut [0; 2]).unwrap(), 0);
            }
        };
        let measure = || {
            connect(2); // the first stack of its class, the first record, the listener's registration
            allocations(|| connect(100))
        };
        let by_hand = giambio::pool(|pool| {
            pool.spawn_daemon(|| {
                loop {
                    let (mut stream, _) = listener.accept().unwrap();
                    pool.spawn(move || stream.write_all(b"x").unwrap());
                }
            });
            measure()
        });
        let server = Server::new().max_connections(10);
        giambio::pool(|pool| {
            let served =
                pool.spawn(|| server.serve(&listener, |mut stream, _| stream.write_all(b"x")));
            let served_by_it = measure();
            assert_eq!(served_by_it, by_hand);
            server.stopper().stop();
            assert_eq!(served.join().unwrap().unwrap().accepted, 102);
        });
    });
}

#[test]
fn a_thread_allocates_twice_beside_its_record() {
    use giambio::thread;
    giambio::run(|| {
        let spawn_and_join = || thread::spawn(|| giambio::yield_now()).join().unwrap();
        spawn_and_join(); // the first stack of its class, and the group of all threads
        assert_eq!(allocations(spawn_and_join), 2); // who it is, and where its outcome goes
        thread::scope(|scope| {
            let spawn_and_join = || scope.spawn(|| giambio::yield_now()).join().unwrap();
            spawn_and_join(); // the record's size is another
            assert_eq!(allocations(spawn_and_join), 2);
        });
        assert_eq!(allocations(|| thread::scope(|_| giambio::yield_now())), 0);
    });
}

#[test]
fn to_park_a_thread_and_to_unpark_it_allocates_nothing_after_the_first_time() {
    use giambio::thread;
    giambio::run(|| {
        let main = thread::current();
        let rounds = || {
            for _ in 0..10 {
                main.unpark();
                thread::park();
                thread::park_timeout(Duration::from_micros(1));
            }
        };
        rounds();
        assert_eq!(allocations(rounds), 0);
    });
}

#[test]
fn to_select_among_other_things_than_channels_allocates_nothing() {
    use giambio::channel::select;
    giambio::run(|| {
        let (ours, mut theirs) = giambio::os::unix::net::UnixStream::pair().unwrap();
        let (event, never) = (giambio::sync::Event::new(), giambio::sync::Event::<()>::new());
        giambio::pool(|pool| {
            let task = pool.spawn(|| event.wait());
            let wait = |far| {
                select! {
                    readable(ours) -> result => result.unwrap(),
                    finished(task) -> _ => {}
                    happened(never) -> _ => unreachable!("it never happens"),
                    deadline(giambio::clock() + far) -> _ => {}
                }
            };
            let near = Duration::from_millis(1);
            wait(near); // registers, and the timers' heap grows once
            assert_eq!(allocations(|| wait(near)), 0);
            theirs.write_all(b"x").unwrap();
            assert_eq!(allocations(|| wait(Duration::from_secs(60))), 0);
            event.trigger(()).unwrap();
            (&ours).read_exact(&mut [0]).unwrap();
            assert_eq!(allocations(|| wait(Duration::from_secs(60))), 0);
        });
    });
}
