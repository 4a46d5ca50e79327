//! Bindings: which value a key has, for whom, and who comes into it.
//!
//! Layer 3. Imports: task. Never: the types of keys and values, who spawns whom.
//!
//! The bindings of a task are a linked list, latest first, whose head is one word of its record; a thread
//! that runs no task has one as well. A binding is never changed, so lists share their ends: a child
//! begins with the very list of its parent wherever that holds nothing which stays behind.
//!
//! Rejected: swapping a map in a thread-local at each switch, which every switch would pay for; borrowing
//! a value from the frame of `scope`, which a child that inherits it may outlive.

use super::local::LOCAL;
use std::any::Any;
use std::cell::Cell;
use std::iter;
use std::mem::ManuallyDrop;
use std::ptr;
use std::rc::Rc;

/// Whether a spawned task begins with its spawner's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inheritance {
    /// It does not.
    Own,
    /// It does.
    Inherited,
}

/// One value of one key, and the bindings from before.
pub(crate) struct Binding {
    key: *const (),
    inheritance: Inheritance,
    /// A child can begin with this very list: all of it is inherited, and nothing is shadowed, which
    /// would be kept for nobody.
    whole: bool,
    value: Rc<dyn Any>,
    next: Option<Rc<Binding>>,
}

impl Binding {
    fn new(
        key: *const (),
        inheritance: Inheritance,
        value: Rc<dyn Any>,
        next: Option<Rc<Self>>,
    ) -> Self {
        let whole = inheritance == Inheritance::Inherited
            && next.as_ref().is_none_or(|next| next.whole && next.find(key).is_none());
        Self { key, inheritance, whole, value, next }
    }

    /// This binding and those from before, latest first.
    fn chain(&self) -> impl Iterator<Item = &Self> {
        iter::successors(Some(self), |binding| binding.next.as_deref())
    }

    fn find(&self, key: *const ()) -> Option<&Self> {
        self.chain().find(|binding| ptr::eq(binding.key, key))
    }

    /// What a child begins with that is spawned where `latest` is the latest binding.
    fn inherited(latest: &Rc<Self>) -> Option<Rc<Self>> {
        let mut at = latest;
        while at.inheritance == Inheritance::Own {
            at = at.next.as_ref()?;
        }
        if at.whole {
            return Some(Rc::clone(at));
        }
        let mut visible: Vec<&Self> = Vec::new();
        for binding in at.chain().filter(|one| one.inheritance == Inheritance::Inherited) {
            if !visible.iter().any(|later| ptr::eq(later.key, binding.key)) {
                visible.push(binding);
            }
        }
        visible.into_iter().rev().fold(None, |next, binding| {
            let value = Rc::clone(&binding.value);
            Some(Rc::new(Self::new(binding.key, Inheritance::Inherited, value, next)))
        })
    }
}

/// The bindings of one task, or of one thread outside of tasks.
///
/// In a `ManuallyDrop`, since values are foreign code: who owns a list empties it where that may run.
pub(crate) struct Bindings {
    latest: Cell<Option<Rc<Binding>>>,
}

thread_local! {
    /// Of this thread when it runs no task. Empty at its end: scopes are calls.
    static OUTSIDE: ManuallyDrop<Bindings> = const { Bindings::new() };
}

impl Bindings {
    pub(crate) const fn new() -> ManuallyDrop<Self> {
        ManuallyDrop::new(Self { latest: Cell::new(None) })
    }

    /// Calls `f` with the bindings of the running task, or else of the thread.
    ///
    /// They stay in place meanwhile, whatever `f` does: a task is pinned (I1), and a thread without one
    /// does not switch.
    #[inline]
    pub(super) fn with_current<R>(f: impl FnOnce(&Self) -> R) -> R {
        let core = LOCAL.with(|local| local.core.get());
        // SAFETY: the task runs, and its record outlives this frame, which is on its stack.
        match unsafe { core.as_ref() } {
            Some(core) => f(&core.bindings),
            None => OUTSIDE.with(|bindings| f(bindings)),
        }
    }

    /// Looks at the latest binding, without running foreign code meanwhile.
    #[inline]
    fn look<R>(&self, look: impl FnOnce(Option<&Rc<Binding>>) -> R) -> R {
        let latest = self.latest.take();
        let result = look(latest.as_ref());
        self.latest.set(latest);
        result
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.look(|latest| latest.is_none())
    }

    /// The latest value of `key`.
    pub(super) fn find(&self, key: *const ()) -> Option<Rc<dyn Any>> {
        self.look(|latest| latest?.find(key).map(|binding| Rc::clone(&binding.value)))
    }

    /// Binds `key` to `value` until the guard is dropped, as the last of those that are made meanwhile.
    pub(super) fn bind(
        &self,
        key: *const (),
        inheritance: Inheritance,
        value: Rc<dyn Any>,
    ) -> Bound<'_> {
        let binding = Binding::new(key, inheritance, value, self.latest.take());
        self.latest.set(Some(Rc::new(binding)));
        Bound(self)
    }

    /// Takes the latest binding off. To drop it may run foreign code, which sees those before it.
    pub(crate) fn pop(&self) -> Option<Rc<Binding>> {
        let binding = self.latest.take()?;
        self.latest.set(binding.next.clone());
        Some(binding)
    }

    /// Begins the list of a new task: with what the running task, or else the thread, hands on.
    #[inline]
    pub(crate) fn inherit(&self) {
        Self::with_current(|spawner| {
            if !spawner.is_empty() {
                self.inherit_from(spawner);
            }
        });
    }

    #[cold]
    fn inherit_from(&self, spawner: &Self) {
        self.latest.set(spawner.look(|latest| latest.and_then(Binding::inherited)));
    }
}

/// A binding that ends on drop.
pub(super) struct Bound<'b>(&'b Bindings);

impl Drop for Bound<'_> {
    fn drop(&mut self) {
        drop(self.0.pop());
    }
}
