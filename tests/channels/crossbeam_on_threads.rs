//! crossbeam's channels on plain threads: the proof of the text.

use crossbeam_channel as channel;

mod world {
    pub(crate) use crate::threads::assert_took;
    pub(crate) use crate::threads::many;
    pub(crate) use crate::threads::run;
    pub(crate) use crate::threads::settle;
    pub(crate) use std::thread::scope;
}

#[path = "sent_lists.rs"]
mod sent_lists;
#[path = "shared/mod.rs"]
mod shared;
