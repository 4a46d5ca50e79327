//! Descriptors and mappings: what a run takes it gives back, and running out of them is an error.

use crate::Scenario;
use crate::well;
use giambio::Builder;
use giambio::Runtime;
use giambio::channel::bounded;
use giambio::channel::select;
use giambio::lowlevel::wait_readable;
use giambio::net::SocketAddr;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::os::unix::net::UnixStream;
use giambio::testing::settle;
use std::error::Error;
use std::fs;
use std::fs::File;
use std::io;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::mem::forget;
use std::net;
use std::time::Duration;

pub(crate) const SCENARIOS: &[Scenario] = &[
    well("an_accept_without_descriptors_names_the_limit_and_the_next_one_works", accept),
    well("a_parked_acceptor_survives_the_lack_of_descriptors", parked_accept),
    well("every_call_that_makes_a_descriptor_names_the_limit", every_call),
    well("a_select_that_blocks_a_thread_without_descriptors_names_the_limit", select_on_a_thread),
    well("a_runtime_that_cannot_be_built_names_the_limit", build),
    well("a_run_gives_every_descriptor_back", descriptors_come_back),
    well("a_stream_that_outlives_its_runtime_keeps_what_it_needs_until_its_drop", late_drop),
    well("a_cancelled_connect_closes_its_descriptor", cancelled_connect),
    well("a_run_gives_every_mapping_back", mappings_come_back),
    well("a_run_that_panics_gives_everything_back", panicked_run),
    well("forgetting_leaks_what_was_forgotten_and_nothing_else", forgotten),
    well("short_sleeps_work_without_descriptors", short_sleeps),
];

/// Descriptors that are open now.
fn open() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Takes every descriptor that this process may have, 64 at the most.
pub(crate) fn take_all() -> Vec<File> {
    let limit = libc::rlimit { rlim_cur: 64, rlim_max: 64 };
    // SAFETY: `limit` is borrowed for the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
    let mut taken = Vec::new();
    loop {
        match File::open("/dev/null") {
            Ok(file) => taken.push(file),
            Err(error) if error.raw_os_error() == Some(libc::EMFILE) => return taken,
            Err(error) => panic!("{error}"),
        }
    }
}

#[track_caller]
fn assert_names_the_limit<T>(result: io::Result<T>) {
    let Err(error) = result else { panic!("there was a descriptor left") };
    assert!(error.to_string().contains("RLIMIT_NOFILE"), "{error}");
    // What the system said is still there, for programs that look.
    let source = error.get_ref().and_then(Error::source).expect("the system's error");
    let source = source.downcast_ref::<io::Error>().expect("an error of io");
    assert_eq!(source.raw_os_error(), Some(libc::EMFILE));
    assert_eq!(error.kind(), source.kind());
}

/// Its thread sleeps until a descriptor is ready, of which one is its own.
fn select_on_a_thread() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let (sender, receiver) = bounded(1);
    let mut taken = take_all();
    let wait = || {
        select! {
            recv(receiver) -> message => message.map(Some).map_err(io::Error::other),
            readable(ours) -> result => result.map(|()| None),
        }
    };
    for _ in 0..3 {
        assert_names_the_limit(wait());
    }
    // What is ready needs no wait.
    sender.send(7).unwrap();
    assert_eq!(wait().unwrap(), Some(7));
    theirs.write_all(b"x").unwrap();
    assert_eq!(wait().unwrap(), None);
    assert_eq!((&ours).read(&mut [0; 8]).unwrap(), 1);
    taken.pop();
    let late = std::thread::spawn(move || sender.send(8));
    assert_eq!(wait().unwrap(), Some(8));
    late.join().unwrap().unwrap();
}

fn accept() {
    giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut taken = take_all();
        for _ in 0..3 {
            assert_names_the_limit(listener.accept());
        }
        taken.pop();
        let (_server, from) = listener.accept().unwrap();
        assert_eq!(from, client.local_addr().unwrap());
        // The lack comes back, and so does the error.
        taken.pop();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_names_the_limit(listener.accept());
    });
}

