//! `JoinHandle::join`: from anywhere, and what a cancellation does to it.

use crate::Drops;
use crate::Log;
use crate::fail;
use crate::is_cancelled;
use crate::logged;
use crate::ms;
use crate::panic_of;
use crate::raised;
use crate::secs;
use giambio::JoinError;
use giambio::cancellable;
use giambio::pool;
use giambio::run;
use giambio::skip_after;
use giambio::sync::Event;
use giambio::task;
use giambio::testing::run_virtual;
use giambio::thread;
use giambio::thread::JoinHandle;
use giambio::yield_now;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc;

#[test]
fn smoke() {
    run_virtual(|| {
        let thread = thread::spawn(|| thread::sleep(secs(1)));
        let start = giambio::clock();
        thread.join().unwrap();
        assert_eq!(giambio::clock() - start, secs(1));
    });
}

#[test]
fn a_plain_thread_joins_and_is_blocked_meanwhile() {
    let (sender, receiver) = mpsc::channel::<JoinHandle<i32>>();
    let joiner = std::thread::spawn(move || receiver.recv().unwrap().join().unwrap());
    run(|| {
        let go = Arc::new(Event::new());
        let waits = Arc::clone(&go);
        sender.send(thread::spawn(move || waits.wait())).unwrap();
        thread::sleep(ms(20)); // it has blocked by then, most often
        assert!(!joiner.is_finished());
        go.trigger(7).unwrap();
        while !joiner.is_finished() {
            thread::sleep(ms(1));
        }
    });
    assert_eq!(joiner.join().unwrap(), 7);
}

#[test]
fn a_task_of_another_runtime_joins() {
    let (sender, receiver) = mpsc::channel::<JoinHandle<i32>>();
    let other = std::thread::spawn(move || {
        let handle = receiver.recv().unwrap();
        run(|| {
            let beside = thread::spawn(|| "beside");
            (handle.join().unwrap(), beside.join().unwrap())
        })
    });
    let value = run(move || {
        let go = Arc::new(Event::new());
        let waits = Arc::clone(&go);
        sender.send(thread::spawn(move || waits.wait())).unwrap();
        thread::sleep(ms(5));
        go.trigger(7).unwrap();
        giambio::unblock(|| other.join().unwrap())
    });
    assert_eq!(value, (7, "beside"));
}

#[test]
fn a_handle_may_be_joined_after_its_run() {
    let (ended, panicked, cut) = run(|| {
        let ended = thread::spawn(|| 7);
        let panicked = thread::spawn(|| fail("before the end"));
        let cut = thread::spawn(|| giambio::sleep_forever());
        yield_now();
        (ended, panicked, cut)
    });
    assert!(ended.is_finished() && panicked.is_finished() && cut.is_finished());
    assert_eq!(ended.join().unwrap(), 7);
    let payload = panicked.join().map(drop).unwrap_err();
    assert_eq!(*payload.downcast::<&str>().unwrap(), "before the end");
    let error = cut.join().map(drop).unwrap_err().downcast::<JoinError>().unwrap();
    assert!(error.is_cancelled());
    assert_eq!(error.cancel_reason(), Some("`main` has ended"));
}

#[test]
fn join_is_a_checkpoint_although_the_thread_has_ended() {
    run(|| {
        let thread = thread::spawn(|| 7);
        yield_now();
        assert!(thread.is_finished());
        let cut = cancellable(|scope| {
            scope.cancel();
            thread.join().unwrap()
        });
        assert_eq!(cut, None);
    });
}

