//! Standard input: each of these has its own.

use crate::Scenario;
use crate::well;
use giambio::cancellable;
use giambio::debug::WaitReason;
use giambio::io::Cancelled;
use giambio::io::PipeReader;
use giambio::io::PipeWriter;
use giambio::io::pipe;
use giambio::io::stdin;
use giambio::io::stdout;
use giambio::pool;
use giambio::run;
use giambio::task::no_switch;
use giambio::task::no_unwind;
use giambio::testing::settle;
use giambio::yield_now;
use std::cell::Cell;
use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::io::BufRead;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::thread;

pub(crate) const SCENARIOS: &[Scenario] = &[
    well("lines_of_the_input_come_while_others_run", lines),
    well("a_cancelled_read_line_has_taken_nothing", cancelled_read_line),
    well("cancelled_reads_of_every_kind_leave_what_has_come", cancelled_reads),
    well("a_task_that_waits_for_the_inputs_lock_stops_nobody", input_lock),
    well("a_cancelled_wait_for_the_inputs_lock_leaves_the_line", cancelled_lock),
    well("a_thread_and_a_task_share_the_input", shared_input),
    well("where_nothing_may_unwind_a_read_of_the_input_reports", reported),
    well("a_read_of_the_input_in_a_destructor_gives_up", in_a_destructor),
    well("every_read_of_the_input_is_a_checkpoint", input_checkpoints),
    well("a_wait_for_the_inputs_lock_has_a_name", named_wait),
    well("a_line_longer_than_the_buffer_comes_whole", long_line),
    well("a_line_that_is_no_text_is_an_error_and_the_next_one_comes", no_text),
    well("the_input_ends_as_often_as_it_is_asked", the_end),
    well("a_closed_input_is_an_empty_one", closed_input),
    well("a_regular_file_is_an_input", file_input),
    well("a_socket_is_an_input", socket_input),
    well("a_terminal_is_an_input_and_an_output", terminal),
    well("standard_descriptors_stay_in_their_mode", modes),
    well("what_somebody_has_made_non_blocking_is_waited_for", made_non_blocking),
];

/// Puts `fd` in the place of a standard descriptor.
#[track_caller]
pub(crate) fn replace(number: libc::c_int, fd: impl Into<OwnedFd>) {
    let fd = fd.into();
    // SAFETY: no pointers; who uses a standard descriptor asks for its number each time.
    assert_eq!(unsafe { libc::dup2(fd.as_raw_fd(), number) }, number);
}

/// A pipe whose end is standard input.
fn input() -> PipeWriter {
    let (reader, writer) = pipe().unwrap();
    replace(0, reader);
    writer
}

/// A pipe whose end is standard output.
pub(crate) fn output() -> PipeReader {
    let (reader, writer) = pipe().unwrap();
    replace(1, writer);
    reader
}

fn send(mut to: &PipeWriter, text: &str) {
    to.write_all(text.as_bytes()).unwrap();
}

fn read_line() -> String {
    let mut line = String::new();
    stdin().read_line(&mut line).unwrap();
    line
}

fn is_nonblocking(fd: impl AsFd) -> bool {
    // SAFETY: no pointers are passed.
    let flags = unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_GETFL) };
    assert!(flags >= 0);
    flags & libc::O_NONBLOCK != 0
}

fn lines() {
    let writer = input();
    run(|| {
        let seen = RefCell::new(Vec::new());
        pool(|pool| {
            pool.spawn(|| {
                for line in stdin().lines() {
                    seen.borrow_mut().push(line.unwrap());
                }
            });
            for text in ["one\ntw", "o\n", "three"] {
                settle();
                seen.borrow_mut().push(format!("[{text}]"));
                send(&writer, text);
            }
            drop(writer);
        });
        assert_eq!(seen.take(), ["[one\ntw]", "one", "[o\n]", "two", "[three]", "three"]);
    });
}

