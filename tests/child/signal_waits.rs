//! Tasks that wait for signals: these reach the whole process.

use crate::End;
use crate::Scenario;
use crate::well;
use giambio::Builder;
use giambio::cancellable;
use giambio::io::Cancelled;
use giambio::pool;
use giambio::run;
use giambio::signal::SIGHUP;
use giambio::signal::SIGINT;
use giambio::signal::SIGTERM;
use giambio::signal::SIGUSR1;
use giambio::signal::SIGUSR2;
use giambio::signal::Signals;
use giambio::signal::ctrl_c;
use giambio::task::no_unwind;
use giambio::testing::settle;
use signal_hook::low_level::raise;
use std::ffi::c_int;
use std::fs;
use std::io::ErrorKind;
use std::thread;
use std::time::Duration;

pub(crate) const SCENARIOS: &[Scenario] = &[
    well("ctrl_c_returns_when_it_comes_while_others_run", one_ctrl_c),
    well("ctrl_c_cancels_a_pool_through_its_canceller", cancels_a_pool),
    well("signals_come_in_their_order_and_are_kept_until_they_are_received", in_order),
    well("a_signal_that_comes_again_before_it_was_received_counts_once", merged),
    well("many_signals_of_one_kind_leave_room_for_others", burst),
    well("every_listener_gets_every_signal", two_listeners),
    well("tasks_that_wait_for_one_listener_get_a_signal_each", shared_listener),
    well("a_cancelled_recv_leaves_the_signal", cancelled_recv),
    well("where_nothing_may_unwind_a_recv_reports", reported),
    well("signals_that_cannot_be_received_are_errors_and_change_nothing", forbidden),
    Scenario {
        name: "a_refused_list_of_signals_leaves_their_default_actions",
        run: refused_and_ended,
        end: End::Signal(libc::SIGTERM),
    },
    well("what_was_caught_once_is_ignored_afterwards", ignored_afterwards),
    well("a_listener_that_is_dropped_gives_its_descriptors_back", descriptors),
    well("on_a_plain_thread_recv_blocks_the_thread", outside),
    well("a_listener_serves_another_runtime", another_runtime),
    well("handlers_run_on_the_signal_stack", on_the_signal_stack),
    well("a_listener_can_be_waited_for_as_a_descriptor", as_a_descriptor),
];

fn one_ctrl_c() {
    run(|| {
        pool(|pool| {
            let waiter = pool.spawn(ctrl_c);
            settle();
            assert!(!waiter.is_finished());
            raise(SIGINT).unwrap();
            waiter.join().unwrap().unwrap();
        });
    });
}

fn cancels_a_pool() {
    run(|| {
        let cut = cancellable(|scope| {
            let canceller = scope.canceller();
            scope.spawn(move || {
                ctrl_c().unwrap();
                canceller.cancel();
            });
            scope.spawn(|| -> () { giambio::sleep_forever() });
            settle();
            raise(SIGINT).unwrap();
            giambio::sleep_forever()
        });
        assert_eq!(cut, None::<()>);
        giambio::yield_now(); // nothing is left behind
    });
}

fn in_order() {
    run(|| {
        let signals = Signals::new([SIGHUP, SIGTERM, SIGUSR1, SIGUSR2]).unwrap();
        let order = [SIGUSR2, SIGHUP, SIGUSR1, SIGTERM];
        order.into_iter().for_each(|signal| raise(signal).unwrap());
        let got: Vec<c_int> = (&signals).take(4).map(Result::unwrap).collect();
        assert_eq!(got, order);
        assert!(is_idle(&signals));
    });
}

/// Whether there is nothing to receive.
fn is_idle(signals: &Signals) -> bool {
    giambio::skip_after(Duration::from_millis(1), |_| signals.recv()).is_none()
}

fn merged() {
    run(|| {
        let signals = Signals::new([SIGUSR1, SIGUSR1]).unwrap(); // named twice is named once
        raise(SIGUSR1).unwrap();
        raise(SIGUSR1).unwrap();
        assert_eq!(signals.recv().unwrap(), SIGUSR1);
        assert!(is_idle(&signals));
        raise(SIGUSR1).unwrap(); // a new one
        assert_eq!(signals.recv().unwrap(), SIGUSR1);
        assert!(is_idle(&signals));
    });
}

fn burst() {
    let signals = Signals::new([SIGUSR1, SIGTERM]).unwrap();
    (0..100_000).for_each(|_| raise(SIGUSR1).unwrap()); // more than a pipe has bytes
    raise(SIGTERM).unwrap();
    assert_eq!(signals.recv().unwrap(), SIGUSR1);
    assert_eq!(signals.recv().unwrap(), SIGTERM);
}

fn two_listeners() {
    run(|| {
        let one = Signals::new([SIGUSR1, SIGUSR2]).unwrap();
        let other = Signals::new([SIGUSR1]).unwrap();
        pool(|pool| {
            let tasks = [&one, &other].map(|signals| pool.spawn(|| signals.recv().unwrap()));
            settle();
            raise(SIGUSR1).unwrap();
            tasks.into_iter().for_each(|task| assert_eq!(task.join().unwrap(), SIGUSR1));
        });
        raise(SIGUSR2).unwrap();
        assert!(is_idle(&other), "it did not ask for that");
        assert_eq!(one.recv().unwrap(), SIGUSR2);
        drop(other);
        raise(SIGUSR1).unwrap();
        assert_eq!(one.recv().unwrap(), SIGUSR1);
    });
}

