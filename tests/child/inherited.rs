//! Listeners that a service manager leaves open: each scenario executes itself again, which keeps its
//! number and hands descriptors on.

use crate::Scenario;
use crate::well;
use giambio::net::InheritedListener;
use giambio::net::Server;
use giambio::net::TcpStream;
use giambio::net::inherited_listeners;
use std::env;
use std::fs::File;
use std::io;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net;
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::process;
use std::process::Command;

pub(crate) const SCENARIOS: &[Scenario] = &[
    well("inherited_listeners_are_taken_once_and_have_their_names", taken_once),
    well("inherited_listeners_without_names_are_unknown", unnamed),
    well("a_process_that_inherits_nothing_takes_nothing", nothing),
    well("what_another_process_was_to_inherit_is_left_alone", for_another),
    well("what_nobody_was_named_for_is_left_alone", for_nobody),
    well("an_inherited_descriptor_that_does_not_listen_is_an_error_that_says_which", no_listener),
    well("an_inherited_file_is_an_error_that_says_which", a_file),
    well("an_inherited_descriptor_that_is_not_open_is_an_error_that_says_which", not_open),
    well("an_inherited_number_that_is_none_is_an_error_that_says_which", no_number),
];

const HEIR: &str = "GIAMBIO_TEST_HEIR";

/// Executes this scenario again with these descriptors from 3 on, and with these variables; `PID` stands for
/// the number of the process. Returns in the process that has inherited them.
fn inherit(descriptors: Vec<OwnedFd>, variables: &[(&str, &str)]) {
    if env::var_os(HEIR).is_some() {
        return;
    }
    // Above all places that they are to have.
    let moved: Vec<RawFd> = descriptors
        .iter()
        // SAFETY: no memory is involved.
        .map(|fd| unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 20) })
        .collect();
    drop(descriptors);
    for (place, &fd) in (3..).zip(&moved) {
        // SAFETY: nothing of this process is open there any more that it would miss.
        assert_eq!(unsafe { libc::dup2(fd, place) }, place);
    }
    let own_id = process::id().to_string();
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(env::args_os().skip(1)).env(HEIR, "1");
    for &(name, value) in variables {
        command.env(name, if value == "PID" { own_id.as_str() } else { value });
    }
    panic!("{}", command.exec());
}

fn tcp() -> OwnedFd {
    net::TcpListener::bind("127.0.0.1:0").unwrap().into()
}

/// Whether a descriptor is open, and then whether it is closed by `exec`.
fn closes(fd: RawFd) -> Option<bool> {
    // SAFETY: no memory is involved.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
    (flags >= 0).then_some(flags & libc::FD_CLOEXEC != 0)
}

fn taken_once() {
    let name = format!("giambio-test-{}", process::id());
    let name = SocketAddr::from_abstract_name(name).unwrap();
    let mut descriptors = Vec::new();
    if env::var_os(HEIR).is_none() {
        descriptors.extend([tcp(), UnixListener::bind_addr(&name).unwrap().into(), tcp()]);
    }
    let names = ("LISTEN_FDNAMES", "web::admin");
    inherit(descriptors, &[("LISTEN_PID", "PID"), ("LISTEN_FDS", "3"), names]);
    assert_eq!([3, 4, 5].map(closes), [Some(false); 3]);
    let mut inherited = inherited_listeners().unwrap();
    assert_eq!([3, 4, 5].map(closes), [Some(true); 3]);
    let names: Vec<_> = inherited.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["web", "unknown", "admin"]);
    assert!(inherited_listeners().unwrap().is_empty());
    let Some((_, InheritedListener::Tcp(admin))) = inherited.pop() else { panic!("no TCP") };
    let Some((_, InheritedListener::Unix(unix))) = inherited.pop() else { panic!("no Unix") };
    assert_eq!(unix.local_addr().unwrap().as_abstract_name(), name.as_abstract_name());
    drop(unix);
    // Somebody else has the number now.
    let file = File::open("/dev/null").unwrap();
    assert_eq!(file.as_raw_fd(), 4);
    assert!(inherited_listeners().unwrap().is_empty());
    let server = Server::new();
    giambio::run(|| {
        giambio::pool(|pool| {
            pool.spawn(|| {
                let mut text = String::new();
                let mut client = TcpStream::connect(admin.local_addr().unwrap()).unwrap();
                client.read_to_string(&mut text).unwrap();
                assert_eq!(text, "hello");
                server.stopper().stop();
            });
            let served = server.serve(&admin, |mut stream, _| stream.write_all(b"hello"));
            assert_eq!(served.unwrap().accepted, 1);
        });
    });
}

