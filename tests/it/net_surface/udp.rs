//! What a UDP socket does.

use super::Facts;
use super::net::Ipv4Addr;
use super::net::Ipv6Addr;
use super::net::SocketAddr;
use super::net::UdpSocket;
use crate::ms;
use socket2::SockRef;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::FromRawFd;
use std::os::fd::IntoRawFd;
use std::os::fd::OwnedFd;
use std::time::Duration;

fn socket() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

/// Two that are connected to each other.
fn pair() -> (UdpSocket, UdpSocket) {
    let ((a, to_a), (b, to_b)) = (socket(), socket());
    a.connect(to_b).unwrap();
    b.connect(to_a).unwrap();
    (a, b)
}

pub(in super::super) fn binding(facts: &mut Facts) {
    let (a, taken) = socket();
    let none_of_ours = SocketAddr::from(([203, 0, 113, 1], 0));
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    facts.result("taken", UdpSocket::bind(taken).map(drop));
    facts.result("not ours", UdpSocket::bind(none_of_ours).map(drop));
    facts.result("the second", UdpSocket::bind(&[none_of_ours, any_port][..]).map(drop));
    facts.result("none", UdpSocket::bind(&[][..]).map(drop));
    facts.result("no port", UdpSocket::bind("127.0.0.1").map(drop));
    let printed = format!("UdpSocket {{ addr: {taken}, fd: {} }}", a.as_raw_fd());
    facts.note("printed", format!("{a:?}") == printed);
    facts.result("peer", a.peer_addr().map(drop));
    facts.result("send to nobody", a.send(b"x"));
    facts.result("send to no address", a.send_to(b"x", &[][..]));
    facts.result("send without a port", a.send_to(b"x", "127.0.0.1"));
    facts.result("send to another family", a.send_to(b"x", "[::1]:9"));
    facts.result("send to port 0", a.send_to(b"x", any_port));
    facts.result("connect to no address", a.connect(&[][..]));
    facts.result("connect to another family", a.connect("[::1]:9"));
    let (b, to_b) = socket();
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, 9));
    facts.result("connect", a.connect(&[v6, to_b][..]));
    facts.note("peer", a.peer_addr().unwrap() == to_b);
    facts.result("send", a.send(b"abc"));
    facts.note("received", b.recv_from(&mut [0; 8]).unwrap() == (3, taken));
    facts.note("printed", format!("{a:?}").contains("peer"));
    facts.note("printed on lines", format!("{a:#?}").lines().count());

    let fd = a.as_raw_fd();
    facts.note("as a descriptor", a.as_fd().as_raw_fd() == fd);
    let a = UdpSocket::from(OwnedFd::from(a));
    // SAFETY: it has just been given up by its owner.
    let a = unsafe { UdpSocket::from_raw_fd(a.into_raw_fd()) };
    facts.note("raw", a.as_raw_fd() == fd);
    facts.result("send", a.send(b"x"));
    facts.result("receive", b.recv(&mut [0; 8]));
}

pub(in super::super) fn options(facts: &mut Facts) {
    let (socket, addr) = socket();
    let clone = socket.try_clone().unwrap();
    facts.note("clone", clone.local_addr().unwrap() == addr);
    facts.result("ttl at first", socket.ttl());
    for ttl in [1, 42, 0, 256] {
        facts.result("set ttl", socket.set_ttl(ttl));
        facts.result("ttl", clone.ttl());
    }
    facts.result("broadcast at first", socket.broadcast());
    let broadcast = SocketAddr::from((Ipv4Addr::BROADCAST, 9));
    facts.result("send to all", socket.send_to(b"x", broadcast));
    facts.result("multicast ttl at first", socket.multicast_ttl_v4());
    for ttl in [1, 42, 255, 256] {
        facts.result("set multicast ttl", socket.set_multicast_ttl_v4(ttl));
        facts.result("multicast ttl", socket.multicast_ttl_v4());
    }
    let v6 = UdpSocket::bind("[::1]:0").unwrap();
    for yes in [true, false] {
        facts.result("set broadcast", socket.set_broadcast(yes));
        facts.result("broadcast", clone.broadcast());
        facts.result("set loop", socket.set_multicast_loop_v4(yes));
        facts.result("loop", socket.multicast_loop_v4());
        facts.result("set loop v6", v6.set_multicast_loop_v6(yes));
        facts.result("loop v6", v6.multicast_loop_v6());
        facts.result("set loop v6 on v4", socket.set_multicast_loop_v6(yes));
        facts.result("loop v6 on v4", socket.multicast_loop_v6());
    }
    facts.result("error", socket.take_error().map(|error| error.is_none()));
}

