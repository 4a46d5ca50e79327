//! Servers: a task for each connection, whose failure is its own, and an orderly end.
//!
//! What `accept` fails with is scripted, beside the source (src/net/serve_tests.rs), and real where the
//! process has no descriptors left (tests/child/servers.rs).

use crate::dig;
use crate::fail;
use crate::logged;
use crate::panic_of;
use crate::unwind::Passing;
use crate::unwind::assert_given_up;
use giambio::cancellable;
use giambio::net;
use giambio::net::Server;
use giambio::net::SocketAddr;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::os::linux::net::SocketAddrExt;
use giambio::os::unix;
use giambio::os::unix::net::UnixListener;
use giambio::os::unix::net::UnixStream;
use giambio::pool;
use giambio::sleep_forever;
use giambio::sync::Event;
use giambio::task;
use giambio::testing::settle;
use std::cell::Cell;
use std::cell::RefCell;
use std::io;
use std::io::Read;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

pub(crate) fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// Connects and reads to the end.
#[track_caller]
pub(crate) fn ask(addr: SocketAddr) -> String {
    rest_of(&TcpStream::connect(addr).unwrap())
}

#[track_caller]
pub(crate) fn rest_of(mut stream: &TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// Reads a byte, which says that the handler has begun.
#[track_caller]
pub(crate) fn begun(mut stream: &TcpStream) {
    stream.read_exact(&mut [0]).unwrap();
}

pub(crate) fn hello(mut stream: TcpStream, _: SocketAddr) -> io::Result<()> {
    stream.write_all(b"hello")
}

#[test]
fn smoke() {
    giambio::run(|| {
        let (listener, addr) = listener();
        cancellable(|pool| {
            pool.spawn(|| net::serve(&listener, hello));
            assert_eq!([ask(addr), ask(addr)], ["hello", "hello"]);
            pool.cancel();
        });
    });
}

#[test]
fn unix_listeners_are_served_too() {
    giambio::run(|| {
        let name = format!("giambio-served-{}", std::process::id());
        let name = unix::net::SocketAddr::from_abstract_name(name).unwrap();
        let listener = UnixListener::bind_addr(&name).unwrap();
        let server = Server::new();
        let served = pool(|pool| {
            pool.spawn(|| {
                let mut text = String::new();
                let mut client = UnixStream::connect_addr(&name).unwrap();
                client.read_to_string(&mut text).unwrap();
                assert_eq!(text, "hello");
                server.stopper().stop();
            });
            server.serve(&listener, |mut stream, peer| {
                assert!(peer.is_unnamed());
                stream.write_all(b"hello")
            })
        });
        assert_eq!(served.unwrap().accepted, 1);
    });
}

#[test]
fn a_handler_gets_the_peer_and_borrows_what_its_caller_has() {
    giambio::run(|| {
        let (listener, addr) = listener();
        let (server, peers) = (Server::new(), RefCell::new(Vec::new()));
        let clients: Vec<_> = pool(|pool| {
            let clients = pool.spawn(|| {
                let clients: Vec<_> = (0..3).map(|_| TcpStream::connect(addr).unwrap()).collect();
                clients.iter().for_each(|client| drop(rest_of(client)));
                server.stopper().stop();
                clients.iter().map(|client| client.local_addr().unwrap()).collect()
            });
            let served = server.serve(&listener, |_, peer| {
                peers.borrow_mut().push(peer);
                Ok(())
            });
            assert_eq!(served.unwrap().accepted, 3);
            clients.join().unwrap()
        });
        assert_eq!(peers.take(), clients);
    });
}

#[test]
fn connections_are_served_at_the_same_time() {
    giambio::run(|| {
        let (listener, addr) = listener();
        let (server, here) = (Server::new(), Cell::new(0));
        let all_are_here = Event::new();
        pool(|pool| {
            pool.spawn(|| {
                let clients = [(); 10].map(|()| TcpStream::connect(addr).unwrap());
                clients.iter().for_each(|client| drop(rest_of(client)));
                server.stopper().stop();
            });
            let served = server.serve(&listener, |_, _| {
                here.set(here.get() + 1);
                if here.get() == 10 {
                    all_are_here.trigger(()).unwrap();
                }
                all_are_here.wait();
                Ok(())
            });
            assert_eq!(served.unwrap().accepted, 10);
        });
    });
}

/// A handler that ends as the first byte that it reads says.
pub(crate) fn by_its_byte(mut stream: &TcpStream) -> io::Result<()> {
    let mut kind = [0];
    stream.write_all(b".")?;
    stream.read_exact(&mut kind)?;
    match &kind {
        b"p" => panic!("a handler of the tests panics"),
        b"e" => Err(io::Error::other("a handler of the tests fails")),
        _ => stream.write_all(b"fine"),
    }
}

#[test]
fn a_handlers_error_and_panic_are_logged_with_the_peer_and_harm_nobody() {
    logged("");
    giambio::run(|| {
        let (listener, addr) = listener();
        let server = Server::new();
        pool(|pool| {
            let served = pool.spawn(|| server.serve(&listener, |stream, _| by_its_byte(&stream)));
            let clients = [(); 3].map(|()| TcpStream::connect(addr).unwrap());
            clients.iter().for_each(begun);
            let [panics, fails, goes_on] = clients;
            for (mut client, byte) in [(&panics, b"p"), (&fails, b"e")] {
                client.write_all(byte).unwrap();
                assert_eq!(rest_of(client), "");
            }
            (&goes_on).write_all(b"x").unwrap();
            assert_eq!(rest_of(&goes_on), "fine");
            server.stopper().stop();
            let served = served.join().unwrap().unwrap();
            assert_eq!((served.accepted, served.failed, served.cancelled), (3, 2, 0));
            let line = |client: &TcpStream| logged(&client.local_addr().unwrap().to_string());
            let peer = panics.local_addr().unwrap();
            let text = "panicked: a handler of the tests panics";
            assert_eq!(line(&panics), [format!("ERROR: the handler of {peer} {text}")]);
            let peer = fails.local_addr().unwrap();
            let text = "failed: a handler of the tests fails";
            assert_eq!(line(&fails), [format!("ERROR: the handler of {peer} {text}")]);
            assert_eq!(line(&goes_on), [""; 0]);
        });
    });
}

#[test]
fn a_panic_leaves_no_lock_poisoned_and_no_task_behind() {
    giambio::run(|| {
        let (listener, addr) = listener();
        let (server, mutex) = (Server::new(), std::sync::Mutex::new(0));
        pool(|pool| {
            let served = pool.spawn(|| {
                server.serve(&listener, |mut stream, _| {
                    stream.read_exact(&mut [0])?;
                    *mutex.lock().unwrap() += 1;
                    fail("unseen")
                })
            });
            let clients = [(); 5].map(|()| TcpStream::connect(addr).unwrap());
            clients.iter().for_each(|mut client| client.write_all(b"x").unwrap());
            clients.iter().for_each(|client| assert_eq!(rest_of(client), ""));
            server.stopper().stop();
            assert_eq!(served.join().unwrap().unwrap().failed, 5);
        });
        assert_eq!(*mutex.lock().unwrap(), 5);
    });
}

#[test]
fn failing_fast_a_server_returns_the_first_error_and_cancels_the_others_at_once() {
    giambio::run(|| {
        let (listener, addr) = listener();
        let server = Server::new().fail_fast();
        pool(|pool| {
            let served = pool.spawn(|| server.serve(&listener, |stream, _| by_its_byte(&stream)));
            let clients = [(); 2].map(|()| TcpStream::connect(addr).unwrap());
            clients.iter().for_each(begun);
            (&clients[0]).write_all(b"e").unwrap();
            let error = served.join().unwrap().unwrap_err();
            assert_eq!(error.to_string(), "a handler of the tests fails");
            assert_eq!(rest_of(&clients[1]), "");
        });
    });
}

#[test]
fn failing_fast_a_server_passes_a_panic_on() {
    let text = panic_of(|| {
        giambio::run(|| {
            let (listener, addr) = listener();
            pool(|pool| {
                let client = pool.spawn(|| ask(addr));
                let server = Server::new().fail_fast();
                let panicked = catch_unwind(AssertUnwindSafe(|| {
                    drop(server.serve(&listener, |_, _| fail("too much")));
                }));
                assert_eq!(client.join().unwrap(), "");
                std::panic::resume_unwind(panicked.unwrap_err());
            });
        });
    });
    assert_eq!(text, "too much");
}

#[test]
fn failing_fast_a_failure_in_the_grace_fails_the_server_as_well() {
    giambio::run(|| {
        let (listener, addr) = listener();
        let server = Server::new().fail_fast();
        pool(|pool| {
            let served = pool.spawn(|| server.serve(&listener, |stream, _| by_its_byte(&stream)));
            let clients = [(); 2].map(|()| TcpStream::connect(addr).unwrap());
            clients.iter().for_each(begun);
            server.stopper().stop();
            settle();
            assert!(!served.is_finished());
            (&clients[0]).write_all(b"e").unwrap();
            assert!(served.join().unwrap().is_err());
            assert_eq!(rest_of(&clients[1]), "");
        });
    });
}

#[test]
fn further_connections_stay_in_the_backlog() {
    giambio::run(|| {
        let (listener, addr) = listener();
        let server = Server::new().max_connections(2);
        let (here, most) = (Cell::new(0), Cell::new(0));
        pool(|pool| {
            let served = pool.spawn(|| {
                server.serve(&listener, |mut stream, _| {
                    here.set(here.get() + 1);
                    most.set(most.get().max(here.get()));
                    stream.write_all(b".")?;
                    stream.read_exact(&mut [0])?;
                    here.set(here.get() - 1);
                    Ok(())
                })
            });
            let clients = [(); 5].map(|()| TcpStream::connect(addr).unwrap());
            for (ended, mut client) in clients.iter().enumerate() {
                begun(client);
                settle();
                assert_eq!(here.get(), 2.min(5 - ended));
                client.write_all(b"x").unwrap();
                assert_eq!(rest_of(client), "");
            }
            server.stopper().stop();
            assert_eq!(served.join().unwrap().unwrap().accepted, 5);
        });
        assert_eq!(most.get(), 2);
    });
}

#[test]
fn a_connection_of_a_limited_server_makes_room_however_it_ends() {
    giambio::run(|| {
        let (listener, addr) = listener();
        let server = Server::new().max_connections(1);
        let ends: [fn() -> io::Result<()>; 4] = [
            || Ok(()),
            || Err(io::Error::other("on purpose")),
            || fail("on purpose"),
            || {
                task::current().cancel();
                sleep_forever()
            },
        ];
        let next = Cell::new(0);
        pool(|pool| {
            pool.spawn(|| {
                ends.iter().for_each(|_| drop(ask(addr)));
                server.stopper().stop();
            });
            let served = server.serve(&listener, |_, _| {
                next.set(next.get() + 1);
                ends[next.get() - 1]()
            });
            let served = served.unwrap();
            assert_eq!((served.accepted, served.failed, served.cancelled), (4, 2, 1));
        });
    });
}

#[test]
fn a_destructor_that_an_unwind_runs_serves_nobody_who_is_not_there_yet() {
    for passing in [Passing::Panic, Passing::Cancellation] {
        giambio::run(|| {
            let (listener, addr) = listener();
            let client = TcpStream::connect(addr).unwrap();
            pool(|pool| {
                let task = pool.spawn_isolated(|| -> () {
                    let _serves = crate::unwind::OnDrop::new(|| {
                        assert_given_up(net::serve(&listener, hello));
                    });
                    passing.begin()
                });
                // A cancelled task's handlers are cancelled as well.
                let expected = if passing == Passing::Panic { "hello" } else { "" };
                assert_eq!(rest_of(&client), expected);
                assert_eq!(task.join().unwrap_err().is_panic(), passing == Passing::Panic);
            });
        });
    }
}

#[test]
fn a_connections_task_is_named_after_the_call_and_has_the_stack_that_was_asked_for() {
    giambio::Builder::new().stack_size(1 << 16).build().unwrap().run(|| {
        let (listener, addr) = listener();
        let _client = TcpStream::connect(addr).unwrap();
        let server = Server::new().stack_size(4 << 20).fail_fast();
        let line = line!() + 1;
        let served = server.serve(&listener, |_, _| {
            assert!(dig(2 << 20) >= 2 << 20);
            assert!(task::current().name().ends_with(&format!("serve.rs:{line}")));
            server.stopper().stop();
            Ok(())
        });
        assert_eq!(served.unwrap().accepted, 1);
    });
}

#[test]
fn a_server_outside_of_a_run_says_what_is_missing() {
    let (listener, _) = listener();
    let text = panic_of(|| drop(net::serve(&listener, hello)));
    assert!(text.contains("`giambio::net::serve`") && text.contains("`giambio::run`"), "{text}");
}

#[test]
fn a_limit_of_no_connections_is_refused() {
    assert!(panic_of(|| Server::new().max_connections(0)).contains("limit of 0"));
}

#[test]
fn a_server_that_may_not_switch_says_so() {
    giambio::run(|| {
        let (listener, _) = listener();
        let text = panic_of(|| drop(task::no_switch(|| net::serve(&listener, hello))));
        assert!(text.contains("inside of `task::no_switch`"), "{text}");
    });
}
