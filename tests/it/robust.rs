//! Peers that misbehave, and what they may not do to the others: hold them up, lose their bytes, stop
//! their server.

use crate::ms;
use crate::tcp::pair;
use giambio::net::Shutdown;
use giambio::net::SocketAddr;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::testing::settle;
use socket2::SockRef;
use std::cell::Cell;
use std::io;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

/// Sends back what comes until the end.
fn echo(stream: &TcpStream) -> io::Result<()> {
    let (mut from, mut to) = (stream, stream);
    io::copy(&mut from, &mut to).map(drop)
}

/// One question and its answer.
fn ask(mut stream: &TcpStream) {
    let mut answer = [0; 4];
    stream.write_all(b"ping").unwrap();
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"ping");
}

/// What stands in a stream from a place on: the place modulo 251, again and again.
struct Pattern(Vec<u8>);

impl Pattern {
    const PERIOD: usize = 251;

    /// For pieces of up to `len` bytes.
    fn new(len: usize) -> Self {
        Self((0..len + Self::PERIOD).map(|place| (place % Self::PERIOD) as u8).collect())
    }

    fn at(&self, place: usize, len: usize) -> &[u8] {
        &self.0[place % Self::PERIOD..][..len]
    }
}

#[test]
fn smoke() {
    giambio::run(|| {
        let (ours, theirs) = pair();
        giambio::pool(|pool| {
            pool.spawn(|| echo(&theirs).unwrap());
            ask(&ours);
            ours.shutdown(Shutdown::Write).unwrap();
        });
    });
}

#[test]
fn a_peer_that_sends_byte_by_byte_holds_up_nobody() {
    const BYTES: usize = 50;
    let answers = AtomicUsize::new(0);
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::scope(|threads| {
        threads.spawn(|| {
            let mut stream = net::TcpStream::connect(addr).unwrap();
            for byte in 0..BYTES {
                // So slow that the others have been answered five times meanwhile.
                let before = answers.load(Ordering::Relaxed);
                while answers.load(Ordering::Relaxed) < before + 5 {
                    thread::yield_now();
                }
                stream.write_all(&[byte as u8]).unwrap();
            }
        });
        giambio::run(|| {
            let (mut slow, _) = TcpListener::from(listener).accept().unwrap();
            let (ours, theirs) = pair();
            giambio::pool(|pool| {
                let reader = pool.spawn(|| {
                    let mut all = [0; BYTES];
                    slow.read_exact(&mut all).unwrap();
                    assert!(
                        all.iter().enumerate().all(|(place, byte)| usize::from(*byte) == place)
                    );
                });
                pool.spawn(|| echo(&theirs).unwrap());
                while !reader.is_finished() {
                    ask(&ours);
                    answers.fetch_add(1, Ordering::Relaxed);
                }
                ours.shutdown(Shutdown::Write).unwrap();
            });
        });
    });
    assert!(answers.into_inner() >= BYTES * 5);
}

#[test]
fn a_peer_that_never_reads_holds_up_its_own_writer_and_nobody_else() {
    let pattern = Pattern::new(10_000);
    giambio::run(|| {
        let (ours, mut never_reads) = pair();
        let (asker, answerer) = pair();
        let sent = Cell::new(0);
        let cut = giambio::cancellable(|scope| -> () {
            scope.spawn(|| {
                settle();
                let held = sent.get();
                assert!(held > 0);
                giambio::pool(|pool| {
                    pool.spawn(|| echo(&answerer).unwrap());
                    (0..300).for_each(|_| ask(&asker));
                    asker.shutdown(Shutdown::Write).unwrap();
                });
                // What does not fit into the kernel's buffers is kept nowhere.
                assert_eq!(sent.get(), held);
                scope.set_deadline(Some(giambio::clock() + ms(5)));
                giambio::sleep_forever()
            });
            loop {
                let block = pattern.at(sent.get(), 10_000);
                sent.set(sent.get() + (&ours).write(block).unwrap());
            }
        });
        assert!(cut.is_none());
        drop(ours);
        let mut read = Vec::new();
        never_reads.read_to_end(&mut read).unwrap();
        assert_eq!(read.len(), sent.get());
        for (index, piece) in read.chunks(10_000).enumerate() {
            assert!(piece == pattern.at(index * 10_000, piece.len()));
        }
    });
}

