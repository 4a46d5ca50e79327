//! crossbeam's channels on plain threads: the proof of the text.

use crate::threads as world;
use crossbeam_channel as channel;

#[path = "sent_lists.rs"]
mod sent_lists;
#[path = "shared/mod.rs"]
mod shared;
