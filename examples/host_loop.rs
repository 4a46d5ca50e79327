//! A program with a loop of its own, in `poll(2)`, that runs tasks beside what it does anyway.
//!
//! What to look for: the host sleeps in one call for both, without a timeout; the driver's descriptor
//! tells it of the tasks' deadlines too. When the input ends the host returns from the middle of its
//! loop, and the task that sleeps is cut: its cleanup runs before `drive` returns.
//!
//! Run it: `cargo run --example host_loop`, type lines, and end them with Ctrl+D.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use giambio::Builder;
use giambio::Driver;
use std::fs::File;
use std::io;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::time::Duration;

fn main() -> io::Result<()> {
    let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    run(input, |line| println!("{line}"))
}

/// Has a task count seconds while the host reads `input`.
fn run(input: impl Read + AsFd, say: impl Fn(&str)) -> io::Result<()> {
    let count = || {
        for seconds in 1.. {
            giambio::sleep(Duration::from_secs(1));
            say(&format!("[task] {seconds} s"));
        }
    };
    let main = || giambio::finally(count, || say("[task] stopped"));
    let (result, _) = Builder::new().build()?.drive(main, |driver| host(driver, input, &say));
    result
}

/// The loop that was there before.
fn host(
    driver: &Driver<'_, ()>,
    mut input: impl Read + AsFd,
    say: impl Fn(&str),
) -> io::Result<()> {
    let entry = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let mut entries = [entry(driver.as_fd().as_raw_fd()), entry(input.as_fd().as_raw_fd())];
    let mut buf = [0; 4096];
    loop {
        // SAFETY: both entries are valid, and borrowed for the call.
        let ready = unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, -1) };
        if ready < 0 && io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return Err(io::Error::last_os_error());
        }
        if entries[0].revents != 0 && driver.tick(Some(Duration::ZERO)).is_done {
            return Ok(());
        }
        if entries[1].revents != 0 {
            match input.read(&mut buf)? {
                0 => return Ok(()),
                count => say(&format!("[host] {count} bytes")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io::Write;

    #[test]
    fn the_task_counts_while_the_host_reads_and_is_stopped_with_it() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let log = RefCell::new(Vec::new());
        writer.write_all(b"one").unwrap();
        let writer = RefCell::new(Some(writer));
        let say = |line: &str| {
            log.borrow_mut().push(String::from(line));
            if line == "[task] 1 s" {
                writer.take(); // the input ends
            }
        };
        super::run(reader, say).unwrap();
        assert_eq!(log.into_inner(), ["[host] 3 bytes", "[task] 1 s", "[task] stopped"]);
    }
}
