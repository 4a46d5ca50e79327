//! Debug: what a program may look at.
//!
//! Layer 9. Imports: hooks, task. Never: anything that a look could change.

pub use crate::hooks::Debugger;
pub use crate::hooks::WaitReason;
pub use crate::task::TaskRef;
