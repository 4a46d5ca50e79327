//! Guide: pages for users, about more than one item each.
//!
//! Layer 9. Imports: nothing of this crate. Never: code.

pub mod cancellation;
pub mod stack_sizes;
pub mod switches;
