//! Unix: what std has for this family of systems, for tasks.
//!
//! Layer 8. Imports: nothing of this crate. Never: code.

pub mod net;

pub use std::os::unix::io;
