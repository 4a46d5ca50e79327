//! Once: what the first to come does for all.
//!
//! Layer 7. Imports: park. Never: who waits, which `run_once` knows.

use super::run_once::RunOnce;
use super::run_once::Wants;
use crate::park;
use std::fmt;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;

/// What a report says of who would wait for himself.
const DOING: &str = "is initialising this `Once`";

/// Runs one of several closures once, and lets nobody go on before, with [`std::sync::Once`]'s names.
///
/// A task that comes while another one runs its closure parks, and the others of its worker go on; outside
/// of [`run`](crate::run) the thread waits. One `Once` serves tasks of several runtimes and plain threads at
/// once.
///
/// Poisoned as std's is, by a closure that panics. A cancellation is no panic: a closure that it cuts has
/// not run, and who has waited longest to run his own does so next.
///
/// # Examples
///
/// ```
/// use giambio::sync::Once;
/// use std::cell::Cell;
/// use std::time::Duration;
///
/// giambio::testing::run_virtual(|| {
///     let (once, connections) = (Once::new(), Cell::new(0));
///     giambio::pool(|pool| {
///         for _ in 0..10 {
///             pool.spawn(|| {
///                 once.call_once(|| {
///                     giambio::sleep(Duration::from_secs(1)); // the others wait
///                     connections.set(connections.get() + 1);
///                 });
///                 assert_eq!(connections.get(), 1);
///             });
///         }
///     });
/// });
/// ```
///
/// It may lie in a static, and be shared:
///
/// ```
/// use giambio::sync::Once;
///
/// static START: Once = Once::new();
///
/// fn may_be_shared<T: Send + Sync>() {}
/// may_be_shared::<Once>();
///
/// START.call_once(|| ());
/// assert!(START.is_completed());
/// ```
pub struct Once {
    once: RunOnce,
}

/// What a closure of [`Once::call_once_force`] is told.
///
/// # Examples
///
/// ```
/// giambio::sync::Once::new().call_once_force(|state| assert!(!state.is_poisoned()));
/// ```
pub struct OnceState {
    poisoned: bool,
}

impl UnwindSafe for Once {}
impl RefUnwindSafe for Once {}

/// The initial value of a static [`Once`].
#[deprecated(note = "replaced by `Once::new`, as with std's")]
#[expect(clippy::declare_interior_mutable_const, reason = "std's name for an initial value")]
pub const ONCE_INIT: Once = Once::new();

impl Once {
    /// A `Once` for which nothing has run.
    #[expect(clippy::new_without_default, reason = "std's has no default")]
    #[must_use]
    #[inline]
    pub const fn new() -> Self {
        Self { once: RunOnce::new() }
    }

    /// Runs `f`, unless another closure has run; while another one does, parks the calling task.
    ///
    /// When this returns some closure has run, and what it has done is seen. If the one that is waited for is
    /// cut by a cancellation, who has waited longest runs his own. Outside of [`run`](crate::run) it blocks
    /// the thread.
    ///
    /// # Cancellation
    ///
    /// May park, but is no checkpoint, and a cancellation does not cut the wait for another closure: a
    /// destructor may call this. Checkpoints in `f` are what they are everywhere; if a cancellation cuts
    /// it, nothing has run, and the cancellation goes on here.
    ///
    /// # Panics
    ///
    /// If `f` does, which poisons: then every later call panics, and so do those that wait. If it would wait
    /// for itself: `f` must not call this again. If it would have to wait inside of
    /// [`task::no_switch`](crate::task::no_switch).
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::sync::Once;
    ///
    /// let once = Once::new();
    /// let mut calls = 0;
    /// for _ in 0..3 {
    ///     once.call_once(|| calls += 1);
    /// }
    /// assert_eq!(calls, 1);
    /// ```
    ///
    /// A closure that a cancellation cuts leaves it to the next:
    ///
    /// ```
    /// use giambio::sync::Once;
    /// use std::time::Duration;
    ///
    /// giambio::testing::run_virtual(|| {
    ///     let once = Once::new();
    ///     giambio::skip_after(Duration::from_secs(1), |_| once.call_once(|| giambio::sleep_forever()));
    ///     assert!(!once.is_completed());
    ///     once.call_once(|| ());
    ///     assert!(once.is_completed());
    /// });
    /// ```
    #[inline]
    #[track_caller]
    pub fn call_once<F>(&self, f: F)
    where
        F: FnOnce(),
    {
        if !self.once.is_complete() && !self.once.run(Wants::Run, DOING, |_| f()) {
            is_poisoned();
        }
    }

