//! The accept loop against a scripted listener, on a virtual clock: what no kernel can be made to say.

use super::*;
use crate::clock::Clock;
use crate::pool::pool;
use crate::runtime::Builder;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Instant;

/// Answers in turn; then nobody connects any more.
struct Script {
    answers: RefCell<VecDeque<io::Result<u32>>>,
    /// When it was asked, counted from the start.
    asked: RefCell<Vec<Duration>>,
    start: Instant,
}

impl Script {
    fn new(answers: impl IntoIterator<Item = io::Result<u32>>) -> Self {
        let answers = RefCell::new(answers.into_iter().collect());
        Self { answers, asked: RefCell::default(), start: time::clock() }
    }

    fn age(&self) -> Duration {
        time::clock() - self.start
    }

    #[track_caller]
    fn assert_asked_at(&self, millis: &[u64]) {
        let asked: Vec<_> = self.asked.borrow().iter().map(Duration::as_millis).collect();
        assert_eq!(asked, millis.iter().copied().map(u128::from).collect::<Vec<_>>());
    }
}

impl Sealed for Script {}

impl Listener for Script {
    type Stream = u32;
    type Addr = &'static str;

    fn accept(&self) -> io::Result<(u32, &'static str)> {
        if let Some(me) = park::current() {
            me.checkpoint();
        }
        self.asked.borrow_mut().push(self.age());
        let answer = self.answers.borrow_mut().pop_front();
        answer.unwrap_or_else(|| time::sleep_forever()).map(|stream| (stream, "somebody"))
    }
}

fn failing(code: i32) -> io::Result<u32> {
    Err(io::Error::from_raw_os_error(code))
}

fn virtually(main: impl FnOnce()) {
    Builder::new().clock(Clock::owned_by_the_test()).build().unwrap().run(main);
}

/// Serves `script` until it is over and `time` has passed, with handlers that sleep for as many milliseconds
/// as their streams say.
fn serve_for(script: &Script, server: &Server, time: Duration) -> io::Result<Served> {
    pool(|pool| {
        pool.spawn(|| {
            time::sleep(time);
            server.stopper().stop();
        });
        server.serve(script, |millis, _| {
            time::sleep(Duration::from_millis(millis.into()));
            Ok(())
        })
    })
}

#[test]
fn after_a_shortage_the_server_waits_before_it_tries_again() {
    virtually(|| {
        let shortages = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
        let script = Script::new(shortages.map(failing).into_iter().chain([Ok(1)]));
        let served = serve_for(&script, &Server::new(), Duration::from_secs(1)).unwrap();
        assert_eq!((served.accepted, served.failed, served.cancelled), (1, 0, 0));
        script.assert_asked_at(&[0, 100, 200, 300, 400, 400]);
    });
}

#[test]
fn a_shortage_that_was_put_into_words_is_one_too() {
    virtually(|| {
        let named = |code| failing(code).map_err(crate::sys::name_limit);
        let script = Script::new([named(libc::EMFILE), named(libc::ENFILE), Ok(1)]);
        serve_for(&script, &Server::new(), Duration::from_secs(1)).unwrap();
        script.assert_asked_at(&[0, 100, 200, 200]);
    });
}

#[test]
fn a_connection_that_ends_ends_the_pause() {
    virtually(|| {
        let script = Script::new([Ok(30), Ok(70), failing(libc::EMFILE), failing(libc::EMFILE)]);
        serve_for(&script, &Server::new(), Duration::from_secs(1)).unwrap();
        script.assert_asked_at(&[0, 0, 0, 30, 70]);
    });
}

#[test]
fn a_shortage_that_lasts_takes_ten_attempts_a_second() {
    virtually(|| {
        let script = Script::new((0..10_000).map(|_| failing(libc::EMFILE)));
        serve_for(&script, &Server::new(), Duration::from_secs(60)).unwrap();
        assert_eq!(script.asked.borrow().len(), 600);
    });
}

