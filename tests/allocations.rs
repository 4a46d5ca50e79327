//! What the heap is asked for: nothing to wait, one record to spawn.
//!
//! A program of its own, since it counts in the allocator.

use giambio::lowlevel::Parker;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use std::alloc::GlobalAlloc;
use std::alloc::Layout;
use std::alloc::System;
use std::cell::Cell;
use std::io::Read;
use std::io::Write;
use std::time::Duration;

/// The system's allocator, with a count of what each thread asks of it.
struct Counting;

thread_local! {
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes on to `System` as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.with(|asked| asked.set(asked.get() + 1));
        // SAFETY: passed on to the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: passed on to the caller.
        unsafe { System.dealloc(block, layout) };
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ASKED.with(|asked| asked.set(asked.get() + 1));
        // SAFETY: passed on to the caller.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// How often this thread asks for memory in `f`.
fn allocations(f: impl FnOnce()) -> usize {
    let before = ASKED.with(Cell::get);
    f();
    ASKED.with(Cell::get) - before
}

/// Two tasks make each other wait in every way, and wait for a deadline.
fn wait_in_every_way(ours: &TcpStream, theirs: &TcpStream, parker: &Parker) {
    let unparker = parker.unparker();
    giambio::pool(|pool| {
        let other = pool.spawn(|| {
            let (mut theirs, mut byte) = (theirs, [0]);
            theirs.read_exact(&mut byte).unwrap();
            giambio::yield_now();
            theirs.write_all(&byte).unwrap();
            giambio::yield_now();
            unparker.unpark();
            giambio::sleep(Duration::from_micros(100));
        });
        let (mut ours, mut byte) = (ours, [7]);
        giambio::testing::settle();
        ours.write_all(&byte).unwrap();
        ours.read_exact(&mut byte).unwrap();
        parker.park();
        other.join().unwrap();
        pool.spawn(giambio::yield_now); // the pool's end waits for this one
    });
    let cut = giambio::skip_after(Duration::from_secs(3600), |_| giambio::yield_now());
    assert_eq!(cut, Some(()));
}

#[test]
fn waiting_allocates_nothing() {
    giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let theirs = listener.accept().unwrap().0;
        let parker = Parker::new();
        wait_in_every_way(&ours, &theirs, &parker); // registers, and fills what is kept
        let asked = allocations(|| {
            (0..100).for_each(|_| wait_in_every_way(&ours, &theirs, &parker));
        });
        assert_eq!(asked, 0);
    });
}

#[test]
fn a_spawn_allocates_one_record_and_the_next_uses_it_again() {
    const TASKS: usize = 1000;
    /// Chunks of stacks and the lists of them grow by doubling.
    const GROWTH: usize = 64;
    giambio::run(|| {
        let burst = || {
            giambio::pool(|pool| {
                for number in 0..TASKS {
                    let large = [number; 100];
                    pool.spawn(move || assert_eq!(large[99], number));
                }
            });
        };
        let first = allocations(burst);
        assert!((TASKS..TASKS + GROWTH).contains(&first), "{first} allocations");
        assert_eq!(allocations(burst), 0);
    });
}
