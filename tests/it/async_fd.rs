//! Any descriptor, wrapped.

use crate::Log;
use crate::pipe::is_nonblocking;
use giambio::io::Async;
use giambio::pool;
use giambio::run;
use giambio::testing::settle;
use std::fs::File;
use std::io;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Seek;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::process::Stdio;
use std::thread;

/// An `eventfd(2)`: eight bytes that can be read once they are not all zeroes.
fn eventfd() -> OwnedFd {
    // SAFETY: no pointers are passed.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
    assert!(fd >= 0, "{}", io::Error::last_os_error());
    // SAFETY: the kernel has just made it for us.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

#[test]
fn smoke() {
    run(|| {
        let event = Async::new(eventfd()).unwrap();
        let log = Log::default();
        pool(|pool| {
            pool.spawn(|| {
                let mut count = [0; 8];
                (&event).read_exact(&mut count).unwrap();
                log.add(u64::from_ne_bytes(count).to_string());
            });
            settle();
            log.add("others run");
            (&event).write_all(&3_u64.to_ne_bytes()).unwrap();
        });
        log.assert(&["others run", "3"]);
    });
}

#[test]
fn readiness_is_waited_for_without_a_call_on_the_inner_value() {
    run(|| {
        let event = Async::new(eventfd()).unwrap();
        let log = Log::default();
        pool(|pool| {
            let reader = pool.spawn(|| {
                event.readable().unwrap();
                log.add("readable");
                let mut count = [0; 8];
                (&event).read_exact(&mut count).unwrap(); // nothing was taken
                u64::from_ne_bytes(count)
            });
            settle();
            event.writable().unwrap(); // there is room at once
            log.add("writable");
            (&event).write_all(&u64::to_ne_bytes(u64::MAX - 1)).unwrap(); // and now none
            assert_eq!(reader.join().unwrap(), u64::MAX - 1);

            (&event).write_all(&u64::to_ne_bytes(u64::MAX - 1)).unwrap();
            pool.spawn(|| {
                event.writable().unwrap();
                log.add("room");
            });
            settle();
            log.add("full");
            (&event).read_exact(&mut [0; 8]).unwrap();
        });
        log.assert(&["writable", "readable", "full", "room"]);
    });
}

#[test]
fn a_call_is_made_again_until_it_does_not_block() {
    run(|| {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let ours = Async::new(ours).unwrap();
        pool(|pool| {
            let received = pool.spawn(|| {
                let (mut calls, mut buf) = (0, [0; 8]);
                let count = ours.read_with(|socket| {
                    calls += 1;
                    socket.recv(&mut buf)
                });
                (calls, count.unwrap())
            });
            settle();
            theirs.send(b"hello").unwrap();
            assert_eq!(received.join().unwrap(), (2, 5));
        });
    });
}

#[test]
fn a_writer_waits_for_room() {
    run(|| {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let ours = Async::new(ours).unwrap();
        while ours.get_ref().send(b"x").is_ok() {}
        pool(|pool| {
            let sent = pool.spawn(|| ours.write_with(|socket| socket.send(b"last")));
            settle();
            assert!(!sent.is_finished());
            theirs.set_nonblocking(true).unwrap();
            let mut buf = [0; 8];
            while theirs.recv(&mut buf).is_ok_and(|count| count < 4) {}
            assert_eq!(sent.join().unwrap().unwrap(), 4);
        });
    });
}

#[test]
fn an_error_of_the_call_comes_back_as_it_is() {
    run(|| {
        let event = Async::new(eventfd()).unwrap();
        let error = event.read_with(|_| Err::<(), _>(io::Error::from_raw_os_error(libc::EXDEV)));
        assert_eq!(error.unwrap_err().raw_os_error(), Some(libc::EXDEV));
        let mut interruptions = 0;
        let value = event.write_with(|_| {
            interruptions += 1;
            if interruptions < 3 { Err(ErrorKind::Interrupted.into()) } else { Ok(interruptions) }
        });
        assert_eq!(value.unwrap(), 3);
    });
}

#[test]
fn a_regular_file_just_works() {
    run(|| {
        let mut file = Async::new(File::open("/proc/self/exe").unwrap()).unwrap();
        let mut magic = [0; 4];
        file.read_exact(&mut magic).unwrap();
        assert_eq!(&magic, b"\x7fELF");
        file.get_ref().rewind().unwrap();
        let count = file.read_with(|mut file| file.read(&mut magic)).unwrap();
        assert_eq!(count, 4);
        let null = File::options().write(true).open("/dev/null").unwrap();
        Async::new(null).unwrap().write_all(b"x").unwrap();
    });
}

#[test]
fn a_file_that_says_it_would_block_cannot_be_waited_for() {
    run(|| {
        let file = Async::new(File::open("/proc/self/exe").unwrap()).unwrap();
        let never = || Err::<(), _>(io::Error::from(ErrorKind::WouldBlock));
        let error = file.read_with(|_| never()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    });
}

#[test]
fn the_mode_is_restored_to_what_it_was() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let ours = Async::new(ours).unwrap();
    assert!(is_nonblocking(&ours));
    let ours = ours.into_inner().unwrap();
    assert!(!is_nonblocking(&ours));
    ours.set_nonblocking(true).unwrap();
    let ours = Async::new(ours).unwrap().into_inner().unwrap();
    assert!(is_nonblocking(&ours));
}

#[test]
fn what_is_taken_out_can_be_registered_again() {
    run(|| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let read_one = |ours: &Async<UnixStream>| {
            pool(|pool| {
                let reader = pool.spawn(|| (&*ours).read(&mut [0]).unwrap());
                settle();
                (&theirs).write_all(b"x").unwrap();
                assert_eq!(reader.join().unwrap(), 1);
            });
        };
        let ours = Async::new(ours).unwrap();
        read_one(&ours);
        let ours = Async::new(ours.into_inner().unwrap()).unwrap();
        read_one(&ours);
    });
}

