//! The return of idle memory, and all the figures about stacks, against a model that knows each slot by
//! itself. What has memory is asked of the kernel.

use super::*;
use crate::stack::StackStats;
use crate::stack::Stacks;
use crate::stack::arena::next_chunk_slots;
use crate::stack::arena::stride;
use crate::stack::cache::tests::USABLE;
use crate::stack::cache::tests::resident;
use crate::stack::cache::tests::touch;
use crate::stack::tests::MIB;
use crate::stack::tests::class;
use crate::sys;
use std::collections::HashMap;

/// What should be known of one slot.
#[derive(Clone, Copy, Default)]
struct Known {
    /// Pages that have memory.
    pages: usize,
    /// Not taken in this period.
    idle: bool,
    marked: bool,
}

/// One class, slot by slot. A fresh slot has no base before it is taken for the first time.
struct Model {
    class: Class,
    kept: usize,
    /// Coldest first.
    free: VecDeque<usize>,
    slots: Vec<Known>,
    bases: HashMap<NonNull<u8>, usize>,
    out: Vec<Slot>,
    promised: usize,
    peak: usize,
    chunks: Vec<usize>,
}

impl Model {
    fn new(class: Class) -> Self {
        Self {
            class,
            kept: KEPT_LEN / class.usable_len(),
            free: VecDeque::new(),
            slots: Vec::new(),
            bases: HashMap::new(),
            out: Vec::new(),
            promised: 0,
            peak: 0,
            chunks: Vec::new(),
        }
    }

    fn reserve(&mut self) {
        if self.promised == self.free.len() {
            self.free.push_front(self.slots.len());
            self.slots.push(Known::default());
            if self.slots.len() > self.chunks.iter().sum() {
                self.chunks.push(next_chunk_slots(self.class, self.chunks.last().copied()));
            }
        }
        self.promised += 1;
    }

    /// `slot` was taken, and `pages` of it were touched.
    #[track_caller]
    fn take(&mut self, slot: Slot, pages: usize) {
        let id = self.free.pop_back().expect("a promised slot");
        assert_eq!(*self.bases.entry(slot.base).or_insert(id), id, "the wrong slot was taken");
        let pages = self.slots[id].pages.max(pages);
        self.slots[id] = Known { pages, idle: false, marked: false };
        self.promised -= 1;
        self.out.push(slot);
        self.peak = self.peak.max(self.out.len());
    }

    fn give_back(&mut self, index: usize) -> Slot {
        let slot = self.out.swap_remove(index);
        self.free.push_back(self.bases[&slot.base]);
        slot
    }

    fn end_period(&mut self) {
        let warm = self.free.len().saturating_sub(self.kept);
        for (place, &id) in self.free.iter().enumerate() {
            let slot = &mut self.slots[id];
            slot.marked = slot.idle && place < warm;
            slot.idle = true;
        }
    }

    /// Pages that a call returns, or `None` if nothing is marked. Those slots are now in the order of
    /// their addresses.
    fn return_some(&mut self) -> Option<usize> {
        let bases: HashMap<usize, NonNull<u8>> = self.bases.iter().map(|(b, i)| (*i, *b)).collect();
        let due = |id: &usize| self.slots[*id].marked && self.slots[*id].pages > 0;
        let mut sorted: Vec<usize> = self.free.iter().copied().filter(due).collect();
        sorted.sort_unstable_by_key(|id| bases[id]);
        let mut sorted = sorted.into_iter();
        let places = self.free.iter_mut().filter(|id| due(id));
        places.for_each(|place| *place = sorted.next().expect("one for each place"));
        let mut pages = None;
        for &id in &self.free {
            let slot = &mut self.slots[id];
            if slot.marked && slot.pages > 0 {
                *pages.get_or_insert(0) += std::mem::take(&mut slot.pages);
            }
        }
        pages
    }

    fn has_idle_memory(&self) -> bool {
        self.free.iter().filter(|&&id| self.slots[id].pages > 0).count() > self.kept
    }

    fn add_to(&self, stats: &mut StackStats) {
        stats.live += self.out.len();
        stats.idle += self.free.len();
        stats.peak += self.peak;
        stats.reserved_bytes += self.chunks.iter().sum::<usize>() * stride(self.class);
    }

    #[track_caller]
    fn compare_memory(&self) {
        for (base, &id) in &self.bases {
            assert_eq!(resident(*base, self.class), self.slots[id].pages, "pages of slot {id}");
        }
    }
}

/// Marsaglia's xorshift64: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

struct Trial {
    stacks: Stacks,
    models: [Model; 2],
    returned: usize,
    random: Random,
    /// What is more frequent for a while: reserving, taking, giving back.
    mood: [usize; 3],
}

impl Trial {
    fn step(&mut self) {
        if self.random.below(200) == 0 {
            self.mood = [(); 3].map(|()| 1 + self.random.below(8));
        }
        let [reserving, taking, giving] = self.mood;
        let model = &mut self.models[self.random.below(2)];
        let choice = self.random.below(reserving + taking + giving + 2);
        if choice < reserving {
            if model.slots.len() < 60 || model.promised < model.free.len() {
                self.stacks.reserve(model.class).expect("memory for a test");
                model.reserve();
            }
        } else if choice < reserving + taking {
            if model.promised > 0 {
                let slot = self.stacks.take(model.class);
                let pages = 1 + self.random.below(4);
                touch(&slot, pages);
                model.take(slot, pages);
            }
        } else if choice < reserving + taking + giving {
            if !model.out.is_empty() {
                let slot = model.give_back(self.random.below(model.out.len()));
                self.stacks.give_back(slot);
            }
        } else if self.random.below(15) == 0 {
            self.stacks.end_period();
            self.models.iter_mut().for_each(Model::end_period);
        } else if self.random.below(4) == 0 {
            // The smaller class comes first.
            let pages = self.models.iter_mut().find_map(Model::return_some);
            assert_eq!(self.stacks.return_some(), pages.is_some());
            self.returned += pages.unwrap_or(0) * sys::page_size();
        }
    }

    #[track_caller]
    fn compare(&self) {
        let (live, idle, peak, reserved_bytes) = (0, 0, 0, 0);
        let returned_bytes = self.returned;
        let mut stats = StackStats { live, idle, peak, reserved_bytes, returned_bytes };
        self.models.iter().for_each(|model| model.add_to(&mut stats));
        assert_eq!(self.stacks.stats(), stats);
        let has_idle_memory = self.models.iter().any(Model::has_idle_memory);
        assert_eq!(self.stacks.has_idle_memory(), has_idle_memory);
    }
}

#[test]
fn any_order_of_calls_has_the_effects_of_the_model() {
    let models = [class(USABLE), class(MIB)].map(Model::new);
    let random = Random(0x9e37_79b9_7f4a_7c15);
    let mut trial = Trial { stacks: Stacks::new(), models, returned: 0, random, mood: [1; 3] };
    for step in 0..40_000 {
        trial.step();
        trial.compare();
        if step % 100 == 0 {
            trial.models.iter().for_each(Model::compare_memory);
        }
    }
    // It has been everywhere.
    assert!(trial.returned > 500 * sys::page_size(), "{} bytes", trial.returned);
    assert!(trial.models.iter().all(|model| model.peak > 40));
    let Trial { mut stacks, models, .. } = trial;
    for model in models {
        model.out.into_iter().for_each(|slot| stacks.give_back(slot));
    }
}
