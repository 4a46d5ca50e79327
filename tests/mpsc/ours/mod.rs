//! Our channels: the text in three worlds, and what only they promise.

mod across;
mod between;
mod cancel;
mod in_tasks;
mod on_threads;
mod unwind;
