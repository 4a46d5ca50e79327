//! Identity: what a task is called, and what of it goes to other threads.
//!
//! Layer 3. Imports: task. Never: what is done with a task.
//!
//! A task's record stays on its thread; its number and its name may be asked for anywhere, and long
//! after its end. So they lie in an allocation of their own, which most tasks never need: it is made for
//! a name that was chosen, for a thread of `thread`, or when somebody asks a task who it is.

use super::TaskId;
use std::any::Any;
use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::sync::OnceLock;

/// Who a task is, for any thread.
pub(crate) struct Identity {
    id: TaskId,
    place: &'static Location<'static>,
    chosen: Option<Cow<'static, str>>,
    /// What a higher layer keeps for the task, once it does.
    attachment: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl Identity {
    /// Of a task that was spawned at `place`.
    pub(crate) fn new(
        id: TaskId,
        place: &'static Location<'static>,
        chosen: Option<Cow<'static, str>>,
    ) -> Arc<Self> {
        Arc::new(Self { id, place, chosen, attachment: OnceLock::new() })
    }

    pub(crate) fn id(&self) -> TaskId {
        self.id
    }

    /// The name that its spawner chose.
    pub(crate) fn chosen(&self) -> Option<&str> {
        self.chosen.as_deref()
    }

    /// What a higher layer keeps for the task: there is one such layer.
    pub(crate) fn attachment(
        &self,
        make: impl FnOnce() -> Box<dyn Any + Send + Sync>,
    ) -> &(dyn Any + Send + Sync) {
        &**self.attachment.get_or_init(make)
    }
}

/// The chosen name, or else the place.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.chosen {
            Some(chosen) => f.write_str(chosen),
            None => write!(f, "{}:{}", self.place.file(), self.place.line()),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("id", &self.id).field("name", &self.chosen).finish()
    }
}

/// What a task is called: two words in its record.
#[derive(Debug)]
pub(crate) struct Name {
    place: &'static Location<'static>,
    identity: OnceCell<Arc<Identity>>,
}

impl Name {
    /// Of a task whose spawner chose none.
    pub(crate) fn of_place(place: &'static Location<'static>) -> Self {
        Self { place, identity: OnceCell::new() }
    }

    /// Of a task that was known before it was made.
    pub(crate) fn of(identity: Arc<Identity>) -> Self {
        Self { place: identity.place, identity: OnceCell::from(identity) }
    }

    /// Where the task was spawned.
    pub(crate) fn place(&self) -> &'static Location<'static> {
        self.place
    }

    /// What the spawner chose.
    pub(crate) fn chosen(&self) -> Option<&str> {
        self.identity.get()?.chosen()
    }

    /// The identity of the task, which has this number.
    pub(crate) fn identity(&self, id: TaskId) -> &Arc<Identity> {
        self.identity.get_or_init(|| Identity::new(id, self.place, None))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.chosen() {
            Some(chosen) => f.write_str(chosen),
            None => write!(f, "{}:{}", self.place.file(), self.place.line()),
        }
    }
}
