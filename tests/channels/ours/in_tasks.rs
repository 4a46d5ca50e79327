//! Our channels in tasks.

use crate::tasks as world;
use giambio::channel;

#[expect(clippy::duplicate_mod, reason = "it is played in two worlds")]
#[path = "everywhere/mod.rs"]
mod everywhere;
#[expect(clippy::duplicate_mod, reason = "what is compared is the same source")]
#[path = "../shared/mod.rs"]
mod shared;
