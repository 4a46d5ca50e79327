//! Waiting for descriptors of every kind.

use crate::ms;
use crate::tcp::is_blocking;
use crate::tcp::is_registered;
use crate::tcp::pair;
use crate::tcp::register;
use crate::threads::until_asleep;
use giambio::io::Cancelled;
use giambio::lowlevel::wait_readable;
use giambio::lowlevel::wait_writable;
use giambio::task::no_unwind;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use std::cell::Cell;
use std::fs::File;
use std::io;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A wait for one direction of a descriptor.
type Wait = fn(BorrowedFd<'_>) -> io::Result<()>;

const READABLE: Wait = |fd| wait_readable(fd);
const WRITABLE: Wait = |fd| wait_writable(fd);

/// Has a task wait, checks that it parks, and that it ends once `make_ready` was called.
#[track_caller]
fn parks_until(wait: Wait, fd: impl AsFd, make_ready: impl FnOnce()) {
    let fd = fd.as_fd();
    giambio::pool(|pool| {
        let waiter = pool.spawn(move || wait(fd));
        settle();
        assert!(!waiter.is_finished(), "nothing was ready, and the wait has ended");
        assert!(is_registered(fd.as_raw_fd()));
        make_ready();
        waiter.join().unwrap().unwrap();
    });
    assert!(!is_registered(fd.as_raw_fd()), "the registration has outlived the wait");
}

/// Checks that a wait for what is ready lets nobody else run.
#[track_caller]
fn returns_at_once(wait: Wait, fd: impl AsFd) {
    let ran = Cell::new(false);
    giambio::pool(|pool| {
        pool.spawn(|| ran.set(true));
        wait(fd.as_fd()).unwrap();
        assert!(!ran.get(), "a wait for what is ready has parked");
    });
}

/// A counter of the kernel: readable while it is not 0.
fn eventfd() -> File {
    // SAFETY: eventfd(2) takes no pointer.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
    assert!(fd >= 0, "{}", io::Error::last_os_error());
    // SAFETY: the kernel has just made this descriptor for us.
    unsafe { OwnedFd::from_raw_fd(fd) }.into()
}

/// Writes to a descriptor in blocking mode until a write would block.
fn fill(mut file: impl Write + AsFd) {
    let block = [0; 1024];
    while is_ready_to_write(file.as_fd()) {
        file.write_all(&block).unwrap();
    }
}

fn is_ready_to_write(fd: BorrowedFd<'_>) -> bool {
    let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    // SAFETY: `entry` is one valid `pollfd`, borrowed for the call.
    unsafe { libc::poll(&raw mut entry, 1, 0) > 0 }
}

#[test]
fn smoke() {
    run_virtual(|| {
        let (mut reader, mut writer) = io::pipe().unwrap();
        parks_until(READABLE, reader.try_clone().unwrap(), || writer.write_all(b"x").unwrap());
        reader.read_exact(&mut [0]).unwrap();
    });
}

#[test]
fn a_pipe_is_readable_when_it_holds_something_and_writable_when_it_has_room() {
    run_virtual(|| {
        let (mut reader, mut writer) = io::pipe().unwrap();
        returns_at_once(WRITABLE, &writer);
        writer.write_all(b"x").unwrap();
        returns_at_once(READABLE, &reader);
        reader.read_exact(&mut [0]).unwrap();
        fill(&writer);
        let mut held = vec![0; 1 << 16];
        parks_until(WRITABLE, &writer, || assert!(reader.read(&mut held).unwrap() > 0));
    });
}

#[test]
fn a_socket_pair_is_waited_for_in_both_directions_and_keeps_its_blocking_mode() {
    run_virtual(|| {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        assert!(is_blocking(&ours));
        parks_until(READABLE, ours.try_clone().unwrap(), || theirs.write_all(b"x").unwrap());
        ours.read_exact(&mut [0]).unwrap();
        theirs.set_nonblocking(true).unwrap();
        while ours.set_nonblocking(true).is_ok() && ours.write(&[0; 4096]).is_ok() {}
        ours.set_nonblocking(false).unwrap();
        parks_until(WRITABLE, ours.try_clone().unwrap(), || {
            while theirs.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {}
        });
        assert!(is_blocking(&ours) && !is_blocking(&theirs));
    });
}

#[test]
fn an_eventfd_is_readable_while_it_counts_something() {
    run_virtual(|| {
        let mut counter = eventfd();
        let mut other = counter.try_clone().unwrap();
        returns_at_once(WRITABLE, &counter);
        for _ in 0..3 {
            parks_until(READABLE, &counter, || other.write_all(&1_u64.to_ne_bytes()).unwrap());
            returns_at_once(READABLE, &counter);
            counter.read_exact(&mut [0; 8]).unwrap();
        }
    });
}

#[test]
fn what_is_always_ready_returns_at_once() {
    run_virtual(|| {
        for path in ["Cargo.toml", "src", "/dev/null", "/proc/self/stat"] {
            let file = File::open(path).unwrap();
            returns_at_once(READABLE, &file);
            returns_at_once(WRITABLE, &file);
        }
    });
}

#[test]
fn a_peer_that_is_gone_ends_a_wait() {
    run_virtual(|| {
        let (reader, writer) = io::pipe().unwrap();
        parks_until(READABLE, &reader, || drop(writer));
        returns_at_once(READABLE, &reader);

        let (reader, writer) = io::pipe().unwrap();
        fill(&writer);
        parks_until(WRITABLE, &writer, || drop(reader));
        returns_at_once(WRITABLE, &writer);

        let (ours, theirs) = UnixStream::pair().unwrap();
        parks_until(READABLE, &ours, || drop(theirs));
        returns_at_once(WRITABLE, &ours);
    });
}

#[test]
fn a_descriptor_that_is_none_is_an_error_inside_and_outside() {
    let check = || {
        // SAFETY: no descriptor has this number (it lies above every limit), and none is closed.
        let none = unsafe { BorrowedFd::borrow_raw(i32::MAX) };
        for wait in [READABLE, WRITABLE] {
            assert_eq!(wait(none).unwrap_err().raw_os_error(), Some(libc::EBADF));
        }
    };
    run_virtual(check);
    check();
}

#[test]
fn every_task_that_waits_for_a_descriptor_is_woken() {
    run_virtual(|| {
        let (reader, mut writer) = io::pipe().unwrap();
        giambio::pool(|pool| {
            let waiters = [(); 5].map(|()| pool.spawn(|| wait_readable(&reader)));
            settle();
            assert!(waiters.iter().all(|waiter| !waiter.is_finished()));
            writer.write_all(b"x").unwrap();
            waiters.into_iter().for_each(|waiter| waiter.join().unwrap().unwrap());
        });
        assert!(!is_registered(reader.as_raw_fd()));
    });
}

#[test]
fn the_two_directions_of_a_descriptor_are_waited_for_at_once() {
    run_virtual(|| {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        while (&ours).write(&[0; 4096]).is_ok() {}
        giambio::pool(|pool| {
            let read = pool.spawn(|| wait_readable(&ours));
            let write = pool.spawn(|| wait_writable(&ours));
            settle();
            theirs.write_all(b"x").unwrap();
            read.join().unwrap().unwrap();
            assert!(!write.is_finished());
            theirs.set_nonblocking(true).unwrap();
            while theirs.read(&mut [0; 4096]).is_ok() {}
            write.join().unwrap().unwrap();
        });
    });
}

#[test]
fn a_registered_stream_is_waited_for_as_well() {
    giambio::run(|| {
        let (mut ours, mut theirs) = pair();
        register(&ours);
        giambio::pool(|pool| {
            let waiters = [(); 2].map(|()| pool.spawn(|| wait_readable(&ours)));
            settle();
            theirs.write_all(b"abc").unwrap();
            waiters.into_iter().for_each(|waiter| waiter.join().unwrap().unwrap());
        });
        assert!(is_registered(ours.as_raw_fd())); // its own registration has stayed
        assert_eq!(ours.read(&mut [0; 8]).unwrap(), 3);
        giambio::pool(|pool| {
            pool.spawn(|| {
                settle();
                theirs.write_all(b"de").unwrap();
            });
            assert_eq!(ours.read(&mut [0; 8]).unwrap(), 2);
        });
    });
}

#[test]
fn a_stream_can_register_while_its_descriptor_is_waited_for() {
    giambio::run(|| {
        let (mut ours, mut theirs) = pair();
        giambio::pool(|pool| {
            let waiter = pool.spawn(|| wait_readable(&ours));
            let reader = pool.spawn(|| (&ours).read(&mut [0; 8]));
            settle();
            theirs.write_all(b"abc").unwrap();
            assert_eq!(reader.join().unwrap().unwrap(), 3);
            waiter.join().unwrap().unwrap();
        });
        // The wait is over, and the stream's own registration still works.
        for _ in 0..3 {
            giambio::pool(|pool| {
                pool.spawn(|| {
                    settle();
                    theirs.write_all(b"de").unwrap();
                });
                assert_eq!(ours.read(&mut [0; 8]).unwrap(), 2);
            });
        }
        let fd = ours.as_raw_fd();
        let std = std::net::TcpStream::from(ours);
        assert!(!is_registered(fd));
        drop(std);
        drop(theirs);
    });
}

#[test]
fn a_wait_that_was_cut_has_changed_nothing() {
    // A deadline and real I/O: no virtual clock could know which comes first.
    giambio::run(|| {
        let (mut reader, mut writer) = io::pipe().unwrap();
        let parked = giambio::skip_after(ms(1), |_| wait_readable(&reader));
        assert!(parked.is_none());
        assert!(!is_registered(reader.as_raw_fd()));
        parks_until(READABLE, &reader, || writer.write_all(b"x").unwrap());
        let ready = giambio::cancellable(|pool| {
            pool.cancel();
            wait_readable(&reader)
        });
        assert!(ready.is_none());
        assert!(giambio::with_timeout(Duration::ZERO, |_| wait_readable(&reader)).is_err());
        reader.read_exact(&mut [0]).unwrap();
        giambio::pool(|pool| {
            let waiters = [(); 3].map(|()| pool.spawn(|| wait_readable(&reader)));
            settle();
            waiters[0].cancel(); // the one whose registration is the descriptor's own
            settle();
            writer.write_all(b"x").unwrap();
            let [first, second, third] = waiters.map(|waiter| waiter.join());
            assert!(first.unwrap_err().is_cancelled());
            second.unwrap().unwrap();
            third.unwrap().unwrap();
        });
    });
}

#[test]
fn where_nothing_may_unwind_a_cancelled_wait_is_an_error() {
    run_virtual(|| {
        let (reader, writer) = io::pipe().unwrap();
        giambio::pool(|pool| {
            let waiter = pool.spawn(|| {
                let parked = no_unwind(|| wait_readable(&reader)).unwrap_err();
                let before = no_unwind(|| wait_readable(&reader)).unwrap_err();
                no_unwind(|| wait_writable(&writer)).unwrap(); // ready: one attempt is enough
                [parked, before]
            });
            settle();
            pool.cancel();
            for error in waiter.join().unwrap() {
                assert_eq!(error.kind(), ErrorKind::Other);
                assert!(error.get_ref().is_some_and(|inner| inner.is::<Cancelled>()));
            }
        });
    });
}

#[test]
fn outside_of_run_a_wait_blocks_its_thread() {
    let (reader, mut writer) = io::pipe().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::scope(|threads| {
        let waiter = threads.spawn(|| {
            tell.send(crate::threads::thread_id()).unwrap();
            wait_readable(&reader).unwrap();
        });
        until_asleep(told.recv().unwrap());
        assert!(!waiter.is_finished());
        writer.write_all(b"x").unwrap();
        waiter.join().unwrap();
        wait_readable(&reader).unwrap();
        wait_writable(&writer).unwrap();
    });
}

#[test]
fn two_runtimes_wait_for_one_descriptor() {
    let (reader, mut writer) = io::pipe().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::scope(|threads| {
        let waiters = [(); 2].map(|()| {
            let (tell, reader) = (tell.clone(), &reader);
            threads.spawn(move || {
                giambio::run(|| {
                    tell.send(crate::threads::thread_id()).unwrap();
                    wait_readable(reader).unwrap();
                });
            })
        });
        until_asleep(told.recv().unwrap());
        until_asleep(told.recv().unwrap());
        writer.write_all(b"x").unwrap();
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    });
}
