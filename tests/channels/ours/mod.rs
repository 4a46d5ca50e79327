//! Our channels: the text, and what only they promise.

mod across;
mod both_worlds;
mod cancel;
mod cancel_select;
mod clocks;
mod crowds;
mod forget;
mod line;
mod making;
mod memory;
mod orders;
mod tools;
mod unwind;
mod worlds;
