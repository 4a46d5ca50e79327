//! Signals: a closed peer never raises one, and those that come by interrupt nothing.

use crate::Scenario;
use crate::well;
use giambio::net::SocketAddr;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use std::io::ErrorKind;
use std::io::IoSlice;
use std::io::Read;
use std::io::Write;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub(crate) const SCENARIOS: &[Scenario] = &[
    well("a_write_to_a_closed_peer_raises_no_signal", no_sigpipe),
    well("signals_interrupt_neither_sleeps_nor_sockets", interrupted),
];

fn no_sigpipe() {
    // Rust's start-up code ignores it; a program may have reasons to undo that.
    // SAFETY: the default action is no handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    let write_on = |mut stream: TcpStream| {
        while stream.write(&[0; 1024]).is_ok() {}
        assert_eq!(stream.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        let parts = [IoSlice::new(b"x"), IoSlice::new(b"y")];
        assert_eq!(stream.write_vectored(&parts).unwrap_err().kind(), ErrorKind::BrokenPipe);
    };
    let connected = || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        drop(listener.accept().unwrap());
        ours
    };
    giambio::run(|| write_on(connected()));
    write_on(connected());
}

static TICKS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn tick(_: libc::c_int) {
    TICKS.fetch_add(1, Ordering::Relaxed);
}

/// Has a signal delivered every tenth of a millisecond, without `SA_RESTART`.
pub(crate) fn start_ticking() {
    let handler: extern "C" fn(libc::c_int) = tick;
    // SAFETY: an all-zero `sigaction` is a valid one: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as usize;
    // SAFETY: the handler touches one atomic; the old action is not asked for.
    let result = unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()) };
    assert_eq!(result, 0);
    // SAFETY: an all-zero `sigevent` is a valid one.
    let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
    event.sigev_notify = libc::SIGEV_SIGNAL;
    event.sigev_signo = libc::SIGUSR1;
    let mut timer = std::ptr::null_mut();
    // SAFETY: `event` and `timer` are borrowed for the call.
    let result =
        unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer) };
    assert_eq!(result, 0);
    let every = libc::timespec { tv_sec: 0, tv_nsec: 100_000 };
    let spec = libc::itimerspec { it_interval: every, it_value: every };
    // SAFETY: `timer` was just made, and `spec` is borrowed; the old value is not asked for.
    let result = unsafe { libc::timer_settime(timer, 0, &raw const spec, std::ptr::null_mut()) };
    assert_eq!(result, 0);
}

fn interrupted() {
    start_ticking();
    let talk = || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        giambio::pool(|pool| {
            pool.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                for _ in 0..10 {
                    giambio::sleep(Duration::from_millis(5));
                    stream.write_all(&[1; 100_000]).unwrap();
                }
            });
            let mut read = Vec::new();
            TcpStream::connect(addr).unwrap().read_to_end(&mut read).unwrap();
            assert_eq!(read.len(), 1_000_000);
        });
    };
    giambio::run(|| {
        while TICKS.load(Ordering::Relaxed) < 500 {
            let start = giambio::clock();
            talk();
            assert!(giambio::clock() - start >= Duration::from_millis(50));
        }
    });
    giambio::run(connect_that_waits);
    connect_that_waits();
    blocking_calls_outside();
}

/// Connects to a listener whose backlog is full, until it has room and the kernel asks again, after
/// a second.
fn connect_that_waits() {
    let kind = socket2::Type::STREAM;
    let socket = socket2::Socket::new(socket2::Domain::IPV4, kind, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let listener = std::net::TcpListener::from(socket);
    let addr = listener.local_addr().unwrap();
    let _fills_the_backlog = std::net::TcpStream::connect(addr).unwrap();
    giambio::lowlevel::wait_readable(&listener).unwrap();
    let before = TICKS.load(Ordering::Relaxed);
    let acceptor = std::thread::spawn(move || {
        while TICKS.load(Ordering::Relaxed) < before + 100 {
            std::thread::yield_now();
        }
        [(); 2].map(|()| listener.accept().unwrap())
    });
    TcpStream::connect(addr).unwrap();
    assert!(TICKS.load(Ordering::Relaxed) > before + 100, "it did not have to wait");
    acceptor.join().unwrap();
}

/// On plain threads the same calls are interrupted in `poll(2)`.
fn blocking_calls_outside() {
    let before = TICKS.load(Ordering::Relaxed);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let client = std::thread::spawn(move || {
        let sleep_until = |ticks| {
            while TICKS.load(Ordering::Relaxed) < ticks {
                giambio::sleep(Duration::from_millis(1));
            }
        };
        sleep_until(before + 100);
        let mut stream = TcpStream::connect(addr).unwrap();
        sleep_until(before + 200);
        stream.write_all(b"late").unwrap();
    });
    let (mut stream, _) = listener.accept().unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert_eq!(text, "late");
    client.join().unwrap();
}
