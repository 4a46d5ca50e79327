//! Standard output: each of these has its own.

use crate::Scenario;
use crate::harness::play_arguments;
use crate::stdin::output;
use crate::stdin::replace;
use crate::well;
use giambio::cancellable;
use giambio::io::stdout;
use giambio::pool;
use giambio::run;
use giambio::task::no_unwind;
use giambio::testing::settle;
use giambio::yield_now;
use std::cell::Cell;
use std::fs::File;
use std::io;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Seek;
use std::io::Write;
use std::os::fd::FromRawFd;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

pub(crate) const SCENARIOS: &[Scenario] = &[
    well("a_full_output_parks_the_task_and_nobody_else", full_output),
    well("lines_come_in_the_order_of_those_of_println", with_println),
    well("nobody_comes_between_the_writes_of_who_has_the_lock", output_lock),
    well("what_one_call_writes_stays_together", together),
    well("an_output_without_readers_is_a_broken_pipe", broken_output),
    well("a_cancelled_write_has_written_nothing", cancelled_write),
    well("a_line_without_an_end_is_written_when_the_process_ends", unflushed),
    well("a_value_that_cannot_be_formatted_is_an_error", unformatted),
    well("a_child_process_inherits_the_output", inherited),
];

/// Writes lines until there is no room, and says how many bytes that were.
fn fill_output() -> usize {
    let written = Cell::new(0);
    let cut = cancellable(|scope| {
        scope.spawn(|| {
            settle();
            scope.cancel();
        });
        loop {
            written.set(written.get() + stdout().write(&[b'\n'; 1024]).unwrap());
        }
    });
    assert_eq!(cut, None::<()>);
    written.get()
}

fn full_output() {
    let reader = output();
    run(|| {
        let filled = fill_output();
        assert!(filled >= 4096, "{filled}");
        pool(|pool| {
            let line = pool.spawn(|| writeln!(stdout(), "more").unwrap());
            settle(); // others run
            assert!(!line.is_finished());
            let mut all = vec![0; filled + 5];
            (&reader).read_exact(&mut all).unwrap();
            assert!(all.ends_with(b"\nmore\n"));
        });
        // Much more than any pipe holds, in one call.
        pool(|pool| {
            pool.spawn(|| stdout().write_all(&[b'\n'; 300_000]).unwrap());
            (&reader).read_exact(&mut [0; 300_000]).unwrap();
        });
    });
}

fn with_println() {
    let reader = output();
    let mut std = io::stdout();
    run(|| {
        write!(stdout(), "a").unwrap();
        write!(std, "b").unwrap(); // as `print!` does
        writeln!(stdout(), "c{}", 1).unwrap();
        writeln!(std, "d").unwrap();
        write!(stdout(), "e").unwrap();
        stdout().flush().unwrap();
        let mut all = [0; 7];
        (&reader).read_exact(&mut all).unwrap();
        assert_eq!(&all, b"abc1\nd\n"[..].first_chunk().unwrap());
        let mut rest = [0; 1];
        (&reader).read_exact(&mut rest).unwrap();
        assert_eq!(&rest, b"e");
    });
}

fn output_lock() {
    let reader = output();
    run(|| {
        pool(|pool| {
            pool.spawn(|| {
                let mut out = stdout().lock();
                writeln!(out, "one").unwrap();
                giambio::sleep(Duration::from_millis(1));
                writeln!(stdout(), "two").unwrap(); // who has it may come again
                drop(stdout().lock());
                yield_now();
                writeln!(out, "three").unwrap();
            });
            pool.spawn(|| writeln!(stdout(), "four").unwrap());
            let cut = pool.spawn(|| writeln!(stdout(), "never").unwrap());
            yield_now();
            cut.cancel();
        });
        // A plain thread waits for it too.
        let lock = stdout().lock();
        let thread = thread::spawn(|| writeln!(stdout(), "six").unwrap());
        giambio::sleep(Duration::from_millis(10));
        writeln!(stdout(), "five").unwrap();
        drop(lock);
        thread.join().unwrap();
        let expected = b"one\ntwo\nthree\nfour\nfive\nsix\n";
        let mut all = vec![0; expected.len()];
        (&reader).read_exact(&mut all).unwrap();
        assert_eq!(String::from_utf8_lossy(&all), String::from_utf8_lossy(expected));
    });
}

