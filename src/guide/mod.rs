//! Guide: pages for users, about more than one item each.
//!
//! Layer 9. Imports: nothing of this crate. Never: code.
//!
//! * [`stack_sizes`]: what common calls need of a task's stack, how to choose its size, what a size costs,
//!   and what happens when a stack is too small.

pub mod cancellation;
pub mod stack_sizes;
pub mod switches;
