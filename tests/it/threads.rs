//! Several OS threads: with runtimes, without, and with sockets in common.

use crate::ms;
use crate::secs;
use crate::tcp::is_registered;
use crate::tcp::pair;
use crate::tcp::register;
use giambio::Canceller;
use giambio::net::Shutdown;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::testing::settle;
use std::cell::Cell;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// The number by which the kernel knows this thread.
pub(crate) fn thread_id() -> libc::pid_t {
    // SAFETY: gettid(2) takes nothing and cannot fail.
    unsafe { libc::gettid() }
}

/// Returns when a thread of this process sleeps in the kernel.
pub(crate) fn until_asleep(thread: libc::pid_t) {
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
pub(crate) fn blocks_its_thread<T: Send>(
    call: impl FnOnce() -> T + Send,
    unblock: impl FnOnce(),
) -> T {
    let (tell, told) = mpsc::channel();
    thread::scope(|threads| {
        let caller = threads.spawn(move || {
            tell.send(thread_id()).unwrap();
            call()
        });
        until_asleep(told.recv().unwrap());
        assert!(!caller.is_finished());
        unblock();
        caller.join().unwrap()
    })
}

#[test]
fn outside_of_run_every_call_of_a_socket_blocks_its_thread() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let mut client = None;
    let connect = || client = Some(TcpStream::connect(addr).unwrap());
    let (server, _) = blocks_its_thread(|| listener.accept().unwrap(), connect);
    let mut client = client.unwrap();

    let mut buf = [0; 8];
    let read = || (&server).read(&mut buf).unwrap();
    assert_eq!(blocks_its_thread(read, || client.write_all(b"abc").unwrap()), 3);
    let peek = || server.peek(&mut [0; 8]).unwrap();
    assert_eq!(blocks_its_thread(peek, || client.write_all(b"de").unwrap()), 2);
    assert_eq!((&server).read(&mut buf).unwrap(), 2);

    let write = || {
        let block = vec![0; 1 << 20];
        (0..16).for_each(|_| (&server).write_all(&block).unwrap());
        server.shutdown(Shutdown::Write).unwrap();
    };
    blocks_its_thread(write, || {
        assert_eq!(client.read_to_end(&mut Vec::new()).unwrap(), 16 << 20);
    });
    assert!(!is_registered(server.as_raw_fd()));
}

#[test]
fn outside_of_run_a_connect_waits_for_its_answer() {
    let (listener, _backlog) = crate::tcp_faults::full_listener();
    let addr = listener.local_addr().unwrap();
    let stream = blocks_its_thread(
        || TcpStream::connect(addr).unwrap(),
        || {
            listener.accept().unwrap();
            listener.accept().unwrap();
        },
    );
    assert_eq!(stream.peer_addr().unwrap(), addr);
    let nobody = crate::tcp::Refusing::new();
    let error = TcpStream::connect(nobody.addr()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}

/// Reads until the end; the sum of the bytes, and how many.
fn sum(mut stream: &TcpStream) -> (u64, usize) {
    let (mut sum, mut bytes) = (0, 0);
    let mut buf = [0; 777];
    loop {
        let count = stream.read(&mut buf).unwrap();
        if count == 0 {
            return (sum, bytes);
        }
        sum += buf[..count].iter().map(|&byte| u64::from(byte)).sum::<u64>();
        bytes += count;
    }
}

#[test]
fn a_stream_serves_two_runtimes_and_a_plain_thread_at_once() {
    const BLOCKS: usize = 2000;
    let block: Vec<_> = (0..=255_u8).collect();
    let (ours, mut theirs) = pair();
    let sums = thread::scope(|threads| {
        let ours = &ours;
        let in_a_runtime = [(); 2].map(|()| threads.spawn(|| giambio::run(|| sum(ours))));
        let plain = threads.spawn(|| sum(ours));
        giambio::run(|| (0..BLOCKS).for_each(|_| theirs.write_all(&block).unwrap()));
        drop(theirs);
        let [first, second] = in_a_runtime.map(|reader| reader.join().unwrap());
        [first, second, plain.join().unwrap()]
    });
    let total = sums.iter().fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
    assert_eq!(total, ((BLOCKS * 255 * 128) as u64, BLOCKS * 256));
}

#[test]
fn one_runtime_reads_what_another_writes_on_the_same_stream() {
    const BYTES: usize = 3_000_000;
    let (ours, theirs) = pair();
    thread::scope(|threads| {
        for stream in [&ours, &theirs] {
            threads.spawn(move || {
                let mut writer = stream;
                giambio::run(|| writer.write_all(&vec![7; BYTES]).unwrap());
                stream.shutdown(Shutdown::Write).unwrap();
            });
            threads.spawn(move || {
                assert_eq!(giambio::run(|| sum(stream)), (7 * BYTES as u64, BYTES));
            });
        }
    });
}

#[test]
fn a_registered_stream_works_on_the_thread_that_it_was_moved_to() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        register(&ours);
        let fd = ours.as_raw_fd();
        let reader = thread::spawn(move || {
            giambio::run(|| {
                register(&ours); // with the second runtime too
                (ours, thread_id())
            })
        });
        let (mut ours, _) = reader.join().unwrap();
        // The second runtime is gone, the stream is not, and the first one still knows it.
        giambio::pool(|pool| {
            pool.spawn(|| {
                settle();
                theirs.write_all(b"home").unwrap();
            });
            let mut buf = [0; 4];
            ours.read_exact(&mut buf).unwrap();
            assert_eq!(&buf, b"home");
        });
        assert!(is_registered(fd));
        let std = std::net::TcpStream::from(ours);
        assert!(!is_registered(fd));
        drop(std);
    });
}

