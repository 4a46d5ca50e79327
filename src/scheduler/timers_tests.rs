//! The heap against a sorted model, and one test for each sentence of its docs.

use super::*;
use std::collections::BTreeSet;
use std::marker::PhantomData;

/// Timers that cannot outlive their nodes, which makes them safe to set.
struct Scene<'nodes> {
    timers: Timers<u32>,
    nodes: PhantomData<&'nodes TimerNode<u32>>,
}

impl<'nodes> Scene<'nodes> {
    fn new() -> Self {
        Self { timers: Timers::new(), nodes: PhantomData }
    }

    #[track_caller]
    fn set(&mut self, node: &'nodes TimerNode<u32>, at: u64) {
        // SAFETY: the node is borrowed, shared, for as long as the heap is used. No test sets a
        // queued node but the one that wants to be stopped for it.
        unsafe { self.timers.insert(node, at, Lateness::Millisecond) };
    }

    #[track_caller]
    fn set_precise(&mut self, node: &'nodes TimerNode<u32>, at: u64) {
        // SAFETY: as in `set`.
        unsafe { self.timers.insert(node, at, Lateness::Least) };
    }

    /// The targets of all that is due at `now`, in the order in which they fire.
    fn fire(&mut self, now: u64) -> Vec<u32> {
        std::iter::from_fn(|| self.timers.pop_due(now)).collect()
    }

    /// Every node knows its place, no child is before its parent, and the counter is right.
    #[track_caller]
    fn check(&self) {
        let heap = &self.timers.heap;
        for (index, entry) in heap.iter().enumerate() {
            assert_eq!(entry.node().position.get() as usize, index);
            assert!(index == 0 || heap[parent(index)].is_before(entry));
        }
        let precise = heap.iter().filter(|entry| entry.node().precise.get()).count();
        assert_eq!(self.timers.precise, precise);
    }
}

fn nodes(count: u32) -> Vec<TimerNode<u32>> {
    (0..count).map(TimerNode::new).collect()
}

/// Marsaglia's xorshift64: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

#[test]
fn smoke() {
    let nodes = nodes(3);
    let mut scene = Scene::new();
    scene.set(&nodes[0], 30);
    scene.set(&nodes[1], 10);
    scene.set(&nodes[2], 20);
    scene.timers.remove(&nodes[2]);
    assert_eq!(scene.timers.next(), Some(10));
    assert_eq!(scene.fire(30), [1, 0]);
}

/// The heap beside a set that is sorted by deadline and then by when the deadline was set.
struct Trial<'nodes> {
    nodes: &'nodes [TimerNode<u32>],
    /// Where each node is in `model`, and whether it is precise.
    set: Vec<Option<(u64, u64, bool)>>,
    scene: Scene<'nodes>,
    model: BTreeSet<(u64, u64, u32)>,
    random: Random,
    now: u64,
}

impl Trial<'_> {
    /// Sets a node that is not set; removes or keeps one that is.
    fn toggle(&mut self, step: u64) {
        let id = self.random.below(self.nodes.len() as u64) as u32;
        let node = &self.nodes[id as usize];
        assert_eq!(node.is_queued(), self.set[id as usize].is_some());
        match self.set[id as usize] {
            None => {
                // From "many at the same time, or already past" to "far away".
                let spread = 1 << self.random.below(20);
                let at = (self.now + self.random.below(spread)).saturating_sub(3);
                let precise = self.random.below(50) == 0;
                if precise {
                    self.scene.set_precise(node, at);
                } else {
                    self.scene.set(node, at);
                }
                self.model.insert((at, step, id));
                self.set[id as usize] = Some((at, step, precise));
            }
            Some((at, seq, _)) => {
                self.scene.timers.remove(node);
                assert!(self.model.remove(&(at, seq, id)));
                self.set[id as usize] = None;
            }
        }
    }

    /// Lets time pass; what fires must be what the model says, in its order.
    fn expire(&mut self) {
        self.now += self.random.below(2_000);
        while let Some(&(at, seq, id)) = self.model.first().filter(|timer| timer.0 <= self.now) {
            assert_eq!(self.scene.timers.pop_due(self.now), Some(id));
            self.model.remove(&(at, seq, id));
            self.set[id as usize] = None;
            assert!(!self.nodes[id as usize].is_queued());
        }
        assert_eq!(self.scene.timers.pop_due(self.now), None, "early");
    }

    fn compare(&self) {
        assert_eq!(self.scene.timers.next(), self.model.first().map(|timer| timer.0));
        assert_eq!(self.scene.timers.heap.len(), self.model.len());
        assert_eq!(self.scene.timers.is_empty(), self.model.is_empty());
    }

    fn compare_all(&self) {
        self.scene.check();
        let precise = self.set.iter().flatten().any(|timer| timer.2);
        assert_eq!(self.scene.timers.wants_precision(), precise);
    }
}

