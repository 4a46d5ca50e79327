//! What a TCP stream and a listener do.

use super::Facts;
use super::TcpStreamExt;
use super::net::Ipv4Addr;
use super::net::Shutdown;
use super::net::SocketAddr;
use super::net::TcpListener;
use super::net::TcpStream;
use crate::ms;
use crate::tcp::Refusing;
use crate::tcp_faults::full_listener;
use giambio::lowlevel::wait_readable;
use socket2::SockRef;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::FromRawFd;
use std::os::fd::IntoRawFd;
use std::os::fd::OwnedFd;
use std::time::Duration;

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (theirs, from) = listener.accept().unwrap();
    assert_eq!(from, ours.local_addr().unwrap());
    (ours, theirs)
}

pub(in super::super) fn connecting(facts: &mut Facts) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let refusing = Refusing::new();
    for connected in [
        TcpStream::connect(addr),
        TcpStream::connect(addr.to_string()),
        TcpStream::connect(addr.to_string().as_str()),
        TcpStream::connect((Ipv4Addr::LOCALHOST, addr.port())),
        TcpStream::connect(("127.0.0.1", addr.port())),
        TcpStream::connect(&[refusing.addr(), addr][..]),
        TcpStream::connect_timeout(&addr, Duration::from_secs(60)),
        TcpStream::connect_timeout(&addr, Duration::MAX),
    ] {
        let stream = connected.unwrap();
        let accepted = listener.accept().unwrap();
        facts.note("accepted", accepted.1 == stream.local_addr().unwrap());
        facts.note("its peer", accepted.0.peer_addr().unwrap() == stream.local_addr().unwrap());
        facts.note("our peer", stream.peer_addr().unwrap() == addr);
        let printed = format!(
            "TcpStream {{ addr: {}, peer: {addr}, fd: {} }}",
            stream.local_addr().unwrap(),
            stream.as_raw_fd()
        );
        facts.note("printed", format!("{stream:?}") == printed);
        facts.note("printed on lines", format!("{stream:#?}").lines().count());
    }
    facts.result("refused", TcpStream::connect(refusing.addr()).map(drop));
    facts.result("all refused", TcpStream::connect(&[refusing.addr(); 2][..]).map(drop));
    facts.result("nobody", TcpStream::connect(&[][..]).map(drop));
    facts.result("no port", TcpStream::connect("127.0.0.1").map(drop));
    facts.result("bad port", TcpStream::connect("127.0.0.1:x").map(drop));
    let port_zero = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    facts.result("port 0", TcpStream::connect(port_zero).map(drop));
    let timed = |addr: &SocketAddr, timeout| TcpStream::connect_timeout(addr, timeout).map(drop);
    facts.result("refused in time", timed(&refusing.addr(), Duration::from_secs(60)));
    facts.result("no time", timed(&addr, Duration::ZERO));
    let (full, _fill) = full_listener();
    facts.result("too slow", timed(&full.local_addr().unwrap(), ms(30)));
}

pub(in super::super) fn stream_options(facts: &mut Facts) {
    let (stream, _theirs) = pair();
    let clone = stream.try_clone().unwrap();
    for nodelay in [true, false] {
        facts.result("set nodelay", stream.set_nodelay(nodelay));
        facts.result("nodelay", stream.nodelay());
        facts.result("nodelay of the clone", clone.nodelay());
    }
    facts.result("ttl at first", stream.ttl());
    for ttl in [1, 42, 255, 0, 256, u32::MAX] {
        facts.result("set ttl", stream.set_ttl(ttl));
        facts.result("ttl", stream.ttl());
    }
    for quickack in [false, true] {
        facts.result("set quickack", stream.set_quickack(quickack));
        facts.result("quickack", stream.quickack());
    }
    facts.result("error", stream.take_error().map(|error| error.is_none()));
    facts.note("address of the clone", clone.local_addr().unwrap() == stream.local_addr().unwrap());
}