#[test]
fn a_stream_that_is_dropped_on_another_thread_leaves_no_trace_in_its_runtime() {
    let (give, take) = mpsc::channel::<TcpStream>();
    let (report, dropped) = mpsc::channel();
    let dropper = thread::spawn(move || {
        for stream in take {
            let fd = stream.as_raw_fd();
            drop(stream);
            report.send(fd).unwrap();
        }
    });
    giambio::run(|| {
        for _ in 0..200 {
            let (ours, theirs) = pair();
            register(&ours);
            register(&theirs);
            give.send(ours).unwrap();
            // The peer hears of the end, whatever becomes of the key.
            assert_eq!((&theirs).read(&mut [0]).unwrap(), 0);
            dropped.recv().unwrap();
            // Whoever gets the free entry next hears only its own events.
            let (fresh, mut peer) = pair();
            let heard = Cell::new(false);
            giambio::pool(|pool| {
                pool.spawn(|| {
                    (&fresh).read_exact(&mut [0; 2]).unwrap();
                    heard.set(true);
                });
                settle();
                assert!(!heard.get());
                peer.write_all(b"ok").unwrap();
            });
        }
    });
    drop(give);
    dropper.join().unwrap();
}

#[test]
fn streams_may_outlive_their_runtime_and_the_thread_that_it_was_on() {
    let (ours, mut theirs) = thread::spawn(|| {
        giambio::run(|| {
            let (ours, theirs) = pair();
            register(&ours);
            register(&theirs);
            (ours, theirs)
        })
    })
    .join()
    .unwrap();
    theirs.write_all(b"abc").unwrap();
    giambio::run(|| assert_eq!((&ours).read(&mut [0; 8]).unwrap(), 3));
    let fd = ours.as_raw_fd();
    let std = std::net::TcpStream::from(ours);
    assert!(!is_registered(fd));
    drop(std);
}

#[test]
fn a_clone_on_another_thread_ends_a_parked_read() {
    giambio::run(|| {
        let (ours, _theirs) = pair();
        for how in [Shutdown::Read, Shutdown::Both] {
            let clone = ours.try_clone().unwrap();
            let parked = thread_id();
            let closer = thread::spawn(move || {
                until_asleep(parked);
                clone.shutdown(how).unwrap();
            });
            assert_eq!((&ours).read(&mut [0]).unwrap(), 0);
            closer.join().unwrap();
        }
    });
}

/// Cuts scopes by cancellers that are used on other threads while the worker is busy; how many.
fn cut_from_elsewhere(cancel: &mpsc::Sender<Canceller>, scopes: usize) -> usize {
    let cut = Cell::new(0);
    giambio::pool(|pool| {
        for number in 0..scopes {
            let cut = &cut;
            pool.spawn(move || {
                let value = giambio::cancellable(|pool| -> () {
                    // Some have children, and some are busy instead of parked.
                    pool.spawn(|| giambio::sleep_forever());
                    cancel.send(pool.canceller()).unwrap();
                    loop {
                        giambio::sleep(if number % 2 == 0 { secs(3600) } else { Duration::ZERO });
                    }
                });
                cut.set(cut.get() + usize::from(value.is_none()));
            });
        }
    });
    cut.get()
}

