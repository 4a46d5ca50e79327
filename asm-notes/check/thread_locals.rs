//! asm-notes/thread-locals.md: what the compiler makes of a thread-local that is used on both sides
//! of a switch. Disassemble `across_a_switch`.

#![expect(clippy::print_stdout, reason = "the report of a check")]

use std::cell::Cell;
use std::ptr;
use std::thread;

thread_local! {
    static MARK: Cell<u64> = const { Cell::new(0) };
}

/// Says whether the same variable was met before the switch and after it.
#[inline(never)]
fn across_a_switch() -> bool {
    let before = MARK.with(|mark| {
        mark.set(mark.get() + 1);
        ptr::from_ref(mark)
    });
    giambio::yield_now();
    let after = MARK.with(|mark| {
        mark.set(mark.get() + 1);
        ptr::from_ref(mark)
    });
    before == after
}

fn main() {
    giambio::run(|| {
        giambio::pool(|pool| {
            for _ in 0..100 {
                pool.spawn(|| {
                    let home = thread::current().id();
                    for _ in 0..100 {
                        assert!(across_a_switch());
                        assert_eq!(thread::current().id(), home, "I1");
                    }
                });
            }
        });
    });
    println!("10,000 switches, {} marks on one thread", MARK.get());
    assert_eq!(MARK.get(), 20_000);
}

#[test]
fn holds() {
    main();
}
