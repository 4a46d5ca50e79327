//! asm-notes/thread-locals.md: dynamic scopes on one thread must nest, and a switch breaks them.
//!
//! scoped-tls keeps "the value outside of this scope" on the stack of whoever entered it. Two tasks
//! that enter and leave in turn restore each other's values, and the last one leaves a pointer to a
//! frame that has ended. Here the values are constants, so that looking at them harms nobody.

#![expect(clippy::print_stdout, reason = "the report of a check")]

use scoped_tls::scoped_thread_local;
use std::cell::BorrowMutError;
use std::cell::Cell;
use std::cell::RefCell;
use std::panic;
use std::panic::AssertUnwindSafe;

scoped_thread_local!(static CURRENT: u32);

thread_local! {
    static SHARED: RefCell<u32> = const { RefCell::new(0) };
}

fn seen() -> Option<u32> {
    CURRENT.is_set().then(|| CURRENT.with(|value| *value))
}

fn main() {
    a_switch_inside_of_set_restores_the_wrong_value();
    no_switch_turns_it_into_a_panic();
    a_borrow_across_a_switch_meets_other_tasks();
}

fn a_switch_inside_of_set_restores_the_wrong_value() {
    let first = Cell::new(None);
    let second = Cell::new(None);
    giambio::run(|| {
        giambio::pool(|pool| {
            pool.spawn(|| {
                CURRENT.set(&1, || {
                    giambio::yield_now();
                    first.set(seen());
                });
            });
            pool.spawn(|| {
                CURRENT.set(&2, || {
                    giambio::yield_now();
                    second.set(seen());
                });
            });
        });
    });
    println!(
        "the task that set 1 saw {:?}, the task that set 2 saw {:?}",
        first.get(),
        second.get()
    );
    println!("after both have left their scopes: {:?}", seen());
    assert_eq!(first.get(), Some(2), "it set 1");
    assert_eq!(second.get(), None, "it set 2");
    assert_eq!(seen(), Some(1), "nobody is inside of `set`: a pointer that outlived its scope");
}

fn no_switch_turns_it_into_a_panic() {
    let before = seen();
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {})); // this panic is the point
    let payload = giambio::run(|| {
        let body = || giambio::task::no_switch(|| CURRENT.set(&3, giambio::yield_now));
        panic::catch_unwind(AssertUnwindSafe(body)).expect_err("a switch was let through")
    });
    panic::set_hook(hook);
    let fixed = payload.downcast_ref::<&str>().map(ToString::to_string);
    let text = fixed.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
    println!("under no_switch: {text}");
    assert!(text.contains("would switch"), "it panicked for another reason");
    assert_eq!(seen(), before, "the scope was left by the unwind, in order");
}

fn a_borrow_across_a_switch_meets_other_tasks() {
    let found = Cell::new(Ok::<(), BorrowMutError>(()));
    giambio::run(|| {
        giambio::pool(|pool| {
            pool.spawn(|| {
                SHARED.with(|shared| {
                    let borrowed = shared.borrow_mut();
                    giambio::yield_now();
                    drop(borrowed);
                });
            });
            pool.spawn(|| found.set(SHARED.with(|shared| shared.try_borrow_mut().map(drop))));
        });
    });
    let found = found.into_inner();
    println!("borrowed by a parked task: {found:?}");
    assert!(found.is_err());
}

#[test]
fn holds() {
    main();
}
