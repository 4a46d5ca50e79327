//! Helper threads where the process has no others, or may have no more.

use crate::Scenario;
use crate::deadlock::line_of;
use crate::deadlock::report_of;
use crate::exhaustion::panic_of;
use crate::forks::forked;
use crate::well;
use giambio::Builder;
use giambio::TaskBuilder;
use giambio::pool;
use giambio::testing::settle;
use giambio::try_unblock;
use giambio::unblock;
use std::fs;
use std::io;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::Barrier;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::thread::ThreadId;
use std::time::Duration;

pub(crate) const SCENARIOS: &[Scenario] = &[
    well("idle_helpers_are_no_reason_to_miss_a_deadlock", idle_helpers),
    well("a_call_on_a_helper_is_no_deadlock", running_call),
    well("idle_helpers_leave_after_ten_seconds_and_a_deadlock_is_found", helpers_leave),
    well("the_child_of_a_fork_has_helpers_of_its_own", helpers_of_a_child),
    well("without_a_thread_a_call_names_the_limit_and_the_rest_goes_on", no_thread_at_all),
    well("without_a_further_thread_a_call_waits_for_a_helper", no_further_thread),
    well("without_a_further_thread_a_call_in_a_call_is_refused", no_thread_inside),
];

fn thread_count() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

/// The helper may be seen before it is idle, in one of so many rounds.
fn idle_helpers() {
    for round in 0..2_000 {
        let report = report_of(|| {
            pool(|pool| {
                for _ in 0..round % 3 {
                    pool.spawn(|| unblock(|| ()));
                }
            });
            unblock(|| (0..round % 600).for_each(|_| std::hint::spin_loop()));
            giambio::sleep_forever()
        });
        assert!(line_of(&report, "main").contains("sleeps for ever"), "{report}");
    }
    assert!(thread_count() > 1);
}

fn running_call() {
    let (tell, told) = mpsc::channel();
    let report = report_of(|| {
        pool(|pool| {
            TaskBuilder::new().name("sleeper".into()).spawn(pool, || giambio::sleep_forever());
            unblock(|| thread::park_timeout(Duration::from_millis(50)));
            tell.send(()).unwrap();
        });
    });
    told.try_recv().expect("the deadlock was found while the call ran");
    assert!(line_of(&report, "sleeper").contains("sleeps for ever"), "{report}");
}

fn helpers_leave() {
    let report = report_of(|| {
        let all_are_here = Barrier::new(3);
        pool(|pool| {
            (0..3).for_each(|_| drop(pool.spawn(|| unblock(|| all_are_here.wait()))));
        });
        giambio::sleep(Duration::from_secs(9));
        assert_eq!(thread_count(), 4);
        giambio::sleep(Duration::from_millis(1_000)); // some are leaving now
        giambio::sleep_forever()
    });
    assert!(report.starts_with("deadlock"), "{report}");
    giambio::run(|| {
        while thread_count() > 1 {
            giambio::sleep(Duration::from_millis(10));
        }
        assert_eq!(unblock(|| 3), 3);
    });
}

fn helpers_of_a_child() {
    giambio::run(|| unblock(|| ()));
    assert_eq!(thread_count(), 2);
    let status = forked(|| {
        assert_eq!(thread_count(), 1);
        giambio::run(|| unblock(|| 7))
    });
    assert_eq!(status.code(), Some(7));
    assert_eq!(giambio::run(|| unblock(|| 8)), 8);
}

/// The number of threads that any user but root may have; the hard limit stays.
fn set_thread_limit(soft: libc::rlim_t) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is borrowed for the call.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NPROC, &raw mut limit) }, 0);
    limit.rlim_cur = soft.min(limit.rlim_max);
    // SAFETY: as above.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NPROC, &raw const limit) }, 0);
}

fn forbid_threads() {
    // SAFETY: takes nothing.
    if unsafe { libc::geteuid() } == 0 {
        // SAFETY: takes a number. The limit does not hold for root.
        assert_eq!(unsafe { libc::setuid(54_321) }, 0, "{}", io::Error::last_os_error());
    }
    set_thread_limit(1);
}

fn allow_threads() {
    set_thread_limit(libc::RLIM_INFINITY);
}

fn no_thread_at_all() {
    let mut runtime = Builder::new().helper_threads(1).build().unwrap();
    runtime.run(|| {
        forbid_threads();
        let kept = Arc::new(());
        let carried = Arc::clone(&kept);
        let error = try_unblock(move || drop(carried)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
        assert!(error.to_string().contains("RLIMIT_NPROC (`ulimit -u`) is 1"), "{error}");
        assert_eq!(Arc::strong_count(&kept), 1);
        assert_eq!(panic_of(|| unblock(|| ())), format!("unblock: {error}"));
        giambio::sleep(Duration::from_millis(1));
        allow_threads();
        assert_eq!(unblock(|| 5), 5);
        forbid_threads();
        assert_eq!(unblock(|| 6), 6); // by the helper that is idle
    });
}

fn no_further_thread() {
    giambio::run(|| {
        let (tell, told) = mpsc::channel();
        let (order, told) = (Mutex::new(Vec::new()), Mutex::new(told));
        let ran = AtomicUsize::new(0);
        let note = |number: i32| -> ThreadId {
            unblock(|| {
                order.lock().unwrap().push(number);
                thread::current().id()
            })
        };
        let note = &note;
        pool(|pool| {
            let busy = pool.spawn(|| {
                unblock(|| {
                    told.lock().unwrap().recv().unwrap();
                    thread::current().id()
                })
            });
            settle();
            forbid_threads();
            let first = pool.spawn(move || note(1));
            let cancelled = pool.spawn(|| unblock(|| ran.fetch_add(1, Ordering::SeqCst)));
            let second = pool.spawn(move || note(2));
            let third = pool.spawn(move || note(3));
            settle();
            cancelled.cancel();
            assert!(cancelled.join().unwrap_err().is_cancelled());
            assert!(order.lock().unwrap().is_empty());
            tell.send(()).unwrap();
            let helper = busy.join().unwrap();
            for waited in [first, second, third] {
                assert_eq!(waited.join().unwrap(), helper);
            }
        });
        assert_eq!((order.into_inner().unwrap(), ran.into_inner()), (vec![1, 2, 3], 0));
    });
    allow_threads();
}

fn no_thread_inside() {
    giambio::run(|| {
        let error = unblock(|| {
            forbid_threads();
            giambio::run(|| try_unblock(|| ()).unwrap_err())
        });
        assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
    });
}