pub(in super::super) fn stream_timeouts(facts: &mut Facts) {
    let (mut stream, mut theirs) = pair();
    let clone = stream.try_clone().unwrap();
    facts.result("read timeout at first", stream.read_timeout());
    facts.result("write timeout at first", stream.write_timeout());
    let secs = Duration::from_secs;
    let nanos = Duration::from_nanos;
    for timeout in [secs(100), ms(100), nanos(1), nanos(10_500_000), Duration::MAX, secs(1 << 40)] {
        facts.result("set read", stream.set_read_timeout(Some(timeout)));
        facts.result("read timeout", stream.read_timeout());
        facts.result("read timeout of the clone", clone.read_timeout());
        facts.result("set write", stream.set_write_timeout(Some(timeout)));
        facts.result("write timeout", stream.write_timeout());
        facts.result("write timeout of the clone", clone.write_timeout());
    }
    facts.result("set read to none", stream.set_read_timeout(None));
    facts.result("read timeout", stream.read_timeout());
    facts.result("set read to zero", stream.set_read_timeout(Some(Duration::ZERO)));
    facts.result("set write to zero", stream.set_write_timeout(Some(Duration::ZERO)));
    facts.result("set read", clone.set_read_timeout(Some(ms(20))));
    facts.result("read too early", stream.read(&mut [0; 8]));
    facts.result("peek too early", stream.peek(&mut [0; 8]));
    facts.result("read all too early", stream.read_exact(&mut [0; 8]));
    facts.result("read some too early", stream.read_to_end(&mut Vec::new()));
    let mut buf = [0; 8];
    let vectored = stream.read_vectored(&mut [IoSliceMut::new(&mut buf)]);
    facts.result("read vectored too early", vectored);
    theirs.write_all(b"abc").unwrap();
    facts.result("set read", clone.set_read_timeout(Some(secs(60))));
    facts.result("read in time", stream.read(&mut [0; 8]));
    facts.result("set write", stream.set_write_timeout(Some(ms(20))));
    let block = vec![0; 1 << 20];
    let failed = loop {
        if let Err(error) = stream.write(&block) {
            break error;
        }
    };
    facts.result("write without room", Err::<(), _>(failed));
}

pub(in super::super) fn bytes(facts: &mut Facts) {
    let (mut stream, mut theirs) = pair();
    let mut buf = [0; 8];
    facts.result("write", stream.write(b"hello"));
    facts.result("write nothing", stream.write(b""));
    facts.result("flush", stream.flush());
    let parts = [IoSlice::new(b" wo"), IoSlice::new(b""), IoSlice::new(b"rld")];
    facts.result("write vectored", stream.write_vectored(&parts));
    facts.result("write vectored nothing", stream.write_vectored(&[]));
    facts.result("write to a reference", (&stream).write(b"!"));
    facts.result("write formatted", write!(stream, "{}", 42));
    wait_readable(&theirs).unwrap();
    facts.result("peek", theirs.peek(&mut buf[..2]));
    facts.note("peeked", buf);
    facts.result("read into nothing", theirs.read(&mut []));
    facts.result("read", theirs.read(&mut buf[..3]));
    facts.note("read", buf);
    let (mut one, mut other) = ([0; 3], [0; 2]);
    let mut parts = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut other)];
    facts.result("read vectored", theirs.read_vectored(&mut parts));
    facts.note("read vectored", (one, other));
    facts.result("read by a reference", (&theirs).read_exact(&mut buf[..3]));
    facts.note("read by a reference", buf);
    let clone = theirs.try_clone().unwrap();
    facts.result("read by a clone", (&clone).read(&mut buf[..1]));
    facts.result("read by the socket", theirs.read(&mut buf[..1]));
    facts.note("read by both", buf);
    drop(stream);
    let mut text = String::new();
    facts.result("read to the end", theirs.read_to_string(&mut text));
    facts.note("the end", text);
    facts.result("read behind the end", theirs.read(&mut buf));
    facts.result("peek behind the end", theirs.peek(&mut buf));
}

