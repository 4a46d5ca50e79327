//! Every stable method, with its signature.

use super::TcpStreamExt;
use super::net::AddrParseError;
use super::net::Incoming;
use super::net::IpAddr;
use super::net::Ipv4Addr;
use super::net::Ipv6Addr;
use super::net::Shutdown;
use super::net::SocketAddr;
use super::net::SocketAddrV4;
use super::net::SocketAddrV6;
use super::net::TcpListener;
use super::net::TcpStream;
use super::net::ToSocketAddrs;
use super::net::UdpSocket;
use std::fmt::Debug;
use std::io;
use std::io::Read;
use std::io::Write;
use std::iter::FusedIterator;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::FromRawFd;
use std::os::fd::IntoRawFd;
use std::os::fd::OwnedFd;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::time::Duration;

type Get<S, T> = fn(&S) -> io::Result<T>;
type Set<S, T> = fn(&S, T) -> io::Result<()>;
type Receive<S, T> = fn(&S, &mut [u8]) -> io::Result<T>;
type Setting<S, T> = (Set<S, T>, Get<S, T>);
type Waits<S> = [Setting<S, Option<Duration>>; 2];

pub(in super::super) fn all() {
    a_socket::<TcpStream>();
    a_socket::<TcpListener>();
    a_socket::<UdpSocket>();
    an_iterator::<Incoming<'_>>();
    streams_read_and_write::<TcpStream>();
    stream();
    listener();
    udp();
    udp_groups();
    an_addr::<SocketAddr>();
    an_addr::<SocketAddrV4>();
    an_addr::<SocketAddrV6>();
    an_addr::<(IpAddr, u16)>();
    an_addr::<(Ipv4Addr, u16)>();
    an_addr::<(Ipv6Addr, u16)>();
    an_addr::<(&str, u16)>();
    an_addr::<(String, u16)>();
    an_addr::<&str>();
    an_addr::<String>();
    an_addr::<&[SocketAddr]>();
    an_addr::<&&SocketAddr>();
    let _: fn(&str) -> Result<IpAddr, AddrParseError> = str::parse;
}

fn a_socket<S>()
where
    S: AsFd + AsRawFd + FromRawFd + IntoRawFd + From<OwnedFd> + Into<OwnedFd>,
    S: Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe + 'static,
{
}

fn an_iterator<I>()
where
    I: Iterator<Item = io::Result<TcpStream>> + FusedIterator,
    I: Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
{
}

fn streams_read_and_write<S: Read + Write>()
where
    for<'s> &'s S: Read + Write,
{
}

fn an_addr<A: ToSocketAddrs>() {}

fn stream() {
    type S = TcpStream;
    let _: fn(&'static str) -> io::Result<S> = S::connect::<&'static str>;
    let _: fn(&SocketAddr, Duration) -> io::Result<S> = S::connect_timeout;
    let _: [Get<S, SocketAddr>; 2] = [S::peer_addr, S::local_addr];
    let _: Set<S, Shutdown> = S::shutdown;
    let _: Get<S, S> = S::try_clone;
    let _: Waits<S> =
        [(S::set_read_timeout, S::read_timeout), (S::set_write_timeout, S::write_timeout)];
    let _: Receive<S, usize> = S::peek;
    let _: Setting<S, bool> = (S::set_nodelay, S::nodelay);
    let _: Setting<S, u32> = (S::set_ttl, S::ttl);
    let _: Get<S, Option<io::Error>> = S::take_error;
    let _: Set<S, bool> = S::set_nonblocking;
    let _: Setting<S, bool> = (S::set_quickack, S::quickack);
}

#[expect(deprecated, reason = "two are, and ours as well")]
fn listener() {
    type S = TcpListener;
    let _: fn(&'static str) -> io::Result<S> = S::bind::<&'static str>;
    let _: Get<S, SocketAddr> = S::local_addr;
    let _: Get<S, S> = S::try_clone;
    let _: Get<S, (TcpStream, SocketAddr)> = S::accept;
    let _: fn(&S) -> Incoming<'_> = S::incoming;
    let _: Setting<S, u32> = (S::set_ttl, S::ttl);
    let _: Setting<S, bool> = (S::set_only_v6, S::only_v6);
    let _: Get<S, Option<io::Error>> = S::take_error;
    let _: Set<S, bool> = S::set_nonblocking;
}

fn udp() {
    type S = UdpSocket;
    let _: fn(&'static str) -> io::Result<S> = S::bind::<&'static str>;
    let _: [Receive<S, (usize, SocketAddr)>; 2] = [S::recv_from, S::peek_from];
    let _: fn(&S, &[u8], &'static str) -> io::Result<usize> = S::send_to::<&'static str>;
    let _: [Get<S, SocketAddr>; 2] = [S::peer_addr, S::local_addr];
    let _: Get<S, S> = S::try_clone;
    let _: Waits<S> =
        [(S::set_read_timeout, S::read_timeout), (S::set_write_timeout, S::write_timeout)];
    let _: Setting<S, u32> = (S::set_ttl, S::ttl);
    let _: Get<S, Option<io::Error>> = S::take_error;
    let _: Set<S, &'static str> = S::connect::<&'static str>;
    let _: fn(&S, &[u8]) -> io::Result<usize> = S::send;
    let _: [Receive<S, usize>; 2] = [S::recv, S::peek];
    let _: Set<S, bool> = S::set_nonblocking;
}

fn udp_groups() {
    type S = UdpSocket;
    let _: Setting<S, bool> = (S::set_broadcast, S::broadcast);
    let _: Setting<S, bool> = (S::set_multicast_loop_v4, S::multicast_loop_v4);
    let _: Setting<S, u32> = (S::set_multicast_ttl_v4, S::multicast_ttl_v4);
    let _: Setting<S, bool> = (S::set_multicast_loop_v6, S::multicast_loop_v6);
    type V4<S> = fn(&S, &Ipv4Addr, &Ipv4Addr) -> io::Result<()>;
    let _: [V4<S>; 2] = [S::join_multicast_v4, S::leave_multicast_v4];
    type V6<S> = fn(&S, &Ipv6Addr, u32) -> io::Result<()>;
    let _: [V6<S>; 2] = [S::join_multicast_v6, S::leave_multicast_v6];
}
