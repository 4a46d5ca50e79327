//! Drives: forks and signals in a host, and a host without descriptors.

use crate::End;
use crate::Scenario;
use crate::descriptors::take_all;
use crate::forks::REFUSED;
use crate::forks::forked;
use crate::forks::pair;
use crate::signals::start_ticking;
use crate::well;
use giambio::Builder;
use giambio::Driver;
use giambio::Runtime;
use giambio::lowlevel;
use giambio::lowlevel::Parker;
use giambio::testing::settle;
use mio::Events;
use mio::Interest;
use mio::Poll;
use mio::Token;
use mio::unix::SourceFd;
use std::cell::Cell;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

pub(crate) const SCENARIOS: &[Scenario] = &[
    well("the_child_of_a_fork_in_a_host_may_exit", may_exit),
    Scenario { name: "a_tick_in_the_child_of_a_fork_aborts", run: ticks, end: REFUSED },
    Scenario {
        name: "the_child_of_a_fork_that_leaves_drive_aborts",
        run: leaves,
        end: End::WellSaying(&["the child of a fork has left `drive`"]),
    },
    well("a_signal_ends_the_wait_of_a_tick_and_waiting_is_no_deadlock", signal),
    Scenario {
        name: "what_can_never_end_when_its_host_has_gone_is_named_by_an_abort",
        run: never_ends,
        end: End::AbortSaying(&["deadlock: every task waits", "task 'main'", "sleeps for ever"]),
    },
    well("without_descriptors_a_host_that_polls_still_hears_of_a_deadline", no_descriptors),
    well("a_full_answer_of_the_kernel_is_asked_for_again", full_answer),
];

const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

fn runtime() -> Runtime {
    Builder::new().build().unwrap()
}

fn may_exit() {
    let (ours, mut theirs) = pair();
    let main = || (&ours).read(&mut [0; 8]).unwrap();
    let (_, count) = runtime().drive(main, |driver| {
        driver.tick(AT_ONCE);
        assert_eq!(forked(|| 7).code(), Some(7));
        theirs.write_all(b"abc").unwrap();
        while !driver.tick(None).is_done {}
    });
    assert_eq!(count, Some(3));
}

#[track_caller]
fn assert_aborted(status: ExitStatus) {
    assert_eq!(status.signal(), Some(libc::SIGABRT), "{status}");
}

fn ticks() {
    runtime().drive(giambio::sleep_forever, |driver| {
        driver.tick(AT_ONCE);
        assert_aborted(forked(|| {
            driver.tick(AT_ONCE);
            0
        }));
        assert_aborted(forked(|| i32::from(lowlevel::tick(AT_ONCE).is_some())));
        driver.tick(AT_ONCE); // this one may
    });
}

fn leaves() {
    let mut runtime = runtime();
    let (child, _) = runtime.drive(giambio::sleep_forever, |driver| {
        driver.tick(AT_ONCE);
        // SAFETY: the child runs on the same stack, copied, and aborts.
        unsafe { libc::fork() }
    });
    assert!(child > 0);
    let mut status = 0;
    // SAFETY: `status` is borrowed for the call.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_aborted(ExitStatus::from_raw(status));
    assert_eq!(runtime.run(|| 1), 1);
}

fn signal() {
    start_ticking();
    let parker = Parker::new();
    let unparker = parker.unparker();
    let main = || parker.park();
    runtime().drive(main, |driver| {
        assert_eq!(driver.tick(None).steps, 1);
        for _ in 0..3 {
            assert_eq!(driver.tick(None).steps, 0); // nobody but the signal ends this
        }
        unparker.unpark();
        assert!(driver.tick(None).is_done);
    });
}

fn never_ends() {
    let main = || giambio::shield(|| giambio::sleep_forever());
    runtime().drive(main, |driver| driver.tick(AT_ONCE));
}

/// Ticks on every edge of the descriptor, until every task has ended.
fn follow_edges<T>(driver: &Driver<'_, T>, poll: &mut Poll) {
    let mut events = Events::with_capacity(4);
    while !driver.is_done() {
        poll.poll(&mut events, Some(Duration::from_secs(30))).unwrap();
        assert!(!events.is_empty(), "a tick was due, and no edge told so");
        driver.tick(AT_ONCE);
    }
}

fn register<T>(driver: &Driver<'_, T>, poll: &Poll) {
    let fd = driver.as_fd().as_raw_fd();
    poll.registry().register(&mut SourceFd(&fd), Token(0), Interest::READABLE).unwrap();
}

fn no_descriptors() {
    let mut poll = Poll::new().unwrap();
    let main = || giambio::sleep(Duration::from_millis(20));
    runtime().drive(main, |driver| {
        register(driver, &poll);
        let _taken = take_all();
        follow_edges(driver, &mut poll);
    });
}

/// More than one answer of the kernel holds.
const CONNECTIONS: usize = 1100;

fn full_answer() {
    let most = 2 * CONNECTIONS as libc::rlim_t + 100;
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: `limit` is borrowed for the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
    let connections: Vec<_> = (0..CONNECTIONS).map(|_| pair()).collect();
    let last = &connections[CONNECTIONS - 1].0;
    let waits_for_the_last = Cell::new(false);
    let main = || {
        // All are registered, and one by one: idle stacks would have a deadline for their memory.
        for (ours, _) in &connections {
            let mut ours = ours;
            giambio::pool(|pool| {
                pool.spawn(|| ours.read(&mut [0]));
                settle();
                pool.cancel();
            });
        }
        let mut last = last;
        waits_for_the_last.set(true);
        last.read(&mut [0]).unwrap()
    };
    let (_, count) = runtime().drive(main, |driver| {
        while !waits_for_the_last.get() {
            driver.tick(AT_ONCE);
        }
        let mut poll = Poll::new().unwrap();
        register(driver, &poll);
        driver.tick(AT_ONCE);
        for (_, theirs) in &connections {
            let mut theirs = theirs;
            theirs.write_all(b"x").unwrap();
        }
        follow_edges(driver, &mut poll);
    });
    assert_eq!(count, Some(1));
}