fn parked_accept() {
    giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let kind = socket2::Type::STREAM.nonblocking();
        let client = socket2::Socket::new(socket2::Domain::IPV4, kind, None).unwrap();
        giambio::pool(|pool| {
            let acceptors = [(); 3].map(|()| pool.spawn(|| listener.accept().map(drop)));
            settle();
            let taken = take_all();
            client.connect(&addr.into()).expect_err("it is on its way");
            for acceptor in acceptors {
                assert_names_the_limit(acceptor.join().unwrap());
            }
            // No further event will come; the connection is there all the same.
            drop(taken);
            let (_server, from) = listener.accept().unwrap();
            assert_eq!(Some(from), client.local_addr().unwrap().as_socket());
        });
        // And the listener parks and wakes as before.
        giambio::pool(|pool| {
            let acceptor = pool.spawn(|| listener.accept().unwrap().1);
            settle();
            assert!(!acceptor.is_finished());
            let client = TcpStream::connect(addr).unwrap();
            assert_eq!(acceptor.join().unwrap(), client.local_addr().unwrap());
        });
    });
}

fn every_call() {
    giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let mut stream = TcpStream::connect(addr).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let _taken = take_all();
        assert_names_the_limit(TcpStream::connect(addr));
        assert_names_the_limit(TcpListener::bind("127.0.0.1:0"));
        assert_names_the_limit(listener.try_clone());
        assert_names_the_limit(stream.try_clone());
        // The runtime and what is open go on.
        giambio::pool(|pool| {
            let reader = pool.spawn(|| (&stream).read(&mut [0; 8]));
            settle();
            assert_names_the_limit(wait_readable(&stream)); // the second wait needs a duplicate
            server.write_all(b"abc").unwrap();
            assert_eq!(reader.join().unwrap().unwrap(), 3);
        });
        stream.write_all(b"x").unwrap();
    });
}

fn build() {
    let mut taken = take_all();
    // It needs several descriptors: whichever it lacks, it names the limit and keeps none.
    for _ in 0..3 {
        assert_names_the_limit(Builder::new().build());
        let before = open_without_counting(&mut taken);
        assert_names_the_limit(Builder::new().build());
        assert_eq!(open_without_counting(&mut taken), before);
        taken.pop();
    }
    let text = std::panic::catch_unwind(|| {
        let _all = take_all();
        giambio::run(|| ())
    })
    .expect_err("it cannot run");
    let text = text.downcast::<String>().expect("a text");
    assert!(text.contains("RLIMIT_NOFILE"), "{text}");
    drop(taken);
    assert_eq!(giambio::run(|| 7), 7);
}

/// Looking into a directory takes a descriptor as well.
fn open_without_counting(taken: &mut Vec<File>) -> usize {
    taken.pop();
    let count = open() - 1;
    taken.push(File::open("/dev/null").unwrap());
    count
}

/// A program with some of everything that opens descriptors.
fn busy() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    giambio::pool(|pool| {
        pool.spawn(|| {
            for stream in listener.incoming().take(20) {
                let mut stream = stream.unwrap();
                pool.spawn(move || {
                    let mut clone = stream.try_clone().unwrap();
                    // A client that has gone with bytes unread has reset the connection.
                    let _ended = io::copy(&mut stream, &mut clone);
                });
            }
        });
        for _ in 0..20 {
            pool.spawn(|| {
                let mut stream = TcpStream::connect(addr).unwrap();
                stream.write_all(b"hello").unwrap();
                wait_readable(&stream).unwrap();
                let _pending = giambio::skip_after(Duration::from_micros(500), |pool| {
                    let clone = stream.try_clone().unwrap();
                    pool.spawn(move || (&clone).read(&mut [0; 100]).map(drop));
                    wait_readable(&stream).unwrap();
                    giambio::sleep_forever()
                });
            });
        }
    });
}

fn descriptors_come_back() {
    let before = open();
    for _ in 0..20 {
        giambio::run(busy);
        assert_eq!(open(), before);
    }
    let mut runtime = Builder::new().build().unwrap();
    // The alarm for short sleeps is made when it is first needed, and kept.
    runtime.run(|| giambio::sleep(Duration::from_micros(100)));
    let with_runtime = open();
    for _ in 0..20 {
        runtime.run(busy);
        assert_eq!(open(), with_runtime);
    }
    drop(runtime);
    assert_eq!(open(), before);
}

