//! Builder: what one spawn may ask for.
//!
//! Layer 6. Imports: park, stack through the pool, task. Never: what the task does.

use super::Pool;
use super::Task;
use super::default_stack;
use super::group::Role;
use super::joined::PanicGoes;
use super::joined::Plan;
use super::joined::Spawner;
use crate::park;
use crate::park::Class;
use crate::park::Running;
use crate::task::Identity;
use crate::task::Name;
use std::io;
use std::panic::Location;

/// The options of one spawn.
///
/// # Examples
///
/// ```
/// use giambio::TaskBuilder;
///
/// giambio::run(|| {
///     giambio::pool(|pool| {
///         let task = TaskBuilder::new().name("deep".into()).stack_size(1 << 20);
///         let task = task.spawn(pool, || giambio::task::current().name());
///         assert_eq!(task.join().unwrap(), "deep");
///     });
/// });
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until it spawns"]
pub struct TaskBuilder {
    place: &'static Location<'static>,
    name: Option<String>,
    stack_size: Option<usize>,
    panic_goes: PanicGoes,
    role: Role,
}

impl TaskBuilder {
    /// The options of [`Pool::spawn`]: named after the place of this call, the runtime's stack size.
    #[track_caller]
    #[inline]
    #[expect(clippy::new_without_default, reason = "a default could not know its caller")]
    pub fn new() -> Self {
        Self::at(Location::caller())
    }

    /// The same, named after another place.
    #[inline]
    pub(crate) fn at(place: &'static Location<'static>) -> Self {
        Self {
            place,
            name: None,
            stack_size: None,
            panic_goes: PanicGoes::ToThePool,
            role: Role::Ordinary,
        }
    }

    /// Names the task, for reports and logs.
    pub fn name(mut self, name: String) -> Self {
        self.name = Some(name);
        self
    }

    /// Sets the size of the task's stack: usable bytes, from 1 to 1 GiB.
    ///
    /// It is rounded up to a power of two and to at least 32 KiB; the guard comes on top. Memory is
    /// used only for what the task touches.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    pub(super) fn isolated(mut self) -> Self {
        self.panic_goes = PanicGoes::ToTheHandle;
        self
    }

    pub(crate) fn daemon(mut self) -> Self {
        self.role = Role::Daemon;
        self
    }

    /// Starts a task in `pool`: see [`Pool::spawn`].
    ///
    /// # Panics
    ///
    /// If the stack size is 0 or more than 1 GiB, and if no stack is to be had.
    #[track_caller]
    #[inline]
    pub fn spawn<'scope, 'env, T: 'scope>(
        self,
        pool: &'scope Pool<'scope, 'env>,
        f: impl FnOnce() -> T + 'scope,
    ) -> Task<'scope, T> {
        match self.try_spawn(pool, f) {
            Ok(task) => task,
            Err(error) => panic!("a task could not be spawned: {error}"),
        }
    }

    /// Like [`spawn`](Self::spawn), with an error where that panics. The pool and its tasks go on.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the stack size is 0 or more than 1 GiB; `OutOfMemory` if no stack is to be
    /// had, naming the limit that was met (`vm.max_map_count`, `RLIMIT_AS`).
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::TaskBuilder;
    ///
    /// giambio::run(|| {
    ///     giambio::pool(|pool| {
    ///         let error = TaskBuilder::new().stack_size(0).try_spawn(pool, || ()).unwrap_err();
    ///         assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    ///     });
    /// });
    /// ```
    #[track_caller]
    #[inline]
    pub fn try_spawn<'scope, 'env, T: 'scope>(
        self,
        pool: &'scope Pool<'scope, 'env>,
        f: impl FnOnce() -> T + 'scope,
    ) -> io::Result<Task<'scope, T>> {
        let me = park::current_for("`spawn`");
        pool.admit(me, self.plan(me)?, || Some(f()))
    }

    /// What has been asked for, with the runtime's choice for the rest.
    #[inline]
    pub(super) fn plan(self, me: Running) -> io::Result<Plan> {
        let stack = match self.stack_size {
            Some(bytes) => Class::for_usable(bytes)?,
            None => default_stack(me),
        };
        let Self { place, panic_goes, role, .. } = self;
        let id = me.worker().new_task_id();
        let name = match self.name {
            None => Name::of_place(place),
            Some(chosen) => Name::of(Identity::new(id, place, Some(chosen.into()))),
        };
        Ok(Plan { id, name, stack, panic_goes, role, spawner: Spawner::Here })
    }
}
