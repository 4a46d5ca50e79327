//! What is left when `main` returns is cancelled in every state in which a thread can wait.
//!
//! Each thread owns two values whose drops are noted, so a frame that was left behind, or left in the wrong
//! order, is seen.

use crate::Log;
use crate::OnDrop;
use crate::is_cancelled;
use crate::secs;
use giambio::Builder;
use giambio::channel;
use giambio::lowlevel;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::net::UdpSocket;
use giambio::pool;
use giambio::sync::Event;
use giambio::sync::Mutex;
use giambio::sync::Semaphore;
use giambio::testing;
use giambio::testing::settle;
use giambio::thread;
use std::io::Read;
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc;

/// Has a thread wait in `wait` when `main` returns.
#[track_caller]
fn is_cut(builder: Builder, wait: impl FnOnce() + Send + 'static) {
    let log = Log::default();
    let says = log.clone();
    let thread = builder.build().unwrap().run(|| {
        let thread = thread::spawn(move || {
            let _first = OnDrop::new(|| says.add("dropped last"));
            let _second = OnDrop::new(|| says.add("dropped first"));
            says.add("waits");
            wait();
            says.add("was not cut");
        });
        settle();
        log.assert(&["waits"]);
        thread
    });
    log.assert(&["waits", "dropped first", "dropped last"]);
    assert!(thread.is_finished());
    assert!(is_cancelled(thread.join()));
}

/// On a clock that stands still.
#[track_caller]
fn is_cut_in_a_test(wait: impl FnOnce() + Send + 'static) {
    is_cut(testing::builder(), wait);
}

/// On the system's clock, for what waits for the kernel.
#[track_caller]
fn is_cut_in_the_world(wait: impl FnOnce() + Send + 'static) {
    is_cut(Builder::new(), wait);
}

#[test]
fn smoke() {
    is_cut_in_a_test(|| thread::sleep(secs(3600)));
}

#[test]
fn asleep_for_ever() {
    is_cut_in_a_test(|| giambio::sleep_forever());
}

#[test]
fn parked() {
    is_cut_in_a_test(thread::park);
}

#[test]
fn parked_with_a_timeout() {
    is_cut_in_a_test(|| thread::park_timeout(secs(3600)));
}

#[test]
fn parked_by_a_parker() {
    is_cut_in_a_test(|| lowlevel::Parker::new().park());
}

#[test]
fn waiting_for_an_event() {
    is_cut_in_a_test(|| Event::<()>::new().wait());
}

#[test]
fn waiting_for_a_semaphore() {
    is_cut_in_a_test(|| drop(Semaphore::new(0).acquire()));
}

#[test]
fn receiving_from_a_channel() {
    is_cut_in_a_test(|| {
        let (_sender, receiver) = channel::unbounded::<()>();
        let _ = receiver.recv();
    });
}

#[test]
fn sending_to_a_channel_that_is_full() {
    is_cut_in_a_test(|| {
        let (sender, _receiver) = channel::bounded(1);
        sender.send(1).unwrap();
        let _ = sender.send(2);
    });
}

#[test]
fn at_a_rendezvous() {
    is_cut_in_a_test(|| {
        let (sender, _receiver) = channel::bounded(0);
        let _ = sender.send(1);
    });
}

#[test]
fn selecting() {
    is_cut_in_a_test(|| {
        let (_senders, receivers): (Vec<_>, Vec<_>) =
            (0..3).map(|_| channel::unbounded::<()>()).unzip();
        let mut select = channel::Select::new();
        for receiver in &receivers {
            select.recv(receiver);
        }
        select.ready();
    });
}

#[test]
fn locking_interruptibly() {
    is_cut_in_a_test(|| {
        let mutex = Arc::new(Mutex::new(()));
        let held = Arc::clone(&mutex);
        thread::spawn(move || {
            let _guard = held.lock();
            giambio::sleep_forever()
        });
        giambio::yield_now();
        drop(mutex.lock_interruptibly());
    });
}

/// A plain `lock` is no checkpoint: it is taken when its holder, who is cut, has left it.
#[test]
fn locking() {
    let log = Log::default();
    let says = log.clone();
    let thread = giambio::run(|| {
        let mutex = Arc::new(Mutex::new(()));
        let held = Arc::clone(&mutex);
        thread::spawn(move || {
            let _guard = held.lock();
            giambio::sleep_forever()
        });
        let thread = thread::spawn(move || {
            let guard = mutex.lock();
            says.add(format!("poisoned: {}", guard.is_err()));
            giambio::yield_now();
            says.add("was not cut");
        });
        settle();
        thread
    });
    log.assert(&["poisoned: false"]);
    assert!(is_cancelled(thread.join()));
}

