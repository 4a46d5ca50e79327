//! Our channels: the text in two worlds, and what only they promise.

mod across;
mod cancel;
mod cancel_select;
mod clocks;
mod forget;
mod in_tasks;
mod line;
mod making;
mod memory;
mod on_threads;
mod orders;
mod tools;
mod unwind;
