//! Everything that can be readable or writable.

use crate::ms;
use crate::pair;
use crate::put;
use crate::take_all;
use giambio::channel::Readiness;
use giambio::channel::bounded;
use giambio::channel::select;
use giambio::io::Async;
use giambio::io::pipe;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::net::UdpSocket;
use giambio::os::unix::net::UnixDatagram;
use giambio::os::unix::net::UnixListener;
use giambio::os::unix::net::UnixStream;
use giambio::pool;
use giambio::signal::SIGUSR1;
use giambio::signal::Signals;
use giambio::testing::settle;
use std::fs::File;
use std::io::ErrorKind;
use std::io::Write;
use std::thread;

/// Becomes readable when `act` was called, and not before.
#[track_caller]
fn becomes_readable(source: &impl Readiness, act: impl FnOnce()) {
    let (_s, r) = bounded::<()>(0);
    pool(|pool| {
        let select = pool.spawn(|| {
            select! {
                readable(source) -> result => result.unwrap(),
                recv(r) -> _ => unreachable!("nobody sends"),
            }
        });
        settle();
        assert!(!select.is_finished());
        act();
        select.join().unwrap();
    });
    select! {
        readable(source) -> result => result.unwrap(),
        default => panic!("nobody has taken anything"),
    }
}

#[track_caller]
fn is_writable(source: &impl Readiness) {
    let (_s, r) = bounded::<()>(0);
    select! {
        writable(source) -> result => result.unwrap(),
        recv(r) -> _ => unreachable!("nobody sends"),
    }
}

#[test]
fn sockets_of_the_internet() {
    giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let mut client = None;
        becomes_readable(&listener, || client = Some(TcpStream::connect(addr).unwrap()));
        let (server, mut client) = (listener.accept().unwrap().0, client.unwrap());
        becomes_readable(&server, || client.write_all(b"x").unwrap());
        is_writable(&client);
        let [one, other] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        becomes_readable(&one, || _ = other.send_to(b"x", one.local_addr().unwrap()).unwrap());
        is_writable(&one);
    });
}

#[test]
fn sockets_of_unix() {
    giambio::run(|| {
        let path = std::env::temp_dir().join(format!("giambio-select-{}", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        becomes_readable(&listener, || drop(UnixStream::connect(&path).unwrap()));
        std::fs::remove_file(path).unwrap();
        let (ours, theirs) = pair();
        becomes_readable(&ours, || put(&theirs));
        is_writable(&ours);
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        becomes_readable(&ours, || _ = theirs.send(b"x").unwrap());
        is_writable(&ours);
    });
}

#[test]
fn pipes_signals_and_any_descriptor() {
    giambio::run(|| {
        let (reader, mut writer) = pipe().unwrap();
        is_writable(&writer);
        becomes_readable(&reader, || writer.write_all(b"x").unwrap());
        let signals = Signals::new([SIGUSR1]).unwrap();
        becomes_readable(&signals, || signal_hook::low_level::raise(SIGUSR1).unwrap());
        assert_eq!(signals.recv().unwrap(), SIGUSR1);
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let ours = Async::new(ours).unwrap();
        is_writable(&ours);
        becomes_readable(&ours, || (&theirs).write_all(b"x").unwrap());
    });
}

#[test]
fn an_end_and_an_error_make_a_source_readable() {
    giambio::run(|| {
        let (reader, writer) = pipe().unwrap();
        becomes_readable(&reader, || drop(writer));
        let (ours, theirs) = pair();
        becomes_readable(&ours, || drop(theirs));
        let (reader, writer) = std::io::pipe().unwrap();
        let filler = Async::new(writer).unwrap();
        while filler.get_ref().write(&[0; 4096]).is_ok() {}
        pool(|pool| {
            let select = pool.spawn(|| select!(writable(filler) -> result => result.unwrap()));
            settle();
            assert!(!select.is_finished());
            drop(reader);
            select.join().unwrap();
        });
    });
}

/// The kernel does not watch it, and it never blocks.
#[test]
fn a_regular_file_is_always_ready() {
    giambio::run(|| {
        let file = Async::new(File::open("Cargo.toml").unwrap()).unwrap();
        let (_s, r) = bounded::<()>(0);
        select! {
            readable(file) -> result => result.unwrap(),
            recv(r) -> _ => unreachable!("nobody sends"),
        }
        select!(writable(file) -> result => result.unwrap());
    });
}

#[test]
fn timeouts_and_the_mode_of_a_source_play_no_part() {
    giambio::run(|| {
        let (ours, theirs) = pair();
        ours.set_nonblocking(true).unwrap();
        becomes_readable(&ours, || put(&theirs));
        assert_eq!(take_all(&ours), 1);
        ours.set_nonblocking(false).unwrap();
        ours.set_read_timeout(Some(ms(1))).unwrap();
        pool(|pool| {
            let select = pool.spawn(|| select!(readable(ours) -> result => result.unwrap()));
            giambio::sleep(ms(4));
            assert!(!select.is_finished());
            put(&theirs);
            select.join().unwrap();
        });
    });
}

#[test]
fn one_source_is_selected_on_by_tasks_of_several_runtimes_and_by_threads() {
    let (ours, theirs) = pair();
    let wait = || {
        select! {
            readable(ours) -> result => result.unwrap(),
            default(crate::secs(60)) => panic!("it was not noticed"),
        }
    };
    thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| giambio::run(wait));
            threads.spawn(wait);
        }
        giambio::run(|| {
            giambio::sleep(ms(2));
            put(&theirs);
            wait();
        });
    });
    assert_eq!(take_all(&ours), 1);
}

/// As above, a directory; a call that claims that it would block is told that it cannot be waited for.
#[test]
fn a_directory_is_ready_and_cannot_be_waited_for() {
    giambio::run(|| {
        let directory = Async::new(File::open(".").unwrap()).unwrap();
        let (_s, r) = bounded::<()>(0);
        select! {
            readable(directory) -> result => result.unwrap(),
            recv(r) -> _ => unreachable!("nobody sends"),
        }
        let call = |_: &File| -> std::io::Result<()> { Err(ErrorKind::WouldBlock.into()) };
        let error = directory.read_with(call).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    });
}