/// What a client does that means no good.
fn come_and_go(addr: SocketAddr, number: usize) -> io::Result<()> {
    let mut stream = net::TcpStream::connect(addr)?;
    let reset = || SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    match number % 6 {
        0 => Ok(()),
        1 => reset(),
        2 => stream.write_all(b"never heard"),
        3 => {
            reset()?;
            stream.write_all(b"torn off")
        }
        4 => stream.shutdown(Shutdown::Write),
        _ => stream.shutdown(Shutdown::Both),
    }
}

#[test]
fn clients_that_come_and_go_do_not_keep_a_server_from_the_others() {
    const CLIENTS: usize = 600;
    giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let bad = thread::spawn(move || {
            // The end may come while it still speaks.
            (0..CLIENTS).for_each(|number| drop(come_and_go(addr, number)));
        });
        giambio::pool(|pool| {
            let server = pool.spawn(|| {
                for stream in listener.incoming() {
                    let stream = stream.unwrap();
                    pool.spawn(move || {
                        if let Err(error) = echo(&stream) {
                            let kinds = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
                            assert!(kinds.contains(&error.kind()), "{error}");
                        }
                    });
                }
            });
            let good = TcpStream::connect(addr).unwrap();
            while !bad.is_finished() {
                ask(&good);
            }
            let late = TcpStream::connect(addr).unwrap();
            ask(&late);
            server.cancel();
        });
        bad.join().unwrap();
    });
}

/// A server that passes one connection on to `next`, both ways.
fn proxy(listener: &TcpListener, next: SocketAddr) {
    let one_way = |mut from: &TcpStream, mut to: &TcpStream| {
        // Whoever is torn off tears off the other side.
        let how = match io::copy(&mut from, &mut to) {
            Ok(_) => Shutdown::Write,
            Err(_) => Shutdown::Both,
        };
        let _gone = to.shutdown(how);
    };
    let (near, _) = listener.accept().unwrap();
    let far = TcpStream::connect(next).unwrap();
    giambio::pool(|pool| {
        pool.spawn(|| one_way(&near, &far));
        pool.spawn(|| one_way(&far, &near));
    });
}

/// Runs `body` with the two ends of a connection that goes through three proxies.
fn through_proxies(body: impl FnOnce(TcpStream, TcpStream)) {
    giambio::run(|| {
        let listeners = [(); 4].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let addrs = listeners.each_ref().map(|listener| listener.local_addr().unwrap());
        let [first, second, third, last] = &listeners;
        giambio::pool(|pool| {
            for (listener, next) in [(first, addrs[1]), (second, addrs[2]), (third, addrs[3])] {
                pool.spawn(move || proxy(listener, next));
            }
            let near = TcpStream::connect(addrs[0]).unwrap();
            let (far, _) = last.accept().unwrap();
            body(near, far);
        });
    });
}

#[test]
fn a_chain_of_proxies_passes_on_every_byte_and_each_end() {
    const BYTES: usize = 1_000_000;
    let pattern = Pattern::new(BYTES);
    through_proxies(|near, far| {
        giambio::pool(|pool| {
            for (mut from, mut to) in [(&near, &far), (&far, &near)] {
                let pattern = &pattern;
                pool.spawn(move || {
                    from.write_all(pattern.at(0, BYTES)).unwrap();
                    from.shutdown(Shutdown::Write).unwrap();
                });
                pool.spawn(move || {
                    let mut read = Vec::new();
                    to.read_to_end(&mut read).unwrap();
                    assert!(read == pattern.at(0, BYTES));
                });
            }
        });
    });
}

#[test]
fn a_chain_of_proxies_passes_on_that_one_end_was_torn_off() {
    through_proxies(|near, mut far| {
        (&near).write_all(b"torn off").unwrap();
        SockRef::from(&near).set_linger(Some(Duration::ZERO)).unwrap();
        drop(near);
        // How much gets through before the bad news is the kernel's business.
        let _torn = far.read_to_end(&mut Vec::new());
        assert_eq!(far.read(&mut [0]).unwrap_or(0), 0);
    });
}

