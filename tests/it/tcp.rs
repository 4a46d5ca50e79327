//! TCP in peace: what std's sockets do, for tasks.

use giambio::net::Shutdown;
use giambio::net::SocketAddr;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::testing::settle;
use std::cell::Cell;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::BufWriter;
use std::io::ErrorKind;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::io::Read;
use std::io::Write;
use std::net;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::RawFd;

/// Both ends of a connection over the loopback interface.
#[track_caller]
pub(crate) fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (theirs, from) = listener.accept().unwrap();
    assert_eq!(from, ours.local_addr().unwrap());
    (ours, theirs)
}

/// A port that is taken and that nobody listens on: whoever connects is refused, for certain.
pub(crate) struct Refusing(socket2::Socket);

impl Refusing {
    pub(crate) fn new() -> Self {
        let kind = socket2::Type::STREAM;
        let socket = socket2::Socket::new(socket2::Domain::IPV4, kind, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        Self(socket)
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.0.local_addr().unwrap().as_socket().unwrap()
    }
}

/// Whether system calls on a descriptor block.
pub(crate) fn is_blocking(fd: impl AsFd) -> bool {
    // SAFETY: F_GETFL takes no pointer, and the descriptor is borrowed.
    let flags = unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_GETFL) };
    assert!(flags >= 0, "{}", io::Error::last_os_error());
    flags & libc::O_NONBLOCK == 0
}

/// Whether some epoll of this process has an open descriptor of the caller's, by its number.
pub(crate) fn is_registered(fd: RawFd) -> bool {
    let entry = format!("tfd: {fd:>8} ");
    std::fs::read_dir("/proc/self/fdinfo").unwrap().any(|file| {
        // Other tests of this process close theirs meanwhile.
        file.and_then(|file| std::fs::read_to_string(file.path()))
            .is_ok_and(|text| text.lines().any(|line| line.starts_with(&entry)))
    })
}

/// Has `stream`, which has nothing to be read, registered with the running task's worker.
pub(crate) fn register(stream: &TcpStream) {
    let cut = giambio::cancellable(|pool| {
        pool.spawn(|| {
            settle();
            pool.cancel();
        });
        let mut reader = stream;
        reader.read(&mut [0])
    });
    assert!(cut.is_none(), "there was something to be read");
    assert!(is_registered(stream.as_raw_fd()));
}

#[test]
fn smoke() {
    let echoed = giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        giambio::pool(|pool| {
            pool.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = String::new();
                stream.read_to_string(&mut request).unwrap();
                stream.write_all(request.to_uppercase().as_bytes()).unwrap();
            });
            let mut stream = TcpStream::connect(addr).unwrap();
            stream.write_all(b"hello").unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut reply = String::new();
            stream.read_to_string(&mut reply).unwrap();
            reply
        })
    });
    assert_eq!(echoed, "HELLO");
}

#[test]
fn is_send_and_sync() {
    fn check<T: Send + Sync + Unpin + 'static>() {}
    check::<TcpStream>();
    check::<TcpListener>();
    fn check_borrowing<T: Send + Sync>() {}
    check_borrowing::<giambio::net::Incoming<'_>>();
}

#[test]
fn accept_parks_until_somebody_connects() {
    giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let accepted = Cell::new(false);
        giambio::pool(|pool| {
            let server = pool.spawn(|| {
                let peer = listener.accept().unwrap().1;
                accepted.set(true);
                peer
            });
            settle();
            assert!(!accepted.get());
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            assert_eq!(server.join().unwrap(), client.local_addr().unwrap());
        });
    });
}

#[test]
fn incoming_gives_one_connection_after_the_other() {
    giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        giambio::pool(|pool| {
            let server = pool.spawn(|| {
                let peers = listener.incoming().take(3);
                peers.map(|stream| stream.unwrap().peer_addr().unwrap()).collect::<Vec<_>>()
            });
            let clients = [(); 3].map(|()| TcpStream::connect(addr).unwrap());
            let expected = clients.each_ref().map(|client| client.local_addr().unwrap());
            assert_eq!(server.join().unwrap(), expected);
        });
    });
}

#[test]
fn addresses_are_those_of_the_two_ends() {
    giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        assert_ne!(addr.port(), 0);
        let client = TcpStream::connect(addr).unwrap();
        let (server, _) = listener.accept().unwrap();
        assert_eq!(client.peer_addr().unwrap(), addr);
        assert_eq!(server.local_addr().unwrap(), addr);
        assert_eq!(server.peer_addr().unwrap(), client.local_addr().unwrap());
    });
}

