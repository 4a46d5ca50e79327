//! TCP when the other side breaks: refusals, resets, full backlogs, closed peers.

use crate::tcp::Refusing;
use crate::tcp::pair;
use giambio::lowlevel::wait_readable;
use giambio::net::SocketAddr;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::testing::settle;
use socket2::SockRef;
use std::io;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net;
use std::time::Duration;

/// Closes a connection by a reset instead of an end.
fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

/// Writes until that fails.
fn write_for_ever(mut stream: &TcpStream) -> io::Error {
    let block = vec![0; 1 << 16];
    loop {
        if let Err(error) = stream.write(&block) {
            return error;
        }
    }
}

#[track_caller]
fn assert_broken(error: &io::Error) {
    let kinds = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
    assert!(kinds.contains(&error.kind()), "{error:?}");
}

/// A listener whose backlog is full: whoever connects waits for an answer. The connections that fill
/// it come with it.
///
/// Its address is this process's own. On a common one another test could be given the port while a
/// client still asks for it, and would get that client.
pub(crate) fn full_listener() -> (net::TcpListener, Vec<net::TcpStream>) {
    let kind = socket2::Type::STREAM;
    let socket = socket2::Socket::new(socket2::Domain::IPV4, kind, None).unwrap();
    let [.., high, low] = std::process::id().to_be_bytes();
    socket.bind(&SocketAddr::from(([127, 77, high, low], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let listener = net::TcpListener::from(socket);
    let fills_it = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    // Its own side of the connection stands before the listener's does.
    wait_readable(&listener).unwrap();
    (listener, vec![fills_it])
}

#[test]
fn a_reset_ends_a_parked_read() {
    giambio::run(|| {
        let (ours, theirs) = pair();
        giambio::pool(|pool| {
            let reader = pool.spawn(|| (&ours).read(&mut [0; 8]));
            settle();
            reset(theirs);
            let error = reader.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        });
    });
}

#[test]
fn a_reset_wakes_every_reader() {
    giambio::run(|| {
        let (ours, theirs) = pair();
        giambio::pool(|pool| {
            let readers = [(); 3].map(|()| pool.spawn(|| (&ours).read(&mut [0; 8])));
            settle();
            reset(theirs);
            let ends = readers.map(|reader| reader.join().unwrap());
            // The kernel tells the first of the reset, and the others of an end: as with std.
            let [first, second, third] = ends;
            assert_eq!(first.unwrap_err().kind(), ErrorKind::ConnectionReset);
            assert_eq!((second.unwrap(), third.unwrap()), (0, 0));
        });
    });
}

#[test]
fn a_reset_ends_a_read_that_has_read_short_before() {
    giambio::run(|| {
        let (mut ours, mut theirs) = pair();
        giambio::pool(|pool| {
            pool.spawn(|| {
                settle();
                theirs.write_all(b"abc").unwrap();
                settle();
                reset(theirs);
            });
            assert_eq!(ours.read(&mut [0; 8]).unwrap(), 3);
            let error = ours.read(&mut [0; 8]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        });
    });
}

#[test]
fn a_reset_before_the_read_is_its_error() {
    giambio::run(|| {
        let (mut ours, theirs) = pair();
        reset(theirs);
        wait_readable(&ours).unwrap();
        assert_eq!(ours.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(ours.read(&mut [0; 8]).unwrap(), 0);
        assert_broken(&write_for_ever(&ours));
    });
}

#[test]
fn a_peer_that_closes_without_having_read_resets() {
    giambio::run(|| {
        let (mut ours, theirs) = pair();
        ours.write_all(b"never read").unwrap();
        wait_readable(&theirs).unwrap();
        drop(theirs);
        assert_eq!(ours.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_reset_ends_a_parked_write() {
    giambio::run(|| {
        let (ours, theirs) = pair();
        giambio::pool(|pool| {
            let writer = pool.spawn(|| write_for_ever(&ours));
            settle();
            reset(theirs);
            assert_broken(&writer.join().unwrap());
        });
    });
}

#[test]
fn a_reset_wakes_a_reader_and_a_writer_at_once() {
    giambio::run(|| {
        let (ours, theirs) = pair();
        giambio::pool(|pool| {
            let writer = pool.spawn(|| write_for_ever(&ours));
            let reader = pool.spawn(|| (&ours).read(&mut [0; 8]));
            settle();
            reset(theirs);
            assert_broken(&writer.join().unwrap());
            // Who comes first is told of the reset.
            if let Err(error) = reader.join().unwrap() {
                assert_broken(&error);
            }
        });
    });
}

#[test]
fn a_write_to_a_closed_peer_is_an_error_and_no_signal() {
    giambio::run(|| {
        let (ours, theirs) = pair();
        drop(theirs);
        assert_broken(&write_for_ever(&ours));
        assert_eq!((&ours).write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        let vectored = (&ours).write_vectored(&[io::IoSlice::new(b"x")]);
        assert_eq!(vectored.unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_connection_that_was_reset_in_the_backlog_does_not_harm_the_listener() {
    giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        reset(TcpStream::connect(addr).unwrap());
        let good = TcpStream::connect(addr).unwrap();
        // Linux hands the dead connection out; others drop it. Either way the next one is there.
        loop {
            let (mut stream, from) = listener.accept().unwrap();
            if from == good.local_addr().unwrap() {
                break;
            }
            assert_eq!(stream.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        }
    });
}

#[test]
fn a_listener_that_closes_resets_what_waits_in_its_backlog() {
    giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        giambio::pool(|pool| {
            let reader = pool.spawn(|| stream.read(&mut [0; 8]));
            settle();
            drop(listener);
            let error = reader.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        });
    });
}

#[test]
fn a_connect_that_is_refused_half_way_says_so() {
    giambio::run(|| {
        let (listener, backlog) = full_listener();
        let addr = listener.local_addr().unwrap();
        giambio::pool(|pool| {
            let client = pool.spawn(move || TcpStream::connect(addr));
            settle();
            assert!(!client.is_finished());
            drop((listener, backlog));
            // The kernel asks again after a second, and then there is nobody.
            let error = client.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        });
    });
}

#[test]
fn a_connect_that_had_to_wait_stands_when_there_is_room() {
    giambio::run(|| {
        let (listener, _backlog) = full_listener();
        let listener = TcpListener::from(listener);
        let addr = listener.local_addr().unwrap();
        giambio::pool(|pool| {
            let client = pool.spawn(move || TcpStream::connect(addr).unwrap());
            settle();
            assert!(!client.is_finished());
            listener.accept().unwrap();
            let (mut server, _) = listener.accept().unwrap(); // a second later
            client.join().unwrap().write_all(b"at last").unwrap();
            let mut text = String::new();
            server.read_to_string(&mut text).unwrap();
            assert_eq!(text, "at last");
        });
    });
}

#[test]
fn a_refused_connect_leaves_the_next_address_and_the_next_call_alone() {
    giambio::run(|| {
        let nobody = Refusing::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        for _ in 0..200 {
            let error = TcpStream::connect(nobody.addr()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            let _client = TcpStream::connect(&[nobody.addr(), addr][..]).unwrap();
            listener.accept().unwrap();
        }
    });
}

#[test]
fn a_listener_that_is_shut_down_through_its_descriptor_wakes_its_acceptors() {
    giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        giambio::pool(|pool| {
            let acceptors = [(); 3].map(|()| pool.spawn(|| listener.accept().map(drop)));
            settle();
            SockRef::from(&listener).shutdown(net::Shutdown::Both).unwrap();
            acceptors.into_iter().for_each(|task| {
                let error = task.join().unwrap().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
            });
        });
    });
}

#[test]
fn the_address_of_a_peer_that_is_gone_is_an_error() {
    giambio::run(|| {
        let (mut ours, theirs) = pair();
        reset(theirs);
        wait_readable(&ours).unwrap();
        ours.read(&mut [0]).unwrap_err();
        assert_eq!(ours.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
        assert!(ours.local_addr().is_ok());
    });
}
