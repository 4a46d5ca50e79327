//! Unix sockets, method by method: one body for std's types and for ours, inside of `run` and outside
//! of it. What it says has to be the same.

use std::fmt::Debug;
use std::io;
use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Long enough for nothing, and a whole number of ticks of any kernel, which std's getters round to.
const TIMEOUT: Duration = Duration::from_millis(20);

/// A directory of its own, removed when it is dropped.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("giambio-{}-{count}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A name that nobody else has, for an abstract address.
    fn name(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// What a body has said.
struct Said {
    lines: Vec<String>,
    directory: Directory,
}

impl Said {
    /// Takes down a value, without what differs from run to run: the directory and descriptors.
    fn say(&mut self, value: impl Debug) {
        let text = format!("{value:?}").replace(self.directory.name().to_str().unwrap(), "DIR");
        let mut parts = text.split("fd: ");
        let mut line = parts.next().unwrap().to_owned();
        for part in parts {
            line.push_str("fd: N");
            line.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
        }
        self.lines.push(line);
    }

    /// Takes down how a call has ended.
    fn said<T: Debug>(&mut self, result: io::Result<T>) {
        self.say(result.map_err(|error| (error.kind(), error.raw_os_error())));
    }

    /// Takes down how a call has ended whose value says nothing, or cannot be compared.
    fn ended<T>(&mut self, result: io::Result<T>) {
        self.said(result.map(|_| ()));
    }

    /// Takes down an error that is std's own, with its text.
    fn failed<T: Debug>(&mut self, result: io::Result<T>) {
        let error = result.unwrap_err();
        self.say((error.kind(), error.to_string()));
    }
}

fn lines_of(body: fn(&mut Said)) -> Vec<String> {
    let mut said = Said { lines: Vec::new(), directory: Directory::new() };
    body(&mut said);
    assert!(!said.lines.is_empty());
    said.lines
}

type Get<S, T> = fn(&S) -> io::Result<T>;
type Set<S, T> = fn(&S, T) -> io::Result<()>;
type Receive<S, T> = fn(&S, &mut [u8]) -> io::Result<T>;

/// A test from a body that names sockets as in `net::UnixStream`.
macro_rules! same {
    ($(fn $test:ident($said:ident: &mut Said) $body:block)+) => { $(
        #[test]
        fn $test() {
            fn of_std($said: &mut Said) {
                #[allow(unused_imports, reason = "not every body names an abstract address")]
                use std::os::linux::net::SocketAddrExt;
                use std::os::unix::net;
                $body
            }
            fn of_ours($said: &mut Said) {
                #[allow(unused_imports, reason = "not every body names an abstract address")]
                use giambio::os::linux::net::SocketAddrExt;
                use giambio::os::unix::net;
                $body
            }
            let expected = lines_of(of_std);
            assert_eq!(lines_of(of_ours), expected, "(left) outside of `run`, (right) std's");
            let inside = giambio::run(|| lines_of(of_ours));
            assert_eq!(inside, expected, "(left) inside of `run`, (right) std's");
        }
    )+ };
}

mod datagrams;
mod streams;

same! {
    fn streams_have_std_s_signatures(said: &mut Said) {
        use net::SocketAddr;
        use net::UnixStream as S;
        let _: fn(&'static str) -> io::Result<S> = S::connect::<&'static str>;
        let _: fn(PathBuf) -> io::Result<S> = S::connect::<PathBuf>;
        let _: fn(&SocketAddr) -> io::Result<S> = S::connect_addr;
        let _: fn() -> io::Result<(S, S)> = S::pair;
        let _: fn(&S) -> io::Result<S> = S::try_clone;
        let _: [fn(&S) -> io::Result<SocketAddr>; 2] = [S::local_addr, S::peer_addr];
        let _: [Set<S, Option<Duration>>; 2] =
            [S::set_read_timeout, S::set_write_timeout];
        let _: [Get<S, Option<Duration>>; 2] = [S::read_timeout, S::write_timeout];
        let _: fn(&S, bool) -> io::Result<()> = S::set_nonblocking;
        let _: fn(&S) -> io::Result<Option<io::Error>> = S::take_error;
        let _: fn(&S, std::net::Shutdown) -> io::Result<()> = S::shutdown;
        said.say(has_std_s_traits(PhantomData::<S>));
    }

    fn listeners_have_std_s_signatures(said: &mut Said) {
        use net::SocketAddr;
        use net::UnixListener as L;
        let _: fn(&'static str) -> io::Result<L> = L::bind::<&'static str>;
        let _: fn(&SocketAddr) -> io::Result<L> = L::bind_addr;
        let _: fn(&L) -> io::Result<(net::UnixStream, SocketAddr)> = L::accept;
        let _: fn(&L) -> io::Result<L> = L::try_clone;
        let _: fn(&L) -> io::Result<SocketAddr> = L::local_addr;
        let _: fn(&L, bool) -> io::Result<()> = L::set_nonblocking;
        let _: fn(&L) -> io::Result<Option<io::Error>> = L::take_error;
        let _: fn(&L) -> net::Incoming<'_> = L::incoming;
        fn gives_streams<I: Iterator<Item = io::Result<net::UnixStream>> + Debug + Send + Sync>() {}
        gives_streams::<net::Incoming<'_>>();
        said.say(has_std_s_traits(PhantomData::<L>));
    }

    fn datagrams_have_std_s_signatures(said: &mut Said) {
        use net::SocketAddr;
        use net::UnixDatagram as D;
        let _: fn(&'static str) -> io::Result<D> = D::bind::<&'static str>;
        let _: fn(&SocketAddr) -> io::Result<D> = D::bind_addr;
        let _: fn() -> io::Result<D> = D::unbound;
        let _: fn() -> io::Result<(D, D)> = D::pair;
        let _: fn(&D, &'static str) -> io::Result<()> = D::connect::<&'static str>;
        let _: fn(&D, &SocketAddr) -> io::Result<()> = D::connect_addr;
        let _: fn(&D) -> io::Result<D> = D::try_clone;
        let _: [fn(&D) -> io::Result<SocketAddr>; 2] = [D::local_addr, D::peer_addr];
        let _: Receive<D, (usize, SocketAddr)> = D::recv_from;
        let _: Receive<D, usize> = D::recv;
        let _: fn(&D, &[u8], &'static str) -> io::Result<usize> = D::send_to::<&'static str>;
        let _: fn(&D, &[u8], &SocketAddr) -> io::Result<usize> = D::send_to_addr;
        let _: fn(&D, &[u8]) -> io::Result<usize> = D::send;
        let _: [Set<D, Option<Duration>>; 2] =
            [D::set_read_timeout, D::set_write_timeout];
        let _: [Get<D, Option<Duration>>; 2] = [D::read_timeout, D::write_timeout];
        let _: fn(&D, bool) -> io::Result<()> = D::set_nonblocking;
        let _: fn(&D) -> io::Result<Option<io::Error>> = D::take_error;
        let _: fn(&D, std::net::Shutdown) -> io::Result<()> = D::shutdown;
        said.say(has_std_s_traits(PhantomData::<D>));
    }
}

/// Compiles for what has the traits of std's sockets.
fn has_std_s_traits<T>(_: PhantomData<T>) -> &'static str
where
    T: AsFd + std::os::fd::AsRawFd + std::os::fd::FromRawFd + std::os::fd::IntoRawFd,
    T: From<std::os::fd::OwnedFd> + Into<std::os::fd::OwnedFd> + Debug + 'static,
    T: Send + Sync + Unpin + std::panic::UnwindSafe + std::panic::RefUnwindSafe,
{
    "it has"
}
