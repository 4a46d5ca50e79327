//! asm-notes/stack-layout.md, guide/stack_sizes.rs: how many bytes of a task's stack common calls take.
//!
//! The stack below the caller is painted, the call is made, and what is no longer painted was used.
//! `stack_use NAME..` also resolves these host names, which may ask a name server.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the report of a check, and a subject"
)]

mod rerun;

use std::backtrace::Backtrace;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::io;
use std::io::Read;
use std::io::Write as _;
use std::net::ToSocketAddrs;
use std::panic;
use std::process::Command;
use std::process::Stdio;
use std::ptr;
use std::str::Chars;
use std::time::Duration;

use giambio::net::TcpListener;
use giambio::net::TcpStream;

/// Bytes of the measured task's stack, of which the lower half is painted.
const STACK: usize = 2 << 20;
const PAINTED: usize = STACK / 2;
/// Left alone between the caller's local and the paint: the painter's own frame. No call takes less.
const SPARED: usize = 512;
const PAINT: u8 = 0xa5;

#[inline(never)]
fn paint(from: usize) {
    let mut address = from - PAINTED;
    // No iterator: its frames would lie where the paint goes.
    while address < from - SPARED {
        // SAFETY: on this task's stack, above its guard and below every frame but this one, which is
        // smaller than what is spared. No signal handler runs on this stack.
        unsafe { *(address as *mut u8) = PAINT };
        address += 1;
    }
}

#[inline(never)]
fn used(from: usize) -> usize {
    let mut address = from - PAINTED;
    // SAFETY: written by `paint`, on this task's stack.
    while address < from - SPARED && unsafe { *(address as *const u8) } == PAINT {
        address += 1;
    }
    from - address
}

#[inline(never)]
fn depth_of(call: &dyn Fn()) -> usize {
    let local = black_box(0u8);
    let from = (&raw const local).expose_provenance();
    paint(from);
    call();
    used(from)
}

/// What a call took of the stack below its caller, in bytes.
#[derive(Clone, Copy, Debug)]
struct Depth {
    /// The first time, which also pays for what the program does once.
    first: usize,
    later: usize,
}

fn measure(name: &str, call: impl Fn()) -> Depth {
    let depth = Depth { first: depth_of(&call), later: depth_of(&call) };
    println!("{name:42} {:6} bytes, the first time {:6}", depth.later, depth.first);
    assert!(depth.first.max(depth.later) < PAINTED, "{name}: more than is painted");
    depth
}

fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it has one");
    let client = TcpStream::connect(address).expect("somebody listens");
    (client, listener.accept().expect("it has connected").0)
}

fn giambios_own() {
    let nothing = measure("nothing", || ());
    assert!(nothing.later < 1024, "the paint is not where it should be");
    measure("giambio::yield_now", giambio::yield_now);
    measure("giambio::sleep", || giambio::sleep(Duration::from_micros(1)));
    measure("pool, spawn, join", || {
        giambio::pool(|pool| pool.spawn(|| ()).join().expect("it returns"));
    });
    measure("with_timeout around a yield", || {
        let _ = giambio::with_timeout(Duration::from_secs(1), |_| giambio::yield_now());
    });
    measure("skip_after, too slow: a cancellation", || {
        let cut = giambio::skip_after(Duration::ZERO, |_| giambio::yield_now());
        assert!(cut.is_none());
    });
    measure("on_big_stack", || giambio::on_big_stack(1 << 20, || ()));
    measure("task::stack_usage", || {
        black_box(giambio::task::stack_usage());
    });
    measure("TcpListener::bind, connect, accept", || drop(connected()));
    giambio::pool(|pool| {
        let (client, server) = connected();
        let echo = pool.spawn(move || io::copy(&mut &server, &mut &server));
        measure("TcpStream: write, a read that waits", || {
            (&client).write_all(b"a byte or two").expect("it is open");
            let _ = (&client).read(&mut [0; 16]).expect("it is open");
        });
        drop(client);
        echo.join().expect("it returns").expect("it is open");
    });
    measure("std::io::copy of a TcpStream", || {
        let (client, server) = connected();
        (&client).write_all(b"a byte or two").expect("it is open");
        drop(client);
        io::copy(&mut &server, &mut io::sink()).expect("it ends");
    });
}

