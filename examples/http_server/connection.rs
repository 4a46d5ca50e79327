//! One connection: from its first request to its end, over any stream.

use crate::request;
use crate::request::BAD;
use crate::request::Fault;
use crate::request::HEAD_MAX;
use crate::request::Head;
use crate::request::LARGE_BODY;
use crate::request::LARGE_HEAD;
use crate::request::Length;
use crate::request::Next;
use crate::request::Status;
use giambio::TooSlow;
use giambio::net::Shutdown;
use giambio::net::TcpStream;
use std::borrow::Cow;
use std::io;
use std::io::Read;
use std::io::Write;
use std::time::Duration;
use std::time::SystemTime;

/// Bytes of a request's body.
pub(crate) const BODY_MAX: usize = 1 << 20;
/// Bytes of answers that are kept for one write.
const OUTPUT_MAX: usize = 64 << 10;

/// How long a client may be silent between two requests.
pub(crate) const IDLE_TIME: Duration = Duration::from_secs(60);
/// How long a head may take in all, however steadily it drips in.
pub(crate) const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a body may take in all.
pub(crate) const BODY_TIME: Duration = Duration::from_secs(30);
/// How long a request may take from its head to the last byte of its answer, Ctrl-C or not.
pub(crate) const REQUEST_TIME: Duration = Duration::from_secs(60);
/// How long the rest of a refused request is read, so that the client gets to see the answer.
const LINGER_TIME: Duration = Duration::from_secs(2);

pub(crate) const PAGE: &str = "<!DOCTYPE html>\n<title>giambio</title>\n<h1>It works</h1>\n\
    <p>One task for each connection. <a href=\"/time\">The time</a>; what is sent to /echo comes back.\n";

/// Serves a client over TCP.
pub(crate) fn converse(mut stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    Connection::new(stream).serve()?;
    // If bytes were left unread, closing would reset the connection, and the client could miss the answer.
    stream.shutdown(Shutdown::Write)?;
    giambio::skip_after(LINGER_TIME, |_| io::copy(&mut stream, &mut io::sink())).transpose()?;
    Ok(())
}

struct Answer {
    status: Status,
    kind: &'static str,
    /// The methods that are allowed, if that is the answer.
    allow: Option<&'static str>,
    body: Cow<'static, [u8]>,
}

impl Answer {
    fn text(status: Status, text: String) -> Self {
        let body = text.into_bytes().into();
        Self { status, kind: "text/plain; charset=utf-8", allow: None, body }
    }

    /// What the server is all about.
    fn to(head: &Head, body: Vec<u8>) -> Self {
        let not_allowed = |allow| {
            let status = "405 Method Not Allowed";
            Self { allow: Some(allow), ..Self::text(status, format!("{status}\n")) }
        };
        let ok = |kind, body| Self { status: "200 OK", kind, allow: None, body };
        match (&*head.path, &*head.method) {
            ("/", "GET" | "HEAD") => ok("text/html; charset=utf-8", PAGE.as_bytes().into()),
            ("/time", "GET" | "HEAD") => Self::text("200 OK", format!("{}\n", now())),
            ("/echo", "POST" | "PUT") => ok("application/octet-stream", body.into()),
            ("/" | "/time", _) => not_allowed("GET, HEAD"),
            ("/echo", _) => not_allowed("POST, PUT"),
            _ => Self::text("404 Not Found", format!("{} is not here\n", head.path)),
        }
    }
}

fn now() -> String {
    httpdate::fmt_http_date(SystemTime::now())
}

pub(crate) struct Connection<S> {
    pub(crate) stream: S,
    /// What was received; the first `used` bytes of it have been dealt with.
    input: Vec<u8>,
    used: usize,
    /// What was answered and not yet sent.
    output: Vec<u8>,
}

