//! Pipes between tasks, threads and processes.

use crate::Log;
use crate::panic_of;
use giambio::cancellable;
use giambio::io::PipeReader;
use giambio::io::PipeWriter;
use giambio::io::pipe;
use giambio::pool;
use giambio::run;
use giambio::testing::settle;
use std::cell::Cell;
use std::io;
use std::io::ErrorKind;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::FromRawFd;
use std::os::fd::IntoRawFd;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::thread;

/// Whether calls on a descriptor fail instead of blocking.
#[track_caller]
pub(crate) fn is_nonblocking(fd: impl AsFd) -> bool {
    // SAFETY: the descriptor is open, and no pointers are passed.
    let flags = unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_GETFL) };
    assert!(flags >= 0, "{}", io::Error::last_os_error());
    flags & libc::O_NONBLOCK != 0
}

/// Writes until a write would block, and says how many bytes that were.
pub(crate) fn fill(writer: &PipeWriter) -> usize {
    let written = Cell::new(0);
    let cut = cancellable(|scope| {
        scope.spawn(|| {
            settle();
            scope.cancel();
        });
        loop {
            written.set(written.get() + (&*writer).write(&[7; 4096]).unwrap());
        }
    });
    assert_eq!(cut, None::<()>);
    written.get()
}

#[test]
fn smoke() {
    run(|| {
        let (mut reader, mut writer) = pipe().unwrap();
        pool(|pool| {
            pool.spawn(move || writer.write_all(b"hello").unwrap());
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            assert_eq!(text, "hello");
        });
    });
}

#[test]
fn a_read_parks_its_task_and_nobody_else() {
    run(|| {
        let (reader, writer) = pipe().unwrap();
        let log = Log::default();
        pool(|pool| {
            pool.spawn(|| {
                let mut buf = [0; 8];
                let count = (&reader).read(&mut buf).unwrap();
                log.add(str::from_utf8(&buf[..count]).unwrap());
            });
            settle();
            log.add("others run");
            (&writer).write_all(b"woken").unwrap();
        });
        log.assert(&["others run", "woken"]);
    });
}

#[test]
fn a_full_pipe_parks_the_writer_until_somebody_reads() {
    run(|| {
        let (reader, writer) = pipe().unwrap();
        let filled = fill(&writer);
        assert!(filled >= 4096, "{filled}");
        let log = Log::default();
        pool(|pool| {
            pool.spawn(|| {
                (&writer).write_all(b"more").unwrap();
                log.add("written");
            });
            settle();
            log.add("others run");
            let mut rest = vec![0; filled];
            (&reader).read_exact(&mut rest).unwrap();
            assert!(rest.iter().all(|&byte| byte == 7));
            let mut more = [0; 4];
            (&reader).read_exact(&mut more).unwrap();
            assert_eq!(&more, b"more");
        });
        log.assert(&["others run", "written"]);
    });
}

#[test]
fn more_than_it_holds_passes_whole() {
    const LENGTH: usize = 1 << 20;
    let sent: Vec<u8> = (0..LENGTH).map(|i| (i % 251) as u8).collect();
    run(|| {
        let (mut reader, writer) = pipe().unwrap();
        pool(|pool| {
            pool.spawn(|| {
                let mut writer = writer;
                writer.write_all(&sent).unwrap();
            });
            let mut got = Vec::new();
            reader.read_to_end(&mut got).unwrap();
            assert!(got == sent);
        });
    });
}

#[test]
fn the_end_comes_when_the_last_writer_is_dropped() {
    run(|| {
        let (mut reader, writer) = pipe().unwrap();
        let clone = writer.try_clone().unwrap();
        pool(|pool| {
            let end = pool.spawn(|| reader.read(&mut [0]).unwrap());
            drop(writer);
            settle();
            assert!(!end.is_finished(), "a clone is still there");
            drop(clone);
            assert_eq!(end.join().unwrap(), 0);
        });
    });
}

#[test]
fn a_write_without_readers_is_a_broken_pipe() {
    run(|| {
        let (reader, mut writer) = pipe().unwrap();
        let clone = reader.try_clone().unwrap();
        drop(reader);
        writer.write_all(b"there is a clone").unwrap();
        drop(clone);
        assert_eq!(writer.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        let parts = [IoSlice::new(b"x"), IoSlice::new(b"y")];
        assert_eq!((&writer).write_vectored(&parts).unwrap_err().kind(), ErrorKind::BrokenPipe);
        writer.flush().unwrap();
    });
}

#[test]
fn a_parked_writer_hears_that_the_last_reader_has_gone() {
    run(|| {
        let (reader, writer) = pipe().unwrap();
        fill(&writer);
        pool(|pool| {
            let write = pool.spawn(|| (&writer).write(b"x"));
            settle();
            drop(reader);
            assert_eq!(write.join().unwrap().unwrap_err().kind(), ErrorKind::BrokenPipe);
        });
    });
}

#[test]
fn vectored_calls_use_all_their_buffers() {
    run(|| {
        let (mut reader, mut writer) = pipe().unwrap();
        let parts = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cde")];
        assert_eq!(writer.write_vectored(&parts).unwrap(), 5);
        let (mut one, mut other) = ([0; 3], [0; 8]);
        let mut bufs = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut other)];
        assert_eq!(reader.read_vectored(&mut bufs).unwrap(), 5);
        assert_eq!((&one, &other[..2]), (b"abc", &b"de"[..]));
    });
}

