//! Task-local: what a task finds without being handed it.
//!
//! Layer 3. Imports: task. Never: threads' locals, who spawns whom.
//!
//! A key is a `static` that holds no value; its address is its identity. The values are in the lists of
//! `bindings.rs`.

use super::bindings::Bindings;
use super::bindings::Inheritance;
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::ptr;
use std::rc::Rc;

/// Declares keys of values that belong to a task: see [`TaskLocal`].
///
/// Each key is a `static`, with attributes and a visibility of its own and without a value:
/// [`scope`](crate::task::TaskLocal::scope) gives it one. A key with the attribute `#[inherited]` hands
/// its value on to the tasks that are spawned meanwhile; the others do not.
///
/// The macro is also called `giambio::task::task_local!`.
///
/// # Examples
///
/// ```
/// giambio::task_local! {
///     /// Who asks.
///     #[inherited]
///     pub static USER: String;
///
///     static DEPTH: u32;
/// }
///
/// giambio::run(|| {
///     USER.scope("ada".into(), || {
///         DEPTH.scope(1, || {
///             assert_eq!(DEPTH.get(), 1);
///             giambio::pool(|pool| {
///                 pool.spawn(|| {
///                     assert_eq!(USER.with(|user| user.len()), 3);
///                     assert!(!DEPTH.is_set());
///                 });
///             });
///         });
///     });
/// });
/// ```
#[macro_export]
macro_rules! task_local {
    ($($(#[$($attribute:tt)*])* $vis:vis static $name:ident: $type:ty);* $(;)?) => {
        $($crate::__task_local_key! {
            __own [] [$([$($attribute)*])*] { $vis static $name: $type }
        })*
    };
}

/// One key of `task_local!`: takes `#[inherited]` out of its attributes, and keeps the others.
#[doc(hidden)]
#[macro_export]
macro_rules! __task_local_key {
    ($kind:ident [$($kept:tt)*] [[inherited] $($rest:tt)*] $key:tt) => {
        $crate::__task_local_key! { __inherited [$($kept)*] [$($rest)*] $key }
    };
    ($kind:ident [$($kept:tt)*] [$attribute:tt $($rest:tt)*] $key:tt) => {
        $crate::__task_local_key! { $kind [$($kept)* #$attribute] [$($rest)*] $key }
    };
    ($kind:ident [$($kept:tt)*] [] { $vis:vis static $name:ident: $type:ty }) => {
        $($kept)*
        $vis static $name: $crate::task::TaskLocal<$type> =
            $crate::task::TaskLocal::$kind(::core::concat!(
                ::core::module_path!(), "::", ::core::stringify!($name)
            ));
    };
}

pub use task_local;

/// A key whose values follow the task, not the thread.
///
/// Made by [`task_local!`](crate::task_local!). A value is bound for the time of a call of
/// [`scope`](Self::scope), and is visible to the calling task only; bindings of the same key nest. What
/// a request's handler needs deep below (who asks, which trace this belongs to) then is no parameter of
/// everything in between, and is right although thousands of tasks take turns on one thread, as a
/// [`std::thread_local!`] is not.
///
/// # Inheritance
///
/// A key declared `#[inherited]` hands its value on: a task begins with what its spawner, the task that
/// calls `spawn`, sees in that moment, and hands it on in turn. Parent and child share one value. Later
/// bindings of the spawner change nothing in the child, and the child may keep the value when the
/// spawner's scope has ended. The last to hold a value drops it: a child does so at its end, as a part of
/// the task, which fails if the destructor panics. `run`'s main task begins with the inherited values of
/// the thread that calls `run`.
///
/// A key declared without it begins without a value in every task, also in those that
/// [`join`](crate::join()), [`race`](crate::race()) and their like start for their closures.
///
/// # Threads
///
/// On a thread that runs no task the thread takes the task's place, so a library works on both. Hooks of
/// a [`Debugger`](crate::debug::Debugger) and log sinks see what was bound on their thread outside of
/// `run`. A value needs to be neither `Send` nor `Sync`, since it does not leave its thread; a new
/// thread begins without values.
///
/// # Examples
///
/// ```
/// giambio::task_local! {
///     static REQUEST: u32;
/// }
///
/// fn log_line(text: &str) -> String {
///     match REQUEST.try_with(|request| format!("[{request}] {text}")) {
///         Ok(line) => line,
///         Err(_) => text.into(),
///     }
/// }
///
/// giambio::run(|| {
///     giambio::pool(|pool| {
///         for request in 1..=2 {
///             pool.spawn(move || {
///                 REQUEST.scope(request, || {
///                     giambio::yield_now(); // the other one runs
///                     assert_eq!(log_line("done"), format!("[{request}] done"));
///                 });
///             });
///         }
///     });
///     assert_eq!(log_line("idle"), "idle");
/// });
/// ```
pub struct TaskLocal<T: 'static> {
    /// Of the key, with its module. Also what gives a key a size, and so an address of its own, by which
    /// bindings know it.
    name: &'static str,
    inheritance: Inheritance,
    /// The key holds no value, and is as good on any thread.
    value: PhantomData<fn() -> T>,
}

impl<T: 'static> TaskLocal<T> {
    /// For `task_local!` only: other places than a `static` have no address of their own.
    #[doc(hidden)]
    pub const fn __own(name: &'static str) -> Self {
        Self { name, inheritance: Inheritance::Own, value: PhantomData }
    }

    /// As `__own`.
    #[doc(hidden)]
    pub const fn __inherited(name: &'static str) -> Self {
        Self { name, inheritance: Inheritance::Inherited, value: PhantomData }
    }

    /// Runs `f` with this key bound to `value` in the calling task.
    ///
    /// When `f` has returned or unwinds, the binding from before is visible again, if there was one, and
    /// then `value` is dropped, unless a task that has not ended has inherited it. To change a value in
    /// place, bind a [`Cell`](std::cell::Cell) or a [`RefCell`](std::cell::RefCell).
    ///
    /// `f` may park: other tasks have bindings of their own. Parks only if `f` or the value's destructor
    /// does.
    ///
    /// # Cancellation
    ///
    /// Not a checkpoint. A cancellation that cuts `f` ends the scope like a panic.
    ///
    /// # Examples
    ///
    /// ```
    /// giambio::task_local! {
    ///     static LEVEL: u32;
    /// }
    ///
    /// LEVEL.scope(1, || {
    ///     let inner = LEVEL.scope(2, || LEVEL.get());
    ///     assert_eq!((inner, LEVEL.get()), (2, 1));
    /// });
    /// assert!(!LEVEL.is_set());
    /// ```
    pub fn scope<R>(&'static self, value: T, f: impl FnOnce() -> R) -> R {
        let value = Rc::new(value);
        Bindings::with_current(|bindings| {
            let _bound = bindings.bind(self.address(), self.inheritance, value);
            f()
        })
    }

    /// Calls `f` with the value that this key is bound to in the calling task.
    ///
    /// `f` may park; the value stays. It does not leave `f`:
    ///
    /// ```compile_fail
    /// giambio::task_local! {
    ///     static USER: String;
    /// }
    ///
    /// let user = USER.with(|user| user);
    /// ```
    ///
    /// # Panics
    ///
    /// If the key is not bound here, naming it.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::cell::RefCell;
    ///
    /// giambio::task_local! {
    ///     static STEPS: RefCell<Vec<&'static str>>;
    /// }
    ///
    /// STEPS.scope(RefCell::default(), || {
    ///     STEPS.with(|steps| steps.borrow_mut().push("parsed"));
    ///     STEPS.with(|steps| assert_eq!(*steps.borrow(), ["parsed"]));
    /// });
    /// ```
    #[track_caller]
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        match self.value() {
            Some(value) => f(&value),
            None => self.refuse(),
        }
    }

    /// Like [`with`](Self::with), with an error where that panics.
    ///
    /// # Errors
    ///
    /// [`AccessError`] if the key is not bound here; `f` was not called then.
    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        match self.value() {
            Some(value) => Ok(f(&value)),
            None => Err(AccessError { key: self.name }),
        }
    }

    /// A clone of the value that this key is bound to in the calling task.
    ///
    /// Never parks, unless the value's `clone` does.
    ///
    /// # Panics
    ///
    /// If the key is not bound here, naming it.
    #[track_caller]
    pub fn get(&'static self) -> T
    where
        T: Clone,
    {
        // No closure, which would hide the caller.
        match self.value() {
            Some(value) => T::clone(&value),
            None => self.refuse(),
        }
    }

    /// Whether this key is bound in the calling task, so that [`with`](Self::with) does not panic.
    #[must_use]
    pub fn is_set(&'static self) -> bool {
        self.value().is_some()
    }

    fn address(&'static self) -> *const () {
        ptr::from_ref(self).cast()
    }

    /// A share of the innermost value: what happens to its binding meanwhile does not touch it.
    fn value(&'static self) -> Option<Rc<T>> {
        Bindings::with_current(|bindings| bindings.find(self.address()))?.downcast().ok()
    }

    #[cold]
    #[track_caller]
    fn refuse(&'static self) -> ! {
        let error = AccessError { key: self.name };
        let place = match self.inheritance {
            Inheritance::Own => "in the same task",
            Inheritance::Inherited => "or in a task that was spawned there",
        };
        panic!("{error}: call this inside of its `scope`, {place}")
    }
}

impl<T: 'static> fmt::Debug for TaskLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskLocal")
            .field("name", &self.name)
            .field("inherited", &(self.inheritance == Inheritance::Inherited))
            .finish_non_exhaustive()
    }
}

/// The key of a [`TaskLocal`] is not bound in the calling task.
///
/// # Examples
///
/// ```
/// giambio::task_local! {
///     static REQUEST: u32;
/// }
///
/// let error = REQUEST.try_with(|_| ()).unwrap_err();
/// assert!(error.to_string().contains("REQUEST"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessError {
    key: &'static str,
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the task-local `{}` is not set here", self.key)
    }
}

impl Error for AccessError {}