pub(in super::super) fn waiting(facts: &mut Facts) {
    let (a, b) = pair();
    let clone = a.try_clone().unwrap();
    facts.result("read timeout at first", a.read_timeout());
    facts.result("write timeout at first", a.write_timeout());
    facts.result("set read to zero", a.set_read_timeout(Some(Duration::ZERO)));
    facts.result("set write to zero", a.set_write_timeout(Some(Duration::ZERO)));
    facts.result("set read", a.set_read_timeout(Some(ms(20))));
    facts.result("set write", a.set_write_timeout(Some(ms(100))));
    facts.result("read timeout", clone.read_timeout());
    facts.result("write timeout", clone.write_timeout());
    let early = |facts: &mut Facts| {
        facts.result("receive", a.recv(&mut [0]));
        facts.result("receive by the clone", clone.recv_from(&mut [0]).map(drop));
        facts.result("peek", a.peek(&mut [0]));
        facts.result("peek from", a.peek_from(&mut [0]).map(drop));
    };
    early(facts);
    facts.result("set read", a.set_read_timeout(None));
    facts.result("set mode", clone.set_nonblocking(true));
    early(facts);
    facts.result("send", a.send(b"x"));
    facts.result("set mode", a.set_nonblocking(false));
    b.send(b"abc").unwrap();
    facts.result("receive", a.recv(&mut [0; 8]));
    facts.result("their receive", b.recv(&mut [0; 8]));
}

pub(in super::super) fn datagrams(facts: &mut Facts) {
    let (a, b) = pair();
    let from_a = a.local_addr().unwrap();
    for datagram in [&b"hello"[..], b"", b"a datagram that is cut off", b"next"] {
        facts.result("send", a.send(datagram));
        let mut buf = [0; 8];
        facts.result("peek", b.peek(&mut buf));
        facts.note("peeked", buf);
        facts.note("peek from", b.peek_from(&mut buf[..2]).unwrap().1 == from_a);
        facts.result("receive", b.recv(&mut buf));
        facts.note("received", buf);
        facts.result("send to", a.send_to(datagram, b.local_addr().unwrap()));
        let (count, from) = b.recv_from(&mut buf[..4]).unwrap();
        facts.note("received from", (count, from == from_a, buf));
    }
    a.send(b"gone").unwrap();
    facts.result("receive into nothing", b.recv(&mut []));
    let (_, elsewhere) = socket();
    facts.result("too long", a.send(&vec![0; 70_000]));
    facts.result("as long as can be", a.send(&vec![1; 65_507]));
    facts.result("receive", b.recv(&mut vec![0; 1 << 16]));
    facts.result("one byte more", a.send_to(&vec![0; 65_508], elsewhere));
    // Who is connected hears of nobody else.
    let (stranger, _) = socket();
    stranger.send_to(b"who", b.local_addr().unwrap()).unwrap();
    a.send(b"me").unwrap();
    facts.result("from the peer", b.recv(&mut [0; 8]));
}

pub(in super::super) fn refusals(facts: &mut Facts) {
    let (a, _) = socket();
    let (closed, nobody) = socket();
    drop(closed);
    a.set_read_timeout(Some(ms(20))).unwrap();
    facts.result("send to nobody", a.send_to(b"x", nobody));
    facts.result("unconnected, nothing is heard", a.recv(&mut [0]));
    a.connect(nobody).unwrap();
    a.set_read_timeout(None).unwrap();
    facts.result("send", a.send(b"x"));
    facts.result("receive", a.recv(&mut [0]));
    facts.result("send", a.send(b"x"));
    facts.result("send after a refusal", a.send(b"x"));
    facts.result("send", a.send(b"x"));
    facts.result("receive from", a.recv_from(&mut [0]).map(drop));
    facts.result("send", a.send(b"x"));
    let error = a.take_error().unwrap();
    facts.note("error", error.map(|error| (error.kind(), error.to_string())));
    facts.note("error again", a.take_error().unwrap().is_none());
}

pub(in super::super) fn groups(facts: &mut Facts) {
    let group = Ipv4Addr::new(239, 77, 1, 2);
    let here = Ipv4Addr::LOCALHOST;
    let (sender, _) = socket();
    SockRef::from(&sender).set_multicast_if_v4(&here).unwrap();
    let member = UdpSocket::bind("0.0.0.0:0").unwrap();
    let to = SocketAddr::from((group, member.local_addr().unwrap().port()));
    member.set_read_timeout(Some(ms(20))).unwrap();
    facts.result("join", member.join_multicast_v4(&group, &here));
    facts.result("join again", member.join_multicast_v4(&group, &here));
    facts.result("join what is no group", member.join_multicast_v4(&here, &here));
    facts.result("send", sender.send_to(b"all", to));
    facts.result("receive", member.recv(&mut [0; 8]));
    facts.result("leave", member.leave_multicast_v4(&group, &here));
    facts.result("leave again", member.leave_multicast_v4(&group, &here));
    facts.result("send", sender.send_to(b"all", to));
    facts.result("receive", member.recv(&mut [0; 8]));
    let v6 = UdpSocket::bind("[::1]:0").unwrap();
    let group = Ipv6Addr::new(0xff01, 0, 0, 0, 0, 0, 0, 0x7701);
    const LOOPBACK: u32 = 1;
    facts.result("join v6", v6.join_multicast_v6(&group, LOOPBACK));
    facts.result("join v6 again", v6.join_multicast_v6(&group, LOOPBACK));
    facts.result("leave v6", v6.leave_multicast_v6(&group, LOOPBACK));
    facts.result("leave v6 again", v6.leave_multicast_v6(&group, LOOPBACK));
    facts.result("join where nothing is", v6.join_multicast_v6(&group, u32::MAX));
    facts.result("join v6 with v4", sender.join_multicast_v6(&group, LOOPBACK));
}