#[test]
fn connect_is_refused_where_nobody_listens() {
    giambio::run(|| {
        let nobody = Refusing::new();
        let error = TcpStream::connect(nobody.addr()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn connect_tries_one_address_after_the_other() {
    giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let good = listener.local_addr().unwrap();
        let (bad, worse) = (Refusing::new(), Refusing::new());
        let stream = TcpStream::connect(&[bad.addr(), worse.addr(), good][..]).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        let error = TcpStream::connect(&[bad.addr(), worse.addr()][..]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let error = TcpStream::connect(&[][..] as &[SocketAddr]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(TcpStream::connect("no address").is_err());
    });
}

#[test]
fn bind_takes_the_first_address_that_is_free() {
    giambio::run(|| {
        let owner = TcpListener::bind("127.0.0.1:0").unwrap();
        let used = owner.local_addr().unwrap();
        let error = TcpListener::bind(used).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = TcpListener::bind(&[used, any][..]).unwrap();
        assert_ne!(listener.local_addr().unwrap(), used);
        // The listener that holds the port has not noticed.
        let _client = TcpStream::connect(used).unwrap();
        owner.accept().unwrap();
    });
}

#[test]
fn ipv6_works_like_ipv4() {
    giambio::run(|| {
        let Ok(listener) = TcpListener::bind("[::1]:0") else {
            // A machine without IPv6 says so, and that is all there is to it.
            assert!(net::TcpListener::bind("[::1]:0").is_err());
            return;
        };
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, from) = listener.accept().unwrap();
        assert!(from.is_ipv6());
        client.write_all(b"six").unwrap();
        let mut buf = [0; 3];
        server.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"six");
    });
}

#[test]
fn a_stream_reads_and_writes_through_a_shared_reference_too() {
    fn swap(mut a: impl Read + Write, mut b: impl Read + Write) {
        let mut buf = [0; 2];
        a.write_all(b"ab").unwrap();
        a.flush().unwrap();
        b.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"ab");
        b.write_all(b"cd").unwrap();
        b.flush().unwrap();
        a.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"cd");
    }
    giambio::run(|| {
        let (mut a, mut b) = pair();
        swap(&a, &b);
        swap(&mut a, &mut b);
        swap(a, b);
    });
}

#[test]
fn std_buffers_sit_on_top() {
    giambio::run(|| {
        let (ours, theirs) = pair();
        giambio::pool(|pool| {
            pool.spawn(move || {
                let mut writer = BufWriter::new(ours);
                (0..1000).for_each(|number| writeln!(writer, "line {number}").unwrap());
            });
            let lines: Vec<_> = BufReader::new(theirs).lines().map(Result::unwrap).collect();
            assert_eq!(lines.len(), 1000);
            assert!(lines.iter().enumerate().all(|(i, line)| *line == format!("line {i}")));
        });
    });
}

#[test]
fn vectored_calls_fill_one_buffer_after_the_other() {
    giambio::run(|| {
        let (mut ours, mut theirs) = pair();
        let parts = [IoSlice::new(b"one"), IoSlice::new(b""), IoSlice::new(b"three")];
        assert_eq!(ours.write_vectored(&parts).unwrap(), 8);
        let (mut first, mut second) = ([0; 5], [b'.'; 5]);
        let mut bufs = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(theirs.read_vectored(&mut bufs).unwrap(), 8);
        assert_eq!((&first, &second), (b"oneth", b"ree.."));
        giambio::pool(|pool| {
            pool.spawn(|| {
                settle();
                ours.write_all(b"later").unwrap();
            });
            let mut bufs = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
            assert_eq!((&theirs).read_vectored(&mut bufs).unwrap(), 5); // exactly one of the two
        });
        assert_eq!(&first, b"later");
    });
}

#[test]
fn more_buffers_than_the_kernel_takes_at_once_lose_nothing() {
    const BYTES: usize = 5000;
    giambio::run(|| {
        let (mut ours, mut theirs) = pair();
        register(&theirs);
        let sent: Vec<_> = (0..BYTES).map(|n| (n % 251) as u8).collect();
        let parts: Vec<_> = sent.chunks(1).map(IoSlice::new).collect();
        let mut written = 0;
        while written < BYTES {
            written += ours.write_vectored(&parts[written..]).unwrap();
        }
        let mut read = Vec::new();
        while read.len() < BYTES {
            let mut room = [0; 2000];
            let mut bufs: Vec<_> = room.chunks_mut(1).map(IoSliceMut::new).collect();
            let count = theirs.read_vectored(&mut bufs).unwrap();
            read.extend_from_slice(&room[..count]);
            if read.len() < BYTES {
                // Bytes are left: a call that has filled all that the kernel looks at was not short.
                theirs.peek(&mut [0]).unwrap();
            }
        }
        assert_eq!(read, sent);
    });
}

