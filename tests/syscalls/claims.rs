//! The claims: one server, its peers and its budget each.

use crate::Claim;
use crate::Counted;
use crate::SLACK;
use crate::Work;
use crate::announce;
use crate::at_most;
use crate::between;
use crate::exactly;
use crate::until_end;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::os::unix::net::UnixListener;
use std::cell::Cell;
use std::io;
use std::io::Read;
use std::io::Write;
use std::net;
use std::net::SocketAddr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net as unix;
use std::time::Duration;

pub(crate) const CLAIMS: &[Claim] = &[
    Claim {
        name: "a_request_is_one_receive_one_send_and_one_wait",
        counted: serve_echo,
        peers: ask_in_rounds,
        work: [Work::new(1, 100), Work::new(1, 1100)],
        units: 1000,
        unit: "request",
        slack: SLACK,
        budget: &[exactly("recvfrom", 1.0), exactly("sendto", 1.0), exactly("epoll_wait", 1.0)],
    },
    Claim {
        name: "a_request_among_fifty_connections_is_one_receive_one_send_and_its_share_of_a_wait",
        counted: serve_echo,
        peers: ask_in_rounds,
        work: [Work::new(50, 5), Work::new(50, 45)],
        units: 2000,
        unit: "request",
        slack: SLACK,
        budget: &[exactly("recvfrom", 1.0), exactly("sendto", 1.0), at_most("epoll_wait", 0.4)],
    },
    Claim {
        name: "a_deadline_around_each_request_costs_no_call",
        counted: serve_echo_within_a_second,
        peers: ask_in_rounds,
        work: [Work::new(1, 100), Work::new(1, 1100)],
        units: 1000,
        unit: "request",
        slack: SLACK,
        budget: &[exactly("recvfrom", 1.0), exactly("sendto", 1.0), exactly("epoll_wait", 1.0)],
    },
    Claim {
        name: "a_wait_for_readability_before_a_short_read_costs_no_call_of_its_own",
        counted: serve_echo_without_a_buffer,
        peers: ask_in_rounds,
        work: [Work::new(1, 100), Work::new(1, 1100)],
        units: 1000,
        unit: "request",
        slack: SLACK,
        budget: &[exactly("recvfrom", 1.0), exactly("sendto", 1.0), exactly("epoll_wait", 1.0)],
    },
    Claim {
        name: "a_request_over_a_unix_socket_is_one_receive_and_one_send",
        counted: serve_unix_echo,
        peers: ask_by_unix_in_rounds,
        work: [Work::new(1, 100), Work::new(1, 1100)],
        units: 1000,
        unit: "request",
        slack: SLACK,
        budget: &[
            exactly("recvmsg", 1.0),
            exactly("sendto", 1.0),
            // For the request; and when the peer has read the reply, the kernel tells of the room.
            between("epoll_wait", 1.0, 2.0),
        ],
    },
    Claim {
        name: "an_idle_server_makes_no_call",
        counted: serve_echo,
        peers: do_nothing,
        work: [Work::new(10, 1), Work::new(10, 31)],
        units: 3,
        unit: "second",
        // A call each second would be three.
        slack: 2.0,
        budget: &[],
    },
    Claim {
        name: "a_connection_is_registered_once_and_taken_down_by_its_close",
        counted: serve_echo,
        peers: come_one_by_one,
        work: [Work::new(20, 5), Work::new(120, 5)],
        units: 100,
        unit: "connection",
        slack: SLACK,
        budget: &[
            // One more finds that nobody else is there, before the acceptor parks.
            exactly("accept4", 2.0),
            // Five requests and the end; the first has not come yet when it is read.
            exactly("recvfrom", 7.0),
            exactly("sendto", 5.0),
            exactly("close", 1.0),
            exactly("epoll_ctl", 1.0),
            // For the connection, each request, the end; and the registration is told that it can be
            // written to.
            exactly("epoll_wait", 8.0),
        ],
    },
    Claim {
        name: "a_connection_that_is_answered_at_once_is_never_registered",
        counted: serve_a_backlog,
        peers: come_before_the_server,
        work: [Work::new(10, 1), Work::new(90, 1)],
        units: 80,
        unit: "connection",
        slack: SLACK,
        budget: &[
            exactly("accept4", 1.0),
            exactly("recvfrom", 1.0),
            exactly("sendto", 1.0),
            exactly("close", 1.0),
            at_most("epoll_wait", 0.05),
        ],
    },
    Claim {
        name: "a_backlog_is_accepted_in_one_go_while_others_have_their_turns",
        counted: accept_a_backlog,
        peers: come_before_the_server,
        work: [Work::new(10, 1), Work::new(110, 1)],
        units: 100,
        unit: "connection",
        slack: SLACK,
        budget: &[exactly("accept4", 1.0), exactly("close", 1.0), at_most("epoll_wait", 0.05)],
    },
    Claim {
        name: "a_connect_asks_waits_and_asks_again",
        counted: connect_and_close,
        peers: accept_and_close,
        work: [Work::new(10, 1), Work::new(110, 1)],
        units: 100,
        unit: "connection",
        slack: SLACK,
        budget: &[
            exactly("socket", 1.0),
            // The second one says how it went.
            exactly("connect", 2.0),
            exactly("close", 1.0),
            exactly("epoll_ctl", 1.0),
            at_most("epoll_wait", 1.0),
        ],
    },
];

