//! Forks: the child of a task's process may exec or `_exit`, and harms its parent in no way.

use crate::End;
use crate::Scenario;
use crate::exhaustion::dig;
use crate::overflow::recurse;
use crate::well;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::testing::settle;
use std::hint::black_box;
use std::io;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::os::unix::process::ExitStatusExt;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::process::Command;
use std::process::ExitStatus;
use std::time::Duration;

/// What a process says before it aborts for a call that it must not make.
pub(crate) const REFUSED: End = End::WellSaying(&["a blocking call in the child of a fork"]);

pub(crate) const SCENARIOS: &[Scenario] = &[
    well("the_child_of_a_fork_may_exit", may_exit),
    well("the_child_of_a_fork_may_exec", may_exec),
    well("the_child_of_a_fork_runs_on_a_copy_of_the_task_s_stack", copied_stack),
    Scenario {
        name: "an_overflow_in_the_child_of_a_fork_is_reported",
        run: child_overflows,
        end: End::WellSaying(&["task 'deep' (#2) has overflowed its stack of 64 KiB: "]),
    },
    well("a_stream_that_the_child_drops_stays_registered_in_the_parent", child_drops_a_stream),
    well("a_stream_that_both_have_is_closed_when_both_have_dropped_it", both_drop_a_stream),
    well("a_fork_outside_of_run_is_an_ordinary_fork", outside),
    well("a_child_with_a_runtime_of_its_own_deregisters_its_sockets", own_runtime),
    well("a_runtime_that_was_built_before_the_fork_refuses_to_run_in_the_child", built_before),
    well("a_fork_on_a_plain_thread_beside_a_runtime_is_an_ordinary_fork", beside_a_runtime),
    well("commands_work_in_a_task_with_and_without_pre_exec", commands),
    Scenario {
        name: "a_sleep_in_the_child_of_a_fork_aborts",
        run: || child_aborts(|| giambio::sleep(Duration::from_millis(1))),
        end: REFUSED,
    },
    Scenario {
        name: "a_yield_in_the_child_of_a_fork_aborts",
        run: || child_aborts(giambio::yield_now),
        end: REFUSED,
    },
    Scenario {
        name: "a_pool_in_the_child_of_a_fork_aborts",
        run: || child_aborts(|| giambio::pool(|_| ())),
        end: REFUSED,
    },
    Scenario {
        name: "a_run_in_the_child_of_a_fork_aborts",
        run: || child_aborts(|| giambio::run(|| ())),
        end: REFUSED,
    },
    Scenario {
        name: "an_accept_in_the_child_of_a_fork_aborts",
        run: || {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            child_aborts(|| drop(listener.accept()));
        },
        end: REFUSED,
    },
    Scenario {
        name: "a_call_on_a_helper_in_the_child_of_a_fork_aborts",
        run: || child_aborts(|| giambio::unblock(|| ())),
        end: REFUSED,
    },
    Scenario {
        name: "a_wait_for_a_descriptor_in_the_child_of_a_fork_aborts",
        run: || child_aborts(|| giambio::lowlevel::wait_writable(io::stderr()).unwrap()),
        end: REFUSED,
    },
];

/// Runs `child` in the child of a fork, which ends with its value; returns how it did end.
pub(crate) fn forked(child: impl FnOnce() -> libc::c_int) -> ExitStatus {
    // SAFETY: the child runs on the same stack, copied, and leaves by `_exit`.
    match unsafe { libc::fork() } {
        -1 => panic!("fork: {}", io::Error::last_os_error()),
        0 => {
            let code = catch_unwind(AssertUnwindSafe(child)).unwrap_or(101);
            // SAFETY: `_exit` never returns and runs nothing of the parent's.
            unsafe { libc::_exit(code) }
        }
        pid => {
            let mut status = 0;
            // SAFETY: `status` is borrowed for the call.
            assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
            ExitStatus::from_raw(status)
        }
    }
}

/// Makes `call` in the child of a task that forks.
fn child_aborts(call: impl FnOnce()) {
    giambio::run(|| {
        let status = forked(|| {
            call();
            0
        });
        assert_eq!(status.signal(), Some(libc::SIGABRT), "{status}");
        giambio::sleep(Duration::from_micros(10)); // this one may
    });
}

/// Both ends of a connection; a task is parked on the first afterwards, so both processes know it.
pub(crate) fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (ours, listener.accept().unwrap().0)
}

fn may_exit() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        giambio::pool(|pool| {
            let reader = pool.spawn(|| (&ours).read(&mut [0; 8]));
            let sleeper = pool.spawn(|| giambio::sleep(Duration::from_millis(5)));
            settle();
            for code in [0, 7] {
                assert_eq!(forked(|| code).code(), Some(code));
            }
            theirs.write_all(b"abc").unwrap();
            assert_eq!(reader.join().unwrap().unwrap(), 3);
            sleeper.join().unwrap();
        });
    });
}

fn may_exec() {
    giambio::run(|| {
        giambio::pool(|pool| {
            pool.spawn(|| giambio::sleep(Duration::from_millis(5)));
            settle();
            let status = forked(|| {
                let _error = Command::new("sh").args(["-c", "exit 9"]).exec();
                1
            });
            assert_eq!(status.code(), Some(9));
        });
    });
}

