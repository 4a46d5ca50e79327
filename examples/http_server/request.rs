//! What a request says: the syntax of HTTP, without any I/O.

use giambio::TooSlow;
use std::io;
use std::str;

/// Bytes of a request's head, and of what stands behind the last chunk of a body.
pub(crate) const HEAD_MAX: usize = 8 << 10;
/// Header lines of a request.
const HEADERS_MAX: usize = 64;
/// Bytes of the line before a chunk.
pub(crate) const CHUNK_LINE_MAX: usize = 256;

pub(crate) type Status = &'static str;

/// Why a request is not answered as it wishes.
pub(crate) enum Fault {
    /// The client is told, and let go.
    Refused(Status),
    /// There is nobody left to be told.
    Lost(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Lost(error)
    }
}

impl From<TooSlow> for Fault {
    fn from(_: TooSlow) -> Self {
        Self::Refused("408 Request Timeout")
    }
}

pub(crate) const BAD: Fault = Fault::Refused("400 Bad Request");
pub(crate) const LARGE_BODY: Fault = Fault::Refused("413 Content Too Large");
pub(crate) const LARGE_HEAD: Fault = Fault::Refused("431 Request Header Fields Too Large");

/// What comes after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Request,
    End,
}

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    Known(usize),
    Chunked,
}

pub(crate) struct Head {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) length: Length,
    pub(crate) expects_continue: bool,
    pub(crate) next: Next,
}

impl Head {
    /// The head at the start of `bytes`, and how long it is; `None` if its end is not there yet.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(usize, Self)>, Fault> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => Ok(Some((length, Self::new(&request)?))),
            Ok(httparse::Status::Partial) => Ok(None),
            Err(httparse::Error::TooManyHeaders) => Err(LARGE_HEAD),
            Err(_) => Err(BAD),
        }
    }

    fn new(request: &httparse::Request<'_, '_>) -> Result<Self, Fault> {
        let is_old = request.version == Some(0); // HTTP/1.0
        let mut next = if is_old { Next::End } else { Next::Request };
        let mut hosts = 0;
        let mut length = None;
        let mut expects_continue = false;
        for header in request.headers.iter() {
            let is = |name| header.name.eq_ignore_ascii_case(name);
            // A value that is no text is none of those below.
            let value = str::from_utf8(header.value).unwrap_or_default().trim();
            if is("host") {
                hosts += 1;
            } else if is("connection") {
                next = asked_for(value).unwrap_or(next);
            } else if is("expect") {
                expects_continue = !is_old && value.eq_ignore_ascii_case("100-continue");
            } else if is("content-length") || is("transfer-encoding") {
                let stated = if is("content-length") { known(value)? } else { chunked(value)? };
                // Two statements, even equal ones, are how requests are smuggled past a proxy.
                if length.replace(stated).is_some() {
                    return Err(BAD);
                }
            }
        }
        if hosts > 1 || (hosts == 0 && !is_old) || (is_old && length == Some(Length::Chunked)) {
            return Err(BAD);
        }
        let method = request.method.unwrap_or_default().to_owned();
        let path = path_of(request.path.unwrap_or_default()).to_owned();
        let length = length.unwrap_or(Length::Known(0));
        Ok(Self { method, path, length, expects_continue, next })
    }
}

/// What a `Connection` header asks for.
fn asked_for(value: &str) -> Option<Next> {
    let mut options = value.split(',').map(str::trim);
    options.find_map(|option| match option {
        _ if option.eq_ignore_ascii_case("close") => Some(Next::End),
        _ if option.eq_ignore_ascii_case("keep-alive") => Some(Next::Request),
        _ => None,
    })
}

fn known(value: &str) -> Result<Length, Fault> {
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BAD);
    }
    // Digits that no number holds are certainly too many.
    Ok(Length::Known(value.parse().unwrap_or(usize::MAX)))
}

fn chunked(value: &str) -> Result<Length, Fault> {
    let is_chunked = value.eq_ignore_ascii_case("chunked");
    is_chunked.then_some(Length::Chunked).ok_or(Fault::Refused("501 Not Implemented"))
}

/// The path of `/path?query` and of `http://host/path?query`, which a proxy would send.
fn path_of(target: &str) -> &str {
    let path = match target.strip_prefix("http://") {
        Some(rest) => rest.find('/').map_or("/", |start| &rest[start..]),
        None => target,
    };
    path.split('?').next().unwrap_or(path)
}

/// What stands before a chunk: its size.
pub(crate) fn chunk_size(bytes: &[u8]) -> Result<Option<(usize, usize)>, Fault> {
    let parsed = httparse::parse_chunk_size(bytes).map_err(|_| BAD)?;
    // A size that no `usize` holds is certainly too large.
    let size = |(length, size)| (length, usize::try_from(size).unwrap_or(usize::MAX));
    Ok(complete(parsed).map(size))
}

/// What stands behind the last chunk: header lines, of which none is of interest, and an empty one.
pub(crate) fn trailer(bytes: &[u8]) -> Result<Option<(usize, ())>, Fault> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let parsed = httparse::parse_headers(bytes, &mut headers).map_err(|_| BAD)?;
    Ok(complete(parsed).map(|(length, _)| (length, ())))
}

fn complete<T>(status: httparse::Status<T>) -> Option<T> {
    match status {
        httparse::Status::Complete(found) => Some(found),
        httparse::Status::Partial => None,
    }
}
