//! Sockets from and to std and plain descriptors, and how they are printed.

use crate::tcp::is_blocking;
use crate::tcp::is_registered;
use crate::tcp::pair;
use crate::tcp::register;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::testing::settle;
use std::io::Read;
use std::io::Write;
use std::net;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;

#[test]
fn a_stream_given_back_to_std_blocks_and_is_registered_nowhere() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        assert!(!is_blocking(&ours));
        register(&ours);
        let fd = ours.as_raw_fd();
        let mut ours = net::TcpStream::from(ours);
        assert_eq!(ours.as_raw_fd(), fd);
        assert!(is_blocking(&ours));
        assert!(!is_registered(fd));
        ours.write_all(b"std").unwrap();
        let mut buf = [0; 3];
        theirs.read_exact(&mut buf).unwrap();
        // And back again, through a plain descriptor this time.
        let ours = TcpStream::from(ours);
        assert!(!is_blocking(&ours));
        register(&ours);
        let ours = OwnedFd::from(ours);
        assert!(is_blocking(&ours));
        assert!(!is_registered(fd));
        let mut ours = TcpStream::from(ours);
        register(&ours);
        theirs.write_all(&buf).unwrap();
        ours.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"std");
    });
}

#[test]
fn a_listener_given_back_to_std_blocks_and_is_registered_nowhere() {
    giambio::run(|| {
        let listener = TcpListener::from(net::TcpListener::bind("127.0.0.1:0").unwrap());
        assert!(!is_blocking(&listener));
        let fd = listener.as_raw_fd();
        let cut = giambio::cancellable(|pool| {
            pool.spawn(|| {
                settle();
                pool.cancel();
            });
            listener.accept()
        });
        assert!(cut.is_none() && is_registered(fd));
        let listener = net::TcpListener::from(listener);
        assert!(is_blocking(&listener) && !is_registered(fd));
        let listener = OwnedFd::from(TcpListener::from(listener));
        assert!(is_blocking(&listener));
        let listener = TcpListener::from(listener);
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(!is_blocking(&listener.accept().unwrap().0));
    });
}

#[test]
fn what_is_printed_is_what_std_prints() {
    giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (printed, pretty) = (format!("{stream:?}"), format!("{stream:#?}"));
        let stream = net::TcpStream::from(stream);
        assert_eq!((printed, pretty), (format!("{stream:?}"), format!("{stream:#?}")));
        let printed = format!("{listener:?}");
        assert_eq!(listener.as_fd().as_raw_fd(), listener.as_raw_fd());
        assert_eq!(printed, format!("{:?}", net::TcpListener::from(listener)));
    });
}