#[test]
fn joining_a_thread() {
    is_cut_in_a_test(|| thread::spawn(|| giambio::sleep_forever()).join().unwrap());
}

#[test]
fn joining_a_thread_of_the_system() {
    let (go, wait) = mpsc::channel::<()>();
    let system = thread::spawn(move || wait.recv().is_ok());
    is_cut_in_the_world(move || assert!(system.join().unwrap()));
    go.send(()).unwrap();
}

#[test]
fn joining_a_pools_task() {
    is_cut_in_a_test(|| {
        pool(|pool| {
            let task = pool.spawn(|| giambio::sleep_forever());
            task.join().unwrap();
        });
    });
}

#[test]
fn at_the_end_of_a_pool() {
    is_cut_in_a_test(|| pool(|pool| drop(pool.spawn(|| giambio::sleep_forever()))));
}

#[test]
fn at_the_end_of_a_scope() {
    is_cut_in_a_test(|| {
        thread::scope(|scope| drop(scope.spawn(|| giambio::sleep_forever())));
    });
}

#[test]
fn in_the_body_of_a_scope() {
    is_cut_in_a_test(|| {
        thread::scope(|scope| {
            scope.spawn(|| giambio::sleep_forever());
            giambio::sleep_forever()
        });
    });
}

#[test]
fn in_a_race() {
    is_cut_in_a_test(|| giambio::race(|| thread::sleep(secs(3600)), || giambio::sleep_forever()));
}

#[test]
fn on_a_big_stack() {
    is_cut_in_a_test(|| giambio::on_big_stack(1 << 20, || thread::sleep(secs(3600))));
}

#[test]
fn reading() {
    is_cut_in_the_world(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        drop(server.read(&mut [0]));
    });
}

#[test]
fn writing() {
    is_cut_in_the_world(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let _server = listener.accept().unwrap();
        drop(client.write_all(&vec![0; 64 << 20]));
    });
}

#[test]
fn accepting() {
    is_cut_in_the_world(|| drop(TcpListener::bind("127.0.0.1:0").unwrap().accept()));
}

#[test]
fn receiving_a_datagram() {
    is_cut_in_the_world(|| {
        drop(UdpSocket::bind("127.0.0.1:0").unwrap().recv_from(&mut [0]));
    });
}

#[test]
fn waiting_for_a_descriptor() {
    is_cut_in_the_world(|| {
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        drop(lowlevel::wait_readable(&ours));
    });
}

#[test]
fn waiting_for_its_turn_on_a_helper_thread() {
    let (go, wait) = mpsc::channel::<()>();
    is_cut(Builder::new().helper_threads(1), move || {
        let go_on = Arc::new(Event::new());
        let begun = Arc::clone(&go_on);
        thread::spawn(move || {
            giambio::unblock(move || {
                begun.trigger(()).unwrap();
                let _ = wait.recv();
            });
        });
        go_on.wait();
        // When this is cut the call that has its turn can end, and so can `run`.
        let _go = OnDrop::new(move || go.send(()).unwrap());
        giambio::unblock(|| ());
    });
}

#[test]
fn a_call_on_a_helper_thread_is_waited_for() {
    let (go, wait) = mpsc::channel::<()>();
    let log = Log::default();
    let says = log.clone();
    let thread = giambio::run(|| {
        let begun = Arc::new(Event::new());
        let begins = Arc::clone(&begun);
        let thread = thread::spawn(move || {
            giambio::unblock(move || {
                begins.trigger(()).unwrap();
                wait.recv().unwrap();
            });
            says.add("the call has ended");
            giambio::yield_now();
            says.add("was not cut");
        });
        begun.wait();
        std::thread::spawn(move || go.send(()).unwrap());
        thread
    });
    log.assert(&["the call has ended"]);
    assert!(is_cancelled(thread.join()));
}

#[test]
fn able_to_run() {
    let log = Log::default();
    let says = log.clone();
    let thread = giambio::run(|| {
        let thread = thread::spawn(move || {
            let _guard = OnDrop::new(|| says.add("dropped"));
            loop {
                giambio::yield_now();
            }
        });
        giambio::yield_now();
        thread
    });
    log.assert(&["dropped"]);
    assert!(is_cancelled(thread.join()));
}