#[test]
fn an_error_of_one_connection_costs_no_time() {
    virtually(|| {
        let passing = [
            libc::ECONNABORTED,
            libc::EPERM,
            libc::EPROTO,
            libc::ENETDOWN,
            libc::ENOPROTOOPT,
            libc::EHOSTDOWN,
            libc::ENONET,
            libc::EHOSTUNREACH,
            libc::EOPNOTSUPP,
            libc::ENETUNREACH,
        ];
        let script = Script::new(passing.map(failing).into_iter().chain([Ok(1)]));
        let served = serve_for(&script, &Server::new(), Duration::from_secs(1)).unwrap();
        assert_eq!(served.accepted, 1);
        script.assert_asked_at(&[0; 12]);
    });
}

#[test]
fn a_passing_error_that_does_not_pass_is_no_reason_to_spin() {
    virtually(|| {
        let script = Script::new((0..10_000).map(|_| failing(libc::EOPNOTSUPP)));
        serve_for(&script, &Server::new(), Duration::from_secs(60)).unwrap();
        assert_eq!(script.asked.borrow().len(), 700); // a hundred at once, then ten a second
    });
}

#[test]
fn a_row_of_passing_errors_ends_with_a_connection() {
    virtually(|| {
        let row = || (0..100).map(|_| failing(libc::ECONNABORTED));
        let script = Script::new(row().chain([Ok(1)]).chain(row()));
        serve_for(&script, &Server::new(), Duration::from_secs(1)).unwrap();
        script.assert_asked_at(&[0; 202]);
    });
}

#[test]
fn any_other_error_ends_the_server_as_a_stop_does() {
    virtually(|| {
        for code in [libc::EBADF, libc::EINVAL, libc::ENOTSOCK, libc::EAGAIN] {
            let script = Script::new([Ok(4_000), Ok(6_000), failing(code)]);
            let done = RefCell::new(Vec::new());
            let error = Server::new().serve(&script, |millis, _| {
                time::sleep(Duration::from_millis(millis.into()));
                done.borrow_mut().push(millis);
                Ok(())
            });
            assert_eq!(error.unwrap_err().raw_os_error(), Some(code));
            assert_eq!(*done.borrow(), [4_000]); // of two, in 5 s
            assert_eq!(script.age(), Duration::from_secs(5));
        }
    });
}

#[test]
fn a_stop_cuts_a_pause() {
    virtually(|| {
        let script = Script::new([failing(libc::EMFILE), failing(libc::EMFILE)]);
        serve_for(&script, &Server::new(), Duration::from_millis(150)).unwrap();
        script.assert_asked_at(&[0, 100]);
        assert_eq!(script.age(), Duration::from_millis(150));
    });
}

#[test]
fn at_the_limit_nobody_is_accepted_before_somebody_has_left() {
    virtually(|| {
        let script = Script::new([Ok(10), Ok(20), Ok(10), Ok(10)]);
        let server = Server::new().max_connections(2);
        serve_for(&script, &server, Duration::from_secs(1)).unwrap();
        script.assert_asked_at(&[0, 0, 10, 20, 20]);
    });
}

#[test]
fn a_stop_cuts_the_wait_at_the_limit() {
    virtually(|| {
        let script = Script::new([Ok(3_000), Ok(1)]);
        let server = Server::new().max_connections(1);
        let served = serve_for(&script, &server, Duration::from_secs(1)).unwrap();
        assert_eq!((served.accepted, served.cancelled), (1, 0));
        assert_eq!(script.age(), Duration::from_secs(3));
    });
}

#[test]
fn a_stack_that_cannot_be_is_an_error() {
    virtually(|| {
        let script = Script::new([Ok(1)]);
        let error = serve_for(&script, &Server::new().stack_size(0), Duration::from_secs(1));
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    });
}

#[test]
fn a_server_accepts_no_more_once_it_is_told_although_nobody_has_had_a_turn_since() {
    virtually(|| {
        let script = Script::new((0..10).map(|_| Ok(0)));
        let server = Server::new().max_connections(1);
        let stopper = server.stopper();
        let served = server.serve(&script, |_, _| {
            stopper.stop();
            Ok(())
        });
        assert_eq!(served.unwrap().accepted, 1);
    });
}