/// Connections that std's listeners keep in their backlog.
const BACKLOG_MAX: usize = 128;

const MESSAGE: [u8; 64] = [b'm'; 64];

fn listen() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    announce(listener.local_addr().unwrap());
    listener
}

/// Runs `handler` in a task for each of so many connections.
fn serve(listener: &TcpListener, connections: usize, handler: impl Fn(TcpStream) + Copy) {
    giambio::pool(|pool| {
        for stream in listener.incoming().take(connections) {
            let stream = stream.unwrap();
            pool.spawn(move || handler(stream));
        }
    });
}

fn echo(mut stream: impl Read + Write) {
    let mut buf = [0; 1024];
    loop {
        match stream.read(&mut buf).unwrap() {
            0 => return,
            count => stream.write_all(&buf[..count]).unwrap(),
        }
    }
}

fn serve_echo(work: Work) {
    giambio::run(|| serve(&listen(), work.connections, echo));
}

/// The abstract name of the one process that is counted.
fn unix_address(pid: u32) -> unix::SocketAddr {
    unix::SocketAddr::from_abstract_name(format!("giambio-syscalls-{pid}")).unwrap()
}

fn serve_unix_echo(work: Work) {
    giambio::run(|| {
        let listener = UnixListener::bind_addr(&unix_address(std::process::id())).unwrap();
        // Announces an address because all do; its peers know the name.
        announce(SocketAddr::from(([127, 0, 0, 1], 0)));
        giambio::pool(|pool| {
            for stream in listener.incoming().take(work.connections) {
                let stream = stream.unwrap();
                pool.spawn(move || echo(stream));
            }
        });
    });
}

fn serve_echo_without_a_buffer(work: Work) {
    let serve_one = |mut stream: TcpStream| {
        loop {
            stream.readable().unwrap();
            let mut buf = [0; 1024];
            match stream.read(&mut buf).unwrap() {
                0 => return,
                count => stream.write_all(&buf[..count]).unwrap(),
            }
        }
    };
    giambio::run(|| serve(&listen(), work.connections, serve_one));
}

fn serve_echo_within_a_second(work: Work) {
    let serve_one = |mut stream: TcpStream| {
        let mut buf = [0; 1024];
        for _ in 0..work.requests {
            giambio::with_timeout(Duration::from_secs(1), |_| {
                let count = stream.read(&mut buf).unwrap();
                stream.write_all(&buf[..count]).unwrap();
            })
            .unwrap();
        }
    };
    giambio::run(|| serve(&listen(), work.connections, serve_one));
}

/// Waits, thread and all, until the peers have come.
fn wait_for_the_peers() {
    until_end(io::stdin());
}