#[test]
fn cancellers_work_from_other_threads_under_load() {
    let (cancel, cancellers) = mpsc::channel::<Canceller>();
    let cancellers = Arc::new(std::sync::Mutex::new(cancellers));
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let cancellers = Arc::clone(&cancellers);
            thread::spawn(move || {
                let mut used = Vec::new();
                loop {
                    let next = cancellers.lock().unwrap().recv();
                    let Ok(canceller) = next else { break };
                    canceller.cancel();
                    canceller.clone().cancel(); // again is not different
                    used.push(canceller);
                }
                // Every scope is gone, and so are the runtimes: nothing happens.
                used.iter().for_each(Canceller::cancel);
                used.len()
            })
        })
        .collect();
    let runtimes = [(); 2].map(|()| {
        let cancel = cancel.clone();
        thread::spawn(move || giambio::run(|| cut_from_elsewhere(&cancel, 500)))
    });
    assert_eq!(runtimes.map(|runtime| runtime.join().unwrap()), [500, 500]);
    drop(cancel);
    assert_eq!(threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>(), 1000);
}

#[test]
fn an_old_canceller_does_not_reach_the_next_scope_in_the_same_place() {
    giambio::run(|| {
        let old = giambio::pool(|pool| pool.canceller());
        for _ in 0..100 {
            let value = giambio::cancellable(|pool| {
                let _published = pool.canceller();
                thread::scope(|threads| threads.spawn(|| old.cancel()).join().unwrap());
                settle();
                giambio::yield_now();
                7
            });
            assert_eq!(value, Some(7));
        }
    });
}

#[test]
fn four_runtimes_talk_to_each_other() {
    const CLIENTS: usize = 40;
    let listeners = [(); 4].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let addrs = listeners.each_ref().map(|listener| listener.local_addr().unwrap());
    let answered = AtomicUsize::new(0);
    let member = |listener: TcpListener| {
        giambio::pool(|pool| {
            pool.spawn(move || {
                for stream in listener.incoming().take(4 * CLIENTS) {
                    let mut stream = stream.unwrap();
                    pool.spawn(move || {
                        let mut text = Vec::new();
                        stream.read_to_end(&mut text).unwrap();
                        stream.write_all(&text).unwrap();
                    });
                }
            });
            for (client, addr) in (0..CLIENTS).flat_map(|n| addrs.map(|addr| (n, addr))) {
                let answered = &answered;
                pool.spawn(move || {
                    let mut stream = TcpStream::connect(addr).unwrap();
                    let text = client.to_string().repeat(100);
                    stream.write_all(text.as_bytes()).unwrap();
                    stream.shutdown(Shutdown::Write).unwrap();
                    let mut answer = String::new();
                    stream.read_to_string(&mut answer).unwrap();
                    assert_eq!(answer, text);
                    answered.fetch_add(1, Ordering::Relaxed);
                });
            }
        });
    };
    thread::scope(|threads| {
        for listener in listeners {
            threads.spawn(|| giambio::run(|| member(listener)));
        }
    });
    assert_eq!(answered.into_inner(), 4 * 4 * CLIENTS);
}

/// What this thread has used so far: CPU time, and how often it went to sleep.
fn used() -> (Duration, i64) {
    // SAFETY: an all-zero `rusage` is a valid one.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is borrowed for the call.
    assert_eq!(unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) }, 0);
    let time = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
    (time(usage.ru_utime) + time(usage.ru_stime), usage.ru_nvcsw)
}

#[expect(clippy::disallowed_methods, reason = "how much CPU a real wait uses is the subject")]
fn after_300_ms(canceller: Canceller) {
    thread::spawn(move || {
        thread::sleep(ms(300));
        canceller.cancel();
    });
}

#[test]
fn an_idle_runtime_uses_no_cpu() {
    giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (ours, _theirs) = pair();
        let before = Cell::new((Duration::ZERO, 0));
        let cut = giambio::cancellable(|pool| {
            pool.spawn(|| listener.accept());
            pool.spawn(|| (&ours).read(&mut [0]));
            pool.spawn(|| giambio::sleep(secs(3600)));
            after_300_ms(pool.canceller());
            settle();
            before.set(used());
            giambio::sleep_forever()
        });
        assert_eq!(cut, None::<()>);
        let (time, sleeps) = used();
        let (time, sleeps) = (time - before.get().0, sleeps - before.get().1);
        assert!(time < ms(30), "{time:?} of CPU time in 300 ms of waiting");
        assert!(sleeps <= 5, "went to sleep {sleeps} times in one wait");
    });
}
