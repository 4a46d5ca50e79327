//! Os: what std has for one system, for tasks.
//!
//! Layer 8. Imports: nothing of this crate. Never: code.

#[cfg(any(target_os = "linux", target_os = "android"))]
pub mod linux;
