//! Datagram sockets, call by call.

use super::Said;
use super::TIMEOUT;
use super::lines_of;
use std::os::fd::AsFd;
use std::time::Duration;

same! {
    fn a_datagram_between_bound_sockets(said: &mut Said) {
        let (here, there) = (said.directory.join("here"), said.directory.join("there"));
        let ours = net::UnixDatagram::bind(&here).unwrap();
        said.ended(net::UnixDatagram::bind(&here));
        said.ended(ours.send_to(b"x", &there));
        let theirs = net::UnixDatagram::bind(&there).unwrap();
        said.say((&ours, &theirs));
        said.said(ours.local_addr());
        said.said(ours.peer_addr());
        said.said(ours.send(b"to whom?"));
        said.said(ours.send_to(b"hello", &there));
        said.said(ours.send_to_addr(b"", &theirs.local_addr().unwrap()));
        said.said(ours.send_to(b"longer than the buffer", &there));
        let mut buf = [0; 8];
        for _ in 0..3 {
            said.said(theirs.recv_from(&mut buf));
            said.say(buf);
        }
        said.said(ours.connect(&there));
        said.say(&ours);
        said.said(ours.peer_addr());
        said.said(ours.send(b"connected"));
        said.said(theirs.recv(&mut buf));
        said.said(ours.send(b""));
        said.said(theirs.recv(&mut buf));
        said.said(ours.send(b"unnamed buffers"));
        said.said(theirs.recv(&mut []));
        said.said(theirs.connect_addr(&ours.local_addr().unwrap()));
        said.said(theirs.send(b"back"));
        said.said(ours.recv_from(&mut buf));
        // Who is connected takes from its peer only.
        let other = net::UnixDatagram::unbound().unwrap();
        said.said(other.send_to(b"x", &here));
        said.said(other.local_addr());
        drop(theirs);
        said.said(ours.send(b"x"));
        said.said(ours.send(b"x"));
        said.said(other.send_to(b"x", &there));
        said.say(there.exists());
    }

    fn a_datagram_between_abstract_names(said: &mut Said) {
        let name = said.directory.join("datagram");
        let address = net::SocketAddr::from_abstract_name(name.as_os_str().as_encoded_bytes());
        let address = address.unwrap();
        let other = net::UnixDatagram::unbound().unwrap();
        said.said(other.send_to_addr(b"x", &address));
        said.said(other.connect_addr(&address));
        let ours = net::UnixDatagram::bind_addr(&address).unwrap();
        said.ended(net::UnixDatagram::bind_addr(&address));
        said.say(&ours);
        said.said(other.send_to_addr(b"x", &address));
        said.said(other.connect_addr(&address));
        said.said(other.send(b"yz"));
        let mut buf = [0; 8];
        said.said(ours.recv_from(&mut buf));
        said.said(ours.recv_from(&mut buf));
        said.say(other.peer_addr().unwrap().as_abstract_name().map(<[u8]>::len));
    }

    fn a_pair_of_datagram_sockets(said: &mut Said) {
        let (ours, theirs) = net::UnixDatagram::pair().unwrap();
        said.say((&ours, &theirs));
        said.said(ours.send(&[7; 1 << 12]));
        let mut buf = vec![0; 1 << 13];
        said.said(theirs.recv_from(&mut buf));
        said.said(ours.send(&vec![0; 1 << 24])); // more than any queue holds
        said.said(ours.take_error().map(|error| error.is_none()));
        let clone = ours.try_clone().unwrap();
        said.said(clone.send(b"clone"));
        drop((ours, clone));
        said.said(theirs.recv(&mut buf));
        said.said(theirs.send(b"x"));
    }

    fn a_datagram_socket_s_timeouts_and_mode(said: &mut Said) {
        let path = said.directory.join("socket");
        let receiver = net::UnixDatagram::bind(&path).unwrap();
        let ours = net::UnixDatagram::unbound().unwrap();
        said.said(ours.read_timeout());
        said.said(ours.write_timeout());
        said.failed(ours.set_read_timeout(Some(Duration::ZERO)));
        said.failed(ours.set_write_timeout(Some(Duration::ZERO)));
        said.said(ours.set_read_timeout(Some(TIMEOUT)));
        said.said(ours.set_write_timeout(Some(TIMEOUT * 2)));
        let clone = ours.try_clone().unwrap();
        said.said(clone.read_timeout());
        said.said(clone.write_timeout());
        said.said(ours.recv(&mut [0; 8]));
        said.said(clone.recv_from(&mut [0; 8]));
        said.said(ours.set_nonblocking(true));
        said.said(clone.recv(&mut [0; 8]));
        said.said(clone.recv_from(&mut [0; 8]));
        let full = loop {
            match clone.send_to(b"x", &path) {
                Ok(_) => {}
                full => break full,
            }
        };
        said.said(full);
        said.said(clone.set_nonblocking(false));
        said.said(ours.send_to(b"x", &path)); // after the timeout
        said.said(ours.send_to_addr(b"x", &receiver.local_addr().unwrap()));
        said.said(ours.connect(&path));
        said.said(ours.send(b"x"));
        said.said(receiver.recv(&mut [0; 8]));
        said.said(ours.send(b"x"));
    }

    fn a_datagram_socket_that_is_shut_down(said: &mut Said) {
        use std::net::Shutdown;
        let (ours, theirs) = net::UnixDatagram::pair().unwrap();
        let mut buf = [0; 8];
        said.said(theirs.send(b"before"));
        said.said(ours.shutdown(Shutdown::Read));
        said.said(theirs.send(b"after"));
        said.said(ours.recv(&mut buf));
        said.said(ours.recv(&mut buf));
        said.said(ours.recv_from(&mut buf));
        said.said(ours.set_nonblocking(true));
        said.said(ours.recv(&mut buf));
        said.said(ours.set_nonblocking(false));
        said.said(ours.recv(&mut buf));
        said.said(ours.send(b"x"));
        said.said(ours.shutdown(Shutdown::Write));
        said.said(ours.send(b"x"));
        said.said(theirs.recv(&mut buf));
    }

    fn a_datagram_socket_as_a_descriptor(said: &mut Said) {
        use std::os::fd::AsRawFd;
        use std::os::fd::FromRawFd;
        use std::os::fd::IntoRawFd;
        use std::os::fd::OwnedFd;
        let (ours, theirs) = net::UnixDatagram::pair().unwrap();
        said.say(ours.as_fd().as_raw_fd() == ours.as_raw_fd());
        let ours = net::UnixDatagram::from(OwnedFd::from(ours));
        let number = ours.into_raw_fd();
        // SAFETY: the descriptor was given up by the line before.
        let ours = unsafe { net::UnixDatagram::from_raw_fd(number) };
        said.said(theirs.send(b"x"));
        said.said(ours.recv(&mut [0; 8]));
    }
}
