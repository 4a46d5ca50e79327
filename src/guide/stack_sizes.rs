//! Stack sizes: how many bytes does a task need?
//!
//! Layer 9. Imports: nothing of this crate. Never: code.