fn together() {
    let reader = output();
    let line = |letter: &str| format!("{}\n", letter.repeat(20_000));
    run(|| {
        pool(|pool| {
            for letter in ["a", "b", "c"] {
                pool.spawn(move || write!(stdout(), "{}", line(letter)).unwrap());
            }
            let mut all = vec![0; 3 * 20_001];
            (&reader).read_exact(&mut all).unwrap();
            assert!(String::from_utf8(all).unwrap() == ["a", "b", "c"].map(line).concat());
        });
    });
}

fn broken_output() {
    let reader = output();
    run(|| {
        fill_output();
        pool(|pool| {
            let write = pool.spawn(|| writeln!(stdout(), "x"));
            settle();
            drop(reader); // under a parked writer
            assert_eq!(write.join().unwrap().unwrap_err().kind(), ErrorKind::BrokenPipe);
        });
    });
    // std flushes what is left when the process ends.
    replace(1, File::options().write(true).open("/dev/null").unwrap());
}

fn cancelled_write() {
    let reader = output();
    run(|| {
        let filled = fill_output();
        pool(|pool| {
            let write = pool.spawn(|| stdout().write(b"never\n").unwrap());
            let line = pool.spawn(|| writeln!(stdout(), "now").unwrap());
            settle();
            write.cancel();
            assert!(write.join().unwrap_err().is_cancelled());
            let mut all = vec![0; filled + 4];
            (&reader).read_exact(&mut all).unwrap();
            assert!(all.ends_with(b"\nnow\n") && all.starts_with(&[b'\n'; 1024]));
            line.join().unwrap();
        });
        let cut = cancellable(|scope| {
            scope.cancel();
            no_unwind(|| writeln!(stdout(), "there is room").unwrap());
            let _ = stdout().write(b"never\n");
        });
        assert!(cut.is_none());
        let mut rest = [0; 14];
        (&reader).read_exact(&mut rest).unwrap();
        assert_eq!(&rest, b"there is room\n");
    });
}

/// The scenario that this process plays, so that it can start itself once more.
const AGAIN: &str = "GIAMBIO_SCENARIO_AGAIN";

fn unflushed() {
    if std::env::var_os(AGAIN).is_some() {
        return run(|| write!(stdout(), "no end").unwrap());
    }
    let again = Command::new(std::env::current_exe().unwrap())
        .args(play_arguments("a_line_without_an_end_is_written_when_the_process_ends"))
        .env(AGAIN, "1")
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&again.stdout), "no end");
}

/// Has no text.
struct Mute;

impl std::fmt::Display for Mute {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Err(std::fmt::Error)
    }
}

fn unformatted() {
    let mut reader = output();
    run(|| {
        assert_eq!(writeln!(stdout(), "{Mute}").unwrap_err().kind(), ErrorKind::Other);
        writeln!(stdout(), "{}xt", "ne".trim()).unwrap();
        let mut line = [0; 5];
        reader.read_exact(&mut line).unwrap();
        assert_eq!(&line, b"next\n");
    });
}

fn inherited() {
    // SAFETY: the name is a string with an end, borrowed for the call.
    let fd = unsafe { libc::memfd_create(c"output".as_ptr(), libc::MFD_CLOEXEC) };
    assert!(fd >= 0);
    // SAFETY: the kernel has just made it for us.
    let mut file = unsafe { File::from_raw_fd(fd) };
    replace(1, file.try_clone().unwrap());
    run(|| {
        writeln!(stdout(), "ours").unwrap(); // a regular file is just written
        let mut child =
            Command::new("echo").arg("its").stdout(Stdio::from(stdout())).spawn().unwrap();
        assert!(child.wait().unwrap().success());
        stdout().write_all(&[b'x'; 10_000]).unwrap();
        stdout().flush().unwrap();
    });
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, format!("ours\nits\n{}", "x".repeat(10_000)));
}
