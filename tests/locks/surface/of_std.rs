//! std's.

use std::sync;

#[path = "acts.rs"]
pub(super) mod acts;
#[path = "signatures.rs"]
pub(super) mod signatures;
#[path = "texts.rs"]
pub(super) mod texts;
