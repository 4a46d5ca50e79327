//! The bodies, for our threads.

#[expect(clippy::duplicate_mod, reason = "what is compared is the same source")]
#[path = "behaviour.rs"]
pub(super) mod behaviour;
#[expect(clippy::duplicate_mod, reason = "what is compared is the same source")]
#[path = "signatures.rs"]
pub(super) mod signatures;

use super::Facts;
use giambio::thread;