pub(in super::super) fn nonblocking(facts: &mut Facts) {
    let (mut stream, mut theirs) = pair();
    let clone = stream.try_clone().unwrap();
    facts.result("set", stream.set_nonblocking(true));
    facts.result("set again", stream.set_nonblocking(true));
    facts.result("read", stream.read(&mut [0]));
    facts.result("read by the clone", (&clone).read(&mut [0]));
    facts.result("peek", clone.peek(&mut [0]));
    facts.result("read to the end", stream.read_to_end(&mut Vec::new()));
    theirs.write_all(b"abc").unwrap();
    wait_readable(&stream).unwrap();
    facts.result("read what is there", stream.read(&mut [0; 2]));
    facts.result("read what is left", stream.read(&mut [0; 2]));
    facts.result("read what is not", stream.read(&mut [0; 2]));
    let block = vec![0; 1 << 20];
    let failed = loop {
        if let Err(error) = stream.write(&block) {
            break error;
        }
    };
    facts.result("write", Err::<(), _>(failed));
    facts.result("unset by the clone", clone.set_nonblocking(false));
    theirs.write_all(b"d").unwrap();
    facts.result("read", stream.read(&mut [0; 2]));
}

/// Closes a connection by a reset instead of an end.
fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

pub(in super::super) fn endings(facts: &mut Facts) {
    let (mut stream, mut theirs) = pair();
    facts.result("shut for writing", stream.shutdown(Shutdown::Write));
    facts.result("shut for writing again", stream.shutdown(Shutdown::Write));
    facts.result("write", stream.write(b"x"));
    facts.result("write vectored", stream.write_vectored(&[IoSlice::new(b"x")]));
    facts.result("their read", theirs.read(&mut [0]));
    facts.result("their write", theirs.write(b"x"));
    facts.result("read", stream.read(&mut [0]));
    facts.result("shut for reading", stream.shutdown(Shutdown::Read));
    facts.result("read when shut", stream.read(&mut [0]));

    let (mut stream, theirs) = pair();
    reset(theirs);
    wait_readable(&stream).unwrap();
    facts.result("peer", stream.peer_addr().map(drop));
    let printed = format!(
        "TcpStream {{ addr: {}, fd: {} }}",
        stream.local_addr().unwrap(),
        stream.as_raw_fd()
    );
    facts.note("printed", format!("{stream:?}") == printed);
    facts.result("shut", stream.shutdown(Shutdown::Both));
    let error = stream.take_error().unwrap();
    facts.note("error", error.map(|error| (error.kind(), error.to_string())));
    facts.note("error again", stream.take_error().unwrap().is_none());
    facts.result("read", stream.read(&mut [0]));
    facts.result("write", stream.write(b"x"));

    let (mut stream, theirs) = pair();
    reset(theirs);
    wait_readable(&stream).unwrap();
    facts.result("read after a reset", stream.read(&mut [0]));
    facts.result("read after that", stream.read(&mut [0]));
    facts.result("write after a reset", stream.write(b"x"));
}

pub(in super::super) fn descriptors(facts: &mut Facts) {
    let (stream, mut theirs) = pair();
    let fd = stream.as_raw_fd();
    facts.note("as a descriptor", stream.as_fd().as_raw_fd() == fd);
    let owned = OwnedFd::from(stream);
    facts.note("owned", owned.as_raw_fd() == fd);
    let stream = TcpStream::from(owned);
    facts.note("raw", stream.as_raw_fd() == fd);
    let raw = stream.into_raw_fd();
    // SAFETY: it has just been given up by its owner.
    let mut stream = unsafe { TcpStream::from_raw_fd(raw) };
    theirs.write_all(b"x").unwrap();
    facts.result("read", stream.read(&mut [0; 2]));
    stream.set_read_timeout(Some(ms(20))).unwrap();
    let mut stream = TcpStream::from(OwnedFd::from(stream));
    facts.result("timeout", stream.read_timeout());
    facts.result("read too early", stream.read(&mut [0; 2]));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let raw = listener.into_raw_fd();
    // SAFETY: as above.
    let listener = TcpListener::from(unsafe { OwnedFd::from_raw_fd(raw) });
    let _client = TcpStream::connect(addr).unwrap();
    facts.result("accept", listener.accept().map(drop));
    facts.note("listener", listener.as_fd().as_raw_fd() == listener.as_raw_fd());
}