#[test]
fn random_operations_agree_with_a_sorted_model() {
    const STEPS: u64 = if cfg!(miri) { 3_000 } else { 300_000 };
    let nodes = nodes(4_000);
    let mut trial = Trial {
        nodes: &nodes,
        set: vec![None; nodes.len()],
        scene: Scene::new(),
        model: BTreeSet::new(),
        random: Random(0x9E37_79B9_7F4A_7C15),
        now: 0,
    };
    let (mut fired, mut most) = (0, 0);
    for step in 0..STEPS {
        if trial.random.below(32) == 0 {
            let before = trial.model.len();
            trial.expire();
            fired += before - trial.model.len();
        } else {
            trial.toggle(step);
        }
        trial.compare();
        most = most.max(trial.model.len());
        if step % 512 == 0 {
            trial.compare_all();
        }
    }
    trial.now = u64::MAX / 2;
    trial.expire();
    trial.compare_all();
    assert!(trial.model.is_empty());
    assert!(fired as u64 > STEPS / 10, "the mix of operations hardly fires any: {fired}");
    assert!(most > 250, "the mix of operations keeps the heap flat: {most}");
}

#[test]
fn any_one_of_many_can_be_removed() {
    // Head, middle and last, with full and with ragged last families of children.
    for count in 1..40 {
        for removed in 0..count {
            let nodes = nodes(count);
            let mut scene = Scene::new();
            for (node, at) in nodes.iter().zip(0..) {
                scene.set(node, at * 7 % 40); // 7 is coprime to 40, so all differ
            }
            scene.timers.remove(&nodes[removed as usize]);
            scene.check();
            assert!(!nodes[removed as usize].is_queued());
            let mut expected: Vec<u32> = (0..count).filter(|&id| id != removed).collect();
            expected.sort_by_key(|id| id * 7 % 40);
            assert_eq!(scene.fire(40), expected);
        }
    }
}

#[test]
fn the_last_entry_moves_up_when_it_fills_a_later_branch() {
    let nodes = nodes(22);
    let mut scene = Scene::new();
    scene.set(&nodes[0], 0);
    scene.set(&nodes[1], 100); // index 1: its children, 5 to 8, are late
    (2..5).for_each(|id| scene.set(&nodes[id], 1));
    (5..9).for_each(|id| scene.set(&nodes[id], 100));
    (9..22).for_each(|id| scene.set(&nodes[id], 2));
    scene.timers.remove(&nodes[5]); // its filler is at 2, its parent at 100
    assert_eq!(nodes[21].position.get(), 1);
    scene.check();
    assert_eq!(scene.fire(2).len(), 17);
    assert_eq!(scene.fire(100), [1, 6, 7, 8]);
}

#[test]
fn removing_the_head_reveals_the_next() {
    let nodes = nodes(2);
    let mut scene = Scene::new();
    scene.set(&nodes[0], 10);
    scene.set(&nodes[1], 20);
    scene.timers.remove(&nodes[0]);
    assert_eq!(scene.timers.next(), Some(20));
    assert_eq!(scene.fire(19), []);
    assert_eq!(scene.fire(20), [1]);
}

#[test]
fn removing_what_is_not_set_does_nothing() {
    let nodes = nodes(3);
    let mut scene = Scene::new();
    scene.set(&nodes[0], 10);
    scene.set(&nodes[1], 20);
    assert_eq!(scene.fire(10), [0]);
    scene.timers.remove(&nodes[0]); // has fired
    scene.timers.remove(&nodes[2]); // was never set
    assert_eq!(scene.timers.heap.len(), 1);
    scene.timers.remove(&nodes[1]);
    scene.timers.remove(&nodes[1]); // was removed
    assert!(scene.timers.is_empty());
}