#[test]
fn each_half_ends_by_itself_in_whatever_order() {
    #[derive(Clone, Copy, PartialEq)]
    enum End {
        Ours,
        Theirs,
    }
    for order in [[End::Ours, End::Theirs], [End::Theirs, End::Ours]] {
        giambio::run(|| {
            let (ours, theirs) = pair();
            giambio::pool(|pool| {
                let readers = [&ours, &theirs].map(|mut stream| {
                    pool.spawn(move || {
                        let mut text = String::new();
                        stream.read_to_string(&mut text).unwrap();
                        text
                    })
                });
                for end in order {
                    settle();
                    let mut stream = if end == End::Ours { &ours } else { &theirs };
                    stream.write_all(b"last words").unwrap();
                    stream.shutdown(Shutdown::Write).unwrap();
                    assert_eq!(stream.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
                }
                for reader in readers {
                    assert_eq!(reader.join().unwrap(), "last words");
                }
            });
        });
    }
}

#[test]
fn a_peer_that_writes_and_goes_at_once_is_heard_to_the_end() {
    giambio::run(|| {
        for size in [1, 1000, 100_000] {
            let (mut ours, mut theirs) = pair();
            giambio::pool(|pool| {
                pool.spawn(move || {
                    theirs.write_all(&vec![7; size]).unwrap();
                    drop(theirs);
                });
                let mut read = Vec::new();
                ours.read_to_end(&mut read).unwrap();
                assert_eq!(read.len(), size);
            });
        }
    });
}

#[test]
fn ten_megabytes_arrive_whatever_the_sizes_of_writes_and_reads() {
    const BYTES: usize = 10_000_000;
    let sizes = [4095, 4096, 4097, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537];
    let pattern = Pattern::new(65_537);
    for (index, write_size) in sizes.into_iter().enumerate() {
        // Each size is written once and read once, and not into itself.
        let read_size = sizes[(index + 4) % sizes.len()];
        giambio::run(|| {
            let (ours, mut theirs) = pair();
            giambio::pool(|pool| {
                let pattern = &pattern;
                pool.spawn(move || {
                    let mut sent = 0;
                    while sent < BYTES {
                        let len = write_size.min(BYTES - sent);
                        (&ours).write_all(pattern.at(sent, len)).unwrap();
                        sent += len;
                    }
                });
                let (mut buf, mut read) = (vec![0; read_size], 0);
                loop {
                    let count = theirs.read(&mut buf).unwrap();
                    assert!(buf[..count] == *pattern.at(read, count), "after {read}");
                    read += count;
                    if count == 0 {
                        break;
                    }
                }
                assert_eq!(read, BYTES, "{write_size} written, {read_size} read");
            });
        });
    }
}

#[test]
fn an_urgent_byte_that_was_asked_for_inline_comes_in_its_place() {
    // The byte before which the peer waits until the reader has parked.
    for waits in ["", "a", "!", "d", "a!d"] {
        giambio::run(|| {
            let (mut ours, theirs) = pair();
            SockRef::from(&ours).set_out_of_band_inline(true).unwrap();
            giambio::pool(|pool| {
                pool.spawn(|| {
                    for byte in b"abc!def" {
                        if waits.as_bytes().contains(byte) {
                            settle();
                        }
                        let flags = if *byte == b'!' { libc::MSG_OOB } else { 0 };
                        let socket = SockRef::from(&theirs);
                        assert_eq!(socket.send_with_flags(&[*byte], flags).unwrap(), 1);
                    }
                    theirs.shutdown(Shutdown::Write).unwrap();
                });
                let (mut text, mut buf) = (Vec::new(), [0; 16]);
                loop {
                    match ours.read(&mut buf).unwrap() {
                        0 => break,
                        count => text.extend_from_slice(&buf[..count]),
                    }
                }
                assert_eq!(text, b"abc!def", "waited before {waits:?}");
            });
        });
    }
}
