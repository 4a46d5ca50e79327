//! Two streams joined.

use crate::ms;
use crate::panic_of;
use crate::tcp::pair;
use crate::unwind::assert_given_up;
use giambio::io::HalfClose;
use giambio::io::PipeReader;
use giambio::io::PipeWriter;
use giambio::io::copy_bidirectional;
use giambio::io::pipe;
use giambio::net::Shutdown;
use giambio::net::TcpStream;
use giambio::os::unix::net::UnixStream;
use giambio::pool;
use giambio::run;
use giambio::skip_after;
use giambio::task::no_unwind;
use giambio::testing::settle;
use socket2::SockRef;
use std::cell::RefCell;
use std::io;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::time::Duration;

/// A stream made of two pipes.
pub(crate) struct Duplex {
    reader: PipeReader,
    writer: RefCell<Option<PipeWriter>>,
}

/// Both ends.
pub(crate) fn duplex() -> (Duplex, Duplex) {
    let ((to_one, from_other), (to_other, from_one)) = (pipe().unwrap(), pipe().unwrap());
    let end = |reader, writer| Duplex { reader, writer: RefCell::new(Some(writer)) };
    (end(to_one, from_one), end(to_other, from_other))
}

impl Read for &Duplex {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&self.reader).read(buf)
    }
}

impl Write for &Duplex {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match &mut *self.writer.borrow_mut() {
            Some(writer) => writer.write(buf),
            None => Err(ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl HalfClose for Duplex {
    fn close_write(&self) -> io::Result<()> {
        self.writer.take();
        Ok(())
    }
}

fn read_all(mut from: impl Read) -> String {
    let mut text = String::new();
    from.read_to_string(&mut text).map(|_| text).unwrap()
}

#[test]
fn smoke() {
    run(|| {
        let ((client, a), (b, server)) = (pair(), pair());
        pool(|pool| {
            let copied = pool.spawn(|| copy_bidirectional(&a, &b).unwrap());
            (&client).write_all(b"question").unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!(read_all(&server), "question"); // the end was passed on
            (&server).write_all(b"the answer").unwrap(); // and this side is still open
            server.shutdown(Shutdown::Write).unwrap();
            assert_eq!(read_all(&client), "the answer");
            assert_eq!(copied.join().unwrap(), (8, 10));
        });
    });
}

#[test]
fn streams_of_different_kinds_are_joined() {
    run(|| {
        let ((client, a), (b, server)) = (pair(), duplex());
        pool(|pool| {
            let copied = pool.spawn(|| copy_bidirectional(&a, &b).unwrap());
            (&server).write_all(b"from pipes").unwrap();
            server.close_write().unwrap();
            assert_eq!(read_all(&client), "from pipes");
            (&client).write_all(b"from a socket").unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!(read_all(&server), "from a socket");
            assert_eq!(copied.join().unwrap(), (13, 10));
        });
    });
}

#[test]
fn a_tcp_and_a_unix_stream_are_joined() {
    run(|| {
        let ((client, a), (b, server)) = (pair(), UnixStream::pair().unwrap());
        pool(|pool| {
            let copied = pool.spawn(|| copy_bidirectional(&a, &b).unwrap());
            (&client).write_all(b"inwards").unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!(read_all(&server), "inwards");
            (&server).write_all(b"outwards").unwrap();
            server.shutdown(Shutdown::Write).unwrap();
            assert_eq!(read_all(&client), "outwards");
            assert_eq!(copied.join().unwrap(), (7, 8));
        });
    });
}

#[test]
fn both_directions_flow_at_once_and_nothing_is_lost() {
    const LENGTH: usize = 4 << 20;
    let sent: Vec<u8> = (0..LENGTH).map(|i| (i % 251) as u8).collect();
    run(|| {
        let ((client, a), (b, server)) = (pair(), pair());
        pool(|pool| {
            for end in [&client, &server] {
                let (mut end, sent) = (end, &sent);
                pool.spawn(move || {
                    end.write_all(sent).unwrap();
                    end.shutdown(Shutdown::Write).unwrap();
                });
                pool.spawn(move || {
                    let mut got = Vec::new();
                    end.read_to_end(&mut got).unwrap();
                    assert!(got == *sent);
                });
            }
            let both = (LENGTH as u64, LENGTH as u64);
            assert_eq!(copy_bidirectional(&a, &b).unwrap(), both);
        });
    });
}

#[test]
fn an_error_in_one_direction_cancels_the_other() {
    run(|| {
        let ((client, a), (b, server)) = (pair(), pair());
        pool(|pool| {
            let copied = pool.spawn(|| copy_bidirectional(&a, &b));
            settle();
            SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
            drop(client); // a reset
            let error = copied.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        });
        drop((a, b));
        assert_eq!(read_all(&server), "");
    });
}

#[test]
fn a_reader_that_does_not_read_holds_up_its_direction_only() {
    run(|| {
        let ((client, a), (b, server)) = (duplex(), duplex());
        pool(|pool| {
            let copied = pool.spawn(|| copy_bidirectional(&a, &b).unwrap());
            let sent = pool.spawn(|| {
                (&client).write_all(&[7; 1 << 20]).unwrap();
                client.close_write().unwrap();
            });
            settle(); // every buffer between them is full
            assert!(!sent.is_finished());
            (&server).write_all(b"hello").unwrap();
            let mut hello = [0; 5];
            (&client).read_exact(&mut hello).unwrap();
            assert_eq!(&hello, b"hello");
            server.close_write().unwrap();
            assert_eq!(read_all(&server).len(), 1 << 20);
            assert_eq!(copied.join().unwrap(), (1 << 20, 5));
        });
    });
}

#[test]
fn a_deadline_cuts_both_directions_and_leaves_the_streams() {
    run(|| {
        let ((client, a), (b, server)) = (pair(), pair());
        assert!(skip_after(ms(1), |_| copy_bidirectional(&a, &b)).is_none());
        (&client).write_all(b"x").unwrap();
        (&server).write_all(b"y").unwrap();
        let byte = |mut stream: &TcpStream| {
            let mut byte = [0];
            stream.read_exact(&mut byte).map(|()| byte[0]).unwrap()
        };
        assert_eq!((byte(&a), byte(&b)), (b'x', b'y'));
    });
}

#[test]
fn where_nothing_may_unwind_a_cancelled_one_reports() {
    run(|| {
        let ((_client, a), (b, _server)) = (duplex(), duplex());
        pool(|pool| {
            let copied = pool.spawn(|| no_unwind(|| copy_bidirectional(&a, &b)));
            settle();
            copied.cancel();
            assert_given_up(copied.join().unwrap());
        });
    });
}

#[test]
fn outside_of_run_it_says_where_it_works() {
    let (a, b) = (duplex(), duplex());
    let text = panic_of(|| copy_bidirectional(&a.0, &b.0));
    assert!(text.contains("giambio::run"), "{text}");
}
