//! The first program: a runtime, a pool, a task.
//!
//! What to look for: `greeting` is a local of `main`, and the task borrows it. A pool returns when its
//! last task has ended, so nothing needs to be moved, cloned or counted.
//!
//! Run it: `cargo run --example hello`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

fn main() {
    let greeting = String::from("Hello, world!");
    let letters = giambio::run(|| say(&greeting));
    println!("({letters} letters, said by a task)");
}

/// Has a task print `greeting`, and returns what the task has returned.
fn say(greeting: &str) -> usize {
    giambio::pool(|pool| {
        let task = pool.spawn(|| {
            println!("{greeting}");
            greeting.chars().filter(|c| c.is_alphabetic()).count()
        });
        task.join().expect("nobody cancels it")
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn smoke() {
        super::main();
    }

    #[test]
    fn the_value_of_a_task_is_the_value_of_run() {
        assert_eq!(giambio::run(|| super::say("Hello, world!")), 10);
    }
}