#[test]
fn equal_deadlines_fire_in_the_order_in_which_they_were_set() {
    let nodes = nodes(100);
    let mut scene = Scene::new();
    nodes.iter().for_each(|node| scene.set(node, 5));
    scene.timers.remove(&nodes[10]);
    scene.set(&nodes[10], 5); // set again: now the last
    let expected: Vec<u32> = (0..10).chain(11..100).chain([10]).collect();
    assert_eq!(scene.fire(5), expected);
}

#[test]
fn nothing_fires_early_and_everything_at_its_nanosecond() {
    let node = TimerNode::new(7);
    let mut scene = Scene::new();
    for at in [0, 1, 1_000_000, u64::MAX] {
        scene.set(&node, at);
        if at > 0 {
            assert_eq!(scene.timers.pop_due(at - 1), None);
        }
        assert_eq!(scene.timers.pop_due(at), Some(7));
    }
}

#[test]
fn precision_is_wanted_while_a_precise_timer_is_set() {
    let nodes = nodes(3);
    let mut scene = Scene::new();
    scene.set(&nodes[0], 1);
    assert!(!scene.timers.wants_precision());
    scene.set_precise(&nodes[1], 2);
    scene.set_precise(&nodes[2], 3);
    scene.timers.remove(&nodes[0]);
    assert!(scene.timers.wants_precision());
    assert_eq!(scene.fire(2), [1]);
    assert!(scene.timers.wants_precision());
    scene.timers.remove(&nodes[2]);
    assert!(!scene.timers.wants_precision());
    scene.set(&nodes[2], 4); // precise the last time, and not now
    assert!(!scene.timers.wants_precision());
    assert_eq!(scene.fire(4), [2]);
}

#[test]
fn a_node_can_be_set_again_after_it_fired() {
    let node = TimerNode::new(7);
    let mut scene = Scene::new();
    for at in 0..5 {
        assert!(!node.is_queued());
        scene.set(&node, at);
        assert!(node.is_queued());
        assert_eq!(scene.fire(at), [7]);
    }
}

#[test]
fn an_empty_heap_has_nothing_due() {
    let mut timers = Timers::<u32>::new();
    assert_eq!(timers.next(), None);
    assert_eq!(timers.pop_due(u64::MAX), None);
    assert_eq!(timers.heap.len(), 0);
    assert!(timers.is_empty());
    assert!(!timers.wants_precision());
    timers.remove(&TimerNode::new(7));
}

#[test]
fn entries_and_nodes_stay_small() {
    assert!(size_of::<Entry<u64>>() <= 24);
    assert!(size_of::<TimerNode<u64>>() <= 16);
}

#[test]
fn debug_tells_what_is_set() {
    let node = TimerNode::new(7);
    let mut scene = Scene::new();
    assert_eq!(format!("{node:?}"), "TimerNode { position: None, precise: false, .. }");
    scene.set_precise(&node, 10);
    assert_eq!(format!("{node:?}"), "TimerNode { position: Some(0), precise: true, .. }");
    assert_eq!(format!("{:?}", scene.timers), "Timers { len: 1, precise: 1, next: Some(10), .. }");
    scene.timers.remove(&node);
}

#[test]
#[should_panic = "a timer was removed from a heap that it is not in"]
fn a_node_of_another_heap_is_refused() {
    let nodes = nodes(2);
    let (mut one, mut other) = (Scene::new(), Scene::new());
    one.set(&nodes[0], 1);
    other.set(&nodes[1], 1); // both have the position 0
    one.timers.remove(&nodes[1]);
}

#[test]
fn all_positions_below_the_limit_can_be_told_from_none() {
    assert_room(MAX_LIVE - 1);
    assert!((MAX_LIVE as u32) < NOT_QUEUED);
}

#[test]
#[should_panic = "timers on one worker"]
fn more_timers_than_positions_are_refused() {
    assert_room(MAX_LIVE);
}

#[test]
#[cfg(debug_assertions)]
#[should_panic = "a timer was set twice"]
fn a_queued_node_is_refused() {
    let node = TimerNode::new(7);
    let mut scene = Scene::new();
    scene.set(&node, 1);
    scene.set(&node, 2);
}

#[test]
#[cfg(debug_assertions)]
#[should_panic = "a timer heap died with deadlines in it"]
fn a_heap_does_not_die_with_deadlines_in_it() {
    let node = TimerNode::new(7);
    Scene::new().set(&node, 1);
}