fn unnamed() {
    let descriptors = if env::var_os(HEIR).is_none() { vec![tcp(), tcp()] } else { Vec::new() };
    let name = ("LISTEN_FDNAMES", "first");
    inherit(descriptors, &[("LISTEN_PID", "PID"), ("LISTEN_FDS", "2"), name]);
    let inherited = inherited_listeners().unwrap();
    assert_eq!(inherited.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["first", "unknown"]);
}

fn nothing() {
    inherit(Vec::new(), &[("LISTEN_PID", "PID")]);
    assert!(inherited_listeners().unwrap().is_empty());
}

fn for_another() {
    let descriptors = if env::var_os(HEIR).is_none() { vec![tcp()] } else { Vec::new() };
    inherit(descriptors, &[("LISTEN_PID", "1"), ("LISTEN_FDS", "1")]);
    assert!(inherited_listeners().unwrap().is_empty());
    assert_eq!(closes(3), Some(false));
}

fn for_nobody() {
    let descriptors = if env::var_os(HEIR).is_none() { vec![tcp()] } else { Vec::new() };
    inherit(descriptors, &[("LISTEN_FDS", "1")]);
    assert!(inherited_listeners().unwrap().is_empty());
    assert_eq!(closes(3), Some(false));
}

#[track_caller]
fn assert_fails(kind: ErrorKind, text: &str) {
    let Err(error) = inherited_listeners() else { panic!("there was nothing wrong") };
    assert!(error.kind() == kind && error.to_string().contains(text), "{error:?}");
}

fn no_listener() {
    let mut descriptors = Vec::new();
    if env::var_os(HEIR).is_none() {
        let silent = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        descriptors.extend([tcp(), silent.unwrap().into()]);
    }
    inherit(descriptors, &[("LISTEN_PID", "PID"), ("LISTEN_FDS", "2")]);
    assert_fails(ErrorKind::InvalidInput, "descriptor 4");
    assert_eq!([3, 4].map(closes), [None; 2]);
    assert!(inherited_listeners().unwrap().is_empty());
}

fn a_file() {
    let mut descriptors = Vec::new();
    if env::var_os(HEIR).is_none() {
        descriptors.extend([File::open("/dev/null").unwrap().into(), tcp()]);
    }
    inherit(descriptors, &[("LISTEN_PID", "PID"), ("LISTEN_FDS", "2")]);
    assert_fails(ErrorKind::InvalidInput, "descriptor 3");
}

fn not_open() {
    let descriptors = if env::var_os(HEIR).is_none() { vec![tcp()] } else { Vec::new() };
    inherit(descriptors, &[("LISTEN_PID", "PID"), ("LISTEN_FDS", "30")]);
    let open = (3..).take_while(|&fd| closes(fd).is_some()).count();
    let missing = format!("descriptor {}", 3 + open);
    assert_fails(io::Error::from_raw_os_error(libc::EBADF).kind(), &missing);
}

fn no_number() {
    inherit(Vec::new(), &[("LISTEN_PID", "PID"), ("LISTEN_FDS", "two")]);
    assert_fails(ErrorKind::InvalidData, "LISTEN_FDS is \"two\"");
}
