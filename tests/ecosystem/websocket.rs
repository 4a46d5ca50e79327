//! tungstenite, client and server.

use crate::pair;
use crate::run;
use crate::while_serving;
use giambio::io::Cancelled;
use giambio::net::SocketAddr;
use giambio::net::TcpStream;
use giambio::task::no_unwind;
use giambio::testing::settle;
use std::cell::Cell;
use std::io;
use std::io::Read;
use std::io::Write;
use tungstenite::Error;
use tungstenite::Message;
use tungstenite::WebSocket;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::Role;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::frame::coding::Data;
use tungstenite::protocol::frame::coding::OpCode;

/// Sends back texts and bytes until the client closes, and answers that.
fn echo(stream: TcpStream) {
    let mut socket = tungstenite::accept(stream).unwrap();
    loop {
        match socket.read() {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => socket.send(message).unwrap(),
            Ok(_) => {} // pings are answered by the next read or write
            Err(Error::ConnectionClosed) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

fn connect(address: SocketAddr) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(address).unwrap();
    tungstenite::client("ws://localhost/echo", stream).unwrap().0
}

/// Says goodbye and waits until the other side has said so too.
#[track_caller]
fn close(mut socket: WebSocket<TcpStream>) {
    let frame = CloseFrame { code: CloseCode::Normal, reason: "enough".into() };
    socket.close(Some(frame.clone())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::Close(Some(frame)));
    assert!(matches!(socket.read(), Err(Error::ConnectionClosed)));
}

#[track_caller]
fn assert_echoes(socket: &mut WebSocket<TcpStream>, message: Message) {
    socket.send(message.clone()).unwrap();
    assert!(socket.read().unwrap() == message);
}

/// A server and a client that have shaken hands, or believe so.
fn sockets() -> [WebSocket<TcpStream>; 2] {
    let (ours, theirs) = pair();
    [(ours, Role::Server), (theirs, Role::Client)]
        .map(|(stream, role)| WebSocket::from_raw_socket(stream, role, None))
}

/// A stream whose calls report a cancellation instead of unwinding through their caller.
struct Reporting(TcpStream);

impl Read for Reporting {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        no_unwind(|| self.0.read(buf))
    }
}

impl Write for Reporting {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        no_unwind(|| self.0.write(buf))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn smoke() {
    run(|| {
        while_serving(echo, |address| {
            let mut socket = connect(address);
            assert_echoes(&mut socket, Message::text("hello"));
            assert_echoes(&mut socket, Message::binary(vec![0, 255]));
            close(socket);
        });
    });
}

#[test]
fn a_ping_is_answered_by_who_reads() {
    run(|| {
        while_serving(echo, |address| {
            let mut socket = connect(address);
            socket.send(Message::Ping(b"there?"[..].into())).unwrap();
            assert_eq!(socket.read().unwrap(), Message::Pong(b"there?"[..].into()));
            close(socket);
        });
    });
}

#[test]
fn a_message_of_a_mebibyte_comes_back_whole() {
    run(|| {
        while_serving(echo, |address| {
            let mut socket = connect(address);
            let bytes: Vec<u8> = (0..1 << 20).map(|i| (i % 251) as u8).collect();
            assert_echoes(&mut socket, Message::binary(bytes));
            close(socket);
        });
    });
}

#[test]
fn a_message_in_many_frames_with_a_ping_between_them_is_one_message() {
    run(|| {
        while_serving(echo, |address| {
            let mut socket = connect(address);
            let words = ["in ", "many ", "frames"];
            for (number, word) in words.iter().enumerate() {
                let kind = if number == 0 { Data::Text } else { Data::Continue };
                let is_last = number == words.len() - 1;
                let frame = Frame::message(word.as_bytes(), OpCode::Data(kind), is_last);
                socket.send(Message::Frame(frame)).unwrap();
                socket.send(Message::Ping(word.as_bytes().into())).unwrap();
            }
            let answers: Vec<_> = (0..4).map(|_| socket.read().unwrap()).collect();
            assert!(answers.contains(&Message::text("in many frames")), "{answers:?}");
            close(socket);
        });
    });
}

#[test]
fn hundreds_of_sockets_talk_at_once_on_one_worker() {
    run(|| {
        let served = while_serving(echo, |address| {
            giambio::pool(|pool| {
                for number in 0..300 {
                    pool.spawn(move || {
                        let mut socket = connect(address);
                        for round in 0..5 {
                            assert_echoes(&mut socket, Message::text(format!("{number}, {round}")));
                        }
                        close(socket);
                    });
                }
            });
        });
        assert_eq!(served, 300);
    });
}

#[test]
fn a_reader_that_is_told_of_its_cancellation_gets_the_rest_of_the_message_later() {
    // Unwinding through a `WebSocket` leaves bytes in its buffer that have never come.
    run(|| {
        let (ours, mut theirs) = pair();
        let mut server = WebSocket::from_raw_socket(Reporting(ours), Role::Server, None);
        // RFC 6455, 5.2: a text of five bytes, masked with zeros, in two halves.
        theirs.write_all(&[0x81, 0x85, 0, 0, 0, 0, b'h', b'e']).unwrap();
        let was_told = Cell::new(false);
        let cut = giambio::cancellable(|pool| {
            pool.spawn(|| {
                settle();
                pool.cancel();
            });
            let Err(Error::Io(error)) = server.read() else { panic!("half a message was read") };
            was_told.set(error.get_ref().is_some_and(|inner| inner.is::<Cancelled>()));
            giambio::yield_now();
        });
        assert!(cut.is_none() && was_told.get());
        theirs.write_all(b"llo").unwrap();
        assert_eq!(server.read().unwrap(), Message::text("hello"));
    });
}

#[test]
fn a_cancelled_reader_closes_its_socket() {
    run(|| {
        let [mut server, client] = sockets();
        let ended = Cell::new(false);
        giambio::pool(|pool| {
            let reader = pool.spawn(|| {
                let mut client = client;
                client.read().unwrap();
                ended.set(true);
            });
            settle();
            reader.cancel();
            assert!(reader.join().unwrap_err().is_cancelled());
        });
        assert!(!ended.get());
        assert_eq!(server.get_mut().read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn a_peer_that_goes_without_a_close_frame_is_an_error() {
    run(|| {
        let [mut server, client] = sockets();
        drop(client);
        let error = server.read().unwrap_err();
        assert!(error.to_string().contains("without closing handshake"), "{error}");
    });
}

#[test]
fn what_is_no_handshake_is_refused() {
    run(|| {
        let (ours, mut theirs) = pair();
        theirs.write_all(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
        let error = tungstenite::accept(ours).unwrap_err();
        assert!(error.to_string().contains("upgrade"), "{error}");
    });
}