    /// Like [`call_once`](Self::call_once), also when an earlier closure has panicked: `f` is told so.
    ///
    /// If `f` runs to its end, the `Once` is no longer poisoned.
    ///
    /// # Cancellation
    ///
    /// As for [`call_once`](Self::call_once); an `f` that is cut leaves a poisoned `Once` poisoned.
    ///
    /// # Panics
    ///
    /// As for [`call_once`](Self::call_once), but not because an earlier closure has panicked.
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::sync::Once;
    ///
    /// let once = Once::new();
    /// let failing = std::panic::catch_unwind(|| once.call_once(|| panic!("on purpose")));
    /// assert!(failing.is_err());
    /// once.call_once_force(|state| assert!(state.is_poisoned()));
    /// once.call_once(|| unreachable!());
    /// ```
    #[inline]
    #[track_caller]
    pub fn call_once_force<F>(&self, f: F)
    where
        F: FnOnce(&OnceState),
    {
        if !self.once.is_complete() {
            let run = |poisoned| f(&OnceState { poisoned });
            self.once.run(Wants::RunAnyway, DOING, run);
        }
    }

    /// Whether a closure has run to its end.
    ///
    /// Then what it has done is seen.
    ///
    /// # Cancellation
    ///
    /// Never parks.
    #[must_use]
    #[inline]
    pub fn is_completed(&self) -> bool {
        self.once.is_complete()
    }

    /// Parks the calling task until a closure that somebody else calls has run to its end.
    ///
    /// Nobody need have called one yet. Outside of [`run`](crate::run) it blocks the thread.
    ///
    /// # Cancellation
    ///
    /// A checkpoint on every call, also when a closure has run: what is waited for may never come. A wait
    /// that was cut has changed nothing.
    ///
    /// # Panics
    ///
    /// If a closure has panicked, or does so meanwhile. If the closure that runs calls this itself. If it
    /// would have to wait inside of [`task::no_switch`](crate::task::no_switch).
    ///
    /// # Examples
    ///
    /// ```
    /// use giambio::sync::Once;
    ///
    /// static READY: Once = Once::new();
    ///
    /// let thread = std::thread::spawn(|| READY.wait());
    /// giambio::run(|| READY.call_once(|| ()));
    /// thread.join().unwrap();
    /// ```
    #[track_caller]
    pub fn wait(&self) {
        checkpoint();
        if !self.once.is_complete() && !self.once.wait(Wants::Wait, DOING) {
            is_poisoned();
        }
    }

    /// Like [`wait`](Self::wait), also when a closure has panicked: it waits for one that does not.
    ///
    /// # Cancellation
    ///
    /// As for [`wait`](Self::wait).
    ///
    /// # Panics
    ///
    /// As for [`wait`](Self::wait), but not because a closure has panicked.
    #[track_caller]
    pub fn wait_force(&self) {
        checkpoint();
        if !self.once.is_complete() {
            self.once.wait(Wants::WaitAnyway, DOING);
        }
    }
}

fn checkpoint() {
    if let Some(me) = park::current() {
        me.checkpoint();
    }
}

/// std's words.
#[cold]
#[track_caller]
fn is_poisoned() -> ! {
    panic!("Once instance has previously been poisoned");
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").finish_non_exhaustive()
    }
}

impl OnceState {
    /// Whether an earlier closure has panicked.
    ///
    /// # Cancellation
    ///
    /// Never parks.
    #[must_use]
    #[inline]
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }
}

impl fmt::Debug for OnceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceState").field("poisoned", &self.is_poisoned()).finish()
    }
}