fn cancelled_read_line() {
    let writer = input();
    run(|| {
        for part in ["a li", "ne in ", "parts"] {
            let mut line = String::new();
            pool(|pool| {
                let task = pool.spawn(|| stdin().read_line(&mut line));
                settle();
                send(&writer, part);
                settle(); // it has the part, and waits for more
                task.cancel();
                assert!(task.join().unwrap_err().is_cancelled());
            });
            assert_eq!(line, "");
        }
        send(&writer, "\nnext\n");
        assert_eq!(read_line(), "a line in parts\n");
        assert_eq!(read_line(), "next\n");
    });
}

fn cancelled_reads() {
    let writer = input();
    run(|| {
        let cut_by = |read: &dyn Fn()| {
            pool(|pool| {
                let task = pool.spawn(read);
                settle();
                send(&writer, "x");
                settle();
                task.cancel();
                task.join().is_err()
            })
        };
        assert!(cut_by(&|| drop(stdin().lines().next())));
        assert!(cut_by(&|| drop(stdin().lock().read_until(b'\n', &mut Vec::new()))));
        assert!(cut_by(&|| drop(stdin().lock().read_line(&mut String::new()))));
        assert!(!cut_by(&|| assert_eq!(stdin().read(&mut [0; 8]).unwrap(), 3)));
        send(&writer, "y\n");
        assert_eq!(read_line(), "xy\n");
    });
}

fn input_lock() {
    let writer = input();
    run(|| {
        let seen = RefCell::new(Vec::new());
        pool(|pool| {
            for name in ["first", "second", "third"] {
                let seen = &seen;
                pool.spawn(move || {
                    let line = read_line();
                    seen.borrow_mut().push(format!("{name} {line}"));
                });
            }
            settle(); // one waits for input, two for that one
            send(&writer, "a");
            settle();
            assert!(seen.borrow().is_empty());
            send(&writer, "\nb\nc\n");
        });
        assert_eq!(seen.take(), ["first a\n", "second b\n", "third c\n"]);
        // A lock that is held keeps others out, whether its holder waits or not.
        let mut lock = stdin().lock();
        pool(|pool| {
            let other = pool.spawn(read_line);
            send(&writer, "mine\nyours\n");
            let mut line = String::new();
            lock.read_line(&mut line).unwrap();
            settle();
            assert!(!other.is_finished());
            drop(lock);
            assert_eq!((line.as_str(), other.join().unwrap().as_str()), ("mine\n", "yours\n"));
        });
    });
}

fn cancelled_lock() {
    let writer = input();
    run(|| {
        pool(|pool| {
            let holder = pool.spawn(read_line);
            settle();
            let waiters = [(); 3].map(|()| pool.spawn(read_line));
            settle();
            let [first, second, third] = waiters;
            second.cancel();
            assert!(second.join().unwrap_err().is_cancelled());
            holder.cancel(); // parked with the lock, which goes to the next
            assert!(holder.join().unwrap_err().is_cancelled());
            send(&writer, "1\n2\n");
            assert_eq!(first.join().unwrap(), "1\n");
            assert_eq!(third.join().unwrap(), "2\n");
        });
    });
}

fn shared_input() {
    let writer = input();
    let thread = thread::spawn(|| (0..100).map(|_| read_line()).collect::<Vec<_>>());
    let mut all = run(|| {
        pool(|pool| {
            pool.spawn(|| (0..200).for_each(|i| send(&writer, &format!("{i}\n"))));
            (0..100).map(|_| read_line()).collect::<Vec<_>>()
        })
    });
    all.extend(thread.join().unwrap());
    let mut numbers: Vec<u32> = all.iter().map(|line| line.trim().parse().unwrap()).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..200));
}

#[track_caller]
fn assert_given_up<T>(result: io::Result<T>) {
    let Err(error) = result else { panic!("the call did not fail") };
    assert!(error.get_ref().is_some_and(|inner| inner.is::<Cancelled>()), "{error:?}");
}