#[test]
fn a_borrowed_descriptor_will_do() {
    run(|| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let fd: BorrowedFd<'_> = ours.as_fd();
        let mut wrapped = Async::new(fd).unwrap();
        assert_eq!(wrapped.as_raw_fd(), ours.as_raw_fd());
        pool(|pool| {
            pool.spawn(|| (&theirs).write_all(b"x").unwrap());
            assert_eq!(wrapped.read(&mut [0; 8]).unwrap(), 1);
        });
        wrapped.into_inner().unwrap();
        assert!(!is_nonblocking(&ours));
    });
}

#[test]
fn a_childs_output_is_waited_for() {
    run(|| {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("there is a cat");
        let mut input = Async::new(child.stdin.take().unwrap()).unwrap();
        let output = Async::new(child.stdout.take().unwrap()).unwrap();
        pool(|pool| {
            let text = pool.spawn(|| io::read_to_string(&output).unwrap());
            settle();
            input.write_all(&[b'x'; 100_000]).unwrap();
            drop(input);
            assert_eq!(text.join().unwrap().len(), 100_000);
        });
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn on_a_plain_thread_it_blocks_the_thread() {
    let event = Async::new(eventfd()).unwrap();
    thread::scope(|scope| {
        let reader = scope.spawn(|| (&event).read(&mut [0; 8]).unwrap());
        (&event).write_all(&1_u64.to_ne_bytes()).unwrap();
        assert_eq!(reader.join().unwrap(), 8);
    });
}

#[test]
fn a_program_may_ask_for_shared_readers_and_leave_the_type_to_be_inferred() {
    fn read_all<T>(mut from: &T) -> String
    where
        for<'a> &'a T: Read,
    {
        let mut text = String::new();
        from.read_to_string(&mut text).map(|_| text).unwrap()
    }
    run(|| {
        let (reader, writer) = giambio::io::pipe().unwrap();
        drop(writer);
        assert_eq!(read_all(&reader), "");
    });
}

#[test]
fn it_shows_what_is_inside() {
    let wrapped = Async::new(eventfd()).unwrap();
    assert_eq!(format!("{wrapped:?}"), format!("Async({:?})", wrapped.get_ref()));
}
