//! Non-blocking mode: calls fail instead of parking. That errors are std's is in `net_surface`.

use crate::tcp::is_blocking;
use crate::tcp::is_registered;
use crate::tcp::pair;
use crate::tcp::register;
use giambio::lowlevel::wait_readable;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::net::UdpSocket;
use giambio::pool;
use giambio::testing::assert_checkpoint;
use giambio::testing::assert_no_switch;
use giambio::testing::settle;
use giambio::yield_now;
use std::fmt::Debug;
use std::io;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net;
use std::os::fd::AsRawFd;

#[track_caller]
fn assert_would_block<T: Debug>(result: io::Result<T>) {
    assert_eq!(result.unwrap_err().kind(), ErrorKind::WouldBlock);
}

/// Makes `call` until it does not fail for want of something.
fn poll<T>(mut call: impl FnMut() -> io::Result<T>) -> T {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => yield_now(),
            done => return done.unwrap(),
        }
    }
}

#[test]
fn smoke() {
    giambio::run(|| {
        let (mut ours, mut theirs) = pair();
        ours.set_nonblocking(true).unwrap();
        assert_would_block(ours.read(&mut [0]));
        theirs.write_all(b"x").unwrap();
        assert_eq!(poll(|| ours.read(&mut [0])), 1);
    });
}

#[test]
fn nothing_parks_and_nothing_is_registered() {
    giambio::run(|| {
        let (_connecting_has_registered_it, mut ours) = pair();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        ours.set_nonblocking(true).unwrap();
        listener.set_nonblocking(true).unwrap();
        udp.set_nonblocking(true).unwrap();
        let block = vec![0; 1 << 20];
        assert_no_switch(|| {
            assert_would_block(ours.read(&mut [0]));
            assert_would_block(ours.peek(&mut [0]));
            assert_would_block(listener.accept());
            assert_would_block(listener.incoming().next().unwrap());
            assert_would_block(udp.recv(&mut [0]));
            assert_would_block(udp.recv_from(&mut [0]));
            assert_would_block(udp.peek(&mut [0]));
            assert_would_block(udp.peek_from(&mut [0]));
            while ours.write(&block).is_ok() {}
            assert_would_block(ours.write(&block));
        });
        for fd in [ours.as_raw_fd(), listener.as_raw_fd(), udp.as_raw_fd()] {
            assert!(!is_registered(fd));
        }
    });
}

#[test]
fn a_call_is_a_checkpoint_all_the_same() {
    giambio::run(|| {
        let (ours, _theirs) = pair();
        ours.set_nonblocking(true).unwrap();
        assert_would_block(assert_checkpoint(|| (&ours).read(&mut [0])));
    });
}

#[test]
fn what_the_kernel_has_is_read_even_if_nobody_has_been_told() {
    giambio::run(|| {
        let (mut ours, mut theirs) = pair();
        register(&ours); // from now on it is known to be empty
        ours.set_nonblocking(true).unwrap();
        theirs.write_all(b"abc").unwrap();
        assert_no_switch(|| {
            // Only this thread fetches events, and it does not do so here.
            while let Err(error) = ours.read(&mut [0; 8]) {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
            }
        });
        assert_would_block(ours.read(&mut [0; 8]));
    });
}

#[test]
fn a_loop_that_yields_lets_the_others_bring_what_it_waits_for() {
    giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();
        pool(|pool| {
            pool.spawn(|| {
                let mut client = TcpStream::connect(addr).unwrap();
                for _ in 0..10 {
                    client.write_all(b"x").unwrap();
                    client.read_exact(&mut [0]).unwrap();
                }
            });
            let (mut server, _) = poll(|| listener.accept());
            // As with std on Linux, a connection does not have its listener's mode.
            server.set_nonblocking(true).unwrap();
            for _ in 0..10 {
                assert_eq!(poll(|| server.read(&mut [0; 8])), 1);
                assert_eq!(poll(|| server.write(b"y")), 1);
            }
        });
    });
}

#[test]
fn an_accepted_connection_blocks_whatever_its_listener_does() {
    giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = poll(|| listener.accept());
        pool(|pool| {
            let reader = pool.spawn(|| server.read(&mut [0]));
            settle();
            assert!(!reader.is_finished());
            client.write_all(b"x").unwrap();
            assert_eq!(reader.join().unwrap().unwrap(), 1);
        });
    });
}