fn reported() {
    let writer = input();
    run(|| {
        let cut = cancellable(|scope| {
            scope.cancel();
            no_unwind(|| {
                assert_given_up(stdin().read_line(&mut String::new()));
                send(&writer, "here\n");
                assert_eq!(read_line(), "here\n"); // what needs no wait is done
            });
            yield_now();
        });
        assert!(cut.is_none());
        // The same for one that waits for another's lock.
        pool(|pool| {
            let holder = pool.spawn(read_line);
            settle();
            let waiter = pool.spawn(|| {
                no_unwind(|| assert_given_up(stdin().read_line(&mut String::new())));
            });
            settle();
            waiter.cancel();
            waiter.join().unwrap();
            send(&writer, "x\n");
            assert_eq!(holder.join().unwrap(), "x\n");
        });
    });
}

/// Runs a closure when it is dropped.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn in_a_destructor() {
    let writer = input();
    run(|| {
        let done = Cell::new(0);
        let in_unwind = |call: &dyn Fn()| {
            pool(|pool| {
                let task = pool.spawn(|| {
                    let _call = OnDrop(|| {
                        call();
                        done.set(done.get() + 1);
                    });
                    giambio::sleep_forever()
                });
                settle();
                task.cancel();
                assert!(task.join().is_err());
            });
        };
        in_unwind(&|| assert_given_up(stdin().read_line(&mut String::new())));
        send(&writer, "ready\n");
        in_unwind(&|| assert_eq!(read_line(), "ready\n"));
        let lock = stdin().lock();
        in_unwind(&|| assert_given_up(stdin().read_line(&mut String::new())));
        drop(lock);
        assert_eq!(done.get(), 3);
    });
}

fn input_checkpoints() {
    let writer = input();
    run(|| {
        send(&writer, "one\ntwo\nthree\nfour\n");
        assert_eq!(read_line(), "one\n"); // the others are in the buffer now
        let calls: [&dyn Fn(); 6] = [
            &|| drop(stdin().lock()),
            &|| drop(read_line()),
            &|| drop(stdin().lines()),
            &|| drop(stdin().read(&mut [0])),
            &|| drop(stdin().lock().fill_buf().map(drop)),
            &|| drop(stdout().lock()),
        ];
        for call in calls {
            giambio::testing::assert_checkpoint(call);
        }
        // With the lock in hand as well.
        let lock = RefCell::new(stdin().lock());
        let calls: [&dyn Fn(); 3] = [
            &|| drop(lock.borrow_mut().read(&mut [0])),
            &|| drop(lock.borrow_mut().read_line(&mut String::new())),
            &|| drop(lock.borrow_mut().read_until(b'\n', &mut Vec::new())),
        ];
        for call in calls {
            giambio::testing::assert_checkpoint(call);
        }
    });
}

/// The text of the panic in which `f` ends.
fn panic_of(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("it panics");
    *payload.downcast().expect("a text")
}

fn named_wait() {
    let _writer = input();
    run(|| {
        pool(|pool| {
            let lock = stdin().lock();
            let waiter = pool.spawn(read_line);
            settle();
            let text = panic_of(|| no_switch(|| drop(stdin().lock())));
            assert!(text.starts_with("`lock` would switch"), "{text}");
            let text = panic_of(|| no_switch(|| drop(stdin().read(&mut [0]))));
            assert!(text.starts_with("`lock` would switch"), "{text}");
            assert_eq!(WaitReason::Lock.to_string(), "waits for a lock");
            waiter.cancel();
            drop(lock);
            let text = panic_of(|| no_switch(|| drop(stdin().read(&mut [0]))));
            assert!(text.starts_with("a read or an `accept` would switch"), "{text}");
        });
    });
}

fn long_line() {
    let writer = input();
    let long = "x".repeat(1_000_000);
    run(|| {
        pool(|pool| {
            pool.spawn(|| send(&writer, &format!("{long}\nshort\n")));
            assert_eq!(read_line().trim_end(), long);
            assert_eq!(read_line(), "short\n");
        });
    });
}

fn no_text() {
    let writer = input();
    (&writer).write_all(b"\xff\xfe\nfine\n").unwrap();
    run(|| {
        let mut line = "as before".to_owned();
        let error = stdin().read_line(&mut line).unwrap_err();
        assert_eq!((error.kind(), line.as_str()), (ErrorKind::InvalidData, "as before"));
        assert_eq!(stdin().read_line(&mut line).unwrap(), 5);
        assert_eq!(line, "as beforefine\n");
    });
}

