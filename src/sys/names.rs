//! Names: what the system's resolver knows of a host, one version of IP at a time.
//!
//! Layer 0. Imports: nothing of this crate. Never: tasks, threads.

use std::ffi::CStr;
use std::ffi::CString;
use std::io;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::net::SocketAddrV4;
use std::net::SocketAddrV6;
use std::ptr;

/// Which addresses are asked for. For both at once there is std.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IpVersion {
    V4,
    V6,
}

/// The addresses of a host, in the system's order, with `port`: `getaddrinfo(3)`, which blocks.
pub(crate) fn look_up(host: &str, port: u16, version: IpVersion) -> io::Result<Vec<SocketAddr>> {
    let host = CString::new(host)?;
    let hints = libc::addrinfo {
        ai_flags: 0,
        ai_family: match version {
            IpVersion::V4 => libc::AF_INET,
            IpVersion::V6 => libc::AF_INET6,
        },
        // Or each address comes once for every type of socket.
        ai_socktype: libc::SOCK_STREAM,
        ai_protocol: 0,
        ai_addrlen: 0,
        ai_addr: ptr::null_mut(),
        ai_canonname: ptr::null_mut(),
        ai_next: ptr::null_mut(),
    };
    let mut first = ptr::null_mut();
    // SAFETY: the host is a C string, and all pointers are valid for the call.
    let code =
        unsafe { libc::getaddrinfo(host.as_ptr(), ptr::null(), &raw const hints, &raw mut first) };
    if code != 0 {
        return Err(refusal(code));
    }
    let list = Entries { first };
    Ok(list.iter().filter_map(|entry| socket_addr(entry, port)).collect())
}

/// A list of `getaddrinfo`'s, freed on drop.
struct Entries {
    first: *mut libc::addrinfo,
}

impl Entries {
    fn iter(&self) -> impl Iterator<Item = &libc::addrinfo> {
        // SAFETY: each link is null or leads to a whole entry, which lives as long as the list.
        let follow = |link: *mut libc::addrinfo| unsafe { link.as_ref() };
        std::iter::successors(follow(self.first), move |entry| follow(entry.ai_next))
    }
}

impl Drop for Entries {
    fn drop(&mut self) {
        // SAFETY: `getaddrinfo` has made it, and what was borrowed from it has ended.
        unsafe { libc::freeaddrinfo(self.first) };
    }
}

fn socket_addr(entry: &libc::addrinfo, port: u16) -> Option<SocketAddr> {
    match entry.ai_family {
        libc::AF_INET => {
            // SAFETY: the family says what the system has put there.
            let addr = unsafe { entry.ai_addr.cast::<libc::sockaddr_in>().read_unaligned() };
            let ip = Ipv4Addr::from_bits(u32::from_be(addr.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, port).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let addr = unsafe { entry.ai_addr.cast::<libc::sockaddr_in6>().read_unaligned() };
            let ip = Ipv6Addr::from(addr.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(ip, port, addr.sin6_flowinfo, addr.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// The error as std words it. Its kind there is one that only std can make.
fn refusal(code: libc::c_int) -> io::Error {
    if code == libc::EAI_SYSTEM {
        return io::Error::last_os_error();
    }
    // SAFETY: takes any number.
    let text = unsafe { libc::gai_strerror(code) };
    // SAFETY: a C string that lives as long as the process.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    io::Error::other(format!("failed to lookup address information: {text}"))
}
