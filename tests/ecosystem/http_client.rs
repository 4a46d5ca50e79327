//! ureq, a synchronous HTTP client, on sockets of ours: against the server of the example.

use crate::connection::converse;
use crate::count_turns;
use crate::run;
use crate::while_serving;
use giambio::TooSlow;
use giambio::net::SocketAddr;
use giambio::net::TcpStream;
use giambio::net::ToSocketAddrs;
use giambio::sync::Event;
use std::cell::Cell;
use std::io;
use std::io::Read;
use std::io::Write;
use std::mem::MaybeUninit;
use std::time::Duration;
use ureq::Agent;
use ureq::Error;
use ureq::Timeout;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::ResolvedSocketAddrs;
use ureq::unversioned::resolver::Resolver;
use ureq::unversioned::transport::Buffers;
use ureq::unversioned::transport::ConnectionDetails;
use ureq::unversioned::transport::Connector;
use ureq::unversioned::transport::LazyBuffers;
use ureq::unversioned::transport::NextTimeout;
use ureq::unversioned::transport::Transport;

/// Real time: a deadline that is to pass.
const SHORT: Duration = Duration::from_millis(50);

#[derive(Debug)]
struct Tcp;

impl Connector for Tcp {
    type Out = TcpTransport;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<TcpTransport>, Error> {
        let config = details.config;
        let stream = within(details.timeout, || TcpStream::connect(&details.addrs[..]))?;
        stream.set_nodelay(config.no_delay())?;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(TcpTransport { stream, buffers }))
    }
}

#[derive(Debug)]
struct TcpTransport {
    stream: TcpStream,
    buffers: LazyBuffers,
}

impl Transport for TcpTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let Self { stream, buffers } = self;
        within(timeout.for_write(), || stream.write_all(&buffers.output()[..amount]))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let Self { stream, buffers } = self;
        let count = within(timeout.for_read(), || stream.read(buffers.input_append_buf()))?;
        buffers.input_appended(count);
        Ok(count > 0)
    }

    /// The agent asks while it holds a lock of std's: a task that waited here, or gave up its turn,
    /// would stop every other one that wants the lock, and with them the thread. So no call of ours.
    fn is_open(&mut self) -> bool {
        let socket = socket2::SockRef::from(&self.stream);
        let waiting = socket.peek(&mut [MaybeUninit::uninit()]);
        waiting.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }
}

/// ureq's timeouts as ours.
fn within<T>(timeout: NextTimeout, call: impl FnOnce() -> io::Result<T>) -> Result<T, Error> {
    let Some(limit) = timeout.not_zero() else { return Ok(call()?) };
    match giambio::with_timeout(*limit, |_| call()) {
        Ok(result) => Ok(result?),
        Err(TooSlow) => Err(Error::Timeout(timeout.reason)),
    }
}

/// ureq's own resolver starts a thread, and blocks on it, as soon as there is a timeout.
#[derive(Debug)]
struct Names;

impl Resolver for Names {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().ok_or(Error::HostNotFound)?;
        let mut found = self.empty();
        for address in (host, uri.port_u16().unwrap_or(80)).to_socket_addrs()?.take(16) {
            found.push(address);
        }
        Ok(found)
    }
}

fn agent(timeout: Option<Duration>) -> Agent {
    let config = Config::builder().proxy(None).timeout_global(timeout).build();
    Agent::with_parts(config, Tcp, Names)
}

fn echo(agent: &Agent, address: SocketAddr, text: &str) -> String {
    let mut response = agent.put(format!("http://{address}/echo")).send(text).unwrap();
    response.body_mut().read_to_string().unwrap()
}

fn get(agent: &Agent, address: SocketAddr) -> Result<String, Error> {
    agent.get(format!("http://{address}/time")).call()?.body_mut().read_to_string()
}

fn serve(stream: TcpStream) {
    converse(&stream).unwrap();
}

#[test]
fn requests_one_after_the_other_use_one_connection() {
    run(|| {
        let served = while_serving(serve, |address| {
            let agent = agent(None);
            for number in 0..20 {
                let text = format!("no. {number}");
                assert_eq!(echo(&agent, address, &text), text);
            }
        });
        assert_eq!(served, 1);
    });
}

#[test]
fn a_hundred_tasks_of_one_worker_share_an_agent_and_are_served_at_once() {
    const CLIENTS: usize = 100;
    run(|| {
        // Nobody is served before all have come.
        let (came, all_came) = (Cell::new(0), Event::new());
        let serve_together = |stream| {
            came.set(came.get() + 1);
            if came.get() == CLIENTS {
                all_came.trigger(()).unwrap();
            }
            all_came.wait();
            serve(stream);
        };
        let served = while_serving(serve_together, |address| {
            let agent = agent(None);
            giambio::pool(|pool| {
                for number in 0..CLIENTS {
                    let agent = &agent;
                    pool.spawn(move || {
                        for round in 0..5 {
                            let text = format!("{number}, {round}");
                            assert_eq!(echo(agent, address, &text), text);
                        }
                    });
                }
            });
        });
        assert!(served >= CLIENTS, "{served}");
    });
}

#[test]
fn a_large_body_goes_both_ways_and_a_refusal_is_an_error_with_its_status() {
    run(|| {
        while_serving(serve, |address| {
            let agent = agent(None);
            let text = "0123456789abcdef".repeat(1 << 16);
            assert!(echo(&agent, address, &text) == text);
            let refused = agent.get(format!("http://{address}/nothing")).call();
            assert!(matches!(refused, Err(Error::StatusCode(404))), "{refused:?}");
        });
    });
}

#[test]
fn a_deadline_cuts_a_request_and_leaves_the_agent_to_the_others() {
    run(|| {
        let is_first = Cell::new(true);
        let first_is_ignored = |stream| {
            if is_first.replace(false) {
                giambio::sleep_forever();
            }
            serve(stream);
        };
        while_serving(first_is_ignored, |address| {
            let agent = agent(None);
            let cut = giambio::with_timeout(SHORT, |_| get(&agent, address));
            assert!(matches!(cut, Err(TooSlow)), "{cut:?}");
            assert!(get(&agent, address).unwrap().ends_with("GMT\n"));
        });
    });
}

#[test]
fn a_timeout_of_the_clients_own_is_its_own_error_and_others_run_meanwhile() {
    run(|| {
        let silent = |_stream: TcpStream| giambio::sleep_forever();
        while_serving(silent, |address| {
            let turns = Cell::new(0);
            giambio::pool(|pool| {
                count_turns(pool, &turns);
                let error = get(&agent(Some(SHORT)), address).unwrap_err();
                assert!(matches!(error, Error::Timeout(Timeout::Global)), "{error}");
            });
            assert!(turns.get() > 100, "{}", turns.get());
        });
    });
}

#[test]
fn a_connection_that_the_server_has_closed_is_not_used_again() {
    run(|| {
        let says_nothing_of_it = |mut stream: TcpStream| {
            assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
        };
        let served = while_serving(says_nothing_of_it, |address| {
            let agent = agent(None);
            for _ in 0..3 {
                assert_eq!(get(&agent, address).unwrap(), "ok");
                giambio::testing::settle(); // the end has come
            }
        });
        assert_eq!(served, 3);
    });
}

#[test]
fn nobody_listens_is_the_systems_error() {
    run(|| {
        let listener = giambio::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = get(&agent(None), address).unwrap_err();
        let Error::Io(error) = error else { panic!("{error}") };
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    });
}