#[test]
fn peek_never_consumes() {
    giambio::run(|| {
        let (mut ours, mut theirs) = pair();
        ours.write_all(b"abcdef").unwrap();
        let mut buf = [0; 16];
        for room in [1, 3, 6, 16, 16] {
            let count = theirs.peek(&mut buf[..room]).unwrap();
            assert_eq!(buf[..count], b"abcdef"[..room.min(6)]);
        }
        assert_eq!(theirs.read(&mut buf).unwrap(), 6);
    });
}

#[test]
fn a_read_after_a_peek_finds_the_same_bytes() {
    giambio::run(|| {
        let (mut ours, mut theirs) = pair();
        giambio::pool(|pool| {
            pool.spawn(move || {
                for _ in 0..3 {
                    settle(); // the other side is parked in `peek`
                    ours.write_all(b"abc").unwrap();
                }
            });
            let (mut seen, mut read) = ([0; 16], [0; 16]);
            for _ in 0..3 {
                let peeked = theirs.peek(&mut seen).unwrap();
                assert_eq!(theirs.peek(&mut seen).unwrap(), peeked);
                assert_eq!(theirs.read(&mut read).unwrap(), peeked);
                assert_eq!(seen[..peeked], *b"abc");
                assert_eq!(seen, read);
            }
            assert_eq!(theirs.peek(&mut seen).unwrap(), 0); // the end
            assert_eq!(theirs.read(&mut read).unwrap(), 0);
        });
    });
}

#[test]
fn shutdown_wakes_every_reader_of_the_stream() {
    for how in [Shutdown::Read, Shutdown::Both] {
        giambio::run(|| {
            let (ours, _theirs) = pair();
            giambio::pool(|pool| {
                let readers = [(); 3].map(|()| pool.spawn(|| (&ours).read(&mut [0; 8])));
                settle();
                ours.shutdown(how).unwrap();
                readers
                    .into_iter()
                    .for_each(|reader| assert_eq!(reader.join().unwrap().unwrap(), 0));
            });
        });
    }
}

#[test]
fn shutdown_wakes_every_writer_of_the_stream() {
    giambio::run(|| {
        let (ours, _theirs) = pair();
        let block = vec![0; 1 << 20];
        giambio::pool(|pool| {
            let endless = || loop {
                if let Err(error) = (&ours).write(&block) {
                    return error.kind();
                }
            };
            let writers = [(); 3].map(|()| pool.spawn(endless));
            settle();
            ours.shutdown(Shutdown::Write).unwrap();
            writers
                .into_iter()
                .for_each(|writer| assert_eq!(writer.join().unwrap(), ErrorKind::BrokenPipe));
        });
    });
}

#[test]
fn a_half_that_was_shut_down_leaves_the_other_open() {
    giambio::run(|| {
        let (mut ours, mut theirs) = pair();
        ours.write_all(b"question").unwrap();
        ours.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        theirs.read_to_string(&mut text).unwrap();
        theirs.write_all(b"answer").unwrap();
        drop(theirs);
        ours.read_to_string(&mut text).unwrap();
        assert_eq!(text, "questionanswer");
        assert_eq!(ours.write(b"more").unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn nodelay_is_what_was_set() {
    giambio::run(|| {
        let (ours, _theirs) = pair();
        assert!(!ours.nodelay().unwrap());
        ours.set_nodelay(true).unwrap();
        assert!(ours.nodelay().unwrap());
        ours.set_nodelay(false).unwrap();
        assert!(!ours.nodelay().unwrap());
    });
}

#[test]
fn a_clone_is_the_same_connection_and_outlives_the_original() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        let mut clone = ours.try_clone().unwrap();
        assert_ne!(clone.as_raw_fd(), ours.as_raw_fd());
        assert_eq!(clone.local_addr().unwrap(), ours.local_addr().unwrap());
        register(&ours);
        register(&clone);
        drop(ours);
        clone.write_all(b"still here").unwrap();
        drop(clone);
        let mut text = String::new();
        theirs.read_to_string(&mut text).unwrap();
        assert_eq!(text, "still here");
    });
}

#[test]
fn a_cloned_listener_accepts_from_the_same_backlog() {
    giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let clone = listener.try_clone().unwrap();
        assert_eq!(clone.local_addr().unwrap(), addr);
        drop(listener);
        let _client = TcpStream::connect(addr).unwrap();
        clone.accept().unwrap();
    });
}
