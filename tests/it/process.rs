//! Processes that tasks start. Forks by hand, deadlocks and signals have processes of their own: see
//! tests/child.

use crate::ms;
use crate::tcp::pair;
use crate::tcp::register;
use giambio::lowlevel::wait_readable;
use giambio::testing::settle;
use std::cell::Cell;
use std::io;
use std::io::Read;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::process::Stdio;

#[test]
fn a_command_runs_from_a_task() {
    giambio::run(|| {
        let output = Command::new("sh").args(["-c", "echo out; exit 3"]).output().unwrap();
        assert_eq!((output.stdout, output.status.code()), (b"out\n".to_vec(), Some(3)));
    });
}

fn new_session() -> io::Result<()> {
    // SAFETY: setsid(2) takes nothing.
    let session = unsafe { libc::setsid() };
    if session < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A command that std has to start by a fork, with a closure of ours in the child.
fn command_with_pre_exec(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    // SAFETY: the closure makes one async-signal-safe call.
    unsafe { command.pre_exec(new_session) };
    command
}

#[test]
fn a_command_with_pre_exec_runs_from_a_task_while_others_are_parked() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        giambio::pool(|pool| {
            let reader = pool.spawn(|| (&ours).read(&mut [0; 8]));
            let sleeper = pool.spawn(|| giambio::sleep(ms(5)));
            settle();
            let output = command_with_pre_exec("echo forked").output().unwrap();
            assert_eq!(output.stdout, b"forked\n");
            theirs.write_all(b"abc").unwrap();
            assert_eq!(reader.join().unwrap().unwrap(), 3);
            sleeper.join().unwrap();
        });
    });
}

#[test]
fn a_pre_exec_that_fails_is_an_error_of_the_spawn() {
    giambio::run(|| {
        let mut command = Command::new("sh");
        // SAFETY: the closure only makes a value.
        unsafe { command.pre_exec(|| Err(io::Error::from_raw_os_error(libc::EPERM))) };
        assert_eq!(command.spawn().unwrap_err().raw_os_error(), Some(libc::EPERM));
        giambio::sleep(ms(1));
    });
}

#[test]
fn sockets_do_not_leak_into_a_command() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        register(&ours);
        let mut child =
            Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        // If the child held the connection, the peer would see no end before the child's.
        drop(ours);
        assert_eq!(theirs.read(&mut [0]).unwrap(), 0);
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn other_tasks_run_while_one_waits_for_the_output_of_a_command() {
    giambio::run(|| {
        let mut child = command_with_pre_exec("read line; echo \"got $line\"")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let steps = Cell::new(0);
        giambio::pool(|pool| {
            let reader = pool.spawn(|| {
                wait_readable(&output).unwrap();
                steps.get()
            });
            for _ in 0..10 {
                giambio::sleep(ms(1));
                steps.set(steps.get() + 1);
            }
            input.write_all(b"this\n").unwrap();
            assert_eq!(reader.join().unwrap(), 10);
        });
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        assert_eq!(text, "got this\n");
        assert!(child.wait().unwrap().success());
    });
}
