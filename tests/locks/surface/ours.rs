//! Ours.

use giambio::sync;

#[expect(clippy::duplicate_mod, reason = "what is compared is the same source")]
#[path = "acts.rs"]
pub(super) mod acts;
#[expect(clippy::duplicate_mod, reason = "what is compared is the same source")]
#[path = "signatures.rs"]
pub(super) mod signatures;
#[expect(clippy::duplicate_mod, reason = "what is compared is the same source")]
#[path = "texts.rs"]
pub(super) mod texts;
