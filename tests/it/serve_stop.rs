//! How servers are stopped: at once, in their grace, or by a cancellation from outside.

use crate::Log;
use crate::elapsed;
use crate::ms;
use crate::raised;
use crate::secs;
use crate::serve::ask;
use crate::serve::begun;
use crate::serve::by_its_byte;
use crate::serve::hello;
use crate::serve::listener;
use crate::serve::rest_of;
use crate::unwind::assert_given_up;
use giambio::finally;
use giambio::net;
use giambio::net::Server;
use giambio::net::TcpStream;
use giambio::pool;
use giambio::sleep;
use giambio::sleep_forever;
use giambio::task;
use giambio::task::no_unwind;
use giambio::testing::run_virtual;
use giambio::testing::settle;
use std::cell::Cell;
use std::io;
use std::io::Write;
use std::thread;
use std::time::Duration;

#[test]
fn a_stop_leaves_the_listener_and_its_backlog_to_the_caller() {
    giambio::run(|| {
        let (listener, addr) = listener();
        let (server, second) = (Server::new(), Server::new());
        pool(|pool| {
            let served = pool.spawn(|| server.serve(&listener, hello));
            assert_eq!(ask(addr), "hello");
            server.stopper().stop();
            assert_eq!(served.join().unwrap().unwrap().accepted, 1);
            let late = TcpStream::connect(addr).unwrap();
            // This server stays stopped; another one serves who waits.
            assert_eq!(server.serve(&listener, hello).unwrap(), net::Served::default());
            let stopper = second.stopper();
            pool.spawn(move || {
                assert_eq!(rest_of(&late), "hello");
                stopper.stop();
            });
            assert_eq!(second.serve(&listener, hello).unwrap().accepted, 1);
        });
    });
}

#[test]
fn whoever_is_not_served_is_in_the_backlog() {
    const CLIENTS: usize = 20;
    for last in 1..=CLIENTS {
        giambio::run(|| {
            let (listener, addr) = listener();
            let _clients = [(); CLIENTS].map(|()| TcpStream::connect(addr).unwrap());
            let (server, begun) = (Server::new().max_connections(3), Cell::new(0));
            let served = server.serve(&listener, |_, _| {
                begun.set(begun.get() + 1);
                if begun.get() == last {
                    server.stopper().stop();
                }
                (0..begun.get() % 4).for_each(|_| giambio::yield_now());
                Ok(())
            });
            let accepted = served.unwrap().accepted;
            assert_eq!(begun.get(), accepted);
            assert!((last..last + 3).contains(&accepted), "{accepted} of {last}");
            (accepted..CLIENTS).for_each(|_| drop(listener.accept().unwrap()));
            assert!(giambio::with_timeout(ms(1), |_| listener.accept()).is_err());
        });
    }
}

#[test]
fn a_server_that_was_stopped_before_accepts_nobody() {
    giambio::run(|| {
        let (listener, addr) = listener();
        let client = TcpStream::connect(addr).unwrap();
        let server = Server::new();
        server.stopper().stop();
        server.stopper().stop();
        assert!(server.stopper().is_stopped());
        assert_eq!(server.serve(&listener, hello).unwrap().accepted, 0);
        assert_eq!(listener.accept().unwrap().1, client.local_addr().unwrap());
    });
}

#[test]
fn a_handler_and_another_thread_may_stop_the_server() {
    giambio::run(|| {
        let (listener, addr) = listener();
        let server = Server::new();
        let stopper = server.stopper();
        let client = TcpStream::connect(addr).unwrap();
        let served = server.serve(&listener, |mut stream, _| {
            stopper.stop();
            assert!(stopper.is_stopped());
            stream.write_all(b"the last")
        });
        assert_eq!(served.unwrap().accepted, 1);
        assert_eq!(rest_of(&client), "the last");
        let server = Server::new();
        let stopper = server.stopper();
        let thread = thread::spawn(move || stopper.stop());
        assert_eq!(server.serve(&listener, hello).unwrap().accepted, 0);
        thread.join().unwrap();
    });
}

#[test]
fn a_stop_ends_all_who_share_it() {
    let server = Server::new();
    let (addresses, given) = std::sync::mpsc::channel();
    thread::scope(|threads| {
        let other = server.clone();
        threads.spawn(move || {
            giambio::run(|| {
                let (listener, addr) = listener();
                addresses.send(addr).unwrap();
                assert_eq!(other.serve(&listener, hello).unwrap().accepted, 1);
            });
        });
        giambio::run(|| {
            let (first, second) = (listener(), listener());
            pool(|pool| {
                let served = [&first, &second]
                    .map(|(listener, _)| pool.spawn(|| server.serve(listener, hello).unwrap()));
                for addr in [first.1, second.1, given.recv().unwrap()] {
                    assert_eq!(ask(addr), "hello");
                }
                server.stopper().stop();
                for served in served {
                    assert_eq!(served.join().unwrap().accepted, 1);
                }
            });
        });
    });
}

/// Serves one client, whose handler does this, on the virtual clock, and stops the server once the handler
/// waits.
fn stopped(server: &Server, handler: impl Fn() -> io::Result<()>) -> net::Served {
    let (listener, addr) = listener();
    let _client = TcpStream::connect(addr).unwrap();
    pool(|pool| {
        pool.spawn(|| {
            settle();
            server.stopper().stop();
        });
        server.serve(&listener, |_, _| handler()).unwrap()
    })
}

