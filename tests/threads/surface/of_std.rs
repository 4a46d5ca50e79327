//! The bodies, for std's threads.

#[path = "behaviour.rs"]
pub(super) mod behaviour;
#[path = "signatures.rs"]
pub(super) mod signatures;

use super::Facts;
use std::thread;
