//! The text, played with our channels: each test on plain threads, and then in tasks.

use super::worlds as world;
use giambio::channel;

#[path = "everywhere/mod.rs"]
mod everywhere;
#[expect(clippy::duplicate_mod, reason = "the same source is the proof")]
#[path = "../shared/mod.rs"]
mod shared;
