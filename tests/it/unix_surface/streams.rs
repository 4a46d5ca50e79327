//! Streams and listeners, call by call.

use super::Said;
use super::TIMEOUT;
use super::lines_of;
use std::io::IoSlice;
use std::os::fd::AsFd;
use std::time::Duration;

fn slices_of(text: &[u8]) -> [IoSlice<'_>; 1] {
    [IoSlice::new(text)]
}

same! {
    fn a_stream_by_its_path(said: &mut Said) {
        let path = said.directory.join("socket");
        let listener = net::UnixListener::bind(&path).unwrap();
        let stream = net::UnixStream::connect(&path).unwrap();
        let (accepted, from) = listener.accept().unwrap();
        said.say(&listener);
        said.say(&stream);
        said.say(format!("{accepted:#?}"));
        said.say(&from);
        said.say(from.is_unnamed());
        said.said(listener.local_addr());
        said.said(stream.local_addr());
        said.said(stream.peer_addr());
        said.say(stream.peer_addr().unwrap().as_pathname());
        said.said(accepted.local_addr());
        said.said(accepted.peer_addr());
        drop((listener, accepted));
        said.said(stream.peer_addr());
        said.say(path.exists()); // the name is left behind
        said.ended(net::UnixStream::connect(&path));
        said.ended(net::UnixListener::bind(&path));
    }

    fn a_stream_by_its_abstract_name(said: &mut Said) {
        let name = said.directory.join("socket");
        let name = name.as_os_str().as_encoded_bytes();
        let address = net::SocketAddr::from_abstract_name(name).unwrap();
        said.ended(net::UnixStream::connect_addr(&address));
        let listener = net::UnixListener::bind_addr(&address).unwrap();
        said.ended(net::UnixListener::bind_addr(&address));
        let stream = net::UnixStream::connect_addr(&address).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        said.say(&listener);
        said.say(&stream);
        said.said(accepted.local_addr());
        said.say(stream.peer_addr().unwrap().as_abstract_name() == Some(name));
        let by_path = net::SocketAddr::from_pathname(said.directory.join("path")).unwrap();
        let listener = net::UnixListener::bind_addr(&by_path).unwrap();
        said.say(&listener);
        said.said(net::UnixStream::connect_addr(&by_path).unwrap().peer_addr());
    }

    fn accept_tells_what_the_other_side_was_bound_to(said: &mut Said) {
        use socket2::SockAddr;
        let path = said.directory.join("server");
        let listener = net::UnixListener::bind(&path).unwrap();
        let client_path = said.directory.join("client");
        let mut name = b"\0".to_vec();
        name.extend_from_slice(client_path.as_os_str().as_encoded_bytes());
        let name = String::from_utf8(name).unwrap();
        for bound in [SockAddr::unix(&client_path), SockAddr::unix(name)] {
            let client = crate::unix::socket(socket2::Type::STREAM);
            client.bind(&bound.unwrap()).unwrap();
            client.connect(&SockAddr::unix(&path).unwrap()).unwrap();
            let (stream, from) = listener.accept().unwrap();
            said.say(&from);
            said.say(&stream);
            said.say((from.as_pathname(), from.as_abstract_name().map(<[u8]>::len)));
        }
    }

    fn names_that_are_none(said: &mut Said) {
        let long = "x".repeat(200);
        said.failed(net::UnixStream::connect(&long));
        said.failed(net::UnixStream::connect("with\0nul"));
        said.failed(net::UnixListener::bind(&long));
        said.failed(net::UnixListener::bind("with\0nul"));
        said.failed(net::UnixDatagram::bind(&long));
        said.failed(net::SocketAddr::from_abstract_name(&long));
        let socket = net::UnixDatagram::unbound().unwrap();
        said.failed(socket.connect(&long));
        said.failed(socket.send_to(b"x", &long));
        said.ended(net::UnixStream::connect(""));
        let none = net::SocketAddr::from_pathname("").unwrap();
        said.ended(net::UnixStream::connect_addr(&none));
        said.ended(net::UnixStream::connect(said.directory.join("nobody")));
        said.ended(net::UnixListener::bind(said.directory.join("no/directory")));
        said.ended(net::UnixStream::connect(said.directory.name())); // a directory
    }

    fn a_stream_reads_and_writes(said: &mut Said) {
        use std::io::IoSlice;
        use std::io::IoSliceMut;
        use std::io::Read;
        use std::io::Write;
        let (mut ours, mut theirs) = net::UnixStream::pair().unwrap();
        said.say((&ours, &theirs));
        said.say((ours.local_addr().unwrap(), ours.peer_addr().unwrap()));
        let mut buf = [0; 8];
        said.said((&ours).write(b"hello"));
        said.said(theirs.read(&mut buf[..2]));
        said.said((&theirs).read(&mut buf[2..]));
        said.say(buf);
        let slices = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cdef")];
        said.said(ours.write_vectored(&slices));
        said.said((&ours).write_vectored(&slices));
        said.said(ours.write_vectored(&[]));
        let (mut one, mut two) = ([0; 3], [0; 4]);
        for _ in 0..2 {
            let mut slices = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)];
            said.said(theirs.read_vectored(&mut slices));
            said.say((one, two));
        }
        said.said((&ours).write(b"x"));
        said.said(ours.write(b""));
        said.said((&theirs).read_vectored(&mut []));
        said.said(theirs.read(&mut []));
        said.said(theirs.read(&mut buf));
        said.said(ours.flush());
        said.said((&ours).flush());
        let many = vec![IoSlice::new(b"y"); 2000];
        said.said(ours.write_vectored(&many));
        let (mut big, mut tiny) = ([0; 2000], [[0; 1]; 1500]);
        let mut slices: Vec<_> = tiny.iter_mut().map(|byte| IoSliceMut::new(byte)).collect();
        said.said(theirs.read_vectored(&mut slices));
        said.said(ours.take_error().map(|error| error.is_none()));
        ours.write_all(b"the end").unwrap();
        said.said(ours.shutdown(std::net::Shutdown::Write));
        said.said(ours.write(b"x"));
        said.said(ours.write_vectored(&slices_of(b"x")));
        said.said(theirs.read(&mut big));
        said.said(theirs.read(&mut big));
        said.said(theirs.read_vectored(&mut [IoSliceMut::new(&mut big)]));
        said.said(theirs.write(b"still open"));
        said.said(ours.shutdown(std::net::Shutdown::Read));
        said.said(theirs.write(b"x"));
        said.said(ours.read(&mut big));
        said.said(ours.read(&mut big));
        said.said(ours.shutdown(std::net::Shutdown::Both));
        said.said(ours.shutdown(std::net::Shutdown::Both));
    }

    fn a_stream_whose_other_end_is_closed(said: &mut Said) {
        use std::io::Read;
        use std::io::Write;
        let (mut ours, theirs) = net::UnixStream::pair().unwrap();
        (&theirs).write_all(b"last").unwrap();
        drop(theirs);
        let mut buf = [0; 8];
        said.said(ours.write(b"x"));
        said.said(ours.read(&mut buf));
        said.said(ours.read(&mut buf));
        said.said(ours.peer_addr());
        // What has not been read makes the end a reset.
        let (mut ours, theirs) = net::UnixStream::pair().unwrap();
        ours.write_all(b"unread").unwrap();
        drop(theirs);
        said.said(ours.read(&mut buf));
        said.said(ours.read(&mut buf));
        let (ours, theirs) = net::UnixStream::pair().unwrap();
        (&ours).write_all(b"unread").unwrap();
        drop(theirs);
        said.said(ours.take_error().map(|error| error.map(|error| error.kind())));
        said.said(ours.take_error().map(|error| error.is_none()));
    }

    fn a_stream_s_timeouts_and_mode(said: &mut Said) {
        use std::io::Read;
        use std::io::Write;
        let (ours, _theirs) = net::UnixStream::pair().unwrap();
        said.said(ours.read_timeout());
        said.said(ours.write_timeout());
        said.failed(ours.set_read_timeout(Some(Duration::ZERO)));
        said.failed(ours.set_write_timeout(Some(Duration::ZERO)));
        said.said(ours.set_read_timeout(Some(TIMEOUT)));
        said.said(ours.set_write_timeout(Some(TIMEOUT * 2)));
        let clone = ours.try_clone().unwrap();
        said.said(ours.read_timeout());
        said.said(clone.read_timeout());
        said.said(clone.write_timeout());
        said.said((&ours).read(&mut [0; 8]));
        said.said((&clone).read(&mut [0; 8]));
        said.said(clone.set_read_timeout(None));
        said.said(ours.read_timeout());
        said.said(ours.set_nonblocking(true));
        said.said((&clone).read(&mut [0; 8])); // a clone's mode is the same
        let full = loop {
            match (&clone).write(&[0; 1 << 12]) {
                Ok(_) => {}
                full => break full,
            }
        };
        said.said(full);
        said.said(clone.set_nonblocking(false));
        said.said((&ours).write(b"x")); // after the timeout
    }

    fn a_stream_as_a_descriptor(said: &mut Said) {
        use std::io::Read;
        use std::io::Write;
        use std::os::fd::AsRawFd;
        use std::os::fd::FromRawFd;
        use std::os::fd::IntoRawFd;
        use std::os::fd::OwnedFd;
        let (ours, mut theirs) = net::UnixStream::pair().unwrap();
        let number = ours.as_raw_fd();
        said.say(ours.as_fd().as_raw_fd() == number);
        ours.set_read_timeout(Some(TIMEOUT)).unwrap();
        ours.set_write_timeout(Some(TIMEOUT * 2)).unwrap();
        let fd = OwnedFd::from(ours);
        said.say(fd.as_raw_fd() == number);
        let mut ours = net::UnixStream::from(fd);
        theirs.write_all(b"x").unwrap();
        said.said(ours.read(&mut [0; 8]));
        said.said(ours.read_timeout());
        said.said(ours.write_timeout());
        let number = ours.into_raw_fd();
        // SAFETY: the descriptor was given up by the line before.
        let ours = unsafe { net::UnixStream::from_raw_fd(number) };
        said.say(&ours);
        ours.set_nonblocking(true).unwrap();
        let fd = OwnedFd::from(ours);
        said.say(crate::tcp::is_blocking(&fd));
    }

    fn a_listener_accepts(said: &mut Said) {
        let path = said.directory.join("socket");
        let listener = net::UnixListener::bind(&path).unwrap();
        said.say(listener.incoming());
        said.say(listener.incoming().size_hint());
        said.said(listener.take_error().map(|error| error.is_none()));
        let clone = listener.try_clone().unwrap();
        said.said(clone.local_addr());
        said.said(listener.set_nonblocking(true));
        said.ended(clone.accept());
        said.say(clone.incoming().next().map(|result| result.map_err(|error| error.kind())));
        let _clients = [(); 4].map(|()| net::UnixStream::connect(&path).unwrap());
        said.ended(listener.accept());
        said.said(clone.set_nonblocking(false));
        said.ended(clone.accept());
        drop(clone);
        for stream in listener.incoming().take(1) {
            said.said(stream);
        }
        said.said((&listener).into_iter().next().unwrap());
    }

    fn a_listener_as_a_descriptor(said: &mut Said) {
        use std::os::fd::AsRawFd;
        use std::os::fd::FromRawFd;
        use std::os::fd::IntoRawFd;
        use std::os::fd::OwnedFd;
        let path = said.directory.join("socket");
        let listener = net::UnixListener::bind(&path).unwrap();
        said.say(listener.as_fd().as_raw_fd() == listener.as_raw_fd());
        let listener = net::UnixListener::from(OwnedFd::from(listener));
        let number = listener.into_raw_fd();
        // SAFETY: the descriptor was given up by the line before.
        let listener = unsafe { net::UnixListener::from_raw_fd(number) };
        let _client = net::UnixStream::connect(&path).unwrap();
        said.say(&listener);
        said.ended(listener.accept());
    }
}