fn the_end() {
    let writer = input();
    send(&writer, "last");
    drop(writer);
    run(|| {
        assert_eq!(read_line(), "last");
        assert_eq!(read_line(), "");
        assert_eq!(stdin().read(&mut [0]).unwrap(), 0);
        assert_eq!(io::read_to_string(stdin()).unwrap(), "");
    });
}

fn closed_input() {
    let read = || assert_eq!(read_line(), "");
    run(|| {
        // Not before this: the runtime's own descriptors would be the next to be called 0.
        // SAFETY: nothing of this process uses it.
        assert_eq!(unsafe { libc::close(0) }, 0);
        read();
    });
    read();
}

fn file_input() {
    let program = std::env::current_exe().unwrap();
    let length = program.metadata().unwrap().len();
    replace(0, File::open(program).unwrap());
    run(|| {
        let mut all = Vec::new();
        assert_eq!(stdin().read_to_end(&mut all).unwrap() as u64, length);
        assert!(all.starts_with(b"\x7fELF"));
    });
}

fn socket_input() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    replace(0, theirs);
    run(|| {
        pool(|pool| {
            let line = pool.spawn(read_line);
            settle();
            (&ours).write_all(b"from a socket\n").unwrap();
            assert_eq!(line.join().unwrap(), "from a socket\n");
        });
    });
}

/// Both sides of a terminal.
fn open_terminal() -> (File, OwnedFd) {
    let (mut ours, mut theirs) = (-1, -1);
    let none = std::ptr::null_mut();
    // SAFETY: the numbers' places are borrowed for the call; the rest may be null.
    let result =
        unsafe { libc::openpty(&raw mut ours, &raw mut theirs, none, none.cast(), none.cast()) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
    // SAFETY: the kernel has just made it for us.
    let ours = unsafe { File::from_raw_fd(ours) };
    // SAFETY: as above.
    (ours, unsafe { OwnedFd::from_raw_fd(theirs) })
}

fn terminal() {
    let (mut ours, theirs) = open_terminal();
    replace(0, theirs.try_clone().unwrap());
    replace(1, theirs);
    assert!(stdin().is_terminal() && stdout().is_terminal());
    assert!(stdin().lock().is_terminal() && stdout().lock().is_terminal());
    run(|| {
        pool(|pool| {
            let line = pool.spawn(read_line);
            ours.write_all(b"typed").unwrap();
            settle();
            assert!(!line.is_finished(), "the line has no end yet");
            ours.write_all(b"\n").unwrap();
            assert_eq!(line.join().unwrap(), "typed\n");
        });
        writeln!(stdout(), "printed").unwrap();
    });
    let mut echo = vec![0; "typed\r\nprinted\r\n".len()];
    ours.read_exact(&mut echo).unwrap();
    assert_eq!(String::from_utf8(echo).unwrap(), "typed\r\nprinted\r\n");
}

fn modes() {
    let (writer, reader) = (input(), output());
    let check = || assert!(!is_nonblocking(io::stdin()) && !is_nonblocking(io::stdout()));
    check();
    run(|| {
        pool(|pool| {
            pool.spawn(read_line);
            settle();
            check(); // while a task waits
            send(&writer, "x\n");
        });
        writeln!(stdout(), "y").unwrap();
        stdout().flush().unwrap();
        check();
    });
    check();
    assert_eq!((&reader).read(&mut [0; 8]).unwrap(), 2);
}

fn made_non_blocking() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    replace(0, theirs.try_clone().unwrap());
    replace(1, theirs);
    run(|| {
        pool(|pool| {
            let line = pool.spawn(read_line);
            settle();
            (&ours).write_all(b"x\n").unwrap();
            assert_eq!(line.join().unwrap(), "x\n");
            let all = pool.spawn(|| stdout().write_all(&[b'\n'; 1 << 20]).unwrap());
            settle();
            assert!(!all.is_finished());
            let mut left = 1 << 20;
            while left > 0 {
                giambio::lowlevel::wait_readable(&ours).unwrap();
                left -= (&ours).read(&mut [0; 1 << 16]).unwrap();
            }
        });
    });
}