#[test]
fn back_in_blocking_mode_a_read_parks() {
    giambio::run(|| {
        let (mut ours, mut theirs) = pair();
        ours.set_nonblocking(true).unwrap();
        assert_would_block(ours.read(&mut [0]));
        ours.set_nonblocking(false).unwrap();
        pool(|pool| {
            let reader = pool.spawn(|| ours.read(&mut [0; 8]));
            settle();
            assert!(!reader.is_finished());
            theirs.write_all(b"abc").unwrap();
            assert_eq!(reader.join().unwrap().unwrap(), 3);
        });
    });
}

#[test]
fn who_waits_already_goes_on_waiting() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        pool(|pool| {
            let reader = pool.spawn(|| (&ours).read(&mut [0; 8]));
            settle();
            ours.set_nonblocking(true).unwrap();
            for _ in 0..10 {
                assert_would_block((&ours).read(&mut [0]));
                yield_now();
            }
            assert!(!reader.is_finished());
            theirs.write_all(b"abc").unwrap();
            assert_eq!(reader.join().unwrap().unwrap(), 3);
        });
    });
}

#[test]
fn who_does_not_wait_is_before_those_who_do_and_they_get_the_rest() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        pool(|pool| {
            let readers = [(); 2].map(|()| pool.spawn(|| (&ours).read(&mut [0])));
            settle();
            theirs.write_all(b"a").unwrap();
            wait_in_the_kernel(&ours);
            ours.set_nonblocking(true).unwrap();
            assert_eq!((&ours).read(&mut [0]).unwrap(), 1);
            ours.set_nonblocking(false).unwrap();
            settle();
            assert!(readers.iter().all(|reader| !reader.is_finished()));
            theirs.write_all(b"bc").unwrap();
            readers.into_iter().for_each(|reader| assert_eq!(reader.join().unwrap().unwrap(), 1));
        });
    });
}

/// Blocks the thread until there is something to be read: no event is fetched meanwhile.
fn wait_in_the_kernel(stream: &TcpStream) {
    let mut entry = libc::pollfd { fd: stream.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: the entry is valid, and borrowed for the call.
    assert_eq!(unsafe { libc::poll(&raw mut entry, 1, 60_000) }, 1);
}

#[test]
fn readable_and_writable_park_and_then_the_call_does_not() {
    giambio::run(|| {
        let (mut ours, mut theirs) = pair();
        ours.set_nonblocking(true).unwrap();
        pool(|pool| {
            pool.spawn(|| {
                settle();
                theirs.write_all(b"x").unwrap();
            });
            ours.readable().unwrap();
            assert_eq!(ours.read(&mut [0]).unwrap(), 1);
        });
        let block = vec![0; 1 << 20];
        let mut written = 0;
        while let Ok(count) = ours.write(&block) {
            written += count;
        }
        pool(|pool| {
            pool.spawn(|| {
                settle();
                let mut sink = vec![0; 1 << 16];
                while written > 0 {
                    written -= theirs.read(&mut sink).unwrap();
                }
            });
            ours.writable().unwrap();
            assert!(ours.write(b"x").is_ok());
        });
    });
}

#[test]
fn clones_share_the_mode() {
    giambio::run(|| {
        let (ours, _theirs) = pair();
        let clone = ours.try_clone().unwrap();
        clone.set_nonblocking(true).unwrap();
        assert_would_block((&ours).read(&mut [0]));
        let third = ours.try_clone().unwrap();
        assert_would_block((&third).read(&mut [0]));
        ours.set_nonblocking(false).unwrap();
        assert!(giambio::skip_after(crate::ms(20), |_| (&third).read(&mut [0])).is_none());
    });
}

#[test]
fn the_mode_goes_with_the_socket_to_std_and_does_not_come_back() {
    giambio::run(|| {
        let (ours, _theirs) = pair();
        ours.set_nonblocking(true).unwrap();
        let stds = net::TcpStream::from(ours);
        assert!(!is_blocking(&stds));
        let ours = TcpStream::from(stds);
        assert!(giambio::skip_after(crate::ms(20), |_| (&ours).read(&mut [0])).is_none());
        assert!(is_blocking(net::TcpStream::from(ours)));
    });
}

#[test]
fn nothing_waits_on_a_thread_that_runs_no_tasks() {
    let (mut ours, mut theirs) = pair();
    ours.set_nonblocking(true).unwrap();
    assert_would_block(ours.read(&mut [0]));
    theirs.write_all(b"x").unwrap();
    wait_readable(&ours).unwrap();
    assert_eq!(ours.read(&mut [0]).unwrap(), 1);
    ours.set_nonblocking(false).unwrap();
    drop(theirs);
    assert_eq!(ours.read(&mut [0]).unwrap(), 0);
}
