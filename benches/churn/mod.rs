//! Churn: tasks with stacks of every size, used to every depth, that end in every way. What comes next
//! is drawn from a seed.
//!
//! Two programs use this: `benches/stacks.rs` for as long as one likes, in real time, and
//! `tests/it/soak.rs` on a virtual clock.

use giambio::Pool;
use giambio::Task;
use giambio::TaskBuilder;
use giambio::task::remaining_stack;
use std::cell::Cell;
use std::hint::black_box;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::time::Duration;

/// Families that live at the same time.
const LANES: u64 = 50;

/// Children of a family, at most.
const CHILDREN: u64 = 8;

/// Sizes of stacks: 32 KiB, and so on up to 8 MiB.
const SIZES: u64 = 9;

/// The most stacks that are used at the same time: each child may be on a second one. The main task's,
/// the one's that runs the families, and that of whoever looks on are in it.
#[allow(dead_code, reason = "for the tests")]
pub(crate) const MOST_STACKS: usize = (3 + LANES + LANES * (CHILDREN + 1) * 2) as usize;

/// Bytes of a stack that a task leaves alone: room for a sleep and for a panic without a message.
const SPARE: usize = 16 << 10;

/// The same numbers for the same seed: xorshift.
pub(crate) struct Choices(Cell<u64>);

impl Choices {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Cell::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1))
    }

    pub(crate) fn below(&self, end: u64) -> u64 {
        let mut x = self.0.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.0.set(x);
        (x >> 16) % end
    }

    /// How much of the running task's stack is to be left: mostly all, sometimes next to nothing.
    fn depth(&self) -> usize {
        let most = remaining_stack().map_or(0, |left| left.saturating_sub(SPARE));
        SPARE + most - (most >> (self.below(6) + self.below(12)))
    }

    pub(crate) fn millis_below(&self, end: u64) -> Duration {
        Duration::from_millis(self.below(end))
    }
}

/// What has happened.
#[derive(Debug, Default)]
pub(crate) struct Churn {
    pub(crate) spawned: Cell<u64>,
    /// Closures that were dropped, run or not.
    pub(crate) dropped: Cell<u64>,
    /// Tasks that were joined, by how they had ended.
    pub(crate) returned: Cell<u64>,
    pub(crate) cancelled: Cell<u64>,
    /// Families that met their deadline.
    pub(crate) cut: Cell<u64>,
    /// Families that failed since a child panicked.
    pub(crate) failed: Cell<u64>,
    pub(crate) big_stacks: Cell<u64>,
    /// Frames of [`below`] that were left, by return or by unwinding.
    pub(crate) frames: Cell<u64>,
}

fn count(cell: &Cell<u64>) {
    cell.set(cell.get() + 1);
}

/// Counts when it is dropped.
struct Counted<'c>(&'c Cell<u64>);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        count(self.0);
    }
}

/// The payload of this program's panics.
struct Planned;

impl Churn {
    /// Has families come and go until `is_over`; everything has ended when this returns.
    pub(crate) fn run(&self, seed: u64, is_over: impl Fn() -> bool) {
        giambio::pool(|pool| {
            for lane in 0..LANES {
                let is_over = &is_over;
                pool.spawn(move || {
                    let choices = Choices::new(seed + lane);
                    while !is_over() {
                        self.family(&choices);
                        giambio::sleep(choices.millis_below(10));
                    }
                });
            }
        });
    }

    /// Some children under a deadline that most of them keep.
    fn family(&self, choices: &Choices) {
        let patience = Duration::from_millis(5) + choices.millis_below(40);
        let family = || giambio::skip_after(patience, |pool| self.children(pool, choices));
        match catch_unwind(AssertUnwindSafe(family)) {
            Ok(Some(())) => {}
            Ok(None) => count(&self.cut),
            Err(payload) if payload.is::<Planned>() => count(&self.failed),
            Err(payload) => resume_unwind(payload),
        }
    }

    fn children<'scope>(&'scope self, pool: &'scope Pool<'scope, '_>, choices: &Choices) {
        for _ in 0..=choices.below(CHILDREN) {
            let own = Choices::new(choices.below(u64::MAX));
            let alive = Counted(&self.dropped);
            let size = 32 << 10 << choices.below(SIZES);
            count(&self.spawned);
            let task = TaskBuilder::new().stack_size(size).spawn(pool, move || {
                let _alive = alive;
                self.live(&own);
            });
            match choices.below(8) {
                0 => self.cancel(task), // before its first step
                1 => {
                    giambio::sleep(choices.millis_below(5));
                    self.cancel(task);
                }
                2 => self.join(task),
                _ => {}
            }
        }
    }

    fn cancel(&self, task: Task<'_, ()>) {
        task.cancel();
        self.join(task);
    }

    fn join(&self, task: Task<'_, ()>) {
        match task.join() {
            Ok(()) => count(&self.returned),
            Err(_) => count(&self.cancelled),
        }
    }

    /// A child: goes down, does something there, and comes back.
    fn live(&self, choices: &Choices) {
        below(&self.frames, choices.depth(), &mut || match choices.below(16) {
            0 => giambio::yield_now(),
            1 => resume_unwind(Box::new(Planned)),
            2 | 3 => {
                let size = 32 << 10 << choices.below(SIZES);
                giambio::on_big_stack(size, || {
                    count(&self.big_stacks);
                    below(&self.frames, choices.depth(), &mut || {
                        giambio::sleep(choices.millis_below(10));
                    });
                });
            }
            _ => giambio::sleep(choices.millis_below(20)),
        });
    }
}

/// Calls `f` below so many frames that no more than `left` bytes of the stack are left.
#[inline(never)]
fn below(frames: &Cell<u64>, left: usize, f: &mut dyn FnMut()) {
    let _frame = Counted(frames);
    let room = black_box([0_u8; 1024]);
    if remaining_stack().is_some_and(|now| now > left) {
        below(frames, left, f);
    } else {
        f();
    }
    black_box(&room);
}
