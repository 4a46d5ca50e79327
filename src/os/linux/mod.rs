//! Linux: what std has for Linux alone.
//!
//! Layer 8. Imports: net. Never: sessions, timers, reactors.

pub mod net;