impl<S: Read + Write> Connection<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, input: Vec::new(), used: 0, output: Vec::new() }
    }

    /// Serves until one side has had enough. A cancellation cuts only where no answer is owed.
    pub(crate) fn serve(&mut self) -> io::Result<()> {
        let mut next = Next::Request;
        while next == Next::Request {
            if self.output.is_empty() && !self.begins()? {
                return Ok(());
            }
            let slow = || io::Error::new(io::ErrorKind::TimedOut, "the answer is taken too slowly");
            next = giambio::shield_for(REQUEST_TIME, || self.serve_one()).ok_or_else(slow)??;
        }
        Ok(())
    }

    /// Waits until a request begins; whether one does.
    fn begins(&mut self) -> io::Result<bool> {
        if !self.unread().is_empty() {
            giambio::yield_now(); // who pipelines without end must not keep the server from stopping
            return Ok(true);
        }
        match giambio::with_timeout(IDLE_TIME, |_| self.fill()) {
            Ok(Ok(())) => Ok(true),
            Ok(Err(error)) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
            Ok(Err(_)) | Err(TooSlow) => Ok(false),
        }
    }

    fn serve_one(&mut self) -> io::Result<Next> {
        let next = match self.receive() {
            Ok((head, body)) => {
                self.push(&head.method, &Answer::to(&head, body), head.next);
                head.next
            }
            Err(Fault::Refused(status)) => {
                self.push("", &Answer::text(status, format!("{status}\n")), Next::End);
                Next::End
            }
            Err(Fault::Lost(error)) => return Err(error),
        };
        if next == Next::End || self.unread().is_empty() || self.output.len() >= OUTPUT_MAX {
            self.flush()?;
        }
        Ok(next)
    }

    fn receive(&mut self) -> Result<(Head, Vec<u8>), Fault> {
        let head =
            giambio::with_timeout(HEAD_TIME, |_| self.parse(HEAD_MAX, LARGE_HEAD, Head::parse))??;
        let body = giambio::with_timeout(BODY_TIME, |_| self.read_body(&head))??;
        Ok((head, body))
    }

    fn read_body(&mut self, head: &Head) -> Result<Vec<u8>, Fault> {
        let mut body = Vec::new();
        match head.length {
            Length::Known(0) => return Ok(body),
            Length::Known(length) if length > BODY_MAX => return Err(LARGE_BODY),
            _ => {}
        }
        if head.expects_continue && self.unread().is_empty() {
            self.output.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        match head.length {
            Length::Known(length) => self.read(length, &mut body)?,
            Length::Chunked => self.read_chunks(&mut body)?,
        }
        Ok(body)
    }

    fn read_chunks(&mut self, body: &mut Vec<u8>) -> Result<(), Fault> {
        loop {
            let size = self.parse(request::CHUNK_LINE_MAX, BAD, request::chunk_size)?;
            if size == 0 {
                break;
            }
            if size > BODY_MAX - body.len() {
                return Err(LARGE_BODY);
            }
            self.read(size, body)?;
            let mut end = Vec::new();
            self.read(2, &mut end)?;
            if end != b"\r\n" {
                return Err(BAD);
            }
        }
        self.parse(HEAD_MAX, LARGE_HEAD, request::trailer)
    }

    /// Has `parser` look at what was received, and at more, until it finds what it wants at the start
    /// of that; takes this away.
    fn parse<T>(
        &mut self,
        length_max: usize,
        too_long: Fault,
        parser: impl Fn(&[u8]) -> Result<Option<(usize, T)>, Fault>,
    ) -> Result<T, Fault> {
        loop {
            match parser(self.unread())? {
                Some((length, found)) if length <= length_max => {
                    self.used += length;
                    return Ok(found);
                }
                None if self.unread().len() < length_max => self.fill()?,
                _ => return Err(too_long),
            }
        }
    }

    /// Appends `count` bytes to `body`.
    fn read(&mut self, count: usize, body: &mut Vec<u8>) -> io::Result<()> {
        let end = body.len() + count;
        while body.len() < end {
            if self.unread().is_empty() {
                self.fill()?;
            }
            let part = self.unread().len().min(end - body.len());
            body.extend_from_slice(&self.unread()[..part]);
            self.used += part;
        }
        Ok(())
    }

    fn push(&mut self, method: &str, answer: &Answer, next: Next) {
        let Answer { status, kind, allow, body } = answer;
        let output = &mut self.output;
        let mut line = |text: &[&str]| {
            text.iter().for_each(|part| output.extend_from_slice(part.as_bytes()));
            output.extend_from_slice(b"\r\n");
        };
        line(&["HTTP/1.1 ", status]);
        line(&["Date: ", &now()]);
        line(&["Content-Type: ", kind]);
        line(&["Content-Length: ", &body.len().to_string()]);
        if let Some(methods) = allow {
            line(&["Allow: ", methods]);
        }
        line(&["Connection: ", if next == Next::Request { "keep-alive" } else { "close" }]);
        line(&[]);
        if method != "HEAD" {
            self.output.extend_from_slice(body);
        }
    }

    fn unread(&self) -> &[u8] {
        &self.input[self.used..]
    }

    /// Receives more. The end of the stream is an error here.
    fn fill(&mut self) -> io::Result<()> {
        self.flush()?; // the client may be waiting for that before it sends more
        self.input.drain(..self.used);
        self.used = 0;
        let mut chunk = [0; 8 << 10];
        let count = self.stream.read(&mut chunk)?;
        self.input.extend_from_slice(&chunk[..count]);
        if count == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        // Not `write_all`: a deadline may cut it, and what has gone out must not go out again.
        while !self.output.is_empty() {
            match self.stream.write(&self.output)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => drop(self.output.drain(..count)),
            }
        }
        Ok(())
    }
}