fn serve_a_backlog(work: Work) {
    giambio::run(|| {
        // So that no task needs a new stack later.
        giambio::pool(|pool| (0..BACKLOG_MAX).for_each(|_| drop(pool.spawn(giambio::yield_now))));
        let listener = listen();
        wait_for_the_peers();
        serve(&listener, work.connections, |mut stream| {
            let mut buf = [0; 1024];
            let count = stream.read(&mut buf).unwrap();
            stream.write_all(&buf[..count]).unwrap();
        });
    });
}

fn accept_a_backlog(work: Work) {
    giambio::run(|| {
        let listener = listen();
        wait_for_the_peers();
        let (turns, done) = (Cell::new(0), Cell::new(false));
        giambio::pool(|pool| {
            pool.spawn(|| {
                while !done.get() {
                    turns.set(turns.get() + 1);
                    giambio::yield_now();
                }
            });
            let streams: Vec<_> = listener.incoming().take(work.connections).collect();
            done.set(true);
            assert!(streams.iter().all(Result::is_ok));
        });
        // An acceptor that always finds somebody yields all the same.
        assert!(turns.get() >= work.connections / 100, "{turns:?}");
    });
}

fn connect_and_close(work: Work) {
    // Announces an address because all do; who has a port there tells it on standard input.
    announce(SocketAddr::from(([127, 0, 0, 1], 0)));
    let mut line = String::new();
    io::stdin().read_line(&mut line).unwrap();
    let address: SocketAddr = line.trim().parse().unwrap();
    giambio::run(|| {
        for _ in 0..work.connections {
            TcpStream::connect(address).unwrap();
        }
    });
}

fn accept_and_close(mut clients: Counted, work: Work) {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    writeln!(clients.stdin, "{}", listener.local_addr().unwrap()).unwrap();
    listener.incoming().take(work.connections).for_each(|stream| until_end(stream.unwrap()));
}

fn connect(address: SocketAddr) -> net::TcpStream {
    let stream = net::TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn connect_all(address: SocketAddr, connections: usize) -> Vec<net::TcpStream> {
    (0..connections).map(|_| connect(address)).collect()
}

fn ask(mut stream: impl Write) {
    stream.write_all(&MESSAGE).unwrap();
}

fn hear(mut stream: impl Read) {
    let mut reply = [0; MESSAGE.len()];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(reply, MESSAGE);
}

/// All ask, and then all hear.
fn ask_in_rounds(server: Counted, work: Work) {
    let streams = connect_all(server.address, work.connections);
    for _ in 0..work.requests {
        server.until_asleep();
        streams.iter().for_each(ask);
        streams.iter().for_each(hear);
    }
}

fn ask_by_unix_in_rounds(server: Counted, work: Work) {
    let address = unix_address(server.pid);
    let connect = |_| unix::UnixStream::connect_addr(&address).unwrap();
    let streams: Vec<_> = (0..work.connections).map(connect).collect();
    for _ in 0..work.requests {
        server.until_asleep();
        streams.iter().for_each(ask);
        streams.iter().for_each(hear);
    }
}

#[expect(clippy::disallowed_methods, reason = "a thread without tasks, and real time")]
fn do_nothing(server: Counted, work: Work) {
    let connect = |_| {
        server.until_asleep();
        let stream = connect(server.address);
        server.until_asleep();
        ask(&stream);
        hear(&stream);
        stream
    };
    let idle: Vec<_> = (0..work.connections).map(connect).collect();
    std::thread::sleep(Duration::from_millis(100) * work.requests as u32);
    for stream in idle {
        server.until_asleep();
        drop(stream);
    }
}

fn come_one_by_one(server: Counted, work: Work) {
    for _ in 0..work.connections {
        server.until_asleep();
        let stream = &connect(server.address);
        for _ in 0..work.requests {
            server.until_asleep();
            ask(stream);
            hear(stream);
        }
        server.until_asleep();
    }
}

/// All are in the backlog, with a request, before the server accepts the first; they leave when it
/// has closed.
fn come_before_the_server(server: Counted, work: Work) {
    let streams = connect_all(server.address, work.connections);
    streams.iter().for_each(ask);
    drop(server.stdin);
    streams.iter().for_each(until_end);
}
