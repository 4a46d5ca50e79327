//! std's channels on plain threads: the proof of the text.

use crate::threads as world;
use std::sync::mpsc;

#[path = "shared/mod.rs"]
mod shared;