#[test]
fn running_handlers_have_the_grace() {
    run_virtual(|| {
        let took = elapsed(|| {
            let served = stopped(&Server::new(), || {
                sleep(ms(4_999));
                Ok(())
            });
            assert_eq!((served.accepted, served.failed, served.cancelled), (1, 0, 0));
        });
        assert_eq!(took, ms(4_999));
    });
}

#[test]
fn after_the_grace_they_are_cancelled_and_waited_for() {
    run_virtual(|| {
        let log = Log::default();
        let took = elapsed(|| {
            let server = Server::new().grace(secs(2));
            let served = stopped(&server, || {
                finally(sleep_forever, || {
                    sleep(secs(1));
                    log.add("has said goodbye");
                })
            });
            assert_eq!((served.accepted, served.failed, served.cancelled), (1, 0, 1));
        });
        assert_eq!(took, secs(3));
        log.assert(&["has said goodbye"]);
    });
}

#[test]
fn without_a_grace_they_are_cancelled_at_once() {
    run_virtual(|| {
        let took = elapsed(|| {
            let served = stopped(&Server::new().grace(Duration::ZERO), || sleep_forever());
            assert_eq!(served.cancelled, 1);
        });
        assert_eq!(took, Duration::ZERO);
    });
}

#[test]
fn a_grace_may_last_for_ever() {
    run_virtual(|| {
        let day = secs(24 * 3600);
        let took = elapsed(|| {
            let served = stopped(&Server::new().grace(Duration::MAX), || {
                sleep(day);
                Ok(())
            });
            assert_eq!(served.cancelled, 0);
        });
        assert_eq!(took, day);
    });
}

#[test]
fn a_handler_that_had_not_begun_is_one_that_was_cancelled() {
    giambio::run(|| {
        let (listener, addr) = listener();
        let _clients = [(); 2].map(|()| TcpStream::connect(addr).unwrap());
        let server = Server::new().grace(Duration::ZERO);
        let begun = Cell::new(0);
        pool(|pool| {
            // Goes on when the acceptor waits, behind the first handler and before the second.
            let served = pool.spawn(|| {
                server.serve(&listener, |_, _| {
                    begun.set(begun.get() + 1);
                    server.stopper().stop();
                    sleep_forever()
                })
            });
            let served = served.join().unwrap().unwrap();
            assert_eq!((served.accepted, served.failed, served.cancelled), (2, 0, 2));
        });
    });
}

#[test]
fn a_handler_that_cancels_itself_has_not_failed() {
    run_virtual(|| {
        let served = stopped(&Server::new(), || {
            task::current().cancel();
            sleep_forever()
        });
        assert_eq!((served.failed, served.cancelled), (0, 1));
    });
}

#[test]
fn a_cancellation_from_outside_ends_everything_at_once() {
    giambio::run(|| {
        let (listener, addr) = listener();
        let log = Log::default();
        let client = TcpStream::connect(addr).unwrap();
        pool(|pool| {
            let served = pool.spawn(|| {
                net::serve(&listener, |mut stream, _| {
                    stream.write_all(b".")?;
                    finally(sleep_forever, || log.add("cut"))
                })
            });
            begun(&client);
            served.cancel();
            assert!(served.join().unwrap_err().is_cancelled());
            log.assert(&["cut"]);
            assert_eq!(rest_of(&client), "");
        });
    });
}

#[test]
fn a_cancellation_in_the_grace_ends_it() {
    run_virtual(|| {
        let cut = giambio::skip_after(secs(3), |_| {
            stopped(&Server::new().grace(Duration::MAX), || sleep_forever())
        });
        assert!(cut.is_none());
    });
}

#[test]
fn a_stop_at_the_limit_leaves_who_waits_in_the_backlog() {
    giambio::run(|| {
        let (listener, addr) = listener();
        let server = Server::new().max_connections(1);
        let clients = [(); 2].map(|()| TcpStream::connect(addr).unwrap());
        pool(|pool| {
            let served = pool.spawn(|| server.serve(&listener, |stream, _| by_its_byte(&stream)));
            begun(&clients[0]);
            settle();
            server.stopper().stop();
            settle();
            assert!(!served.is_finished());
            (&clients[0]).write_all(b"x").unwrap();
            assert_eq!(served.join().unwrap().unwrap().accepted, 1);
        });
        assert_eq!(listener.accept().unwrap().1, clients[1].local_addr().unwrap());
    });
}

#[test]
fn where_nothing_may_unwind_a_stop_ends_it_and_a_cancellation_is_reported() {
    giambio::run(|| {
        let (listener, _) = listener();
        let server = Server::new();
        pool(|pool| {
            let served = pool.spawn(|| no_unwind(|| server.serve(&listener, hello)));
            settle();
            server.stopper().stop();
            assert_eq!(served.join().unwrap().unwrap().accepted, 0);
            let served = pool.spawn(|| {
                no_unwind(|| assert_given_up(net::serve(&listener, hello)));
                assert!(raised(giambio::yield_now));
            });
            settle();
            served.cancel();
            served.join().unwrap();
        });
    });
}