/// Both ends of a connection, registered with the running task's worker.
fn registered_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (theirs, _) = listener.accept().unwrap();
    for stream in [&ours, &theirs] {
        let mut reader = stream;
        let none = giambio::skip_after(Duration::from_micros(100), |_| reader.read(&mut [0]));
        assert!(none.is_none());
    }
    (ours, theirs)
}

fn late_drop() {
    let before = open();
    let (ours, theirs) = giambio::run(registered_pair);
    assert!(open() >= before + 2);
    drop((ours, theirs));
    assert_eq!(open(), before);
}

fn cancelled_connect() {
    let kind = socket2::Type::STREAM;
    let socket = socket2::Socket::new(socket2::Domain::IPV4, kind, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap();
    let _fills_the_backlog = net::TcpStream::connect(addr).unwrap();
    wait_readable(&socket).unwrap();
    giambio::run(|| {
        for _ in 0..10 {
            let before = open();
            let cut = giambio::cancellable(|pool| {
                pool.spawn(|| {
                    settle();
                    assert_eq!(open(), before + 1);
                    pool.cancel();
                });
                TcpStream::connect(addr)
            });
            assert!(cut.is_none());
            assert_eq!(open(), before);
        }
    });
}

/// Bytes of address space in anonymous mappings of a mebibyte and more.
fn mapped() -> usize {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let large = maps.lines().filter_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let len = usize::from_str_radix(end, 16).ok()? - usize::from_str_radix(start, 16).ok()?;
        let anonymous = rest.split_whitespace().count() == 4;
        (anonymous && len >= 1 << 20).then_some(len)
    });
    large.sum()
}

fn many_tasks() {
    let in_run = mapped();
    giambio::pool(|pool| {
        for _ in 0..1000 {
            pool.spawn(giambio::yield_now);
        }
        settle();
    });
    assert!(mapped() >= in_run && in_run > 8 << 20, "the stacks are not counted");
}

fn mappings_come_back() {
    giambio::run(many_tasks); // the allocator takes what it keeps
    let before = mapped();
    for _ in 0..10 {
        giambio::run(many_tasks);
        assert_eq!(mapped(), before);
    }
    let runtimes: Vec<Runtime> = (0..5).map(|_| Builder::new().build().unwrap()).collect();
    drop(runtimes);
    assert_eq!(mapped(), before);
}

fn panicked_run() {
    giambio::run(busy);
    let before = (open(), mapped());
    for _ in 0..10 {
        let failed = std::panic::catch_unwind(|| {
            giambio::run(|| {
                let _kept = registered_pair();
                giambio::pool(|pool| {
                    pool.spawn(|| {
                        let _kept = registered_pair();
                        giambio::sleep_forever()
                    });
                    settle();
                    std::panic::resume_unwind(Box::new("planned"));
                })
            })
        });
        assert!(failed.is_err_and(|payload| payload.is::<&str>()));
        assert_eq!((open(), mapped()), before);
    }
}

#[expect(clippy::mem_forget, reason = "that forgetting is safe is the subject")]
fn forgotten() {
    let before = open();
    giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        forget(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        forget(listener);
    });
    // A connected stream had to wait, so it is registered: yet its reactor has gone with its runtime.
    assert_eq!(open(), before + 2);
    let before = open();
    giambio::run(|| forget(TcpListener::bind("127.0.0.1:0").unwrap()));
    assert_eq!(open(), before + 1);
    let before = open();
    forget(Builder::new().stack_size(1 << 16));
    assert_eq!(open(), before);
    forget(Builder::new().build().unwrap());
    assert!((1..=4).contains(&(open() - before)));
    let before = (open(), mapped());
    giambio::run(|| {
        giambio::pool(|pool| {
            forget(pool.spawn(|| vec![0; 100]));
            forget(giambio::task::current());
        });
    });
    assert_eq!((open(), mapped()), before);
    assert_eq!(giambio::run(|| 7), 7);
}

fn short_sleeps() {
    giambio::run(|| {
        let taken = take_all();
        let start = giambio::clock();
        for _ in 0..10 {
            giambio::sleep(Duration::from_micros(100));
        }
        assert!(giambio::clock() - start >= Duration::from_millis(1));
        drop(taken);
        giambio::sleep(Duration::from_micros(100));
    });
    let refused = File::open("nothing has this name").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
}
