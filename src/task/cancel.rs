//! Cancel tree: which tasks a cancellation reaches.
//!
//! Layer 3. Imports: list, task. Never: what a deadline does (it is only kept here), pools, who may catch.
//!
//! Chosen: whether a node is cancelled is stored in every node below the cancelled one, so that a
//! checkpoint reads one flag and a cancellation walks the subtree once. Rejected: a walk to the root
//! at each checkpoint (nesting to 10,000 levels is legal); recursion (so is a small stack).
//!
//! A node lies in its owner's record or on its owner's stack, and everything below it belongs to
//! frames and tasks that end before it (I3). One thread touches a tree: its worker's.

use super::Core;
use crate::list::List;
use crate::list::Node;
use std::cell::Cell;
use std::ptr;

/// Names a cancelled scope in an unwind; never used again, unlike an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CancelId(pub(crate) u64);

/// Whether cancellations from above reach what lies below a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shield {
    /// They do not.
    Up,
    /// They do.
    Down,
}

/// Why a scope was cancelled, as whoever did it says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Somebody has simply asked for it.
    Asked,
    /// Somebody has given words for it, which the worker keeps.
    Explained,
    /// These words, which go behind "was cancelled: ".
    Known(&'static str),
}

/// A deadline that never comes, in nanoseconds.
const NEVER: u64 = u64::MAX;

/// A stretch of one task's code, or a whole task, that is stopped as one.
#[derive(Debug)]
pub(crate) struct CancelNode {
    id: CancelId,
    shield: Shield,
    /// The task whose code this is; null if it is only where others hang.
    owner: Cell<*const Core>,
    parent: Cell<*const CancelNode>,
    children: List<Cell<*const CancelNode>>,
    siblings: Node<Cell<*const CancelNode>>,
    /// Why this very node was cancelled, if it was; the first cause stays.
    cause: Cell<Option<&'static Cause>>,
    /// This node, or one above it that no shield hides.
    effective: Cell<bool>,
    /// When it is to be cancelled; kept here for those further in, set by the scope.
    deadline: Cell<u64>,
}

impl CancelNode {
    pub(crate) fn new(id: CancelId, shield: Shield) -> Self {
        Self {
            id,
            shield,
            owner: Cell::new(ptr::null()),
            parent: Cell::new(ptr::null()),
            children: List::new(),
            siblings: Node::new(Cell::new(ptr::null())),
            cause: Cell::new(None),
            effective: Cell::new(false),
            deadline: Cell::new(NEVER),
        }
    }

    pub(crate) fn id(&self) -> CancelId {
        self.id
    }