fn text() {
    measure("println!", || println!("{}", black_box("  (printed to be measured)")));
    measure("eprintln!", || eprintln!("{}", black_box("  (printed to be measured)")));
    measure("log::info! to env_logger", || log::info!("{}", black_box("measured")));
    measure("format! of an integer", || drop(black_box(format!("{}", black_box(7)))));
    measure("format! of an f64", || drop(black_box(format!("{}", black_box(0.1f64)))));
    measure("format! of an f64 with all digits", || {
        drop(black_box(format!("{:.400}", black_box(f64::MIN_POSITIVE))));
    });
    measure("write! of a {:#?} tree", || {
        let mut text = String::new();
        let tree = black_box(vec![Some(vec![("a", 1.5)]), None]);
        write!(text, "{tree:#?}").expect("a string takes everything");
    });
    measure("parse of an f64", || drop(black_box("1e-300".parse::<f64>())));
}

fn collections() {
    measure("HashMap, 1,000 entries", || {
        drop(black_box((0..1000).map(|n| (n, n)).collect::<HashMap<_, _>>()));
    });
    measure("BTreeMap, 1,000 entries", || {
        drop(black_box((0..1000).map(|n| (black_box(n ^ 0x155), n)).collect::<BTreeMap<_, _>>()));
    });
    let numbers = || (0..1000).map(|n| black_box(n ^ 0x155)).collect::<Vec<u32>>();
    measure("sort of 1,000", || black_box(numbers()).sort());
    measure("sort_unstable of 1,000", || black_box(numbers()).sort_unstable());
}

fn the_system() {
    measure("env::var", || drop(black_box(env::var("PATH"))));
    measure("fs::read_to_string", || drop(black_box(fs::read_to_string("/proc/self/status"))));
    measure("fs::write, remove_file", || {
        let path = env::temp_dir().join(format!("giambio-check-{}", std::process::id()));
        fs::write(&path, "measured").expect("a place for temporary files");
        fs::remove_file(path).expect("it is there");
    });
    measure("read_dir", || drop(black_box(fs::read_dir("/proc/self/fd").map(Iterator::count))));
    measure("Command::status", || {
        let status = Command::new("true").stdin(Stdio::null()).status();
        assert!(status.expect("there is a program `true`").success());
    });
    measure("Command::output", || {
        let output = Command::new("echo").arg("measured").output();
        assert_eq!(output.expect("there is a program `echo`").stdout, b"measured\n");
    });
    measure("std::thread::spawn, join", || std::thread::spawn(|| ()).join().expect("it returns"));
    measure("name resolution of localhost", || {
        let _ = black_box("localhost:80".to_socket_addrs());
    });
    for name in env::args().skip(1).filter(|name| name.contains('.')) {
        let found = (name.as_str(), 80).to_socket_addrs().is_ok();
        measure(&format!("name resolution of {name}, {found}"), || {
            let _ = black_box((name.as_str(), 80).to_socket_addrs());
        });
    }
}

fn panic_caught(text: &str) {
    let _ = panic::catch_unwind(|| panic!("{text}"));
}

/// In an order in which what one row does for the first time, no row before it has done.
fn unwinds() {
    measure("resume_unwind, caught", || {
        let _ = panic::catch_unwind(|| panic::resume_unwind(Box::new(())));
    });
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    measure("panic!, silent hook", || panic_caught("silent"));
    panic::set_hook(hook);
    let style = env::var("RUST_BACKTRACE").unwrap_or_default();
    let name = format!("panic!, std's hook, RUST_BACKTRACE={style}");
    let panicked = measure(&name, || panic_caught("measured"));
    assert!(panicked.first > 1024 && panicked.first < 128 << 10);
    measure("Backtrace::force_capture, printed", || {
        drop(black_box(Backtrace::force_capture().to_string()));
    });
}

thread_local! {
    /// What the child of the last `spawn_with` has used of its stack.
    static CHILDS: Cell<usize> = const { Cell::new(0) };
}

