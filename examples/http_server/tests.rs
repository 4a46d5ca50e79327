//! Whole connections, most of them over a script instead of a socket.

use crate::connection::BODY_MAX;
use crate::connection::BODY_TIME;
use crate::connection::Connection;
use crate::connection::HEAD_TIME;
use crate::connection::IDLE_TIME;
use crate::connection::PAGE;
use crate::connection::REQUEST_TIME;
use crate::request::HEAD_MAX;
use crate::serve;
use giambio::net::SocketAddr;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use std::collections::VecDeque;
use std::io;
use std::io::Read;
use std::io::Write;
use std::iter;
use std::time::Duration;

/// A client by script: each piece comes after so many seconds; behind the last one is the end.
struct Script {
    pieces: VecDeque<(u64, Vec<u8>)>,
    writes: Vec<String>,
    /// How long a write takes.
    slowness: Duration,
}

impl Script {
    fn new<'a>(pieces: impl IntoIterator<Item = (u64, &'a str)>) -> Self {
        let owned = |(pause, piece): (u64, &str)| (pause, piece.into());
        let pieces = pieces.into_iter().map(owned).collect();
        Self { pieces, writes: Vec::new(), slowness: Duration::ZERO }
    }
}

impl Read for Script {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some((pause, piece)) = self.pieces.front_mut() else { return Ok(0) };
        giambio::sleep(Duration::from_secs(*pause));
        *pause = 0;
        let count = piece.len().min(buf.len());
        buf[..count].copy_from_slice(&piece[..count]);
        piece.drain(..count);
        if piece.is_empty() {
            self.pieces.pop_front();
        }
        Ok(count)
    }
}

impl Write for Script {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        giambio::sleep(self.slowness);
        self.writes.push(String::from_utf8_lossy(buf).into_owned());
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a connection ends with, the writes that were made, and the seconds that it took.
fn play(script: Script) -> (io::Result<()>, Vec<String>, u64) {
    giambio::testing::run_virtual(|| {
        let start = giambio::clock();
        let mut connection = Connection::new(script);
        let result = connection.serve();
        (result, connection.stream.writes, (giambio::clock() - start).as_secs())
    })
}

/// All that is answered to a client that sends `text` and no more.
#[track_caller]
fn answers(text: &str) -> String {
    let (result, writes, _) = play(Script::new([(0, text)]));
    result.unwrap();
    writes.concat()
}

fn statuses(answers: &str) -> Vec<&str> {
    answers.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.lines().next()).collect()
}

#[track_caller]
fn assert_status(text: &str, expected: &str) {
    assert_eq!(statuses(&answers(text)), [expected], "{text:?}");
}

/// The answer without its date.
fn undated(answer: &str) -> String {
    answer.split_inclusive("\r\n").filter(|line| !line.starts_with("Date: ")).collect()
}

#[test]
fn smoke() {
    let answer = answers("GET / HTTP/1.1\r\nHost: here\r\n\r\n");
    let length = PAGE.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {length}\r\n\
         Connection: keep-alive\r\n\r\n"
    );
    assert_eq!(undated(&answer), head + PAGE);
    let date = answer.lines().find_map(|line| line.strip_prefix("Date: ")).unwrap();
    assert!(httpdate::parse_http_date(date).is_ok(), "{date}");
}