#[test]
fn a_join_that_was_cut_leaves_the_thread_alone_and_drops_its_value() {
    run_virtual(|| {
        let (drops, log) = (Drops::default(), Log::default());
        let (counted, says) = (drops.one(), log.clone());
        let thread = thread::spawn(move || {
            thread::sleep(secs(2));
            says.add("went on");
            counted
        });
        assert!(skip_after(secs(1), |_| thread.join().unwrap()).is_none());
        assert_eq!(drops.count(), 0);
        thread::sleep(secs(2));
        log.assert(&["went on"]);
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_join_that_was_cut_leaves_a_panic_to_the_log() {
    let _ = logged("");
    run_virtual(|| {
        let builder = thread::Builder::new().name("fails later".into());
        let thread = builder.spawn(|| {
            thread::sleep(secs(2));
            fail("too late");
        });
        let thread = thread.unwrap();
        assert!(skip_after(secs(1), |_| drop(thread.join())).is_none());
        thread::sleep(secs(2));
    });
    assert_eq!(logged("'fails later'").len(), 1);
}

#[test]
fn a_pending_cancellation_comes_before_a_failure() {
    run(|| {
        pool(|pool| {
            let (sender, receiver) = mpsc::channel();
            let joiner = pool.spawn(move || {
                let me = task::current();
                sender.send(me).unwrap();
                let thread: JoinHandle<()> = thread::spawn(|| fail("and cancelled"));
                raised(|| drop(thread.join()))
            });
            yield_now();
            yield_now(); // the thread has failed, and the joiner is queued
            receiver.recv().unwrap().cancel();
            assert!(joiner.join().unwrap());
        });
    });
}

#[test]
fn a_thread_that_joins_itself_is_told() {
    run(|| {
        let slot: Arc<Mutex<Option<JoinHandle<()>>>> = Arc::default();
        let inner = Arc::clone(&slot);
        let builder = thread::Builder::new().name("narcissus".into());
        let thread = builder.spawn(move || {
            let itself = inner.lock().unwrap().take().unwrap();
            let text = panic_of(|| itself.join());
            assert_eq!(text, "thread 'narcissus' joins itself and would never end");
        });
        *slot.lock().unwrap() = Some(thread.unwrap());
        yield_now();
        assert!(slot.lock().unwrap().is_none());
    });
}

#[test]
fn a_thread_that_cancels_itself_gives_a_join_error() {
    run(|| {
        let thread = thread::spawn(|| {
            task::current().cancel();
            yield_now();
        });
        assert!(is_cancelled(thread.join()));
    });
}

#[test]
fn the_error_of_a_cancelled_thread_names_it() {
    run(|| {
        let builder = thread::Builder::new().name("cut off".into());
        let thread = builder.spawn(|| {
            task::current().cancel();
            yield_now();
        });
        let error = thread.unwrap().join().unwrap_err().downcast::<JoinError>().unwrap();
        let text = error.to_string();
        assert!(text.starts_with("task 'cut off' (#") && text.ends_with("was cancelled"), "{text}");
    });
}

#[test]
fn under_no_switch_a_join_that_would_wait_is_told() {
    run(|| {
        let (ended, runs) = (thread::spawn(|| 7), thread::spawn(|| giambio::sleep_forever()));
        yield_now();
        assert_eq!(task::no_switch(|| ended.join().unwrap()), 7);
        let text = panic_of(|| task::no_switch(|| drop(runs.join())));
        assert_eq!(text, "`join` would switch to another task, inside of `task::no_switch`");
    });
}

#[test]
fn a_task_that_joins_a_thread_of_the_system_does_not_stop_the_others() {
    let (go, wait) = mpsc::channel::<()>();
    let system = thread::spawn(move || {
        wait.recv().unwrap();
        7
    });
    let log = Log::default();
    run(|| {
        let says = log.clone();
        thread::spawn(move || {
            says.add("runs meanwhile");
            go.send(()).unwrap();
        });
        assert_eq!(system.join().unwrap(), 7);
        log.add("joined");
    });
    log.assert(&["runs meanwhile", "joined"]);
}

#[test]
fn a_task_hears_of_a_system_threads_panic() {
    let system = thread::spawn(|| fail("of the system"));
    run(|| {
        let payload = system.join().map(drop).unwrap_err();
        assert_eq!(*payload.downcast::<&str>().unwrap(), "of the system");
    });
}

#[test]
fn a_join_of_a_system_thread_can_be_cut() {
    let (go, wait) = mpsc::channel::<()>();
    let system = thread::spawn(move || wait.recv().is_ok());
    run(|| assert!(skip_after(ms(1), |_| system.join().unwrap()).is_none()));
    go.send(()).unwrap(); // it goes on
}

#[test]
fn a_join_waits_for_the_destructors_of_task_locals() {
    giambio::task_local! {
        #[inherited]
        static KEPT: Slow;
    }
    struct Slow(Log);
    impl Drop for Slow {
        fn drop(&mut self) {
            thread::sleep(secs(1));
            self.0.add("task-local");
        }
    }
    run_virtual(|| {
        let log = Log::default();
        let thread = KEPT.scope(Slow(log.clone()), || {
            let thread = thread::spawn(|| thread::sleep(secs(1)));
            yield_now();
            thread
        });
        thread.join().unwrap();
        log.add("joined");
        log.assert(&["task-local", "joined"]);
    });
}

#[test]
fn is_finished_is_for_polling() {
    run_virtual(|| {
        let thread = thread::spawn(|| thread::sleep(secs(1)));
        let mut polls = 0;
        while !thread.is_finished() {
            thread::sleep(ms(100));
            polls += 1;
        }
        assert!((10..=11).contains(&polls), "{polls}");
        assert!(!raised(|| thread.join().unwrap()));
    });
}
