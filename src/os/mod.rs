//! Os: std's extensions for one system.
//!
//! Layer 8. Imports: net. Never: sessions, timers, reactors.

pub mod linux;