fn shared_listener() {
    run(|| {
        let signals = Signals::new([SIGUSR1, SIGUSR2]).unwrap();
        pool(|pool| {
            let [first, second] = [(); 2].map(|()| pool.spawn(|| signals.recv().unwrap()));
            settle();
            raise(SIGUSR2).unwrap();
            raise(SIGUSR1).unwrap();
            assert_eq!((first.join().unwrap(), second.join().unwrap()), (SIGUSR2, SIGUSR1));
        });
    });
}

fn cancelled_recv() {
    run(|| {
        let signals = Signals::new([SIGUSR1]).unwrap();
        pool(|pool| {
            let task = pool.spawn(|| signals.recv());
            settle();
            raise(SIGUSR1).unwrap();
            task.cancel();
            assert!(task.join().unwrap_err().is_cancelled());
        });
        assert_eq!(signals.recv().unwrap(), SIGUSR1);
        raise(SIGUSR1).unwrap();
        let cut = cancellable(|scope| {
            scope.cancel();
            signals.recv().map(drop)
        });
        assert!(cut.is_none(), "a checkpoint, although there is one");
        assert_eq!(signals.recv().unwrap(), SIGUSR1);
    });
}

fn reported() {
    run(|| {
        let cut = cancellable(|scope| {
            let signals = Signals::new([SIGUSR1]).unwrap();
            scope.cancel();
            no_unwind(|| {
                let error = signals.recv().unwrap_err();
                assert!(error.get_ref().is_some_and(|inner| inner.is::<Cancelled>()));
                raise(SIGUSR1).unwrap();
                assert_eq!(signals.recv().unwrap(), SIGUSR1);
            });
            giambio::yield_now();
        });
        assert!(cut.is_none());
    });
}

/// What the process does about a signal.
fn action(signal: c_int) -> libc::sigaction {
    // SAFETY: for this plain C structure all zeroes are a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: it is only asked, and the answer's place is borrowed for the call.
    let result = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) };
    assert_eq!(result, 0);
    action
}

fn forbidden() {
    let refused = [
        libc::SIGKILL,
        libc::SIGSTOP,
        libc::SIGSEGV,
        libc::SIGILL,
        libc::SIGFPE,
        0,
        -1,
        65,
        300,
        c_int::MAX,
        32, // glibc's own
    ];
    for signal in refused {
        let error = Signals::new([signal]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{signal}: {error}");
    }
    assert!(Signals::new([SIGUSR1, 64]).is_ok(), "the last one there is");
}

fn refused_and_ended() {
    assert!(Signals::new([SIGTERM, libc::SIGKILL]).is_err());
    assert_eq!(action(SIGTERM).sa_sigaction, libc::SIG_DFL);
    raise(SIGTERM).unwrap();
}

fn ignored_afterwards() {
    drop(Signals::new([SIGTERM]).unwrap());
    raise(SIGTERM).unwrap();
    let signals = Signals::new([SIGTERM]).unwrap();
    run(|| assert!(is_idle(&signals), "one that came before does not count"));
}

fn descriptors() {
    let open = || fs::read_dir("/proc/self/fd").unwrap().count();
    run(|| {
        drop(Signals::new([SIGUSR1]));
        let before = open();
        for _ in 0..10 {
            let signals = Signals::new([SIGUSR1, SIGUSR2]).unwrap();
            pool(|pool| {
                pool.spawn(|| signals.recv().unwrap());
                settle();
                raise(SIGUSR1).unwrap();
            });
            assert!(open() > before);
            drop(signals);
            assert_eq!(open(), before);
            raise(SIGUSR1).unwrap(); // and nobody writes to what is closed
        }
        let cut = cancellable(|scope| {
            scope.spawn(ctrl_c);
            settle();
            scope.cancel();
        });
        assert_eq!((cut, open()), (None, before));
        let taken = crate::descriptors::take_all();
        let error = Signals::new([SIGUSR1]).unwrap_err();
        assert!(error.to_string().contains("RLIMIT_NOFILE"), "{error}");
        drop(taken);
    });
}

fn outside() {
    let signals = Signals::new([SIGUSR1]).unwrap();
    let thread = thread::spawn(move || signals.recv().unwrap());
    thread::scope(|scope| {
        scope.spawn(|| {
            giambio::sleep(Duration::from_millis(10));
            raise(SIGUSR1).unwrap();
        });
    });
    assert_eq!(thread.join().unwrap(), SIGUSR1);
}

fn another_runtime() {
    let signals = Signals::new([SIGUSR1]).unwrap();
    let receive_one = || {
        pool(|pool| {
            let waiter = pool.spawn(|| signals.recv().unwrap());
            settle();
            raise(SIGUSR1).unwrap();
            assert_eq!(waiter.join().unwrap(), SIGUSR1);
        });
    };
    run(receive_one);
    thread::scope(|scope| {
        scope.spawn(|| Builder::new().build().unwrap().run(receive_one));
    });
}

fn on_the_signal_stack() {
    let _signals = Signals::new([SIGUSR1]).unwrap();
    assert_ne!(action(SIGUSR1).sa_flags & libc::SA_ONSTACK, 0);
    let _again = Signals::new([SIGUSR1]).unwrap();
    assert_ne!(action(SIGUSR1).sa_flags & libc::SA_ONSTACK, 0);
}

fn as_a_descriptor() {
    run(|| {
        let signals = Signals::new([SIGUSR1]).unwrap();
        pool(|pool| {
            let waiter = pool.spawn(|| giambio::lowlevel::wait_readable(&signals));
            settle();
            raise(SIGUSR1).unwrap();
            waiter.join().unwrap().unwrap();
            assert_eq!(signals.recv().unwrap(), SIGUSR1);
        });
    });
}