#[test]
fn who_waits_longest_reads_first() {
    run(|| {
        let (reader, writer) = pipe().unwrap();
        let log = Log::default();
        pool(|pool| {
            for name in ["first", "second", "third"] {
                let (reader, log) = (&reader, &log);
                pool.spawn(move || {
                    let mut byte = [0];
                    (&*reader).read_exact(&mut byte).unwrap();
                    log.add(format!("{name} {}", char::from(byte[0])));
                });
            }
            settle();
            (&writer).write_all(b"abc").unwrap();
        });
        log.assert(&["first a", "second b", "third c"]);
    });
}

#[test]
fn a_cancelled_read_leaves_the_bytes() {
    run(|| {
        let (reader, writer) = pipe().unwrap();
        pool(|pool| {
            let task = pool.spawn(|| (&reader).read(&mut [0; 8]).unwrap());
            settle();
            (&writer).write_all(b"kept").unwrap();
            task.cancel();
            assert!(task.join().unwrap_err().is_cancelled());
        });
        let mut kept = [0; 4];
        (&reader).read_exact(&mut kept).unwrap();
        assert_eq!(&kept, b"kept");
    });
}

#[test]
fn on_a_plain_thread_it_blocks_the_thread() {
    let (mut reader, mut writer) = pipe().unwrap();
    let thread = thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    });
    writer.write_all(&[b'x'; 100_000]).unwrap(); // more than it holds
    drop(writer);
    assert_eq!(thread.join().unwrap().len(), 100_000);
}

#[test]
fn its_ends_serve_tasks_of_two_runtimes() {
    let (reader, writer) = pipe().unwrap();
    let other = thread::spawn(move || run(|| io::read_to_string(reader).unwrap()));
    run(|| {
        let mut writer = writer;
        (0..100).for_each(|i| writeln!(writer, "{i}").unwrap());
    });
    let expected: String = (0..100).map(|i| format!("{i}\n")).collect();
    assert_eq!(other.join().unwrap(), expected);
}

#[test]
fn what_comes_from_std_is_made_non_blocking_and_blocks_again_when_it_goes_back() {
    run(|| {
        let (reader, writer) = io::pipe().unwrap();
        assert!(!is_nonblocking(&reader) && !is_nonblocking(&writer));
        let (reader, writer) = (PipeReader::from(reader), PipeWriter::from(writer));
        assert!(is_nonblocking(&reader) && is_nonblocking(&writer));
        pool(|pool| {
            pool.spawn(|| (&reader).read(&mut [0]).unwrap()); // so that it is registered
            settle();
            (&writer).write_all(b"x").unwrap();
        });
        let (mut reader, mut writer) = (io::PipeReader::from(reader), io::PipeWriter::from(writer));
        assert!(!is_nonblocking(&reader) && !is_nonblocking(&writer));
        writer.write_all(b"still a pipe").unwrap();
        drop(writer);
        assert_eq!(io::read_to_string(&mut reader).unwrap(), "still a pipe");
    });
}

#[test]
fn descriptors_go_out_blocking_and_come_in_non_blocking() {
    run(|| {
        let (reader, writer) = pipe().unwrap();
        let (reader, writer) = (OwnedFd::from(reader), OwnedFd::from(writer));
        assert!(!is_nonblocking(&reader) && !is_nonblocking(&writer));
        let (reader, writer) = (PipeReader::from(reader), PipeWriter::from(writer));
        assert!(is_nonblocking(&reader) && is_nonblocking(&writer));
        let number = reader.as_raw_fd();
        let (reader, writer) = (reader.into_raw_fd(), writer.into_raw_fd());
        assert_eq!(reader, number);
        // SAFETY: it was given up by the line above.
        let mut reader = unsafe { PipeReader::from_raw_fd(reader) };
        // SAFETY: as above.
        let mut writer = unsafe { PipeWriter::from_raw_fd(writer) };
        assert!(is_nonblocking(&reader) && is_nonblocking(&writer));
        writer.write_all(b"x").unwrap();
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 1);
    });
}

#[test]
fn a_child_process_gets_blocking_ends_and_the_tasks_here_wait_for_it() {
    run(|| {
        let (its_input, mut ours_to_write) = pipe().unwrap();
        let (ours_to_read, its_output) = pipe().unwrap();
        let mut child = Command::new("cat")
            .stdin(its_input)
            .stdout(its_output)
            .spawn()
            .expect("there is a cat");
        pool(|pool| {
            pool.spawn(move || ours_to_write.write_all(&[b'x'; 200_000]).unwrap());
            assert_eq!(io::read_to_string(ours_to_read).unwrap().len(), 200_000);
        });
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn they_look_like_stds() {
    let (reader, writer) = io::pipe().unwrap();
    let expected = (format!("{reader:?}"), format!("{writer:?}"));
    let (reader, writer) = (PipeReader::from(reader), PipeWriter::from(writer));
    assert_eq!((format!("{reader:?}"), format!("{writer:?}")), expected);
}

#[test]
fn where_nothing_may_switch_a_read_that_would_wait_panics() {
    run(|| {
        let (reader, _writer) = pipe().unwrap();
        let text = panic_of(|| giambio::task::no_switch(|| (&reader).read(&mut [0])));
        assert!(text.contains("inside of `task::no_switch`"), "{text}");
    });
}