/// A value that is made in the parent's frame and moved into a task.
fn spawn_with<const LEN: usize>() {
    giambio::pool(|pool| {
        let value = black_box([7u8; LEN]);
        let task = pool.spawn(move || {
            let value = black_box(value);
            CHILDS.set(giambio::task::stack_usage().expect("in a task").high_water);
            value[LEN - 1]
        });
        assert_eq!(task.join().expect("it returns"), 7);
    });
}

/// Each length has a fresh runtime, so that the child's stack tells of this child alone.
fn values() {
    fn of<const LEN: usize>() {
        in_a_task(|| {
            let name = format!("spawn with {} KiB by value, the parent", LEN >> 10);
            measure(&name, spawn_with::<LEN>);
            println!(
                "{:42} {:6} bytes, in whole pages",
                "  its child, from the base",
                CHILDS.get()
            );
        });
    }
    of::<0x2000>();
    of::<0x4000>();
    of::<0x6000>();
}

/// A list of lists.
struct List(Vec<List>);

impl List {
    /// Reads up to the end of a list whose bracket is already read: of `[[]]`, `[]]`.
    fn parse(text: &mut Chars<'_>) -> Result<Self, String> {
        let mut lists = Vec::new();
        loop {
            match text.next() {
                Some('[') => lists.push(Self::parse(text)?),
                Some(']') | None => return Ok(Self(lists)),
                Some(other) => return Err(format!("{other} is no list")),
            }
        }
    }

    fn depth(&self) -> usize {
        self.0.iter().map(|list| 1 + list.depth()).max().unwrap_or(0)
    }
}

fn recursion() {
    const LEVELS: usize = 100;
    let text = "[".repeat(LEVELS);
    let parsed = measure("a parser, 100 levels", || {
        let list = List::parse(&mut black_box(&text).chars()).expect("nothing but brackets");
        assert_eq!(list.depth(), LEVELS);
    });
    println!("{:42} {:6} bytes", "  each level", parsed.later / LEVELS);
}

extern "C" fn do_nothing(_signal: libc::c_int) {
    black_box(());
}

fn a_signal() {
    // SAFETY: all zero is a valid value of this plain C struct: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = do_nothing as *const () as usize;
    // SAFETY: the handler does nothing.
    let failed = unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, ptr::null_mut()) };
    assert_eq!(failed, 0);
    measure("a signal handler without SA_ONSTACK", || {
        // SAFETY: the signal has a handler.
        unsafe { libc::raise(libc::SIGUSR1) };
    });
}

/// The smallest stack holds a task that talks to a socket, formats, prints and panics. In a process of
/// its own, so that the panic is the first one.
fn in_the_smallest_stack() {
    giambio::run(|| {
        giambio::pool(|pool| {
            let task = giambio::TaskBuilder::new().stack_size(32 << 10);
            task.spawn(pool, || {
                let (mut client, mut server) = connected();
                write!(client, "{:#?}", Some(0.1)).expect("it is open");
                println!("read: {:?}", server.read(&mut [0; 16]));
                panic_caught("with its message");
                let used = giambio::task::stack_usage().expect("in a task");
                println!(
                    "{:42} {:6} bytes, in whole pages",
                    "all of that in 32 KiB", used.high_water
                );
            });
        });
    });
}

fn in_a_task(f: impl FnOnce()) {
    giambio::run(|| {
        giambio::pool(|pool| {
            let task = giambio::TaskBuilder::new().name("measured".into()).stack_size(STACK);
            task.spawn(pool, f);
        });
    });
}

fn main() {
    if rerun::mode().is_some() {
        return in_the_smallest_stack();
    }
    env_logger::Builder::new().filter_level(log::LevelFilter::Info).init();
    in_a_task(|| {
        giambios_own();
        text();
        collections();
        the_system();
        a_signal();
        recursion();
        unwinds();
    });
    values();
    let child = rerun::child("smallest", "1");
    println!("{}", String::from_utf8_lossy(&child.stdout).trim_end());
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
}

#[test]
fn holds() {
    main();
}
