//! asm-notes/stack-layout.md, measurements.md: how many bytes of a task's stack common calls take.
//!
//! The stack below the caller is painted, the call is made, and what is no longer painted was used.

#![expect(clippy::print_stdout, reason = "the report of a check")]

use std::backtrace::Backtrace;
use std::collections::HashMap;
use std::fmt::Write;
use std::hint::black_box;
use std::net::ToSocketAddrs;
use std::panic;

/// Bytes that are painted, of 1 MiB.
const PAINTED: usize = 512 << 10;
/// Left alone between the caller's frame and the paint: the painter's own frame.
const SPARED: usize = 512;
const PAINT: u8 = 0xa5;

#[inline(never)]
fn paint(from: usize) {
    for address in from - PAINTED..from - SPARED {
        // SAFETY: on this task's stack, above its guard and below every frame but this one, which is
        // smaller than what is spared. No signal handler runs on this stack.
        unsafe { std::ptr::with_exposed_provenance_mut::<u8>(address).write_volatile(PAINT) };
    }
}

#[inline(never)]
fn used(from: usize) -> usize {
    let untouched = (from - PAINTED..from - SPARED).take_while(|&address| {
        // SAFETY: written by `paint`, on this task's stack.
        unsafe { std::ptr::with_exposed_provenance::<u8>(address).read_volatile() == PAINT }
    });
    PAINTED - untouched.count()
}

/// The stack that `call` takes below this frame, in bytes, the second time it is made: the first
/// also pays for what the program does once.
#[inline(never)]
fn measure(name: &str, call: impl Fn()) -> usize {
    let local = black_box(0u8);
    let from = (&raw const local).expose_provenance();
    paint(from);
    call();
    let first = used(from);
    paint(from);
    call();
    let second = used(from);
    println!("{name:36} {second:6} bytes, the first time {first:6}");
    second
}

fn connect() {
    let listener = giambio::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it has one");
    drop(giambio::net::TcpStream::connect(address).expect("somebody listens"));
}

fn panic_quietly(text: &str) {
    let _ = panic::catch_unwind(|| panic!("{text}"));
}

fn measure_all() {
    let nothing = measure("nothing", || ());
    measure("giambio::yield_now", giambio::yield_now);
    measure("giambio::pool, one child", || giambio::pool(|pool| drop(pool.spawn(|| ()))));
    measure("giambio bind, connect", connect);
    measure("println!", || println!("{}", black_box("  (printed to be measured)")));
    measure("format! of an integer", || drop(black_box(format!("{}", black_box(7)))));
    measure("format! of an f64", || drop(black_box(format!("{}", black_box(0.1f64)))));
    measure("write! of a {:?} tree", || {
        let mut text = String::new();
        let tree = black_box(vec![Some(vec![("a", 1.5)]), None]);
        write!(text, "{tree:#?}").expect("a string takes everything");
    });
    measure("HashMap, 100 entries", || {
        drop(black_box((0..100).map(|n| (n, n)).collect::<HashMap<_, _>>()));
    });
    measure("sort of 1,000", || {
        let mut numbers: Vec<u32> = (0..1000).map(|n| black_box(n ^ 0x155)).collect();
        numbers.sort();
        black_box(numbers);
    });
    measure("name resolution of localhost", || {
        let _ = black_box("localhost:80".to_socket_addrs());
    });
    measure("resume_unwind, caught", || {
        let _ = panic::catch_unwind(|| panic::resume_unwind(Box::new(())));
    });
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    measure("panic!, silent hook", || panic_quietly("silent"));
    panic::set_hook(hook);
    let backtrace = measure("panic!, std's hook", || panic_quietly("measured"));
    measure("Backtrace::force_capture, printed", || {
        drop(black_box(Backtrace::force_capture().to_string()));
    });
    assert!(nothing < 2048, "the paint is not where it should be");
    assert!(backtrace > 1024 && backtrace < 128 << 10);
}

fn main() {
    giambio::run(|| {
        giambio::pool(|pool| {
            let task = giambio::TaskBuilder::new().name("measured".into()).stack_size(1 << 20);
            task.spawn(pool, measure_all);
        });
    });
}

#[test]
fn holds() {
    main();
}
