//! Builder: what one thread may ask for.
//!
//! Layer 8. Imports: thread's own files, park, pool, runtime, task. Never: how threads end.

use super::Thread;
use super::handle::Handle;
use super::handle::JoinHandle;
use super::handle::Signal;
use super::handover::Claim;
use super::handover::Handover;
use super::scope::Scope;
use super::scope::ScopedJoinHandle;
use crate::park;
use crate::park::Class;
use crate::pool::joined::PanicGoes;
use crate::pool::joined::Plan;
use crate::pool::joined::Role;
use crate::pool::joined::Spawner;
use crate::runtime::threads;
use crate::task::Identity;
use crate::task::Name;
use crate::task::TaskId;
use std::ffi::CString;
use std::io;
use std::panic::Location;
use std::sync::Arc;
use std::thread;

/// The options of one thread.
///
/// Compare [`std::thread::Builder`].
///
/// # Examples
///
/// ```
/// use giambio::thread;
///
/// giambio::run(|| -> std::io::Result<()> {
///     let builder = thread::Builder::new().name("deep".into()).stack_size(1 << 20);
///     let handle = builder.spawn(|| thread::current().name().map(String::from))?;
///     assert_eq!(handle.join().unwrap().as_deref(), Some("deep"));
///     Ok(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until it spawns"]
pub struct Builder {
    name: Option<String>,
    stack_size: Option<usize>,
}

impl Builder {
    /// The options of [`spawn`](super::spawn): no name, the usual stack size.
    #[expect(clippy::new_without_default, reason = "std's has none either")]
    pub fn new() -> Self {
        Self { name: None, stack_size: None }
    }

    /// Names the thread, for reports, logs and [`Thread::name`].
    pub fn name(mut self, name: String) -> Self {
        self.name = Some(name);
        self
    }

    /// Sets the size of the thread's stack: usable bytes.
    ///
    /// Inside of [`run`](crate::run) it is rounded up to a power of two and to at least 32 KiB, and may be
    /// 1 GiB at most; memory is used only for what is touched. Unless set it is the runtime's
    /// ([`Builder::stack_size`](crate::Builder::stack_size)), which is less than std's.
    pub fn stack_size(mut self, size: usize) -> Self {
        self.stack_size = Some(size);
        self
    }

    /// Starts a thread: see [`spawn`](super::spawn).
    ///
    /// # Cancellation
    ///
    /// Never parks.
    ///
    /// # Errors
    ///
    /// Inside of [`run`](crate::run): `InvalidInput` if the stack size is more than 1 GiB, `OutOfMemory` if
    /// no stack is to be had, naming the limit that was met. Outside: the system's. `f` was dropped then.
    ///
    /// # Panics
    ///
    /// If the name contains a null byte.
    ///
    /// # Examples
    ///
    /// ```
    /// giambio::run(|| {
    ///     let handle = giambio::thread::Builder::new().spawn(|| 42).unwrap();
    ///     assert_eq!(handle.join().unwrap(), 42);
    /// });
    /// ```
    #[track_caller]
    pub fn spawn<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let Some(me) = park::current() else {
            let signal = Signal::new();
            let sender = signal.sender();
            let handle = self.of_std().spawn(move || sender.around(f))?;
            let thread = Thread::of_system(handle.thread().clone());
            return Ok(JoinHandle(Handle::of_system(thread, handle, signal)));
        };
        let stack = self.class()?.unwrap_or(me.worker().default_stack());
        let who = self.identity(me.worker().new_task_id());
        let thread = Thread::of_task(Arc::clone(&who));
        let handover = Handover::new(Arc::clone(&who), None);
        threads::spawn(me, plan(who, stack), Arc::clone(&handover), f)?;
        Ok(JoinHandle(Handle::of_task(thread, Claim::new(handover))))
    }

    /// Starts a thread that may borrow: see [`Scope::spawn`].
    ///
    /// # Cancellation
    ///
    /// Never parks.
    ///
    /// # Errors
    ///
    /// As for [`spawn`](Self::spawn). From a thread that is not the scope's own only `InvalidInput`: for
    /// want of a stack it is [`ScopedJoinHandle::join`] that fails, with an [`io::Error`] as the payload,
    /// and if nobody joins, the scope. `f` is then dropped in the thread that has opened the scope.
    ///
    /// # Panics
    ///
    /// If the name contains a null byte.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::thread;
    ///
    /// giambio::run(|| {
    ///     let text = String::from("borrowed");
    ///     thread::scope(|scope| {
    ///         let builder = thread::Builder::new().name("reader".into());
    ///         let handle = builder.spawn_scoped(scope, || text.len()).unwrap();
    ///         assert_eq!(handle.join().unwrap(), 8);
    ///     });
    /// });
    /// ```
    #[track_caller]
    pub fn spawn_scoped<'scope, 'env, F, T>(
        self,
        scope: &'scope Scope<'scope, 'env>,
        f: F,
    ) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        scope.start(self, f)
    }

    /// The same options for a thread of the system.
    pub(super) fn of_std(self) -> thread::Builder {
        let mut builder = thread::Builder::new();
        if let Some(name) = self.name {
            builder = builder.name(name);
        }
        if let Some(size) = self.stack_size {
            builder = builder.stack_size(size);
        }
        builder
    }

    /// The class of the stack, if one was asked for. As with std, 0 is no error but the least there is.
    pub(super) fn class(&self) -> io::Result<Option<Class>> {
        self.stack_size.map(|size| Class::for_usable(size.max(1))).transpose()
    }

    /// Who the task is going to be.
    #[track_caller]
    pub(super) fn identity(self, id: TaskId) -> Arc<Identity> {
        let name = self.name.inspect(|name| {
            // In std's words.
            if let Err(null) = CString::new(name.as_str()) {
                panic!("thread name may not contain interior null bytes: {null:?}");
            }
        });
        Identity::new(id, Location::caller(), name.map(Into::into))
    }
}

fn plan(who: Arc<Identity>, stack: Class) -> Plan {
    Plan {
        id: who.id(),
        name: Name::of(who),
        stack,
        panic_goes: PanicGoes::ToTheHandle,
        role: Role::Ordinary,
        spawner: Spawner::Here,
    }
}