#[test]
fn a_head_request_is_told_the_length_and_gets_no_body() {
    let answer = answers("HEAD / HTTP/1.1\r\nHost: here\r\n\r\n");
    assert!(answer.contains(&format!("Content-Length: {}\r\n", PAGE.len())), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[test]
fn pipelined_requests_are_answered_in_order_and_in_one_write() {
    let requests = "GET / HTTP/1.1\r\nHost: here\r\n\r\n\
        PUT /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\nhello\
        GET /nowhere HTTP/1.1\r\nHost: here\r\n\r\n";
    let (result, writes, _) = play(Script::new([(0, requests)]));
    result.unwrap();
    let [write] = &writes[..] else { panic!("{} writes", writes.len()) };
    assert_eq!(statuses(write), ["200 OK", "200 OK", "404 Not Found"]);
    assert!(write.contains("\r\n\r\nhelloHTTP/1.1 404"), "{write}");
}

#[test]
fn a_client_that_sends_half_a_request_behind_a_whole_one_gets_the_first_answer_at_once() {
    let first = "GET /time HTTP/1.1\r\nHost: here\r\n\r\nGET /time";
    let (result, writes, _) =
        play(Script::new([(0, first), (5, " HTTP/1.1\r\nHost: here\r\n\r\n")]));
    result.unwrap();
    assert_eq!(writes.len(), 2);
}

#[test]
fn fixed_and_chunked_bodies_come_back_whole_however_they_are_cut() {
    let fixed = "POST /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 11\r\n\r\nhello world";
    let chunked = "PUT /echo HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n\
        6;note=a\r\nhello \r\n5\r\nworld\r\n0\r\nBehind: it\r\n\r\n";
    for request in [fixed, chunked] {
        for size in [1, 2, 7, request.len()] {
            let pieces =
                request.as_bytes().chunks(size).map(|piece| str::from_utf8(piece).unwrap());
            let twice = pieces.clone().chain(pieces).map(|piece| (0, piece));
            let (result, writes, _) = play(Script::new(twice));
            result.unwrap();
            let answers = writes.concat();
            assert_eq!(statuses(&answers), ["200 OK"; 2], "{request}");
            assert_eq!(answers.matches("\r\n\r\nhello world").count(), 2, "{answers}");
        }
    }
}

#[test]
fn a_body_that_is_asked_about_is_asked_for_and_one_that_is_too_large_is_not() {
    let head = |length| {
        format!(
            "PUT /echo HTTP/1.1\r\nHost: here\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let (result, writes, _) = play(Script::new([(0, &*head(2)), (1, "ab")]));
    result.unwrap();
    assert_eq!(writes[0], "HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(statuses(&writes[1]), ["200 OK"]);
    assert_status(&head(BODY_MAX + 1), "413 Content Too Large");
    assert_eq!(statuses(&answers(&(head(2) + "ab"))), ["200 OK"]); // it has not waited
}

#[test]
fn what_is_too_large_is_refused_and_the_limit_itself_is_not() {
    let with_body = |length: String, body: &str| {
        format!("PUT /echo HTTP/1.1\r\nHost: here\r\n{length}\r\n\r\n{body}")
    };
    let chunked = |size: usize| {
        let body = format!("1\r\nx\r\n{size:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(size));
        with_body("Transfer-Encoding: chunked".into(), &body)
    };
    let full = "x".repeat(BODY_MAX);
    assert_status(&with_body(format!("Content-Length: {BODY_MAX}"), &full), "200 OK");
    for length in [BODY_MAX.to_string() + "0", "9".repeat(30)] {
        assert_status(&with_body(format!("Content-Length: {length}"), ""), "413 Content Too Large");
    }
    assert_status(&chunked(BODY_MAX - 1), "200 OK");
    assert_status(&chunked(BODY_MAX), "413 Content Too Large");

    let with_head = |length: usize| {
        let start = "GET / HTTP/1.1\r\nHost: here\r\nX: ";
        format!("{start}{}\r\n\r\n", "x".repeat(length - start.len() - 4))
    };
    assert_status(&with_head(HEAD_MAX), "200 OK");
    assert_status(&with_head(HEAD_MAX + 1), "431 Request Header Fields Too Large");
    let lines = "X: x\r\n".repeat(100);
    let many = format!("GET / HTTP/1.1\r\nHost: here\r\n{lines}\r\n");
    assert_status(&many, "431 Request Header Fields Too Large");
}

#[test]
fn what_is_wrong_is_refused_and_the_connection_ends() {
    let bad = "400 Bad Request";
    let cases = [
        ("\x01\x02\r\n\r\n", bad),
        ("GET /\r\n\r\n", bad),
        ("GET / HTTP/1.1\r\n\r\n", bad), // no host
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", bad),
        ("PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx", bad),
        ("PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", bad),
        (
            "PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            bad,
        ),
        ("PUT /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", bad),
        ("PUT /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n", bad),
        ("PUT /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxyz", bad),
        ("PUT /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "501 Not Implemented"),
    ];
    for (request, status) in cases {
        let answer = answers(&format!("{request}GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(statuses(&answer), [status], "{request:?}");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    }
}

#[test]
fn a_known_path_says_which_methods_it_has() {
    let answer = answers("DELETE /echo HTTP/1.1\r\nHost: here\r\n\r\n");
    assert_eq!(statuses(&answer), ["405 Method Not Allowed"]);
    assert!(answer.contains("\r\nAllow: POST, PUT\r\n"), "{answer}");
    assert_status(
        "POST http://here/time?now HTTP/1.1\r\nHost: here\r\n\r\n",
        "405 Method Not Allowed",
    );
}

#[test]
fn the_client_says_whether_the_connection_stays_and_its_version_if_it_does_not() {
    let cases = [
        ("HTTP/1.1\r\nHost: here", 2),
        ("HTTP/1.1\r\nHost: here\r\nConnection: x, Close", 1),
        ("HTTP/1.0", 1),
        ("HTTP/1.0\r\nConnection: Keep-Alive", 2),
    ];
    for (rest, count) in cases {
        let answers = answers(&format!("GET /time {rest}\r\n\r\n").repeat(2));
        assert_eq!(statuses(&answers), vec!["200 OK"; count], "{rest}");
        let ends = usize::from(answers.contains("Connection: close"));
        assert_eq!(ends, usize::from(count == 1), "{rest}");
    }
}

#[test]
fn a_head_that_drips_in_is_refused_when_its_time_is_over() {
    let letters = "GET / HTTP/1.1\r\nHost: here".as_bytes().chunks(1);
    let slowly = letters.map(|letter| (1, str::from_utf8(letter).unwrap()));
    let (result, writes, seconds) = play(Script::new(slowly));
    result.unwrap();
    assert_eq!(statuses(&writes.concat()), ["408 Request Timeout"]);
    assert_eq!(seconds, 1 + HEAD_TIME.as_secs()); // from the first byte on
}

#[test]
fn a_body_that_drips_in_is_refused_when_its_time_is_over() {
    let head = "PUT /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\n";
    let slowly = iter::once((0, head)).chain(iter::repeat_n((1, "x"), 1000));
    let (result, writes, seconds) = play(Script::new(slowly));
    result.unwrap();
    assert_eq!(statuses(&writes.concat()), ["408 Request Timeout"]);
    assert_eq!(seconds, BODY_TIME.as_secs());
}

#[test]
fn a_silent_client_is_let_go_without_a_word() {
    let request = "GET /time HTTP/1.1\r\nHost: here\r\n\r\n";
    let (result, writes, seconds) = play(Script::new([(3, request), (3600, request)]));
    result.unwrap();
    assert_eq!(writes.len(), 1);
    assert_eq!(seconds, 3 + IDLE_TIME.as_secs());
}

#[test]
fn a_client_that_takes_nothing_is_given_up() {
    let mut script = Script::new([(0, "GET / HTTP/1.1\r\nHost: here\r\n\r\n")]);
    script.slowness = Duration::from_secs(3600);
    let (result, _, seconds) = play(script);
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(seconds, REQUEST_TIME.as_secs());
}

#[test]
fn a_stop_waits_for_the_request_that_has_begun_and_for_no_other() {
    let request = "PUT /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 1\r\n\r\n";
    let script = Script::new([(0, request), (5, "x"), (0, request)]);
    giambio::testing::run_virtual(|| {
        let start = giambio::clock();
        let mut connection = Connection::new(script);
        let done = giambio::skip_after(Duration::from_secs(1), |_| connection.serve());
        assert!(done.is_none());
        assert_eq!((giambio::clock() - start).as_secs(), 5);
        assert_eq!(statuses(&connection.stream.writes.concat()), ["200 OK"]);
        assert_eq!(connection.stream.pieces.len(), 1); // the next one was not even read
    });
}

/// Serves while `clients` runs, or until it stops the server.
fn while_serving(clients: impl FnOnce(SocketAddr, &dyn Fn())) {
    giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        giambio::pool(|pool| {
            let server = pool.spawn(|| serve(listener));
            clients(address, &|| server.cancel());
            server.cancel();
            assert!(server.join().unwrap_err().is_cancelled());
        });
    });
}

#[test]
fn a_refused_client_that_goes_on_sending_gets_to_see_the_answer() {
    while_serving(|address, _| {
        let mut stream = TcpStream::connect(address).unwrap();
        let head = "PUT /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 9999999\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&vec![b'x'; 9_999_999]).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(statuses(&answer), ["413 Content Too Large"]);
    });
}

#[test]
fn a_stop_closes_the_door_and_what_is_idle_and_then_waits_for_the_last_answer() {
    while_serving(|address, stop| {
        let [mut idle, mut busy] = [(); 2].map(|()| TcpStream::connect(address).unwrap());
        busy.write_all(b"PUT /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\n\r\na").unwrap();
        giambio::testing::settle();
        stop();
        assert_eq!(idle.read(&mut [0]).unwrap(), 0);
        assert!(TcpStream::connect(address).is_err());
        busy.write_all(b"b").unwrap();
        let mut answer = String::new();
        busy.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("\r\n\r\nab"), "{answer}");
    });
}