/// The child reads and writes frames of its parent, and goes deeper than its parent has been.
fn fork_and_dig() {
    let mut local = black_box([1_u8; 4096]);
    let status = forked(|| {
        assert_eq!(local, [1; 4096]);
        local.fill(2);
        assert_eq!(dig(60), 60);
        assert_eq!(black_box(&local), &[2; 4096]);
        9
    });
    assert_eq!(status.code(), Some(9));
    assert_eq!(black_box(&local), &[1; 4096]);
    assert_eq!(dig(60), 60);
}

fn copied_stack() {
    giambio::run(|| {
        giambio::pool(|pool| {
            // Once on a fresh stack, and once on one that has been used.
            for _ in 0..2 {
                pool.spawn(fork_and_dig).join().unwrap();
            }
            pool.spawn(|| giambio::on_big_stack(1 << 20, fork_and_dig));
        });
        fork_and_dig();
    });
}

fn child_overflows() {
    giambio::run(|| {
        giambio::pool(|pool| {
            let build = giambio::TaskBuilder::new().name("deep".into()).stack_size(64 << 10);
            build.spawn(pool, || {
                let status = forked(|| {
                    black_box(recurse(0));
                    0
                });
                assert_eq!(status.signal(), Some(libc::SIGABRT), "{status}");
            });
        });
    });
}

fn child_drops_a_stream() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        // Registered, and known to be: it has parked once.
        giambio::pool(|pool| {
            pool.spawn(|| {
                settle();
                theirs.write_all(b"1").unwrap();
            });
            assert_eq!((&ours).read(&mut [0; 8]).unwrap(), 1);
        });
        let mut slot = Some(ours);
        assert_eq!(forked(|| i32::from(slot.take().is_none())).code(), Some(0));
        let ours = slot.expect("only the child has dropped it");
        for _ in 0..3 {
            giambio::pool(|pool| {
                let reader = pool.spawn(|| (&ours).read(&mut [0; 8]));
                settle();
                assert!(!reader.is_finished());
                theirs.write_all(b"23").unwrap();
                assert_eq!(reader.join().unwrap().unwrap(), 2);
            });
        }
    });
}

fn both_drop_a_stream() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        let mut slot = Some(ours);
        forked(|| {
            drop(slot.take());
            0
        });
        drop(slot);
        assert_eq!(theirs.read(&mut [0; 8]).unwrap(), 0);
    });
}

fn outside() {
    let status = forked(|| giambio::run(|| 3));
    assert_eq!(status.code(), Some(3));
    giambio::run(|| ()); // from here on forks are watched
    let status = forked(|| {
        giambio::sleep(Duration::from_millis(1));
        giambio::run(|| {
            giambio::sleep(Duration::from_micros(10));
            4
        })
    });
    assert_eq!(status.code(), Some(4));
}

/// Whether some epoll of this process has an open descriptor of the caller's, by its number.
fn is_registered(fd: RawFd) -> bool {
    let entry = format!("tfd: {fd:>8} ");
    std::fs::read_dir("/proc/self/fdinfo").unwrap().any(|file| {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap_or_default();
        text.lines().any(|line| line.starts_with(&entry))
    })
}

fn own_runtime() {
    giambio::run(|| ()); // from here on forks are watched
    let status = forked(|| {
        giambio::run(|| {
            let (ours, mut theirs) = pair();
            giambio::pool(|pool| {
                pool.spawn(|| {
                    settle();
                    theirs.write_all(b"abc").unwrap();
                });
                assert_eq!((&ours).read(&mut [0; 8]).unwrap(), 3);
            });
            let fd = ours.as_raw_fd();
            assert!(is_registered(fd));
            let ours = std::net::TcpStream::from(ours);
            assert!(!is_registered(fd));
            drop(ours);
            6
        })
    });
    assert_eq!(status.code(), Some(6));
}

fn built_before() {
    let mut runtime = giambio::Builder::new().build().unwrap();
    runtime.run(|| ());
    let status = forked(|| {
        runtime.run(|| ());
        0
    });
    assert_eq!(status.code(), Some(101));
    assert_eq!(runtime.run(|| 7), 7);
}

fn beside_a_runtime() {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::scope(|threads| {
        let runtime = threads.spawn(move || {
            giambio::run(|| {
                giambio::cancellable(|pool| {
                    tell.send(pool.canceller()).unwrap();
                    giambio::sleep_forever()
                })
            })
        });
        let canceller = told.recv().unwrap();
        let status = forked(|| {
            giambio::sleep(Duration::from_millis(1)); // a plain thread may block
            5
        });
        assert_eq!(status.code(), Some(5));
        canceller.cancel();
        assert_eq!(runtime.join().unwrap(), None::<()>);
    });
}

fn commands() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        giambio::pool(|pool| {
            let reader = pool.spawn(|| (&ours).read(&mut [0; 8]));
            settle();
            let plain = Command::new("echo").arg("plain").output().unwrap();
            assert_eq!(plain.stdout, b"plain\n");
            let mut command = Command::new("echo");
            let new_session = || {
                // SAFETY: setsid(2) takes nothing.
                let session = unsafe { libc::setsid() };
                if session < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
            };
            // SAFETY: the closure makes one async-signal-safe call.
            unsafe { command.pre_exec(new_session) };
            assert_eq!(command.arg("forked").output().unwrap().stdout, b"forked\n");
            // SAFETY: the closure does nothing at all.
            unsafe { command.pre_exec(|| Err(io::ErrorKind::Unsupported.into())) };
            command.output().unwrap_err();
            theirs.write_all(b"abc").unwrap();
            assert_eq!(reader.join().unwrap().unwrap(), 3);
        });
    });
}
