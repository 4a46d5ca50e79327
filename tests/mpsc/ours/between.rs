//! Our channels between tasks and plain threads.

use crate::mixed as world;
use giambio::sync::mpsc;

#[expect(clippy::duplicate_mod, reason = "what is compared is the same source")]
#[path = "../shared/mod.rs"]
mod shared;