pub(in super::super) fn listener(facts: &mut Facts) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let printed = format!("TcpListener {{ addr: {addr}, fd: {} }}", listener.as_raw_fd());
    facts.note("printed", format!("{listener:?}") == printed);
    let incoming = format!("Incoming {{ listener: {printed} }}");
    facts.note("incoming printed", format!("{:?}", listener.incoming()) == incoming);
    facts.note("incoming", listener.incoming().size_hint());
    facts.result("ttl at first", listener.ttl());
    for ttl in [7, 0] {
        facts.result("set ttl", listener.set_ttl(ttl));
        facts.result("ttl", listener.ttl());
    }
    facts.result("error", listener.take_error().map(|error| error.is_none()));
    let clone = listener.try_clone().unwrap();
    facts.note("clone", clone.local_addr().unwrap() == addr);
    facts.result("set mode", clone.set_nonblocking(true));
    facts.result("accept nobody", listener.accept().map(drop));
    facts.result("next nobody", listener.incoming().next().unwrap().map(drop));
    let clients = [(); 3].map(|()| TcpStream::connect(addr).unwrap());
    wait_readable(&listener).unwrap();
    let (stream, peer) = listener.accept().unwrap();
    facts.note("first", peer == clients[0].local_addr().unwrap());
    facts.result("its ttl", stream.ttl());
    facts.result("set mode", listener.set_nonblocking(false));
    let peers: Vec<_> =
        listener.incoming().take(2).map(|s| s.unwrap().peer_addr().unwrap()).collect();
    let expected: Vec<_> = clients[1..].iter().map(|c| c.local_addr().unwrap()).collect();
    facts.note("the others", peers == expected);
}

#[expect(deprecated, reason = "it is there all the same")]
pub(in super::super) fn binding(facts: &mut Facts) {
    let first = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = first.local_addr().unwrap();
    let port_zero = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let none_of_ours = SocketAddr::from(([203, 0, 113, 1], 0));
    facts.result("taken", TcpListener::bind(taken).map(drop));
    facts.result("not ours", TcpListener::bind(none_of_ours).map(drop));
    facts.result("the second", TcpListener::bind(&[none_of_ours, port_zero][..]).map(drop));
    facts.result("none", TcpListener::bind(&[][..]).map(drop));
    facts.result("no port", TcpListener::bind("127.0.0.1").map(drop));
    facts.result("v4 alone", first.only_v6());
    facts.result("set v6 alone", first.set_only_v6(true));
    let v6 = TcpListener::bind("[::1]:0").unwrap();
    facts.result("v6 alone", v6.only_v6());
    facts.result("set v6 alone", v6.set_only_v6(true));
    let stream = TcpStream::connect(v6.local_addr().unwrap()).unwrap();
    facts.note("v6 peer", v6.accept().unwrap().1 == stream.local_addr().unwrap());
}

pub(in super::super) fn inherited_timeouts(facts: &mut Facts) {
    let socket = socket2::Socket::from(OwnedFd::from(TcpListener::bind("127.0.0.1:0").unwrap()));
    socket.set_read_timeout(Some(ms(20))).unwrap();
    let listener = TcpListener::from(OwnedFd::from(socket));
    facts.result("accept nobody", listener.accept().map(drop));
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    facts.result("read timeout", stream.read_timeout());
    facts.result("write timeout", stream.write_timeout());
    facts.result("read too early", stream.read(&mut [0]));
}