    /// Whether this very node was cancelled.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cause.get().is_some()
    }

    /// Why this very node was cancelled.
    pub(crate) fn cause(&self) -> Option<&'static Cause> {
        self.cause.get()
    }

    pub(crate) fn deadline(&self) -> Option<u64> {
        Some(self.deadline.get()).filter(|&at| at != NEVER)
    }

    /// Notes a deadline; whoever does sees to it that it cancels.
    pub(crate) fn set_deadline(&self, at: Option<u64>) {
        self.deadline.set(at.unwrap_or(NEVER));
    }

    /// The earliest deadline of this node and of those above it that no shield hides.
    pub(crate) fn earliest_deadline(&self) -> Option<u64> {
        let mut earliest = NEVER;
        self.visible().for_each(|node| earliest = earliest.min(node.deadline.get()));
        Some(earliest).filter(|&at| at != NEVER)
    }

    /// This node and those above it that no shield hides, the innermost first.
    fn visible(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |node| match node.shield {
            Shield::Up => None,
            Shield::Down => node.parent(),
        })
    }

    /// Whether this node is `other` or lies below it, be there a shield in between or not.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        std::iter::successors(Some(self), |node| node.parent()).any(|node| ptr::eq(node, other))
    }

    /// Whether code below this node must stop.
    pub(crate) fn is_effective(&self) -> bool {
        self.effective.get()
    }

    /// Whether this node, or any one above it, must stop, be there a shield in between or not.
    pub(crate) fn is_in_a_cancelled_one(&self) -> bool {
        std::iter::successors(Some(self), |node| node.parent()).any(Self::is_effective)
    }

    pub(crate) fn parent(&self) -> Option<&CancelNode> {
        // SAFETY: `attach`'s caller keeps the parent alive and in place until `detach`.
        unsafe { self.parent.get().as_ref() }
    }

    /// Hangs this node below `parent`, or makes it a root.
    ///
    /// # Safety
    ///
    /// Until `detach`, this node, `parent` and `owner`, which may be null, stay alive and where they are.
    pub(crate) unsafe fn attach(&self, parent: Option<&CancelNode>, owner: *const Core) {
        self.owner.set(owner);
        self.siblings.value().set(self);
        let Some(parent) = parent else { return };
        self.parent.set(parent);
        self.effective.set(self.shield == Shield::Down && parent.is_effective());
        // SAFETY: the caller keeps this node, and with it its link, in place until `detach`.
        unsafe { parent.children.push_back(&self.siblings) };
    }

    /// Takes this node out of its tree. It has no children any more.
    pub(crate) fn detach(&self) {
        debug_assert!(self.children.is_empty(), "a cancel scope ended before what it contains");
        if let Some(parent) = self.parent() {
            parent.children.remove(&self.siblings);
        }
        self.parent.set(ptr::null());
    }

    /// The outermost cancelled node that this one can see: the one that catches.
    pub(crate) fn outermost_cancelled(&self) -> Option<&Self> {
        self.visible().filter(|node| node.is_cancelled()).last()
    }

    /// The cancelled node of that id, if this one can see it, or else the outermost.
    pub(crate) fn cancelled_one(&self, id: Option<CancelId>) -> Option<&Self> {
        let named = self.visible().find(|node| Some(node.id) == id && node.is_cancelled());
        named.or_else(|| self.outermost_cancelled())
    }

    /// Cancels this node and tells `reached` every task whose innermost node has become cancelled
    /// by that. `reached` must not change the tree.
    pub(crate) fn cancel(&self, cause: &'static Cause, mut reached: impl FnMut(&Core)) {
        if self.is_cancelled() {
            return;
        }
        self.cause.set(Some(cause));
        if self.effective.get() {
            return;
        }
        let mut at = self;
        loop {
            at.effective.set(true);
            // SAFETY: `attach`'s caller keeps the owner alive as long as the node is in the tree.
            let owner = unsafe { at.owner.get().as_ref() };
            if let Some(owner) = owner.filter(|owner| ptr::eq(owner.innermost(), at)) {
                owner.set_innermost(at); // notes that the cancellation is pending
                reached(owner);
            }
            match at.next_below(self, reachable) {
                Some(next) => at = next,
                None => return,
            }
        }
    }

    /// Shows `visit` every task that has its base at or below this node.
    pub(crate) fn for_each_task(&self, mut visit: impl FnMut(&Core)) {
        let mut at = Some(self);
        while let Some(node) = at {
            // SAFETY: as in `cancel`.
            let owner = unsafe { node.owner.get().as_ref() };
            owner
                .filter(|owner| ptr::eq(&raw const owner.base, node))
                .into_iter()
                .for_each(&mut visit);
            at = node.next_below(self, |_| true);
        }
    }

    /// The next node of a walk in depth below `root`, leaving out those that `enter` refuses, and
    /// what is below them.
    fn next_below(&self, root: &CancelNode, enter: fn(&CancelNode) -> bool) -> Option<&CancelNode> {
        if let Some(child) = self.children.front().and_then(|link| first(link, enter)) {
            return Some(child);
        }
        let mut at = self;
        while !ptr::eq(at, root) {
            if let Some(sibling) = at.siblings.next().and_then(|link| first(link, enter)) {
                return Some(sibling);
            }
            at = at.parent()?;
        }
        None
    }
}

/// A cancellation goes on to nodes that neither are shielded nor were reached before.
fn reachable(node: &CancelNode) -> bool {
    node.shield == Shield::Down && !node.is_effective()
}

/// The first of `link` and those behind it that `enter` accepts.
fn first(
    link: &Node<Cell<*const CancelNode>>,
    enter: fn(&CancelNode) -> bool,
) -> Option<&CancelNode> {
    let mut at = Some(link);
    while let Some(link) = at {
        // SAFETY: a linked node is alive and in place (`attach`), and its value is its own address.
        let node = unsafe { &*link.value().get() };
        if enter(node) {
            return Some(node);
        }
        at = link.next();
    }
    None
}
